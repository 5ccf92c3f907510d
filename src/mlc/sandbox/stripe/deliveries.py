"""Webhook deliveries as Stripe would send them: the body, full or thin, and its signature header."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from .shapes import show

if TYPE_CHECKING:
    from .base import Books
    from .table import Thing


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook request: the raw body and its headers."""

    event_id: str
    body: bytes
    headers: dict[str, str]


def sign(body: bytes, secret: str, moment: int) -> str:
    """Return the `Stripe-Signature` header for a body."""
    digest = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={digest},v0={'0' * 64}"


def sign_all(body: bytes, secrets: list[str], moment: int) -> str:
    """Return the header while a secret is rolled: one `v1` for each secret that is good now."""
    made = [sign(body, secret, moment).split(",")[1] for secret in secrets]
    return ",".join([f"t={moment}", *made, f"v0={'0' * 64}"])


def thin(books: Books, event: Thing) -> dict[str, Any]:
    """Return the thin form of an event: ids only."""
    about = event["_about"]
    stamp = datetime.fromtimestamp(event["created"], UTC).isoformat(timespec="milliseconds")
    return {
        "id": f"evt_test_{event['id'][4:]}",
        "object": "v2.core.event",
        "type": f"v1.{event['type']}",
        "livemode": books.livemode,
        "created": stamp.replace("+00:00", "Z"),
        "context": None,
        "reason": None,
        "related_object": {"id": about["id"], "type": about["object"], "url": f"/v1/{about['object']}s/{about['id']}"},
    }


def deliver(books: Books, secret: str, since: str | None, moment: int | None) -> list[Delivery]:
    """Return the deliveries of all events after `since`, oldest first; thin ones too where the account sends them."""
    table = books.tables["event"]
    start = table.keys[since] if since else None
    made: list[Delivery] = []
    for key in table.order:
        if start is not None and key <= start:
            continue
        event = table.rows[key[2]]
        bodies = [show(books, event)] + ([thin(books, event)] if books.switches.thin_events else [])
        for content in bodies:
            body = json.dumps(content, indent=2).encode()
            headers = {
                "content-type": "application/json; charset=utf-8",
                "stripe-signature": sign(body, secret, books.now() if moment is None else moment),
                "user-agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            }
            made.append(Delivery(content["id"], body, headers))
    return made
