"""The end of an interrupted run: whatever lock an interrupt left taken, the run ends and gives its own lock back."""

from __future__ import annotations

import signal
import sqlite3
import threading

import httpx
import pytest
from desk import Desk

from mlc import wiring
from mlc.cli.session import Terminated
from mlc.interrupts import IN_FLIGHT
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


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_write_in_flight_is_written_down(desk: Desk, number: int, code: int) -> None:
    """One worker, as by default: the signal comes while SAP books; its answer is kept, nothing is in doubt, nothing is done twice."""
    entry = desk.company.invoice()
    assert desk.mlc("push-invoices").code == 0
    payment = desk.company.account.pay(desk.company.pushed()[entry])
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def before(request: httpx.Request) -> None:
        if request.method == "POST" and request.url.path.endswith("IncomingPayments"):
            signal.raise_signal(number)

    desk.company.wires["sap"].before = before
    said = desk.mlc("post-payments")
    assert said.code == code
    assert "stopped after 1 done; of what was decided nothing is left to do" in said.err
    desk.company.wires["sap"].before = None
    with sqlite3.connect(desk.folder / "mlc.db") as connection:
        assert connection.execute("SELECT count(*) FROM effects WHERE answered_at IS NULL").fetchone()[0] == 0
        states = connection.execute("SELECT state FROM intents WHERE name LIKE ?", (f"%{payment}%",)).fetchall()
    assert states == [("done",)]
    assert desk.mlc("run").code == 0
    assert len(desk.company.posted()[payment]) == 1
    desk.company.check()


def test_a_signal_while_the_configuration_loads(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits for the end of the loading: in the middle of it a library would tell it as a fault of its own."""
    from mlc import config

    real, did = config.load, []

    def load(*words: object) -> object:
        settings = real(*words)  # type: ignore[arg-type]
        signal.raise_signal(signal.SIGTERM)
        did.append("loaded")
        return settings

    monkeypatch.setattr(config, "load", load)
    assert desk.mlc("run").code == 143
    assert did == ["loaded"]


def test_a_pass_of_the_receiver_hears_one_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The child leaves Ctrl-C to the receiver, and takes two SIGTERMs for one."""
    from mlc.cli import calling, passes
    from mlc.cli.options import Common

    seen: list[object] = []

    def run(*_words: object, **_options: object) -> None:
        seen.extend([signal.getsignal(signal.SIGINT), IN_FLIGHT.patient])

    monkeypatch.setattr(passes, "run_passes", run)
    monkeypatch.setattr(IN_FLIGHT, "patient", False)
    with pytest.raises(SystemExit):
        calling.run_in_child(Common(), "acme", ("post-payments",))
    assert seen == [signal.SIG_IGN, True]
