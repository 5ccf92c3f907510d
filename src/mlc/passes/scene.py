"""What every pass works in: the company, its rules, and the ways to read both sides."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import TypeVar
from zoneinfo import ZoneInfo

from mlc.clock import Clock
from mlc.core.clues import Habits
from mlc.core.errors import ConfigError, UnexpectedAnswerError
from mlc.core.facts import Ledger, Period
from mlc.core.keys import intent_name
from mlc.core.shares import Dimensions
from mlc.store.journal import Journal
from mlc.systems.gocardless.reads import GoCardlessReads
from mlc.systems.sap.reads import SapReads
from mlc.systems.stripe.reads import StripeReads

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DebitRules:
    """What the configuration says about GoCardless and the accounts its payouts are split over."""

    habits: Habits
    customer_key: str
    accounts: Mapping[str, Mapping[str, str]]  # role -> currency or bank account ("" = every) -> account as configured
    dimensions: Dimensions
    branches: Mapping[str, int]
    on_unmatched: str = "hold"
    partner_payouts: str = "ignore"
    mandate_field: str = ""  # a user field of the business partner that takes the mandate's reference

    def account(self, role: str, *keys: str) -> str:
        """Return the configured account of a role for the first of these keys that has one, "" where none has."""
        codes = self.accounts.get(role, {})
        return next((codes[key] for key in (*keys, "") if codes.get(key)), "")


@dataclass(frozen=True, slots=True)
class CustomerRules:
    """What the configuration says about customers at Stripe."""

    owners: Mapping[str, str] = field(default_factory=dict)  # contact field -> merge | sap | stripe
    create_in_sap: bool = False
    prefix: str = "ST"
    group: int | None = None
    hold_field: str = ""  # a user field of the business partner that says credit hold; "" = Frozen
    pause: bool = False


@dataclass(frozen=True, slots=True)
class Rules:
    """What the configuration says about a tenant's documents and money."""

    company: str
    zone: ZoneInfo
    start: date
    currencies: dict[str, str] = field(default_factory=dict)
    closed_period: str = "hold"
    installments: str = "hold"
    invoice_filter: str | None = None
    on_unmatched: str = "hold"
    min_days_due: int = 7
    mail: bool = False
    accounts: Mapping[str, Mapping[str, str]] = field(
        default_factory=dict
    )  # Stripe's: role -> currency ("" = every) -> account
    refunds: str = "hold"
    disputes: str = "hold"
    credit_rest: str = "leave"  # what becomes of a credit memo's part that Stripe has collected already
    also_with_mandate: bool = False
    debits: DebitRules | None = None
    customers: CustomerRules = CustomerRules()

    def iso(self, code: str) -> str | None:
        """Return the ISO code of SAP's own currency code, None where nobody said."""
        if code in self.currencies:
            return self.currencies[code]
        return code if re.fullmatch(r"[A-Z]{3}", code) else None

    def account(self, currency: str, role: str = "clearing_account") -> str | None:
        """Return the configured account of a role at Stripe for a currency."""
        codes = self.accounts.get(role, {})
        return codes.get(currency) or codes.get("")


@dataclass
class Scene:
    """One run of one pass over one tenant."""

    rules: Rules
    sap: SapReads
    stripe_account: StripeReads | None
    journal: Journal
    clock: Clock
    tenant: str
    since: date | None = None
    organisation: GoCardlessReads | None = None
    watched: bool = False  # somebody looks on: a request that only tells how much there is to do is worth it

    @property
    def stripe(self) -> StripeReads:
        """Return the ways to read Stripe; passes of a tenant without Stripe never ask."""
        assert self.stripe_account is not None, f"{self.tenant} has no stripe section"
        return self.stripe_account

    @property
    def gocardless(self) -> GoCardlessReads:
        """Return the ways to read GoCardless; passes of a tenant without it never ask."""
        assert self.organisation is not None, f"{self.tenant} has no gocardless section"
        return self.organisation

    @property
    def debits(self) -> DebitRules:
        """Return the rules of a tenant with GoCardless."""
        assert self.rules.debits is not None, f"{self.tenant} has no gocardless section"
        return self.rules.debits

    @property
    def start(self) -> date:
        """Return from when documents count: never before the configured start."""
        return max(self.rules.start, self.since) if self.since else self.rules.start

    @cached_property
    def ledger(self) -> Ledger:
        """Return the company's own settings, read once a run."""
        return self.sap.ledger()

    @cached_property
    def currency(self) -> str:
        """Return the ISO code of SAP's local currency."""
        iso = self.rules.iso(self.ledger.local_currency)
        if iso is None:
            raise ConfigError(
                f"the local currency of {self.rules.company} is {self.ledger.local_currency!r} in SAP, which is no ISO 4217 code",
                hint=f'say what it is: tenants.{self.tenant}.currencies: {{"{self.ledger.local_currency}": EUR}}',
            )
        return iso

    def is_local(self, code: str) -> bool:
        """Tell whether a document's currency is the local one."""
        return code in ("", "##", self.ledger.local_currency)

    @property
    def today(self) -> date:
        """Return the day in the tenant's time zone."""
        return self.day_of(self.clock.now())

    def day_of(self, moment: float | datetime) -> date:
        """Return the day of a moment in the tenant's time zone."""
        if not isinstance(moment, datetime):
            moment = datetime.fromtimestamp(moment, UTC)
        return moment.astimezone(self.rules.zone).date()

    def first_moment(self, margin_days: int = 0) -> datetime:
        """Return the first moment that counts by the configuration, whatever `--since` says, less a margin."""
        begin = datetime(self.rules.start.year, self.rules.start.month, self.rules.start.day, tzinfo=self.rules.zone)
        return begin.astimezone(UTC) - timedelta(days=margin_days)

    def start_moment(self, margin_days: int = 0) -> int:
        """Return the first moment that counts, in Unix seconds, less a margin."""
        begin = datetime(self.start.year, self.start.month, self.start.day, tzinfo=self.rules.zone)
        return int(begin.timestamp()) - margin_days * 86400

    def posting_day(self, day: date, periods: Sequence[Period]) -> date | None:
        """Return the day to post on; None where its period is closed and the configuration says hold."""
        if not periods or any(period.first <= day <= period.last and period.open for period in periods):
            return day
        if self.rules.closed_period != "next_open_day":
            return None
        later = sorted(period.first for period in periods if period.open and period.first > day)
        return later[0] if later and later[0] <= self.today else None

    def name(self, verb: str, thing: object, system: str = "stripe") -> str:
        """Spell the name of a wish of this company at a processor."""
        return intent_name(self.rules.company, verb, system, str(thing))


def letters(scene: Scene, kind: str, read: Callable[[str], T], unread: list[tuple[str, str]]) -> Iterator[list[tuple[str, T]]]:
    """Yield what webhooks delivered of a kind and no run has dealt with, in pages of (event id, what `read` makes of it).

    One that cannot be read stops nobody: it is noted in `unread`, and what it was about is found by polling.
    """
    for page in scene.journal.inbox.waiting(kind):
        found = []
        for letter in page:
            try:
                found.append((letter.id, read(letter.body)))
            except (ValueError, TypeError, KeyError, AttributeError, UnexpectedAnswerError) as error:
                text = f"the delivered event {letter.id} ({letter.type}) cannot be read ({type(error).__name__}): see mlc webhooks show"
                unread.append(("", text))
        yield found


def chunks(items: Iterable[str], size: int) -> list[list[str]]:
    """Return lists of at most `size`, each item once."""
    unique = list(dict.fromkeys(items))
    return [unique[start : start + size] for start in range(0, len(unique), size)]
