"""Carries open intents: send, hear, write down; behind the fence look up; until nothing is open or the rest is in doubt.

The main thread decides and owns the journal, workers only deliver HTTP. A request is written down before it leaves. What was
sent and not answered is *in doubt*: a system that takes keys gets the same key and body again, any other is asked by our marker,
and only after `settle` seconds, when it can no longer commit the first attempt.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import Any

from mlc.clock import Clock, elapsed_at_least, elapsed_at_most
from mlc.core.errors import MlcError, UnreachableError
from mlc.core.intents import Again, Answer, Call, Done, Finder, Hold, Outcome, Recipe, Refusal, Refused, Skip
from mlc.core.roles import Doubt, NotSent, System
from mlc.interrupts import IN_FLIGHT
from mlc.store.journal import Journal
from mlc.store.records import Effect, Stored

_MAX_ROLLS = 3
_MAX_GENERATIONS_A_RUN = 3
_DOUBTS_IN_A_ROW = 6


class Parked(Exception):
    """This intent cannot go on in this moment; `seconds` until it can be looked up, None where only another run can."""

    def __init__(self, why: str, seconds: float | None = None, *, afresh: bool = False) -> None:
        super().__init__(why)
        self.seconds = seconds
        self.afresh = afresh


@dataclass(frozen=True, slots=True)
class Job:
    """One request for a worker."""

    call: Call
    key: str = ""


@dataclass(slots=True)
class Result:
    """How one intent came out of this round."""

    stored: Stored
    outcome: Outcome | None = None  # None = still open
    why: str = ""
    seconds: float | None = None
    afresh: bool = False  # nothing is in doubt: the pass decides it again
    news: bool = True  # False where it was held for the same reason before


class Inline(Executor):
    """An executor without threads: `--workers 1` and tests run the same code on a plain stack."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Do the work now."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - handed over as it is, like any executor does
            future.set_exception(error)
        return future


