"""A payout as one balanced journal entry: bank exactly, receivables exactly, VAT as the items say, fees are what balances.

Bookkeeping, sections 1, 2 and 5. The entry is built in memory and proves its identities there; what does not hold is a Problem, never
an extra line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from mlc.core.commands import EntryLine, Part, PostEntry
from mlc.core.debits import FEES, Payout, PayoutItem
from mlc.core.facts import Account, Invoice, Partner
from mlc.core.identities import Problem
from mlc.core.money import Money
from mlc.core.placing import Rates
from mlc.core.shares import NO_CODES, Dimensions, groups, split

_MEMO = 50
ON_ACCOUNT = "Direct debit on account"
_WORDS = {
    "invoice": "Direct debit", "account": ON_ACCOUNT, "parked": "Direct debit, not allocated", "undo": "Direct debit taken back",
    "refund": "Refund", "return": "Refund returned", "moved": "Allocated",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Accounts:
    """The accounts a payout is booked on, as SAP has them; None where none is configured or SAP has no such account."""

    bank: Account | None = None
    fee: Account | None = None
    vat: Account | None = None
    surcharge: Account | None = None
    parking: Account | None = None
    clearing: Account | None = None
    exchange: Account | None = None
    names: Mapping[str, str] = field(default_factory=dict)  # role -> what the configuration says, for messages


@dataclass(frozen=True, slots=True)
class Terms:
    """What a payout's entry is built by, besides its items."""

    accounts: Accounts
    dimensions: Dimensions
    rates: Rates
    local: str
    document_day: date | None = None  # the day the payout was created, in the tenant's time zone
    branch: int | None = None
    foreign_code: str = ""  # SAP's own code of the payout's currency, "" where that is the local one
    bank_is_foreign: bool = False  # the money arrives in the payout's foreign currency
    invoices: Mapping[int, Invoice] = field(default_factory=dict)  # with their lines, where dimensions need them
    partners: Mapping[str, Partner] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fees:
    """What GoCardless kept, in whole minor units of the payout's currency."""

    net: int
    vat: int
    surcharge: int
    vat_local: int | None = None  # where the tax is owed in the local currency and its rate is confirmed


def fees_of(payout: Payout, items: Sequence[PayoutItem], local: str, *, surcharges_apart: bool) -> Fees | Problem:
    """Return fees net of VAT, VAT, and surcharges where they are booked apart; the net fee is the balancing figure."""
    vat = sum((_tax(one) for one in items), Decimal(0))
    apart = [one for one in items if one.type == "surcharge_fee"] if surcharges_apart else []
    surcharge = -sum((one.amount for one in apart), Decimal(0)) + sum((_tax(one) for one in apart), Decimal(0))
    rounded_vat, rounded_surcharge = -_whole(vat), _whole(surcharge)
    net = payout.deducted - rounded_vat - rounded_surcharge
    exact = -sum((one.amount for one in items if one.type in FEES), Decimal(0)) + vat
    if abs(net + rounded_surcharge - exact) > 1:
        text = f"{payout.id}: fees come to {net / 100:.2f} as the figure that balances, and to {exact / 100:.3f} by its items"
        return Problem("does_not_tie", text)
    owed = [tax for one in items for tax in one.taxes if tax.destination_currency == local != payout.amount.currency]
    confirmed = owed and all(tax.destination is not None for tax in owed) and len(owed) == sum(len(one.taxes) for one in items)
    vat_local = None
    if confirmed:
        signed = sum((_signed(one, tax.destination or Decimal(0)) for one in items for tax in one.taxes), Decimal(0))
        vat_local = -_whole(signed)
    return Fees(net, rounded_vat, rounded_surcharge, vat_local)


def _tax(one: PayoutItem) -> Decimal:
    """Return the tax inside an item with the item's sign: whether a negative fee has a negative tax is not documented."""
    return sum((_signed(one, tax.amount) for tax in one.taxes), Decimal(0))


def _signed(one: PayoutItem, tax: Decimal) -> Decimal:
    return abs(tax) if one.amount > 0 else -abs(tax)


