"""Lets what is in flight end before an interrupt does: Ctrl-C or SIGTERM waits for an answer, the second one does not.

An exception in the middle of a request would lose an answer that is on its way, and may leave a lock of the connection pool taken
for ever: the interrupt can come between taking it and remembering that it was taken. A write is waited for until its answer can be
written down; a read, of which nothing is lost, for a few seconds.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType

GRACE = 5.0  # seconds for a read


class InFlight:
    """What the main thread is in the middle of. Signals are only ever delivered to it; other threads pass through."""

    def __init__(self) -> None:
        self.reading = _Hold(self, whole=False)
        self.writing = _Hold(self, whole=True)
        self.patient = False  # signals come twice, from a terminal's or a service's group and from our parent: one counts
        self._depth = 0
        self._whole = 0  # so many of them are waited for however long they take
        self._waiting: BaseException | None = None

    def interrupt(self, how: BaseException) -> None:
        """Raise `how`: at once where nothing is in flight or one waits already, else when what is in flight has ended."""
        if self._depth and self._waiting is None:
            self._waiting = how
            if not self._whole:
                signal.signal(signal.SIGALRM, self._enough)
                signal.setitimer(signal.ITIMER_REAL, GRACE)
        elif not (self._depth and self.patient):
            self._leave_everything(how)

    def _enough(self, _number: int, _frame: FrameType | None) -> None:
        if self._waiting is not None:  # the alarm was set for a read
            self._leave_everything(self._waiting)

    def _leave_everything(self, how: BaseException) -> None:
        """Raise: from here on every signal is obeyed at once, also while this one unwinds."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        self._depth, self._whole, self._waiting = 0, 0, None
        raise how

    def begin(self, *, whole: bool) -> None:
        """Enter something that is in flight."""
        if threading.current_thread() is threading.main_thread():
            self._whole += whole
            self._depth += 1

    def end(self, *, whole: bool) -> None:
        """Leave it; raises what has waited for it."""
        if threading.current_thread() is not threading.main_thread():
            return
        self._whole = max(0, self._whole - whole)
        self._depth = max(0, self._depth - 1)
        if not self._depth and self._waiting is not None:
            self._leave_everything(self._waiting)


class _Hold:
    """`with IN_FLIGHT.reading:` and `with IN_FLIGHT.writing:`, one inside the other as often as needed."""

    __slots__ = ("_of", "_whole")

    def __init__(self, of: InFlight, *, whole: bool) -> None:
        self._of = of
        self._whole = whole

    def __enter__(self) -> None:
        self._of.begin(whole=self._whole)

    def __exit__(self, *_error: object) -> None:
        self._of.end(whole=self._whole)


IN_FLIGHT = InFlight()
