"""Invoices, credit memos, partners, the company's own answers, and the scenario verbs of the simulated Service Layer."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from test_sap_support import MAY, D, Sap, invoice, sap

from mlc.sandbox.kit import Request


def service_body(**more: Any) -> dict[str, Any]:
    """Build the body of a service invoice of 119.00."""
    line = {"ItemDescription": "Advice", "AccountCode": "4400", "LineTotal": 100, "TaxCode": "S19"}
    head = {"CardCode": "C1", "DocDate": "2026-05-02", "DocDueDate": "2026-06-01", "TaxDate": "2026-05-02"}
    return {**head, "DocType": "dDocument_Service", "DocumentLines": [line], **more}


def test_service_invoice_is_booked() -> None:
    """A minimal service invoice is booked with its tax and answered whole."""
    caller = sap()
    body = caller.post("Invoices", service_body(NumAtCard="PO-1")).body
    assert (body["DocTotal"], body["VatSum"], body["DocNum"], body["NumAtCard"]) == (119, 19, 1001, "PO-1")
    assert body["DocDueDate"] == "2026-06-01T00:00:00Z"
    assert caller.service.books.partner_balance("C1") == D("119.00")
    caller.service.books.check()


def test_item_invoice_takes_texts_for_numbers() -> None:
    """The manual's minimal item invoice works, numbers written as text included."""
    line = {"ItemCode": "i001", "Quantity": "100", "TaxCode": "T1", "UnitPrice": "30"}
    body = sap().post("Invoices", {"CardCode": "C1", "DocumentLines": [line]}).body
    assert (body["DocTotal"], body["DocumentLines"][0]["Quantity"]) == (3030, 100)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"DocumentLines": []}, -5002),
        ({"DocType": "dDocument_Items"}, -5002),
        ({"CardCode": "C9"}, -8112),
        ({"Nonsense": 1}, -1000),
        ({"NumAtCard": "x" * 101}, -5002),
        ({"DocDate": "2031-01-01"}, -4013),
        ({"TaxDate": "2031-01-01"}, -4013),
        ({"DocCurrency": "USD"}, -10),
        ({"DocumentLines": [{"ItemDescription": "x", "AccountCode": "9999", "LineTotal": 1}]}, -2028),
        ({"DocumentLines": [{"ItemDescription": "x", "LineTotal": 1}]}, -5002),
        ({"DocumentLines": [{"ItemDescription": "x", "AccountCode": "4400", "LineTotal": -1}]}, -5002),
        ({"DocumentLines": [{"ItemDescription": "x", "AccountCode": "4400", "CostingCode": "NOWHERE"}]}, -2028),
    ],
)
def test_refused_invoices(change: dict[str, Any], code: int) -> None:
    """Each wrong invoice is refused with its code."""
    caller = sap()
    assert caller.post("Invoices", service_body(**change)).error[:2] == (400, code)
    assert list(caller.service.books.invoices()) == []
    caller.service.books.check()


def test_rate_of_a_local_document_is_one() -> None:
    """A rate sent with a document in local currency means nothing."""
    caller = sap()
    caller.post("Invoices", service_body(DocRate=7))
    assert caller.service.books.invoice(1).rate == 1
    paying = {"CardCode": "C1", "TransferAccount": "1361", "TransferSum": 119, "DocRate": 3}
    assert caller.post("IncomingPayments", {**paying, "PaymentInvoices": [{"DocEntry": 1, "SumApplied": 119}]}).status == 201


