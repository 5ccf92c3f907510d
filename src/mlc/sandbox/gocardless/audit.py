"""The identities that must hold for every payout, and for every payment across all of them."""

from __future__ import annotations

from collections import Counter

from .base import Books, Record
from .money import FEES, Item, converted

HERE = ("confirmed", "paid_out")


def check(books: Books) -> None:
    """Prove the books; raises AssertionError with the figures where an identity does not hold."""
    for payout in books.tables["payouts"].values():
        _payout(books, payout)
        _converted(payout)
    _payments(books)
    for event in books.tables["events"].values():
        kind, ident = event["_about"]
        assert ident in books.tables[kind], f"{event['id']} speaks of {ident}"


def _payout(books: Books, payout: Record) -> None:
    items: list[Item] = payout["_items"]
    total = sum(one.tenths for one in items)
    fees = sum(one.tenths for one in items if one.type in FEES)
    deducted = payout["deducted_fees"]
    told = f"{payout['id']}: amount {payout['amount']}, deducted {deducted}, items {total}, fees {fees} (tenths)"
    assert payout["amount"] > 0, told
    assert abs(total - 10 * payout["amount"]) <= 5, told
    if payout["payout_type"] == "partner":
        assert deducted == 0, told
        return
    assert abs(fees + 10 * deducted) <= 5, told
    assert 10 * payout["amount"] == total - fees - 10 * deducted, told
    assert books.switches.fees_deducted or not any(one.type == "gocardless_fee" for one in items), told
    for item in items:
        assert abs(item.tax) <= abs(item.tenths), f"{payout['id']}: {item}"
        if item.type == "payment_paid_out":
            assert item.tenths == 10 * books.tables["payments"][str(item.payment)]["amount"], f"{payout['id']}: {item}"


def _converted(payout: Record) -> None:
    rate, amount = payout["_rate"], payout["_fx_amount"]
    told = f"{payout['id']}: {payout['amount']} at {rate} is {amount}"
    assert (rate is None) == (amount is None), told
    assert rate is None or abs(converted(payout["amount"], rate) - amount) <= 1, told
    final = payout["status"] in ("paid", "bounced")
    assert (payout["arrival_date"] is not None) == final, told
    assert (rate is not None) == (final and payout["_target"] is not None), told


def _payments(books: Books) -> None:
    """Prove that what was paid out and taken back, or waits for it, is what the payments' states say."""
    replaced = {one["_replaces"] for one in books.tables["payouts"].values()}
    rows = [one for key, items in books.waiting.items() if key[2] == "merchant" for one in items]
    for payout in books.tables["payouts"].values():
        if payout["payout_type"] == "merchant" and payout["id"] not in replaced:
            rows += payout["_items"]
    money, refunded, fees = Counter[str](), Counter[str](), Counter[str]()
    for item in rows:
        if item.type == "payment_refunded":
            refunded[str(item.payment)] -= item.tenths
        elif item.type in ("gocardless_fee", "app_fee"):
            fees[str(item.payment)] += item.tenths
        elif item.payment is not None and item.refund is None and item.type != "surcharge_fee":
            money[item.payment] += item.tenths
    for ident, payment in books.tables["payments"].items():
        here = payment["status"] in HERE
        wanted = 10 * payment["amount"] if here else 0
        assert money[ident] == wanted, f"{ident} is {payment['status']}, its items add up to {money[ident]} tenths"
        assert fees[ident] <= 0 if here else fees[ident] == 0, (
            f"{ident} is {payment['status']}, its fees are {fees[ident]} tenths"
        )
        assert refunded[ident] <= 10 * payment["amount_refunded"], f"{ident}: refunds of {refunded[ident]} tenths"
        assert (payment["status"] != "paid_out") or payment["links"].get("payout"), f"{ident} is paid out without a payout"
