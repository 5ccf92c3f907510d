"""Refunds, disputes and returned debits are booked once, on the right customer, by the recorded allocation (complaints 5, 6, 7)."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from harness import TODAY
from ledgers import BOOK, CLEARING, FEES, Ledgers, reasons
from mlc.engine.road import Options
from mlc.passes.post_payments import PostPayments


@pytest.fixture
def books(tmp_path: Path) -> Ledgers:
    """Four pushed invoices of two customers; what goes back is booked."""
    return Ledgers(tmp_path)


def test_refunds_of_every_kind(books: Ledgers) -> None:
    """Full, partial, several of one payment, one that fails later: each is one entry, its failure another."""
    one, two, three, _ = books.pay(*books.entries)
    full, part, second, failing = (
        books.account.refund(one), books.account.refund(two, 2000), books.account.refund(two, 500), books.account.refund(three),
    )  # fmt: skip
    books.all()
    assert books.owed("C1") == 11900 + 11900
    assert books.owed("C2") == 2500
    assert reasons(books) == dict.fromkeys((full, part, second, failing), "reopened")
    books.account.fail_refund(failing)
    books.all()
    assert {full, part, second, failing, f"{failing}/failed"} <= set(books.references())
    assert (books.owed("C1"), books.owed("C2")) == (11900, 2500)
    assert reasons(books) == dict.fromkeys((full, part, second), "reopened")
    books.prove()


def test_a_refund_finds_its_credit_memo(books: Ledgers) -> None:
    """A credit memo of the refund's sum settles it by itself, whenever it comes; a dispute is never settled so."""
    one, two, *_ = books.pay(*books.entries)
    refund = books.account.refund(one, 3000)
    books.all()
    assert reasons(books) == {refund: "reopened"}
    books.books.credit_memo(books.entries[0], Decimal("30.00"))
    books.books.credit_memo(books.entries[1], Decimal("119.00"))
    dispute = books.account.dispute(two)
    books.all()
    assert reasons(books) == {dispute: "reopened"}
    assert (books.owed("C1"), books.owed("C2")) == (0, 0)
    books.prove()


def test_an_overpayment_goes_back_from_the_account(books: Ledgers) -> None:
    """A refund of exactly what a payment left on account is settled with it, and no invoice is owed again."""
    books.account.overpay(books.asked[books.entries[0]], 15000)
    books.all()
    payment = next(iter(books.posted()))
    books.account.refund(payment, 3100)
    books.all()
    assert (books.held(), books.owed("C1")) == ({}, 11900)  # the other invoice of C1
    books.prove()


def test_disputes_go_both_ways(books: Ledgers) -> None:
    """An inquiry books nothing; withdrawn funds and their fee go onto the customer and fees; won ones come back; lost ones stay."""
    one, two, three, four = books.pay(*books.entries)
    asks, opened, lost = (
        books.account.dispute(one, "warning_needs_response"), books.account.dispute(two), books.account.dispute(three, "lost"),
    )  # fmt: skip
    books.all()
    assert asks not in books.references()
    assert (books.owed("C1"), books.owed("C2"), books.minor(FEES)) == (11900, 11900, 4000)
    books.account.win_dispute(opened)
    books.account.escalate_dispute(asks)
    books.account.lose_dispute(asks)
    seen_once = books.account.dispute(four)
    books.account.win_dispute(seen_once)  # opened and won between two runs: the fee stays
    books.all()
    assert (books.owed("C1"), books.owed("C2"), books.minor(FEES)) == (11900 * 2, 0, 8000)
    assert {opened, f"{opened}/won", lost, asks, seen_once, f"{seen_once}/won"} <= set(books.references())
    assert reasons(books) == dict.fromkeys((asks, lost), "reopened")
    books.prove()


@pytest.mark.parametrize("returned_fee", [True, False])
def test_a_debit_that_comes_back_as_a_failed_charge(tmp_path: Path, returned_fee: bool) -> None:
    """A bank debit that fails after it had succeeded goes back onto the customer, with or without its fee."""
    from mlc.sandbox.stripe.switches import StripeSwitches

    books = Ledgers(tmp_path, stripe={"switches": StripeSwitches(failed_debit_fee_returned=returned_fee)})
    payment = books.account.pay_late(books.asked[books.entries[0]])
    books.all()
    books.account.settle_late(payment)
    books.all()
    books.account.return_debit(payment)
    books.all()
    assert books.owed("C1") == 11900 * 2
    assert list(reasons(books).values()) == ["reopened"]
    books.prove()  # found again without memory, its entry and what is owed
    books.pay(books.entries[1])
    books.forget()
    books.pay_out()
    books.run("reconcile-payouts")  # first of all, while nothing is known of the debit: its fee is not booked a second time
    books.all()
    assert books.minor(CLEARING) == books.stripe_balance()
    assert list(reasons(books).values()) == ["reopened"]
    books.check()


