"""Open items: lines of both sides settle each other, and documents learn from it how much of them is paid."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from mlc.sandbox.sap.errors import SapError, closed_invoice, no_match
from mlc.sandbox.sap.ledger import Ledger
from mlc.sandbox.sap.papers import Document
from mlc.sandbox.sap.records import ZERO, Entry, EntryLine, Reconciliation, ReconciliationRow, Stamped

SOURCE_TYPES = {
    "ttARInvoice": "13", "ttARCredItnote": "14", "ttReceipt": "24", "ttJournalEntry": "30", "ttVendorPayment": "46",
}  # fmt: skip


@dataclass(slots=True)
class Share:
    """How much of one open line a settlement takes."""

    entry: Entry
    line: EntryLine
    amount: Decimal
    amount_fc: Decimal = ZERO


class Settlement(Ledger):
    """The ledger with reconciliations; everything that settles anything goes through `settle`."""

    def _begin(self) -> None:
        self.reconciliations: dict[int, Reconciliation] = {}
        self.owners: dict[int, Document] = {}

    def share(self, entry: Entry, line: EntryLine, amount: Decimal | None = None) -> Share:
        """Take an amount (None is everything open) of a line; the foreign part follows in proportion."""
        amount = line.open if amount is None else amount
        if amount == line.open:
            return Share(entry, line, amount, line.open_fc)
        fc = self.rounded(amount * line.amount_fc / line.amount, line.currency) if line.currency else ZERO
        return Share(entry, line, amount, min(fc, line.open_fc))

    def settle(self, shares: Sequence[Share], day: date, kind: str, scope: str = "coaCard") -> Reconciliation:
        """Settle lines of both sides with each other; the debit shares must equal the credit shares."""
        shares = [one for one in shares if one.amount]
        sides = [one.amount if one.line.is_debit else -one.amount for one in shares]
        if sum(sides, ZERO) != 0 or not shares:
            raise SapError(-5002, "Reconciliation amounts of debit and credit must be equal  [OITR.Total]")
        if any(one.amount < 0 or one.amount > one.line.open for one in shares):
            raise SapError(-5002, "Reconciliation amount exceeds the open amount of the transaction  [ITR1.ReconSum]")
        rows = [self._row(position, one) for position, one in enumerate(shares)]
        total = sum((side for side in sides if side > 0), ZERO)
        done = Reconciliation(len(self.reconciliations) + 1, day, scope, kind, total, rows)
        self.reconciliations[done.number] = done
        for one in shares:
            self.undo.keep(one.line)
            one.line.open -= one.amount
            one.line.open_fc -= one.amount_fc
        self._tell({one.entry.trans_id for one in shares}, manual=kind == "rtManual")
        return done

    @staticmethod
    def _row(position: int, one: Share) -> ReconciliationRow:
        side = "codDebit" if one.line.is_debit else "codCredit"
        source = SOURCE_TYPES.get(one.entry.origin, "30")
        return ReconciliationRow(
            position, one.line.short_name, one.entry.trans_id, one.line.line_id, source, one.entry.original, side,
            one.amount, one.amount_fc,
        )  # fmt: skip

    def unsettle(self, number: int, *, system: bool = False) -> None:
        """Cancel a reconciliation: its lines are open again; only those made by hand unless `system`."""
        found = self.reconciliations.get(number)
        if found is None:
            raise no_match(404)
        if found.cancelled_by or found.mirror_of:
            raise SapError(-5002, "Reconciliation is already cancelled  [OITR.Canceled]")
        if found.kind != "rtManual" and not system:
            raise SapError(-5002, "Only reconciliations made by hand can be cancelled  [OITR.ReconType]")
        for row in found.rows:
            line = self.journal[row.trans_id].lines[row.row_id]
            self.undo.keep(line)
            line.open += row.amount
            line.open_fc += row.amount_fc
        number_of_mirror = len(self.reconciliations) + 1
        mirror = Reconciliation(
            number_of_mirror, self.today(), found.scope, "rtCancellation", found.total, list(found.rows), mirror_of=number
        )
        self.reconciliations[mirror.number] = mirror
        self.undo.keep(found)
        found.cancelled_by = mirror.number
        self._tell({row.trans_id for row in found.rows}, manual=found.kind == "rtManual")

    def active(self, trans_id: int, line_id: int) -> list[Reconciliation]:
        """Return the reconciliations in force that hold a line."""
        key = (trans_id, line_id)
        live = (one for one in self.reconciliations.values() if not one.cancelled_by and not one.mirror_of)
        return [one for one in live if any((row.trans_id, row.row_id) == key for row in one.rows)]

    def free(self, entry: Entry) -> None:
        """Make sure no line of an entry is settled by hand; undoes that or refuses, as the company is set up."""
        for line in entry.lines:
            if line.open == line.amount:
                continue
            if self.switches.cancel_reconciled == "refused":
                raise SapError(-5002, "Transaction is already reconciled  [JDT1.IntrnMatch]")
            for one in self.active(entry.trans_id, line.line_id):
                self.unsettle(one.number, system=True)

    def reverse(self, entry: Entry, day: date, origin: str, original: int) -> Entry:
        """Post the mirror of an entry and settle both with each other."""
        fields = dict(entry.fields) if self.switches.reversal_keeps_references else {}
        mirror = self.post(
            self.reversal_lines(entry), day, origin, original, memo=f"{entry.memo} - Cancellation"[:50],
            reverses=entry.trans_id, fields=fields,
        )  # fmt: skip
        self.undo.keep(entry)
        entry.reversed_by = mirror.trans_id
        for one, other in zip(entry.lines, mirror.lines, strict=True):
            if one.is_partner and one.open:
                self.settle([self.share(entry, one), self.share(mirror, other)], day, "rtReversal")
        return mirror

    # --- what documents learn -------------------------------------------------------------------------------------
    def _tell(self, trans_ids: Iterable[int], *, manual: bool) -> None:
        for trans_id in sorted(trans_ids):
            document = self.owners.get(trans_id)
            if document is None:
                continue
            self.undo.keep(document, *document.lines)
            lines = self.journal[trans_id].partner_lines
            document.paid = document.total - sum((line.open for line in lines), ZERO)
            document.paid_fc = document.total_fc - sum((line.open_fc for line in lines), ZERO)
            self._restate(document, manual=manual)
            if self.switches.payment_moves_update_date:
                self.stamp(document)

    def _restate(self, document: Document, *, manual: bool) -> None:
        if document.closed_by_hand or document.cancel_status != "csNo":
            return
        if document.open:
            document.status = "bost_Open"
        elif not manual or self.switches.reconciliation_closes:
            document.status = "bost_Close"
        for line in document.lines:
            line.status = document.status

    def stamp(self, record: Stamped) -> None:
        """Move a record's change stamp to now."""
        self.undo.keep(record)
        record.updated = self.local_now()
        record.version += 1

    def payable(self, document: Document) -> None:
        """Refuse documents that take no money."""
        blocked = document.fields.get("PaymentBlock") == "tYES"
        if document.cancel_status != "csNo" or document.closed_by_hand or document.open <= 0 or blocked:
            raise closed_invoice()
