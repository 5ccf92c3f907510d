"""The proof of a clearing account: what the provider holds, what SAP's account says, and every difference with its reason.

All figures are minor units of one currency; what raises the balance (in SAP: a debit) is positive.

The provider's side. Its balance now is what it was at the start and what moved since then:

    closing = opening + sum(net of every movement)                                     net = amount - fee

SAP's side. The account is what was booked on it, by mlc and by people who told mlc so, and a rest that nobody told of:

    account = sum(booked) + rest

What is booked for each kind of movement, once everything is booked:

    a payment                  its gross amount; its fee waits for the payout that carries it
    a refund, a dispute        its net, its own fee included; so too what comes back of it
    a payout                   -(amount + fees + others) = the amount, and all that the same entry takes along: the fees of the
                               charges in it, rows that are fees themselves, rows that are nothing of the above (others)
    a failed payout            its amount, back again
    money held back for a      nothing: what is held back and what is released again are equal
    minimum balance

Subtracting the two sides, thing by thing, gives the difference as a sum of lines. For each payment and each thing that goes back it is
`booked - moved`; for a payout that is not booked `-moved`; for those that are booked what they carried, which belongs to the fees
and others of all movements:

    account - closing = rest - opening
                        + sum over payments, reversals, returns   (booked - moved)
                        + sum over payouts not booked             (-moved)
                        + fees of all movements                   - fees that booked payouts carried
                        - others of all movements                 + others that booked payouts carried
                        - held back and not released yet

A line whose reason is known *explains*: it is held, promised, in doubt, in transit, not seen by a run yet. One without a reason does
not. The opening explains as long as nobody booked it; it counts as booked where the rest is exactly the opening. Then

    drift = account - closing - everything explained

is the rest and whatever has no reason: 0 where the books are right, and otherwise the very sum that somebody tampered with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

MOST = 10  # so many lines of a kind are told one by one, the rest as a sum
PAYMENT, REFUND, DISPUTE, PAYOUT, FEE, HELD_BACK, OTHER = "payment", "refund", "dispute", "payout", "fee", "held_back", "other"
COLUMNS = ("receipts", "refunds", "disputes", "fees", "payouts", "other")
COLUMN_OF = {PAYMENT: "receipts", REFUND: "refunds", DISPUTE: "disputes", PAYOUT: "payouts", FEE: "fees"}
REVERSAL, RETURN = "reversal", "return"  # what a pair is beside a payment and a payout
BEFORE = "before_start"  # booked, and a part of the opening
TURNED = ("refund_failed", "dispute_won")  # dismissed as booked by hand, and then it came back


@dataclass(frozen=True, slots=True)
class Movement:
    """One movement of a provider's balance (Stripe: balance transaction)."""

    kind: str
    key: str  # what the books call it: pi_1, re_1, re_1/failed, po_1, po_1/failed; "" where the books have no thing of its own
    currency: str
    amount: int
    fee: int
    at: int
    status: str = ""  # of its source: a payout in transit, a refund on its way

    @property
    def net(self) -> int:
        """What it adds to the balance."""
        return self.amount - self.fee

    @property
    def booked_as(self) -> int:
        """What its own entry moves the account by: the gross of payments and payouts, the net of what goes back."""
        return self.net if self.kind in (REFUND, DISPUTE) else self.amount


@dataclass(slots=True)
class Totals:
    """The sums of a currency's movements: as the provider tells them, and as the books take them."""

    columns: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COLUMNS, 0))
    shown: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COLUMNS, 0))  # since the day that was asked for
    fees: int = 0  # that payouts carry
    others: int = 0  # that payouts carry, as they move the balance
    held_back: int = 0
    credits: int = 0  # fees that were given back: a part of `fees`
    count: int = 0

    def add(self, one: Movement, since: int = 0) -> None:
        """Take one movement."""
        self.count += 1
        amount, fee = (one.amount, -one.fee) if one.kind != FEE else (0, one.net)
        for columns in (self.columns, self.shown) if one.at >= since else (self.columns,):
            columns[COLUMN_OF.get(one.kind, "other")] += amount
            columns["fees"] += fee
        if one.kind in (PAYMENT, PAYOUT, FEE):
            fees = one.fee if one.kind != FEE else -one.net
            self.fees += fees
            self.credits += max(0, -fees)
        elif one.kind == HELD_BACK:
            self.held_back += one.net
        elif one.kind == OTHER:
            self.others += one.net

    @property
    def net(self) -> int:
        """What all movements together added to the balance."""
        return sum(self.columns.values())


