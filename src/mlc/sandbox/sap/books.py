"""The simulated company as a whole: change sets, user tables, and the proof that everything adds up."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from mlc.sandbox.kit import Clock
from mlc.sandbox.sap.by_hand import ByHand
from mlc.sandbox.sap.errors import SapError
from mlc.sandbox.sap.records import ZERO, Simple
from mlc.sandbox.sap.switches import SapSwitches


class Books(ByHand):
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
            self.journal, self.owners, self.reconciliations, self.receipts, self.outgoing, self.drafts, self.partners,
            self.changes, self.rates, self.centres, self.projects, *self.documents.values(), *self.user_rows.values(),
        )  # fmt: skip

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
        for one in [*self.receipts.values(), *self.outgoing.values()]:
            entry, name = self.journal[one.trans_id], f"{'outgoing' if one.outgoing else 'incoming'} payment {one.doc_entry}"
            assert (entry.origin, entry.original) == (one.origin, one.doc_entry), f"{name}: its entry is of another"
            assert bool(entry.reversed_by) == (one.cancelled == "tYES"), f"{name}: cancelled"
            moved = sum((-one.side * line.net for line in entry.partner_lines), ZERO)
            assert {line.short_name for line in entry.partner_lines} == {one.card_code}, f"{name}: another partner"
            if one.currency == self.local_currency:
                assert moved == one.amount, f"{name}: its entry moves {moved}"
                paid = sum((one.side * line.net for line in entry.lines if line.account == one.transfer_account), ZERO)
                assert paid == one.transfer_sum - one.side * one.bank_charge or one.cash_sum, (
                    f"{name}: its account moves {paid}"
                )
            assert one.applied <= moved, f"{name} applies more than it is"
