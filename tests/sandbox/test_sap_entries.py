"""Journal entries and internal reconciliation through the simulated Service Layer."""

from __future__ import annotations

from typing import Any

import pytest
from test_sap_support import MAY, D, Sap, invoice, sap


def payout(**more: Any) -> dict[str, Any]:
    """Build the entry of one payout: 692.32 to the bank, fees and VAT, 700.00 from the customer."""
    lines: list[dict[str, Any]] = [
        {"AccountCode": "1200", "Debit": D("692.32"), "Credit": 0},
        {"AccountCode": "6855", "Debit": D("6.40"), "Credit": 0, "CostingCode": "HQ"},
        {"AccountCode": "1576", "Debit": D("1.28"), "Credit": 0},
        {"ShortName": "C1", "Debit": 0, "Credit": D("700.00"), "Reference1": "PM0001", "Reference2": "1001", "LineMemo": "m"},
    ]
    head = {"ReferenceDate": "2026-05-02", "TaxDate": "2026-05-02", "Memo": "GoCardless payout PO1", "Reference2": "PO1"}
    return {**head, "JournalEntryLines": lines, **more}


def with_line(number: int, **change: Any) -> dict[str, Any]:
    """Build the entry of the payout with one line changed."""
    body = payout()
    line = {**body["JournalEntryLines"][number], **change}
    body["JournalEntryLines"][number] = {key: value for key, value in line.items() if value is not ...}
    return body


def refused(caller: Sap, body: Any) -> tuple[int, int, str]:
    """Post an entry that must be refused and must leave nothing behind."""
    before = len(caller.service.books.journal)
    answer = caller.post("JournalEntries", body)
    assert answer.status >= 400, answer.body
    assert len(caller.service.books.journal) == before
    caller.service.books.check()
    return answer.error


def test_entry_is_booked_and_found() -> None:
    """A balanced entry is booked with its references, memo and cost centres, and found by Reference2."""
    caller = sap()
    books = caller.service.books
    answer = caller.post("JournalEntries", payout())
    assert answer.status == 201
    assert answer.headers["Location"].endswith("JournalEntries(1)")
    row = caller.get("JournalEntries", filter="Reference2 eq 'PO1'", select="JdtNum,Reference2,Memo,JournalEntryLines").rows[0]
    lines = row["JournalEntryLines"]
    assert (lines[3]["AccountCode"], lines[3]["ShortName"], lines[3]["Reference1"]) == ("1400", "C1", "PM0001")
    assert (lines[1]["CostingCode"], lines[3]["Reference2"], lines[3]["LineMemo"]) == ("HQ", "1001", "m")
    assert [line["Line_ID"] for line in lines] == [0, 1, 2, 3]
    assert (books.balance("1200"), books.partner_balance("C1")) == (D("692.32"), D("-700.00"))
    books.check()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (with_line(0, Debit=D("692.33")), -5012),
        (payout(JournalEntryLines=[]), -5012),
        (payout(Nonsense=1), -1000),
        (with_line(0, Nonsense=1), -1000),
        (payout(Memo="x" * 51), -5002),
        (payout(Reference2="x" * 101), -5002),
        (with_line(3, LineMemo="x" * 51), -5002),
        (with_line(1, CostingCode="x" * 9), -5002),
        (with_line(1, CostingCode="NOWHERE"), -2028),
        (with_line(1, CostingCode2="HQ"), -2028),
        (with_line(1, ProjectCode="NOPE"), -2028),
        (with_line(0, AccountCode="9999"), -2028),
        (with_line(0, AccountCode="1400"), -5002),
        (with_line(0, AccountCode=...), -5002),
        (with_line(3, ShortName="C9"), -2028),
        (with_line(3, AccountCode="1200"), -5002),
        (with_line(0, Credit=1), -5002),
        (with_line(0, Debit=-1), -5002),
        (with_line(0, Debit=0), -5002),
        (with_line(0, FCDebit=5, FCCurrency="XXX"), -5002),
        (payout(ReferenceDate="2031-01-01"), -4013),
        (payout(ReferenceDate="soon"), -1004),
        (payout(Series=4711), -4002),
    ],
)
def test_strict_refusals(body: dict[str, Any], code: int) -> None:
    """Each wrong entry is refused with its code, and nothing is booked."""
    assert refused(sap(), body)[:2] == (400, code)


