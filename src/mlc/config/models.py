"""The settings as frozen models: one attribute per key of the file, with the defaults of the contract."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import (
    BeforeValidator,
    Field,
    PrivateAttr,
    ValidationInfo,
    field_serializer,
    field_validator,
    model_validator,
)

from mlc.config import values as v
from mlc.config.references import MasterKey, Model, SecretRef, SecretRefs, Watch
from mlc.core.errors import ConfigError

PassName = Literal["post-payments", "reconcile-payouts", "sync-customers", "push-invoices", "run", "compare"]
Seconds = Annotated[float, BeforeValidator(v.no_boolean), Field(gt=0, allow_inf_nan=False)]
Whole = Annotated[int, BeforeValidator(v.no_boolean)]
GOCARDLESS_HOSTS = {"test": "https://api-sandbox.gocardless.com", "live": "https://api.gocardless.com"}
STRIPE_HOST = "https://api.stripe.com"


class SecretsConfig(Model):
    """The store for every secret that has no reference."""

    store: Literal["keyring", "file", "systemd"] = "keyring"
    file: v.FilePath | None = None
    key: MasterKey | None = None


class Limits(Model):
    """How much one pass of one tenant may write in one run."""

    max_writes: Whole = Field(default=1000, ge=1)
    max_amount: dict[v.Currency, v.Amount] = Field(default_factory=lambda: {"EUR": Decimal(1000000)})


class Timeout(Model):
    """How long SAP may take, in seconds."""

    connect: Seconds = 10.0
    read: Seconds = 60.0
    write: Seconds = 180.0


class Deliverer(Model):
    """A system that may deliver webhooks, each signed with a secret of its endpoint."""

    webhook_secret: SecretRefs = ()

    @property
    def webhook_secrets(self) -> tuple[SecretRef | None, ...]:
        """Return every webhook secret to try; (None,) where the store holds it."""
        return self.webhook_secret or (None,)


class Sap(Deliverer):
    """One company behind one Service Layer."""

    url: v.SapUrl
    company_db: v.Text
    username: v.Text
    password: SecretRef | None = None
    ca_bundle: v.FilePath | None = None
    verify_tls: bool = True
    page_size: Whole = Field(default=100, ge=1)
    workers: Whole = Field(default=1, ge=1, le=32)
    timeout: Timeout = Field(default_factory=Timeout)
    settle_seconds: Whole = Field(default=180, ge=0)
    marker_field: v.UserField | None = None
    claim: bool = False
    installments: Literal["hold", "total", "next_due"] = "hold"
    invoice_filter: v.Text | None = None

    @property
    def version(self) -> int:
        """Return the Service Layer's protocol version, 1 or 2."""
        return int(self.url[-1])

    @field_validator("verify_tls")
    @classmethod
    def _one_of_both(cls, value: bool, info: ValidationInfo) -> bool:
        if not value and info.data.get("ca_bundle") is not None:
            raise ValueError("is false beside a ca_bundle; keep ca_bundle and take verify_tls out")
        return value


class RateLimit(Model):
    """Requests per second; None means Stripe's own figures for the mode."""

    total: Seconds | None = None
    operation: Seconds | None = None


Owner = Literal["merge", "sap", "stripe"]


class Owners(Model):
    """Who has the say over each field of a customer; merge: what changed last, and SAP where both changed."""

    name: Owner = "merge"
    email: Owner = "merge"
    phone: Owner = "merge"
    line1: Owner = "merge"
    city: Owner = "merge"
    postal_code: Owner = "merge"
    country: Owner = "merge"


class StripeCustomers(Model):
    """How customers are kept in agreement between SAP and Stripe."""

    owner: Owners = Field(default_factory=Owners)
    create_in_sap: bool = False
    card_code_prefix: v.Text = "ST"
    group: Annotated[Whole, Field(ge=1)] | None = None
    series: None = None
    hold_field: v.UserField | None = None
    pause_subscriptions: bool = False

    @field_validator("card_code_prefix")
    @classmethod
    def _short(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Z0-9]{1,5}", value):
            raise ValueError(
                "must be one to five capital letters or digits: the rest of the CardCode is drawn; write for example ST"
            )
        return value

    @field_validator("series", mode="before")
    @classmethod
    def _no_series(cls, value: Any) -> None:
        if value is not None:
            raise ValueError(
                "cannot be used: a code that SAP draws by itself cannot be found again after a lost answer; leave series out, "
                "partners are numbered by card_code_prefix and a digest of the Stripe customer"
            )


class Stripe(Deliverer):
    """One Stripe account and the SAP accounts its money passes through."""

    url: v.Endpoint = STRIPE_HOST
    secret_key: SecretRef | None = None
    clearing_account: v.AccountCode
    fee_account: v.AccountCode | None = None
    bank_account: v.AccountCode | None = None
    suspense_account: v.AccountCode | None = None
    vat_account: v.AccountCode | None = None
    on_unmatched: Literal["hold", "on_account"] = "hold"
    refunds: Literal["hold", "book"] = "hold"
    disputes: Literal["hold", "book"] = "hold"
    credit_rest: Literal["leave", "out_of_band"] = "leave"
    rate_limit: RateLimit = Field(default_factory=RateLimit)
    delivery: Literal["none", "stripe_email"] = "none"
    min_days_due: Whole = Field(default=7, ge=0)
    also_with_mandate: bool = False
    customers: StripeCustomers = Field(default_factory=StripeCustomers)


def _default_dimensions() -> dict[int, v.Dimension]:
    return {1: "invoice"}


