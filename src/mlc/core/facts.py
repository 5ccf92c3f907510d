"""What the systems said, in our words: immutable, read once at the door, compared and decided upon, never changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from mlc.core.money import Money


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an SAP document, gross (tax included), in the document's currency."""

    text: str
    gross: Decimal
    codes: tuple[str, ...] = ()  # CostingCode to CostingCode5
    project: str = ""


@dataclass(frozen=True, slots=True)
class Installment:
    """One installment of an invoice. `open` is what is left of it in minor units, None where nobody looked."""

    number: int  # InstallmentId
    due: date
    total: Decimal
    open: int | None = None


@dataclass(frozen=True, slots=True)
class Invoice:
    """An A/R invoice in SAP (table OINV). Amounts are major units in the local currency, as SAP said them."""

    doc_entry: int
    doc_num: int
    card_code: str
    doc_date: date
    due_date: date
    currency: str  # SAP's own code; "" where SAP left it out
    total: Decimal
    paid: Decimal
    cancelled: bool
    open: bool  # DocumentStatus; the balance is computed, never taken from here
    branch: int | None = None
    customer_reference: str = ""
    withheld: Decimal = Decimal(0)
    rounding: Decimal = Decimal(0)
    down_payment: Decimal = Decimal(0)
    discount: Decimal = Decimal(0)
    installments: int = 1
    plan: tuple[Installment, ...] = ()  # where it was asked for and is more than one
    lines: tuple[Line, ...] = ()
    total_fc: Decimal = Decimal(0)  # in the document's currency, where that is not the local one
    paid_fc: Decimal = Decimal(0)
    trans_num: int = 0  # the journal entry of the document, 0 = not asked for

    @property
    def balance(self) -> Decimal:
        """What is still open, in major units: DocTotal - PaidToDate."""
        return self.total - self.paid


@dataclass(frozen=True, slots=True)
class Partner:
    """A business partner of SAP (table OCRD)."""

    card_code: str
    name: str
    email: str = ""
    phone: str = ""
    street: str = ""
    city: str = ""
    zip_code: str = ""
    country: str = ""
    currency: str = ""
    control: str = ""  # control account, where it was asked for
    fields: tuple[tuple[str, str], ...] = ()  # user fields that were asked for
    balance: Decimal = Decimal(0)  # what it owes in the local currency, where it was asked for
    frozen: bool = False  # where it was asked for


@dataclass(frozen=True, slots=True)
class Receipt:
    """An incoming payment in SAP (table ORCT), ours or keyed by hand."""

    doc_entry: int
    doc_num: int
    card_code: str
    doc_date: date
    currency: str
    total: Decimal  # by transfer, cash, cheques and cards together
    reference: str
    cancelled: bool
    applied: tuple[tuple[int, Decimal], ...] = ()  # (DocEntry of the invoice, SumApplied)


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A document of SAP that gave money back to a customer and is not ours: an outgoing payment or a manual journal entry."""

    what: str  # "outgoing payment 12"
    card_code: str
    day: date
    amount: Decimal  # major units
    words: str = ""  # every reference and remark it carries
    claim: str = ""  # the line of it that can be the booking of one thing only
    from_clearing: bool = True  # whether it may be the whole booking: it names the customer


@dataclass(frozen=True, slots=True)
class CreditMemo:
    """An A/R credit memo in SAP with the invoice it was copied from."""

    doc_entry: int
    doc_num: int
    card_code: str
    total: Decimal
    cancelled: bool
    base_invoices: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Account:
    """An account of the chart (table OACT)."""

    code: str
    shown: str  # FormatCode: what people see where accounts are segmented
    name: str
    active: bool
    postable: bool
    currency: str = ""


@dataclass(frozen=True, slots=True)
class Period:
    """A posting period of SAP: both days included."""

    first: date
    last: date
    open: bool
    code: str = ""


@dataclass(frozen=True, slots=True)
class BookedLine:
    """A line of a journal entry in SAP (table JDT1). Amounts are major units; debit is positive."""

    line_id: int
    account: str
    short_name: str
    local: Decimal
    foreign: Decimal = Decimal(0)
    currency: str = ""
    reference1: str = ""
    reference2: str = ""
    memo: str = ""
    branch: int | None = None


@dataclass(frozen=True, slots=True)
class Booked:
    """A journal entry in SAP (table OJDT)."""

    trans: int  # JdtNum
    number: int
    reference2: str
    day: date
    lines: tuple[BookedLine, ...]

    def mirrors(self, other: Booked) -> bool:
        """Tell whether this entry takes the other back: every line with its sign turned."""
        mine = sorted((line.short_name or line.account, -line.local) for line in self.lines)
        return mine == sorted((line.short_name or line.account, line.local) for line in other.lines)


@dataclass(frozen=True, slots=True)
class OpenItem:
    """An open row of a business partner (internal reconciliation). `amount` is major units as SAP lists it, debit positive."""

    card_code: str
    trans: int
    row: int
    amount: Decimal
    source: str  # SAP's number of the document's type: 13 invoice, 14 credit memo, 30 journal entry
    document: int  # its DocEntry


@dataclass(frozen=True, slots=True)
class Centre:
    """A profit centre or distribution rule: whether it exists is that it is here."""

    code: str
    dimension: int
    active: bool
    first: date | None = None
    last: date | None = None

    def usable(self, day: date) -> bool:
        """Tell whether it may be posted to on a day."""
        return self.active and (self.first is None or self.first <= day) and (self.last is None or day <= self.last)


@dataclass(frozen=True, slots=True)
class Ledger:
    """What holds for a whole SAP company while a pass runs."""

    local_currency: str  # SAP's own code
    branches: bool = False
    approvals: bool = False
    max_documents: int = 0  # per incoming payment, 0 = no limit
    system_currency: str = ""  # SAP keeps its books in this one too: without its rate of the day nothing is posted
    indirect: bool = False  # rates say how much foreign currency one unit of the local one is


@dataclass(frozen=True, slots=True)
class Origin:
    """The SAP numbers in an object's metadata: what the object says it is about."""

    company: str = ""
    doc_entry: int | None = None
    doc_num: int | None = None
    card_code: str = ""
    key: str = ""
    doc_total: str = ""
    installment: int = 0


