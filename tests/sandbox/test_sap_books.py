"""The simulated company's books: double entry, open items, and the proof that everything adds up."""

from __future__ import annotations

import contextlib
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_sap_support import MAY, START, D, invoice

from mlc.sandbox.kit import Clock
from mlc.sandbox.sap import Books, SapSwitches
from mlc.sandbox.sap.errors import SapError


def books(**switches: Any) -> Books:
    """Make a company with two customers."""
    result = Books(Clock(START), switches=SapSwitches(**switches))
    result.add_partner("C1", "Alpha GmbH")
    result.add_partner("C2", "Beta GmbH")
    return result


def test_invoice_posts_receivable_revenue_and_tax() -> None:
    """An invoice debits the customer on the control account and credits revenue and tax."""
    company = books()
    entry = invoice(company)
    assert (company.balance("1400"), company.balance("4400"), company.balance("3806")) == (D("119"), D("-100"), D("-19"))
    assert company.partner_balance("C1") == D("119.00")
    assert company.open_balance(entry) == D("119.00")
    assert company.invoice(entry).doc_num == 1001
    company.check()


def test_receipt_settles_and_leaves_the_rest_on_account() -> None:
    """A receipt closes the invoice it pays; what is not applied stays on account."""
    company = books()
    first, second = invoice(company), invoice(company)
    company.add_receipt("C1", D("150"), {first: D("119"), second: D("20")}, date=MAY, reference="REF")
    assert company.invoice(first).status == "bost_Close"
    assert company.open_balance(second) == D("99.00")
    assert company.balance("1200") == D("150")
    assert company.partner_balance("C1") == D("88.00")
    company.check()


def test_cash_receipt_goes_to_the_cash_account() -> None:
    """A cash receipt debits the cash account."""
    company = books()
    company.add_receipt("C1", D("10"), date=MAY, means="cash")
    assert (company.balance("1000"), company.balance("1200")) == (D("10"), D("0"))
    company.check()


def test_cancelled_payment_opens_the_invoice_again() -> None:
    """Cancelling a payment reverses its entry and opens the invoice."""
    company = books()
    entry = invoice(company)
    receipt = company.add_receipt("C1", D("119"), {entry: D("119")}, date=MAY)
    company.cancel_payment(receipt)
    assert company.invoice(entry).status == "bost_Open"
    assert company.open_balance(entry) == D("119.00")
    assert company.balance("1200") == 0
    with pytest.raises(SapError, match="already cancelled"):
        company.cancel_payment(receipt)
    company.check()


def test_cancelled_invoice_has_a_cancelling_document() -> None:
    """Cancelling an invoice adds a document that marks itself as the cancellation, and nothing is owed."""
    company = books()
    entry = invoice(company)
    mirror = company.cancel_invoice(entry)
    assert company.invoice(entry).cancel_status == "csYes"
    assert company.invoice(mirror).cancel_status == "csCancellation"
    assert company.partner_balance("C1") == 0
    with pytest.raises(SapError, match="already cancelled"):
        company.cancel_invoice(entry)
    company.check()


def test_paid_invoice_cannot_be_cancelled() -> None:
    """An invoice that something settles refuses to be cancelled."""
    company = books()
    entry = invoice(company)
    company.add_receipt("C1", D("1"), {entry: D("1")}, date=MAY)
    with pytest.raises(SapError, match="cannot be cancelled"):
        company.cancel_invoice(entry)


def test_credit_memo_lowers_the_balance_and_names_its_invoice() -> None:
    """A linked credit memo settles part of the invoice; without an amount it takes what is open."""
    company = books()
    entry = invoice(company)
    first = company.credit_memo(entry, D("19"))
    assert company.open_balance(entry) == D("100.00")
    memo = company.documents["CreditNotes"][first]
    assert (memo.lines[0].base_type, memo.lines[0].base_entry, memo.total) == (13, entry, D("19"))
    company.credit_memo(entry)
    assert company.invoice(entry).status == "bost_Close"
    company.check()


def test_credit_memo_of_a_paid_invoice_stays_open() -> None:
    """A credit memo on a paid invoice is money the customer may claim."""
    company = books()
    entry = invoice(company)
    company.add_receipt("C1", D("119"), {entry: D("119")}, date=MAY)
    company.credit_memo(entry, D("50"))
    assert company.partner_balance("C1") == D("-50")
    company.check()


