"""What a colleague does by hand: entries, reconciliations, refunds, write-offs, another due date, and taking them back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from mlc.sandbox.sap.documents import CREDIT_NOTES
from mlc.sandbox.sap.errors import SapError, no_match
from mlc.sandbox.sap.ledger import CLEARING, LOSSES
from mlc.sandbox.sap.papers import Payment, PaymentRow
from mlc.sandbox.sap.payments import Payments
from mlc.sandbox.sap.records import ZERO, Entry, EntryLine, Reconciliation
from mlc.sandbox.sap.settle import Share

Day = date  # where `date` is the name of an argument


class ByHand(Payments):
    """The ledger with what people key in."""

    # --- entries and reconciliations ------------------------------------------------------------------------------
    def add_entry(self, lines: Sequence[EntryLine], day: date, **more: Any) -> int:
        """Post a manual entry of lines built by `line`; returns its JdtNum."""
        if self.switches.enable_branches:
            for branch in {line.branch for line in lines}:
                if sum((line.net for line in lines if line.branch == branch), ZERO) != 0:
                    raise SapError(-5012, "Unbalanced Transaction  [OJDT.BPLId]")
        number = self.post(lines, day, "ttJournalEntry", 0, **more).trans_id
        self.notice("JournalEntries", number, "Created")
        return number

    def entry(self, trans_id: int) -> Entry:
        """Return a journal entry; raises SapError where there is none."""
        if trans_id not in self.journal:
            raise no_match(404)
        return self.journal[trans_id]

    def cancel_entry(self, trans_id: int, day: date | None = None) -> int:
        """Reverse a manual entry; returns the JdtNum of the reversal."""
        entry = self.entry(trans_id)
        if entry.origin != "ttJournalEntry":
            raise SapError(-5002, "Only manual journal entries can be cancelled  [OJDT.TransType]")
        if entry.reversed_by or entry.reverses:
            raise SapError(-5002, "Journal entry is already cancelled  [OJDT.StornoToTr]")
        self.free(entry)
        number = self.reverse(entry, day or entry.date, "ttJournalEntry", 0).trans_id
        self.notice("JournalEntries", trans_id, "Cancelled")
        self.notice("JournalEntries", number, "Created")
        return number

    def open_items(self, short_name: str) -> list[tuple[Entry, EntryLine]]:
        """Return the open lines of a partner (or account) in the order of posting."""
        return [(entry, line) for entry, line in self.lines_of(short_name) if line.open]

    def reconcile(
        self, rows: Sequence[tuple[int, int, Decimal]], day: date | None = None, scope: str = "coaCard"
    ) -> Reconciliation:
        """Settle rows (TransId, line, amount) with each other by hand."""
        shares: list[Share] = []
        for trans_id, row_id, amount in rows:
            entry = self.journal.get(trans_id)
            if entry is None or not 0 <= row_id < len(entry.lines):
                raise no_match()
            line = entry.lines[row_id]
            if line.is_partner != (scope == "coaCard") or any(one.line is line for one in shares):
                raise SapError(-5002, f"Transaction {trans_id} row {row_id} cannot be reconciled  [ITR1.TransRowId]")
            if amount <= 0:
                raise SapError(-5002, "Reconciliation amount must be positive  [ITR1.ReconSum]")
            shares.append(self.share(entry, line, amount))
        if len({one.line.short_name for one in shares}) != 1:
            raise SapError(-5002, "Transactions of different business partners  [ITR1.ShortName]")
        _align(shares)
        return self.settle(shares, day or self.today(), "rtManual", scope)

    # --- money back -----------------------------------------------------------------------------------------------
    def add_refund(
        self,
        card_code: str,
        amount: Decimal,
        *,
        reference: str = "",
        account: str = CLEARING,
        date: Day | None = None,
        memos: Mapping[int, Decimal] | None = None,
        entries: Sequence[tuple[int, int, Decimal]] = (),
        currency: str | None = None,
        **fields: Any,
    ) -> int:
        """Book an outgoing payment to a customer as a person would; returns its DocEntry.

        `memos` (DocEntry -> amount) are credit memos it pays back, `entries` (TransId, line, amount) credits of journal
        entries; what neither takes stays on account as a debit of the customer.
        """
        day, rows = date or self.today(), [PaymentRow("it_CredItnote", entry) for entry in memos or {}]
        rows += [PaymentRow("it_JournalEntry", trans_id, doc_line=line) for trans_id, line, _ in entries]
        first = self.document(CREDIT_NOTES, rows[0].doc_entry) if memos else None
        currency = currency or (first.currency if first else self.local_currency)
        payment = Payment(card_code, day, currency, day, day, rows=rows, outgoing=True, fields=fields)
        payment.rate = first.rate if first and currency != self.local_currency else self.rate(currency, day)
        payment.branch = first.branch if first else None
        payment.remarks, payment.transfer_reference = fields.pop("Remarks", None), reference or None
        payment.transfer_sum, payment.transfer_account = amount, self.account(account).code
        payment.transfer_date = day
        given = [*(memos or {}).values(), *(share for _, _, share in entries)]
        for row, share in zip(rows, given, strict=True):
            self.convert(payment, row, share)
        return self.book(payment)

    def refund_by_entry(
        self, card_code: str, amount: Decimal, *, account: str = CLEARING, reference: str = "", date: Day | None = None
    ) -> int:
        """Book money back by a journal entry, Dr the customer, Cr the clearing account, as some do; returns its JdtNum."""
        if amount <= 0:
            raise SapError(-5002, "Enter either a debit or a credit amount  [JDT1.Debit]")
        lines = [self.line("", amount, partner=card_code), self.line(account, -amount)]
        fields = {"Reference2": reference} if reference else {}
        return self.add_entry(lines, date or self.today(), memo=f"Refund {card_code}", fields=fields)

    # --- the rest of an invoice's life ----------------------------------------------------------------------------
    def write_off(
        self, invoice_doc_entry: int, amount: Decimal | None = None, *, account: str = LOSSES, date: Day | None = None
    ) -> int:
        """Write an invoice off by an amount in its currency (None is what is open); returns the JdtNum.

        The entry is Dr a loss, Cr the customer, and is settled with the invoice.
        """
        invoice = self.invoice(invoice_doc_entry)
        self.payable(invoice)
        foreign, day = bool(invoice.total_fc), date or self.today()
        whole = invoice.open_fc if foreign else invoice.open
        amount = whole if amount is None else amount
        if not 0 < amount <= whole:
            raise SapError(-5002, "Write-off amount must be positive and at most the open balance  [JDT1.Credit]")
        local = invoice.open if amount == whole else self.rounded(amount * invoice.rate) if foreign else amount
        fc = amount if foreign else ZERO
        extra = {"currency": invoice.currency if foreign else None, "branch": invoice.branch}
        lines = [self.line(account, local, fc, **extra), self.line("", -local, -fc, partner=invoice.card_code, **extra)]
        number = self.add_entry(lines, day, memo=f"Write-off of invoice {invoice.doc_num}"[:50])
        self.match(self.journal[number], self.journal[invoice.trans_id], day, "rtManual")
        return number

    def change_due_date(self, invoice_doc_entry: int, due_date: date) -> None:
        """Give an invoice another due date, and with it its change stamp."""
        self.touch(invoice_doc_entry, DocDueDate=due_date)

    def cancel_payment_today(self, doc_entry: int) -> None:
        """Cancel an incoming payment on the current day, whatever day it was booked on."""
        self.cancel_payment(doc_entry, self.today())


def _align(shares: Sequence[Share]) -> None:
    """Let one open line that is used in part take as much foreign currency as the other side gives: both settle the same."""
    if len({one.line.currency for one in shares}) != 1 or not shares[0].line.currency:
        return
    partly = [one for one in shares if one.amount != one.line.open]
    if len(partly) != 1:
        return
    rest = sum((one.amount_fc if one.line.is_debit else -one.amount_fc for one in shares if one is not partly[0]), Decimal(0))
    partly[0].amount_fc = min(abs(rest), partly[0].line.open_fc)
