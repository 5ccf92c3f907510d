"""A small company that collects by direct debit, in a few words: what the tests of matching, placing and posting share.

The books are in GBP; the accounts are those of the sample in PRODUCT.md; amounts are minor units.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_DOWN, ROUND_HALF_UP, Decimal
from typing import Any

from mlc.core.clues import Balances, Clue, Habits, Payer
from mlc.core.commands import Part, PostEntry
from mlc.core.debits import COLLECTED, FEES, Collection, DebitPlan, Exchange, Payout, PayoutItem, Tax
from mlc.core.facts import Account, Invoice, Line, Partner
from mlc.core.identities import Problem
from mlc.core.money import Money
from mlc.core.placing import Case, Placement, Placer, Rates
from mlc.core.postings import Accounts, Terms, build
from mlc.core.shares import Dimensions

DAY = datetime.date(2026, 11, 2)
ARRIVAL = datetime.date(2026, 11, 5)
CREATED = datetime.datetime(2026, 11, 3, 9, 0, tzinfo=datetime.UTC)
COMPANY = "SBODEMO"
HABITS = Habits(COMPANY, ("invoice", "invoice_number", "sap_doc_num", "docnum", "docentry"), r"\b\d{4,}\b")
ISO = {"": "GBP", "GBP": "GBP", "EUR": "EUR"}
NAMES = {
    "bank_account": "1200", "fee_account": "6855", "vat_account": "1576", "surcharge_account": "6856", "unallocated_account": "1590",
    "clearing_account": "1362", "fx_account": "6880",
}  # fmt: skip
HALVES = {"up": ROUND_HALF_UP, "down": ROUND_HALF_DOWN}


def account(role: str, **more: Any) -> Account:
    """An account as the sample names it."""
    fields: dict[str, Any] = {"active": True, "postable": True, **more}
    return Account(NAMES[role], NAMES[role], role, **fields)


def accounts(*without: str, apart: bool = False, **instead: Account | None) -> Accounts:
    """Every account; `without` are roles that the configuration leaves out, `instead` what SAP says."""
    left_out = {*without} if apart or "surcharge" in instead else {*without, "surcharge_account"}
    found: dict[str, Account | None] = {
        short: None if role in left_out else account(role)
        for short, role in (
            ("bank", "bank_account"), ("fee", "fee_account"), ("vat", "vat_account"), ("surcharge", "surcharge_account"),
            ("parking", "unallocated_account"), ("clearing", "clearing_account"), ("exchange", "fx_account"),
        )
    }  # fmt: skip
    return Accounts(**{**found, **instead}, names={role: code for role, code in NAMES.items() if role not in left_out})


def invoice(entry: int, total: int = 10000, paid: int = 0, card: str = "C1", **more: Any) -> Invoice:
    """An invoice with the number 1000 + entry; one in EUR was booked at `rate`."""
    fields: dict[str, Any] = {"cancelled": False, "open": paid < total, **more}
    number, due = fields.pop("num", 1000 + entry), fields.pop("due", DAY)
    rate, currency = Decimal(fields.pop("rate", "0.86")), fields.pop("currency", "GBP")
    whole, gone = Decimal(total) / 100, Decimal(paid) / 100
    if currency not in ("GBP", ""):
        fields |= {"total_fc": whole, "paid_fc": gone}
        whole, gone = whole * rate, gone * rate
    return Invoice(entry, number, card, DAY, due, currency, whole, gone, **fields)


def shelf(*invoices: Invoice, closed_by: Mapping[int, str] | None = None) -> Balances:
    """What is open in a company whose books are in GBP."""
    return Balances(
        {one.doc_entry: one for one in invoices}, ISO.get, lambda code: code in ("", "GBP"), closed_by=closed_by or {}
    )


def payer(card: str, evidence: str = "") -> Payer:
    """A customer that is known by a link."""
    return Payer(card, evidence or f"linked to {card}")


def collection(ident: str = "PM1", amount: int = 10000, currency: str = "GBP", **more: Any) -> Collection:
    """A payment at GoCardless, charged on the day."""
    metadata = tuple(more.pop("metadata", {}).items())
    fields: dict[str, Any] = {"charged": DAY, "mandate": "MD1", "payout": "PO1", **more}
    return Collection(ident, "paid_out", Money(amount, currency), "2026-10-30T09:00:00.000Z", metadata=metadata, **fields)


def clue(amount: int = 10000, who: str | Payer = "", *, ident: str = "PM1", currency: str = "GBP", **more: Any) -> Clue:
    """A payment with what speaks for a match; what is no field of a Clue is one of the payment."""
    own = {name: more.pop(name) for name in ("plan", "decision", "rest_on_account", "recorded") if name in more}
    known = who if isinstance(who, Payer) else payer(who) if who else Payer()
    return Clue(collection(ident, amount, currency, **more), known, **own)


def plan(name: str = "", **metadata: str) -> DebitPlan:
    """A subscription."""
    return DebitPlan("SB1", name, tuple(metadata.items()))


def item(kind: str, amount: str | Decimal, thing: str = "", tax: str | Decimal = "", **more: Any) -> PayoutItem:
    """One line of a payout, as GoCardless writes it: minor units with one decimal."""
    taxes = (Tax(Decimal(tax)),) if tax != "" else ()
    where = {"refund": thing} if thing.startswith("RF") else {"payment": thing}
    return PayoutItem(kind, Decimal(amount), **{**where, "taxes": taxes, **more})


def fee(amount: str | Decimal, tax: str | Decimal = "", thing: str = "PM1", kind: str = "gocardless_fee") -> PayoutItem:
    """A fee with the tax inside it."""
    return item(kind, amount, thing, tax)


def rounded(amount: Decimal, half: str = "up") -> int:
    """Whole minor units; a half goes away from zero, or towards it."""
    return int(amount.quantize(Decimal(1), rounding=HALVES[half]))


def payout(items: Sequence[PayoutItem], amount: int | None = None, deducted: int | None = None, **more: Any) -> Payout:
    """A paid payout; figures that are not said follow from the items by GoCardless' own arithmetic."""
    half, currency = more.pop("half", "up"), more.pop("currency", "GBP")
    fees = rounded(-sum((one.amount for one in items if one.type in FEES), Decimal(0)), half) if deducted is None else deducted
    net = int(sum(one.amount for one in items if one.type not in FEES)) - fees if amount is None else amount
    fields: dict[str, Any] = {
        "status": "paid", "kind": "merchant", "created": CREATED, "arrival": ARRIVAL, "creditor": "CR1", "bank": "BA1", **more,
    }  # fmt: skip
    return Payout(fields.pop("id", "PO1"), amount=Money(net, currency), deducted=fees, **fields)