def _whole(amount: Decimal) -> int:
    return int(amount.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def build(payout: Payout, items: Sequence[PayoutItem], parts: Sequence[Part], terms: Terms) -> PostEntry | Problem:
    """Return the entry of a payout, or why there can be none."""
    fees = fees_of(payout, items, terms.local, surcharges_apart=bool(terms.accounts.names.get("surcharge_account")))
    if isinstance(fees, Problem):
        return fees
    missing = _missing(fees, parts, terms)
    if missing:
        return Problem("account", f"{payout.id}: {missing}")
    assert payout.arrival is not None, f"{payout.id} has not arrived"
    lines = _heads(payout, fees, terms)
    for part in parts:
        lines += part_lines(part, terms)
    off = sum(line.local for line in lines)
    if off:
        exchange = _exchange_line(payout, off, terms)
        if isinstance(exchange, Problem):
            return exchange
        lines.append(exchange)
    apart = sorted({str(line.branch) for line in lines if line.branch != terms.branch})
    if apart:
        text = f"{payout.id}: its money arrives in branch {terms.branch}, and it pays invoices of branch {', '.join(apart)}"
        return Problem("several_partners", text)
    if sum(part.amount for part in parts) != payout.amount.minor + payout.deducted:
        return Problem("does_not_tie", f"{payout.id}: its receivable lines do not add up to amount and deducted_fees")
    reference = f" {payout.reference}" if payout.reference else ""
    memo = f"GoCardless payout {payout.id}{reference}"[:_MEMO]
    return PostEntry(
        payout.id, payout.id, payout.arrival, terms.document_day or payout.created.date(), memo, terms.local,
        tuple(line for line in lines if line.local),
        tuple(parts), (),
    )  # fmt: skip


def _missing(fees: Fees, parts: Sequence[Part], terms: Terms) -> str:
    """Name the first account that is needed and cannot be posted to; nothing is left out silently."""
    accounts = terms.accounts
    wanted: list[tuple[str, Account | None]] = [("bank_account", accounts.bank)]
    if fees.net:
        wanted.append(("fee_account", accounts.fee))
    if fees.surcharge:
        wanted.append(("surcharge_account", accounts.surcharge))
    if fees.vat:
        wanted.append(("vat_account", accounts.vat))
    if any(part.account for part in parts):
        wanted.append(("unallocated_account", accounts.parking))
    for role, account in wanted:
        told = unusable(role, account, accounts.names.get(role, ""))
        if told:
            return told
    return ""


def unusable(role: str, account: Account | None, configured: str) -> str:
    """Say why an account cannot be posted to, "" where it can."""
    if not configured:
        return f"it needs gocardless.{role}, and the configuration names none"
    if account is None:
        return f"SAP has no account {configured} (gocardless.{role})"
    if not account.active or not account.postable:
        return f"account {configured} (gocardless.{role}) cannot be posted to in SAP"
    return ""


def _heads(payout: Payout, fees: Fees, terms: Terms) -> list[EntryLine]:
    """Return bank, fees, surcharges and VAT."""
    accounts, rates = terms.accounts, terms.rates
    bank, fee = accounts.bank, accounts.fee
    assert bank is not None
    arrives = payout.exchange.amount if payout.exchange is not None and not terms.bank_is_foreign else None
    bank_local = arrives if arrives is not None else rates.convert(payout.amount.minor)
    vat_local = rates.convert(fees.vat) if fees.vat_local is None else fees.vat_local
    codes = _only_fixed(terms.dimensions, terms.dimensions.codes(None))
    lines = [_head(bank.code, bank_local, payout.amount.minor, terms, f"GoCardless {payout.id}", "bank", branch=terms.branch)]
    if fees.net:
        assert fee is not None
        lines.append(
            _head(
                fee.code, rates.convert(fees.net), fees.net, terms, "GoCardless fees", "fees", branch=terms.branch, codes=codes
            )
        )
    if fees.surcharge:
        assert accounts.surcharge is not None
        local = rates.convert(fees.surcharge)
        lines.append(
            _head(
                accounts.surcharge.code,
                local,
                fees.surcharge,
                terms,
                "GoCardless surcharges",
                "surcharges",
                branch=terms.branch,
                codes=codes,
            )
        )
    if fees.vat:
        assert accounts.vat is not None
        lines.append(
            _head(accounts.vat.code, vat_local, fees.vat, terms, "VAT on GoCardless fees", "VAT on fees", branch=terms.branch)
        )
    return lines


def _head(
    account: str,
    local: int,
    foreign: int,
    terms: Terms,
    memo: str,
    title: str,
    *,
    branch: int | None,
    codes: tuple[str, ...] = (),
) -> EntryLine:
    shown = terms.bank_is_foreign
    return EntryLine(
        local, account, foreign=foreign if shown else 0, currency=terms.foreign_code if shown else "", memo=memo[:_MEMO], codes=codes,
        branch=branch, title=title,
    )  # fmt: skip


def _only_fixed(dimensions: Dimensions, codes: Sequence[str]) -> tuple[str, ...]:
    """Return the codes that every cost line carries: what depends on an invoice or a customer has no place there."""
    found = tuple(code if dimensions.rules.get(number, ("", ""))[0] == "fixed" else "" for number, code in enumerate(codes, 1))
    return found if any(found) else ()


def part_lines(part: Part, terms: Terms) -> list[EntryLine]:
    """Return the lines of one part: one for each profit centre of the invoice, in proportion to its lines."""
    invoice, partner = terms.invoices.get(part.doc_entry), terms.partners.get(part.card_code)
    if part.card_code:
        shares = groups(invoice, partner, terms.dimensions)
    else:
        shares = [(_padded(_only_fixed(terms.dimensions, terms.dimensions.codes(None))), "", Decimal(1))]
    weights = [weight for _, _, weight in shares]
    locals_, foreigns = split(-part.local, weights), split(-part.amount, weights)
    number = str(part.doc_num) if part.doc_num else ""
    words = f"{_WORDS[part.role]} {part.thing}" + (f" invoice {number}" if number else "")
    branch = part.branch if part.branch is not None else terms.branch
    return [
        EntryLine(
            local, part.account, part.card_code, partner.control if partner else "", foreign if terms.foreign_code else 0,
            terms.foreign_code, part.thing, number, words[:_MEMO], codes if any(codes) else (), project, branch, part.key,
            _WORDS[part.role],
        )
        for (codes, project, _), local, foreign in zip(shares, locals_, foreigns, strict=True)
        if local
    ]  # fmt: skip


def _padded(codes: Sequence[str]) -> tuple[str, str, str, str, str]:
    return (codes[0], codes[1], codes[2], codes[3], codes[4]) if codes else NO_CODES


def _exchange_line(payout: Payout, off: int, terms: Terms) -> EntryLine | Problem:
    """Return the realised gain or loss; without a second currency nothing may be left over."""
    if terms.rates.rate is None:
        return Problem("does_not_tie", f"{payout.id}: its entry is unbalanced by {Money(off, terms.local)}")
    told = unusable("fx_account", terms.accounts.exchange, terms.accounts.names.get("fx_account", ""))
    if told:
        return Problem("account", f"{payout.id}: {told}")
    assert terms.accounts.exchange is not None
    codes = _only_fixed(terms.dimensions, terms.dimensions.codes(None))
    title = "exchange gain" if off > 0 else "exchange loss"
    return EntryLine(
        -off, terms.accounts.exchange.code, memo=f"Realised {title}"[:_MEMO], codes=codes, branch=terms.branch, title=title
    )


def two_lines(
    reference2: str, day: date, sides: tuple[str, str], minor: int, words: str, local: str, branch: int | None, **more: Any
) -> PostEntry:
    """Return an entry of two lines, debit then credit: a bounce, its end, a difference of VAT (`minor` may be negative)."""
    lines = tuple(
        EntryLine(minor if debit else -minor, account, memo=words[:_MEMO], branch=branch, title=words)
        for account, debit in zip(sides, (True, False), strict=True)
    )
    return PostEntry(reference2.split("/", 1)[0], reference2, day, day, words[:_MEMO], local, lines, **more)
