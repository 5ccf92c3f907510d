"""What the journal keeps as text comes back exactly: every command, and the facts that held items keep."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from mlc.core import codec
from mlc.core.commands import KINDS, Allocation, EntryLine, OpenRow, Part, PostEntry, PostPayment, Reconcile, from_json, to_json
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


BRANCHES = st.sampled_from([None, None, 1, 2])


@st.composite
def entries(draw: st.DrawFn) -> PostEntry:
    """An entry that balances in each of its branches."""
    rows, line = [], draw(st.from_type(EntryLine))
    for branch, amounts in draw(
        st.dictionaries(BRANCHES, st.lists(st.integers(1, 10**9), min_size=1, max_size=3), min_size=1)
    ).items():
        sides = [*amounts, -sum(amounts)]
        rows += [dataclasses.replace(line, local=minor, branch=branch) for minor in sides]
    plain = draw(st.builds(PostEntry, lines=st.just(tuple(rows)), parts=st.lists(st.from_type(Part), max_size=1).map(tuple)))
    return dataclasses.replace(plain, states=tuple(draw(st.lists(st.tuples(TEXT, TEXT), max_size=2))))


@st.composite
def reconciliations(draw: st.DrawFn) -> Reconcile:
    """Two or more rows, each of which takes something."""
    number = st.integers(1, 10**9)
    rows = draw(st.lists(st.builds(OpenRow, number, number, number, st.booleans()), min_size=2, max_size=4))
    return draw(st.builds(Reconcile, rows=st.just(tuple(rows)), parts=st.lists(TEXT, max_size=3).map(tuple)))


VALID: dict[type[Any], st.SearchStrategy[Any]] = {PostPayment: posts(), PostEntry: entries(), Reconcile: reconciliations()}


def any_of(kind: type[Any]) -> st.SearchStrategy[Any]:
    """Any value of a command; of one that asserts something about itself, any valid value."""
    return VALID[kind] if kind in VALID else st.from_type(kind)


def reads_back(command: Any) -> bool:
    """Whether a command is the same after the journal."""
    return bool(from_json(json.loads(json.dumps(to_json(command)))) == command)


@pytest.mark.parametrize("name", sorted(KINDS))
@settings(max_examples=100, phases=(Phase.explicit, Phase.generate))  # such values shrink for minutes and say no more by it
@given(data=st.data())
def test_every_command_comes_back(name: str, data: st.DataObject) -> None:
    """A command written to the journal and read again is the same command."""
    assert reads_back(data.draw(any_of(KINDS[name])))


ENTRY = PostEntry(
    "PO1", "PO1", date(2026, 11, 5), date(2026, 11, 3), "", "GBP", (EntryLine(5, "1200"), EntryLine(-5, card_code="C1"))
)
SETTLED = Reconcile("C1", date(2026, 11, 5), "GBP", (OpenRow(1, 2, 5), OpenRow(3, 0, 5, own=True)), ("PO1/PM1/1",))


@pytest.mark.parametrize("change", [
    lambda: dataclasses.replace(ENTRY, lines=ENTRY.lines[:1]), lambda: dataclasses.replace(ENTRY, lines=()),
    lambda: dataclasses.replace(ENTRY, lines=(*ENTRY.lines, EntryLine(1, "6855"))),
    lambda: dataclasses.replace(ENTRY, lines=(*ENTRY.lines, EntryLine(0, "6855"))),
    lambda: dataclasses.replace(ENTRY, lines=(EntryLine(5, "1200", branch=1), EntryLine(-5, card_code="C1", branch=2))),
    lambda: dataclasses.replace(SETTLED, rows=SETTLED.rows[:1]),
    lambda: dataclasses.replace(SETTLED, rows=(*SETTLED.rows, OpenRow(4, 0, 0))),
    lambda: dataclasses.replace(SETTLED, rows=(*SETTLED.rows, OpenRow(4, 0, -5))),
])  # fmt: skip
def test_what_does_not_balance_cannot_be_made(change: Callable[[], object]) -> None:
    """An unbalanced entry, in all or in a branch, and a reconciliation of nothing do not come into being."""
    assert reads_back(ENTRY)
    assert reads_back(SETTLED)
    with pytest.raises(AssertionError):
        change()


@settings(max_examples=100, phases=(Phase.explicit, Phase.generate))
@pytest.mark.parametrize("kind", [Payment, Invoice, Receipt, ProcessorInvoice])
@given(data=st.data())
def test_facts_come_back(kind: type[Any], data: st.DataObject) -> None:
    """A fact that a held item keeps comes back as it was."""
    fact = data.draw(st.from_type(kind))
    assert codec.decode(kind, json.loads(json.dumps(codec.encode(fact)))) == fact


def test_a_field_of_a_newer_version_is_left_out() -> None:
    """A text of another version with one field more can still be read."""
    assert codec.decode(Money, {"minor": 1, "currency": "EUR", "newer": 2}) == Money(1, "EUR")
