"""The configuration: one YAML file, environment variables over it, and errors that name line, column and fix."""

from mlc.config.environment import referred
from mlc.config.loader import find, load, parse
from mlc.config.models import (
    GoCardless,
    Limits,
    RateLimit,
    Sap,
    SecretsConfig,
    Settings,
    Stripe,
    Tenant,
    Timeout,
    redacted_dump,
)
from mlc.config.references import SecretRef, Watch
from mlc.config.rules import unsupported
from mlc.config.values import Account, account_for, is_loopback, ping_address

__all__ = [
    "Account",
    "GoCardless",
    "Limits",
    "RateLimit",
    "Sap",
    "SecretRef",
    "SecretsConfig",
    "Settings",
    "Stripe",
    "Tenant",
    "Timeout",
    "Watch",
    "account_for",
    "find",
    "is_loopback",
    "load",
    "parse",
    "ping_address",
    "redacted_dump",
    "referred",
    "unsupported",
]
