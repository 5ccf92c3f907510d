"""Invoice items and single lines: changed, taken off an invoice, or waiting for one."""

from __future__ import annotations

from typing import Any

from .drafts import MOST_LINES, Drafts
from .errors import Refusal, missing, unacceptable
from .table import Thing


class Items(Drafts):
    """What can be done with the lines of a draft one by one, and with items that wait for an invoice."""

    def find_line(self, invoice: Thing, line: str, param: str | None = None) -> int:
        """Return the position of a line on its invoice."""
        for position, item in enumerate(invoice["_lines"]):
            if line in (item["_line"], item["id"]):
                return position
        raise missing("line_item", line, param)

    def remove_lines(self, ident: str, params: dict[str, Any]) -> Thing:
        """Take lines off a draft; `unassign` leaves their items waiting for the customer's next invoice."""
        old = self.draft(ident, "You can only remove lines from a draft invoice.")
        taken = {
            self.find_line(old, one["id"], f"lines[{number}][id]"): one["behavior"]
            for number, one in enumerate(params["lines"])
        }
        for position, behavior in taken.items():
            item = old["_lines"][position]
            if behavior == "delete":
                self.tables["invoiceitem"].drop(item["id"])
            else:
                self.change(item, invoice=None)
        kept = tuple(item for position, item in enumerate(old["_lines"]) if position not in taken)
        return self._relined(old, kept, params)

    def update_lines(self, ident: str, params: dict[str, Any]) -> Thing:
        """Change several lines of a draft."""
        old = self.draft(ident, "You can only update lines of a draft invoice.")
        changed = {}
        for number, given in enumerate(params["lines"]):
            position = self.find_line(old, given["id"], f"lines[{number}][id]")
            item = old["_lines"][position]
            changed[position] = self.item_fields(given, old["currency"], f"lines[{number}]", item)
        items = [
            self.change(item, **changed[position]) if position in changed else item
            for position, item in enumerate(old["_lines"])
        ]
        return self._relined(old, tuple(items), params)

    def update_line(self, ident: str, line: str, params: dict[str, Any]) -> Thing:
        """Change one line of a draft and return its item."""
        position = self.find_line(self.get("invoice", ident), line)
        invoice = self.update_lines(ident, {"lines": [{**params, "id": line}]})
        return dict(invoice["_lines"][position])

    def create_item(self, params: dict[str, Any]) -> Thing:
        """Create an invoice item, on a draft or waiting for the customer's next invoice."""
        invoice = None
        if params.get("invoice"):
            invoice = self.get("invoice", params["invoice"], param="invoice")
            if self.of(invoice, "status") != "draft":
                raise Refusal("The invoice is no longer a draft.", code="invoice_not_editable", param="invoice")
        if not params.get("customer") and invoice is None:
            raise unacceptable("You must specify a customer.", "customer", "parameter_missing")
        customer = self.live_customer(params.get("customer") or (invoice or {})["customer"], "customer")
        if invoice and invoice["customer"] != customer["id"]:
            raise Refusal("The invoice belongs to another customer.", param="invoice")
        currency = params.get("currency") or (invoice["currency"] if invoice else self.default_currency)
        if invoice and currency != invoice["currency"]:
            raise Refusal(f"The invoice is in {invoice['currency']}, not in {currency}.", param="currency")
        fields = self.item_fields(params, currency, "", None)
        if invoice and len(invoice["_lines"]) >= MOST_LINES:
            raise Refusal(f"An invoice can have at most {MOST_LINES} items.", param="invoice")
        item = self._new_item(customer["id"], invoice["id"] if invoice else None, fields)
        self.emit("invoiceitem.created", item)
        if invoice:
            self._relined(invoice, (*invoice["_lines"], item), {})
        return item

    def update_item(self, ident: str, params: dict[str, Any]) -> Thing:
        """Change an invoice item that stands on no finalized invoice."""
        item = self.get("invoiceitem", ident)
        if item.get("invoice"):
            return self.update_line(item["invoice"], ident, params)
        return self.change(item, **self.item_fields(params, item["currency"], "", item))

    def delete_item(self, ident: str) -> Thing:
        """Delete an invoice item that stands on no finalized invoice."""
        item = self.get("invoiceitem", ident)
        if item.get("invoice"):
            self.remove_lines(item["invoice"], {"lines": [{"id": ident, "behavior": "delete"}]})
        else:
            self.tables["invoiceitem"].drop(ident)
        self.emit("invoiceitem.deleted", item)
        return {"id": ident, "object": "invoiceitem", "deleted": True}
