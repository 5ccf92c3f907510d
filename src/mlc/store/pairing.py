"""Sets what moved at a provider against what the journal knows, in temporary tables on disk: memory does not grow with the company."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator

from mlc.core.clearing import DISPUTE, PAYMENT, PAYOUT, REFUND, RETURN, REVERSAL, TURNED, Movement, Pair
from mlc.core.keys import thing_of
from mlc.store.database import Database

_KIND = {REFUND: REVERSAL, DISPUTE: REVERSAL, PAYMENT: PAYMENT}
_TABLES = """
DROP TABLE IF EXISTS temp.sides;
DROP TABLE IF EXISTS temp.waits;
DROP TABLE IF EXISTS temp.gone;
CREATE TEMP TABLE sides (key TEXT, base TEXT, currency TEXT, kind TEXT, moved INTEGER, booked INTEGER, fees INTEGER, at INTEGER,
    status TEXT, state TEXT, other TEXT);
CREATE TEMP TABLE waits (thing TEXT PRIMARY KEY, reason TEXT, text TEXT, dismissed INTEGER) WITHOUT ROWID;
CREATE TEMP TABLE gone (entry TEXT PRIMARY KEY, number TEXT) WITHOUT ROWID
"""
_LINKS = """
INSERT INTO temp.sides SELECT key,
    CASE WHEN instr(key, '/') THEN substr(key, 1, instr(key, '/') - 1) ELSE key END, json_extract(data, '$.currency'),
    CASE kind WHEN 'payment' THEN 'payment' WHEN 'reversal' THEN 'reversal' ELSE CASE WHEN instr(key, '/') THEN 'return' ELSE 'payout' END END,
    NULL, CASE WHEN kind = 'payment' THEN json_extract(data, '$.amount') WHEN key LIKE '%/returned%' THEN
        json_extract(data, '$.clearing') + json_extract(data, '$.fee') ELSE json_extract(data, '$.clearing') END,
    CASE WHEN key LIKE '%/returned%' THEN json_extract(data, '$.fee') ELSE json_extract(data, '$.fees') END, NULL, NULL, state, other
FROM links WHERE book = ? AND (kind = 'payment' AND state IN ('posted', 'cancelled')
    OR kind IN ('reversal', 'stripe-payout') AND state IN ('booked', 'by_hand'))
"""
_PAIRS = """
SELECT key, base, max(kind) AS kind, sum(moved) AS moved, sum(booked) AS booked, sum(fees) AS fees, max(at) AS at,
    max(status) AS status, max(state) AS state, max(other) AS other
