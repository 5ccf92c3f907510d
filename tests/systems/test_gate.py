"""Never more requests a second than Stripe allows, of one kind and in all, whoever asks at the same time."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

import pytest

from harness import BEGIN, Company, TestClock
from mlc.sandbox.kit import Clock, Request, Response
from mlc.sandbox.stripe import StripeSwitches
from mlc.systems.gate import Gate
from mlc.systems.stripe.client import operation


class ParallelClock(TestClock):
    """The test clock for several threads: sleeping moves it, one at a time."""

    def __init__(self) -> None:
        super().__init__(Clock(BEGIN))
        self.lock = threading.Lock()

    def sleep(self, seconds: float) -> None:
        """Move time, unless another thread moved it far enough meanwhile."""
        with self.lock:
            super().sleep(min(seconds, 0.01))


@pytest.mark.parametrize(("total", "each", "kinds"), [(25, 25, 1), (100, 25, 1), (100, 25, 6), (25, 25, 6), (3, 2, 3)])
def test_the_gate_never_lets_too_many_through(total: int, each: int, kinds: int) -> None:
    """Under eight threads no second has more than the total, nor more of one operation than its own limit."""
    clock = ParallelClock()
    gate = Gate(clock, total=total, operation=each)
    passed: list[tuple[float, str]] = []
    lock = threading.Lock()

    def work(seed: int) -> None:
        for number in range(40):
            kind = f"op{(seed + number) % kinds}"
            gate.take(kind)
            with lock:
                passed.append((clock.uptime(), kind))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    stamps = sorted(gate._all)
    assert len(passed) == 320
    assert len(stamps) <= total
    rate = Counter(int(at) for at, _ in passed)
    assert sum(rate.values()) == 320
    took = max(at for at, _ in passed) - 5000.0
    assert took >= 320 / total - 2
    assert took >= 320 / (each * kinds) - 2


def test_the_gate_counts_every_window() -> None:
    """In no window of one second, wherever it begins, do more than the allowed number leave."""
    clock = TestClock(Clock(BEGIN))
    gate = Gate(clock, total=10, operation=4)
    passed: list[tuple[float, str]] = []
    for number in range(300):
        gate.take(f"op{number % 3}")
        passed.append((clock.uptime(), f"op{number % 3}"))
        clock.pass_time(0.013 * (number % 5))
    for begin, _ in passed:
        inside = [kind for at, kind in passed if begin <= at < begin + 0.999]
        assert len(inside) <= 10
        assert max(Counter(inside).values()) <= 4


def test_a_busy_run_stays_below_the_limit(tmp_path: Path) -> None:
    """A whole push against a Stripe that enforces its limits is never throttled."""
    company = Company(tmp_path, stripe={"switches": StripeSwitches(rate_limit=True)})
    company.partner()
    throttled: list[str] = []

    def watch(request: Request, answer: Response) -> None:
        if answer.status == 429:
            throttled.append(request.path)

    company.stripe.watchers.append(watch)
    for _ in range(40):
        company.invoice()
    company.run("push-invoices")
    assert len(company.pushed()) == 40
    assert throttled == []


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/v1/invoices/in_1Q7t6lhBnmH04Mk/finalize", "POST /v1/invoices/{}/finalize"),
        ("GET", "/v1/invoices/in_1Q7t6lhBnmH04Mk", "GET /v1/invoices/{}"),
        ("POST", "/v1/invoices/in_1Q7t6lhBnmH04Mk/add_lines", "POST /v1/invoices/{}/add_lines"),
        ("GET", "/v1/payment_intents/pi_3Plvs0mUmBQLbrK", "GET /v1/payment_intents/{}"),
        ("POST", "/v1/credit_notes", "POST /v1/credit_notes"),
    ],
)
def test_an_operation_is_its_path_without_ids(method: str, path: str, expected: str) -> None:
    """Two operations never share one window of the gate."""
    assert operation(method, path) == expected
