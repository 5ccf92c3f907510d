"""The carrier alone, with a journal on disk and tiny systems that do what a test tells them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlc.core.commands import DropDraft
from mlc.core.errors import UnreachableError
from mlc.core.intents import Again, Answer, Call, Done, Intent, Plan, Receipt, Refusal, Refused
from mlc.core.keys import intent_name
from mlc.core.roles import Doubt, NotSent
from mlc.engine.carry import Carrier, Result
from mlc.store.database import Database
from mlc.store.journal import Journal

HOUR = 3600.0


class Time:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.wall, self.up, self.boot = 1_800_000_000.0, 5000.0, "one"

    def now(self) -> float:
        return self.wall

    def uptime(self) -> float:
        return self.up

    def boot_id(self) -> str:
        return self.boot

    def sleep(self, seconds: float) -> None:
        self.wall, self.up = self.wall + seconds, self.up + seconds


class Fake:
    """A system that answers as scripted: exceptions are raised, anything else is answered; then it says yes."""

    def __init__(self, name: str, *, takes_keys: bool, settle: float) -> None:
        self.name, self.workers, self.takes_keys, self.settle = name, 1, takes_keys, settle
        self.script: list[Any] = []
        self.sent: list[tuple[str, Any]] = []
        self.found: Any = None
        self.looked = 0

    def deliver(self, call: Call, key: str) -> Answer | Refusal:
        if not call.write:
            self.looked += 1
            return Answer(200, self.found)
        self.sent.append((key, dict(call.body)))
        reply = self.script.pop(0) if self.script else Answer(201, {"id": "made"})
        if isinstance(reply, BaseException):
            raise reply
        return reply


class Bench:
    """One journal, two systems, and runs that begin with nothing but what lies on disk."""

    def __init__(self, folder: Path) -> None:
        self.time, self.path = Time(), folder / "mlc.db"
        self.keyed = Fake("stripe", takes_keys=True, settle=23 * HOUR)
        self.marked = Fake("sap", takes_keys=False, settle=200.0)
        self.body: dict[str, Any] = {"n": 1}
        self.runs = 0
        self.steps: Callable[[Any], Generator[Call, Any, Any]] = self.one_write
        self.system = "stripe"
        self.journal = self._journal()

    def _journal(self) -> Journal:
        self.runs += 1
        return Journal(Database.open(self.path), "CO", f"run{self.runs}", self.time)

    def again(self) -> None:
        """Begin another run."""
        self.journal.database.close()
        self.journal = self._journal()

    def one_write(self, _stored: Any) -> Generator[Call, Any, Any]:
        def find() -> Generator[Call, Any, Any]:
            reply = yield Call("find", self.system, "GET", "/things")
            return reply.body

        reply = yield Call("make", self.system, "POST", "/things", dict(self.body), write=True, find=find)
        if isinstance(reply, Refusal):
            return Refused(reply.code, reply.text)
        return Done(Receipt(self.system, "Thing", reply.body.get("id", "")))

    def promise(self, thing: str = "a") -> None:
        """Accept one wish."""
        intent = Intent(intent_name("CO", "drop-draft", "stripe", thing), DropDraft(1, thing), lane=thing)
        self.journal.accept(Plan(intents=[intent]), "push-invoices")

    def carry(self) -> list[Result]:
        """Carry everything that is open."""
        heard: list[Result] = []
        carrier = Carrier(self.journal, {"stripe": self.keyed, "sap": self.marked}, self.steps, self.time, threads=False)
        carrier.carry(list(self.journal.intents(state="open")), heard.append)
        return heard

    def stored(self, thing: str = "a") -> Any:
        return self.journal.find(intent_name("CO", "drop-draft", "stripe", thing))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A bench with one promise that is carried by keys."""
    made = Bench(tmp_path)
    made.promise()
    yield made
    made.journal.database.close()


@pytest.fixture
def sap(bench: Bench) -> Bench:
    """The same, carried by a system without keys."""
    bench.system = "sap"
    return bench


