"""webhooks list and show, what status and explain tell of deliveries, and replay of events, delivered or not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from desk import Desk

from deliveries import STRIPE, Door, stripe_event
from direct_debit import DebitCompany
from mlc.cli.session import Session

FILTER = "post-payments"


def deliver(desk: Desk, *bodies: bytes) -> None:
    """Hand deliveries of Stripe to a receiver on the desk's state."""
    with Door(desk.folder / "mlc.db", desk.company.clock) as door:
        assert {door.stripe(body) for body in bodies} == {200}


def paid(desk: Desk) -> str:
    """Push an invoice and let it be paid; returns the payment."""
    desk.company.invoice()
    desk.mlc("run")
    [invoice] = desk.company.pushed().values()
    desk.company.account.pay(invoice)
    return str(desk.company.account.all("payment_intent")[0]["id"])


def event(desk: Desk, type_: str) -> str:
    """The newest event of a type."""
    return str(desk.company.account.events(type_)[-1]["id"])


def bodies(desk: Desk) -> list[bytes]:
    """Every event as a delivery."""
    return [one.body for one in desk.company.account.deliveries(STRIPE)]


def test_list_and_show(desk: Desk) -> None:
    """What arrived is listed newest first with what became of it; one is shown whole, without what a browser could act with."""
    payment = paid(desk)
    deliver(desk, *bodies(desk))
    ident = event(desk, "payment_intent.succeeded")
    listed = desk.mlc("webhooks", "list")
    assert listed.code == 0
    assert f"{ident}  payment_intent.succeeded\n    about {payment}; dealt with: no, waits for" in listed.out
    assert max(map(len, listed.out.splitlines())) <= 80
    assert desk.mlc("webhooks", "list", "--waiting", "--system", "gocardless").out == ""
    desk.mlc("run")
    assert "acme: nothing waits" in desk.mlc("webhooks", "list", "--waiting").err
    shown = desk.mlc("webhooks", "show", ident)
    assert "dealt with  run " in shown.out
    assert '"client_secret": "***"' in shown.out
    [line] = desk.mlc("webhooks", "show", ident, "--json").of("delivery")
    assert (line["id"], line["about"], line["waiting"], line["deliveries"]) == (ident, payment, False, 1)
    assert line["body"]["data"]["object"]["id"] == payment
    lines = desk.mlc("webhooks", "list", "--json", "--limit", "3").of("delivery")
    assert len(lines) == 3
    assert {one["tenant"] for one in lines} == {"acme"}


def test_what_never_arrived_cannot_be_shown(desk: Desk) -> None:
    """An unknown event is exit 2 and says how to ask the processor; a wrong system names the right ones."""
    desk.mlc("run")
    said = desk.mlc("webhooks", "show", "evt_none")
    assert (said.code, "mlc replay evt_none" in said.err) == (2, True)
    said = desk.mlc("webhooks", "list", "--system", "paypal")
    assert (said.code, "one of stripe, gocardless, sap" in said.err) == (2, True)


