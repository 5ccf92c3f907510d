"""Outgoing payments through the simulated Service Layer, and what colleagues do by hand after an invoice was pushed."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from test_sap_support import MAY, D, Sap, invoice, payment, sap

from mlc.sandbox.kit import Request
from mlc.sandbox.sap.errors import SapError


def refund(*rows: dict[str, Any], total: str, **more: Any) -> dict[str, Any]:
    """Build the body of an outgoing payment to a customer out of the Stripe clearing account."""
    body: dict[str, Any] = {
        "DocType": "rCustomer", "CardCode": "C1", "DocDate": "2026-05-04", "TransferAccount": "1361", "TransferSum": D(total),
        "TransferDate": "2026-05-04", "TransferReference": "re_3NxExample00000000000001",
    }  # fmt: skip
    if rows:
        body["PaymentInvoices"] = list(rows)
    return {key: value for key, value in {**body, **more}.items() if value is not ...}


def memo_row(entry: int, amount: str) -> dict[str, Any]:
    """Build a row that pays a credit memo back."""
    return {"DocEntry": entry, "SumApplied": D(amount), "InvoiceType": "it_CredItnote"}


def refused(caller: Sap, body: Any) -> int:
    """Post a refund that must be refused and must leave nothing behind; returns the code."""
    books = caller.service.books
    before = len(books.journal), len(books.outgoing), len(books.reconciliations)
    answer = caller.post("VendorPayments", body)
    assert answer.status == 400, answer.body
    assert before == (len(books.journal), len(books.outgoing), len(books.reconciliations))
    books.check()
    return answer.error[1]


def paid_and_credited(caller: Sap, credit: str = "50") -> tuple[int, int]:
    """Let C1 pay an invoice of 119.00 to clearing and be credited afterwards; returns the invoice and the memo."""
    entry = invoice(caller.service.books)
    assert caller.post("IncomingPayments", payment((entry, "119"))).status == 201
    return entry, caller.service.books.credit_memo(entry, D(credit))


def test_refund_settles_the_credit_memo() -> None:
    """An outgoing payment debits the customer, credits clearing, settles the memo, and is a document of its own kind."""
    for version in ("v1", "v2"):
        caller = sap(version)
        books = caller.service.books
        _, memo = paid_and_credited(caller)
        answer = caller.post("VendorPayments", refund(memo_row(memo, "50"), total="50"))
        assert (answer.status, answer.headers["Location"]) == (201, f"http://sap.test/b1s/{version}/VendorPayments(1)")
        body = answer.body
        assert (body["DocEntry"], body["DocNum"], body["DocObjectCode"]) == (1, 7001, "bopot_OutgoingPayments")
        assert (body["DocType"], body["Cancelled"], body["PaymentInvoices"][0]["DocNum"]) == ("rCustomer", "tNO", 3001)
        assert (books.balance("1361"), books.partner_balance("C1")) == (D(69), D(0))
        one = caller.get(f"CreditNotes({memo})", select="PaidToDate,DocumentStatus").body
        assert (one["PaidToDate"], one["DocumentStatus"]) == (50, "bost_Close")
        found = caller.get("JournalEntries", filter="OriginalJournal eq 'ttVendorPayment' and Original eq 1").rows
        lines = caller.get(f"JournalEntries({found[0]['JdtNum']})").body["JournalEntryLines"]
        assert [(line["AccountCode"], line["ShortName"], line["Debit"], line["Credit"]) for line in lines] == [
            ("1361", "1361", 0, 50), ("1400", "C1", 50, 0),
        ]  # fmt: skip
        matched = [one for one in books.reconciliations.values() if one.kind == "rtPayment"][-1]
        assert sorted((row.source_type, row.source_entry, row.side) for row in matched.rows) == [
            ("14", memo, "codCredit"), ("46", 1, "codDebit"),
        ]  # fmt: skip
        assert [row["DocEntry"] for row in caller.get("VendorPayments", filter="CardCode eq 'C1'").rows] == [1]
        marker = "TransferReference eq 're_3NxExample00000000000001'"
        assert [row["DocEntry"] for row in caller.get("VendorPayments", filter=marker).rows] == [1]
        assert caller.get("IncomingPayments", filter=marker).rows == []
        books.check()


def test_refund_on_account_and_its_cancellation() -> None:
    """Without rows the customer owes the money again; open rows tell 46, and Cancel on either day takes all of it back."""
    caller = sap()
    books = caller.service.books
    _, memo = paid_and_credited(caller)
    assert caller.post("VendorPayments", refund(total="30")).status == 201
    asked = {"InternalReconciliationOpenTransParams": {"InternalReconciliationBPs": [{"BPCode": "C1"}]}}
    rows = caller.post("InternalReconciliationsService_GetOpenTransactions", asked).body["InternalReconciliationOpenTransRows"]
    assert [(row["SrcObjTyp"], row["SrcObjAbs"], row["CreditOrDebit"], row["ReconcileAmount"]) for row in rows] == [
        ("14", memo, "codCredit", 50), ("46", 1, "codDebit", 30),
    ]  # fmt: skip
    assert caller.post("VendorPayments(1)/Cancel").status == 204
    assert caller.post("VendorPayments(1)/Cancel").error[:2] == (400, -5002)
    assert caller.get("VendorPayments(1)", select="Cancelled").body["Cancelled"] == "tYES"
    assert caller.post("VendorPayments", refund(memo_row(memo, "20"), total="30")).status == 201
    assert caller.post("VendorPayments(2)/CancelbyCurrentSystemDate").status == 204
    assert [one.date for one in books.entries()][-1] == date(2026, 5, 28)
    assert (books.document("CreditNotes", memo).open, books.balance("1361")) == (D(50), D(119))
    assert caller.get("IncomingPayments(1)").body["Cancelled"] == "tNO"
    assert caller.patch("VendorPayments(2)", {"Remarks": "x"}).status == 204
    assert caller.post("VendorPayments(3)/Cancel").error[0] == 404
    assert caller.send("DELETE", "VendorPayments(2)").error[:2] == (400, -5006)
    books.check()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"Nonsense": 1}, -1000),
        ({"TransferReference": "x" * 28}, -5002),
        ({"DocType": "rAccount"}, -5002),
        ({"DocType": "rSupplier"}, -5002),
        ({"CardCode": "C9"}, -8112),
        ({"CardCode": "C2"}, -5002),
        ({"TransferAccount": ...}, -5002),
        ({"TransferSum": D("49.99")}, -10),
        ({"TransferSum": 0}, -5002),
        ({"DocDate": "2031-01-01"}, -4013),
        ({"DocCurrency": "USD"}, -10),
        ({"PaymentInvoices": []}, -5002),
        ({"PaymentInvoices": [memo_row(1, "50.01")]}, -10),
        ({"PaymentInvoices": [memo_row(1, "-50")]}, -10),
        ({"PaymentInvoices": [memo_row(7, "50")]}, -2028),
        ({"PaymentInvoices": [{**memo_row(1, "50"), "InstallmentId": 2}]}, -2028),
        ({"PaymentInvoices": [{"DocEntry": 2, "SumApplied": D(50)}]}, -10),
        ({"PaymentInvoices": [{"DocEntry": 1, "SumApplied": D(50), "InvoiceType": "it_PaymentAdvice"}]}, -2028),
    ],
)
def test_strict_refusals(change: dict[str, Any], code: int) -> None:
    """Each wrong property is refused with its code, and nothing is booked."""
    caller = sap()
    paid_and_credited(caller)
    invoice(caller.service.books)
    body = {"PaymentInvoices": [memo_row(1, "50")], **change}
    assert refused(caller, refund(**{"total": "50", **body})) == code


def test_rows_on_entries_suppliers_and_drafts() -> None:
    """A credit of a journal entry can be paid back, a supplier paid, and approval makes a draft of the outgoing kind."""
    caller = sap(approval_cards=frozenset({"C2"}))
    books = caller.service.books
    books.add_partner("S1", "Supplier", CardType="cSupplier")
    number = books.add_entry([books.line("1200", D(9)), books.line("", D(-9), partner="C1")], MAY)
    row = {"DocEntry": number, "DocLine": 1, "SumApplied": D(9), "InvoiceType": "it_JournalEntry"}
    assert caller.post("VendorPayments", refund(row, total="9", BankChargeAmount=1)).status == 201
    assert (books.partner_balance("C1"), books.balance("1361"), books.balance("6855")) == (D(0), D(-10), D(1))
    assert caller.post("VendorPayments", refund(total="4", CardCode="S1", DocType="rSupplier")).status == 201
    assert refused(caller, refund(total="4", CardCode="S1")) == -5002
    assert refused(caller, refund(total="5", CardCode="C2")) == -2028
    assert caller.get("PaymentDrafts(1)").body["DocObjectCode"] == "bopot_OutgoingPayments"
    assert caller.post("PaymentDrafts(1)/SaveDraftToDocument").status == 204
    assert (len(books.outgoing), len(books.receipts), books.partner_balance("C2")) == (3, 0, D(5))
    books.check()


def test_incoming_payment_takes_a_refund_back() -> None:
    """A refund on account is a debit that an incoming payment can settle as it_PaymentAdvice, where the company allows it."""
    caller = sap()
    books = caller.service.books
    trans = books.outgoing_payment(books.add_refund("C1", D(5), date=MAY)).trans_id
    row = {"DocEntry": trans, "DocLine": 1, "SumApplied": D(5), "InvoiceType": "it_PaymentAdvice"}
    assert (
        caller.post("IncomingPayments", payment(total="5", PaymentInvoices=[{**row, "InvoiceType": "it_Receipt"}])).status
        == 400
    )
    assert caller.post("IncomingPayments", payment(total="5", PaymentInvoices=[row])).status == 201
    assert (books.open_items("C1"), books.partner_balance("C1")) == ([], 0)
    books.check()


def test_foreign_refund() -> None:
    """A memo in a foreign currency is paid back in its own currency and rate, by hand as over the wire."""
    caller = sap()
    books = caller.service.books
    books.set_rate("USD", D("0.9"))
    entry = books.add_invoice("C1", [("x", D(1), D("100"), D(0))], doc_date=MAY, currency="USD", rate=D("0.85"))
    books.add_receipt("C1", D("100"), {entry: D("100")}, date=MAY, account="1361")
    memo = books.credit_memo(entry, D("40"))
    assert refused(caller, refund(memo_row(memo, "34"), total="34")) == -5012
    foreign: dict[str, Any] = {"DocCurrency": "USD", "DocRate": D("0.85")}
    assert caller.post("VendorPayments", refund(memo_row(memo, "8.5"), total="10", **foreign)).status == 201
    books.add_refund("C1", D("30"), memos={memo: D("30")}, reference="re_x")
    one = books.document("CreditNotes", memo)
    assert (one.open, one.open_fc, books.balance("1361"), books.partner_balance("C1")) == (0, 0, D("51.00"), 0)
    books.check()


def test_what_colleagues_do_by_hand() -> None:
    """Write-off in part and in whole, another due date, a refund by entry, a credit beyond what is open, cancel today."""
    caller = sap()
    books = caller.service.books
    entry = books.add_invoice(
        "C1", [("x", D(1), D("100"), D(0))], doc_date=MAY, installments=[(MAY, D(60)), (date(2026, 6, 1), D(40))]
    )
    first = books.write_off(entry, D(70), date=MAY)
    assert [line.open for line in books.journal[books.invoice(entry).trans_id].partner_lines] == [0, D(30)]
    books.write_off(entry)
    assert (books.invoice(entry).status, books.balance("6930"), books.journal[first].origin) == (
        "bost_Close",
        D(100),
        "ttJournalEntry",
    )
    with pytest.raises(SapError):
        books.write_off(entry)
    other = invoice(books)
    with pytest.raises(SapError):
        books.write_off(other, D("119.01"))
    before = books.invoice(other).version
    books.change_due_date(other, date(2026, 7, 1))
    assert caller.get(f"Invoices({other})").body["DocumentInstallments"][0]["DueDate"] == "2026-07-01T00:00:00Z"
    assert (books.journal[books.invoice(other).trans_id].partner_lines[0].due_date, books.invoice(other).version) == (
        date(2026, 7, 1), before + 1,
    )  # fmt: skip
    assert caller.patch(f"Invoices({other})", {"DocDueDate": "2026-08-01"}).status == 204
    assert books.invoice(other).installments[0].due_date == date(2026, 8, 1)
    receipt = books.add_receipt("C1", D(100), {other: D(100)}, date=MAY, account="1361")
    memo = books.credit_memo(other, D(50))
    assert (books.open_balance(other), books.document("CreditNotes", memo).open, books.partner_balance("C1")) == (
        0,
        D(31),
        D(-31),
    )
    number = books.refund_by_entry("C1", D(31), reference="re_1")
    assert (books.entry(number).reference2, books.balance("1361"), books.partner_balance("C1")) == ("re_1", D(69), 0)
    books.cancel_payment_today(receipt)
    assert (books.open_balance(other), [one.date for one in books.entries()][-1]) == (D(100), date(2026, 5, 28))
    foreign = books.add_invoice("C2", [("x", D(1), D("10"), D(0))], doc_date=MAY, currency="USD", rate=D("0.333"))
    books.write_off(foreign, D("9.90"))
    books.write_off(foreign)
    assert (books.invoice(foreign).open, books.invoice(foreign).open_fc) == (0, 0)
    books.check()


def test_check_sees_a_spoilt_refund() -> None:
    """The proof fails where an outgoing payment and its entry disagree."""
    for spoil in ("cancelled", "transfer_sum", "card_code"):
        books = sap().service.books
        one = books.outgoing_payment(books.add_refund("C1", D(5)))
        books.check()
        setattr(one, spoil, {"cancelled": "tYES", "transfer_sum": D(6), "card_code": "C2"}[spoil])
        with pytest.raises(AssertionError):
            books.check()


def test_verbs_for_people() -> None:
    """What colleagues do can be played over HTTP; what is missing or refused is said."""
    caller = sap()
    books = caller.service.books

    def act(verb: str, **given: Any) -> Any:
        answer = caller.service.serve(Request("POST", f"/sandbox/{verb}", (), {}, json.dumps(given).encode()))
        return json.loads(answer.body)

    _, memo = paid_and_credited(caller)
    other = invoice(books)
    assert act("refund", card_code="C1", memos={memo: "50"}, reference="re_1") == {"ok": True, "result": 1}
    assert act("cancel_refund", payment=1)["ok"]
    assert act("refund", card_code="C1", amount="5", date="2026-05-03")["result"] == 2
    assert act("refund_by_entry", card_code="C1", amount=5)["ok"]
    assert act("change_due_date", invoice=other, due_date="2026-06-30")["ok"]
    assert act("write_off", invoice=other, amount="19")["ok"]
    assert books.open_balance(other) == D(100)
    assert act("cancel_payment_today", payment=1)["ok"]
    assert act("refund_by_entry", card_code="C9", amount=5)["error"] == "missing or unknown: C9"
    assert not act("write_off", invoice=other, amount="1000")["ok"]
    assert act("check")["ok"]
