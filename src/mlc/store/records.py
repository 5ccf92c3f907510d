"""The journal's rows as values: an intent as it is stored, and an effect with what is known of its answer."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlc.core.money import Money

if TYPE_CHECKING:
    from mlc.core.commands import Command
    from mlc.core.intents import Receipt


@dataclass(slots=True)
class Stored:
    """An intent as the journal knows it."""

    id: int
    name: str
    pass_: str
    lane: str
    command: Command
    generation: int
    state: str
    says: str
    amount: Money | None
    receipt: Receipt | None
    code: str
    reason: str
    run_id: str
    accepted_at: float  # when this generation was promised


@dataclass(slots=True)
class Effect:
    """A request that was frozen and at least once sent. Without `answer` it is in doubt."""

    intent: int
    generation: int
    step: str
    roll: int
    method: str
    path: str
    body: dict[str, Any]
    key: str
    sends: int
    first_sent: float
    first_up: float
    first_boot: str
    sent: float
    up: float
    boot: str
    status: int | None
    answer: Any

    @property
    def answered(self) -> bool:
        """Tell whether the answer is known."""
        return self.status is not None


def _money(row: sqlite3.Row) -> Money | None:
    return Money(row["minor"], row["currency"]) if row["minor"] is not None else None


def stored_of(row: sqlite3.Row) -> Stored:
    """Read a row of intents."""
    from mlc.core import commands
    from mlc.core.intents import Receipt

    receipt = Receipt(*json.loads(row["receipt"])) if row["receipt"] else None
    return Stored(
        id=row["id"], name=row["name"], pass_=row["pass"], lane=row["lane"], command=commands.from_json(json.loads(row["command"])),
        generation=row["generation"], state=row["state"], says=row["says"], amount=_money(row), receipt=receipt,
        code=row["code"], reason=row["reason"], run_id=row["run_id"], accepted_at=row["updated_at"],
    )  # fmt: skip


def effect_of(row: sqlite3.Row) -> Effect:
    """Read a row of effects."""
    return Effect(
        intent=row["intent"], generation=row["generation"], step=row["step"], roll=row["roll"], method=row["method"],
        path=row["path"], body=json.loads(row["body"]), key=row["key"], sends=row["sends"], first_sent=row["first_sent"],
        first_up=row["first_up"], first_boot=row["first_boot"], sent=row["sent"], up=row["up"], boot=row["boot"],
        status=row["status"], answer=json.loads(row["answer"]) if row["answer"] else None,
    )  # fmt: skip
