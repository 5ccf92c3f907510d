"""The WSGI app: which endpoint, how large, whose signature; then the inbox row, then the answer (Stripe, GoCardless, SAP: webhooks).

Nothing is computed over a body before its size is known, and nothing in it is read before its signature is right.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from mlc.clock import Clock
from mlc.core.inbox import CUSTOMER, Delivered, NotAcceptedError
from mlc.store.inbox import Post
from mlc.systems.gocardless import signature as gocardless
from mlc.systems.sap import signature as sap
from mlc.systems.stripe import signature as stripe
from mlc.webhooks.keeper import Keeper, NotKeptError

MOST_BYTES = 2 * 1024 * 1024  # of a body: 250 events of GoCardless are some 300 KB
_MOST_HEADER = 4096  # bytes of a signature header
_REFUSED = {"stripe": "400 Bad Request", "gocardless": "498 Invalid Token", "sap": "401 Unauthorized"}
_SIGNATURE = {"stripe": "HTTP_STRIPE_SIGNATURE", "gocardless": "HTTP_WEBHOOK_SIGNATURE", "sap": "HTTP_X_B1_WEBHOOK_SIGNATURE"}
StartResponse = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where one system delivers for one tenant."""

    system: str
    tenant: str
    book: str
    secrets: tuple[str, ...] = field(repr=False)
    live: bool = False
    needless: frozenset[str] = frozenset()  # kinds of hints that no pass of this tenant deals with

    @property
    def path(self) -> str:
        """Return the path it is reached at."""
        return f"/{self.system}/{self.tenant}"


