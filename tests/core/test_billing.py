"""The lines of an invoice at Stripe always add up to what SAP holds open, whatever SAP's lines say."""

from __future__ import annotations

import datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from mlc.core import billing
from mlc.core.billing import MAX_LINES, Reduction, push_lines, reductions, refuse_amount
from mlc.core.facts import CreditMemo, Invoice, Line, Receipt
from mlc.core.money import Money, MoneyError, exponent, to_stripe

DAY = datetime.date(2026, 11, 3)
CODES = ("EUR", "JPY", "KWD", "ISK", "MGA", "HUF")


def invoice(lines: list[Decimal], total: Decimal, **more: object) -> Invoice:
    """An invoice with these gross lines."""
    rows = tuple(Line(f"Line {number}", gross) for number, gross in enumerate(lines))
    fields: dict[str, object] = {"paid": Decimal(0), "cancelled": False, "open": True, **more}
    return Invoice(7, 1007, "C1", DAY, DAY, "EUR", total, lines=rows, **fields)  # type: ignore[arg-type]


@st.composite
def cases(draw: st.DrawFn) -> tuple[Invoice, str, Money, list[Reduction]]:
    """An invoice whose lines, header and payments need not agree, and a balance between nothing and the total."""
    currency = draw(st.sampled_from(CODES))
    places = exponent(currency)
    amounts = st.integers(-(10**6), 10**7).map(lambda one: Decimal(one).scaleb(-draw(st.integers(places, places + 2))))
    lines = draw(st.lists(amounts, max_size=draw(st.sampled_from([3, 12, 120]))))
    total = draw(st.integers(1, 10**8))
    balance = Money(draw(st.integers(1, total)), currency)
    extra = {name: Decimal(draw(st.integers(-500, 500))).scaleb(-places) for name in ("withheld", "rounding")}
    reduced = [Reduction(f"Cause {n}", Money(draw(st.integers(0, total)), currency)) for n in range(draw(st.integers(0, 3)))]
    return invoice(lines, Decimal(total).scaleb(-places), **extra), currency, balance, reduced


@given(cases())
def test_lines_always_add_up(case: tuple[Invoice, str, Money, list[Reduction]]) -> None:
    """The sum of the lines is the balance to the minor unit, and there are never more lines than one call takes."""
    one, currency, balance, reduced = case
    lines = push_lines(one, currency, balance, reduced)
    assert sum(line.amount.minor for line in lines) == balance.minor
    assert 1 <= len(lines) <= MAX_LINES
    assert all(line.amount.currency == currency and line.text for line in lines)


@given(cases())
def test_each_line_can_be_said_to_stripe(case: tuple[Invoice, str, Money, list[Reduction]]) -> None:
    """Where Stripe takes the balance it takes each line, in a sum that is the same in Stripe's unit."""
    one, currency, balance, reduced = case
    try:
        whole = to_stripe(balance)
    except MoneyError:
        return
    assert sum(to_stripe(line.amount) for line in push_lines(one, currency, balance, reduced)) == whole


def test_what_reduced_it_is_named() -> None:
    """Receipts, credit memos, withholding and rounding are lines of their own under their names."""
    one = invoice([Decimal("119.00")], Decimal("118.50"), paid=Decimal(30), withheld=Decimal("0.49"), rounding=Decimal("-0.01"))
    receipt = Receipt(1, 501, "C1", DAY, "EUR", Decimal(20), "", cancelled=False, applied=((7, Decimal(20)), (8, Decimal(5))))
    memo = CreditMemo(2, 301, "C1", Decimal(10), cancelled=False, base_invoices=(7,))
    foreign = CreditMemo(3, 302, "C1", Decimal(10), cancelled=False, base_invoices=(7, 8))
    lines = push_lines(one, "EUR", Money(8850, "EUR"), reductions(one, "EUR", [receipt], [memo, foreign]))
    assert [(line.text.split(" ")[0], line.amount.minor) for line in lines] == [
        ("Line", 11900), ("Withholding", -49), ("Rounding", -1), ("Already", -2000), ("Credit", -1000),
    ]  # fmt: skip


def test_what_nobody_explains_is_still_taken_off() -> None:
    """A settled part without a receipt is one negative line, and a receipt larger than what was settled explains nothing."""
    one = invoice([Decimal(100)], Decimal(100), paid=Decimal(40))
    lines = push_lines(one, "EUR", Money(6000, "EUR"), [Reduction("too much", Money(5000, "EUR"))])
    assert [line.amount.minor for line in lines] == [10000, -4000]
    assert "settled" in lines[1].text


def test_many_lines_become_one() -> None:
    """More lines than one call takes are one line that names the invoice."""
    one = invoice([Decimal("1.01")] * (MAX_LINES + 151), Decimal("253.51"))
    (line,) = push_lines(one, "EUR", Money(25351, "EUR"), [])
    assert "1007" in line.text
    assert line.amount == Money(25351, "EUR")


def test_amounts_that_stripe_cannot_ask_for() -> None:
    """Too little, too much and what has too many decimals are told apart; the limits themselves are allowed."""
    said = {amount: (refuse_amount(Money(amount, "EUR")) or ("",))[0] for amount in (49, 50, 99_999_999, 100_000_000)}
    assert said == {49: "below_minimum", 50: "", 99_999_999: "", 100_000_000: "above_maximum"}
    assert (refuse_amount(Money(10_001, "KWD")) or ("",))[0] == "currency"
    assert billing.refuse_amount(Money(10_010, "KWD")) is None
