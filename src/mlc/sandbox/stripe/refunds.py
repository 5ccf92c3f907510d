"""Money going back: refunds that succeed, wait or fail, and disputes that withdraw funds or only warn."""

from __future__ import annotations

from typing import Any

from .errors import Refusal, missing, unacceptable
from .money import digits, plain
from .records import Records
from .table import Thing

OPEN_DISPUTES = ("needs_response", "under_review", "warning_needs_response", "warning_under_review")


class Refunds(Records):
    """What can be done with refunds and disputes."""

    def _charge_of(self, ident: str, param: str | None = None) -> Thing:
        """Return the charge of a PaymentIntent, or the charge itself."""
        if ident.startswith("pi_"):
            charge = self.of(self.get("payment_intent", ident, param=param), "latest_charge")
            if charge is None:
                raise Refusal("This PaymentIntent does not have a successful charge to refund.", param=param)
            return self.get("charge", charge)
        return self.get("charge", ident, param=param)

    def create_refund(self, params: dict[str, Any]) -> Thing:
        """Create a refund by request."""
        given = [name for name in ("payment_intent", "charge") if params.get(name)]
        if not given:
            raise unacceptable(
                "One of the following params should be provided for this request: payment_intent or charge.",
                "payment_intent",
                "parameter_missing",
            )
        charge = self._charge_of(params[given[0]], given[0])
        if len(given) == 2 and params["charge"] != charge["id"]:
            raise Refusal("The charge does not belong to the PaymentIntent.", param="charge")
        return self._refund(
            charge,
            params.get("amount"),
            reason=params.get("reason"),
            metadata=self.merged(None, params.get("metadata", {})) or None,
        )

    def update_refund(self, ident: str, params: dict[str, Any]) -> Thing:
        """Change a refund's metadata."""
        old = self.get("refund", ident)
        refund = self.change(old, metadata=self.merged(old, params.get("metadata", {})))
        self.emit("refund.updated", refund, old)
        return refund

    def _refund(self, charge: Thing, amount: int | None, **fields: Any) -> Thing:
        currency, done = charge["currency"], self.of(charge, "amount_refunded")
        left = charge["amount_captured"] - done
        if charge["status"] != "succeeded":
            raise Refusal(f"A charge that is {charge['status']} cannot be refunded.", code="charge_not_refundable")
        disputes = self.tables["dispute"].where("charge", charge["id"])
        if any(not one["status"].startswith("warning") and one["status"] != "won" for one in disputes):
            raise Refusal(f"Charge {charge['id']} has been charged back; cannot issue a refund.", code="charge_disputed")
        if left <= 0:
            raise Refusal(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
        amount = digits(left if amount is None else amount, currency, self.switches)
        if not 0 < amount <= left:
            text = f"Refund amount ({plain(amount, currency)}) is greater than unrefunded amount on charge "
            raise Refusal(text + f"({plain(left, currency)})", param="amount")
        refund = self.make(
            "refund",
            amount=amount,
            currency=currency,
            charge=charge["id"],
            payment_intent=charge.get("payment_intent"),
            status="pending" if self.switches.refund_pending else "succeeded",
            destination_details={"type": "card", "card": {"type": "refund"}},
            **fields,
        )
        refund = self.change(refund, balance_transaction=self._move(refund, -amount, "refund", "refund")["id"])
        new = self._unrefund(charge, -amount)
        self.emit("refund.created", refund)
        self.emit("charge.refunded", new, charge)
        return refund

    def _move(self, thing: Thing, amount: int, kind: str, category: str, fee: int = 0) -> Thing:
        late = self.get("charge", thing["charge"])["id"].startswith("py_")
        value, currency, rate = self.settled_in(amount, thing["currency"])
        kind = f"payment_{kind}" if late and kind == "refund" else kind
        return self.enter(value, currency, kind, category, thing["id"], fee=fee, rate=rate)

    def _unrefund(self, charge: Thing, amount: int) -> Thing:
        refunded = self.of(charge, "amount_refunded") - amount
        return self.change(charge, amount_refunded=refunded, refunded=refunded == charge["amount_captured"])

    def refund(self, pi_id: str, amount: int | None = None) -> str:
        """Refund a payment (PaymentIntent or bare charge), in full or in part; returns the refund's id."""
        return str(self._refund(self._charge_of(pi_id), amount)["id"])

    def settle_refund(self, re_id: str) -> str:
        """Let a pending refund arrive."""
        old = self.get("refund", re_id)
        if old["status"] != "pending":
            raise Refusal("this refund is not pending")
        self._refund_changed(old, self.change(old, status="succeeded"))
        return re_id

    def _refund_changed(self, old: Thing, new: Thing) -> None:
        self.emit("refund.updated", new, old)
        self.emit("charge.refund.updated", new, old)

    def fail_refund(self, re_id: str, reason: str = "expired_or_canceled_card") -> str:
        """Let a refund fail, even one that had succeeded; the money comes back to the balance."""
        old = self.get("refund", re_id)
        if old["status"] not in ("pending", "succeeded"):
            raise Refusal(f"a refund that is {old['status']} cannot fail")
        back = self._move(old, old["amount"], "refund_failure", "refund_failure")
        new = self.change(old, status="failed", failure_reason=reason, failure_balance_transaction=back["id"])
        charge = self.get("charge", old["charge"])
        charge_now = self._unrefund(charge, old["amount"])
        self.emit("refund.failed", new)
        self._refund_changed(old, new)
        self.emit("charge.updated", charge_now, charge)
        return re_id

    def dispute(self, pi_id: str, kind: str = "needs_response", amount: int | None = None, *, reason: str | None = None) -> str:
        """Dispute a payment: `needs_response` withdraws the funds, `warning_needs_response` only asks.

        `lost` is a returned bank debit, over at once (`return_debit` is its other shape). Returns the dispute's id.
        """
        if kind not in ("needs_response", "warning_needs_response", "lost"):
            raise Refusal(f"no such kind of dispute: {kind}", param="kind")
        charge = self._charge_of(pi_id)
        if charge["status"] != "succeeded" or self.of(charge, "disputed"):
            raise Refusal("only a succeeded charge without a dispute can be disputed")
        row = self.make(
            "dispute",
            amount=charge["amount_captured"] if amount is None else amount,
            currency=charge["currency"],
            charge=charge["id"],
            payment_intent=charge.get("payment_intent"),
            status=kind,
            reason=reason or ("insufficient_funds" if kind == "lost" else None),
            is_charge_refundable=kind.startswith("warning"),
            payment_method_details={
                "type": "card",
                "card": {"brand": "visa", "case_type": "chargeback", "network": "visa", "network_reason_code": "10.4"},
            },
        )
        self.change(charge, disputed=True)
        row = row if kind.startswith("warning") else self._withdrawn(row)
        self.emit("charge.dispute.created", row)
        if not kind.startswith("warning"):
            self.emit("charge.dispute.funds_withdrawn", row)
        if kind == "lost":
            self.emit("charge.dispute.closed", row)
        return str(row["id"])

    def _withdrawn(self, row: Thing) -> Thing:
        entry = self._move(row, -row["amount"], "adjustment", "dispute", self.switches.dispute_fee)
        return self.change(row, balance_transactions=[entry["id"]])

    def _open_dispute(self, du_id: str) -> Thing:
        row = self.get("dispute", du_id)
        if row["status"] not in OPEN_DISPUTES:
            raise Refusal(f"this dispute is {row['status']}")
        return row

    def escalate_dispute(self, du_id: str) -> str:
        """Turn a warning into a real dispute that withdraws the funds."""
        old = self._open_dispute(du_id)
        if not old["status"].startswith("warning"):
            raise Refusal("this dispute is no warning")
        new = self._withdrawn(self.change(old, status="needs_response", is_charge_refundable=False))
        self.emit("charge.dispute.updated", new, old)
        self.emit("charge.dispute.funds_withdrawn", new)
        return du_id

    def win_dispute(self, du_id: str) -> str:
        """Win a dispute: withdrawn funds come back; a warning is closed."""
        old = self._open_dispute(du_id)
        if old["status"].startswith("warning"):
            self.emit("charge.dispute.closed", self.change(old, status="warning_closed"))
            return du_id
        fee = -self.switches.dispute_fee if self.switches.dispute_fee_returned else 0
        entry = self._move(old, old["amount"], "adjustment", "dispute_reversal", fee)
        new = self.change(old, status="won", balance_transactions=[*old["balance_transactions"], entry["id"]])
        self.emit("charge.dispute.closed", new)
        self.emit("charge.dispute.funds_reinstated", new)
        return du_id

    def lose_dispute(self, du_id: str) -> str:
        """Lose a dispute: the funds stay withdrawn."""
        old = self._open_dispute(du_id)
        if old["status"].startswith("warning"):
            raise Refusal("a warning cannot be lost: escalate it first")
        self.emit("charge.dispute.closed", self.change(old, status="lost"))
        return du_id

    def linked_refund(self, ident: str) -> Thing:
        """Return a refund named by a credit note."""
        if ident not in self.tables["refund"].rows:
            raise missing("refund", ident, "refunds")
        return self.tables["refund"].rows[ident]
