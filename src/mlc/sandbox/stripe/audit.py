"""The identities that must hold in the account at any moment; `check` raises AssertionError where one does not."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .account import Account
    from .table import Thing


def check(account: Account) -> None:
    """Prove balance, invoices, payments, refunds, payouts and customers against each other."""
    _balance(account)
    for invoice in account.tables["invoice"].rows.values():
        if account.of(invoice, "status") != "draft":
            _invoice(account, invoice)
    for intent in account.tables["payment_intent"].rows.values():
        _intent(account, intent)
    for charge in account.tables["charge"].rows.values():
        _charge(account, charge)
    for payout in account.tables["payout"].rows.values():
        if payout["automatic"]:
            rows = account.tables["balance_transaction"].where("_payout", payout["id"])
            others = sum(account.net(one) for one in rows if one["id"] != payout["balance_transaction"])
            assert others == payout["amount"], (payout["id"], others, payout["amount"])
    for customer in account.tables["customer"].rows.values():
        _customer(account, customer)


def _balance(account: Account) -> None:
    moved: Counter[str] = Counter()
    for entry in account.payment_entries():
        assert account.of(entry, "fee") == sum(one["amount"] for one in account.of(entry, "fee_details")), entry
        moved[entry["currency"]] += account.net(entry)
    sums = account.balance()
    for currency in {*moved, *account.purse}:
        stands = sums["available"].get(currency, 0) + sums["pending"].get(currency, 0)
        assert moved[currency] == stands == account.purse[currency], (currency, moved[currency], stands)


def _invoice(account: Account, invoice: Thing) -> None:
    ident, of = invoice["id"], account.of
    due, paid, remaining = (of(invoice, f"amount_{name}") for name in ("due", "paid", "remaining"))
    requests = account.requests(ident)
    used = sum(one["_applied"] for one in requests if of(one, "status") == "paid")
    extra = sum(one.get("_extra", 0) for one in requests)
    assert paid == used + invoice.get("_off_stripe", 0), (ident, paid, used)
    assert due == paid + remaining, (ident, due, paid, remaining)
    assert remaining >= 0, (ident, remaining)
    assert of(invoice, "amount_overpaid") == extra, (ident, extra)
    assert (of(invoice, "status") == "paid") <= (remaining == 0), (ident, remaining)
    shown = sum(one.get("amount_paid") or 0 for one in requests)
    assert shown == used + (extra if account.switches.overpaid_in_payment else 0), (ident, shown)
    notes = [one for one in account.tables["credit_note"].where("invoice", ident) if of(one, "status") != "void"]
    assert of(invoice, "pre_payment_credit_notes_amount") == sum(one["pre_payment_amount"] for one in notes), ident
    default = account.default_request(ident)
    if default and of(invoice, "status") == "open" and not account.in_flight(ident):
        assert default["amount_requested"] == remaining, (ident, remaining)


def _intent(account: Account, intent: Thing) -> None:
    charge = account.tables["charge"].rows.get(account.of(intent, "latest_charge") or "")
    received = account.of(intent, "amount_received")
    captured = charge["amount_captured"] if charge else 0
    assert received == captured, (intent["id"], received, captured)
    assert account.unused(intent) >= 0, intent["id"]


def _charge(account: Account, charge: Thing) -> None:
    refunds = account.tables["refund"].where("charge", charge["id"])
    back = sum(one["amount"] for one in refunds if one["status"] not in ("failed", "canceled"))
    assert account.of(charge, "amount_refunded") == back <= charge["amount_captured"], (charge["id"], back)
    entries = account.tables["balance_transaction"].where("source", charge["id"])
    most = {"succeeded": 1, "failed": 2, "pending": int(account.switches.debit_balance_early)}[charge["status"]]
    assert len(entries) <= most, (charge["id"], len(entries))
    if charge["status"] == "failed":
        assert sum(one["amount"] for one in entries) == 0, (charge["id"], "its failure leaves money behind")


def _customer(account: Account, customer: Thing) -> None:
    sums: Counter[str] = Counter()
    for entry in account.tables["customer_balance_transaction"].where("customer", customer["id"]):
        sums[entry["currency"]] += entry["amount"]
    balances = customer.get("_balances", {})
    assert all(sums[currency] == balances.get(currency, 0) for currency in {*sums, *balances}), customer["id"]
