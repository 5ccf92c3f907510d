"""Idempotency keys: the first answer of each, kept for a day, and the keys whose first request is still under way."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from mlc.sandbox.kit import Response

from .errors import Refusal, unacceptable

KEPT_SECONDS = 86400


@dataclass(slots=True)
class Saved:
    """What was answered first, and to which request."""

    moment: float
    asked: int
    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...]


class Keys:
    """The idempotency keys of one account."""

    def __init__(self) -> None:
        """Start without keys."""
        self.saved: dict[str, Saved] = {}
        self.held: set[str] = set()

    def known(self, key: str, now: float) -> bool:
        """Tell whether a key has an answer that is still kept; forgets old ones."""
        while self.saved:
            oldest = next(iter(self.saved))
            if now - self.saved[oldest].moment < KEPT_SECONDS:
                break
            del self.saved[oldest]
        return key in self.saved

    def replay(self, key: str, asked: int, now: float) -> Response | None:
        """Return the first answer, None for a new key; refuses another request under the same key."""
        if len(key) > 255:
            raise unacceptable("Idempotency keys must be at most 255 characters.", None, "parameter_invalid")
        if key in self.held:
            raise Refusal(
                f"There is currently another in-progress request using this Idempotent Key: {key}. If the request was sent "
                "twice by accident, wait for the other to finish.",
                status=409,
                kind="idempotency_error",
                code="idempotency_key_in_use",
                began=False,
            )
        if not self.known(key, now):
            return None
        first = self.saved[key]
        if first.asked != asked:
            raise Refusal(
                f"Keys for idempotent requests can only be used with the same parameters they were first used with. Try "
                f"using a key other than '{key}' if you meant to execute a different request.",
                kind="idempotency_error",
                began=False,
            )
        return Response(first.status, zlib.decompress(first.body), first.headers)

    def keep(self, key: str, asked: int, response: Response, now: float) -> None:
        """Keep the first answer of a key."""
        self.saved.pop(key, None)
        self.saved[key] = Saved(now, asked, response.status, zlib.compress(response.body, 1), response.headers)
