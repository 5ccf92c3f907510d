"""Customers and their balance: a negative balance is credit that the next finalized invoice uses up by itself."""

from __future__ import annotations

from typing import Any

from .base import Books
from .errors import missing
from .ids import scramble
from .table import Thing
from .words import words

PLAIN = words(
    "name email description phone address shipping tax_exempt preferred_locales business_name individual_name "
    "invoice_settings invoice_prefix next_invoice_sequence"
)


class Customers(Books):
    """What can be done with customers."""

    def create_customer(self, params: dict[str, Any]) -> Thing:
        """Create a customer."""
        fields = {name: params[name] for name in PLAIN if params.get(name) is not None}
        fields.setdefault("invoice_prefix", scramble(f"{self.account_id}/{self.mint.count}", 8).upper())
        fields["metadata"] = self.merged(None, params.get("metadata", {})) or None
        customer = self.make("customer", **fields)
        self.emit("customer.created", customer)
        if params.get("balance"):
            customer = self.enter_balance(customer, params["balance"], "adjustment")
        return customer

    def update_customer(self, ident: str, params: dict[str, Any]) -> Thing:
        """Change a customer; a new balance is entered as an adjustment."""
        old = self.live_customer(ident)
        default = self.defaults["customer"]
        fields = {name: params[name] if params[name] is not None else default.get(name) for name in PLAIN if name in params}
        if "metadata" in params:
            fields["metadata"] = self.merged(old, params["metadata"])
        if "invoice_settings" in fields:
            fields["invoice_settings"] = {**self.of(old, "invoice_settings"), **(fields["invoice_settings"] or {})}
        customer = self.change(old, **fields)
        if "balance" in params:
            step = params["balance"] - self.of(customer, "balance")
            if step:
                customer = self.enter_balance(customer, step, "adjustment", quietly=True)
        self.emit("customer.updated", customer, old)
        return customer

    def delete_customer(self, ident: str) -> Thing:
        """Delete a customer for good; its finalized invoices stay."""
        customer = self.live_customer(ident)
        self.emit("customer.deleted", customer)
        self.tables["customer"].drop(ident)
        self.deleted[ident] = {"id": ident, "object": "customer", "deleted": True}
        return self.deleted[ident]

    def live_customer(self, ident: str, param: str | None = None) -> Thing:
        """Return a customer that exists and is not deleted."""
        if ident in self.deleted:
            raise missing("customer", ident, param)
        return self.get("customer", ident, param=param)

    def enter_balance(
        self,
        customer: Thing,
        amount: int,
        kind: str,
        *,
        quietly: bool = False,
        currency: str | None = None,
        **links: Any,
    ) -> Thing:
        """Add an amount to the customer's balance (negative = credit) and return the customer."""
        currency = currency or customer.get("currency") or self.default_currency
        balances = customer.get("_balances", {})
        ending = balances.get(currency, 0) + amount
        entry = self.make(
            "customer_balance_transaction",
            customer=customer["id"],
            amount=amount,
            currency=currency,
            ending_balance=ending,
            type=kind,
            **links,
        )
        own = customer.get("currency", currency)
        balances = {**balances, currency: ending}
        new = self.change(customer, balance=balances.get(own, 0), currency=own, _balances=balances, _last_entry=entry["id"])
        if not quietly:
            self.emit("customer.updated", new, customer)
        return new

    def credit_customer(self, customer_id: str, amount: int) -> str:
        """Give a customer credit (or take it, with a negative amount); returns the balance transaction's id."""
        customer = self.enter_balance(self.live_customer(customer_id), -amount, "adjustment")
        return str(customer["_last_entry"])

    def create_balance_entry(self, ident: str, params: dict[str, Any]) -> Thing:
        """Create a customer balance transaction."""
        customer = self.live_customer(ident)
        customer = self.enter_balance(
            customer,
            params["amount"],
            "adjustment",
            currency=params["currency"],
            description=params.get("description"),
            metadata=self.merged(None, params.get("metadata", {})) or None,
        )
        return self.get("customer_balance_transaction", customer["_last_entry"])
