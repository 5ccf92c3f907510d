"""An answer without an end: what is not SAP or Stripe at that address may send for ever, and a run must come back."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from mlc.core.roles import Doubt
from mlc.systems import session


class Endless(httpx.SyncByteStream):
    """A body that never ends; counts what was taken of it."""

    def __init__(self, part: bytes) -> None:
        self.part = part
        self.taken = 0
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        """Go on and on."""
        while True:
            self.taken += 1
            yield self.part

    def close(self) -> None:
        """Note that nobody reads any more."""
        self.closed = True


def sent(body: Endless) -> None:
    """Send one request that is answered so."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=body))
    http = session.Http("SAP", "http://127.0.0.1:1", transport=transport, verify=False, timeout=httpx.Timeout(1.0))
    try:
        http.send("GET", "Invoices")
    finally:
        http.close()


def test_an_answer_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is cut off, closed, and nobody knows what was done: a read is tried again, a write is looked up."""
    monkeypatch.setattr(session, "MOST_BYTES", 1000)
    body = Endless(b"x" * 100)
    with pytest.raises(Doubt, match="the answer is larger than"):
        sent(body)
    assert body.taken == 11
    assert body.closed


def test_an_answer_that_drips(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte comes in time and the whole never does: given up after five times the pause that is allowed between two."""
    now = iter(range(1000))
    monkeypatch.setattr(session.time, "monotonic", lambda: float(next(now)))
    body = Endless(b"x")
    with pytest.raises(Doubt, match="does not come to its end"):
        sent(body)
    assert 3 <= body.taken <= 8
    assert body.closed