def test_a_returned_debit_is_held_and_found_again(tmp_path: Path) -> None:
    """With hold a returned debit waits for a person, also after the state was lost."""
    books = Ledgers(tmp_path, config='suspense_account: "1590"')
    payment = books.account.pay_late(books.asked[books.entries[0]])
    books.all()
    books.account.settle_late(payment)
    books.all()
    books.account.return_debit(payment)
    books.all()
    assert reasons(books) == {payment: "returned"}
    books.forget()
    books.all()
    assert reasons(books) == {payment: "returned"}


def test_a_refund_keyed_by_hand_that_fails(books: Ledgers) -> None:
    """A refund that a person keyed and that fails is told, to be taken back by hand; also after the state was lost."""
    (payment,) = books.pay(books.entries[0])
    refund = books.account.refund(payment, 177)
    books.books.add_refund("C1", Decimal("1.77"), reference=refund)
    books.all()
    assert books.held() == {}
    books.account.fail_refund(refund)
    books.all()
    assert reasons(books) == {refund: "refund_failed"}
    books.forget()
    books.all()
    assert reasons(books) == {refund: "refund_failed"}
    assert refund not in books.references()


def test_with_hold_too_a_keyed_refund_is_recognised(tmp_path: Path) -> None:
    """With hold an outgoing payment that names the refund is its booking: nobody needs to dismiss it."""
    books = Ledgers(tmp_path, config='suspense_account: "1590"')
    one, two, *_ = books.pay(*books.entries)
    known, unknown = books.account.refund(one, 500), books.account.refund(two, 500)
    books.books.add_refund("C1", Decimal("5.00"), reference=known)
    books.all()
    assert reasons(books) == {unknown: "refund"}


def test_what_came_and_went_leaves_room_after_a_loss(books: Ledgers) -> None:
    """A refund that failed takes nothing of its payment: after a lost state the dispute behind it is found as it was booked."""
    (payment,) = books.pay(books.entries[0])
    refund = books.account.refund(payment)
    books.all()
    books.account.fail_refund(refund)
    books.all()
    dispute = books.account.dispute(payment)
    books.all()
    assert reasons(books) == {dispute: "reopened"}
    books.prove()


def test_what_a_person_keyed_first_is_never_booked_again(books: Ledgers) -> None:
    """An outgoing payment that names the refund is the refund; one of the same sum is asked about; a cancelled receipt counts too."""
    one, two, three, four = books.pay(*books.entries)
    known, unsure, cancelled, by_entry = (
        books.account.refund(one), books.account.refund(two), books.account.refund(three), books.account.refund(four, 700),
    )  # fmt: skip
    books.books.add_refund("C1", Decimal("119.00"), reference=known)
    books.books.add_refund("C2", Decimal("119.00"))
    (receipt,) = books.posted()[three]
    books.books.cancel_payment(receipt.doc_entry)
    books.books.refund_by_entry("C2", Decimal("7.00"), reference=by_entry)
    books.all()
    waits = {
        unsure: "maybe_booked",
        str(books.entries[2]): "reopened",
        by_entry: "reopened",
    }  # a cancelled receipt opens its invoice
    assert reasons(books) == waits
    assert not {known, unsure, cancelled} & set(books.references())
    assert books.references().get(by_entry) == 1
    assert (books.owed("C1"), books.owed("C2")) == (11900 * 2, 11900 + 700)
    books.prove()


def test_the_payment_must_stand_before_it_goes_back(books: Ledgers) -> None:
    """A refund of a payment that is held waits for it and says so; once the payment is posted the refund follows by itself."""
    entry = books.entries[0]
    payment = books.account.pay(books.asked[entry])
    books.books.add_receipt("C1", Decimal("119.00"), {}, date=TODAY)  # looks like it: the payment is held
    books.all()
    refund = books.account.refund(payment, 1900)
    books.all()
    assert reasons(books) == {payment: "maybe_booked", refund: "original_not_found"}
    again(books, payment, payment)
    books.all()
    assert reasons(books)[refund] == "reopened"
    assert books.references()[refund] == 1


