"""What mlc can be asked to make true, each with everything that its requests need: a recipe reads nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar

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
    """Contact data that SAP gives shall stand at Stripe."""

    card_code: str
    customer: str
    contact: tuple[tuple[str, str], ...] = ()  # every field as it shall be; "" unsets
    changed: tuple[str, ...] = ()  # those that are written
    province: str = ""  # stands at Stripe and is kept: an address is written as a whole


@dataclass(frozen=True, slots=True)
class UpdatePartner:
    """Contact data that Stripe gives shall stand on the business partner."""

    card_code: str
    customer: str
    changed: tuple[tuple[str, str], ...]  # field -> value as it shall be


@dataclass(frozen=True, slots=True)
class CreatePartner:
    """A Stripe customer that nobody is shall be a business partner."""

    company: str
    key: str
    customer: str
    card_code: str
    contact: tuple[tuple[str, str], ...]
    group: int | None = None


@dataclass(frozen=True, slots=True)
class NoteFigures:
    """What a partner owes, and whether it is on hold, shall stand in its customer's metadata."""

    card_code: str
    customer: str
    figures: tuple[tuple[str, str], ...]
    state: str  # owing | clear: whether it is looked at on every run

    document: ClassVar[bool] = False  # it moves no money and asks nobody for any


@dataclass(frozen=True, slots=True)
class PauseSubscription:
    """The collection of a subscription shall be paused, or go on where mlc paused it."""

    card_code: str
    customer: str
    subscription: str
    key: str
    pause: bool

    document: ClassVar[bool] = False  # drafts are kept: nothing is lost or asked for


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
    due_in_sap: str = ""  # DocDueDate, or the installment's: a change is told in the trail
    installment: int = 0  # InstallmentId where only one of several is asked for
    aside: int = 0  # minor units of SAP's balance that are not asked for yet: later installments


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
    rest: int = 0  # minor units of it that Stripe had collected already: credited out of band


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
    installment: int = 0  # InstallmentId, 0 where the invoice has one only


@dataclass(frozen=True, slots=True)
class After:
    """How an invoice stands on both sides once a payment is posted."""

    doc_entry: int
    doc_num: int
    invoice: str  # at Stripe, "" where it never was there
    left: int  # minor units open in SAP
    remaining: int | None  # minor units left to pay at Stripe, where it said
    doc_total: str = ""
    installment: int = 0


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


@dataclass(frozen=True, slots=True)
class Part:
    """What one item of a payout does to one invoice or account. Amounts are signed minor units: collected is positive."""

    key: str  # <payout>/<payment or refund>/<number>
    type: str
    thing: str  # the payment or refund it is about
    payment: str
    role: str  # invoice | account | parked | undo | refund | return
    amount: int  # in the payout's currency
    currency: str
    local: int  # in SAP's local currency
    card_code: str = ""
    account: str = ""  # of a parked part
    doc_entry: int = 0
    doc_num: int = 0
    branch: int | None = None
    undoes: str = ""  # the part that it takes back
    undone: str = ""  # the part that took this one back
    twice: str = ""  # who had paid the invoice already
    rule: str = ""
    evidence: str = ""
    rejected: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EntryLine:
    """One line of a journal entry: a general ledger account, or a business partner. Debit is positive, in minor units."""

    local: int
    account: str = ""  # "" on a partner's line: SAP knows the control account
    card_code: str = ""
    control: str = ""  # the partner's control account, for a company that wants it said
    foreign: int = 0
    currency: str = ""  # SAP's own code of the foreign currency
    reference1: str = ""
    reference2: str = ""
    memo: str = ""
    codes: tuple[str, ...] = ()  # CostingCode to CostingCode5
    project: str = ""
    branch: int | None = None
    part: str = ""  # key of the Part it belongs to
    title: str = ""  # what the line is, for people


@dataclass(frozen=True, slots=True)
class PostEntry:
    """A payout, or money that went back, shall stand in SAP as one balanced journal entry under its own reference."""

    payout: str
    reference2: str
    day: date
    document_day: date
    memo: str
    currency: str  # ISO code of SAP's local currency
    lines: tuple[EntryLine, ...]
    parts: tuple[Part, ...] = ()
    states: tuple[tuple[str, str], ...] = ()  # what else is known once it stands: (link kind + " " + key, state)
    reversal: str = ""  # the refund or dispute it is about, where it is no payout

    def __post_init__(self) -> None:
        """The entry proves its own balance, in all and per branch, before anybody can send it."""
        assert len(self.lines) >= 2, f"{self.reference2}: an entry of {len(self.lines)} lines"
        assert all(line.local for line in self.lines), f"{self.reference2}: a line of nothing"
        for branch in {line.branch for line in self.lines}:
            off = sum(line.local for line in self.lines if line.branch == branch)
            assert off == 0, f"{self.reference2}: unbalanced by {Money(off, self.currency)}" + (
                f" in branch {branch}" if branch is not None else ""
            )


@dataclass(frozen=True, slots=True)
class OpenRow:
    """One open row of a business partner that a reconciliation uses, with the amount it takes, in minor units as SAP lists it."""

    trans: int
    row: int
    minor: int
    own: bool = False  # a line of an entry of ours


@dataclass(frozen=True, slots=True)
class Reconcile:
    """Open rows of a customer shall settle each other, so that the invoice closes; `cancel` undoes an earlier one first."""

    card_code: str
    day: date
    currency: str  # ISO code of the amounts
    rows: tuple[OpenRow, ...]
    parts: tuple[str, ...]  # keys of the parts that are settled by it
    doc_num: int = 0
    payment: str = ""
    cancel: int = 0  # number of the reconciliation to be cancelled before
    state: str = "settled"

    document: ClassVar[bool] = False  # it moves no money: the safety limits count the entry that did

    def __post_init__(self) -> None:
        """Every row takes something; which side it is on is SAP's to know."""
        assert len(self.rows) >= 2, f"{self.parts}: nothing to settle with"
        assert all(row.minor > 0 for row in self.rows), f"{self.parts}: a row of nothing"


@dataclass(frozen=True, slots=True)
class NoteMandate:
    """The reference of a customer's mandate at GoCardless shall stand in a user field of the business partner."""

    card_code: str
    customer: str
    field: str
    reference: str


Command = (
    NoteMandate
    | PostEntry
    | Reconcile
    | EnsureCustomer
    | UpdateCustomer
    | UpdatePartner
    | CreatePartner
    | NoteFigures
    | PauseSubscription
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
        NoteMandate,
        PostEntry,
        Reconcile,
        EnsureCustomer,
        UpdateCustomer,
        UpdatePartner,
        CreatePartner,
        NoteFigures,
        PauseSubscription,
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
