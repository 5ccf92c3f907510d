"""POST of incoming and outgoing payments: from JSON to a checked payment in the books."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from mlc.sandbox.sap.desk import Desk
from mlc.sandbox.sap.errors import SapError, no_match, unbalanced
from mlc.sandbox.sap.papers import Payment, PaymentRow
from mlc.sandbox.sap.records import ZERO

_HEAD = frozenset({
    "CardCode", "CardName", "DocDate", "DueDate", "TaxDate", "DocCurrency", "DocRate", "TransferAccount", "TransferSum",
    "TransferDate", "TransferReference", "CashAccount", "CashSum", "BankChargeAmount", "Remarks", "BPLID", "DocNum",
    "PaymentInvoices",
})  # fmt: skip
_ROW = frozenset(
    {"LineNum", "DocEntry", "DocNum", "SumApplied", "AppliedFC", "DocRate", "DocLine", "InvoiceType", "InstallmentId"}
)


def post_payment(desk: Desk, name: str, body: Any) -> Payment:
    """Book a payment of an entity set; raises the refusal, also where an approval procedure turned it into a draft."""
    fields = desk.schema.read_body("Payment", body)
    payment = _payment(desk, fields, outgoing=name == "VendorPayments")
    for position, row in enumerate(fields.get("PaymentInvoices", ())):
        payment.rows.append(_row(desk, payment, position, row))
    _recalculate(desk, payment)
    desk.books.check_payment(payment)
    desk.notify(name, body, {payment.card_code})
    if desk.switches.approval or payment.card_code in desk.switches.approval_cards:
        desk.books.save_draft(payment)
        raise no_match()
    desk.books.book(payment)
    return payment


def _payment(desk: Desk, fields: dict[str, Any], *, outgoing: bool) -> Payment:
    books, (table, rows) = desk.books, ("OVPM", "VPM2") if outgoing else ("ORCT", "RCT2")
    doc_type = fields.get("DocType", "rCustomer")
    if doc_type == "rAccount" or (doc_type == "rSupplier" and not outgoing):
        raise SapError(-5002, f"Only payments of business partners are possible  [{table}.DocType]")
    partner = desk.customer(fields.get("CardCode"), table, "cCustomer" if doc_type == "rCustomer" else "cSupplier")
    desk.series(fields, table)
    day = desk.day(fields.get("DocDate"), fields.get("TaxDate"))
    if fields.get("PaymentInvoices") == []:
        raise SapError(-5002, f"Enter at least one document to be paid  [{rows}.DocEntry]")
    limit = desk.switches.max_documents_in_payment
    if limit and len(fields.get("PaymentInvoices", ())) > limit:
        raise SapError(-10, f"Number of documents exceeds the maximum for one payment  [{rows}.DocEntry]")
    if desk.switches.cash_flow_required and not fields.get("CashFlowAssignments"):
        raise SapError(-5002, "Cash flow line item is missing  [OCFT.CFWId]")
    currency = desk.currency(fields.get("DocCurrency") or books.local_currency, partner, table)
    payment = Payment(
        partner.card_code, day, currency, fields.get("DueDate") or day, fields.get("TaxDate") or day,
        remarks=fields.get("Remarks"), transfer_reference=fields.get("TransferReference"),
        branch=desk.branch(fields.get("BPLID"), table), outgoing=outgoing,
    )  # fmt: skip
    payment.rate = desk.rate(fields.get("DocRate"), currency, day)
    payment.transfer_sum = books.rounded(fields.get("TransferSum", ZERO), currency)
    payment.cash_sum = books.rounded(fields.get("CashSum", ZERO), currency)
    payment.bank_charge = books.rounded(fields.get("BankChargeAmount", ZERO), currency)
    if min(payment.transfer_sum, payment.cash_sum, payment.bank_charge) < 0:
        raise SapError(-5002, f"Payment amount must be greater than zero  [{table}.TrsfrSum]")
    if payment.transfer_sum:
        payment.transfer_account = desk.account(fields.get("TransferAccount"), f"{table}.TrsfrAcct").code
        payment.transfer_date = fields.get("TransferDate") or day
    if payment.cash_sum:
        payment.cash_account = desk.account(fields.get("CashAccount"), f"{table}.CashAcct").code
    desk.codes(fields)
    payment.fields = {key: value for key, value in fields.items() if key not in _HEAD}
    return payment


def _row(desk: Desk, payment: Payment, position: int, given: dict[str, Any]) -> PaymentRow:
    if "DocEntry" not in given:
        raise no_match()
    row = PaymentRow(given.get("InvoiceType", "it_Invoice"), given["DocEntry"], line_num=position)
    row.doc_line = given.get("DocLine", 0)
    row.installment = given.get("InstallmentId", 1)
    desk.codes(given, "DistributionRule")
    row.fields = {key: value for key, value in given.items() if key not in _ROW}
    places = desk.books.rounded
    if payment.currency == desk.books.local_currency:
        desk.books.convert(payment, row, places(given.get("SumApplied", ZERO)))
        return row
    local, fc = given.get("SumApplied"), given.get("AppliedFC")
    if desk.switches.sum_applied_is_foreign:
        if fc is not None and local is not None and fc != local:
            raise unbalanced()
        desk.books.convert(payment, row, places(local if local is not None else fc or ZERO, payment.currency))
        return row
    if fc is None:
        fc = (local or ZERO) / payment.rate
    desk.books.convert(payment, row, places(fc, payment.currency))
    if local is not None and abs(local - row.applied) > Decimal("0.01"):
        raise unbalanced()
    return row


def _recalculate(desk: Desk, payment: Payment) -> None:
    """Round the transfer sum as this company does, and cut the last rows down to it."""
    step = desk.switches.rounds_transfer_sum
    if step is None or not payment.transfer_sum:
        return
    payment.transfer_sum = (payment.transfer_sum / step).quantize(Decimal(1), ROUND_HALF_UP) * step
    local = payment.currency == desk.books.local_currency
    excess = sum((row.applied if local else row.applied_fc for row in payment.rows), ZERO) - payment.amount
    for row in reversed(payment.rows):
        own = row.applied if local else row.applied_fc
        cut = min(max(excess, ZERO), own)
        if cut > 0:
            desk.books.convert(payment, row, own - cut)
            excess -= cut
    payment.rows = [row for row in payment.rows if row.applied]
