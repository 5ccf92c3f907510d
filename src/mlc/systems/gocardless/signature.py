"""Deliveries of GoCardless: is the signature right; then the events in it (GoCardless: webhooks)."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import Any

from mlc.core.inbox import DEBIT, NOTHING, Delivered, NotAcceptedError, kept, moment, parsed

MOST_EVENTS = 1000  # the documentation says 250
_ID = re.compile(r"EV[A-Za-z0-9_]{1,250}")
RESOURCES = ("payments", "mandates", "refunds", "payouts", "creditors", "customers", "subscriptions", "instalment_schedules")


def verify(body: bytes, header: str, secrets: Sequence[str]) -> None:
    """Accept a delivery that one of the secrets signed: lower-case hex over the raw body. Raises NotAcceptedError.

    The signature carries no time: a delivery can be sent again for ever, and what protects from that is the event's id.
    """
    if not header:
        raise NotAcceptedError("the Webhook-Signature header is missing")
    given, matches = header.encode("utf-8", "replace"), False
    for secret in secrets:
        expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest().encode()
        matches |= hmac.compare_digest(expected, given)
    if not matches:
        raise NotAcceptedError("the signature does not match")


def events(body: bytes) -> list[Delivered]:
    """Return the events of a verified delivery; there may be none. Raises NotAcceptedError."""
    content = parsed(body)
    rows = content.get("events") if isinstance(content, dict) else None
    if not isinstance(rows, list) or len(rows) > MOST_EVENTS:
        raise NotAcceptedError("the body holds no list of events")
    return [_event(row) for row in rows]


def _event(row: Any) -> Delivered:
    if not isinstance(row, dict) or not isinstance(row.get("id"), str) or not _ID.fullmatch(row["id"]):
        raise NotAcceptedError("an event has no id")
    resource, action = row.get("resource_type"), row.get("action")
    if not isinstance(resource, str) or not isinstance(action, str):
        raise NotAcceptedError(f"event {row['id']} has no resource type or no action")
    links = row.get("links") or {}
    if not isinstance(links, dict):
        raise NotAcceptedError(f"event {row['id']} has no links")
    about = links.get(resource.removesuffix("s")) or ""
    kind = DEBIT if resource in RESOURCES else NOTHING
    return Delivered(row["id"], f"{resource}/{action}"[:100], kind, str(about)[:255], moment(row.get("created_at")), kept(row))
