"""The arithmetic of payouts: fees, tenths of minor units, rounding, rates, and the items that payouts are made of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import ROUND_HALF_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal

from .switches import GoCardlessSwitches

CURRENCIES = {
    "ach": "USD",
    "autogiro": "SEK",
    "bacs": "GBP",
    "becs": "AUD",
    "becs_nz": "NZD",
    "betalingsservice": "DKK",
    "faster_payments": "GBP",
    "pad": "CAD",
    "pay_to": "AUD",
    "sepa_core": "EUR",
}
REFERENCES = {
    "ach": 10,
    "autogiro": 11,
    "bacs": 10,
    "becs": 30,
    "becs_nz": 12,
    "betalingsservice": 30,
    "faster_payments": 0,
    "pad": 0,
    "pay_to": 18,
    "sepa_core": 140,
}
FEES = ("gocardless_fee", "app_fee", "surcharge_fee")
MODES = {"up": ROUND_HALF_UP, "even": ROUND_HALF_EVEN, "down": ROUND_HALF_DOWN}


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a payout; amounts in tenths of a minor unit, `round` the attempt of the payment that it belongs to."""

    type: str
    tenths: int
    tax: int = 0
    payment: str | None = None
    mandate: str | None = None
    refund: str | None = None
    round: int = 0

    def reversed(self) -> Item:
        """Return the item that takes this one back."""
        return replace(self, tenths=-self.tenths, tax=-self.tax)


def tenths(value: int) -> str:
    """Write tenths of a minor unit as GoCardless does."""
    return f"{'-' if value < 0 else ''}{abs(value) // 10}.{abs(value) % 10}"


def whole(value: int, mode: str) -> int:
    """Round tenths to the minor unit."""
    return int((Decimal(value) / 10).quantize(Decimal(1), MODES[mode]))


def converted(amount: Decimal | int, rate: str) -> int:
    """Convert minor units at a rate, half away from zero."""
    return int((Decimal(amount) * Decimal(rate)).quantize(Decimal(1), ROUND_HALF_UP))


def taxed(net: Decimal, switches: GoCardlessSwitches) -> tuple[int, int]:
    """Return a fee in minor units before tax as (tenths with tax, tenths of tax)."""
    tax = net * 10 * switches.vat_percent / 100
    gross = net * 10 + tax
    return int(gross.quantize(Decimal(1), ROUND_HALF_UP)), int(tax.quantize(Decimal(1), ROUND_HALF_UP))


def fee_items(payment: str, amount: int, app_fee: int, attempt: int, switches: GoCardlessSwitches) -> list[Item]:
    """Return the fee items of a collected payment."""
    items = []
    net = min(Decimal(amount) * switches.fee_permille / 1000 + switches.fee_flat, Decimal(switches.fee_cap))
    gross, tax = taxed(net, switches)
    if switches.fees_deducted and gross:
        items.append(Item("gocardless_fee", -gross, -tax, payment, round=attempt))
    if app_fee:
        items.append(Item("app_fee", -10 * app_fee, 0, payment, round=attempt))
    return items


def surcharge_items(payment: str, attempt: int, switches: GoCardlessSwitches) -> list[Item]:
    """Return the surcharge for money that went back."""
    gross, tax = taxed(Decimal(switches.surcharge), switches)
    if not gross or not switches.fees_deducted:
        return []
    return [Item("surcharge_fee", -gross, -tax, payment, round=attempt)]
