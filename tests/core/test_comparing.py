"""Both sides of one thing: what counts as the same, what as a difference, and what cannot be compared."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from mlc.core import comparing
from mlc.core.comparing import Field, Posted, Side, Taken, Tally, Terms
from mlc.core.facts import Booked, BookedLine, Invoice, Origin, ProcessorInvoice
from mlc.core.money import Money

DAY = date(2026, 11, 3)
EUR = Money(11900, "EUR")
TERMS = Terms("EUR", date(2026, 10, 1), "1361")
PAY = "pi_3ABCDEFGHIJKLMNOPQRSTUVW"
TAKEN = Taken(PAY, "succeeded", EUR, 1, datetime(2026, 11, 3, tzinfo=UTC), "SBODEMO", "C1")
RECEIPT = Posted(7, 5007, "C1", DAY, "EUR", Decimal("119.00"), PAY, cancelled=False, account="1361")
LATER = replace(RECEIPT, day=date(2026, 12, 1))


@pytest.mark.parametrize(("taken", "posted", "state", "fields"), [
    ({}, [RECEIPT], "same", []),
    ({}, [], "missing_in_sap", []),
    ({}, [RECEIPT, replace(RECEIPT, doc_num=5008)], "twice", []),
    ({}, [replace(RECEIPT, cancelled=True), replace(RECEIPT, doc_num=5008)], "same", []),
    ({}, [replace(RECEIPT, cancelled=True)], "missing_in_sap", []),
    ({"refunded": 11900}, [replace(RECEIPT, cancelled=True)], "same", []),
    ({"refunded": 11899}, [replace(RECEIPT, cancelled=True)], "missing_in_sap", []),
    ({}, [replace(RECEIPT, total=Decimal("119.01"))], "different", ["amount"]),
    ({}, [replace(RECEIPT, total=Decimal("119.005"))], "different", ["amount"]),
    ({}, [replace(RECEIPT, total=Decimal("118.9999999999"))], "same", []),
    ({}, [replace(RECEIPT, currency="USD")], "different", ["currency"]),
    ({}, [replace(RECEIPT, card_code="C2")], "different", ["customer"]),
    ({"card": ""}, [replace(RECEIPT, card_code="C2")], "same", []),
    ({}, [replace(RECEIPT, account="1200")], "different", ["clearing_account"]),
    ({}, [LATER], "different", ["date"]),
    ({}, [replace(LATER, remarks=f"Stripe {PAY}: 1001, received 2026-11-03")], "same", []),
    ({}, [replace(LATER, remarks=f"Stripe {PAY}: 1001, received 2026-11-02")], "different", ["date"]),
    ({}, [replace(RECEIPT, day=date(2026, 11, 2), card_code="C9")], "different", ["customer", "date"]),
    ({"status": "pending", "at": None}, [], "on_its_way", []),
    ({"status": "pending", "at": None}, [RECEIPT], "different", ["status"]),
    ({"status": "failed", "at": None}, [RECEIPT], "different", ["status"]),
    ({"amount": Money(700, "USD")}, [], "not_comparable", []),
    ({"amount": Money(11900, "USD")}, [RECEIPT], "different", ["currency"]),
])  # fmt: skip
def test_payments(taken: dict[str, object], posted: list[Posted], state: str, fields: list[str]) -> None:
    """A payment is in SAP when exactly one live receipt carries its mark, with its sum, customer, account and day."""
    one = replace(TAKEN, **taken)  # type: ignore[arg-type]
    found = comparing.payment(one, DAY if one.at else None, posted, TERMS)
    assert (found.state, [field.name for field in found.fields]) == (state, fields)


def test_the_next_open_day_is_no_difference() -> None:
    """A day that the configuration moves a posting to is told from one that a person chose."""
    terms = replace(TERMS, moved=lambda success, booked: (success, booked) == (DAY, LATER.day))
    assert comparing.payment(TAKEN, DAY, [LATER], terms).state == "same"
    assert comparing.payment(TAKEN, DAY, [replace(RECEIPT, day=date(2026, 12, 2))], terms).state == "different"


def entry(number: int, minor: str, account: str = "1200") -> Booked:
    """An entry that moves an account against the clearing account."""
    lines = (BookedLine(0, account, "", Decimal(minor)), BookedLine(1, "1361", "", -Decimal(minor)))
    return Booked(number, number, "po_123456789", DAY, lines)


@pytest.mark.parametrize(("carrying", "standing", "state", "other"), [
    ([entry(1, "119.00")], 1, "same", "1"),
    ([], 0, "missing_in_sap", ""),
    ([entry(1, "119.00"), entry(2, "-119.00")], 0, "missing_in_sap", "1"),
    ([entry(1, "119.00"), entry(2, "119.00")], 2, "twice", "1, 2"),
    ([entry(1, "118.00")], 1, "different", "1"),
    ([entry(1, "119.00", "1210")], 1, "different", "1"),
])  # fmt: skip
def test_entries(carrying: list[Booked], standing: int, state: str, other: str) -> None:
    """An entry is the same when one stands under the reference and moves the account by the processor's sum."""
    side = Side("payout", "po_123456789", EUR, "bank", ("1200",))
    found = comparing.entry(side, carrying, carrying[:standing])
    assert (found.state, found.other) == (state, other)
    assert comparing.entry(replace(side, accounts=()), carrying, carrying[:standing]).state == state.replace(
        "different", "same"
    )


