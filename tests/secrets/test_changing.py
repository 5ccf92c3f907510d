"""Changing where secrets are: a rotation that may die anywhere, a move that reads back before it takes anything away."""

import types
from pathlib import Path

import pytest

from mlc.core.errors import ConfigError, SecretStoreError
from mlc.secrets import CommandResult, Keychain, Move, Resolver, Rotation, key_file
from mlc.secrets.keys import beside, decoded, default_path

ONE, TWO = ("acme", "sap.password"), ("acme", "stripe.secret_key")


class Killed(BaseException):
    """The run dies here."""


@pytest.fixture(autouse=True)
def _cheap(monkeypatch):
    """Passphrases are stretched little here."""
    monkeypatch.setattr("mlc.secrets.keys.SCRYPT_N", 16)


@pytest.fixture
def resolver(tmp_path, memory):
    """Return a function that makes a resolver, each like another run, over one file and one working keyring."""

    def make(key=None, store="file", **options):
        choice = types.SimpleNamespace(kind=key[0], value=key[1]) if key else None
        block = types.SimpleNamespace(store=store, file=tmp_path / "state/secrets.json", key=choice)
        return Resolver(block, {"HOME": str(tmp_path)}, tty=False, keyring_backend=memory, **options)

    return make


@pytest.fixture
def filled(resolver, tmp_path):
    """Return the same function with two secrets and a session in the file, under a key file."""
    key_file(default_path(tmp_path))
    for tenant, name in (ONE, TWO):
        resolver().set_secret(tenant, name, f"value of {name}")
    resolver().session_store().put("sap-session x", "B1SESSION=1")
    return resolver


def readable(resolver, **options):
    """Read both secrets back as another run does."""
    found = resolver(**options)
    return [found.resolve(*one, None).reveal() for one in (ONE, TWO)] == ["value of sap.password", "value of stripe.secret_key"]


def test_a_rotation_changes_the_key_and_every_nonce(filled, tmp_path):
    """After it the file opens with the new key only, which stands where the old one was; the session is kept too."""
    before, old = filled().vault.read(), filled().vault.key().name
    (tmp_path / "old").write_bytes(default_path(tmp_path).read_bytes())
    (tmp_path / "old").chmod(0o400)
    assert "3 values under the new key" in Rotation(filled()).run(None)
    after = filled().vault.read()
    assert filled().vault.key().name != old
    assert readable(filled)
    assert filled().session_store().get("sap-session x") == "B1SESSION=1"
    assert not {entry.nonce for entry in before.entries} & {entry.nonce for entry in after.entries}
    assert [entry.stored for entry in before.entries] == [entry.stored for entry in after.entries]
    assert not beside(default_path(tmp_path)).exists()
    with pytest.raises(SecretStoreError, match="sealed with another key"):
        filled(key=("file", tmp_path / "old")).resolve(*ONE, None)


@pytest.mark.parametrize("at", [0, 1])
def test_a_rotation_that_dies_leaves_exactly_one_key_that_opens(filled, tmp_path, monkeypatch, at):
    """Killed before the file or before the key is renamed, the next runs read on, and the next rotation finishes it."""
    renames = []
    real = Path.replace

    def die(self, target):
        renames.append(self.name)
        if len(renames) == at + 1:
            raise Killed
        return real(self, target)

    monkeypatch.setattr(Path, "replace", die)
    with pytest.raises(Killed):
        Rotation(filled()).run(None)
    monkeypatch.undo()
    path = default_path(tmp_path)
    assert readable(filled)
    there = [one for one in (path, beside(path)) if one.exists()]
    fits = [one for one in there if decoded(one.read_text(), "it").name == filled().vault.read().key]
    assert fits == [beside(path) if at else path]
    assert filled().vault.pending() == (beside(path) if at else None)
    Rotation(filled()).run(None)
    assert readable(filled)
    assert filled().vault.pending() is None
    assert not beside(path).exists()


def test_a_rotation_to_a_key_file(filled, tmp_path):
    """--to-key puts the file under a key that was made before; the present one and things that are no key are refused."""
    key_file(tmp_path / "next")
    assert "secrets: {key: {file:" in Rotation(filled()).run(tmp_path / "next")
    assert readable(filled, key=("file", tmp_path / "next"))
    with pytest.raises(SecretStoreError, match="another key"):
        readable(filled)
    with pytest.raises(ConfigError, match="already"):
        Rotation(filled(key=("file", tmp_path / "next"))).run(tmp_path / "next")
    with pytest.raises(ConfigError, match="there is none"):
        Rotation(filled(key=("file", tmp_path / "next"))).run(tmp_path / "nope")


def test_a_key_that_mlc_does_not_keep_is_not_changed_in_place(filled, tmp_path):
    """Where a command or a credential holds the key, the way by a key file is named."""
    said = CommandResult(0, default_path(tmp_path).read_bytes(), b"")
    found = filled(key=("command", ("pass",)), run_command=lambda *_: said)
    with pytest.raises(ConfigError, match="command pass") as caught:
        Rotation(found).run(None)
    assert "--to-key" in caught.value.hint


