"""What the journal keeps as text comes back exactly: every command, and the facts that held items keep."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlc.core import codec
from mlc.core.commands import KINDS, Allocation, PostPayment, from_json, to_json
from mlc.core.facts import Invoice, Payment, ProcessorInvoice, Receipt
from mlc.core.money import Money

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
EURO = st.builds(Money, st.integers(-(10**12), 10**12), st.just("EUR"))
BY_TYPE: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXT, Money: EURO, int: st.integers(-(2**53), 2**53), date: st.dates(), bool: st.booleans(),
    Decimal: st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**9), max_value=10**9),
    float: st.floats(0, 2e9), datetime: st.datetimes(timezones=st.just(UTC)),
}  # fmt: skip
for known, strategy in BY_TYPE.items():
    st.register_type_strategy(known, strategy)


@st.composite
def posts(draw: st.DrawFn) -> PostPayment:
    """A payment that does not apply more than it is."""
    parts = draw(st.lists(st.integers(1, 10**6), max_size=4))
    rest = draw(st.integers(0 if parts else 1, 10**6))
    rows = tuple(Allocation(draw(st.integers(1, 99)), number, Money(part, "EUR")) for number, part in enumerate(parts))
    plain = draw(st.builds(PostPayment, amount=st.just(Money(sum(parts) + rest, "EUR")), allocations=st.just(rows)))
    return dataclasses.replace(plain, branch=draw(st.none() | st.integers(0, 9)))


def any_of(kind: type[Any]) -> st.SearchStrategy[Any]:
    """Any value of a command."""
    return posts() if kind is PostPayment else st.from_type(kind)


@pytest.mark.parametrize("name", sorted(KINDS))
@given(data=st.data())
def test_every_command_comes_back(name: str, data: st.DataObject) -> None:
    """A command written to the journal and read again is the same command."""
    command = data.draw(any_of(KINDS[name]))
    assert from_json(json.loads(json.dumps(to_json(command)))) == command


@pytest.mark.parametrize("kind", [Payment, Invoice, Receipt, ProcessorInvoice])
@given(data=st.data())
def test_facts_come_back(kind: type[Any], data: st.DataObject) -> None:
    """A fact that a held item keeps comes back as it was."""
    fact = data.draw(st.from_type(kind))
    assert codec.decode(kind, json.loads(json.dumps(codec.encode(fact)))) == fact


def test_a_field_of_a_newer_version_is_left_out() -> None:
    """A text of another version with one field more can still be read."""
    assert codec.decode(Money, {"minor": 1, "currency": "EUR", "newer": 2}) == Money(1, "EUR")
