"""Deliveries of Stripe: is the signature right, is it recent, is it ours; then what it is about (Stripe: webhooks)."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import Any

from mlc.core.facts import Hint
from mlc.core.inbox import CUSTOMER, MONEY, NOTHING, PAYOUT, Delivered, NotAcceptedError, kept, parsed
from mlc.systems.stripe.reads import CUSTOMER_EVENTS, EVENT_TYPES, PAYOUT_EVENTS, SUBSCRIPTION_EVENTS, hint_of

TOLERANCE = 300  # seconds between the signature's time and ours, in both directions
_MOST_SIGNATURES = 20
_ID = re.compile(r"evt_[A-Za-z0-9_]{1,250}")
_KINDS = {
    **dict.fromkeys(EVENT_TYPES, MONEY),
    **dict.fromkeys((*CUSTOMER_EVENTS, *SUBSCRIPTION_EVENTS), CUSTOMER),
    **dict.fromkeys(PAYOUT_EVENTS, PAYOUT),
}


def verify(body: bytes, header: str, secrets: Sequence[str], now: float) -> None:
    """Accept a delivery that one of the secrets signed within the tolerance. Raises NotAcceptedError.

    The signed text is the timestamp, a full stop and the raw body; schemes other than v1 prove nothing.
    """
    moments: list[str] = []
    signatures: list[bytes] = []
    for part in header.split(",", _MOST_SIGNATURES + 2)[: _MOST_SIGNATURES + 2]:
        name, _, value = part.strip().partition("=")
        if name == "t":
            moments.append(value)
        elif name == "v1":
            signatures.append(value.encode("utf-8", "replace"))
    if len(moments) != 1 or not re.fullmatch(r"[0-9]{1,12}", moments[0], re.ASCII) or not signatures:
        raise NotAcceptedError("the Stripe-Signature header is missing or unreadable")
    signed = moments[0].encode() + b"." + body
    matches = False
    for secret in secrets:
        expected = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest().encode()
        for one in signatures:
            matches |= hmac.compare_digest(expected, one)
    if not matches:
        raise NotAcceptedError("the signature does not match")
    if abs(now - int(moments[0])) > TOLERANCE:
        raise NotAcceptedError(f"the signature is more than {TOLERANCE} seconds from now: is the clock of this machine right?")


def events(body: bytes, *, live: bool) -> list[Delivered]:
    """Return the one event of a verified delivery, full or thin. Raises NotAcceptedError: no event, other mode, other account."""
    row = parsed(body)
    if not isinstance(row, dict) or row.get("object") not in ("event", "v2.core.event"):
        raise NotAcceptedError("the body is no event")
    ident, type_ = row.get("id"), row.get("type")
    if not isinstance(ident, str) or not _ID.fullmatch(ident) or not isinstance(type_, str) or not type_:
        raise NotAcceptedError("the event has no id or no type")
    if row.get("livemode") is not live:
        raise NotAcceptedError(f"the event is not of this tenant's mode ({'live' if live else 'test'})")
    if row.get("account") or row.get("context"):
        raise NotAcceptedError("the event is of a connected account")
    hint = _read(row)
    kind = _KINDS.get(hint.type, NOTHING)
    return [Delivered(ident, hint.type[:100], kind, hint.id[:255], float(hint.created), kept(row), hint.key[:255])]


def _read(row: dict[str, Any]) -> Hint:
    try:
        return hint_of(row)
    except (AttributeError, TypeError, ValueError) as error:
        raise NotAcceptedError("the event cannot be read") from error
