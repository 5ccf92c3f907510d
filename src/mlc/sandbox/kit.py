"""What every simulated system stands on: requests, answers, a clock, faults, and two ways to plug it in.

A simulator is a `Service`: it answers `handle(Request) -> Response`. The kit takes care of what a network does to it:
answers that are lost, work that is done late, throttling. It shares no code with the clients it tests.
"""

from __future__ import annotations

import heapq
import json
import random
import re
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from http.client import responses
from typing import Any
from urllib.parse import parse_qsl, unquote


class ConnectionLost(Exception):
    """The connection broke before the caller saw an answer; whether the work was done is another matter."""


class Clock:
    """The simulated systems' clock in Unix seconds: real time plus an offset, or standing still until moved."""

    def __init__(self, start: float | None = None) -> None:
        """With `start` the clock stands there until `advance`; without it runs with real time."""
        self._fixed = start
        self._offset = 0.0

    def now(self) -> float:
        """Return the simulated time in Unix seconds (UTC)."""
        return (time.time() if self._fixed is None else self._fixed) + self._offset

    def advance(self, seconds: float) -> None:
        """Move the clock forward (or back, with a negative number)."""
        self._offset += seconds


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request as it arrived: `path` is percent-decoded, `query` in the order sent, header names in lower case."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def param(self, name: str) -> str | None:
        """Return the last value of a query parameter, None where it is absent."""
        return dict(self.query).get(name)

    def json(self) -> Any:
        """Parse the body as JSON with exact decimals; raises ValueError."""
        return json.loads(self.body, parse_float=Decimal)


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP answer."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of_json(cls, status: int, value: Any, headers: Iterable[tuple[str, str]] = ()) -> Response:
        """Build a JSON answer; Decimals are written as the literal they hold."""
        return cls(status, dump_json(value).encode(), (("Content-Type", "application/json"), *headers))

    @classmethod
    def of_html(cls, status: int, title: str) -> Response:
        """Build what a proxy answers instead of the application."""
        page = f"<html><head><title>{status} {title}</title></head><body><h1>{title}</h1></body></html>"
        return cls(status, page.encode(), (("Content-Type", "text/html; charset=iso-8859-1"),))


def dump_json(value: Any) -> str:
    """Write JSON with Decimals as plain number literals (json alone would refuse them or go through floats)."""
    marked: list[str] = []

    def literal(item: Any) -> str:
        if not isinstance(item, Decimal):
            raise TypeError(f"{type(item).__name__} is no JSON")
        marked.append(format(item, "f"))
        return f"\x00{len(marked) - 1}\x00"

    text = json.dumps(value, ensure_ascii=False, default=literal)
    return re.sub(r'"\\u0000(\d+)\\u0000"', lambda hit: marked[int(hit[1])], text)


@dataclass(slots=True)
class Fault:
    """One thing that goes wrong with the requests it matches.

    kind: `lost` the work is done, the answer is not seen; `late` the answer is not seen and the work is done `delay` seconds
    later; `never` the request does not arrive; `html` a proxy answers `status` as HTML and nothing is done; `lost_html` the
    work is done and a proxy answers `status` as HTML; `answer` the prepared `response` is given and nothing is done.
    """

    kind: str
    method: str = ".*"
    path: str = ".*"
    times: int = 1
    skip: int = 0
    delay: float = 0.0
    status: int = 504
    response: Response | None = None

    def matches(self, request: Request) -> bool:
        """Tell whether this fault hits now; counts down `skip` and `times`."""
        if self.times <= 0 or not re.fullmatch(self.method, request.method) or not re.search(self.path, request.path):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.times -= 1
        return True


@dataclass(slots=True)
class Storm:
    """Faults drawn at random from a seed: `rates` maps a fault kind to its probability per matching request."""

    seed: int
    rates: dict[str, float]
    method: str = "POST|PATCH|PUT|DELETE"
    path: str = ".*"
    delay: float = 1.0
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        """Seed the generator."""
        self._random = random.Random(self.seed)

    def draw(self, request: Request) -> Fault | None:
        """Return the fault that hits this request, or None."""
        if not re.fullmatch(self.method, request.method) or not re.search(self.path, request.path):
            return None
        throw = self._random.random()
        for kind, rate in self.rates.items():
            if throw < rate:
                status = self._random.choice((502, 503, 504))
                return Fault(kind, delay=self._random.random() * self.delay, status=status)
            throw -= rate
        return None


