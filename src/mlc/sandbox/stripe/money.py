"""Currencies as Stripe counts them: which digits an amount may have, the smallest charge, the fee, the exchange."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

from .errors import Refusal
from .switches import StripeSwitches
from .words import words

ZERO_DECIMAL = frozenset(words("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf"))
THREE_DECIMAL = frozenset(words("bhd jod kwd omr tnd"))
WHOLE_UNITS = frozenset({"isk", "ugx"})
WHOLE_PAYOUTS = frozenset({"huf", "twd", "isk", "ugx"})
TWO_DECIMAL = frozenset(
    words("""aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bmd bnd bob brl bsd bwp byn bzd cad cdf chf cny cop crc cve
    czk dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gtq gyd hkd hnl htg huf idr ils inr jmd kes kgs khr kyd kzt lak lbp
    lkr lrd lsl mad mdl mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd pab pen pgk php pkr pln qar ron rsd
    rub sar sbd scr sek sgd shp sle sos srd std szl thb tjs top try ttd twd tzs uah usd uyu uzs wst xcd yer zar zmw""")
)
CURRENCIES = ZERO_DECIMAL | THREE_DECIMAL | WHOLE_UNITS | TWO_DECIMAL
MINIMUM = dict.fromkeys(("usd", "eur", "chf", "aud", "cad"), 50)
MINIMUM |= {"gbp": 30, "jpy": 50, "sek": 300, "nok": 300, "dkk": 250, "czk": 1500, "huf": 17500, "pln": 200}


def exponent(currency: str) -> int:
    """Return by how many decimal digits the API's integer is shifted."""
    if currency in ZERO_DECIMAL:
        return 0
    return 3 if currency in THREE_DECIMAL else 2


def known(currency: str, param: str = "currency") -> str:
    """Return the currency in lower case or refuse it."""
    if currency.lower() not in CURRENCIES:
        raise Refusal(
            f"Invalid currency: {currency.lower()}. Stripe currently supports these currencies: "
            + ", ".join(sorted(CURRENCIES)),
            param=param,
            began=False,
        )
    return currency.lower()


def digits(amount: int, currency: str, switches: StripeSwitches, param: str = "amount") -> int:
    """Return an amount whose digits the currency allows, or refuse it; the sign is the caller's matter."""
    places = 12 if currency == "idr" else switches.max_digits
    if abs(amount) >= 10**places:
        raise Refusal(f"Amount must be no more than {plain(10**places - 1, currency)}", code="amount_too_large", param=param)
    step = 10 if currency in THREE_DECIMAL else 100 if currency in WHOLE_UNITS else 1
    if amount % step:
        raise Refusal(
            f"Invalid amount: amounts in {currency} must be divisible by {step}",
            code="invalid_charge_amount",
            param=param,
        )
    return amount


def smallest(currency: str) -> int:
    """Return the smallest amount that can be charged, in minor units."""
    return MINIMUM.get(currency, 1)


def plain(amount: int, currency: str) -> str:
    """Write an amount for a message."""
    return f"{Decimal(amount).scaleb(-exponent(currency)):f} {currency}"


def fee_of(amount: int, currency: str, switches: StripeSwitches) -> int:
    """Return Stripe's fee for a charge, in the charge's minor units, never more than the charge."""
    flat = switches.fee_flat if exponent(currency) == 2 else 0
    fee = amount * switches.fee_permille // 1000 + flat
    if currency in THREE_DECIMAL:
        fee -= fee % 10
    return min(fee, amount)


def exchange(amount: int, source: str, target: str, rate: Decimal) -> int:
    """Convert minor units of one currency to those of another; `rate` counts whole units."""
    value = Decimal(amount).scaleb(-exponent(source)) * rate
    return int(value.scaleb(exponent(target)).to_integral_value(ROUND_HALF_UP))
