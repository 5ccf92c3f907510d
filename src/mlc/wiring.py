"""open_tenant: the only place that builds things. Its seams are the transports, the clock, the secrets and the state file."""

from __future__ import annotations

import secrets as random_ids
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlc.clock import Clock, SystemClock
from mlc.core import commands as c
from mlc.core.errors import ConfigError
from mlc.core.intents import Hold, Recipe
from mlc.core.keys import intent_name
from mlc.engine.carry import Carrier
from mlc.engine.limits import Limits, minor_limits
from mlc.engine.report import Report
from mlc.engine.road import Options, Road
from mlc.passes.post_payments import PostPayments
from mlc.passes.push_invoices import PushInvoices
from mlc.passes.scene import Rules, Scene
from mlc.passes.sync_customers import SyncCustomers
from mlc.store.database import Database
from mlc.store.journal import Journal
from mlc.store.lock import TenantLock
from mlc.store.records import Stored
from mlc.systems.sap import recipes as sap_recipes
from mlc.systems.sap.client import SapOptions, SapSystem
from mlc.systems.sap.reads import SapReads
from mlc.systems.sap.session import Login
from mlc.systems.stripe import later as stripe_later
from mlc.systems.stripe import recipes as stripe_recipes
from mlc.systems.stripe.client import StripeOptions, StripeSystem
from mlc.systems.stripe.reads import StripeReads

if TYPE_CHECKING:
    import httpx

    from mlc.config import Settings, Tenant
    from mlc.secrets import Resolver

PASSES: dict[str, Callable[[Scene], Any]] = {
    "post-payments": PostPayments,
    "sync-customers": SyncCustomers,
    "push-invoices": PushInvoices,
}
RUN_ORDER = ("post-payments", "sync-customers", "push-invoices")


@dataclass(slots=True)
class Seams:
    """What tests and the demo put in place of the real world."""

    clock: Clock = field(default_factory=SystemClock)
    transports: Mapping[str, httpx.BaseTransport] = field(default_factory=dict)
    threads: bool = True
    log: Callable[[str], None] = lambda _line: None


@dataclass(slots=True)
class OpenTenant:
    """One tenant, opened for a run."""

    settings: Settings
    tenant: Tenant
    seams: Seams
    database: Database
    journal: Journal
    sap: SapReads
    stripe: StripeReads
    carrier: Carrier
    lock: TenantLock
    run_id: str
    _proof: str | None = None

    def scene(self, since: date | None = None) -> Scene:
        """Return what a pass works in."""
        return Scene(rules_of(self.tenant), self.sap, self.stripe, self.journal, self.seams.clock, self.tenant.name, since)

    def road(self, pass_: str, options: Options, tell: Callable[[Any], None] = lambda _item: None) -> Road:
        """Return the road that one pass takes."""
        limits = Limits(self.settings.limits.max_writes, minor_limits(dict(self.settings.limits.max_amount)))
        report = Report(self.tenant.name, pass_, self.run_id, options.dry_run, tell=tell)
        return Road(
            self.journal, self.carrier, limits, self.seams.clock, report, options, self.tenant.first_run,
            self.settings.alert_after.total_seconds(),
        )  # fmt: skip

    def recipes(self, stored: Stored) -> Recipe:
        """Return the recipe of an intent: which command is carried by which system is said here and nowhere else."""
        command, moment = (
            stored.command,
            stripe_recipes.Moment(self.run_id, stored.generation, self.seams.clock.now, stored.accepted_at),
        )
        if isinstance(command, c.PostPayment):
            return sap_recipes.post_payment(command, self._posting_rules(stored))
        if isinstance(command, c.PushInvoice):
            link = self.journal.links.get("customer", command.card_code)
            if link is None or not link.other:
                return _no_customer(command)
            return stripe_recipes.push_invoice(command, link.other, moment)
        if isinstance(command, c.EnsureCustomer):
            return stripe_recipes.ensure_customer(command, moment)
        if isinstance(command, c.UpdateCustomer):
            return stripe_recipes.update_customer(command, moment)
        if isinstance(command, c.VoidInvoice):
            return stripe_later.void_invoice(command)
        if isinstance(command, c.SettleInvoice):
            return stripe_later.settle_invoice(command)
        if isinstance(command, c.ReportPayment):
            return stripe_later.report_payment(command)
        if isinstance(command, c.CreditInvoice):
            return stripe_later.credit_invoice(command)
        return stripe_recipes.drop_draft(command)

    def _posting_rules(self, stored: Stored) -> sap_recipes.PostingRules:
        self._prove_marker()
        ledger = self.sap.ledger()
        local = rules_of(self.tenant).iso(ledger.local_currency) or ledger.local_currency
        return sap_recipes.PostingRules(
            self.tenant.sap.marker_field, ledger.approvals, local, lambda: self._proof == "empty", again=stored.generation > 1
        )

    def _prove_marker(self) -> None:
        """Before the first SAP write of a company: prove by reads that our mark can be found again, and remember it."""
        key = f"proof/{self.sap.marker_field}"
        if self._proof is None:
            self._proof = self.journal.cursor(key)
        if self._proof not in ("proved", "empty"):
            self._proof = self.sap.prove_marker()
            self.journal.set_cursor(key, self._proof)

    def complete_proof(self, question: dict[str, Any]) -> dict[str, Any]:
        """Answer the recipe's question after the first own document: can it be found by its mark?"""
        self.sap.complete_proof(question["marker"])
        self._proof = "proved"
        return {}

    def note_proof(self) -> None:
        """Remember a proof that was completed while workers were busy."""
        key = f"proof/{self.sap.marker_field}"
        if self._proof == "proved" and self.journal.cursor(key) != "proved":
            self.journal.set_cursor(key, "proved")

    def close(self) -> None:
        """End sessions, connections, workers; give the lock back."""
        try:
            self.carrier.close()
            self.note_proof()
            self.sap.system.close()
            self.stripe.system.close()
        finally:
            self.lock.release()
            self.database.close()


