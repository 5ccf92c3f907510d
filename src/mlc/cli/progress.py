"""One line at the bottom of a terminal while a pass runs for long: how much is seen and done, how fast, and how long it will take.

Only at a terminal, only after the first second, and gone when the pass ends: logs, cron and pipes never see it.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from mlc.cli.render import duration

if TYPE_CHECKING:
    from mlc.cli.render import Voice
    from mlc.engine.report import Report

_PATIENCE = 1.0  # seconds before anything is shown: a short pass needs no line
_WINDOW = 20.0  # seconds over which the rate is taken


class Meter:
    """What there is to say of a running pass, from one look to the next."""

    def __init__(self, report: Report, now: Callable[[], float] = time.monotonic) -> None:
        self._report = report
        self._now = now
        self._began = now()
        self._looks: deque[tuple[float, int, int]] = deque([(self._began, 0, 0)])

    def line(self) -> str:
        """Return the line of this moment: counts, rate, time left where it can be told."""
        report, now = self._report, self._now()
        seen, settled = report.counts["seen"], report.settled
        self._looks.append((now, seen, settled))
        while len(self._looks) > 2 and now - self._looks[1][0] >= _WINDOW:
            self._looks.popleft()
        then, seen_then, settled_then = self._looks[0]
        waiting = max(0, report.promised - settled)
        whole = f" of {report.expected:,}" if report.expected and report.expected >= seen else ""
        parts = [f"{seen:,}{whole} seen"]
        parts += [f"{waiting:,} to write"] if waiting else []
        rate = _rate(settled - settled_then or seen - seen_then, now - then)
        parts += [f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s"] if rate else []
        left = self._left(seen, waiting, _rate(settled - settled_then, now - then))
        parts += [f"{duration(left)} left" if left is not None else f"for {duration(now - self._began)}"]
        parts += [counted] if (counted := report.counted()) else []
        return f"{report.tenant} {report.pass_}: {', '.join(parts)}"

    def _left(self, seen: int, waiting: int, rate: float) -> float | None:
        """Return the seconds left: by the share of what there is to see, else by what is promised; None where nobody knows."""
        whole, passed = self._report.expected, self._now() - self._began
        share = min(1.0, (seen - waiting) / whole) if whole else 0.0
        if share > 0.01:
            return passed * (1 - share) / share
        return waiting / rate if waiting and rate else None


def _rate(count: int, seconds: float) -> float:
    return count / seconds if count > 0 and seconds > 0 else 0.0


def wanted(voice: Voice) -> bool:
    """Tell whether somebody sits there and wants to see it."""
    if voice.quiet or voice.log_format != "text" or os.environ.get("TERM", "dumb") == "dumb":
        return False
    return sys.stderr.isatty() and not (voice.as_json and sys.stdout.isatty())


@contextmanager
def shown(voice: Voice, report: Report) -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Show the line while a pass runs; yields what puts it aside, so that a person can be asked something."""
    if not wanted(voice):
        yield nullcontext
        return
    strip = _Strip(Meter(report))
    strip.start()
    try:
        yield strip.aside
    finally:
        strip.stop()


class _Strip:
    """The line on the screen; what is said meanwhile scrolls above it."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._lock = threading.Lock()
        self._live: Any = None
        self._over = False
        self._timer: threading.Timer | None = None

    def start(self) -> None:
        """Let the line appear in a moment."""
        self._over = False
        self._timer = threading.Timer(_PATIENCE, self._appear)
        self._timer.daemon = True
        self._timer.start()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Take the line away for a while."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def _appear(self) -> None:
        from rich.console import Console
        from rich.live import Live

        with self._lock:
            if self._over:
                return
            console = Console(stderr=True, highlight=False, markup=False, emoji=False)
            self._live = Live(
                console=console, get_renderable=self._drawn, transient=True, refresh_per_second=4, redirect_stdout=False
            )
            self._live.start(refresh=True)

    def _drawn(self) -> Any:
        from rich.text import Text

        return Text(self._meter.line(), style="dim", overflow="ellipsis", no_wrap=True)

    def stop(self) -> None:
        """Take the line away."""
        if self._timer is not None:
            self._timer.cancel()
        with self._lock:
            self._over = True
            if self._live is not None:
                self._live.stop()
                self._live = None
