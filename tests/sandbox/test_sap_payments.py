"""Incoming payments through the simulated Service Layer: what is booked, and everything that is refused."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest
from test_sap_support import MAY, D, Sap, invoice, payment, sap


def paid(caller: Sap, body: Any, **headers: str) -> Any:
    """Post a payment that must be booked; returns what was answered."""
    answer = caller.post("IncomingPayments", body, **headers)
    assert answer.status == 201, answer.body
    caller.service.books.check()
    return answer.body


def refused(caller: Sap, body: Any) -> tuple[int, int, str]:
    """Post a payment that must be refused and must leave nothing behind."""
    books = caller.service.books
    before = len(books.journal), len(books.receipts), len(books.reconciliations)
    answer = caller.post("IncomingPayments", body)
    assert answer.status >= 400, answer.body
    assert before == (len(books.journal), len(books.receipts), len(books.reconciliations))
    books.check()
    return answer.error


def test_payment_pays_the_invoice() -> None:
    """A payment answers the whole object and its address, moves PaidToDate, closes the invoice and posts one entry."""
    for version in ("v1", "v2"):
        caller = sap(version)
        books = caller.service.books
        entry = invoice(books)
        answer = caller.post("IncomingPayments", payment((entry, "119"), Remarks="from Stripe"))
        assert answer.status == 201
        assert answer.headers["Location"] == f"http://sap.test/b1s/{version}/IncomingPayments(1)"
        assert (answer.body["DocEntry"], answer.body["DocNum"], answer.body["Remarks"]) == (1, 5001, "from Stripe")
        assert answer.body["TransferReference"] == "pi_3NxExample00000000000001"
        assert answer.body["PaymentInvoices"][0]["DocNum"] == 1001
        one = caller.get(f"Invoices({entry})", select="PaidToDate,DocumentStatus").body
        assert (one["PaidToDate"], one["DocumentStatus"]) == (119, "bost_Close")
        assert books.balance("1361") == D("119")
        rows = caller.get("JournalEntries", filter="OriginalJournal eq 'ttReceipt' and Original eq 1").rows
        assert len(rows) == 1
        books.check()


def test_answer_without_content() -> None:
    """Prefer: return-no-content answers 204 with the address alone."""
    caller = sap()
    answer = caller.post("IncomingPayments", payment(total="5"), Prefer="return-no-content")
    assert (answer.status, answer.raw.body) == (204, b"")
    assert answer.headers["Location"].endswith("IncomingPayments(1)")


def test_part_payment_several_invoices_and_rest_on_account() -> None:
    """One payment over two invoices with a rest: one is closed, one keeps a balance, the rest is on account."""
    caller = sap()
    books = caller.service.books
    first, second = invoice(books), invoice(books)
    paid(caller, payment((first, "119"), (second, "19.50"), total="150"))
    assert (books.open_balance(first), books.open_balance(second)) == (D(0), D("99.50"))
    assert books.partner_balance("C1") == D("88.00")


def test_on_account() -> None:
    """A payment without PaymentInvoices is on account; an empty list is refused."""
    caller = sap()
    paid(caller, payment(total="10"))
    assert caller.service.books.partner_balance("C1") == D("-10")
    assert refused(caller, payment(total="10", PaymentInvoices=[]))[0] == 400


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"Nonsense": 1}, -1000),
        ({"U_MLC_Key": "k"}, -1000),
        ({"BPL_IDAssignedToInvoice": 1}, -1000),
        ({"Comments": "x"}, -1000),
        ({"TransferReference": "x" * 28}, -5002),
        ({"Remarks": "x" * 255}, -5002),
        ({"JournalRemarks": "x" * 51}, -5002),
        ({"CardCode": "C9"}, -8112),
        ({"CardCode": ...}, -5002),
        ({"CardCode": 1}, -1004),
        ({"DocType": "rAccount"}, -5002),
        ({"DocType": "customer"}, -1004),
        ({"DocDate": "2026-13-01"}, -1004),
        ({"DocDate": "2031-01-01"}, -4013),
        ({"TransferAccount": "9999"}, -2028),
        ({"TransferAccount": ...}, -5002),
        ({"TransferSum": 0}, -5002),
        ({"TransferSum": -5}, -5002),
        ({"TransferSum": "much"}, -1004),
        ({"TransferSum": True}, -1004),
        ({"TransferSum": "1e30"}, -1004),
        ({"TransferSum": D("118.99")}, -10),
        ({"DocCurrency": "XXX"}, -5002),
        ({"DocCurrency": "USD"}, -10),
        ({"Series": 4711}, -4002),
        ({"ProjectCode": "NOPE"}, -2028),
        ({"PaymentInvoices": {}}, -1004),
        ({"PaymentInvoices": [{"DocEntry": 99, "SumApplied": 1}]}, -2028),
        ({"PaymentInvoices": [{"SumApplied": 1}]}, -2028),
        ({"PaymentInvoices": [{"DocEntry": 1}]}, -10),
        ({"PaymentInvoices": [{"DocEntry": 1, "SumApplied": 0}]}, -10),
        ({"PaymentInvoices": [{"DocEntry": 1, "SumApplied": -1}]}, -10),
        ({"PaymentInvoices": [{"DocEntry": 1, "SumApplied": 1, "Nonsense": 1}]}, -1000),
        ({"PaymentInvoices": [{"DocEntry": 1, "SumApplied": 1, "InvoiceType": "it_Bill"}]}, -1004),
        ({"PaymentInvoices": [{"DocEntry": 1, "SumApplied": 1, "InvoiceType": "it_DownPayment"}]}, -2028),
        ({"PaymentInvoices": [{"DocEntry": 1, "SumApplied": 1, "InstallmentId": 2}]}, -2028),
        ({"PaymentInvoices": [{"DocEntry": 1, "SumApplied": 1, "DistributionRule": "NOWHERE9"}]}, -2028),
        ({"PaymentInvoices": [{"DocEntry": 1, "SumApplied": 1, "DistributionRule": "NOWHERE99"}]}, -5002),
        ({"PaymentInvoices": [{"DocEntry": 1, "SumApplied": 70}, {"DocEntry": 1, "SumApplied": 49.01}]}, -10),
        ({"PaymentInvoices": [{"DocEntry": 2, "SumApplied": 1}]}, -5002),
    ],
)
def test_strict_refusals(change: dict[str, Any], code: int) -> None:
    """Each wrong property is refused with its code, and nothing is booked."""
    caller = sap()
    books = caller.service.books
    invoice(books)
    invoice(books, "C2")
    change = {key: _exact(value) for key, value in change.items()}
    assert refused(caller, payment((1, "119"), **change))[:2] == (400, code)


def _exact(value: Any) -> Any:
    if isinstance(value, float):
        return D(str(value))
    if isinstance(value, list):
        return [_exact(one) for one in value]
    return {key: _exact(one) for key, one in value.items()} if isinstance(value, dict) else value


def test_messages_name_the_property() -> None:
    """Unknown and too long properties are named with their type."""
    caller = sap()
    assert refused(caller, payment(total="1", Foo=1))[2] == "Property 'Foo' of 'Payment' is invalid"
    long = refused(caller, payment(total="1", TransferReference="x" * 28))[2]
    assert long == "Value too long in property 'TransferReference' of 'Payment'"


def test_broken_bodies() -> None:
    """What is no JSON object is refused."""
    caller = sap()
    for body in (b"", b"{", b"[]", b"5", b'{"TransferSum": NaN}'):
        assert refused(caller, body)[:2] == (400, -1004)


def test_read_only_properties_are_ignored() -> None:
    """Read-only properties and annotations are dropped without a word."""
    caller = sap()
    body = paid(caller, payment(total="5", DocEntry=77, Cancelled="tYES", **{"@odata.etag": "x"}))
    assert (body["DocEntry"], body["Cancelled"]) == (1, "tNO")


def test_over_applied_and_closed() -> None:
    """More than the open balance is refused, and so is an invoice that is paid, cancelled, closed or blocked."""
    caller = sap()
    books = caller.service.books
    entry = invoice(books)
    assert refused(caller, payment((entry, "119.01")))[:2] == (400, -10)
    paid(caller, payment((entry, "119")))
    closed = (400, -10, "Invoice is already closed or blocked  [Message 3524-20]")
    assert refused(caller, payment((entry, "1"))) == closed
    other = invoice(books)
    books.cancel_invoice(other)
    assert refused(caller, payment((other, "1"))) == closed
    blocked = invoice(books, PaymentBlock="tYES")
    assert refused(caller, payment((blocked, "1"))) == closed


def test_closed_period() -> None:
    """A locked period refuses payments and their cancellation until it is opened."""
    caller = sap()
    books = caller.service.books
    paid(caller, payment(total="5"))
    books.close_period(2026, 5)
    assert refused(caller, payment(total="5")) == (400, -4013, "Posting period locked; specify an alternative date")
    assert caller.post("IncomingPayments(1)/Cancel").error[1] == -4013
    books.open_period(2026, 5)
    assert caller.post("IncomingPayments(1)/Cancel").status == 204


def test_locked_accounts() -> None:
    """A frozen account and a title account take no payment; a lock for manual entries does not matter."""
    caller = sap()
    books = caller.service.books
    for how in ("frozen", "inactive"):
        books.lock_account("1361", how)
        assert refused(caller, payment(total="5"))[1] == -5002
        books.unlock_account("1361", how)
    books.lock_account("1361", "manual")
    paid(caller, payment(total="5"))


def test_inactive_customer() -> None:
    """A frozen customer is refused with -1028, a supplier is no customer."""
    caller = sap()
    caller.service.books.change_partner("C1", Frozen="tYES")
    assert refused(caller, payment(total="5"))[1] == -1028
    caller.service.books.add_partner("S1", "Supplier", CardType="cSupplier")
    assert refused(caller, payment(total="5", CardCode="S1"))[1] == -5002


def test_cash_and_bank_charge() -> None:
    """Cash goes to its account; a bank charge is taken out of the transfer and is an expense."""
    caller = sap()
    books = caller.service.books
    paid(caller, payment(total="100", BankChargeAmount=2))
    assert (books.balance("1361"), books.balance("6855")) == (D("98"), D("2"))
    paid(caller, {"CardCode": "C1", "CashAccount": "1000", "CashSum": 7})
    assert books.balance("1000") == D("7")


def test_foreign_currency_needs_currency_and_rate_of_the_invoice() -> None:
    """A foreign invoice takes a payment in its own currency and rate only; otherwise -5012."""
    caller = sap()
    books = caller.service.books
    books.set_rate("USD", D("0.9"))
    entry = books.add_invoice("C1", [("x", D(1), D("100"), D(0))], doc_date=MAY, currency="USD", rate=D("0.85"))
    assert refused(caller, payment((entry, "85")))[:2] == (400, -5012)
    foreign: dict[str, Any] = {"DocCurrency": "USD", "TransferSum": 100}
    assert refused(caller, payment((entry, "85"), **foreign))[:2] == (400, -5012)
    assert refused(caller, payment((entry, "85"), **foreign, DocRate=-1))[1] == -1004
    foreign["DocRate"] = D("0.85")
    assert refused(caller, payment((entry, "100"), **foreign))[:2] == (400, -10)
    body = paid(caller, payment((entry, "85"), **foreign))
    row = body["PaymentInvoices"][0]
    assert (row["SumApplied"], row["AppliedFC"], body["TransferSum"]) == (85, 100, 100)
    assert (books.invoice(entry).open, books.balance("1361")) == (D(0), D("85.00"))


def test_applied_fc_is_taken_where_given() -> None:
    """With AppliedFC the local sum follows from the rate and must agree where it is given."""
    caller = sap()
    books = caller.service.books
    books.set_rate("USD", D("0.9"))
    entry = books.add_invoice("C1", [("x", D(1), D("100"), D(0))], doc_date=MAY, currency="USD")
    foreign: dict[str, Any] = {"DocCurrency": "USD", "DocRate": D("0.9"), "TransferSum": 40}
    rows = [{"DocEntry": entry, "AppliedFC": 40, "SumApplied": 40}]
    assert refused(caller, payment(**foreign, PaymentInvoices=rows))[1] == -5012
    paid(caller, payment(**foreign, PaymentInvoices=[{"DocEntry": entry, "AppliedFC": 40}]))
    assert (books.invoice(entry).open_fc, books.invoice(entry).open) == (D("60"), D("54.00"))


def test_sum_applied_may_be_foreign() -> None:
    """Where SumApplied is in foreign currency it is read and answered so."""
    caller = sap(sum_applied_is_foreign=True)
    books = caller.service.books
    books.set_rate("USD", D("0.9"))
    entry = books.add_invoice("C1", [("x", D(1), D("100"), D(0))], doc_date=MAY, currency="USD")
    foreign: dict[str, Any] = {"DocCurrency": "USD", "DocRate": D("0.9"), "TransferSum": 100}
    row = {"DocEntry": entry, "SumApplied": 100, "AppliedFC": 90}
    assert refused(caller, payment(**foreign, PaymentInvoices=[row]))[1] == -5012
    body = paid(caller, payment((entry, "100"), **foreign))
    assert (body["PaymentInvoices"][0]["SumApplied"], books.invoice(entry).open) == (100, D(0))


def test_partner_of_one_currency() -> None:
    """A customer of one foreign currency takes no third one."""
    caller = sap()
    caller.service.books.set_rate("GBP", D("1.2"))
    caller.service.books.add_partner("C3", "Dollar Inc", currency="USD")
    assert refused(caller, payment(total="5", CardCode="C3", DocCurrency="GBP"))[1] == -10


def test_branches() -> None:
    """With branches on a payment names an active branch, the one of its invoices."""
    caller = sap(enable_branches=True)
    books = caller.service.books
    books.add_branch(2, "North")
    books.add_branch(3, "Gone", disabled=True)
    entry = invoice(books, branch=2)
    text = "Specify an active branch  [ORCT.BPLId]"
    for number in (..., 9, 3):
        assert refused(caller, payment((entry, "119"), BPLID=number)) == (400, -5002, text)
    assert "Ensure selected branch is the same" in refused(caller, payment((entry, "119"), BPLID=1))[2]
    assert paid(caller, payment((entry, "119"), BPLID=2))["BPLID"] == 2
    assert sap().post("IncomingPayments", payment(total="1", BPLID=7)).body["BPLID"] is None


def test_approval_saves_a_draft() -> None:
    """Where approval fires the POST answers -2028 and a draft with the marker exists; it can be approved or deleted."""
    caller = sap(approval_cards=frozenset({"C1"}))
    entry = invoice(caller.service.books)
    assert refused(caller, payment((entry, "119")))[:2] == (400, -2028)
    rows = caller.get("PaymentDrafts", filter="TransferReference eq 'pi_3NxExample00000000000001'").rows
    assert [(row["DocEntry"], row["AuthorizationStatus"]) for row in rows] == [(1, "pasPending")]
    assert caller.service.books.open_balance(entry) == D("119.00")
    assert caller.post("PaymentDrafts(1)/SaveDraftToDocument").status == 204
    assert caller.service.books.open_balance(entry) == 0
    refused(caller, payment(total="1"))
    assert caller.send("DELETE", "PaymentDrafts(2)").status == 204
    assert caller.get("PaymentDrafts/$count").body == "0"
    assert caller.post("CompanyService_GetAdminInfo").body["EnableApprovalProcedureInDI"] == "tYES"
    assert sap(approval=True).post("IncomingPayments", payment(total="1", CardCode="C2")).error[1] == -2028


def test_transaction_notification() -> None:
    """The customer's stored procedure refuses by its own code, for a card or by a rule."""
    caller = sap(notification_cards=frozenset({"C1"}))
    assert refused(caller, payment(total="5"))[1] == 4711
    assert caller.post("CompanyService_GetCompanyInfo").body["EnableTransactionNotification"] == "tYES"

    def rule(name: str, body: Mapping[str, Any]) -> tuple[int, str] | None:
        return (99, f"{name} without remarks") if "Remarks" not in body else None

    caller = sap(notification=rule)
    assert refused(caller, payment(total="5")) == (400, 99, "IncomingPayments without remarks")
    paid(caller, payment(total="5", Remarks="x"))


