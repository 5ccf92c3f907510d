"""What a comparison works in: the span of days, both ways to read it, what was seen so far, and what the journal says of it.

The journal only explains: whether something is there is asked of the systems, never of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta

from mlc.core.comparing import (
    AT_STRIPE,
    DIFFERENT,
    INVOICE,
    MISSING_IN_SAP,
    NOT_COMPARABLE,
    ON_ITS_WAY,
    PAYMENT,
    PAYOUT,
    SAME,
    TWICE,
    Finding,
    Tally,
    Terms,
)  # fmt: skip
from mlc.core.intents import Mark
from mlc.passes.scene import Scene
from mlc.store.besides import Besides
from mlc.store.held import Held
from mlc.systems.sap.spans import SapSpans
from mlc.systems.stripe.spans import StripeSpans

LOOKS = 200  # so many things are looked at one by one before what a page says must do
_THERE = (DIFFERENT, TWICE, ON_ITS_WAY, NOT_COMPARABLE)  # that mlc did it once explains none of these
_PASSING = (
    "refund_pending",
    "balance_pending",
    "not_reconciled",
    "closed_period",
)  # dismissing these says nothing of what comes
_TURNED = ("refund_failed", "dispute_won", "payout_failed")
_LATE = 3600  # a run may not see at once what happened just before it


@dataclass(slots=True)
class Span:
    """One comparison of one tenant while it goes on. Both days are included."""

    scene: Scene
    since: date
    until: date
    besides: Besides
    sap: SapSpans
    stripe: StripeSpans | None
    terms: Terms
    tally: Tally = field(default_factory=Tally)
    notes: list[str] = field(default_factory=list)
    looks: int = LOOKS
    known: bool = True  # whether there is a state file at all
    others: int = 0  # of other companies on the same account
    _seen: dict[str, float] | None = None

    @property
    def first(self) -> int:
        """The first moment of the span, Unix seconds."""
        return int(datetime.combine(self.since, time(), self.scene.rules.zone).timestamp())

    @property
    def end(self) -> int:
        """The first moment after the span, Unix seconds."""
        return int(datetime.combine(self.until + timedelta(days=1), time(), self.scene.rules.zone).timestamp())

    def holds(self, day: date | None) -> bool:
        """Tell whether a day lies in the span."""
        return day is not None and self.since <= day <= self.until

    def note(self, text: str) -> None:
        """Say once what was not compared, and why."""
        if text not in self.notes:
            self.notes.append(text)

    def look(self) -> bool:
        """Tell whether one more thing may be read by itself."""
        if not self.looks:
            self.note(f"{LOOKS} differences were read one by one; of the rest only what the lists say is told")
            return False
        self.looks -= 1
        return True

    def take(self, found: Finding) -> Finding:
        """Count a finding."""
        self.tally.add(found)
        return found

    # --- what the journal says ----------------------------------------------------------------------------------------

    def held(self, name: str) -> Held | None:
        """Return what is held under a name, dismissed or not."""
        return self.scene.journal.held.get(name)

    def dealt_with(self, names: Sequence[str], mark: Mark | None, *, turned: bool = False) -> bool:
        """Tell whether a person dealt with it, or mlc recognised what a person keyed.

        What `turned` a thing (a refund that failed) is dealt with by another dismissal than the thing itself.
        """
        if mark is not None and mark.state == "by_hand":
            return True
        dismissed = [one.reason for name in names if (one := self.held(name)) is not None and one.dismissed]
        return any(reason not in _PASSING and (not turned or reason in _TURNED) for reason in dismissed)

    def explained(
        self, found: Finding, names: Sequence[str], word: str, mark: Mark | None = None, pass_: str = "", at: int = 0
    ) -> Finding:
        """Return a finding with what the journal says of it and the next step; `word` is what commands call it."""
        if found.state == SAME:
            return found
        held = next((one for name in names if (one := self.held(name)) is not None), None)
        if held is None and found.kind == PAYOUT and found.state == MISSING_IN_SAP:  # a line of it may hold the whole
            held = next((one for one in self.scene.journal.held.search(word) if not one.dismissed), None)
        missing = found.state not in _THERE
        text = self._held(held) if held is not None else self._wish(names, done=missing)
        if found.kind == PAYMENT and self.scene.journal.decision(found.id):
            text = f"{text}{'; ' if text else ''}a person matched it by hand"
        if not text and missing and mark is not None and mark.state:
            number = f" ({mark.data['number']})" if mark.data.get("number") else ""
            text = f"mlc noted it as {mark.state}{number}"
        if not text and pass_ and self.known and not found.other and at > self._last(pass_) - _LATE:
            text = f"no run of {pass_} has seen it yet"
        return replace(
            found, explanation=text, command=found.command or _step(found, word, waits=held is not None and not held.dismissed)
        )

    def _held(self, held: Held) -> str:
        day = self.scene.day_of(held.since)
        if held.dismissed:
            return f"dismissed by a person{f': {held.note}' if held.note else ''} (was held {held.reason} since {day})"
        return f"held {held.reason} since {day}: {held.text}"

    def _wish(self, names: Sequence[str], *, done: bool) -> str:
        """Say how the wish stands: in doubt, promised, refused, done."""
        for name in names:
            stored = self.scene.journal.find(name)
            if stored is None or stored.code == "withdrawn":
                continue
            if stored.state == "open":
                begun = self.scene.journal.states([name]).get(name) != "promised"
                return "in doubt: it was sent, and no answer is known" if begun else "promised, and not sent yet"
            if stored.state == "refused":
                return f"refused: {stored.code} {stored.reason}".strip()
            if done:
                return f"mlc did it: {stored.receipt}"
        return ""

    def _last(self, pass_: str) -> float:
        """Return when a pass last succeeded, 0 where it never did."""
        if self._seen is None:
            self._seen = {run["pass"]: float(run["success"] or 0) for run in self.scene.journal.runs.last()}
        return self._seen.get(pass_, 0.0)


def _step(found: Finding, word: str, *, waits: bool) -> str:
    if waits:
        return f"mlc held show {word}"
    if found.state in (ON_ITS_WAY, NOT_COMPARABLE):
        return ""
    if found.state == MISSING_IN_SAP and found.kind != INVOICE:
        return f"mlc replay {word} --again" if found.other else f"mlc replay {word}"
    if found.state == AT_STRIPE and found.kind == INVOICE:
        return f"mlc replay {word}"
    return f"mlc explain {word}"


def moment(day: date) -> int:
    """Return a day's midnight UTC, which is how Stripe tells days."""
    return int(datetime.combine(day, time(), UTC).timestamp())
