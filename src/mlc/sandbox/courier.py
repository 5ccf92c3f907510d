"""The courier: takes what the simulated systems have to tell to registered addresses over real HTTP, again and again if need be.

Each system has a `Sender` that knows who wants what, how it is written and signed, and when a failure is tried again. The
courier knows none of that: it asks the senders for parcels, carries what is due on the simulated clock, and tells the sender
what was answered. Without `start` nothing happens by itself: a test calls `step`.
"""

from __future__ import annotations

import heapq
import http.client
import itertools
import random
import ssl
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any
from urllib.parse import urlsplit

from mlc.sandbox.kit import Clock, Request, Response, Service

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
MOST_KEPT = 10_000
MOST_READ = 10_000
Headers = dict[str, str]


@dataclass(frozen=True, slots=True)
class Reply:
    """What an address answered; status 0 is no answer at all, with the reason in `body`."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def taken(self) -> bool:
        """Whether this counts as delivered: 2xx alone; redirects are failures."""
        return 200 <= self.status < 300


Carry = Callable[[str, str, Headers, bytes], Reply]
"""Sends (method, url, headers, body) and returns the answer; status 0 where there is none. Follows no redirect."""


@dataclass(slots=True)
class Parcel:
    """One webhook request on its way to one address; it is written and signed anew for every attempt."""

    endpoint: str
    url: str
    ids: tuple[str, ...]
    letter: Callable[[bool], tuple[Headers, bytes] | None]  # True asks for a forged signature; None: nobody wants it any more
    heard: Callable[[Reply, bool], None] = lambda _, __: None  # the answer, and whether it is tried again
    waits: tuple[float, ...] = ()  # seconds from each failure to the next attempt
    again: Callable[[int], bool] = lambda _: True  # whether a failure with this status is tried again
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt as it is kept for tests and people: `note` is dropped, forged or lost where a switch had a hand in it."""

    at: float
    system: str
    endpoint: str
    url: str
    ids: tuple[str, ...]
    number: int
    status: int
    note: str = ""


@dataclass(slots=True)
class CourierSwitches:
    """What the way does to parcels; shares lie between 0 and 1 and are drawn from `seed`.

    Attributes:
        seed: of everything that is drawn.
        duplicates: each parcel is carried this many times more, whatever was answered.
        shuffle: parcels that are due at the same time go in any order.
        delay: simulated seconds before a parcel sets out first.
        spread: up to this many simulated seconds more, drawn per parcel: they overtake each other.
        drop: share that never arrives and is never tried again.
        forge: share that is signed with a secret nobody has.
        lose: share whose answer is not seen: it arrived, and is tried again all the same.
    """

    seed: int = 0
    duplicates: int = 0
    shuffle: bool = False
    delay: float = 0
    spread: float = 0
    drop: float = 0
    forge: float = 0
    lose: float = 0


class Sender(ABC):
    """One system's side: what it has to tell, to whom."""

    def __init__(self, system: str, service: Service) -> None:
        """Answer `/sandbox/deliveries` and `/sandbox/courier` of the service from here on."""
        self.system = system
        self.service = service
        self.attempts: deque[Attempt] = deque(maxlen=MOST_KEPT)
        self.courier: Courier | None = None
        service.aside = self.answer

    @abstractmethod
    def collect(self) -> list[Parcel]:
        """Return what has to be carried now and was not handed out yet; called with the service's lock held."""

    def due(self) -> float | None:
        """Return when there will be something to collect that cannot be collected yet."""
        return None

    def wake(self) -> None:
        """Tell the courier that there is something to carry."""
        if self.courier is not None:
            self.courier.wake()

    def answer(self, request: Request) -> Response | None:
        """Answer what a person asks about the way: what was carried (GET deliveries), what happens on it (GET, POST courier)."""
        if request.path == "/sandbox/deliveries" and request.method == "GET":
            return Response.of_json(200, {"deliveries": [asdict(one) for one in list(self.attempts)]})
        if request.path != "/sandbox/courier" or self.courier is None:
            return None
        if request.method == "POST":
            try:
                self.courier.switch(request.json())
            except (ValueError, TypeError) as error:
                return Response.of_json(400, {"ok": False, "error": str(error)})
        return Response.of_json(200, asdict(self.courier.switches))


@dataclass(order=True, slots=True)
class _Due:
    moment: float
    count: int
    sender: Sender = field(compare=False)
    parcel: Parcel = field(compare=False)