def test_status_tells_of_deliveries_and_ends_with_3_when_they_wait_too_long(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counts, the last refusal with its reason, what waits; a row older than alert_after is somebody's business."""
    from mlc.cli import looking

    paid(desk)
    deliver(desk, *bodies(desk)[-3:])
    with Door(desk.folder / "mlc.db", desk.company.clock) as door:
        assert door.stripe(stripe_event(), secret="whsec_old") == 400
    monkeypatch.setattr(looking.time, "time", lambda: desk.company.clock.now() + 60)
    said = desk.mlc("status")
    assert said.code == 0
    assert (
        "webhooks of stripe: 3 received, the last 1 min ago; 1 refused, the last 1 min ago: the signature does not match"
        in said.out
    )
    assert "waiting in the inbox: " in said.out
    monkeypatch.setattr(looking.time, "time", lambda: desk.company.clock.now() + 4 * 86400)
    assert desk.mlc("status").code == 3
    desk.mlc(FILTER)
    [status] = desk.mlc("status", "--json").of("status")
    assert (status["inbox_waiting"], status["webhooks"][0]["refused"]) == (0, 1)


def test_explain_tells_when_a_webhook_arrived(desk: Desk) -> None:
    """The story of a payment has the deliveries that told of it; an event that Stripe no longer keeps leads to what it was about."""
    payment = paid(desk)
    deliver(desk, *bodies(desk))
    desk.mlc(FILTER)
    ident = event(desk, "payment_intent.succeeded")
    assert f"webhook payment_intent.succeeded {ident} arrived" in desk.mlc("explain", payment).out
    desk.company.account.drop_events(len(desk.company.account.events()))
    told = desk.mlc("explain", ident).out
    assert f"webhook payment_intent.succeeded {ident} arrived: dealt with by run" in told
    assert "post-payment" in told


@pytest.mark.parametrize("delivered", [True, False])
@pytest.mark.parametrize("type_", ["payment_intent.succeeded", "invoice_payment.paid", "charge.updated", "invoice.paid"])
def test_replay_of_an_event_posts_what_it_is_about(desk: Desk, type_: str, *, delivered: bool) -> None:
    """Delivered here or not, any event of a payment leads to it; done once, the second replay finds nothing to do."""
    payment = paid(desk)
    if delivered:
        deliver(desk, *bodies(desk))
        desk.company.account.drop_events(len(desk.company.account.events()))
        opened = desk.company.open()
        [ident] = [one.id for one in opened.journal.inbox.newest_rows(50) if one.type == type_]
        opened.close()
    else:
        ident = event(desk, type_)
    said = desk.mlc("replay", ident)
    assert said.code == 0, said.err
    assert set(desk.company.posted()) == {payment}
    again = desk.mlc("replay", ident)
    assert (again.code, len(desk.company.posted()[payment])) == (0, 1)
    if delivered:
        [line] = desk.mlc("webhooks", "show", ident, "--json").of("delivery")
        assert not line["waiting"]


def test_a_dry_replay_ticks_off_nothing(desk: Desk) -> None:
    """`replay -n` shows what it would do; the delivery waits as before."""
    paid(desk)
    deliver(desk, *bodies(desk))
    ident = event(desk, "payment_intent.succeeded")
    assert "planned post" in desk.mlc("replay", ident, "-n").err
    [line] = desk.mlc("webhooks", "show", ident, "--json").of("delivery")
    assert line["waiting"]
    assert not desk.company.posted()


def test_replay_of_refunds_payouts_and_customers(desk: Desk) -> None:
    """An event about a refund, a customer or a payout goes to the pass that deals with it."""
    payment = paid(desk)
    desk.mlc(FILTER)
    desk.company.account.refund(payment, 1000)
    refund = desk.mlc("replay", event(desk, "refund.created"))
    assert (refund.code, "held refund" in refund.err) == (3, True)
    customer = desk.mlc("replay", event(desk, "customer.created"))
    assert (customer.code, "sync-customers" in customer.err) == (0, True)
    desk.company.clock.pass_time(3 * 86400)
    desk.company.account.make_payout()
    payout = desk.mlc("replay", event(desk, "payout.created"))
    assert "reconcile-payouts" in payout.err


def test_an_event_nobody_keeps_any_more(desk: Desk) -> None:
    """The limits of history are said: 30 days at Stripe, and what to replay instead."""
    paid(desk)
    ident = event(desk, "payment_intent.succeeded")
    desk.company.account.drop_events(len(desk.company.account.events()))
    said = desk.mlc("replay", ident)
    assert said.code == 2
    assert "events are kept for 30 days" in said.err
    assert "replay what it was about" in said.err


def test_replay_of_events_of_gocardless(tmp_path: Path) -> None:
    """An event of a payment leads to its payout, one before it to the payment itself; an archived one is said to be."""
    company = DebitCompany(tmp_path)
    desk = Desk(company)
    desk.ports.wires |= {3: company.wires["gocardless"]}
    text = desk.config.read_text()
    start = text.index("    stripe:")
    desk.config.write_text(
        text[:start]
        + """    gocardless:
      url: http://127.0.0.1:3
      access_token: {env: G}
      bank_account: {EUR: "1200", GBP: "1210"}
      fee_account: "6855"
      vat_account: "1576"
      unallocated_account: "1590"
      clearing_account: "1362"
      fx_account: "6880"
      dimensions: {}
"""
    )
    _, payment, payout = company.paid("C1", "100.00")
    events = {one["action"]: one["id"] for one in company.organisation.all("events") if one["resource_type"] == "payments"}
    said = desk.mlc("replay", events["paid_out"])
    assert said.code == 0, said.err
    assert [one.reference2 for one in company.books.entries() if one.reference2] == [payout]
    again = desk.mlc("replay", events["confirmed"])
    assert (again.code, len([one for one in company.books.entries() if one.reference2 == payout])) == (0, 1)
    opened = company.open()
    assert opened.journal.links.get("debit", payment) is not None
    opened.close()
    said = desk.mlc("replay", "EV123GONE")
    assert (said.code, "archived" in said.err) == (2, True)


@pytest.mark.parametrize(
    ("secret", "code", "words"),
    [
        ("", 4, "no usable secret stripe.webhook_secret"), ("   ", 4, "no usable secret stripe.webhook_secret"),
        (None, 4, "no usable secret stripe.webhook_secret"),
    ],
)  # fmt: skip
def test_an_empty_or_missing_secret_is_refused_at_the_start(desk: Desk, secret: str | None, code: int, words: str) -> None:
    """Complaint 52: nothing is served with a secret that would verify anything."""
    if secret is not None:
        desk.env["WH"] = secret
    desk.write(("      secret_key:", "      webhook_secret: {env: WH}\n      secret_key:"))
    said = desk.mlc("webhooks", "serve", "--port", "0")
    assert (said.code, words in said.err) == (code, True)
    assert "WH" in said.err


def test_two_endpoints_with_one_secret_are_refused(desk: Desk) -> None:
    """Where two tenants share a secret a delivery for one would be accepted by the other: exit 2, both are named."""
    desk.second()
    desk.env["WH"] = "whsec_same"
    text = desk.config.read_text()
    desk.config.write_text(text.replace("      secret_key:", "      webhook_secret: {env: WH}\n      secret_key:"))
    said = desk.mlc("webhooks", "serve", "--port", "0")
    assert said.code == 2
    assert "/stripe/acme and /stripe/beta have the same webhook secret" in said.err


def test_no_secret_at_all_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a single secret nothing could be verified: exit 4, with the command that sets one."""
    from mlc.secrets.resolver import Resolver

    monkeypatch.setattr(Resolver, "exists", lambda *_: False)
    said = desk.mlc("webhooks", "serve", "--port", "0")
    assert said.code == 4
    assert "mlc secret set TENANT stripe.webhook_secret" in said.err
    assert "not served: /stripe/acme: no secret" in said.err


def test_secret_check_looks_for_what_is_configured(desk: Desk) -> None:
    """Every secret that a timer or the receiver will need is looked for, the list of a rolled one too."""
    desk.env |= {"A": "whsec_a", "B": "whsec_b"}
    desk.write(("      secret_key:", "      webhook_secret: [{env: A}, {env: B}]\n      secret_key:"))
    found = desk.mlc("secret", "check", "--json").of("secret")
    assert [(one["name"], one["state"]) for one in found] == [
        ("sap.password", "yes"), ("stripe.secret_key", "yes"), ("stripe.webhook_secret", "yes"), ("stripe.webhook_secret", "yes"),
    ]  # fmt: skip
    assert "whsec_a" not in json.dumps(found)


def test_a_rejected_credential_outranks_everything_in_a_child(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one pass met a defect and another a wrong password the receiver hears of the password: it must not be tried again."""
    from mlc.cli import calling, passes
    from mlc.cli.options import Common

    def both(session: Session, *_: object, **_more: object) -> None:
        session.codes += [1, 4, 3]

    monkeypatch.setattr(passes, "run_passes", both)
    with pytest.raises(SystemExit) as end:
        calling.run_in_child(Common(), "acme", ("post-payments",))
    assert end.value.code == 4


@pytest.mark.parametrize(("password", "served"), [("password: {env: P}", True), ("", False)])
def test_a_server_without_a_keyring(desk: Desk, password: str, *, served: bool) -> None:
    """Where every secret is referred to, one that is left out needs no keyring; where others are kept in it, it must be there."""
    from mlc.config import parse
    from mlc.core.errors import SecretStoreError
    from mlc.secrets import Resolver
    from mlc.secrets.keychain import Keychain, KeychainUnusableError
    from mlc.webhooks.endpoints import endpoints_of

    class Absent(Keychain):
        def get(self, *_: str) -> str | None:
            raise KeychainUnusableError("not reachable")

    text = desk.config.read_text().replace("      secret_key:", "      webhook_secret: {env: WH}\n      secret_key:")
    text = text.replace("      password: {env: P}\n", f"      {password}\n" if password else "")
    settings = parse(text.encode(), desk.config, {})
    resolver = Resolver(settings.secrets, {"WH": "whsec_x", "P": "p", "K": "k"}, tty=False, keychain=Absent(tty=False))
    if served:
        found, without = endpoints_of(settings.tenants["acme"], resolver)
        assert [one.path for one in found] == ["/stripe/acme"]
        assert "/sap/acme: no secret" in without[0]
    else:
        with pytest.raises(SecretStoreError):
            endpoints_of(settings.tenants["acme"], resolver)