def test_user_without_permission() -> None:
    """A user who may only read is refused with 403 and -6006."""
    caller = sap(forbidden=frozenset({"IncomingPayments"}))
    assert refused(caller, payment(total="5"))[:2] == (403, -6006)
    assert caller.get("IncomingPayments").status == 200


def test_company_rules() -> None:
    """Missing series, missing cash flow, too many documents and a missing rate of the system currency are refused."""
    assert "10000521" in refused(sap(numbering_series_defined=False), payment(total="5"))[2]
    caller = sap(cash_flow_required=True)
    assert refused(caller, payment(total="5"))[1] == -5002
    paid(caller, payment(total="5", CashFlowAssignments=[{"AmountLC": 5, "PaymentMeans": "pmtBankTransfer"}]))
    caller = sap(max_documents_in_payment=1)
    entries = [invoice(caller.service.books) for _ in range(2)]
    assert refused(caller, payment(*((one, "1") for one in entries)))[1] == -10
    caller = sap(system_currency="USD")
    assert "exchange rate" in refused(caller, payment(total="5"))[2]
    rate = {"Currency": "USD", "Rate": "0.9", "RateDate": "20260502"}
    assert caller.post("SBOBobService_SetCurrencyRate", rate).status == 204
    paid(caller, payment(total="5"))


