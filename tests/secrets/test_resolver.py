"""Where secrets are looked for, in which order, and what is said when they are not there."""

import os
import subprocess
import sys
import threading

import pytest

from mlc.config import SecretRef
from mlc.core.errors import ConfigError, CredentialError, SecretStoreError
from mlc.secrets import CommandResult, Keychain, Redactor, Resolver, run_command

NAME = "stripe.secret_key"


def broken(reason="not reachable"):
    """Return a keychain whose search for a backend fails."""

    def find():
        raise RuntimeError(reason)

    return Keychain(tty=False, find=find)


@pytest.fixture
def resolver(store, memory):
    """Return a function that makes a resolver over a working keyring."""

    def make(environ=None, **options):
        block = store(options.pop("store", "keyring"))
        options.setdefault("keyring_backend", memory)
        return Resolver(block, environ or {}, tty=False, **options)

    return make


def private(path, content):
    """Write a file that only its owner can read."""
    path.write_bytes(content)
    path.chmod(0o600)
    return path


def test_left_out_means_the_keyring(resolver, memory):
    """Without a reference the keyring has the secret under the tenant's service and the secret's name."""
    memory.kept["mlc/acme", NAME] = "hunter2"
    redactor = Redactor()
    secret = resolver(redactor=redactor).resolve("acme", NAME, None)
    assert secret.reveal() == "hunter2"
    assert secret.origin == f'OS keyring, service "mlc/acme", user "{NAME}"'
    assert redactor.clean("key hunter2") == "key ***"


