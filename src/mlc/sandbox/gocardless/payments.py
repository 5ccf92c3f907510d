"""Payments from the request to the money, and back: failures, late failures, chargebacks, retries."""

from __future__ import annotations

from typing import Any

from .base import Record
from .errors import Refusal, invalid, state
from .money import CURRENCIES, Item, fee_items, surcharge_items
from .people import ALIVE, FIRST_PAYMENT, People

MOST_RETRIES = 3


class Payments(People):
    """What payments go through; the money of each step waits for the next payout."""

    def add_payment(
        self,
        mandate: str,
        amount: int,
        description: str | None = None,
        metadata: dict[str, str] | None = None,
        *,
        charge_date: str | None = None,
        reference: str | None = None,
        app_fee: int | None = None,
        retry_if_possible: bool = False,
        subscription: str | None = None,
        instalment_schedule: str | None = None,
        cause: str = "payment_created",
        origin: str = "api",
    ) -> str:
        """Create a payment in the currency of the mandate's scheme; it waits to be submitted."""
        on = self.get("mandates", mandate)
        if on["status"] not in ALIVE:
            new = on["links"].get("new_mandate")
            if new:
                raise state("mandate_replaced", "Mandate has been replaced", links={"new_mandate": new})
            raise state("mandate_is_inactive", "Mandate is failed, cancelled or expired", links={"mandate": mandate})
        if amount < 1:
            raise invalid("payments", ("amount", "must be greater than 0"))
        links = {"mandate": mandate, "creditor": on["links"]["creditor"]}
        links |= {"subscription": subscription} if subscription else {}
        links |= {"instalment_schedule": instalment_schedule} if instalment_schedule else {}
        waits = on["status"] == "pending_customer_approval"
        made = self.put(
            "payments",
            charge_date=charge_date or on["next_possible_charge_date"],
            amount=amount,
            amount_refunded=0,
            app_fee=app_fee,
            currency=CURRENCIES[on["scheme"]],
            description=description,
            faster_ach=False,
            fx=None,
            metadata=dict(metadata or {}),
            reference=reference,
            retry_if_possible=retry_if_possible,
            scheme=on["scheme"],
            status="pending_customer_approval" if waits else "pending_submission",
            links=links,
            _round=0,
            _disputed=[],
        )
        self.emit("payments", made, "created", cause, origin=origin, scheme=made["scheme"])
        return str(made["id"])

    def _waits(self, payment: Record, items: list[Item]) -> None:
        """Let items of a payment wait; the partner gets what the merchant pays as app fee."""
        creditor, currency = payment["links"]["creditor"], payment["currency"]
        self.wait(creditor, currency, items)
        self.wait(creditor, currency, [one.reversed() for one in items if one.type == "app_fee"], "partner")

    def payment_submitted(self, ident: str) -> str:
        """Send a payment to the banks."""
        payment = self.get("payments", ident)
        if payment["status"] != "pending_submission":
            raise _wrong(payment, "pending_submission")
        mandate = self.mandate_of(payment)
        if mandate["status"] in ("pending_submission", "submitted") and payment["scheme"] in FIRST_PAYMENT:
            self.mandate_activated(mandate["id"])
        if mandate["status"] != "active":
            raise state("mandate_is_inactive", "The payment's mandate is not active", links={"mandate": mandate["id"]})
        payment["status"] = "submitted"
        self.emit("payments", payment, "submitted", "payment_submitted", scheme=payment["scheme"])
        return ident

    def payment_confirmed(self, ident: str) -> str:
        """Collect a payment; its money and its fee wait for the next payout."""
        payment = self.get("payments", ident)
        if payment["status"] == "pending_submission":
            self.payment_submitted(ident)
        if payment["status"] != "submitted":
            raise _wrong(payment, "pending_submission", "submitted")
        payment["status"] = "confirmed"
        money = Item("payment_paid_out", 10 * payment["amount"], 0, ident, round=payment["_round"])
        fees = fee_items(ident, payment["amount"], payment["app_fee"] or 0, payment["_round"], self.switches)
        self._waits(payment, [money, *fees])
        self.emit("payments", payment, "confirmed", "payment_confirmed", scheme=payment["scheme"])
        return ident

    def payment_failed(self, ident: str, cause: str = "refer_to_payer") -> str:
        """Have the payer's bank refuse a payment before any money came."""
        payment = self.get("payments", ident)
        if payment["status"] == "pending_submission":
            self.payment_submitted(ident)
        if payment["status"] != "submitted":
            raise _wrong(payment, "pending_submission", "submitted")
        return self._fail(payment, cause)

    def _fail(self, payment: Record, cause: str) -> str:
        payment["status"] = "failed"
        again = payment["retry_if_possible"] and payment["_round"] < MOST_RETRIES
        details: dict[str, Any] = {"scheme": payment["scheme"], "reason_code": "ARUDD-0", "will_attempt_retry": again}
        if payment["retry_if_possible"] and not again:
            details["not_retried_reason"] = "failure_filter_applied"
        self.emit("payments", payment, "failed", cause, origin="bank", **details)
        return str(payment["id"])

    def _taken_back(self, payment: Record, kind: str) -> list[Item]:
        """Let the money of a payment go back: the debit, the credit of its fees, and a surcharge wait for a payout."""
        ident, attempt = payment["id"], payment["_round"]
        fees = fee_items(ident, payment["amount"], payment["app_fee"] or 0, attempt, self.switches)
        debit = Item(kind, -10 * payment["amount"], 0, ident, round=attempt)
        items = [debit, *(one.reversed() for one in fees), *surcharge_items(ident, attempt, self.switches)]
        self._waits(payment, items)
        return items

    def late_failure(self, ident: str, cause: str = "refer_to_payer") -> str:
        """Have a payment fail after it was confirmed, or even paid out."""
        payment = self.get("payments", ident)
        if payment["status"] not in ("confirmed", "paid_out"):
            raise _wrong(payment, "confirmed", "paid_out")
        self._taken_back(payment, "payment_failed")
        return self._fail(payment, cause)

    def charge_back(self, ident: str, cause: str = "refund_requested") -> str:
        """Have the payer take a paid out payment back."""
        payment = self.get("payments", ident)
        if payment["status"] != "paid_out":
            raise _wrong(payment, "paid_out")
        payment["_disputed"] = self._taken_back(payment, "payment_charged_back")
        payment["status"] = "charged_back"
        self.emit("payments", payment, "charged_back", cause, origin="bank", scheme=payment["scheme"], reason_code="DDICA-1")
        return ident

    def cancel_chargeback(self, ident: str) -> str:
        """Have the payer's bank give the money back: it returns with the next payout, and so does the surcharge."""
        payment = self.get("payments", ident)
        if payment["status"] != "charged_back":
            raise _wrong(payment, "charged_back")
        back = [one.reversed() for one in payment["_disputed"]]
        kind = self.switches.chargeback_cancelled_item
        money = Item(kind, back[0].tenths, 0, ident, round=payment["_round"])
        self._waits(payment, [money, *back[1:]])
        payment["status"], payment["_disputed"] = "paid_out", []
        self.emit("payments", payment, "chargeback_cancelled", "payment_confirmed", origin="bank", scheme=payment["scheme"])
        return ident

    def cancel_payment(self, ident: str, metadata: dict[str, str] | None = None) -> str:
        """Cancel a payment that was not yet submitted."""
        payment = self.get("payments", ident)
        if payment["status"] not in ("pending_submission", "pending_customer_approval"):
            raise state("cancellation_failed", f"Cannot cancel a payment that is {payment['status']}")
        payment["status"] = "cancelled"
        self.emit("payments", payment, "cancelled", "payment_cancelled", origin="api", metadata=metadata)
        return ident

    def retry_payment(self, ident: str, metadata: dict[str, str] | None = None, *, by_itself: bool = False) -> str:
        """Collect a failed payment once more under its id, three times at most."""
        payment = self.get("payments", ident)
        if payment["status"] != "failed":
            raise state("retry_failed", f"Cannot retry a payment that is {payment['status']}")
        if payment["_round"] >= MOST_RETRIES:
            raise state("retry_failed", "The payment has been retried too often")
        if self.mandate_of(payment)["status"] != "active":
            raise state("mandate_is_inactive", "The payment's mandate is not active")
        payment["_round"] += 1
        payment["status"], payment["charge_date"] = "pending_submission", self.today(3)
        payment["links"].pop("payout", None)
        cause, origin = ("payment_autoretried", "gocardless") if by_itself else ("payment_retried", "api")
        self.emit("payments", payment, "resubmission_requested", cause, origin=origin, metadata=metadata)
        return ident


def _wrong(payment: Record, *wanted: str) -> Refusal:
    text = f"Payment is {payment['status']}, it must be {' or '.join(wanted)}"
    return state("payment_invalid_state", text, links={"payment": payment["id"]})
