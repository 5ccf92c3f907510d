"""Both sides of one thing set beside each other: what is missing, twice or different, as a value.

Nothing is read here, and nothing decided about what to do; why it may be so is added by whoever knows the journal. What mlc would
never carry over (another currency, installments that are held) is not comparable: said, and no difference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from mlc.core import billing
from mlc.core.facts import Booked, Invoice, ProcessorInvoice
from mlc.core.matching import total_text
from mlc.core.money import Money, MoneyError, from_decimal

SAME, DIFFERENT, TWICE, ON_ITS_WAY, NOT_COMPARABLE = "same", "different", "twice", "on_its_way", "not_comparable"
MISSING_IN_SAP, AT_STRIPE, AT_GOCARDLESS = "missing_in_sap", "missing_at_stripe", "missing_at_gocardless"
FOLLOWS = "follows"  # an invoice that differs by nothing but payments that were told already
PAYMENT, REFUND, DISPUTE, RETURNED, PAYOUT, INVOICE = "payment", "refund", "dispute", "returned", "payout", "invoice"
KINDS = (PAYMENT, REFUND, DISPUTE, RETURNED, PAYOUT, INVOICE)
WRONG = (DIFFERENT, TWICE, MISSING_IN_SAP, AT_STRIPE, AT_GOCARDLESS)  # what makes the command end with 3
STATES = (SAME, DIFFERENT, TWICE, MISSING_IN_SAP, AT_STRIPE, AT_GOCARDLESS, ON_ITS_WAY, NOT_COMPARABLE, FOLLOWS)
STRIPE, GOCARDLESS = "Stripe", "GoCardless"
_ASKED = ("open", "paid", "uncollectible")
_ON_ITS_WAY = ("processing", "pending", "requires_capture")


@dataclass(frozen=True, slots=True)
class Field:
    """One field that is not the same on both sides; None = that side does not have it."""

    name: str
    sap: Money | str | None
    processor: Money | str | None


@dataclass(frozen=True, slots=True)
class Finding:
    """How one thing compares. `id` is the processor's id, `other` SAP's number, "" where there is none."""

    kind: str
    id: str
    state: str
    amount: Money | None = None
    other: str = ""
    fields: tuple[Field, ...] = ()
    why: str = ""  # what both sides themselves say about it
    explanation: str = ""  # what the state file says
    command: str = ""  # the next step
    processor: str = STRIPE


@dataclass(frozen=True, slots=True)
class Taken:
    """A payment at Stripe as a page shows it. `card` is the partner its customer names, "" where nobody does."""

    id: str
    status: str
    amount: Money
    created: int
    at: datetime | None = None  # when its money succeeded
    company: str = ""  # whose it says it is
    card: str = ""
    refunded: int = 0  # how much of it went back, minor units


@dataclass(frozen=True, slots=True)
class Posted:
    """An incoming payment of SAP that carries a mark. `total` is major units of `currency` (ISO)."""

    doc_entry: int
    doc_num: int
    card_code: str
    day: date
    currency: str
    total: Decimal
    mark: str
    cancelled: bool
    account: str = ""
    remarks: str = ""


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for a whole comparison."""

    currency: str  # the local one, ISO
    start: date
    account: str = ""  # Stripe's clearing account, "" = not compared
    installments: str = "hold"
    moved: Callable[[date, date], bool] = lambda _success, _booked: False  # whether the configuration moves a day there


@dataclass(slots=True)
class Tally:
    """Counts and sums: all that is kept of a comparison."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    sums: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def add(self, found: Finding) -> None:
        """Take one finding."""
        self.count(found.kind, found.state)
        if found.amount is not None:
            self.sums[found.kind, found.state, found.amount.currency] += found.amount.minor

    def count(self, kind: str, state: str, number: int = 1) -> None:
        """Count things of which nothing else is kept."""
        self.counts[kind, state] += number

    @property
    def wrong(self) -> int:
        """How many are missing, twice or different."""
        return sum(number for (_, state), number in self.counts.items() if state in WRONG)

    def of(self, kind: str) -> dict[str, int]:
        """Return state -> how many, of one kind; `compared` is all but what is on its way or cannot be compared."""
        found = {state: self.counts[kind, state] for state in STATES}
        return {"compared": sum(found.values()) - found[ON_ITS_WAY] - found[NOT_COMPARABLE], **found}


# --- payments --------------------------------------------------------------------------------------------------------


def payment(one: Taken, day: date | None, posted: Sequence[Posted], terms: Terms) -> Finding:
    """Compare a payment with the incoming payments under its mark; `day` is the day of its success in the tenant's zone."""
    live = [receipt for receipt in posted if not receipt.cancelled]
    if one.status != "succeeded" or day is None:
        return _not_succeeded(one, live)
    if len(live) > 1:
        numbers = ", ".join(str(receipt.doc_num) for receipt in live)
        return Finding(PAYMENT, one.id, TWICE, one.amount, numbers, why=f"{len(live)} live receipts carry its mark: {numbers}")
    if live:
        wrong = tuple(_receipt_fields(one, day, live[0], terms))
        return Finding(PAYMENT, one.id, DIFFERENT if wrong else SAME, one.amount, str(live[0].doc_num), wrong)
    if posted:
        number = str(posted[-1].doc_num)
        if one.refunded >= one.amount.minor:  # all of it went back, and its receipt was taken back for that
            return Finding(PAYMENT, one.id, SAME, one.amount, number)
        return Finding(PAYMENT, one.id, MISSING_IN_SAP, one.amount, number, why=f"receipt {number} was cancelled in SAP")
    if one.amount.currency != terms.currency:
        return Finding(PAYMENT, one.id, NOT_COMPARABLE, one.amount, why=f"only {terms.currency} is posted by mlc")
    return Finding(PAYMENT, one.id, MISSING_IN_SAP, one.amount, why=f"succeeded on {day}; SAP has no receipt with its mark")


