"""The encrypted file: every value sealed by itself with AES-256-GCM, the whole under one check value, each change atomic.

    {"mlc-secrets": 1, "key": NAME, "scrypt": null | {...}, "entries": [{service, user, stored, nonce, sealed}], "seal": MAC}

NAME is a check value of the master key, so that a wrong key is told as one; `seal` covers everything else in the file, so
that an edited file is told as one. Whoever reads takes no lock: a file is replaced whole. Whoever writes holds a lock beside it.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import hmac
import json
import os
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mlc.secrets.keychain import KeychainUnusableError
from mlc.secrets.keys import Key, KeyFinder, Stretch, beside, sync_folder
from mlc.secrets.private import UnfitError, read_private

VERSION = 1
_LARGEST = 4 * 2**20
_LOCK_LIMIT = 10.0
_LOCK_PAUSE = 0.02


class VaultError(KeychainUnusableError):
    """The encrypted file cannot be used as it is; the text says why and what mends it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One sealed value; the time it was stored is no secret."""

    service: str
    user: str
    stored: int
    nonce: bytes
    sealed: bytes = field(repr=False)

    @property
    def name(self) -> tuple[str, str]:
        """Return what the value is kept under."""
        return self.service, self.user


@dataclass(frozen=True, slots=True)
class Content:
    """What a file holds, still sealed."""

    key: str
    stretch: Stretch | None
    entries: tuple[Entry, ...]
    seal: str = ""

    def body(self) -> dict[str, Any]:
        """Return everything the seal covers."""
        stretch = self.stretch
        return {
            "mlc-secrets": VERSION,
            "key": self.key,
            "scrypt": None
            if stretch is None
            else {"salt": _text(stretch.salt), "n": stretch.n, "r": stretch.r, "p": stretch.p},
            "entries": [
                {"service": e.service, "user": e.user, "stored": e.stored, "nonce": _text(e.nonce), "sealed": _text(e.sealed)}
                for e in self.entries
            ],
        }

    def sealed_by(self, key: Key) -> str:
        """Return the check value of the whole under a key."""
        whole = json.dumps(self.body(), sort_keys=True, separators=(",", ":")).encode()
        return key.mac(b"mlc secrets: the whole file\0" + whole).hex()

    def find(self, service: str, user: str) -> Entry | None:
        """Return the entry under a name."""
        return next((entry for entry in self.entries if entry.name == (service, user)), None)


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _bytes(text: Any) -> bytes:
    return base64.b64decode(text, validate=True)


def parse(raw: bytes) -> Content:
    """Return what the bytes of a file mean. Raises VaultError where they are cut off, edited or of another version."""
    try:
        data = json.loads(raw)
        version = data["mlc-secrets"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise VaultError("damaged - it is cut off, edited or no file of mlc; put it back from a backup") from None
    if version != VERSION:
        raise VaultError(f"refused - it was written in format {version}, this mlc knows {VERSION}; update mlc")
    try:
        given = data["scrypt"]
        stretch = None if given is None else Stretch(_bytes(given["salt"]), int(given["n"]), int(given["r"]), int(given["p"]))
        entries = tuple(
            Entry(str(e["service"]), str(e["user"]), int(e["stored"]), _bytes(e["nonce"]), _bytes(e["sealed"]))
            for e in data["entries"]
        )
        content = Content(str(data["key"]), stretch, entries, str(data["seal"]))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise VaultError("damaged - parts of it are missing or edited; put it back from a backup") from None
    if len({entry.name for entry in entries}) != len(entries) or {**content.body(), "seal": content.seal} != data:
        raise VaultError("damaged - it was edited; put it back from a backup")
    return content


def _cipher(key: Key) -> Any:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError:
        raise VaultError("cannot be used - the package cryptography is not installed; pip install cryptography") from None
    return AESGCM(key.raw)


def _bound(service: str, user: str) -> bytes:
    if "\0" in service + user:
        raise VaultError("cannot be used - a name has a NUL in it")
    return f"{service}\0{user}".encode("utf-8", "surrogatepass")


def seal(key: Key, service: str, user: str, value: str, stored: int) -> Entry:
    """Return a value sealed for its name, and only for that."""
    nonce = os.urandom(12)
    sealed = _cipher(key).encrypt(nonce, value.encode("utf-8", "surrogatepass"), _bound(service, user))
    return Entry(service, user, stored, nonce, sealed)


def unseal(key: Key, entry: Entry) -> str:
    """Return the value of an entry. Raises VaultError where it was edited or stands under another name than its own."""
    cipher = _cipher(key)
    from cryptography.exceptions import InvalidTag

    try:
        raw: bytes = cipher.decrypt(entry.nonce, entry.sealed, _bound(entry.service, entry.user))
        return raw.decode("utf-8", "surrogatepass")
    except (InvalidTag, ValueError):
        raise VaultError(f'damaged - the value of "{entry.user}" was edited; put it back from a backup') from None


class Vault:
    """One encrypted file: gets, sets and deletes values, and changes its key; whatever goes wrong is a KeychainUnusableError."""

    def __init__(self, path: Path, keys: KeyFinder, now: Callable[[], float] = time.time) -> None:
        self.path = path
        self.keys = keys
        self._now = now

    def silent(self) -> Vault:
        """Return the same file, which asks nobody for a passphrase."""
        return Vault(self.path, self.keys.silent(), self._now)

    def get(self, service: str, user: str) -> str | None:
        """Return a value, None where the file opens and has none."""
        content = self._present()
        key = self._open(content)
        entry = content.find(service, user)
        return None if entry is None else unseal(key, entry)

    def set(self, service: str, user: str, value: str) -> None:
        """Seal a value and put it into the file, which is made where there is none."""
        with self._locked():
            content = self.read()
            if content is None:
                key = self.keys.first()
                content = Content(key.name, key.stretch, ())
            else:
                key = self._open(content)
            entry = seal(key, service, user, value, int(self._now()))
            others = [one for one in content.entries if one.name != entry.name]
            self._write(replace(content, entries=tuple(sorted([*others, entry], key=lambda one: one.name))), key)

    def delete(self, service: str, user: str) -> bool:
        """Take a value out of the file; tell whether there was one."""
        with self._locked():
            content = self._present()
            key = self._open(content)
            if content.find(service, user) is None:
                return False
            rest = tuple(one for one in content.entries if one.name != (service, user))
            self._write(replace(content, entries=rest), key)
            return True

    def stored(self) -> dict[tuple[str, str], int]:
        """Return when each value was stored; needs no key."""
        content = self.read()
        return {} if content is None else {entry.name: entry.stored for entry in content.entries}

    def key(self) -> Key:
        """Return the key the file is sealed with. Raises KeychainUnusableError."""
        return self._open(self._present())

    def pending(self) -> Path | None:
        """Return the file the key is in where a rotation was cut off before it took its place."""
        path = self.keys.path
        try:
            name = beside(path) if path is not None else None
            return name if name is not None and self.key().origin == f"key file {name}" else None
        except KeychainUnusableError:
            return None

    def reseal(self, make: Callable[[Key], Key], done: Callable[[Key], None] = lambda _: None) -> int:
        """Put every value under a new key, in one step that happens whole or not at all; returns how many there are.

        `make` is given the old key and returns the new one, `done` is told when the file is under it; both under the lock.
        """
        with self._locked():
            content = self._present()
            old = self._open(content)
            new = make(old)
            fresh = [seal(new, one.service, one.user, unseal(old, one), one.stored) for one in content.entries]
            self._write(Content(new.name, new.stretch, tuple(fresh)), new)
            done(new)
            return len(fresh)

    def read(self) -> Content | None:
        """Return what the file holds, None where there is none. Raises VaultError where it is not fit to be used."""
        try:
            raw = read_private(self.path, _LARGEST, links=False)
        except FileNotFoundError:
            return None
        except OSError as error:
            reason = "refused - it is a symbolic link" if error.errno == errno.ELOOP else f"cannot be read - {_why(error)}"
            raise VaultError(reason) from None
        except UnfitError as error:
            words = {
                "irregular": "refused - it is no ordinary file", "large": "damaged - it is far too large",
                "open": f"refused - it is open to others (mode {error.mode}); run: chmod 600 {self.path}",
            }  # fmt: skip
            raise VaultError(words[error.kind]) from None
        return parse(raw)

    def _present(self) -> Content:
        content = self.read()
        if content is None:
            raise VaultError("not there - `mlc secret set` makes it (under cron: is $HOME, or secrets.file, the right one?)")
        return content

    def _open(self, content: Content) -> Key:
        key = self.keys.matching(content.key, content.stretch)
        if not hmac.compare_digest(content.sealed_by(key), content.seal):
            raise VaultError("damaged - it was edited; put it back from a backup")
        return key

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock of the writers; the system frees it when a process dies."""
        import fcntl

        folder = self.path.parent
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            mode = stat.S_IMODE(folder.stat().st_mode)
            if mode & 0o022:
                raise VaultError(f"refused - others may write in its folder (mode {mode:04o}); run: chmod 700 {folder}")
            name = folder / f".{self.path.name}.lock"
            descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise VaultError(f"cannot be written - {_why(error)}") from None
        try:
            self._give_to_owner(descriptor)
            ends = time.monotonic() + _LOCK_LIMIT
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError as error:
                    if error.errno not in (errno.EAGAIN, errno.EACCES):
                        raise VaultError(f"cannot be locked - {_why(error)}") from None
                    if time.monotonic() > ends:
                        raise VaultError(f"busy - another mlc has been writing it for {_LOCK_LIMIT:g} s") from None
                    time.sleep(_LOCK_PAUSE)
            yield
        finally:
            os.close(descriptor)

    def _write(self, content: Content, key: Key) -> None:
        """Put a new file in the place of the old one: whole, on disk, and for its owner only."""
        text = json.dumps({**content.body(), "seal": content.sealed_by(key)}, indent=1) + "\n"
        folder = self.path.parent
        name = folder / f".{self.path.name}.{secrets.token_hex(6)}.tmp"
        try:
            for left in folder.glob(f".{self.path.name}.*.tmp"):  # of one that was killed; the lock is ours
                left.unlink(missing_ok=True)
            descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                self._give_to_owner(file.fileno())
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
            name.replace(self.path)
            sync_folder(folder)
        except OSError as error:
            with contextlib.suppress(OSError):
                name.unlink(missing_ok=True)
            raise VaultError(f"cannot be written - {_why(error)}") from None

    def _give_to_owner(self, descriptor: int) -> None:
        """Let root write for the user whose folder it is: the service must be able to read it."""
        owner = self.path.parent.stat()
        if os.geteuid() == 0 and owner.st_uid != 0:
            os.fchown(descriptor, owner.st_uid, owner.st_gid)


def _why(error: OSError) -> str:
    words = {errno.EACCES: "this user may not do that", errno.EROFS: "the file system is read-only"}
    return words.get(error.errno or 0, error.strerror or "the system refuses")
