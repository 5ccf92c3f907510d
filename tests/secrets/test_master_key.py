"""Where the master key is looked for, in which order, and what is said when it is missing or another one."""

import base64
import pickle
import types

import pytest

from mlc.secrets import CommandResult, places
from mlc.secrets.keys import KeyFinder, KeyTroubleError, Stretch, beside, decoded, default_path, write_key_file
from mlc.secrets.vault import Vault

SERVICE, USER = "mlc/acme", "sap.password"


@pytest.fixture(autouse=True)
def _cheap(monkeypatch):
    """Passphrases are stretched little here."""
    monkeypatch.setattr("mlc.secrets.keys.SCRYPT_N", 16)


@pytest.fixture
def finder(tmp_path):
    """Return a function that makes a finder for a choice of the configuration."""

    def make(kind=None, value=None, environ=None, **options):
        choice = types.SimpleNamespace(kind=kind, value=value) if kind else None
        return KeyFinder(choice, environ or {}, home=tmp_path, **options)

    return make


def vault(tmp_path, keys):
    """Return the file."""
    return Vault(tmp_path / "state/secrets.json", keys)


def text_of(key):
    """Return what a key file with this key holds."""
    return base64.b64encode(key.raw).decode() + "\n"


def test_left_out_is_the_first_that_exists(tmp_path, finder):
    """A credential comes before the key file, the key file before a passphrase, and a passphrase only where there is somebody."""
    asked = []

    def ask(what):
        asked.append(what)
        return "correct horse"

    with pytest.raises(KeyTroubleError, match=r"no credential mlc-master, no key file .*master.key, no terminal to ask"):
        finder().first()
    assert finder(ask=ask).first().origin == "the passphrase"
    assert len(asked) == 2
    file = write_key_file(default_path(tmp_path))
    assert finder(ask=ask).first().name == file.name
    folder = tmp_path / "credentials"
    folder.mkdir()
    unit = write_key_file(folder / "mlc-master")
    (folder / "mlc-master").chmod(0o440)
    assert finder(environ={"CREDENTIALS_DIRECTORY": str(folder)}, ask=ask).first().name == unit.name
    assert len(asked) == 2


def test_a_configured_place_is_the_only_one(tmp_path, finder):
    """Where the configuration names a place nothing else is looked at, and what is wrong with it is said."""
    write_key_file(default_path(tmp_path))
    other = write_key_file(tmp_path / "other")
    said = CommandResult(0, text_of(other).encode(), b"")
    assert finder("file", tmp_path / "other").first().name == other.name
    assert finder("command", ("pass", "show"), run=lambda *_: said).first().name == other.name
    for keys, words in (
        (finder("file", tmp_path / "nope"), "no key: file .*nope: there is none"),
        (finder("systemd", "mlc-master"), "credentials directory: not set"),
        (
            finder("command", ("pass",), run=lambda *_: CommandResult(1, b"", b"locked")),
            r"command pass: ended with 1 \(locked\)",
        ),
        (finder("prompt", True), "no terminal to ask for a passphrase"),
    ):
        with pytest.raises(KeyTroubleError, match=words):
            keys.first()


def test_key_files_are_private_and_never_overwritten(tmp_path, finder):
    """Made 0400 in a folder 0700, 32 random bytes in base64; a loose mode is refused, a second one is not made."""
    path = default_path(tmp_path)
    key = write_key_file(path)
    assert path.stat().st_mode & 0o777 == 0o400
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.read_text() == text_of(key)
    with pytest.raises(FileExistsError):
        write_key_file(path)
    path.chmod(0o440)
    with pytest.raises(KeyTroubleError, match=r"others can read it \(mode 0440\)"):
        finder().first()


@pytest.mark.parametrize("text", ["", "short", "c2hvcnQ=", "ä" * 44, "A" * 44 + "\nmore"])
def test_what_is_no_key_is_told_without_being_shown(text):
    """A file that holds something else is no key; what it holds is not repeated."""
    with pytest.raises(KeyTroubleError, match="holds no key made by") as caught:
        decoded(text, "key file x")
    assert not text or text not in str(caught.value)


def test_another_key_is_a_clear_error(tmp_path, finder):
    """A file sealed with one key and opened with another says so, names both, changes nothing, and gives no empty value."""
    first = write_key_file(tmp_path / "first")
    second = write_key_file(tmp_path / "second")
    vault(tmp_path, finder("file", tmp_path / "first")).set(SERVICE, USER, "hunter2")
    before = (tmp_path / "state/secrets.json").read_bytes()
    wrong = vault(tmp_path, finder("file", tmp_path / "second"))
    for use in (lambda: wrong.get(SERVICE, USER), lambda: wrong.get("no", "thing"), lambda: wrong.set("a", "b", "c")):
        with pytest.raises(KeyTroubleError, match=f"sealed with another key .it wants {first.name}.*is {second.name}"):
            use()
    assert (tmp_path / "state/secrets.json").read_bytes() == before


