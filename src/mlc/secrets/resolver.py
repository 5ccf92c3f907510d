"""Finds the secret a tenant needs, in the place the configuration names, and says clearly where it looked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from mlc.core.errors import ConfigError, CredentialError, SecretStoreError
from mlc.secrets import places
from mlc.secrets.keychain import Keychain, KeychainUnusableError
from mlc.secrets.keys import Ask, KeyFinder
from mlc.secrets.secret import Redactor, Secret
from mlc.secrets.session import SessionStore
from mlc.secrets.vault import Vault

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
        """Return keyring, file or systemd."""


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
        ask: Ask | None = None,
    ) -> None:
        """Take the `secrets` block and the environment; every secret found is also told to `redactor`.

        `ask` asks a person for the passphrase of the encrypted file, None where nobody is there.
        """
        self.store = settings_secrets.store
        self.keychain = keychain or Keychain(tty=tty, backend=keyring_backend)
        home = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
        finder = KeyFinder(getattr(settings_secrets, "key", None), environ, home=home, run=run_command, ask=ask)
        path = getattr(settings_secrets, "file", None)
        self.vault = Vault(path or home / ".local/state/mlc/secrets.json", finder)
        self.filed = _own(self.vault)
        self.kept = self.filed if self.store == "file" else self.keychain
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
            keychain = self.keychain if reference is not None else self.kept
            raise self._no_store(tenant, name, f"{keychain.name}: {error}") from None
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
            return _named(self.kept, tenant, name)
        kind, value = reference.kind, reference.value
        return {
            "env": f"environment variable {value}",
            "file": f"file {value}",
            "systemd": f"credential {value} in $CREDENTIALS_DIRECTORY",
            "command": f"command {value[0] if kind == 'command' else value}",
            "keyring": _named(self.keychain, tenant, value),
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
            self.kept.set(service_of(tenant), name, value)
        except KeychainUnusableError as error:
            raise self._no_store(tenant, name, f"{self.kept.name}: {error}") from None

    def remove(self, tenant: str, name: str) -> bool:
        """Take a secret out of the configured store; tell whether it was there."""
        self._writable(tenant, name)
        try:
            return self.kept.delete(service_of(tenant), name)
        except KeychainUnusableError as error:
            raise self._no_store(tenant, name, f"{self.kept.name}: {error}") from None

    def exists(self, tenant: str, name: str) -> bool:
        """Tell whether the configured store (or the credentials directory) has a secret."""
        if self._has_credential(credential_of(tenant, name)):
            return True
        if self.store == "systemd":
            return False
        try:
            return self.kept.get(service_of(tenant), name) is not None
        except KeychainUnusableError as error:
            raise self._no_store(tenant, name, f"{self.kept.name}: {error}") from None

    def session_store(self) -> SessionStore:
        """Return the place for short-lived session tokens: the store secrets are kept in, or none."""
        if self.store == "file":  # nobody is asked for a session's sake, and a file that was lost is not made anew by one
            return SessionStore(_own(self.vault.silent()), self.redactor)
        return SessionStore(self.keychain.hurried() if self.store == "keyring" else None, self.redactor)

    def stored_at(self, tenant: str, name: str, reference: Reference | None) -> int | None:
        """Return when a secret was put where it is looked for (seconds), None where that is not known; no key is needed."""
        try:
            if reference is not None:
                return int(Path(reference.value).stat().st_mtime) if reference.kind == "file" else None
            if self.store != "file" or self._has_credential(credential_of(tenant, name)):
                return None
            return self.vault.stored().get((service_of(tenant), name))
        except (OSError, KeychainUnusableError):
            return None

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
            return places.from_credentials(value, self._credentials, self._environ, self._run)
        if kind == "command":
            return places.from_command(value, self._environ, self._run)
        return self._from_keyring(self.keychain, tenant, value)

    def _stored(self, tenant: str, name: str) -> str:
        credential = credential_of(tenant, name)
        if self.store == "systemd" or self._has_credential(credential):
            return places.from_credentials(credential, self._credentials, self._environ, self._run)
        return self._from_keyring(self.kept, tenant, name)

    def _from_keyring(self, keychain: Keychain, tenant: str, user: str) -> str:
        value = keychain.get(service_of(tenant), user)
        if value is None:
            raise places.NotThereError(f"{_named(keychain, tenant, user)}: there is none")
        return value

    def _writable(self, tenant: str, name: str) -> None:
        if self.store == "systemd":
            credential = credential_of(tenant, name)
            raise ConfigError(
                f'mlc does not write secrets into the store "{self.store}"',
                hint=f"seal it yourself: systemd-creds encrypt --name={credential} - /etc/credstore.encrypted/{credential}",
            )

    def _missing(self, tenant: str, name: str, reference: Reference | None, looked: str) -> CredentialError:
        lines = [f'tenant "{tenant}": no usable secret {name}', f"  looked for: {looked}"]
        if reference is None and self._credentials is None:
            lines.append("  credentials directory: not set")
        elif reference is None and self.store != "systemd":
            lines.append(f"  credentials directory: no {credential_of(tenant, name)}")
        in_keyring = reference.kind == "keyring" if reference is not None else self.store != "systemd"
        user = reference.value if reference is not None else name
        hint = f"`mlc secret set {tenant} {user}`" if in_keyring else "put it there, then try `mlc secret check`"
        return CredentialError("\n".join(lines), hint=hint)

    def _no_store(self, tenant: str, name: str, trouble: str) -> SecretStoreError:
        credential = credential_of(tenant, name)
        lines = [f'no usable secret store for tenant "{tenant}" (needed: {name})', f"  {trouble}"]
        if not trouble.startswith("credentials directory"):
            absent = "not set - this run was not started by a unit with LoadCredentialEncrypted="
            lines.append(f"  credentials directory: {f'no {credential}' if self._credentials else absent}")
        lines += self._three_ways(tenant, name, credential, trouble)
        return SecretStoreError("\n".join(lines), hint="`mlc secret check` then tries every secret as a timer will")

    def _three_ways(self, tenant: str, name: str, credential: str, trouble: str) -> Sequence[str]:
        if not trouble.startswith(self.filed.name):
            first = f"set  secrets: {{store: file}}  and run  mlc secret set {tenant} {name}"
        elif self.vault.keys.choice is not None and self.vault.keys.choice.kind == "systemd" and "not set" in trouble:
            first = (
                "by hand as root, who can unseal its key; or in a unit:  systemd-run --pty --uid=mlc -p LoadCredentialEncrypted="
                f"{self.vault.keys.choice.value} mlc ..."
            )
        elif not self.vault.path.exists():
            first = f"mlc secret key create, then  mlc secret set {tenant} {name}"
        elif "another key" in trouble or "locked" in trouble:
            first = "give it the key it was sealed with:  secrets: {key: {file: PATH}}, {systemd: NAME} or {command: [...]}"
        else:
            first = "mend it as it says above"
        return (
            "Do one of these once:",
            f"  encrypted file:     {first}",
            f"  systemd:            LoadCredentialEncrypted={credential}:/etc/credstore.encrypted/{credential}   (see README)",
            f"  password manager:   set  {name}: {{command: [pass, show, mlc/{tenant}/{name}]}}",
            "mlc never stores secrets in plain text.",
        )


def _own(vault: Vault) -> Keychain:
    """Return the encrypted file as the one backend of a keychain of its own."""

    def find() -> Any:
        from mlc.secrets.filekeyring import FileKeyring

        return FileKeyring(vault)

    return Keychain(tty=False, find=find, name=f"encrypted file {vault.path}", own=True, there=vault.path.exists)


def _named(keychain: Keychain, tenant: str, user: str) -> str:
    return f'{keychain.name}, service "{service_of(tenant)}", user "{user}"'
