"""Refunds of payments and against mandates: paid, settled with a payout, bounced, returned."""

from __future__ import annotations

from .base import Record
from .errors import Refusal, invalid, state
from .money import CURRENCIES, Item
from .payments import Payments

MOST_REFUNDS = 5


class Refunds(Payments):
    """What refunds go through; their debits wait for the next payout."""

    def add_refund(
        self,
        payment: str | None = None,
        amount: int = 0,
        *,
        mandate: str | None = None,
        total_amount_confirmation: int | None = None,
        metadata: dict[str, str] | None = None,
        reference: str | None = None,
    ) -> str:
        """Refund a paid out payment, or money against a mandate."""
        if (payment is None) == (mandate is None):
            raise invalid("refunds", ("links", "must have either a payment or a mandate"))
        if amount < 1:
            raise invalid("refunds", ("amount", "must be greater than 0"))
        if payment is not None:
            self._refundable(payment, amount, total_amount_confirmation)
        paid = self.get("payments", payment) if payment is not None else None
        on = self.get("mandates", mandate or (paid or {"links": {}})["links"].get("mandate"))
        made = self.put(
            "refunds",
            amount=amount,
            currency=CURRENCIES[on["scheme"]],
            fx=None,
            metadata=dict(metadata or {}),
            reference=reference,
            status="created",
            links={"mandate": on["id"], **({"payment": payment} if payment else {})},
            _creditor=on["links"]["creditor"],
            _payout=None,
        )
        if paid is not None:
            paid["amount_refunded"] += amount
        kind = "payment_refunded" if payment else "refund"
        self.wait(made["_creditor"], made["currency"], [Item(kind, -10 * amount, 0, payment, on["id"], made["id"])])
        links = {"payment": payment} if payment else {"mandate": on["id"]}
        cause = "payment_refunded" if payment else "refund_created"
        self.emit("refunds", made, "created", cause, origin="api", links=links)
        return str(made["id"])

    def _refundable(self, ident: str, amount: int, confirmation: int | None) -> None:
        payment = self.get("payments", ident)
        earlier = [one for one in self.tables["refunds"].values() if one["links"].get("payment") == ident]
        if payment["status"] != "paid_out":
            raise state("refund_payment_invalid_state", "Only a paid out payment can be refunded", links={"payment": ident})
        if len(earlier) >= MOST_REFUNDS:
            raise state("number_of_refunds_exceeded", "The payment has been refunded too often")
        total = payment["amount_refunded"] + amount
        if total > payment["amount"]:
            raise state("available_refund_amount_insufficient", "The refunds would exceed the payment's amount")
        if confirmation is not None and confirmation != total:
            raise state("total_amount_confirmation_invalid", "The total amount confirmation does not match the refunds' sum")

    def refund_paid(self, ident: str) -> str:
        """Send a refund to the payer."""
        refund = self.get("refunds", ident)
        if refund["status"] not in ("created", "pending_submission", "submitted"):
            raise _wrong(refund, "created", "pending_submission", "submitted")
        refund["status"] = "paid"
        self.emit("refunds", refund, "paid", "refund_paid")
        return ident

    def refund_bounced(self, ident: str) -> str:
        """Have the payer's bank refuse a refund; its money has not yet come back."""
        refund = self.get("refunds", ident)
        if refund["status"] in ("created", "pending_submission", "submitted"):
            self.refund_paid(ident)
        if refund["status"] != "paid":
            raise _wrong(refund, "pending_submission", "submitted", "paid")
        refund["status"] = "bounced"
        self.emit("refunds", refund, "failed", "refund_failed")
        return ident

    def refund_returned(self, ident: str) -> str:
        """Give the money of a refund back to the creditor, with the next payout."""
        refund = self.get("refunds", ident)
        if refund["status"] != "bounced":
            self.refund_bounced(ident)
        refund["status"] = "funds_returned"
        links = refund["links"]
        back = Item("refund_funds_returned", 10 * refund["amount"], 0, links.get("payment"), links["mandate"], ident)
        self.wait(refund["_creditor"], refund["currency"], [back])
        self.emit("refunds", refund, "funds_returned", "refund_funds_returned")
        return ident


def _wrong(refund: Record, *wanted: str) -> Refusal:
    text = f"Refund is {refund['status']}, it must be {' or '.join(wanted)}"
    return state("refund_invalid_state", text, links={"refund": refund["id"]})
