"""One writer per company: a lock file that the operating system frees when its holder dies."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sqlite3
from pathlib import Path

from mlc.clock import Clock, stamp
from mlc.core.errors import LockedError
from mlc.store.database import unusable


class TenantLock:
    """An exclusive transaction on a sibling of the state file (HOUSE, section 3)."""

    def __init__(self, state: Path, book: str, clock: Clock) -> None:
        safe = re.sub(r"[^A-Za-z0-9_.-]", "_", book)
        self.path = state.with_name(f"{state.name}.{safe}.lock")
        self._note = self.path.with_suffix(".holder")
        self._clock = clock
        self._connection: sqlite3.Connection | None = None

    def acquire(self, holder: str, timeout: float = 0.0) -> None:
        """Take the lock or raise LockedError naming who holds it and since when; waits up to `timeout` seconds."""
        deadline = self._clock.uptime() + timeout
        while not self._try():
            if self._clock.uptime() >= deadline:
                raise LockedError(f"another run holds the lock of this company: {self._held_by()}")
            self._clock.sleep(0.2)
        self._tell(holder)

    def _tell(self, holder: str) -> None:
        """Note who holds the lock, for whoever meets it; without a note the lock holds all the same."""
        note = {"who": holder, "pid": os.getpid(), "since": stamp(self._clock.now())}
        with (
            contextlib.suppress(OSError),
            os.fdopen(os.open(self._note, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file,
        ):
            file.write(json.dumps(note))

    def _try(self) -> bool:
        mask = os.umask(0o077)
        connection = None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            connection = sqlite3.connect(self.path, timeout=0, isolation_level=None)
            connection.execute("BEGIN EXCLUSIVE")
        except (sqlite3.Error, OSError) as error:
            if connection is not None:
                connection.close()
            if "locked" in str(error):
                return False
            raise unusable(f"the lock file {self.path}", error) from error
        finally:
            os.umask(mask)
        self._connection = connection
        return True

    def _held_by(self) -> str:
        try:
            note = json.loads(self._note.read_text())
            return f"{note['who']} (process {note['pid']}), since {note['since']}"
        except (OSError, ValueError, KeyError):
            return "another process"

    def release(self) -> None:
        """Give the lock back."""
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._note.unlink(missing_ok=True)
            self._connection.close()
            self._connection = None
