"""What a run did, as values: items and counts that the command line renders for people and for scripts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mlc.core import errors
from mlc.core.intents import Receipt
from mlc.core.money import Money

STATES = ("planned", "done", "held", "refused", "in_doubt")


@dataclass(frozen=True, slots=True)
class Item:
    """One wish and where it stands."""

    id: str
    target: str
    action: str
    state: str
    says: str
    reason: str = ""
    text: str = ""
    receipt: Receipt | None = None
    amount: Money | None = None
    about: dict[str, Any] = field(default_factory=dict)
    candidates: tuple[str, ...] = ()
    news: bool = True  # False for a held item that was held before
    command: Any = None  # what would be, or was, made true


@dataclass(slots=True)
class Report:
    """The outcome of one pass over one tenant."""

    tenant: str
    pass_: str
    run_id: str
    dry_run: bool
    counts: Counter[str] = field(default_factory=Counter)
    amounts: Counter[str] = field(default_factory=Counter)
    codes: list[int] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # what the run could not see, or did another way
    hint: str = ""
    audit_head: str = ""
    started: float = 0.0
    ended: float = 0.0
    expected: int | None = None  # how many documents there are to look at, where the pass asked
    promised: int = 0  # wishes this run is to carry, and
    settled: int = 0  # how many of them have come out
    news: int = 0  # items that were not held, or for another reason, before
    overdue: tuple[str, float] | None = None  # what waits longer than alert_after, held or refused, and for how many seconds
    tell: Callable[[Item], None] = field(default=lambda _item: None)

    def add(self, item: Item) -> None:
        """Count an item and pass it on; items are not kept, so that a report does not grow with the company."""
        self.counts[item.state] += 1
        self.news += item.state == "held" and item.news
        if item.amount is not None and item.state in ("planned", "done"):
            self.amounts[item.amount.currency] += item.amount.minor
        if (item.state == "held" and item.news) or item.state == "refused":
            self.codes.append(errors.ATTENTION)
        if item.state == "in_doubt":
            self.codes.append(errors.UNREACHABLE)
        self.codes = [errors.worst(self.codes)]
        self.tell(item)

    def fail(self, error: errors.MlcError) -> None:
        """Note what stopped the pass."""
        self.codes.append(error.exit_code)
        self.messages.append(error.message)
        self.hint = error.hint

    def counted(self) -> str:
        """Return how many items there are of each state, in words."""
        return ", ".join(f"{self.counts[name]:,} {name.replace('_', ' ')}" for name in STATES if self.counts[name])

    @property
    def exit_code(self) -> int:
        """Return how this pass ended."""
        return errors.worst(self.codes)
