"""Calls for passes: one thread a tenant gathers what hints ask for, waits until they pause, and has the passes run at once.

It only decides when. How a pass is run is handed in; a pass takes the tenant's lock, so a timed run and this one never overlap.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from mlc.core import errors
from mlc.core.inbox import DOCUMENT, passes_for

Start = Callable[[tuple[str, ...]], int]  # runs passes, returns the exit code
_STOPS = {errors.CREDENTIAL, errors.USAGE, errors.NO_STATE, errors.NEWER_STATE}  # a wrong password tried again locks SAP's user
_ENDS = {errors.OK, errors.ATTENTION, errors.LIMIT}  # there is nothing that waiting would change


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a caller waits, in seconds."""

    quiet: float = 0.2  # after the last hint
    most: float = 1.0  # after the first one, however many follow
    documents: float = 3.0  # both for messages of SAP: a billing run writes many documents
    again: float = 30.0  # before the first repetition of what could not be finished; then twice as long each time
    most_again: float = 900.0
    least_again: float = 30.0  # a new delivery may come in between, but not sooner than this


class Caller:
    """The thread of one tenant."""

    def __init__(self, tenant: str, start: Start, say: Callable[[str], None], pace: Pace | None = None) -> None:
        self.tenant = tenant
        self._start = start
        self._say = say
        self._pace = pace or Pace()
        self._kinds: set[str] = set()
        self._bell = threading.Condition()
        self._rung = 0
        self._ending = False
        self._failures = 0
        self.stopped = ""  # why nothing is run any more
        self._thread = threading.Thread(target=self._work, name=f"passes of {tenant}", daemon=True)

    def begin(self, kinds: Iterable[str] = ()) -> None:
        """Begin; `kinds` are what waits in the inbox from before."""
        self.ring(kinds)
        self._thread.start()

    def ring(self, kinds: Iterable[str]) -> None:
        """Tell that something of these kinds has arrived."""
        kinds = set(kinds)
        if not kinds:
            return
        with self._bell:
            self._kinds |= kinds
            self._rung += 1
            self._bell.notify()

    def end(self) -> None:
        """Call for nothing any more; a pass that runs is waited for by `join`."""
        with self._bell:
            self._ending = True
            self._bell.notify()

    def join(self, seconds: float) -> bool:
        """Wait for the thread; False where it has not ended."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while kinds := self._next():
            names = passes_for(kinds)
            code = self._run(names)
            with self._bell:
                ending = self._ending
            if ending:
                return
            if code in _STOPS:
                self.stopped = f"{', '.join(names)} ended with {code}"
                self._say(
                    f"{self.tenant}: {self.stopped}; no pass is run from here until the cause is removed and this is restarted. "
                    "Deliveries are received and kept as before"
                )
                return
            if code in _ENDS:
                self._failures = 0
            else:
                self._again(kinds, code)

    def _run(self, names: tuple[str, ...]) -> int:
        """Run passes; what keeps them from starting is no reason to stop listening."""
        try:
            return self._start(names)
        except Exception as error:  # noqa: BLE001 - this thread must outlive whatever happens to a process
            self._say(f"{self.tenant}: {', '.join(names)} could not be run ({type(error).__name__}: {error})")
            return errors.FAILED

    def _again(self, kinds: set[str], code: int) -> None:
        """Come back to what a pass could not finish: later each time, unless something new arrives."""
        seconds = min(self._pace.again * 2**self._failures, self._pace.most_again)
        self._failures = min(self._failures + 1, 20)
        self._say(f"{self.tenant}: ended with {code}, once more in {seconds:.0f} s")
        with self._bell:
            least = min(seconds, self._pace.least_again)
            self._bell.wait_for(lambda: self._ending, least)
            if not self._kinds:
                self._more_within(seconds - least)
        self.ring(kinds)

    def _next(self) -> set[str]:
        """Return what is called for once hints have paused; nothing at the end."""
        with self._bell:
            self._bell.wait_for(lambda: self._ending or bool(self._kinds))
            begun = time.monotonic()
            while not self._ending:
                patient = self._kinds == {DOCUMENT}  # as soon as money has arrived it waits less long
                quiet = self._pace.documents if patient else self._pace.quiet
                most = 3 * self._pace.documents if patient else self._pace.most
                if not self._more_within(min(quiet, begun + most - time.monotonic())):
                    kinds, self._kinds = self._kinds, set()
                    return kinds
            return set()

    def _more_within(self, seconds: float) -> bool:
        """Wait for another hint or the end; False where neither came in time. The bell is held."""
        rung = self._rung
        return seconds > 0 and self._bell.wait_for(lambda: self._ending or self._rung != rung, seconds)