def test_credit_note_copied_from_an_invoice() -> None:
    """A credit memo copied from invoice rows lowers the invoice's balance."""
    caller = sap()
    caller.post("Invoices", service_body())
    lines = [{"BaseType": 13, "BaseEntry": 1, "BaseLine": 0}]
    body = caller.post("CreditNotes", {"CardCode": "C1", "DocumentLines": lines}).body
    assert (body["DocTotal"], body["DocumentLines"][0]["BaseEntry"]) == (119, 1)
    assert caller.service.books.open_balance(1) == 0
    lines = [{"BaseType": 13, "BaseEntry": 1, "BaseLine": 4}]
    assert caller.post("CreditNotes", {"CardCode": "C1", "DocumentLines": lines}).error[1] == -2028
    lines = [{"BaseType": 13, "BaseEntry": 1, "BaseLine": 0}]
    assert caller.post("CreditNotes", {"CardCode": "C2", "DocumentLines": lines}).error[1] == -5002
    caller.service.books.check()


def test_actions_of_an_invoice() -> None:
    """Cancel, Close and Reopen answer 204 and change the status; what cannot be done is refused."""
    caller = sap()
    books = caller.service.books
    first, second = invoice(books), invoice(books)
    assert caller.post(f"Invoices({first})/Cancel").status == 204
    rows = caller.get("Invoices", filter="CancelStatus ne 'csNo'", select="DocEntry,CancelStatus,Cancelled").rows
    assert [(row["DocEntry"], row["CancelStatus"]) for row in rows] == [(1, "csYes"), (3, "csCancellation")]
    assert caller.post(f"Invoices({first})/Cancel").error[1] == -5002
    assert caller.post(f"Invoices({second})/Close").status == 204
    assert caller.post(f"Invoices({second})/Close").error[1] == -5002
    assert caller.post(f"Invoices({second})/Reopen").status == 204
    assert caller.post(f"Invoices({second})/Reopen").error[1] == -5002
    assert caller.post(f"Invoices({second})/Explode").error[0] == 404
    assert caller.post("Invoices(99)/Close").error[0] == 404
    assert caller.post("Invoices/Close").error[0] == 404
    assert caller.post("BusinessPartners('C1')/Cancel").error[0] == 404
    assert caller.get("Invoices/Lines").error[0] == 404
    assert caller.post("InternalReconciliationsService_GetOpenTransactions/x").error[0] == 404
    assert caller.send("DELETE", f"Invoices({second})").error[:2] == (400, -5006)
    assert caller.send("DELETE", "Invoices").error[:2] == (400, -5006)
    assert caller.post(f"Invoices({second})").error[:2] == (400, -5006)
    books.check()


def test_etag_guards_changes() -> None:
    """A change with the version that was read works; with an older one it is 412."""
    caller = sap()
    invoice(caller.service.books)
    tag = caller.get("Invoices(1)").headers["ETag"]
    assert caller.patch("Invoices(1)", {"Comments": "a"}, If_Match=tag).status == 204
    assert caller.patch("Invoices(1)", {"Comments": "b"}, If_Match=tag).error[:2] == (412, -2039)
    assert caller.patch("Invoices(1)", {"Comments": "b"}, If_Match="*").status == 204
    assert caller.patch("Invoices(1)", {"DocDueDate": "2026-09-01"}).status == 204
    assert caller.service.books.invoice(1).due_date == date(2026, 9, 1)
    assert caller.patch("Invoices(1)", {"CardCode": "C2"}).error[1] == -1029
    assert caller.patch("Invoices(1)", {"DocTotal": 1}).error[1] == -1029


def test_branches_of_invoices() -> None:
    """With branches on an invoice names one."""
    caller = sap(enable_branches=True)
    assert "Specify an active branch" in caller.post("Invoices", service_body()).error[2]
    assert caller.post("Invoices", service_body(BPL_IDAssignedToInvoice=1)).body["BPL_IDAssignedToInvoice"] == 1


