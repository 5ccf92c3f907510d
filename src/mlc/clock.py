"""The one clock: wall time for people, elapsed time for fences. Injected everywhere, so that tests need not wait."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol


class Clock(Protocol):
    """What the house asks of time."""

    def now(self) -> float:
        """Return wall time in Unix seconds; it may step."""

    def uptime(self) -> float:
        """Return seconds since this machine started; it never steps and counts suspended time."""

    def boot_id(self) -> str:
        """Return what tells this start of the machine from any other; empty where the system does not say."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> float:
        """Return wall time in Unix seconds."""
        return time.time()

    def uptime(self) -> float:
        """Return seconds since the machine started (CLOCK_BOOTTIME, where the system has it)."""
        return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))

    def boot_id(self) -> str:
        """Return the kernel's id of this start."""
        try:
            return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        except OSError:
            return ""

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


def elapsed_at_least(clock: Clock, *, wall: float, uptime: float, boot_id: str) -> float:
    """Return a lower bound of the seconds since a moment noted as (wall, uptime, boot_id).

    On the same start of the machine the uptime tells exactly. After another start at least the present uptime has passed; the
    wall clock bounds it too, because the note may come from another machine. A stepped clock can only make this shorter.
    """
    if boot_id and boot_id == clock.boot_id():
        return max(0.0, clock.uptime() - uptime)
    return max(0.0, min(clock.now() - wall, clock.uptime()))


def elapsed_at_most(clock: Clock, *, wall: float, uptime: float, boot_id: str) -> float:
    """Return an upper bound of the seconds since such a moment: for things that must not be too old."""
    since = clock.now() - wall
    if boot_id and boot_id == clock.boot_id():
        return max(since, clock.uptime() - uptime)
    return since if since >= 0 else float("inf")


def stamp(seconds: float) -> str:
    """Return a moment as people and the audit trail read it: ISO 8601, UTC, whole seconds."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
