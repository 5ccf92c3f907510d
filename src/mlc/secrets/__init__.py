"""Secrets: one resolver over keyring, encrypted file, environment, files, systemd credentials and commands, and one redactor."""

from mlc.secrets.changing import Move, Rotation, key_file
from mlc.secrets.keychain import Keychain, KeychainUnusableError
from mlc.secrets.places import CommandResult, run_command
from mlc.secrets.resolver import NAMES, Resolver, credential_of, service_of
from mlc.secrets.secret import Redactor, Secret
from mlc.secrets.session import SessionStore

__all__ = [
    "NAMES",
    "CommandResult",
    "Keychain",
    "KeychainUnusableError",
    "Move",
    "Redactor",
    "Resolver",
    "Rotation",
    "Secret",
    "SessionStore",
    "credential_of",
    "key_file",
    "run_command",
    "service_of",
]
