"""Whatever happens in the simulated organisation, its payouts add up."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_gocardless_world import DAY, START

from mlc.sandbox.gocardless import GoCardlessSwitches, Organisation, Refusal
from mlc.sandbox.kit import Clock

AMOUNTS = st.integers(1, 60_000)
PAYMENT_VERBS = (
    *("payment_submitted", "payment_confirmed", "payment_paid_out", "payment_failed", "payment_charged_back"),
    *("payment_chargeback_settled", "payment_late_failure", "payment_late_failure_settled", "late_failure", "charge_back"),
    *("cancel_chargeback", "retry_payment", "cancel_payment"),
)
REFUND_VERBS = ("refund_paid", "refund_settled", "refund_bounced", "refund_returned")
PAYOUT_VERBS = ("pay_payout", "confirm_fx_rate", "confirm_tax_rates", "bounce", "retry")
MANDATE_VERBS = ("cancel_mandate", "reinstate_mandate", "mandate_expired")
MAKERS = ("collect", "add_payment", "refund", "refund_mandate", "make_payout", "partner", "day")
STEPS = st.tuples(
    st.one_of(
        st.sampled_from(PAYMENT_VERBS), st.sampled_from((*REFUND_VERBS, *PAYOUT_VERBS, *MANDATE_VERBS)), st.sampled_from(MAKERS)
    ),
    st.one_of(st.just(0), st.integers(0, 7)),
    AMOUNTS,
)
SWITCHES = st.builds(
    GoCardlessSwitches,
    half=st.sampled_from(["up", "even", "down"]),
    tax_sign=st.sampled_from(["positive", "item"]),
    fees_deducted=st.booleans(),
    bounced_keeps_id=st.booleans(),
    fx_late=st.booleans(),
    fx_without=st.sampled_from(["nulls", "null", "absent"]),
    chargeback_cancelled_item=st.sampled_from(["payment_paid_out", "payment_charged_back"]),
    vat_percent=st.sampled_from([0, 20]),
    surcharge=st.sampled_from([0, 500]),
)


class Play:
    """Turns drawn steps into deeds of an organisation."""

    def __init__(self, switches: GoCardlessSwitches) -> None:
        self.clock = Clock(START)
        self.made = Organisation(self.clock, switches=switches)
        self.made.set_fx_currency("GBP")
        customers = [self.made.add_customer(name) for name in "AB"]
        self.mandates = [self.made.add_mandate(one, scheme) for one in customers for scheme in ("bacs", "sepa_core")]

    def one(self, kind: str, pick: int) -> str:
        """Pick the id of a record, the newest first; refuses where there is none."""
        rows = list(self.made.tables[kind])
        if not rows:
            raise Refusal(404, "none", kind)
        return rows[-1 - pick % len(rows)]

    def step(self, name: str, pick: int, amount: int) -> None:
        """Do one step, or nothing where it is refused."""
        for verbs, kind in (
            (PAYMENT_VERBS, "payments"),
            (REFUND_VERBS, "refunds"),
            (PAYOUT_VERBS, "payouts"),
            (MANDATE_VERBS, "mandates"),
        ):
            if name in verbs:
                getattr(self.made, name)(self.one(kind, pick))
                return
        mandate = self.mandates[pick % len(self.mandates)]
        if name in ("collect", "add_payment"):
            getattr(self.made, name)(mandate, amount, app_fee=amount // 7 if pick % 3 == 0 else None)
        elif name == "refund":
            self.made.add_refund(self.one("payments", pick), amount)
        elif name == "refund_mandate":
            self.made.add_refund(mandate=mandate, amount=amount)
        elif name == "day":
            self.clock.advance(DAY)
        else:
            self.made.make_payout("GBP" if pick % 2 else "EUR", partner=name == "partner")


def money(made: Organisation) -> tuple[object, ...]:
    """What a refused maker must leave alone."""
    return {key: list(items) for key, items in made.waiting.items() if items}, list(made.tables["payouts"])


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(SWITCHES, st.lists(STEPS, min_size=10, max_size=60))
def test_payouts_always_add_up(switches, steps):
    """After every sequence of verbs each payout satisfies the identities, and what is paid out is what the states say."""
    play = Play(switches)
    for name, pick, amount in steps:
        before = money(play.made)
        try:
            play.step(name, pick, amount)
        except Refusal:
            if name in MAKERS:
                assert money(play.made) == before
        play.made.check()
    for kind in play.made.tables:
        play.made.all(kind)


@given(AMOUNTS, st.integers(1, 20))
def test_the_sum_is_rounded_once(amount, count):
    """Many equal payments come as the rounded sum of their items, never as the sum of rounded ones."""
    made = Organisation(Clock(START))
    mandate = made.add_mandate(made.add_customer("A"))
    with suppress(Refusal):
        payout = made.pay(*(made.collect(mandate, amount) for _ in range(count)))
        total = sum(int(one["amount"].replace(".", "")) for one in made.items(payout))
        assert abs(total - 10 * made.read(payout)["amount"]) <= 5
    made.check()
