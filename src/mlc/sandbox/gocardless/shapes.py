"""How records look to the outside: fields without underscore, `fx` as it stands now, items and taxes as strings."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from .base import Books, Record
from .money import Item, converted, tenths

BALANCES = ("confirmed_funds", "pending_payments_submitted", "pending_payouts")


def show(books: Books, kind: str, record: Record) -> dict[str, Any]:
    """Return a record as the API answers it."""
    shown = {key: _copied(value) for key, value in record.items() if not key.startswith("_")}
    if "fx" in shown:
        fx = _fx(books, kind, record)
        shown["fx"] = fx
        if fx is None and books.switches.fx_without == "absent":
            del shown["fx"]
    if kind == "events":
        about, ident = record["_about"]
        shown["resource_metadata"] = dict(books.tables[about][ident].get("metadata") or {})
    return shown


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(inner) for key, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, list) else value


def _fx(books: Books, kind: str, record: Record) -> dict[str, Any] | None:
    """Return the conversion of a payout, or of what is or will be in one."""
    payout = record if kind == "payouts" else None
    creditor = record["_creditor"] if kind == "refunds" else record["links"]["creditor"]
    paid_in = record["links"].get("payout") if kind == "payments" else record.get("_payout")
    if paid_in:
        payout = books.tables["payouts"][paid_in]
    currency = record["currency"]
    target = payout["_target"] if payout else _target(books, creditor, currency)
    if target is None:
        empty = {"fx_currency": currency, "fx_amount": None, "exchange_rate": None, "estimated_exchange_rate": None}
        return empty if books.switches.fx_without == "nulls" else None
    rate = payout["_rate"] if payout else None
    amount = payout["_fx_amount"] if payout is record else converted(record["amount"], rate) if rate else None
    estimate = f"{Decimal(books.rates.get((currency, target), '1.1')):.10f}"
    return {
        "fx_currency": target,
        "fx_amount": amount if rate else None,
        "exchange_rate": rate,
        "estimated_exchange_rate": None if rate else estimate,
    }


def _target(books: Books, creditor: str, currency: str) -> str | None:
    """Return the currency into which a payout of today would be converted."""
    record = books.tables["creditors"][creditor]
    account = record["links"].get(f"default_{currency.lower()}_payout_account")
    wanted: str | None = record["fx_payout_currency"]
    return wanted if account is None and wanted != currency else None


def show_item(books: Books, payout: Record, item: Item) -> dict[str, Any]:
    """Return an item of a payout with its taxes."""
    links = {"payment": item.payment, "mandate": item.mandate, "refund": item.refund}
    return {
        "amount": tenths(item.tenths),
        "type": item.type,
        "taxes": [_tax(books, payout, item)] if item.tax else [],
        "links": {key: value for key, value in links.items() if value},
    }


def _tax(books: Books, payout: Record, item: Item) -> dict[str, Any]:
    amount = abs(item.tax) if books.switches.tax_sign == "positive" else item.tax
    rate = payout["_tax_rate"]
    same = payout["currency"] == payout["tax_currency"]
    there = amount if same else converted(amount, rate) if rate else None
    return {
        "amount": tenths(amount),
        "currency": payout["currency"],
        "destination_amount": None if there is None else tenths(there),
        "destination_currency": payout["tax_currency"],
        "exchange_rate": None if same else rate,
        "tax_rate_id": "GB_VAT_1",
    }


def balances(books: Books, creditor: str) -> list[dict[str, Any]]:
    """Return what a creditor's money is doing, per currency and kind."""
    sums: dict[tuple[str, str], int] = {}
    for (owner, currency, kind), items in books.waiting.items():
        if owner == creditor and kind == "merchant":
            sums["confirmed_funds", currency] = sum(one.tenths for one in items)
    for payment in books.tables["payments"].values():
        if payment["links"]["creditor"] == creditor and payment["status"] == "submitted":
            key = ("pending_payments_submitted", payment["currency"])
            sums[key] = sums.get(key, 0) + 10 * payment["amount"]
    for payout in books.tables["payouts"].values():
        if payout["links"]["creditor"] == creditor and payout["status"] == "pending" and payout["payout_type"] == "merchant":
            key = ("pending_payouts", payout["currency"])
            sums[key] = sums.get(key, 0) + 10 * payout["amount"]
    currencies = sorted({currency for _, currency in sums} or {"GBP"})
    return [
        {
            "amount": int(sums.get((kind, currency), 0) / 10),
            "balance_type": kind,
            "currency": currency,
            "last_updated_at": books.stamp(),
            "links": {"creditor": creditor},
        }
        for currency in currencies
        for kind in BALANCES
    ]
