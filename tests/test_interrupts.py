"""The first interrupt waits for the request in flight, the second does not; where nothing is in flight it comes at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import httpx
import pytest

from mlc.cli import session
from mlc.cli.session import Terminated
from mlc.interrupts import InFlight
from mlc.systems.session import Http

KINDS = [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)]


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """Heed both as a run does, and put back what was there."""
    before = {number: signal.getsignal(number) for number, _ in KINDS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    session.heed_interrupts()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def system(answer: httpx.MockTransport, log: list[str]) -> Http:
    """One system's wire."""
    return Http("X", "http://127.0.0.1:1", transport=answer, verify=False, timeout=httpx.Timeout(5), log=log.append)


@pytest.mark.parametrize(("number", "kind"), KINDS)
def test_the_answer_in_flight_is_heard_first(number: int, kind: type[BaseException]) -> None:
    """A signal in the middle of a request: the answer comes whole, its connection goes back, then the interrupt is raised."""
    seen: list[str] = []

    class Body(httpx.SyncByteStream):
        """An answer in two parts, with the signal between them."""

        def __iter__(self) -> Iterator[bytes]:
            yield b"one"
            signal.raise_signal(number)
            seen.append("went on")
            yield b"two"

        def close(self) -> None:
            seen.append("given back")

    http = system(httpx.MockTransport(lambda _: httpx.Response(200, stream=Body())), [])
    with pytest.raises(kind):
        http.send("GET", "Items")
    assert seen == ["went on", "given back"]
    http._client._transport.handler = lambda _: httpx.Response(200, content=b"again")  # type: ignore[attr-defined]
    assert http.send("GET", "Items").body == b"again"  # it was raised once, and nothing of it is left


def test_the_second_interrupt_does_not_wait() -> None:
    """Somebody who presses Ctrl-C twice has his reasons: the request is left where it is."""
    seen: list[str] = []

    def answer(_request: httpx.Request) -> httpx.Response:
        signal.raise_signal(signal.SIGTERM)
        seen.append("waits")
        signal.raise_signal(signal.SIGINT)
        seen.append("went on")
        return httpx.Response(200)

    http = system(httpx.MockTransport(answer), [])
    with pytest.raises(KeyboardInterrupt):
        http.send("GET", "Items")
    assert seen == ["waits"]
    http._client._transport.handler = lambda _: httpx.Response(200)  # type: ignore[attr-defined]
    assert http.send("GET", "Items").status == 200


def test_a_request_that_failed_is_interrupted_all_the_same() -> None:
    """What was not answered is not tried again after Ctrl-C."""

    def answer(_request: httpx.Request) -> httpx.Response:
        signal.raise_signal(signal.SIGINT)
        raise httpx.ReadTimeout("nothing came")

    with pytest.raises(KeyboardInterrupt):
        system(httpx.MockTransport(answer), []).send("GET", "Items")


def test_nothing_in_flight_is_interrupted_at_once() -> None:
    """Between two requests, and while another thread has one in flight."""
    in_flight, inside, leave = InFlight(), threading.Event(), threading.Event()

    def work() -> None:
        with in_flight:
            inside.set()
            assert leave.wait(10)

    worker = threading.Thread(target=work)
    worker.start()
    assert inside.wait(10)
    with pytest.raises(KeyboardInterrupt):
        in_flight.interrupt(KeyboardInterrupt())
    leave.set()
    worker.join(10)
    with pytest.raises(Terminated):
        in_flight.interrupt(Terminated())
