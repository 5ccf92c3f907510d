"""SAP's JSON becomes facts here, once: the few fields we read, dates without time zones, amounts as exact decimals."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from mlc.core.errors import UnexpectedAnswerError
from mlc.core.facts import (
    Account,
    Booked,
    BookedLine,
    Centre,
    CreditMemo,
    Installment,
    Invoice,
    Ledger,
    Line,
    OpenItem,
    Partner,
    Period,
    Receipt,
)

INVOICE = (
    "DocEntry,DocNum,CardCode,DocDate,DocDueDate,DocTotal,PaidToDate,DocCurrency,DocumentStatus,CancelStatus,BPL_IDAssignedToInvoice,"
    "NumberOfInstallments"
)
INVOICE_WHOLE = INVOICE + ",NumAtCard,WTAmount,RoundingDiffAmount,TransNum,DocumentInstallments,DocumentLines"
INVOICE_DEBT = INVOICE + ",DocTotalFc,PaidToDateFC,TransNum"
PARTNER = "CardCode,CardName,EmailAddress,Phone1,Address,City,ZipCode,Country,Currency"
PARTNER_OWING = PARTNER + ",CurrentAccountBalance,Frozen"
RECEIPT = (
    "DocEntry,DocNum,CardCode,DocDate,DocCurrency,TransferSum,CashSum,TransferReference,Cancelled,PaymentInvoices,PaymentChecks,"
    "PaymentCreditCards"
)
CREDIT_MEMO = "DocEntry,DocNum,CardCode,DocTotal,CancelStatus,DocumentLines"
ENTRY = "JdtNum,Number,Reference2,ReferenceDate,JournalEntryLines"
_CODES = ("CostingCode", "CostingCode2", "CostingCode3", "CostingCode4", "CostingCode5")
ACCOUNT = "Code,FormatCode,Name,ActiveAccount,LockManualTransaction,BlockManualPosting,FrozenFor,AcctCurrency"


def need(row: dict[str, Any], name: str, what: str) -> Any:
    """Return a field that must be there; a Service Layer that stopped sending it is loud, never zero."""
    if row.get(name) is None:
        raise UnexpectedAnswerError(
            f"SAP sent {what} without {name}", hint="the Service Layer's version may not know this field: mlc ping"
        )
    return row[name]


def amount_of(row: dict[str, Any], name: str, what: str) -> Decimal:
    """Return an amount that must be there."""
    return Decimal(str(need(row, name, what)))


def optional(row: dict[str, Any], name: str) -> Decimal:
    """Return an amount that may be left out, as zero."""
    return Decimal(str(row.get(name) or 0))


def day(row: dict[str, Any], name: str, what: str) -> date:
    """Return a date: the first ten characters, never converted (a v2 date is no instant)."""
    text = str(need(row, name, what))
    return date.fromisoformat(text[:10] if "-" in text else f"{text[:4]}-{text[4:6]}-{text[6:8]}")


def invoice(row: dict[str, Any]) -> Invoice:
    """Read a row of Invoices."""
    what = f"invoice {row.get('DocNum') or row.get('DocEntry')}"
    lines = row.get("DocumentLines") or []
    return Invoice(
        doc_entry=int(need(row, "DocEntry", what)),
        doc_num=int(need(row, "DocNum", what)),
        card_code=need(row, "CardCode", what),
        doc_date=day(row, "DocDate", what),
        due_date=day(row, "DocDueDate", what) if row.get("DocDueDate") else day(row, "DocDate", what),
        currency=row.get("DocCurrency") or "",
        total=amount_of(row, "DocTotal", what),
        paid=amount_of(row, "PaidToDate", what),
        cancelled=row.get("CancelStatus") not in (None, "csNo") or row.get("Cancelled") == "tYES",
        open=row.get("DocumentStatus") == "bost_Open",
        branch=row.get("BPL_IDAssignedToInvoice") or None,
        customer_reference=row.get("NumAtCard") or "",
        withheld=optional(row, "WTAmount"),
        rounding=optional(row, "RoundingDiffAmount"),
        installments=max(1, int(row.get("NumberOfInstallments") or 1), len(row.get("DocumentInstallments") or [])),
        plan=_plan(row.get("DocumentInstallments") or [], what),
        lines=tuple(_line(number, line) for number, line in enumerate(lines, 1)),
        total_fc=optional(row, "DocTotalFc"),
        paid_fc=optional(row, "PaidToDateFC"),
        trans_num=int(row.get("TransNum") or 0),
    )


def _plan(rows: list[dict[str, Any]], what: str) -> tuple[Installment, ...]:
    if len(rows) < 2:
        return ()
    found = [Installment(int(row["InstallmentId"]), day(row, "DueDate", what), amount_of(row, "Total", what)) for row in rows]
    return tuple(sorted(found, key=lambda one: one.number))


def _line(number: int, row: dict[str, Any]) -> Line:
    gross = row.get("GrossTotal")
    if gross is None:
        gross = Decimal(str(row.get("LineTotal") or 0)) + Decimal(str(row.get("TaxTotal") or 0))
    text = str(row.get("ItemDescription") or row.get("ItemCode") or f"Line {number}")
    quantity = Decimal(str(row.get("Quantity") or 0))
    if quantity not in (0, 1):
        text += f" ({quantity.normalize():f} x)"
    return Line(text, Decimal(str(gross)), _codes(row), row.get("ProjectCode") or "")


def _codes(row: dict[str, Any]) -> tuple[str, ...]:
    codes = tuple(str(row.get(name) or "") for name in _CODES)
    return codes if any(codes) else ()


def partner(row: dict[str, Any]) -> Partner:
    """Read a row of BusinessPartners."""
    return Partner(
        card_code=need(row, "CardCode", "a business partner"),
        name=row.get("CardName") or "",
        email=(row.get("EmailAddress") or "").strip(),
        phone=row.get("Phone1") or "",
        street=row.get("Address") or "",
        city=row.get("City") or "",
        zip_code=row.get("ZipCode") or "",
        country=row.get("Country") or "",
        currency=row.get("Currency") or "",
        control=row.get("DebitorAccount") or "",
        fields=tuple((name, str(value)) for name, value in row.items() if name.startswith("U_") and value),
        balance=optional(row, "CurrentAccountBalance"),
        frozen=row.get("Frozen") == "tYES",
    )


def receipt(row: dict[str, Any], marker_field: str | None = None) -> Receipt:
    """Read a row of IncomingPayments; `reference` is our marker's field."""
    what = f"incoming payment {row.get('DocNum') or row.get('DocEntry')}"
    parts = [optional(row, "TransferSum"), optional(row, "CashSum")]
    parts += [optional(check, "CheckSum") for check in row.get("PaymentChecks") or []]
    parts += [optional(card, "CreditSum") for card in row.get("PaymentCreditCards") or []]
    applied: dict[int, Decimal] = {}
    for part in filter(_is_invoice, row.get("PaymentInvoices") or []):  # an invoice in installments stands in several rows
        applied[int(part["DocEntry"])] = applied.get(int(part["DocEntry"]), Decimal(0)) + optional(part, "SumApplied")
    return Receipt(
        doc_entry=int(need(row, "DocEntry", what)),
        doc_num=int(row.get("DocNum") or row["DocEntry"]),
        card_code=row.get("CardCode") or "",
        doc_date=day(row, "DocDate", what),
        currency=row.get("DocCurrency") or "",
        total=sum(parts, Decimal(0)),
        reference=row.get(marker_field or "TransferReference") or "",
        cancelled=row.get("Cancelled") == "tYES",
        applied=tuple(applied.items()),
    )


