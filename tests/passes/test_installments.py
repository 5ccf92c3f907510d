"""Invoices in installments: asked for at once or one after the other, posted by InstallmentId, never asked twice."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness import TODAY
from ledgers import Ledgers, reasons
from mlc.core.facts import Installment
from mlc.passes import installments

PLAN = (("40.00", 10), ("40.00", 40), ("39.00", 70))


def company(folder: Path, how: str) -> tuple[Ledgers, int]:
    """A company with one invoice of 119.00 in three installments, pushed."""
    books = Ledgers(folder, count=1, sap_config=f"installments: {how}")
    plan = [(TODAY + datetime.timedelta(days=days), Decimal(amount)) for amount, days in PLAN]
    entry = books.invoice("C2", installments=plan)
    books.all()
    books.asked = books.pushed()
    return books, entry


def rows(books: Ledgers, payment: str) -> list[tuple[int, Decimal]]:
    """(InstallmentId, applied) of a posted payment."""
    (receipt,) = books.posted()[payment]
    return [(row.installment, row.applied) for row in receipt.rows]


def open_at_stripe(books: Ledgers, entry: int) -> list[dict[str, Any]]:
    """The invoices of a document that can be paid now."""
    found = books.account.all("invoice", metadata={"sap_doc_entry": str(entry)})
    return [one for one in found if one["status"] == "open"]


def test_hold_is_the_default(tmp_path: Path) -> None:
    """Without a word in the configuration an invoice in installments is held."""
    books, entry = company(tmp_path, "hold")
    assert reasons(books) == {str(entry): "installments"}


def test_in_total(tmp_path: Path) -> None:
    """total: the whole is asked for, and each payment takes the installments in the order in which they are due."""
    books, entry = company(tmp_path, "total")
    assert [one["amount_due"] for one in open_at_stripe(books, entry)] == [11900]
    first = books.account.pay_partly(books.asked[entry], 5000)
    rest = books.account.pay(books.asked[entry])
    books.all()
    taken = [row for payment in (first, rest) for row in rows(books, payment)]
    assert [sum(amount for number, amount in taken if number == turn) for turn in (1, 2, 3)] == [40, 40, 39]
    assert books.books.open_balance(entry) == 0
    refund = books.account.refund(first)
    books.all()
    assert (reasons(books), books.owed("C2")) == ({refund: "reopened"}, 5000)
    books.prove()


def test_one_after_the_other(tmp_path: Path) -> None:
    """next_due: one installment is asked for, the next once SAP shows it paid; with or without memory, never two at once."""
    books, entry = company(tmp_path, "next_due")
    for number, (amount, days) in enumerate(PLAN, 1):
        (asked,) = open_at_stripe(books, entry)
        assert asked["amount_due"] == int(Decimal(amount) * 100)
        assert asked["metadata"]["sap_installment"] == str(number)
        due = datetime.datetime.fromtimestamp(asked["due_date"], datetime.UTC).date()
        assert due == TODAY + datetime.timedelta(days=max(days, 7))
        if number == 2:
            books.forget()
            books.all()
            assert [one["id"] for one in open_at_stripe(books, entry)] == [asked["id"]]
        payment = books.account.pay(asked["id"])
        books.all()
        assert rows(books, payment) == [(number, Decimal(amount))]
    assert open_at_stripe(books, entry) == []
    assert (books.held(), books.books.open_balance(entry)) == ({}, 0)
    assert len(books.account.all("invoice", metadata={"sap_doc_entry": str(entry)})) == 3
    books.prove()


def test_the_next_waits_for_the_money_of_the_one_before(tmp_path: Path) -> None:
    """While the payment of an installment is held, the next one is not asked for: SAP does not show the first as paid."""
    books, entry = company(tmp_path, "next_due")
    (asked,) = open_at_stripe(books, entry)
    books.books.add_receipt("C2", Decimal("40.00"), {}, date=TODAY)
    payment = books.account.pay(asked["id"])
    books.all()
    assert reasons(books)[payment] == "maybe_booked"
    assert open_at_stripe(books, entry) == []
    books.forget()
    books.all()
    assert len(books.account.all("invoice", metadata={"sap_doc_entry": str(entry)})) == 1


def test_a_hand_in_between(tmp_path: Path) -> None:
    """A receipt keyed on another installment changes nothing at Stripe; one keyed on the one that is asked for is held."""
    books, entry = company(tmp_path, "next_due")
    (asked,) = open_at_stripe(books, entry)
    books.books.add_receipt("C2", Decimal("39.00"), {entry: Decimal("39.00")}, date=TODAY, installment=3)
    books.all()
    assert (books.held(), [one["amount_remaining"] for one in open_at_stripe(books, entry)]) == ({}, [4000])
    books.account.pay(asked["id"])
    books.all()
    books.books.add_receipt("C2", Decimal("15.00"), {entry: Decimal("15.00")}, date=TODAY, installment=2)
    books.all()
    assert reasons(books) == {str(entry): "balance_unexplained"}
    books.forget()
    books.all()
    assert reasons(books) == {str(entry): "balance_unexplained"}
    (asked,) = open_at_stripe(books, entry)
    books.account.void(asked["id"])
    books.run("push-invoices", since=None)
    assert open_at_stripe(books, entry) == []


@pytest.mark.parametrize("how", ["total", "next_due"])
def test_paid_before_the_push(tmp_path: Path, how: str) -> None:
    """What was paid of the installments before the push is not asked for."""
    books = Ledgers(tmp_path, count=1, sap_config=f"installments: {how}")
    plan = [(TODAY + datetime.timedelta(days=days), Decimal(amount)) for amount, days in PLAN]
    entry = books.invoice("C2", installments=plan)
    for amount in (Decimal("15.00"), Decimal("25.00")):
        books.books.add_receipt("C2", amount, {entry: amount}, date=TODAY, installment=1)
    books.all()
    (asked,) = open_at_stripe(books, entry)
    assert asked["amount_due"] == (7900 if how == "total" else 4000)
    payment = books.account.pay(asked["id"])
    books.all()
    assert rows(books, payment)[0] == (2, Decimal("40.00"))


@pytest.mark.parametrize(("balance", "known"), [("79.00", True), ("78.99", False), ("119.00", False)])
def test_rows_that_are_not_the_balance_tell_nothing(balance: str, known: bool) -> None:
    """What is open of each installment counts only where the rows add up to the balance SAP shows, to the cent."""
    parts = tuple(Installment(number, TODAY, Decimal(amount)) for number, (amount, _) in enumerate(PLAN, 1))
    one: Any = SimpleNamespace(
        total=Decimal("119.00"),
        doc_entry=7,
        card_code="C2",
        trans_num=70,
        currency="EUR",
        balance=Decimal(balance),
        installments=3,
        plan=parts,
    )
    entry = SimpleNamespace(lines=[SimpleNamespace(line_id=row, short_name="C2") for row in range(3)])
    there = [SimpleNamespace(trans=70, row=row, amount=Decimal(amount)) for row, amount in ((1, "40.00"), (2, "39.00"))]
    sap = SimpleNamespace(
        invoices=lambda *_, **__: {7: one}, entries_by_number=lambda _: {70: entry}, open_items=lambda _: there
    )  # fmt: skip
    scene: Any = SimpleNamespace(sap=sap, currency="EUR", is_local=lambda _: True)
    found = installments.read(scene, [one])[7]
    assert [part.open for part in found] == ([0, 4000, 3900] if known else [])
