"""Deliveries of the Service Layer (10.0 FP 2602 and later): signed messages that documents have changed, and the handshake.

SAP's manual (chapter 7) tells of a JSON array of CloudEvents and a base64 HMAC over the raw body by SHA-256, 384 or 512. Nothing of it
was seen from a running system yet, so the encoding and the shape are taken widely. That costs nothing: a message is only a hint to
look, and what has changed is read from SAP itself.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import Any

from mlc.core.inbox import DOCUMENT, Delivered, NotAcceptedError, kept, moment, parsed

MOST_MESSAGES = 2000  # the manual says 1024
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{1,512}")
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+")
_DIGESTS = {32: hashlib.sha256, 48: hashlib.sha384, 64: hashlib.sha512}


def verify(body: bytes, header: str, secrets: Sequence[str]) -> None:
    """Accept what one of the secrets signed (HMAC of the raw body). Raises NotAcceptedError."""
    candidates = _digests(header)
    if not candidates:
        raise NotAcceptedError("the X-B1-Webhook-Signature header is missing or unreadable")
    matches = False
    for secret in secrets:
        for given in candidates:
            matches |= hmac.compare_digest(hmac.new(secret.encode(), body, _DIGESTS[len(given)]).digest(), given)
    if not matches:
        raise NotAcceptedError("the signature does not match")


def _digests(header: str) -> list[bytes]:
    """Return what a header may mean: 64 letters are a SHA-256 in hex and a SHA-384 in base64."""
    text = header.strip()
    if not text.isascii() or len(text) > 160:
        return []
    text = re.sub(r"^(?:hmac)?-?sha-?(?:256|384|512)=", "", text, flags=re.IGNORECASE)
    found = [bytes.fromhex(text)] if _HEX.fullmatch(text) else []
    with contextlib.suppress(binascii.Error, ValueError):
        found.append(base64.b64decode(text, validate=True))
    return [one for one in found if len(one) in _DIGESTS]


def events(body: bytes) -> list[Delivered]:
    """Return a hint for each message; one for the whole where messages carry no id. Raises NotAcceptedError."""
    content = parsed(body)
    if not isinstance(content, dict | list):
        raise NotAcceptedError("the body is no message")
    rows = content if isinstance(content, list) else [content]
    if len(rows) > MOST_MESSAGES:
        raise NotAcceptedError("the body holds too many messages")
    if rows and all(isinstance(row, dict) and isinstance(row.get("id"), str) and 0 < len(row["id"]) <= 200 for row in rows):
        return [_message(row) for row in rows]
    ident = f"sap_{hashlib.sha256(body).hexdigest()[:32]}"
    return [Delivered(ident, "documents changed", DOCUMENT, body=kept(content), repeats=True)]


def _message(row: dict[str, Any]) -> Delivered:
    data = row.get("data")
    key = next((str(value) for value in data.values()), "") if isinstance(data, dict) else ""
    ident, type_ = f"sap_{row['id']}", str(row.get("type") or "documents changed")
    return Delivered(ident, type_[:100], DOCUMENT, key[:255], moment(row.get("time")), kept(row))


def challenge(token: str, header: str, secrets: Sequence[str]) -> str:
    """Return what the handshake asks to hear; where it is signed, over the token, the signature must be right.

    Raises NotAcceptedError.
    """
    if not _TOKEN.fullmatch(token):
        raise NotAcceptedError("the X-B1-Webhook-Token header is missing or unreadable")
    if header:
        verify(token.encode(), header, secrets)
    return token