def _not_succeeded(one: Taken, live: Sequence[Posted]) -> Finding:
    if not live:
        return Finding(PAYMENT, one.id, ON_ITS_WAY if one.status in _ON_ITS_WAY else SAME, one.amount, why=one.status)
    wrong = Field("status", "posted", one.status)
    return Finding(PAYMENT, one.id, DIFFERENT, one.amount, str(live[0].doc_num), (wrong,), why="it did not succeed at Stripe")


def unknown_payment(receipt: Posted) -> Finding:
    """Return the finding of a receipt whose mark Stripe does not know."""
    why = f"receipt {receipt.doc_num} of {receipt.day} carries a mark that Stripe does not know"
    return Finding(PAYMENT, receipt.mark, AT_STRIPE, money_of(receipt.total, receipt.currency), str(receipt.doc_num), why=why)


def _receipt_fields(one: Taken, day: date, receipt: Posted, terms: Terms) -> list[Field]:
    wrong: list[Field] = []
    total = money_of(receipt.total, receipt.currency)
    if receipt.currency != one.amount.currency:
        wrong.append(Field("currency", receipt.currency, one.amount.currency))
    if total is None or total.minor != one.amount.minor:
        wrong.append(Field("amount", total or f"{receipt.total} {receipt.currency}", one.amount))
    if one.card and receipt.card_code != one.card:
        wrong.append(Field("customer", receipt.card_code, one.card))
    if receipt.day != day and not _told_day(day, receipt, terms):
        wrong.append(Field("date", receipt.day.isoformat(), day.isoformat()))
    if terms.account and receipt.account and receipt.account != terms.account:
        wrong.append(Field("clearing_account", receipt.account, terms.account))
    return wrong


def _told_day(day: date, receipt: Posted, terms: Terms) -> bool:
    """Tell whether another posting day is what `closed_period: next_open_day` asks for: the remarks keep the day of success."""
    return receipt.day > day and (f"received {day}" in receipt.remarks or terms.moved(day, receipt.day))


def money_of(amount: Decimal, currency: str) -> Money | None:
    """Return an amount of SAP in minor units, None where it is none of its currency."""
    try:
        return from_decimal(amount, currency)
    except MoneyError:
        return None


# --- entries: what went back, payouts --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Side:
    """What the processor says an entry should move on one account; `name` is what that is called (clearing, bank)."""

    kind: str
    key: str
    wanted: Money
    name: str
    accounts: tuple[str, ...] = ()
    processor: str = STRIPE
    converted: bool = False  # the books hold it at a rate: only a line that shows the processor's own currency can be compared


def entry(side: Side, carrying: Sequence[Booked], standing: Sequence[Booked]) -> Finding:
    """Compare a movement with the entries that carry its reference; `standing` are those that were not reversed."""
    told = Finding(side.kind, side.key, SAME, side.wanted, processor=side.processor)
    if len(standing) > 1:
        numbers = ", ".join(str(one.number) for one in standing)
        return _but(told, TWICE, numbers, f"{len(standing)} journal entries carry its reference: {numbers}")
    if not carrying:
        return _but(told, MISSING_IN_SAP, "", "SAP has no journal entry with its reference")
    if not standing:
        number = str(carrying[0].number)
        return _but(told, MISSING_IN_SAP, number, f"journal entry {number} was reversed in SAP")
    one, lines = standing[0], [line for line in standing[0].lines if line.account in side.accounts]
    if side.converted:
        lines = [line for line in lines if line.currency == side.wanted.currency]
        if not lines:
            return _but(told, SAME, str(one.number), "")
    moved = sum((line.foreign if side.converted else line.local for line in lines), Decimal(0))
    there = money_of(moved, side.wanted.currency)
    if side.accounts and there != side.wanted:
        wrong = Field(side.name, there or f"{moved}", side.wanted)
        return Finding(side.kind, side.key, DIFFERENT, side.wanted, str(one.number), (wrong,), processor=side.processor)
    return _but(told, SAME, str(one.number), "")


def _but(told: Finding, state: str, other: str, why: str) -> Finding:
    return Finding(told.kind, told.id, state, told.amount, other, why=why, processor=told.processor)


# --- invoices --------------------------------------------------------------------------------------------------------