def test_an_entry_at_a_rate() -> None:
    """What SAP holds at a rate is compared by the line that shows the processor's own currency, and not at all without one."""
    side = Side("payout", "PO123456789012", Money(11900, "GBP"), "bank", ("1200",), converted=True)
    local = entry(1, "140.00")
    shown = replace(local, lines=(replace(local.lines[0], foreign=Decimal(119), currency="GBP"), local.lines[1]))
    wrong = replace(local, lines=(replace(local.lines[0], foreign=Decimal(118), currency="GBP"), local.lines[1]))
    assert [comparing.entry(side, [one], [one]).state for one in (local, shown, wrong)] == ["same", "same", "different"]


def doc(**more: object) -> Invoice:
    """An open invoice of 119.00."""
    return replace(
        Invoice(4, 1004, "C1", DAY, DAY, "EUR", Decimal(119), Decimal(0), cancelled=False, open=True), **more  # type: ignore[arg-type]
    )  # fmt: skip


def asked(status: str = "open", remaining: int = 11900, ident: str = "in_1", **more: object) -> ProcessorInvoice:
    """What Stripe has for it."""
    origin = Origin("SBODEMO", 4, 1004, "C1", "k", "119", **more)  # type: ignore[arg-type]
    return ProcessorInvoice(ident, status, "cus_1", 1, EUR, EUR, Money(remaining, "EUR"), origin)


PAID = doc(paid=Decimal(119), open=False)
FOUND = [
    (doc(), [asked()], "same", []), (PAID, [asked("paid", 0)], "same", []), (PAID, [asked("void", 0)], None, []), (PAID, [], None, []),
    (doc(), [], "missing_at_stripe", []), (doc(doc_date=date(2026, 9, 30)), [], None, []), (doc(), [asked("draft")], "on_its_way", []),
    (doc(), [asked("void", 0)], "different", ["status"]), (doc(), [asked("paid", 0)], "different", ["status", "open"]),
    (doc(), [asked("uncollectible")], "different", ["status", "open"]), (PAID, [asked()], "different", ["status", "open"]),
    (doc(cancelled=True), [asked()], "different", ["status", "open"]), (doc(cancelled=True), [], None, []),
    (doc(paid=Decimal(19)), [asked()], "different", ["open"]), (doc(paid=Decimal(19)), [asked(remaining=10000)], "same", []),
    (doc(), [asked(), asked(ident="in_2")], "twice", []), (doc(), [asked(), asked("void", 0, "in_2")], "same", []),
    (doc(), [asked(), asked("paid", 0, "in_2")], "same", []),  # asked for anew after its money went back
    (PAID, [asked(), asked("paid", 0, "in_2")], "twice", []), (PAID, [asked("paid", 0), asked("paid", 0, "in_2")], "twice", []),
    (None, [asked()], "missing_in_sap", []), (None, [asked("void", 0)], None, []),
    (doc(doc_num=1005), [asked()], "different", ["doc_num"]), (doc(card_code="C2"), [asked()], "different", ["customer"]),
    (doc(total=Decimal(120), paid=Decimal(1)), [asked()], "different", ["total"]),
    (doc(total=Decimal("0.10")), [], "not_comparable", []), (doc(installments=3), [], "not_comparable", []),
    (doc(installments=3), [asked(remaining=4000, installment=1)], "same", []),
    (doc(installments=3), [asked(remaining=4000, installment=1), asked(remaining=4000, ident="in_2", installment=1)], "twice", []),
    (doc(installments=3, paid=Decimal(100)), [asked(remaining=4000, installment=1)], "different", ["open"]),
]  # fmt: skip


@pytest.mark.parametrize(("document", "stripe", "state", "fields"), FOUND)
def test_invoices(document: Invoice | None, stripe: list[ProcessorInvoice], state: str | None, fields: list[str]) -> None:
    """What SAP has open is what Stripe asks for, once, under the document's own number, customer and total."""
    found = comparing.invoice(document, stripe, TERMS, local=True)
    assert (found.state if found else None, [field.name for field in found.fields] if found else []) == (state, fields)


def test_an_invoice_that_only_lacks_a_payment_told_before() -> None:
    """Where a payment that SAP lacks explains the whole difference, the invoice is not told as another one."""
    assert comparing.invoice(doc(), [asked("paid", 0)], TERMS, local=True, away=11900).state == "follows"  # type: ignore[union-attr]
    assert comparing.invoice(doc(), [asked(remaining=1900)], TERMS, local=True, away=10000).state == "follows"  # type: ignore[union-attr]
    assert comparing.invoice(doc(), [asked(remaining=1900)], TERMS, local=True, away=9999).state == "different"  # type: ignore[union-attr]


def test_another_currency_is_not_compared() -> None:
    """An invoice in another currency is no difference, whether Stripe asks for it or not."""
    states = [comparing.invoice(doc(currency="USD"), one, TERMS, local=False) for one in ([], [asked()])]
    assert [found.state if found else None for found in states] == ["not_comparable", "not_comparable"]


def test_counts() -> None:
    """Everything is counted by kind, sums by currency, and only what is missing, twice or different makes it wrong."""
    tally = Tally()
    for state in ("same", "on_its_way", "not_comparable", "follows"):
        tally.add(replace(comparing.payment(TAKEN, DAY, [RECEIPT], TERMS), state=state))
    assert tally.wrong == 0
    tally.add(comparing.payment(TAKEN, DAY, [], TERMS))
    tally.add(comparing.unknown_payment(RECEIPT))
    assert tally.wrong == 2
    assert (tally.of("payment")["compared"], tally.of("payment")["same"], tally.of("invoice")["compared"]) == (4, 1, 0)
    assert tally.sums["payment", "missing_in_sap", "EUR"] == 11900
    assert Field("x", None, "y").sap is None
