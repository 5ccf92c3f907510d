"""run_pass: the one road. Carry what is open, then gather, decide, accept, carry, batch by batch; then wait for what is nearly settled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from mlc.clock import Clock
from mlc.core import errors, keys
from mlc.core.errors import LimitError, MlcError
from mlc.core.inbox import TICKED_BY
from mlc.core.intents import Done, Hold, Plan, Refused, Skip
from mlc.engine.carry import Carrier, Result, held_skip
from mlc.engine.limits import Limits, refuse_if_tripped, trip
from mlc.engine.report import Item, Report
from mlc.store.journal import Journal
from mlc.store.records import Stored

_BATCH = 200
_NEARLY = 30.0


class Pass(Protocol):
    """One pass: what it reads and what it decides."""

    name: str

    def gather(self) -> Iterator[Any]:
        """Read both sides in bounded batches; no writes."""

    def decide(self, facts: Any) -> Plan:
        """Turn facts into a plan; pure."""


@dataclass(slots=True)
class Options:
    """What the command line said about a run."""

    dry_run: bool = False
    limit: int | None = None
    accept_limit: bool = False
    first_run: bool = False
    ask: Callable[[Report], bool] | None = None  # asks at a terminal whether a first run may write


@dataclass(slots=True)
class Road:
    """What a run of one pass needs."""

    journal: Journal
    carrier: Carrier
    limits: Limits
    clock: Clock
    report: Report
    options: Options
    first_run: str = "go"
    alert_after: float = 3 * 86400.0
    _parked: list[tuple[Stored, float]] = field(default_factory=list)
    _unfinished: dict[str, Result] = field(default_factory=dict)
    _gathered: bool = False
    _unasked: bool = False  # a first run that had nothing to write: what turns up meanwhile waits for a person's word

    def run(self, pass_: Pass) -> Report:
        """Run a pass to its end; what a user can cause ends up in the report, never as an exception."""
        self.report.started, told = self.clock.now(), len(self.journal.said)
        try:
            self._run(pass_)
        except LimitError as error:
            if not self.options.dry_run and self.journal.cursor(f"tripped/{pass_.name}") is None and not self._is_first(pass_):
                trip(self.journal, pass_.name, error)
            self.report.fail(error)
        except MlcError as error:
            self.report.fail(error)
        finally:
            for result in self._unfinished.values():
                self.report.add(_item(result.stored, "in_doubt", "in_doubt", result.why))
            self._age()
            self.report.notes = list(dict.fromkeys(self.journal.said[told:]))
            self.report.ended = self.clock.now()
            self.report.audit_head = self.journal.audit.head()
        return self.report

    def _is_first(self, pass_: Pass) -> bool:
        return self.first_run == "ask" and self.journal.cursor(f"first_run/{pass_.name}") is None

    def _run(self, pass_: Pass) -> None:
        dry = self.options.dry_run
        if not dry:
            refuse_if_tripped(self.journal, pass_.name, accept=self.options.accept_limit)
        self.limits.accepted = self.options.accept_limit
        if not dry and self._is_first(pass_) and not self._may_begin(pass_):
            return
        arrived = self.journal.inbox.newest()  # what is delivered from now on may be missed below: it waits for the next run
        self._carry_open(pass_)
        left = self.options.limit
        for facts in pass_.gather():
            plan = pass_.decide(facts)
            more = True
            if left is not None and len(plan.intents) >= left:
                plan, more = cut(plan, left), False
            left = None if left is None else left - len(plan.intents)
            self.report.expected = getattr(pass_, "expected", None)
            self._take(plan, pass_.name)
            if not more:
                break
        else:
            if not self.options.dry_run and not getattr(pass_, "partial", False):
                self.journal.withdraw_unwanted(pass_.name)
                self.journal.inbox.dealt_with(TICKED_BY.get(pass_.name, ()), arrived, self.journal.run_id)
        self._gathered = True
        self._wait_for_the_nearly_settled()

    def _may_begin(self, pass_: Pass) -> bool:
        """The first writing run of a pass shows its plan and wants a person's word."""
        if not self.options.first_run:
            self.options.dry_run, self.report.dry_run = True, True
            for facts in pass_.gather():
                self._take(pass_.decide(facts), pass_.name)
            if not self.report.counts["planned"]:  # nothing to write: what is held may be kept, and the question stays
                self._begin_again()
                self._unasked = True
                return True
            if self.options.ask is None or not self.options.ask(self.report):
                planned = self.report.counts["planned"]
                raise LimitError(
                    f"the first writing run of {pass_.name} would write {planned} document(s) and waits for a person's word",
                    hint="look at the plan above, then run once with --first-run (or answer yes at a terminal)",
                )
            self._begin_again()
        self.journal.set_cursor(f"first_run/{pass_.name}", "accepted")
        return True

    def _begin_again(self) -> None:
        """Forget what was only shown."""
        self.options.dry_run, self.report.dry_run = False, False
        self.report.counts.clear()
        self.report.amounts.clear()
        self.report.codes.clear()
        self.report.news = 0
        self.limits.forget()

    def _carry_open(self, pass_: Pass) -> None:
        """Finish what earlier runs promised, before anything new is read."""
        opened = self.journal.opened(pass_.name, begun=True)
        self.limits.count(stored.amount for stored in opened if getattr(stored.command, "document", True))
        if self.options.dry_run:
            for stored in opened:
                self.report.add(_item(stored, "planned", "", "promised by an earlier run"))
            return
        self.report.promised += len(opened)
        for start in range(0, len(opened), _BATCH):
            self._carry(opened[start : start + _BATCH])

    def _take(self, plan: Plan, pass_: str) -> None:
        self.report.counts["seen"] += plan.seen
        self.report.counts["unchanged"] += plan.unchanged
        names = [intent.name for intent in plan.intents]
        known = self.journal.states(names)
        fresh = [one for one in plan.intents if known.get(one.name) != "open" and (one.anew or known.get(one.name) != "done")]
        for skip in plan.skips:
            self._tell_skip(skip)
        if fresh and self._unasked:
            raise LimitError(
                f"{pass_} found something to write for the first time", hint="look with --dry-run, then --first-run"
            )
        self.limits.check([intent.amount for intent in fresh if getattr(intent.command, "document", True)], pass_)
        if self.options.dry_run:
            self.journal.said += [sentence for name, sentence in plan.notes if not name]
            for intent in fresh:
                command = type(intent.command).__name__
                about = {
                    key: getattr(intent.command, key)
                    for key in ("doc_num", "card_code", "payout")
                    if hasattr(intent.command, key)
                }
                self.report.add(
                    Item(intent.name, target(intent.name), command, "planned", intent.says, amount=intent.amount, about=about,
                         command=intent.command)
                )  # fmt: skip
            return
        opened = self.journal.accept(plan, pass_)
        for adoption in plan.adopted:
            if known.get(adoption.intent.name) != "done":
                self.report.counts["adopted"] += 1
        to_carry = [stored for stored in opened if stored.name not in self._unfinished]
        self.report.promised += len(to_carry)
        self._carry(to_carry)

    def _tell_skip(self, skip: Skip) -> None:
        if not skip.held:
            self.report.counts["unchanged"] += 1
            return
        known = self.journal.held.get(skip.name)
        if known is not None and known.dismissed and known.reason == skip.reason:
            return
        news = known is None or known.reason != skip.reason
        self.report.add(
            Item(
                skip.name, target(skip.name), "hold", "held", skip.text, skip.reason, skip.text,
                amount=skip.amount, about=skip.about, candidates=skip.candidates, news=news,
            )
        )  # fmt: skip

    def _carry(self, opened: list[Stored]) -> None:
        if opened:
            self.carrier.carry(opened, self._heard)

    def _heard(self, result: Result) -> None:
        stored, outcome = result.stored, result.outcome
        self.report.settled += 1
        self._unfinished.pop(stored.name, None)
        if isinstance(outcome, Done):
            self.report.add(_item(stored, "done", "", "", outcome.receipt))
        elif isinstance(outcome, Refused):
            self.report.add(_item(stored, "refused", outcome.code, outcome.text))
        elif isinstance(outcome, Hold):
            skip = held_skip(stored, outcome)
            self.report.add(_item(stored, "held", skip.reason, skip.text, news=result.news))
        elif not (result.afresh and not self._gathered):
            self._unfinished[stored.name] = result
            if result.seconds is not None:
                self._parked.append((stored, self.clock.uptime() + result.seconds))

    def _wait_for_the_nearly_settled(self) -> None:
        """Come back to what is in doubt once it can be looked up, if that is soon; the rest is for the next run."""
        for _ in range(4):
            now = self.clock.uptime()
            soon = [(stored, due) for stored, due in self._parked if due - now <= _NEARLY]
            self._parked = []
            if not soon or self.options.dry_run:
                return
            self.clock.sleep(max(0.0, max(due for _, due in soon) - now) + 0.05)
            names = {stored.name for stored, _ in soon}
            waiting = [result.stored for result in self._unfinished.values() if result.why.startswith("waits for ")]
            again = [self.journal.find(name) for name in [*names, *(stored.name for stored in waiting)]]
            self._carry(sorted((one for one in again if one and one.state == "open"), key=lambda one: one.id))

    def _age(self) -> None:
        """A held or refused item that nobody deals with makes every run end with 3."""
        both = (("held", self.journal.held.oldest()), ("refused", self.journal.oldest_refused()))
        waits = [(self.clock.now() - since, state) for state, since in both if since is not None]
        if waits and max(waits)[0] > self.alert_after:
            self.report.overdue = max(waits)[1], max(waits)[0]
            self.report.codes.append(errors.ATTENTION)


