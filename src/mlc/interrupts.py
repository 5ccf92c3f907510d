"""Lets the request in flight end before an interrupt does: Ctrl-C or SIGTERM waits for its answer, the second one does not.

An exception in the middle of a request would lose an answer that is on its way, and may leave a lock of the connection pool taken
for ever: the interrupt can come between taking it and remembering that it was taken.
"""

from __future__ import annotations

import threading
from types import TracebackType


class InFlight:
    """What the main thread is in the middle of. Signals are only ever delivered to it; other threads pass through."""

    def __init__(self) -> None:
        self._depth = 0
        self._waiting: BaseException | None = None

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            self._depth += 1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        self._depth -= 1
        if not self._depth and self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            raise waiting

    def interrupt(self, how: BaseException) -> None:
        """Raise `how`: at once where nothing is in flight or one waits already, else when what is in flight has ended."""
        if self._depth and self._waiting is None:
            self._waiting = how
            return
        self._waiting = None
        raise how


IN_FLIGHT = InFlight()
