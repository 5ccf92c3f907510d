"""The simulated company as a whole: manual entries, reconciliations by hand, and the proof that everything adds up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from mlc.sandbox.kit import Clock
from mlc.sandbox.sap.errors import SapError, no_match
from mlc.sandbox.sap.payments import Payments
from mlc.sandbox.sap.records import ZERO, Entry, EntryLine, Reconciliation, Simple
from mlc.sandbox.sap.settle import Share
from mlc.sandbox.sap.switches import SapSwitches


class Books(Payments):
    """A company's books; usable without HTTP, to seed worlds and to ask what is true."""

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        local_currency: str = "EUR",
        decimals: int = 2,
        timezone: str = "Europe/Berlin",
        switches: SapSwitches | None = None,
    ) -> None:
        super().__init__(clock, local_currency=local_currency, decimals=decimals, timezone=timezone, switches=switches)
        self._begin()
        self.user_rows: dict[str, dict[str, Simple]] = {}

    def begin(self) -> None:
        """Open a change set: until `undo.commit` everything can be taken back by `undo.rollback`."""
        self.undo.begin(
            self.journal, self.owners, self.reconciliations, self.receipts, self.drafts, self.partners, self.rates,
            self.centres, self.projects, *self.documents.values(), *self.user_rows.values(),
        )  # fmt: skip

    # --- entries and reconciliations by hand ----------------------------------------------------------------------
    def add_entry(self, lines: Sequence[EntryLine], day: date, **more: Any) -> int:
        """Post a manual entry of lines built by `line`; returns its JdtNum."""
        if self.switches.enable_branches:
            for branch in {line.branch for line in lines}:
                if sum((line.net for line in lines if line.branch == branch), ZERO) != 0:
                    raise SapError(-5012, "Unbalanced Transaction  [OJDT.BPLId]")
        return self.post(lines, day, "ttJournalEntry", 0, **more).trans_id

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
        return self.reverse(entry, day or entry.date, "ttJournalEntry", 0).trans_id

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

    def add_user_row(self, table: str, row: Mapping[str, Any]) -> Simple:
        """Add a row to a user table; its Code is unique."""
        rows = self.user_rows.setdefault(table, {})
        if row["Code"] in rows:
            raise SapError(-2035, f"This entry already exists in the following tables '@{table[2:]}' (ODBC -2035)")
        rows[row["Code"]] = Simple(row["Code"], dict(row))
        return rows[row["Code"]]

    # --- the proof ------------------------------------------------------------------------------------------------
    def check(self) -> None:
        """Assert that entries balance, open items equal balances, and every document is paid by what settles it."""
        accounts: dict[str, Decimal] = {}
        partners: dict[str, Decimal] = {}
        taken, taken_fc = self._taken()
        for entry in self.journal.values():
            assert sum((line.net for line in entry.lines), ZERO) == 0, f"entry {entry.trans_id} does not balance"
            for line in entry.lines:
                key = (entry.trans_id, line.line_id)
                assert line.debit == 0 or line.credit == 0, f"line {key} has two sides"
                assert 0 <= line.open <= line.amount, f"line {key} is open by {line.open} of {line.amount}"
                assert line.open == line.amount - taken.get(key, ZERO), f"line {key} is settled otherwise"
                assert line.open_fc == line.amount_fc - taken_fc.get(key, ZERO), f"line {key} is settled otherwise in FC"
                accounts[line.account] = accounts.get(line.account, ZERO) + line.net
                if line.is_partner:
                    sign = 1 if line.is_debit else -1
                    partners[line.short_name] = partners.get(line.short_name, ZERO) + sign * line.open
        for code, account in self.accounts.items():
            assert account.balance == accounts.get(code, ZERO), f"account {code} differs from its lines"
        for code, partner in self.partners.items():
            assert partner.balance == partners.get(code, ZERO), f"partner {code} differs from its open items"
        self._check_documents(taken, taken_fc)
        self._check_payments()

    def _taken(self) -> tuple[dict[tuple[int, int], Decimal], dict[tuple[int, int], Decimal]]:
        taken: dict[tuple[int, int], Decimal] = {}
        taken_fc: dict[tuple[int, int], Decimal] = {}
        for one in self.reconciliations.values():
            if one.cancelled_by or one.mirror_of:
                continue
            signed = sum((row.amount if row.side == "codDebit" else -row.amount for row in one.rows), ZERO)
            assert signed == 0, f"reconciliation {one.number} does not balance"
            for row in one.rows:
                key = (row.trans_id, row.row_id)
                taken[key] = taken.get(key, ZERO) + row.amount
                taken_fc[key] = taken_fc.get(key, ZERO) + row.amount_fc
        return taken, taken_fc

    def _check_documents(self, taken: Mapping[tuple[int, int], Decimal], taken_fc: Mapping[tuple[int, int], Decimal]) -> None:
        for table in self.documents.values():
            for one in table.values():
                keys = [(one.trans_id, line.line_id) for line in self.journal[one.trans_id].partner_lines]
                name = f"{one.kind}({one.doc_entry})"
                assert one.paid == sum((taken.get(key, ZERO) for key in keys), ZERO), f"{name}: PaidToDate"
                assert one.paid_fc == sum((taken_fc.get(key, ZERO) for key in keys), ZERO), f"{name}: PaidToDateFC"
                assert one.total == sum((line.amount for line in self.journal[one.trans_id].partner_lines), ZERO), name
                assert 0 <= one.paid <= one.total, f"{name} is overpaid"
                settled = one.open == 0 or one.closed_by_hand
                if one.cancel_status == "csNo" and self.switches.reconciliation_closes:
                    assert (one.status == "bost_Close") == settled, f"{name}: status {one.status}, open {one.open}"

    def _check_payments(self) -> None:
        for one in self.receipts.values():
            entry = self.journal[one.trans_id]
            assert bool(entry.reversed_by) == (one.cancelled == "tYES"), f"payment {one.doc_entry}: cancelled"
            credit = sum((line.credit for line in entry.partner_lines), ZERO)
            if one.currency == self.local_currency:
                assert credit == one.amount, f"payment {one.doc_entry}: its entry credits {credit}"
            assert one.applied <= credit, f"payment {one.doc_entry} applies more than it is"


def _align(shares: Sequence[Share]) -> None:
    """Let one open line that is used in part take as much foreign currency as the other side gives: both settle the same."""
    if len({one.line.currency for one in shares}) != 1 or not shares[0].line.currency:
        return
    partly = [one for one in shares if one.amount != one.line.open]
    if len(partly) != 1:
        return
    rest = sum((one.amount_fc if one.line.is_debit else -one.amount_fc for one in shares if one is not partly[0]), Decimal(0))
    partly[0].amount_fc = min(abs(rest), partly[0].line.open_fc)
