"""The encrypted file from the command line: made, filled, listed, checked, moved and rotated; no value in any word."""

from __future__ import annotations

import json
import types
from pathlib import Path

import keyring
import pytest
from desk import Desk, Said
from keyring.backends.SecretService import Keyring as SecretService
from test_no_secret_anywhere import KEY, PASSWORD, Hunt

from harness import Company

WORDS = "cänary-passphrase-77c1"


class Session:
    """A login session's keyring, in memory."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kept: dict[tuple[str, str], str] = {}
        monkeypatch.setattr(SecretService, "__init__", lambda _self: None)
        monkeypatch.setattr(SecretService, "get_password", lambda _self, *name: self.kept.get(name))
        monkeypatch.setattr(
            SecretService, "set_password", lambda _self, service, user, value: self.kept.update({(service, user): value})
        )
        monkeypatch.setattr(SecretService, "delete_password", lambda _self, *name: self.kept.pop(name))
        monkeypatch.setattr(keyring, "get_keyring", SecretService)


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passphrases are stretched little here."""
    monkeypatch.setattr("mlc.secrets.keys.SCRYPT_N", 16)


@pytest.fixture
def hunt(tmp_path: Path) -> Hunt:
    """A desk whose marked secrets are in the encrypted file."""
    hunt = Hunt(Company(tmp_path))
    hunt.desk.top = "secrets: {store: file}"
    hunt.desk.tenant("acme", password="null", key="null")
    return hunt


def fill(hunt: Hunt) -> None:
    """Make a key and put both secrets in."""
    assert hunt.say("secret", "key", "create").code == 0
    assert hunt.say("secret", "set", "acme", "sap.password", stdin=f"{PASSWORD}\n").code == 0
    assert hunt.say("secret", "set", "acme", "stripe.secret_key", stdin=f"{KEY}\n").code == 0


def states(said: Said) -> list[str]:
    """What check found."""
    return [line["state"] for line in said.of("secret")]


def test_a_run_with_the_encrypted_file(hunt: Hunt) -> None:
    """Everything there is runs with secrets from the file; one login serves all runs; no value and no session is written in plain."""
    fill(hunt)
    hunt.company.invoice()
    assert hunt.say("run", "-vv").code == 0
    assert hunt.say("run", "-vv", "--json").code == 0
    assert len(hunt.sessions) == 1
    assert states(hunt.say("secret", "check", "--json")) == ["yes", "yes"]
    hunt.all_commands()
    assert hunt.say("secret", "rotate", "-q").code == 0
    assert hunt.say("run").code == 0
    assert len(hunt.sessions) == 1
    key = (hunt.company.folder / ".config/mlc/master.key").read_text().strip()
    assert not any(key.encode() in raw for place, raw in hunt.written() if not place.endswith("master.key"))
    assert hunt.hits() == []


def test_trouble_with_the_encrypted_file(hunt: Hunt) -> None:
    """No key, another key, a cut, an edited, an open file: exit 12 with three ways out; a value that is not there: exit 4."""
    said = hunt.say("secret", "set", "acme", "sap.password", stdin=f"{PASSWORD}\n")
    assert (said.code, "no key file" in said.err, "mlc secret key create" in said.err) == (12, True, True)
    fill(hunt)
    file, key = hunt.company.folder / "secrets.json", hunt.company.folder / ".config/mlc/master.key"
    whole = file.read_bytes()
    assert hunt.say("secret", "rm", "acme", "stripe.secret_key").code == 0
    assert hunt.say("run").code == 4
    for spoil, words in (
        (lambda: file.write_bytes(whole[:-40]), "damaged"),
        (lambda: file.write_bytes(whole.replace(b'"stored": 1', b'"stored": 2')), "damaged"),
        (lambda: (file.write_bytes(whole), file.chmod(0o644)), "open to others (mode 0644)"),
        (lambda: (file.chmod(0o600), key.chmod(0o600), key.write_text(f"{'A' * 43}=\n")), "sealed with another key"),
        (lambda: key.write_text("nonsense"), "holds no key made by"),
        (key.unlink, "no key file"),
        (file.unlink, "not there"),
    ):
        spoil()
        assert hunt.say("ping").code == 12
        for words_typed in (("run", "-vv"), ("secret", "check")):
            said = hunt.say(*words_typed)
            assert (said.code, words in said.err) == (12, True), words
            assert all(way in said.err for way in ("encrypted file:", "systemd:", "password manager:"))
    assert hunt.hits() == []


def test_list_tells_the_age_without_the_key(hunt: Hunt) -> None:
    """`secret list` says where each secret is and since when, and needs no key for it."""
    fill(hunt)
    (hunt.company.folder / ".config/mlc/master.key").unlink()
    said = hunt.say("secret", "list")
    assert (said.code, said.out.count(" s ago")) == (0, 2)
    listed = hunt.say("secret", "list", "--json").of("secret")
    stored = json.loads((hunt.company.folder / "secrets.json").read_text())["entries"]
    assert [line["stored_at"] for line in listed] == [entry["stored"] for entry in stored]