def test_several_invoices_in_one_payment(books: Ledgers) -> None:
    """The whole goes back to each invoice; a part of it to the customer, naming both and claiming neither."""
    first, second = books.entries[0], books.entries[2]
    payment = books.account.pay_many([books.asked[first], books.asked[second]])
    books.all()
    part, rest = books.account.refund(payment, 5000), books.account.refund(payment, 18800)
    books.all()
    lines = {
        one.reference2: sorted((line.net, line.fields.get("Reference2")) for line in one.lines if line.short_name == "C1")
        for one in books.books.entries() if one.reference2 in (part, rest)
    }  # fmt: skip
    assert lines == {part: [(Decimal("50.00"), "1001, 1003")], rest: [(Decimal("188.00"), "1001, 1003")]}
    books.prove()


def test_pending_refunds_wait(tmp_path: Path) -> None:
    """A refund on its way is seen and not booked; it is booked when it arrives, and never when it fails first (complaint 5)."""
    from mlc.sandbox.stripe.switches import StripeSwitches

    books = Ledgers(tmp_path, stripe={"switches": StripeSwitches(refund_pending=True)})
    one, two, *_ = books.pay(*books.entries)
    arrives, fails = books.account.refund(one), books.account.refund(two)
    books.all()
    assert reasons(books) == {arrives: "refund_pending", fails: "refund_pending"}
    books.account.settle_refund(arrives)
    books.account.fail_refund(fails)
    books.all()
    assert reasons(books) == {arrives: "reopened"}
    assert fails not in books.references()
    books.prove()


def test_a_dismissed_reversal_is_left_alone(tmp_path: Path) -> None:
    """What a person dismissed while it was held is not booked when the configuration says book later on."""
    books = Ledgers(tmp_path, config='suspense_account: "1590"')
    one, two, *_ = books.pay(*books.entries)
    dismissed, held = books.account.refund(one), books.account.refund(two)
    books.all()
    assert reasons(books) == {dismissed: "refund", held: "refund"}
    opened = books.open()
    opened.journal.dismiss(f"SBODEMO/refund/stripe/{dismissed}", "booked", "me")
    opened.close()
    books.settings.tenants["acme"].stripe.__dict__["refunds"] = "book"
    books.all()
    assert reasons(books) == {held: "reopened"}
    assert dismissed not in books.references()


def test_an_entry_that_was_reversed_in_sap_stays_reversed(books: Ledgers) -> None:
    """Whoever cancels our entry in SAP meant it: held, and booked anew only where a person insists."""
    (payment,) = books.pay(books.entries[0])
    refund = books.account.refund(payment, 900)
    books.all()
    (entry,) = [one for one in books.books.entries() if one.reference2 == refund]
    books.books.cancel_entry(entry.trans_id)
    books.account.duplicate_events("refund.")
    books.all()
    assert reasons(books)[refund] == "cancelled_in_sap"


def test_a_closed_period_holds_it(books: Ledgers) -> None:
    """A refund of a closed month is held until the month is open."""
    (payment,) = books.pay(books.entries[0])
    refund = books.account.refund(payment)
    books.books.close_period(TODAY.year, TODAY.month)
    books.run("post-payments")
    assert reasons(books)[refund] == "closed_period"
    books.books.open_period(TODAY.year, TODAY.month)
    books.all()
    assert reasons(books)[refund] == "reopened"
    books.prove()


def test_receipts_that_somebody_cancelled_are_seen(books: Ledgers) -> None:
    """A receipt of ours cancelled in SAP is held as cancelled_in_sap, one that vanished as gone_from_sap; neither is booked again."""
    one, two, *_ = books.pay(*books.entries)
    (receipt,) = books.posted()[one]
    books.books.cancel_payment(receipt.doc_entry)
    books.run("post-payments")
    assert reasons(books)[one] == "cancelled_in_sap"
    (gone,) = books.posted()[two]
    books.books.receipts[gone.doc_entry].transfer_reference = "restored"
    books.clock.pass_time(86400)
    books.run("post-payments")
    assert reasons(books) == {one: "cancelled_in_sap", two: "gone_from_sap"}
    count = len(books.books.receipts)
    books.run("post-payments")
    assert len(books.books.receipts) == count


