"""What all of the organisation stands on: tables of records, ids, the clock, events, and money waiting for a payout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from mlc.sandbox.kit import Clock

from .errors import missing
from .money import Item
from .switches import GoCardlessSwitches

Record = dict[str, Any]
DAY = 86_400
PREFIXES = {
    "customers": "CU",
    "customer_bank_accounts": "BA",
    "creditors": "CR",
    "creditor_bank_accounts": "BA",
    "mandates": "MD",
    "payments": "PM",
    "refunds": "RF",
    "payouts": "PO",
    "subscriptions": "SB",
    "instalment_schedules": "IS",
    "events": "EV",
    "tax_rates": "",
    "webhooks": "WB",
}
ONE = {kind: kind[:-1] for kind in PREFIXES}


def iso(moment: float) -> str:
    """Write a moment as GoCardless does: UTC with milliseconds."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{int(moment * 1000) % 1000:03d}Z"


def months_before(moment: float, months: int) -> str:
    """Write the moment that lies so many months before another."""
    now = datetime.fromtimestamp(moment, UTC)
    count = now.year * 12 + now.month - 1 - months
    first = datetime(count // 12, count % 12 + 1, 1, now.hour, now.minute, now.second, tzinfo=UTC)
    following = datetime((count + 1) // 12, (count + 1) % 12 + 1, 1, tzinfo=UTC)
    last = (following - timedelta(days=1)).day
    return iso(first.replace(day=min(now.day, last)).timestamp())


class Books:
    """The tables and what every verb needs; fields that begin with an underscore are never shown."""

    def __init__(
        self, clock: Clock | None = None, *, creditor: str = "CR0001", switches: GoCardlessSwitches | None = None
    ) -> None:
        """Start with one creditor, the tax rate, and nothing else."""
        self.clock = clock or Clock()
        self.switches = switches or GoCardlessSwitches()
        self.tables: dict[str, dict[str, Record]] = {kind: {} for kind in PREFIXES}
        self.waiting: dict[tuple[str, str, str], list[Item]] = {}
        self.rates: dict[tuple[str, str], str] = {("EUR", "GBP"): "0.8500000000", ("USD", "GBP"): "0.7500000000"}
        self.creditor = creditor
        self.cause: Record | None = None
        self.endpoints: dict[str, Record] = {}
        self.listeners: list[Callable[[Record], None]] = []
        self.retries: list[Callable[[Record], None]] = []
        self._minted: Counter[str] = Counter()
        self.tables["tax_rates"]["GB_VAT_1"] = {
            "id": "GB_VAT_1",
            "start_date": "2011-01-04",
            "end_date": None,
            "type": "VAT",
            "jurisdiction": "GB",
            "percentage": f"{self.switches.vat_percent}.0",
        }

    def stamp(self) -> str:
        """Return the time as GoCardless writes it."""
        return iso(self.clock.now())

    def today(self, days: int = 0) -> str:
        """Return today's date, or one so many days later."""
        found: date = datetime.fromtimestamp(self.clock.now() + days * DAY, UTC).date()
        return found.isoformat()

    def mint(self, prefix: str) -> str:
        """Return a new id."""
        self._minted[prefix] += 1
        return f"{prefix}{self._minted[prefix]:08d}"

    def get(self, kind: str, ident: Any) -> Record:
        """Return a record of a kind; raises Refusal (404) where there is none."""
        found = self.tables[kind].get(ident) if isinstance(ident, str) else None
        if found is None:
            raise missing()
        return found

    def put(self, kind: str, **fields: Any) -> Record:
        """Add a record under a new id."""
        record = {"id": fields.pop("id", None) or self.mint(PREFIXES[kind]), "created_at": self.stamp(), **fields}
        self.tables[kind][record["id"]] = record
        return record

    def emit(
        self,
        kind: str,
        record: Record,
        action: str,
        cause: str,
        *,
        origin: str = "gocardless",
        links: dict[str, str] | None = None,
        metadata: dict[str, str] | None = None,
        **details: Any,
    ) -> Record:
        """Write down what happened to a record; events caused by another one name it as their parent."""
        parent = {"parent_event": self.cause["id"]} if self.cause else {}
        event = self.put(
            "events",
            resource_type=kind,
            action=action,
            links={ONE[kind]: record["id"], **(links or {}), **parent},
            details={"origin": origin, "cause": cause, "description": f"{cause.replace('_', ' ').capitalize()}.", **details},
            metadata=metadata or {},
            customer_notifications=[],
            source={
                "name": "API" if origin == "api" else "GoCardless",
                "type": "access_token" if origin == "api" else "gc_team",
            },
            _about=(kind, record["id"]),
            _seen_at=self.clock.now() + self.switches.events_late,
        )
        for listener in self.listeners:
            listener(event)
        return event

    def wait(self, creditor: str, currency: str, items: list[Item], kind: str = "merchant") -> None:
        """Let items wait for the next payout of a creditor in a currency."""
        self.waiting.setdefault((creditor, currency, kind), []).extend(items)
