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
        rows = self._database.connection.execute(
            "SELECT r.*, (SELECT max(ended) FROM runs s WHERE s.book=r.book AND s.pass=r.pass AND s.dry_run=0 AND s.exit_code IN (0,3))"
            " AS success FROM runs r WHERE book=? AND dry_run=0 AND started ="
            " (SELECT max(started) FROM runs t WHERE t.book=r.book AND t.pass=r.pass AND t.dry_run=0) ORDER BY pass",
            (self._book,),
        ).fetchall()
        return [{**dict(row), "counts": json.loads(row["counts"])} for row in rows]
