"""A rate gate: one window per API operation and one for all, taken in one atomic step.

Taking one slot after the other would waste the second while waiting for the first (facts: 58 % of the ceiling against 96 %).
"""

from __future__ import annotations

import threading
from collections import defaultdict, deque

from mlc.clock import Clock


class Gate:
    """Lets through at most `operation` requests a second of one kind and `total` in all."""

    def __init__(self, clock: Clock, *, total: float, operation: float) -> None:
        self._clock = clock
        self._total = max(1, int(total))
        self._each = max(1, int(operation))
        self._all: deque[float] = deque(maxlen=self._total)
        self._of: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=self._each))
        self._lock = threading.Lock()

    def take(self, operation: str) -> None:
        """Wait until one more request of this kind may leave."""
        while True:
            with self._lock:
                now = self._clock.uptime()
                window = self._of[operation]
                wait = max(_until(self._all, self._total, now), _until(window, self._each, now))
                if wait <= 0:
                    self._all.append(now)
                    window.append(now)
                    return
            self._clock.sleep(wait)


def _until(window: deque[float], size: int, now: float) -> float:
    """Return the seconds until the oldest of a full window is more than a second old."""
    return window[0] + 1.0 - now if len(window) == size else 0.0
