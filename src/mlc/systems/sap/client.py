"""The Service Layer as the engine sees it: delivers one request and says honestly what is known afterwards."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx

from mlc.clock import Clock
from mlc.core.errors import ConfigError, MlcError, UnexpectedAnswerError, UnreachableError
from mlc.core.intents import Answer, Call, Refusal
from mlc.core.roles import Doubt, NotSent
from mlc.systems import session as http
from mlc.systems.sap import odata
from mlc.systems.sap.session import Login, SapSession, SessionStore

_SENDS = 4
_SURELY_WHOLE = 20  # the default page: a shorter one without a link is the last, whatever the server's own limit is


@dataclass(frozen=True, slots=True)
class SapOptions:
    """What the configuration says about the way to SAP. Seconds throughout."""

    page_size: int = 100
    workers: int = 1
    connect: float = 10.0
    read: float = 60.0
    write: float = 180.0
    settle: float = 180.0
    ca_bundle: str | None = None
    verify_tls: bool = True
    marker_field: str | None = None
    patience: float | None = None  # seconds after which a read that failed is not tried again


class SapSystem:
    """One company behind one Service Layer."""

    name = "sap"
    takes_keys = False

    def __init__(
        self, login: Login, options: SapOptions, clock: Clock, *, transport: httpx.BaseTransport | None = None,
        store: SessionStore | None = None, log: Callable[[str], None] = lambda _line: None,
    ) -> None:  # fmt: skip
        self.options = options
        self.workers = options.workers
        self.settle = options.write + options.settle
        self.clock = clock
        self.session = SapSession(login, clock, store, timeout=options.read)
        self._links = False  # whether this server is known to say that there is more
        self.answers: dict[str, Callable[[dict[str, Any]], Any]] = {}
        self._http = http.Http(
            "SAP", login.url, transport=transport, verify=http.tls(options.ca_bundle, verify=options.verify_tls),
            timeout=httpx.Timeout(options.read, connect=options.connect), auth=self.session, log=log,
        )  # fmt: skip

    # --- writes -------------------------------------------------------------------------------------------------------

    def deliver(self, call: Call, key: str = "") -> Answer | Refusal:  # noqa: ARG002 - SAP has no idempotency keys
        """Send one request (roles.System.deliver); `ASK` calls are answered by the reads in `answers`."""
        if call.method == "ASK":
            return Answer(200, self.answers[call.path](call.body))
        if not call.write:
            return self._reading(call)
        content = json.dumps(call.body, default=_number).encode() if call.body else b""
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        for attempt in range(_SENDS):
            reply = self._http.send(call.method, call.path, headers=headers, content=content, timeout=self.options.write)
            if reply.status < 300:
                return Answer(reply.status, _created(reply))
            error = odata.error_of(reply)
            if error.own and error.status in (429, 503) and attempt < _SENDS - 1:
                self.clock.sleep(http.asked_wait(reply) or 0.5 * 2**attempt)  # SAP itself says that it did nothing
                continue
            return _judge_write(call, error)
        raise UnexpectedAnswerError(f"SAP neither took nor refused {call.method} {call.path}")

    def _reading(self, call: Call) -> Answer | Refusal:
        query = "&".join([*(f"{name}={text}" for name, text in call.query)])
        try:
            return Answer(200, self.get(call.path, query))
        except SapRefusedError as refused:
            return Refusal(refused.error.status, str(refused.error.code), refused.error.text)

    # --- reads --------------------------------------------------------------------------------------------------------

    def get(self, path: str, query: str = "", *, page: int | None = None, method: str = "GET", body: Any = None) -> Any:
        """Read with retries; returns parsed JSON. Raises SapRefusedError, UnreachableError, CredentialError."""
        return self._read(path, query, page=page, method=method, body=body)[0]

    def _read(
        self, path: str, query: str = "", *, page: int | None = None, method: str = "GET", body: Any = None
    ) -> tuple[Any, int | None]:
        """Read with retries; returns parsed JSON and the page size that the server says it applied."""
        headers = {"Accept": "application/json", "Prefer": f"odata.maxpagesize={page or self.options.page_size}"}
        content = None
        if method == "POST":  # a service call that reads
            headers["Content-Type"] = "application/json"
            content = json.dumps(body or {}).encode()

        def attempt() -> http.Reply:
            reply = self._http.send(method, path, query=query, headers=headers, content=content)
            if http.transient(reply):
                raise http.Retry(f"{reply.status} {odata.error_of(reply).text}", http.asked_wait(reply))
            return reply

        reply = http.repeat(self.clock, "SAP", attempt, self.options.patience)
        if reply.status >= 400:
            error = odata.error_of(reply)
            if error.session_gone:
                raise UnreachableError(f"SAP drops the session at once, twice in a row: {error.text}")
            raise SapRefusedError(path, error)
        parsed = reply.json()
        if parsed is None and reply.body.strip():
            raise UnexpectedAnswerError(f"SAP answered {path} with something that is no JSON: {reply.body[:80]!r}")
        applied = re.search(r"maxpagesize=(\d+)", reply.headers.get("preference-applied", ""))
        return parsed, int(applied[1]) if applied else None

    def pages(
        self,
        entity: str,
        select: str,
        where: str,
        *,
        key: str = "DocEntry",
        after: int | str | None = None,
        page: int | None = None,
    ) -> Iterator[list[dict[str, Any]]]:
        """Yield pages by keyset (`key gt last`): rows that come and go meanwhile are neither repeated nor missed.

        `page` asks for larger pages than the configured ones, where rows are small.
        """
        last = after
        while True:
            beyond = f"{key} gt {odata.literal(last)}" if last is not None else ""
            filters = " and ".join(part for part in (beyond, f"({where})" if where and beyond else where) if part)
            body, applied = self._read(entity, odata.query(select=select, filter=filters, orderby=key), page=page)
            rows, more = odata.rows_of(body)
            self._links = self._links or more
            if not isinstance(body, dict) or not isinstance(body.get("value"), list):
                raise UnexpectedAnswerError(f"SAP answered a list of {entity} without rows")
            if rows:
                previous, last = last, rows[-1][key]
                if previous is not None and not _grows(previous, last):
                    raise UnexpectedAnswerError(f"SAP does not page {entity} by {key}: {last!r} came after {previous!r}")
                yield rows
            least = applied or (self.options.page_size if self._links else min(self.options.page_size, _SURELY_WHOLE))
            if not rows or (not more and len(rows) < least):
                return

    @property
    def date(self) -> str:
        """Return the server's own Date header as of its last answer."""
        return self._http.date

    def logout(self) -> None:
        """End the session unless it is kept for the next run; trouble with that is nobody's trouble."""
        if not self.session.open or self.session.kept:
            return
        try:
            self._http.send("POST", "Logout", headers={"Accept": "application/json"})
        except (MlcError, Doubt, NotSent):
            return

    def close(self) -> None:
        """Log out and close the connections."""
        self.logout()
        self._http.close()


