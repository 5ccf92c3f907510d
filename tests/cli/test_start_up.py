"""Starting is cheap: the version imports nothing, help nothing heavy (looked up in a process of its own)."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys

import pytest
from desk import Desk

from mlc import __version__

HEAVY = ("httpx", "keyring", "sqlite_utils", "sqlite3", "yaml", "tenacity", "pydantic_settings", "waitress", "mlc.systems",
         "mlc.sandbox", "mlc.store", "mlc.config", "mlc.secrets")  # fmt: skip
SCRIPT = """
import json, sys
sys.argv = ["mlc", *sys.argv[1:]]
before = set(sys.modules)
from mlc.__main__ import main
try:
    main()
except SystemExit as end:
    code = end.code or 0
else:
    code = 0
sys.stderr.write(json.dumps([code, sorted(set(sys.modules) - before)]))
"""


def start(*words: str) -> tuple[int, str, set[str]]:
    """Start mlc in a process of its own; returns its code, its stdout, and the modules it imported."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *words],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
        env={**os.environ, "COLUMNS": "80"},
    )
    code, modules = json.loads(done.stderr.splitlines()[-1])
    return code, done.stdout, set(modules)


def heavy(modules: set[str]) -> set[str]:
    """Those of the heavy modules that were imported, whole or in part."""
    return {one for one in HEAVY if any(module == one or module.startswith(f"{one}.") for module in modules)}


@pytest.mark.parametrize("word", ["--version", "-V"])
def test_version_imports_nothing(word: str) -> None:
    """`mlc --version` tells the version and imports neither typer nor anything of the house but its first file."""
    code, out, modules = start(word)
    assert (code, out) == (0, f"mlc {__version__}\n")
    assert {one for one in modules if one.startswith("mlc")} <= {"mlc", "mlc.__main__"}
    assert heavy(modules) == set()
    assert "typer" not in modules


@pytest.mark.parametrize(
    "words", [("--help",), ("run", "--help"), ("held", "match", "-h"), ("secret", "-h"), ("demo", "-h")], ids=" ".join
)
def test_help_imports_nothing_heavy(words: tuple[str, ...]) -> None:
    """Help is shown without the wire, the keyring, the state, the configuration or a system."""
    code, out, modules = start(*words)
    assert code == 0
    assert out.startswith("Usage: mlc")
    assert heavy(modules) == set()


def test_every_command_is_found_in_its_room() -> None:
    """The table of rooms names every command that the rooms register, and no other: a command loads its own room alone."""
    from typer.main import get_command

    from mlc.cli.app import ROOMS, made

    for room, commands in ROOMS.items():
        for command in commands:
            assert set(get_command(made([command])).commands) == set(commands), room  # type: ignore[attr-defined]
    every = [command for commands in ROOMS.values() for command in commands]
    assert set(get_command(made([])).commands) == set(every)  # type: ignore[attr-defined]
    assert len(every) == len(set(every))


@pytest.mark.parametrize(("command", "others"), [("status", "passes"), ("audit", "looking"), ("help", "receiving")])
def test_a_command_loads_no_other_room(command: str, others: str) -> None:
    """What one command needs is loaded, and no room beside it."""
    code, _, modules = start(command, "--help")
    assert code == 0
    assert f"mlc.cli.{others}" not in modules


def test_the_garbage_collector_works_again_when_a_command_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is off while modules load, and what they left is never looked through; a server that goes on for months needs it."""
    from typer.testing import CliRunner

    from mlc.cli import app

    frozen: list[bool] = []
    monkeypatch.setattr(app.gc, "freeze", lambda: frozen.append(gc.isenabled()))
    gc.disable()
    try:
        CliRunner().invoke(app.made(["help"]), ["help"])
        assert gc.isenabled()
    finally:
        gc.enable()
    assert frozen == [False]


def test_status_loads_what_it_shows_and_no_more(desk: Desk) -> None:
    """Somebody who looks waits for no wire, keyring, system or table of rich, nor for the shapes of promises he does not read."""
    desk.mlc("run")
    code, out, modules = start("status", "--config", str(desk.config))
    assert code == 0
    assert "post-payments" in out
    looks = {"sqlite3", "yaml", "mlc.store", "mlc.config"}
    assert heavy(modules) == looks
    unread = {
        "rich.console",
        "rich.table",
        "mlc.core.intents",
        "mlc.core.commands",
        "mlc.store.schema",
        "mlc.store.lock",
        "mlc.wiring",
        "mlc.opening",
    }
    assert not unread & modules
