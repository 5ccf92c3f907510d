"""Reads a file that nobody but its owner may read: a secret, or the encrypted file of many."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Literal


class UnfitError(Exception):
    """A file that is not read for what it is: no ordinary one (`kind`), open to others, or too large for what it should be."""

    def __init__(self, kind: Literal["irregular", "open", "large"], mode: int = 0) -> None:
        super().__init__(kind)
        self.kind = kind
        self.mode = f"{stat.S_IMODE(mode):04o}"


def read_private(path: Path, most: int, *, links: bool, shared: bool = False) -> bytes:
    """Return the bytes of a private file; it is looked at after it was opened, so that nobody can put another in its place.

    Args:
        path: the file; a pipe does not hold the reader up.
        most: bytes it may have.
        links: whether a symbolic link is followed.
        shared: whether others may read it: the service manager keeps credentials in a folder of its own.

    Raises:
        OSError: it is not there or may not be read (ELOOP: it is a link and none is followed).
        UnfitError: it is there and not read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if links else os.O_NOFOLLOW))
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise UnfitError("irregular")
        if status.st_mode & 0o077 and not shared:
            raise UnfitError("open", status.st_mode)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            raw = file.read(most + 1)
    finally:
        os.close(descriptor)
    if len(raw) > most:
        raise UnfitError("large")
    return raw
