"""How often a read is tried: five times, or for as long as somebody has patience; the message says how often it was."""

from __future__ import annotations

import pytest

from harness import BEGIN, TestClock, WorldClock
from mlc.core.errors import UnreachableError
from mlc.core.roles import NotSent
from mlc.opening import Seams
from mlc.systems.session import READ_ATTEMPTS, Reply, repeat


@pytest.fixture
def clock() -> TestClock:
    """A clock that sleeps without waiting."""
    return TestClock(WorldClock(BEGIN))


@pytest.mark.parametrize(("patience", "tries", "words"), [
    (None, READ_ATTEMPTS, "X could not be read, 5 times in a row: down"),
    (60.0, READ_ATTEMPTS, "X could not be read, 5 times in a row: down"),
    (0.0, 1, "X could not be read: down"),
])  # fmt: skip
def test_tries(clock: TestClock, patience: float | None, tries: int, words: str) -> None:
    """Quick failures are tried again by everybody; what took longer than the patience lasts is not."""
    seen: list[int] = []

    def attempt() -> Reply:
        seen.append(1)
        raise NotSent("down")

    with pytest.raises(UnreachableError) as told:
        repeat(clock, "X", attempt, patience)
    assert (len(seen), told.value.message) == (tries, words)


def test_a_second_answer_is_taken(clock: TestClock) -> None:
    """One failure is no news."""
    answers = iter([NotSent("down"), Reply(200, {}, b"")])

    def attempt() -> Reply:
        answer = next(answers)
        if isinstance(answer, NotSent):
            raise answer
        return answer

    assert repeat(clock, "X", attempt, 60.0).status == 200


def test_ping_has_little_and_runs_have_all(company) -> None:
    """A person waits for a ping: it hands its patience to every system. A run has no such limit."""
    from harness import SECRETS
    from mlc.cli.checks import Checks
    from mlc.cli.options import Common
    from mlc.cli.session import Session
    from mlc.opening import sap_system, stripe_system
    from mlc.secrets import Resolver

    tenant = company.settings.tenants["acme"]
    resolver = Resolver(company.settings.secrets, SECRETS, tty=False)
    for seams, patience in ((Checks(Session(Common()), tenant).seams, 10.0), (Seams(), None)):
        for opened in (sap_system(tenant, resolver, seams), stripe_system(tenant, resolver, seams)):
            assert opened.options.patience == patience
            opened.close()