def test_a_refused_line_is_named() -> None:
    """A refusal that concerns one line says which."""
    assert refused(sap(), with_line(2, AccountCode="9999"))[2].endswith("[line: 3]")


@pytest.mark.parametrize(("rule", "omitted", "given"), [("either", 201, 201), ("omitted", 201, 400), ("given", 400, 201)])
def test_account_of_a_partner_line(rule: str, omitted: int, given: int) -> None:
    """A partner line goes with or without its control account, as the company is set up."""
    caller = sap(partner_line_account=rule)
    assert caller.post("JournalEntries", payout()).status == omitted
    assert caller.post("JournalEntries", with_line(3, AccountCode="1400")).status == given


def test_locked_period_and_accounts() -> None:
    """A locked period and accounts locked in any way refuse manual entries."""
    caller = sap()
    books = caller.service.books
    for how in ("frozen", "inactive", "manual", "block"):
        books.lock_account("6855", how)
        assert refused(caller, payout())[1] == -5002
        books.unlock_account("6855", how)
    books.close_period(2026, 5)
    assert refused(caller, payout())[1] == -4013


def test_branches_balance_one_by_one() -> None:
    """With branches on every line names one, and each branch balances by itself."""
    caller = sap(enable_branches=True)
    caller.service.books.add_branch(2, "North")
    assert refused(caller, payout())[1] == -5002
    body = payout()
    for line in body["JournalEntryLines"]:
        line["BPLID"] = 1
    body["JournalEntryLines"][0]["BPLID"] = 2
    assert refused(caller, body)[1] == -5012
    body["JournalEntryLines"][0]["BPLID"] = 1
    assert caller.post("JournalEntries", body).status == 201


def test_foreign_lines() -> None:
    """A foreign line takes its local amount from the rate of the day, or as it is given."""
    caller = sap()
    books = caller.service.books
    books.set_rate("USD", D("0.9"))
    lines = [
        {"AccountCode": "1200", "FCDebit": 100, "FCCurrency": "USD"},
        {"ShortName": "C1", "Credit": 90, "FCCredit": 100, "FCCurrency": "USD"},
    ]
    assert caller.post("JournalEntries", {"JournalEntryLines": lines}).status == 201
    assert books.balance("1200") == D("90.00")
    lines[1] = {"ShortName": "C1", "Credit": 90, "FCDebit": 100, "FCCurrency": "USD"}
    assert refused(caller, {"JournalEntryLines": lines})[1] == -5012
    books.check()


def test_notification_sees_entries() -> None:
    """The stored procedure refuses entries too."""
    assert refused(sap(notification_cards=frozenset({"C1"})), payout())[1] == 4711


def test_cancel_reverses_a_manual_entry() -> None:
    """Cancel posts a reversal that carries the references, settles both, and works for manual entries once."""
    caller = sap()
    books = caller.service.books
    entry = invoice(books)
    assert caller.post(f"JournalEntries({books.invoice(entry).trans_id})/Cancel").error[1] == -5002
    made = caller.post("JournalEntries", payout()).body["JdtNum"]
    assert caller.post(f"JournalEntries({made})/Cancel").status == 204
    assert len(caller.get("JournalEntries", filter="Reference2 eq 'PO1'").rows) == 2
    assert (books.partner_balance("C1"), len(books.open_items("C1"))) == (D("119.00"), 1)
    assert caller.post(f"JournalEntries({made})/Cancel").error[1] == -5002
    assert caller.send("DELETE", f"JournalEntries({made})").error[1] == -5006
    books.check()
    plain = sap(reversal_keeps_references=False)
    plain.post("JournalEntries", payout())
    plain.post("JournalEntries(1)/Cancel")
    assert len(plain.get("JournalEntries", filter="Reference2 eq 'PO1'").rows) == 1