def test_sum_may_be_recalculated() -> None:
    """A company that rounds the transfer sum books another amount than was sent, and applies no more than that."""
    caller = sap(rounds_transfer_sum=D("0.05"))
    entry = invoice(caller.service.books, net="10.01", tax="0")
    body = paid(caller, payment((entry, "10.01"), total="10.02"))
    assert (body["TransferSum"], body["PaymentInvoices"][0]["SumApplied"]) == (10, 10)


def test_credit_note_and_receipt_rows() -> None:
    """A negative credit-note or on-account row lets a payment use what the customer already has."""
    caller = sap()
    books = caller.service.books
    entry, other = invoice(books), invoice(books)
    books.add_receipt("C1", D("119"), {other: D("119")}, date=MAY)
    memo = books.credit_memo(other, D("19"))
    receipt = books.add_receipt("C1", D("30"), date=MAY)
    trans = books.payment(receipt).trans_id
    rows: list[dict[str, Any]] = [
        {"DocEntry": entry, "SumApplied": 119},
        {"DocEntry": memo, "SumApplied": -19, "InvoiceType": "it_CredItnote"},
        {"DocEntry": trans, "DocLine": 1, "SumApplied": -30, "InvoiceType": "it_Receipt"},
    ]
    assert refused(caller, payment(total="5", PaymentInvoices=[rows[1]]))[1] == -10
    wrong = [rows[0], {**rows[1], "SumApplied": 19}]
    assert refused(caller, payment(total="200", PaymentInvoices=wrong))[1] == -10
    paid(caller, payment(total="70", PaymentInvoices=rows))
    assert (books.open_balance(entry), books.partner_balance("C1")) == (D(0), D(0))
    strict = sap(receipt_rows=False)
    invoice(strict.service.books)
    row = {"DocEntry": 1, "DocLine": 0, "SumApplied": -1, "InvoiceType": "it_Receipt"}
    assert refused(strict, payment(total="1", PaymentInvoices=[row]))[1] == -2028


