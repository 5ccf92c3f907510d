"""The clearing proof: whatever happened, the drift is 0 where the books are right, and else the very sum somebody tampered with."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlc.core.clearing import MOST, Movement, Pair, Statement, Totals, prove

SUMS = st.integers(1, 50_000)
FATES = st.sampled_from(["booked", "held", "people", "new", "later", "cancelled"])


@dataclass
class Life:
    """A provider's balance and a bookkeeper who keeps the account by the rules, entry by entry."""

    opening: int = 0
    account: int = 0
    moves: list[Movement] = field(default_factory=list)
    pairs: dict[str, Pair] = field(default_factory=dict)
    unpaid: list[Movement] = field(default_factory=list)
    count: int = 0

    def happen(self, kind: str, key: str, amount: int, fee: int = 0, at: int = 1) -> Movement:
        """Let the provider's balance move."""
        one = Movement(kind, key, "EUR", amount, fee, at)
        self.moves.append(one)
        self.unpaid.append(one)
        return one

    def keep(self, one: Movement, kind: str, fate: str, fees: int = 0, others: int = 0) -> None:
        """Book a movement, or leave it, as fate has it."""
        moved = one.amount - one.fee if kind == "reversal" else one.amount
        worth = moved - fees + others
        pair = Pair(one.key, kind, one.booked_as, None, at=one.at)
        if fate == "booked":
            self.account += worth
            pair = replace(pair, booked=worth, fees=fees)
        elif fate == "people":
            self.account += moved
            pair = replace(pair, by_people=True)
        elif fate == "new":
            pair = replace(pair, at=10)
        elif fate == "later" and kind == "payment":  # booked before it reaches the balance
            self.account += worth
            self.moves.remove(one)
            self.unpaid.remove(one)
            pair = replace(pair, moved=None, booked=worth)
        else:
            pair = replace(pair, reason="some_reason")
        self.pairs[one.key] = pair

    def name(self, kind: str) -> str:
        """Return an id that nothing else has."""
        self.count += 1
        return f"{kind}_{self.count:03}"

    # --- what may happen ---------------------------------------------------------------------------------------------

    def pay(self, one: int, two: int, fate: str, then: str) -> None:
        """A payment; a part of it may go back, and that may come back again."""
        paid = self.happen("payment", self.name("pi"), one, two % 700)
        self.keep(paid, "payment", fate)
        if then in ("booked", "people"):
            return
        kind, tail = ("refund", "failed") if then in ("held", "new") else ("dispute", "won")
        fee = 1500 if kind == "dispute" else 0
        back = self.happen(kind, self.name("re"), -min(one, two), fee)
        self.keep(back, "reversal", fate if fate != "later" else "booked")
        if then in ("new", "cancelled"):
            again = self.happen(kind, f"{back.key}/{tail}", min(one, two), -fee if two % 2 else 0)
            self.keep(again, "reversal", fate if fate != "later" else "held")

    def row(self, one: int, two: int, fate: str, _then: str) -> None:
        """A row that is about nothing of ours: a fee, a correction, a reserve."""
        self.happen("fee" if fate in ("booked", "held") else "other", "", -one if two % 3 else one)

    def payout(self, one: int, two: int, fate: str, then: str) -> None:
        """A payout of all there is, less a minimum; its entry carries fees and others; the bank may send it back."""
        held = self.happen("held_back", "", -(one % 100)) if two % 2 else None
        taken, self.unpaid = self.unpaid, []
        amount = sum(row.net for row in taken)
        fees = sum(row.fee if row.kind == "payment" else -row.net if row.kind == "fee" else 0 for row in taken)
        others = sum(row.net for row in taken if row.kind == "other")
        out = Movement("payout", self.name("po"), "EUR", -amount, 0, 1)
        self.moves.append(out)
        if fate == "people":  # bank against clearing by hand; the fees stay to be booked
            others = fees = 0
        self.keep(out, "payout", "booked" if fate in ("booked", "later") else fate, fees, others)
        if held is not None and then != "held":
            self.happen("held_back", "", one % 100)
        if then == "new":
            back = self.happen("payout", f"{out.key}/failed", amount)
            self.keep(back, "return", fate if fate != "later" else "booked")

    def proof(self, tampered: int = 0, *, opening_booked: bool = False) -> Statement:
        """Prove."""
        totals = Totals()
        for one in self.moves:
            totals.add(one)
        account = self.account + tampered + (self.opening if opening_booked else 0)
        pairs = [self.pairs[key] for key in sorted(self.pairs, key=lambda key: (key.split("/")[0], key))]
        seen = dict.fromkeys(("payments", "refunds_disputes", "payouts"), 5)
        late = {"pi": ("not_in_balance", "later")}
        return prove("Stripe", "EUR", self.opening + totals.net, totals, pairs, account, seen=seen,
                     missing=lambda pair: late.get(pair.key[:2], ("", "")))  # fmt: skip


