"""The line at the bottom of a terminal during a long pass, and what Ctrl-C says."""

from __future__ import annotations

import io
import signal
import sys
from collections.abc import Callable

import pytest
from desk import Desk

from mlc.cli import progress
from mlc.cli.render import Voice
from mlc.engine.report import Report
from mlc.systems.sap.reads import SapReads


class Terminal(io.StringIO):
    """A screen that remembers everything it was told."""

    def isatty(self) -> bool:
        """It is one."""
        return True


class Watch:
    """A stop watch that is wound by hand."""

    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        """Return the moment."""
        return self.at


def metered() -> tuple[progress.Meter, Report, Watch]:
    """Return a meter of a run that has just begun."""
    report, now = Report("acme", "push-invoices", "run", dry_run=False), Watch()
    return progress.Meter(report, now), report, now


def test_counts_rate_and_time_left_by_what_there_is_to_see() -> None:
    """Where the pass knows how much there is, the time left is by the share of it that is dealt with."""
    meter, report, now = metered()
    assert meter.line() == "acme push-invoices: 0 seen, for 0 s"
    report.expected, report.promised, report.settled = 1000, 200, 100
    report.counts.update(seen=300, done=97, held=3)
    now.at += 10
    assert meter.line() == (
        "acme push-invoices: 300 of 1,000 seen, 100 to write, 10/s, 40 s left, 97 done, 3 held"  # 200 dealt with in 10 s
    )


def test_time_left_by_what_is_promised() -> None:
    """Where nobody knows how much there is, the time left is that of what was promised; else how long it has taken is said."""
    meter, report, now = metered()
    report.counts["seen"] = 40
    now.at += 180
    meter.line()
    now.at += 20
    assert meter.line() == "acme push-invoices: 40 seen, for 3 min 20 s"
    report.promised, report.settled = 100, 10
    now.at += 5
    assert (
        meter.line() == "acme push-invoices: 40 seen, 90 to write, 0.4/s, 3 min 45 s left"
    )  # the rate is that of the last 25 s, not of 205


def test_more_is_seen_than_was_expected() -> None:
    """Invoices that come meanwhile make no line that is more than whole."""
    meter, report, now = metered()
    report.expected = 10
    report.counts["seen"] = 11
    now.at += 2
    assert meter.line() == "acme push-invoices: 11 seen, 5.5/s, 0 s left"


def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Let standard error be a terminal of 80 columns."""
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    return screen


def test_only_where_somebody_looks_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not with -q, not where logs have a format, not on a dumb terminal, not beside JSON on the same screen, not in a pipe."""
    terminal(monkeypatch)
    assert progress.wanted(Voice())
    assert progress.wanted(Voice(as_json=True))  # its lines go to a file
    assert not progress.wanted(Voice(quiet=True))
    assert not progress.wanted(Voice(log_format="json"))
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert not progress.wanted(Voice(as_json=True))
    monkeypatch.setenv("TERM", "dumb")
    assert not progress.wanted(Voice())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert not progress.wanted(Voice())


def at_once(_seconds: float, call: Callable[[], None]) -> object:
    """Stand in for a timer: what it is to call is called when it starts."""
    return type("Timer", (), {"daemon": False, "start": lambda _self: call(), "cancel": lambda _self: None})()


def test_the_line_comes_and_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said meanwhile stands above it, a question puts it aside, and nothing of it is left."""
    monkeypatch.setattr(progress.threading, "Timer", at_once)
    screen = terminal(monkeypatch)
    report = Report("acme", "push-invoices", "run", dry_run=False)
    voice = Voice()
    with progress.shown(voice, report) as aside:
        assert "acme push-invoices: 0 seen" in screen.getvalue()
        voice.say("! held")
        with aside():
            before = screen.getvalue()
            voice.say("Type yes")
            assert screen.getvalue() == f"{before}Type yes\n"
        assert screen.getvalue().count("acme push-invoices: 0 seen") > 1
    assert "! held\n" in screen.getvalue()
    assert sys.stderr is screen
    ended = screen.getvalue()
    voice.say("after")
    assert screen.getvalue() == f"{ended}after\n"
    assert ended.endswith("\x1b[2K")  # the line is wiped out


def test_how_many_invoices_are_asked_only_for_a_watcher(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A timer pays no request for a line that nobody sees; where somebody looks on, SAP is asked once, and may refuse."""
    for _ in range(3):
        desk.company.invoice()
    counts = [one for one in asked(desk) if "$count" in one]
    assert counts == []
    expected: list[int | None] = []
    how_many = SapReads.how_many
    monkeypatch.setattr(SapReads, "how_many", lambda *words: expected.append(how_many(*words)) or expected[-1])
    monkeypatch.setattr("mlc.cli.passes.wanted", lambda _voice: True)
    assert desk.mlc("push-invoices", "-q").code == 0
    assert expected == [3]
    assert len([path for _, path, _ in desk.company.requests("sap") if "$count" in path]) == 1


def asked(desk: Desk) -> list[str]:
    """Push, and return the paths that SAP was asked for."""
    assert desk.mlc("push-invoices", "-q").code == 0
    return [path for _, path, _ in desk.company.requests("sap")]


def test_ctrl_c_is_heard_at_once_and_only_by_who_did_not_ignore_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The handler says a word on a terminal and interrupts; a process that ignores Ctrl-C goes on ignoring it."""
    from mlc.cli import session

    said: list[bytes] = []
    monkeypatch.setattr(session.os, "isatty", lambda _: True)
    monkeypatch.setattr(session.os, "write", lambda _, text: said.append(text))
    with pytest.raises(KeyboardInterrupt):
        session.on_sigint(2, None)
    assert b"stopping when the request in flight is answered" in said[0]
    for before, after in ((signal.default_int_handler, session.on_sigint), (signal.SIG_IGN, signal.SIG_IGN)):
        signal.signal(signal.SIGINT, before)
        session.heed_interrupts()
        assert signal.getsignal(signal.SIGINT) is after