def open_tenant(
    settings: Settings,
    tenant: Tenant,
    resolver: Resolver,
    seams: Seams,
    *,
    holder: str,
    lock_timeout: float = 0.0,
    create: bool = True,
) -> OpenTenant:
    """Open a tenant for writing: its lock first, then its state, then its systems (which log in when they are first used).

    Raises LockedError, CredentialError, SecretStoreError, ConfigError, NewerStateError, NoStateError.
    """
    if tenant.stripe is None:
        raise ConfigError(
            f"tenant {tenant.name} has no stripe section", hint="give it one; GoCardless alone comes with a later version"
        )
    if tenant.gocardless is not None:
        raise ConfigError(
            f"tenant {tenant.name} collects by GoCardless too, which this version does not read: an invoice could be asked for twice",
            hint="take the gocardless section out, or wait for the version that honours it",
        )
    run_id = random_ids.token_hex(6)
    lock = TenantLock(settings.state, tenant.sap.company_db, seams.clock)
    lock.acquire(holder, lock_timeout)
    try:
        database = Database.open(settings.state, create=create)
        journal = Journal(database, tenant.sap.company_db, run_id, seams.clock, resolver.redactor.clean)
        sap = SapReads(sap_system(tenant, resolver, seams))
        stripe = StripeReads(stripe_system(tenant, resolver, seams))
        carrier = Carrier(journal, {"sap": sap.system, "stripe": stripe.system}, _not_wired, seams.clock, seams.threads)
        opened = OpenTenant(settings, tenant, seams, database, journal, sap, stripe, carrier, lock, run_id)
        carrier.recipes = opened.recipes
        sap.system.answers["complete_proof"] = opened.complete_proof
    except BaseException:
        lock.release()
        raise
    return opened


def _not_wired(stored: Stored) -> Recipe:
    raise AssertionError(f"a carrier without recipes: {stored.name}")


def _no_customer(command: c.PushInvoice) -> Recipe:
    yield from ()
    return Hold("no_customer", f"{command.card_code} has no customer at Stripe yet: see its own item")


def sap_system(tenant: Tenant, resolver: Resolver, seams: Seams) -> SapSystem:
    """Build the way to a tenant's SAP; it logs in when it is first used."""
    config = tenant.sap
    password = resolver.resolve(tenant.name, "sap.password", config.password)
    login = Login(tenant.name, config.url, config.company_db, config.username, password.reveal, password.origin)
    options = SapOptions(
        page_size=config.page_size, workers=config.workers, connect=config.timeout.connect, read=config.timeout.read,
        write=config.timeout.write, settle=float(config.settle_seconds), ca_bundle=str(config.ca_bundle) if config.ca_bundle else None,
        verify_tls=config.verify_tls, marker_field=config.marker_field,
    )  # fmt: skip
    kept = resolver.session_store() if config.password is None else None  # where the password is, the session may be kept too
    return SapSystem(login, options, seams.clock, transport=seams.transports.get("sap"), store=kept, log=seams.log)


def stripe_system(tenant: Tenant, resolver: Resolver, seams: Seams) -> StripeSystem:
    """Build the way to a tenant's Stripe account. Raises ConfigError where the key is of another mode."""
    config = tenant.stripe
    assert config is not None
    key = resolver.resolve(tenant.name, "stripe.secret_key", config.secret_key)
    if key.reveal().startswith(("sk_live_", "rk_live_")):
        raise ConfigError(
            f"tenant {tenant.name} is in test mode, but stripe.secret_key is a live key",
            hint="use the key of a sandbox or of test mode",
        )
    limits = config.rate_limit
    options = StripeOptions(
        config.url, tenant.name, limits.total or 25.0, limits.operation or 25.0, livemode=False, where=key.origin
    )
    return StripeSystem(key.reveal, options, seams.clock, transport=seams.transports.get("stripe"), log=seams.log)


def rules_of(tenant: Tenant) -> Rules:
    """Return the rules a tenant's configuration sets for its documents and money."""
    stripe = tenant.stripe
    accounts = stripe.clearing_account if stripe is not None else {}
    return Rules(
        company=tenant.sap.company_db, zone=tenant.zone, start=tenant.start_date, currencies=dict(tenant.currencies),
        closed_period=tenant.closed_period, installments=tenant.sap.installments, invoice_filter=tenant.sap.invoice_filter,
        on_unmatched=stripe.on_unmatched if stripe else "hold", min_days_due=stripe.min_days_due if stripe else 7,
        mail=bool(stripe and stripe.delivery == "stripe_email"),
        clearing=dict(accounts) if isinstance(accounts, Mapping) else {"": str(accounts)},
    )  # fmt: skip


def refuse_shared_companies(settings: Settings) -> None:
    """Refuse two tenants on one company: both would push the same invoices."""
    seen: dict[str, str] = {}
    for tenant in settings.tenants.values():
        other = seen.setdefault(tenant.sap.company_db, tenant.name)
        if other != tenant.name:
            raise ConfigError(
                f"tenants {other} and {tenant.name} name the same company {tenant.sap.company_db}: its invoices would be asked for twice",
                hint="keep one of them; two companies of one name on two servers want two configurations with two state files",
            )


def state_file(settings: Settings) -> Path:
    """Return where the state is kept."""
    return Path(settings.state)


def push_name(company: str, doc_entry: int) -> str:
    """Return the name of the wish that an invoice is pushed."""
    return intent_name(company, "push-invoice", "stripe", str(doc_entry))
