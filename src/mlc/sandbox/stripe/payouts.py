"""Payouts to the bank: automatic ones that can be taken apart into their movements, and manual ones that cannot."""

from __future__ import annotations

from typing import Any

from .base import DAY
from .credits import Credits
from .errors import Refusal
from .ids import scramble
from .money import WHOLE_PAYOUTS
from .table import Thing

HOLD, RELEASE = "payout_minimum_balance_hold", "payout_minimum_balance_release"


class Payouts(Credits):
    """What can be done with payouts."""

    def _ripe(self, currency: str) -> list[Thing]:
        return [one for one in self.payment_entries(currency) if self.ripe(one) and not one.get("_payout")]

    def make_payout(self, currency: str | None = None) -> str:
        """Pay out all that is available, as the schedule would; `complete_payout` lets it arrive. Returns its id."""
        currency = currency or self.default_currency
        ripe = self._ripe(currency)
        amount = sum(self.net(one) for one in ripe)
        odd = amount % 100 if currency in WHOLE_PAYOUTS and amount > 0 else 0
        if amount - odd <= 0:
            raise Refusal("nothing is available to be paid out", code="balance_insufficient")
        if odd:
            ripe.append(self.enter(-odd, currency, HOLD, HOLD, None))
        payout = self._payout(amount - odd, currency, automatic=True)
        if odd:
            self.enter(odd, currency, RELEASE, RELEASE, None)
        for one in ripe:
            self.change(one, _payout=payout["id"])
        self.change(self.get("balance_transaction", payout["balance_transaction"]), _payout=payout["id"])
        return str(payout["id"])

    def manual_payout(self, amount: int, currency: str | None = None) -> str:
        """Pay out an amount by hand; its movements are not known to Stripe. Returns the payout's id."""
        currency = currency or self.default_currency
        available = self.balance()["available"].get(currency, 0)
        if not 0 < amount <= available:
            raise Refusal("You have insufficient funds in your Stripe account.", code="balance_insufficient")
        return str(self._payout(amount, currency, automatic=False)["id"])

    def _payout(self, amount: int, currency: str, *, automatic: bool) -> Thing:
        payout = self.make(
            "payout",
            amount=amount,
            currency=currency,
            arrival_date=(self.now() // DAY + 2) * DAY,
            automatic=automatic,
            description="STRIPE PAYOUT",
            destination=f"ba_1{scramble(self.account_id + currency, 23)}",
            reconciliation_status="in_progress" if automatic else "not_applicable",
            status="pending",
            trace_id={"status": "pending", "value": None},
        )
        entry = self.enter(-amount, currency, "payout", "payout", payout["id"], description="STRIPE PAYOUT")
        payout = self.change(payout, balance_transaction=entry["id"])
        self.emit("payout.created", payout)
        return payout

    def send_payout(self, po_id: str) -> str:
        """Hand a payout to the bank."""
        old = self._payout_in(po_id, "pending")
        self.emit("payout.updated", self.change(old, status="in_transit"), old)
        return po_id

    def _payout_in(self, po_id: str, *states: str) -> Thing:
        payout = self.get("payout", po_id)
        if payout["status"] not in states:
            raise Refusal(f"this payout is {payout['status']}")
        return payout

    def complete_payout(self, po_id: str, *, reconcile: bool = True) -> str:
        """Let a payout arrive as far as Stripe can know, and finish its reconciliation unless told otherwise."""
        old = self._payout_in(po_id, "pending", "in_transit")
        trace = {"status": "supported", "value": scramble(po_id, 16).upper()}
        new = self.change(old, status="paid", trace_id=trace)
        self.emit("payout.updated", new, old)
        self.emit("payout.paid", new)
        if reconcile and new["automatic"]:
            self.reconcile_payout(po_id)
        return po_id

    def reconcile_payout(self, po_id: str) -> str:
        """Finish the reconciliation of an automatic payout."""
        old = self.get("payout", po_id)
        if old["reconciliation_status"] != "in_progress":
            raise Refusal("the reconciliation of this payout is not in progress")
        new = self.change(old, reconciliation_status="completed")
        self.emit("payout.updated", new, old)
        self.emit("payout.reconciliation_completed", new)
        return po_id

    def fail_payout(self, po_id: str, code: str = "account_closed") -> str:
        """Let a payout bounce, even after it was reported as paid; the money returns to the balance."""
        old = self._payout_in(po_id, "pending", "in_transit", "paid")
        back = self.enter(old["amount"], old["currency"], "payout_failure", "payout_reversal", po_id)
        fields: dict[str, Any] = {
            "status": "failed",
            "failure_code": code,
            "failure_message": "The bank account has been closed.",
            "failure_balance_transaction": back["id"],
        }
        new = self.change(old, **fields)
        self.emit("payout.failed", new)
        self.emit("payout.updated", new, old)
        return po_id
