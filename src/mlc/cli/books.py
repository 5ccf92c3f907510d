"""Opens a tenant for looking, without its lock: the journal alone (no login, no secrets), or with the ways to read its systems."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from mlc.clock import SystemClock
from mlc.core.errors import MlcError, NoStateError
from mlc.store.database import Database
from mlc.store.journal import Journal

if TYPE_CHECKING:
    from mlc.cli.session import Session
    from mlc.config import Settings, Tenant
    from mlc.passes.scene import Scene
    from mlc.systems.gocardless.reads import GoCardlessReads
    from mlc.systems.sap.client import SapSystem
    from mlc.systems.sap.reads import SapReads
    from mlc.systems.stripe.reads import StripeReads


@contextmanager
def reading(settings: Settings, tenant: Tenant, run_id: str = "") -> Iterator[Journal]:
    """Open the journal of one tenant; raises NoStateError where there is none yet."""
    from mlc.cli.session import Session

    database = Database.open(settings.state, create=False)
    try:
        yield Journal(database, tenant.sap.company_db, run_id, Session.seams.clock if Session.seams else SystemClock())
    finally:
        database.close()


@contextmanager
def tending(session: Session, settings: Settings, tenant: Tenant, holder: str) -> Iterator[Journal]:
    """Open the journal of one tenant under its lock, to change what is kept: no secret is needed, nobody is asked.

    Raises LockedError, NoStateError.
    """
    from mlc.opening import Seams
    from mlc.store.lock import TenantLock
    from mlc.wiring import new_run_id

    clock = (type(session).seams or Seams()).clock
    lock = TenantLock(settings.state, tenant.sap.company_db, clock)
    lock.acquire(holder, session.options.lock_timeout)
    try:
        database = Database.open(settings.state, create=False)
        try:
            yield Journal(database, tenant.sap.company_db, new_run_id(), clock)
        finally:
            database.close()
    finally:
        lock.release()


def confirmed(settings: Settings, tenant: Tenant) -> dict[str, str]:
    """Return `<system>/<account>` -> when a person confirmed it for mode live.

    Raises ConfigError where the state file knows the company from the other mode.
    """
    from mlc.store.clearance import Clearance

    try:
        with reading(settings, tenant) as journal:
            clearance = Clearance(journal)
            clearance.refuse_other_mode(tenant.name, tenant.mode)
            return {account: moment for account, moment in clearance.known().items() if moment}
    except NoStateError:
        return {}


def ways_to_read(
    session: Session, settings: Settings, tenant: Tenant, stack: ExitStack
) -> tuple[Callable[[], SapReads], Callable[[], StripeReads] | None, Callable[[], GoCardlessReads] | None]:
    """Return how each system is opened for reading; what was opened is closed with the stack.

    Each raises CredentialError, SecretStoreError, ConfigError when it is called.
    """
    from mlc.cli import session as session_
    from mlc.opening import Seams, gocardless_system, sap_system, stripe_system
    from mlc.systems.gocardless.reads import GoCardlessReads
    from mlc.systems.sap.reads import SapReads
    from mlc.systems.stripe.reads import StripeReads

    resolver, seams = session.resolver(settings), type(session).seams or Seams()
    seams.log = session.voice.detail

    def sap() -> SapReads:
        system = sap_system(tenant, resolver, seams, "" if session_.attended() else _held_off(settings, tenant))
        stack.callback(system.close)
        return SapReads(system)

    def stripe() -> StripeReads:
        system = stripe_system(tenant, resolver, seams)
        stack.callback(system.close)
        return StripeReads(system)

    def debits() -> GoCardlessReads:
        system = gocardless_system(tenant, resolver, seams)
        stack.callback(system.close)
        return GoCardlessReads(system)

    return sap, stripe if tenant.stripe is not None else None, debits if tenant.gocardless is not None else None


def _held_off(settings: Settings, tenant: Tenant) -> str:
    from mlc.opening import held_off

    try:
        with reading(settings, tenant) as journal:
            return held_off(journal, tenant)
    except NoStateError:
        return ""


def note_login(settings: Settings, tenant: Tenant, system: SapSystem) -> None:
    """Remember how a login to SAP went that was tried without the tenant's lock, where there is a state to remember it in."""
    from mlc import opening

    with suppress(MlcError), reading(settings, tenant) as journal:  # no state yet, or one that is told of elsewhere
        opening.note_login(journal, tenant, system)


def let_timers_try(settings: Settings, tenant: Tenant) -> None:
    """Forget that SAP refused the login: a person has just given another password."""
    from mlc.store.refusals import Refusals

    with suppress(MlcError), reading(settings, tenant) as journal:
        Refusals(journal, tenant.sap.username, tenant.sap.url).clear()


def note_not_begun(settings: Settings, tenant: Tenant, run_id: str, passes: Iterable[str], code: int, why: str) -> None:
    """Note how passes ended that never began, where there is a state: who looks at `mlc status` shall not see the run before."""
    with suppress(MlcError), reading(settings, tenant, run_id) as journal:
        for name in passes:
            journal.runs.begin(tenant.name, name, dry_run=False)
            journal.runs.end(name, code, {}, why)


@contextmanager
def seeing(session: Session, settings: Settings, tenant: Tenant, journal: Journal) -> Iterator[Scene]:
    """Open the ways to read a tenant's systems beside its journal: nothing is written, so no lock is taken."""
    from mlc.opening import Seams
    from mlc.passes.scene import Scene
    from mlc.wiring import rules_of

    seams = type(session).seams or Seams()
    with ExitStack() as stack:
        sap, stripe, debits = ways_to_read(session, settings, tenant, stack)
        opened = sap(), stripe() if stripe else None, debits() if debits else None
        yield Scene(rules_of(tenant), opened[0], opened[1], journal, seams.clock, tenant.name, None, opened[2])
