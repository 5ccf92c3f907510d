"""Money that did not pass through Stripe: payment records, and invoices paid out of band."""

from __future__ import annotations

from typing import Any

from .debits import Debits
from .errors import Refusal, unacceptable
from .money import digits
from .table import Thing

DECLINED = "pm_card_chargeDeclined"


class Records(Debits):
    """What can be done with payments that happened elsewhere."""

    def report_payment(self, params: dict[str, Any]) -> Thing:
        """Create a payment record of a payment that was made elsewhere."""
        asked = params["amount_requested"]
        digits(asked["value"], asked["currency"], self.switches, "amount_requested[value]")
        outcome = params.get("outcome")
        stamp = {"guaranteed": "guaranteed_at", "failed": "failed_at", "canceled": "canceled_at"}
        for name, field in stamp.items():
            if (name in params) != (outcome == name):
                raise unacceptable(f"`{name}[{field}]` belongs to outcome={name} and must be given with it.", name)
        if params["initiated_at"] > self.now():
            raise Refusal("`initiated_at` must not be in the future.", param="initiated_at")
        return self._record(
            asked["value"],
            asked["currency"],
            outcome,
            params.get("payment_method_details", {}).get("custom", {}),
            processor_details=params.get("processor_details"),
            description=params.get("description"),
            customer_details=params.get("customer_details"),
            customer_presence=params.get("customer_presence"),
            metadata=self.merged(None, params.get("metadata", {})) or None,
        )

    def _record(self, amount: int, currency: str, outcome: str | None, custom: dict[str, Any], **fields: Any) -> Thing:
        sum_ = {"currency": currency, "value": amount}
        done: dict[str, Any] = {f"amount_{outcome}": sum_} if outcome else {}
        method = {
            "type": "custom",
            "custom": {"display_name": custom.get("display_name", "Custom"), "type": custom.get("type")},
            "billing_details": None,
            "payment_method": None,
        }
        processor = fields.pop("processor_details", None) or {"type": "custom", "custom": {"payment_reference": ""}}
        return self.make(
            "payment_record",
            amount=sum_,
            amount_requested=sum_,
            payment_method_details=method,
            processor_details=processor,
            _outcome=outcome,
            **done,
            **fields,
        )

    def attach_record(self, invoice: Thing, ident: str) -> None:
        """Use a guaranteed payment record for an invoice."""
        record = self.get("payment_record", ident, param="payment_record")
        self.attachable(invoice, record, record["amount"]["currency"], "_record")
        if record.get("_outcome") != "guaranteed":
            raise Refusal("Only a guaranteed payment record can be attached.", param="payment_record")
        used = sum(one.get("_applied", 0) for one in self.tables["invoice_payment"].where("_record", ident))
        amount = min(record["amount"]["value"] - used, invoice["amount_remaining"])
        if amount <= 0:
            raise Refusal("Nothing is left of the payment, or nothing remains of the invoice.", param="payment_record")
        self.use(self.ask(invoice, amount, record=ident), amount)

    def pay_invoice(self, ident: str, params: dict[str, Any]) -> Thing:
        """Pay an invoice by request: out of band, or with a test card."""
        if params.get("paid_out_of_band"):
            return self._out_of_band(self.unfinished(ident, "pay"))
        invoice = self.payable(ident)
        method = params.get("payment_method") or ""
        if method == DECLINED:
            self._declined(invoice)
        if not method.startswith("pm_"):
            raise Refusal(
                "This customer has no attached payment source or default payment method. Please consider adding a default "
                "payment method.",
                code="resource_missing",
                param="payment_method",
            )
        self.pay(ident)
        return self.get("invoice", ident)

    def _out_of_band(self, invoice: Thing) -> Thing:
        remaining = invoice["amount_remaining"]
        if self.switches.out_of_band_record:
            record = self._record(remaining, invoice["currency"], "guaranteed", {"display_name": "Out of band"})
            self.use(self.ask(invoice, remaining, record=record["id"]), remaining)
        else:
            self.change(invoice, _off_stripe=invoice.get("_off_stripe", 0) + remaining)
            self.settle_invoice(invoice["id"])
        return self.get("invoice", invoice["id"])

    def _declined(self, invoice: Thing) -> None:
        failed = self.change(invoice, attempted=True, attempt_count=self.of(invoice, "attempt_count") + 1)
        self.emit("invoice.payment_failed", failed, invoice)
        raise Refusal(
            "Your card was declined.", status=402, kind="card_error", code="card_declined", decline_code="generic_decline"
        )