def test_doubt_never_raises_the_generation(bench: Bench) -> None:
    """However often an outcome is unclear, the same key and body are sent again."""
    bench.keyed.script = [Doubt("?"), Doubt("?"), Doubt("?")]
    for _ in range(4):
        bench.carry()
        bench.again()
    assert len(bench.keyed.sent) == 4
    assert len(set(map(str, bench.keyed.sent))) == 1
    assert (bench.stored().generation, bench.stored().state) == (1, "done")


def test_only_a_definitive_end_raises_the_generation(bench: Bench) -> None:
    """An attempt that ended for good is followed by one with a new number in its key."""
    ends = iter([Again("gone"), None])

    def steps(stored: Any) -> Generator[Call, Any, Any]:
        outcome = yield from bench.one_write(stored)
        return next(ends) or outcome

    bench.steps = steps
    bench.carry()
    assert [key.rsplit("#", 1)[1] for key, _ in bench.keyed.sent] == ["1/make", "2/make"]


def test_an_attempt_that_always_ends_stops_for_this_run(bench: Bench) -> None:
    """A recipe that begins anew each time is left open after a few generations instead of going round for ever."""

    def steps(stored: Any) -> Generator[Call, Any, Any]:
        yield from bench.one_write(stored)
        return Again("gone")

    bench.steps = steps
    (result,) = bench.carry()
    assert result.outcome is None
    assert len(bench.keyed.sent) == 3


def test_the_first_body_is_repeated_whatever_the_recipe_says_now(bench: Bench) -> None:
    """What was frozen before it was first sent is what is sent again."""
    bench.keyed.script = [Doubt("?")]
    bench.carry()
    bench.again()
    bench.body = {"n": 2}
    bench.carry()
    assert [body for _, body in bench.keyed.sent] == [{"n": 1}, {"n": 1}]


@pytest.mark.parametrize(("hours", "looked"), [(22.9, 0), (23.1, 1)])
def test_an_old_key_is_looked_up_before_a_new_one_is_used(bench: Bench, hours: float, looked: int) -> None:
    """Within 23 hours the key is repeated; after that the object is looked for and only then a new key is used."""
    bench.keyed.script = [Doubt("?")]
    bench.carry()
    bench.again()
    bench.time.sleep(hours * HOUR)
    bench.carry()
    assert bench.keyed.looked == looked
    assert [key[-6:] for key, _ in bench.keyed.sent] == ["1/make", "make~1" if looked else "1/make"]


def test_what_is_found_is_adopted_and_not_sent(bench: Bench) -> None:
    """After 23 hours a write that was done is found, and nothing is sent."""
    bench.keyed.script = [Doubt("?")]
    bench.carry()
    bench.again()
    bench.time.sleep(24 * HOUR)
    bench.keyed.found = {"id": "there"}
    bench.carry()
    assert len(bench.keyed.sent) == 1
    assert bench.stored().receipt.id == "there"


def test_a_saved_failure_is_looked_into_before_a_new_key(bench: Bench) -> None:
    """A replayed 500 says that the key is burnt, not that nothing was done: look, then use the next key."""
    bench.keyed.script = [Doubt("saved 500", ended=True)]
    bench.carry()
    assert bench.keyed.looked == 1
    assert [key[-6:] for key, _ in bench.keyed.sent] == ["1/make", "make~1"]
    assert bench.stored().generation == 1


def test_behind_the_fence_what_was_not_done_is_sent_again_by_the_same_run(sap: Bench) -> None:
    """The same run looks once the fence has passed and sends again under the same mark."""
    sap.marked.script = [Doubt("?")]
    (result,) = sap.carry()
    assert result.seconds == 200.0
    sap.time.sleep(199)
    sap.carry()
    assert (len(sap.marked.sent), sap.marked.looked) == (1, 0)
    sap.time.sleep(1)
    sap.carry()
    assert (len(sap.marked.sent), sap.marked.looked) == (2, 1)
    assert sap.stored().state == "done"


def test_behind_the_fence_another_run_decides_afresh(sap: Bench) -> None:
    """A later run that finds nothing sends nothing by itself: a person may have booked it meanwhile."""
    sap.marked.script = [Doubt("?")]
    sap.carry()
    sap.again()
    sap.time.sleep(300)
    (result,) = sap.carry()
    assert result.afresh
    assert len(sap.marked.sent) == 1
    assert (sap.stored().state, sap.journal.in_doubt()) == ("open", 0)


