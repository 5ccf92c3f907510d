"""Money: every exponent table by itself, and no amount that changes on its way."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlc.core.money import (
    Money,
    MoneyError,
    exponent,
    from_decimal,
    from_stripe,
    stripe_exponent,
    stripe_maximum,
    stripe_minimum,
    stripe_step,
    to_stripe,
)  # fmt: skip

# currency, major units, ISO minor units, Stripe's unit (facts/stripe.md section 8)
TABLE = [
    ("EUR", "19.99", 1999, 1999), ("USD", "1.23", 123, 123), ("HUF", "123.45", 12345, 12345), ("TWD", "10.00", 1000, 1000),
    ("JPY", "500", 500, 500), ("KRW", "1", 1, 1), ("VND", "50000", 50000, 50000), ("CLP", "7", 7, 7),
    ("KWD", "10.010", 10010, 10010), ("BHD", "5.120", 5120, 5120), ("JOD", "1.000", 1000, 1000), ("OMR", "0.100", 100, 100),
    ("TND", "99.990", 99990, 99990), ("ISK", "500", 500, 50000), ("UGX", "3500", 3500, 350000), ("MGA", "12.00", 1200, 12),
]  # fmt: skip
CODES = sorted({row[0] for row in TABLE} | {"GBP", "CHF", "SEK", "PLN", "CZK", "IDR", "XOF", "RWF"})


@pytest.mark.parametrize(("currency", "major", "minor", "stripe"), TABLE)
def test_the_tables_agree_with_the_published_ones(currency: str, major: str, minor: int, stripe: int) -> None:
    """An amount in major units has the ISO minor units and the Stripe amount of the published tables, both ways."""
    money = from_decimal(Decimal(major), currency)
    assert money == Money(minor, currency)
    assert to_stripe(money) == stripe
    assert from_stripe(stripe, currency.lower()) == money
    assert money.decimal() == Decimal(major)


@pytest.mark.parametrize(("currency", "minor"), [("KWD", 10001), ("BHD", 5), ("TND", 99999), ("MGA", 150), ("MGA", 1)])
def test_what_stripe_cannot_take_is_refused(currency: str, minor: int) -> None:
    """A last digit that Stripe's unit does not hold is an error, never rounded away."""
    with pytest.raises(MoneyError):
        to_stripe(Money(minor, currency))


@pytest.mark.parametrize(
    ("currency", "amount"), [("EUR", "19.995"), ("JPY", "0.5"), ("KWD", "1.0001"), ("ISK", "12.50"), ("EUR", "0.001")]
)
def test_a_part_of_a_minor_unit_is_refused(currency: str, amount: str) -> None:
    """An amount that the currency cannot hold is an error, never rounded away."""
    with pytest.raises(MoneyError):
        from_decimal(Decimal(amount), currency)


@pytest.mark.parametrize("amount", [1, 50, 99, 101])
@pytest.mark.parametrize("currency", ["ISK", "UGX"])
def test_stripes_decimals_of_whole_currencies_are_refused(currency: str, amount: int) -> None:
    """An amount of Stripe in ISK or UGX that is no multiple of 100 is an error."""
    with pytest.raises(MoneyError):
        from_stripe(amount, currency)


@pytest.mark.parametrize(
    ("currency", "least"),
    [("EUR", 50), ("GBP", 30), ("JPY", 50), ("HUF", 17500), ("CZK", 1500), ("DKK", 250), ("PLN", 200), ("SEK", 300)],
)
def test_minimum_charges_are_the_published_ones(currency: str, least: int) -> None:
    """The least charge is Stripe's published figure."""
    assert stripe_minimum(currency) == Money(least, currency)


@pytest.mark.parametrize(
    ("currency", "most"), [("EUR", 99_999_999), ("JPY", 99_999_999), ("ISK", 999_999), ("KWD", 99_999_990)]
)
def test_maximum_amounts_have_eight_digits(currency: str, most: int) -> None:
    """The greatest amount has eight digits in Stripe's unit and can be said to Stripe."""
    assert stripe_maximum(currency).minor == most
    assert len(str(to_stripe(stripe_maximum(currency)))) == 8


@given(st.sampled_from(CODES), st.integers(-(10**12), 10**12))
def test_parse_and_format_are_inverse(currency: str, minor: int) -> None:
    """Money written as a decimal and read again is the same money, also through text and through a double's shortest literal."""
    money = Money(minor, currency)
    assert from_decimal(money.decimal(), currency) == money
    assert from_decimal(Decimal(str(money.decimal())), currency) == money
    assert -money.decimal().as_tuple().exponent == exponent(currency)
    assert from_decimal(Decimal(repr(float(money.decimal()))), currency) == money


@given(st.sampled_from(CODES), st.integers(-(10**11), 10**11))
def test_to_stripe_and_back_is_the_same(currency: str, minor: int) -> None:
    """What Stripe takes comes back as the same money."""
    money = Money(minor, currency)
    try:
        amount = to_stripe(money)
    except MoneyError:
        whole = 10 ** max(0, exponent(currency) - stripe_exponent(currency))
        assert minor % whole or (minor * 10 ** max(0, stripe_exponent(currency) - exponent(currency))) % stripe_step(currency)
    else:
        assert from_stripe(amount, currency) == money


@given(st.sampled_from(CODES), st.integers(0, 10**8))
def test_stripes_amounts_are_kept(currency: str, steps: int) -> None:
    """Each amount that Stripe can send comes back to the same amount."""
    amount = steps * stripe_step(currency)
    assert to_stripe(from_stripe(amount, currency)) == amount


@given(st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9))
def test_two_currencies_never_mix(one: int, other: int) -> None:
    """Adding and subtracting are inverse within a currency and an error across two."""
    first, second = Money(one, "EUR"), Money(other, "EUR")
    assert first + second - second == first
    opposite = -first
    assert -opposite == first
    with pytest.raises(MoneyError):
        _ = first + Money(other, "USD")