def test_journal_entry_rows() -> None:
    """A payment may settle a debit of a manual entry by its line."""
    caller = sap()
    books = caller.service.books
    made = books.add_entry([books.line("", D("50"), partner="C1"), books.line("1362", D("-50"))], MAY)
    row = {"DocEntry": made, "DocLine": 0, "SumApplied": 50, "InvoiceType": "it_JournalEntry"}
    paid(caller, payment(total="50", PaymentInvoices=[row]))
    assert books.open_items("C1") == []
    assert refused(caller, payment(total="50", PaymentInvoices=[row]))[1] == -10
    assert refused(caller, payment(total="50", PaymentInvoices=[{**row, "DocLine": 7}]))[1] == -2028
    assert refused(caller, payment(total="50", PaymentInvoices=[{**row, "DocLine": 1}]))[1] == -5002
    books.set_rate("USD", D("0.9"))
    other = books.add_entry([books.line("", D("50"), partner="C1"), books.line("1362", D("-50"))], MAY)
    rows = [{**row, "DocEntry": other}]
    assert refused(caller, payment(total="60", DocCurrency="USD", PaymentInvoices=rows))[1] == -5012


def test_instalment_rows() -> None:
    """A row pays the instalment it names."""
    caller = sap()
    books = caller.service.books
    entry = invoice(books, installments=[(date(2026, 6, 1), D("60")), (date(2026, 7, 1), D("59"))])
    row = {"DocEntry": entry, "SumApplied": 59, "InstallmentId": 2}
    paid(caller, payment(total="59", PaymentInvoices=[row]))
    assert [line.open for line in books.journal[books.invoice(entry).trans_id].partner_lines] == [D("60.00"), 0]
    assert refused(caller, payment(total="59", PaymentInvoices=[row]))[1] == -10


