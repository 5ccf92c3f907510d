"""What a comparison has seen of one side while it reads the other: a private database on disk that ends with it.

SQLite keeps an unnamed database in a file of its own that is deleted when it is closed: memory does not grow with the company, and the
state file is not touched.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_TABLES = """
CREATE TABLE seen (kind TEXT, key TEXT, number INTEGER, value TEXT, PRIMARY KEY (kind, key)) WITHOUT ROWID;
CREATE INDEX by_number ON seen (kind, number);
CREATE TABLE passed (kind TEXT, number INTEGER, PRIMARY KEY (kind, number)) WITHOUT ROWID;
"""
_MANY = 400


class Besides:
    """What was seen, by kind and key; some of it also by a number (a DocEntry) that several share."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect("", isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=OFF")
        self._connection.executescript(_TABLES)

    def keep(self, kind: str, values: Mapping[str, Any], numbers: Mapping[str, int] | None = None) -> None:
        """Keep key -> JSON value; what was seen before under a key is replaced."""
        known = numbers or {}
        rows = [(kind, key, known.get(key), json.dumps(value)) for key, value in values.items()]
        self._connection.execute("BEGIN")
        self._connection.executemany("INSERT OR REPLACE INTO seen VALUES (?,?,?,?)", rows)
        self._connection.execute("COMMIT")

    def known(self, kind: str, keys: Iterable[str]) -> dict[str, Any]:
        """Return key -> value of those that were seen."""
        return {
            row[0]: json.loads(row[1])
            for row in self._in("SELECT key, value FROM seen WHERE kind=? AND key IN ({})", kind, keys)
        }

    def numbered(self, kind: str, numbers: Iterable[int]) -> dict[int, list[Any]]:
        """Return number -> values that were kept under it, in the order of their keys."""
        found: dict[int, list[Any]] = {}
        query = "SELECT number, value FROM seen WHERE kind=? AND number IN ({}) ORDER BY number, key"
        for row in self._in(query, kind, numbers):
            found.setdefault(row[0], []).append(json.loads(row[1]))
        return found

    def tick(self, kind: str, numbers: Iterable[int]) -> None:
        """Note that these numbers were dealt with."""
        self._connection.executemany("INSERT OR IGNORE INTO passed VALUES (?,?)", [(kind, number) for number in numbers])

    def left(self, kind: str, size: int) -> Iterator[list[int]]:
        """Yield the numbers that were not dealt with, some at a time; they may be ticked off meanwhile."""
        last = -1
        query = (
            "SELECT DISTINCT number FROM seen WHERE kind=?1 AND number > ?2 AND NOT EXISTS"
            " (SELECT 1 FROM passed WHERE passed.kind=?1 AND passed.number = seen.number) ORDER BY number LIMIT ?3"
        )
        while rows := self._connection.execute(query, (kind, last, size)).fetchall():
            last = rows[-1][0]
            yield [row[0] for row in rows]

    def _in(self, query: str, kind: str, values: Iterable[Any]) -> Iterator[Any]:
        wanted = list(dict.fromkeys(values))
        for start in range(0, len(wanted), _MANY):
            part = wanted[start : start + _MANY]
            yield from self._connection.execute(query.format(",".join("?" * len(part))), (kind, *part)).fetchall()

    def close(self) -> None:
        """Forget everything."""
        self._connection.close()