def test_closed_by_hand_keeps_its_balance() -> None:
    """A document closed by hand is closed although money is owed; it can be opened again."""
    company = books()
    entry = invoice(company)
    company.close_document(entry)
    assert (company.invoice(entry).status, company.open_balance(entry)) == ("bost_Close", D("119.00"))
    with pytest.raises(SapError, match="3524-20"):
        company.add_receipt("C1", D("1"), {entry: D("1")}, date=MAY)
    company.check()
    company.reopen_document(entry)
    assert company.invoice(entry).status == "bost_Open"


def test_header_rounding_and_discount_reach_the_total() -> None:
    """Rounding and header discount make the total differ from lines plus tax, and the entry still balances."""
    company = books()
    rounded = company.invoice(invoice(company, net="10.01", tax="7", rounding=D("0.04")))
    assert (rounded.total, rounded.rounding) == (D("10.75"), D("0.04"))
    cut = company.invoice(invoice(company, DiscountPercent=D(10)))
    assert (cut.total, cut.discount, cut.vat) == (D("107.10"), D("10.00"), D("17.10"))
    company.check()


def test_foreign_invoice_keeps_both_currencies() -> None:
    """A foreign invoice carries local and foreign totals; paying all of it leaves neither open."""
    company = books()
    company.set_rate("USD", D("0.9137"))
    entry = company.add_invoice("C1", [("x", D(3), D("33.33"), D(0))], doc_date=MAY, currency="USD")
    one = company.invoice(entry)
    assert (one.total_fc, one.total) == (D("99.99"), D("91.36"))
    company.add_receipt("C1", D("50"), {entry: D("50")}, date=MAY)
    company.check()
    company.add_receipt("C1", D("60"), {entry: D("49.99")}, date=MAY)
    assert (one.open, one.open_fc, one.status) == (D(0), D(0), "bost_Close")
    company.check()


def test_a_cent_of_conversion_is_an_exchange_difference() -> None:
    """Where the converted payment differs from its converted parts the cent goes to exchange differences."""
    company = books()
    company.set_rate("USD", D("0.9137"))
    lines = [("x", D(1), D("33.33"), D(0))]
    entries = [company.add_invoice("C1", lines, doc_date=MAY, currency="USD") for _ in range(2)]
    company.add_receipt("C1", D("66.66"), {entry: D("33.33") for entry in entries}, date=MAY)
    assert (company.balance("1200"), company.balance("6880")) == (D("60.91"), D("-0.01"))
    company.check()


def test_currency_without_rate_or_definition_is_refused() -> None:
    """A document in a currency without a rate, or in an unknown one, cannot be made."""
    for currency, text in (("USD", "exchange rate"), ("XXX", "is not defined")):
        with pytest.raises(SapError, match=text):
            books().add_invoice("C1", [("x", D(1), D(1), D(0))], doc_date=MAY, currency=currency)


def test_instalments_are_paid_one_by_one() -> None:
    """Each instalment is an open item of its own."""
    company = books()
    entry = invoice(company, installments=[(date(2026, 6, 1), D("60")), (date(2026, 7, 1), D("59"))])
    one = company.invoice(entry)
    assert [row.total for row in one.installments] == [D("60"), D("59")]
    assert one.due_date == date(2026, 7, 1)
    with pytest.raises(SapError, match="greater than the open balance"):
        company.add_receipt("C1", D("100"), {entry: D("100")}, date=MAY)
    company.add_receipt("C1", D("60"), {entry: D("60")}, date=MAY)
    assert one.open == D("59.00")
    company.check()
    company.credit_memo(entry, D("50"))
    assert one.open == D("9.00")
    company.check()
    with pytest.raises(SapError, match="sum to"):
        invoice(company, installments=[(MAY, D("1"))])


def test_touch_moves_the_change_stamp() -> None:
    """Touching an invoice changes what was asked, its stamp and its version."""
    company = books()
    entry = invoice(company)
    company.clock.advance(86_400)
    company.touch(entry, Comments="seen", DocDueDate=date(2026, 9, 1))
    one = company.invoice(entry)
    assert (one.update_date, one.version, one.due_date) == (date(2026, 5, 29), 2, date(2026, 9, 1))
    assert one.fields["Comments"] == "seen"


