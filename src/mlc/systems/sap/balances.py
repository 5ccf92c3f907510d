"""What SAP says of an account now."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from mlc.systems.sap import odata, wire
from mlc.systems.sap.client import SapSystem

_ACCOUNT = "Code,FormatCode,Name,Balance"


@dataclass(frozen=True, slots=True)
class AccountBalance:
    """An account with its balance in the local currency; a debit is positive."""

    code: str
    shown: str
    name: str
    balance: Decimal


class SapBalances:
    """Reads balances of one company; never from memory, because they are asked for twice to see whether they stand still."""

    def __init__(self, system: SapSystem) -> None:
        self.system = system

    def account(self, code: str) -> AccountBalance | None:
        """Return an account by Code or (segmented accounts) FormatCode, None where SAP has none."""
        where = f"{odata.any_of('Code', [code])} or {odata.any_of('FormatCode', [code])}"
        rows = [row for page in self.system.pages("ChartOfAccounts", _ACCOUNT, where, key="Code") for row in page]
        chosen = next((row for row in rows if row.get("Code") == code), rows[0] if rows else None)
        if chosen is None:
            return None
        return AccountBalance(
            chosen["Code"], chosen.get("FormatCode") or chosen["Code"], chosen.get("Name") or "",
            wire.amount_of(chosen, "Balance", f"account {code}"),
        )  # fmt: skip