@dataclass(frozen=True, slots=True)
class Pair:
    """What both sides say of one thing. None = that side does not know it."""

    key: str
    kind: str  # payment | reversal | payout | return
    moved: int | None
    booked: int | None
    fees: int = 0  # of a payout, or a returned debit, that is booked: what its entry carried of the fees
    at: int = 0
    status: str = ""
    reason: str = ""  # why it is not booked, where the journal or SAP says so
    text: str = ""
    by_people: bool = False  # dismissed: a person dealt with it, so it counts as booked

    @property
    def base(self) -> str:
        """The thing that this is about: `re_1` of `re_1/failed`."""
        return self.key.split("/")[0]


@dataclass(frozen=True, slots=True)
class Line:
    """One difference."""

    key: str
    minor: int
    reason: str
    text: str = ""


@dataclass(slots=True)
class Section:
    """The differences of one kind: the first ones, and the sum of all."""

    minor: int = 0
    count: int = 0
    lines: list[Line] = field(default_factory=list)

    def add(self, line: Line) -> None:
        """Take a difference; only the first ones are kept as lines."""
        self.minor += line.minor
        self.count += 1
        if len(self.lines) < MOST:
            self.lines.append(line)

    @property
    def rest(self) -> int:
        """The sum of those that are not kept as lines."""
        return self.minor - sum(line.minor for line in self.lines)


@dataclass(slots=True)
class Statement:
    """The whole proof of one account in one currency. `account` is None where SAP has none that can be compared."""

    provider: str
    currency: str
    closing: int
    opening: int
    totals: Totals
    account: int | None
    booked: dict[str, int] = field(default_factory=dict)  # payments, reversals, payouts, by people
    explained: dict[str, Section] = field(default_factory=dict)  # by kind, in the order of EXPLAINED
    unexplained: Section = field(default_factory=Section)
    opening_booked: bool = False

    @property
    def expected(self) -> int:
        """What the account would say if only what mlc knows of stood on it."""
        return sum(self.booked.values())

    @property
    def explanations(self) -> int:
        """The sum of everything explained."""
        return sum(section.minor for section in self.explained.values())

    @property
    def drift(self) -> int | None:
        """The one number: the account less the provider's balance less everything explained."""
        return None if self.account is None else self.account - self.closing - self.explanations


EXPLAINED = ("opening", "payments", "refunds_disputes", "payouts", "fees", "other", "held_back", "bounced")
KINDS = {PAYMENT: "payments", REVERSAL: "refunds_disputes", PAYOUT: "payouts", RETURN: "payouts"}
Check = Callable[[Pair], tuple[str, str]]


def prove(
    provider: str, currency: str, closing: int, totals: Totals, pairs: Iterable[Pair], account: int | None,
    *, seen: dict[str, int] | None = None, missing: Check = lambda _pair: ("", ""), besides: Section | None = None,
) -> Statement:  # fmt: skip
    """Set both sides against each other.

    `pairs` come ordered by key. `seen` says per kind up to which moment a run has seen everything; `missing` is asked about what is
    booked and never moved, and gives the reason, or "". `besides` is what stands on the same account for another provider.
    """
    proof = Statement(provider, currency, closing, closing - totals.net, totals, account)
    proof.booked = {"payments": 0, "refunds_disputes": 0, "payouts": 0, "by_people": 0}
    if besides is not None and besides.count:
        proof.booked["bounced"], proof.explained["bounced"] = besides.minor, besides
    desk = _Desk(proof, seen or {}, missing)
    for group in _groups(pairs):
        if any(one.booked is not None or one.by_people for one in group) or sum((one.moved or 0) for one in group) != 0:
            for one in group:  # what went and came back before anything was booked needs no word
                desk.take(one)
    desk.total("fees", totals.fees - desk.fees, "no booked payout has carried them yet")
    desk.total("other", -totals.others - desk.others, "no booked payout has carried them yet")
    desk.total("held_back", -totals.held_back, "Stripe keeps it as a minimum balance")
    if proof.opening:
        proof.opening_booked = account is not None and account - proof.expected == proof.opening and not desk.early
        if not proof.opening_booked:
            desk.total("opening", -proof.opening, "stood at the provider before the start, and is not booked in SAP")
    proof.explained = {kind: proof.explained[kind] for kind in EXPLAINED if kind in proof.explained}
    return proof


