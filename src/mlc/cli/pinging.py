"""The command that logs in everywhere and checks what a first posting needs: ping."""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import typer

from mlc.cli import options as o
from mlc.cli.render import age
from mlc.cli.session import Session
from mlc.core import errors
from mlc.core.errors import MlcError

if TYPE_CHECKING:
    from mlc.config import Settings, Tenant
    from mlc.systems.gocardless.reads import GoCardlessReads
    from mlc.systems.sap.reads import SapReads
    from mlc.systems.stripe.reads import StripeReads

_SKEW = 120.0


class Checks:
    """The lines of a ping: each ok, warn or fail, with what to do next."""

    def __init__(self, session: Session, tenant: str) -> None:
        self.session = session
        self.tenant = tenant
        self.rows: list[tuple[str, str, str]] = []

    def add(self, state: str, what: str, text: str, code: int = errors.OK) -> None:
        """Add a line."""
        self.rows.append((what, state, text))
        self.session.codes.append(code)
        if self.session.options.json:
            self.session.voice.emit("check", tenant=self.tenant, check=what, state=state, text=text, exit_code=code)

    def attempt(self, what: str, look: Callable[[], str]) -> bool:
        """Add a line from a look that says ok by returning, fail by raising."""
        try:
            self.add("ok", what, look())
        except MlcError as error:
            self.add("fail", what, f"{error.message}; {error.hint}" if error.hint else error.message, error.exit_code)
            return False
        return True


def ping(
    config: o.Config = None, tenant: o.Tenants = None, json: o.Json = False, quiet: o.Quiet = False, verbose: o.Verbose = 0
) -> None:
    """Log in and read at every end, and check what a first posting needs."""
    session = Session(o.common(config, tenant, json=json, quiet=quiet, verbose=verbose))
    with session.guarded():
        settings = session.settings()
        for one in session.tenants(settings):
            checks = Checks(session, one.name)
            with session.guarded(f"{one.name}: "):
                given = _ping_mode(settings, one, checks)
                _ping_sap(session, settings, one, checks)
                _ping_stripe(session, settings, one, given, checks)
                _ping_gocardless(session, settings, one, given, checks)
            rows = [row for row in checks.rows if not quiet or row[1] != "ok"]
            if rows and not json:
                session.voice.table(["tenant", "check", "", "what was found"], [(one.name, *row) for row in rows])
    session.end()


def _ping_sap(session: Session, settings: Settings, tenant: Tenant, checks: Checks) -> None:
    from mlc.systems.sap.reads import SapReads
    from mlc.wiring import Seams, rules_of, sap_system

    seams = Session.seams or Seams()
    sap: SapReads | None = None

    def login() -> str:
        nonlocal sap
        sap = SapReads(sap_system(tenant, session.resolver(settings), seams))
        company = sap.company()
        return f"{company.get('CompanyName') or tenant.sap.company_db}, Service Layer {company.get('Version') or 'of unknown version'}"

    if not checks.attempt("sap login", login) or sap is None:
        return
    reads, rules = sap, rules_of(tenant)
    try:
        local = reads.ledger().local_currency
        iso = rules.iso(local)
        if iso is None:
            checks.add(
                "fail",
                "sap currency",
                f'the local currency is {local!r}; say what it is in currencies: {{"{local}": EUR}}',
                errors.USAGE,
            )
        else:
            checks.add("ok", "sap currency", f"{iso} ({local})" if iso != local else iso)
        checks.attempt("sap invoices", lambda: _can_read(reads))
        if tenant.stripe is not None:
            checks.attempt("sap marker", lambda: _marker(reads))
        stripe = tenant.stripe
        books = stripe is not None and "book" in (stripe.refunds, stripe.disputes)
        if tenant.gocardless is not None or books or (stripe is not None and stripe.bank_account):
            checks.attempt("sap entries", lambda: _entry_marker(reads))
        if books:
            checks.attempt("sap outgoing payments", lambda: _outgoing(reads))
        if tenant.gocardless is not None:
            _debit_accounts(tenant, reads, checks)
        _accounts(tenant, reads, iso or "EUR", checks)
        _period(tenant, reads, checks)
        _skew("sap clock", reads.system.date, checks)
        if reads.ledger().approvals:
            checks.add(
                "warn", "sap approvals", "approval procedures apply to the Service Layer: a payment may wait there as a draft"
            )
    finally:
        reads.system.close()


def _can_read(reads: SapReads) -> str:
    from datetime import date

    next(iter(reads.open_invoices(date(2000, 1, 1), 2**31 - 1, None)), None)
    return "readable, with the amount paid to date"


def _outgoing(reads: SapReads) -> str:
    from datetime import date

    from mlc.systems.sap import back

    back.withdrawals(reads, (), (), date(9999, 1, 1))
    return "readable: a refund that somebody keyed is seen"


def _marker(reads: SapReads) -> str:
    state = reads.prove_marker()
    return f"{reads.marker_field} filters" + (
        "" if state == "proved" else " (no document carries one yet; the first own one completes the proof)"
    )


