"""Webhooks and polling together: whatever order things arrive in, the books end as if there had been only one road, once."""

from __future__ import annotations

import itertools
import json
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deliveries import GOCARDLESS, SAP, STRIPE, Door, debit_events, inbox, stripe_event
from direct_debit import DebitCompany
from harness import Company
from mlc.core.intents import Plan
from mlc.sandbox.kit import Fault
from mlc.sandbox.stripe import StripeSwitches

POST, RECONCILE, SYNC, PUSH = "post-payments", "reconcile-payouts", "sync-customers", "push-invoices"


class Fronted(Company):
    """A company with a receiver in front of its state."""

    def __init__(self, folder: Path, **more: Any) -> None:
        super().__init__(folder, **more)
        self.last: str | None = None

    def deliver(self, *bodies: bytes) -> list[int]:
        """Hand deliveries of Stripe to the receiver, signed now."""
        with Door(self.folder / "mlc.db", self.clock) as door:
            return [door.stripe(body) for body in bodies]

    def news(self) -> list[bytes]:
        """Every event of Stripe so far as deliveries, oldest first."""
        return [one.body for one in self.account.deliveries(STRIPE)]

    def three_paid(self) -> list[str]:
        """Push three invoices and let them be paid; returns the payments."""
        self.partner()
        for _ in range(3):
            self.invoice()
        self.run()
        for one in sorted(self.pushed().values()):
            self.account.pay(one)
        return sorted(one["id"] for one in self.account.all("payment_intent"))

    def silent(self) -> None:
        """Let the list of events show nothing any more: what is learned, is learned from deliveries."""
        self.account.drop_events(len(self.account.events()))

    def payment_of(self, entry: int) -> str:
        """The payment that paid a document."""
        [part] = self.account.all("invoice_payment", invoice=self.pushed()[entry], status="paid")
        return str(part["payment"]["payment_intent"])

    def posted_once(self, *payments: str) -> None:
        """Every payment stands in SAP exactly once, and both sides' books are sound."""
        assert {key: len(found) for key, found in self.posted().items()} == dict.fromkeys(payments, 1)
        self.check()


@pytest.fixture
def company(tmp_path: Path) -> Fronted:
    """A company."""
    return Fronted(tmp_path)


@pytest.mark.parametrize("version", ["2026-10-28.endive", "2024-06-20"])
def test_deliveries_alone_are_enough(tmp_path: Path, version: str) -> None:
    """Where the list of events shows nothing, what webhooks brought is posted, whatever version their bodies are of."""
    company = Fronted(tmp_path, stripe={"switches": StripeSwitches(event_version=version)})
    paid = company.three_paid()
    company.run(POST)  # the daily look at the charges is behind us
    more = [company.invoice() for _ in range(2)]
    company.run()
    for entry in more:
        company.account.pay(company.pushed()[entry])
    bodies = company.news()[-20:]
    company.silent()
    assert set(company.deliver(*bodies)) == {200}
    report = company.run(POST)
    assert report.exit_code == 0
    company.posted_once(*(one["id"] for one in company.account.all("payment_intent")))
    assert len(company.posted()) == len(paid) + 2
    assert not [one for one in inbox(company) if one.done_at is None]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