def test_instalments_over_the_wire() -> None:
    """An invoice is posted with instalments, tells no paid sums per instalment, and a row without one means the first."""
    caller = sap()
    books = caller.service.books
    line = {"ItemDescription": "x", "AccountCode": "4400", "LineTotal": D("100"), "TaxCode": "S0"}
    body: dict[str, Any] = {"CardCode": "C1", "DocType": "dDocument_Service", "DocumentLines": [line]}
    for rows in ([{"Total": 100}], [{"DueDate": "2026-06-01", "Total": 99}], [{"DueDate": "2026-06-01", "TotalFC": 100}]):
        assert caller.post("Invoices", {**body, "DocumentInstallments": rows}).error[:2] == (400, -5002)
    plan = [{"DueDate": "2026-06-01", "Total": 60}, {"DueDate": "2026-07-01", "Total": D("40.00")}]
    entry = caller.post("Invoices", {**body, "DocumentInstallments": plan}).body["DocEntry"]
    assert refused(caller, payment((entry, "60.01")))[1] == -10
    paid(caller, payment((entry, "25")))
    both = [{"DocEntry": entry, "SumApplied": D(amount), "InstallmentId": number} for number, amount in ((1, 35), (2, 15))]
    paid(caller, payment(total="50", PaymentInvoices=both))
    assert refused(caller, payment((entry, "1")))[1] == -10
    assert refused(caller, payment(total="26", PaymentInvoices=[{**both[1], "SumApplied": 26}]))[1] == -10
    shown = caller.get(f"Invoices({entry})").body
    wanted = [(1, "2026-06-01", 60, 60), (2, "2026-07-01", 40, 40)]
    assert [
        (one["InstallmentId"], one["DueDate"][:10], one["Total"], one["Percentage"]) for one in shown["DocumentInstallments"]
    ] == wanted
    assert not any("Paid" in name for one in shown["DocumentInstallments"] for name in one)
    assert (shown["PaidToDate"], shown["NumberOfInstallments"], shown["DocumentStatus"]) == (75, 2, "bost_Open")
    books.add_receipt("C1", D(25), {entry: D(25)}, date=MAY, installment=2)
    assert books.invoice(entry).status == "bost_Close"


