"""Which invoices a payment pays: identifiers only, exactly, and a reason where not. Two candidates are never a guess.

The same facts give the same result. Tiers R1 to R3 of the matching rules are enough for everything mlc pushed; a payment that
names no invoice is held, with what might fit as candidates for a person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from mlc.core.commands import Allocation
from mlc.core.facts import Invoice, Origin, Payment
from mlc.core.money import Money, MoneyError, from_decimal


@dataclass(frozen=True, slots=True)
class Match:
    """A payment on its invoices; what they do not take stays on account. `rule` and `evidence` explain it."""

    card_code: str
    allocations: tuple[Allocation, ...]
    branch: int | None
    rule: str
    evidence: str


@dataclass(frozen=True, slots=True)
class NoMatch:
    """Why a payment cannot be posted by itself."""

    reason: str
    text: str
    candidates: tuple[str, ...] = ()


@dataclass(slots=True)
class Shelf:
    """The open balances a batch draws from: what one payment takes is not there for the next."""

    company: str
    currency: str
    invoices: Mapping[int, Invoice]
    taken: dict[int, int] = field(default_factory=dict)
    used: dict[tuple[int, int], int] = field(default_factory=dict)  # (DocEntry, InstallmentId) -> what this batch took of it

    def open(self, invoice: Invoice) -> Money:
        """Return what is still open; raises MoneyError where SAP's figure is no whole minor unit."""
        balance = Money(0, self.currency) if invoice.cancelled else from_decimal(invoice.balance, self.currency)
        return Money(balance.minor - self.taken.get(invoice.doc_entry, 0), self.currency)

    def take(self, match: Match) -> None:
        """Note what a match uses up."""
        for part in match.allocations:
            self.taken[part.doc_entry] = self.taken.get(part.doc_entry, 0) + part.amount.minor


def named_entries(payment: Payment, company: str) -> list[int]:
    """Return the DocEntries a payment names, in order: by the invoices it paid, else by its own metadata."""
    origins = [one.origin for one in payment.paid] or [payment.origin]
    return [one.doc_entry for one in origins if one.company == company and one.doc_entry is not None]


def is_foreign(payment: Payment, company: str) -> bool:
    """Tell whether everything a payment names belongs to another company."""
    named = [one.origin.company for one in payment.paid if one.origin.company] or [payment.origin.company]
    return all(one and one != company for one in named)


def match_payment(payment: Payment, shelf: Shelf, decision: Sequence[int] | None = None) -> Match | NoMatch:
    """Decide which invoices a succeeded payment pays.

    `decision` is what a person said (`mlc held match`): DocEntries in order, used first.
    """
    try:
        if decision is not None:
            parts = [(entry, payment.amount) for entry in decision]
            return _allocate(payment, shelf, parts, "R1", "a person's decision")
        return _by_names(payment, shelf)
    except MoneyError as error:
        return NoMatch("currency", str(error))


def _by_names(payment: Payment, shelf: Shelf) -> Match | NoMatch:
    named: list[tuple[Origin, Money, Money | None]] = [(one.origin, one.amount, one.invoice_total) for one in payment.paid]
    rule = "R3"
    if not named and payment.origin.doc_entry is not None and payment.origin.company == shelf.company:
        named, rule = [(payment.origin, payment.amount, None)], "R2"
    if not named:
        return NoMatch("no_open_invoice", f"{payment.id} over {payment.amount} names no invoice", _candidates(payment, shelf))
    companies = {origin.company for origin, _, _ in named}
    if companies != {shelf.company}:
        if "" in companies and companies <= {"", shelf.company}:
            return NoMatch("no_open_invoice", f"{payment.id} pays an invoice at Stripe that does not come from SAP")
        return NoMatch("several_partners", f"{payment.id} pays invoices of several companies: {', '.join(sorted(companies))}")
    parts: list[tuple[int, Money]] = []
    for origin, amount, _total in named:
        wrong = distrust(origin, shelf.invoices.get(origin.doc_entry or 0))
        if wrong:
            return NoMatch(wrong[0], f"{payment.id}: {wrong[1]}")
        parts.append((origin.doc_entry or 0, amount))
    numbers = ", ".join(str(shelf.invoices[entry].doc_num) for entry, _ in parts)
    return _allocate(payment, shelf, parts, rule, f"metadata sap_doc_entry of {payment.id} -> invoice {numbers}")


def distrust(origin: Origin, invoice: Invoice | None) -> tuple[str, str] | None:
    """Return reason and words where an object's SAP numbers are not those of the invoice (a restored company reuses numbers)."""
    if invoice is None:
        return "gone_from_sap", f"SAP has no invoice with DocEntry {origin.doc_entry} (number {origin.doc_num})"
    said = []
    if origin.doc_num is not None and origin.doc_num != invoice.doc_num:
        said.append(f"number {origin.doc_num}, SAP says {invoice.doc_num}")
    if origin.card_code and origin.card_code != invoice.card_code:
        said.append(f"customer {origin.card_code}, SAP says {invoice.card_code}")
    if origin.doc_total and origin.doc_total != total_text(invoice):
        said.append(f"total {origin.doc_total}, SAP says {total_text(invoice)}")
    if origin.doc_num is None or not origin.card_code:
        said.append("no number or no customer")
    return ("conflict", f"its metadata names DocEntry {invoice.doc_entry} with {'; '.join(said)}") if said else None


def total_text(invoice: Invoice) -> str:
    """Return DocTotal as it stands in metadata: plain digits without trailing zeros."""
    return _digits(invoice.total)


def plain(money: Money) -> str:
    """Return an amount in the same spelling."""
    return _digits(money.decimal())


def _digits(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _allocate(payment: Payment, shelf: Shelf, parts: list[tuple[int, Money]], rule: str, evidence: str) -> Match | NoMatch:
    invoices = [shelf.invoices[entry] for entry, _ in parts if entry in shelf.invoices]
    if len(invoices) != len(parts):
        return NoMatch("gone_from_sap", f"{payment.id} names an invoice that SAP does not have")
    partners = sorted({(one.card_code, one.branch) for one in invoices}, key=str)
    if len(partners) > 1:
        who = ", ".join(card + (f" (branch {branch})" if branch is not None else "") for card, branch in partners)
        return NoMatch(
            "several_partners", f"{payment.id} pays invoices of {who}; one payment is never split", _numbers(invoices)
        )
    closed = [one for one in invoices if shelf.open(one).minor <= 0]
    if closed:
        why = "was cancelled" if closed[0].cancelled else "is already closed"
        text = f"invoice {closed[0].doc_num} {why} in SAP: someone may have keyed {payment.id} over {payment.amount}"
        return NoMatch("maybe_booked", text, _numbers(closed))
    left = payment.amount.minor
    allocations: list[Allocation] = []
    for (entry, amount), invoice in zip(parts, invoices, strict=True):
        already = sum(part.amount.minor for part in allocations if part.doc_entry == entry)
        takes = min(left, amount.minor, shelf.open(invoice).minor - already)
        if takes > 0:
            allocations.append(Allocation(entry, invoice.doc_num, Money(takes, shelf.currency)))
            left -= takes
    return Match(partners[0][0], tuple(allocations), partners[0][1], rule, evidence)


def _candidates(payment: Payment, shelf: Shelf) -> tuple[str, ...]:
    fitting = []
    for one in shelf.invoices.values():
        try:
            if shelf.open(one) == payment.amount:
                fitting.append(one)
        except MoneyError:
            continue
    return _numbers(sorted(fitting, key=lambda one: one.doc_entry)[:12])


def _numbers(invoices: Sequence[Invoice]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(one.doc_num) for one in invoices))
