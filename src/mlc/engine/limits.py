"""Safety limits: how much one pass may write in one run; once tripped a pass stays stopped until a person accepts it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from mlc.core.errors import LimitError
from mlc.core.money import Money, from_decimal
from mlc.store.journal import Journal


@dataclass(slots=True)
class Limits:
    """Counts wishes and amounts of one pass and run. `max_amount` is in minor units by currency."""

    max_writes: int
    max_amount: dict[str, int]
    writes: int = 0
    amounts: Counter[str] = field(default_factory=Counter)
    accepted: bool = False

    def forget(self) -> None:
        """Begin to count anew: what was counted was only shown."""
        self.writes = 0
        self.amounts.clear()

    def count(self, amounts: Iterable[Money | None]) -> None:
        """Count wishes without checking: those that were open before."""
        for amount in amounts:
            self.writes += 1
            if amount is not None:
                self.amounts[amount.currency] += abs(amount.minor)

    def check(self, amounts: list[Money | None], what: str) -> None:
        """Count the wishes of a plan; raises LimitError before any of them becomes a promise."""
        self.count(amounts)
        if self.accepted:
            return
        if self.writes > self.max_writes:
            raise LimitError(
                f"{what} would write {self.writes} documents in this run, more than limits.max_writes: {self.max_writes}"
            )
        for currency, minor in self.amounts.items():
            top = self.max_amount.get(currency)
            if top is not None and minor > top:
                raise LimitError(
                    f"{what} would move {Money(minor, currency)} in this run, more than limits.max_amount: {Money(top, currency)}"
                )


def trip(journal: Journal, pass_: str, error: LimitError) -> None:
    """Keep the pass stopped: every run ends with 7 until one is given --accept-limit."""
    journal.set_cursor(f"tripped/{pass_}", error.message)
    journal.note(pass_, "", "limit", {"text": error.message})


def refuse_if_tripped(journal: Journal, pass_: str, *, accept: bool) -> None:
    """Raise LimitError where the pass was stopped and nobody has accepted it yet."""
    tripped = journal.cursor(f"tripped/{pass_}")
    if tripped is None:
        return
    if not accept:
        raise LimitError(f"{pass_} is still stopped by a safety limit: {tripped}")
    journal.set_cursor(f"tripped/{pass_}", None)
    journal.note(pass_, "", "limit accepted", {"text": tripped})


def minor_limits(max_amount: dict[str, object]) -> dict[str, int]:
    """Return the configured major units as minor units."""
    from decimal import Decimal

    return {currency: from_decimal(Decimal(str(amount)), currency).minor for currency, amount in max_amount.items()}
