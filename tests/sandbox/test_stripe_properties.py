"""Whatever happens in the simulated account, its books agree; and it stays quick when it is large."""

from __future__ import annotations

import time
from contextlib import suppress

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_stripe_world import DAY, START, world

from mlc.sandbox.kit import Clock
from mlc.sandbox.stripe import Account, Refusal, StripeSwitches

AMOUNTS = st.integers(1, 30_000)
PICK = st.integers(0, 999)
STEPS = st.one_of(
    st.tuples(st.sampled_from(["invoice", "credit", "bare", "book", "manual"]), PICK, AMOUNTS),
    st.tuples(st.sampled_from(["part", "over", "note", "refund", "record"]), PICK, AMOUNTS),
    st.tuples(st.sampled_from(["pay", "late", "settle", "fail", "many", "void", "elsewhere", "attach"]), PICK, st.just(0)),
    st.tuples(st.sampled_from(["uncollectible", "charge", "subscription", "fail_refund", "settle_refund"]), PICK, st.just(0)),
    st.tuples(st.sampled_from(["dispute", "warn", "win", "lose", "escalate", "payout", "complete"]), PICK, st.just(0)),
    st.tuples(st.sampled_from(["bounce", "void_note", "day", "balance", "delete", "return"]), PICK, st.just(0)),
)
SWITCHES = st.builds(
    StripeSwitches,
    overpaid_in_payment=st.booleans(),
    overpayment_credited=st.booleans(),
    out_of_band_record=st.booleans(),
    balance_later=st.booleans(),
    refund_pending=st.booleans(),
    debit_balance_early=st.booleans(),
    failed_debit_fee_returned=st.booleans(),
    returned_debit_reopens=st.booleans(),
    in_flight_blocks=st.booleans(),
    void_partly_paid=st.booleans(),
    dispute_fee_returned=st.booleans(),
    fee_tax_percent=st.sampled_from([0, 19]),
    equal_created=st.sampled_from(["by_age", "any"]),
    events_shuffled=st.booleans(),
    rates=st.sampled_from([{}, {"usd": "0.9137"}]),
)


