"""The encrypted file as a backend of keyring: chosen by our configuration only, never by itself and by no other program."""

from __future__ import annotations

from keyring.backend import KeyringBackend
from keyring.errors import PasswordDeleteError

from mlc.secrets.vault import Vault


class FileKeyring(KeyringBackend):
    """Keeps what keyring is given in a Vault."""

    priority = -1  # below keyring's own `fail`, so that it is never found by a search

    def __init__(self, vault: Vault) -> None:  # the base class would let the environment change attributes
        self.vault = vault

    def get_password(self, service: str, username: str) -> str | None:
        """Return a value, None where the file opens and has none."""
        return self.vault.get(service, username)

    def set_password(self, service: str, username: str, password: str) -> None:
        """Seal a value into the file."""
        self.vault.set(service, username, password)

    def delete_password(self, service: str, username: str) -> None:
        """Take a value out. Raises PasswordDeleteError where there is none."""
        if not self.vault.delete(service, username):
            raise PasswordDeleteError("there is none")
