"""The first interrupt waits for the request in flight, the second does not; where nothing is in flight it comes at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import httpx
import pytest

from mlc import interrupts
from mlc.cli import session
from mlc.cli.session import Terminated
from mlc.interrupts import IN_FLIGHT, InFlight
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


def test_a_read_that_is_never_answered_is_left_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of a read can be lost: who is silent holds nobody up who has pressed Ctrl-C once."""
    monkeypatch.setattr(interrupts, "GRACE", 0.01)

    def answer(_request: httpx.Request) -> httpx.Response:
        signal.raise_signal(signal.SIGINT)
        threading.Event().wait(60)
        return httpx.Response(200)

    with pytest.raises(KeyboardInterrupt):
        system(httpx.MockTransport(answer), []).send("GET", "Items")


def test_a_write_is_waited_for_however_long_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was sent may be done: its answer is heard, or the second interrupt comes."""
    monkeypatch.setattr(interrupts, "GRACE", 0.01)
    heard: list[int] = []

    def answer(_request: httpx.Request) -> httpx.Response:
        signal.raise_signal(signal.SIGINT)
        threading.Event().wait(0.05)
        return httpx.Response(201)

    http = system(httpx.MockTransport(answer), [])

    def write() -> None:
        with IN_FLIGHT.writing:
            heard.append(http.send("POST", "Items").status)

    with pytest.raises(KeyboardInterrupt):
        write()
    assert heard == [201]


def test_after_the_second_every_interrupt_is_obeyed_at_once() -> None:
    """Leaving may hang where the first one would have waited: the third does not wait either, and nothing of it stays."""
    in_flight, did = InFlight(), []

    def leaving() -> None:
        with in_flight.writing:
            in_flight.interrupt(Terminated())
            did.append("first")
            try:
                in_flight.interrupt(KeyboardInterrupt())
                did.append("second")
            finally:
                in_flight.interrupt(Terminated())
                did.append("third")

    with pytest.raises(Terminated):
        leaving()
    assert did == ["first"]
    assert (in_flight._depth, in_flight._whole) == (0, 0)


def test_a_patient_process_counts_one() -> None:
    """A pass that the receiver runs is told by the group and by the receiver: that is one wish to stop."""
    in_flight, did = InFlight(), []
    in_flight.patient = True

    def work() -> None:
        with in_flight.writing:
            for _ in range(3):
                in_flight.interrupt(Terminated())
            did.append("heard")

    with pytest.raises(Terminated):
        work()
    assert did == ["heard"]
    with pytest.raises(Terminated):
        in_flight.interrupt(Terminated())


def test_nothing_in_flight_is_interrupted_at_once() -> None:
    """Between two requests, and while another thread has one in flight."""
    in_flight, inside, leave = InFlight(), threading.Event(), threading.Event()

    def work() -> None:
        with in_flight.reading:
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
