"""Money is whole minor units and a currency; every exponent table belongs to one system."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

# ISO 4217 exponents that are not 2 (list one of the standard, amendment 177).
_ISO_EXPONENTS = {
    **dict.fromkeys(
        ["BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"],
        0,
    ),
    **dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3),
}
# Stripe: "zero-decimal currencies", "three-decimal currencies", special cases. Its MGA has no decimals, ISO's has two;
# its ISK and UGX are sent with two, ISO's have none.
_STRIPE_ZERO = frozenset(
    ["BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"]
)
_STRIPE_THREE = frozenset(["BHD", "JOD", "KWD", "OMR", "TND"])
_STRIPE_WHOLE = frozenset({"ISK", "UGX"})
# Stripe: "minimum and maximum charge amounts", in Stripe's unit. A currency that is not here has no published minimum.
_STRIPE_MINIMUM = {
    **dict.fromkeys(["USD", "EUR", "CHF", "AUD", "CAD"], 50),
    "GBP": 30,
    "JPY": 50,
    "SEK": 300,
    "NOK": 300,
    "DKK": 250,
    "CZK": 1500,
    "HUF": 17500,
    "PLN": 200,
}
_STRIPE_DIGITS = {"IDR": 12}
_NOISE = Decimal("0.000001")


class MoneyError(ValueError):
    """An amount that cannot be said in whole minor units; the text names it."""


@dataclass(frozen=True, slots=True, order=True)
class Money:
    """An amount in minor units of ISO 4217 (`Money(11900, "EUR")` is 119.00 EUR). Adding two currencies is an error."""

    minor: int
    currency: str

    def __add__(self, other: Money) -> Money:
        return Money(self.minor + self._same(other), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.minor - self._same(other), self.currency)

    def __neg__(self) -> Money:
        return Money(-self.minor, self.currency)

    def __bool__(self) -> bool:
        return self.minor != 0

    def __str__(self) -> str:
        return f"{self.decimal():,f} {self.currency}"

    def _same(self, other: Money) -> int:
        if other.currency != self.currency:
            raise MoneyError(f"{self} and {other} are of two currencies")
        return other.minor

    def decimal(self) -> Decimal:
        """Return the amount in major units, exactly, with the currency's decimals."""
        return Decimal(self.minor).scaleb(-exponent(self.currency))


def exponent(currency: str) -> int:
    """Return the ISO 4217 exponent of a currency (2 where the standard says nothing else)."""
    return _ISO_EXPONENTS.get(currency, 2)


def from_decimal(amount: Decimal, currency: str) -> Money:
    """Turn an amount in major units into Money.

    SAP's amounts are doubles, so noise far below a minor unit is rounded away. Anything coarser is no rounding noise but an
    amount the currency cannot hold: MoneyError.
    """
    scaled = amount.scaleb(exponent(currency))
    whole = scaled.quantize(Decimal(1), rounding=ROUND_HALF_UP)
    if abs(scaled - whole) > _NOISE * max(1, 10 ** exponent(currency)):
        raise MoneyError(f"{amount} {currency} is no whole number of minor units")
    return Money(int(whole), currency)


def to_stripe(money: Money) -> int:
    """Return the amount in Stripe's own unit; MoneyError where Stripe cannot take it (Stripe: currencies)."""
    shift = stripe_exponent(money.currency) - exponent(money.currency)
    amount, rest = _shifted(money.minor, shift)
    if rest:
        raise MoneyError(f"Stripe takes {money.currency} in whole units only, {money} has decimals")
    step = stripe_step(money.currency)
    if amount % step:
        raise MoneyError(f"Stripe takes {money.currency} only in steps of {from_stripe(step, money.currency)}, not {money}")
    return amount


def _shifted(amount: int, shift: int) -> tuple[int, int]:
    """Move the decimal point; the second figure is what does not fit."""
    if shift >= 0:
        return amount * int(10**shift), 0
    return divmod(amount, int(10**-shift))


def from_stripe(amount: int, currency: str) -> Money:
    """Return Money from an amount in Stripe's own unit; the currency may be in lower case."""
    code = currency.upper()
    shift = exponent(code) - stripe_exponent(code)
    minor, rest = _shifted(amount, shift)
    if rest:
        raise MoneyError(f"Stripe's {amount} {code} is no whole number of minor units")
    return Money(minor, code)


def stripe_exponent(currency: str) -> int:
    """Return how many decimals Stripe sends for a currency."""
    if currency in _STRIPE_ZERO:
        return 0
    return 3 if currency in _STRIPE_THREE else 2


def stripe_step(currency: str) -> int:
    """Return the step in Stripe's unit that amounts must be a multiple of."""
    if currency in _STRIPE_THREE:
        return 10
    return 100 if currency in _STRIPE_WHOLE else 1


def stripe_minimum(currency: str) -> Money:
    """Return the least amount Stripe charges; nothing published means one step."""
    return from_stripe(_STRIPE_MINIMUM.get(currency, stripe_step(currency)), currency)


def stripe_maximum(currency: str) -> Money:
    """Return the greatest amount Stripe takes: eight digits of its unit, twelve for IDR."""
    digits = _STRIPE_DIGITS.get(currency, 8)
    top = 10**digits - 1
    return from_stripe(top - top % stripe_step(currency), currency) if stripe_step(currency) > 1 else from_stripe(top, currency)
