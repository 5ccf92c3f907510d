"""What the simulated Service Layer tells by itself: changes of documents and partners, in batches, to every subscription.

The body and the signature follow SAP's user manual and its sample endpoint: an array of events in the CloudEvents form, and the
Base64 of the HMAC over the raw body. Neither was seen from a running system (check), hence the switches `webhook_body` and
`webhook_signature`. The manual gives the retries twice, as three and as five: `webhook_retries`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mlc.sandbox.courier import Carry, Headers, Parcel, Reply, Sender, by_http
from mlc.sandbox.sap.ledger import Change
from mlc.sandbox.sap.records import Simple
from mlc.sandbox.sap.subscriptions import ALGORITHMS, CATALOG, Subscriptions

if TYPE_CHECKING:
    from mlc.sandbox.sap.service import SapService

BATCH = 1024
INTERVAL = 2
LIFETIME = 24 * 3600
KEYS = {"BusinessPartners": "CardCode", "JournalEntries": "JdtNum"}
NOBODYS = "nobodys-key"


@dataclass(frozen=True, slots=True)
class Message:
    """One change as it is told; the id is the same in every batch and for every subscription."""

    ident: str
    at: float
    change: Change


class SapHooks(Sender):
    """The Webhook Messenger of one company."""

    def __init__(self, service: SapService, company: str) -> None:
        """Take up work once there is a subscription."""
        super().__init__("sap", service)
        self.books = service.books
        self.switches = service.switches
        self.company = company
        self.random = random.Random(company)
        self.subscriptions = Subscriptions(service.desk, self)
        self._waiting: dict[str, list[Message]] = {}
        self._missed: dict[str, list[Message]] = {}

    @property
    def carry(self) -> Carry:
        """Return how the handshake leaves: as the courier's parcels do."""
        return self.courier.carry if self.courier is not None else by_http

    def watch(self) -> None:
        """Let the books write down changes while somebody wants to know of them."""
        self.books.on_change = self.wake if self.subscriptions.rows else None

    def register(self, ident: str, url: str, secret: str) -> None:
        """Subscribe an address to everything there is, without a handshake."""
        events = [
            {"BusinessObject": name, "TransactionType": one} for name, (_, kinds) in CATALOG.items() for one in kinds.split(",")
        ]
        self.subscriptions.create({
            "WebhookID": ident, "WebhookURL": url, "Handshake": "tNO", "EventCollection": events,
            "AuthenticationCred": json.dumps({"Key": secret, "Algorithm": "HMACSha256"}),
        })  # fmt: skip

    # --- what is told -----------------------------------------------------------------------------------------------
    def collect(self) -> list[Parcel]:
        """Return one parcel per active subscription and batch of changes it wants."""
        now = self.books.clock.now()
        fresh = list(self.books.changes.values())
        self.books.changes.clear()
        messages = [Message(str(uuid.UUID(int=self.random.getrandbits(128), version=4)), now, one) for one in fresh]
        made = []
        for ident, row in self.subscriptions.rows.items():
            wanted = {(one["BusinessObject"], one["TransactionType"]) for one in row.fields["EventCollection"]}
            mine = [one for one in messages if (one.change.kind, one.change.what) in wanted]
            if row.fields["State"] == "Inactive":
                self._missed.setdefault(ident, []).extend(mine)
                continue
            mine = self._waiting.pop(ident, []) + mine
            made += [self._parcel(row, mine[start : start + BATCH]) for start in range(0, len(mine), BATCH)]
        return made

    def resumed(self, ident: str, *, replay: bool) -> None:
        """Go on with a subscription; what was missed is told only when that is asked for."""
        missed = self._missed.pop(ident, [])
        if replay:
            self._waiting[ident] = missed
            self.wake()

    def _parcel(self, row: Simple, messages: list[Message]) -> Parcel:
        ident = str(row.key)

        def letter(forged: bool) -> tuple[Headers, bytes] | None:
            current = self.subscriptions.rows.get(ident)
            young = [one for one in messages if one.at > self.books.clock.now() - LIFETIME]
            if current is None or not young:
                return None
            if current.fields["State"] == "Inactive":
                self._missed.setdefault(ident, []).extend(messages)
                return None
            body = self._body(ident, young)
            known = self.subscriptions.credentials[ident]
            return {"Content-Type": "application/json", **self.proof(current, known, body, forged=forged)}, body

        def heard(reply: Reply, again: bool) -> None:
            self._heard(ident, messages, reply, again=again)

        waits = tuple(float(INTERVAL * 2**step) for step in range(self.switches.webhook_retries))
        told = tuple(one.ident for one in messages)
        return Parcel(ident, row.fields["WebhookURL"], told, letter, heard, waits, again=_worth_it)

    def _heard(self, ident: str, messages: list[Message], reply: Reply, *, again: bool) -> None:
        """Note what became of a batch: what is refused is missed, and who fails to the end is paused."""
        row = self.subscriptions.rows.get(ident)
        if row is None:
            return
        if not reply.taken and not again:
            self._missed.setdefault(ident, []).extend(messages)
        state = (
            "Active"
            if reply.taken
            else "Exceptional"
            if again
            else "Inactive"
            if _worth_it(reply.status)
            else row.fields["State"]
        )
        row.fields = row.fields | {"State": state}

    def _body(self, ident: str, messages: list[Message]) -> bytes:
        if self.switches.webhook_body == "array":
            content: Any = [self._event(one) for one in messages]
        else:
            content = {"WebhookID": ident, "CompanyDB": self.company, "Messages": [_plain(one) for one in messages]}
        return json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()

    def _event(self, one: Message) -> dict[str, Any]:
        kind, key = one.change.kind, str(one.change.key)
        return {
            "id": one.ident,
            "specversion": "1.0",
            "source": f"/default/sap.b1/{self.company}",
            "type": f"sap.b1.{kind}.{one.change.what}.v1",
            "subject": key,
            "time": _utc(one.at),
            "datacontenttype": "application/json",
            "data": {KEYS.get(kind, "DocEntry"): key},
        }

    def proof(self, row: Simple, known: Mapping[str, str], message: bytes, *, forged: bool = False) -> Headers:
        """Return the headers that prove where a message comes from; the handshake's message is its token."""
        kind = row.fields["AuthenticationType"]
        if kind == "HMAC":
            key = NOBODYS if forged else known["Key"]
            digest = hmac.new(key.encode(), message, getattr(hashlib, ALGORITHMS[known["Algorithm"].lower()])).digest()
            text = digest.hex() if self.switches.webhook_signature == "hex" else base64.b64encode(digest).decode()
            return {"X-B1-Webhook-Signature": text}
        if kind == "Basic":
            pair = f"{known['Username']}:{NOBODYS if forged else known['Password']}"
            return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        if kind == "OAuth":
            return {"Authorization": f"Bearer {NOBODYS if forged else 'sandbox-token'}"}  # no token is fetched here
        return {}


def _worth_it(status: int) -> bool:
    """Tell whether SAP tries again: no answer, 408, 429 and 5xx; any other answer is final."""
    return status in (0, 408, 429) or status >= 500


def _utc(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _plain(one: Message) -> dict[str, Any]:
    """Return a message in the other form a company might see: object types as numbers, keys as text."""
    return {
        "MessageID": one.ident, "BusinessObject": CATALOG[one.change.kind][0], "TransactionType": one.change.what,
        "Key": str(one.change.key), "Time": _utc(one.at),
    }  # fmt: skip
