"""The encrypted file: what goes in comes out, and whatever was done to the file or to the key is told as what it is."""

import json
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlc.secrets.filekeyring import FileKeyring
from mlc.secrets.keychain import Keychain, KeychainUnusableError, choose
from mlc.secrets.keys import KeyFinder, default_path, write_key_file
from mlc.secrets.vault import Vault, VaultError, parse, seal

SERVICE, USER, VALUE = "mlc/acme", "sap.password", "hunter2-hunter2"


@pytest.fixture
def vault(tmp_path):
    """Return a file that is still to be made, with a key file."""
    write_key_file(default_path(tmp_path))
    return again(tmp_path)


def again(home):
    """Return the same file as another run sees it."""
    return Vault(home / "state/secrets.json", KeyFinder(None, {}, home=home), lambda: 1_790_000_000)


def filled(vault):
    """Put one value in."""
    vault.set(SERVICE, USER, VALUE)
    return vault


def test_what_is_set_is_found_by_another_run(vault, tmp_path):
    """Values come back from disk, can be replaced and taken out, and say when they were stored."""
    filled(vault).set(SERVICE, "stripe.secret_key", "first")
    vault.set(SERVICE, "stripe.secret_key", "second")
    assert again(tmp_path).get(SERVICE, USER) == VALUE
    assert again(tmp_path).get(SERVICE, "stripe.secret_key") == "second"
    assert again(tmp_path).get("mlc/beta", USER) is None
    assert vault.stored() == {(SERVICE, USER): 1_790_000_000, (SERVICE, "stripe.secret_key"): 1_790_000_000}
    assert vault.delete(SERVICE, USER)
    assert not vault.delete(SERVICE, USER)
    assert again(tmp_path).get(SERVICE, USER) is None


def test_the_file_is_private_and_holds_nothing_readable(vault):
    """Folder 0700, file 0600, no value in it in any spelling, nothing left beside it but the lock."""
    filled(vault)
    assert vault.path.stat().st_mode & 0o777 == 0o600
    assert vault.path.parent.stat().st_mode & 0o777 == 0o700
    assert VALUE not in vault.path.read_text()
    assert {path.name for path in vault.path.parent.iterdir()} == {"secrets.json", ".secrets.json.lock"}
    assert VALUE not in repr(vault.read())
    assert vault.key().raw.hex() not in repr(vault.key()) + str(vars(vault.keys))


def test_what_keyring_is_given_goes_into_the_file(vault):
    """Our backend of keyring is taken by the list of safe ones, exactly it, and no search of keyring ever finds it."""
    backend = FileKeyring(vault)
    assert choose(backend) is backend
    keychain = Keychain(tty=False, find=lambda: backend, own=True)
    keychain.set(SERVICE, USER, VALUE)
    assert keychain.get(SERVICE, USER) == VALUE
    assert keychain.delete(SERVICE, USER)
    assert FileKeyring.priority < 0
    lookalike = type("FileKeyring", (FileKeyring,), {"__module__": "mlc.secrets.filekeyring"})(vault)
    with pytest.raises(KeychainUnusableError, match="not known to be safe"):
        choose(lookalike)


def test_a_search_of_keyring_does_not_choose_our_file():
    """With our backend loaded, keyring on a machine without a keyring still finds none."""
    code = (
        "import mlc.secrets.filekeyring, keyring.core as c\n"
        "print(type(c.init_backend() or c.get_keyring()).__module__, type(c.get_keyring()).__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "mlc" not in done.stdout


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.text(st.characters(codec=None), max_size=40), user=st.text(st.characters(exclude_characters="\0"), max_size=20))
def test_every_character_comes_back(vault, value, user):
    """Any text is a value, any text without NUL a name, halves of surrogate pairs included."""
    vault.set(SERVICE, user, value)
    assert vault.get(SERVICE, user) == value