class Courier:
    """Carries the parcels of several senders; `step` does what is due now, `start` does it by itself in a thread."""

    def __init__(
        self, clock: Clock, *senders: Sender, carry: Carry | None = None, switches: CourierSwitches | None = None
    ) -> None:
        """Take up the senders; `carry` is how a request really leaves, by default http.client."""
        self.clock = clock
        self.senders = senders
        self.carry = carry or by_http
        self.switches = switches or CourierSwitches()
        self.attempts: deque[Attempt] = deque(maxlen=MOST_KEPT)
        self._random = random.Random(self.switches.seed)
        self._due: list[_Due] = []
        self._count = itertools.count()
        self._bell = threading.Condition()
        self._rung = False
        self._thread: threading.Thread | None = None
        self._stopped = False
        for one in senders:
            one.courier = self

    def switch(self, given: Mapping[str, Any]) -> None:
        """Change switches by name; a seed begins the drawing anew. Raises ValueError for what there is not."""
        kinds = {one.name: type(getattr(self.switches, one.name)) for one in fields(CourierSwitches)}
        if not isinstance(given, dict) or not given.keys() <= kinds.keys():
            raise ValueError(f"there are: {', '.join(kinds)}")
        self.switches = replace(self.switches, **{name: kinds[name](value) for name, value in given.items()})
        if "seed" in given:
            self._random = random.Random(self.switches.seed)

    def step(self) -> list[Attempt]:
        """Carry everything that is due now, once; returns the attempts. A retry is due at a later step."""
        self._collect()
        now, due = self.clock.now(), []
        while self._due and self._due[0].moment <= now:
            due.append(heapq.heappop(self._due))
        if self.switches.shuffle:
            self._random.shuffle(due)
        made = [self._attempt(one.sender, one.parcel) for one in due]
        return [one for one in made if one is not None]

    def pending(self) -> float | None:
        """Return the simulated moment at which there is something to do again, None where there is nothing."""
        moments = [one.due() for one in self.senders] + ([self._due[0].moment] if self._due else [])
        return min((one for one in moments if one is not None), default=None)

    def _collect(self) -> None:
        now = self.clock.now()
        for sender in self.senders:
            with sender.service.lock:
                parcels = sender.collect()
            for parcel in parcels:
                copies = [replace(parcel, heard=lambda _, __: None, waits=()) for _ in range(self.switches.duplicates)]
                for one in [parcel, *copies]:
                    self._put(sender, one, now + self.switches.delay + self._random.random() * self.switches.spread)

    def _put(self, sender: Sender, parcel: Parcel, moment: float) -> None:
        heapq.heappush(self._due, _Due(moment, next(self._count), sender, parcel))

    def _drawn(self, share: float) -> bool:
        return share > 0 and self._random.random() < share

    def _attempt(self, sender: Sender, parcel: Parcel) -> Attempt | None:
        """Carry one parcel once, and put it back where it is tried again."""
        forged = self._drawn(self.switches.forge)
        with sender.service.lock:
            letter = parcel.letter(forged)
        if letter is None:
            return None
        parcel.tries += 1
        if self._drawn(self.switches.drop):
            return self._noted(sender, parcel, 0, "dropped")
        reply = self.carry("POST", parcel.url, *letter)
        note = "forged" if forged else ""
        if self._drawn(self.switches.lose):
            reply, note = Reply(0, b"the answer was lost"), "lost"
        again = not reply.taken and parcel.tries <= len(parcel.waits) and parcel.again(reply.status)
        with sender.service.lock:
            parcel.heard(reply, again)
        if again:
            self._put(sender, parcel, self.clock.now() + parcel.waits[parcel.tries - 1])
        return self._noted(sender, parcel, reply.status, note)

    def _noted(self, sender: Sender, parcel: Parcel, status: int, note: str) -> Attempt:
        made = Attempt(
            self.clock.now(), sender.system, parcel.endpoint, parcel.url, parcel.ids, parcel.tries, status, note
        )  # fmt: skip
        self.attempts.append(made)
        sender.attempts.append(made)
        return made

    # --- by itself ------------------------------------------------------------------------------------------------
    def wake(self) -> None:
        """Say that there is something to carry; called by senders, from any thread."""
        with self._bell:
            self._rung = True
            self._bell.notify()

    def start(self) -> Courier:
        """Carry by itself from now on: at once when there is something, and when a retry falls due."""
        self._thread = threading.Thread(target=self._run, name="sandbox-courier", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop carrying; what is under way is finished."""
        self._stopped = True
        self.wake()
        if self._thread is not None:
            self._thread.join(timeout=15)

    def _run(self) -> None:
        while not self._stopped:
            self.step()
            moment = self.pending()
            with self._bell:
                if not self._rung:
                    self._bell.wait(None if moment is None else max(0.0, moment - self.clock.now()))
                self._rung = False


def is_loopback(url: str) -> bool:
    """Whether an address is on this machine."""
    try:
        return urlsplit(url).hostname in LOOPBACK
    except ValueError:
        return False


def by_http(method: str, url: str, headers: Headers, body: bytes) -> Reply:
    """Send one request with ten seconds of patience; the sandbox speaks to this machine alone."""
    if not is_loopback(url):
        return Reply(0, b"the sandbox delivers to this machine only")
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        if parts.scheme == "https":
            trust = ssl.create_default_context()
            link: http.client.HTTPConnection = http.client.HTTPSConnection(parts.netloc, timeout=10, context=trust)
        else:
            link = http.client.HTTPConnection(parts.netloc, timeout=10)
        try:
            link.request(method, path, body or None, headers)
            answer = link.getresponse()
            return Reply(answer.status, answer.read(MOST_READ), tuple(answer.getheaders()))
        finally:
            link.close()
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Reply(0, (str(error) or type(error).__name__).encode())
