"""Copies the state file while it may be in use: whole or not at all, checked, for its owner alone."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from mlc.core.errors import MlcError


def back_up(connection: sqlite3.Connection, target: Path) -> None:
    """Copy the state file while it may be in use, to a file readable by its owner alone that appears whole or not at all.

    Raises MlcError: the target exists, or cannot be written.
    """
    part = target.parent / f"{target.name}.part"
    try:
        if target.exists() or target.is_symlink():
            raise MlcError(f"{target} exists and stays as it is", hint="give another name")
        part.unlink(missing_ok=True)
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        copy = sqlite3.connect(part)
        try:
            connection.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, no companions
            found = copy.execute("PRAGMA integrity_check").fetchone()[0]
        finally:
            copy.close()
        if found != "ok":
            raise MlcError(f"the copy {target} would be damaged: {found}", hint="`mlc state check` looks at the original")
        _flush(part)
        part.rename(target)
        _flush(target.parent)
    except (OSError, sqlite3.Error) as error:
        why = getattr(error, "strerror", None) or error
        raise MlcError(f"{target} cannot be written: {why}", hint="free space, or give another place") from error
    finally:
        for one in (
            part,
            part.with_name(f"{part.name}-wal"),
            part.with_name(f"{part.name}-shm"),
            part.with_name(f"{part.name}-journal"),
        ):
            with contextlib.suppress(OSError):
                one.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