def _groups(pairs: Iterable[Pair]) -> Iterator[list[Pair]]:
    group: list[Pair] = []
    for one in pairs:
        if group and group[0].base != one.base:
            yield group
            group = []
        group.append(one)
    if group:
        yield group


class _Desk:
    """Puts every pair into its place while the pairs go by."""

    def __init__(self, proof: Statement, seen: dict[str, int], missing: Check) -> None:
        self.proof, self.seen, self.missing = proof, seen, missing
        self.fees = self.others = 0  # that booked payouts carried
        self.early = False  # whether a part of the opening is booked already, payment by payment

    def total(self, kind: str, minor: int, text: str) -> None:
        """Add a difference that has no thing of its own; fees that were carried and never moved explain nothing."""
        if kind == "fees" and minor < -self.proof.totals.credits:
            text = "booked payouts carried more fees than moved since the start"
            if not self.proof.opening:  # else they belong to charges from before it
                self.proof.unexplained.add(Line("fees", minor, "carried_too_much", text))
                return
        if minor:
            self._explain(kind, Line(kind, minor, kind, text))

    def _explain(self, kind: str, line: Line) -> None:
        self.proof.explained.setdefault(kind, Section()).add(line)

    def take(self, one: Pair) -> None:
        """Take one pair: equal sides need no word, others a reason."""
        kind = KINDS[one.kind]
        if one.booked is not None:
            own = one.fees if one.kind != PAYOUT else 0  # a returned debit's entry carries its fee itself
            self.proof.booked[kind] += one.booked - own
            self.fees += own
            self._booked(one, kind, one.booked)
        elif one.by_people:
            self.proof.booked["by_people"] += one.moved or 0
        elif one.moved:
            self._not_booked(one, kind, one.moved)

    def _booked(self, one: Pair, kind: str, booked: int) -> None:
        if one.moved is None:
            reason, text = (one.reason, one.text) if one.reason else self.missing(one)
            line = Line(one.key, booked, reason or "no_movement", text or "it is booked, and never moved since the start")
            self.early = self.early or reason == BEFORE
            self._tell(kind, line, known=bool(reason))
        elif one.kind == PAYOUT:
            self.fees += one.fees
            self.others += one.moved - booked - one.fees
        elif booked != one.moved:
            self._tell(kind, Line(one.key, booked - one.moved, "differs", "another sum is booked than has moved"), known=False)

    def _not_booked(self, one: Pair, kind: str, moved: int) -> None:
        reason, text = one.reason, one.text
        if not reason and one.kind == PAYOUT and one.status in ("pending", "in_transit", "reconciling"):
            reason, text = one.status, "the payout has not arrived, or its reconciliation is not completed"
        elif not reason and one.status == "pending":
            reason, text = "pending", "it is on its way: nothing to book yet"
        elif not reason and one.at > self.seen.get(kind, 0):
            reason, text = "not_seen", "no run has seen it yet"
        line = Line(one.key, -moved, reason or "unknown", text or "it moved, and nothing says why it is not booked")
        self._tell(kind, line, known=bool(reason))

    def _tell(self, kind: str, line: Line, *, known: bool) -> None:
        if known:
            self._explain(kind, line)
        else:
            self.proof.unexplained.add(line)
