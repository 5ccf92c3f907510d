"""How a tenant's systems are opened: from its configuration, its secrets and the seams of the real world. Nothing is sent yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mlc.clock import Clock, SystemClock
from mlc.store.journal import Journal
from mlc.store.refusals import Refusals
from mlc.systems.gocardless.client import GoCardlessOptions, GoCardlessSystem
from mlc.systems.live import refuse_unfit, refuse_wrong_key
from mlc.systems.sap.client import SapOptions, SapSystem
from mlc.systems.sap.session import Login, SessionStore
from mlc.systems.stripe.client import StripeOptions, StripeSystem

if TYPE_CHECKING:
    import httpx

    from mlc.config import Tenant
    from mlc.secrets import Resolver, Secret


@dataclass(slots=True)
class Seams:
    """What tests and the demo put in place of the real world."""

    clock: Clock = field(default_factory=SystemClock)
    transports: Mapping[str, httpx.BaseTransport] = field(default_factory=dict)
    threads: bool = True
    log: Callable[[str], None] = lambda _line: None
    patience: float | None = None  # seconds after which a read that failed is not tried again


def held_off(journal: Journal, tenant: Tenant) -> str:
    """Return since when and until when nobody logs in to a tenant's SAP because it refused, "" where it may be tried."""
    standing = Refusals(journal, tenant.sap.username, tenant.sap.url).standing()
    if standing is None:
        return ""
    since, until = (datetime.fromtimestamp(one, UTC).strftime("%Y-%m-%d %H:%M") for one in standing)
    return f"at {since} UTC; no timer tries again before {until}, because SAP locks users"


def note_login(journal: Journal, tenant: Tenant, system: SapSystem) -> None:
    """Remember for later runs that SAP refused the login, or forget it once one was accepted."""
    refusals = Refusals(journal, tenant.sap.username, tenant.sap.url)
    if system.session.accepted:
        refusals.clear()
    if system.session.refused:
        refusals.note()


def sap_system(tenant: Tenant, resolver: Resolver, seams: Seams, held: str = "") -> SapSystem:
    """Build the way to a tenant's SAP; it logs in when it is first used, unless an earlier refusal holds it off (`held`).

    Raises ConfigError where a setting is not for the mode.
    """
    password = resolver.resolve(tenant.name, "sap.password", tenant.sap.password)
    kept = (
        resolver.session_store() if tenant.sap.password is None else None
    )  # where the password is, the session may be kept too
    return sap_opened_by(tenant, password, seams, held=held, kept=kept)


def sap_opened_by(
    tenant: Tenant, password: Secret, seams: Seams, *, held: str = "", kept: SessionStore | None = None
) -> SapSystem:
    """Build the way to a tenant's SAP with a password that is at hand. Raises ConfigError where a setting is not for the mode."""
    refuse_unfit(tenant)
    config = tenant.sap
    login = Login(tenant.name, config.url, config.company_db, config.username, password.reveal, password.origin, held)
    options = SapOptions(
        page_size=config.page_size, workers=config.workers, connect=config.timeout.connect, read=config.timeout.read,
        write=config.timeout.write, settle=float(config.settle_seconds), ca_bundle=str(config.ca_bundle) if config.ca_bundle else None,
        verify_tls=config.verify_tls, marker_field=config.marker_field, patience=seams.patience,
    )  # fmt: skip
    return SapSystem(login, options, seams.clock, transport=seams.transports.get("sap"), store=kept, log=seams.log)


def stripe_system(tenant: Tenant, resolver: Resolver, seams: Seams) -> StripeSystem:
    """Build the way to a tenant's Stripe account. Raises ConfigError where the key is of another mode."""
    refuse_unfit(tenant)
    config, live = tenant.stripe, tenant.mode == "live"
    assert config is not None
    key = resolver.resolve(tenant.name, "stripe.secret_key", config.secret_key)
    refuse_wrong_key(tenant, key)
    limits = config.rate_limit
    total, operation = limits.total or (100.0 if live else 25.0), limits.operation or 25.0
    options = StripeOptions(config.url, tenant.name, total, operation, livemode=live, where=key.origin, patience=seams.patience)
    return StripeSystem(key.reveal, options, seams.clock, transport=seams.transports.get("stripe"), log=seams.log)


def gocardless_system(tenant: Tenant, resolver: Resolver, seams: Seams) -> GoCardlessSystem:
    """Build the way to a tenant's GoCardless organisation. Raises ConfigError where the host is not the mode's."""
    refuse_unfit(tenant)
    config = tenant.gocardless
    assert config is not None
    token = resolver.resolve(tenant.name, "gocardless.access_token", config.access_token)
    options = GoCardlessOptions(config.url, tenant.name, where=token.origin, patience=seams.patience)
    return GoCardlessSystem(token.reveal, options, seams.clock, transport=seams.transports.get("gocardless"), log=seams.log)
