"""Splitting an amount over profit centres (facts/bookkeeping.md): it sums back exactly, by the largest remainder."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from payouts import invoice, lines

from mlc.core.facts import Line, Partner
from mlc.core.shares import NO_CODES, Dimensions, groups, split

EXAMPLES = 200
WEIGHTS = st.lists(st.decimals(-(10**6), 10**6, places=2), min_size=1, max_size=8)
BY_LINES = Dimensions({1: ("invoice", ""), 2: ("customer_field", "U_Region"), 3: ("fixed", "HQ")})
PARTNER = Partner("C1", "Smith", fields=(("U_Region", "NORTH"),))


@pytest.mark.parametrize(
    ("amount", "weights", "shares"),
    [
        (100, [1], [100]),
        (100, [1, 1, 1], [34, 33, 33]),
        (101, [1, 1, 1], [34, 34, 33]),
        (10000, [6000, 4000], [6000, 4000]),
        (9999, [2, 1], [6666, 3333]),
        (100, [Decimal("33.3"), Decimal("66.7")], [33, 67]),
        (5, [3, 3, 1], [2, 2, 1]),
        (100, [3, 1, 2], [50, 17, 33]),
        (100, [12000, -2000], [120, -20]),
        (99, [12, -2], [119, -20]),
        (-100, [1, 1, 1], [-34, -33, -33]),
        (0, [1, 2], [0, 0]),
        (70, [0, 0], [70, 0]),
        (70, [5, -5], [70, 0]),
        (70, [0, 1], [0, 70]),
    ],
)
def test_shares_by_example(amount: int, weights: list[Any], shares: list[int]) -> None:
    """What rounding down leaves goes to the largest remainders, the first of equal ones."""
    assert split(amount, [Decimal(one) for one in weights]) == shares


@settings(max_examples=EXAMPLES)
@given(st.integers(-(10**9), 10**9), WEIGHTS)
def test_shares_sum_back(amount: int, weights: list[Decimal]) -> None:
    """For any weights, negative ones too, the shares are the amount to the minor unit, and mirrored for a negative amount."""
    shares = split(amount, weights)
    assert sum(shares) == amount
    assert len(shares) == len(weights)
    assert split(-amount, weights) == [-share for share in shares]


@settings(max_examples=EXAMPLES)
@given(st.integers(0, 10**9), WEIGHTS)
def test_no_share_is_off_by_a_whole_unit(amount: int, weights: list[Decimal]) -> None:
    """Each share is its exact part rounded down or up, and whoever is rounded up had no smaller remainder than who was not."""
    total = sum(Fraction(one) for one in weights)
    if total == 0:
        assert split(amount, weights)[0] == amount
        return
    exact = [amount * Fraction(one) / total for one in weights]
    shares = split(amount, weights)
    down = [part.numerator // part.denominator for part in exact]
    assert all(share - floor in (0, 1) for share, floor in zip(shares, down, strict=True))
    up = [part - floor for part, floor, share in zip(exact, down, shares, strict=True) if share > floor]
    stayed = [part - floor for part, floor, share in zip(exact, down, shares, strict=True) if share == floor]
    assert not up or not stayed or min(up) >= max(stayed)


def test_lines_of_one_centre_are_one_share() -> None:
    """Codes come from the invoice's lines, the customer's field and the configuration; equal ones are added up."""
    found = groups(invoice(1, lines=lines((6000, "A"), (3000, "B"), (1000, "A"))), PARTNER, BY_LINES)
    assert found == [
        (("A", "NORTH", "HQ", "", ""), "", Decimal(70)), (("B", "NORTH", "HQ", "", ""), "", Decimal(30)),
    ]  # fmt: skip


def test_a_project_of_a_line_is_kept() -> None:
    """Lines of two projects are two shares, also in one centre."""
    rows = (Line("One", Decimal(60), ("A",), "P1"), Line("Two", Decimal(40), ("A",), "P2"))
    assert [(codes[0], project) for codes, project, _ in groups(invoice(1, lines=rows), None, BY_LINES)] == [
        ("A", "P1"),
        ("A", "P2"),
    ]


@pytest.mark.parametrize("rows", [(), ((5000, "A"), (-5000, "B")), ((-100, "A"),)])
def test_what_has_no_proportion_is_one_share(rows: tuple[tuple[int, str], ...]) -> None:
    """Without lines, or with lines that come to nothing, everything is one share with the codes that do not need lines."""
    assert groups(invoice(1, lines=lines(*rows)), PARTNER, BY_LINES) == [(("", "NORTH", "HQ", "", ""), "", Decimal(1))]
    assert groups(None, None, Dimensions({})) == [(NO_CODES, "", Decimal(1))]


def test_the_fields_that_are_needed_are_known() -> None:
    """The rules tell which user fields are to be read, and whether the lines of an invoice are."""
    assert BY_LINES.fields == ("U_Region",)
    assert BY_LINES.by_invoice
    assert not Dimensions({3: ("fixed", "HQ")}).by_invoice