def test_a_passphrase_is_changed_by_a_new_one(resolver):
    """A file under a passphrase gets a new one, with a new salt; the old one opens nothing any more."""
    resolver(ask=lambda _: "old").set_secret(*ONE, "value of sap.password")
    resolver(ask=lambda _: "old").set_secret(*TWO, "value of stripe.secret_key")
    typed = ["new", "new", "old"]
    Rotation(resolver(ask=lambda _: typed.pop())).run(None)
    assert readable(resolver, ask=lambda _: "new")
    with pytest.raises(SecretStoreError, match="another key"):
        readable(resolver, ask=lambda _: "old")


def test_a_move_copies_reads_back_and_then_removes(resolver, memory, tmp_path):
    """From the keyring to the file and back: what was there is there, and leaves the old store only when asked for."""
    key_file(default_path(tmp_path))
    memory.kept = {
        ("mlc/acme", "sap.password"): "value of sap.password",
        ("mlc/acme", "stripe.secret_key"): "value of stripe.secret_key",
    }
    third = ("acme", "stripe.webhook_secret")
    change = Move(resolver(store="keyring"), "file")
    assert change.run([ONE, TWO, third], replace=False) == [(*ONE, "copied"), (*TWO, "copied"), (*third, "in neither")]
    assert readable(resolver)
    assert len(memory.kept) == 2
    assert Move(resolver(), "file").run([ONE, TWO], replace=False) == [(*ONE, "there already"), (*TWO, "there already")]
    change.remove([ONE, TWO])
    assert memory.kept == {}
    assert readable(resolver)
    back = Move(resolver(), "keyring")
    back.run([ONE, TWO], replace=False)
    assert readable(resolver, store="keyring")


def test_a_move_never_overwrites_another_value_by_itself(resolver, memory, tmp_path):
    """Where both stores have a value and they differ, nothing is changed unless --replace was given."""
    key_file(default_path(tmp_path))
    memory.kept = {("mlc/acme", name): f"value of {name}" for name in ("sap.password", "stripe.secret_key")}
    resolver().set_secret(*TWO, "a newer one")
    with pytest.raises(ConfigError, match=r"another value for stripe.secret_key of acme; nothing was changed") as caught:
        Move(resolver(), "file").run([ONE, TWO], replace=False)
    assert "newer" not in caught.value.message
    assert not resolver().exists(*ONE)
    Move(resolver(), "file").run([ONE, TWO], replace=True)
    assert readable(resolver)


def test_a_move_into_a_store_that_is_away_changes_nothing(resolver, memory, tmp_path):
    """A file without a key, or a keyring that is away, is exit 12 and takes nothing out of the other store."""
    memory.kept = {("mlc/acme", "sap.password"): "x"}
    with pytest.raises(SecretStoreError, match=r"encrypted file .*locked"):
        Move(resolver(), "file").run([ONE], replace=False)
    assert len(memory.kept) == 1
    key_file(default_path(tmp_path))
    resolver().set_secret(*ONE, "x")

    def away():
        raise RuntimeError

    with pytest.raises(SecretStoreError, match="OS keyring: not reachable"):
        Move(resolver(keychain=Keychain(tty=False, find=away)), "keyring").run([ONE], replace=False)
    with pytest.raises(ConfigError, match="no store mlc writes"):
        Move(resolver(), "systemd")


def test_sessions_are_kept_in_the_encrypted_file(filled, memory, tmp_path):
    """A session goes into the same file, sealed; it asks nobody, makes no file anew, and never fails."""
    assert filled().session_store().get("sap-session x") == "B1SESSION=1"
    assert "B1SESSION" not in filled().vault.path.read_text()
    assert memory.kept == {}
    filled().session_store().delete("sap-session x")
    assert filled().session_store().get("sap-session x") is None
    filled().vault.path.unlink()
    filled().session_store().put("sap-session x", "B1SESSION=2")
    assert not filled().vault.path.exists()
    asked = []
    silent = filled(key=("prompt", True), ask=asked.append)
    silent.session_store().put("sap-session x", "B1SESSION=2")
    assert silent.session_store().get("sap-session x") is None
    assert asked == []


def test_the_store_says_where_it_looked_and_what_mends_it(filled, tmp_path):
    """A value that is not there is exit 4 and names the file; a file or key that is not there is exit 12 with three ways."""
    with pytest.raises(Exception, match=r"no usable secret gocardless\.access_token") as caught:
        filled().resolve("acme", "gocardless.access_token", None)
    assert (caught.value.exit_code, caught.value.hint) == (4, "`mlc secret set acme gocardless.access_token`")
    assert f"encrypted file {tmp_path}/state/secrets.json" in caught.value.message
    whole = filled().vault.path.read_bytes()
    default_path(tmp_path).rename(tmp_path / "away")
    for spoil, first in (
        (lambda path: None, "give it the key it was sealed with"),
        (lambda path: path.write_bytes(whole[:50]), "mend it as it says above"),
        (lambda path: path.unlink(), "mlc secret key create, then  mlc secret set acme sap.password"),
    ):
        spoil(filled().vault.path)
        with pytest.raises(SecretStoreError) as caught:
            filled().resolve(*ONE, None)
        assert caught.value.exit_code == 12
        for words in (
            first,
            "LoadCredentialEncrypted=mlc_acme_sap.password",
            "{command: [pass",
            "never stores secrets in plain",
        ):
            assert words in caught.value.message


def test_a_keyring_reference_means_the_keyring(filled, memory, ref):
    """With store file, {keyring: NAME} still names the OS keyring."""
    memory.kept["mlc/acme", "other"] = "k"
    assert filled().resolve("acme", "sap.password", ref("keyring", "other")).reveal() == "k"