def test_a_passphrase_is_asked_for_once_and_never_under_cron(tmp_path, finder):
    """Made with a passphrase typed twice, opened with one typed once per run; without anybody it stays locked."""
    asked = []

    def ask(what):
        asked.append(what)
        return "correct horse"

    vault(tmp_path, finder("prompt", True, ask=ask)).set(SERVICE, USER, "hunter2")
    opened = vault(tmp_path, finder(ask=ask))
    asked.clear()
    assert [opened.get(SERVICE, USER) for _ in range(3)] == ["hunter2"] * 3
    assert opened.silent().get(SERVICE, USER) == "hunter2"
    assert len(asked) == 1
    with pytest.raises(KeyTroubleError, match="no terminal to ask"):
        vault(tmp_path, finder()).get(SERVICE, USER)
    with pytest.raises(KeyTroubleError, match="no terminal"):
        vault(tmp_path, finder(ask=ask).silent()).get(SERVICE, USER)
    with pytest.raises(KeyTroubleError, match="not its passphrase"):
        vault(tmp_path, finder(ask=lambda _: "wrong")).get(SERVICE, USER)


def test_a_passphrase_mistyped_or_empty_makes_nothing(tmp_path, finder):
    """Two entries that differ, or blanks, are no passphrase."""
    for typed in (["a", "b"], [" ", " "]):
        with pytest.raises(KeyTroubleError, match="nothing was stored"):
            vault(tmp_path, finder("prompt", True, ask=lambda _, typed=typed: typed.pop())).set(SERVICE, USER, "x")
    assert not (tmp_path / "state/secrets.json").exists()


def test_the_passphrase_is_stretched_as_it_says(monkeypatch):
    """A new file is stretched with n = 2^15 and a salt of its own; figures out of bounds are not worked with."""
    monkeypatch.undo()
    assert Stretch.fresh().n == 2**15
    assert Stretch.fresh().salt != Stretch.fresh().salt
    for n in (0, 1, 2**30):
        with pytest.raises(KeyTroubleError, match="out of bounds"):
            Stretch(b"x" * 16, n).key("a")


def test_a_key_that_could_not_be_written_leaves_nothing(tmp_path, monkeypatch):
    """A full disk leaves no half key in the place of a whole one."""
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        write_key_file(tmp_path / "key")
    monkeypatch.undo()
    write_key_file(tmp_path / "key")


def test_a_key_hides_itself(tmp_path):
    """No key in a repr, in a pickle, or in what a finder shows of itself."""
    key = write_key_file(tmp_path / "key")
    assert repr(key) == f"Key({key.name})"
    with pytest.raises(TypeError):
        pickle.dumps(key)
    assert beside(tmp_path / "key").name == "key.new"


def test_root_unseals_by_hand_what_a_unit_is_given(tmp_path, monkeypatch):
    """Outside of a unit root reads a sealed credential through systemd-creds; nobody else does, and a failure is told."""
    asked = []

    def run(words, _environ, _limit):
        asked.append(list(words))
        return (
            places.CommandResult(0, b"hunter2\n", b"")
            if words[2] == "--name=mlc-master"
            else places.CommandResult(1, b"", b"no TPM")
        )

    monkeypatch.setattr(places, "SEALED", tmp_path)
    monkeypatch.setattr(places.os, "geteuid", lambda: 0)
    with pytest.raises(places.NoPlaceError, match="not set"):
        places.from_credentials("mlc-master", None, {}, run)
    for name in ("mlc-master", "other"):
        (tmp_path / name).write_text("sealed")
    assert places.from_credentials("mlc-master", None, {}, run) == "hunter2"
    assert asked == [["systemd-creds", "decrypt", "--name=mlc-master", str(tmp_path / "mlc-master"), "-"]]
    with pytest.raises(places.NotThereError, match=r"ended with 1 \(no TPM\)"):
        places.from_credentials("other", None, {}, run)
    with pytest.raises(places.NotThereError, match="is no name of a credential"):
        places.from_credentials("../other", None, {}, run)
    monkeypatch.setattr(places.os, "geteuid", lambda: 1000)
    with pytest.raises(places.NoPlaceError, match="not set"):
        places.from_credentials("mlc-master", None, {}, run)
