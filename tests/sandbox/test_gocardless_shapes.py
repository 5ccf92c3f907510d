"""The simulator's answers have the keys and JSON types of the vendor's published fixtures, and its events their names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from test_gocardless_http import payment
from test_gocardless_world import call, euro, got, world

from mlc.sandbox.gocardless import GoCardlessService, sign
from mlc.sandbox.kit import Fault

WIRE = Path(__file__).resolve().parents[3] / "shared" / "wire" / "gocardless"
pytestmark = pytest.mark.skipif(not WIRE.is_dir(), reason="the published shapes are not here")
LISTS = {
    "balances": "?creditor=CR0001",
    "creditor_bank_accounts": "",
    "creditors": "",
    "customer_bank_accounts": "",
    "customers": "",
    "events": "?resource_type=payments&include=payment",
    "instalment_schedules": "",
    "mandates": "",
    "payments": "",
    "payout_items": "?payout=PO00000001",
    "payouts": "",
    "refunds": "",
    "subscriptions": "",
    "tax_rates": "",
}
OPEN = ("metadata", "resource_metadata", "links", "details", "payment_errors", "linked")


def fixture(name: str) -> Any:
    """One of the published files."""
    return json.loads((WIRE / f"{name}.json").read_text(encoding="utf-8"))


def played() -> GoCardlessService:
    """An organisation with one of everything."""
    service, made, mandate = euro()
    payment = made.collect(mandate, 30000, "One-off", {"inv": "1"}, reference="R", app_fee=5)
    payout = made.pay(payment, rate="0.85")
    assert payout == "PO00000001"
    made.add_refund(payment, 5, reference="R")
    made.add_subscription(mandate, 100, "Plan")
    made.add_instalment_schedule(mandate, [1, 2], "Schedule")
    return service


def alike(ours: Any, theirs: Any, where: str) -> None:
    """Compare keys and JSON types; null stands for any type, open objects may have fewer keys."""
    if ours is None or theirs is None:
        return
    if isinstance(theirs, dict):
        assert isinstance(ours, dict), where
        last = where.rsplit(".", 1)[-1]
        if last in ("metadata", "resource_metadata", "payment_errors"):
            return
        extra, lacking = set(ours) - set(theirs), set(theirs) - set(ours)
        assert not extra, f"{where}: {extra}"
        assert last in OPEN or not lacking, f"{where}: {lacking}"
        for key, value in ours.items():
            alike(value, theirs[key], f"{where}.{key}")
    elif isinstance(theirs, list):
        assert isinstance(ours, list), where
        for value in ours:
            if theirs:
                alike(value, theirs[0], where)
    else:
        assert type(ours) is type(theirs), f"{where}: {ours!r} is not like {theirs!r}"


@pytest.mark.parametrize("kind", LISTS)
def test_lists(kind):
    """Every list has the keys and types of the fixture, and something in it."""
    ours = got(played(), f"/{kind}{LISTS[kind]}")
    assert ours[kind]
    alike(ours, fixture(kind)["list"]["body"], kind)


@pytest.mark.parametrize("kind", [one for one in LISTS if one not in ("balances", "payout_items")])
def test_single_records(kind):
    """Every record that can be read by its id looks like the fixture."""
    service = played()
    ident = got(service, f"/{kind}")[kind][0]["id"]
    alike(got(service, f"/{kind}/{ident}"), fixture(kind)["get"]["body"], kind)


def test_errors():
    """The error bodies have the keys and types of the published ones."""
    service, made, mandate = world(forbidden=("refunds",))
    body = {"payments": {"amount": "x", "currency": "GBP", "links": {"mandate": mandate}}}
    good = payment(mandate)
    assert call(service, "POST", "/payments", good, idempotency_key="k").status == 201
    answers = {
        "unauthorized_error": call(service, "GET", "/payments", authorization=""),
        "insufficient_permission": call(service, "GET", "/refunds"),
        "validation_failed_error": call(service, "POST", "/payments", body),
        "idempotent_creation_conflict_error": call(service, "POST", "/payments", good, idempotency_key="k"),
    }
    made.cancel_mandate(mandate)
    answers["invalid_state_error"] = call(service, "POST", f"/mandates/{mandate}/actions/cancel")
    service.faults += [Fault("rate_limit"), Fault("internal")]
    answers["rate_limit_exceeded"] = call(service, "GET", "/payments")
    answers["gocardless_error"] = call(service, "GET", "/payments")
    for name, answer in answers.items():
        theirs = fixture(name)
        alike(json.loads(answer.body), theirs, name)
        assert answer.status == theirs["error"]["code"]


def test_events_are_named_as_published():
    """Every event that anything here causes is one of the published ones, with their origin and cause."""
    _, made, mandate = euro()
    ident = made.pay(made.payment_charged_back(made.add_payment(mandate, 900)) and made.collect(mandate, 90000))
    made.cancel_chargeback(made.all("payments")[0]["id"])
    made.confirm_fx_rate(ident)
    made.confirm_tax_rates(ident)
    made.bounce(ident)
    made.pay_payout(made.retry(ident))
    paid = made.all("payments", status="paid_out")[-1]["id"]
    made.refund_returned(made.add_refund(paid, 10))
    made.refund_settled(made.add_refund(mandate=mandate, amount=10))
    made.late_failure(paid)
    made.retry_payment(paid)
    made.cancel_payment(paid)
    made.subscription_payment(made.add_subscription(mandate, 100, "Plan"))
    made.add_instalment_schedule(mandate, [100], "Schedule")
    made.mandate_customer_approval_granted(made.add_mandate(made.add_customer("B"), approval=True))
    made.mandate_failed(made.add_mandate(made.add_customer("C"), active=False))
    made.cancel_mandate(made.replace_mandate(mandate))
    made.reinstate_mandate(mandate)
    made.mandate_expired(mandate)
    known = fixture("event-actions")
    names = set()
    for event in made.events():
        kind, action, details = event["resource_type"], event["action"], event["details"]
        names.add(action)
        if action != "surcharge_fee_credited":
            causes = {(one["origin"], one["cause"]) for one in known[kind][action]}
            assert (details["origin"], details["cause"]) in causes, event
    assert {"bounced_payout", "funds_returned", "tax_exchange_rates_confirmed", "surcharge_fee_debited"} <= names
    assert len(names) > 20


def test_the_official_signature():
    """The published body and secret have the published signature."""
    vector = fixture("webhook_vector")
    body = (WIRE / vector["body_file"]).read_bytes()
    assert sign(body, vector["secret"]) == vector["signature"]
    assert sign(body + b"\n", vector["secret"]) != vector["signature"]
