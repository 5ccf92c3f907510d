"""The receiver under load and under fire: how long an answer takes beside one that stores nothing, and a million wrong requests."""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "webhooks"))

import mutants

from deliveries import Door, stripe_event, stripe_header
from mlc.clock import SystemClock
from mlc.webhooks.server import Server

RATE, SECONDS, LANES = 200, 20, 8
MILLION, SEED = 1_000_000, 20261121


def megabytes() -> float:
    """What this process holds now."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


def load(port: int, method: str, path: str) -> list[float]:
    """Send so many requests a second from several connections; returns how long each answer took, in milliseconds."""
    took: list[float] = []
    begin = time.monotonic() + 0.2

    def lane(number: int) -> None:
        link = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        for turn in range(RATE * SECONDS // LANES):
            due = begin + (turn * LANES + number) / RATE
            time.sleep(max(0.0, due - time.monotonic()))
            body = json.dumps(stripe_event(number * 10**6 + turn)).encode() if method == "POST" else b""
            headers = {"Content-Type": "application/json", "Stripe-Signature": stripe_header(body, time.time())} if body else {}
            started = time.monotonic()
            link.request(method, path, body, headers)
            answer = link.getresponse()
            answer.read()
            took.append((time.monotonic() - started) * 1000)
            assert answer.status == 200
        link.close()

    threads = [threading.Thread(target=lane, args=(number,)) for number in range(LANES)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return sorted(took)


@pytest.mark.bench
def test_answers_under_load(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two hundred deliveries a second: an answer after a commit beside one that stores nothing, in one run."""
    door = Door(tmp_path / "mlc.db", SystemClock())
    with door:
        server = Server(door.app, "127.0.0.1", 0)
        server.start()
        stored, looked = load(server.port, "POST", "/stripe/acme"), load(server.port, "GET", "/healthz")
        server.stop()
    figures = {
        name: {f"p{share}": round(took[int(len(took) * share / 100)], 2) for share in (50, 95, 99)}
        | {"max": round(took[-1], 2)}
        for name, took in (("stored", stored), ("looked", looked))
    }
    with capsys.disabled():
        sys.stdout.write(f"\n{len(stored)} deliveries at {RATE}/s, milliseconds: {json.dumps(figures)}\n")
    assert len(stored) == RATE * SECONDS


@pytest.mark.bench
def test_a_million_mutants(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A million wrong requests: none is accepted, none breaks it, and the process does not grow."""
    with Door(tmp_path / "mlc.db") as door:
        door.app.log = lambda _what, _text: None
        mutants.fuzz(door, MILLION // 100, SEED)
        before = megabytes()
        tried = mutants.fuzz(door, MILLION, SEED + 1)
        after = megabytes()
        assert not door.warned
    with capsys.disabled():
        sys.stdout.write(
            f"\n{sum(tried.values())} mutants: {json.dumps(tried)}; {before:.1f} MB before, {after:.1f} MB after\n"
        )
    assert after - before < 10