def test_without_sight_of_outgoing_payments_nothing_is_booked(tmp_path: Path) -> None:
    """Where SAP does not show what people keyed, a refund is held: the check that guards money failed."""
    from mlc.sandbox.sap.switches import SapSwitches

    books = Ledgers(tmp_path, sap={"switches": SapSwitches(missing_apis=frozenset({"VendorPayments"}))})
    (payment,) = books.pay(books.entries[0])
    refund = books.account.refund(payment)
    books.all()
    assert reasons(books) == {refund: "unreadable"}
    assert refund not in books.references()


def test_hold_tells_what_to_book(tmp_path: Path) -> None:
    """With hold the text names the sum and the fee that a person has to book."""
    books = Ledgers(tmp_path, config='suspense_account: "1590"')
    (payment,) = books.pay(books.entries[0])
    dispute = books.account.dispute(payment)
    books.all()
    opened = books.open()
    (held,) = opened.journal.held.all()
    opened.close()
    assert dispute in held.text
    assert "fee of 20.00 EUR" in held.text
    assert BOOK not in held.text


def again(books: Ledgers, payment: str, thing: str) -> None:
    """Let a person insist on a payment, or on what went back of it (mlc replay --again)."""
    opened = books.open()
    try:
        opened.road("post-payments", Options()).run(PostPayments(opened.scene(), only=[payment], insist=[thing]))
    finally:
        opened.close()


def dismiss(books: Ledgers, name: str) -> None:
    """Let a person dismiss a held item."""
    opened = books.open()
    opened.journal.dismiss(f"SBODEMO/{name}", "done", "me")
    opened.close()


@pytest.mark.parametrize("policy", ["book", "hold"])
def test_what_a_person_dealt_with_turns(tmp_path: Path, policy: str) -> None:
    """What was dismissed as booked and then fails or is won is told until that is dismissed too, and never booked by itself."""
    books = Ledgers(tmp_path, config='suspense_account: "1590"')
    one, two, *_ = books.pay(*books.entries)
    refund, dispute = books.account.refund(one), books.account.dispute(two)
    books.all()
    for name in books.held():
        dismiss(books, name)
    books.all()
    for key in ("refunds", "disputes"):
        books.settings.tenants["acme"].stripe.__dict__[key] = policy
    books.account.fail_refund(refund)
    books.account.win_dispute(dispute)
    for _ in range(3):
        books.all()
        books.clock.pass_time(90000)
        assert reasons(books) == {refund: "refund_failed", dispute: "dispute_won"}
    for name in books.held():
        dismiss(books, name)
    for _ in range(2):
        books.all()
        books.clock.pass_time(90000)
        assert books.held() == {}
    assert not {refund, f"{refund}/failed", dispute, f"{dispute}/won"} & set(books.references())


def test_a_dismissal_is_about_what_was_told(tmp_path: Path) -> None:
    """A refund that is dismissed, keyed with its name, and fails before the next run: the failure is still to be told."""
    books = Ledgers(tmp_path, config='suspense_account: "1590"')
    (payment,) = books.pay(books.entries[0])
    refund = books.account.refund(payment, 500)
    books.all()
    assert reasons(books) == {refund: "refund"}
    dismiss(books, next(iter(books.held())))
    books.books.add_refund("C1", Decimal("5.00"), reference=refund)
    books.account.fail_refund(refund)
    for _ in range(2):
        books.all()
        assert reasons(books) == {refund: "refund_failed"}


def test_from_book_to_hold_and_back(books: Ledgers) -> None:
    """What mlc booked stays booked under hold; its turn is told there, and booked once the configuration says book again."""
    one, two, *_ = books.pay(*books.entries)
    refund, kept = books.account.refund(one), books.account.refund(two, 2000)
    books.all()
    stripe = books.settings.tenants["acme"].stripe.__dict__
    stripe["refunds"] = "hold"
    books.clock.pass_time(90000)
    books.all()
    assert reasons(books) == dict.fromkeys((refund, kept), "reopened")
    books.account.fail_refund(refund)
    books.all()
    assert books.held()[f"refund/stripe/{refund}"] == "refund_failed"
    stripe["refunds"] = "book"
    books.all()
    assert reasons(books) == {kept: "reopened"}
    books.prove()


def test_a_dispute_won_while_held_keeps_its_fee_in_sight(tmp_path: Path) -> None:
    """With hold a dispute that is won stays held for the fee that Stripe keeps, and is at peace where the fee came back."""
    from mlc.sandbox.stripe.switches import StripeSwitches

    for back in (False, True):
        folder = tmp_path / str(back)
        folder.mkdir()
        books = Ledgers(folder, count=1, config="", stripe={"switches": StripeSwitches(dispute_fee_returned=back)})
        (payment,) = books.pay(*books.entries)
        dispute = books.account.dispute(payment)
        books.all()
        books.account.win_dispute(dispute)
        books.all()
        assert reasons(books) == ({} if back else {dispute: "dispute"})