def _is_invoice(part: dict[str, Any]) -> bool:
    return part.get("DocEntry") is not None and part.get("InvoiceType") in (None, "it_Invoice")


def credit_memo(row: dict[str, Any]) -> CreditMemo:
    """Read a row of CreditNotes with the invoices its lines were copied from."""
    what = f"credit memo {row.get('DocNum') or row.get('DocEntry')}"
    bases = [
        int(line["BaseEntry"])
        for line in row.get("DocumentLines") or []
        if line.get("BaseType") == 13 and line.get("BaseEntry")
    ]
    return CreditMemo(
        doc_entry=int(need(row, "DocEntry", what)),
        doc_num=int(row.get("DocNum") or row["DocEntry"]),
        card_code=row.get("CardCode") or "",
        total=amount_of(row, "DocTotal", what),
        cancelled=row.get("CancelStatus") not in (None, "csNo"),
        base_invoices=tuple(dict.fromkeys(bases)),
    )


def account(row: dict[str, Any]) -> Account:
    """Read a row of ChartOfAccounts; postable means that a person may key an entry on it."""
    blocked = any(row.get(name) == "tYES" for name in ("BlockManualPosting", "FrozenFor", "LockManualTransaction"))
    return Account(
        code=need(row, "Code", "an account"),
        shown=row.get("FormatCode") or row["Code"],
        name=row.get("Name") or "",
        active=row.get("ActiveAccount") != "tNO",
        postable=not blocked,
        currency=row.get("AcctCurrency") or "",
    )