class GoCardless(Deliverer):
    """One GoCardless account and the SAP accounts its payouts are split over."""

    url: v.Endpoint = GOCARDLESS_HOSTS["test"]
    access_token: SecretRef | None = None
    bank_account: v.BankAccountCode
    branches: dict[Annotated[str, Field(pattern=r"^CR[0-9A-Z]+$")], Annotated[Whole, Field(ge=1)]] = Field(default_factory=dict)
    partner_payouts: Literal["ignore", "hold"] = "ignore"
    fee_account: v.AccountCode
    vat_account: v.AccountCode | None = None
    surcharge_account: v.AccountCode | None = None
    unallocated_account: v.AccountCode | None = None
    clearing_account: v.AccountCode | None = None
    fx_account: v.AccountCode | None = None
    on_unmatched: Literal["hold", "park", "on_account"] = "hold"
    invoice_keys: v.TextList = ("invoice", "invoice_number", "sap_doc_num", "docnum", "docentry")
    customer_key: v.Text = "sap_card_code"
    invoice_pattern: v.Pattern = r"\b\d{4,}\b"
    mandate_field: v.UserField | None = None
    dimensions: dict[Annotated[int, Field(ge=1, le=5)], v.Dimension] = Field(default_factory=_default_dimensions)

    @field_validator("on_unmatched")
    @classmethod
    def _somewhere_to_park(cls, value: str, info: ValidationInfo) -> str:
        if value == "park" and info.data.get("unallocated_account", "unknown") is None:
            raise ValueError("is park, but there is no unallocated_account to park on; name one or set on_unmatched: hold")
        return value


def _default_calendar() -> dict[PassName, str | tuple[str, ...]]:
    return {"push-invoices": "*:0/15", "post-payments": "*:0/5", "reconcile-payouts": "Mon..Fri 07:30"}


class Tenant(Model):
    """One SAP company and the processors whose money belongs to it."""

    timezone: v.Zone = "Europe/Berlin"
    mode: Literal["test", "live"] = "test"
    first_run: Literal["ask", "go"] = "ask"
    start_date: v.Day
    currencies: dict[v.Text, v.Currency] = Field(default_factory=lambda: {"€": "EUR"})
    closed_period: Literal["hold", "next_open_day"] = "hold"
    sap: Sap
    stripe: Stripe | None = None
    gocardless: GoCardless | None = None
    watch: Watch | None = None
    calendar: dict[PassName, v.Calendar] = Field(default_factory=_default_calendar)
    _name: str = PrivateAttr(default="")

    @property
    def name(self) -> str:
        """Return the tenant's label, the key it stands under in the file."""
        return self._name

    @property
    def zone(self) -> ZoneInfo:
        """Return the time zone of the SAP server."""
        return ZoneInfo(self.timezone)

    def lacks(self, name: str) -> str:
        """Return what a pass needs and this tenant does not have, "" where it has all."""
        if name in ("post-payments", "push-invoices") and self.stripe is None:
            return "stripe section"
        if name == "reconcile-payouts" and self.gocardless is None:
            into = self.stripe.bank_account if self.stripe is not None else None
            return "" if into else "gocardless section and no stripe.bank_account"
        return ""

    @field_serializer("watch")
    def _only_what_is_said(self, watch: Watch | None) -> dict[str, Any] | None:
        """Show what the tenant says of its own: a key that is null here would mean off."""
        return None if watch is None else watch.model_dump(mode="json", include=watch.model_fields_set)

    def called(self, name: str) -> Self:
        """Take the label the tenant stands under in the file."""
        self._name = name
        return self

    @model_validator(mode="after")
    def _some_processor(self) -> Self:
        if self.stripe is None and self.gocardless is None:
            raise ValueError("has neither stripe nor gocardless; add one of the two blocks")
        return self


class Settings(Model):
    """The whole configuration."""

    state: v.FilePath = Field(default_factory=lambda: Path.home() / ".local/state/mlc/mlc.db")
    secrets: SecretsConfig = Field(default_factory=SecretsConfig)
    limits: Limits = Field(default_factory=Limits)
    alert_after: v.Duration = timedelta(days=3)
    watch: Watch = Field(default_factory=Watch)
    tenants: dict[v.TenantName, Tenant] = Field(min_length=1)
    _source: Path | None = PrivateAttr(default=None)

    @property
    def source(self) -> Path | None:
        """Return the file the settings were read from."""
        return self._source

    def read_from(self, source: Path) -> Self:
        """Take the path of the file the settings were read from."""
        self._source = source
        return self

    def watch_of(self, tenant: Tenant) -> Watch:
        """Return who is told how a tenant's runs go."""
        return self.watch.under(tenant.watch)

    @model_validator(mode="after")
    def _labels(self) -> Self:
        for name, tenant in self.tenants.items():
            tenant.called(name)
        return self

    def select(self, names: list[str]) -> list[Tenant]:
        """Return the named tenants in the order of the file, all where no name is given."""
        for name in names:
            if name not in self.tenants:
                raise ConfigError(
                    f'there is no tenant "{name}"; {v.suggest(name, list(self.tenants))}',
                    hint="name a tenant of the configuration, or leave --tenant out for all",
                )
        return [tenant for name, tenant in self.tenants.items() if not names or name in names]


def redacted_dump(settings: Settings) -> dict[str, Any]:
    """Return plain data for `mlc config show`: every value in force, secrets as their references."""
    dumped: dict[str, Any] = settings.model_dump(mode="json")
    return dumped
