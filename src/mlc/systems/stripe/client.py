"""Stripe as the engine sees it: keyed writes that may be repeated, reads with backoff, errors by what they mean.

Stripe: idempotent requests, errors, rate limits. A request is repeated under the same key and body; a 429 is no doubt at all; a
saved 500 says nothing about what happened and is looked into before a new key is used.
"""

from __future__ import annotations

import base64
import hashlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from mlc.clock import Clock
from mlc.core.errors import ConfigError, CredentialError, MlcError, UnexpectedAnswerError
from mlc.core.intents import Answer, Call, Refusal
from mlc.core.roles import Doubt, NotSent
from mlc.systems import session as http
from mlc.systems.gate import Gate
from mlc.systems.stripe import API_VERSION

KEY_LIFETIME = 23 * 3600.0  # Stripe keeps keys at least 24 hours; an hour is kept back for clocks and queues
_SENDS = 6
_NO_IDS = frozenset({"search", "report_payment", "create_preview"})
_CREDENTIAL_HINT = "set a valid secret key: mlc secret set {tenant} stripe.secret_key"


@dataclass(frozen=True, slots=True)
class StripeOptions:
    """What the configuration says about the way to Stripe."""

    url: str = "https://api.stripe.com"
    tenant: str = ""
    total: float = 25.0
    operation: float = 25.0
    workers: int = 12
    timeout: float = 30.0
    connect: float = 10.0
    livemode: bool = False
    where: str = ""  # where the key was found
    patience: float | None = None  # seconds after which a read that failed is not tried again


class StripeRefusedError(MlcError):
    """Stripe refused a read: its own code and text."""

    def __init__(self, path: str, status: int, code: str, text: str) -> None:
        super().__init__(f"Stripe refused {path}: {status} {code} {text}")
        self.status = status
        self.code = code


class ForbiddenError(CredentialError):
    """The restricted key may not do this."""


