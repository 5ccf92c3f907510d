"""Standard output and standard error whose other end fails: a full disk, a closed end, a reader that has left."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn, TextIO, cast


class Outlet:
    """A stream that raises nothing for what its other end does: what cannot be written is lost, and that is remembered."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.lost: OSError | None = None  # why; a reader that has left is no loss: it had what it wanted

    def write(self, text: str) -> int:
        """Write a text, or lose it."""
        try:
            return self._stream.write(text)
        except OSError as error:
            self._lose(error)
            return len(text)

    def flush(self) -> None:
        """Hand on what was written so far, or lose it."""
        try:
            self._stream.flush()
        except OSError as error:
            self._lose(error)

    def _lose(self, error: OSError) -> None:
        if error.errno != errno.EPIPE:
            self.lost = error
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())  # what is in the buffer, and all that follows, goes there
        os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def speaking(work: Callable[[], object]) -> NoReturn:
    """Run a command and end with its code, or with 1 where something that it wrote on standard output is lost.

    The work itself goes on to its end without its output: what was begun in SAP or at Stripe is not left lying for a full disk.
    """
    _stop_the_gaps()
    out, told = Outlet(sys.stdout), Outlet(sys.stderr)
    sys.stdout, sys.stderr = cast("TextIO", out), cast("TextIO", told)
    code: int | str | None = 0
    try:
        work()
    except SystemExit as end:
        code = end.code
    except KeyboardInterrupt:  # so early that no command had begun
        code = 130
    out.flush()
    if out.lost is not None:
        told.write(
            f"error: standard output cannot be written: {out.lost.strerror or out.lost}\n"
            "  next: free space, or let it go elsewhere, and run again; what was done stands in the trail (`mlc audit list`)\n"
        )
        code = code if code not in (None, 0, 3, 4, 5, 7, 11, 12) else 1  # the worst wins
    told.flush()
    sys.exit(code)


def _stop_the_gaps() -> None:
    """Open what the caller has closed of 0, 1 and 2, to nowhere: else the next file that is opened takes its number."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDONLY if mode == "r" else os.O_WRONLY)  # the lowest free number, which is this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - for the whole life