def test_patch_of_an_entry() -> None:
    """Memo and references can be changed, lines and dates cannot."""
    caller = sap()
    caller.post("JournalEntries", payout())
    assert caller.patch("JournalEntries(1)", {"Memo": "new", "Reference2": "PO2"}).status == 204
    assert caller.get("JournalEntries(1)", select="Memo").body["Memo"] == "new"
    assert caller.patch("JournalEntries(1)", {"ReferenceDate": "2026-05-03"}).error[1] == -1029


# --- reconciliation ---------------------------------------------------------------------------------------------------
def open_rows(caller: Sap, **more: Any) -> list[dict[str, Any]]:
    """Return the open transactions of the first customer."""
    params = {"CardOrAccount": "coaCard", "InternalReconciliationBPs": [{"BPCode": "C1"}], "ReconDate": "2026-05-02", **more}
    body = {"InternalReconciliationOpenTransParams": params}
    answer = caller.post("InternalReconciliationsService_GetOpenTransactions", body)
    assert answer.status == 200, answer.body
    return list(answer.body["InternalReconciliationOpenTransRows"])


def reconcile(caller: Sap, *rows: tuple[int, int, str], **more: Any) -> Any:
    """Reconcile rows of (TransId, line, amount)."""
    picked = [
        {"Selected": "tYES", "TransId": trans, "TransRowId": row, "ReconcileAmount": D(amount)} for trans, row, amount in rows
    ]
    body = {"CardOrAccount": "coaCard", "ReconDate": "2026-05-02", "InternalReconciliationOpenTransRows": picked, **more}
    return caller.post("InternalReconciliations", body)


def prepared() -> tuple[Sap, int, int, int]:
    """Make an invoice of 700.00 and the payout entry that collected it; returns caller, invoice, its TransId, the entry."""
    caller = sap()
    entry = invoice(caller.service.books, net="700", tax="0")
    made = caller.post("JournalEntries", payout()).body["JdtNum"]
    return caller, entry, caller.service.books.invoice(entry).trans_id, made


def test_open_transactions() -> None:
    """Every open line of the partner is a row with its source, side and open amount."""
    caller, entry, trans, made = prepared()
    rows = open_rows(caller)
    assert [(row["TransId"], row["TransRowId"], row["CreditOrDebit"], row["ReconcileAmount"]) for row in rows] == [
        (trans, 0, "codDebit", 700),
        (made, 3, "codCredit", 700),
    ]
    assert (rows[0]["SrcObjTyp"], rows[0]["SrcObjAbs"], rows[1]["SrcObjTyp"]) == ("13", entry, "30")
    assert len(open_rows(caller, FromDate="2026-05-02")) == 1
    assert len(open_rows(caller, DateType="rsdtDueDate", ToDate="2026-05-01")) == 1
    name = "InternalReconciliationsService_GetOpenTransactions"
    assert caller.post(name, {}).status == 400
    assert caller.post(name, {"Other": 1}).status == 400
    unknown = {"InternalReconciliationOpenTransParams": {"InternalReconciliationBPs": [{"BPCode": "C9"}]}}
    assert caller.post(name, unknown).error[1] == -2028
    assert open_rows(caller, CardOrAccount="coaAccount", AccountNo="1200")[0]["ReconcileAmount"] == D("692.32")


