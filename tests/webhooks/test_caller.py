"""When a pass is called for: hints gather until they pause, one call at a time, and trouble is come back to later."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from mlc.core import errors
from mlc.core.inbox import CALLS, CUSTOMER, DEBIT, DOCUMENT, MONEY, PAYOUT, TICKED_BY, passes_for
from mlc.webhooks.caller import Caller, Pace

AT_ONCE = Pace(quiet=0.01, most=0.05, documents=0.01, again=0.01, most_again=0.02)
PATIENT = Pace(quiet=0.01, most=0.05, documents=0.01, again=3600, most_again=3600, least_again=0.01)


class Passes:
    """Stands for the runs: notes what was called for, answers with prepared codes, and can be held in the middle."""

    def __init__(self, *codes: int) -> None:
        self.codes = list(codes)
        self.calls: list[tuple[str, ...]] = []
        self.go = threading.Event()
        self.go.set()
        self.rung = threading.Condition()

    def start(self, names: tuple[str, ...]) -> int:
        """Run."""
        with self.rung:
            self.calls.append(names)
            self.rung.notify_all()
        assert self.go.wait(10)
        return self.codes.pop(0) if self.codes else 0

    def until(self, true: Callable[[], bool]) -> None:
        """Wait until something is so."""
        with self.rung:
            assert self.rung.wait_for(true, 10), self.calls


@pytest.fixture
def said() -> list[str]:
    """What the caller said."""
    return []


def test_the_kinds_call_for_passes_in_the_safe_order() -> None:
    """Money before everything, pushing last; every kind is ticked off by a pass that it calls for."""
    assert passes_for([DOCUMENT, PAYOUT]) == ("post-payments", "reconcile-payouts", "sync-customers", "push-invoices")
    assert passes_for([CUSTOMER, MONEY]) == ("post-payments", "sync-customers")
    assert passes_for([]) == passes_for(["unknown"]) == ()
    for name, kinds in TICKED_BY.items():
        assert all(name in CALLS[kind] for kind in kinds)
    assert {kind for kinds in TICKED_BY.values() for kind in kinds} == set(CALLS)


def test_hints_of_one_moment_are_one_call(said: list[str]) -> None:
    """A payment's burst of events calls for its pass once; what waits from before is called for at the start."""
    passes = Passes()
    caller = Caller("acme", passes.start, said.append, AT_ONCE)
    for _ in range(7):
        caller.ring([MONEY])
    caller.begin([DEBIT])
    passes.until(lambda: len(passes.calls) == 1)
    assert passes.calls == [("post-payments", "reconcile-payouts")]
    caller.end()
    assert caller.join(10)


def test_what_arrives_during_a_pass_is_called_for_after_it(said: list[str]) -> None:
    """Two passes of a tenant never run at once from here, and no hint is forgotten."""
    passes = Passes()
    passes.go.clear()
    caller = Caller("acme", passes.start, said.append, AT_ONCE)
    caller.begin([MONEY])
    passes.until(lambda: len(passes.calls) == 1)
    caller.ring([MONEY])
    caller.ring([CUSTOMER])
    assert len(passes.calls) == 1
    passes.go.set()
    passes.until(lambda: len(passes.calls) == 2)
    assert passes.calls[1] == ("post-payments", "sync-customers")
    caller.end()
    assert caller.join(10)


@pytest.mark.parametrize("code", [errors.FAILED, errors.UNREACHABLE, errors.LOCKED, errors.SECRET_STORE, errors.TERMINATED])
def test_what_could_not_be_finished_is_tried_again(said: list[str], code: int) -> None:
    """An unreachable system, a lock, a killed pass: the same passes once more, later."""
    passes = Passes(code, code, 0)
    caller = Caller("acme", passes.start, said.append, AT_ONCE)
    caller.begin([MONEY])
    passes.until(lambda: len(passes.calls) == 3)
    caller.end()
    assert caller.join(10)
    assert passes.calls == [("post-payments",)] * 3
    assert len(said) == 2


