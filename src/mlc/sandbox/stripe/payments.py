"""Money coming in: charges, payments at once or late, for one invoice, several or none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .errors import Refusal, unacceptable
from .intents import WAITING
from .invoices import Invoices
from .money import digits, known, plain
from .table import Thing

CARD = {
    "brand": "visa",
    "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
    "country": "DE",
    "exp_month": 8,
    "exp_year": 2030,
    "fingerprint": "AOB934RVNwzk6xtn",
    "funding": "credit",
    "last4": "4242",
    "network": "visa",
}
METHODS: dict[str, dict[str, Any]] = {
    "card": {"type": "card", "card": CARD},
    "sepa_debit": {
        "type": "sepa_debit",
        "sepa_debit": dict.fromkeys(("bank_code", "branch_code", "fingerprint", "mandate"))
        | {"country": "DE", "last4": "3000"},
    },
    "customer_balance": {"type": "customer_balance", "customer_balance": {}},
}
Amount = int | None


class Payments(Invoices):
    """What customers do with their money."""

    def new_charge(self, source: Thing, amount: int, method: str, status: str, **fields: Any) -> Thing:
        """Create a charge for a PaymentIntent or, with a customer as source, a bare one."""
        if method not in METHODS:
            raise Refusal(f"no such payment method in the simulator: {method}", param="method")
        done = status == "succeeded"
        return self.make(
            "charge",
            prefix="ch" if method == "card" else "py",
            amount=amount,
            amount_captured=amount if done else 0,
            paid=done,
            status=status,
            payment_method=f"pm_1{source['id'][-23:]}",
            payment_method_details=METHODS[method],
            outcome={"network_status": "approved_by_network", "reason": None, "type": "authorized"},
            **fields,
        )

    def charge_intent(self, intent: Thing, amount: int, method: str, status: str) -> Thing:
        """Create the charge of a PaymentIntent."""
        return self.new_charge(
            intent,
            amount,
            method,
            status,
            currency=intent["currency"],
            customer=intent.get("customer"),
            description=intent.get("description"),
            metadata=intent.get("metadata"),
            payment_intent=intent["id"],
        )

    def succeed(self, ident: str, method: str = "card", amount: Amount = None) -> str:
        """Let a waiting PaymentIntent be paid at once and use the money for its invoices."""
        intent = self.waiting(self.get("payment_intent", ident))
        amount = intent["amount"] if amount is None else amount
        charge = self.charge_intent(intent, amount, method, "succeeded")
        self.arrived(intent, charge)
        return ident

    def arrived(self, intent: Thing, charge: Thing) -> None:
        """Let the money of a charge arrive: its PaymentIntent succeeds, and its invoices are paid."""
        new = self.change(
            intent,
            status="succeeded",
            amount=max(intent["amount"], charge["amount"]),
            amount_received=charge["amount"],
            latest_charge=charge["id"],
            payment_method=charge["payment_method"],
        )
        self.emit("charge.succeeded", charge)
        self.emit("payment_intent.succeeded", new)
        self.spread(new)
        if charge.get("balance_transaction"):
            self.change(self.get("balance_transaction", charge["balance_transaction"]), _waits=False)
        elif not self.switches.balance_later:
            self.emit("charge.updated", self.enter_charge(charge), charge)

    def spread(self, intent: Thing) -> None:
        """Use a succeeded PaymentIntent for the invoices it was meant for, in the order they were attached."""
        left = self.unused(intent)
        requests = [
            one for one in self.tables["invoice_payment"].where("_intent", intent["id"]) if self.of(one, "status") == "open"
        ]
        for position, request in enumerate(requests):
            invoice = self.get("invoice", request["invoice"])
            if invoice["status"] == "void":
                self.withdraw(request)
                continue
            part = min(left, request["amount_requested"], invoice["amount_remaining"])
            left -= part
            last = position == len(requests) - 1
            self.use(request, part, left if last else 0)

    def unused(self, intent: Thing) -> int:
        """Return what a PaymentIntent received and no invoice has used."""
        used = self.tables["invoice_payment"].where("_intent", intent["id"])
        have = self.of(intent, "amount_received") + intent.get("_returned", 0)
        return int(have - sum(one.get("_applied", 0) + one.get("_extra", 0) for one in used))

    def use(self, request: Thing, part: int, extra: int = 0) -> None:
        """Count a payment towards its invoice: `part` pays it, `extra` is more than it asked for."""
        shown = part + extra if self.switches.overpaid_in_payment else part
        paid = self.change(
            request,
            status="paid",
            amount_paid=shown,
            _applied=part,
            _extra=extra,
            status_transitions={"canceled_at": None, "paid_at": self.now()},
        )
        self.emit("invoice_payment.paid", paid)
        self.settle_invoice(request["invoice"])
        if extra:
            self.overpaid(self.get("invoice", request["invoice"]), extra)

    def payable(self, ident: str) -> Thing:
        """Return an invoice that customers can pay now."""
        return self.unfinished(ident, "collect")

    def intent_for(self, invoice: Thing, amount: int) -> Thing:
        """Return the PaymentIntent that pays this amount: the default one for all that remains, else a new one."""
        default = self.default_request(invoice["id"])
        if default and amount == invoice["amount_remaining"] == default["amount_requested"]:
            return self.waiting(self.get("payment_intent", default["_intent"]))
        intent = self.new_intent(amount, invoice["currency"], invoice["customer"], description="Payment for Invoice")
        self.ask(invoice, min(amount, invoice["amount_remaining"]), intent=intent["id"])
        return intent

    def open_invoices(self) -> list[dict[str, Any]]:
        """List what customers can pay now, the oldest first."""
        return [
            {
                "invoice_id": one["id"],
                "sap_doc_num": self.of(one, "metadata").get("sap_doc_num"),
                "amount_remaining": one["amount_remaining"],
                "currency": one["currency"],
            }
            for one in self.tables["invoice"].rows.values()
            if self.of(one, "status") == "open"
        ]

    def pay(self, invoice_id: str | None = None, amount: Amount = None, *, method: str = "card") -> str:
        """Pay an invoice (the oldest open one) at once, in full or in part; returns the PaymentIntent's id."""
        if invoice_id is None:
            found = self.open_invoices()
            if not found:
                raise Refusal("no invoice is open at Stripe; `mlc run` pushes some", param="invoice_id")
            invoice_id = found[0]["invoice_id"]
        invoice = self.payable(str(invoice_id))
        remaining = invoice["amount_remaining"]
        amount = remaining if amount is None else amount
        if not 0 < amount <= remaining:
            raise Refusal(f"between 1 and {plain(remaining, invoice['currency'])} can be paid", param="amount")
        return self.succeed(self.intent_for(invoice, amount)["id"], method)

    def pay_partly(self, invoice_id: str, amount: int, *, method: str = "card") -> str:
        """Pay less than what remains."""
        if amount >= self.payable(invoice_id)["amount_remaining"]:
            raise Refusal("that would not be a part of what remains", param="amount")
        return self.pay(invoice_id, amount, method=method)

    def overpay(self, invoice_id: str, amount: int, *, method: str = "customer_balance") -> str:
        """Pay `amount` in all, which is more than what remains."""
        invoice = self.payable(invoice_id)
        if amount <= invoice["amount_remaining"]:
            raise Refusal("that would not be more than what remains", param="amount")
        return self.succeed(self.intent_for(invoice, amount)["id"], method)

    def pay_many(self, invoice_ids: list[str], amounts: list[int] | None = None, *, method: str = "card") -> str:
        """Pay several invoices of one currency with one PaymentIntent."""
        invoices = [self.payable(ident) for ident in invoice_ids]
        if not invoices or len({one["currency"] for one in invoices}) > 1 or len(set(invoice_ids)) < len(invoice_ids):
            raise Refusal("one payment pays one or more different invoices of one currency", param="invoice_ids")
        parts = amounts or [one["amount_remaining"] for one in invoices]
        pairs = list(zip(invoices, parts, strict=True))
        if not all(0 < part <= invoice["amount_remaining"] for invoice, part in pairs):
            raise Refusal("each part must be above 0 and within what remains", param="amounts")
        intent = self.new_intent(sum(parts), invoices[0]["currency"], invoices[0]["customer"])
        for invoice, part in pairs:
            self.ask(invoice, part, intent=intent["id"])
        return self.succeed(intent["id"], method)

    def settle_balance(self, pi_id: str | None = None) -> int:
        """Enter charges that have no balance transaction yet (switch `balance_later`); returns how many."""
        charges = self.tables["charge"]
        found = charges.where("payment_intent", pi_id) if pi_id else list(charges.rows.values())
        open_ones = [one for one in found if one["status"] == "succeeded" and not one.get("balance_transaction")]
        for charge in open_ones:
            self.emit("charge.updated", self.enter_charge(charge), charge)
        return len(open_ones)

    def pay_without_invoice(
        self,
        customer_id: str | None,
        amount: int,
        currency: str | None = None,
        metadata: dict[str, str] | None = None,
        *,
        method: str = "card",
    ) -> str:
        """Take a payment that belongs to no invoice; returns the PaymentIntent's id."""
        params = {"amount": amount, "currency": currency or self.default_currency, "metadata": metadata or {}}
        return self.succeed(self.create_intent(params | {"customer": customer_id})["id"], method)

    def charge_without_intent(
        self, customer_id: str | None, amount: int, currency: str | None = None, metadata: dict[str, str] | None = None
    ) -> str:
        """Take a payment as integrations of old do: a charge without a PaymentIntent; returns the charge's id."""
        source = {"id": customer_id or "cus_guest"}
        currency = known(currency or self.default_currency)
        digits(amount, currency, self.switches)
        if customer_id:
            self.live_customer(customer_id, "customer_id")
        charge = self.new_charge(
            source, amount, "card", "succeeded", currency=currency, customer=customer_id, metadata=metadata or None
        )
        self.emit("charge.succeeded", charge)
        if not self.switches.balance_later:
            self.emit("charge.updated", self.enter_charge(charge), charge)
        return str(charge["id"])

    def pay_by_charge(self, invoice_id: str) -> str:
        """Pay all that remains with a charge without PaymentIntent, which no filter finds; returns the charge's id."""
        invoice = self.payable(invoice_id)
        amount = invoice["amount_remaining"]
        ident = self.charge_without_intent(invoice["customer"], amount, invoice["currency"])
        request = self.make(
            "invoice_payment",
            invoice=invoice_id,
            amount_requested=amount,
            currency=invoice["currency"],
            is_default=False,
            payment={"type": "charge", "charge": ident},
        )
        self.use(request, amount)
        return ident

    def attach(self, invoice_id: str, params: dict[str, Any]) -> Thing:
        """Use a PaymentIntent or a payment record for an invoice."""
        given = [name for name in ("payment_intent", "payment_record") if params.get(name)]
        if len(given) != 1:
            raise unacceptable(
                "You must specify exactly one of these parameters: payment_intent, payment_record.",
                "payment_intent",
                "parameters_exclusive" if given else "parameter_missing",
            )
        invoice = self.get("invoice", invoice_id)
        if self.of(invoice, "status") not in ("open", "uncollectible"):
            raise Refusal("You can only attach payments to open invoices.", code="invoice_not_editable")
        how: Callable[[Thing, str], None] = self._attach_intent if given == ["payment_intent"] else self.attach_record
        how(invoice, params[given[0]])
        return self.get("invoice", invoice_id)

    def attach_record(self, invoice: Thing, ident: str) -> None:
        """Use a payment record for an invoice; the room of payment records, built on top, does."""
        raise AssertionError(f"no room for {ident} of {invoice['id']}")

    def attachable(self, invoice: Thing, thing: Thing, currency: str, field: str) -> None:
        """Refuse a payment in another currency, or one that the invoice already has."""
        kind = thing["object"]
        if currency != invoice["currency"]:
            raise Refusal(f"The payment is in {currency}, the invoice in {invoice['currency']}.", param=kind)
        used = self.tables["invoice_payment"].where(field, thing["id"])
        if any(one["invoice"] == invoice["id"] and self.of(one, "status") != "canceled" for one in used):
            raise Refusal("The payment is already attached to this invoice.", param=kind)

    def _attach_intent(self, invoice: Thing, ident: str) -> None:
        intent = self.get("payment_intent", ident, param="payment_intent")
        self.attachable(invoice, intent, intent["currency"], "_intent")
        if intent.get("customer") not in (None, invoice["customer"]):
            raise Refusal("The PaymentIntent belongs to another customer.", param="payment_intent")
        status = self.of(intent, "status")
        if status not in (*WAITING, "processing", "succeeded"):
            raise Refusal(f"A PaymentIntent that is {status} cannot be attached.", param="payment_intent")
        have = self.unused(intent) if status == "succeeded" else intent["amount"]
        amount = min(have, invoice["amount_remaining"])
        if amount <= 0:
            raise Refusal("Nothing is left of the payment, or nothing remains of the invoice.", param="payment_intent")
        request = self.ask(invoice, amount, intent=ident)
        if status == "succeeded":
            self.use(request, amount)