def cut(plan: Plan, limit: int) -> Plan:
    """Return a plan of at most `limit` wishes whose cursors stay where they are: unfinished work is never passed by."""
    return Plan(
        plan.intents[:limit], plan.skips, plan.adopted, plan.marks, plan.healed, {}, [], plan.notes, plan.seen, plan.unchanged
    )


_IN_SAP = {
    *("post-payment", "reconcile-payout", "payout-line", "settle", "bounce", "match", "tax", "parked", "paid-twice"),
    *("link-customer", "note-mandate", "reversed", "refund", "dispute", "returned", "update-partner", "create-partner"),
}  # fmt: skip


def target(name: str) -> str:
    """Return the system in which a wish is made true: the second word of its name, or SAP for what is booked there."""
    parts = name.split("/", 3)
    return "sap" if parts[1] in _IN_SAP else parts[2]


def _item(stored: Stored, state: str, reason: str, text: str, receipt: Any = None, *, news: bool = True) -> Item:
    command = stored.command
    keys_ = ("doc_num", "doc_entry", "card_code", "payment", "payout", "customer")
    about = {key: getattr(command, key) for key in keys_ if hasattr(command, key)}
    return Item(
        stored.name, target(stored.name), type(command).__name__, state, stored.says or keys.thing_of(stored.name), reason, text,
        receipt=receipt, amount=stored.amount, about=about, news=news, command=command,
    )  # fmt: skip


def batches(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Yield lists of at most `size`."""
    batch: list[Any] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
