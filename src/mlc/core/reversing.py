"""Money that goes back at Stripe: which entries it asks for, and which of the payment's places each of them takes from.

Decided by what moved on the balance, not by a status alone: a dispute of every kind that withdrew funds has a movement, a mere inquiry
has none (facts: bookkeeping section 8). Nothing is spread over several invoices on an interpretation.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from mlc.core.commands import EntryLine, Part, PostEntry
from mlc.core.facts import Account, Movement, Reversal
from mlc.core.money import Money

_REFUND_ON_ITS_WAY = ("pending", "requires_action")
_REFUND_BACK = ("failed", "canceled")
_DISPUTES = ("needs_response", "under_review", "won", "lost", "prevented")
_WITHDRAWN = ("needs_response", "under_review", "lost")
_TURNED = {"refund": "failed", "dispute": "won", "returned": "again"}
_WORDS = {"refund": "Refund", "dispute": "Disputed", "returned": "Debit returned"}
_MEMO = 50
_LOOSE = "customer only"  # the rule of a part that names no place because several are possible


@dataclass(frozen=True, slots=True)
class Leg:
    """One movement that asks for an entry. `back` is positive where money left for the customer, negative where it returned."""

    suffix: str  # "" for the money that went back first, then what turned it: /failed, /won, and further ones numbered
    back: int
    fee: int
    created: int

    @property
    def clearing(self) -> int:
        """What it moves the clearing account by, in signed minor units."""
        return -self.back - self.fee


@dataclass(frozen=True, slots=True)
class Wait:
    """Why nothing can be booked yet, or ever without a person."""

    reason: str
    text: str


NOT_SAID = -1


@dataclass(frozen=True, slots=True)
class Place:
    """Where a part of a payment stands: an invoice, the customer's account (DocEntry 0), or (-1) nobody said where."""

    doc_entry: int
    doc_num: int
    minor: int


def legs(one: Reversal, local: str) -> tuple[Leg, ...] | Wait:
    """Return the entries a reversal asks for, in order; none for an inquiry, and for a refund that never went out."""
    unknown = _unknown(one)
    if unknown is not None:
        return unknown
    moves = [move for move in one.moves if move.amount or move.fee]
    if one.kind == "refund" and one.status in _REFUND_BACK and len(moves) == 1:
        return Wait("balance_pending", f"{one.id} is {one.status}, and Stripe does not show yet when its money came back")
    if not moves:
        due = one.status == "succeeded" or (one.kind == "dispute" and one.status in _WITHDRAWN) or one.kind == "returned"
        return Wait("balance_pending", f"Stripe does not show yet what {one.id} did to the balance") if due else ()
    if {move.currency for move in moves} | {one.amount.currency} != {local}:
        found = ", ".join(sorted({move.currency for move in moves} | {one.amount.currency}))
        return Wait("currency", f"{one.id} moved {found}; only {local} is booked yet")
    if any(abs(move.amount) != one.amount.minor for move in moves):
        moved = ", ".join(str(Money(move.amount, local)) for move in moves)
        return Wait("amount_mismatch", f"{one.id} is over {one.amount}, and the balance moved by {moved}")
    found_legs = _numbered(one, moves)
    if not found_legs[0].back > 0 or any(first.back + then.back for first, then in itertools.pairwise(found_legs)):
        return Wait("unknown_status", f"the balance shows {one.id} in an order that mlc does not know; book it by hand")
    return found_legs


def _unknown(one: Reversal) -> Wait | None:
    if one.kind == "refund" and one.status in _REFUND_ON_ITS_WAY:
        return Wait("refund_pending", f"{one.id} is on its way ({one.status}): nothing to book yet")
    known = {
        "refund": one.status in ("succeeded", *_REFUND_BACK),
        "dispute": one.status in _DISPUTES or one.status.startswith(("warning", "appeal")),
        "returned": True,
    }
    return None if known[one.kind] else Wait("unknown_status", f"{one.id} has a status mlc does not know: {one.status!r}")


def _numbered(one: Reversal, moves: Sequence[Movement]) -> tuple[Leg, ...]:
    """Name each movement: the first that went out is the reversal itself, what came back turned it, further ones are counted."""
    found: list[Leg] = []
    count = {True: 0, False: 0}
    for move in sorted(moves, key=lambda each: (each.created, each.amount > 0)):
        out = move.amount < 0
        count[out] += 1
        word = "" if out else f"/{_TURNED[one.kind]}"
        suffix = word if count[out] == 1 else f"{word}/{count[out]}"
        found.append(Leg(suffix, -move.amount, move.fee, move.created))
    return tuple(found)