@dataclass(frozen=True, slots=True)
class ProcessorInvoice:
    """An invoice at Stripe. `remaining` is what its customer still has to pay."""

    id: str
    status: str
    customer: str
    created: int
    total: Money
    due: Money
    remaining: Money
    origin: Origin
    number: str = ""
    payments: tuple[Paid, ...] | None = None  # None = not asked for
    customer_balance: int | None = None  # None = not known; Stripe's unit


@dataclass(frozen=True, slots=True)
class Paid:
    """What one payment gave to one invoice (Stripe: InvoicePayment)."""

    invoice: str
    kind: str  # payment_intent | charge | payment_record
    payment: str
    status: str
    amount: Money
    at: int | None = None
    created: int = 0
    origin: Origin = Origin()
    invoice_total: Money | None = None
    invoice_remaining: Money | None = None
    invoice_status: str = ""


@dataclass(frozen=True, slots=True)
class Payment:
    """A PaymentIntent, or a charge without one, as read at Stripe just now."""

    id: str
    status: str
    amount: Money
    customer: str
    created: int
    succeeded_at: datetime | None
    origin: Origin = Origin()
    paid: tuple[Paid, ...] = ()
    refunded: int = 0
    disputed: bool = False
    description: str = ""
    charge: str = ""  # the charge that moved the money


@dataclass(frozen=True, slots=True)
class Movement:
    """A movement of a processor's balance (Stripe: balance transaction). `amount` is signed, `fee` is taken off it; minor units."""

    id: str
    amount: int
    fee: int
    currency: str  # ISO code of the balance, not of what was charged
    created: int
    category: str = ""  # Stripe: reporting_category
    source: str = ""
    kind: str = ""  # what the source is: charge, refund, dispute, payout ...
    tax: int = 0  # how much of the fee is tax
    payment: str = ""  # the payment its source belongs to, where that was read with it

    @property
    def net(self) -> int:
        """What it adds to the balance."""
        return self.amount - self.fee


@dataclass(frozen=True, slots=True)
class Reversal:
    """Money that goes back at Stripe: a refund, a dispute, or a bank debit that was returned after it had succeeded."""

    id: str
    kind: str  # refund | dispute | returned
    status: str
    amount: Money
    payment: str
    created: int
    reason: str = ""
    charge: str = ""
    moves: tuple[Movement, ...] = ()  # what it did to the balance, in the order in which it happened


@dataclass(frozen=True, slots=True)
class ProcessorCustomer:
    """A customer at Stripe."""

    id: str
    name: str
    email: str
    phone: str
    street: str
    city: str
    zip_code: str
    country: str
    company: str  # metadata sap_company
    card_code: str  # metadata sap_card_code
    created: int
    balance: int = 0
    deleted: bool = False
    province: str = ""  # Stripe: state; SAP's partner has no field for it
    figures: tuple[tuple[str, str], ...] = ()  # what mlc wrote of its balance into the metadata


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription at Stripe, and whether its collection is paused."""

    id: str
    customer: str
    status: str
    paused: str = ""  # Stripe: pause_collection.behavior, "" where it collects
    resumes: bool = False  # it will resume by itself
    paused_by: str = ""  # our mark in its metadata


@dataclass(frozen=True, slots=True)
class Hint:
    """That something happened to an object; never what it is now (Stripe: events come in any order, and twice)."""

    event: str
    type: str
    created: int
    kind: str  # payment_intent | charge | invoice | invoice_payment | refund | dispute | other
    id: str
    payment: str = ""  # the PaymentIntent or charge it is about, where the event says so
    at: int = 0  # when the object was created: where to look for it in a list
    invoice: str = ""
    key: str = ""  # the idempotency key of the request that caused it
