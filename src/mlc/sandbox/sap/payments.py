"""Payments, incoming and outgoing: what they post, which documents they settle, drafts, and their cancellation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from mlc.sandbox.sap.documents import CREDIT_NOTES, Documents
from mlc.sandbox.sap.errors import SapError, closed_invoice, no_match, unbalanced
from mlc.sandbox.sap.ledger import BANK, CASH, EXCHANGE, FEES
from mlc.sandbox.sap.papers import Document, Payment, PaymentRow
from mlc.sandbox.sap.records import ZERO, Entry, EntryLine
from mlc.sandbox.sap.settle import Share

PAYMENT_SERIES = 5000
OUTGOING_SERIES = 7000
DRAFT_SERIES = 8000
_DEFAULTS = {"DocType": "rCustomer", "DocTypte": "rCustomer", "Series": 15}
# What a row may point at in the journal, and what posted that entry.
_ENTRY_ROWS = {"it_JournalEntry": "ttJournalEntry", "it_Receipt": "ttReceipt", "it_PaymentAdvice": "ttVendorPayment"}


class Payments(Documents):
    """The ledger with payments."""

    def _begin(self) -> None:
        super()._begin()
        self.receipts: dict[int, Payment] = {}
        self.outgoing: dict[int, Payment] = {}
        self.drafts: dict[int, Payment] = {}
        self._drafted = 0

    def add_receipt(
        self,
        card_code: str,
        amount: Decimal,
        applied: Mapping[int, Decimal] | None = None,
        *,
        date: date,
        means: str = "transfer",
        reference: str = "",
        account: str = "",
        currency: str | None = None,
        branch: int | None = None,
        installment: int = 1,
        **fields: Any,
    ) -> int:
        """Book a receipt as a person would, amounts in the invoices' currency; returns its DocEntry."""
        rows = [PaymentRow("it_Invoice", entry, installment=installment) for entry in applied or {}]
        invoices = [self.invoice(row.doc_entry) for row in rows]
        currency = currency or (invoices[0].currency if invoices else self.local_currency)
        payment = Payment(card_code, date, currency, date, date, rows=rows, branch=branch, fields=fields)
        payment.rate = invoices[0].rate if invoices and currency != self.local_currency else self.rate(currency, date)
        payment.remarks = fields.pop("Remarks", None)
        payment.transfer_reference = reference or None
        for row, sum_applied in zip(rows, (applied or {}).values(), strict=True):
            self.convert(payment, row, sum_applied)
        if means == "cash":
            payment.cash_sum, payment.cash_account = amount, self.account(account or CASH).code
        else:
            payment.transfer_sum, payment.transfer_account = amount, self.account(account or BANK).code
            payment.transfer_date = date
        if payment.branch is None and invoices:
            payment.branch = invoices[0].branch
        return self.book(payment)

    def convert(self, payment: Payment, row: PaymentRow, amount: Decimal) -> None:
        """Set what a row applies from an amount in the payment's currency."""
        if payment.currency == self.local_currency:
            row.applied = row.shown = amount
            return
        row.applied_fc, row.rate = amount, payment.rate
        row.applied = self.rounded(amount * payment.rate)
        _, line = self._target(payment, row)
        if abs(amount) == line.open_fc:
            row.applied = line.open if line.is_debit == (payment.side > 0) else -line.open
        row.shown = amount if self.switches.sum_applied_is_foreign else row.applied

    # --- booking --------------------------------------------------------------------------------------------------
    def book(self, payment: Payment) -> int:
        """Check a payment, post its entry and settle what it is applied to; returns its DocEntry."""
        shares, credit = self.check_payment(payment)
        table = self.outgoing if payment.outgoing else self.receipts
        number = len(table) + 1
        payment.doc_entry = number
        payment.doc_num = (OUTGOING_SERIES if payment.outgoing else PAYMENT_SERIES) + number
        self._named(payment)
        foreign = payment.currency != self.local_currency
        kind = "Outgoing" if payment.outgoing else "Incoming"
        memo = payment.fields.get("JournalRemarks") or f"{kind} Payments - {payment.card_code}"
        payment.fields["JournalRemarks"] = memo[:50]
        fields = {"Reference": str(payment.doc_num), "Reference2": payment.fields.get("CounterReference")}
        entry = self.post(
            self._lines(payment, credit), payment.date, payment.origin, number, due_date=payment.due_date,
            tax_date=payment.tax_date, memo=memo[:50], fields=fields,
        )  # fmt: skip
        payment.trans_id = entry.trans_id
        table[number] = payment
        if shares:
            own = entry.partner_lines[0]
            taken_fc = sum((row.applied_fc for row in payment.rows), ZERO) if foreign else ZERO
            shares.append(Share(entry, own, payment.applied, taken_fc))
            payment.reconciliation = self.settle(shares, payment.date, "rtPayment").number
        self.notice("VendorPayments" if payment.outgoing else "IncomingPayments", number, "Created")
        return number

    def _named(self, payment: Payment) -> None:
        """Fill in what SAP adds to every payment by itself."""
        kind = "bopot_OutgoingPayments" if payment.outgoing else "bopot_IncomingPayments"
        payment.card_name = self.partners[payment.card_code].name
        payment.fields = {**_DEFAULTS, "DocObjectCode": kind, **payment.fields}

    def check_payment(self, payment: Payment) -> tuple[list[Share], Decimal]:
        """Refuse what cannot be booked; returns the shares to settle and what moves on the partner in local currency."""
        foreign = payment.currency != self.local_currency
        if payment.card_code not in self.partners:
            raise no_match()
        if payment.amount <= 0:
            raise SapError(-5002, f"Payment amount must be greater than zero  [{payment.table}.TrsfrSum]")
        shares: list[Share] = []
        for row in payment.rows:
            shares.append(self._share_of(payment, row, shares))
        applied = payment.applied
        applied_own = sum((row.applied_fc for row in payment.rows), ZERO) if foreign else applied
        if applied_own > payment.amount:
            raise SapError(-10, f"Total of applied amounts is greater than the payment amount  [{payment.table}.DocTotal]")
        if payment.rows and (applied_own <= 0 or applied <= 0):
            raise SapError(-10, f"Applied amount must be positive  [{payment.row_table}.SumApplied]")
        rest = payment.amount - applied_own
        return shares, applied + (self.rounded(rest * payment.rate) if foreign else rest)

    def _lines(self, payment: Payment, credit: Decimal) -> list[EntryLine]:
        """Build the entry: the means against the partner; a cent of conversion goes to exchange differences."""
        foreign = payment.currency != self.local_currency
        extra = {"currency": payment.currency if foreign else None, "branch": payment.branch}

        def local(amount: Decimal) -> Decimal:
            return self.rounded(amount * payment.rate) if foreign else amount

        def fc(amount: Decimal) -> Decimal:
            return amount if foreign else ZERO

        lines = []
        side = payment.side
        transfer = side * payment.transfer_sum - payment.bank_charge
        means = (
            (payment.transfer_account, transfer),
            (payment.cash_account, side * payment.cash_sum),
            (FEES, payment.bank_charge),
        )
        for account, amount in means:
            if account and amount:
                lines.append(self.line(account, local(amount), fc(amount), **extra))
        lines.append(self.line("", -side * credit, -side * fc(payment.amount), partner=payment.card_code, **extra))
        rest = -sum((line.net for line in lines), ZERO)
        if rest:
            lines.append(self.line(EXCHANGE, rest, branch=payment.branch))
        return lines

    # --- what rows point at ---------------------------------------------------------------------------------------
    def _share_of(self, payment: Payment, row: PaymentRow, taken: list[Share]) -> Share:
        """Turn one row into a share of the line it points at; `taken` is what earlier rows take already."""
        entry, line = self._target(payment, row)
        before = sum((one.amount for one in taken if one.line is line), ZERO)
        before_fc = sum((one.amount_fc for one in taken if one.line is line), ZERO)
        share = Share(entry, line, abs(row.applied), abs(row.applied_fc))
        if not row.applied or share.amount > line.open - before or share.amount_fc > line.open_fc - before_fc:
            raise SapError(
                -10, f"Applied amount is greater than the open balance of the document  [{payment.row_table}.SumApplied]"
            )
        if line.is_debit != (payment.side * row.applied > 0):
            raise SapError(-10, f"Applied amount has the wrong sign  [{payment.row_table}.SumApplied]")
        return share

    def _target(self, payment: Payment, row: PaymentRow) -> tuple[Entry, EntryLine]:
        if row.kind == "it_Invoice":
            return self._of_document(payment, row, self.invoice(row.doc_entry))
        if row.kind == "it_CredItnote":
            return self._of_document(payment, row, self.document(CREDIT_NOTES, row.doc_entry))
        if row.kind == "it_JournalEntry" or (row.kind in _ENTRY_ROWS and self.switches.receipt_rows):
            return self._of_entry(payment, row)
        raise no_match()

    def _of_document(self, payment: Payment, row: PaymentRow, document: Document) -> tuple[Entry, EntryLine]:
        if document.card_code != payment.card_code:
            raise SapError(-5002, f"Base document card and target document card do not match  [{payment.row_table}.DocEntry]")
        if self.switches.enable_branches and document.branch != payment.branch:
            raise SapError(
                -5002, f"Ensure selected branch is the same as the branch of documents to be paid  [{payment.table}.BPLId]"
            )
        self.payable(document)
        if document.currency != payment.currency or document.rate != payment.rate:
            raise unbalanced()
        row.doc_num = document.doc_num
        entry = self.journal[document.trans_id]
        if not 0 < row.installment <= len(document.installments):
            raise no_match()
        line = entry.partner_lines[row.installment - 1]
        if not line.open:
            raise closed_invoice()
        return entry, line

    def _of_entry(self, payment: Payment, row: PaymentRow) -> tuple[Entry, EntryLine]:
        entry = self.journal.get(row.doc_entry)
        if entry is None or not 0 <= row.doc_line < len(entry.lines) or entry.origin != _ENTRY_ROWS[row.kind]:
            raise no_match()
        line = entry.lines[row.doc_line]
        if line.short_name != payment.card_code:
            raise SapError(-5002, f"Base document card and target document card do not match  [{payment.row_table}.DocEntry]")
        if not line.open:
            raise closed_invoice()
        if (line.currency or self.local_currency) != payment.currency:
            raise unbalanced()
        return entry, line

    # --- later life -----------------------------------------------------------------------------------------------
    def payment(self, doc_entry: int) -> Payment:
        """Return an incoming payment; raises SapError where there is none."""
        found = self.receipts.get(doc_entry)
        if found is None:
            raise no_match(404)
        return found

    def outgoing_payment(self, doc_entry: int) -> Payment:
        """Return an outgoing payment; raises SapError where there is none."""
        found = self.outgoing.get(doc_entry)
        if found is None:
            raise no_match(404)
        return found

    def cancel_payment(self, doc_entry: int, day: date | None = None) -> None:
        """Cancel an incoming payment on its own day (or another): its invoices are open again."""
        self.call_off(self.payment(doc_entry), day)

    def cancel_refund(self, doc_entry: int, day: date | None = None) -> None:
        """Cancel an outgoing payment on its own day (or another): what it settled is open again."""
        self.call_off(self.outgoing_payment(doc_entry), day)

    def call_off(self, payment: Payment, day: date | None = None) -> None:
        """Cancel a payment of either kind."""
        if payment.cancelled == "tYES":
            raise SapError(-5002, f"Document is already cancelled  [{payment.table}.Canceled]")
        entry = self.journal[payment.trans_id]
        own = entry.partner_lines[0]
        if own.open + payment.applied != own.amount and self.switches.cancel_reconciled == "refused":
            raise SapError(-5002, f"Payment is already reconciled  [{payment.table}.Canceled]")
        if payment.reconciliation:
            self.unsettle(payment.reconciliation, system=True)
        self.free(entry)
        self.reverse(entry, day or payment.date, payment.origin, payment.doc_entry)
        self.undo.keep(payment)
        payment.cancelled = "tYES"
        self.notice("VendorPayments" if payment.outgoing else "IncomingPayments", payment.doc_entry, "Cancelled")

    def save_draft(self, payment: Payment) -> int:
        """Keep a payment as a draft that waits for approval; returns the draft's DocEntry."""
        self._drafted += 1
        payment.doc_entry, payment.doc_num = self._drafted, DRAFT_SERIES + self._drafted
        self._named(payment)
        payment.authorization = "pasPending"
        self.drafts[self._drafted] = payment
        return self._drafted

    def approve_draft(self, doc_entry: int) -> int:
        """Turn a draft into a payment; returns the payment's DocEntry."""
        draft = self.remove_draft(doc_entry)
        self.undo.keep(draft)
        draft.authorization = "pasGenerated"
        return self.book(draft)

    def remove_draft(self, doc_entry: int) -> Payment:
        """Delete a draft; returns what it held."""
        if doc_entry not in self.drafts:
            raise no_match(404)
        return self.drafts.pop(doc_entry)

    def payments(self) -> Iterator[Payment]:
        """Walk through all incoming payments, cancelled ones included."""
        return iter(list(self.receipts.values()))

    def outgoing_payments(self) -> Iterator[Payment]:
        """Walk through all outgoing payments, cancelled ones included."""
        return iter(list(self.outgoing.values()))
