"""What the simulated company holds: accounts, partners, documents, payments, entries and reconciliations as plain records."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

Fields = dict[str, Any]
ZERO = Decimal(0)


@dataclass(slots=True)
class Account:
    """A G/L account; `code` is what postings name, `format_code` what people see."""

    code: str
    name: str
    kind: str = "at_Other"
    currency: str = "##"
    format_code: str = ""
    active: str = "tYES"
    frozen: str = "tNO"
    manual_lock: str = "tNO"
    manual_block: str = "tNO"
    cash: str = "tNO"
    balance: Decimal = ZERO
    fields: Fields = field(default_factory=dict)

    @property
    def valid(self) -> str:
        """ValidFor is the opposite of FrozenFor."""
        return "tNO" if self.frozen == "tYES" else "tYES"


@dataclass(slots=True)
class Currency:
    """A currency of the company; its code is whatever the company chose."""

    code: str
    name: str
    decimals: str = "cdDefault"
    fields: Fields = field(default_factory=dict)


@dataclass(slots=True)
class Stamped:
    """Something that knows when it was made and changed, in the server's local time."""

    created: dt.datetime
    updated: dt.datetime
    version: int

    @property
    def create_date(self) -> dt.date:
        """The day of creation."""
        return self.created.date()

    @property
    def create_time(self) -> dt.time:
        """The time of creation."""
        return self.created.time().replace(microsecond=0)

    @property
    def update_date(self) -> dt.date:
        """The day of the last change."""
        return self.updated.date()

    @property
    def update_time(self) -> dt.time:
        """The time of the last change."""
        return self.updated.time().replace(microsecond=0)


@dataclass(slots=True)
class Partner(Stamped):
    """A business partner; `balance` is debit minus credit of all its lines."""

    card_code: str
    name: str
    card_type: str = "cCustomer"
    currency: str = "##"
    control_account: str = "1400"
    balance: Decimal = ZERO
    fields: Fields = field(default_factory=dict)


@dataclass(slots=True)
class EntryLine:
    """One line of a journal entry; `open` is what no reconciliation has taken yet."""

    line_id: int
    account: str
    short_name: str
    debit: Decimal = ZERO
    credit: Decimal = ZERO
    fc_debit: Decimal = ZERO
    fc_credit: Decimal = ZERO
    currency: str | None = None
    due_date: dt.date | None = None
    branch: int | None = None
    open: Decimal = ZERO
    open_fc: Decimal = ZERO
    fields: Fields = field(default_factory=dict)

    @property
    def is_partner(self) -> bool:
        """Whether the line stands on a partner, not on an account alone."""
        return self.short_name != self.account

    @property
    def net(self) -> Decimal:
        """Debit minus credit."""
        return self.debit - self.credit

    @property
    def amount(self) -> Decimal:
        """The line's amount without its side."""
        return self.debit or self.credit

    @property
    def amount_fc(self) -> Decimal:
        """The line's amount in its foreign currency."""
        return self.fc_debit or self.fc_credit

    @property
    def is_debit(self) -> bool:
        """Whether the line is on the debit side."""
        return bool(self.debit)

    @property
    def control_account(self) -> str | None:
        """The account of a partner line."""
        return self.account if self.is_partner else None


@dataclass(slots=True)
class Entry:
    """A journal entry; `origin` tells what posted it and `original` which document."""

    trans_id: int
    number: int
    date: dt.date
    due_date: dt.date
    tax_date: dt.date
    memo: str
    origin: str
    original: int
    lines: list[EntryLine]
    reversed_by: int = 0
    reverses: int = 0
    fields: Fields = field(default_factory=dict)

    @property
    def partner_lines(self) -> list[EntryLine]:
        """The lines that stand on partners."""
        return [line for line in self.lines if line.is_partner]

    @property
    def reference2(self) -> str | None:
        """The header's second reference, where markers stand."""
        return self.fields.get("Reference2")

    @property
    def live(self) -> bool:
        """Whether the entry stands: neither reversed nor itself a reversal."""
        return not self.reversed_by and not self.reverses

    @property
    def printed(self) -> str:
        """Nothing is ever printed here."""
        return "psNo"


@dataclass(slots=True)
class ReconciliationRow:
    """One line's share in a reconciliation."""

    line_seq: int
    short_name: str
    trans_id: int
    row_id: int
    source_type: str
    source_entry: int
    side: str
    amount: Decimal
    amount_fc: Decimal
    fields: Fields = field(default_factory=dict)


@dataclass(slots=True)
class Reconciliation:
    """Lines of both sides that settle each other."""

    number: int
    date: dt.date
    scope: str
    kind: str
    total: Decimal
    rows: list[ReconciliationRow]
    cancelled_by: int = 0
    mirror_of: int = 0
    fields: Fields = field(default_factory=dict)


@dataclass(slots=True)
class Period:
    """A posting period."""

    number: int
    category: int
    year: int
    month: int
    first: dt.date
    last: dt.date
    status: str = "ltUnlocked"
    fields: Fields = field(default_factory=dict)

    @property
    def code(self) -> str:
        """Year and month."""
        return f"{self.year}-{self.month:02d}"

    @property
    def locked(self) -> str:
        """Whether nothing may be posted."""
        return "tYES" if self.status == "ltLocked" else "tNO"

    @property
    def indicator(self) -> str:
        """The period indicator of the year."""
        return str(self.year)


@dataclass(slots=True)
class Simple:
    """A row of a small master table (profit centres, dimensions, branches, projects) held by property name."""

    key: str | int
    fields: Fields = field(default_factory=dict)
