"""The receiver on a real socket: limits of size and time, many at once, and an end that answers what has begun."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from deliveries import Door, stripe_event, stripe_header
from mlc.core.errors import ConfigError
from mlc.webhooks.app import MOST_BYTES
from mlc.webhooks.server import Server


class Served:
    """A receiver on a free port of loopback."""

    def __init__(self, folder: Path, **more: float) -> None:
        self.door = Door(folder / "mlc.db").__enter__()
        self.server = Server(self.door.app, "127.0.0.1", 0, **more)
        self.server.start()
        self.ended = False

    def post(self, number: int) -> int:
        """Deliver one event."""
        body = json.dumps(stripe_event(number)).encode()
        link = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        try:
            headers = {"Content-Type": "application/json", "Stripe-Signature": stripe_header(body, self.door.clock.now())}
            link.request("POST", "/stripe/acme", body, headers)
            return link.getresponse().status
        finally:
            link.close()

    def raw(self, text: bytes) -> bytes:
        """Send bytes; returns the status, b"cut" where the connection was closed over what was still being sent."""
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=10) as link:
            try:
                link.sendall(text)
                link.shutdown(socket.SHUT_WR)
                return b"".join(iter(lambda: link.recv(65536), b"")).split(b" ")[1]
            except OSError:
                return b"cut"

    def end(self) -> bool:
        """Stop; tells whether everything that had begun was answered."""
        if self.ended:
            return True
        self.ended = True
        clean = self.server.stop()
        self.door.__exit__()
        return clean


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A served receiver."""
    one = Served(tmp_path)
    yield one
    one.end()


def ids(folder: Path) -> set[str]:
    """Every event on disk."""
    import sqlite3

    connection = sqlite3.connect(folder / "mlc.db")
    try:
        return {row[0] for row in connection.execute("SELECT id FROM inbox")}
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"POST /stripe/acme HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (MOST_BYTES + 1), b"413"),
        (b"POST /stripe/acme HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 20000 + b"\r\n\r\n", b"431"),
        (b"POST /stripe/acme HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", b"400"),
        (b"POST /stripe/acme HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n", b"400"),
        (b"POST /stripe/acme HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", b"400"),
        (b"NONSENSE\r\n\r\n", b"400"),
    ],
)  # fmt: skip
def test_what_is_refused_at_the_door(served: Served, request_: bytes, status: bytes) -> None:
    """Too large, malformed and unsigned requests are refused, and the receiver goes on."""
    assert served.raw(request_) in (status, b"cut")
    assert served.post(1) == 200


def test_a_chunked_body_is_taken_and_capped(served: Served, tmp_path: Path) -> None:
    """A body without a length told beforehand is taken like any other, and cut off beyond the limit."""
    body = json.dumps(stripe_event(5)).encode()
    head = b"POST /stripe/acme HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
    sign = f"Stripe-Signature: {stripe_header(body, served.door.clock.now())}\r\n\r\n".encode()
    assert served.raw(head + sign + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)) == b"200"
    huge = b"%x\r\n%s\r\n" % (MOST_BYTES // 2, b" " * (MOST_BYTES // 2))
    assert served.raw(head + sign + huge * 3 + b"0\r\n\r\n") in (b"413", b"cut")
    assert ids(tmp_path) == {"evt_5"}


def test_a_sender_that_drips_is_cut_off(tmp_path: Path) -> None:
    """A request that does not end within its time is closed, although something of it comes all the time; others are served."""
    served = Served(tmp_path, request_seconds=0.5)
    try:
        with socket.create_connection(("127.0.0.1", served.server.port), timeout=15) as link:
            link.sendall(b"POST /stripe/acme HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
            link.settimeout(0.2)
            closed = False
            for _ in range(60):
                try:
                    link.sendall(b" ")
                    closed = link.recv(10) == b""
                except TimeoutError:
                    continue
                except OSError:
                    closed = True
                if closed:
                    break
            assert closed
        assert served.post(1) == 200
    finally:
        served.end()


def test_the_end_answers_what_has_begun(tmp_path: Path) -> None:
    """Stopping under load: whoever got an answer is on disk, whoever was cut off got none, and new connections are refused."""
    served = Served(tmp_path)
    answered: set[str] = set()
    enough = threading.Event()

    def deliver(begin: int) -> None:
        for number in range(begin, begin + 10_000):
            try:
                if served.post(number) == 200:
                    answered.add(f"evt_{number}")
            except (OSError, http.client.HTTPException):
                return
            if len(answered) > 60:
                enough.set()

    threads = [threading.Thread(target=deliver, args=(lane * 100_000 + 1,)) for lane in range(6)]
    for one in threads:
        one.start()
    assert enough.wait(30)
    assert served.end()
    for one in threads:
        one.join(30)
    assert answered <= ids(tmp_path)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", served.server.port), timeout=2)


def test_a_port_that_is_taken(served: Served) -> None:
    """A second receiver on the same port is told so, with what to do; so is a name of several addresses."""
    with pytest.raises(ConfigError, match="cannot listen"):
        Server(served.door.app, "127.0.0.1", served.server.port)
    with pytest.raises(ConfigError, match="cannot listen"):
        Server(served.door.app, "no.such.host.invalid", 0)
