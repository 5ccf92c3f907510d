"""Generated payouts (facts/bookkeeping.md): no entry is unbalanced, loses a cent or applies more than is open."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from payouts import NAMES, Week, accounts, booked, clue, fee, invoice, item, legs, payer, payout, rounded

from mlc.core.clues import Payer
from mlc.core.commands import Part, PostEntry
from mlc.core.debits import PayoutItem
from mlc.core.facts import Line
from mlc.core.identities import Problem, unsound
from mlc.core.postings import build
from mlc.core.shares import Dimensions

EXAMPLES = 150
BANK, FEE, VAT, SURCHARGE, PARKING = (
    NAMES[role] for role in ("bank_account", "fee_account", "vat_account", "surcharge_account", "unallocated_account")
)


def paid(ident: str, amount: int) -> PayoutItem:
    """A payment that was collected."""
    return item("payment_paid_out", f"{amount}.0", ident)


KINDS = ("in", "in", "in", "fleeting", "payment_failed", "payment_charged_back", "payment_refunded", "refund_funds_returned")
TENTHS = st.integers(0, 3000).map(lambda tenths: Decimal(tenths) / 10)


@st.composite
def fees(draw: st.DrawFn) -> PayoutItem:
    """A fee or its credit, with a tax inside of either sign."""
    amount = draw(TENTHS)
    tax = draw(st.sampled_from([Decimal(0), (amount / 6).quantize(Decimal("0.1")), amount])) * draw(st.sampled_from([1, -1]))
    kind = draw(st.sampled_from(["gocardless_fee", "gocardless_fee", "app_fee", "surcharge_fee"]))
    return fee(amount * draw(st.sampled_from([-1, -1, -1, 1])), min(abs(tax), amount).copy_sign(tax), kind=kind)


@st.composite
def weeks(draw: st.DrawFn) -> Week:
    """Any payout that ties: plus and minus, known and unknown, fees with fractions, any policy."""
    books = [
        invoice(entry, draw(st.integers(1, 9999)), card=draw(st.sampled_from(["C1", "C2"])),
                lines=tuple(Line("x", Decimal(draw(st.integers(-50, 400))), (code,)) for code in "AB"))
        for entry in range(1, draw(st.integers(2, 4)))
    ]  # fmt: skip
    items, clues, history = [paid("PM99", 10**6)], [clue(10**6, ident="PM99", decision=(99,))], {}
    for number in range(1, draw(st.integers(2, 6))):
        ident, one = f"PM{number}", draw(st.sampled_from(books))
        amount = draw(st.sampled_from([int(one.total * 100)] * 2 + [draw(st.integers(1, 9999))]))
        kind = draw(st.sampled_from(KINDS))
        who = draw(st.sampled_from([Payer(), payer(one.card_code), payer("C1")]))
        clues.append(
            clue(
                amount,
                who,
                ident=ident,
                refunded=amount,
                metadata=draw(st.sampled_from([{}, {"docentry": str(one.doc_entry)}])),
            )
        )
        if kind in ("in", "fleeting"):
            items += [paid(ident, amount), *([item("payment_failed", f"-{amount}.0", ident)] if kind == "fleeting" else [])]
            continue
        card = draw(st.sampled_from(["", "C1", "C2"]))
        history[ident] = [booked(ident, amount, card)]
        history[f"RF{number}"] = [booked(f"RF{number}", -amount, card or "C1", role="refund", payment=ident)]
        thing = {"payment_refunded": f"RFx{number}", "refund_funds_returned": f"RF{number}"}.get(kind, ident)
        items.append(item(kind, f"{'' if kind == 'refund_funds_returned' else '-'}{amount}.0", thing, payment=ident))
    items += draw(st.lists(fees(), max_size=4))
    return Week(
        items, clues, [*books, invoice(99, 10**6)], history, policy=draw(st.sampled_from(["hold", "park", "park", "on_account"])),
        payout=payout(items, half=draw(st.sampled_from(["up", "down"]))), accounts=accounts(apart=draw(st.booleans())),
        dimensions=Dimensions(draw(st.sampled_from([{}, {1: ("invoice", "")}]))),
    )  # fmt: skip


def applied(parts: Sequence[Part]) -> Counter[int]:
    """What the parts of this payout take from each invoice, net."""
    found: Counter[int] = Counter()
    for part in parts:
        if part.doc_entry and (part.role == "invoice" or part.undoes.startswith("PO1/")):
            found[part.doc_entry] += part.amount
    return found


def proved(week: Week, entry: PostEntry) -> None:
    """Prove everything that must hold of an entry, from the items alone."""
    got, others = legs(entry), [one for one in week.items if one.type not in ("gocardless_fee", "app_fee", "surcharge_fee")]
    assert sum(got.values()) == 0
    assert got[BANK] == week.paid.amount.minor
    receivable = sum(minor for name, minor in got.items() if name in (PARKING, "C1", "C2"))
    assert receivable == -sum(one.amount for one in others)
    vat = sum((abs(tax.amount).copy_sign(-one.amount) for one in week.items for tax in one.taxes), Decimal(0))
    assert got.get(VAT, 0) == rounded(vat)
    assert got.get(FEE, 0) + got.get(SURCHARGE, 0) + got.get(VAT, 0) == week.paid.deducted
    by_part: Counter[str] = Counter()
    for line in entry.lines:
        by_part[line.part] -= line.local if line.part else 0
    assert all(by_part[part.key] == part.amount for part in entry.parts)
    for entry_, minor in applied(entry.parts).items():
        assert minor <= next(one.balance * 100 for one in week.invoices if one.doc_entry == entry_)


def test_no_generated_payout_is_unbalanced_or_loses_a_cent() -> None:
    """Whatever a payout holds: its entry balances, the bank is its amount, receivables are its items, nothing is applied twice."""
    seen: Counter[str] = Counter()

    @settings(max_examples=EXAMPLES)
    @given(weeks())
    def check(week: Week) -> None:
        if unsound(week.paid, week.items, week.payments) is not None:
            seen["does not tie"] += 1
            return
        done = week.place()
        if done.problems:
            seen["held"] += 1
            return
        found = build(week.paid, week.items, done.parts, week.terms())
        if isinstance(found, Problem) and found.reason == "does_not_tie" and week.accounts.surcharge is not None:
            seen["held by rounding surcharges apart"] += 1
            return
        assert isinstance(found, PostEntry), found
        proved(week, found)
        seen["posted"] += 1

    check()
    print(f"entries: {dict(seen)} of {EXAMPLES} payouts and more")  # noqa: T201 - so that a fall of the figure is seen
    assert seen["posted"] >= EXAMPLES // 3
    assert seen["does not tie"] == 0
    assert seen["held by rounding surcharges apart"] == 0


def test_the_prover_can_fail() -> None:
    """An entry whose lines were shifted by a cent from the receivable to the fees is found out."""
    items = (paid("PM1", 50000), fee("-480.0", "80.0"))
    week = Week(items, [clue(50000, metadata={"invoice": "1001"})], [invoice(1, 50000)])
    entry = week.entry()
    proved(week, entry)
    shifted = [
        dataclasses.replace(one, local=one.local + (one.account == FEE) - (one.card_code == "C1")) for one in entry.lines
    ]
    with pytest.raises(AssertionError):
        proved(week, dataclasses.replace(entry, lines=tuple(shifted)))