def test_no_nonce_is_used_twice(vault):
    """Each sealing has a nonce of its own, also of the same value under the same name."""
    filled(vault)
    nonces = [seal(vault.key(), SERVICE, USER, VALUE, 0).nonce for _ in range(2000)]
    assert len(set(nonces)) == 2000
    assert {len(nonce) for nonce in nonces} == {12}


def test_a_value_under_another_name_does_not_open(vault, tmp_path):
    """Two entries exchanged, with the seal of the whole made good again, are still found out; without it at once."""
    filled(vault).set(SERVICE, "stripe.secret_key", "other")
    key, content = vault.key(), vault.read()
    one, two = content.entries
    swapped = replace(content, entries=(replace(one, user=two.user), replace(two, user=one.user)))
    vault._write(swapped, key)
    with pytest.raises(VaultError, match=r'the value of "sap.password" was edited'):
        again(tmp_path).get(SERVICE, USER)
    moved = replace(content, entries=(replace(one, service="mlc/beta"),))
    vault._write(moved, key)
    with pytest.raises(VaultError, match="was edited"):
        again(tmp_path).get("mlc/beta", USER)


def test_a_cut_file_is_told_and_left_alone(vault):
    """Wherever the file is cut off, nothing is read from it, nothing is written over it, and it says so."""
    whole = filled(vault).path.read_bytes()
    for length in (0, 1, len(whole) // 3, len(whole) - 3):
        vault.path.write_bytes(whole[:length])
        for use in (lambda: vault.get(SERVICE, USER), lambda: vault.set(SERVICE, USER, "x"), lambda: vault.delete("a", "b")):
            with pytest.raises(VaultError, match="damaged"):
                use()
        assert vault.path.read_bytes() == whole[:length]


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data["entries"].pop(),
        lambda data: data["entries"].append(dict(data["entries"][0])),
        lambda data: data["entries"].append({**data["entries"][0], "user": "new"}),
        lambda data: data["entries"][0].update(stored=5),
        lambda data: data["entries"][0].update(stored="soon"),
        lambda data: data["entries"][0].update(sealed="AAAA"),
        lambda data: data["entries"][0].update(more=1),
        lambda data: data.update(seal="00"),
        lambda data: data.update(more=1),
        lambda data: data.update(entries=None),
        lambda data: data.pop("key"),
        lambda data: data.update(scrypt={"salt": "AA==", "n": 1, "r": 1, "p": 1}),
    ],
)
def test_an_edited_file_is_told(vault, change):
    """Whatever is changed by hand in the file, it is told as damaged and never taken for an empty or missing value."""
    data = json.loads(filled(vault).path.read_text())
    change(data)
    vault.path.write_text(json.dumps(data))
    with pytest.raises(VaultError, match="damaged"):
        vault.get(SERVICE, USER)


def test_other_things_than_a_private_file_are_refused(vault, tmp_path):
    """A loose mode, a link, a folder, a later format and a folder others write in are refused with what mends them."""
    filled(vault)
    vault.path.chmod(0o644)
    with pytest.raises(VaultError, match=r"open to others \(mode 0644\); run: chmod 600"):
        vault.get(SERVICE, USER)
    vault.path.chmod(0o600)
    whole = vault.path.read_text()
    vault.path.write_text(whole.replace('"mlc-secrets": 1', '"mlc-secrets": 2'))
    with pytest.raises(VaultError, match=r"format 2.*update mlc"):
        vault.get(SERVICE, USER)
    real = vault.path.rename(tmp_path / "elsewhere")
    vault.path.symlink_to(real)
    for use in (lambda: vault.get(SERVICE, USER), lambda: vault.set(SERVICE, USER, "x")):
        with pytest.raises(VaultError, match="symbolic link"):
            use()
    vault.path.unlink()
    vault.path.mkdir()
    with pytest.raises(VaultError, match="no ordinary file"):
        vault.get(SERVICE, USER)
    vault.path.rmdir()
    vault.path.parent.chmod(0o777)
    with pytest.raises(VaultError, match="others may write in its folder"):
        vault.set(SERVICE, USER, "x")