def test_a_passphrase_is_asked_for_at_a_terminal_only(hunt: Hunt, monkeypatch: pytest.MonkeyPatch) -> None:
    """With key: prompt a run at a terminal asks once for all tenants; `secret check` asks nobody, as a timer would, and ends with 12."""
    hunt.desk.top = "secrets: {store: file, key: prompt}"
    hunt.desk.write()
    hunt.secrets.add(WORDS)
    asked: list[str] = []
    answers = {"sap.password of acme: ": PASSWORD, "stripe.secret_key of acme: ": KEY}
    last = [""]

    def getpass(what: str) -> str:
        asked.append(what)
        last[0] = last[0] if what.startswith("once") else answers.get(what, WORDS)
        return last[0]

    monkeypatch.setattr("getpass.getpass", getpass)
    terminal = types.SimpleNamespace(isatty=lambda: True)
    for room in ("session", "secreting"):
        monkeypatch.setattr(f"mlc.cli.{room}.sys", types.SimpleNamespace(stdin=terminal, stderr=terminal))
    assert hunt.say("secret", "set", "acme", "sap.password").code == 0
    assert hunt.say("secret", "set", "acme", "stripe.secret_key").code == 0
    asked.clear()
    hunt.say("run", "--first-run")
    assert asked == ["passphrase of the encrypted file: "]
    said = hunt.say("secret", "check")
    assert (said.code, "no terminal to ask" in said.err, len(asked)) == (12, True, 1)
    assert hunt.hits() == []


def test_moved_out_of_a_login_session(hunt: Hunt, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a desktop's keyring holds goes into the file; the configuration is left to the person; then the keyring is not needed."""
    keyring_ = Session(monkeypatch)
    keyring_.kept = {("mlc/acme", "sap.password"): PASSWORD, ("mlc/acme", "stripe.secret_key"): KEY}
    hunt.desk.top = ""
    hunt.desk.write()
    before = hunt.desk.config.read_text()
    terminal = types.SimpleNamespace(isatty=lambda: True)
    with monkeypatch.context() as patch:
        patch.setattr("mlc.cli.secreting.sys", types.SimpleNamespace(stdin=terminal, stderr=terminal))
        assert "a timer has none" in hunt.say("secret", "check").err
    assert hunt.say("secret", "key", "create").code == 0
    said = hunt.say("secret", "move", "--to", "file")
    assert (said.code, said.out.count("copied"), "{store: file}" in said.err) == (0, 2, True)
    assert len(keyring_.kept) == 2
    assert hunt.desk.config.read_text() == before
    assert hunt.say("secret", "move", "--to", "file", "--remove").code == 0
    assert keyring_.kept == {}
    hunt.desk.top = "secrets: {store: file}"
    hunt.desk.write()
    assert states(hunt.say("secret", "check", "--json")) == ["yes", "yes"]
    assert hunt.say("secret", "move", "--to", "keyring").code == 0
    assert len(keyring_.kept) == 2
    assert hunt.say("secret", "move", "--to", "nowhere").code == 2
    assert hunt.hits() == []


def test_nothing_to_move_is_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no store has any of them, nothing is claimed to be done."""
    Session(monkeypatch)
    desk.tenant("acme", password="null")
    said = desk.mlc("secret", "move", "--to", "file")
    assert (said.code, "nothing was moved" in said.err, "Now set" in said.err) == (4, True, False)


def test_keys_are_made_once_and_where_told(desk: Desk) -> None:
    """`key create` writes 0400 where it is told, says how to seal it, never shows or overwrites it; `rotate --to-key` changes to it."""
    path = desk.folder / "keys" / "a"
    said = desk.raw("secret", "key", "create", str(path))
    assert (said.code, path.stat().st_mode & 0o777) == (0, 0o400)
    assert "--name=mlc-master" in said.err
    assert path.read_text().strip() not in said.err + said.out
    assert desk.raw("secret", "key", "create", str(path)).code == 2
    desk.top = f"secrets: {{store: file, file: {desk.folder}/own.json, key: {{file: {path}}}}}"
    desk.tenant("acme", password="null")
    assert desk.mlc("secret", "rotate").code == 12
    assert desk.mlc("secret", "set", "acme", "sap.password", stdin="geheim\n").code == 0
    assert (desk.folder / "own.json").exists()
    other = desk.folder / "keys" / "b"
    assert desk.raw("secret", "key", "create", str(other)).code == 0
    said = desk.mlc("secret", "rotate", "--to-key", str(other))
    assert (said.code, str(other) in said.err) == (0, True)
    assert desk.mlc("secret", "check").code == 12


def test_a_secret_in_the_environment_is_noted(desk: Desk) -> None:
    """`secret check` says that everybody can see what stands in a unit's environment."""
    said = desk.mlc("secret", "check")
    assert (said.code, said.err.count("systemctl show")) == (0, 1)
    assert desk.mlc("secret", "list").err == ""
