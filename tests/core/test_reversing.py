"""Money that goes back (facts/bookkeeping.md, section 8): legs by what moved, places by what was recorded, entries that balance."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlc.core.commands import Part
from mlc.core.facts import Account, Movement, Reversal
from mlc.core.money import Money
from mlc.core.reversing import Books, Leg, Place, Wait, entry, left_of, legs, taken_from

EXAMPLES = 200
DAY = date(2026, 11, 3)
CLEARING, FEE = (
    Account("1361", "1361", "Stripe", active=True, postable=True),
    Account("6855", "6855", "Fees", active=True, postable=True),
)
BOOKS = Books("C1", "", CLEARING, FEE, "EUR", DAY, DAY)


def moved(*amounts: tuple[int, int], currency: str = "EUR") -> tuple[Movement, ...]:
    """Movements of the balance, one after another: (amount, fee)."""
    return tuple(Movement(f"txn_{n}", amount, fee, currency, 100 + n) for n, (amount, fee) in enumerate(amounts))


def back(kind: str, status: str, *amounts: tuple[int, int], total: int = 5000, currency: str = "EUR") -> Reversal:
    """A reversal of 50.00 unless told otherwise."""
    return Reversal("re_1", kind, status, Money(total, "EUR"), "pi_1", 100, moves=moved(*amounts, currency=currency))


LEGS = [
    (back("refund", "succeeded", (-5000, 0)), [("", 5000, 0)]),
    (back("refund", "succeeded", (-5000, -30)), [("", 5000, -30)]),
    (back("refund", "pending", (-5000, 0)), "refund_pending"),
    (back("refund", "requires_action"), "refund_pending"),
    (back("refund", "failed", (-5000, 0), (5000, 0)), [("", 5000, 0), ("/failed", -5000, 0)]),
    (back("refund", "canceled"), []),
    (back("refund", "failed", (-5000, 0)), "balance_pending"),
    (back("refund", "succeeded"), "balance_pending"),
    (back("refund", "sideways", (-5000, 0)), "unknown_status"),
    (back("refund", "succeeded", (-4999, 0)), "amount_mismatch"),
    (back("refund", "succeeded", (-5000, 0), currency="GBP"), "currency"),
    (back("refund", "succeeded", (5000, 0)), "unknown_status"),
    (back("dispute", "warning_needs_response"), []),
    (back("dispute", "prevented"), []),
    (back("dispute", "needs_response", (-5000, 2000)), [("", 5000, 2000)]),
    (back("dispute", "lost", (-5000, 2000)), [("", 5000, 2000)]),
    (back("dispute", "under_review"), "balance_pending"),
    (back("dispute", "won", (-5000, 2000), (5000, -2000)), [("", 5000, 2000), ("/won", -5000, -2000)]),
    (back("dispute", "lost", (-5000, 0), (5000, 0), (-5000, 0)), [("", 5000, 0), ("/won", -5000, 0), ("/2", 5000, 0)]),
    (back("dispute", "mediated", (-5000, 0)), "unknown_status"),
    (back("returned", "failed", (-5000, -35)), [("", 5000, -35)]),
]  # fmt: skip


@pytest.mark.parametrize(("one", "expected"), LEGS)
def test_legs_follow_what_moved(one: Reversal, expected: object) -> None:
    """Every status of a refund and a dispute leads to its entries, to none, or to a reason; a made-up one is held (complaint 2)."""
    found = legs(one, "EUR")
    assert (found.reason if isinstance(found, Wait) else [(leg.suffix, leg.back, leg.fee) for leg in found]) == expected


@settings(max_examples=EXAMPLES)
@given(
    st.lists(st.integers(1, 9999), min_size=1, max_size=4),
    st.booleans(),
    st.lists(st.integers(1, 12000), max_size=6),
    st.integers(-500, 2500),
)
def test_no_cent_goes_back_twice(sums: list[int], rest: bool, takes: list[int], fee: int) -> None:
    """However often a payment is refunded: entries balance, parts add up, and never more goes back than came."""
    places = [Place(entry, 1000 + entry, minor) for entry, minor in enumerate(sums, 1)]
    places[-1] = Place(0, 0, places[-1].minor) if rest else places[-1]
    total, parts = sum(sums), list[Part]()
    for number, wanted in enumerate(takes):
        given_back = -sum(part.amount for part in parts)
        left = left_of(places, parts)
        assert sum(place.minor for place in left) == total - given_back
        found = taken_from(left, wanted)
        if wanted > total - given_back:
            assert found is None
            continue
        assert found is not None
        assert sum(place.minor for place in found) == wanted
        one = Reversal(f"re_{number}", "refund", "succeeded", Money(wanted, "EUR"), "pi_1", number)
        leg = Leg("", wanted, fee, number)
        command = entry(one, leg, found, [], BOOKS)
        assert sum(line.local for line in command.lines) == 0
        assert sum(line.local for line in command.lines if line.card_code) == wanted
        assert sum(line.local for line in command.lines if line.account == "1361") == leg.clearing == -wanted - fee
        mirror = entry(one, Leg("/failed", -wanted, 0, number), (), command.parts, BOOKS)
        assert [(part.undoes, part.amount) for part in mirror.parts] == [(part.key, -part.amount) for part in command.parts]
        assert sum(line.local for line in mirror.lines if line.account == "1361") == wanted
        parts += command.parts


def test_an_invoice_is_named_only_where_there_is_no_other_way_to_read_it() -> None:
    """The whole payment goes back where it stood; a part of a payment over two invoices names none of them."""
    two = (Place(1, 1001, 3000), Place(2, 1002, 2000))
    assert taken_from(two, 5000) == two
    assert taken_from(two[:1], 100) == (Place(1, 1001, 100),)
    loose = taken_from(two, 3000)
    assert loose == (Place(-1, 0, 3000),)
    one = back("refund", "succeeded", (-3000, 0), total=3000)
    command = entry(one, Leg("", 3000, 0, 1), loose, [], Books("C1", "", CLEARING, None, "EUR", DAY, DAY, numbers=(1001, 1002)))
    (line,) = [line for line in command.lines if line.card_code]
    assert (line.reference2, command.parts[0].doc_entry, command.parts[0].doc_num) == ("1001, 1002", 0, 0)
    assert left_of(two, command.parts) == (Place(-1, 0, 2000),)
