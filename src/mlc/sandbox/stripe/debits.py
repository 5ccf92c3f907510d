"""Bank debits: payments that take days, and that may come back after they had succeeded."""

from __future__ import annotations

from typing import Any

from .errors import Refusal
from .payments import Amount, Payments
from .table import Thing


class Debits(Payments):
    """What can be done with payments that take days."""

    def pay_late(self, invoice_id: str, method: str = "sepa_debit", *, amount: Amount = None) -> str:
        """Start a payment that takes days; `settle_late` or `fail_late` ends it. Returns the PaymentIntent's id."""
        invoice = self.payable(invoice_id)
        amount = invoice["amount_remaining"] if amount is None else amount
        if not 0 < amount <= invoice["amount_remaining"]:
            raise Refusal("a late payment is above 0 and within what remains", param="amount")
        intent = self.intent_for(invoice, amount)
        charge = self.charge_intent(intent, amount, method, "pending")
        if self.switches.debit_balance_early:
            charge = self.enter_charge(charge)
            self.change(self.get("balance_transaction", charge["balance_transaction"]), _waits=True)
        new = self.change(intent, status="processing", latest_charge=charge["id"], payment_method=charge["payment_method"])
        self.emit("charge.pending", charge)
        self.emit("payment_intent.processing", new)
        return str(intent["id"])

    def _late(self, pi_id: str) -> tuple[Thing, Thing]:
        intent = self.get("payment_intent", pi_id)
        if self.of(intent, "status") != "processing":
            raise Refusal("this payment is not being processed", code="payment_intent_unexpected_state")
        return intent, self.get("charge", intent["latest_charge"])

    def settle_late(self, pi_id: str) -> str:
        """Let a late payment arrive."""
        intent, charge = self._late(pi_id)
        self.arrived(intent, self.change(charge, status="succeeded", paid=True, amount_captured=charge["amount"]))
        return pi_id

    def fail_late(self, pi_id: str, code: str = "insufficient_funds") -> str:
        """Let a late payment fail; the invoice stays open and can be paid again."""
        self._failed(*self._late(pi_id), code)
        for request in self.tables["invoice_payment"].where("_intent", pi_id):
            invoice = self.get("invoice", request["invoice"])
            failed = self.change(invoice, attempted=True, attempt_count=self.of(invoice, "attempt_count") + 1)
            self.emit("invoice.payment_failed", failed, invoice)
            self.step_default(failed)
        return pi_id

    def return_debit(self, pi_id: str, code: str = "insufficient_funds") -> str:
        """Let a bank debit come back after it had succeeded: the charge fails, and its money leaves the balance again.

        The invoice stays paid, for `paid` is an end at Stripe; under `returned_debit_reopens` it is open again.
        `dispute(pi, "lost")` is the other shape of the same event. Returns the PaymentIntent's id.
        """
        intent = self.get("payment_intent", pi_id)
        charge = self.get("charge", self.of(intent, "latest_charge") or "")
        requests = [one for one in self.tables["invoice_payment"].where("_intent", pi_id) if self.of(one, "status") == "paid"]
        debit = self.of(charge, "payment_method_details")["type"] == "sepa_debit"
        if charge["status"] != "succeeded" or not debit or self.of(charge, "disputed") or self.of(charge, "amount_refunded"):
            raise Refusal("only a bank debit that succeeded, without refund or dispute, can come back", param="pi_id")
        if any(one.get("_extra") for one in requests):
            raise Refusal("a payment that overpaid an invoice cannot come back in the simulator", param="pi_id")
        received = self.of(intent, "amount_received")
        self._failed(intent, charge, code, amount_received=0)
        if self.switches.returned_debit_reopens:
            for request in requests:
                self._reopen(request)
        else:
            self.change(self.get("payment_intent", pi_id), _returned=received)
        return pi_id

    def _failed(self, intent: Thing, charge: Thing, code: str, **fields: Any) -> None:
        """Fail a charge and its PaymentIntent; what the charge had brought into the balance goes out again."""
        text = "The customer's account has insufficient funds to cover this payment."
        back = self._enter_back(charge)
        failure = {"failure_code": code, "failure_message": text, "failure_balance_transaction": back["id"] if back else None}
        charge = self.change(charge, status="failed", paid=False, amount_captured=0, **failure)
        error = {"type": "card_error", "code": code, "message": text, "charge": charge["id"]}
        new = self.change(intent, status="requires_payment_method", last_payment_error=error, **fields)
        self.emit("charge.failed", charge)
        self.emit("payment_intent.payment_failed", new)

    def _enter_back(self, charge: Thing) -> Thing | None:
        """Enter the failure of a charge: the reverse of its movement, available on the same day; the fee by switch."""
        if not charge.get("balance_transaction"):
            return None
        came = self.get("balance_transaction", charge["balance_transaction"])
        self.change(came, _waits=False)
        back = self.enter(
            -came["amount"],
            came["currency"],
            "payment_failure_refund",
            "charge_failure",
            charge["id"],
            fee=-self.of(came, "fee") if self.switches.failed_debit_fee_returned else 0,
            description="Payment failure refund",
        )
        return self.change(
            back, available_on=max(came["available_on"], self.now()), exchange_rate=self.of(came, "exchange_rate")
        )

    def _reopen(self, request: Thing) -> None:
        """Ask an invoice again for what a returned payment had paid of it."""
        old = self.get("invoice", request["invoice"])
        gone = self.of(old, "status") == "void"
        stamps = {"canceled_at": self.now() if gone else None, "paid_at": None}
        status = "canceled" if gone else "open"
        self.change(request, status=status, amount_paid=None, _applied=0, status_transitions=stamps)
        if self.of(old, "status") == "paid":
            transitions = {**self.of(old, "status_transitions"), "paid_at": None}
            self.change(old, status="open", status_transitions=transitions)
        invoice = self.settle_invoice(request["invoice"])
        self.emit("invoice.payment_failed", invoice)