# --- partners ---------------------------------------------------------------------------------------------------------
def test_partners_are_made_and_changed() -> None:
    """A partner is added, changed in place, its collections merged by key or replaced, its balance read."""
    caller = sap()
    made = caller.post("BusinessPartners", {"CardCode": "C7", "CardName": "Seven", "CardType": "cCustomer"})
    assert (made.status, made.headers["Location"]) == (201, "http://sap.test/b1s/v2/BusinessPartners('C7')")
    change = {"EmailAddress": "seven@example.com", "CardName": "Seven Ltd", "ContactEmployees": [{"Name": "Ann"}]}
    assert caller.patch("BusinessPartners('C7')", change).status == 204
    again = {"ContactEmployees": [{"InternalCode": 1, "E_Mail": "ann@example.com"}, {"Name": "Bob"}]}
    assert caller.patch("BusinessPartners('C7')", again).status == 204
    one = caller.get("BusinessPartners('C7')").body
    assert (one["CardName"], one["EmailAddress"]) == ("Seven Ltd", "seven@example.com")
    contacts = [(row["Name"], row["E_Mail"]) for row in one["ContactEmployees"]]
    assert contacts == [("Ann", "ann@example.com"), ("Bob", None)]
    replace = {"BPBankAccounts": [{"IBAN": "DE1", "MandateID": "MD1", "SignatureDate": "2026-01-31"}], "ContactEmployees": []}
    assert caller.patch("BusinessPartners('C7')", replace, B1S_ReplaceCollectionsOnPatch="true").status == 204
    one = caller.get("BusinessPartners('C7')").body
    assert (one["ContactEmployees"], one["BPBankAccounts"][0]["MandateID"]) == ([], "MD1")
    assert one["BPBankAccounts"][0]["SignatureDate"] == "2026-01-31T00:00:00Z"
    invoice(caller.service.books, "C7")
    assert caller.get("BusinessPartners('C7')", select="CurrentAccountBalance").body["CurrentAccountBalance"] == 119


def test_refused_partners() -> None:
    """A code that is taken or missing, unknown properties, fixed properties and long texts are refused."""
    caller = sap()
    assert caller.post("BusinessPartners", {"CardCode": "C1"}).error[2].startswith("1320000140 - Business partner code 'C1'")
    assert caller.post("BusinessPartners", {"CardName": "x"}).error == (400, -5002, "Code undefined  [OCRD.CardCode]")
    assert caller.post("BusinessPartners", {"CardName": "x", "Series": 1}).body["CardCode"] == "C00003"
    assert caller.post("BusinessPartners", {"CardCode": "C8", "PaymentMethodCode": "x"}).error[1] == -1000
    assert caller.post("BusinessPartners", {"CardCode": "C8", "Currency": "XXX"}).error[1] == -5002
    assert caller.post("BusinessPartners", {"CardCode": "C8", "DebitorAccount": "9999"}).error[1] == -2028
    assert caller.patch("BusinessPartners('C1')", {"EmailAddress": "x" * 101}).error[1] == -5002
    assert caller.patch("BusinessPartners('C1')", {"CardCode": "C2"}).error[1] == -1029
    assert caller.patch("BusinessPartners('C9')", {"CardName": "x"}).error[:2] == (404, -2028)
    assert caller.patch("ChartOfAccounts('1200')", {"Name": "x"}).error[1] == -5006
    assert caller.post("ChartOfAccounts", {"Code": "1"}).error[1] == -5006


# --- the company ------------------------------------------------------------------------------------------------------
def test_administration() -> None:
    """The company tells its currencies, accuracy and switches; functions without parameters answer GET too."""
    caller = sap(system_currency="USD", max_documents_in_payment=9)
    info = caller.post("CompanyService_GetAdminInfo").body
    assert (info["LocalCurrency"], info["SystemCurrency"], info["TotalsAccuracy"], info["EnableBranches"]) == (
        "EUR", "USD", 2, "tNO",
    )  # fmt: skip
    body = caller.get("CompanyService_GetCompanyInfo").body
    assert (body["CompanyName"], body["MaxNumberOfDocumentsInPmt"], body["Version"]) == ("SBODEMO", 9, 1000240)
    assert caller.get("SBOBobService_GetCurrencyRate").error[1] == -5006
    assert caller.get("CompanyService_GetAdminInfo(1)").error[0] == 404


