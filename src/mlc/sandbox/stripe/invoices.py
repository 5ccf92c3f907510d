"""Invoices from finalizing to their end: what is due, what is paid, void, uncollectible."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from .base import DAY
from .errors import Refusal
from .ids import scramble
from .intents import WAITING, Intents
from .money import digits, smallest
from .table import Thing


class Invoices(Intents):
    """What can be done with invoices that are no drafts any more."""

    def finalize_invoice(self, ident: str, params: dict[str, Any] | None = None) -> Thing:
        """Finalize a draft: number, customer balance, default payment; too small an amount pays itself."""
        draft = self.draft(ident, "This invoice is already finalized, you can't re-finalize a non-draft invoice.")
        customer = self.live_customer(draft["customer"], "customer")
        self._finalizable(draft)
        start, total = self.balance_for(draft), self.of(draft, "total")
        due = start + total if start + total >= smallest(draft["currency"]) else 0
        ending = start + total - due
        if ending != start:
            small = start + total > 0 and due == 0
            kind = "invoice_too_small" if small else "applied_to_invoice"
            customer = self.enter_balance(customer, ending - start, kind, currency=draft["currency"], invoice=ident)
        sequence = self.of(customer, "next_invoice_sequence")
        number = draft.get("number")
        if number is None:
            sequence, number = self._next_number(customer["invoice_prefix"], sequence)
        self.change(customer, currency=customer.get("currency", draft["currency"]), next_invoice_sequence=sequence)
        self.numbers[number] = ident
        invoice = self._opened(draft, number, params or {}, (due, start, ending))
        self.emit("invoice.finalized", invoice)
        self.emit("invoice.updated", invoice, draft)
        if due:
            self._ask_default(invoice)
        if invoice.get("due_date"):
            self.at(invoice["due_date"], "overdue", ident)
        return self.settle_invoice(ident)

    def _opened(self, draft: Thing, number: str, params: dict[str, Any], sums: tuple[int, int, int]) -> Thing:
        due, start, ending = sums
        now, mode = self.now(), "live" if self.livemode else "test"
        page = f"{self.account_id}/{mode}_{scramble(draft['id'], 40)}"
        fields: dict[str, Any] = {} if draft.get("_days") is None else {"due_date": now + draft["_days"] * DAY}
        if "auto_advance" in params:
            fields["auto_advance"] = params["auto_advance"]
        return self.change(
            draft,
            **self.addressee(draft["customer"]),
            **fields,
            status="open",
            number=number,
            amount_due=due,
            amount_remaining=due,
            starting_balance=start,
            ending_balance=ending,
            effective_at=draft.get("effective_at") or now,
            hosted_invoice_url=f"https://invoice.stripe.com/i/{page}?s=ap",
            invoice_pdf=f"https://pay.stripe.com/invoice/{page}/pdf?s=ap",
            status_transitions={**self.of(draft, "status_transitions"), "finalized_at": now},
        )

    def _finalizable(self, draft: Thing) -> None:
        try:
            digits(self.of(draft, "total"), draft["currency"], self.switches, "total")
        except Refusal as refusal:
            error = {"type": refusal.kind, "code": refusal.code, "message": refusal.message}
            self.emit("invoice.finalization_failed", self.change(draft, last_finalization_error=error))
            raise

    def _next_number(self, prefix: str, sequence: int) -> tuple[int, str]:
        while (number := f"{prefix}-{sequence:04d}") in self.numbers:
            sequence += 1
        return sequence + 1, number

    def _ask_default(self, invoice: Thing) -> None:
        intent = self.new_intent(
            invoice["amount_due"], invoice["currency"], invoice["customer"], description="Payment for Invoice"
        )
        self.ask(invoice, invoice["amount_due"], intent=intent["id"], default=True)

    def settle_invoice(self, ident: str) -> Thing:
        """Bring an invoice in step with its payments: what is paid, what remains, and its end when nothing does."""
        old = self.get("invoice", ident)
        paid = sum(one["_applied"] for one in self.requests(ident, "paid")) + old.get("_off_stripe", 0)
        remaining = self.of(old, "amount_due") - paid
        fields: dict[str, Any] = {"amount_paid": paid, "amount_remaining": remaining}
        if remaining == 0 and old["status"] in ("open", "uncollectible"):
            transitions = {**self.of(old, "status_transitions"), "paid_at": self.now()}
            fields |= {"status": "paid", "status_transitions": transitions, "attempted": True, "attempt_count": 1}
        if all(self.of(old, name) == value for name, value in fields.items()):
            return old
        invoice = self.change(old, **fields)
        self.step_default(invoice)
        self.emit("invoice.updated", invoice, old)
        if invoice["status"] == "paid" and old["status"] != "paid":
            self.emit("invoice.paid", invoice)
            self.emit("invoice.payment_succeeded", invoice)
        return self.fresh(invoice)

    def step_default(self, invoice: Thing) -> None:
        """Keep the default request in step with what remains; withdraw requests that nothing waits for any more."""
        remaining = invoice["amount_remaining"]
        for request in self.requests(invoice["id"], "open"):
            intent = self.tables["payment_intent"].rows.get(request.get("_intent", ""))
            waits = intent is not None and self.of(intent, "status") in WAITING
            if remaining == 0:
                if waits:
                    self.withdraw(request)
            elif request["is_default"] and intent is not None and waits:
                self.change(request, amount_requested=remaining)
                self.change(intent, amount=remaining)

    def overpaid(self, invoice: Thing, amount: int) -> None:
        """Note that more came in than an invoice asked for."""
        new = self.change(invoice, amount_overpaid=self.of(invoice, "amount_overpaid") + amount)
        customer = self.tables["customer"].rows.get(invoice["customer"])
        if self.switches.overpayment_credited and customer:
            self.enter_balance(customer, -amount, "invoice_overpaid", currency=invoice["currency"], invoice=invoice["id"])
        self.emit("invoice.overpaid", new)

    def unfinished(self, ident: str, doing: str) -> Thing:
        """Return an invoice that is open or uncollectible and has no payment in flight."""
        invoice = self.get("invoice", ident)
        status = self.of(invoice, "status")
        if status == "paid":
            raise Refusal(f"Invoice is already paid: you cannot {doing} it.", code="invoice_already_paid")
        if status not in ("open", "uncollectible"):
            raise Refusal(f"You cannot {doing} an invoice that is {status}.", code="invoice_not_editable")
        if self.in_flight(ident) and (self.switches.in_flight_blocks or doing == "collect"):
            text = f"You cannot {doing} an invoice while a payment of it is processing."
            raise Refusal(text, code="invoice_payment_processing")
        return invoice

    def void_invoice(self, ident: str) -> Thing:
        """Void an invoice for good and give back what it took from the customer's balance."""
        old = self.unfinished(ident, "void")
        if self.of(old, "amount_paid") and not self.switches.void_partly_paid:
            raise Refusal("You cannot void an invoice that is partly paid.", code="invoice_not_editable")
        transitions = {**self.of(old, "status_transitions"), "voided_at": self.now()}
        invoice = self.change(old, status="void", status_transitions=transitions)
        for request in self.requests(ident, "open"):
            self.withdraw(request)
        step = self.of(old, "starting_balance") - (old.get("ending_balance") or 0)
        customer = self.tables["customer"].rows.get(old["customer"])
        if step and customer:
            self.enter_balance(customer, step, "unapplied_from_invoice", currency=old["currency"], invoice=ident)
        self.emit("invoice.voided", invoice)
        self.emit("invoice.updated", invoice, old)
        return invoice

    def mark_uncollectible(self, ident: str) -> Thing:
        """Give an invoice up; it can still be paid or voided."""
        old = self.get("invoice", ident)
        allowed = ("open", "draft") if self.switches.uncollectible_drafts else ("open",)
        if self.of(old, "status") not in allowed:
            text = f"You can only mark open invoices as uncollectible; this one is {self.of(old, 'status')}."
            raise Refusal(text, code="invoice_not_editable")
        transitions = {**self.of(old, "status_transitions"), "marked_uncollectible_at": self.now()}
        invoice = self.change(old, status="uncollectible", status_transitions=transitions)
        self.emit("invoice.marked_uncollectible", invoice)
        self.emit("invoice.updated", invoice, old)
        return invoice

    def send_invoice(self, ident: str) -> Thing:
        """Mail an invoice, finalizing it where that has not been done."""
        invoice = self.get("invoice", ident)
        if invoice["collection_method"] != "send_invoice":
            raise Refusal("You can only manually send an invoice if its collection method is set to 'send_invoice'.")
        if self.of(invoice, "status") in ("void", "uncollectible"):
            raise Refusal(f"You cannot send an invoice that is {invoice['status']}.", code="invoice_not_editable")
        draft = self.of(invoice, "status") == "draft"
        if not (self.addressee(invoice["customer"]) if draft else invoice).get("customer_email"):
            raise Refusal("The customer has no email address to send the invoice to.", param="customer")
        if draft:
            invoice = self.finalize_invoice(ident)
        self.mails.append(("invoice", ident))
        self.emit("invoice.sent", invoice)
        return invoice

    def fall_due(self, what: str, ident: str) -> None:
        """Finalize a draft that was to advance by itself, or note that an invoice is overdue."""
        invoice = self.tables["invoice"].rows.get(ident)
        if invoice is None:
            return
        status = self.of(invoice, "status")
        if what == "finalize" and status == "draft" and invoice.get("auto_advance"):
            with suppress(Refusal):
                self.finalize_invoice(ident)
        elif what == "overdue" and status == "open":
            self.emit("invoice.overdue", invoice)
