"""The account's books: tables of objects, new versions, events, and work that falls due with the clock."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from typing import Any

from mlc.sandbox.kit import Clock

from .errors import Refusal, missing
from .ids import Mint, scramble
from .money import smallest
from .older import as_before
from .shapes import DEFAULTS, show
from .switches import StripeSwitches
from .table import Table, Thing

PREFIXES = {
    "customer": "cus",
    "subscription": "sub",
    "invoice": "in",
    "invoiceitem": "ii",
    "invoice_payment": "inpay",
    "payment_intent": "pi",
    "charge": "ch",
    "refund": "re",
    "dispute": "du",
    "balance_transaction": "txn",
    "payout": "po",
    "topup": "tu",
    "credit_note": "cn",
    "customer_balance_transaction": "cbtxn",
    "payment_record": "pr",
    "tax_rate": "txr",
    "webhook_endpoint": "we",
    "event": "evt",
}
INDEXED: dict[str, tuple[str, ...]] = {
    "customer": ("email",),
    "subscription": ("customer",),
    "invoice": ("customer",),
    "invoiceitem": ("customer", "invoice"),
    "invoice_payment": ("invoice", "_intent", "_record"),
    "payment_intent": ("customer",),
    "charge": ("customer", "payment_intent"),
    "refund": ("charge", "payment_intent"),
    "dispute": ("charge", "payment_intent"),
    "balance_transaction": ("source", "_payout"),
    "credit_note": ("invoice", "customer"),
    "customer_balance_transaction": ("customer",),
    "event": ("type",),
}
EVENT_DAYS = 30
DAY = 86400


class Books:
    """What all parts of the account stand on."""

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        account_id: str = "acct_1Sandbox",
        default_currency: str = "eur",
        livemode: bool = False,
        switches: StripeSwitches | None = None,
    ) -> None:
        """Start an empty account."""
        self.clock = clock or Clock()
        self.account_id = account_id
        self.default_currency = default_currency
        self.livemode = livemode
        self.switches = switches or StripeSwitches()
        self.mint = Mint(account_id)
        self.random = random.Random(account_id)
        self.defaults = {
            kind: {**fields, "livemode": livemode} if "livemode" in fields else fields for kind, fields in DEFAULTS.items()
        }
        self.tables = {kind: Table(INDEXED.get(kind, ()), self._tie(kind)) for kind in PREFIXES}
        self.deleted: dict[str, Thing] = {}
        self.numbers: dict[str, str] = {}
        self.mails: list[tuple[str, str]] = []
        self.listeners: list[Callable[[Thing], None]] = []
        self.request: dict[str, str | None] = {"id": None, "idempotency_key": None}
        self._timed: list[tuple[float, int, str, str]] = []

    def _tie(self, kind: str) -> Callable[[int, str], int] | None:
        if kind == "event" and self.switches.events_shuffled:
            return lambda _, __: self.random.getrandbits(40)
        if self.switches.equal_created == "any":
            return lambda _, ident: int.from_bytes(scramble(ident, 5).encode(), "big")
        return None

    def now(self) -> int:
        """Return the account's time in whole seconds."""
        return int(self.clock.now())

    def at(self, moment: float, what: str, ident: str) -> None:
        """Remember that `what` falls due for an object at a moment."""
        heapq.heappush(self._timed, (moment, len(self._timed), what, ident))

    def tick(self) -> None:
        """Do everything that has fallen due by the clock."""
        while self._timed and self._timed[0][0] <= self.clock.now():
            _, __, what, ident = heapq.heappop(self._timed)
            self.fall_due(what, ident)

    def fall_due(self, what: str, ident: str) -> None:
        """Do one thing that has fallen due; the rooms built on top know what that may be."""
        raise AssertionError(f"nobody knows what {what} of {ident} is")

    def make(self, kind: str, *, prefix: str | None = None, **fields: Any) -> Thing:
        """Put a new object of a kind into its table; None stands for the default."""
        length = 14 if kind == "customer" else 24
        thing: Thing = {"id": self.mint(prefix or PREFIXES[kind], length), "object": kind, "created": self.now()}
        thing.update({key: value for key, value in fields.items() if value is not None})
        self.tables[kind].add(thing)
        return thing

    def change(self, thing: Thing, **fields: Any) -> Thing:
        """Put a new version of an object into its row and return it."""
        new = {**thing, **fields}
        self.tables[thing["object"]].put(new)
        return new

    def get(self, kind: str, ident: str, *, param: str | None = None) -> Thing:
        """Return the current version of an object; refuses unknown ids, naming the parameter they came from."""
        thing = self.tables[kind].rows.get(ident)
        if thing is None:
            raise missing(kind, ident, param)
        return thing

    def fresh(self, thing: Thing) -> Thing:
        """Return the current version of an object that was read before."""
        return self.tables[thing["object"]].rows[thing["id"]]

    def of(self, thing: Thing, field: str) -> Any:
        """Return a field of an object, its default where the row does not hold it."""
        return thing.get(field, self.defaults[thing["object"]].get(field))

    def emit(self, kind: str, thing: Thing, before: Thing | None = None) -> Thing:
        """Store an event about this version of an object; `before` is the version it replaced."""
        changed = None
        if before is not None:
            names = [name for name in {**before, **thing} if name[0] != "_"]
            pairs = {name: (self.of(before, name), self.of(thing, name)) for name in names}
            changed = {name: old for name, (old, new) in pairs.items() if old != new}
        event = self.make(
            "event",
            type=kind,
            api_version=self.switches.event_version,
            request=self.request,
            _about=thing,
            _before=changed,
        )
        self.tell(event)
        return event

    def tell(self, event: Thing) -> None:
        """Tell everybody who listens of an event."""
        for listener in self.listeners:
            listener(event)

    def picture(self, thing: Thing, version: str) -> dict[str, Any]:
        """Return an object in the shape of an API version."""
        return as_before(self, thing) if version < "2025-03-31" else show(self, thing)

    def visible(self, event: Thing) -> bool:
        """Tell whether an event is young enough to be read."""
        return bool(event["created"] > self.clock.now() - EVENT_DAYS * DAY)

    def merged(self, thing: Thing | None, given: dict[str, str | None] | None) -> dict[str, str]:
        """Return an object's metadata after an update; None empties it, a None value removes its key."""
        if given is None:
            return {}
        old = thing.get("metadata", {}) if thing else {}
        merged = {key: value for key, value in {**old, **given}.items() if value is not None}
        if len(merged) > 50:
            raise Refusal("Metadata can have up to 50 keys", param="metadata")
        return merged

    def addressee(self, customer_id: str) -> dict[str, Any]:
        """Return what an invoice copies from its customer."""
        customer = self.tables["customer"].rows[customer_id]
        copied = ("address", "email", "name", "phone", "shipping", "tax_exempt")
        return {f"customer_{name}": self.of(customer, name) for name in copied}

    def dues(self, invoice: Thing) -> dict[str, int]:
        """Return what a draft would ask for, with the customer's balance as it is now."""
        start = self.balance_for(invoice)
        total = invoice.get("total", 0)
        due = max(total + start, 0)
        if self.switches.draft_minimum and due < smallest(invoice["currency"]):
            due = 0
        return {"starting_balance": start, "amount_due": due, "amount_remaining": due}

    def balance_for(self, invoice: Thing) -> int:
        """Return the customer's balance that an invoice in this currency meets."""
        customer = self.tables["customer"].rows.get(invoice["customer"], {})
        return int(customer.get("_balances", {}).get(invoice["currency"], 0))
