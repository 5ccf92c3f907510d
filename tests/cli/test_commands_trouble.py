"""Bad input and trouble (contract, section 5): the code, one clear message, and never the words of a programmer."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from desk import Desk, Said

DEFECT = "this is a defect"
PASSES = [("run",), ("sync-customers",), ("push-invoices",), ("post-payments",)]
LOOKS = [("status",), ("held", "list"), ("held", "show", "x"), ("audit", "list"), ("audit", "verify"), ("audit", "export")]


def clear(said: Said, code: int, *parts: str) -> None:
    """One message, with what it must name, and nothing a user cannot act upon."""
    assert said.code == code, said.err
    assert said.err.count("error:") == 1, said.err
    assert "next: " in said.err
    assert DEFECT not in said.err
    for part in parts:
        assert part in said.err


# --- configuration ----------------------------------------------------------------------------------------------------

WRONG = {
    "unknown key": (("first_run: go", "frist_run: go"), ":6:5: ", 'did you mean "first_run"'),
    "literal secret": (("{env: K}", "sk_test_4eC39HqLyjWDarjtT1zdp7dc"), ":16:7: ", "literal secret"),
    "literal password": (("{env: P}", "hunter2hunter2"), ":11:7: ", "literal secret"),
    "wrong type": (("settle_seconds: 20", "settle_seconds: soon"), ":13:7: ", "whole number"),
    "live": (("first_run: go", "first_run: go\n    mode: live"), ":16:7: ", "stripe.url: points to this machine"),
    "a tab": (("    first_run", "\tfirst_run"), ":6:1: ", "tab"),
}


@pytest.mark.parametrize("what", WRONG)
@pytest.mark.parametrize("words", [("config", "check"), ("run",), ("held", "list"), ("ping",)], ids=" ".join)
def test_a_wrong_configuration(desk: Desk, what: str, words: tuple[str, ...]) -> None:
    """A wrong configuration is exit 2 with file, line and column, the key and the fix, whatever the command; no secret is shown."""
    change, place, fix = WRONG[what]
    desk.write(change)
    said = desk.mlc(*words)
    assert said.code == 2
    assert f"{desk.config}{place}" in said.err
    assert fix in said.err
    assert "hunter2" not in said.err
    assert "4eC39" not in said.err
    assert said.out == ""


@pytest.mark.parametrize(
    ("make", "code"),
    [(lambda _: None, 10), (lambda path: path.write_text(""), 2), (lambda path: path.mkdir(), 2), (lambda path: path.write_bytes(b"\xff"), 2)],
)  # fmt: skip
@pytest.mark.parametrize("words", [("config", "check"), ("run",), ("status",)], ids=" ".join)
def test_no_configuration(desk: Desk, make: Callable[[Path], object], code: int, words: tuple[str, ...]) -> None:
    """A missing configuration is exit 10 and names `mlc init`; an empty file, a directory or no text is exit 2."""
    desk.config.unlink()
    make(desk.config)
    clear(desk.mlc(*words), code, str(desk.config))


def test_two_tenants_on_one_company(desk: Desk) -> None:
    """Two tenants on one company and one account are exit 2 before anything is read."""
    desk.tenant("beta")
    said = desk.mlc("run")
    assert (said.code, "acme" in said.err, "beta" in said.err) == (2, True, True)
    assert desk.company.sap.log == []


@pytest.mark.parametrize(
    "words",
    [("run", "--since", "nonsense"), ("run", "--tenant", "nope"), ("run", "--since", ""), ("audit", "verify", "--head", "x", "y"),
     ("run", "--limit", "0"), ("run", "--lock-timeout", "-1"), ("nope",), ("held", "match", "x"), ("secret", "set", "acme"),
     ("secret", "set", "acme", "nope"), ("secret", "set", "nope", "sap.password"), ("run", "--jsno")],
    ids=" ".join,
)  # fmt: skip
def test_wrong_usage(desk: Desk, words: tuple[str, ...]) -> None:
    """Wrong usage is exit 2, says what is wrong on stderr, and leaves stdout empty."""
    said = desk.mlc(*words, stdin="x\n")
    assert (said.code, said.out) == (2, "")
    assert "rror" in said.err
    assert DEFECT not in said.err


# --- credentials and secrets ------------------------------------------------------------------------------------------


def test_a_wrong_password_is_tried_once(desk: Desk) -> None:
    """A wrong SAP password ends a whole run with 4 after exactly one login (complaint 49)."""
    desk.company.invoice()
    desk.env["P"] = "wrong"
    clear(desk.mlc("run"), 4, "manager", "SBODEMO", "tenant acme", "sap.password")
    assert [path for _, path, _ in desk.company.sap.log if path.endswith("/Login")] == ["/b1s/v2/Login"]


@pytest.mark.parametrize(("key", "code"), [("sk_test_wrong", 4), ("sk_live_1234567890abcdef", 2), ("", 4)])
def test_a_wrong_key(desk: Desk, key: str, code: int) -> None:
    """A wrong key is exit 4 and names the secret and the tenant; a live key in test mode is exit 2; neither shows the key."""
    desk.env["K"] = key
    said = desk.mlc("post-payments")
    clear(said, code, "acme", "secret")
    assert "1234567890" not in said.err


@pytest.mark.parametrize("name", ["P", "K"])
def test_a_rejected_secret_says_where_it_was_found(desk: Desk, name: str) -> None:
    """A rejected secret says where it was looked up, so that nobody sets another one in the keyring in vain."""
    desk.company.invoice()
    desk.env[name] = "sk_test_wrong"
    said = desk.mlc("run")
    assert said.code == 4
    assert f"environment variable {name}" in said.err


def test_no_keyring(desk: Desk) -> None:
    """Without a usable keyring a run, ping and every secret command end with 12 and three ways out (complaint 53)."""
    desk.tenant("acme", password="null")
    for words in (
        ("run",),
        ("secret", "check"),
        ("secret", "set", "acme", "sap.password"),
        ("secret", "rm", "acme", "sap.password"),
    ):
        said = desk.mlc(*words, stdin="geheim\n")
        clear(said, 12, "encrypted file:", "systemd:", "{command: [")
        assert "geheim" not in said.err
    assert desk.mlc("ping").code == 12
    assert desk.mlc("secret", "list").code == 0


@pytest.mark.parametrize("value", ["", "\n", "   \n"])
def test_an_empty_secret_is_not_stored(desk: Desk, value: str) -> None:
    """An empty secret is exit 2."""
    clear(desk.mlc("secret", "set", "acme", "sap.password", stdin=value), 2, "sap.password")


# --- systems that are away --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("port", [1, 2])
def test_a_system_that_is_away(desk: Desk, port: int) -> None:
    """A system that is not there ends with 5, names the address, skips push, and heals by itself."""
    desk.company.invoice()
    wire = desk.ports.wires.pop(port)
    said = desk.mlc("run")
    assert said.code == 5
    assert f"127.0.0.1:{port}" in said.err
    assert "push-invoices: skipped" in said.err
    assert DEFECT not in said.err
    assert desk.mlc("ping").code == 5
    desk.ports.wires[port] = wire
    assert desk.mlc("run").code == 0
    assert len(desk.company.pushed()) == 1


def test_a_quiet_ping_says_what_fails(desk: Desk) -> None:
    """`ping -q` says errors: where a check fails, it says which."""
    desk.ports.wires.pop(1)
    said = desk.mlc("ping", "-q")
    assert said.code == 5
    assert "sap login" in said.out + said.err


# --- the state file ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", LOOKS, ids=" ".join)
def test_no_state_yet(desk: Desk, words: tuple[str, ...]) -> None:
    """A look at a state that does not exist yet is exit 10 and creates none."""
    clear(desk.mlc(*words), 10, "mlc.db")
    assert not (desk.folder / "mlc.db").exists()


@pytest.mark.parametrize("words", [*LOOKS, ("run",), ("replay", "x")], ids=" ".join)
def test_a_newer_state(desk: Desk, words: tuple[str, ...]) -> None:
    """A state file of a newer mlc is exit 13 for every command."""
    assert desk.mlc("run").code == 0
    connection = sqlite3.connect(desk.folder / "mlc.db")
    connection.execute("INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('mlc', 'm999', '2030')")
    connection.commit()
    connection.close()
    clear(desk.mlc(*words), 13, "newer")


@pytest.mark.parametrize("words", [*PASSES, ("replay", "pi_x"), ("held", "match", "pi_x", "1")], ids=" ".join)
def test_a_locked_company(desk: Desk, words: tuple[str, ...]) -> None:
    """While another run holds the company's lock a writing command is exit 11, also after waiting, and a look is not."""
    assert desk.mlc("run").code == 0
    holder = sqlite3.connect(desk.folder / "mlc.db.SBODEMO.lock", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    clear(desk.mlc(*words), 11, "another run")
    clear(desk.mlc(*words, "--lock-timeout", "3"), 11)
    assert desk.mlc("held", "list").code == 0
    assert desk.mlc("status").code == 0
    holder.close()
    assert desk.mlc("run").code == 0


_UNUSABLE: dict[str, Callable[[Path], object]] = {
    "state is a directory": lambda folder: (folder / "mlc.db").mkdir(),
    "state is no database": lambda folder: (folder / "mlc.db").write_text("garbage" * 500),
    "state is a link": lambda folder: (folder / "mlc.db").symlink_to(folder / "else.db"),
    "lock is a directory": lambda folder: (folder / "mlc.db.SBODEMO.lock").mkdir(),
    "lock is no database": lambda folder: (folder / "mlc.db.SBODEMO.lock").write_text("garbage" * 500),
}


@pytest.mark.parametrize("what", list(_UNUSABLE))
def test_a_state_that_cannot_be_used(desk: Desk, what: str) -> None:
    """A state or lock file that cannot be used is exit 1 and one sentence that names the file."""
    desk.company.invoice()
    _UNUSABLE[what](desk.folder)
    clear(desk.mlc("run"), 1, "mlc.db")
    assert desk.writes() == []


def test_a_state_below_a_file(desk: Desk) -> None:
    """A state path that leads through a file is exit 1 and one sentence that names it."""
    desk.write(("/mlc.db", "/config.yaml/mlc.db"))
    clear(desk.mlc("run"), 1, "config.yaml/mlc.db")


def test_a_full_disk_at_the_lock(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A note of the lock's holder that cannot be written stops nothing: the lock holds without it."""
    real = os.open

    def full(path: str | Path, *rest: Any, **more: Any) -> int:
        if str(path).endswith(".holder"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(path, *rest, **more)

    monkeypatch.setattr(os, "open", full)
    assert desk.mlc("run").code == 0


def test_a_full_disk(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A state file that cannot grow is exit 1 with the cause, nothing is half-written, and with space the work is done once."""
    from mlc.store.database import Database

    real = Database.open.__func__  # type: ignore[attr-defined]

    def tight(cls: type[Database], path: Path, *, create: bool = True) -> Database:
        database: Database = real(cls, path, create=create)
        database.connection.execute(f"PRAGMA max_page_count = {database.connection.execute('PRAGMA page_count').fetchone()[0]}")
        return database

    for _ in range(25):
        desk.company.invoice()
    assert desk.mlc("sync-customers").code == 0
    with monkeypatch.context() as patch:
        patch.setattr(Database, "open", classmethod(tight))
        clear(desk.mlc("push-invoices"), 1, "full")
    assert desk.mlc("audit", "verify").code == 0
    assert desk.mlc("push-invoices").code == 0
    assert len(desk.company.pushed()) == 25