FROM temp.sides WHERE currency = ? GROUP BY base, key ORDER BY base, key
"""


class Pairing:
    """The two sides of one company while they are compared; closing the state file forgets it."""

    def __init__(self, database: Database, book: str) -> None:
        self._connection = database.connection
        self._book = book

    def clear(self) -> None:
        """Begin anew."""
        for statement in _TABLES.split(";"):
            self._connection.execute(statement)

    def move(self, movements: Iterable[Movement]) -> None:
        """Keep movements that have a thing of their own."""
        rows = [
            (one.key, one.key.split("/")[0], one.currency, _kind(one), one.booked_as, None, None, one.at, one.status, None, None)
            for one in movements if one.key
        ]  # fmt: skip
        self._connection.execute("BEGIN")
        self._connection.executemany("INSERT INTO temp.sides VALUES (?,?,?,?,?,?,?,?,?,?,?)", rows)
        self._connection.execute("COMMIT")

    def cancelled(self, receipts: Iterable[tuple[int, int]]) -> None:
        """Keep receipts (DocEntry, number) that were cancelled in SAP."""
        rows = [(str(entry), str(number)) for entry, number in receipts]
        self._connection.executemany("INSERT OR REPLACE INTO temp.gone VALUES (?,?)", rows)

    def know(self) -> None:
        """Take what the journal knows at this moment: what is booked, what waits and why, in one reading."""
        connection = self._connection
        connection.execute("BEGIN")
        try:
            connection.execute(_LINKS, (self._book,))
            query = (
                "SELECT name, CASE WHEN state = 'refused' THEN 'refused' WHEN EXISTS (SELECT 1 FROM effects WHERE effects.intent ="
                " intents.id AND effects.generation = intents.generation) THEN 'in_doubt' ELSE 'promised' END AS reason, reason AS text,"
                " 0 AS dismissed FROM intents WHERE book=? AND state<>'done' AND code<>'withdrawn'"
            )
            self._wait(connection.execute(query, (self._book,)))
            query = "SELECT name, reason, text, dismissed_at IS NOT NULL AS dismissed FROM held WHERE book=?"
            self._wait(connection.execute(query, (self._book,)))
        finally:
            connection.execute("COMMIT")

    def _wait(self, rows: sqlite3.Cursor) -> None:
        """Keep what waits by the thing it is about; a person's item is said before a refused wish."""
        while part := rows.fetchmany(400):
            kept = [
                (thing_of(row["name"]), row["reason"], row["text"], row["dismissed"])
                for row in part
                if "/paid-twice/" not in row["name"]
            ]
            self._connection.executemany("INSERT OR REPLACE INTO temp.waits VALUES (?,?,?,?)", kept)

    def currencies(self) -> list[str]:
        """Return the currencies in which something moved or is booked."""
        rows = self._connection.execute("SELECT DISTINCT currency FROM temp.sides WHERE currency IS NOT NULL ORDER BY currency")
        return [row["currency"] for row in rows.fetchall()]

    def pairs(self, currency: str) -> Iterator[Pair]:
        """Yield what both sides say of each thing, in the order of their keys."""
        rows = self._connection.execute(_PAIRS, (currency,))
        while part := rows.fetchmany(400):
            waits = self._waits({word for row in part for word in (row["key"], row["base"])})
            for row in part:
                yield self._pair(row, waits)

    def _pair(self, row: sqlite3.Row, waits: dict[str, sqlite3.Row]) -> Pair:
        key, base = row["key"], row["base"]
        wait = waits.get(key) or waits.get(base)
        reason, text, dismissed = (
            (wait["reason"], wait["text"], bool(wait["dismissed"])) if wait is not None else ("", "", False)
        )
        turned, came_back, booked = reason in TURNED, key != base, row["booked"]
        if (
            turned and not came_back and not dismissed
        ):  # it was dismissed as booked, and then turned: only the return is missing
            reason, text, dismissed = "", "", True
        elif dismissed and came_back and key not in waits and not turned:  # dismissed before it came back
            reason, text, dismissed = "", "", False
        gone = self._gone(row["other"]) if row["kind"] == PAYMENT and row["other"] else ""
        if row["kind"] == PAYMENT and (gone or row["state"] == "cancelled") and booked is not None and not self._undone(key):
            booked = None
            reason, text = "cancelled_in_sap", f"its receipt {gone or row['other']} was cancelled in SAP"
        return Pair(
            key, row["kind"], row["moved"], booked, row["fees"] or 0, row["at"] or 0, row["status"] or "",
            "" if dismissed else reason, "" if dismissed else text, dismissed,
        )  # fmt: skip

    def _undone(self, payment: str) -> bool:
        """Tell whether the receipt's cancellation is known as the booking of what went back: then both stand on the account."""
        query = (
            "SELECT 1 FROM links WHERE book=? AND kind='reversal' AND state='by_hand' AND json_extract(data, '$.payment') = ?"
            " AND json_extract(data, '$.what') LIKE 'receipt %, cancelled'"
        )
        return self._connection.execute(query, (self._book, payment)).fetchone() is not None

    def _gone(self, entry: str) -> str:
        row = self._connection.execute("SELECT number FROM temp.gone WHERE entry=?", (entry,)).fetchone()
        return row["number"] if row else ""

    def _waits(self, things: set[str]) -> dict[str, sqlite3.Row]:
        wanted, found = sorted(things), {}
        for start in range(0, len(wanted), 400):
            part = wanted[start : start + 400]
            query = f"SELECT * FROM temp.waits WHERE thing IN ({','.join('?' * len(part))})"  # noqa: S608 - question marks only
            found.update({row["thing"]: row for row in self._connection.execute(query, part)})
        return found


def _kind(one: Movement) -> str:
    if one.kind == PAYOUT:
        return RETURN if "/" in one.key else PAYOUT
    return _KIND[one.kind]
