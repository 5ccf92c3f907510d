"""The papers of the simulated company: invoices, credit memos and payments as plain records."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from decimal import Decimal

from mlc.sandbox.sap.records import ZERO, Fields, Stamped


@dataclass(slots=True)
class Installment:
    """One instalment of a document and the entry line that carries it."""

    number: int
    due_date: dt.date
    percentage: Decimal
    total: Decimal
    total_fc: Decimal
    fields: Fields = field(default_factory=dict)


@dataclass(slots=True)
class DocumentLine:
    """One row of an invoice or credit memo; `total` and `tax` are local, `_fc` in the document's currency."""

    line_num: int
    description: str
    quantity: Decimal
    price: Decimal
    total: Decimal
    total_fc: Decimal
    tax_percent: Decimal
    tax: Decimal
    tax_fc: Decimal
    account: str
    currency: str
    revenue: Decimal
    revenue_fc: Decimal
    status: str = "bost_Open"
    base_type: int = -1
    base_entry: int | None = None
    base_line: int | None = None
    doc_entry: int = 0
    fields: Fields = field(default_factory=dict)

    @property
    def gross(self) -> Decimal:
        """Row total with tax, local."""
        return self.total + self.tax

    @property
    def gross_fc(self) -> Decimal:
        """Row total with tax, foreign."""
        return self.total_fc + self.tax_fc

    @property
    def open_amount(self) -> Decimal:
        """What of the row is still open."""
        return self.total if self.status == "bost_Open" else ZERO

    @property
    def price_after_vat(self) -> Decimal:
        """The unit price with tax."""
        return (self.price * (100 + self.tax_percent) / 100).quantize(Decimal("0.000001")).normalize()


@dataclass(slots=True)
class Document(Stamped):
    """An invoice or credit memo; `total` and `paid` are local, `total_fc` and `paid_fc` foreign (0 for local documents)."""

    kind: str
    doc_entry: int
    doc_num: int
    card_code: str
    card_name: str
    doc_date: dt.date
    due_date: dt.date
    tax_date: dt.date
    currency: str
    rate: Decimal
    lines: list[DocumentLine]
    total: Decimal = ZERO
    total_fc: Decimal = ZERO
    total_sys: Decimal = ZERO
    vat: Decimal = ZERO
    vat_fc: Decimal = ZERO
    discount: Decimal = ZERO
    rounding: Decimal = ZERO
    paid: Decimal = ZERO
    paid_fc: Decimal = ZERO
    status: str = "bost_Open"
    cancel_status: str = "csNo"
    closed_by_hand: bool = False
    branch: int | None = None
    trans_id: int = 0
    installments: list[Installment] = field(default_factory=list)
    fields: Fields = field(default_factory=dict)

    @property
    def open(self) -> Decimal:
        """What is still owed, in local currency."""
        return self.total - self.paid

    @property
    def open_fc(self) -> Decimal:
        """What is still owed, in the document's currency."""
        return self.total_fc - self.paid_fc

    @property
    def cancelled(self) -> str:
        """Whether this document was cancelled."""
        return "tYES" if self.cancel_status == "csYes" else "tNO"

    @property
    def rounded(self) -> str:
        """Whether a header rounding stands on the document."""
        return "tYES" if self.rounding else "tNO"

    @property
    def installment_count(self) -> int:
        """How many instalments the document has."""
        return len(self.installments)

    @property
    def paid_sys(self) -> Decimal:
        """What is paid, in system currency."""
        return (self.total_sys * self.paid / self.total).quantize(Decimal("0.01")) if self.total else ZERO


@dataclass(slots=True)
class PaymentRow:
    """What a payment applies to one document; `applied` local, `applied_fc` foreign, `shown` as SumApplied is answered."""

    kind: str
    doc_entry: int
    applied: Decimal = ZERO
    applied_fc: Decimal = ZERO
    line_num: int = 0
    doc_num: int | None = None
    doc_line: int = 0
    installment: int = 1
    rate: Decimal = ZERO
    shown: Decimal = ZERO
    fields: Fields = field(default_factory=dict)


@dataclass(slots=True)
class Payment:
    """A payment, incoming or outgoing; sums are in the payment's own currency."""

    card_code: str
    date: dt.date
    currency: str
    due_date: dt.date
    tax_date: dt.date
    rate: Decimal = Decimal(1)
    transfer_account: str | None = None
    transfer_sum: Decimal = ZERO
    transfer_date: dt.date | None = None
    transfer_reference: str | None = None
    cash_account: str | None = None
    cash_sum: Decimal = ZERO
    bank_charge: Decimal = ZERO
    rows: list[PaymentRow] = field(default_factory=list)
    remarks: str | None = None
    card_name: str = ""
    branch: int | None = None
    doc_entry: int = 0
    doc_num: int = 0
    cancelled: str = "tNO"
    authorization: str = "pasWithout"
    trans_id: int = 0
    reconciliation: int = 0
    outgoing: bool = False
    fields: Fields = field(default_factory=dict)

    @property
    def amount(self) -> Decimal:
        """The whole sum paid, in the payment's currency."""
        return self.transfer_sum + self.cash_sum

    @property
    def side(self) -> int:
        """1 where the money comes in, -1 where it goes out."""
        return -1 if self.outgoing else 1

    @property
    def table(self) -> str:
        """The database table of the payment, as SAP names it in its refusals."""
        return "OVPM" if self.outgoing else "ORCT"

    @property
    def origin(self) -> str:
        """What its journal entry names as its origin."""
        return "ttVendorPayment" if self.outgoing else "ttReceipt"

    @property
    def row_table(self) -> str:
        """The database table of the payment's rows."""
        return "VPM2" if self.outgoing else "RCT2"

    @property
    def live(self) -> bool:
        """Whether the payment stands, not cancelled."""
        return self.cancelled == "tNO"

    @property
    def applied(self) -> Decimal:
        """What is applied to documents, in local currency."""
        return sum((row.applied for row in self.rows), ZERO)