STEPS = st.lists(st.tuples(st.sampled_from(["pay", "pay", "pay", "row", "payout"]), SUMS, SUMS, FATES, FATES), max_size=25)


@given(
    steps=STEPS,
    opening=st.one_of(st.just(0), SUMS),
    booked=st.booleans(),
    tampered=st.one_of(st.just(0), SUMS, SUMS.map(lambda one: -one)),
)
def test_the_drift_is_what_somebody_tampered_with(steps: list, opening: int, booked: bool, tampered: int) -> None:  # type: ignore[type-arg]
    """After any history, booked in part or in whole, the drift is the sum that stands on the account without a reason, to the cent."""
    life = Life(opening)
    for name, one, two, fate, then in steps:
        getattr(life, name)(one, two, fate, then)
    proof = life.proof(tampered, opening_booked=booked)
    assert proof.opening == opening
    assert proof.unexplained.lines == []
    if booked:
        assert proof.drift == (tampered + opening if tampered else 0)
    else:
        assert proof.drift == tampered or (tampered == opening and proof.opening_booked and proof.drift == 0)


@given(steps=STEPS)
def test_nothing_is_left_to_explain_where_everything_is_booked(steps: list) -> None:  # type: ignore[type-arg]
    """Where every movement is booked and paid out, SAP's account is the provider's balance, and no line is needed."""
    life = Life()
    for name, one, two, _, then in steps:
        getattr(life, name)(one, two if name != "payout" else 2 * two, "booked", then)
    life.payout(1, 2, "booked", "booked")
    proof = life.proof()
    assert (proof.drift, proof.closing, proof.account, proof.explained) == (0, 0, 0, {})


@pytest.mark.parametrize(("pair", "reason", "drift"), [
    (Pair("pi_1", "payment", 100, None, at=1), "unknown", -100),
    (Pair("pi_1", "payment", 100, 90, at=1), "differs", -10),
    (Pair("pi_1", "payment", None, 100, at=1), "no_movement", 100),
    (Pair("po_1", "payout", -90, -100, fees=10), "carried_too_much", -10),
])  # fmt: skip
def test_what_has_no_reason_explains_nothing(pair: Pair, reason: str, drift: int) -> None:
    """A payment no run knows of, one booked with another sum, one that never moved, fees that never were: all of it is drift."""
    totals = Totals()
    if pair.moved:
        totals.add(Movement(pair.kind, pair.key, "EUR", pair.moved, 0, 1))
    proof = prove("Stripe", "EUR", totals.net, totals, [pair], pair.booked or 0, seen={"payments": 5})
    assert [(line.reason, line.minor) for line in proof.unexplained.lines] == [(reason, drift)]
    assert (proof.drift, proof.explained) == (drift, {})


def test_lines_are_bounded() -> None:
    """Of ten thousand differences the first ten are told one by one, the others as a sum: memory does not grow."""
    pairs = (Pair(f"pi_{number:05}", "payment", 3, None, reason="no_customer") for number in range(10_000))
    totals = Totals()
    for number in range(10_000):
        totals.add(Movement("payment", f"pi_{number:05}", "EUR", 3, 0, 1))
    proof = prove("Stripe", "EUR", totals.net, totals, pairs, 0)
    section = proof.explained["payments"]
    assert (len(section.lines), section.count, section.minor, section.rest) == (MOST, 10_000, -30_000, -30_000 + 3 * MOST)
    assert proof.drift == 0