def test_posting_periods() -> None:
    """Periods are found by year; a locked one says so; a call without its parameter is refused where one is needed."""
    caller = sap()
    caller.service.books.close_period(2026, 4)
    numbers = [row["AbsoluteEntry"] for row in caller.post("CompanyService_GetPeriods").rows]
    year = next(
        number
        for number in numbers
        if caller.post("CompanyService_GetPeriod", {"PeriodCategoryParams": {"AbsoluteEntry": number}}).body["FinancialYear"]
        == 2026
    )
    rows = caller.post("CompanyService_GetFinancePeriods", {"PeriodCategoryParams": {"AbsoluteEntry": year}}).rows
    april = rows[3]
    assert (len(rows), april["Locked"], april["PeriodStatus"], rows[4]["Locked"]) == (12, "tYES", "ltLocked", "tNO")
    assert april["PostingDateFrom"] == "2026-04-01T00:00:00Z"
    params = {"FinancePeriodParams": {"AbsoluteEntry": april["AbsoluteEntry"]}}
    assert caller.post("CompanyService_GetFinancePeriod", params).body["PeriodCode"] == "2026-04"
    assert caller.post("CompanyService_GetFinancePeriod", {"FinancePeriodParams": {"AbsoluteEntry": 999}}).error[1] == -2028
    assert caller.post("CompanyService_GetFinancePeriods").error[1] == -1004
    assert caller.post("CompanyService_GetFinancePeriods", {"Year": 2026}).error[1] == -1000
    assert caller.post("CompanyService_GetFinancePeriods", [1]).error[1] == -1004
    assert caller.post("CompanyService_GetFinancePeriods", {"PeriodCategoryParams": {"AbsoluteEntry": 99}}).error[1] == -2028
    everything = sap(finance_periods_need_category=False).post("CompanyService_GetFinancePeriods").rows
    assert len(everything) == 60
    gone = sap(missing_apis=frozenset({"CompanyService_GetFinancePeriods"}))
    assert gone.post("CompanyService_GetFinancePeriods").error[:2] == (404, -1008)


def test_rates() -> None:
    """Rates are set and read per day, bare or wrapped; a missing rate and a wrong call are refused."""
    caller = sap()
    body = {"Currency": "USD", "Rate": "0.9", "RateDate": "20260502"}
    assert caller.post("SBOBobService_SetCurrencyRate", body).status == 204
    asked = {"Currency": "USD", "Date": "2026-05-02"}
    assert caller.post("SBOBobService_GetCurrencyRate", asked).body == "0.900000"
    assert caller.post("SBOBobService_GetLocalCurrency").body == '"EUR"'
    assert caller.post("SBOBobService_GetSystemCurrency").body == '"EUR"'
    assert caller.post("SBOBobService_GetCurrencyRate", {**asked, "Date": "20260503"}).error[1] == -10
    assert caller.post("SBOBobService_GetCurrencyRate", {**asked, "Date": "then"}).error[1] == -1004
    assert caller.post("SBOBobService_GetCurrencyRate", {**asked, "Currency": "XXX"}).error[1] == -2028
    assert caller.post("SBOBobService_GetCurrencyRate", {**asked, "Foo": 1}).error[1] == -1000
    for rate in ("-1", "x", "NaN"):
        assert caller.post("SBOBobService_SetCurrencyRate", {**body, "Rate": rate}).error[1] == -1004
    wrapped = sap(function_values="wrapped").post("SBOBobService_GetLocalCurrency")
    assert wrapped.body["value"] == "EUR"


# --- verbs ------------------------------------------------------------------------------------------------------------
def verb(caller: Sap, name: str, /, **body: Any) -> tuple[int, Any]:
    """Do a scenario verb; returns the status and the answer."""
    answer = caller.service.serve(Request("POST", f"/sandbox/{name}", (), {}, json.dumps(body).encode() if body else b""))
    return answer.status, json.loads(answer.body)


