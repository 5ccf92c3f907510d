"""open_tenant: a tenant made ready for a run, and what the road and its recipes need of it. What it stands on is opened in opening.py."""

from __future__ import annotations

import secrets as random_ids
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from mlc.core import commands as c
from mlc.core.clues import Habits
from mlc.core.errors import LimitError
from mlc.core.intents import Hold, Recipe
from mlc.core.keys import SAFE_ORDER
from mlc.core.roles import System
from mlc.core.shares import Dimensions
from mlc.engine.carry import Carrier
from mlc.engine.limits import Limits, minor_limits
from mlc.engine.report import Report
from mlc.engine.road import Options, Road
from mlc.opening import Seams, gocardless_system, held_off, note_login, sap_system, stripe_system
from mlc.passes.payout_batch import ROLES
from mlc.passes.post_payments import PostPayments
from mlc.passes.push_invoices import PushInvoices
from mlc.passes.reconcile_payouts import ReconcilePayouts
from mlc.passes.scene import CustomerRules, DebitRules, Rules, Scene
from mlc.passes.sync_customers import SyncCustomers
from mlc.store.clearance import Clearance
from mlc.store.database import Database
from mlc.store.journal import Journal
from mlc.store.lock import TenantLock
from mlc.store.records import Stored
from mlc.systems.gocardless.reads import GoCardlessReads
from mlc.systems.live import Party, party, refuse_changed
from mlc.systems.sap import entries as sap_entries
from mlc.systems.sap import partners as sap_partners
from mlc.systems.sap import recipes as sap_recipes
from mlc.systems.sap.reads import SapReads
from mlc.systems.stripe import customers as stripe_customers
from mlc.systems.stripe import later as stripe_later
from mlc.systems.stripe import recipes as stripe_recipes
from mlc.systems.stripe.reads import StripeReads

if TYPE_CHECKING:
    from mlc.config import Settings, Tenant
    from mlc.secrets import Resolver

_LEAVING = 5.0  # seconds to log out and close connections after an interrupt
PASSES: dict[str, Callable[[Scene], Any]] = {
    "post-payments": PostPayments,
    "reconcile-payouts": ReconcilePayouts,
    "sync-customers": SyncCustomers,
    "push-invoices": PushInvoices,
}
RUN_ORDER = SAFE_ORDER
assert tuple(PASSES) == SAFE_ORDER, "the passes are listed in the order in which they are safe"
STRIPE_ROLES = ("clearing_account", "fee_account", "bank_account", "suspense_account", "vat_account")


