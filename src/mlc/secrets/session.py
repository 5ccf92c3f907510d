"""Keeps short-lived session tokens between runs in the store of the secrets (keyring, encrypted file), or not at all."""

from __future__ import annotations

from mlc.secrets.keychain import Keychain, KeychainUnusableError
from mlc.secrets.secret import Redactor

_SERVICE = "mlc-session"
_LONGEST = 2000


class SessionStore:
    """Gets, puts and deletes short texts by a key; never raises, never waits long, never writes a plain file."""

    def __init__(self, keychain: Keychain | None, redactor: Redactor) -> None:
        """Take the keychain, None for a store that keeps nothing."""
        self._keychain = keychain
        self._redactor = redactor

    def get(self, key: str) -> str | None:
        """Return what was kept under a key, None where nothing was or the keyring is not usable."""
        if self._keychain is None:
            return None
        try:
            value = self._keychain.get(_SERVICE, key)
        except KeychainUnusableError:
            return None
        if value:
            self._redactor.add(value)
        return value or None

    def put(self, key: str, value: str) -> None:
        """Keep a short text under a key where the keyring is usable."""
        if self._keychain is None or not 0 < len(value) <= _LONGEST or not self._keychain.exists():
            return
        self._redactor.add(value)
        try:
            self._keychain.set(_SERVICE, key, value)
        except KeychainUnusableError:
            return

    def delete(self, key: str) -> None:
        """Forget what was kept under a key."""
        if self._keychain is None:
            return
        try:
            self._keychain.delete(_SERVICE, key)
        except KeychainUnusableError:
            return
