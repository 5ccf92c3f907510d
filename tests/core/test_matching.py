"""Which invoices a payment pays: by identifiers only, exactly, and with a reason where not."""

from __future__ import annotations

import datetime
import random
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlc.core.facts import Invoice, Origin, Paid, Payment
from mlc.core.matching import Match, NoMatch, Shelf, is_foreign, match_payment, named_entries, total_text
from mlc.core.money import Money

DAY = datetime.date(2026, 11, 3)
COMPANY = "SBODEMO"


def euro(minor: int) -> Money:
    """Cents."""
    return Money(minor, "EUR")


def invoice(entry: int, total: int = 10000, paid: int = 0, card: str = "C1", **more: Any) -> Invoice:
    """An invoice in cents."""
    fields: dict[str, Any] = {"cancelled": False, "open": paid < total, **more}
    return Invoice(entry, 1000 + entry, card, DAY, DAY, "EUR", Decimal(total) / 100, Decimal(paid) / 100, **fields)


def origin(one: Invoice, **more: Any) -> Origin:
    """What the metadata of a pushed invoice says."""
    fields: dict[str, Any] = {"doc_num": one.doc_num, "card_code": one.card_code, "doc_total": total_text(one), **more}
    return Origin(fields.pop("company", COMPANY), fields.pop("doc_entry", one.doc_entry), **fields)


def on(one: Invoice, amount: int, **more: Any) -> Paid:
    """What a payment gave to a pushed invoice."""
    return Paid(f"in_{one.doc_entry}", "payment_intent", "pi_x", "paid", euro(amount), origin=origin(one, **more))


def payment(amount: int, *paid: Paid, origin: Origin | None = None, ident: str = "pi_x") -> Payment:
    """A succeeded payment."""
    return Payment(ident, "succeeded", euro(amount), "cus_1", 0, None, origin or Origin(), paid)


def shelf(*invoices: Invoice) -> Shelf:
    """What is open."""
    return Shelf(COMPANY, "EUR", {one.doc_entry: one for one in invoices})


def parts(found: Match | NoMatch) -> list[tuple[int, int]]:
    """Return the allocations of a match."""
    assert isinstance(found, Match), found
    return [(one.doc_entry, one.amount.minor) for one in found.allocations]


A, B, OTHER, CLOSED = invoice(1), invoice(2, 5000), invoice(3, 7000, card="C2"), invoice(4, 3000, 3000)


@pytest.mark.parametrize(
    ("amount", "paid", "expected"),
    [
        (10000, [(A, 10000)], [(1, 10000)]),
        (400, [(A, 400)], [(1, 400)]),
        (15000, [(A, 10000), (B, 5000)], [(1, 10000), (2, 5000)]),
        (15000, [(B, 5000), (A, 10000)], [(2, 5000), (1, 10000)]),
        (12000, [(A, 10000)], [(1, 10000)]),
        (12000, [(A, 12000)], [(1, 10000)]),
        (600, [(A, 100), (A, 500)], [(1, 100), (1, 500)]),
        (12000, [(A, 6000), (A, 6000)], [(1, 6000), (1, 4000)]),
    ],
)
def test_a_payment_pays_what_it_paid_at_stripe(
    amount: int, paid: list[tuple[Invoice, int]], expected: list[tuple[int, int]]
) -> None:
    """R3: the invoices a payment paid take their parts in order, never more than is open; the rest stays on account."""
    found = match_payment(payment(amount, *(on(*one) for one in paid)), shelf(A, B, OTHER))
    assert parts(found) == expected
    assert isinstance(found, Match)
    assert found.rule == "R3"


def test_our_numbers_in_the_payment_itself_count() -> None:
    """R2: a payment that carries our numbers itself pays that invoice."""
    found = match_payment(payment(400, origin=origin(A)), shelf(A, B))
    assert parts(found) == [(1, 400)]


def test_a_persons_decision_comes_first() -> None:
    """R1: what a person said wins over what the payment names, in the order said."""
    found = match_payment(payment(12000, on(A, 12000)), shelf(A, B), [2, 1])
    assert parts(found) == [(2, 5000), (1, 7000)]


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (payment(100), "no_open_invoice"),
        (payment(100, on(A, 100, doc_num=9)), "conflict"),
        (payment(100, on(A, 100, card_code="C9")), "conflict"),
        (payment(100, on(A, 100, doc_total="99")), "conflict"),
        (payment(100, on(A, 100, doc_num=None)), "conflict"),
        (payment(100, on(A, 100, card_code="")), "conflict"),
        (payment(100, on(A, 100, doc_entry=99)), "gone_from_sap"),
        (payment(100, on(A, 50), on(OTHER, 50)), "several_partners"),
        (payment(100, on(CLOSED, 100)), "maybe_booked"),
        (payment(100, on(A, 50), on(CLOSED, 50)), "maybe_booked"),
        (payment(100, on(A, 50), on(B, 50, company="OTHER")), "several_partners"),
        (payment(100, Paid("in_s", "payment_intent", "pi_x", "paid", euro(100))), "no_open_invoice"),
        (payment(100, on(A, 50), Paid("in_s", "payment_intent", "pi_x", "paid", euro(50))), "no_open_invoice"),
        (payment(100, origin=origin(A, doc_num=9)), "conflict"),
        (payment(100, on(invoice(6, branch=1), 50), on(invoice(7, branch=2), 50)), "several_partners"),
        (payment(100, on(invoice(8, cancelled=True), 100)), "maybe_booked"),
    ],
)
def test_what_cannot_be_matched_says_why(one: Payment, reason: str) -> None:
    """Doubt is a reason, never a guess."""
    known = shelf(A, B, OTHER, CLOSED, invoice(6, branch=1), invoice(7, branch=2), invoice(8, cancelled=True))
    found = match_payment(one, known)
    assert isinstance(found, NoMatch)
    assert found.reason == reason