def test_a_missing_file_is_no_missing_value(vault):
    """A file that is not there is an absent store."""
    with pytest.raises(VaultError, match="not there"):
        vault.get(SERVICE, USER)
    with pytest.raises(VaultError, match="not there"):
        vault.delete(SERVICE, USER)


def test_a_crash_before_the_rename_changes_nothing(vault, tmp_path, monkeypatch):
    """A run that dies between the new file and the rename leaves the old one; the next writer clears its leavings away."""
    filled(vault)

    class Killed(BaseException):
        pass

    def die(self, target):
        raise Killed

    monkeypatch.setattr(Path, "replace", die)
    with pytest.raises(Killed):
        vault.set(SERVICE, USER, "new")
    monkeypatch.undo()
    assert len(list(vault.path.parent.glob(".*.tmp"))) == 1
    assert again(tmp_path).get(SERVICE, USER) == VALUE
    again(tmp_path).set(SERVICE, USER, "new")
    assert not list(vault.path.parent.glob(".*.tmp"))
    assert again(tmp_path).get(SERVICE, USER) == "new"


def test_a_full_disk_keeps_the_old_file(vault, monkeypatch):
    """What cannot be written is told, and nothing of it stays behind."""
    filled(vault)
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(VaultError, match="cannot be written - No space left"):
        vault.set(SERVICE, USER, "new")
    monkeypatch.undo()
    assert vault.get(SERVICE, USER) == VALUE
    assert not list(vault.path.parent.glob(".*.tmp"))


WRITER = """
import sys
from pathlib import Path
from mlc.secrets.keys import KeyFinder
from mlc.secrets.vault import Vault
home = Path(sys.argv[1])
sys.stdin.readline()
for number in range(15):
    Vault(home / "state/secrets.json", KeyFinder(None, {}, home=home)).set(sys.argv[2], str(number), f"{sys.argv[2]} {number}")
"""


def test_two_processes_that_write_lose_nothing(vault, tmp_path):
    """Two real processes that set values at the same time: every one of both is there."""
    names = ("mlc/one", "mlc/two")
    started = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), name], stdin=subprocess.PIPE, text=True)
        for name in names
    ]
    for process in started:
        process.stdin.write("go\n")
        process.stdin.close()
    assert [process.wait(30) for process in started] == [0, 0]
    assert {(name, str(number)) for name in names for number in range(15)} == set(vault.stored())
    assert vault.get("mlc/two", "14") == "mlc/two 14"


def test_a_writer_waits_for_another_but_not_for_ever(vault, tmp_path, monkeypatch):
    """While somebody else writes, a writer waits for the lock; beyond its patience it says so and changes nothing."""
    filled(vault)
    monkeypatch.setattr("mlc.secrets.vault._LOCK_LIMIT", 0.0)
    with vault._locked(), pytest.raises(VaultError, match="busy - another mlc"):
        again(tmp_path).set(SERVICE, USER, "new")
    assert again(tmp_path).get(SERVICE, USER) == VALUE


def test_threads_that_write_lose_nothing(vault):
    """The lock also holds between the threads of one process."""
    threads = [threading.Thread(target=vault.set, args=(SERVICE, str(number), "x")) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(vault.stored()) == 8


def test_without_the_cipher_it_says_so(vault, monkeypatch):
    """Where the package cryptography is not installed, that is what is said."""
    filled(vault)
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    with pytest.raises(VaultError, match="package cryptography is not installed"):
        vault.get(SERVICE, USER)


def test_names_with_a_nul_are_refused(vault):
    """Two names that would be bound alike cannot be."""
    with pytest.raises(VaultError, match="NUL"):
        vault.set("a\0b", "c", "x")


@settings(max_examples=60, deadline=None)
@given(raw=st.binary(max_size=60) | st.from_regex(r'\{"mlc-secrets": 1, .{0,40}\}').map(str.encode))
def test_any_bytes_are_a_clear_error(raw):
    """Whatever bytes stand in the file, they are told as damaged or refused."""
    with pytest.raises(VaultError):
        parse(raw)