class Play:
    """Turns drawn steps into deeds of an account."""

    def __init__(self, switches: StripeSwitches) -> None:
        self.clock = Clock(START)
        self.account = Account(self.clock, switches=switches)
        self.customers = [self.account.add_customer(name) for name in "AB"]

    def money(self) -> tuple[object, ...]:
        """Return what a refused step must leave alone."""
        tables = self.account.tables
        kinds = ("charge", "refund", "dispute", "credit_note", "payout", "balance_transaction", "payment_intent")
        return dict(self.account.purse), [len(tables[kind]) for kind in kinds]

    def one(self, kind: str, pick: int) -> str:
        """Pick the id of an object; refuses where there is none."""
        rows = list(self.account.tables[kind].rows)
        if not rows:
            raise Refusal(f"no {kind}")
        return rows[pick % len(rows)]

    def invoice(self, pick: int) -> str:
        """Pick an invoice."""
        return self.one("invoice", pick)

    def step(self, verb: str, pick: int, amount: int) -> None:
        """Do one step."""
        a, customer = self.account, self.customers[pick % 2]
        currency = "usd" if pick % 5 == 0 else "eur"
        match verb:
            case "invoice":
                a.add_invoice(customer, amount, currency, finalize=pick % 7 > 0)
            case "credit":
                a.credit_customer(customer, amount if pick % 2 else -amount)
            case "bare":
                a.pay_without_invoice(customer, amount, currency)
            case "book":
                a.book(-amount)
            case "manual":
                a.manual_payout(amount)
            case "part":
                a.pay(self.invoice(pick), amount)
            case "over":
                a.overpay(self.invoice(pick), amount)
            case "note":
                back = ("refund_amount", "credit_amount", "out_of_band_amount")[pick % 3]
                row = a.get("invoice", self.invoice(pick))
                rest = max(amount - a.of(row, "amount_remaining"), 0)
                a.create_credit_note({"invoice": row["id"], "amount": amount, back: rest})
            case "refund":
                a.refund(self.one("charge", pick), amount)
            case "record":
                params = {"amount_requested": {"value": amount, "currency": currency}, "initiated_at": START}
                done = {"outcome": "guaranteed", "guaranteed": {"guaranteed_at": START}}
                record = a.report_payment(params | done)["id"]
                a.attach(self.invoice(pick), {"payment_record": record})
            case _:
                self.deed(verb, pick)

    def deed(self, verb: str, pick: int) -> None:
        """Do one step that needs no amount."""
        a = self.account
        if verb == "many":
            rows = [one["id"] for one in a.all("invoice", status="open", currency="eur")]
            a.pay_many(rows[: 1 + pick % 3])
        elif verb == "attach":
            a.attach(self.invoice(pick), {"payment_intent": self.one("payment_intent", pick // 3)})
        elif verb == "elsewhere":
            a.pay_invoice(self.invoice(pick), {"paid_out_of_band": True})
        elif verb == "uncollectible":
            a.mark_uncollectible(self.invoice(pick))
        elif verb == "subscription":
            a.subscription_invoice(self.customers[pick % 2], 2900, paid=pick % 3 > 0)
        elif verb == "warn":
            a.dispute(self.one("charge", pick), "warning_needs_response")
        elif verb == "payout":
            a.make_payout()
        elif verb == "day":
            self.clock.advance(DAY * (1 + pick % 3))
            a.tick()
        elif verb == "balance":
            a.settle_balance()
        elif verb == "delete" and pick % 10 == 0:
            a.delete_customer(self.customers[1])
        else:
            deeds = {
                "pay": (a.pay, "invoice"),
                "late": (a.pay_late, "invoice"),
                "void": (a.void, "invoice"),
                "charge": (a.pay_by_charge, "invoice"),
                "settle": (a.settle_late, "payment_intent"),
                "fail": (a.fail_late, "payment_intent"),
                "return": (a.return_debit, "payment_intent"),
                "fail_refund": (a.fail_refund, "refund"),
                "settle_refund": (a.settle_refund, "refund"),
                "dispute": (a.dispute, "charge"),
                "win": (a.win_dispute, "dispute"),
                "lose": (a.lose_dispute, "dispute"),
                "escalate": (a.escalate_dispute, "dispute"),
                "complete": (a.complete_payout, "payout"),
                "bounce": (a.fail_payout, "payout"),
                "void_note": (a.void_credit_note, "credit_note"),
            }
            if verb in deeds:
                deed, kind = deeds[verb]
                deed(self.one(kind, pick))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(SWITCHES, st.lists(STEPS, min_size=10, max_size=60))
def test_the_books_always_agree(switches, steps):
    """After every step of any sequence all identities hold, and a refused step changes no money."""
    play = Play(switches)
    for verb, pick, amount in steps:
        before = play.money()
        try:
            play.step(verb, pick, amount)
        except Refusal:
            assert play.money() == before, verb
        play.account.check()
    for event in play.account.events():
        assert event["data"]["object"]["id"]


@settings(max_examples=20, deadline=None)
@given(st.lists(STEPS, min_size=5, max_size=25))
def test_worlds_are_repeatable(steps):
    """The same steps make the same ids and the same events."""
    seen = []
    for _ in range(2):
        play = Play(StripeSwitches(events_shuffled=True))
        for verb, pick, amount in steps:
            with suppress(Refusal):
                play.step(verb, pick, amount)
        seen.append([(one["id"], one["type"]) for one in play.account.events()])
    assert seen[0] == seen[1]


def test_ten_thousand_invoices_stay_quick():
    """Ten thousand invoices are made, listed to the end and found by type of event in a few seconds."""
    service, call = world()
    account = service.account
    began = time.perf_counter()
    customers = [account.add_customer(f"C{number}") for number in range(100)]
    for number in range(10_000):
        if number % 10 == 0:
            service.clock.advance(1)
        account.add_invoice(customers[number % 100], 5000 + number, metadata={"mlc_key": str(number)})
    for _ in range(100):
        assert call.send("GET", "/v1/events", {"types": ["invoice.voided"]}).status == 200
        assert call.send("GET", "/v1/invoices", {"customer": customers[5], "status": "paid"}).status == 200
    after, seen = None, 0
    while True:
        page = account.tables["invoice"].page(limit=100, after=after)
        seen += len(page.rows)
        after = page.rows[-1]["id"]
        if not page.has_more:
            break
    assert seen == 10_000
    account.check()
    assert time.perf_counter() - began < 20
