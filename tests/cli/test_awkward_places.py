"""Files where none can be, values nobody means: one clear message and the code of the contract."""

from __future__ import annotations

import errno
import os
import sqlite3
import sys
from typing import Any, NoReturn

import httpx
import pytest
from desk import Desk, Said

from mlc.cli import render
from mlc.cli.render import Voice
from mlc.store.database import unusable

_FAR = "x" * 300  # longer than a file name may be: the file system refuses to look, even for root


def _clear(said: Said, code: int, part: str) -> None:
    assert said.code == code, said.err
    assert part in said.err
    assert "this is a defect" not in said.err
    assert said.err.count("error:") == 1


@pytest.mark.parametrize("words", [("status",), ("held", "list"), ("audit", "verify"), ("state", "backup")])
def test_a_state_that_cannot_be_looked_at(desk: Desk, words: tuple[str, ...]) -> None:
    """Looking whether it exists may be refused already."""
    desk.write((f"{desk.folder}/mlc.db", f"{desk.folder}/{_FAR}"))
    _clear(desk.mlc(*words), 1, "cannot be used: File name too long")


def test_a_file_that_is_far_too_large_is_no_configuration(desk: Desk) -> None:
    """Said at once, not after minutes of reading."""
    desk.config.write_text("# x\n" * (1 << 19) + "#")
    _clear(desk.mlc("status"), 2, "is larger than 2 MiB")
    desk.config.write_text(
        "a: &a [x]\n" + "".join(f"b{n}: &b{n} [{','.join([f'*b{n - 1}' if n else '*a'] * 9)}]\n" for n in range(12))
    )
    _clear(desk.mlc("status"), 2, "far too many values")


def test_an_empty_state_file_is_none(desk: Desk) -> None:
    """What was cut off to nothing is not shown as a sound, empty state."""
    (desk.folder / "mlc.db").touch()
    _clear(desk.mlc("status"), 10, "there is no state file")
    _clear(desk.mlc("state", "check"), 10, "there is no state file")


def test_another_programs_database_stays_as_it_is(desk: Desk) -> None:
    """A slip in `state:` puts no tables of ours among those of others."""
    other = sqlite3.connect(desk.folder / "mlc.db")
    other.execute("CREATE TABLE photos (id)")
    _clear(desk.mlc("run"), 1, "is a database of another program")
    assert other.execute("SELECT count(*) FROM sqlite_master").fetchone() == (1,)
    other.close()


def test_a_full_disk_is_one_for_every_file() -> None:
    """The lock file says the same as the state file; the rights of a folder are not to blame."""
    for error in (sqlite3.OperationalError("database or disk is full"), OSError(errno.ENOSPC, "No space left on device")):
        said = unusable("the lock file L", error)
        assert (said.exit_code, said.hint) == (1, "free space, run again")
        assert said.message.startswith("the disk is full: the lock file L")


def test_where_nothing_can_be_written(desk: Desk) -> None:
    """A copy, units, figures."""
    desk.mlc("run")
    _clear(desk.mlc("state", "backup", _FAR), 1, "cannot be written: File name too long")
    _clear(desk.mlc("schedule", "systemd", "--dir", _FAR), 2, "cannot be written: File name too long")
    _clear(desk.mlc("report", "clearing", "--csv", str(desk.folder)), 2, "Is a directory")


def test_figures_go_through_a_link(desk: Desk) -> None:
    """`--csv /dev/stdout` does not put a file in the place of the device."""
    real, link = desk.folder / "real.csv", desk.folder / "link.csv"
    real.touch()
    link.symlink_to(real)
    desk.mlc("run")
    desk.mlc("report", "clearing", "--csv", str(link))
    assert link.is_symlink()
    assert real.read_text().startswith("tenant,")


def test_numbers_beyond_the_database(desk: Desk) -> None:
    """Refused as what they are: wrong usage."""
    for words in (("audit", "list", "--last", "9" * 23), ("webhooks", "list", "--limit", "9" * 23)):
        said = desk.mlc(*words)
        assert said.code == 2
        assert "less than or equal to" in said.err


def test_empty_values_are_wrong_usage(desk: Desk) -> None:
    """`--head "$UNSET"` is no broken trail, `--system ""` not every system."""
    desk.mlc("run")
    _clear(desk.mlc("audit", "verify", "--head", ""), 2, "is no hash")
    _clear(desk.mlc("webhooks", "list", "--system", ""), 2, "--system")


def test_nothing_to_move(desk: Desk) -> None:
    """Where every secret has its place in the configuration, moving none is no failure."""
    also = "\n      webhook_secret: {env: W}"
    desk.tenant("acme", password=f"{{env: P}}{also}", key=f"{{env: K}}{also}")
    said = desk.mlc("secret", "move", "--to", "file")
    assert (said.code, said.out) == (0, "")
    assert "nothing to move" in said.err