def booked(thing: str, amount: int, card: str = "C1", **more: Any) -> Part:
    """A part that an earlier payout was booked by; without a card it is parked."""
    fields: dict[str, Any] = {
        "type": COLLECTED,
        "payment": thing,
        "role": "invoice",
        "currency": "GBP",
        "local": amount,
        **more,
    }
    number, before = fields.pop("number", 1), fields.pop("payout", "PO0")
    if not card:
        fields |= {"role": "parked", "account": NAMES["unallocated_account"]}
    entry = fields.get("doc_entry", 0)
    return Part(
        f"{before}/{thing}/{number}", thing=thing, amount=amount, card_code=card, doc_num=entry and 1000 + entry, **fields
    )


@dataclass(slots=True)
class Week:
    """One payout and everything around it, from the items to the entry."""

    items: Sequence[PayoutItem]
    clues: Sequence[Clue] = ()
    invoices: Sequence[Invoice] = ()
    history: Mapping[str, Sequence[Part]] = field(default_factory=dict)
    payers: Mapping[str, Payer] = field(default_factory=dict)
    policy: str = "hold"
    payout: Payout | None = None
    exchange: Exchange | None = None
    accounts: Accounts = field(default_factory=accounts)
    dimensions: Dimensions = field(default_factory=lambda: Dimensions({}))
    partners: Mapping[str, Partner] = field(default_factory=dict)
    branch: int | None = None
    paid_elsewhere: Mapping[int, str] = field(default_factory=dict)
    closed_by: Mapping[int, str] = field(default_factory=dict)

    @property
    def paid(self) -> Payout:
        """The payout; in EUR where it was exchanged."""
        return self.payout or payout(self.items, currency="EUR" if self.exchange else "GBP", exchange=self.exchange)

    @property
    def rates(self) -> Rates:
        """Local per foreign."""
        fx = self.paid.exchange
        return Rates("GBP", fx.rate) if fx is not None else Rates("GBP")

    @property
    def payments(self) -> dict[str, Collection]:
        """Every payment that can be read."""
        return {one.payment.id: one.payment for one in self.clues}

    def place(self) -> Placement:
        """Place every item, on a fresh shelf."""
        case = Case(
            self.paid, self.items, self.rates, payments=self.payments, clues={one.payment.id: one for one in self.clues},
            payers=self.payers, history=self.history, paid_elsewhere=self.paid_elsewhere, policy=self.policy,
            parking=NAMES["unallocated_account"], branch=self.branch,
            reopenable={part.key for parts in self.history.values() for part in parts},
        )  # fmt: skip
        return Placer(case, shelf(*self.invoices, closed_by=self.closed_by), HABITS).place()

    def terms(self) -> Terms:
        """What the entry is built by."""
        foreign = self.paid.amount.currency != "GBP"
        return Terms(
            self.accounts, self.dimensions, self.rates, "GBP", CREATED.date(), self.branch,
            self.paid.amount.currency if foreign else "", bank_is_foreign=foreign and self.paid.exchange is None,
            invoices={one.doc_entry: one for one in self.invoices}, partners=self.partners,
        )  # fmt: skip

    def parts(self) -> list[Part]:
        """The parts of a payout in which everything has its place."""
        done = self.place()
        assert not done.problems, done.problems
        return done.parts

    def built(self) -> PostEntry | Problem:
        """What comes of the parts."""
        return build(self.paid, self.items, self.parts(), self.terms())

    def entry(self) -> PostEntry:
        """The entry, which there must be."""
        found = self.built()
        assert isinstance(found, PostEntry), found
        return found

    def problem(self) -> Problem:
        """The one reason why the payout waits."""
        (found,) = self.place().problems
        return found


def legs(entry: PostEntry) -> dict[str, int]:
    """What each account and each customer's receivable gets: debits positive."""
    found: Counter[str] = Counter()
    for line in entry.lines:
        found[line.card_code or line.account] += line.local
    return {name: minor for name, minor in found.items() if minor}


def lines(*rows: tuple[int, str]) -> tuple[Line, ...]:
    """Gross lines of an invoice with the first cost centre of each."""
    return tuple(Line(f"Line {number}", Decimal(gross) / 100, (code,)) for number, (gross, code) in enumerate(rows, 1))