def taken_from(places: Sequence[Place], back: int) -> tuple[Place, ...] | None:
    """Return where money that goes back stood: everything, or the only place there is; else the customer, naming no invoice.

    None where more goes back than is left of the payment.
    """
    left = [one for one in places if one.minor > 0]
    total = sum(one.minor for one in left)
    if back > total:
        return None
    if back == total:
        return tuple(left)
    if len(left) == 1:
        return (Place(left[0].doc_entry, left[0].doc_num, back),)
    return (Place(NOT_SAID, 0, back),)


def left_of(places: Sequence[Place], earlier: Sequence[Part]) -> tuple[Place, ...]:
    """Return what is left of a payment's places after what went back before; what named no invoice leaves the rest in one."""
    rest = {one.doc_entry: one.minor for one in places}
    loose = 0
    for part in earlier:
        if part.rule == _LOOSE or part.doc_entry not in rest:
            loose += part.amount
        else:
            rest[part.doc_entry] += part.amount
    if loose or any(minor < 0 for minor in rest.values()):
        return (Place(NOT_SAID, 0, sum(rest.values()) + loose),)
    return tuple(Place(one.doc_entry, one.doc_num, rest[one.doc_entry]) for one in places)


@dataclass(frozen=True, slots=True)
class Books:
    """What an entry is built by, besides the reversal itself."""

    card_code: str
    control: str
    clearing: Account
    fee: Account | None
    local: str
    day: date
    original_day: date
    branch: int | None = None
    numbers: tuple[int, ...] = ()  # of the invoices the payment paid, for the words where none is named alone


def entry(one: Reversal, leg: Leg, places: Sequence[Place], undone: Sequence[Part], books: Books) -> PostEntry:
    """Build the entry of a leg: the customer's debit by place, the fee, the clearing account; or, for what came back, its mirror."""
    key = one.id + leg.suffix
    parts = _mirrored(one, key, undone) if leg.back < 0 else _parts(one, key, places, books)
    lines = [_customer_line(one, part, books) for part in parts]
    if leg.fee:
        assert books.fee is not None, f"{key}: a fee without an account"
        lines.append(
            EntryLine(leg.fee, books.fee.code, reference1=one.id, memo=_memo(one, "fee"), branch=books.branch, title="fee")
        )
    lines.append(
        EntryLine(
            leg.clearing, books.clearing.code, reference1=one.id, memo=_memo(one, ""), branch=books.branch, title="Stripe"
        )
    )
    memo = f"Stripe {key}" if books.day == books.original_day else f"Stripe {key} of {books.original_day}"
    return PostEntry(
        payout="", reversal=one.id, reference2=key, day=books.day, document_day=books.original_day, memo=memo[:_MEMO],
        currency=books.local, lines=tuple(lines), parts=tuple(parts), states=((f"reversal {key}", "booked"),),
    )  # fmt: skip


def _parts(one: Reversal, key: str, places: Sequence[Place], books: Books) -> list[Part]:
    numbers = ", ".join(map(str, books.numbers))
    return [
        Part(
            key=f"{key}/{one.payment}/{number}", type=one.kind, thing=one.id, payment=one.payment, role="refund", amount=-place.minor,
            currency=books.local, local=-place.minor, card_code=books.card_code, doc_entry=max(0, place.doc_entry), doc_num=place.doc_num,
            branch=books.branch, rule="recorded" if place.doc_entry >= 0 else _LOOSE, evidence=_evidence(one, place, numbers),
        )
        for number, place in enumerate(places, 1)
    ]  # fmt: skip


def _evidence(one: Reversal, place: Place, numbers: str) -> str:
    if place.doc_num:
        return f"{one.payment} paid invoice {place.doc_num}"
    return (
        f"{one.payment} paid {numbers}; which of them it is about is not said" if numbers else f"{one.payment} stood on account"
    )


def _mirrored(one: Reversal, key: str, undone: Sequence[Part]) -> list[Part]:
    return [
        Part(
            key=f"{key}/{one.payment}/{number}", type=one.kind, thing=one.id, payment=one.payment, role="return", amount=-part.amount,
            currency=part.currency, local=-part.local, card_code=part.card_code, doc_entry=part.doc_entry, doc_num=part.doc_num,
            branch=part.branch, undoes=part.key, rule="recorded", evidence=f"takes back {part.key.rsplit('/', 2)[0]}",
        )
        for number, part in enumerate(undone, 1)
    ]  # fmt: skip


def _customer_line(one: Reversal, part: Part, books: Books) -> EntryLine:
    about = f"invoice {part.doc_num}" if part.doc_num else "on account"
    return EntryLine(
        -part.local, card_code=part.card_code, control=books.control, reference1=one.id,
        reference2=str(part.doc_num) if part.doc_num else ", ".join(map(str, books.numbers))[:100], memo=_memo(one, about),
        branch=books.branch, part=part.key, title=about,
    )  # fmt: skip


def _memo(one: Reversal, about: str) -> str:
    return f"{_WORDS[one.kind]} {about}".strip()[:_MEMO]