def test_something_new_is_not_kept_waiting_by_trouble(said: list[str]) -> None:
    """While a repetition is hours away, a new delivery calls at once, and brings along what waited."""
    passes = Passes(errors.UNREACHABLE, 0)
    caller = Caller("acme", passes.start, said.append, PATIENT)
    caller.begin([DEBIT])
    passes.until(lambda: len(passes.calls) == 1)
    caller.ring([MONEY])
    passes.until(lambda: len(passes.calls) == 2)
    assert passes.calls[1] == ("post-payments", "reconcile-payouts")
    caller.end()
    assert caller.join(10)


class Bell(threading.Condition):
    """Notes for how long it was waited at the longest."""

    def __init__(self) -> None:
        super().__init__()
        self.waited: list[float | None] = []

    def wait_for(self, predicate: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait."""
        self.waited.append(timeout)
        return super().wait_for(predicate, timeout)


def test_trouble_is_not_knocked_at_by_every_delivery(said: list[str]) -> None:
    """While a system is in trouble deliveries do not call for a pass more often than the least pause allows."""
    passes = Passes(errors.UNREACHABLE)
    slow = Pace(quiet=0.01, most=0.05, documents=0.01, again=7200, most_again=7200, least_again=3600)
    caller = Caller("acme", passes.start, said.append, slow)
    caller._bell = bell = Bell()
    caller.begin([MONEY])
    passes.until(lambda: len(passes.calls) == 1)
    for _ in range(50):
        caller.ring([MONEY])
    caller.end()
    assert caller.join(10)
    assert len(passes.calls) == 1
    assert 3600 in bell.waited  # not only that the test ended before it would have called again


def test_what_cannot_be_started_is_tried_again(said: list[str]) -> None:
    """A process that cannot be forked costs one try: the caller goes on listening."""
    passes = Passes()
    broken = [True]

    def start(names: tuple[str, ...]) -> int:
        if broken.pop() if broken else False:
            raise EOFError("unexpected EOF")
        return passes.start(names)

    caller = Caller("acme", start, said.append, AT_ONCE)
    caller.begin([MONEY])
    passes.until(lambda: len(passes.calls) == 1)
    caller.end()
    assert caller.join(10)
    assert "could not be run (EOFError: unexpected EOF)" in said[0]


@pytest.mark.parametrize("code", [errors.CREDENTIAL, errors.USAGE, errors.NEWER_STATE])
def test_a_wrong_password_is_tried_once(said: list[str], code: int) -> None:
    """Complaint 49: after a rejected credential nothing is run again, whatever arrives; SAP locks users."""
    passes = Passes(code)
    caller = Caller("acme", passes.start, said.append, AT_ONCE)
    caller.begin([MONEY])
    assert caller.join(10)
    caller.ring([MONEY])
    assert passes.calls == [("post-payments",)]
    assert caller.stopped == f"post-payments ended with {code}"
    assert "restarted" in said[0]


@pytest.mark.parametrize("code", [errors.OK, errors.ATTENTION, errors.LIMIT])
def test_what_waiting_would_not_change_is_not_repeated(said: list[str], code: int) -> None:
    """Held items and safety limits wait for a person; the next hint calls again."""
    passes = Passes(code)
    caller = Caller("acme", passes.start, said.append, AT_ONCE)
    caller.begin([MONEY])
    passes.until(lambda: len(passes.calls) == 1)
    caller.ring([CUSTOMER])
    passes.until(lambda: len(passes.calls) == 2)
    caller.end()
    assert caller.join(10)
    assert passes.calls[1] == ("sync-customers",)
    assert not said


def test_the_end_comes_at_once(said: list[str]) -> None:
    """Ending while a pause or a repetition is waited for does not wait for it."""
    passes = Passes(errors.UNREACHABLE)
    caller = Caller("acme", passes.start, said.append, PATIENT)
    caller.begin([MONEY])
    passes.until(lambda: len(passes.calls) == 1)
    caller.end()
    assert caller.join(10)
    quiet = Caller("acme", passes.start, said.append, Pace(quiet=3600, most=3600, documents=3600))
    quiet.begin([MONEY])
    quiet.end()
    assert quiet.join(10)
    assert len(passes.calls) == 1
