"""Credit notes: what they take off an open invoice, and how the rest goes back: refund, balance, or out of band."""

from __future__ import annotations

from typing import Any

from .errors import Refusal, unacceptable
from .ids import scramble
from .money import digits, plain
from .refunds import Refunds
from .table import Thing


class Credits(Refunds):
    """What can be done with credit notes."""

    def create_credit_note(self, params: dict[str, Any]) -> Thing:
        """Create a credit note."""
        invoice = self.get("invoice", params["invoice"], param="invoice")
        if self.of(invoice, "status") not in ("open", "paid"):
            raise Refusal(
                f"You can only create a credit note for an open or paid invoice; this one is {invoice['status']}.",
                param="invoice",
            )
        if self.in_flight(invoice["id"]):
            raise Refusal("You cannot credit an invoice while a payment of it is processing.", param="invoice")
        lines, amount = self._credited(invoice, params)
        digits(amount, invoice["currency"], self.switches)
        before = min(amount, invoice["amount_remaining"])
        after = amount - before
        self._within(invoice, amount, after)
        parts = self._parts(params, after)
        links = [self._refund_link(one) for one in params.get("refunds", [])]
        if parts["credit_amount"]:
            self.live_customer(invoice["customer"], "credit_amount")
        if parts["refund_amount"]:
            refund = self._refund(self._charge_of(self._paying_intent(invoice["id"])), parts["refund_amount"])
            links.append(self._refund_link({"refund": refund["id"]}))
        note = self._issue(invoice, params, lines, (amount, before, after), links)
        if parts["credit_amount"]:
            customer = self.get("customer", invoice["customer"])
            links_back = {"currency": invoice["currency"], "credit_note": note["id"]}
            customer = self.enter_balance(customer, -parts["credit_amount"], "credit_note", **links_back)
            note = self.change(note, customer_balance_transaction=customer["_last_entry"])
        if params.get("email_type", "credit_note") == "credit_note":
            self.mails.append(("credit_note", note["id"]))
        self._reduce(self.get("invoice", invoice["id"]), before, after)
        self.emit("credit_note.created", note)
        return note

    def _credited(self, invoice: Thing, params: dict[str, Any]) -> tuple[list[dict[str, Any]], int]:
        given = [name for name in ("amount", "lines") if params.get(name) is not None]
        if len(given) != 1:
            raise unacceptable(
                "You must specify exactly one of these parameters: amount, lines.",
                "amount",
                "parameters_exclusive" if given else "parameter_missing",
            )
        lines = params.get("lines") or [{"type": "custom_line_item", "unit_amount": params["amount"], "quantity": 1}]
        shown = [self._credit_line(invoice, one, number) for number, one in enumerate(lines)]
        return shown, sum(one["amount"] for one in shown)

    def _credit_line(self, invoice: Thing, given: dict[str, Any], number: int) -> dict[str, Any]:
        quantity = given.get("quantity", 1)
        if given["type"] == "custom_line_item":
            if given.get("unit_amount") is None:
                raise unacceptable("A custom line needs unit_amount.", f"lines[{number}][unit_amount]", "parameter_missing")
            amount, source = given["unit_amount"] * quantity, None
        else:
            position = self.find_line(invoice, given.get("invoice_line_item", ""), f"lines[{number}][invoice_line_item]")
            item = invoice["_lines"][position]
            amount, source = given.get("amount", item["amount"]), item["_line"]
            if amount > item["amount"]:
                raise Refusal("A line cannot be credited beyond its amount.", param=f"lines[{number}][amount]")
        unit = given.get("unit_amount")
        return {
            "id": f"cnli_1{scramble(f'{self.mint.count}/{number}', 23)}",
            "object": "credit_note_line_item",
            "amount": amount,
            "description": given.get("description"),
            "discount_amount": 0,
            "discount_amounts": [],
            "invoice_line_item": source,
            "livemode": self.livemode,
            "metadata": {},
            "pretax_credit_amounts": [],
            "quantity": quantity,
            "tax_rates": [],
            "taxes": [],
            "type": given["type"],
            "unit_amount": unit,
            "unit_amount_decimal": None if unit is None else str(unit),
        }

    def _within(self, invoice: Thing, amount: int, after: int) -> None:
        currency = invoice["currency"]
        if amount <= 0:
            raise Refusal("The amount of a credit note must be above 0.", param="amount")
        if after > self.of(invoice, "amount_paid") - self.of(invoice, "post_payment_credit_notes_amount"):
            text = f"The sum of credit notes ({plain(amount, currency)} more) cannot exceed what the invoice asked for."
            raise Refusal(text, code="credit_note_amount_too_large", param="amount")

    def _parts(self, params: dict[str, Any], after: int) -> dict[str, int]:
        parts = {name: params.get(name, 0) for name in ("refund_amount", "credit_amount", "out_of_band_amount")}
        linked = sum(
            one.get("amount_refunded", self.linked_refund(one["refund"])["amount"]) for one in params.get("refunds", [])
        )
        if sum(parts.values()) + linked != after:
            raise Refusal(
                f"The sum of credit_amount, refund_amount, out_of_band_amount and refunds must equal the post payment amount "
                f"({after}); it is {sum(parts.values()) + linked}.",
                param="refund_amount",
            )
        return parts

    def _refund_link(self, given: dict[str, Any]) -> dict[str, Any]:
        refund = self.linked_refund(given["refund"])
        amount = given.get("amount_refunded", refund["amount"])
        return {"amount_refunded": amount, "refund": refund["id"], "type": "refund", "payment_record_refund": None}

    def _paying_intent(self, invoice_id: str) -> str:
        paid = [one["_intent"] for one in self.requests(invoice_id, "paid") if one.get("_intent")]
        if not paid:
            raise Refusal("The invoice was not paid by a payment that can be refunded.", param="refund_amount")
        return str(paid[-1])

    def _issue(
        self,
        invoice: Thing,
        params: dict[str, Any],
        lines: list[dict[str, Any]],
        sums: tuple[int, int, int],
        links: list[dict[str, Any]],
    ) -> Thing:
        amount, before, after = sums
        count = len(self.tables["credit_note"].where("invoice", invoice["id"])) + 1
        page = scramble(f"{invoice['id']}/{count}", 24)
        return self.make(
            "credit_note",
            amount=amount,
            currency=invoice["currency"],
            customer=invoice["customer"],
            effective_at=params.get("effective_at", self.now()),
            invoice=invoice["id"],
            memo=params.get("memo"),
            metadata=self.merged(None, params.get("metadata", {})) or None,
            number=f"{invoice['number']}-CN-{count:02d}",
            out_of_band_amount=params.get("out_of_band_amount"),
            pdf=f"https://pay.stripe.com/credit_notes/{self.account_id}/{page}/pdf?s=ap",
            post_payment_amount=after,
            pre_payment_amount=before,
            reason=params.get("reason"),
            refunds=links,
            type="mixed" if before and after else "pre_payment" if before else "post_payment",
            _lines=lines,
        )

    def _reduce(self, old: Thing, before: int, after: int) -> None:
        pre, post = "pre_payment_credit_notes_amount", "post_payment_credit_notes_amount"
        fields = {pre: self.of(old, pre) + before, post: self.of(old, post) + after}
        changed = self.change(old, amount_due=old["amount_due"] - before, **fields)
        if not before:
            self.emit("invoice.updated", changed, old)
        self.settle_invoice(old["id"])

    def void_credit_note(self, ident: str) -> Thing:
        """Void a credit note of an invoice that is still open."""
        note = self.get("credit_note", ident)
        invoice = self.get("invoice", note["invoice"])
        if self.of(note, "status") == "void" or self.of(invoice, "status") != "open" or note["post_payment_amount"]:
            raise Refusal("You can only void a credit note that was issued on an invoice which is still open.")
        void = self.change(note, status="void", voided_at=self.now())
        self._reduce(invoice, -note["pre_payment_amount"], 0)
        self.emit("credit_note.voided", void)
        return void
