"""What mlc can be asked to make true, each with everything that its requests need: a recipe reads nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from mlc.core import codec
from mlc.core.facts import Partner
from mlc.core.money import Money


@dataclass(frozen=True, slots=True)
class EnsureCustomer:
    """A business partner shall have a customer at Stripe: an existing one is linked (`link`), else one is created."""

    company: str
    key: str
    partner: Partner
    link: str = ""  # an existing customer that shall carry our numbers
    email_then: str = ""  # the e-mail by which it was found; read again before it is linked


@dataclass(frozen=True, slots=True)
class UpdateCustomer:
    """The contact data of a partner, changed in SAP, shall stand at Stripe."""

    card_code: str
    customer: str
    partner: Partner
    unset: tuple[str, ...] = ()  # fields that mlc wrote once and SAP no longer holds


@dataclass(frozen=True, slots=True)
class PushLine:
    """One line of an invoice at Stripe, gross; what reduces it is negative and names its cause."""

    text: str
    amount: Money


@dataclass(frozen=True, slots=True)
class PushInvoice:
    """An open SAP invoice shall be asked for by Stripe, to the minor unit of its open balance."""

    company: str
    key: str
    doc_entry: int
    doc_num: int
    card_code: str
    amount: Money
    doc_total: str  # DocTotal in major units, as text: the identity check needs it after years
    due_at: int  # Unix seconds
    description: str
    lines: tuple[PushLine, ...]
    explained: int = 0  # minor units of receipts and credit memos already named by negative lines
    read_at: float = 0.0  # when the balance was read, Unix seconds
    run_id: str = ""  # the run that read it
    mail: bool = False


@dataclass(frozen=True, slots=True)
class VoidInvoice:
    """An invoice that SAP cancelled shall not be payable any more."""

    doc_entry: int
    doc_num: int
    invoice: str
    why: str


@dataclass(frozen=True, slots=True)
class SettleInvoice:
    """An invoice that was paid elsewhere shall be paid at Stripe too, out of band."""

    doc_entry: int
    doc_num: int
    invoice: str
    remaining: Money
    why: str


@dataclass(frozen=True, slots=True)
class ReportPayment:
    """A part that was paid elsewhere shall lower what Stripe asks for (Stripe: payment records)."""

    doc_entry: int
    doc_num: int
    invoice: str
    receipt: int
    amount: Money
    left: Money  # what remains at Stripe before it
    paid_at: int
    why: str


@dataclass(frozen=True, slots=True)
class CreditInvoice:
    """A credit memo of SAP shall lower what Stripe asks for (Stripe: credit notes); no mail is sent."""

    doc_entry: int
    doc_num: int
    invoice: str
    memo: int
    amount: Money
    left: Money  # what remains at Stripe before it
    why: str


@dataclass(frozen=True, slots=True)
class DropDraft:
    """A draft that an earlier attempt left behind shall be deleted, so that the next attempt starts clean."""

    doc_entry: int
    invoice: str


@dataclass(frozen=True, slots=True)
class Allocation:
    """A part of a payment on one invoice."""

    doc_entry: int
    doc_num: int
    amount: Money


@dataclass(frozen=True, slots=True)
class After:
    """How an invoice stands on both sides once a payment is posted."""

    doc_entry: int
    doc_num: int
    invoice: str  # at Stripe, "" where it never was there
    left: int  # minor units open in SAP
    remaining: int | None  # minor units left to pay at Stripe, where it said
    doc_total: str = ""


@dataclass(frozen=True, slots=True)
class PostPayment:
    """Money that Stripe collected shall stand in SAP as one incoming payment; what is not allocated stays on account."""

    payment: str
    marker: str
    card_code: str
    amount: Money
    account: str
    doc_date: date
    allocations: tuple[Allocation, ...]
    branch: int | None
    remarks: str
    after: tuple[After, ...] = ()

    @property
    def on_account(self) -> Money:
        """Return what no invoice takes."""
        return Money(self.amount.minor - sum(part.amount.minor for part in self.allocations), self.amount.currency)

    def __post_init__(self) -> None:
        """Never apply more than was paid, and nothing of zero or less (HOUSE: an entry asserts its own balance)."""
        assert self.amount.minor > 0, f"{self.payment}: nothing to post"
        assert all(part.amount.minor > 0 for part in self.allocations), f"{self.payment}: an empty allocation"
        assert self.on_account.minor >= 0, f"{self.payment}: more applied than paid"


Command = (
    EnsureCustomer
    | UpdateCustomer
    | PushInvoice
    | VoidInvoice
    | SettleInvoice
    | ReportPayment
    | CreditInvoice
    | DropDraft
    | PostPayment
)
KINDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        EnsureCustomer,
        UpdateCustomer,
        PushInvoice,
        VoidInvoice,
        SettleInvoice,
        ReportPayment,
        CreditInvoice,
        DropDraft,
        PostPayment,
    )
}


def to_json(command: Command) -> dict[str, Any]:
    """Return the command as the journal keeps it."""
    return {"kind": type(command).__name__, **codec.encode(command)}


def from_json(data: dict[str, Any]) -> Command:
    """Return the command the journal kept."""
    command: Command = codec.decode(KINDS[data["kind"]], {key: value for key, value in data.items() if key != "kind"})
    return command
