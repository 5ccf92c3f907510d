"""What changes where secrets are: a new key file, a new key for the encrypted file, a move from one store to the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mlc.core.errors import ConfigError, SecretStoreError
from mlc.secrets import places
from mlc.secrets.keychain import Keychain, KeychainUnusableError
from mlc.secrets.keys import Key, beside, decoded, sync_folder, write_key_file
from mlc.secrets.resolver import Resolver, service_of


def key_file(path: Path) -> None:
    """Make a key file. Raises ConfigError where it cannot be made, or where there is a file already."""
    try:
        write_key_file(path)
    except FileExistsError:
        raise ConfigError(f"{path} is there already and stays as it is", hint="give another place for the new key") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}", hint="give a place you may write to") from None


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Turn a store that cannot be used into the error of it."""
    try:
        yield
    except KeychainUnusableError as error:
        raise SecretStoreError(f"{name}: {error}", hint="nothing was changed; `mlc secret check` tells how it stands") from None


class Rotation:
    """Puts the encrypted file under a new key. However it ends, the file opens with exactly one of the two."""

    def __init__(self, resolver: Resolver) -> None:
        self.vault = resolver.vault
        self._name = resolver.filed.name

    def run(self, to_key: Path | None) -> str:
        """Rotate; returns in words what was done and what is left to do. Raises ConfigError, SecretStoreError."""
        with _told(self._name):
            old = self.vault.key()
            if to_key is not None:
                return self._to_file(to_key)
            if old.stretch is not None:
                count = self.vault.reseal(lambda _: self.vault.keys.new_phrase())
                return f"{_values(count)} under the new passphrase; the old one opens nothing any more"
            path = self.vault.keys.path
            if path is None or not old.origin.startswith("key file "):
                raise ConfigError(
                    f"mlc cannot change the key where it is kept ({old.origin})",
                    hint="`mlc secret key create PATH`, then `mlc secret rotate --to-key PATH`, then seal or store that one",
                )
            return self._in_place(path)

    def _to_file(self, path: Path) -> str:
        try:
            new = decoded(places.from_file(path, None), f"key file {path}")
        except places.NotThereError as error:
            raise ConfigError(str(error), hint=f"`mlc secret key create {path}` makes one") from None
        if new.name == self.vault.key().name:
            raise ConfigError(f"{path} is the key it is sealed with already", hint="`mlc secret key create PATH` makes another")
        count = self.vault.reseal(lambda _: new)
        return (
            f"{_values(count)} under the key in {path}; the old key opens nothing any more.\n"
            f"Now name it: secrets: {{key: {{file: {path}}}}}, or put it where the old key is (credential, command)"
        )

    def _in_place(self, path: Path) -> str:
        """Write the new key beside the old one, reseal, and only then let it take the old one's place."""
        pending = beside(path)

        def make(_: Key) -> Key:
            held = self.vault.key()
            if held.origin == f"key file {pending}":  # a rotation was cut off after the file, before the key: only that is left
                return held
            try:
                pending.unlink(missing_ok=True)  # of one that was cut off before the file: it opens nothing
                return write_key_file(pending)
            except OSError as error:
                raise KeychainUnusableError(f"the new key cannot be written to {pending} - {error.strerror}") from None

        def done(_: Key) -> None:
            try:
                pending.replace(path)
                sync_folder(path.parent)
            except OSError as error:
                text = f"it opens with the key in {pending} now, which cannot be renamed to {path} - {error.strerror}"
                raise KeychainUnusableError(text) from None

        count = self.vault.reseal(make, done)
        return f"{_values(count)} under the new key in {path}; the old key opens nothing any more"


def _values(count: int) -> str:
    return f"{count} value{'' if count == 1 else 's'}"


class Move:
    """Copies secrets from one store to the other; what was copied is read back before anything is said or removed."""

    def __init__(self, resolver: Resolver, to: str) -> None:
        """Take the direction: `to` is file or keyring."""
        if to not in ("file", "keyring"):
            raise ConfigError(f"--to {to} is no store mlc writes", hint="choose file or keyring")
        both = (resolver.keychain, resolver.filed)
        self.source, self.target = both if to == "file" else both[::-1]
        self._redactor = resolver.redactor

    def run(self, wanted: Sequence[tuple[str, str]], *, replace: bool) -> list[tuple[str, str, str]]:
        """Copy; returns (tenant, name, what became of it). Raises ConfigError, SecretStoreError."""
        found = {one: self._get(self.source, one) for one in wanted} if self.source.exists() else {}
        there = {one: self._get(self.target, one) for one in wanted} if self.target.exists() else {}
        clash = [one for one, value in found.items() if value and there.get(one) not in (None, value)]
        if clash and not replace:
            names = ", ".join(f"{name} of {tenant}" for tenant, name in clash)
            raise ConfigError(
                f"the {self.target.name} has another value for {names}; nothing was changed",
                hint="--replace lets those of the old store win",
            )
        for (tenant, name), value in found.items():
            if value and there.get((tenant, name)) != value:
                with _told(self.target.name):
                    self.target.set(service_of(tenant), name, value)
        for one, value in found.items():
            if value and self._get(self.target, one) != value:
                raise SecretStoreError(
                    f"{self.target.name}: {one[1]} of {one[0]} came back different", hint="nothing was removed"
                )
        return [(*one, self._became(found.get(one), there.get(one))) for one in wanted]

    def remove(self, moved: Sequence[tuple[str, str]]) -> None:
        """Take out of the old store what stands in the new one. Raises SecretStoreError."""
        for tenant, name in moved:
            with _told(self.source.name):
                self.source.delete(service_of(tenant), name)

    def _became(self, value: str | None, before: str | None) -> str:
        if value:
            return "there already" if before == value else "copied"
        return "there already" if before else "in neither"

    def _get(self, keychain: Keychain, one: tuple[str, str]) -> str | None:
        with _told(keychain.name):
            value = keychain.get(service_of(one[0]), one[1])
        if value:
            self._redactor.add(value)
        return value
