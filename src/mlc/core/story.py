"""What is told of one thing: sentences with their time and where each is from, and the order in which they make a story."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

JOURNAL = "journal"


@dataclass(frozen=True, slots=True)
class Told:
    """One sentence. `at` is a moment, a day where the system tells no more, or None for how it stands now."""

    source: str  # journal | SAP now | Stripe now | GoCardless now
    kind: str
    text: str
    at: datetime | date | None = None
    data: dict[str, Any] = field(default_factory=dict)
    late: bool = False  # of a day without a time: it answers what happened on that day, so it is told after that


@dataclass(slots=True)
class Tale:
    """What one system tells, and what else the things it told of lead to."""

    told: list[Told] = field(default_factory=list)
    leads: list[tuple[str, str]] = field(default_factory=list)  # (kind of thing, its id)

    def lead(self, kind: str, ident: object) -> None:
        """Note a thing worth asking about; nothing where there is no id."""
        if ident and (kind, str(ident)) not in self.leads:
            self.leads.append((kind, str(ident)))


def moment(at: datetime | date, zone: ZoneInfo, *, late: bool = False) -> datetime:
    """Return where on the line of time a sentence stands, in the tenant's zone."""
    if isinstance(at, datetime):
        return at.astimezone(zone)
    return datetime.combine(at, time(23, 59, 59) if late else time(), zone)


def ordered(told: Iterable[Told], zone: ZoneInfo) -> list[Told]:
    """Return sentences in the order of time, each once; how things stand now comes last."""
    unique = list({(one.source, one.text, one.at): one for one in told}.values())
    timed = [one for one in unique if one.at is not None]
    timed.sort(key=lambda one: moment(one.at or date.min, zone, late=one.late))
    return [*timed, *(one for one in unique if one.at is None)]


def when(one: Told, zone: ZoneInfo) -> str:
    """Return the time of a sentence as people read it."""
    if one.at is None:
        return "now"
    if isinstance(one.at, datetime):
        return one.at.astimezone(zone).strftime("%Y-%m-%d %H:%M")
    return one.at.isoformat()
