"""PaymentIntents and InvoicePayments: who is asked for how much, and which invoices a payment is meant for."""

from __future__ import annotations

from typing import Any

from .errors import Refusal
from .items import Items
from .money import digits, known, plain, smallest
from .table import Thing

WAITING = ("requires_payment_method", "requires_confirmation", "requires_action")


class Intents(Items):
    """What can be done with PaymentIntents that are not paid yet, and with requests for payment."""

    def new_intent(self, amount: int, currency: str, customer: str | None, **fields: Any) -> Thing:
        """Create a PaymentIntent and its event."""
        intent = self.make("payment_intent", amount=amount, currency=currency, customer=customer, **fields)
        self.emit("payment_intent.created", intent)
        return intent

    def create_intent(self, params: dict[str, Any]) -> Thing:
        """Create a PaymentIntent as an application other than invoicing would."""
        currency = known(params["currency"])
        amount = digits(params["amount"], currency, self.switches)
        if amount < smallest(currency):
            text = f"Amount must be at least {plain(smallest(currency), currency)}"
            raise Refusal(text, code="amount_too_small", param="amount")
        if params.get("customer"):
            self.live_customer(params["customer"], "customer")
        return self.new_intent(
            amount,
            currency,
            params.get("customer"),
            description=params.get("description"),
            metadata=self.merged(None, params.get("metadata", {})) or None,
            allowed_payment_method_types=params.get("allowed_payment_method_types"),
            automatic_payment_methods=params.get("automatic_payment_methods"),
            receipt_email=params.get("receipt_email"),
        )

    def update_intent(self, ident: str, params: dict[str, Any]) -> Thing:
        """Change a PaymentIntent; its amount only while it waits."""
        intent = self.get("payment_intent", ident)
        fields: dict[str, Any] = {key: params[key] for key in ("description", "receipt_email") if key in params}
        if "metadata" in params:
            fields["metadata"] = self.merged(intent, params["metadata"])
        if "amount" in params:
            self.waiting(intent)
            fields["amount"] = digits(params["amount"], intent["currency"], self.switches)
        return self.change(intent, **fields)

    def waiting(self, intent: Thing) -> Thing:
        """Return a PaymentIntent that waits for payment; refuses any other."""
        status = self.of(intent, "status")
        if status not in WAITING:
            raise Refusal(
                f"This PaymentIntent's status is {status}: it cannot be changed in this way.",
                code="payment_intent_unexpected_state",
            )
        return intent

    def cancel_intent(self, ident: str, reason: str | None = None) -> Thing:
        """Cancel a PaymentIntent and what it was meant for."""
        old = self.waiting(self.get("payment_intent", ident))
        intent = self.change(old, status="canceled", canceled_at=self.now(), cancellation_reason=reason)
        self.emit("payment_intent.canceled", intent)
        for request in self.tables["invoice_payment"].where("_intent", ident):
            self.withdraw(request)
        return intent

    def ask(
        self, invoice: Thing, amount: int, *, intent: str | None = None, record: str | None = None, default: bool = False
    ) -> Thing:
        """Create an InvoicePayment: a request that a payment be used for an invoice."""
        kind = "payment_intent" if intent else "payment_record"
        return self.make(
            "invoice_payment",
            invoice=invoice["id"],
            amount_requested=amount,
            currency=invoice["currency"],
            is_default=default,
            payment={"type": kind, kind: intent or record},
            _intent=intent,
            _record=record,
        )

    def withdraw(self, request: Thing) -> None:
        """Cancel an open InvoicePayment and, where only it stands on it, its waiting PaymentIntent."""
        request = self.fresh(request)
        if self.of(request, "status") != "open":
            return
        transitions = {"canceled_at": self.now(), "paid_at": None}
        self.change(request, status="canceled", status_transitions=transitions)
        intent = self.tables["payment_intent"].rows.get(request.get("_intent", ""))
        if intent and request["is_default"] and self.of(intent, "status") in WAITING:
            self.cancel_intent(intent["id"], "void_invoice")

    def requests(self, invoice_id: str, status: str | None = None) -> list[Thing]:
        """Return the InvoicePayments of an invoice, oldest first."""
        found = self.tables["invoice_payment"].where("invoice", invoice_id)
        return [one for one in found if status is None or self.of(one, "status") == status]

    def default_request(self, invoice_id: str) -> Thing | None:
        """Return the open default InvoicePayment of an invoice."""
        return next((one for one in self.requests(invoice_id, "open") if one["is_default"]), None)

    def in_flight(self, invoice_id: str) -> bool:
        """Tell whether a payment of an invoice is being processed."""
        intents = self.tables["payment_intent"].rows
        waiting = [one for one in self.requests(invoice_id, "open") if one.get("_intent")]
        return any(self.of(intents[one["_intent"]], "status") == "processing" for one in waiting)