class StripeSystem:
    """One Stripe account."""

    name = "stripe"
    takes_keys = True
    settle = KEY_LIFETIME

    def __init__(
        self, key: Callable[[], str], options: StripeOptions, clock: Clock, *, transport: httpx.BaseTransport | None = None,
        log: Callable[[str], None] = lambda _line: None,
    ) -> None:  # fmt: skip
        self.options = options
        self.workers = options.workers
        self.clock = clock
        self._key = key
        self._gate = Gate(clock, total=options.total, operation=options.operation)
        self._http = http.Http(
            "Stripe", options.url, transport=transport, verify=True,
            timeout=httpx.Timeout(options.timeout, connect=options.connect), log=log,
        )  # fmt: skip

    # --- writes -------------------------------------------------------------------------------------------------------

    def deliver(self, call: Call, key: str = "") -> Answer | Refusal:
        """Send one request (roles.System.deliver)."""
        if not call.write:
            return self._reading(call)
        content = form(call.body).encode()
        headers = {"Idempotency-Key": key} if call.method == "POST" else {}
        unclear: str = ""
        for attempt in range(_SENDS):
            try:
                reply = self._send(call.method, call.path, headers=headers, content=content)
            except (NotSent, Doubt) as error:
                unclear = unclear or (str(error) if isinstance(error, Doubt) else "")
                if attempt == _SENDS - 1:
                    if unclear:
                        raise Doubt(unclear) from error
                    raise
                self._pause(attempt, None)
                continue
            verdict = self._judge(reply)
            if not isinstance(verdict, _Unclear):
                return verdict
            unclear = unclear or (verdict.why if verdict.doubt else "")
            if verdict.ended:
                raise Doubt(verdict.why, ended=True)
            if not verdict.again:
                break
            if attempt < _SENDS - 1:
                self._pause(attempt, reply)
        if unclear:
            raise Doubt(unclear)
        raise NotSent(f"Stripe throttled {call.method} {call.path} to the end of the retries")

    def _judge(self, reply: http.Reply) -> Answer | Refusal | _Unclear:
        body = reply.json()
        self._check_mode(body)
        replayed = reply.headers.get("idempotent-replayed", "").lower() == "true"
        if reply.status < 300:
            if isinstance(body, dict):
                return Answer(reply.status, body, replayed=replayed)
            return _Unclear("Stripe's answer could not be read", doubt=True)
        code, text, kind = _error(body)
        should = reply.headers.get("stripe-should-retry", "").lower()
        if reply.status in (401, 403):
            self._refuse_key(reply.status, text)
        if kind == "idempotency_error":
            return _Unclear(f"Stripe knows this key with another body: {text}", doubt=True, ended=True)
        if reply.status == 429:
            return _Unclear("throttled", again=should != "false")
        if reply.status == 409:
            return _Unclear(f"Stripe is still working on it: {code} {text}", doubt=True)
        if reply.status >= 500:
            return _Unclear(f"Stripe answered {reply.status} {text}", doubt=True, ended=replayed, again=should != "false")
        if should == "true":
            return _Unclear(f"Stripe asks to try again: {reply.status} {text}")
        return Refusal(reply.status, code, text, body)

    # --- reads --------------------------------------------------------------------------------------------------------

    def get(self, path: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """Read one object or one page. Raises StripeRefusedError, UnreachableError, CredentialError."""

        def attempt() -> http.Reply:
            reply = self._send("GET", path, query=form(params or {}))
            if http.transient(reply) or reply.status == 409:
                raise http.Retry(f"{reply.status} {_error(reply.json())[1]}", http.asked_wait(reply))
            return reply

        reply = http.repeat(self.clock, "Stripe", attempt, self.options.patience)
        body = reply.json()
        self._check_mode(body)
        if reply.status in (401, 403):
            self._refuse_key(reply.status, _error(body)[1])
        if reply.status >= 400:
            code, text, _ = _error(body)
            raise StripeRefusedError(path, reply.status, code, text)
        if not isinstance(body, dict):
            raise UnexpectedAnswerError(f"Stripe answered {path} with something that is no object")
        return body

    def find(self, path: str, params: dict[str, Any] | None = None) -> dict[str, Any] | None:
        """Read one object, None where Stripe has none of that id."""
        try:
            body = self.get(path, params)
        except StripeRefusedError as refused:
            if refused.status == 404:
                return None
            raise
        return None if body.get("deleted") else body

    def pages(self, path: str, params: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
        """Yield pages of a list, newest first."""
        after: str | None = None
        while True:
            body = self.get(path, {"limit": 100, **params, **({"starting_after": after} if after else {})})
            rows = body.get("data")
            if not isinstance(rows, list):
                raise UnexpectedAnswerError(f"Stripe answered {path} without data")
            if rows:
                yield rows
            if not rows or not body.get("has_more"):
                return
            after = rows[-1]["id"]

    def _reading(self, call: Call) -> Answer | Refusal:
        try:
            return Answer(200, self.get(call.path, call.body))
        except StripeRefusedError as refused:
            return Refusal(refused.status, refused.code, refused.message)

    # --- both ---------------------------------------------------------------------------------------------------------

    def _send(
        self, method: str, path: str, *, query: str = "", headers: dict[str, str] | None = None, content: bytes = b""
    ) -> http.Reply:
        self._gate.take(operation(method, path))
        basic = base64.b64encode(f"{self._key()}:".encode()).decode()
        every = {
            "Authorization": f"Basic {basic}",
            "Stripe-Version": API_VERSION,
            "Accept": "application/json",
            **(headers or {}),
        }
        if content:
            every["Content-Type"] = "application/x-www-form-urlencoded"
        return self._http.send(method, path, query=query, headers=every, content=content or None)

    def _pause(self, attempt: int, reply: http.Reply | None) -> None:
        asked = http.asked_wait(reply) if reply is not None else None
        self.clock.sleep(max(min(0.5 * 2**attempt, 5.0) * (0.5 + random.random() / 2), min(asked or 0.0, 60.0)))

    def _refuse_key(self, status: int, text: str) -> None:
        where = self.options.where
        what = "rejected the secret key" if status == 401 else "does not allow this to the restricted key"
        raise (CredentialError if status == 401 else ForbiddenError)(
            f"Stripe {what} of tenant {self.options.tenant}: {text}" + (f" (key from {where})" if where else ""),
            hint=_CREDENTIAL_HINT.format(tenant=self.options.tenant),
        )

    def _check_mode(self, body: Any) -> None:
        """Refuse a whole answer in which any object, however deep, is of the other mode or of a connected account."""
        for one in objects(body):
            live = one.get("livemode")
            if isinstance(live, bool) and live != self.options.livemode:
                ours, theirs = ("live", "test") if self.options.livemode else ("test", "live")
                raise ConfigError(
                    f"tenant {self.options.tenant} is in mode {ours}, but Stripe answers with the {theirs} {_what(one)}:"
                    " nothing of this answer is used",
                    hint="use a key of the mode that the tenant's `mode:` names",
                )
            if one.get("account") and str(one.get("object")).endswith("event"):
                raise ConfigError(
                    f"tenant {self.options.tenant}: the {_what(one)} is of the connected account {one['account']}, and mlc does"
                    " not serve Connect platforms: nothing of this answer is used",
                    hint="use the secret key of the account whose money it is",
                )

    def fingerprint(self) -> str:
        """Return what tells one key from another without showing it."""
        return hashlib.sha256(self._key().encode()).hexdigest()[:12]

    @property
    def date(self) -> str:
        """Return the server's own Date header as of its last answer."""
        return self._http.date

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


@dataclass(frozen=True, slots=True)
class _Unclear:
    """No answer to act on. doubt: it may have been done; ended: it is no longer being worked on; again: worth repeating."""

    why: str
    doubt: bool = False
    ended: bool = False
    again: bool = True


def form(body: dict[str, Any]) -> str:
    """Return the bracket form Stripe reads: `lines[0][amount]=1190&metadata[k]=v`; an empty text unsets."""
    return "&".join(f"{quote(name, safe='[]')}={quote(text, safe='')}" for name, text in _pairs("", body))


def _pairs(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _pairs(f"{prefix}[{key}]" if prefix else str(key), inner)
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _pairs(f"{prefix}[{index}]", inner)
    elif isinstance(value, bool):
        yield prefix, "true" if value else "false"
    elif value is not None:
        yield prefix, str(value)


def objects(body: Any) -> Iterator[dict[str, Any]]:
    """Yield every map of an answer, from the outside in: the object itself, rows of lists, what was expanded, events' objects."""
    waiting = [body]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting += [inner for name, inner in one.items() if isinstance(inner, dict | list) and name != "metadata"]
        elif isinstance(one, list):
            waiting += one


def _what(body: dict[str, Any]) -> str:
    return f"{body.get('object') or 'object'} {body.get('id') or 'without id'}"


def operation(method: str, path: str) -> str:
    """Return the API operation of a request: its path with ids taken out (`GET /v1/invoices/{}`)."""
    parts = path.strip("/").split("/")  # v1, collection, id, action, id
    return f"{method} /" + "/".join(
        "{}" if place in (2, 4) and part not in _NO_IDS else part for place, part in enumerate(parts)
    )


def _error(body: Any) -> tuple[str, str, str]:
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return "", "no text", ""
    return (
        str(error.get("code") or error.get("type") or ""),
        str(error.get("message") or "no text")[:1000],
        str(error.get("type") or ""),
    )
