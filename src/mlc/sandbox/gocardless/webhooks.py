"""Webhook deliveries as GoCardless would send them: batches of events and their signature."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .shapes import show

if TYPE_CHECKING:
    from .base import Books

BATCH = 250


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook request: the raw body and its headers."""

    webhook_id: str
    body: bytes
    headers: dict[str, str]


def sign(body: bytes, secret: str) -> str:
    """Return the `Webhook-Signature` of a raw body."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def deliver(books: Books, secret: str, since: str | None) -> list[Delivery]:
    """Return signed webhook requests for all visible events after one of them, oldest first unless switched otherwise."""
    now = books.clock.now()
    events = list(books.tables["events"].values())
    if since is not None:
        events = events[[one["id"] for one in events].index(since) + 1 :]
    events = [one for one in events if one["_seen_at"] <= now]
    if books.switches.webhooks_disordered:
        events.reverse()
    size = BATCH - 1 if books.switches.webhooks_disordered else BATCH
    made = []
    for start in range(0, len(events), size):
        ident = books.mint("WB")
        shown = [show(books, "events", one) for one in events[start : start + size]]
        if books.switches.webhooks_disordered:
            shown.append(shown[0])
        content = {"events": shown} | ({"meta": {"webhook_id": ident}} if books.switches.webhook_meta else {})
        body = json.dumps(content, separators=(",", ":")).encode()
        headers = {
            "content-type": "application/json",
            "user-agent": "gocardless-webhook-service/1.1",
            "webhook-signature": sign(body, secret),
        }
        made.append(Delivery(ident, body, headers))
    return made
