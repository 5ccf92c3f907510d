"""Invoices while they are drafts: their fields, their lines, their taxes and what they add up to."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from .base import DAY
from .errors import Refusal, missing, unacceptable
from .ids import scramble
from .ledger import Ledger
from .money import digits, known
from .table import Thing
from .words import words

COPIED = words("description footer custom_fields effective_at payment_settings rendering statement_descriptor")
EDITABLE_LATER = {"metadata", "auto_advance", "payment_settings"}
MOST_LINES = 250
HOUR = 3600


def sub(name: str, *keys: str) -> str:
    """Return the full name of a parameter inside another one, which may be the request itself."""
    head, rest = (name, keys) if name else (keys[0], keys[1:])
    return head + "".join(f"[{key}]" for key in rest)


class Drafts(Ledger):
    """What can be done with draft invoices and invoice items."""

    def create_invoice(self, params: dict[str, Any]) -> Thing:
        """Create a draft without lines."""
        if not params.get("customer"):
            raise unacceptable("You must specify a customer.", "customer", "parameter_missing")
        customer = self.live_customer(params["customer"], "customer")
        currency = params.get("currency") or customer.get("currency") or self.default_currency
        method = params.get("collection_method", "charge_automatically")
        self._one_currency(customer, currency)
        fields = {name: params[name] for name in COPIED if params.get(name) is not None}
        fields |= self._due(params, method, self.now(), new=True)
        if params.get("number"):
            fields["number"] = self._number(params["number"])
        invoice = self.make(
            "invoice",
            customer=customer["id"],
            currency=known(currency),
            collection_method=method,
            auto_advance=params.get("auto_advance") or None,
            metadata=self.merged(None, params.get("metadata", {})) or None,
            status="draft",
            _lines=(),
            **fields,
        )
        if "number" in fields:
            self.numbers[fields["number"]] = invoice["id"]
        if params.get("pending_invoice_items_behavior") == "include":
            pending = [item for item in self.tables["invoiceitem"].where("customer", customer["id"]) if not item.get("invoice")]
            own = [self.change(item, invoice=invoice["id"]) for item in pending if item["currency"] == currency]
            invoice = self.retotal(invoice, tuple(own))
        self._watch_auto(invoice)
        self.emit("invoice.created", invoice)
        return invoice

    def _one_currency(self, customer: Thing, currency: str) -> None:
        bound = customer.get("currency")
        if self.switches.one_currency_per_customer and bound and bound != currency:
            raise Refusal(
                f"You cannot combine currencies on a single customer. This customer has {bound}, not {currency}.",
                param="currency",
            )

    def _due(self, params: dict[str, Any], method: str, start: int, *, new: bool) -> dict[str, Any]:
        date, days = params.get("due_date"), params.get("days_until_due")
        given = [name for name in ("due_date", "days_until_due") if params.get(name) is not None]
        if given and method != "send_invoice":
            raise Refusal(f"You can only set `{given[0]}` if `collection_method` is `send_invoice`.", param=given[0])
        if len(given) == 2 and not self.switches.due_both:
            raise unacceptable(
                "You may only specify one of these parameters: days_until_due, due_date.",
                "due_date",
                "parameters_exclusive",
            )
        if date is not None:
            if date <= self.now():
                raise Refusal("The `due_date` must be in the future.", param="due_date", code="parameter_invalid_integer")
            return {"due_date": date, "_days": None}
        if days is None and new and method == "send_invoice":
            if self.switches.due_required:
                raise unacceptable(
                    "If `collection_method` is `send_invoice`, `days_until_due` or `due_date` must be set.",
                    "days_until_due",
                    "parameter_missing",
                )
            days = 30
        return {} if days is None else {"due_date": start + days * DAY, "_days": days}

    def _number(self, number: str, owner: str | None = None) -> str:
        if self.numbers.get(number, owner) != owner:
            raise Refusal(f"An invoice with the number '{number}' already exists.", param="number")
        return number

    def _watch_auto(self, invoice: Thing) -> None:
        if invoice.get("auto_advance") and self.of(invoice, "status") == "draft":
            self.at(self.now() + HOUR, "finalize", invoice["id"])

    def update_invoice(self, ident: str, params: dict[str, Any]) -> Thing:
        """Change an invoice; after finalization only what does not touch the document."""
        old = self.get("invoice", ident)
        draft = self.of(old, "status") == "draft"
        frozen = sorted(set(params) - EDITABLE_LATER)
        if frozen and not draft:
            raise Refusal(
                f"Finalized invoices can't be updated in this way: `{frozen[0]}` is no longer editable.",
                code="invoice_not_editable",
                param=frozen[0],
            )
        fields: dict[str, Any] = {name: params[name] for name in COPIED if name in params}
        method: str = params.get("collection_method") or old["collection_method"]
        fields |= self._due(params, method, old["created"], new=False) | {"collection_method": method}
        if "auto_advance" in params:
            fields["auto_advance"] = params["auto_advance"]
        if "metadata" in params:
            fields["metadata"] = self.merged(old, params["metadata"])
        if "number" in params:
            fields["number"] = self._number(params["number"], ident) if params["number"] else None
            self.numbers.pop(old.get("number") or "", None)
            if fields["number"]:
                self.numbers[fields["number"]] = ident
        invoice = self.change(old, **fields)
        self._watch_auto(invoice)
        self.emit("invoice.updated", invoice, old)
        return invoice

    def delete_invoice(self, ident: str) -> Thing:
        """Delete a draft."""
        invoice = self.draft(ident, "You can only delete draft invoices.")
        for item in invoice["_lines"]:
            if item["id"] in self.tables["invoiceitem"].rows:
                self.tables["invoiceitem"].drop(item["id"])
        self.tables["invoice"].drop(ident)
        self.numbers.pop(invoice.get("number") or "", None)
        self.emit("invoice.deleted", invoice)
        return {"id": ident, "object": "invoice", "deleted": True}

    def draft(self, ident: str, otherwise: str) -> Thing:
        """Return an invoice that is still a draft."""
        invoice = self.get("invoice", ident)
        if self.of(invoice, "status") != "draft":
            raise Refusal(otherwise, code="invoice_not_editable")
        return invoice

    def retotal(self, invoice: Thing, lines: tuple[Thing, ...]) -> Thing:
        """Give a draft its lines and add them up."""
        if len(lines) > MOST_LINES:
            raise Refusal(f"An invoice can have at most {MOST_LINES} items; this one would have {len(lines)}.", param="lines")
        subtotal = sum(item["amount"] for item in lines)
        taxes: dict[str, dict[str, Any]] = {}
        for tax in (tax for item in lines for tax in item.get("_taxes", [])):
            key = tax["tax_rate_details"]["tax_rate"]
            seen = taxes.setdefault(key, {**tax, "amount": 0, "taxable_amount": 0})
            seen["amount"] += tax["amount"]
            seen["taxable_amount"] += tax["taxable_amount"]
        behaviour = {"exclusive": 0, "inclusive": 0}
        for tax in taxes.values():
            behaviour[tax["tax_behavior"]] += tax["amount"]
        new = {
            **invoice,
            "_lines": lines,
            "_inclusive": behaviour["inclusive"],
            "subtotal": subtotal,
            "total": subtotal + behaviour["exclusive"],
            "total_taxes": list(taxes.values()),
        }
        return self.change(new, **self.dues(new))

    def add_lines(self, ident: str, params: dict[str, Any]) -> Thing:
        """Add lines to a draft."""
        old = self.draft(ident, "You can only add lines to a draft invoice.")
        if len(params["lines"]) > self.switches.lines_per_call:
            most = self.switches.lines_per_call
            raise Refusal(f"Array lines exceeded maximum {most} allowed elements.", param="lines", began=False)
        made: list[tuple[dict[str, Any], Thing | None]] = []
        for number, given in enumerate(params["lines"]):
            pending = None
            if given.get("invoice_item"):
                pending = self.get("invoiceitem", given["invoice_item"], param=f"lines[{number}][invoice_item]")
                if pending.get("invoice"):
                    raise Refusal("The invoice item is already on an invoice.", param=f"lines[{number}][invoice_item]")
            made.append((self.item_fields(given, old["currency"], f"lines[{number}]", pending), pending))
        if len(old["_lines"]) + len(made) > MOST_LINES:
            count = len(old["_lines"]) + len(made)
            raise Refusal(f"An invoice can have at most {MOST_LINES} items; this one would have {count}.", param="lines")
        items = [
            self.change(pending, invoice=ident, **fields) if pending else self._new_item(old["customer"], ident, fields)
            for fields, pending in made
        ]
        return self._relined(old, (*old["_lines"], *items), params)

    def _relined(self, old: Thing, lines: tuple[Thing, ...], params: dict[str, Any]) -> Thing:
        invoice = self.retotal(old, lines)
        if "invoice_metadata" in params:
            invoice = self.change(invoice, metadata=self.merged(old, params["invoice_metadata"]))
        self.emit("invoice.updated", invoice, old)
        return invoice

    def _new_item(self, customer: str, invoice: str | None, fields: dict[str, Any]) -> Thing:
        now = self.now()
        period = fields.pop("period", None) or {"end": now, "start": now}
        return self.make(
            "invoiceitem", customer=customer, invoice=invoice, date=now, period=period, _line=self.mint("il"), **fields
        )

    def item_fields(self, given: dict[str, Any], currency: str, name: str, old: Thing | None = None) -> dict[str, Any]:
        """Return the fields of an item from its parameters, the amount computed."""
        fields: dict[str, Any] = {"currency": currency}
        fields |= {key: given[key] for key in ("description", "discountable") if key in given}
        if "metadata" in given:
            fields["metadata"] = self.merged(old, given["metadata"])
        if "period" in given:
            if given["period"]["end"] < given["period"]["start"]:
                raise Refusal("period[end] must not be before period[start].", param=sub(name, "period"))
            fields["period"] = given["period"]
        if old is None or {"amount", "price_data", "pricing"} & set(given):
            fields |= self._priced(given, currency, name)
        if "tax_amounts" in given:
            fields["_taxes"] = [self._tax(one, currency, name) for one in given["tax_amounts"] or []]
        if given.get("tax_rates"):
            raise missing("tax_rate", given["tax_rates"][0], sub(name, "tax_rates"))
        return fields

    def _priced(self, given: dict[str, Any], currency: str, name: str) -> dict[str, Any]:
        ways = [way for way in ("amount", "price_data", "pricing") if given.get(way) is not None]
        if len(ways) != 1:
            text = "You must specify exactly one of these parameters: amount, price_data, pricing."
            raise unacceptable(text, sub(name, "amount"), "parameters_exclusive" if ways else "parameter_missing")
        quantity = given.get("quantity", 1)
        if ways == ["pricing"]:
            raise missing("price", given["pricing"].get("price", ""), sub(name, "pricing", "price"))
        if ways == ["amount"]:
            if quantity != 1 and not self.switches.amount_with_quantity:
                raise unacceptable(
                    "You may only specify one of these parameters: amount, quantity.",
                    sub(name, "quantity"),
                    "parameters_exclusive",
                )
            return {"amount": self._line_amount(given["amount"], currency, sub(name, "amount")), "quantity": quantity}
        price = given["price_data"]
        if price["currency"] != currency:
            raise Refusal(f"The invoice is in {currency}, the price in {price['currency']}.", param=sub(name, "price_data"))
        unit = price.get("unit_amount_decimal", price.get("unit_amount"))
        if unit is None or {"unit_amount", "unit_amount_decimal"} <= set(price):
            raise unacceptable("Specify one of unit_amount and unit_amount_decimal.", sub(name, "price_data", "unit_amount"))
        amount = int((Decimal(unit) * quantity).to_integral_value(ROUND_HALF_UP))
        amount = self._line_amount(amount, currency, sub(name, "price_data", "unit_amount"))
        return {"amount": amount, "quantity": quantity, "_unit": format(Decimal(unit), "f")}

    def _line_amount(self, amount: int, currency: str, name: str) -> int:
        return digits(amount, currency if self.switches.line_digits else "eur", self.switches, name)

    def _tax(self, given: dict[str, Any], currency: str, name: str) -> dict[str, Any]:
        data = given["tax_rate_data"]
        rate = f"txr_1{scramble(repr(sorted(data.items())), 23)}"
        if rate not in self.tables["tax_rate"].rows:
            plain = {key: value for key, value in data.items() if key != "percentage" and value is not None}
            row = {"id": rate, "object": "tax_rate", "created": self.now(), "percentage": float(data["percentage"]), **plain}
            self.tables["tax_rate"].add(row)
        return {
            "amount": self._line_amount(given["amount"], currency, sub(name, "tax_amounts")),
            "tax_behavior": "inclusive" if data["inclusive"] else "exclusive",
            "tax_rate_details": {"tax_rate": rate},
            "taxability_reason": given.get("taxability_reason", "standard_rated"),
            "taxable_amount": given["taxable_amount"],
            "type": "tax_rate_details",
        }