def test_cancel_a_payment() -> None:
    """Cancel answers 204 with nothing, opens the invoice, and cannot be done twice; the other spelling posts today."""
    caller = sap()
    books = caller.service.books
    entry = invoice(books)
    paid(caller, payment((entry, "119")))
    answer = caller.post("IncomingPayments(1)/Cancel")
    assert (answer.status, answer.raw.body) == (204, b"")
    assert books.open_balance(entry) == D("119.00")
    assert caller.get("IncomingPayments(1)", select="Cancelled").body["Cancelled"] == "tYES"
    assert caller.post("IncomingPayments(1)/Cancel").error[:2] == (400, -5002)
    paid(caller, payment(total="3"))
    assert caller.post("IncomingPayments(2)/CancelbyCurrentSystemDate").status == 204
    assert [one.date for one in books.entries()][-1] == date(2026, 5, 28)
    assert caller.post("IncomingPayments(9)/Cancel").error[0] == 404
    books.check()


@pytest.mark.parametrize(("how", "status"), [("refused", 400), ("undone", 204)])
def test_cancel_of_a_reconciled_payment(how: str, status: int) -> None:
    """A payment on account that was reconciled by hand refuses to be cancelled, or lets go of the reconciliation."""
    caller = sap(cancel_reconciled=how)
    books = caller.service.books
    entry = invoice(books)
    body = paid(caller, payment(total="119"))
    trans = books.payment(body["DocEntry"]).trans_id
    books.reconcile([(books.invoice(entry).trans_id, 0, D("119")), (trans, 1, D("119"))])
    assert caller.post("IncomingPayments(1)/Cancel").status == status
    books.check()
    assert books.open_balance(entry) == (0 if how == "refused" else D("119.00"))


def test_patch_and_delete() -> None:
    """Remarks can be changed, sums cannot, payments cannot be deleted; the verb may come in a header."""
    caller = sap(user_fields=frozenset({"ORCT.U_Note"}))
    paid(caller, payment(total="5", U_Note="a"))
    assert caller.patch("IncomingPayments(1)", {"Remarks": "new", "U_Note": "b"}).status == 204
    assert caller.post("IncomingPayments(1)", {"Remarks": "newer"}, X_HTTP_Method_Override="PATCH").status == 204
    one = caller.get("IncomingPayments(1)", select="Remarks,U_Note").body
    assert (one["Remarks"], one["U_Note"]) == ("newer", "b")
    assert caller.patch("IncomingPayments(1)", {"TransferSum": 6}).error[:2] == (400, -1029)
    assert caller.patch("IncomingPayments(1)", {"TransferSum": 5}).status == 204
    assert caller.patch("IncomingPayments(1)", {"Remarks": "x" * 255}).error[1] == -5002
    assert caller.patch("IncomingPayments(7)", {"Remarks": "x"}).error[:2] == (404, -2028)
    assert caller.send("DELETE", "IncomingPayments(1)").error[:2] == (400, -5006)
    other = sap(patch_missing_code=-5002)
    assert other.patch("IncomingPayments(7)", {"Remarks": "x"}).error == (404, -5002, "Entity with value('7') does not exist")