def invoice(
    doc: Invoice | None, asked: Sequence[ProcessorInvoice], terms: Terms, *, local: bool, away: int = 0
) -> Finding | None:
    """Compare a document with the invoices made for it at Stripe; None where neither side asks for anything.

    `away` is what payments that were told already would take off it once they are posted, minor units.
    """
    live = [one for one in asked if one.status in _ASKED]
    if doc is None:
        return _unknown_document(live)
    balance = money_of(doc.balance, terms.currency) if local else None
    owed = not doc.cancelled and doc.balance > 0
    wrong = tuple(_naming(doc, live))
    if wrong:
        return Finding(
            INVOICE, live[0].id, DIFFERENT, live[0].total, str(doc.doc_num), wrong, why="its metadata names this invoice"
        )
    if not live:
        return _not_asked(doc, asked, balance, terms, owed=owed, local=local)
    if balance is None:
        why = f"invoice {doc.doc_num} is in {doc.currency or 'an amount its currency cannot hold'}"
        return Finding(INVOICE, live[0].id, NOT_COMPARABLE, live[0].total, str(doc.doc_num), why=why)
    return _amounts(doc, live, balance if owed else Money(0, terms.currency), away)


def _unknown_document(live: Sequence[ProcessorInvoice]) -> Finding | None:
    if not live:
        return None
    one = live[0]
    why = f"{one.status} at Stripe, and names document {one.origin.doc_num} (DocEntry {one.origin.doc_entry}) that SAP does not have"
    return Finding(INVOICE, one.id, MISSING_IN_SAP, one.total, why=why)


def _naming(doc: Invoice, live: Sequence[ProcessorInvoice]) -> list[Field]:
    wrong: list[Field] = []
    for one in live[:1]:
        origin, total = one.origin, total_text(doc)
        if origin.doc_num is not None and origin.doc_num != doc.doc_num:
            wrong.append(Field("doc_num", str(doc.doc_num), str(origin.doc_num)))
        if origin.card_code and origin.card_code != doc.card_code:
            wrong.append(Field("customer", doc.card_code, origin.card_code))
        if origin.doc_total and origin.doc_total != total:
            wrong.append(Field("total", total, origin.doc_total))
    return wrong


def _not_asked(
    doc: Invoice, asked: Sequence[ProcessorInvoice], balance: Money | None, terms: Terms, *, owed: bool, local: bool
) -> Finding | None:  # fmt: skip
    """A document that Stripe does not ask for: no difference where nobody owes it, or where push-invoices would not want it."""
    number = str(doc.doc_num)
    if not owed or doc.doc_date < terms.start:
        return None
    if not local or balance is None:
        why = f"it is in {doc.currency}: only {terms.currency} is pushed" if not local else "its balance is no whole minor unit"
        return Finding(INVOICE, number, NOT_COMPARABLE, other=number, why=why)
    if any(one.status == "draft" for one in asked):
        return Finding(INVOICE, number, ON_ITS_WAY, balance, number, why="a draft at Stripe")
    if asked:
        wrong = (Field("status", "open", asked[0].status),)
        return Finding(INVOICE, asked[0].id, DIFFERENT, balance, number, wrong, why=f"SAP has {balance} open")
    refused = billing.refuse_amount(balance)
    if refused is not None or (doc.installments > 1 and terms.installments == "hold"):
        why = refused[1] if refused is not None else f"due in {doc.installments} installments: held by configuration"
        return Finding(INVOICE, number, NOT_COMPARABLE, balance, number, why=why)
    return Finding(INVOICE, number, AT_STRIPE, balance, number, why=f"open in SAP since {doc.doc_date}, and not asked for")


def _amounts(doc: Invoice, live: Sequence[ProcessorInvoice], balance: Money, away: int) -> Finding:
    number, open_ = str(doc.doc_num), [one for one in live if one.status == "open"]
    paid = [one for one in live if one.status == "paid"]
    left = Money(sum(one.remaining.minor for one in open_), balance.currency)
    first = (open_ or paid or list(live))[0]
    by_parts = any(one.origin.installment for one in live)
    turns = Counter(one.origin.installment for one in open_ or paid)
    told = Finding(INVOICE, first.id, SAME, first.total, number)
    if by_parts and left.minor <= balance.minor and max(turns.values(), default=0) < 2:
        return told  # one installment is asked for at a time: what is asked for is a part of what is open
    if max(turns.values(), default=0) > 1 or (open_ and paid and not by_parts and left != balance):
        numbers = ", ".join(f"{one.id} ({one.status})" for one in live)
        return Finding(INVOICE, first.id, TWICE, first.total, number, why=f"Stripe holds {numbers} for one document")
    if left == balance and (balance or not open_) and (open_ or paid or not balance):
        return told
    if left.minor == balance.minor - away and away:
        return Finding(INVOICE, first.id, FOLLOWS, first.total, number)
    if bool(open_) == bool(balance):
        return Finding(INVOICE, first.id, DIFFERENT, first.total, number, (Field("open", balance, left),))
    closed = "cancelled" if doc.cancelled else "closed"
    wrong = Field("status", "open" if balance else closed, first.status)
    return Finding(INVOICE, first.id, DIFFERENT, first.total, number, (wrong, Field("open", balance, left)))
