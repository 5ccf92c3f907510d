"""Finds the secret a tenant needs, in the place the configuration names, and says clearly where it looked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from mlc.core.errors import ConfigError, CredentialError, SecretStoreError
from mlc.secrets import places
from mlc.secrets.keychain import Keychain, KeychainUnusableError
from mlc.secrets.secret import Redactor, Secret
from mlc.secrets.session import SessionStore

NAMES = (
    "sap.password", "sap.webhook_secret", "stripe.secret_key", "stripe.webhook_secret", "gocardless.access_token",
    "gocardless.webhook_secret",
)  # fmt: skip


class Reference(Protocol):
    """What the resolver reads of a configured reference: its form and what it names."""

    @property
    def kind(self) -> str:
        """Return keyring, env, file, systemd or command."""

    @property
    def value(self) -> Any:
        """Return the name, path or words."""


class StoreChoice(Protocol):
    """What the resolver reads of the `secrets` block."""

    @property
    def store(self) -> str:
        """Return keyring or systemd."""


def service_of(tenant: str) -> str:
    """Return the keyring's service for a tenant."""
    return f"mlc/{tenant}"


def credential_of(tenant: str, name: str) -> str:
    """Return the name of the systemd credential for a tenant's secret."""
    return f"mlc_{tenant}_{name}"


