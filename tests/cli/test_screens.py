"""What people see, letter by letter, with what changes from run to run masked; MLC_UPDATE_GOLDEN=1 writes it anew."""

from __future__ import annotations

import datetime
import io
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import types

import pytest
import typer
from desk import Desk

from goldens import compare
from mlc.cli import holding, looking
from mlc.cli.app import app
from mlc.cli.render import Voice

MASKS = [
    (r"audit (head: )?[0-9a-f]{12,64}", r"audit \1<hash>"),
    (r"127\.0\.0\.1:\d{2,5}", "127.0.0.1:<port>"),
    (r"20\d\d-\d\d-\d\d( \d\d:\d\d)?", "<day>"),
    (r"\d+\.\d seconds", "<n> seconds"),
    (r"\b((?:pi|in|cus|ch|re|du|po)_)[A-Za-z0-9]{6,}", r"\1<id>"),
    (r"[ \t]+$", ""),
]


def golden(name: str, text: str) -> None:
    """Compare a screen with the one that is kept."""
    for pattern, mask in MASKS:
        text = re.sub(pattern, mask, text, flags=re.MULTILINE)
    compare(f"cli/{name}", text)


@pytest.fixture
def told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk whose ages are counted by the simulated clock."""
    clock = types.SimpleNamespace(time=desk.company.clock.now)
    for room in (looking, holding):
        monkeypatch.setattr(room, "time", clock)
    return desk


def day(desk: Desk) -> str:
    """Let a company live through a day: something is pushed, paid, refused and held; returns all that was said."""
    company = desk.company
    company.partner("C2", "[bold] [/] Ünïcode 名前")
    entry = company.invoice()
    company.invoice("C2", net="50.00")
    company.invoice(net="0.10")
    told = [desk.mlc("run", "-n").err, desk.mlc("run").err]
    company.clock.pass_time(3700)
    company.account.pay(company.pushed()[entry])
    company.account.pay_without_invoice(None, 4200, "eur")
    verbose = desk.mlc("run", "-v").err
    told.append(re.sub(r"^  (Stripe|SAP) .*\n", "", verbose, flags=re.MULTILINE))  # which requests there are is no promise
    company.clock.pass_time(90)
    return "---\n".join([*told, desk.mlc("run").err])


def test_a_run(told: Desk) -> None:
    """What runs say, planned, held and done."""
    text = day(told)
    assert "[bold] [/] Ünïcode 名前" in text
    golden("run", text)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_tables(told: Desk, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """Status, held list and held show, at three widths; no line of a table is wider than the terminal."""
    day(told)
    one_name(told)
    monkeypatch.setenv("COLUMNS", str(width))
    status, held = told.mlc("status"), told.mlc("held", "list")
    assert max(len(line) for line in [*held.out.splitlines(), *status.out.splitlines()[:5]]) <= width
    shown = [told.mlc("held", "show", item["id"]).out for item in told.mlc("held", "list", "--json").lines]
    golden(f"tables-{width}", "---\n".join([status.out, held.out, *shown]))


def one_name(desk: Desk) -> None:
    """Give the held payment an id that is always the same, because a folded id cannot be masked."""
    held = [item["payment"] for item in desk.mlc("held", "list", "--json").lines if "payment" in item]
    connection = sqlite3.connect(desk.folder / "mlc.db")
    for column in ("name", "text", "about"):
        connection.execute(f"UPDATE held SET {column} = replace({column}, ?, ?)", (held[0], "pi_3ABCDEFGHIJKLMNOPQRSTUVW"))  # noqa: S608
    connection.commit()
    connection.close()


def test_ping(told: Desk) -> None:
    """The table of ping: everything that is right, and everything that is not."""
    good = told.mlc("ping")
    books = told.company.books
    books.lock_account("6855", "frozen")
    books.close_period(2026, 11)
    told.env["K"] = "sk_test_wrong"
    bad = told.mlc("ping")
    told.ports.wires.clear()
    away = told.mlc("ping")
    assert (good.code, bad.code, away.code) == (0, 2, 5)
    screens = (_without_period(one.out) for one in (good, bad, away))
    golden("ping", "---\n".join(screens))


def _without_period(text: str) -> str:
    """Leave out the row that asks the machine's own calendar."""
    return re.sub(r"^\S+ +sap period.*\n(?: {30}.*\n)*", "", text, flags=re.MULTILINE)