def test_reconciliation_closes_and_its_cancel_opens() -> None:
    """Reconciling a payout line with its invoice closes the invoice; cancelling that opens it again."""
    caller, entry, trans, made = prepared()
    books = caller.service.books
    answer = reconcile(caller, (trans, 0, "700"), (made, 3, "700"))
    assert (answer.status, answer.body["ReconType"], answer.body["Total"]) == (201, "rtManual", 700)
    number = answer.body["ReconNum"]
    assert caller.get(f"Invoices({entry})", select="PaidToDate,DocumentStatus").body["PaidToDate"] == 700
    assert open_rows(caller) == []
    books.check()
    assert caller.post(f"InternalReconciliations({number})/Cancel").status == 204
    assert books.invoice(entry).status == "bost_Open"
    assert len(open_rows(caller)) == 2
    assert caller.post(f"InternalReconciliations({number})/Cancel").error[1] == -5002
    assert caller.get(f"InternalReconciliations({number})").body["CancelAbs"] == number + 1
    assert caller.post("InternalReconciliations(99)/Cancel").error[0] == 404
    books.check()


def test_part_of_a_line() -> None:
    """A part settles that part and leaves the rest open."""
    caller, entry, trans, made = prepared()
    assert reconcile(caller, (trans, 0, "300"), (made, 3, "300")).status == 201
    assert caller.service.books.open_balance(entry) == D("400.00")
    caller.service.books.check()


@pytest.mark.parametrize(
    "rows",
    [
        [(1, 0, "700"), (2, 3, "699.99")],
        [(1, 0, "700.01"), (2, 3, "700.01")],
        [(1, 0, "-5"), (2, 3, "-5")],
        [(1, 0, "0"), (2, 3, "0")],
        [(1, 0, "700")],
        [(1, 0, "5"), (1, 0, "5")],
        [(1, 0, "5"), (2, 0, "5")],
        [(1, 0, "5"), (2, 9, "5")],
        [(1, 0, "5"), (99, 0, "5")],
    ],
)
def test_wrong_reconciliations(rows: list[tuple[int, int, str]]) -> None:
    """Unequal, negative, zero, excessive, repeated, foreign and unknown rows are refused, and nothing moves."""
    caller, entry, *_ = prepared()
    assert reconcile(caller, *rows).error[0] == 400
    assert caller.service.books.open_balance(entry) == D("700.00")
    caller.service.books.check()


def test_other_refusals_of_reconciliation() -> None:
    """Two partners, a locked day, unknown properties and unselected rows are refused."""
    caller, _, trans, made = prepared()
    books = caller.service.books
    other = invoice(books, "C2")
    assert reconcile(caller, (books.invoice(other).trans_id, 0, "5"), (made, 3, "5")).error[1] == -5002
    assert reconcile(caller, (trans, 0, "5"), (made, 3, "5"), Nonsense=1).error[1] == -1000
    unselected = [{"Selected": "tNO", "TransId": trans, "TransRowId": 0, "ReconcileAmount": 5}]
    assert reconcile(caller, InternalReconciliationOpenTransRows=unselected).error[1] == -5002
    books.close_period(2026, 5)
    assert reconcile(caller, (trans, 0, "5"), (made, 3, "5")).error[1] == -4013


def test_system_reconciliations_cannot_be_cancelled() -> None:
    """What a payment settled is undone by cancelling the payment, not its reconciliation."""
    caller = sap()
    entry = invoice(caller.service.books)
    caller.service.books.add_receipt("C1", D("119"), {entry: D("119")}, date=MAY)
    assert caller.post("InternalReconciliations(1)/Cancel").error[1] == -5002


@pytest.mark.parametrize(("how", "status"), [("refused", 400), ("undone", 204)])
def test_cancel_of_a_reconciled_entry(how: str, status: int) -> None:
    """An entry that was reconciled refuses to be cancelled, or lets go of the reconciliation."""
    caller = sap(cancel_reconciled=how)
    books = caller.service.books
    entry = invoice(books, net="700", tax="0")
    made = caller.post("JournalEntries", payout()).body["JdtNum"]
    reconcile(caller, (books.invoice(entry).trans_id, 0, "700"), (made, 3, "700"))
    assert caller.post(f"JournalEntries({made})/Cancel").status == status
    assert books.open_balance(entry) == (0 if how == "refused" else D("700.00"))
    books.check()
