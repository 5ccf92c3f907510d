"""Subscriptions as far as an integration meets them: read, listed, their collection paused and let go on, ended with their customer."""

from __future__ import annotations

from typing import Any

from .customers import Customers
from .errors import Refusal
from .table import Thing

ENDED = ("canceled", "incomplete_expired")


class Subscriptions(Customers):
    """What can be done with subscriptions."""

    def add_subscription(self, customer_id: str, amount: int = 1000, **fields: Any) -> str:
        """Let a customer subscribe to something by the month; `fields` are those of the subscription."""
        customer = self.live_customer(customer_id)
        currency = customer.get("currency", self.default_currency)
        made = self.make("subscription", customer=customer_id, currency=currency, _amount=amount, **fields)
        self.emit("customer.subscription.created", made)
        return str(made["id"])

    def update_subscription(self, ident: str, params: dict[str, Any]) -> Thing:
        """Change a subscription's metadata, or pause its collection and let it go on."""
        old = self.get("subscription", ident)
        if self.of(old, "status") in ENDED:
            raise Refusal("A canceled subscription can only update its cancellation_details and metadata.", param="id")
        fields: dict[str, Any] = {}
        if "metadata" in params:
            fields["metadata"] = self.merged(old, params["metadata"])
        if "pause_collection" in params:
            pause = params["pause_collection"]
            fields["pause_collection"] = None if pause is None else {"resumes_at": None, **pause}
        new = self.change(old, **fields)
        self.emit("customer.subscription.updated", new, old)
        return new

    def pause_by_hand(self, ident: str, behavior: str | None = "void") -> str:
        """Pause a subscription's collection as somebody in the Dashboard would, or with None let it go on."""
        pause = None if behavior is None else {"behavior": behavior}
        return str(self.update_subscription(ident, {"pause_collection": pause})["id"])

    def delete_customer(self, ident: str) -> Thing:
        """Delete a customer; its subscriptions end with it."""
        self.live_customer(ident)
        for one in self.tables["subscription"].where("customer", ident):
            if self.of(one, "status") not in ENDED:
                ended = self.change(one, status="canceled", canceled_at=self.now(), ended_at=self.now())
                self.emit("customer.subscription.deleted", ended, one)
        return super().delete_customer(ident)
