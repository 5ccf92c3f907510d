"""What GoCardless said, in our words: payouts with their items, the payments in them, and who paid. Immutable, read once at the door."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from mlc.core.money import Money

FEES = frozenset({"gocardless_fee", "app_fee", "surcharge_fee"})
COLLECTED = "payment_paid_out"
TAKEN_BACK = frozenset({"payment_failed", "payment_charged_back"})
REFUNDED = frozenset({"payment_refunded", "refund"})
RETURNED = "refund_funds_returned"
ITEM_TYPES = FEES | TAKEN_BACK | REFUNDED | {COLLECTED, RETURNED, "revenue_share"}


@dataclass(frozen=True, slots=True)
class Tax:
    """VAT inside a fee, in minor units with one decimal, in the payout's currency and in that in which it is owed."""

    amount: Decimal
    destination: Decimal | None = None  # None until the rate is confirmed
    destination_currency: str = ""


@dataclass(frozen=True, slots=True)
class PayoutItem:
    """One line of a payout, in minor units with one decimal (GoCardless: payout items). It has no id of its own."""

    type: str
    amount: Decimal
    payment: str = ""
    mandate: str = ""
    refund: str = ""
    taxes: tuple[Tax, ...] = ()

    @property
    def thing(self) -> str:
        """What the item is about: the refund where it is one, else the payment."""
        return self.refund or self.payment


@dataclass(frozen=True, slots=True)
class Exchange:
    """A payout that arrives in another currency. `amount` and `rate` are None until both are final."""

    currency: str
    amount: int | None = None  # minor units of `currency`
    rate: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Payout:
    """Money that GoCardless sent to the bank. `amount` is net, in the currency of the collection."""

    id: str
    status: str  # pending | paid | bounced
    kind: str  # merchant | partner
    amount: Money
    deducted: int  # fees taken off, tax included, minor units; may be negative
    created: datetime
    arrival: date | None
    creditor: str
    bank: str  # creditor bank account
    reference: str = ""
    tax_currency: str = ""
    exchange: Exchange | None = None


@dataclass(frozen=True, slots=True)
class Collection:
    """A payment at GoCardless, as read just now."""

    id: str
    status: str
    amount: Money
    created: str  # as sent: ISO, UTC; only compared
    charged: date | None
    refunded: int = 0
    description: str = ""
    reference: str = ""
    metadata: tuple[tuple[str, str], ...] = ()
    mandate: str = ""
    subscription: str = ""
    schedule: str = ""
    payout: str = ""


@dataclass(frozen=True, slots=True)
class Mandate:
    """The right to collect from a customer."""

    id: str
    status: str
    customer: str
    reference: str = ""
    metadata: tuple[tuple[str, str], ...] = ()
    new: str = ""  # the mandate that replaced it


@dataclass(frozen=True, slots=True)
class Debtor:
    """A customer at GoCardless. Bank details are never read."""

    id: str
    name: str
    email: str
    created: str
    metadata: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class DebitPlan:
    """A subscription or an instalment schedule."""

    id: str
    name: str
    metadata: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class DebitRefund:
    """A refund at GoCardless, of a payment or against a mandate."""

    id: str
    status: str
    amount: Money
    payment: str = ""
    mandate: str = ""


@dataclass(frozen=True, slots=True)
class DebitEvent:
    """That something happened; what it is now is read at the resource itself (GoCardless: events)."""

    id: str
    created: str
    resource: str  # payments, mandates, ...
    action: str
    links: tuple[tuple[str, str], ...] = ()
    cause: str = ""
    text: str = ""
    retries: bool = False  # the bank will be asked again

    def link(self, kind: str) -> str:
        """Return the id of one resource the event is about, "" where it names none."""
        return dict(self.links).get(kind, "")
