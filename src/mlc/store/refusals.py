"""A login that SAP refused, remembered between runs: a timer that tries a wrong password every five minutes locks the user."""

from __future__ import annotations

import json

from mlc.store.journal import Journal

_PAUSES = (3600.0, 86400.0)  # after the first refusal, and after each further one: it may have been SAP's own trouble


class Refusals:
    """What one user at one address was told; kept as a cursor, without anything of the password."""

    def __init__(self, journal: Journal, user: str, url: str) -> None:
        self._journal = journal
        self._name = f"refused_login/{user}@{url}"

    def standing(self) -> tuple[float, float] | None:
        """Return when the login was refused, and before when no timer tries it again; None where it may be tried."""
        last, times = self._read()
        until = last + _PAUSES[min(times, len(_PAUSES)) - 1]
        return (last, until) if times and last <= self._journal.clock.now() < until else None

    def note(self) -> None:
        """Remember one more refusal."""
        self._journal.set_cursor(self._name, json.dumps([self._journal.clock.now(), self._read()[1] + 1]))

    def clear(self) -> None:
        """Forget them: a login was accepted."""
        if self._journal.cursor(self._name) is not None:
            self._journal.set_cursor(self._name, None)

    def _read(self) -> tuple[float, int]:
        last, times = json.loads(self._journal.cursor(self._name) or "[0, 0]")
        return float(last), int(times)