@given(seed=st.integers(0, 10**6))
def test_any_order_any_overlap(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    """Shuffled, doubled, forged and late deliveries with polling between them: each payment is posted once, nothing waits in the end."""
    rng = random.Random(seed)
    company = Fronted(
        tmp_path_factory.mktemp("both"), stripe={"switches": StripeSwitches(thin_events=True, events_shuffled=True)}
    )
    company.partner()
    for _ in range(2):
        company.invoice()
    company.run()
    bodies: list[bytes] = []
    for one in sorted(company.pushed().values()):
        rng.choice([company.account.pay, lambda ident: company.account.pay_partly(ident, 5000)])(one)
        if rng.random() < 0.5:
            bodies = [*bodies, *company.news()]
    bodies = [*bodies, *company.news()]
    rng.shuffle(bodies)
    with Door(company.folder / "mlc.db", company.clock) as door:
        for body in bodies:
            assert door.stripe(body) == 200 if rng.random() < 0.9 else door.stripe(body, secret="whsec_forged") == 400
            if rng.random() < 0.07:
                company.run(POST)
            if rng.random() < 0.05:
                company.clock.pass_time(rng.choice([1, 700, 3 * 86400]))
    if rng.random() < 0.5:
        company.silent()
    company.clock.pass_time(86400)
    company.run(POST)
    company.posted_once(*(one["id"] for one in company.account.all("payment_intent") if one["status"] == "succeeded"))
    assert not [one for one in inbox(company) if one.done_at is None and one.kind == "money"]


def test_all_orders_of_one_payments_events(tmp_path: Path) -> None:
    """Complaint 25: every permutation of the events of one payment ends the same."""
    first = Fronted(tmp_path / "0")
    first.partner()
    first.invoice()
    first.run()
    first.account.pay(next(iter(first.pushed().values())))
    wanted = ("invoice_payment.paid", "charge.updated", "payment_intent.succeeded")
    events = [body for body in first.news() if json.loads(body)["type"] in wanted]
    assert len(events) == 3
    for number, order in enumerate(itertools.permutations(events)):
        first.forget()
        first.deliver(*order[: 1 + number % 3])
        first.run(POST)
        first.deliver(*order)
        first.run(POST)
        first.posted_once(*(one["id"] for one in first.account.all("payment_intent")))


def test_known_newer_events_do_not_hide_older_ones(company: Fronted) -> None:
    """A whole page of events that were dealt with one by one does not end the reading: the one below it never arrived."""
    company.three_paid()
    company.run(POST)
    entry = company.invoice()
    company.run()
    company.account.pay(company.pushed()[entry])  # its events are never delivered
    older = {one["id"] for one in company.account.events()}
    for number in range(110):
        company.account.pay_without_invoice(None, 100 + number, "eur")
    opened = company.open()
    opened.journal.accept(Plan(events=[one["id"] for one in company.account.events() if one["id"] not in older]), POST)
    opened.close()
    company.run(POST)
    assert company.payment_of(entry) in company.posted()


def test_what_arrives_during_a_run_waits_for_the_next(company: Fronted, monkeypatch: pytest.MonkeyPatch) -> None:
    """A delivery that comes while a pass is under way is not ticked off by it."""
    from mlc.passes.post_payments import PostPayments

    company.three_paid()
    real = PostPayments.gather

    def meanwhile(self: PostPayments) -> Iterator[Any]:
        yield from real(self)
        company.deliver(json.dumps(stripe_event(77)).encode())

    monkeypatch.setattr(PostPayments, "gather", meanwhile)
    company.run(POST)
    assert [one.id for one in inbox(company) if one.done_at is None] == ["evt_77"]
    monkeypatch.undo()
    company.run(POST)
    assert not [one for one in inbox(company) if one.done_at is None]


@pytest.mark.parametrize("how", ["dry_run", "limit", "unreachable"])
def test_a_run_that_did_not_see_everything_ticks_off_nothing(company: Fronted, how: str) -> None:
    """A dry run, a run cut by --limit and one that could not read leave the deliveries waiting; the next one posts them."""
    paid = company.three_paid()
    company.deliver(*company.news())
    waiting = [one.id for one in inbox(company) if one.done_at is None and one.kind == "money"]
    assert waiting
    if how == "dry_run":
        company.run(POST, dry_run=True)
    elif how == "limit":
        company.run(POST, limit=1)
    else:
        company.stripe.faults += [Fault("html", path="/v1/payment_intents", status=503, times=50)]
        assert company.run(POST).exit_code == 5
        company.stripe.faults.clear()
    assert [one.id for one in inbox(company) if one.done_at is None and one.kind == "money"] == waiting
    company.run(POST)
    company.posted_once(*paid)
    assert not [one for one in inbox(company) if one.done_at is None and one.kind == "money"]


def test_objects_that_are_gone(company: Fronted) -> None:
    """An event about a payment, refund or dispute that Stripe does not know (any more) books nothing and does not stop the others."""
    paid = company.three_paid()
    ghosts = [
        stripe_event(1, data={"object": {"id": "ch_ghost", "object": "charge", "payment_intent": "pi_ghost"}}),
        stripe_event(2, "refund.created", data={"object": {"id": "re_ghost", "object": "refund", "charge": "ch_ghost"}}),
        stripe_event(
            3, "charge.dispute.created", data={"object": {"id": "du_ghost", "object": "dispute", "charge": "ch_ghost"}}
        ),
        stripe_event(4, "invoice.voided", data={"object": {"id": "in_ghost", "object": "invoice"}}),
        stripe_event(5, "invoice_payment.paid", data={"object": None}),
    ]
    thin = {"id": "evt_6", "object": "v2.core.event", "type": "v1.invoice_payment.paid", "livemode": False, "created": "2026-11-03T10:00:00Z",
            "related_object": {"id": "inpay_ghost", "type": "invoice_payment"}}  # fmt: skip
    assert set(company.deliver(*(json.dumps(one).encode() for one in [*ghosts, thin]))) == {200}
    assert company.run(POST).exit_code == 0
    company.posted_once(*paid)
    assert not [one for one in inbox(company) if one.done_at is None and one.kind == "money"]


def test_what_is_posted_is_what_the_api_says_now(company: Fronted) -> None:
    """Complaint 25: an event whose body tells another sum, status and customer than the object posts what the object says."""
    [first, *_] = company.three_paid()
    lie = {
        "id": first,
        "object": "payment_intent",
        "amount": 1,
        "amount_received": 1,
        "status": "canceled",
        "currency": "usd",
        "customer": "cus_x",
    }
    company.silent()
    company.deliver(json.dumps(stripe_event(1, "payment_intent.succeeded", data={"object": lie})).encode())
    company.run(POST)
    assert [str(one.transfer_sum) for one in company.posted()[first]] == ["119.00"]


def test_a_payment_that_settles_late_is_followed_to_its_end(company: Fronted) -> None:
    """Complaint 26: a debit that a webhook tells of while it is on its way is posted when it succeeds, without another delivery."""
    company.partner()
    entry = company.invoice()
    company.run()
    intent = company.account.pay_late(company.pushed()[entry])
    company.deliver(*company.news())
    company.run(POST)
    assert not company.posted()
    company.clock.pass_time(9 * 86400)
    company.account.settle_late(intent)
    company.silent()
    company.run(POST)
    company.posted_once(intent)


def test_a_thin_event_alone_brings_the_payment(company: Fronted) -> None:
    """A thin event names the invoice payment and nothing else: what it paid is read."""
    company.three_paid()
    company.run(POST)
    entry = company.invoice()
    company.run()
    company.account.pay(company.pushed()[entry])
    part = company.account.all("invoice_payment", invoice=company.pushed()[entry])[-1]["id"]
    company.silent()
    thin = {"id": "evt_thin", "object": "v2.core.event", "type": "v1.invoice_payment.paid", "livemode": False, "created": "2026-11-03T10:00:00Z",
            "related_object": {"id": part, "type": "invoice_payment"}}  # fmt: skip
    company.deliver(json.dumps(thin).encode())
    company.run(POST)
    assert len(company.posted()) == 4


def test_customers_by_webhook(tmp_path: Path) -> None:
    """A customer's change that only a webhook tells of reaches SAP; what our own request caused is no news."""
    company = Fronted(tmp_path)
    company.partner()
    company.invoice()
    company.run()
    company.run(SYNC)
    customer = company.account.all("customer")[0]["id"]
    company.account.update_customer(customer, {"email": "new@example.com"})
    company.silent()
    event = stripe_event(
        1, "customer.updated", data={"object": {"id": customer, "object": "customer"}}, request={"id": "req_1"}
    )
    company.deliver(json.dumps(event).encode())
    company.run(SYNC)
    assert company.books.partners["C1"].fields["EmailAddress"] == "new@example.com"
    assert not [one for one in inbox(company) if one.done_at is None]


def test_messages_of_sap_look_at_once_at_what_changed(tmp_path: Path) -> None:
    """A message of SAP makes push-invoices read what changed although the hour is not over, and is ticked off by it."""
    company = Fronted(tmp_path)
    company.partner()
    company.invoice()
    company.run()
    company.run(PUSH)
    begun = len(company.sap.log)
    company.run(PUSH)
    quiet = len(company.requests("sap", begun))
    with Door(tmp_path / "mlc.db", company.clock) as door:
        assert door.sap([{"BusinessObject": "13"}], secret=SAP) == 200
    begun = len(company.sap.log)
    company.run(PUSH)
    assert len(company.requests("sap", begun)) == quiet + 1
    assert not [one for one in inbox(company) if one.done_at is None]


def test_gocardless_by_webhook(tmp_path: Path) -> None:
    """Disordered and doubled deliveries of GoCardless, with events the list never showed: marks and payouts end as the API says."""
    company = DebitCompany(tmp_path)
    _, payment, payout = company.paid("C1", "100.00")
    bodies = [one.body for one in company.organisation.deliveries(GOCARDLESS)]
    with Door(tmp_path / "mlc.db", company.clock) as door:
        for body in [*bodies[::-1], *bodies]:
            assert door.gocardless(body) == 200
    company.run(RECONCILE)
    company.run(RECONCILE)
    assert [one.reference2 for one in company.books.entries() if one.reference2] == [payout]
    waiting = [one for one in inbox(company) if one.done_at is None]
    assert not waiting
    opened = company.open()
    assert opened.journal.links.get("debit", payment).data["status"] == "paid_out"
    opened.close()


def test_a_payout_of_stripe_that_a_webhook_names_is_read(company: Fronted) -> None:
    """A delivery that names a payout leads to it, however far back the list of payouts reaches; one that is gone stops nobody."""
    company.run(RECONCILE)
    event = stripe_event(1, "payout.failed", data={"object": {"id": "po_ghost", "object": "payout"}})
    assert company.deliver(json.dumps(event).encode()) == [200]
    begun = len(company.stripe.log)
    assert company.run(RECONCILE).exit_code == 0
    assert ("GET", "/v1/payouts/po_ghost", 404) in company.requests("stripe", begun)
    assert not [one for one in inbox(company) if one.done_at is None]


def test_a_late_step_does_not_set_a_payment_back(tmp_path: Path) -> None:
    """A delivery that says `confirmed` days after the payment was paid out, and was never listed, changes nothing of its state."""
    company = DebitCompany(tmp_path)
    _, payment, _ = company.paid("C1", "100.00")
    company.run(RECONCILE)
    with Door(tmp_path / "mlc.db", company.clock) as door:
        late = debit_events(1, links={"payment": payment}, id="EVLATE")
        assert door.gocardless(late) == 200
    company.run(RECONCILE)
    opened = company.open()
    assert opened.journal.links.get("debit", payment).data["status"] == "paid_out"
    opened.close()


def test_a_payout_older_than_the_listing_reaches(tmp_path: Path) -> None:
    """A delivery that names a payout leads to it even where the list of new payouts does not go so far back."""
    company = DebitCompany(tmp_path, start="2026-09-01")
    _, _, payout = company.paid("C1", "100.00")
    company.run(RECONCILE)
    booked = [one for one in company.books.entries() if one.reference2 == payout]
    assert len(booked) == 1
    with Door(tmp_path / "mlc.db", company.clock) as door:
        assert door.gocardless(debit_events(1, resource_type="payouts", action="paid", links={"payout": "PO_GHOST"})) == 200
    begun = len(company.gocardless.log)
    assert company.run(RECONCILE).exit_code == 0
    assert ("GET", "/payouts/PO_GHOST", 404) in company.requests("gocardless", begun)
    assert len([one for one in company.books.entries() if one.reference2 == payout]) == 1


@pytest.mark.parametrize("size", [250_000, 1_900_000])
def test_a_very_large_event_is_read_like_any_other(company: Fronted, size: int) -> None:
    """An event near the limit of what is accepted posts its payment and stops nobody."""
    paid = company.three_paid()
    large = {"id": paid[0], "object": "payment_intent", "metadata": {"x": "y" * size}}
    company.silent()
    assert company.deliver(json.dumps(stripe_event(1, "payment_intent.succeeded", data={"object": large})).encode()) == [200]
    assert company.run(POST).exit_code == 0
    assert paid[0] in company.posted()


def test_an_event_that_cannot_be_read_stops_nobody(company: Fronted) -> None:
    """What became unreadable in the inbox is said once and passed by; polling finds what it was about."""
    paid = company.three_paid()
    company.deliver(*company.news())
    connection = sqlite3.connect(company.folder / "mlc.db")
    connection.execute("UPDATE inbox SET body = '{\"id\": ' WHERE type IN ('charge.succeeded', 'customer.created')")
    connection.commit()
    connection.close()
    report = company.run(POST)
    assert report.exit_code == 0
    assert "cannot be read (JSONDecodeError): see mlc webhooks show" in report.notes[0]
    company.posted_once(*paid)
    assert any("cannot be read" in note for note in company.run(SYNC).notes)
    assert company.run(POST).notes == []