_INIT = (
    "init", "--sap-url", "https://sap.example/b1s/v2", "--company-db", "SBO", "--start-date", "2026-11-01", "--secrets", "env",
)  # fmt: skip


def test_init_names_the_flag_that_is_wrong(desk: Desk) -> None:
    """Also an empty account: the sample of the documentation is no answer to it."""
    new = desk.folder / "new.yaml"
    _clear(desk.raw(*_INIT, "--config", str(new), "--clearing-account", ""), 2, "--clearing-account (empty): must not be empty")
    _clear(desk.raw(*_INIT, "--config", str(new), "--state", "a\nb"), 2, "--state a")
    assert not new.exists()


def test_init_leaves_no_half_file(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be in the way of the next try: init never writes over a file."""

    def full(handle: int, *_: Any, **__: Any) -> NoReturn:
        os.close(handle)
        raise OSError(errno.ENOSPC, "No space left on device")

    new = desk.folder / "new.yaml"
    with monkeypatch.context() as patched:
        patched.setattr(os, "fdopen", full)
        _clear(desk.raw(*_INIT, "--config", str(new)), 2, "No space left on device")
    assert not new.exists()


def test_a_file_pasted_for_an_id(desk: Desk) -> None:
    """The message names what was given, not all of it."""
    desk.mlc("run")
    said = desk.mlc("held", "show", "x" * 10_000)
    _clear(said, 2, "... (10000 characters)")
    assert len(said.err) < 400


def test_a_narrow_terminal_breaks_no_words(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """At 60 columns a table with no room for its words becomes lines, each with its column's name."""
    monkeypatch.setattr("mlc.cli.render.shutil.get_terminal_size", lambda *_, **__: os.terminal_size((60, 24)))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    columns = ["id", "reason", "amount", "", "what"]
    row = [
        "pi_3x55g1RQXt2zmVfM5oK02IiI",
        "no_customer",
        "42.00 EUR",
        "ok",
        "names no invoice, and its customer is linked to nobody",
    ]
    Voice().table(columns, [row], right=[2])
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == [row[0], "  reason: no_customer", "  amount: 42.00 EUR", "  ok"]
    assert max(map(len, lines)) <= 60
    Voice().table(["tenant", "what"], [["acme", "fits"]])
    assert capsys.readouterr().out.splitlines() == ["tenant  what", "acme    fits"]


def test_a_table_has_one_row_a_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Tabs and trailing blanks of a name move no figure; at 80 columns what does not fit is wrapped, and figures stay whole."""
    Voice().table(["name", "sum"], [["a\tb", "1.00 EUR  "], ["long name", "20.00 EUR"]], right=[1])
    assert capsys.readouterr().out.splitlines() == ["name             sum", "a b         1.00 EUR", "long name  20.00 EUR"]
    Voice().table(["name", "sum", "text"], [["a", "20.00 EUR", "word " * 30]], right=[1])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 2
    assert lines[1].startswith("a     20.00 EUR  word")
    assert max(map(len, lines)) <= 80
    Voice().table(["name", "word", "text"], [["a", "w" * 90, "b"]])
    assert capsys.readouterr().out.splitlines()[0].split() == ["name", "word", "text"]


@pytest.mark.parametrize(
    ("told", "terminal", "width"), [("100", 60, 100), ("", 60, 60), ("\N{SUPERSCRIPT TWO}", 60, 60), ("", None, 80)]
)
def test_the_width_of_a_table(monkeypatch: pytest.MonkeyPatch, told: str, terminal: int | None, width: int) -> None:
    """What was asked for, else the terminal that a pager stands before, else 80."""

    def size(_handle: int = 2) -> os.terminal_size:
        if terminal is None:
            raise OSError("no terminal")
        return os.terminal_size((terminal, 24))

    monkeypatch.setenv("COLUMNS", told)
    monkeypatch.setattr(render.os, "get_terminal_size", size)
    assert render._columns() == width


@pytest.mark.parametrize("answer", ["[1, 2]", "", "<html>", "{}"])
def test_what_is_no_service_layer_is_named(desk: Desk, answer: str) -> None:
    """Something else at SAP's address takes the login with 200: said so, by every pass, and no defect."""
    desk.ports.wires[1] = httpx.MockTransport(lambda _request: httpx.Response(200, text=answer))  # type: ignore[assignment]
    said = desk.mlc("push-invoices")
    _clear(said, 1, "and gave no session")
    assert "check sap.url" in said.err
