"""The places outside the keyring a secret may stand in: variable, file, systemd credential, command."""

from __future__ import annotations

import errno
import os
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mlc.secrets.private import UnfitError, read_private

SEALED = Path("/etc/credstore.encrypted")  # where systemd looks for credentials that are sealed to this machine
_LARGEST = 65536
_COMMAND_LIMIT = 30.0


class NotThereError(Exception):
    """The place works and has no (usable) secret; the text says which place and why."""


class NoPlaceError(Exception):
    """The place itself is not available in this run; the text says which and why."""


class CommandResult(NamedTuple):
    """How a command ended and what it wrote."""

    code: int
    stdout: bytes
    stderr: bytes


RunCommand = Callable[[Sequence[str], Mapping[str, str], float], CommandResult]


def run_command(words: Sequence[str], environ: Mapping[str, str], limit: float) -> CommandResult:
    """Run a command without a shell and without input; TimeoutError where it takes too long."""
    try:
        done = subprocess.run(  # noqa: S603 - the words are the operator's own and no shell sees them
            list(words), env=dict(environ), stdin=subprocess.DEVNULL, capture_output=True, timeout=limit, check=False
        )
    except subprocess.TimeoutExpired:
        raise TimeoutError from None
    return CommandResult(done.returncode, done.stdout, done.stderr)


def from_variable(name: str, environ: Mapping[str, str]) -> str:
    """Return the value of an environment variable."""
    if name not in environ:
        raise NotThereError(f"environment variable {name}: not set")
    return environ[name]


def from_file(path: Path, credentials: Path | None) -> str:
    """Return the text of a file that nobody but its owner can read, without its last line break."""
    try:
        raw = read_private(path, _LARGEST, links=True, shared=_under(path, credentials))
    except OSError as error:
        raise NotThereError(f"file {path}: {_why(error)}") from None
    except UnfitError as error:
        words = {
            "irregular": "is no ordinary file", "large": "is too large for a secret",
            "open": f"refused, others can read it (mode {error.mode}); run: chmod 600 {path}",
        }  # fmt: skip
        raise NotThereError(f"file {path}: {words[error.kind]}") from None
    return _text(raw, f"file {path}")


def from_credentials(name: str, credentials: Path | None, environ: Mapping[str, str], run: RunCommand) -> str:
    """Return a credential that systemd put into $CREDENTIALS_DIRECTORY; to root outside of a unit, as `systemd-creds` unseals it."""
    if "/" in name:
        raise NotThereError(f'credential "{name}": is no name of a credential')
    if credentials is not None:
        return from_file(credentials / name, credentials)
    if os.geteuid() == 0 and (SEALED / name).is_file():
        words = ["systemd-creds", "decrypt", f"--name={name}", str(SEALED / name), "-"]
        return _text(_output(words, f"systemd-creds decrypt {SEALED / name}", environ, run), f"credential {name}")
    raise NoPlaceError("credentials directory: not set - this run was not started by a unit with LoadCredentialEncrypted=")


def from_command(words: Sequence[str], environ: Mapping[str, str], run: RunCommand) -> str:
    """Return the first line that a command prints; what else it prints is never shown."""
    shown = f"command {words[0]}"
    return _text(_output(words, shown, environ, run).split(b"\n", 1)[0].removesuffix(b"\r"), shown)


def _output(words: Sequence[str], shown: str, environ: Mapping[str, str], run: RunCommand) -> bytes:
    try:
        result = run(words, environ, _COMMAND_LIMIT)
    except TimeoutError:
        raise NoPlaceError(f"{shown}: no answer within {_COMMAND_LIMIT:g} s") from None
    except (OSError, ValueError) as error:
        reason = _why(error) if isinstance(error, OSError) else "its words cannot be passed on"
        raise NoPlaceError(f"{shown}: cannot be started ({reason})") from None
    if result.code != 0:
        raise NotThereError(f"{shown}: ended with {result.code}{_said(result)}")
    return result.stdout


def _said(result: CommandResult) -> str:
    """Return the beginning of stderr on one line, without anything that also stood in stdout."""
    text = result.stderr.decode("utf-8", "replace")
    stdout = result.stdout.decode("utf-8", "replace")
    for part in [*stdout.splitlines(), *(word for word in stdout.split() if len(word) > 3)]:
        text = text.replace(part.strip(), "***") if part.strip() else text
    text = re.sub(r"[\s\x00-\x1f\x7f-\x9f]+", " ", text).strip()
    return f" ({text[:200]}{'...' if len(text) > 200 else ''})" if text else ""


def _text(raw: bytes, place: str) -> str:
    try:
        return raw.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise NotThereError(f"{place}: is no UTF-8 text") from None


def _under(path: Path, folder: Path | None) -> bool:
    try:
        return folder is not None and path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):
        return False


def _why(error: OSError) -> str:
    words = {
        errno.ENOENT: "there is none",
        errno.ELOOP: "its symbolic links lead round in a circle",
        errno.EACCES: "this user may not read it",
    }
    return words.get(error.errno or 0, error.strerror or "cannot be read")
