"""When each pass ran, and how it ended: what `mlc status` shows."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from mlc.clock import Clock
from mlc.store.database import Database


class Runs:
    """The runs of one company."""

    def __init__(self, database: Database, book: str, run_id: str, clock: Clock, clean: Callable[[str], str]) -> None:
        self._database = database
        self._book = book
        self._run_id = run_id
        self._clock = clock
        self._clean = clean

    def begin(self, tenant: str, pass_: str, *, dry_run: bool) -> None:
        """Note that a pass begins."""
        with self._database.write() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO runs VALUES (?,?,?,?,?,NULL,?,NULL,'{}','')",
                (self._run_id, self._book, tenant, pass_, self._clock.now(), int(dry_run)),
            )

    def end(self, pass_: str, code: int, counts: dict[str, int], message: str) -> None:
        """Note how a pass ended."""
        with self._database.write() as connection:
            connection.execute(
                "UPDATE runs SET ended=?, exit_code=?, counts=?, message=? WHERE book=? AND pass=? AND run_id=?",
                (self._clock.now(), code, json.dumps(counts), self._clean(message), self._book, pass_, self._run_id),
            )

    def last(self) -> list[dict[str, Any]]:
        """Return per pass its last run and when it last succeeded (0 or 3)."""
        connection, found = self._database.connection, []
        query = "SELECT * FROM runs WHERE book=? AND pass=? AND dry_run=0 ORDER BY started DESC LIMIT 1"
        success = (
            "SELECT ended FROM runs WHERE book=? AND pass=? AND dry_run=0 AND exit_code IN (0,3) ORDER BY started DESC LIMIT 1"
        )
        for pass_ in self._passes():
            row = connection.execute(query, (self._book, pass_)).fetchone()
            if row is not None:
                well = connection.execute(success, (self._book, pass_)).fetchone()
                found.append({**dict(row), "success": well["ended"] if well else None, "counts": json.loads(row["counts"])})
        return found

    def _passes(self) -> list[str]:
        """Return the passes that have runs, by stepping from one to the next in the index: there may be very many runs."""
        found: list[str] = []
        while True:
            query = "SELECT min(pass) AS pass FROM runs WHERE book=? AND pass > ?"
            row = self._database.connection.execute(query, (self._book, found[-1] if found else "")).fetchone()
            if row["pass"] is None:
                return found
            found.append(row["pass"])
