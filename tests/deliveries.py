"""Deliveries as the three systems would sign them, and a receiver to send them to without a socket."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import httpx

from harness import BEGIN, Company
from mlc.core.inbox import Delivered
from mlc.sandbox.kit import Clock as WorldClock
from mlc.store.inbox import Letter
from mlc.webhooks.app import Endpoint, Receiver
from mlc.webhooks.keeper import Keeper

STRIPE, GOCARDLESS, SAP = "whsec_stripe", "gc-secret", "sap-secret"
JSON = {"content-type": "application/json"}


def stripe_header(body: bytes, at: float, secret: str = STRIPE) -> str:
    """A Stripe-Signature, computed here."""
    signed = hmac.new(secret.encode(), f"{int(at)}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={int(at)},v1={signed}"


def plain_header(body: bytes, secret: str = GOCARDLESS) -> str:
    """A Webhook-Signature, computed here."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def stripe_event(number: int = 1, type_: str = "charge.succeeded", **more: Any) -> dict[str, Any]:
    """A full event of Stripe."""
    return {
        "id": f"evt_{number}", "object": "event", "type": type_, "created": int(BEGIN), "livemode": False, "api_version": "2026-10-28.endive",
        "data": {"object": {"id": f"ch_{number}", "object": "charge"}}, **more,
    }  # fmt: skip


def debit_events(*numbers: int, **more: Any) -> dict[str, Any]:
    """A delivery of GoCardless."""
    rows = [
        {"id": f"EV{number}", "created_at": "2026-11-03T10:00:00.000Z", "resource_type": "payments", "action": "confirmed",
         "links": {"payment": f"PM{number}"}, **more}
        for number in numbers
    ]  # fmt: skip
    return {"events": rows, "meta": {"webhook_id": "WB1"}}


class Door:
    """A receiver over a state file, with an endpoint of each system for two tenants."""

    def __init__(
        self, state: Path, clock: Any = None, *, book: str = "SBODEMO", endpoints: list[Endpoint] | None = None
    ) -> None:
        self.clock = clock or _Frozen()
        self.said: list[tuple[str, str]] = []
        self.warned: list[str] = []
        self.heard: list[tuple[Endpoint, tuple[Delivered, ...]]] = []
        self.keeper = Keeper(state, self.clock, self.warned.append)
        usual = [
            Endpoint("stripe", "acme", book, (STRIPE,)), Endpoint("gocardless", "acme", book, (GOCARDLESS,)),
            Endpoint("sap", "acme", book, (SAP,)), Endpoint("stripe", "other", "SBO_OTHER", ("whsec_other",)),
            Endpoint("gocardless", "other", "SBO_OTHER", ("gc-other",)),
        ]  # fmt: skip
        self.app = Receiver(
            {one.path: one for one in endpoints or usual}, self.keeper, self.clock,
            lambda endpoint, events: self.heard.append((endpoint, events)), lambda what, text: self.said.append((what, text)),
        )  # fmt: skip
        self.client = httpx.Client(transport=httpx.WSGITransport(app=self.app), base_url="http://127.0.0.1")

    def __enter__(self) -> Self:
        self.keeper.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.keeper.stop()
        self.client.close()

    def send(self, path: str, body: bytes, **headers: str) -> int:
        """Post raw bytes; returns the status."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post(path, content=body, headers={**JSON, **names}).status_code

    def stripe(self, event: Any, *, at: float | None = None, secret: str = STRIPE, path: str = "/stripe/acme") -> int:
        """Deliver an event of Stripe, signed now."""
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        return self.send(path, body, stripe_signature=stripe_header(body, self.clock.now() if at is None else at, secret))

    def gocardless(self, content: Any, *, secret: str = GOCARDLESS, path: str = "/gocardless/acme") -> int:
        """Deliver events of GoCardless."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        return self.send(path, body, webhook_signature=plain_header(body, secret))

    def sap(self, content: Any, *, secret: str = SAP, encode: Callable[[bytes], str] = bytes.hex) -> int:
        """Deliver a message of SAP."""
        body = json.dumps(content).encode()
        return self.send(
            "/sap/acme", body, x_b1_webhook_signature=encode(hmac.new(secret.encode(), body, hashlib.sha256).digest())
        )


class _Frozen:
    """A clock that stands still."""

    def __init__(self) -> None:
        self.world = WorldClock(BEGIN)

    def now(self) -> float:
        """Wall time."""
        return self.world.now()

    def uptime(self) -> float:
        """Seconds since the start."""
        return 1000.0

    def boot_id(self) -> str:
        """Which start."""
        return "boot"

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.world.advance(seconds)


def inbox(company: Company) -> list[Letter]:
    """Everything in the inbox of a company, oldest first."""
    opened = company.open()
    try:
        return opened.journal.inbox.newest_rows(10_000)[::-1]
    finally:
        opened.close()
