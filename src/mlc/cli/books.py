"""Opens a tenant for looking, without its lock: the journal alone (no login, no secrets), or with the ways to read its systems."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from mlc.clock import SystemClock
from mlc.store.database import Database
from mlc.store.journal import Journal

if TYPE_CHECKING:
    from mlc.cli.session import Session
    from mlc.config import Settings, Tenant
    from mlc.passes.scene import Scene


@contextmanager
def reading(settings: Settings, tenant: Tenant) -> Iterator[Journal]:
    """Open the journal of one tenant; raises NoStateError where there is none yet."""
    database = Database.open(settings.state, create=False)
    try:
        yield Journal(database, tenant.sap.company_db, "", SystemClock())
    finally:
        database.close()


@contextmanager
def seeing(session: Session, settings: Settings, tenant: Tenant, journal: Journal) -> Iterator[Scene]:
    """Open the ways to read a tenant's systems beside its journal: nothing is written, so no lock is taken.

    Raises ConfigError, CredentialError, SecretStoreError.
    """
    from mlc.passes.scene import Scene
    from mlc.systems.gocardless.reads import GoCardlessReads
    from mlc.systems.sap.reads import SapReads
    from mlc.systems.stripe.reads import StripeReads
    from mlc.wiring import Seams, gocardless_system, rules_of, sap_system, stripe_system

    resolver, seams = session.resolver(settings), type(session).seams or Seams()
    seams.log = session.voice.detail
    with ExitStack() as stack:
        sap = SapReads(sap_system(tenant, resolver, seams))
        stack.callback(sap.system.close)
        stripe = debits = None
        if tenant.stripe is not None:
            stripe = StripeReads(stripe_system(tenant, resolver, seams))
            stack.callback(stripe.system.close)
        if tenant.gocardless is not None:
            debits = GoCardlessReads(gocardless_system(tenant, resolver, seams))
            stack.callback(debits.system.close)
        yield Scene(rules_of(tenant), sap, stripe, journal, seams.clock, tenant.name, None, debits)