def test_manual_entry_and_reconciliation_close_an_invoice() -> None:
    """A manual credit reconciled with the invoice closes it; cancelling the reconciliation opens it."""
    company = books()
    entry = invoice(company)
    made = company.add_entry([company.line("1200", D("119")), company.line("", D("-119"), partner="C1")], MAY)
    done = company.reconcile([(company.invoice(entry).trans_id, 0, D("119")), (made, 1, D("119"))])
    assert company.invoice(entry).status == "bost_Close"
    company.check()
    company.unsettle(done.number)
    assert company.open_balance(entry) == D("119.00")
    company.check()


def test_reconciliation_may_leave_the_status_open() -> None:
    """Where the company works so, an invoice settled by reconciliation stays open without a balance."""
    company = books(reconciliation_closes=False)
    entry = invoice(company)
    made = company.add_entry([company.line("1200", D("119")), company.line("", D("-119"), partner="C1")], MAY)
    company.reconcile([(company.invoice(entry).trans_id, 0, D("119")), (made, 1, D("119"))])
    assert (company.invoice(entry).status, company.open_balance(entry)) == ("bost_Open", D(0))
    company.check()


def test_payment_stamps_the_invoice_only_where_it_is_so() -> None:
    """A payment moves the invoice's change stamp or leaves it, as the company is set up."""
    for moves in (True, False):
        company = books(payment_moves_update_date=moves)
        entry = invoice(company)
        company.clock.advance(86_400)
        company.add_receipt("C1", D("1"), {entry: D("1")}, date=MAY)
        assert (company.invoice(entry).update_date > company.invoice(entry).create_date) is moves


def test_proof_notices_a_tampered_company() -> None:
    """The proof fails when a balance, an open item or a paid sum is wrong."""
    for spoil in ("balance", "open", "paid"):
        company = books()
        one = company.invoice(invoice(company))
        if spoil == "balance":
            company.accounts["4400"].balance += 1
        elif spoil == "open":
            company.journal[one.trans_id].lines[0].open -= 1
        else:
            one.paid += 1
        with pytest.raises(AssertionError):
            company.check()


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "invoice",
                "foreign",
                "receipt",
                "on_account",
                "cancel_payment",
                "cancel_invoice",
                "credit",
                "match",
                "refund",
                "cancel_refund",
                "write_off",
                "refund_entry",
                "due",
            ]
        ),
        st.integers(0, 5),
        st.integers(1, 20_000),
    ),
    max_size=25,
)


def play(company: Books, step: str, choice: int, cents: int) -> None:
    """Do one step of a history."""
    amount = D(cents) / 100
    known = list(company.documents["Invoices"])
    entry = known[choice % len(known)] if known else 0
    card = company.invoice(entry).card_code if known else "C1"
    if step == "invoice":
        invoice(company, f"C{choice % 2 + 1}", str(amount))
    elif step == "foreign":
        company.add_invoice("C1", [("x", D(1), amount, D(7))], doc_date=MAY, currency="USD")
    elif step == "receipt" and known:
        company.add_receipt(card, amount + choice, {entry: amount}, date=MAY)
    elif step == "on_account":
        company.add_receipt("C1", amount, date=MAY)
    elif step == "cancel_payment" and company.receipts:
        company.cancel_payment(list(company.receipts)[choice % len(company.receipts)])
    elif step == "cancel_invoice" and known:
        company.cancel_invoice(entry)
    elif step == "credit" and known:
        company.credit_memo(entry, amount)
    elif step == "match":
        match_by_hand(company, card)
    else:
        play_back(company, step, choice, amount, entry)