class SapRefusedError(MlcError):
    """SAP refused a read: its own code and text."""

    def __init__(self, path: str, error: odata.SapError) -> None:
        super().__init__(
            f"SAP refused to read {path}: {error.status}/{error.code} {error.text}", hint="check the rights of the SAP user"
        )
        self.error = error


def _judge_write(call: Call, error: odata.SapError) -> Refusal:
    """Tell a definitive no from doubt (facts, section 4: retry table)."""
    unclear = not error.own or error.status >= 500 or error.status in (408, 429) or error.code == -1116
    if error.status == 401 and error.own and error.code == 301:
        raise NotSent(f"SAP drops its own fresh session: {error.text}")  # refused at the door, nothing was done
    if unclear:
        raise Doubt(f"SAP answered {call.method} {call.path} with {error.status} {error.code or ''} {error.text}".strip())
    return Refusal(error.status, str(error.code), error.text)


def _created(reply: http.Reply) -> Any:
    """Return what was created; with an empty body its key from Location."""
    body = reply.json()
    if isinstance(body, dict):
        return body
    location = reply.headers.get("location", "")
    inside = location.rpartition("(")[2].rstrip(")")
    if reply.status in (201, 204) and inside.isdigit():
        return {"DocEntry": int(inside)}
    if reply.status == 204:
        return {}
    raise Doubt(f"SAP answered {reply.status} with a body that cannot be read")


def _grows(previous: Any, last: Any) -> bool:
    return not (isinstance(previous, int) and isinstance(last, int)) or last > previous


def _number(value: Any) -> Any:
    if isinstance(value, Decimal):
        return exact_float(value)
    raise TypeError(f"no JSON for {type(value).__name__}")


def exact_float(value: Decimal) -> float:
    """Return the double whose shortest literal is the decimal itself; refuses what a double would change."""
    number = float(value)
    if Decimal(repr(number)) != value:
        raise ConfigError(f"{value} has more digits than SAP's numbers hold")
    return number