def period(row: dict[str, Any]) -> Period:
    """Read a posting period; open unless SAP says locked or closed."""
    locked = row.get("Locked") == "tYES" or row.get("PeriodStatus") in ("ltLocked", "ltClosed", "ltPeriodClosing", "ltArchived")
    return Period(
        first=day(row, "PostingDateFrom", "a period"), last=day(row, "PostingDateTo", "a period"), open=not locked,
        code=row.get("PeriodCode") or "",
    )  # fmt: skip


def ledger(row: dict[str, Any]) -> Ledger:
    """Read AdminInfo."""
    return Ledger(
        local_currency=need(row, "LocalCurrency", "AdminInfo"),
        branches=row.get("EnableBranches") == "tYES",
        approvals=row.get("EnableApprovalProcedureInDI") == "tYES",
        system_currency=row.get("SystemCurrency") or "",
        indirect=row.get("DirectIndirectRate") == "tNO",  # the field's column is called DirectRate
    )


def booked(row: dict[str, Any]) -> Booked:
    """Read a row of JournalEntries with its lines."""
    what = f"journal entry {row.get('Number') or row.get('JdtNum')}"
    return Booked(
        trans=int(need(row, "JdtNum", what)), number=int(row.get("Number") or row["JdtNum"]), reference2=row.get("Reference2") or "",
        day=day(row, "ReferenceDate", what),
        lines=tuple(_booked_line(number, line) for number, line in enumerate(row.get("JournalEntryLines") or [])),
    )  # fmt: skip


def _booked_line(number: int, row: dict[str, Any]) -> BookedLine:
    account, short = row.get("AccountCode") or "", row.get("ShortName") or ""
    return BookedLine(
        line_id=int(row["Line_ID"]) if row.get("Line_ID") is not None else number, account=account,
        short_name="" if short == account else short, local=optional(row, "Debit") - optional(row, "Credit"),
        foreign=optional(row, "FCDebit") - optional(row, "FCCredit"), currency=row.get("FCCurrency") or "",
        reference1=row.get("Reference1") or "", reference2=row.get("Reference2") or "", memo=row.get("LineMemo") or "",
        branch=row.get("BPLID") or None,
    )  # fmt: skip


def open_item(row: dict[str, Any]) -> OpenItem:
    """Read a row of GetOpenTransactions."""
    what = f"an open transaction of {row.get('ShortName')}"
    amount = abs(amount_of(row, "ReconcileAmount", what))
    return OpenItem(
        card_code=row.get("ShortName") or "", trans=int(need(row, "TransId", what)), row=int(need(row, "TransRowId", what)),
        amount=-amount if row.get("CreditOrDebit") == "codCredit" else amount, source=str(row.get("SrcObjTyp") or ""),
        document=int(row.get("SrcObjAbs") or 0),
    )  # fmt: skip


def centre(row: dict[str, Any], key: str) -> Centre:
    """Read a profit centre (`CenterCode`) or a distribution rule (`FactorCode`)."""
    return Centre(
        code=str(need(row, key, "a cost centre")), dimension=int(row.get("InWhichDimension") or 1), active=row.get("Active") != "tNO",
        first=day(row, "EffectiveFrom", "a profit centre") if row.get("EffectiveFrom") else None,
        last=day(row, "EffectiveTo", "a profit centre") if row.get("EffectiveTo") else None,
    )  # fmt: skip
