"""What GoCardless says the creditors' money is doing now: confirmed funds, payments and payouts on their way."""

from __future__ import annotations

from collections.abc import Iterator

from mlc.systems.gocardless import wire
from mlc.systems.gocardless.client import GoCardlessSystem


class GoCardlessBalance:
    """Reads the balances of one organisation."""

    def __init__(self, system: GoCardlessSystem) -> None:
        self.system = system

    def now(self) -> Iterator[tuple[str, str, int]]:
        """Yield (currency, kind of balance, minor units) of every creditor; the list wants one creditor at a time."""
        for creditor in self.system.rows("creditors"):
            for row in self.system.rows("balances", {"creditor": wire.need(creditor, "id", "a creditor")}):
                amount = wire.need(row, "amount", "a balance")
                yield str(wire.need(row, "currency", "a balance")).upper(), str(row.get("balance_type") or ""), int(amount)
