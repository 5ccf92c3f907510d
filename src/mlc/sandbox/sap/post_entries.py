"""POST of journal entries and of internal reconciliations, and the list of what is open."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from mlc.sandbox.sap.desk import Desk
from mlc.sandbox.sap.errors import SapError, invalid_property, no_match, unbalanced
from mlc.sandbox.sap.records import ZERO, Entry, EntryLine, Reconciliation
from mlc.sandbox.sap.schema import Row
from mlc.sandbox.sap.settle import SOURCE_TYPES

_HEAD = frozenset({"ReferenceDate", "DueDate", "TaxDate", "Memo", "JournalEntryLines"})
_LINE = frozenset({
    "Line_ID", "AccountCode", "ShortName", "ControlAccount", "Debit", "Credit", "FCDebit", "FCCredit", "FCCurrency", "DueDate",
    "BPLID",
})  # fmt: skip


def post_entry(desk: Desk, body: Any) -> Entry:
    """Book a manual journal entry; a refusal of a line names it."""
    fields = desk.schema.read_body("JournalEntry", body)
    desk.series(fields, "OJDT")
    day = desk.day(fields.get("ReferenceDate"), fields.get("TaxDate"))
    desk.codes(fields)
    rows = fields.get("JournalEntryLines") or []
    if len(rows) < 2:
        raise unbalanced()
    lines = []
    for number, row in enumerate(rows):
        try:
            lines.append(_line(desk, row, day))
        except SapError as error:
            raise SapError(error.code, f"{error.text} [line: {number + 1}]", error.status) from None
    if sum((line.net for line in lines), ZERO) != 0:
        raise unbalanced()
    desk.notify("JournalEntries", body, {line.short_name for line in lines})
    more = {key: value for key, value in fields.items() if key not in _HEAD}
    number = desk.books.add_entry(
        lines, day, due_date=fields.get("DueDate"), tax_date=fields.get("TaxDate"), memo=fields.get("Memo"), fields=more
    )
    return desk.books.journal[number]


def _line(desk: Desk, row: dict[str, Any], day: Any) -> EntryLine:
    books = desk.books
    name, account = row.get("ShortName"), row.get("AccountCode")
    partner = books.partners.get(name or "")
    if partner is not None:
        rule = desk.switches.partner_line_account
        if (account and rule == "omitted") or (not account and rule == "given"):
            raise SapError(-5002, "Invalid account for business partner  [JDT1.Account]")
        if account and account != partner.control_account:
            raise SapError(-5002, "Account is not the control account of the business partner  [JDT1.Account]")
        code = desk.account(partner.control_account, "JDT1.Account").code
    else:
        if name and account and name != account:
            raise no_match()
        code = desk.manual_account(account or name, "JDT1.Account").code
    line = EntryLine(0, code, partner.card_code if partner else code)
    _amounts(desk, line, row, day)
    line.due_date = row.get("DueDate")
    line.branch = desk.branch(row.get("BPLID"), "JDT1")
    desk.codes(row)
    line.fields = {key: value for key, value in row.items() if key not in _LINE}
    return line


def _amounts(desk: Desk, line: EntryLine, row: dict[str, Any], day: Any) -> None:
    books = desk.books
    currency = row.get("FCCurrency")
    fc_debit, fc_credit = row.get("FCDebit", ZERO), row.get("FCCredit", ZERO)
    if (fc_debit or fc_credit) and currency not in books.currencies:
        raise SapError(-5002, "Currency is not defined  [JDT1.FCCurrency]")
    foreign = bool(currency) and currency != books.local_currency
    debit, credit = books.rounded(row.get("Debit", ZERO)), books.rounded(row.get("Credit", ZERO))
    if foreign:
        line.currency = currency
        line.fc_debit, line.fc_credit = books.rounded(fc_debit, currency), books.rounded(fc_credit, currency)
        if not debit and not credit:
            rate = books.rate(str(currency), day)
            debit, credit = books.rounded(line.fc_debit * rate), books.rounded(line.fc_credit * rate)
    if min(debit, credit, fc_debit, fc_credit) < 0 or (debit and credit) or not (debit or credit):
        raise SapError(-5002, "Enter either a debit or a credit amount  [JDT1.Debit]")
    if (line.fc_debit and credit) or (line.fc_credit and debit):
        raise unbalanced()
    line.debit, line.credit = debit, credit


def open_transactions(desk: Desk, body: Any, version: str) -> dict[str, Any]:
    """Answer what is open of partners or of an account, one row per open line."""
    name = "InternalReconciliationOpenTransParams"
    params = _params(desk, body, name)
    scope = params.get("CardOrAccount", "coaCard")
    names = [one.get("BPCode") for one in params.get("InternalReconciliationBPs", ())]
    if scope == "coaAccount":
        names = [desk.account(params.get("AccountNo"), "OITR.Account").code]
    elif not names or any(one not in desk.books.partners for one in names):
        raise no_match()
    rows = []
    for short_name in dict.fromkeys(names):
        for entry, line in desk.books.open_items(str(short_name)):
            chosen = {"rsdtDueDate": line.due_date or entry.due_date, "rsdtDocDate": entry.tax_date}.get(
                params.get("DateType", ""), entry.date
            )
            if params.get("FromDate", chosen) <= chosen <= params.get("ToDate", chosen):
                rows.append(_open_row(entry, line))
    day = params.get("ReconDate") or desk.books.today()
    fields = {"ReconDate": day, "CardOrAccount": scope, "InternalReconciliationOpenTransRows": rows}
    return desk.schema.render("InternalReconciliationOpenTrans", Row(fields), version)


def _open_row(entry: Entry, line: EntryLine) -> dict[str, Any]:
    return {
        "Selected": "tNO", "ShortName": line.short_name, "TransId": entry.trans_id, "TransRowId": line.line_id,
        "SrcObjTyp": SOURCE_TYPES.get(entry.origin, "30"), "SrcObjAbs": entry.original,
        "CreditOrDebit": "codDebit" if line.is_debit else "codCredit", "ReconcileAmount": line.open,
    }  # fmt: skip


def _params(desk: Desk, body: Any, name: str) -> dict[str, Any]:
    if not isinstance(body, dict) or name not in body:
        raise SapError(-1004, f"Parameter '{name}' is missing")
    for key in body:
        if key != name:
            raise invalid_property(key, name)
    return desk.schema.read_body(name, body[name])


def post_reconciliation(desk: Desk, body: Any) -> Reconciliation:
    """Settle selected open lines with each other."""
    fields = desk.schema.read_body("InternalReconciliationOpenTrans", body)
    day = fields.get("ReconDate")
    if day is not None:
        desk.books.gate(day)
    rows = []
    for one in fields.get("InternalReconciliationOpenTransRows", ()):
        if one.get("Selected") != "tYES":
            continue
        if "TransId" not in one or "TransRowId" not in one:
            raise no_match()
        rows.append((one["TransId"], one["TransRowId"], desk.books.rounded(one.get("ReconcileAmount", Decimal(0)))))
    if len(rows) < 2:
        raise SapError(-5002, "Select at least two transactions  [OITR.ReconNum]")
    desk.notify("InternalReconciliations", body, set())
    return desk.books.reconcile(rows, day, fields.get("CardOrAccount", "coaCard"))
