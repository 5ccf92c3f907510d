"""The simulated Stripe behind HTTP: keys, versions, limits, idempotency, and errors as Stripe writes them."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from collections import Counter
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl

from mlc.sandbox.kit import Clock, ConnectionLost, Fault, Request, Response, Service

from . import expand
from .account import Account
from .endpoints import Endpoint, Routes
from .errors import Refusal
from .hooks import StripeHooks
from .idempotency import Keys
from .ids import Mint
from .scenario import play
from .switches import StripeSwitches

VERSION = "2026-10-28.endive"
PER_ENDPOINT = 25
ROUTES = Routes()
SAVED_500 = "An unknown error occurred."


class StripeService(Service):
    """One Stripe account as an HTTP service at the root.

    Faults beside the kit's: `saved_500` nothing is done, 500 is answered and kept under the key; `saved_500_done` the same
    after the work was done; `rate_limit` 429 with its reason; `lock_timeout` 429 without Request-Id; `should_retry` and
    `should_not_retry` the fault's status with `Stripe-Should-Retry`, nothing done and nothing kept. A `late` POST with an
    Idempotency-Key holds its key until it is done: meanwhile the key is answered 409.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        secret_key: str = "sk_test_mlcsandbox",  # noqa: S107
        account_id: str = "acct_1Sandbox",
        default_currency: str = "eur",
        switches: StripeSwitches | None = None,
    ) -> None:
        """Start with an empty account; the key decides between test and live mode."""
        super().__init__(clock)
        self.switches = switches or StripeSwitches()
        self.secret_key = secret_key
        self.restricted_key = "rk_" + secret_key.partition("_")[2]
        self.account = Account(
            self.clock,
            account_id=account_id,
            default_currency=default_currency,
            livemode="_live_" in secret_key,
            switches=self.switches,
        )
        self.hooks = StripeHooks(self)
        self.keys = Keys()
        self._mint = Mint(account_id + "/requests")
        self._second = (0, Counter[str]())
        self._writes = 0
        self._fault: Fault | None = None

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        with self._lock:
            self.account.tick()
            if request.path.startswith("/sandbox/"):
                return self._sandbox(request)
            ident = self._mint("req", 14)
            key = _key(request)
            self.account.request = {"id": ident, "idempotency_key": key}
            try:
                response = self._answer(request, key, ident)
            except Refusal as refusal:
                return self._said(request, refusal, ident)
            finally:
                self.account.request = {"id": None, "idempotency_key": None}
            return self._headed(request, response, ident)

    def _headed(self, request: Request, response: Response, ident: str | None) -> Response:
        headers = (
            *((("Request-Id", ident),) if ident else ()),
            ("Stripe-Version", request.headers.get("stripe-version", VERSION)),
            ("Date", formatdate(self.clock.now(), usegmt=True)),
        )
        return Response(response.status, response.body, (*headers, *response.headers))

    def _said(self, request: Request, refusal: Refusal, ident: str | None = None) -> Response:
        """Answer a refusal; a lock timeout comes without Request-Id."""
        ident = None if refusal.code == "lock_timeout" else ident or self._mint("req", 14)
        return self._headed(request, self._refused(refusal), ident)

    def _sandbox(self, request: Request) -> Response:
        try:
            return _json(200, play(self.account, request))
        except Refusal as refusal:
            return self._refused(refusal)

    def _refused(self, refusal: Refusal) -> Response:
        headers = refusal.headers
        if refusal.status == 429 and self.switches.retry_after is not None:
            headers = (*headers, ("Retry-After", str(self.switches.retry_after)))
        return _json(refusal.status, refusal.body(), headers)

    def _answer(self, request: Request, key: str | None, ident: str) -> Response:
        given = self._authenticate(request)
        self._version(request)
        endpoint, ids = ROUTES.find(request.method, request.path)
        self._limits(endpoint)
        if given.startswith("rk_") and endpoint.resource in self.switches.forbidden:
            raise Refusal(
                f"The provided key '{given[:8]}...' does not have the required permissions for this endpoint on account "
                f"'{self.account.account_id}'. Having the 'rak_{endpoint.resource}' permission would allow this request.",
                status=403,
                code="permission_denied",
                began=False,
            )
        pairs = self._pairs(request)
        asked = hash((request.method, request.path, tuple(sorted(pairs))))
        if key is not None:
            first = self.keys.replay(key, asked, self.clock.now())
            if first is not None:
                replayed = (("Idempotent-Replayed", "true"),) if self.switches.replayed_header else ()
                return Response(first.status, first.body, (*first.headers, *replayed))
        params, paths = endpoint.params(pairs)
        expand.check(endpoint.kind, paths, in_list=endpoint.in_list)
        self._locks(endpoint, ids)
        response = self._work(endpoint, params, paths, ids)
        if key is not None and response[1]:
            kept = Response(response[0].status, response[0].body, (*response[0].headers, ("Original-Request", ident)))
            self.keys.keep(key, asked, kept, self.clock.now())
        return response[0]

    def _work(
        self, endpoint: Endpoint, params: dict[str, Any], paths: list[str], ids: tuple[str, ...]
    ) -> tuple[Response, bool]:
        """Do the work of a request; the second value tells whether the answer is kept."""
        fault, self._fault = self._fault, None
        if fault is not None and fault.kind == "saved_500":
            return self._failed(), True
        try:
            body = endpoint.work(self.account, params, ids)
        except Refusal as refusal:
            if not refusal.began:
                raise
            return self._refused(refusal), True
        if fault is not None:
            return self._failed(), True
        if endpoint.method == "GET" or self.switches.expand_on_write:
            expand.expand(self.account, body, paths)
        return _json(200, body), True

    def _failed(self) -> Response:
        return self._refused(Refusal(SAVED_500, status=500, kind="api_error"))

    def _authenticate(self, request: Request) -> str:
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                value = base64.b64decode(value, validate=True).decode().partition(":")[0]
            except (binascii.Error, UnicodeDecodeError):
                value = ""
        elif scheme.lower() != "bearer":
            text = "You did not provide an API key. You need to provide your API key in the Authorization header."
            raise Refusal(text, status=401, began=False, headers=(("WWW-Authenticate", 'Basic realm="Stripe"'),))
        for known in (self.secret_key, self.restricted_key):
            if hmac.compare_digest(value.strip().encode(), known.encode()):
                return known
        shown = value[:8] + "*" * 8 + value[-4:] if len(value) > 12 else "*" * len(value)
        text = f"Invalid API Key provided: {shown}"
        raise Refusal(text, status=401, began=False, headers=(("WWW-Authenticate", 'Basic realm="Stripe"'),))

    def _version(self, request: Request) -> None:
        version = request.headers.get("stripe-version")
        if version is None:
            if self.switches.require_version:
                raise Refusal("The simulator wants a Stripe-Version header with every request.", began=False)
        elif version != VERSION:
            raise Refusal(f"Invalid Stripe API version: {version}; the simulator speaks {VERSION} only.", began=False)

    def _limits(self, endpoint: Endpoint) -> None:
        if not self.switches.rate_limit:
            return
        second = int(self.clock.now())
        if self._second[0] != second:
            self._second = (second, Counter())
        counts = self._second[1]
        name = f"{endpoint.method} {endpoint.path}"
        total = 100 if self.account.livemode else 25
        if counts[""] >= total or counts[name] >= PER_ENDPOINT:
            raise _limited("global-rate" if counts[""] >= total else "endpoint-rate")
        counts[""] += 1
        counts[name] += 1

    def _locks(self, endpoint: Endpoint, ids: tuple[str, ...]) -> None:
        if endpoint.method != "GET" and ids and self.switches.lock_timeout_every:
            self._writes += 1
            if self._writes % self.switches.lock_timeout_every == 0:
                raise _locked()

    def _pairs(self, request: Request) -> tuple[tuple[str, str], ...]:
        if request.method in ("GET", "DELETE"):
            if request.body:
                raise Refusal(f"A {request.method} request takes its parameters from the URL.", began=False)
            return request.query
        if request.query:
            raise Refusal("A POST request takes its parameters from the body.", began=False)
        kind = request.headers.get("content-type", "").split(";")[0].strip()
        if request.body and kind != "application/x-www-form-urlencoded":
            text = f"Invalid request (check that your POST content type is application/x-www-form-urlencoded): {kind}"
            raise Refusal(text, began=False)
        try:
            return tuple(parse_qsl(request.body.decode(), keep_blank_values=True, strict_parsing=bool(request.body)))
        except ValueError:
            raise Refusal("Invalid request: the body is no form.", began=False) from None

    def _suffer(self, fault: Fault, request: Request) -> Response:
        key = _key(request)
        fresh = key is not None and key not in self.keys.held and not self.keys.known(key, self.clock.now())
        if fault.kind == "late" and key is not None and fresh:
            self.keys.held.add(key)
            self.later(fault.delay, lambda: self._late(key, request))
            self.log.append((request.method, request.path, 0))
            raise ConnectionLost(f"late: {request.method} {request.path}")
        if fault.kind in ("saved_500", "saved_500_done"):
            self._fault = fault
            try:
                return self._done(request, self.handle(request))
            finally:
                self._fault = None
        if fault.kind == "rate_limit":
            return self._done(request, self._said(request, _limited("global-rate")))
        if fault.kind == "lock_timeout":
            return self._done(request, self._said(request, _locked()))
        if fault.kind in ("should_retry", "should_not_retry"):
            said = (("Stripe-Should-Retry", "true" if fault.kind == "should_retry" else "false"),)
            refusal = Refusal("Something is wrong at Stripe.", status=fault.status, kind="api_error", headers=said)
            return self._done(request, self._said(request, refusal))
        return super()._suffer(fault, request)

    def _late(self, key: str, request: Request) -> None:
        self.keys.held.discard(key)
        self._done(request, self.handle(request))


def _key(request: Request) -> str | None:
    """Return the Idempotency-Key where it has an effect."""
    return (request.headers.get("idempotency-key") or None) if request.method == "POST" else None


def _json(status: int, body: Any, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    text = json.dumps(body, ensure_ascii=False)
    return Response(status, text.encode(), (("Content-Type", "application/json"), *headers))


def _limited(reason: str) -> Refusal:
    text = "Request rate limit exceeded. You can learn more about rate limits here https://stripe.com/docs/rate-limits."
    said = (("Stripe-Rate-Limited-Reason", reason),)
    return Refusal(text, status=429, code="rate_limit", began=False, headers=said)


def _locked() -> Refusal:
    text = "This object cannot be accessed right now because another API request or Stripe process is currently accessing it."
    return Refusal(text, status=429, code="lock_timeout", began=False)