@dataclass(slots=True)
class Receiver:
    """The app. `heard` is told of every delivery that brought something new, after it is on disk."""

    endpoints: Mapping[str, Endpoint]
    keeper: Keeper
    clock: Clock
    heard: Callable[[Endpoint, tuple[Delivered, ...]], None] = lambda _endpoint, _events: None
    log: Callable[[str, str], None] = lambda _what, _text: None  # (refused | failed | taken, words)
    draining: bool = False

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request; whatever happens inside, a delivery that is not on disk is never answered with success."""
        try:
            status, content = self._answer(environ)
        except Exception as error:  # noqa: BLE001 - a defect must cost a repetition, never a delivery
            self.log("failed", f"{environ.get('PATH_INFO', '')[:80]}: {type(error).__name__}")
            status, content = "500 Internal Server Error", {"error": "not received; send it again"}
        body = json.dumps(content).encode()
        headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        ]
        if status.startswith("405"):
            headers.append(("Allow", "GET" if environ.get("PATH_INFO") == "/healthz" else "POST"))
        start_response(status, headers)
        return [body]

    def _answer(self, environ: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        path, method = str(environ.get("PATH_INFO", "")), str(environ.get("REQUEST_METHOD", ""))
        if path == "/healthz":
            return self._health(method)
        endpoint = self.endpoints.get(path)
        if endpoint is None:
            return "404 Not Found", {"error": "there is nothing here"}
        if method == "GET" and endpoint.system == "sap" and environ.get("HTTP_X_B1_WEBHOOK_TOKEN"):
            return self._handshake(endpoint, environ)
        if method == "HEAD" and endpoint.system == "sap":
            return "200 OK", {}  # SAP may ask whether anybody is here
        if method != "POST":
            return "405 Method Not Allowed", {"error": "deliveries are posted"}
        try:
            body = self._body(environ, endpoint)
            if body is None:
                return "413 Content Too Large", {"error": f"more than {MOST_BYTES} bytes"}
            events = self._verified(endpoint, body, str(environ.get(_SIGNATURE[endpoint.system], "")))
        except NotAcceptedError as refused:
            self._refused(endpoint, refused.reason)
            return _REFUSED[endpoint.system], {"error": "refused"}
        return self._keep(endpoint, events)

    def _health(self, method: str) -> tuple[str, dict[str, Any]]:
        if method not in ("GET", "HEAD"):
            return "405 Method Not Allowed", {"error": "this is only looked at"}
        if self.draining:
            return "503 Service Unavailable", {"status": "stopping"}
        well = self.keeper.healthy
        return (
            ("200 OK", {"status": "ok"})
            if well
            else ("503 Service Unavailable", {"status": "the state file cannot be written"})
        )

    def _handshake(self, endpoint: Endpoint, environ: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Answer SAP's question whether somebody is here who expects it."""
        try:
            signature = str(environ.get(_SIGNATURE["sap"], ""))[:_MOST_HEADER]
            token = sap.challenge(str(environ["HTTP_X_B1_WEBHOOK_TOKEN"]), signature, endpoint.secrets)
        except NotAcceptedError as refused:
            self._refused(endpoint, refused.reason)
            return _REFUSED["sap"], {"error": "refused"}
        self.log("taken", f"{endpoint.path}: handshake")
        return "200 OK", {"Challenge": token}

    def _body(self, environ: dict[str, Any], endpoint: Endpoint) -> bytes | None:
        """Return the body, None where it is too large. Raises NotAcceptedError where no delivery can look like that."""
        if len(str(environ.get(_SIGNATURE[endpoint.system], ""))) > _MOST_HEADER:
            raise NotAcceptedError("the signature header is too long")
        if endpoint.system != "sap" and not _is_json(str(environ.get("CONTENT_TYPE", ""))):
            raise NotAcceptedError("the content type is not application/json in UTF-8")
        if str(environ.get("HTTP_CONTENT_ENCODING", "identity")).strip().lower() not in ("", "identity"):
            raise NotAcceptedError("the body is compressed")
        length = str(environ.get("CONTENT_LENGTH") or "")
        if not (length.isascii() and length.isdigit()):
            raise NotAcceptedError("the body has no length")
        if len(length) > 12 or int(length) > MOST_BYTES:
            self._refused(endpoint, f"the body is larger than {MOST_BYTES} bytes")
            return None
        body: bytes = environ["wsgi.input"].read(int(length))
        if len(body) != int(length):
            raise NotAcceptedError("the body is shorter than its length")
        return body

    def _verified(self, endpoint: Endpoint, body: bytes, header: str) -> tuple[Delivered, ...]:
        """Return what a delivery tells once its signature is right. Raises NotAcceptedError."""
        if endpoint.system == "stripe":
            stripe.verify(body, header, endpoint.secrets, self.clock.now())
            return tuple(stripe.events(body, live=endpoint.live))
        if endpoint.system == "gocardless":
            gocardless.verify(body, header, endpoint.secrets)
            return tuple(gocardless.events(body))
        sap.verify(body, header, endpoint.secrets)
        return tuple(sap.events(body))

    def _keep(self, endpoint: Endpoint, events: tuple[Delivered, ...]) -> tuple[str, dict[str, Any]]:
        try:
            fresh = self.keeper.keep(Post(endpoint.book, endpoint.system, events, endpoint.needless))
        except NotKeptError as error:
            self.log("failed", f"{endpoint.path}: {error}")
            if error.late:  # it may be written all the same, and would be known when it comes again
                self.heard(endpoint, events)
            return "500 Internal Server Error", {"error": "not received; send it again"}
        self.log("taken", f"{endpoint.path}: {len(events)} events, {fresh} new")
        if fresh:
            self.heard(endpoint, tuple(one for one in events if self._calls(endpoint, one)))
        return "200 OK", {"received": True}

    def _calls(self, endpoint: Endpoint, event: Delivered) -> bool:
        """Tell whether an event calls for a pass; what our own requests to a customer caused waits for the next one."""
        own = (quote(endpoint.book, safe="_.-") + "/", "mlc-")
        return (
            bool(event.kind)
            and event.kind not in endpoint.needless
            and not (event.kind == CUSTOMER and event.key.startswith(own))
        )

    def _refused(self, endpoint: Endpoint, reason: str) -> None:
        self.keeper.count_refused(endpoint.book, endpoint.system, reason)
        self.log("refused", f"{endpoint.path}: {reason}")


def _is_json(content_type: str) -> bool:
    kind, _, options = content_type.partition(";")
    charset = options.strip().lower()
    return kind.strip().lower() == "application/json" and charset in ("", "charset=utf-8", 'charset="utf-8"')
