"""The end of an interrupted run: whatever lock an interrupt left taken, the run ends and gives its own lock back."""

from __future__ import annotations

import threading

import httpx
import pytest
from desk import Desk

from mlc import wiring
from mlc.cli.session import Terminated
from mlc.systems.sap.client import SapSystem


def test_a_lock_that_an_interrupt_left_taken_holds_nobody_up(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool whose lock is never given back: leaving is given up, the code is 143, and the next run gets the tenant's lock."""
    stuck, patience = threading.Event(), []

    class Leaving(threading.Thread):
        """Notes for how long its end is waited for."""

        def join(self, timeout: float | None = None) -> None:
            """Wait for a moment only."""
            patience.append(timeout)
            super().join(0.05)

    monkeypatch.setattr(wiring.threading, "Thread", Leaving)
    monkeypatch.setattr(SapSystem, "close", lambda _self: stuck.wait(60))

    def before(request: httpx.Request) -> None:
        if not request.url.path.endswith("Login"):
            raise Terminated

    desk.company.invoice()
    desk.company.wires["sap"].before = before
    assert desk.mlc("push-invoices").code == 143
    assert patience == [wiring._LEAVING] == [5.0]
    stuck.set()
    desk.company.wires["sap"].before = lambda _request: None
    assert desk.mlc("push-invoices").code == 0
    assert len(desk.company.pushed()) == 1
