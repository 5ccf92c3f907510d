"""The OS keyring: which backends are taken, how long is waited, what is said when it does not work."""

import threading
import types

import pytest

from mlc.secrets.keychain import LIMIT_WITH_TERMINAL, LIMIT_WITHOUT_TERMINAL, Keychain, KeychainUnusableError, choose

SAFE = "keyring.backends.SecretService"


@pytest.mark.parametrize("module", [SAFE, "keyring.backends.kwallet", "keyring.backends.libsecret", "keyring.backends.macOS",
                                    "keyring.backends.Windows"])  # fmt: skip
def test_safe_backends_are_taken(backend, module):
    """The five that the operating systems bring are used."""
    found = backend(module)
    assert choose(found) is found


@pytest.mark.parametrize(
    ("module", "name", "words"),
    [
        ("keyring.backends.fail", "Keyring", "no D-Bus session"),
        ("keyring.backends.null", "Keyring", "forgets everything"),
        ("keyrings.alt.file", "PlaintextKeyring", "files anybody may read"),
        ("keyrings.alt.file", "EncryptedKeyring", "files anybody may read"),
        ("somewhere.else", "PlainTextKeyring", "files anybody may read"),
        ("somewhere.else", "Keyring", "not known to be safe"),
    ],
)
def test_unsafe_backends_are_refused(backend, module, name, words):
    """A backend that forgets, fails or writes plain text is refused, and the words say which."""
    with pytest.raises(KeychainUnusableError, match=words):
        choose(backend(module, name))


def test_inside_a_chain_only_the_safe_one_is_taken(backend):
    """A chain is opened: plain text in it is passed over, and a chain without a safe one is refused."""
    plain, safe = backend("keyrings.alt.file", "PlaintextKeyring"), backend(SAFE)
    chain = backend("keyring.backends.chainer", "ChainerBackend", backends=[plain, safe])
    assert choose(chain) is safe
    with pytest.raises(KeychainUnusableError, match=r"not safe are installed \(keyrings.alt.file\)"):
        choose(backend("keyring.backends.chainer", "ChainerBackend", backends=[plain]))
    with pytest.raises(KeychainUnusableError, match=r"\(nothing\)"):
        choose(backend("keyring.backends.chainer", "ChainerBackend", backends=[]))


def test_values_are_kept_found_and_deleted(memory):
    """A working keyring gives back what it was given, until it is deleted."""
    keychain = Keychain(tty=False, backend=memory)
    assert keychain.get("mlc/acme", "sap.password") is None
    keychain.set("mlc/acme", "sap.password", "hunter2")
    assert keychain.get("mlc/acme", "sap.password") == "hunter2"
    assert keychain.delete("mlc/acme", "sap.password")
    assert not keychain.delete("mlc/acme", "sap.password")


def test_the_limits():
    """Three seconds without a terminal, a minute with one, and never more than three for what can wait."""
    assert (Keychain(tty=False).limit, Keychain(tty=True).limit) == (3, 60)
    assert (LIMIT_WITHOUT_TERMINAL, LIMIT_WITH_TERMINAL) == (3, 60)
    assert Keychain(tty=True).hurried().limit == 3


def test_a_locked_keyring_that_hangs_is_left_behind(backend):
    """A call that never returns ends after the limit, and no second call waits again."""
    unlock = threading.Event()
    calls = []

    def hang(self, service, user):
        calls.append(user)
        unlock.wait()

    keychain = Keychain(tty=False, find=lambda: backend(SAFE, get_password=hang), limit=0)
    try:
        for _ in range(2):
            with pytest.raises(KeychainUnusableError, match="no answer within 0 s - locked"):
                keychain.get("mlc/acme", "sap.password")
        assert len(calls) <= 1
    finally:
        unlock.set()


def test_choosing_that_hangs_is_left_behind():
    """The search for a backend is under the same limit as the calls."""
    unlock = threading.Event()
    try:
        with pytest.raises(KeychainUnusableError, match="no answer"):
            Keychain(tty=False, find=unlock.wait, limit=0).get("a", "b")
    finally:
        unlock.set()


def test_a_locked_keyring_that_says_so(backend):
    """A backend that reports a lock is told as locked, without the backend's own text."""

    class KeyringLocked(Exception):
        pass

    def locked(self, service, user):
        raise KeyringLocked("hunter2")

    keychain = Keychain(tty=False, backend=backend(SAFE, get_password=locked))
    with pytest.raises(KeychainUnusableError, match=r"^locked \(KeyringLocked\)") as caught:
        keychain.get("a", "b")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "words"), [(RuntimeError("no session"), "RuntimeError"), (ImportError("x"), "not installed")]
)
def test_a_search_that_fails_is_not_repeated(error, words):
    """Where no backend can be found, the first answer stands for the run."""
    calls = []

    def find():
        calls.append(1)
        raise error

    keychain = Keychain(tty=False, find=find)
    for _ in range(2):
        with pytest.raises(KeychainUnusableError, match=words):
            keychain.get("a", "b")
    assert len(calls) == 1


def test_one_failed_call_does_not_spoil_the_next(backend):
    """A backend that refuses one value still gives the others."""

    def refuse(self, service, user, value):
        raise ValueError(value)

    keychain = Keychain(tty=False, backend=backend(SAFE, set_password=refuse))
    with pytest.raises(KeychainUnusableError) as caught:
        keychain.set("a", "b", "hunter2")
    assert "hunter2" not in str(caught.value)
    assert keychain.get("a", "b") is None


def test_a_backend_that_silently_forgets_is_found_out(backend):
    """What was stored is read back at once."""
    forgetful = backend(SAFE, set_password=lambda self, service, user, value: None)
    with pytest.raises(KeychainUnusableError, match="did not give back"):
        Keychain(tty=False, backend=forgetful).set("a", "b", "hunter2")


def test_the_backend_of_this_machine_is_asked_for(monkeypatch, backend):
    """Without a backend given, keyring's own choice is used, and keyring is imported only then."""
    safe = backend(SAFE)
    monkeypatch.setitem(__import__("sys").modules, "keyring", types.SimpleNamespace(get_keyring=lambda: safe))
    Keychain(tty=False).set("a", "b", "c")
    assert safe.kept == {("a", "b"): "c"}
