"""GoCardless' own arithmetic, checked before anything is placed or posted; and why a payout waits, as a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from mlc.core.debits import COLLECTED, FEES, ITEM_TYPES, REFUNDED, RETURNED, Collection, Payout, PayoutItem
from mlc.core.money import Money

_HALF = Decimal("0.5")


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a payout waits: a payment that is matched to nothing, or something about the whole payout (`payment` empty)."""

    reason: str
    text: str
    payment: str = ""
    candidates: tuple[str, ...] = ()
    amount: Money | None = None
    rejected: tuple[str, ...] = ()


def unsound(payout: Payout, items: Sequence[PayoutItem], payments: Mapping[str, Collection]) -> Problem | None:
    """Check GoCardless' own arithmetic before anything is placed (bookkeeping: assert before posting)."""
    unknown = sorted({one.type for one in items} - ITEM_TYPES)
    if unknown or (payout.kind == "merchant" and any(one.type == "revenue_share" for one in items)):
        kind = unknown[0] if unknown else "revenue_share"
        return Problem("unknown_item_type", f"{payout.id} has an item of the type {kind}, which mlc does not know in a payout")
    total = sum((one.amount for one in items), Decimal(0))
    fees = sum((one.amount for one in items if one.type in FEES), Decimal(0))
    others = total - fees
    minor = payout.amount.minor
    if abs(total - minor) > _HALF:
        return _untied(payout, f"its items add up to {total / 100:.3f}, its amount is {payout.amount}")
    if abs(fees + payout.deducted) > _HALF:
        return _untied(payout, f"its fee items add up to {-fees / 100:.3f}, its deducted_fees are {payout.deducted / 100:.2f}")
    if others != minor + payout.deducted:
        return _untied(
            payout, f"{others / 100:.3f} without fees, but amount and deducted_fees are {(minor + payout.deducted) / 100:.2f}"
        )
    for one in sorted(items, key=lambda each: (each.type, each.payment, each.refund, each.amount)):
        if one.type not in FEES and one.amount != one.amount.to_integral_value():
            return _untied(payout, f"its {one.type} of {one.thing} is {one.amount}, no whole minor unit")
        taxes = sum((tax.amount for tax in one.taxes), Decimal(0))
        if abs(taxes) > abs(one.amount):
            return _untied(payout, f"the tax {taxes} of a {one.type} is more than the item itself, {one.amount}")
        payment = payments.get(one.payment)
        if payment is not None and payment.amount.currency != payout.amount.currency:
            return _untied(payout, f"{one.payment} is in {payment.amount.currency}, the payout in {payout.amount.currency}")
        if one.type == COLLECTED and payment is not None and one.amount != payment.amount.minor:
            return _untied(payout, f"{one.payment} is over {payment.amount}, its item over {one.amount / 100:.2f}")
    for one in items:
        if (one.type in REFUNDED and one.amount > 0) or (one.type == RETURNED and one.amount < 0):
            return _untied(payout, f"its {one.type} of {one.thing} is {one.amount / 100:.2f}, which has the wrong sign")
    for ident in sorted({one.payment for one in items if one.type == "payment_refunded"}):
        back = -sum(one.amount for one in items if one.type == "payment_refunded" and one.payment == ident)
        if ident in payments and back > payments[ident].refunded:
            return _untied(
                payout, f"{back / 100:.2f} of {ident} are refunded here, {payments[ident].refunded / 100:.2f} in all"
            )
    return None


def _untied(payout: Payout, text: str) -> Problem:
    return Problem("does_not_tie", f"{payout.id}: {text}", amount=payout.amount)