@dataclass(slots=True)
class OpenTenant:
    """One tenant, opened for a run."""

    settings: Settings
    tenant: Tenant
    seams: Seams
    database: Database
    journal: Journal
    sap: SapReads
    stripe: StripeReads | None
    gocardless: GoCardlessReads | None
    carrier: Carrier
    lock: TenantLock
    run_id: str
    cleared: bool = False  # whether it may write: in mode live a person has typed the company's name
    _proofs: dict[str, str] = field(default_factory=dict)

    def scene(self, since: date | None = None) -> Scene:
        """Return what a pass works in."""
        return Scene(
            rules_of(self.tenant),
            self.sap,
            self.stripe,
            self.journal,
            self.seams.clock,
            self.tenant.name,
            since,
            self.gocardless,
        )

    def lacks(self, pass_: str) -> str:
        """Return what a pass needs and this tenant does not have, "" where it has all."""
        return self.tenant.lacks(pass_)

    def clear(self, ask: Callable[[str, list[Party], list[str]], str] | None) -> None:
        """Let this tenant write. In mode live the accounts behind the keys are read, and a person must have confirmed each.

        `ask` is told SAP's name of the company, the parties, and whose place they take; it returns who confirmed them, or raises.
        None is for a dry run: it may read, and is cleared for nothing.
        """
        if self.tenant.mode == "live":
            clearance = Clearance(self.journal)
            found, known = [party(one) for one in (self.stripe, self.gocardless) if one is not None], clearance.known()
            missing = [one for one in found if not known.get(one.key)]
            former = [key for key in known for one in missing if key.startswith(f"{one.system}/") and key != one.key]
            if ask is None:
                refuse_changed(self.tenant, missing, [key for key in former if known[key]])
                clearance.note([one.key for one in missing])
                return
            if missing:
                name = str(self.sap.company().get("CompanyName") or "")
                clearance.give([one.key for one in missing], ask(name, found, former), former)
        self.cleared = True

    def road(self, pass_: str, options: Options, tell: Callable[[Any], None] = lambda _item: None) -> Road:
        """Return the road that one pass takes. Raises LimitError where mode live was not cleared to write."""
        if self.tenant.mode == "live" and not (options.dry_run or self.cleared):
            raise LimitError(
                f"tenant {self.tenant.name} is live and was not cleared to write",
                hint=f"run mlc {pass_} and type the company's name",
            )
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
        if isinstance(command, c.PostEntry):
            return sap_entries.post_entry(
                command, sap_entries.EntryRules(self._posting_rules(stored, entries=True), self.sap.entry_field)
            )
        if isinstance(command, c.NoteMandate):
            return sap_recipes.note_mandate(command)
        if isinstance(command, c.Reconcile):
            return sap_entries.reconcile(command)
        if isinstance(command, c.PostPayment):
            return sap_recipes.post_payment(command, self._posting_rules(stored))
        if isinstance(command, c.PushInvoice):
            link = self.journal.links.get("customer", command.card_code)
            if link is None or not link.other or link.state != "linked":
                return _no_customer(command)
            return stripe_recipes.push_invoice(command, link.other, moment)
        if isinstance(command, c.EnsureCustomer):
            return stripe_customers.ensure_customer(command, moment)
        if isinstance(command, c.UpdateCustomer):
            return stripe_customers.update_customer(command)
        if isinstance(command, c.NoteFigures):
            return stripe_customers.note_figures(command)
        if isinstance(command, c.PauseSubscription):
            return stripe_customers.pause_subscription(command)
        if isinstance(command, c.UpdatePartner):
            return sap_partners.update_partner(command)
        if isinstance(command, c.CreatePartner):
            return sap_partners.create_partner(command)
        if isinstance(command, c.VoidInvoice):
            return stripe_later.void_invoice(command)
        if isinstance(command, c.SettleInvoice):
            return stripe_later.settle_invoice(command)
        if isinstance(command, c.ReportPayment):
            return stripe_later.report_payment(command)
        if isinstance(command, c.CreditInvoice):
            return stripe_later.credit_invoice(command)
        return stripe_recipes.drop_draft(command)

    def _posting_rules(self, stored: Stored, *, entries: bool = False) -> sap_recipes.PostingRules:
        key = self._prove(entries=entries)
        ledger = self.sap.ledger()
        local = rules_of(self.tenant).iso(ledger.local_currency) or ledger.local_currency
        return sap_recipes.PostingRules(
            self.tenant.sap.marker_field,
            ledger.approvals,
            local,
            lambda: self._proofs[key] == "empty",
            again=stored.generation > 1,
        )

    def _proof_key(self, *, entries: bool) -> str:
        return f"proof/JournalEntries.{self.sap.entry_field}" if entries else f"proof/{self.sap.marker_field}"

    def _prove(self, *, entries: bool) -> str:
        """Before the first SAP write of a kind: prove by reads that our mark can be found again, and remember it."""
        key = self._proof_key(entries=entries)
        if key not in self._proofs:
            self._proofs[key] = self.journal.cursor(key) or ""
        if self._proofs[key] not in ("proved", "empty"):
            self._proofs[key] = self.sap.prove_entries() if entries else self.sap.prove_marker()
            self.journal.set_cursor(key, self._proofs[key])
        return key

    def complete_proof(self, question: dict[str, Any]) -> dict[str, Any]:
        """Answer the recipe's question after the first own document: can it be found by its mark?"""
        entries = bool(question.get("entry"))
        key = self._proof_key(entries=entries)
        self._proofs[key] = ""  # disproved, until the look says otherwise: the next write proves anew, and fails
        self.sap.complete_proof(question["marker"], entry=entries)
        self._proofs[key] = "proved"
        return {}

    def note_proof(self) -> None:
        """Remember the proofs that were completed, or failed, while workers were busy."""
        for key, proof in self._proofs.items():
            if proof != "empty" and self.journal.cursor(key) != (proof or None):
                self.journal.set_cursor(key, proof or None)

    def close(self, *, interrupted: bool = False) -> None:
        """End sessions, connections, workers; give the lock back.

        An interrupt may have come while a connection pool's own lock was being taken, which then is never given back: leaving gets
        a few seconds in a thread of its own, and what is left behind ends with the process.
        """
        try:
            self.carrier.close()
            self.note_proof()
            note_login(self.journal, self.tenant, self.sap.system)
            if interrupted:
                leaving = threading.Thread(target=self._leave_anyhow, name="leaving", daemon=True)
                leaving.start()
                leaving.join(_LEAVING)
            else:
                self._leave()
        finally:
            self.lock.release()
            self.database.close()

    def _leave_anyhow(self) -> None:
        with suppress(BaseException):  # the run has ended; what goes wrong with its leaving is nobody's trouble
            self._leave()

    def _leave(self) -> None:
        for reads in (self.sap, self.stripe, self.gocardless):
            if reads is not None:
                reads.system.close()