def test_a_credential_of_the_unit_comes_before_the_store(resolver, memory, tmp_path):
    """A file mlc_<tenant>_<name> in the credentials directory wins, and only that name counts."""
    memory.kept["mlc/acme", NAME] = memory.kept["mlc/beta", NAME] = "from the keyring"
    (tmp_path / f"mlc_acme_{NAME}").write_text("from the unit\n")
    found = resolver({"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert found.resolve("acme", NAME, None).reveal() == "from the unit"
    assert found.resolve("beta", NAME, None).reveal() == "from the keyring"
    assert found.where("acme", NAME, None) == f"credential mlc_acme_{NAME} in $CREDENTIALS_DIRECTORY"


def test_every_form_of_reference(resolver, memory, tmp_path):
    """Keyring, variable, file, credential and command each give the secret they name."""
    memory.kept["mlc/acme", "other"] = "k"
    private(tmp_path / "file", b"f\r\n")
    (tmp_path / "cred").write_bytes(b" c \n\n")

    def run(words, environ, limit):
        assert (list(words), environ["KEY"], limit) == (["pass", "show"], "e", 30)
        return CommandResult(0, b"first\r\nsecond\n", b"noise")

    found = resolver({"KEY": "e", "CREDENTIALS_DIRECTORY": str(tmp_path)}, run_command=run)
    for reference, value in (
        (SecretRef(keyring="other"), "k"),
        (SecretRef(env="KEY"), "e"),
        (SecretRef(file=tmp_path / "file"), "f"),
        (SecretRef(command=("pass", "show")), "first"),
    ):
        secret = found.resolve("acme", NAME, reference)
        assert (secret.reveal(), secret.origin) == (value, found.where("acme", NAME, reference))
    with pytest.raises(CredentialError, match="has a line break"):
        found.resolve("acme", NAME, SecretRef(systemd="cred"))
    (tmp_path / "cred").write_bytes(b" c \n")
    assert found.resolve("acme", NAME, SecretRef(systemd="cred")).reveal() == " c "


def test_a_missing_secret_is_exit_4_and_says_where(resolver, ref, tmp_path):
    """A working place without the secret names the tenant, the secret and the place."""
    found = resolver({"EMPTY": " ", "CREDENTIALS_DIRECTORY": str(tmp_path)})
    for reference, words in (
        (None, f'OS keyring, service "mlc/acme", user "{NAME}": there is none\n  credentials directory: no mlc_acme_{NAME}'),
        (ref("keyring", "x"), 'user "x": there is none'),
        (ref("env", "NOPE"), "environment variable NOPE: not set"),
        (ref("env", "EMPTY"), "environment variable EMPTY: is empty"),
        (ref("file", tmp_path / "nope"), "nope: there is none"),
        (ref("systemd", "nope"), "nope: there is none"),
        (ref("systemd", "../nope"), "is no name of a credential"),
    ):
        with pytest.raises(CredentialError) as caught:
            found.resolve("acme", NAME, reference)
        assert caught.value.exit_code == 4
        assert f'tenant "acme": no usable secret {NAME}' in caught.value.message
        assert words in caught.value.message
    with pytest.raises(CredentialError, match="credentials directory: not set") as caught:
        resolver().resolve("acme", NAME, None)
    assert caught.value.hint == f"`mlc secret set acme {NAME}`"


def test_files_that_others_can_read_are_refused(resolver, ref, tmp_path):
    """A loose mode is refused with the command that mends it, but not in the credentials directory."""
    path = private(tmp_path / "key", b"hunter2")
    path.chmod(0o644)
    with pytest.raises(CredentialError, match=r"others can read it \(mode 0644\); run: chmod 600") as caught:
        resolver().resolve("acme", NAME, ref("file", path))
    assert "hunter2" not in caught.value.message
    inside = resolver({"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert inside.resolve("acme", NAME, ref("file", path)).reveal() == "hunter2"


def test_things_that_are_no_secret_file(resolver, ref, tmp_path):
    """Loops, folders, pipes, binary and oversized files are refused in clear words, without hanging."""
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    os.mkfifo(tmp_path / "pipe")
    private(tmp_path / "binary", b"\xff\xfe")
    private(tmp_path / "large", b"x" * 70000)
    private(tmp_path / "empty", b"\n")
    for name, words in (
        ("a", "symbolic links lead round in a circle"),
        (".", "is no ordinary file"),
        ("pipe", "is no ordinary file"),
        ("binary", "is no UTF-8 text"),
        ("large", "is too large"),
        ("empty", "is empty"),
    ):
        with pytest.raises(CredentialError, match=words):
            resolver().resolve("acme", NAME, ref("file", tmp_path / name))


def test_a_link_to_a_private_file_is_followed(resolver, ref, tmp_path):
    """An ordinary symbolic link is fine."""
    private(tmp_path / "key", b"hunter2")
    (tmp_path / "link").symlink_to(tmp_path / "key")
    assert resolver().resolve("acme", NAME, ref("file", tmp_path / "link")).reveal() == "hunter2"


def test_a_command_that_fails_shows_its_stderr_only(resolver, ref):
    """The exit status and the beginning of stderr are told, nothing of stdout."""
    result = CommandResult(7, b"hunter2hunter2\n", b"\x1b[31mno such\nentry hunter2hunter2" + b"!" * 500)
    with pytest.raises(CredentialError) as caught:
        resolver(run_command=lambda *_: result).resolve("acme", NAME, ref("command", ("pass", "show", "argument")))
    message = caught.value.message
    assert "command pass: ended with 7 ([31mno such entry ***!!!" in message
    assert "hunter2" not in message
    assert "argument" not in message
    assert len(message) < 400


def test_a_command_that_prints_nothing(resolver, ref):
    """An empty first line is no secret."""
    with pytest.raises(CredentialError, match="command pass: is empty"):
        resolver(run_command=lambda *_: CommandResult(0, b"\nsecond", b"")).resolve("acme", NAME, ref("command", ("pass",)))
    with pytest.raises(CredentialError, match=r"ended with 1$"):
        resolver(run_command=lambda *_: CommandResult(1, b"", b"")).resolve("acme", NAME, ref("command", ("pass",)))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TimeoutError(), "no answer within 30 s"),
        (FileNotFoundError(2, "x"), "there is none"),
        (ValueError(), "cannot be passed on"),
    ],
)
def test_a_command_that_cannot_answer_is_exit_12(resolver, ref, error, words):
    """A password manager that hangs or is not installed is an absent store."""

    def run(*_):
        raise error

    with pytest.raises(SecretStoreError, match=words):
        resolver(run_command=run).resolve("acme", NAME, ref("command", ("pass",)))


def test_commands_run_without_a_shell_and_without_input(resolver, ref):
    """A real command gets its words as they are, our environment, and no standard input."""
    script = "import os, sys; sys.stderr.write('e'); print(sys.argv[1] + os.environ['KEY'] + sys.stdin.read())"
    found = resolver({"KEY": "v"})
    assert found.resolve("acme", NAME, ref("command", (sys.executable, "-c", script, "$HOME;"))).reveal() == "$HOME;v"


def test_a_command_that_takes_too_long(monkeypatch):
    """The limit of a command reaches the caller as a TimeoutError."""

    def slow(words, **options):
        raise subprocess.TimeoutExpired(words, options["timeout"])

    monkeypatch.setattr(subprocess, "run", slow)
    with pytest.raises(TimeoutError):
        run_command(["pass"], {}, 30)


def test_an_absent_keyring_is_exit_12_with_three_ways_out(store):
    """The message says what was tried and offers our encrypted file, a unit's credential and a command."""
    with pytest.raises(SecretStoreError) as caught:
        Resolver(store(), {}, tty=False, keychain=broken()).resolve("acme", NAME, None)
    assert caught.value.exit_code == 12
    assert caught.value.message == (
        f'no usable secret store for tenant "acme" (needed: {NAME})\n'
        "  OS keyring: not reachable - RuntimeError (normal under cron and systemd)\n"
        "  credentials directory: not set - this run was not started by a unit with LoadCredentialEncrypted=\n"
        "Do one of these once:\n"
        f"  encrypted file:     set  secrets: {{store: file}}  and run  mlc secret set acme {NAME}\n"
        f"  systemd:            LoadCredentialEncrypted=mlc_acme_{NAME}:/etc/credstore.encrypted/mlc_acme_{NAME}   (see README)\n"
        f"  password manager:   set  {NAME}: {{command: [pass, show, mlc/acme/{NAME}]}}\n"
        "mlc never stores secrets in plain text."
    )


@pytest.mark.parametrize(
    ("module", "name", "words"),
    [
        ("keyring.backends.fail", "Keyring", "no D-Bus session"),
        ("keyring.backends.null", "Keyring", "forgets everything"),
        ("keyrings.alt.file", "PlaintextKeyring", "files anybody may read"),
    ],
)
def test_an_unsafe_keyring_is_exit_12(store, backend, module, name, words):
    """Nothing falls to plain text or into nowhere by itself, neither reading nor writing."""
    unsafe = backend(module, name)
    found = Resolver(store(), {}, tty=False, keychain=Keychain(tty=False, find=lambda: unsafe))
    for use in (
        lambda: found.resolve("acme", NAME, None),
        lambda: found.set_secret("acme", NAME, "hunter2"),
        lambda: found.remove("acme", NAME),
        lambda: found.exists("acme", NAME),
    ):
        with pytest.raises(SecretStoreError, match=words):
            use()
    assert unsafe.kept == {}


def test_the_systemd_store_is_the_credentials_directory_only(resolver, memory, tmp_path):
    """With store systemd the keyring is never asked; no directory is exit 12, no file in it exit 4."""
    memory.kept["mlc/acme", NAME] = "from the keyring"
    with pytest.raises(SecretStoreError, match="credentials directory: not set") as caught:
        resolver(store="systemd").resolve("acme", NAME, None)
    assert caught.value.message.count("credentials directory") == 1
    found = resolver({"CREDENTIALS_DIRECTORY": str(tmp_path)}, store="systemd")
    with pytest.raises(CredentialError, match="there is none"):
        found.resolve("acme", NAME, None)
    assert not found.exists("acme", NAME)
    (tmp_path / f"mlc_acme_{NAME}").write_text("sealed")
    assert found.exists("acme", NAME)
    assert found.resolve("acme", NAME, None).reveal() == "sealed"
    for write in (lambda: found.set_secret("acme", NAME, "x"), lambda: found.remove("acme", NAME)):
        with pytest.raises(ConfigError) as refused:
            write()
        assert f"systemd-creds encrypt --name=mlc_acme_{NAME}" in refused.value.hint


def test_secrets_are_set_found_and_removed(resolver):
    """What the store functions write, the resolver finds, until it is removed; blanks are refused."""
    found = resolver()
    assert not found.exists("acme", NAME)
    found.set_secret("acme", NAME, "hunter2hunter2")
    assert found.exists("acme", NAME)
    assert found.resolve("acme", NAME, None).reveal() == "hunter2hunter2"
    assert found.redactor.clean("hunter2hunter2") == "***"
    assert found.remove("acme", NAME)
    assert not found.remove("acme", NAME)
    for value in ("", "  ", "a\nb"):
        with pytest.raises(ConfigError):
            found.set_secret("acme", NAME, value)


def test_sessions_are_kept_in_the_keyring(resolver, memory):
    """A session is kept and forgotten by its key, and cleaned from texts like a secret."""
    found = resolver()
    sessions = found.session_store()
    assert sessions.get("host/SBO/mlc") is None
    sessions.put("host/SBO/mlc", "B1SESSION-0123456789")
    assert found.session_store().get("host/SBO/mlc") == "B1SESSION-0123456789"
    assert found.redactor.clean("Cookie: B1SESSION-0123456789") == "Cookie: ***"
    assert list(memory.kept) == [("mlc-session", "host/SBO/mlc")]
    sessions.delete("host/SBO/mlc")
    sessions.delete("host/SBO/mlc")
    sessions.put("host/SBO/mlc", "x" * 5000)
    assert memory.kept == {}


def test_sessions_never_fail(store, resolver, memory):
    """Without a usable keyring sessions are not kept, and nothing is raised or written."""
    for found in (Resolver(store(), {}, tty=True, keychain=broken()), resolver(store="systemd")):
        sessions = found.session_store()
        sessions.put("key", "B1SESSION")
        sessions.delete("key")
        assert sessions.get("key") is None
    assert memory.kept == {}


def test_sessions_do_not_wait_for_a_locked_keyring(store, backend):
    """A hanging keyring costs a session store its short limit once and no error."""
    unlock = threading.Event()
    hanging = backend("keyring.backends.SecretService", get_password=lambda *_: unlock.wait())
    try:
        keychain = Keychain(tty=False, backend=hanging, limit=0)
        sessions = Resolver(store(), {}, tty=False, keychain=keychain).session_store()
        assert sessions.get("key") is None
        sessions.put("key", "B1SESSION")
    finally:
        unlock.set()


def test_importing_secrets_does_not_import_keyring():
    """The keyring package is loaded at first use only, and the resolver does not need the configuration."""
    code = "import sys, mlc.secrets; print([name for name in ('keyring', 'pydantic', 'yaml') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
