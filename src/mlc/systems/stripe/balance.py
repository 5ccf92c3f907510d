"""The balance of a Stripe account: what it is now, and every movement of it, page by page (Stripe: balance transactions)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mlc.core.clearing import DISPUTE, FEE, HELD_BACK, OTHER, PAYMENT, PAYOUT, REFUND, Movement
from mlc.core.money import from_stripe
from mlc.systems.stripe import wire
from mlc.systems.stripe.client import StripeSystem

# a payment that failed after all, or a capture that was lowered, takes back what its own charge brought
_CHARGES = frozenset({"charge", "payment", "payment_failure_refund", "payment_reversal", "partial_capture_reversal"})
_REFUNDS = {"refund": "", "payment_refund": "", "refund_failure": "/failed"}
_DISPUTES = {"dispute": "", "dispute_reversal": "/won"}  # by reporting category: their type is only `adjustment`
_PAYOUTS = {"payout": "", "payout_failure": "/failed", "payout_cancel": "/failed"}
_FEES = frozenset({"fee", "stripe_fee", "network_cost"})
_HELD_BACK = frozenset({"payout_minimum_balance_hold", "payout_minimum_balance_release"})


class StripeBalance:
    """Reads the balance of one account."""

    def __init__(self, system: StripeSystem) -> None:
        self.system = system

    def now(self) -> dict[str, tuple[int, int]]:
        """Return currency -> what is available and what is pending, in minor units."""
        body = self.system.get("/v1/balance")
        found: dict[str, tuple[int, int]] = {}
        for place, name in enumerate(("available", "pending")):
            for row in wire.need(body, name):
                amount = wire.money(row, "amount")
                sums = list(found.get(amount.currency, (0, 0)))
                sums[place] += amount.minor
                found[amount.currency] = (sums[0], sums[1])
        return found

    def movements_since(self, created: int) -> Iterator[list[Movement]]:
        """Yield pages of movements created at or after a moment, newest first, each with what it is about."""
        params = {"created": {"gte": created}, "expand": ["data.source"]}
        for page in self.system.pages("/v1/balance_transactions", params):
            yield [movement(row) for row in page]

    def reached(self, payment_id: str) -> int | None:
        """Return when a payment reached the balance, 0 where it succeeded and did not yet, None where Stripe knows no such money."""
        if payment_id.startswith("pi_"):
            body = self.system.find(f"/v1/payment_intents/{payment_id}", {"expand": ["latest_charge.balance_transaction"]})
            charge = (body or {}).get("latest_charge")
        else:
            charge = self.system.find(f"/v1/charges/{payment_id}", {"expand": ["balance_transaction"]})
        if not isinstance(charge, dict) or charge.get("status") != "succeeded":
            return None
        entry = charge.get("balance_transaction")
        return int(entry["created"]) if isinstance(entry, dict) else 0


def movement(body: dict[str, Any]) -> Movement:
    """Read a balance transaction; amounts leave Stripe's own unit here."""
    currency = str(wire.need(body, "currency"))
    source = body.get("source")
    about: dict[str, Any] = source if isinstance(source, dict) else {}
    kind, key = _kind(str(body.get("type") or ""), str(body.get("reporting_category") or ""), about, wire.id_of(source))
    return Movement(
        kind, key, currency.upper(), from_stripe(int(wire.need(body, "amount")), currency).minor,
        from_stripe(int(body.get("fee") or 0), currency).minor, int(wire.need(body, "created")), _status(about),
    )  # fmt: skip


def _kind(type_: str, category: str, about: dict[str, Any], ident: str) -> tuple[str, str]:
    if type_ in _CHARGES and ident:
        back = "/returned" if category == "charge_failure" else ""
        return PAYMENT, (wire.id_of(about.get("payment_intent")) or ident) + back
    if type_ in _REFUNDS and ident:
        return REFUND, ident + _REFUNDS[type_]
    if category in _DISPUTES and ident:
        return DISPUTE, ident + _DISPUTES[category]
    if type_ in _PAYOUTS and ident:
        return PAYOUT, ident + _PAYOUTS[type_]
    if type_ in _HELD_BACK:
        return HELD_BACK, ""
    return (FEE, "") if category in _FEES or type_ in _FEES else (OTHER, "")


def _status(about: dict[str, Any]) -> str:
    status = str(about.get("status") or "")
    if about.get("object") == "payout" and status == "paid" and about.get("reconciliation_status") == "in_progress":
        return "reconciling"
    return status
