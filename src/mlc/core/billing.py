"""What Stripe shall ask for an SAP invoice: lines that add up to its open balance, each reduction under the name of its cause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from mlc.core.commands import PushLine
from mlc.core.facts import CreditMemo, Invoice, Receipt
from mlc.core.money import Money, MoneyError, from_decimal, stripe_maximum, stripe_minimum, to_stripe

MAX_LINES = 100  # Stripe takes 250 an invoice; what one add_lines call takes is not documented


@dataclass(frozen=True, slots=True)
class Reduction:
    """What took something off an invoice before it is pushed."""

    text: str
    amount: Money


def reductions(invoice: Invoice, currency: str, receipts: Sequence[Receipt], memos: Sequence[CreditMemo]) -> list[Reduction]:
    """Return the receipts and credit memos of an invoice that SAP shows, oldest first."""
    found = []
    for receipt in sorted(receipts, key=lambda one: one.doc_entry):
        applied = sum((amount for entry, amount in receipt.applied if entry == invoice.doc_entry), Decimal(0))
        if applied > 0:
            found.append(Reduction(f"Already paid on {receipt.doc_date} ({_called(receipt)})", from_decimal(applied, currency)))
    found += [
        Reduction(f"Credit memo {memo.doc_num}", from_decimal(memo.total, currency))
        for memo in sorted(memos, key=lambda one: one.doc_entry)
        if memo.base_invoices == (invoice.doc_entry,)
    ]
    return found


def _called(receipt: Receipt) -> str:
    """Name a receipt; one with a negative number is a journal entry of ours for a direct debit."""
    return f"direct debit {receipt.reference}" if receipt.doc_num < 0 else f"receipt {receipt.doc_num}"


def push_lines(invoice: Invoice, currency: str, balance: Money, reduced: Sequence[Reduction]) -> tuple[PushLine, ...]:
    """Return lines whose sum is the balance to the minor unit; raises MoneyError where Stripe cannot take an amount.

    Gross line amounts, because SAP computed the tax; what SAP's header adds (rounding, freight, discount, withholding) and what
    was settled already are lines of their own.
    """
    total = from_decimal(invoice.total, currency)
    lines = [PushLine(one.text, _rounded(one.gross, currency)) for one in invoice.lines]
    gap = total.minor - sum(line.amount.minor for line in lines)
    for text, part in (
        ("Withholding tax", -_rounded(invoice.withheld, currency).minor),
        ("Rounding", _rounded(invoice.rounding, currency).minor),
    ):
        if part and abs(part) <= abs(gap) and (part > 0) == (gap > 0):
            lines.append(PushLine(text, Money(part, currency)))
            gap -= part
    if gap:
        lines.append(
            PushLine("Rounding" if abs(gap) <= len(lines) + 1 else "Freight, discount and rounding", Money(gap, currency))
        )
    settled = total.minor - balance.minor
    for one in reduced:
        if 0 < one.amount.minor <= settled:
            lines.append(PushLine(one.text, -one.amount))
            settled -= one.amount.minor
    if settled:
        lines.append(PushLine("Already settled (down payment, credit or payment)", Money(-settled, currency)))
    lines = [line for line in lines if line.amount] or lines[:1]
    if len(lines) > MAX_LINES or not _all_fit(lines):
        lines = [PushLine(f"Invoice {invoice.doc_num}: {len(invoice.lines)} lines, see the invoice for details", balance)]
    assert sum(line.amount.minor for line in lines) == balance.minor, f"the lines of {invoice.doc_num} do not add up"
    return tuple(lines)


def _rounded(amount: Decimal, currency: str) -> Money:
    """Return a line's amount to the minor unit: SAP may keep more decimals in lines than a document's total has."""
    step = Money(1, currency).decimal()
    return from_decimal(amount.quantize(step), currency)


def _all_fit(lines: Sequence[PushLine]) -> bool:
    """Tell whether Stripe takes every line by itself; where a line has decimals it cannot take, the total still may."""
    try:
        for line in lines:
            to_stripe(line.amount)
    except MoneyError:
        return False
    return True


def refuse_amount(balance: Money) -> tuple[str, str] | None:
    """Return reason and words where Stripe cannot ask for an amount, None where it can."""
    try:
        to_stripe(balance)
    except MoneyError as error:
        return "currency", str(error)
    least, most = stripe_minimum(balance.currency), stripe_maximum(balance.currency)
    if balance < least:
        return "below_minimum", f"{balance} is less than Stripe charges ({least})"
    if balance > most:
        return "above_maximum", f"{balance} is more than Stripe takes ({most})"
    return None
