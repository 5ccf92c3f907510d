"""POST and PATCH of invoices, credit memos and business partners, and the changes a document allows later."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from mlc.sandbox.sap.desk import Desk
from mlc.sandbox.sap.documents import CREDIT_NOTES, INVOICES
from mlc.sandbox.sap.errors import SapError, no_match
from mlc.sandbox.sap.papers import Document
from mlc.sandbox.sap.records import ZERO, Partner

_HEAD = frozenset({
    "CardCode", "CardName", "DocDate", "DocDueDate", "TaxDate", "DocCurrency", "DocRate", "DocTotal", "DocTotalFc", "DocNum",
    "DocumentLines", "DocumentInstallments", "BPL_IDAssignedToInvoice", "Rounding", "RoundingDiffAmount", "DocTime",
    "NumberOfInstallments",
})  # fmt: skip
_LINE = frozenset({
    "LineNum", "LineTotal", "RowTotalFC", "UnitPrice", "GrossPrice", "PriceAfterVAT", "TaxTotal", "GrossTotal", "GrossTotalFC",
    "LineStatus", "Currency", "VisualOrder",
})  # fmt: skip
# What PATCH may change, by type; everything else answers -1029.
CHANGEABLE: dict[str, frozenset[str]] = {
    "Document": frozenset({
        "Comments", "NumAtCard", "DocDueDate", "PaymentBlock", "BlockDunning", "PaymentReference", "Reference1", "Reference2",
        "PaymentMethod", "ClosingRemarks", "OpeningRemarks", "JournalMemo", "Project", "TrackingNumber",
    }),
    "Payment": frozenset({"Remarks", "JournalRemarks", "CounterReference", "Reference1", "Reference2"}),
    "JournalEntry": frozenset({"Memo", "Reference", "Reference2", "Reference3", "TransactionCode", "ProjectCode"}),
}  # fmt: skip
_ROW_KEYS = {"ContactEmployees": "InternalCode", "BPBankAccounts": "InternalKey", "BPAddresses": "RowNum"}


def post_document(desk: Desk, kind: str, body: Any) -> Document:
    """Book an invoice or credit memo; a credit memo whose rows name an invoice is settled with it."""
    table = "OINV" if kind == INVOICES else "ORIN"
    fields = desk.schema.read_body("Document", body)
    partner = desk.customer(fields.get("CardCode"), table)
    desk.series(fields, table)
    day = desk.day(fields.get("DocDate"), fields.get("TaxDate"))
    currency = desk.currency(fields.get("DocCurrency"), partner, table)
    rows = fields.get("DocumentLines")
    if not rows:
        raise SapError(-5002, f"No matching rows: enter at least one line  [{table}.DocEntry]")
    service = fields.get("DocType") == "dDocument_Service"
    specs = [_line(desk, kind, row, service=service) for row in rows]
    branch = desk.branch(fields.get("BPL_IDAssignedToInvoice"), table)
    if any(desk.books.invoice(one["BaseEntry"]).card_code != partner.card_code for one in specs if one.get("BaseEntry")):
        raise SapError(-5002, "Base document card and target document card do not match")
    rate = desk.rate(fields.get("DocRate"), currency, day)
    desk.notify(kind, body, {partner.card_code})
    document = desk.books.add_document(
        kind, partner.card_code, specs, doc_date=day, due_date=fields.get("DocDueDate"), tax_date=fields.get("TaxDate"),
        currency=currency, rate=rate, rounding=fields.get("RoundingDiffAmount", ZERO), branch=branch,
        installments=_plan(desk, fields, currency),
        fields={key: value for key, value in fields.items() if key not in _HEAD},
    )  # fmt: skip
    for base in dict.fromkeys(one["BaseEntry"] for one in specs if kind == CREDIT_NOTES and one.get("BaseEntry")):
        desk.books.link_memo(document, desk.books.invoice(base))
    return document


def _plan(desk: Desk, fields: Mapping[str, Any], currency: str) -> list[tuple[Any, Decimal]] | None:
    """Read the instalments a document asks for: due dates and sums; the books refuse sums that miss the total."""
    name = "Total" if currency == desk.books.local_currency else "TotalFC"
    rows = fields.get("DocumentInstallments") or None
    if rows and any(not one.get("DueDate") or one.get(name, ZERO) <= 0 for one in rows):
        raise SapError(-5002, f"Instalments need a due date and {name}  [INV6.InsTotal]")
    return rows and [(one["DueDate"], desk.books.rounded(one[name], currency)) for one in rows]


def _line(desk: Desk, kind: str, row: Mapping[str, Any], *, service: bool) -> dict[str, Any]:
    spec = {key: value for key, value in row.items() if key not in _LINE}
    if row.get("BaseType", -1) == 13 and kind == CREDIT_NOTES:
        base = desk.books.invoice(row.get("BaseEntry", 0))
        if not 0 <= row.get("BaseLine", 0) < len(base.lines):
            raise no_match()
        line = base.lines[row.get("BaseLine", 0)]
        spec = {
            "ItemDescription": line.description, "Quantity": line.quantity, "Price": line.price, "AccountCode": line.account,
            "TaxPercentagePerRow": line.tax_percent, **line.fields, **spec,
        }  # fmt: skip
    if not service and not spec.get("ItemCode") and "BaseEntry" not in spec:
        raise SapError(-5002, "Item number is missing  [INV1.ItemCode]")
    if service or spec.get("AccountCode"):
        spec["AccountCode"] = desk.account(spec.get("AccountCode"), "INV1.AcctCode").code
    desk.codes(spec)
    quantity = spec.setdefault("Quantity", Decimal(1))
    price = row.get("UnitPrice", row.get("Price", spec.get("Price")))
    if price is None:
        total = row.get("RowTotalFC", row.get("LineTotal"))
        price = total / quantity if total is not None and quantity else ZERO
    spec["Price"] = price
    if "TaxPercentagePerRow" not in spec:
        digits = re.search(r"\d+$", spec.get("VatGroup") or spec.get("TaxCode") or "")
        spec["TaxPercentagePerRow"] = Decimal(digits[0]) if digits else ZERO
    return spec


def post_partner(desk: Desk, body: Any) -> Partner:
    """Add a business partner; without a card code the numbering series gives one."""
    fields = desk.schema.read_body("BusinessPartner", body)
    code = fields.pop("CardCode", None)
    if not code and fields.get("Series") is None:
        raise SapError(-5002, "Code undefined  [OCRD.CardCode]")
    code = code or f"C{len(desk.books.partners) + 1:05d}"
    control = fields.get("DebitorAccount")
    if control is not None:
        desk.account(control, "OCRD.DebPayAcct")
    currency = fields.pop("Currency", "##")
    if currency != "##" and currency not in desk.books.currencies:
        raise SapError(-5002, "Currency is not defined  [OCRD.Currency]")
    if code in desk.books.partners:
        raise SapError(-10, f"1320000140 - Business partner code '{code}' already assigned to a business partner")
    desk.notify("BusinessPartners", body, {code})
    desk.books.add_partner(code, fields.pop("CardName", ""), currency=currency, **fields)
    return desk.books.partners[code]


def patch(desk: Desk, type_name: str, record: Any, body: Any, *, replace: bool) -> None:
    """Change a record: read-only properties are ignored, those that are fixed are refused."""
    fields = desk.schema.read_body(type_name, body)
    kind = desk.schema.types[type_name]
    allowed = CHANGEABLE.get(type_name)
    for name, value in fields.items():
        prop = kind.props[name]
        user_field = name.startswith("U_")
        fixed = name == "CardCode" if allowed is None else name not in allowed and not user_field
        if fixed and prop.get(record) != value:
            raise SapError(-1029, f"[{kind.name}.{name}], Field cannot be updated")
    desk.books.undo.keep(record)
    record.fields = dict(record.fields)
    for name, value in fields.items():
        prop = kind.props[name]
        if prop.kind == "many" and not prop.attr and not replace:
            record.fields[name] = _merged(record.fields.get(name, ()), value, _ROW_KEYS.get(name, ""))
        elif not prop.attr:
            record.fields[name] = value
        elif prop.kind != "many" and prop.get(record) != value:
            setattr(record, prop.attr, value)
    if isinstance(record, Document):
        desk.books.follow_due_date(record)
    if hasattr(record, "updated"):
        desk.books.stamp(record)


def _merged(old: Any, new: list[Mapping[str, Any]], key: str) -> list[dict[str, Any]]:
    """Merge rows of a collection by their key, else append them."""
    rows = [dict(one) for one in old]
    for given in new:
        match = next((one for one in rows if key and key in given and one.get(key) == given[key]), None)
        if match is None:
            rows.append({**({key: len(rows) + 1} if key and key not in given else {}), **given})
        else:
            match.update(given)
    return rows
