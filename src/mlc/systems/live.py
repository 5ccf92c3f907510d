"""The guards of the mode that need no answer, or one: keys, hosts, and whose account a key opens."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlc.config.rules import unfit_for_mode
from mlc.core.errors import ConfigError
from mlc.systems.stripe.reads import StripeReads

if TYPE_CHECKING:
    from mlc.config import Tenant
    from mlc.secrets import Secret
    from mlc.systems.gocardless.reads import GoCardlessReads

_LIVE = ("sk_live_", "rk_live_")
_ANY_LIVE = re.compile(r"[a-z]+_(?:[a-z]+_)?live_")  # also pk_live_, sk_org_live_: never right in mode test


@dataclass(frozen=True, slots=True)
class Party:
    """Whose money it is: an account at a processor, as the key or token itself tells it."""

    system: str
    account: str
    name: str

    @property
    def key(self) -> str:
        """Return the name under which its confirmation is remembered."""
        return f"{self.system}/{self.account}"

    def __str__(self) -> str:
        """Return it as a sentence names it."""
        what = "Stripe account" if self.system == "stripe" else "GoCardless creditor"
        return f"{what} {self.account}" + (f" ({self.name})" if self.name else "")


def party(reads: StripeReads | GoCardlessReads) -> Party:
    """Ask a processor whose account its key opens."""
    return Party(reads.system.name, *(reads.account() if isinstance(reads, StripeReads) else reads.creditor()))


def refuse_unfit(tenant: Tenant) -> None:
    """Refuse settings that do not fit the mode, however they were made. Raises ConfigError."""
    for found in unfit_for_mode(tenant.name, tenant):
        raise ConfigError(f"tenant {tenant.name} is in mode {tenant.mode}: {'.'.join(map(str, found.loc[2:]))} {found.text}")


def refuse_wrong_key(tenant: Tenant, key: Secret) -> None:
    """Refuse a Stripe key that is not of the tenant's mode; it is not shown. Raises ConfigError."""
    text, which = key.reveal(), f"tenant {tenant.name} is in mode {tenant.mode}, but stripe.secret_key ({key.origin})"
    if tenant.mode == "live" and not text.startswith(_LIVE):
        raise ConfigError(
            f"{which} is no live secret key: those begin with {' or '.join(_LIVE)}",
            hint=f"set it with mlc secret set {tenant.name} stripe.secret_key, or set mode: test",
        )
    if tenant.mode == "test" and _ANY_LIVE.match(text):
        raise ConfigError(f"{which} is a live key", hint="use the key of a sandbox or of test mode")


def refuse_changed(tenant: Tenant, missing: list[Party], former: list[str]) -> None:
    """Refuse to plan with a state file whose links are of the account that a person confirmed before. Raises ConfigError.

    A restricted key that cannot tell its account may be the old account's new key.
    """
    if former and not any(":" in key for key in [*former, *(one.key for one in missing)]):
        raise ConfigError(
            f"tenant {tenant.name}: this state file serves {', '.join(former)}, but the key opens {' and '.join(map(str, missing))}:"
            " a plan would mix the two",
            hint="correct the key, or give the new account a state file of its own: name a new one in `state:`",
        )
