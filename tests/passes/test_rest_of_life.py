"""What SAP does to an invoice after the push: credited beyond what is open, written off, due at another date."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path

from harness import TODAY
from ledgers import BOOK, Ledgers, reasons


def trail(books: Ledgers, word: str) -> list[str]:
    """The sentences of the audit trail that contain a word."""
    opened = books.open()
    try:
        return [str(row.data) for row in opened.journal.audit.rows() if word in str(row.data)]
    finally:
        opened.close()


def notes(books: Ledgers) -> list[dict[str, object]]:
    """The credit notes at Stripe, in the figures that count."""
    keys = ("amount", "pre_payment_amount", "post_payment_amount", "out_of_band_amount")
    return [{key: one.get(key) or 0 for key in keys} for one in books.account.all("credit_note")]


def test_a_credit_memo_beyond_what_is_open(tmp_path: Path) -> None:
    """What is still asked for is credited; the part that was paid already is left alone, or told out of band, as configured."""
    for how, rest in (("leave", 0), ("out_of_band", 4900)):
        folder = tmp_path / how
        folder.mkdir()
        books = Ledgers(folder, count=1, config=f"{BOOK}\ncredit_rest: {how}")
        (entry,) = books.entries
        books.account.pay_partly(books.asked[entry], 9000)
        books.all()
        books.books.credit_memo(entry, Decimal("78.00"))
        books.all()
        (note,) = notes(books)
        assert note == {
            "amount": 2900 + rest,
            "pre_payment_amount": 2900,
            "post_payment_amount": rest,
            "out_of_band_amount": rest,
        }
        assert books.account.read(books.asked[entry])["amount_remaining"] == 0
        assert books.held() == {}
        assert books.account.mails == []
        assert any("49.00 EUR more than was open" in text for text in trail(books, "more than was open"))
        count = len(notes(books))
        books.clock.pass_time(7200)
        books.all()
        assert len(notes(books)) == count


def test_a_credit_memo_of_a_paid_invoice(tmp_path: Path) -> None:
    """An invoice paid at Stripe and credited in SAP afterwards gets a credit note out of band where that is configured, once."""
    for how, expected in (("leave", 0), ("out_of_band", 1)):
        folder = tmp_path / how
        folder.mkdir()
        books = Ledgers(folder, count=2, config=f"{BOOK}\ncredit_rest: {how}")
        books.pay(*books.entries)
        books.books.credit_memo(books.entries[0], Decimal("30.00"))
        for _ in range(3):
            books.clock.pass_time(3700)
            books.all()
        assert len(notes(books)) == expected
        if expected:
            assert notes(books)[0]["out_of_band_amount"] == 3000
        assert books.held() == {}


def test_written_off(tmp_path: Path) -> None:
    """A write-off that neither receipt nor credit memo explains is held; marked uncollectible at Stripe it is at peace."""
    books = Ledgers(tmp_path, count=2)
    whole, part = books.entries
    books.books.write_off(whole)
    books.books.write_off(part, Decimal("19.00"))
    books.all()
    assert reasons(books) == {str(whole): "balance_unexplained", str(part): "balance_unexplained"}
    books.account.mark_uncollectible(books.asked[whole])
    books.clock.pass_time(7 * 3600)
    books.all()
    assert reasons(books) == {str(part): "balance_unexplained"}


def test_a_new_due_date_is_told_once(tmp_path: Path) -> None:
    """A due date that changes in SAP is a line of the trail; nothing is sent, and it is not told again."""
    books = Ledgers(tmp_path, count=1)
    (entry,) = books.entries
    before = len(books.requests("stripe"))
    books.books.change_due_date(entry, TODAY + datetime.timedelta(days=60))
    for _ in range(3):
        books.clock.pass_time(3700)
        books.all()
    assert len(trail(books, "due date of invoice 1001 changed")) == 1
    assert [one for one in books.requests("stripe", before) if one[0] != "GET"] == []
    assert books.held() == {}


def test_stripe_is_told_of_a_memo_once(tmp_path: Path) -> None:
    """A memo is told out of band once, also after the state was lost; not one that was taken off before, nor beyond what is left."""
    books = Ledgers(tmp_path, count=2, config=f"{BOOK}\ncredit_rest: out_of_band")
    told, refunded = books.entries
    before = books.invoice("C1")
    books.books.credit_memo(before, Decimal("30.00"))
    books.all()
    books.asked = books.pushed()
    (_, payment, _) = books.pay(told, refunded, before)
    books.account.refund(payment, 2000)
    books.all()
    books.books.credit_memo(told, Decimal("80.00"))
    books.books.credit_memo(told, Decimal("70.00"))
    books.books.credit_memo(refunded, Decimal("20.00"))
    for _ in range(2):
        books.clock.pass_time(2 * 86400)
        books.all()
        assert [one["out_of_band_amount"] for one in notes(books)] == [8000]
        assert list(reasons(books).values()) == ["amount_mismatch"]
        books.forget()


def test_paid_in_part_there_and_wholly_here(tmp_path: Path) -> None:
    """A part paid at Stripe and the whole keyed in SAP by hand: both are held, and nothing beyond the rest is reported."""
    books = Ledgers(tmp_path, count=1)
    (entry,) = books.entries
    payment = books.account.pay_partly(books.asked[entry], 522)
    books.books.add_receipt("C1", Decimal("119.00"), {entry: Decimal("119.00")}, date=TODAY)
    books.all()
    assert reasons(books) == {payment: "maybe_booked", str(entry): "balance_unexplained"}
    assert books.account.all("payment_record") == []
    assert books.account.read(books.asked[entry])["amount_remaining"] == 11900 - 522