def new_run_id() -> str:
    """Return a name for a run: twelve hexadecimal digits."""
    return random_ids.token_hex(6)


def open_tenant(
    settings: Settings,
    tenant: Tenant,
    resolver: Resolver,
    seams: Seams,
    *,
    holder: str,
    lock_timeout: float = 0.0,
    create: bool = True,
    run_id: str = "",
    person: bool = False,
) -> OpenTenant:
    """Open a tenant for writing: its lock first, then its state, then its systems (which log in when they are first used).

    A login that SAP refused in an earlier run is tried again at once only where a `person` sits there.

    Raises LockedError, CredentialError, SecretStoreError, ConfigError, NewerStateError, NoStateError.
    """
    run_id = run_id or new_run_id()
    lock = TenantLock(settings.state, tenant.sap.company_db, seams.clock)
    lock.acquire(holder, lock_timeout)
    try:
        database = Database.open(settings.state, create=create)
        journal = Journal(database, tenant.sap.company_db, run_id, seams.clock, resolver.redactor.clean)
        Clearance(journal).refuse_other_mode(tenant.name, tenant.mode)
        sap = SapReads(sap_system(tenant, resolver, seams, "" if person else held_off(journal, tenant)))
        stripe = StripeReads(stripe_system(tenant, resolver, seams)) if tenant.stripe is not None else None
        debits = GoCardlessReads(gocardless_system(tenant, resolver, seams)) if tenant.gocardless is not None else None
        systems: dict[str, System] = {"sap": sap.system}
        systems |= {"stripe": stripe.system} if stripe is not None else {}
        carrier = Carrier(journal, systems, _not_wired, seams.clock, seams.threads)
        opened = OpenTenant(settings, tenant, seams, database, journal, sap, stripe, debits, carrier, lock, run_id)
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


def rules_of(tenant: Tenant) -> Rules:
    """Return the rules a tenant's configuration sets for its documents and money."""
    stripe = tenant.stripe
    return Rules(
        company=tenant.sap.company_db, zone=tenant.zone, start=tenant.start_date, currencies=dict(tenant.currencies),
        closed_period=tenant.closed_period, installments=tenant.sap.installments, invoice_filter=tenant.sap.invoice_filter,
        on_unmatched=stripe.on_unmatched if stripe else "hold", min_days_due=stripe.min_days_due if stripe else 7,
        mail=bool(stripe and stripe.delivery == "stripe_email"),
        accounts={role: _by_currency(getattr(stripe, role, None)) for role in STRIPE_ROLES},
        refunds=stripe.refunds if stripe else "hold", disputes=stripe.disputes if stripe else "hold",
        credit_rest=stripe.credit_rest if stripe else "leave",
        also_with_mandate=bool(stripe and stripe.also_with_mandate), debits=_debit_rules(tenant),
        customers=_customer_rules(tenant),
    )  # fmt: skip


def _by_currency(account: object) -> dict[str, str]:
    """Return an account as a map by currency, "" for every currency."""
    if account is None:
        return {}
    return dict(account) if isinstance(account, Mapping) else {"": str(account)}


def _customer_rules(tenant: Tenant) -> CustomerRules:
    if tenant.stripe is None:
        return CustomerRules()
    config = tenant.stripe.customers
    return CustomerRules(
        config.owner.model_dump(), config.create_in_sap, config.card_code_prefix, config.group, config.hold_field or "",
        config.pause_subscriptions,
    )  # fmt: skip


def _debit_rules(tenant: Tenant) -> DebitRules | None:
    config = tenant.gocardless
    if config is None:
        return None
    dimensions = {
        number: ("invoice", "") if rule == "invoice" else next(iter(rule.items())) for number, rule in config.dimensions.items()
    }  # fmt: skip
    return DebitRules(
        Habits(tenant.sap.company_db, config.invoice_keys, config.invoice_pattern), config.customer_key,
        {role: _by_currency(getattr(config, role)) for role in ROLES}, Dimensions(dimensions), dict(config.branches),
        config.on_unmatched, config.partner_payouts, config.mandate_field or "",
    )  # fmt: skip
