"""Which documents of SAP made an invoice's balance fall: the receipts and credit memos that Stripe was not told of, exactly or not at all.

Pure: the same documents give the same answer. What does not add up to the minor unit is for a person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from mlc.core.facts import CreditMemo, Invoice, ProcessorInvoice, Receipt
from mlc.core.keys import is_marker, marker
from mlc.core.money import Money, MoneyError, from_decimal

Told = Mapping[str, Any]  # what the link of the invoice says Stripe was told of
Found = tuple[list[tuple[Receipt, Money]], list[tuple[CreditMemo, Money]]]


def new_reductions(
    one: Invoice,
    told: Told,
    there: ProcessorInvoice | None,
    receipts: Sequence[Receipt],
    memos: Sequence[CreditMemo],
    fall: Money,
) -> Found | tuple[None, None]:
    """Return the receipts and memos that Stripe was not told of, if they make exactly the fall.

    A receipt of ours counts where its money came by another way than this invoice: a person matched it.
    """
    paid, credited = _untold(one, told, there, receipts, memos, fall.currency)
    if paid is None or credited is None:
        return None, None
    total = _sum(paid) + _sum(credited)
    if total == fall.minor:
        return paid, credited
    before = told.get("explained")
    if before and total - before == fall.minor:
        return _later(paid, credited, before)
    return None, None


def _untold(
    one: Invoice,
    told: Told,
    there: ProcessorInvoice | None,
    receipts: Sequence[Receipt],
    memos: Sequence[CreditMemo],
    currency: str,
) -> Found | tuple[None, None]:
    """Return the receipts and credit memos of an invoice that Stripe was not told of."""
    counted = {
        marker(part.payment) for part in (there.payments or () if there else ())
    }  # what Stripe itself counted on this invoice
    try:
        paid = [
            (
                receipt,
                from_decimal(
                    sum((amount for entry, amount in receipt.applied if entry == one.doc_entry), Decimal(0)), currency
                ),
            )
            for receipt in receipts
            if (not is_marker(receipt.reference) or receipt.reference not in counted)
            and f"receipts_{receipt.doc_num}" not in told
        ]
        credited = [
            (memo, from_decimal(memo.total, currency))
            for memo in memos
            if memo.base_invoices == (one.doc_entry,) and f"memos_{memo.doc_num}" not in told
        ]
    except MoneyError:
        return None, None
    return paid, credited


def with_rest(
    one: Invoice,
    told: Told,
    there: ProcessorInvoice | None,
    receipts: Sequence[Receipt],
    memos: Sequence[CreditMemo],
    fall: Money,
) -> tuple[list[tuple[Receipt, Money]], list[tuple[CreditMemo, Money]], int] | tuple[None, None, int]:
    """Return the same where the newest credit memo took more than was open: what was left of it is the customer's credit in SAP.

    Only for an invoice that has nothing open any more, so that there is one way to read it.
    """
    paid, credited = _untold(one, told, there, receipts, memos, fall.currency)
    if one.balance > 0 or told.get("explained") or paid is None or not credited:
        return None, None, 0
    credited = sorted(credited, key=lambda pair: pair[0].doc_entry)
    rest, newest = _sum(paid) + _sum(credited) - fall.minor, credited[-1][1]
    if not 0 < rest < newest.minor:
        return None, None, 0
    return paid, [*credited[:-1], (credited[-1][0], Money(newest.minor - rest, newest.currency))], rest


def _sum(pairs: Sequence[tuple[Any, Money]]) -> int:
    return sum(amount.minor for _, amount in pairs)


def _later(
    receipts: list[tuple[Receipt, Money]], memos: list[tuple[CreditMemo, Money]], before: int
) -> Found | tuple[None, None]:
    """Leave out the oldest ones, which the pushed invoice named already; they must add up to exactly that."""
    rest: list[tuple[Receipt | CreditMemo, Money]] = sorted(
        [*receipts, *memos], key=lambda pair: (isinstance(pair[0], CreditMemo), pair[0].doc_entry)
    )
    left, kept = before, []
    for document, amount in rest:
        if 0 < amount.minor <= left:
            left -= amount.minor
        else:
            kept.append((document, amount))
    if left:
        return None, None
    return (
        [(document, amount) for document, amount in kept if isinstance(document, Receipt)],
        [(document, amount) for document, amount in kept if isinstance(document, CreditMemo)],
    )