def test_a_failing_look_up_leaves_the_doubt(sap: Bench) -> None:
    """Where the look-up is not answered nothing is sent and nothing forgotten."""
    sap.marked.script = [Doubt("?")]
    sap.carry()
    sap.time.sleep(300)
    sap.marked.deliver = lambda call, key: (_ for _ in ()).throw(NotSent("down"))  # type: ignore[method-assign]
    with pytest.raises(UnreachableError):
        sap.carry()
    assert sap.journal.in_doubt() == 1


def _forward(time: Time) -> None:
    time.wall += HOUR


def _back(time: Time) -> None:
    time.wall -= HOUR


def _reboot(time: Time) -> None:
    time.wall, time.up, time.boot = time.wall + 10, 10.0, "two"


def _reboot_and_step(time: Time) -> None:
    time.wall, time.up, time.boot = time.wall + HOUR, 10.0, "two"


def _nameless_boot(time: Time) -> None:
    time.wall, time.up, time.boot = time.wall + HOUR, 10.0, ""


@pytest.mark.parametrize("step", [_forward, _back, _reboot, _reboot_and_step, _nameless_boot])
def test_a_clock_step_only_lengthens_the_wait(sap: Bench, step: Callable[[Time], None]) -> None:
    """Whatever clocks do, nothing is looked up before the settling time has truly passed."""
    sap.marked.script = [Doubt("?")]
    sap.carry()
    step(sap.time)
    (result,) = sap.carry()
    assert result.seconds is not None
    assert result.seconds > 0
    assert (len(sap.marked.sent), sap.marked.looked) == (1, 0)
    sap.time.sleep(HOUR + 300)
    sap.carry()
    assert sap.stored().state == "done"


def test_an_interrupt_leaves_what_was_in_flight_in_the_journal(sap: Bench) -> None:
    """Ctrl-C in the middle of a request leaves it as sent, so that the next run looks it up."""
    sap.marked.script = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        sap.carry()
    sap.again()
    assert sap.journal.in_doubt() == 1
    sap.time.sleep(300)
    sap.marked.found = {"id": "there"}
    sap.carry()
    assert len(sap.marked.sent) == 1
    assert sap.stored().receipt.id == "there"


def test_what_never_left_is_not_in_doubt(sap: Bench) -> None:
    """A connection that was never made leaves a promise that was not begun."""
    sap.marked.script = [NotSent("refused")]
    with pytest.raises(UnreachableError):
        sap.carry()
    assert (sap.journal.in_doubt(), len(sap.journal.opened("push-invoices", begun=False))) == (0, 1)


def test_a_second_sending_that_never_left_keeps_the_first_in_doubt(sap: Bench) -> None:
    """After a doubt, a repetition that never left takes nothing away from what the first may have done."""
    sap.marked.script = [Doubt("?"), NotSent("refused")]
    sap.carry()
    sap.time.sleep(300)
    with pytest.raises(UnreachableError):
        sap.carry()
    assert sap.journal.in_doubt() == 1


def test_the_rest_of_a_lane_waits_for_what_is_open(sap: Bench) -> None:
    """What depends on something in doubt is not begun."""
    first = Intent("CO/x/stripe/1", DropDraft(1, "1"), lane="same")
    second = Intent("CO/x/stripe/2", DropDraft(2, "2"), lane="same")
    sap.journal.accept(Plan(intents=[first, second]), "push-invoices")
    sap.marked.script = [Answer(201, {"id": "a"}), Doubt("?")]
    results = {one.stored.name[-1]: one for one in sap.carry()}
    assert results["2"].why == "waits for CO/x/stripe/1"
    assert len(sap.marked.sent) == 2


def test_six_doubts_in_a_row_stop_the_pass(sap: Bench) -> None:
    """A system that leaves everything unclear is left alone; what was not begun stays open."""
    for number in range(9):
        sap.promise(f"t{number}")
    sap.marked.script = [Doubt("?")] * 20
    with pytest.raises(UnreachableError):
        sap.carry()
    assert len(sap.marked.sent) == 6
    assert len(list(sap.journal.intents(state="open"))) == 10
