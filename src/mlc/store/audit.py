"""The audit trail: rows are only ever added, and each is chained to the one before by its hash."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from mlc.clock import stamp
from mlc.core.codec import cleaned
from mlc.store.database import Database

GENESIS = "0" * 64
ERASED = "erased"  # a row that vouches for the hashes of rows from which a person's data were taken out


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One thing that happened."""

    seq: int
    at: str
    book: str
    run_id: str
    pass_: str
    name: str
    what: str
    data: dict[str, Any]
    hash: str


class Audit:
    """Appends and reads the trail. Every append belongs to a transaction of its caller."""

    def __init__(self, database: Database, clean: Callable[[str], str] = lambda text: text) -> None:
        """`clean` takes secrets out of a text before it is kept."""
        self._database = database
        self._clean = clean

    def append(self, at: float, *, book: str, run_id: str, pass_: str, name: str, what: str, data: dict[str, Any]) -> None:
        """Add one row inside the transaction that is open."""
        connection = self._database.connection
        assert connection.in_transaction, "an audit row belongs to the transaction of what it tells"
        last = connection.execute("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
        seq, before = (last["seq"] + 1, last["hash"]) if last else (1, GENESIS)
        text = json.dumps(self.cleaned(data), ensure_ascii=False, sort_keys=True, default=str)
        row = (seq, stamp(at), book, run_id, pass_, name, what, text)
        connection.execute("INSERT INTO audit VALUES (?,?,?,?,?,?,?,?,?)", (*row, _chain(before, row)))

    def cleaned(self, value: Any) -> Any:
        """Take secrets out of every text in a value."""
        return cleaned(value, self._clean)

    def head(self) -> str:
        """Return the hash of the newest row: whoever notes it can later prove everything before it."""
        row = self._database.connection.execute("SELECT hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
        return row["hash"] if row else GENESIS

    def rows(self, *, book: str | None = None, name: str | None = None, after: int = 0, limit: int = -1) -> Iterator[AuditRow]:
        """Yield rows in the order they were written; `name` matches whole names or their last part."""
        where, values = ["seq > ?"], [after]  # type: tuple[list[str], list[Any]]
        if book is not None:
            where.append("book = ?")
            values.append(book)
        if name is not None:
            where.append("(name = ? OR substr(name, -length(?) - 1) = '/' || ?)")
            values += [name, name, name]
        query = f"SELECT * FROM audit WHERE {' AND '.join(where)} ORDER BY seq LIMIT ?"  # noqa: S608 - only fixed words are joined
        for row in self._database.connection.execute(query, (*values, limit)):
            yield _row(row)

    def newest(self, book: str, count: int) -> list[AuditRow]:
        """Return so many of a company's newest rows, oldest first."""
        query = "SELECT * FROM audit WHERE book=? ORDER BY seq DESC LIMIT ?"
        return [_row(row) for row in self._database.connection.execute(query, (book, count)).fetchall()][::-1]

    def erased(self) -> int:
        """Return from how many rows a person's data were taken out."""
        return len(self._vouched())

    def _vouched(self) -> dict[int, tuple[str, str]]:
        """Return row -> (hash, fingerprint of what is left) of rows that a row of the chain says a person's data were taken out of."""
        return _vouched(self._database.connection.execute("SELECT data FROM audit WHERE what=?", (ERASED,)))

    def verify(self, head: str | None = None) -> tuple[int, list[str]]:
        """Walk the chain; return how many rows were read and what is wrong, in words.

        With `head` (or its first characters, as screens show them) the walk also proves that this hash is in the chain: rows cut
        off at the end are found too.
        """
        wrong: list[str] = []
        vouched = self._vouched()
        before, expected, seen_head, count = GENESIS, 1, head in (None, GENESIS), 0
        for row in self._database.connection.execute("SELECT * FROM audit ORDER BY seq"):
            count += 1
            if row["seq"] != expected:
                wrong.append(f"row {expected} is missing: the next one there is {row['seq']}")
                expected = row["seq"]
            if _chain(before, tuple(row)[:8]) != row["hash"] and vouched.get(row["seq"]) != (row["hash"], fingerprint(row)):
                wrong.append(
                    f"row {row['seq']} of {row['at']} ({row['what']}) was changed or does not follow the row before it"
                )
            before, expected = row["hash"], expected + 1
            seen_head = seen_head or before.startswith(head or GENESIS)
            if len(wrong) >= 20:
                break
        if not seen_head:
            wrong.append(f"no row has the hash {head}: rows were removed or changed since it was noted")
        return count, wrong


def fingerprint(row: sqlite3.Row) -> str:
    """Return a digest of what a row tells: a row that was changed on purpose may not be changed again."""
    return _chain("", tuple(row)[:8])


def _vouched(rows: Iterable[sqlite3.Row]) -> dict[int, tuple[str, str]]:
    found: dict[int, tuple[str, str]] = {}
    for row in rows:
        listed = _data(row["data"]).get("rows")
        whole = [one for one in listed if isinstance(one, list) and len(one) == 3] if isinstance(listed, list) else []
        found |= {one[0]: (one[1], one[2]) for one in whole}
    return found


def _chain(before: str, row: tuple[Any, ...]) -> str:
    return hashlib.sha256((before + json.dumps(row, ensure_ascii=False)).encode()).hexdigest()


def _row(row: sqlite3.Row) -> AuditRow:
    return AuditRow(
        row["seq"],
        row["at"],
        row["book"],
        row["run_id"],
        row["pass"],
        row["name"],
        row["what"],
        _data(row["data"]),
        row["hash"],
    )


def _data(text: str) -> dict[str, Any]:
    """Return what a row tells; one that somebody damaged is shown as it is, `audit verify` finds it."""
    try:
        data = json.loads(text)
    except ValueError:
        return {"damaged": text}
    return data if isinstance(data, dict) else {"damaged": text}