@dataclass(slots=True)
class Carrier:
    """Carries intents of one tenant during one run."""

    journal: Journal
    systems: Mapping[str, System]
    recipes: Callable[[Stored], Recipe]
    clock: Clock
    threads: bool = True
    stopping: bool = False
    _pools: dict[str, Executor] = field(default_factory=dict)
    _doubts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _fatal: MlcError | None = None

    # --- many intents -----------------------------------------------------------------------------------------------

    def carry(self, intents: Iterable[Stored], heard: Callable[[Result], None]) -> None:
        """Carry intents to their end; `heard` is told of each. Raises what must stop the pass, after what is in flight is heard."""
        lanes: dict[str, deque[Stored]] = defaultdict(deque)
        for stored in intents:
            lanes[stored.lane].append(stored)
        waiting = deque(lanes.values())
        active: dict[Future[Any], tuple[Generator[Job, Any, Result], deque[Stored]]] = {}
        width = max((system.workers for system in self.systems.values()), default=1) if self.threads else 1
        self.stopping, self._fatal = False, None
        try:
            while waiting or active:
                while waiting and len(active) < width and not self.stopping:
                    self._begin(waiting.popleft(), active, heard)
                if not active:
                    break
                for future in wait(active, return_when=FIRST_COMPLETED).done:
                    self._go_on(future, active, waiting, heard)
        except BaseException:
            self.stopping = True  # an interrupt: hear what is in flight, begin nothing
            while active:
                for future in wait(active, return_when=FIRST_COMPLETED).done:
                    self._go_on(future, active, waiting, heard)
            raise
        for lane in waiting:
            for stored in lane:
                heard(Result(stored, why="not begun: the pass was stopped"))
        if self._fatal is not None:
            raise self._fatal

    def _begin(self, lane: deque[Stored], active: dict[Any, Any], heard: Callable[[Result], None]) -> None:
        while lane and not self.stopping:
            runner = self._run(lane.popleft())
            if self._submit(runner, None, None, active, lane, heard):
                return

    def _go_on(self, future: Future[Any], active: dict[Any, Any], waiting: deque[Any], heard: Callable[[Result], None]) -> None:
        runner, lane = active.pop(future)
        error = future.exception()
        ended = not self._submit(runner, None if error else future.result(), error, active, lane, heard)
        if ended and lane:
            waiting.appendleft(lane)

    def _submit(
        self, runner: Generator[Job, Any, Result], value: Any, error: BaseException | None, active: dict[Any, Any],
        lane: deque[Stored], heard: Callable[[Result], None],
    ) -> bool:  # fmt: skip
        """Advance a runner to its next job and hand it to a worker; False where the intent has come out."""
        try:
            job = runner.throw(error) if error is not None else runner.send(value)
        except StopIteration as stop:
            result: Result = stop.value
            heard(result)
            if result.outcome is None:  # the rest of the lane depends on what is still open
                for stored in lane:
                    heard(Result(stored, why=f"waits for {result.stored.name}"))
                lane.clear()
            return False
        # One worker works here and now: an interrupt waits until it is known whose answer it is.
        with IN_FLIGHT.writing if job.call.write else IN_FLIGHT.reading:
            active[self._pool(job.call.system).submit(self.systems[job.call.system].deliver, job.call, job.key)] = (
                runner,
                lane,
            )
        return True

    def _pool(self, system: str) -> Executor:
        if system not in self._pools:
            workers = self.systems[system].workers
            threaded = self.threads and workers > 1
            self._pools[system] = ThreadPoolExecutor(workers, thread_name_prefix=system) if threaded else Inline()
        return self._pools[system]

    def close(self) -> None:
        """End the workers."""
        for pool in self._pools.values():
            pool.shutdown(wait=True)

    # --- one intent -------------------------------------------------------------------------------------------------

    def _run(self, stored: Stored) -> Generator[Job, Any, Result]:
        """Carry one intent; yields jobs, is sent answers, returns how it came out."""
        try:
            for _ in range(_MAX_GENERATIONS_A_RUN):
                outcome = yield from self._attempt(stored)
                if not isinstance(outcome, Again):
                    return Result(stored, outcome, news=self._finish(stored, outcome))
                stored = self.journal.next_generation(stored, outcome.why)
        except Parked as parked:
            return Result(stored, why=str(parked), seconds=parked.seconds, afresh=parked.afresh)
        except MlcError as error:  # a credential, a system that is gone: stop the pass, this intent stays open
            self.stopping, self._fatal = True, self._fatal or error
            return Result(stored, why=error.message)
        return Result(stored, why="begun anew too often in one run; the next run goes on")

    def _attempt(self, stored: Stored) -> Generator[Job, Any, Outcome]:
        recipe = self.recipes(stored)
        heard: Answer | Refusal | None = None
        while True:
            try:
                call = next(recipe) if heard is None else recipe.send(heard)
            except StopIteration as stop:
                outcome: Outcome = stop.value
                return outcome
            reply = yield from self._perform(stored, call)
            if isinstance(reply, Hold):
                return reply
            heard = reply

    def _perform(self, stored: Stored, call: Call) -> Generator[Job, Any, Answer | Refusal | Hold]:
        if not call.write:
            return (yield from self._read(call))
        effect = self.journal.effect(stored, call.step)
        if effect is not None and effect.answered:
            if isinstance(effect.answer, dict) and "refused" in effect.answer:
                return Refusal(effect.status or 0, effect.answer["refused"], effect.answer["text"])
            return Answer(effect.status or 0, effect.answer, told=False)
        if effect is None:
            if self._may_be_forgotten(stored, call):
                found = yield from self._find(call)
                if found is not None:
                    return self._found(stored, call, None, found)
            return (yield from self._send(stored, call, 0))
        frozen = replace(call, method=effect.method, path=effect.path, body=effect.body)
        return (yield from self._resolve(stored, frozen, effect))

    def _may_be_forgotten(self, stored: Stored, call: Call) -> bool:
        """Tell whether an older state may have been put back since this was done, and the key be forgotten by now."""
        if stored.run_id == self.journal.run_id or call.find is None:
            return False
        system = self.systems[call.system]
        return not system.takes_keys or abs(self.clock.now() - stored.accepted_at) >= system.settle

    def _resolve(self, stored: Stored, call: Call, effect: Effect) -> Generator[Job, Any, Answer | Refusal | Hold]:
        """Find out about a request that was sent and not answered."""
        system = self.systems[call.system]
        if system.takes_keys:
            age = elapsed_at_most(self.clock, wall=effect.first_sent, uptime=effect.first_up, boot_id=effect.first_boot)
            if age < system.settle:
                return (yield from self._send(stored, call, effect.roll))
        else:
            since = elapsed_at_least(self.clock, wall=effect.sent, uptime=effect.up, boot_id=effect.boot)
            if since < system.settle:
                raise Parked(f"in doubt: {call.system} may still be working on it", system.settle - since)
        found = yield from self._find(call)
        if found is not None:
            return self._found(stored, call, effect, found)
        if not system.takes_keys and stored.run_id != self.journal.run_id:
            self.journal.not_done(stored, call.step)  # a person may have booked it since: decide afresh
            raise Parked("was not done; decided afresh", afresh=True)
        return (yield from self._send(stored, call, effect.roll + 1 if system.takes_keys else effect.roll))

    def _send(self, stored: Stored, call: Call, roll: int) -> Generator[Job, Any, Answer | Refusal | Hold]:
        while True:
            if self.stopping:
                raise Parked("not sent: the run was interrupted")
            effect = self.journal.sending(stored, call, roll=roll)
            try:
                reply: Answer | Refusal = yield Job(call, effect.key)
            except NotSent as error:
                self.journal.unsent(stored, call.step)
                raise UnreachableError(f"{call.system} could not be reached: {error}") from error
            except Doubt as doubt:
                self._count_doubt(call.system, doubt)
                if not doubt.ended or roll >= _MAX_ROLLS:
                    seconds = None if self.systems[call.system].takes_keys else self.systems[call.system].settle
                    raise Parked(f"in doubt: {doubt}", seconds) from doubt
                found = yield from self._find(call)
                if found is not None:
                    return self._found(stored, call, effect, found)
                roll += 1
                continue
            self._doubts[call.system] = 0
            if isinstance(reply, Refusal):
                self.journal.answered(
                    stored, call.step, reply.status, {"refused": reply.code, "text": reply.text}, how="refusal"
                )
                return reply
            self.journal.answered(stored, call.step, reply.status, _condensed(reply.body))
            return reply

    def _read(self, call: Call) -> Generator[Job, Any, Answer | Refusal]:
        try:
            reply: Answer | Refusal = yield Job(call)
        except (Doubt, NotSent) as error:
            raise UnreachableError(f"{call.system} did not answer {call.method} {call.path}: {error}") from error
        return reply

    def _find(self, call: Call) -> Generator[Job, Any, Any]:
        """Run the call's look-up; what it returns is the found answer, a Hold, or None. A failing look-up leaves the doubt."""
        if call.find is None:
            return None
        finder: Finder = call.find()
        heard: Answer | Refusal | None = None
        while True:
            try:
                reading = next(finder) if heard is None else finder.send(heard)
            except StopIteration as stop:
                return stop.value
            heard = yield from self._read(reading)

    def _found(self, stored: Stored, call: Call, effect: Effect | None, found: Any) -> Answer | Hold:
        if isinstance(found, Hold):
            return found
        if effect is None:
            self.journal.sending(stored, call)
        self.journal.answered(stored, call.step, 200, _condensed(found), how="found")
        return Answer(200, found)

    def _finish(self, stored: Stored, outcome: Done | Refused | Hold) -> bool:
        if isinstance(outcome, Hold):
            return self.journal.hold(stored, held_skip(stored, outcome))
        if isinstance(outcome, Done):
            self.journal.done(stored, outcome.receipt, outcome.marks)
        else:
            self.journal.refused(stored, outcome.code, outcome.text)
        return True

    def _count_doubt(self, system: str, doubt: Doubt) -> None:
        self._doubts[system] += 1
        if self._doubts[system] >= _DOUBTS_IN_A_ROW:
            raise UnreachableError(
                f"{system} left {self._doubts[system]} requests in a row without a clear answer ({doubt})"
            ) from doubt


def held_skip(stored: Stored, hold: Hold) -> Skip:
    """Return the held item of an intent that stopped."""
    about = {"says": stored.says}
    for name in ("doc_entry", "doc_num", "card_code", "payment", "invoice", "payout", "customer"):
        value = getattr(stored.command, name, None)
        if value is not None:
            about[name] = value
    return Skip(
        stored.name, hold.reason, hold.text, amount=stored.amount, candidates=hold.candidates, about=about, facts=hold.facts
    )


_KEPT = (
    "id",
    "object",
    "status",
    "number",
    "customer",
    "total",
    "amount_due",
    "DocEntry",
    "DocNum",
    "CardCode",
    "TransferSum",
    "JdtNum",
    "Number",
    "ReconNum",
)


def _condensed(body: Any) -> Any:
    """Return what the journal keeps of an answer: enough to go on with, never what guards money."""
    if not isinstance(body, dict):
        return {}
    return {key: value for key, value in body.items() if key in _KEPT and not isinstance(value, dict | list)}
