"""What those who watch are told, as text: pings, the file for Prometheus, the line for a mail, lines for the journal and collectors."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from goldens import compare
from mlc.cli import watch_texts
from mlc.cli.render import Voice, journal_lines, journal_reads
from mlc.cli.watch_texts import Figures
from mlc.core import errors
from mlc.engine.report import Report


def report(
    pass_: str = "post-payments", *, news: int = 0, overdue: Any = None, messages: tuple[str, ...] = (), **counts: int
) -> Report:
    """A report as a run leaves it."""
    made = Report("acme", pass_, "0123456789ab", dry_run=False, news=news, overdue=overdue, messages=list(messages))
    made.counts.update(counts)
    return made


LINES = [
    (3, [report(held=2, news=1)], "post-payments 1 newly held; see mlc held list"),
    (3, [report(news=2, refused=1), report("push-invoices", refused=3)],
     "post-payments 2 newly held, 1 refused; push-invoices 3 refused; see mlc held list"),
    (3, [report(refused=1)], "post-payments 1 refused; see mlc status"),
    (5, [report(in_doubt=4)], "post-payments 4 in doubt; see mlc status"),
    (3, [report(overdue=("held", 4.5 * 86400)), report("push-invoices", overdue=("held", 4.5 * 86400))],
     "the oldest held item waits for 4 d; see mlc held list"),
    (3, [report(overdue=("refused", 90000))], "the oldest refused item waits for 1 d; see mlc status"),
    (7, [report(messages=("a limit",))], "post-payments stopped; see mlc status"),
    (4, [], "a credential is missing or was rejected"),
    (130, [report(done=3)], "interrupted; see mlc status"),
    (143, [], "interrupted; see mlc status"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "reports", "line"), LINES)
def test_one_line_says_why(code: int, reports: list[Report], line: str) -> None:
    """A command that did not end with 0 is explained in one line, with where to look."""
    assert watch_texts.attention(code, reports) == line


@pytest.mark.parametrize("code", sorted(errors.EXIT_CODES))
def test_every_code_has_words(code: int) -> None:
    """No code leaves the line empty."""
    assert watch_texts.attention(code, [])


def test_a_run_is_a_uuid() -> None:
    """The id that ties two pings together is a UUID that ends with the run's own id."""
    assert str(UUID(watch_texts.rid_of("0123456789ab"))) == "6d6c6300-0000-4000-8000-0123456789ab"


def test_a_ping_has_counts_only() -> None:
    """The body of a ping has a line for each pass, and nothing but counts and codes."""
    one = report(seen=7, done=3, held=1, adopted=2, messages=("Müller GmbH owes 119.00 EUR",), refused=1)
    one.amounts["EUR"] = 11900
    one.codes = [3]
    assert watch_texts.ping_body(3, [one, report("push-invoices")]) == (
        "exit_code=3\npost-payments: seen=7 done=3 held=1 refused=1 in_doubt=0 unchanged=0 exit_code=3\n"
        "push-invoices: seen=0 done=0 held=0 refused=0 in_doubt=0 unchanged=0 exit_code=0\n"
    )


def test_the_file_for_prometheus() -> None:
    """The whole file, letter by letter: every metric with help and type, no sample twice, and what is not known is absent."""
    runs = [
        {"pass": "post-payments", "ended": 5.0, "success": 1762000000.25, "exit_code": 3, "counts": {"seen": 9, "done": 4, "planned": 5}},
        {"pass": "post-payments", "ended": 4.0, "success": 1762000000.25, "exit_code": 0, "counts": {}},
        {"pass": "push-invoices", "ended": None, "success": None, "exit_code": None, "counts": {}},
    ]  # fmt: skip
    full = Figures(
        3,
        1762000300.0,
        journal=True,
        runs=runs,
        held=2,
        oldest_held=7200.5,
        in_doubt=1,
        waiting=4,
        cursors={"post-payments": 61.0},
    )
    screens = [watch_texts.prometheus("acme", full), watch_texts.prometheus("acme", Figures(10, 1762000300.0))]
    compare("cli/prometheus", "---\n".join(screens))


def test_labels_are_escaped() -> None:
    """Backslash, quote and line break cannot leave a label."""
    text = watch_texts.prometheus('a\\b"c\nd', Figures(0, 0))
    assert 'mlc_last_command_exit_code{tenant="a\\\\b\\"c\\nd"} 0\n' in text


def test_the_journal_reads_a_priority_before_each_line() -> None:
    """Each line of a message begins with its priority."""
    assert journal_lines("error", "one\ntwo") == "<3>one\n<3>two"
    assert [journal_lines(level, "x") for level in ("warning", "info", "debug")] == ["<4>x", "<6>x", "<7>x"]
    assert journal_lines("info", "") == "<6>"


def test_the_journal_is_known_by_device_and_inode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """$JOURNAL_STREAM counts only where it names the very file that stderr is."""
    with (tmp_path / "stream").open("w") as stream:
        found = os.fstat(stream.fileno())
        right = f"{found.st_dev}:{found.st_ino}"
        assert journal_reads(stream, {"JOURNAL_STREAM": right})
        assert not journal_reads(stream, {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino + 1}"})
        assert not journal_reads(stream, {})
        assert not journal_reads(io.StringIO(), {"JOURNAL_STREAM": right})
        monkeypatch.setenv("JOURNAL_STREAM", right)
        monkeypatch.setattr(sys, "stderr", stream)
        Voice().warn("careful\nindeed")
        Voice(log_format="text").warn("plain")
    assert (tmp_path / "stream").read_text() == "<4>careful\n<4>indeed\nplain\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_json_stays_json_in_every_encoding(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a name is made of and stderr can show, the line is one JSON object."""
    import json

    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(raw, encoding=encoding))
    text = 'Müller "名前"\n\x1b[31m\udcff'
    Voice(log_format="json").warn(text)
    line = raw.getvalue().decode(encoding)
    assert line.count("\n") == 1
    assert json.loads(line)["message"] == text
