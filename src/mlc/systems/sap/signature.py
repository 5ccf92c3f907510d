"""Deliveries of the Service Layer (10.0 FP 2602 and later): signed messages that documents have changed, and the handshake.

Neither the encoding of the signature nor the shape of a message is told by a source we trust, so both are taken widely: hex or
base64, any JSON. That costs nothing, because a message is only a hint to look: what has changed is read from SAP itself.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence

from mlc.core.inbox import DOCUMENT, Delivered, NotAcceptedError, kept, parsed

_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{1,512}")


def verify(body: bytes, header: str, secrets: Sequence[str]) -> None:
    """Accept a delivery that one of the secrets signed (HMAC-SHA256 of the raw body). Raises NotAcceptedError."""
    given = _digest(header)
    if given is None:
        raise NotAcceptedError("the X-B1-Webhook-Signature header is missing or unreadable")
    matches = False
    for secret in secrets:
        matches |= hmac.compare_digest(hmac.new(secret.encode(), body, hashlib.sha256).digest(), given)
    if not matches:
        raise NotAcceptedError("the signature does not match")


def _digest(header: str) -> bytes | None:
    text = header.strip().removeprefix("sha256=")
    if len(text) > 100:
        return None
    try:
        return bytes.fromhex(text) if re.fullmatch(r"[0-9A-Fa-f]{64}", text) else base64.b64decode(text, validate=True) or None
    except (binascii.Error, ValueError):
        return None


def events(body: bytes) -> list[Delivered]:
    """Return one hint for a whole delivery. Raises NotAcceptedError."""
    content = parsed(body)
    if not isinstance(content, dict | list):
        raise NotAcceptedError("the body is no message")
    ident = f"sap_{hashlib.sha256(body).hexdigest()[:32]}"
    return [Delivered(ident, "documents changed", DOCUMENT, body=kept(content), repeats=True)]


def challenge(token: str) -> str:
    """Return what the handshake asks to hear. Raises NotAcceptedError where the token is none."""
    if not _TOKEN.fullmatch(token):
        raise NotAcceptedError("the X-B1-Webhook-Token header is missing or unreadable")
    return token
