"""GoCardless as it is read: bearer token, envelopes, cursor pages, errors by what they mean. There is no way to write.

GoCardless: making requests, pagination, rate limiting, errors. A 429 is waited out until the HTTP date in `RateLimit-Reset`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

import httpx

from mlc.clock import Clock
from mlc.core.errors import CredentialError, MlcError, UnexpectedAnswerError
from mlc.core.intents import Answer, Call, Refusal
from mlc.systems import session as http
from mlc.systems.gocardless import API_VERSION

PAGE = 500  # the most a page holds
_LONGEST_WAIT = 90.0  # a limit is counted per minute


@dataclass(frozen=True, slots=True)
class GoCardlessOptions:
    """What the configuration says about the way to GoCardless. Seconds throughout."""

    url: str = "https://api-sandbox.gocardless.com"
    tenant: str = ""
    timeout: float = 30.0
    connect: float = 10.0
    where: str = ""  # where the token was found
    patience: float | None = None  # seconds after which a read that failed is not tried again


class GoCardlessRefusedError(MlcError):
    """GoCardless refused a read: its own type, reason and request id."""

    def __init__(self, path: str, status: int, kind: str, text: str, request_id: str) -> None:
        asked = f" (request {request_id})" if request_id else ""
        super().__init__(f"GoCardless refused {path}: {status} {kind} {text}{asked}")
        self.status = status
        self.kind = kind


class GoCardlessSystem:
    """One organisation at GoCardless."""

    name = "gocardless"
    takes_keys = True
    settle = 0.0
    workers = 1

    def __init__(
        self, token: Callable[[], str], options: GoCardlessOptions, clock: Clock, *, transport: httpx.BaseTransport | None = None,
        log: Callable[[str], None] = lambda _line: None,
    ) -> None:  # fmt: skip
        self.options = options
        self.clock = clock
        self._token = token
        self._http = http.Http(
            "GoCardless", options.url, transport=transport, verify=True,
            timeout=httpx.Timeout(options.timeout, connect=options.connect), log=log,
        )  # fmt: skip

    def deliver(self, call: Call, key: str = "") -> Answer | Refusal:  # noqa: ARG002 - nothing is written
        """Send one reading request (roles.System.deliver); a write is a defect: mlc changes nothing at GoCardless."""
        assert not call.write, f"{call.method} {call.path}: mlc writes nothing to GoCardless"
        try:
            return Answer(200, self.get(call.path, call.body))
        except GoCardlessRefusedError as refused:
            return Refusal(refused.status, refused.kind, refused.message)

    def get(self, path: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """Read one envelope. Raises GoCardlessRefusedError, UnreachableError, CredentialError."""
        query = "&".join(
            f"{quote(name, safe='[]')}={quote(str(value), safe='')}" for name, value in (params or {}).items() if value != ""
        )

        def attempt() -> http.Reply:
            headers = {
                "Authorization": f"Bearer {self._token()}", "GoCardless-Version": API_VERSION, "Accept": "application/json",
            }  # fmt: skip
            reply = self._http.send("GET", path, query=query, headers=headers)
            if reply.status == 429:
                self._wait_for_reset(reply)
                raise http.Retry("429, throttled")
            if http.transient(reply):
                raise http.Retry(f"{reply.status} {_error(reply.json())[1]}", http.asked_wait(reply))
            if reply.status < 300 and not isinstance(reply.json(), dict):
                raise http.Retry("an answer that cannot be read")
            return reply

        reply = http.repeat(self.clock, "GoCardless", attempt, self.options.patience)
        body = reply.json()
        if reply.status >= 400:
            kind, text, request_id = _error(body)
            if reply.status in (401, 403):
                self._refuse_token(reply.status, path, text)
            raise GoCardlessRefusedError(path, reply.status, kind, text, request_id)
        if not isinstance(body, dict):
            raise UnexpectedAnswerError(f"GoCardless answered {path} with something that is no object")
        return body

    def find(self, kind: str, ident: str) -> dict[str, Any] | None:
        """Read one resource, None where GoCardless has none of that id."""
        try:
            body = self.get(f"/{kind}/{quote(ident, safe='')}")
        except GoCardlessRefusedError as refused:
            if refused.status == 404:
                return None
            raise
        inner = body.get(kind)
        if not isinstance(inner, dict):
            raise UnexpectedAnswerError(f"GoCardless answered {kind} {ident} without the envelope {kind!r}")
        return inner

    def pages(self, kind: str, params: dict[str, Any] | None = None) -> Iterator[dict[str, Any]]:
        """Yield whole pages of a list, newest first, until the cursor `after` is null."""
        after = ""
        while True:
            body = self.get(f"/{kind}", {"limit": PAGE, **(params or {}), "after": after})
            if not isinstance(body.get(kind), list):
                raise UnexpectedAnswerError(f"GoCardless answered a list of {kind} without the envelope {kind!r}")
            yield body
            following = ((body.get("meta") or {}).get("cursors") or {}).get("after")
            if not following:
                return
            if following == after:
                raise UnexpectedAnswerError(f"GoCardless does not page {kind}: the cursor {after!r} leads to itself")
            after = str(following)

    def rows(self, kind: str, params: dict[str, Any] | None = None) -> Iterator[dict[str, Any]]:
        """Yield the rows of a list, newest first."""
        for page in self.pages(kind, params):
            yield from page[kind]

    def _wait_for_reset(self, reply: http.Reply) -> None:
        """Wait until the moment that the answer names: an HTTP date, counted by the server's own clock where it tells it."""
        try:
            until = parsedate_to_datetime(reply.headers["ratelimit-reset"]).timestamp()
        except (KeyError, ValueError, TypeError):
            return  # the usual backoff
        try:
            now = parsedate_to_datetime(reply.headers["date"]).timestamp()
        except (KeyError, ValueError, TypeError):
            now = self.clock.now()
        self.clock.sleep(max(0.0, min(until - now, _LONGEST_WAIT)))

    def _refuse_token(self, status: int, path: str, text: str) -> None:
        what = "rejected the access token" if status == 401 else f"does not allow {path} to the access token"
        raise CredentialError(
            f"GoCardless {what} of tenant {self.options.tenant}: {text}"
            + (f" (token from {self.options.where})" if self.options.where else ""),
            hint=f"set a valid token: mlc secret set {self.options.tenant} gocardless.access_token",
        )

    @property
    def date(self) -> str:
        """Return the server's own Date header as of its last answer."""
        return self._http.date

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


def _error(body: Any) -> tuple[str, str, str]:
    """Return type with reason, text and request id of an error body; each may be absent."""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return "", "no text", ""
    details = [one for one in error.get("errors") or [] if isinstance(one, dict)]
    reasons = " ".join(str(one.get("reason") or one.get("field") or "") for one in details).strip()
    texts = "; ".join(str(one["message"]) for one in details if one.get("message"))
    text = str(error.get("message") or "no text")
    if texts and texts != text:
        text = f"{text}: {texts}"
    return f"{error.get('type') or ''} {reasons}".strip(), text[:1000], str(error.get("request_id") or "")
