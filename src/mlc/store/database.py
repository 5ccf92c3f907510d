"""Opens the state file: one SQLite file in WAL mode, every commit on disk before it counts, readable by its owner alone."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlc.core.errors import MlcError, NewerStateError, NoStateError, UnexpectedAnswerError

_KNOWN = ("m001_first_tables", "m002_payouts", "m003_inbox", "m004_counts", "m005_tallies")


class Database:
    """A connection to the state file. Only the main thread uses it (HOUSE: the main thread owns SQLite)."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self.connection = connection
        self.path = path

    @classmethod
    def open(cls, path: Path, *, create: bool = True) -> Database:
        """Open or create the state file and bring it to this version.

        Raises NoStateError (absent or empty, and not to be created), NewerStateError, MlcError (not writable, no database).
        """
        try:
            if not create and not (path.exists() and path.stat().st_size):
                raise NoStateError(
                    f"there is no state file at {path} yet", hint="run a pass first, for example `mlc run --dry-run`"
                )
            _refuse_links(path)
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            mask = os.umask(0o077)
            try:
                with _alone(path):  # two first runs at once: the second waits, and finds the work done
                    connection = sqlite3.connect(path, timeout=30, isolation_level=None)
                    connection.row_factory = sqlite3.Row
                    connection.execute("PRAGMA journal_mode=WAL")
                    connection.execute("PRAGMA synchronous=FULL")
                    connection.execute("PRAGMA foreign_keys=ON")
                    database = cls(connection, path)
                    database._upgrade()
            finally:
                os.umask(mask)
        except (sqlite3.Error, OSError) as error:
            raise unusable(f"the state file {path}", error) from error
        return database

    def _upgrade(self) -> None:
        applied = {row[0] for row in self._applied()}
        if applied - set(_KNOWN):
            raise NewerStateError(f"the state file {self.path} was written by a newer mlc (it knows {max(applied)})")
        if len(applied) == len(_KNOWN):
            return
        tables = {row[0] for row in self.connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if tables and "_sqlite_migrations" not in tables:
            raise MlcError(
                f"{self.path} is a database of another program, and stays as it is", hint="name another file in `state:`"
            )
        if applied:  # a copy first: whatever goes wrong, the file as it was is there
            before = self.path.with_name(f"{self.path.name}.before-{_KNOWN[len(applied)]}.backup")
            if not before.exists():
                from mlc.store.copying import back_up

                back_up(self.connection, before)
        from sqlite_utils import Database as SqliteUtils  # slow to load, and hardly ever needed

        from mlc.store.schema import migrations

        migrations.apply(SqliteUtils(self.connection))

    def _applied(self) -> list[sqlite3.Row]:
        try:
            return self.connection.execute("SELECT name FROM _sqlite_migrations WHERE migration_set = 'mlc'").fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return []
            raise

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Run a block as one transaction that takes the write lock at once; on disk when the block has ended."""
        try:  # an interrupt may come between any two of these lines
            self.connection.execute("BEGIN IMMEDIATE")
            yield self.connection
            self.connection.execute("COMMIT")
        except BaseException as error:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise unusable(f"the state file {self.path}", error) from error
            raise

    def close(self) -> None:
        """Close the file."""
        self.connection.close()


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep every other program from opening the file at the same time; the system frees the lock where this one dies."""
    lock = sqlite3.connect(path.with_name(f"{path.name}.open.lock"), timeout=30, isolation_level=None)
    try:
        lock.execute("BEGIN EXCLUSIVE")
        yield
    finally:
        lock.close()


def _refuse_links(path: Path) -> None:
    if path.is_symlink():
        raise MlcError(f"the state file {path} is a symbolic link", hint="name the file itself in `state:`")
    if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
        path.chmod(0o600)


def unusable(what: str, error: Exception) -> MlcError:
    """Translate what SQLite or the file system said of a file into words for the operator."""
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    if "locked" in text or "busy" in text:
        from mlc.core.errors import LockedError

        return LockedError(f"{what} is locked by another program ({text})")
    if "full" in text or getattr(error, "errno", None) == errno.ENOSPC:
        return MlcError(
            f"the disk is full: {what} could not be written; nothing half-written was kept", hint="free space, run again"
        )
    if "not a database" in text or "malformed" in text:
        return MlcError(f"{what} is damaged ({text})", hint="put back a backup, or move it away: mlc rebuilds it by reading")
    if isinstance(error, sqlite3.OperationalError | OSError):
        return MlcError(f"{what} cannot be used: {text}", hint="check `state:` and the rights of its directory")
    return UnexpectedAnswerError(f"{what} answered: {text}")
