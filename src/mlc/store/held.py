"""What waits for a person: one row per wish, with its reason, since when, and what is needed to look at it again."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlc.core.money import Money
from mlc.store.database import Database

if TYPE_CHECKING:
    from mlc.core.intents import Skip


@dataclass(frozen=True, slots=True)
class Held:
    """One held item."""

    name: str
    pass_: str
    reason: str
    text: str
    amount: Money | None
    candidates: tuple[str, ...]
    about: dict[str, Any]
    facts: dict[str, Any]
    since: float
    dismissed: bool
    note: str


class HeldItems:
    """The held items of one company."""

    def __init__(self, database: Database, book: str) -> None:
        self._database = database
        self._book = book

    def put(self, skip: Skip, pass_: str, run_id: str, now: float) -> bool:
        """Keep or refresh an item inside the open transaction; True where it is new or its reason changed."""
        known = self.get(skip.name)
        news = known is None or known.reason != skip.reason
        minor, currency = (skip.amount.minor, skip.amount.currency) if skip.amount else (None, None)
        self._database.connection.execute(
            "INSERT INTO held VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,NULL,'') ON CONFLICT DO UPDATE SET pass=excluded.pass,"
            " since = CASE WHEN reason = excluded.reason THEN since ELSE excluded.since END,"
            " dismissed_at = CASE WHEN reason = excluded.reason THEN dismissed_at ELSE NULL END,"
            " reason=excluded.reason, text=excluded.text, minor=excluded.minor, currency=excluded.currency,"
            " candidates=excluded.candidates, about=excluded.about, facts=excluded.facts, looked_at=excluded.looked_at,"
            " run_id=excluded.run_id",
            (
                self._book, skip.name, pass_, skip.reason, skip.text, minor, currency, json.dumps(skip.candidates),
                json.dumps(skip.about, default=str), json.dumps(skip.facts, default=str), now, now, run_id,
            ),
        )  # fmt: skip
        return news

    def remove(self, name: str) -> bool:
        """Take an item away inside the open transaction; True where there was one."""
        return self._database.connection.execute("DELETE FROM held WHERE book=? AND name=?", (self._book, name)).rowcount > 0

    def dismiss(self, name: str, note: str, now: float) -> None:
        """Keep the item but let it wait for nobody any more."""
        self._database.connection.execute(
            "UPDATE held SET dismissed_at=?, note=? WHERE book=? AND name=?", (now, note, self._book, name)
        )

    def get(self, name: str) -> Held | None:
        """Return one item by its whole name."""
        row = self._database.connection.execute("SELECT * FROM held WHERE book=? AND name=?", (self._book, name)).fetchone()
        return _held(row) if row else None

    def all(self, *, pass_: str | None = None, dismissed: bool = False) -> Iterator[Held]:
        """Yield the items, oldest first; dismissed ones only where asked for."""
        query = (
            "SELECT * FROM held WHERE book=? AND (?2 IS NULL OR pass=?2) AND (?3 OR dismissed_at IS NULL) ORDER BY since, name"
        )
        for row in self._database.connection.execute(query, (self._book, pass_, dismissed)).fetchall():
            yield _held(row)

    def search(self, text: str) -> list[Held]:
        """Return the items a person may mean: by name, its last part, or any id or number of the thing."""
        if not text.strip():
            return []
        rows = self._database.connection.execute("SELECT * FROM held WHERE book=?", (self._book,))
        found = [_held(row) for row in rows]
        return [
            one
            for one in found
            if text == one.name or (one.name.endswith("/" + text) and not text.isdigit()) or text in _known_as(one.about)
        ]

    def count(self) -> int:
        """Return how many wait."""
        query = "SELECT count(*) FROM held WHERE book=? AND dismissed_at IS NULL"
        return int(self._database.connection.execute(query, (self._book,)).fetchone()[0])

    def oldest(self) -> float | None:
        """Return since when the oldest one waits, Unix seconds."""
        query = "SELECT min(since) FROM held WHERE book=? AND dismissed_at IS NULL"
        since = self._database.connection.execute(query, (self._book,)).fetchone()[0]
        return float(since) if since is not None else None


_IDS = (
    "payment",
    "invoice",
    "invoices",
    "doc_num",
    "doc_nums",
    "refund",
    "dispute",
    "returned",
    "payout",
    "customer_gc",
)  # DocEntry is no number that people know


def _known_as(about: dict[str, Any]) -> set[str]:
    """Return the ids and numbers by which a person may call an item."""
    values = [about[name] for name in _IDS if about.get(name)]
    return {str(one) for value in values for one in (value if isinstance(value, list) else [value])}


def _held(row: sqlite3.Row) -> Held:
    return Held(
        name=row["name"], pass_=row["pass"], reason=row["reason"], text=row["text"],
        amount=Money(row["minor"], row["currency"]) if row["minor"] is not None else None,
        candidates=tuple(json.loads(row["candidates"])), about=json.loads(row["about"]), facts=json.loads(row["facts"]),
        since=row["since"], dismissed=row["dismissed_at"] is not None, note=row["note"],
    )  # fmt: skip
