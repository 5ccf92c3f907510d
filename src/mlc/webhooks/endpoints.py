"""Where the systems of each tenant may deliver, with the secrets that prove it is them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mlc.core.errors import ConfigError, SecretStoreError
from mlc.core.inbox import TICKED_BY
from mlc.webhooks.app import Endpoint

if TYPE_CHECKING:
    from mlc.config import Tenant
    from mlc.secrets import Resolver

SYSTEMS = ("stripe", "gocardless", "sap")


def endpoints_of(tenant: Tenant, resolver: Resolver) -> tuple[list[Endpoint], list[str]]:
    """Return where the systems of a tenant may deliver, and in words what has no endpoint because it has no secret.

    A secret that is left out and is not in the store means: no endpoint. Raises CredentialError where a configured one is not
    usable (an empty one included), SecretStoreError where the store cannot be asked although other secrets are kept in it.
    """
    found: list[Endpoint] = []
    without: list[str] = []
    needless = frozenset(kind for name, kinds in TICKED_BY.items() if tenant.lacks(name) for kind in kinds)
    for system in SYSTEMS:
        section = getattr(tenant, system)
        if section is None:
            continue
        name = f"{system}.webhook_secret"
        if not section.webhook_secret and not _is_stored(tenant, resolver, name):
            without.append(f"/{system}/{tenant.name}: no secret ({resolver.where(tenant.name, name, None)})")
            continue
        secrets = tuple(resolver.resolve(tenant.name, name, one).reveal() for one in section.webhook_secrets)
        found.append(Endpoint(system, tenant.name, tenant.sap.company_db, secrets, tenant.mode == "live", needless))
    return found, without


def _is_stored(tenant: Tenant, resolver: Resolver, name: str) -> bool:
    """Tell whether a secret that is left out is in the store; where nothing is kept in it, it need not be there at all."""
    others = [(tenant.sap, "password"), (tenant.stripe, "secret_key"), (tenant.gocardless, "access_token")]
    try:
        return resolver.exists(tenant.name, name)
    except SecretStoreError:
        if any(getattr(section, key) is None for section, key in others if section is not None):
            raise
        return False


def refuse_shared_secrets(endpoints: Iterable[Endpoint]) -> None:
    """Refuse two endpoints with one secret: a delivery for one could then be sent to the other. Raises ConfigError."""
    seen: dict[str, str] = {}
    for endpoint in endpoints:
        for secret in endpoint.secrets:
            other = seen.setdefault(secret, endpoint.path)
            if other != endpoint.path:
                raise ConfigError(
                    f"{other} and {endpoint.path} have the same webhook secret: a delivery for one would be accepted by the other",
                    hint="make an endpoint of its own for each at the processor, and set its secret",
                )
