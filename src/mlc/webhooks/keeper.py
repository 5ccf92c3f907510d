"""Writes deliveries into the inbox: one thread owns the state file, and what came meanwhile shares one commit."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from mlc.clock import Clock
from mlc.core.errors import MlcError
from mlc.store.database import Database
from mlc.store.inbox import Post, prove_writable, put, put_refused

_AT_ONCE = 256  # deliveries in one commit
_WAIT = 8.0  # seconds: GoCardless and SAP give up after ten
_BUSY = 5000  # milliseconds that a commit waits for another writer
_COUNTED_EVERY = 1.0  # seconds between two commits of what was refused


class NotKeptError(Exception):
    """A delivery could not be written down: it must not be answered as received. `late`: it may still be written."""

    def __init__(self, why: str, *, late: bool = False) -> None:
        super().__init__(why)
        self.late = late


@dataclass(slots=True)
class _Order:
    post: Post
    done: threading.Event = field(default_factory=threading.Event)
    fresh: int = 0
    failed: str = ""


class Keeper:
    """The writer of the inbox, in a thread of its own."""

    def __init__(self, state: Path, clock: Clock, warn: Callable[[str], None], *, most_waiting: int = 5000) -> None:
        self._state = state
        self._clock = clock
        self._warn = warn
        self._orders: queue.Queue[_Order | None] = queue.Queue(most_waiting)
        self._refused: dict[tuple[str, str], tuple[int, str]] = {}
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="inbox", daemon=True)
        self._opened = threading.Event()
        self._error: MlcError | None = None
        self._database: Database
        self._file: tuple[int, int] | None = None
        self._counted = 0.0
        self.healthy = False  # whether the last commit went well

    def start(self) -> None:
        """Open the state file and begin. Raises what opening it raises."""
        self._thread.start()
        self._opened.wait()
        if self._error is not None:
            raise self._error

    def keep(self, post: Post) -> int:
        """Write a delivery down; return how many of its events were new once they are on disk. Raises NotKeptError."""
        order = _Order(post)
        try:
            self._orders.put_nowait(order)
        except queue.Full:
            raise NotKeptError("too many deliveries wait to be written down") from None
        if not order.done.wait(_WAIT):
            raise NotKeptError("writing down took too long", late=True)
        if order.failed:
            raise NotKeptError(order.failed)
        return order.fresh

    def count_refused(self, book: str, system: str, reason: str) -> None:
        """Count a refused delivery; it is written down with the next ones, so that a flood costs nothing."""
        with self._lock:
            many, _ = self._refused.get((book, system), (0, ""))
            self._refused[book, system] = (many + 1, reason)

    def stop(self) -> None:
        """Write down what is still waiting, and close the file."""
        self._orders.put(None)
        self._thread.join(timeout=_WAIT + 2)

    def _work(self) -> None:
        try:
            self._open()
        except MlcError as error:
            self._error = error
            self._opened.set()
            return
        self.healthy = True
        self._opened.set()
        try:
            while self._turn():
                pass
            self._write_refused()
        finally:
            self._database.close()

    def _open(self) -> None:
        self._database = Database.open(self._state)
        self._database.connection.execute(f"PRAGMA busy_timeout={_BUSY}")
        self._file = self._there()

    def _there(self) -> tuple[int, int] | None:
        """Return which file lies at the state's path now, None where there is none."""
        try:
            found = self._state.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _turn(self) -> bool:
        """Take what waits, write it in one transaction, tell everybody; False at the end."""
        orders: list[_Order] = []
        goes_on = True
        try:
            first = self._orders.get(timeout=_COUNTED_EVERY)
            while first is not None:
                orders.append(first)
                if len(orders) >= _AT_ONCE:
                    break
                first = self._orders.get_nowait()
            goes_on = first is not None
        except queue.Empty:
            pass
        if orders:
            self._write(orders)
        elif not self.healthy:
            self._try_again()
        if time.monotonic() - self._counted >= _COUNTED_EVERY:
            self._write_refused()
        return goes_on

    def _write(self, orders: list[_Order]) -> None:
        """Write deliveries down; where all together fail each is tried alone, so that none suffers from another."""
        failed = self._put(orders)
        if failed and len(orders) > 1:
            failed = ""
            for order in orders:
                order.failed = self._put([order])
                failed = failed or order.failed
        elif failed:
            orders[0].failed = failed
        self.healthy = not all(order.failed for order in orders)
        refused = sum(1 for order in orders if order.failed)
        if refused:
            self._warn(
                f"error: {refused} deliveries could not be written down: {failed}; they are answered 500 and will come again"
            )
        for order in orders:
            order.done.set()

    def _put(self, orders: list[_Order]) -> str:
        """Write deliveries in one transaction; return why it failed, "" where they are on disk in the file at the state's path."""
        try:
            if self._there() != self._file:  # somebody moved or deleted it: what is written there would be lost
                self._database.close()
                self._open()
            fresh = put(self._database, [order.post for order in orders], self._clock.now())
            if self._there() != self._file:
                return f"{self._state} was moved away"
        except MlcError as error:
            return error.message
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody may take the delivery for kept
            return f"{type(error).__name__}: {error}"
        for order, news in zip(orders, fresh, strict=True):
            order.fresh = news
        return ""

    def _try_again(self) -> None:
        """Find out whether the state file can be written again, without waiting for the next delivery."""
        with contextlib.suppress(MlcError):
            prove_writable(self._database)
            self.healthy = True

    def _write_refused(self) -> None:
        self._counted = time.monotonic()
        with self._lock:
            refused, self._refused = self._refused, {}
        if not refused:
            return
        try:
            put_refused(self._database, [(*key, many, why) for key, (many, why) in refused.items()], self._clock.now())
        except MlcError as error:  # only a count; the deliveries were refused all the same
            self._warn(f"warning: {error.message}")
