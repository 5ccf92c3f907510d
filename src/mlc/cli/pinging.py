"""The command that logs in everywhere and checks what a first posting needs: ping."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from mlc.cli import options as o
from mlc.cli.checks import Checks
from mlc.cli.ping_books import ping_sap
from mlc.cli.session import Session
from mlc.core.errors import MlcError

if TYPE_CHECKING:
    from mlc.config import Settings, Tenant
    from mlc.systems.gocardless.reads import GoCardlessReads
    from mlc.systems.stripe.reads import StripeReads


def ping(
    config: o.Config = None, tenant: o.Tenants = None, json: o.Json = False, quiet: o.Quiet = False, verbose: o.Verbose = 0
) -> None:
    """Log in and read at every end, and check what a first posting needs."""
    session = Session(o.common(config, tenant, json=json, quiet=quiet, verbose=verbose))
    with session.guarded():
        settings = session.settings()
        for one in session.tenants(settings):
            checks = Checks(session, one)
            with session.guarded(f"{one.name}: "):
                given = _ping_mode(settings, one, checks)
                _secrets(settings, one, checks)
                ping_sap(settings, one, checks)
                _ping_stripe(session, settings, one, given, checks)
                _ping_gocardless(session, settings, one, given, checks)
                _watch(settings, one, checks)
            rows = [row for row in checks.rows if not quiet or row[1] != "ok"]
            if rows and not json:
                session.voice.table(["tenant", "check", "", "what was found"], [(one.name, *row) for row in rows])
    session.end()


def _secrets(settings: Settings, tenant: Tenant, checks: Checks) -> None:
    """Say of each secret that is found here and now why a timer may not find it."""
    from mlc.cli.secreting import references, unlike_a_timer

    resolver = checks.session.resolver(settings)
    for name, reference in references(settings, tenant):
        try:
            resolver.resolve(tenant.name, name, reference)  # type: ignore[arg-type]
        except MlcError:
            continue  # what needs it says so below; a webhook's secret is no matter of a posting
        if why := unlike_a_timer(settings, resolver, tenant.name, name, reference):
            checks.add("warn", f"secret {name}", f"works now, will fail under cron: {why}")


def _watch(settings: Settings, tenant: Tenant, checks: Checks) -> None:
    """Say of what shall tell of trouble whether it could: a program that is not there is found out when it is needed."""
    import os
    import shutil

    watch = settings.watch_of(tenant)
    if watch.on_failure and shutil.which(watch.on_failure[0]) is None:
        checks.add("warn", "watch.on_failure", f"there is no program {watch.on_failure[0]} that this user could start")
    folder = watch.prometheus_dir
    if folder is not None and not (folder.is_dir() and os.access(folder, os.W_OK)):
        checks.add(
            "warn", "watch.prometheus_dir", f"{folder} is no folder that this user may write to: make it, and give it to him"
        )


def _ping_stripe(session: Session, settings: Settings, tenant: Tenant, given: dict[str, str], checks: Checks) -> None:
    from mlc.opening import stripe_system
    from mlc.systems.stripe.client import StripeSystem
    from mlc.systems.stripe.reads import StripeReads

    config = tenant.stripe
    if config is None:
        return
    stripe: StripeSystem | None = None

    def login() -> str:
        nonlocal stripe
        stripe = stripe_system(tenant, session.resolver(settings), checks.seams)
        kinds = ["customers", "invoices", "refunds", "disputes", *(["payouts"] if config.bank_account else []), "events"]
        for kind in kinds:
            stripe.get(f"/v1/{kind}", {"limit": 1})
        return f"key accepted, {', '.join(kinds[:-1])} and events readable, {tenant.mode} mode"

    accepted = checks.attempt("stripe key", login)
    if stripe is not None:
        if accepted:
            _party(tenant, StripeReads(stripe), given, checks)
        checks.skew("stripe clock", stripe.date)
        stripe.close()


def _ping_gocardless(session: Session, settings: Settings, tenant: Tenant, given: dict[str, str], checks: Checks) -> None:
    from mlc.opening import gocardless_system
    from mlc.systems.gocardless.client import GoCardlessSystem
    from mlc.systems.gocardless.reads import GoCardlessReads

    if tenant.gocardless is None:
        return
    debits: GoCardlessSystem | None = None

    def login() -> str:
        nonlocal debits
        debits = gocardless_system(tenant, session.resolver(settings), checks.seams)
        for kind in ("payouts", "payments", "mandates", "customers", "events"):
            debits.get(f"/{kind}", {"limit": 1})
        return f"token accepted, payouts, payments, mandates, customers and events readable, {tenant.mode} mode"

    accepted = checks.attempt("gocardless token", login)
    if debits is not None:
        if accepted:
            _party(tenant, GoCardlessReads(debits), given, checks)
        checks.skew("gocardless clock", debits.date)
        debits.close()


def _ping_mode(settings: Settings, tenant: Tenant, checks: Checks) -> dict[str, str]:
    """Show that a tenant is live, refuse a state file of the other mode; returns what a person has confirmed."""
    from mlc.cli.books import confirmed

    given: dict[str, str] = {}
    try:
        given = confirmed(settings, tenant)
    except MlcError as error:
        checks.add("fail", "mode", f"{error.message}; {error.hint}", error.exit_code)
    else:
        if tenant.mode == "live":
            checks.add("ok", "mode", "live: real money")
    return given


def _party(tenant: Tenant, reads: StripeReads | GoCardlessReads, given: dict[str, str], checks: Checks) -> None:
    """Show of a live tenant whose money it is, and whether a person has confirmed that."""
    from mlc.systems.live import party

    if tenant.mode != "live":
        return

    def account() -> str:
        found = party(reads)
        since = given.get(found.key)
        told = f"since {since}" if since else "not yet: the first writing run wants the company's name"
        return f"{found}; confirmed for {tenant.sap.company_db}: {told}"

    checks.attempt(f"{reads.system.name} account", account)


def register(app: typer.Typer) -> None:
    """Add the command of this room."""
    app.command("ping", short_help="Log in everywhere; check what a posting needs.")(ping)
