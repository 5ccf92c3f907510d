"""What the simulated GoCardless tells by itself: batches of events to every endpoint, kept as webhooks that can be read and retried.

The Dashboard is where endpoints are made; here it is the verb `POST /sandbox/webhook_endpoints {url, secret}`. GoCardless gives no
figures for its retries; about eight at growing intervals are known from outside (check).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mlc.sandbox.courier import Headers, Parcel, Reply, Sender

from .base import Record
from .shapes import show
from .webhooks import BATCH, sign

if TYPE_CHECKING:
    from .service import GoCardlessService

WAITS = (60, 120, 600, 1800, 3600, 10_800, 21_600, 43_200)
KEPT = 1000  # characters of an answer that are kept
MOST_HEADERS = 20
NOBODYS = "nobodys-secret"


class GoCardlessHooks(Sender):
    """The webhooks of one organisation."""

    def __init__(self, service: GoCardlessService) -> None:
        """Listen to the organisation's events and to who wants a webhook again."""
        super().__init__("gocardless", service)
        self.made = service.organisation
        self._fresh: list[Record] = []
        self._again: list[Record] = []
        self.made.listeners.append(self._happened)
        self.made.retries.append(self._once_more)

    def _happened(self, event: Record) -> None:
        if self.made.endpoints:
            self._fresh.append(event)
            self.wake()

    def _once_more(self, webhook: Record) -> None:
        self._again.append(webhook)
        self.wake()

    def due(self) -> float | None:
        """Return when the next event can be seen."""
        return min((float(one["_seen_at"]) for one in self._fresh), default=None)

    def collect(self) -> list[Parcel]:
        """Return one parcel per endpoint and batch of events that can be seen by now, and those asked for again."""
        now = self.made.clock.now()
        seen = [one for one in self._fresh if one["_seen_at"] <= now]
        self._fresh = [one for one in self._fresh if one["_seen_at"] > now]
        again, self._again = self._again, []
        if self.made.switches.webhooks_disordered:
            seen.reverse()
        batches = [seen[start : start + BATCH] for start in range(0, len(seen), BATCH)]
        made = [self._parcel(self._webhook(one, batch)) for batch in batches for one in self.made.endpoints.values()]
        return made + [self._parcel(one, waits=()) for one in again]

    def _webhook(self, endpoint: Record, events: list[Record]) -> Record:
        """Keep a webhook that has not been answered yet."""
        ident = self.made.mint("WB")
        shown = [show(self.made, "events", one) for one in events]
        content = {"events": shown} | ({"meta": {"webhook_id": ident}} if self.made.switches.webhook_meta else {})
        return self.made.put(
            "webhooks",
            id=ident,
            is_test=False,
            url=endpoint["url"],
            request_body=json.dumps(content, separators=(",", ":")),
            request_headers={},
            response_body=None,
            response_body_truncated=False,
            response_code=None,
            response_headers={},
            response_headers_content_truncated=False,
            response_headers_count_truncated=False,
            successful=False,
            _endpoint=endpoint["id"],
            _events=tuple(one["id"] for one in events),
        )

    def _parcel(self, webhook: Record, waits: tuple[float, ...] = WAITS) -> Parcel:
        def letter(forged: bool) -> tuple[Headers, bytes] | None:
            endpoint = self.made.endpoints.get(webhook["_endpoint"])
            if endpoint is None:
                return None
            body = webhook["request_body"].encode()
            headers = {
                "Content-Type": "application/json",
                "User-Agent": "gocardless-webhook-service/1.1",
                "Webhook-Signature": sign(body, NOBODYS if forged else endpoint["secret"]),
            }
            webhook["request_headers"] = dict(headers)
            return headers, body

        def heard(reply: Reply, _: bool) -> None:
            self._answered(webhook, reply)

        return Parcel(webhook["_endpoint"], webhook["url"], webhook["_events"], letter, heard, waits)

    @staticmethod
    def _answered(webhook: Record, reply: Reply) -> None:
        text = reply.body.decode("utf-8", "replace")
        webhook.update(
            response_body=text[:KEPT] if reply.status else None,
            response_body_truncated=bool(reply.status) and len(text) > KEPT,
            response_code=reply.status or None,
            response_headers=dict(reply.headers[:MOST_HEADERS]),
            response_headers_count_truncated=len(reply.headers) > MOST_HEADERS,
            successful=reply.taken,
        )
