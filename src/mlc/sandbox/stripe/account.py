"""The account: the in-memory truth, with the verbs that scenarios, seeds and oracles use without HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import audit, hook_endpoints
from .base import DAY
from .deliveries import Delivery, deliver
from .errors import Refusal
from .payouts import Payouts
from .shapes import show
from .table import Thing

Chosen = int | str | Callable[[dict[str, Any]], bool]


class Account(Payouts):
    """One Stripe account in memory. Amounts are minor units; verbs return the id of what they made or moved.

    Verbs called directly take no lock: where requests are served by other threads, play them over HTTP instead.
    """

    def add_customer(self, name: str, email: str | None = None, **fields: Any) -> str:
        """Create a customer; `fields` are the API's parameters."""
        return str(self.create_customer({"name": name, "email": email, **fields})["id"])

    def add_invoice(
        self,
        customer_id: str,
        amount: int,
        currency: str | None = None,
        *,
        metadata: dict[str, str] | None = None,
        due_days: int = 30,
        finalize: bool = True,
        description: str = "Goods",
        **fields: Any,
    ) -> str:
        """Create an invoice of one line and finalize it unless told otherwise."""
        params = {
            "customer": customer_id,
            "currency": currency or self.default_currency,
            "collection_method": "send_invoice",
            "days_until_due": due_days,
            "metadata": metadata or {},
        }
        ident = str(self.create_invoice(params | fields)["id"])
        self.add_lines(ident, {"lines": [{"amount": amount, "description": description}]})
        if finalize:
            self.finalize_invoice(ident)
        return ident

    def subscription_invoice(self, customer_id: str, amount: int, *, paid: bool = True) -> str:
        """Bill a subscription: an invoice that no integration of ours made, paid by card unless told otherwise."""
        customer = self.live_customer(customer_id)
        now, subscription = self.now(), self.mint("sub")
        currency = customer.get("currency", self.default_currency)
        item = {"id": self.mint("ii"), "_line": self.mint("il"), "amount": amount, "currency": currency}
        item |= {"description": "1 x Plan", "period": {"start": now, "end": now + 30 * DAY}, "_subscription": subscription}
        draft = self.make(
            "invoice",
            customer=customer_id,
            currency=currency,
            collection_method="charge_automatically",
            billing_reason="subscription_cycle",
            auto_advance=True,
            status="draft",
            _lines=(),
            _subscription=subscription,
        )
        self.retotal(draft, ({**item, "invoice": draft["id"]},))
        self.emit("invoice.created", self.fresh(draft))
        invoice = self.finalize_invoice(draft["id"])
        if paid and invoice["status"] == "open":
            self.pay(draft["id"])
        return str(draft["id"])

    def void(self, invoice_id: str) -> str:
        """Void an invoice as somebody in the Dashboard would."""
        return str(self.void_invoice(invoice_id)["id"])

    def read(self, ident: str) -> dict[str, Any]:
        """Return any object as the API would answer it now; deleted customers as such. Read only."""
        if ident in self.deleted:
            return self.deleted[ident]
        for table in self.tables.values():
            if ident in table.rows:
                return show(self, table.rows[ident])
        raise Refusal(f"No such object: '{ident}'", status=404, code="resource_missing", param="id")

    def all(self, kind: str, **fields: Any) -> list[dict[str, Any]]:
        """Return all objects of a kind, oldest first, whose fields have these values; `metadata` need only be contained."""
        if kind not in self.tables:
            raise Refusal(f"no such kind of object: {kind}", param="kind")
        table, wanted = self.tables[kind], fields.pop("metadata", {})
        shown = (show(self, table.rows[key[2]]) for key in table.order)
        return [
            one
            for one in shown
            if all(one.get(name) == value for name, value in fields.items())
            and all(one["metadata"].get(name) == value for name, value in wanted.items())
        ]

    def events(self, *types: str) -> list[dict[str, Any]]:
        """Return all events, oldest first, of these types or of all."""
        return [one for one in self.all("event") if not types or one["type"] in types]

    def _chosen(self, which: Chosen) -> list[Thing]:
        table = self.tables["event"]
        rows = [table.rows[key[2]] for key in table.order]
        if isinstance(which, int):
            return rows[-which:] if which > 0 else []
        if isinstance(which, str):
            return [one for one in rows if one["type"].startswith(which)]
        return [one for one in rows if which(show(self, one))]

    def drop_events(self, which: Chosen = 1) -> int:
        """Lose events: the last n, those whose type begins with a text, or those a function chooses; returns how many."""
        chosen = self._chosen(which)
        for event in chosen:
            self.tables["event"].drop(event["id"])
        return len(chosen)

    def duplicate_events(self, which: Chosen = 5) -> int:
        """Emit events once more under new ids, as Stripe sometimes does; returns how many."""
        chosen = self._chosen(which)
        for event in chosen:
            again = {key: value for key, value in event.items() if key not in ("id", "object", "created")}
            self.tell(self.make("event", **again))
        return len(chosen)

    def shuffle_events(self) -> None:
        """Draw the order of events within each second anew."""
        self.tables["event"].reorder(lambda _: self.random.getrandbits(40))

    def add_endpoint(self, url: str, enabled_events: list[str] | None = None, *, secret: str | None = None) -> str:
        """Register a webhook endpoint, by default for all events, with a secret one knows already."""
        params = {"url": hook_endpoints.address(url, "url"), "enabled_events": enabled_events or ["*"]}
        return str(hook_endpoints.create(self, params, secret=secret)["id"])

    def roll_secret(self, endpoint: str, secret: str | None = None, overlap: float = hook_endpoints.OVERLAP) -> dict[str, str]:
        """Give an endpoint a new secret; the old one signs beside it until the overlap (in seconds) is over."""
        return {"secret": hook_endpoints.roll(self, endpoint, secret, overlap)}

    def mark_delivered(self, which: Chosen) -> int:
        """Note that webhooks took events; lists with `delivery_success` tell them apart. Returns how many."""
        chosen = self._chosen(which)
        for event in chosen:
            self.change(event, _delivered=True)
        return len(chosen)

    def deliveries(self, secret: str, since: str | None = None, *, moment: int | None = None) -> list[Delivery]:
        """Return signed webhook requests for the events after one of them, oldest first."""
        return deliver(self, secret, since, moment)

    def check(self) -> None:
        """Prove the account's books; raises AssertionError where an identity does not hold."""
        audit.check(self)
