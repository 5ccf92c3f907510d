"""Where the master key of the encrypted file comes from: a systemd credential, a key file, a command or a passphrase."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, Protocol

from mlc.secrets import places
from mlc.secrets.keychain import KeychainUnusableError

CREDENTIAL = "mlc-master"
LENGTH = 32
SCRYPT_N = 2**15
_SCRYPT_MOST = 2**20
Ask = Callable[[str], str]


class KeyTroubleError(KeychainUnusableError):
    """There is no key for the encrypted file in this run, or only a wrong one; the text says where it was looked for."""


class KeyChoice(Protocol):
    """What is read of the `secrets.key` block."""

    @property
    def kind(self) -> str:
        """Return systemd, file, command or prompt."""

    @property
    def value(self) -> Any:
        """Return the name, the path or the words."""


class Stretch(NamedTuple):
    """How a passphrase becomes a key; it stands in the file."""

    salt: bytes
    n: int
    r: int = 8
    p: int = 1

    @classmethod
    def fresh(cls) -> Stretch:
        """Return one with a new salt."""
        return cls(os.urandom(16), SCRYPT_N)

    def key(self, passphrase: str) -> bytes:
        """Return the key a passphrase means."""
        if not (1 < self.n <= _SCRYPT_MOST and 1 <= self.r <= 32 and 1 <= self.p <= 16):
            raise KeyTroubleError("damaged - its scrypt figures are out of bounds")
        most = 128 * self.n * self.r * self.p + 2**20
        raw = passphrase.encode("utf-8", "surrogatepass")
        return hashlib.scrypt(raw, salt=self.salt, n=self.n, r=self.r, p=self.p, maxmem=most, dklen=LENGTH)


class Key:
    """A master key that shows its name (eight bytes that tell nothing of it) and never itself."""

    __slots__ = ("name", "origin", "raw", "stretch")

    def __init__(self, raw: bytes, origin: str, stretch: Stretch | None = None) -> None:
        """Take the 32 bytes and where they came from; `stretch` where they were made of a passphrase."""
        self.raw = raw
        self.origin = origin
        self.stretch = stretch
        self.name = self.mac(b"mlc secrets: name of the key")[:8].hex()

    def mac(self, text: bytes) -> bytes:
        """Return a check value of a text under this key."""
        return hmac.digest(self.raw, text, "sha256")

    def __repr__(self) -> str:
        return f"Key({self.name})"

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a key is never pickled or copied")


def decoded(text: str, origin: str) -> Key:
    """Return the key that a key file, credential or command holds. Raises KeyTroubleError."""
    try:
        raw = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != LENGTH:
        raise KeyTroubleError(f"locked - {origin} holds no key made by `mlc secret key create` (32 bytes in base64)")
    return Key(raw, origin)


def default_path(home: Path) -> Path:
    """Return where a key file is looked for when the configuration names none."""
    return home / ".config/mlc/master.key"


def write_key_file(path: Path) -> Key:
    """Make a key file with a new random key, readable by its owner only; FileExistsError where there is a file."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    raw = os.urandom(LENGTH)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o400)
    try:
        with os.fdopen(descriptor, "wb") as file:
            folder = path.parent.stat()
            if os.geteuid() == 0 and folder.st_uid != 0:  # root makes it for the user whose folder it is
                os.fchown(file.fileno(), folder.st_uid, folder.st_gid)
            file.write(base64.b64encode(raw) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        sync_folder(path.parent)
    except OSError:
        path.unlink(missing_ok=True)  # half a key opens nothing and would stand in the way of a whole one
        raise
    return Key(raw, f"key file {path}")


def sync_folder(folder: Path) -> None:
    """Make what was renamed or made in a folder survive a power loss."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def beside(path: Path) -> Path:
    """Return where a rotation keeps the new key until the encrypted file is under it."""
    return path.with_name(f"{path.name}.new")


class KeyFinder:
    """Finds the key: where the configuration says, else the first of credential, key file, passphrase at a terminal."""

    def __init__(
        self,
        choice: KeyChoice | None,
        environ: Mapping[str, str],
        *,
        home: Path,
        run: places.RunCommand = places.run_command,
        ask: Ask | None = None,
    ) -> None:
        """Take the `secrets.key` block; `ask` asks a person without echo, None where nobody is there."""
        self.choice = choice
        self.home = home
        self.ask = ask
        self._environ = environ
        self._run = run
        folder = environ.get("CREDENTIALS_DIRECTORY")
        self._credentials = Path(folder) if folder else None
        self._known: dict[str, Key] = {}
        self._phrases: list[str] = []

    def silent(self) -> KeyFinder:
        """Return the same finder, with what it found so far, that asks nobody."""
        other = KeyFinder(self.choice, self._environ, home=self.home, run=self._run)
        other._known, other._phrases = self._known, self._phrases
        return other

    @property
    def path(self) -> Path | None:
        """Return the key file that is looked at, None where the key is kept elsewhere."""
        if self.choice is None:
            return default_path(self.home)
        return Path(self.choice.value) if self.choice.kind == "file" else None

    @property
    def prompts(self) -> bool:
        """Tell whether a passphrase may be asked for at all."""
        return self.choice is None or self.choice.kind == "prompt"

    def matching(self, name: str, stretch: Stretch | None) -> Key:
        """Return the key with this name. Raises KeyTroubleError where none or only another is to be had."""
        if name in self._known:
            return self._known[name]
        looked: list[str] = []
        others: list[Key] = []
        for key in self._raw(looked):
            if key.name == name:
                return self._remember(key)
            others.append(key)
        if stretch is not None and self.prompts:
            told = self._of_phrase(name, stretch)
            if told is not None:
                return self._remember(told)
        if others:
            found = ", ".join(f"{key.origin} is {key.name}" for key in others)
            wants = f"{name} of a passphrase" if stretch is not None else name
            raise KeyTroubleError(f"cannot open it, sealed with another key (it wants {wants}; {found})")
        raise self._nothing(looked)

    def first(self) -> Key:
        """Return the key for a file that is still to be made. Raises KeyTroubleError."""
        looked: list[str] = []
        for key in self._raw(looked, rotating=False):
            return self._remember(key)
        if not self.prompts or self.ask is None:
            raise self._nothing(looked)
        return self._remember(self.new_phrase())

    def new_phrase(self) -> Key:
        """Ask twice for a new passphrase. Raises KeyTroubleError."""
        if self.ask is None:
            raise self._nothing([])
        first = self.ask("new passphrase of the encrypted file: ")
        if not first.strip() or first != self.ask("once more: "):
            raise KeyTroubleError("locked - the two passphrases differ, or are empty; nothing was stored")
        stretch = Stretch.fresh()
        self._phrases.append(first)
        return Key(stretch.key(first), "the passphrase", stretch)

    def _remember(self, key: Key) -> Key:
        self._known[key.name] = key
        return key

    def _nothing(self, looked: list[str]) -> KeyTroubleError:
        if self.prompts and self.ask is None:
            looked = [*looked, "no terminal to ask for a passphrase"]
        return KeyTroubleError(f"locked - {', '.join(looked)}")

    def _of_phrase(self, name: str, stretch: Stretch) -> Key | None:
        for phrase in self._phrases:
            key = Key(stretch.key(phrase), "the passphrase", stretch)
            if key.name == name:
                return key
        if self.ask is None:
            return None
        phrase = self.ask("passphrase of the encrypted file: ")
        key = Key(stretch.key(phrase), "the passphrase", stretch)
        if key.name != name:
            raise KeyTroubleError("cannot open it, sealed with another key (this is not its passphrase)")
        self._phrases.append(phrase)
        return key

    def _raw(self, looked: list[str], *, rotating: bool = True) -> Iterator[Key]:
        """Yield the keys that are kept somewhere; what is not there is noted in `looked`. Raises KeyTroubleError."""
        path: Path | None
        if self.choice is None:
            if self._credentials is not None and (self._credentials / CREDENTIAL).exists():
                yield self._read("systemd", CREDENTIAL)
            else:
                looked.append(f"no credential {CREDENTIAL}")
            path = default_path(self.home)
            if os.path.lexists(path):
                yield self._read("file", path)
            else:
                looked.append(f"no key file {path}")
        elif self.choice.kind != "prompt":
            path = Path(self.choice.value) if self.choice.kind == "file" else None
            yield self._read(self.choice.kind, self.choice.value)
        else:
            return
        if rotating and path is not None and os.path.lexists(beside(path)):
            yield self._read("file", beside(path))

    def _read(self, kind: str, value: Any) -> Key:
        try:
            if kind == "systemd":
                return decoded(
                    places.from_credentials(value, self._credentials, self._environ, self._run), f"credential {value}"
                )
            if kind == "file":
                return decoded(places.from_file(Path(value), self._credentials), f"key file {value}")
            return decoded(places.from_command(value, self._environ, self._run), f"command {value[0]}")
        except (places.NotThereError, places.NoPlaceError) as error:
            raise KeyTroubleError(f"locked - no key: {error}") from None
