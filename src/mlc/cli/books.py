"""Opens the journal of a tenant for looking: no lock, no login, no secrets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mlc.clock import SystemClock
from mlc.core.errors import NoStateError
from mlc.store.clearance import Clearance
from mlc.store.database import Database
from mlc.store.journal import Journal

if TYPE_CHECKING:
    from mlc.config import Settings, Tenant


@contextmanager
def reading(settings: Settings, tenant: Tenant) -> Iterator[Journal]:
    """Open the journal of one tenant; raises NoStateError where there is none yet."""
    database = Database.open(settings.state, create=False)
    try:
        yield Journal(database, tenant.sap.company_db, "", SystemClock())
    finally:
        database.close()


def confirmed(settings: Settings, tenant: Tenant) -> dict[str, str]:
    """Return `<system>/<account>` -> when a person confirmed it for mode live.

    Raises ConfigError where the state file knows the company from the other mode.
    """
    try:
        with reading(settings, tenant) as journal:
            clearance = Clearance(journal)
            clearance.refuse_other_mode(tenant.name, tenant.mode)
            return {account: moment for account, moment in clearance.known().items() if moment}
    except NoStateError:
        return {}