def _entry_marker(reads: SapReads) -> str:
    state = reads.prove_entries()
    return f"{reads.entry_field} of journal entries filters" + (
        "" if state == "proved" else " (no entry carries one yet; the first own one completes the proof)"
    )


def _debit_accounts(tenant: Tenant, reads: SapReads, checks: Checks) -> None:
    from mlc.passes.payout_batch import ROLES
    from mlc.wiring import rules_of

    rules = rules_of(tenant).debits
    assert rules is not None
    wanted = {
        f"gocardless.{role}" + (f" {key}" if key else ""): code
        for role in ROLES
        for key, code in rules.accounts.get(role, {}).items()
        if code
    }
    _check_accounts(wanted, reads, checks)


def _accounts(tenant: Tenant, reads: SapReads, currency: str, checks: Checks) -> None:
    from mlc.config import account_for

    stripe = tenant.stripe
    wanted = {}
    for name in ("clearing_account", "fee_account", "bank_account", "suspense_account", "vat_account"):
        code = account_for(getattr(stripe, name, None), currency) if stripe is not None else None
        if code:
            wanted[f"stripe.{name}"] = code
    _check_accounts(wanted, reads, checks)
    if stripe is not None and "stripe.clearing_account" not in wanted:
        checks.add("fail", "stripe.clearing_account", f"there is none for {currency}", errors.USAGE)


def _check_accounts(wanted: dict[str, str], reads: SapReads, checks: Checks) -> None:
    found = reads.accounts(wanted.values()) if wanted else {}
    for name, code in wanted.items():
        account = found.get(code)
        if account is None:
            checks.add("fail", name, f"SAP has no account {code}", errors.USAGE)
        elif not account.active or not account.postable:
            checks.add(
                "fail",
                name,
                f"{code} {account.name} cannot be posted to: inactive, frozen or locked for manual entries",
                errors.USAGE,
            )
        else:
            checks.add("ok", name, f"{code} {account.name}")


def _period(tenant: Tenant, reads: SapReads, checks: Checks) -> None:
    from datetime import datetime

    today = datetime.now(tenant.zone).date()
    periods = reads.periods()
    if not periods:
        checks.add("warn", "sap period", "this Service Layer does not tell posting periods; SAP refuses a closed one by itself")
    elif any(one.first <= today <= one.last and one.open for one in periods):
        checks.add("ok", "sap period", f"the period of {today} is open")
    else:
        checks.add(
            "fail",
            "sap period",
            f"the period of {today} is closed or does not exist: payments of today would be held",
            errors.ATTENTION,
        )


def _skew(what: str, header: str, checks: Checks) -> None:
    if not header:
        return
    skew = parsedate_to_datetime(header).timestamp() - time.time()
    if abs(skew) > _SKEW:
        checks.add("warn", what, f"differs from this machine's by {age(abs(skew))}")
    else:
        checks.add("ok", what, "agrees with this machine's")


def _ping_stripe(session: Session, settings: Settings, tenant: Tenant, given: dict[str, str], checks: Checks) -> None:
    from mlc.systems.stripe.client import StripeSystem
    from mlc.systems.stripe.reads import StripeReads
    from mlc.wiring import Seams, stripe_system

    config = tenant.stripe
    if config is None:
        return
    seams = Session.seams or Seams()
    stripe: StripeSystem | None = None

    def login() -> str:
        nonlocal stripe
        stripe = stripe_system(tenant, session.resolver(settings), seams)
        kinds = ["customers", "invoices", "refunds", "disputes", *(["payouts"] if config.bank_account else []), "events"]
        for kind in kinds:
            stripe.get(f"/v1/{kind}", {"limit": 1})
        return f"key accepted, {', '.join(kinds[:-1])} and events readable, {tenant.mode} mode"

    accepted = checks.attempt("stripe key", login)
    if stripe is not None:
        if accepted:
            _party(tenant, StripeReads(stripe), given, checks)
        _skew("stripe clock", stripe.date, checks)
        stripe.close()


def _ping_gocardless(session: Session, settings: Settings, tenant: Tenant, given: dict[str, str], checks: Checks) -> None:
    from mlc.systems.gocardless.client import GoCardlessSystem
    from mlc.systems.gocardless.reads import GoCardlessReads
    from mlc.wiring import Seams, gocardless_system

    if tenant.gocardless is None:
        return
    seams = Session.seams or Seams()
    debits: GoCardlessSystem | None = None

    def login() -> str:
        nonlocal debits
        debits = gocardless_system(tenant, session.resolver(settings), seams)
        for kind in ("payouts", "payments", "mandates", "customers", "events"):
            debits.get(f"/{kind}", {"limit": 1})
        return f"token accepted, payouts, payments, mandates, customers and events readable, {tenant.mode} mode"

    accepted = checks.attempt("gocardless token", login)
    if debits is not None:
        if accepted:
            _party(tenant, GoCardlessReads(debits), given, checks)
        _skew("gocardless clock", debits.date, checks)
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
