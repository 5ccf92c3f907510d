"""A batch of payouts as it is decided upon: what both sides said of it, read by `PayoutReader`."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from mlc.core.clues import Balances, Clue, Payer
from mlc.core.commands import Part
from mlc.core.debits import Collection, Payout, PayoutItem
from mlc.core.facts import Account, Booked, Centre, Invoice, Partner, Period
from mlc.core.keys import digest
from mlc.core.placing import Rates
from mlc.passes.scene import Scene

ROLES = (
    "bank_account",
    "fee_account",
    "vat_account",
    "surcharge_account",
    "unallocated_account",
    "clearing_account",
    "fx_account",
)
KNOWN = ("posted", "bounced", "bounced-booked", "bounced-again")  # states of a payout whose entry the journal knows


@dataclass(slots=True)
class Opened:
    """One payout with its items; `gone` where GoCardless no longer keeps them."""

    payout: Payout
    items: list[PayoutItem] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    gone: bool = False

    @property
    def things(self) -> set[str]:
        """Return the payments and refunds in it."""
        return {ident for one in self.items for ident in (one.payment, one.refund) if ident}

    @property
    def print(self) -> str:
        """Return a fingerprint of the items: a payout that is sent again under another id holds the same ones."""
        return digest("|".join(sorted(f"{one.type} {one.amount} {one.payment} {one.refund}" for one in self.items)))


@dataclass(slots=True)
class PayoutFacts:
    """A batch of payouts with everything needed to decide about them."""

    opened: list[Opened] = field(default_factory=list)
    payments: dict[str, Collection] = field(default_factory=dict)
    clues: dict[str, Clue] = field(default_factory=dict)
    payers: dict[str, Payer] = field(default_factory=dict)
    partners: dict[str, Partner] = field(default_factory=dict)
    history: dict[str, list[Part]] = field(default_factory=dict)
    reopenable: set[str] = field(default_factory=set)  # keys of parts whose invoice opens again when they are taken back
    left: dict[str, list[Part]] = field(default_factory=dict)  # payment -> debits of it that stayed open
    invoices: dict[int, Invoice] = field(default_factory=dict)
    whole: dict[int, Invoice] = field(default_factory=dict)  # with their lines
    taken: dict[int, int] = field(default_factory=dict)
    closed_by: dict[int, str] = field(default_factory=dict)
    paid_elsewhere: dict[int, str] = field(default_factory=dict)
    entries: dict[str, list[Booked]] = field(default_factory=dict)
    accounts: dict[str, Account | None] = field(default_factory=dict)  # as configured -> as SAP has it
    rates: dict[str, Decimal | None] = field(default_factory=dict)  # payout -> SAP's own rate of its day
    centres: list[Centre] = field(default_factory=list)
    projects: set[str] = field(default_factory=set)
    periods: list[Period] = field(default_factory=list)
    twins: dict[str, str] = field(default_factory=dict)  # payout -> the bounced payout it repeats
    twin_states: dict[str, str] = field(default_factory=dict)  # that bounced payout -> state of its link
    in_doubt: set[str] = field(default_factory=set)  # payments and refunds of entries that are still in doubt
    states: dict[str, str] = field(default_factory=dict)  # payout -> state of its link
    refused: set[str] = field(default_factory=set)  # payouts whose entry SAP refused
    held: dict[str, list[str]] = field(default_factory=dict)  # payout -> names that wait


def balances(scene: Scene, facts: PayoutFacts) -> Balances:
    """Return a fresh shelf of the batch's invoices."""
    local = scene.currency

    def iso(code: str) -> str | None:
        return local if scene.is_local(code) else scene.rules.iso(code)

    return Balances(facts.invoices, iso, scene.is_local, dict(facts.taken), facts.closed_by)


def rates_of(payout: Payout, facts: PayoutFacts, local: str) -> Rates:
    """Return how a payout's amounts become local ones."""
    if payout.amount.currency == local:
        return Rates(local)
    if payout.exchange is not None:
        return Rates(local, payout.exchange.rate)
    return Rates(local, facts.rates.get(payout.id))
