"""What ping asks SAP: everything that a first posting needs, read before anything is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlc.cli.checks import Checks
from mlc.core import errors

if TYPE_CHECKING:
    from mlc.config import Settings, Tenant
    from mlc.systems.sap.reads import SapReads

_PAYMENTS, _ENTRIES = ("24", "incoming payments"), ("30", "journal entries")


def ping_sap(settings: Settings, tenant: Tenant, checks: Checks) -> None:
    """Log in to SAP and look for what a first posting of this tenant lacks."""
    from mlc.cli.books import note_login
    from mlc.opening import sap_system
    from mlc.systems.sap.reads import SapReads

    sap: SapReads | None = None

    def login() -> str:
        nonlocal sap
        sap = SapReads(sap_system(tenant, checks.session.resolver(settings), checks.seams))
        company = sap.company()
        return f"{company.get('CompanyName') or tenant.sap.company_db}, Service Layer {company.get('Version') or 'of unknown version'}"

    accepted = checks.attempt("sap login", login)
    if sap is None:
        return
    note_login(settings, tenant, sap.system)
    try:
        if accepted:
            _Look(tenant, sap, checks).all()
    finally:
        sap.system.close()


class _Look:
    """The looks at one company."""

    def __init__(self, tenant: Tenant, reads: SapReads, checks: Checks) -> None:
        from mlc.wiring import rules_of

        self.tenant, self.reads, self.checks = tenant, reads, checks
        self.rules = rules_of(tenant)
        stripe = tenant.stripe
        self.books = stripe is not None and "book" in (stripe.refunds, stripe.disputes)
        self.entries = tenant.gocardless is not None or self.books or (stripe is not None and bool(stripe.bank_account))

    def all(self) -> None:
        """Look at everything, in the order in which a posting would meet it."""
        checks, reads = self.checks, self.reads
        iso = self._currency()
        checks.attempt("sap invoices", self._can_read)
        if self.tenant.stripe is not None:
            checks.attempt("sap marker", self._marker)
        if self.entries:
            checks.attempt("sap entries", self._entry_marker)
        if self.books:
            checks.attempt("sap outgoing payments", self._outgoing)
        self._accounts(iso or "EUR")
        self._period()
        self._series()
        self._branches()
        self._rates(iso or "")
        checks.skew("sap clock", reads.system.date)
        if reads.ledger().approvals:
            text = "approval procedures apply to the Service Layer: a payment may wait there as a draft"
            checks.add("warn", "sap approvals", text)

    def _currency(self) -> str | None:
        local = self.reads.ledger().local_currency
        iso = self.rules.iso(local)
        if iso is None:
            text = f'the local currency is {local!r}; say what it is in currencies: {{"{local}": EUR}}'
            self.checks.add("fail", "sap currency", text, errors.USAGE)
        else:
            self.checks.add("ok", "sap currency", f"{iso} ({local})" if iso != local else iso)
        return iso

    def _can_read(self) -> str:
        from datetime import date

        next(iter(self.reads.open_invoices(date(2000, 1, 1), 2**31 - 1, None)), None)
        return "readable, with the amount paid to date"

    def _outgoing(self) -> str:
        from datetime import date

        from mlc.systems.sap import back

        back.withdrawals(self.reads, (), (), date(9999, 1, 1))
        return "readable: a refund that somebody keyed is seen"

    def _marker(self) -> str:
        state = self.reads.prove_marker()
        return f"{self.reads.marker_field} filters" + _still_open(state, "document")

    def _entry_marker(self) -> str:
        state = self.reads.prove_entries()
        return f"{self.reads.entry_field} of journal entries filters" + _still_open(state, "entry")

    # --- accounts ---------------------------------------------------------------------------------------------------

    def _accounts(self, currency: str) -> None:
        from mlc.config import account_for
        from mlc.passes.payout_batch import ROLES

        wanted: dict[str, str] = {}
        if self.rules.debits is not None:
            wanted = {
                f"gocardless.{role}" + (f" {key}" if key else ""): code
                for role in ROLES
                for key, code in self.rules.debits.accounts.get(role, {}).items()
                if code
            }
        stripe = self.tenant.stripe
        for name in ("clearing_account", "fee_account", "bank_account", "suspense_account", "vat_account"):
            code = account_for(getattr(stripe, name, None), currency) if stripe is not None else None
            if code:
                wanted[f"stripe.{name}"] = code
        self._look_up(wanted)
        if stripe is not None and "stripe.clearing_account" not in wanted:
            self.checks.add("fail", "stripe.clearing_account", f"there is none for {currency}", errors.USAGE)

    def _look_up(self, wanted: dict[str, str]) -> None:
        found = self.reads.accounts(wanted.values()) if wanted else {}
        for name, code in wanted.items():
            account = found.get(code)
            if account is None:
                self.checks.add("fail", name, f"SAP has no account {code}", errors.USAGE)
            elif not account.active or not account.postable:
                text = f"{code} {account.name} cannot be posted to: inactive, frozen or locked for manual entries"
                self.checks.add("fail", name, text, errors.USAGE)
            else:
                self.checks.add("ok", name, f"{code} {account.name}")

    # --- what a document needs --------------------------------------------------------------------------------------

    def _period(self) -> None:
        today = self.checks.today
        periods = self.reads.periods()
        if not periods:
            text = "this Service Layer does not tell posting periods; SAP refuses a closed one by itself"
            self.checks.add("warn", "sap period", text)
        elif any(one.first <= today <= one.last and one.open for one in periods):
            self.checks.add("ok", "sap period", f"the period of {today} is open")
        else:
            text = f"the period of {today} is closed or does not exist: payments of today would be held"
            self.checks.add("fail", "sap period", text, errors.ATTENTION)

    def _series(self) -> None:
        kinds = [_PAYMENTS] if self.tenant.stripe is not None else []
        for document, name in [*kinds, *([_ENTRIES] if self.entries else [])]:
            has = self.reads.has_series(document)
            if has is None:
                text = f"this Service Layer does not tell the series of {name}; SAP refuses a document without one by itself"
                self.checks.add("warn", "sap series", text)
            elif has:
                self.checks.add("ok", "sap series", f"there is one for {name}")
            else:
                text = f"no numbering series takes {name}: define one under Administration, Document Numbering"
                self.checks.add("fail", "sap series", text, errors.ATTENTION)

    def _branches(self) -> None:
        if not self.reads.ledger().branches:
            return
        debits = self.tenant.gocardless
        if debits is not None and not debits.branches:
            text = "the company has branches: name one for each creditor in gocardless.branches, or its payouts are held"
            self.checks.add("fail", "sap branches", text, errors.ATTENTION)
        elif self.tenant.stripe is not None and self.tenant.stripe.bank_account:
            self.checks.add("warn", "sap branches", "the company has branches: Stripe's payouts of it are held")
        else:
            self.checks.add("ok", "sap branches", "the company has branches; payments take that of their invoices")

    def _rates(self, local: str) -> None:
        """Look for SAP's rates of today: of the system currency, and of what payouts arrive in."""
        ledger, today = self.reads.ledger(), self.checks.today
        if ledger.system_currency and ledger.system_currency != ledger.local_currency:
            if self.reads.rate(ledger.system_currency, today) is None:
                text = f"SAP has no rate of its system currency {ledger.system_currency} for {today}: it would refuse every posting"
                self.checks.add("fail", "sap rate", text, errors.ATTENTION)
            else:
                self.checks.add("ok", "sap rate", f"{ledger.system_currency}, the system currency, for {today}")
        banks = self.rules.debits.accounts.get("bank_account", {}) if self.rules.debits is not None else {}
        for currency in sorted(key for key in banks if len(key) == 3 and key != local):
            code = next((own for own, iso in self.rules.currencies.items() if iso == currency), currency)
            if self.reads.rate(code, today) is None:
                text = (
                    f"SAP has no rate of {code} for {today}: a payout in it is held until there is one for the day it arrives"
                )
                self.checks.add("warn", "sap rate", text)
            else:
                self.checks.add("ok", "sap rate", f"{code} for {today}")


def _still_open(state: str, what: str) -> str:
    return "" if state == "proved" else f" (no {what} carries one yet; the first own one completes the proof)"
