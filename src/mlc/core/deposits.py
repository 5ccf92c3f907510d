"""A Stripe payout taken apart into what moved its balance, and the entry that brings it from clearing to the bank.

Payments stand gross on the clearing account, what went back has entries of its own with its fees; so of a payout only the bank, the fees
and what belongs to nobody are left (facts: bookkeeping section 9). Sums are whole minor units of the payout's currency.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from mlc.core.commands import EntryLine, PostEntry
from mlc.core.facts import Account, Movement
from mlc.core.money import Money

COLLECTED = frozenset({"charge", "partial_capture_reversal"})
BACK = frozenset({  # booked with what went back
    "refund", "payment_refund", "refund_failure", "dispute", "dispute_reversal", "charge_failure",
})  # fmt: skip
FEES = {"fee": "Stripe fees", "stripe_fee": "Stripe fees", "network_cost": "Network costs", "tax": "Tax on Stripe fees"}
INSIDE = frozenset({
    "payout", "payout_reversal", "payout_failure", "payout_cancel", "payout_minimum_balance_hold", "payout_minimum_balance_release",
})  # fmt: skip
# Documented by Stripe, and neither collected nor a fee: money between clearing and somewhere else. What is not even here is held.
ELSEWHERE = frozenset({
    "topup", "topup_reversal", "risk_reserved_funds", "reserve_hold", "reserve_release", "reserve_transaction", "other_adjustment",
    "adjustment", "transfer", "transfer_reversal", "contribution", "advance", "advance_funding", "anticipation_repayment",
    "connect_collection_transfer", "connect_reserved_funds", "climate_order_purchase", "climate_order_refund", "financing_paydown",
    "financing_paydown_reversal", "financing_payout", "financing_payout_reversal", "issuing_authorization_hold",
    "issuing_authorization_release", "issuing_dispute", "issuing_transaction", "platform_earning", "platform_earning_refund",
    "unreconciled_customer_funds",
})  # fmt: skip
_PROCESSING = "Processing fees"
_MEMO = 50


@dataclass(frozen=True, slots=True)
class StripePayout:
    """A payout of Stripe. `amount` is what the bank gets."""

    id: str
    amount: Money
    status: str
    automatic: bool
    reconciled: bool
    created: int
    arrival: date
    failed_at: int = 0  # when its money came back to the balance, Unix seconds; 0 = it did not
    trace: str = ""  # the bank's reference


@dataclass(slots=True)
class Split:
    """The movements of a payout, added up; it does not grow with the payout."""

    net: int = 0
    count: int = 0
    collected: int = 0
    back: int = 0  # refunds, disputes and what came of them, with their fees
    fees: dict[str, int] = field(default_factory=dict)  # kind -> what was kept, tax included where it is not told apart
    tax: int = 0  # how much of the fees is tax
    others: dict[str, int] = field(default_factory=dict)  # category that has no place of its own -> what it adds

    def add(self, one: Movement) -> None:
        """Take a movement; the payout's own is not one of them."""
        self.net += one.net
        self.count += 1
        if one.category in COLLECTED:
            self.collected += one.amount
            self._fee(_PROCESSING, one.fee)
            self.tax += one.tax
        elif one.category in BACK or (one.category == "adjustment" and one.kind == "dispute"):
            self.back += one.net
        elif one.category in FEES:
            self._fee(FEES[one.category], one.fee - one.amount)
            self.tax += one.tax if one.category != "tax" else one.fee - one.amount
        elif one.category not in INSIDE:
            self.others[one.category or "unnamed"] = self.others.get(one.category or "unnamed", 0) + one.net

    def _fee(self, kind: str, minor: int) -> None:
        if minor:
            self.fees[kind] = self.fees.get(kind, 0) + minor

    @property
    def unknown(self) -> list[str]:
        """The categories that Stripe does not document, as far as this version knows: never booked on an interpretation."""
        return sorted(category for category, minor in self.others.items() if minor and category not in ELSEWHERE)

    @property
    def kept(self) -> int:
        """All fees that belong to the payout's own entry."""
        return sum(self.fees.values())


@dataclass(frozen=True, slots=True)
class Accounts:
    """The accounts of a payout's entry, as SAP has them; None where none is configured."""

    clearing: Account
    bank: Account
    fee: Account | None = None
    vat: Account | None = None
    suspense: Account | None = None


def missing(split: Split, accounts: Accounts) -> str:
    """Return the key of an account that the entry needs and that nobody configured, "" where all are there."""
    if split.fees and accounts.fee is None:
        return "fee_account"
    return "suspense_account" if any(split.others.values()) and accounts.suspense is None else ""


def entry(one: StripePayout, split: Split, accounts: Accounts, day: date, document_day: date) -> PostEntry:
    """Build the entry: Dr bank, Dr fees by kind, what belongs to nobody on the suspense account, Cr clearing."""
    lines = [_line(one.amount.minor, accounts.bank, one, "Stripe payout", "bank")]
    apart = split.tax if accounts.vat is not None else 0
    kinds = dict(split.fees)
    if apart and accounts.vat is not None:
        kinds = _without_tax(kinds, apart)
        lines.append(_line(apart, accounts.vat, one, "Tax on Stripe fees", "VAT on fees"))
    for kind, minor in kinds.items():
        if minor:
            assert accounts.fee is not None, f"{one.id}: fees without an account"
            lines.append(_line(minor, accounts.fee, one, kind, kind))
    for category, minor in split.others.items():
        if minor:
            assert accounts.suspense is not None, f"{one.id}: {category} without an account"
            lines.append(_line(-minor, accounts.suspense, one, f"Stripe {category}", category))
    off = sum(line.local for line in lines)
    lines.append(_line(-off, accounts.clearing, one, "Stripe payout", "Stripe"))
    return PostEntry(
        payout=one.id, reference2=one.id, day=day, document_day=document_day, memo=f"Stripe payout {one.id}"[:_MEMO],
        currency=one.amount.currency, lines=tuple(line for line in lines if line.local),
        states=((f"stripe-payout {one.id}", "booked"),),
    )  # fmt: skip


def _without_tax(kinds: dict[str, int], tax: int) -> dict[str, int]:
    """Take the tax off the fees it was charged on, the largest first: only its sum is told."""
    left, found = tax, dict(kinds)
    for kind in sorted(found, key=lambda each: -abs(found[each])):
        part = left if abs(left) <= abs(found[kind]) else found[kind]
        found[kind] -= part
        left -= part
    return found


def reversed_entry(one: StripePayout, accounts: Accounts, day: date) -> PostEntry:
    """Build the entry of a payout whose money came back: the bank's leg only, its fees stay booked."""
    key = f"{one.id}/failed"
    memo = "Stripe payout failed"
    lines = (
        _line(one.amount.minor, accounts.clearing, one, memo, "Stripe"),
        _line(-one.amount.minor, accounts.bank, one, memo, "bank"),
    )
    return PostEntry(
        payout=one.id, reference2=key, day=day, document_day=day, memo=f"Stripe payout {key}"[:_MEMO], currency=one.amount.currency,
        lines=lines, states=((f"stripe-payout {key}", "booked"),),
    )  # fmt: skip


def _line(minor: int, account: Account, one: StripePayout, memo: str, title: str) -> EntryLine:
    return EntryLine(minor, account.code, reference1=one.id, reference2=one.trace[:100], memo=memo[:_MEMO], title=title)