class Resolver:
    """One way to every secret: the reference where one is configured, else the credentials directory, else the store."""

    def __init__(
        self,
        settings_secrets: StoreChoice,
        environ: Mapping[str, str],
        *,
        tty: bool,
        keyring_backend: Any = None,
        run_command: places.RunCommand = places.run_command,
        redactor: Redactor | None = None,
        keychain: Keychain | None = None,
    ) -> None:
        """Take the `secrets` block and the environment; every secret found is also told to `redactor`."""
        self.store = settings_secrets.store
        self.keychain = keychain or Keychain(tty=tty, backend=keyring_backend)
        self.redactor = redactor or Redactor()
        self._environ = environ
        self._run = run_command
        folder = environ.get("CREDENTIALS_DIRECTORY")
        self._credentials = Path(folder) if folder else None

    def resolve(self, tenant: str, name: str, reference: Reference | None) -> Secret:
        """Return a secret.

        Raises:
            CredentialError: the place it is kept in works, and it is not there or is no secret.
            SecretStoreError: the place it is kept in is not available in this run.
        """
        origin = self.where(tenant, name, reference)
        try:
            value = self._referred(tenant, reference) if reference is not None else self._stored(tenant, name)
            secret = Secret(value, origin)
        except places.NotThereError as error:
            raise self._missing(tenant, name, reference, str(error)) from None
        except ValueError as error:
            raise self._missing(tenant, name, reference, f"{origin}: {error}") from None
        except KeychainUnusableError as error:
            raise self._no_store(tenant, name, f"OS keyring: {error}") from None
        except places.NoPlaceError as error:
            raise self._no_store(tenant, name, str(error)) from None
        self.redactor.add(secret)
        return secret

    def where(self, tenant: str, name: str, reference: Reference | None) -> str:
        """Return in words where a secret is looked for."""
        if reference is None:
            credential = credential_of(tenant, name)
            if self._has_credential(credential) or self.store == "systemd":
                return f"credential {credential} in $CREDENTIALS_DIRECTORY"
            return f'OS keyring, service "{service_of(tenant)}", user "{name}"'
        kind, value = reference.kind, reference.value
        return {
            "env": f"environment variable {value}",
            "file": f"file {value}",
            "systemd": f"credential {value} in $CREDENTIALS_DIRECTORY",
            "command": f"command {value[0] if kind == 'command' else value}",
            "keyring": f'OS keyring, service "{service_of(tenant)}", user "{value}"',
        }[kind]

    def set_secret(self, tenant: str, name: str, value: str) -> None:
        """Store a secret in the configured store.

        Raises:
            ConfigError: the value is no secret, or the store is not one that mlc writes.
            SecretStoreError: the store is not available.
        """
        self._writable(tenant, name)
        try:
            secret = Secret(value)
        except ValueError as error:
            raise ConfigError(f'the secret {name} of tenant "{tenant}" {error}', hint="give a value of one line") from None
        self.redactor.add(secret)
        try:
            self.keychain.set(service_of(tenant), name, value)
        except KeychainUnusableError as error:
            raise self._no_store(tenant, name, f"OS keyring: {error}") from None

    def remove(self, tenant: str, name: str) -> bool:
        """Take a secret out of the configured store; tell whether it was there."""
        self._writable(tenant, name)
        try:
            return self.keychain.delete(service_of(tenant), name)
        except KeychainUnusableError as error:
            raise self._no_store(tenant, name, f"OS keyring: {error}") from None

    def exists(self, tenant: str, name: str) -> bool:
        """Tell whether the configured store (or the credentials directory) has a secret."""
        if self._has_credential(credential_of(tenant, name)):
            return True
        if self.store == "systemd":
            return False
        try:
            return self.keychain.get(service_of(tenant), name) is not None
        except KeychainUnusableError as error:
            raise self._no_store(tenant, name, f"OS keyring: {error}") from None

    def session_store(self) -> SessionStore:
        """Return the place for short-lived session tokens; one that keeps nothing where the keyring is not the store."""
        return SessionStore(self.keychain.hurried() if self.store == "keyring" else None, self.redactor)

    def _has_credential(self, credential: str) -> bool:
        try:
            return self._credentials is not None and "/" not in credential and (self._credentials / credential).exists()
        except OSError:
            return True  # it is there and cannot be looked at: reading it tells why

    def _referred(self, tenant: str, reference: Reference) -> str:
        kind, value = reference.kind, reference.value
        if kind == "env":
            return places.from_variable(value, self._environ)
        if kind == "file":
            return places.from_file(Path(value), self._credentials)
        if kind == "systemd":
            return places.from_credentials(value, self._credentials)
        if kind == "command":
            return places.from_command(value, self._environ, self._run)
        return self._from_keyring(tenant, value)

    def _stored(self, tenant: str, name: str) -> str:
        credential = credential_of(tenant, name)
        if self.store == "systemd" or self._has_credential(credential):
            return places.from_credentials(credential, self._credentials)
        return self._from_keyring(tenant, name)

    def _from_keyring(self, tenant: str, user: str) -> str:
        service = service_of(tenant)
        value = self.keychain.get(service, user)
        if value is None:
            raise places.NotThereError(f'OS keyring, service "{service}", user "{user}": there is none')
        return value

    def _writable(self, tenant: str, name: str) -> None:
        if self.store != "keyring":
            credential = credential_of(tenant, name)
            raise ConfigError(
                f'mlc does not write secrets into the store "{self.store}"',
                hint=f"seal it yourself: systemd-creds encrypt --name={credential} - /etc/credstore.encrypted/{credential}",
            )

    def _missing(self, tenant: str, name: str, reference: Reference | None, looked: str) -> CredentialError:
        lines = [f'tenant "{tenant}": no usable secret {name}', f"  looked for: {looked}"]
        if reference is None and self._credentials is None:
            lines.append("  credentials directory: not set")
        elif reference is None and self.store == "keyring":
            lines.append(f"  credentials directory: no {credential_of(tenant, name)}")
        in_keyring = reference.kind == "keyring" if reference is not None else self.store == "keyring"
        user = reference.value if reference is not None else name
        hint = f"`mlc secret set {tenant} {user}`" if in_keyring else "put it there, then try `mlc secret check`"
        return CredentialError("\n".join(lines), hint=hint)

    def _no_store(self, tenant: str, name: str, trouble: str) -> SecretStoreError:
        credential = credential_of(tenant, name)
        lines = [f'no usable secret store for tenant "{tenant}" (needed: {name})', f"  {trouble}"]
        if not trouble.startswith("credentials directory"):
            absent = "not set - this run was not started by a unit with LoadCredentialEncrypted="
            lines.append(f"  credentials directory: {f'no {credential}' if self._credentials else absent}")
        lines += _three_ways(tenant, name, credential)
        return SecretStoreError("\n".join(lines), hint="`mlc secret check` then tries every secret as a timer will")


def _three_ways(tenant: str, name: str, credential: str) -> Sequence[str]:
    variable = "".join(letter if letter.isalnum() else "_" for letter in f"{tenant}_{name}").upper()
    return (
        "Do one of these once:",
        f"  systemd:            LoadCredentialEncrypted={credential}:/etc/credstore.encrypted/{credential}",
        f"  password manager:   set  {name}: {{command: [pass, show, mlc/{tenant}/{name}]}}",
        f"  environment:        set  {name}: {{env: {variable}}}  and give the variable to this run only",
        "mlc never stores secrets in plain text.",
    )