def play_back(company: Books, step: str, choice: int, amount: D, entry: int) -> None:
    """Do one step in which money goes back, or an invoice is given up."""
    memos = list(company.documents["CreditNotes"].values())
    memo = memos[choice % len(memos)] if memos else None
    if step == "refund" and memo and choice % 2:
        company.add_refund(memo.card_code, amount, memos={memo.doc_entry: min(amount, memo.open_fc or memo.open)})
    elif step == "refund":
        company.add_refund("C1", amount)
    elif step == "cancel_refund" and company.outgoing:
        company.cancel_refund(list(company.outgoing)[choice % len(company.outgoing)])
    elif step == "write_off" and entry:
        company.write_off(entry, amount if choice % 2 else None)
    elif step == "refund_entry":
        company.refund_by_entry("C1", amount)
    elif step == "due" and entry:
        company.change_due_date(entry, MAY)


def match_by_hand(company: Books, card: str) -> None:
    """Reconcile the first open debit of a customer with the first open credit."""
    items = company.open_items(card)
    debit = next((one for one in items if one[1].is_debit), None)
    credit = next((one for one in items if not one[1].is_debit), None)
    if debit and credit:
        amount = min(debit[1].open, credit[1].open)
        company.reconcile([(entry.trans_id, line.line_id, amount) for entry, line in (debit, credit)])


@settings(max_examples=150, deadline=None)
@given(STEPS, st.sampled_from(["refused", "undone"]))
def test_any_history_adds_up(steps: list[tuple[str, int, int]], cancel: str) -> None:
    """Whatever people do in whatever order, allowed or refused, the books add up after every step."""
    company = books(cancel_reconciled=cancel)
    company.set_rate("USD", D("0.8765"))
    for step in steps:
        with contextlib.suppress(SapError):
            play(company, *step)
        company.check()


def test_costing_and_projects_reach_the_entry() -> None:
    """Cost centres and the project of an invoice stand on its lines and on the revenue lines of its entry."""
    company = books()
    one = company.invoice(invoice(company, costing={1: "NORTH", 2: "RED"}, project="P1", line_fields=[{"FreeText": "f"}]))
    assert {key: one.lines[0].fields[key] for key in ("CostingCode", "CostingCode2", "ProjectCode", "FreeText")} == {
        "CostingCode": "NORTH",
        "CostingCode2": "RED",
        "ProjectCode": "P1",
        "FreeText": "f",
    }
    assert company.journal[one.trans_id].lines[1].fields["CostingCode2"] == "RED"
    assert (company.centres["RED"].fields["InWhichDimension"], company.dimensions[2].fields["IsActive"]) == (2, "tYES")
    named = company.invoice(invoice(company, costing={"CostingCode": "NORTH"}))
    assert named.lines[0].fields["CostingCode"] == "NORTH"


def test_companies_of_other_currencies() -> None:
    """A company may keep its own currency code and no decimals, and convert into a system currency."""
    company = Books(Clock(START), local_currency="¥", decimals=0, switches=SapSwitches(system_currency="USD"))
    company.add_currency("USD", "US Dollar", "cd2Digits")
    company.set_rate("USD", D("150"))
    company.add_partner("C1", "Alpha")
    one = company.invoice(invoice(company, net="1000.6", tax="10"))
    assert (one.total, one.total_sys) == (D("1101"), D("7.34"))
    company.check()


def test_totals_that_cannot_be() -> None:
    """A negative total is refused, a total of nothing is closed at once."""
    company = books()
    with pytest.raises(SapError, match="cannot be negative"):
        invoice(company, net="-1")
    assert company.invoice(invoice(company, net="0")).status == "bost_Close"
    with pytest.raises(SapError, match="Nothing to credit"):
        company.credit_memo(1)
    with pytest.raises(SapError, match="No matching records"):
        company.invoice(99)
    with pytest.raises(SapError, match="already assigned"):
        company.add_partner("C1", "Again")
    company.check()


def test_what_stands_and_what_was_taken_back() -> None:
    """Payments and entries tell whether they still stand."""
    company = books()
    receipt = company.payment(company.add_receipt("C1", D("5"), date=MAY))
    made = company.entry(company.add_entry([company.line("1200", D(1)), company.line("1590", D(-1))], MAY))
    assert (receipt.live, made.live, made.reference2) == (True, True, None)
    company.cancel_payment(receipt.doc_entry)
    mirror = company.entry(company.cancel_entry(made.trans_id))
    assert (receipt.live, made.live, mirror.live) == (False, False, False)
    company.check()