class Service(ABC):
    """A simulated system: subclasses implement `handle`; `serve` adds what the network does to it."""

    def __init__(self, clock: Clock | None = None) -> None:
        """Start healthy and with an empty request log."""
        self.clock = clock or Clock()
        self.faults: list[Fault] = []
        self.storm: Storm | None = None
        self.log: list[tuple[str, str, int]] = []
        self.counts: Counter[str] = Counter()
        self.watchers: list[Callable[[Request, Response], None]] = []
        self.aside: Callable[[Request], Response | None] = lambda _: None
        self._later: list[tuple[float, int, Callable[[], object]]] = []
        self._lock = threading.RLock()

    @property
    def lock(self) -> threading.RLock:
        """Return what is held while a request is worked on; whoever reads the books from another thread holds it too."""
        return self._lock

    @abstractmethod
    def handle(self, request: Request) -> Response:
        """Do the work of one request and answer it."""

    def admit(self, request: Request) -> Callable[[], Response]:
        """Let a request in whose work is done later; returns that work. What is checked at the door is checked now."""
        return lambda: self.handle(request)

    def later(self, delay: float, work: Callable[[], object]) -> None:
        """Do `work` once `delay` simulated seconds have passed (at the first request after that)."""
        heapq.heappush(self._later, (self.clock.now() + delay, len(self._later) + sum(self.counts.values()), work))

    def settle(self) -> None:
        """Do all late work that is due by now."""
        with self._lock:
            while self._later and self._later[0][0] <= self.clock.now():
                heapq.heappop(self._later)[2]()

    def serve(self, request: Request) -> Response:
        """Answer one request through the faults; raises ConnectionLost where the caller sees no answer."""
        told = self.aside(request) if request.path.startswith("/sandbox/") else None
        if told is not None:
            return told
        with self._lock:
            self.settle()
            fault = next((one for one in self.faults if one.matches(request)), None)
            if fault is None and self.storm is not None:
                fault = self.storm.draw(request)
            if fault is None:
                return self._done(request, self.handle(request))
            return self._suffer(fault, request)

    def _suffer(self, fault: Fault, request: Request) -> Response:
        if fault.kind == "answer" and fault.response is not None:
            return self._done(request, fault.response)
        if fault.kind in ("html", "lost_html"):
            if fault.kind == "lost_html":
                self._done(request, self.handle(request))
            return self._done(request, Response.of_html(fault.status, responses.get(fault.status, "Unknown")))
        if fault.kind == "lost":
            self._done(request, self.handle(request))
        elif fault.kind == "late":
            work = self.admit(request)
            self.later(fault.delay, lambda: self._done(request, work()))
        elif fault.kind != "never":
            raise ValueError(f"no such fault: {fault.kind}")
        self.log.append((request.method, request.path, 0))
        raise ConnectionLost(f"{fault.kind}: {request.method} {request.path}")

    def _done(self, request: Request, response: Response) -> Response:
        self.log.append((request.method, request.path, response.status))
        self.counts[request.method] += 1
        for watcher in self.watchers:
            watcher(request, response)
        return response


def wsgi(service: Service, *, sockets: bool = False) -> Callable[..., Iterable[bytes]]:
    """Plug a service into WSGI.

    In process a lost answer is a `ConnectionLost` exception; over sockets it is an answer that ends too early, because a WSGI
    server has no other way to break a connection.
    """

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        raw_path = environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""
        path = unquote(raw_path.split("?", 1)[0]) if raw_path.startswith("/") else _latin(environ.get("PATH_INFO", "/"))
        headers = {key[5:].replace("_", "-").lower(): value for key, value in environ.items() if key.startswith("HTTP_")}
        headers["content-type"] = environ.get("CONTENT_TYPE", "")
        request = Request(
            method=environ["REQUEST_METHOD"],
            path=path,
            query=tuple(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True)),
            headers=headers,
            body=environ["wsgi.input"].read(length) if length else b"",
        )
        try:
            response = service.serve(request)
        except ConnectionLost:
            if not sockets:
                raise
            start_response("200 OK", [("Content-Length", "1000000")])
            yield b" "
            return
        phrase = responses.get(response.status, "Unknown")
        start_response(f"{response.status} {phrase}", [*response.headers, ("Content-Length", str(len(response.body)))])
        yield response.body

    return app


def _latin(text: str) -> str:
    """Undo WSGI's habit of decoding the path as Latin-1."""
    return text.encode("latin-1").decode("utf-8", "replace")
