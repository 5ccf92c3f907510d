"""The OS keyring behind a time limit and a list of backends that really keep secrets secret."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

LIMIT_WITHOUT_TERMINAL = 3.0
LIMIT_WITH_TERMINAL = 60.0
_ALLOWED = (
    "keyring.backends.SecretService",
    "keyring.backends.kwallet",
    "keyring.backends.libsecret",
    "keyring.backends.macOS",
    "keyring.backends.Windows",
)
_OURS = "mlc.secrets.filekeyring"
_SESSION_ONLY = ("keyring.backends.SecretService", "keyring.backends.kwallet", "keyring.backends.libsecret")
_CHAINER = "keyring.backends.chainer"


class KeychainUnusableError(Exception):
    """The OS keyring cannot be used in this run; the text says why, in a few words."""


def find_backend() -> Any:
    """Return the backend that keyring chooses on this machine."""
    import keyring

    return keyring.get_keyring()


def choose(found: Any) -> Any:
    """Return the allowed backend in what keyring chose; KeychainUnusableError where there is none."""
    module, name = type(found).__module__, type(found).__name__
    if module.startswith(_CHAINER):
        for inner in found.backends:
            if _allowed(inner):
                return inner
        names = ", ".join(type(inner).__module__ for inner in found.backends) or "nothing"
        raise KeychainUnusableError(f"not reachable - only backends that are not safe are installed ({names})")
    if _allowed(found):
        return found
    if module.startswith("keyring.backends.fail"):
        raise KeychainUnusableError("not reachable - no D-Bus session (normal under cron and systemd)")
    if module.startswith("keyring.backends.null"):
        raise KeychainUnusableError("switched off - the backend is keyring.backends.null, which forgets everything it is given")
    if module.startswith("keyrings.alt") or "plaintext" in name.lower():
        raise KeychainUnusableError(f"refused - the backend {module}.{name} keeps secrets in files anybody may read")
    raise KeychainUnusableError(f"refused - the backend {module}.{name} is not known to be safe")


def _allowed(backend: Any) -> bool:
    if type(backend).__module__ == _OURS:
        from mlc.secrets.filekeyring import FileKeyring

        return type(backend) is FileKeyring
    return type(backend).__module__.startswith(_ALLOWED) and "plaintext" not in type(backend).__name__.lower()


class Keychain:
    """Gets, sets and deletes in the OS keyring; whatever goes wrong is a KeychainUnusableError, and never a long wait."""

    def __init__(
        self,
        *,
        tty: bool,
        backend: Any = None,
        find: Callable[[], Any] = find_backend,
        limit: float | None = None,
        name: str = "OS keyring",
        own: bool = False,
        there: Callable[[], bool] = lambda: True,
    ) -> None:
        """Take a backend as it is (tests), or find one at first use; `limit` is in seconds per call.

        `own` is our encrypted file: nothing in it can hang but a person at a prompt, so it is used in the caller's thread.
        """
        self.name = name
        self.exists = there  # whether there is a store to look into: a file may still have to be made
        self._own = own
        self.limit = limit if limit is not None else LIMIT_WITH_TERMINAL if tty else LIMIT_WITHOUT_TERMINAL
        self._backend = backend
        self._find = find
        self._broken: str | None = None

    def hurried(self) -> Keychain:
        """Return the same keyring with the short limit, for what is not worth waiting for."""
        limit = min(self.limit, LIMIT_WITHOUT_TERMINAL)
        return Keychain(tty=False, backend=self._backend, find=self._find, limit=limit)

    @property
    def needs_login(self) -> bool:
        """Tell whether the backend that was used lives in a login session only, which timers do not have."""
        return type(self._backend).__module__.startswith(_SESSION_ONLY)

    def get(self, service: str, user: str) -> str | None:
        """Return a value, None where the keyring works and has none."""
        value = self._in_time(lambda backend: backend.get_password(service, user))
        return None if value is None else str(value)

    def set(self, service: str, user: str, value: str) -> None:
        """Store a value and read it back: a backend that silently forgets is found out at once."""

        def store(backend: Any) -> bool:
            backend.set_password(service, user, value)
            return bool(backend.get_password(service, user) == value)

        if not self._in_time(store):
            raise KeychainUnusableError("not usable - it did not give back what it was given")

    def delete(self, service: str, user: str) -> bool:
        """Delete a value; tell whether there was one."""

        def forget(backend: Any) -> bool:
            if backend.get_password(service, user) is None:
                return False
            backend.delete_password(service, user)
            return True

        return self._in_time(forget)

    def _in_time(self, work: Callable[[Any], T]) -> T:
        """Do one piece of work in a thread that may be left behind: a locked keyring can block for ever."""
        if self._broken is not None:
            raise KeychainUnusableError(self._broken)
        if self._own:
            try:
                return work(self._chosen())
            except Exception as error:  # noqa: BLE001 - whatever it is, its text may quote a value
                raise KeychainUnusableError(_why(error)) from None
        done: list[T] = []
        failed: list[BaseException] = []

        def run() -> None:
            try:
                done.append(work(self._chosen()))
            except BaseException as error:  # noqa: BLE001 - whatever a backend throws belongs to the caller's thread
                failed.append(error)

        thread = threading.Thread(target=run, name="mlc-keyring", daemon=True)
        thread.start()
        thread.join(self.limit)
        if done:
            return done[0]
        if failed:
            raise KeychainUnusableError(_why(failed[0]))
        self._broken = f"no answer within {self.limit:g} s - locked, and nobody here to unlock it"
        raise KeychainUnusableError(self._broken)

    def _chosen(self) -> Any:
        if self._backend is None:
            try:
                self._backend = choose(self._find())
            except Exception as error:
                self._broken = _why(error)
                raise
        return self._backend


def _why(error: BaseException) -> str:
    """Return a few words on what a backend threw, without its text, which may quote what it was given."""
    if isinstance(error, KeychainUnusableError):
        return str(error)
    name = type(error).__name__
    if "Locked" in name:
        return f"locked ({name}) - unlock it in a login session"
    if isinstance(error, ImportError):
        return "not reachable - the package keyring, or the backend chosen for it, is not installed"
    return f"not reachable - {name} (normal under cron and systemd)"