def test_candidates_are_what_fits_exactly() -> None:
    """A payment without a name lists the invoices of its sum by number, oldest first."""
    found = match_payment(payment(5000), shelf(A, B, invoice(9, 5000, card="C7"), CLOSED))
    assert isinstance(found, NoMatch)
    assert found.candidates == ("1002", "1009")


def test_what_one_takes_is_gone_for_the_next() -> None:
    """Two payments of a batch never take the same cent of an invoice."""
    known = shelf(A)
    first = match_payment(payment(7000, on(A, 7000)), known)
    assert isinstance(first, Match)
    known.take(first)
    assert parts(match_payment(payment(7000, on(A, 7000)), known)) == [(1, 3000)]


def test_another_companys_objects_are_foreign() -> None:
    """Foreign is what names another company only; what names nobody or us is not."""
    assert is_foreign(payment(1, origin=Origin("OTHER", 1)), COMPANY)
    assert is_foreign(payment(1, on(A, 1, company="OTHER")), COMPANY)
    assert not is_foreign(payment(1), COMPANY)
    assert not is_foreign(payment(1, on(A, 1), on(B, 1, company="OTHER")), COMPANY)
    assert named_entries(payment(1, on(A, 1), on(B, 1, company="OTHER")), COMPANY) == [1]


INVOICES = st.lists(
    st.tuples(st.integers(1, 20000), st.integers(0, 20000), st.sampled_from(["C1", "C1", "C2"])), min_size=1, max_size=6
).map(lambda rows: [invoice(n, total, min(paid, total), card) for n, (total, paid, card) in enumerate(rows, 1)])


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Invoice], list[Payment]]:
    """A few invoices and payments on them, some paying too much."""
    invoices = draw(INVOICES)
    made = []
    for number in range(draw(st.integers(1, 5))):
        rows = draw(st.lists(st.tuples(st.sampled_from(invoices), st.integers(1, 20000)), min_size=1, max_size=3))
        total = sum(amount for _, amount in rows) + draw(st.integers(0, 500))
        made.append(payment(total, *(on(one, amount) for one, amount in rows), ident=f"pi_{number}"))
    return invoices, made


def played(invoices: list[Invoice], payments: list[Payment]) -> dict[str, Match | NoMatch]:
    """Match one after the other, as a batch does."""
    known, found = shelf(*invoices), {}
    for one in payments:
        found[one.id] = match_payment(one, known)
        if isinstance(found[one.id], Match):
            known.take(found[one.id])  # type: ignore[arg-type]
    return found


@given(worlds())
def test_never_more_applied_than_open_or_paid(world: tuple[list[Invoice], list[Payment]]) -> None:
    """Over all payments of a batch no invoice takes more than is open, and no payment gives more than it is."""
    invoices, payments = world
    taken: Counter[int] = Counter()
    for one, found in zip(payments, played(invoices, payments).values(), strict=True):
        if isinstance(found, Match):
            assert sum(part.amount.minor for part in found.allocations) <= one.amount.minor
            assert all(part.amount.minor > 0 for part in found.allocations)
            taken.update({part.doc_entry: 0 for part in found.allocations})
            for part in found.allocations:
                taken[part.doc_entry] += part.amount.minor
    assert all(taken[one.doc_entry] <= one.balance * 100 for one in invoices)


@given(worlds(), st.integers(0, 99))
def test_the_order_of_the_invoices_is_nothing(world: tuple[list[Invoice], list[Payment]], seed: int) -> None:
    """The order in which SAP lists its invoices changes nothing."""
    invoices, payments = world
    mixed = list(invoices)
    random.Random(seed).shuffle(mixed)
    assert played(mixed, payments) == played(invoices, payments)


@given(worlds(), st.integers(1, 20000), st.sampled_from(["C1", "C2", "C3"]))
def test_an_unrelated_invoice_changes_nothing(world: tuple[list[Invoice], list[Payment]], total: int, card: str) -> None:
    """One more open invoice, of whatever customer and sum, changes no match and no reason."""
    invoices, payments = world
    assert played([*invoices, invoice(77, total, card=card)], payments) == played(invoices, payments)