def test_verbs_play_a_scenario() -> None:
    """A person can seed, pay, cancel, close and expire by verbs, and the books stay right."""
    caller = sap()
    books = caller.service.books
    verb(caller, "add_partner", card_code="C5", name="Five", email="5@example.com")
    made = verb(caller, "add_invoice", card_code="C5", lines=[{"description": "x", "price": "100"}])[1]["result"]
    entry = made["DocEntry"]
    receipt = verb(caller, "receipt", card_code="C5", applied={str(entry): "19"}, reference="R", date="2026-05-02")[1]["result"]
    assert verb(caller, "open_balance", invoice=entry)[1]["result"] == 100
    assert verb(caller, "cancel_payment", payment=receipt)[0] == 200
    assert verb(caller, "credit_memo", invoice=entry, amount="19")[0] == 200
    assert verb(caller, "touch", invoice=entry, fields={"Comments": "seen"})[0] == 200
    assert verb(caller, "close_document", invoice=entry)[0] == 200
    assert verb(caller, "reopen_document", invoice=entry)[0] == 200
    assert verb(caller, "close_period", year=2026, month=5)[0] == 200
    assert verb(caller, "open_period", year=2026, month=5)[0] == 200
    assert verb(caller, "lock_account", account="1361")[0] == 200
    assert verb(caller, "unlock_account", account="1361")[0] == 200
    assert verb(caller, "set_rate", currency="USD", rate="0.9")[0] == 200
    assert verb(caller, "balance", account="1200")[1]["result"] == 0
    assert verb(caller, "partner_balance", card_code="C5")[1]["result"] == 100
    other = invoice(books)
    assert verb(caller, "cancel_invoice", invoice=other)[0] == 200
    assert verb(caller, "check")[0] == 200
    assert verb(caller, "stall_node", node=".node9")[0] == 200
    assert verb(caller, "expire_sessions")[0] == 200
    assert caller.get("Invoices").status == 401
    assert verb(caller, "lock_user", user="manager")[0] == 200
    assert caller.login().error[1] == 100000055
    assert verb(caller, "unlock_user", user="manager")[0] == 200
    assert caller.login().status == 200


def test_verbs_say_what_is_wrong() -> None:
    """An unknown verb lists the known ones; wrong bodies and refusals are told, a broken company is 409."""
    caller = sap()
    assert "receipt" in verb(caller, "dance")[1]["verbs"]
    assert verb(caller, "cancel_invoice", invoice=9)[0] == 400
    assert verb(caller, "cancel_invoice")[1]["error"] == "missing or unknown: invoice"
    assert verb(caller, "credit_memo", invoice=1, amount="much")[0] == 400
    assert verb(caller, "add_invoice", card_code="C9", lines=[])[0] == 400
    assert caller.service.serve(Request("POST", "/sandbox/check", (), {}, b"[1]")).status == 400
    caller.service.books.accounts["1200"].balance += 1
    assert verb(caller, "check")[0] == 409


def test_drafts_by_verbs() -> None:
    """A draft is approved or removed by verbs."""
    caller = sap(approval=True)
    for _ in range(2):
        caller.post("IncomingPayments", {"CardCode": "C1", "TransferAccount": "1361", "TransferSum": 5})
    assert verb(caller, "approve_draft", draft=1)[1]["result"] == 1
    assert verb(caller, "remove_draft", draft=2)[0] == 200
    assert caller.service.books.partner_balance("C1") == D("-5")


def test_document_numbers_may_repeat() -> None:
    """A document number belongs to its series and may occur twice."""
    caller = sap()
    books = caller.service.books
    books.add_invoice("C1", [("x", D(1), D(1), D(0))], doc_date=MAY, DocNum=1007, Series=5)
    for _ in range(6):
        invoice(books)
    assert len(caller.get("Invoices", filter="DocNum eq 1007").rows) == 2