def test_documents_that_name_it_and_are_not_it(books: Ledgers) -> None:
    """A document that names a refund and differs by customer or sum is asked about; one entry over two refunds books both."""
    one, two, three, _ = books.pay(*books.entries)
    other, sum_, first, second = (
        books.account.refund(one, 5000), books.account.refund(two, 3000), books.account.refund(three, 1000), books.account.refund(three, 700),
    )  # fmt: skip
    books.books.add_refund("C2", Decimal("50.00"), reference=other)
    books.books.add_refund("C2", Decimal("80.00"), reference=sum_)
    sap = books.books
    lines = [
        sap.line("", Decimal("10.00"), partner="C1", fields={"Reference1": first}),
        sap.line("", Decimal("7.00"), partner="C1", fields={"Reference1": second}),
    ]
    sap.add_entry([*lines, sap.line(CLEARING, Decimal("-17.00"))], TODAY)
    books.all()
    assert reasons(books) == {other: "maybe_booked", sum_: "maybe_booked"}
    assert not {other, sum_, first, second} & set(books.references())


def test_a_hand_that_is_taken_away(books: Ledgers) -> None:
    """A document that was recognised and is cancelled later is told; a manual entry that was reversed again never was one."""
    one, two, *_ = books.pay(*books.entries)
    known, mistake = books.account.refund(one, 5000), books.account.refund(two, 3000)
    paid = books.books.add_refund("C1", Decimal("50.00"), reference=known)
    books.books.cancel_entry(books.books.refund_by_entry("C2", Decimal("30.00"), reference=f"for {mistake}"))
    books.all()
    assert reasons(books) == {mistake: "reopened"}
    books.books.cancel_refund(paid)
    books.clock.pass_time(90000)
    books.all()
    assert reasons(books) == {known: "cancelled_in_sap", mistake: "reopened"}


def test_the_receipt_and_the_refund(books: Ledgers) -> None:
    """A receipt cancelled beside its booked refund, or keyed anew before the refund, is never taken for the refund's booking."""
    one, two, *_ = books.pay(*books.entries)
    booked = books.account.refund(one)
    books.all()
    for payment in (one, two):
        (receipt,) = books.posted()[payment]
        books.books.cancel_payment(receipt.doc_entry)
    books.books.add_receipt("C2", Decimal("119.00"), {books.entries[1]: Decimal("119.00")}, date=TODAY)
    books.all()
    assert (reasons(books)[one], reasons(books)[two]) == ("cancelled_in_sap", "cancelled_in_sap")
    refund = books.account.refund(two)
    books.all()
    assert reasons(books)[refund] == "maybe_booked"
    assert booked in books.references()


def test_a_memo_settles_the_refund_of_its_own_invoice(books: Ledgers) -> None:
    """Of two refunds of one sum a memo settles the one of its invoice; a memo of a third invoice settles neither."""
    first, third = books.entries[0], books.entries[2]
    one, three = books.pay(first, third)
    left, right = books.account.refund(one, 3000), books.account.refund(three, 3000)
    books.books.credit_memo(third, Decimal("30.00"))
    books.all()
    assert reasons(books) == {left: "reopened"}
    assert right in books.references()


def test_a_memo_of_another_invoice_settles_nothing(books: Ledgers) -> None:
    """The only open memo of a refund's sum was made from another invoice: it is somebody's, and the refund waits."""
    first, third = books.entries[0], books.entries[2]
    one, _ = books.pay(first, third)
    refund = books.account.refund(one, 3000)
    books.books.credit_memo(third, Decimal("30.00"))
    books.all()
    assert reasons(books) == {refund: "reopened"}
    books.books.credit_memo(first, Decimal("30.00"))
    books.all()
    assert books.held() == {}


def test_again_books_a_reversed_refund_anew(books: Ledgers) -> None:
    """A whole refund whose entry was reversed in SAP is booked again where a person insists."""
    (payment,) = books.pay(books.entries[0])
    refund = books.account.refund(payment)
    books.all()
    (entry,) = [one for one in books.books.entries() if one.reference2 == refund]
    books.books.cancel_entry(entry.trans_id)
    again(books, payment, refund)
    books.all()
    assert (reasons(books), books.owed("C1")) == ({refund: "reopened"}, 11900 * 2)