def test_errors(told: Desk) -> None:
    """The sentences of the usual troubles."""
    folder = str(told.folder)
    said = [told.mlc("status"), told.mlc("replay", "nonsense"), told.mlc("run", "--since", "x"), told.mlc("held", "show", "x")]
    told.env["P"] = "wrong"
    told.company.invoice()
    said.append(told.mlc("run"))
    del told.env["K"]
    said.append(told.mlc("run"))
    told.tenant("acme", password="null")
    said.append(told.mlc("secret", "check"))
    text = "---\n".join(f"{one.out}{one.err}exit {one.code}\n" for one in said)
    golden("errors", text.replace(folder, "<folder>"))


def _commands(command: typer._click.Command, words: list[str]) -> list[list[str]]:
    inner = getattr(command, "commands", {})
    return [words, *[found for name in inner for found in _commands(inner[name], [*words, name])]]


def test_help(desk: Desk) -> None:
    """The help of every command, at 80 columns: the words users and scripts rely on."""
    screens = []
    for words in _commands(typer.main.get_command(app), []):
        said = desk.raw(*words, "--help")
        assert (said.code, said.err) == (0, "")
        assert max(map(len, said.out.splitlines())) <= 80
        assert not any(line.endswith("...") for line in said.out.splitlines()[2:])  # a list of commands tells whole sentences
        screens.append(said.out)
    golden("help", "---\n".join(screens))


def test_demo(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo's screen: its table on stdout, its story on stderr."""
    monkeypatch.setattr(tempfile, "tempdir", str(desk.folder))
    said = desk.raw("demo", real=True)
    assert said.code == 0
    golden("demo", f"{said.err}---\n{said.out}")


@pytest.mark.parametrize(
    "cell",
    [
        "[bold]",
        "[/]",
        "[/bold]",
        "[red]x[/red]",
        r"\[x]",
        "[link=http://x]y",
        "[@click=x]y",
        ":smile:",
    ],
)
def test_markup_in_a_table_is_text(capsys: pytest.CaptureFixture[str], cell: str) -> None:
    """A partner whose name looks like markup is shown as it is and breaks no table."""
    Voice().table(["name", "amount"], [(cell, 1), ("after", 2)], right=(1,))
    out = capsys.readouterr().out
    assert cell in out
    assert "after" in out


def test_names_cannot_steer_the_terminal(desk: Desk) -> None:
    """A partner's name cannot colour, overwrite or hide what mlc says."""
    desk.company.invoice(desk.company.partner("C2", "Evil\x1b[2K\rgood \x1b[31mred"))
    said = desk.mlc("run", "-n")
    assert "\x1b" not in said.err
    assert "\r" not in said.err


@pytest.mark.parametrize("colour", ["", "NO_COLOR", "TERM", "FORCE_COLOR", "FORCE_COLOR NO_COLOR"])
def test_no_colour_off_a_terminal(told: Desk, monkeypatch: pytest.MonkeyPatch, colour: str) -> None:
    """Where there is no terminal nothing is coloured, whatever the environment says."""
    for name in colour.split():
        monkeypatch.setenv(name, "dumb" if name == "TERM" else "1")
    text = day(told)
    for words in (("status",), ("held", "list"), ("ping",)):
        said = told.mlc(*words)
        text += said.out + said.err
    assert "\x1b" not in text


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_table_where_the_terminal_is_not_utf8(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under LANG=C a table with letters of the world is shown as well as it goes."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    Voice().table(["name"], [("Müller 名前",)])
    stream.flush()
    assert b"ller" in raw.getvalue()


def test_lang_c(told: Desk) -> None:
    """Every look works in a real process under LANG=C, without a terminal, 40 columns wide."""
    day(told)
    environ = {**os.environ, **told.env, "LC_ALL": "C", "COLUMNS": "40", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    for words in (["status"], ["audit", "list"]):
        command = [sys.executable, "-m", "mlc", *words, "--config", str(told.config)]
        done = subprocess.run(command, env=environ, capture_output=True, check=False, timeout=30)
        assert done.returncode in (0, 3), done.stderr
        assert done.stderr == b""
    assert rb"[bold] [/] \xdcn\xefcode" in done.stdout


def test_days_are_days() -> None:
    """The masks hide moments, not sentences."""
    assert re.sub(*MASKS[2], datetime.date(2026, 11, 3).isoformat()) == "<day>"
