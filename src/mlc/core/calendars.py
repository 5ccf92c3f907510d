"""When something is due: systemd's calendar expressions and a few words of billing, read and counted without a clock."""

from __future__ import annotations

import calendar
import difflib
import heapq
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
SHORTHANDS = {
    "minutely": "*-*-* *:*:00", "hourly": "*-*-* *:00:00", "daily": "*-*-* 00:00:00", "weekly": "Mon *-*-* 00:00:00",
    "monthly": "*-*-01 00:00:00", "quarterly": "*-01,04,07,10-01 00:00:00", "semiannually": "*-01,07-01 00:00:00",
    "semi-annually": "*-01,07-01 00:00:00", "biannually": "*-01,07-01 00:00:00", "bi-annually": "*-01,07-01 00:00:00",
    "yearly": "*-01-01 00:00:00", "annually": "*-01-01 00:00:00",
}  # fmt: skip
FIRST_YEAR, LAST_YEAR = 1970, 2199
_LEAST_WORKING_DAYS = 20  # every month has as many from Monday to Friday, February too
_WORKING = re.compile(r"(?:(first|last) working day|working day (\d+))(?= |$)(.*)", re.IGNORECASE)
_WORKING_FIX = "write `first working day 06:00`, `last working day 18:00` or `working day 3 06:00`"
_DATE = re.compile(r"(?:([^-~]+)-)?([^-~]+)([-~])([^-~]+)")
_ITEM = re.compile(r"(\d+)(?:\.\.(\d+))?(?:/(\d+))?", re.ASCII)
_KINDS = {"month": (1, 12), "day": (1, 31), "hour": (0, 23), "minute": (0, 59), "second": (0, 59)}


class CalendarError(ValueError):
    """An expression that means nothing, in words that end with how to mend it."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One calendar expression, taken apart into the numbers it allows; `from_end` counts days from the month's last.

    `text` is what systemd gets: open steps are closed (`1/4` as `1..31/4`), because a step that runs over the end of the
    year skips its first days and hours there, or makes the timer stop for good (seen in systemd 252).
    """

    text: str
    weekdays: tuple[int, ...] = tuple(range(7))
    years: tuple[int, ...] | None = None
    months: tuple[int, ...] = tuple(range(1, 13))
    days: tuple[int, ...] = tuple(range(1, 32))
    from_end: bool = False
    hours: tuple[int, ...] = (0,)
    minutes: tuple[int, ...] = (0,)
    seconds: tuple[int, ...] = (0,)
    zone: str = ""

    def in_zone(self, zone: str) -> str:
        """Return the expression as systemd reads it, with the zone it is meant in."""
        return f"{self.text} {self.zone or zone}"

    def local_times(self, since: datetime) -> Iterator[datetime]:
        """Yield the wall-clock times it allows from a wall-clock time on, in order."""
        for year in range(since.year, LAST_YEAR + 1):
            if self.years is not None and year not in self.years:
                continue
            for month in self.months:
                if (year, month) < (since.year, since.month):
                    continue
                for day in self._days(year, month):
                    if (year, month, day) >= (since.year, since.month, since.day):
                        yield from self._times(year, month, day, since)

    def _days(self, year: int, month: int) -> list[int]:
        first, length = calendar.monthrange(year, month)
        days = sorted(length + 1 - day for day in self.days) if self.from_end else self.days
        return [day for day in days if 1 <= day <= length and (first + day - 1) % 7 in self.weekdays]

    def _times(self, year: int, month: int, day: int, since: datetime) -> Iterator[datetime]:
        same = (year, month, day) == (since.year, since.month, since.day)
        for hour in (one for one in self.hours if not same or one >= since.hour):
            for minute in self.minutes:
                for second in self.seconds:
                    found = datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - the wall clock of any zone
                    if found >= since:
                        yield found


def read(value: str | tuple[str, ...]) -> tuple[Rule, ...]:
    """Return the rules that an expression, or a list of them, means. Raises CalendarError."""
    return tuple(rule for text in ([value] if isinstance(value, str) else value) for rule in _read(text))


def upcoming(rules: tuple[Rule, ...], zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """Yield every moment (UTC) after another at which one of the rules is due, in order and each once.

    As systemd does: a wall-clock time that is skipped in spring does not come, one that comes twice in autumn counts once.
    """
    last = after
    for moment in heapq.merge(*(_moments(rule, ZoneInfo(rule.zone) if rule.zone else zone, after) for rule in rules)):
        if moment > last:
            yield moment
            last = moment


def shortest_gap(rules: tuple[Rule, ...], zone: ZoneInfo, after: datetime, among: int = 400) -> timedelta | None:
    """Return the shortest time between two of the next moments, None where fewer than two are left."""
    found: list[timedelta] = []
    before: datetime | None = None
    for _, moment in zip(range(among), upcoming(rules, zone, after), strict=False):
        if before is not None:
            found.append(moment - before)
        before = moment
    return min(found, default=None)


def _moments(rule: Rule, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    begin = after.astimezone(zone).replace(tzinfo=None)
    for local in rule.local_times(begin):
        moment = local.replace(tzinfo=zone).astimezone(UTC)
        if moment > after and moment.astimezone(zone).replace(tzinfo=None) == local:
            yield moment


def _read(text: str) -> list[Rule]:
    if working := _WORKING.fullmatch(" ".join(text.split())):
        return _working_days(*working.groups())
    if "working" in text.lower():
        raise CalendarError(f"is no working day of the month; {_WORKING_FIX}")
    return [_expression(text.split())]


def _working_days(end: str | None, number: str | None, tail: str) -> list[Rule]:
    """Return one rule for each set of days on which a weekday can be that working day (Monday to Friday, no holidays)."""
    nth = int(number) if number else 1
    if not 1 <= nth <= _LEAST_WORKING_DAYS:
        raise CalendarError(
            f"asks for working day {nth}, which not every month has; {_WORKING_FIX} (1 to {_LEAST_WORKING_DAYS})"
        )
    from_end = bool(end) and str(end).lower() == "last"
    step = -1 if from_end else 1
    groups: dict[tuple[int, ...], list[int]] = {}
    for weekday in range(5):
        days = [
            day for day in range(1, 32) if sum((weekday - step * back) % 7 < 5 for back in range(day)) == nth
        ]  # as many working days as asked for, counted back from this day to the month's edge
        groups.setdefault(tuple(days), []).append(weekday)
    rest = tail.split()
    if not rest or ":" not in rest[0]:
        rest.insert(0, "00:00")
    return [
        _expression([_named(weekdays), f"*-*{'~' if from_end else '-'}{_ranged(days)}", *rest])
        for days, weekdays in groups.items()
    ]


def _named(weekdays: list[int]) -> str:
    return _joined([WEEKDAYS[one][:3] for one in weekdays], weekdays)


def _ranged(days: tuple[int, ...]) -> str:
    return _joined([f"{one:02}" for one in days], list(days))


def _joined(words: list[str], numbers: list[int]) -> str:
    if len(numbers) > 1 and numbers[-1] - numbers[0] == len(numbers) - 1:
        return f"{words[0]}..{words[-1]}"
    return ",".join(words)


def _expression(parts: list[str]) -> Rule:
    if not parts:
        raise CalendarError("is empty; write for example `Mon..Fri 07:30`")
    rest, zone = list(parts), ""
    if re.fullmatch(r"[A-Za-z][\w+/-]*", rest[-1], re.ASCII) and len(rest) > 1:
        zone = rest.pop()
        zone = "UTC" if zone.upper() == "UTC" else zone
    said: list[str] = []
    if len(rest) == 1 and rest[0].lower() in SHORTHANDS:
        said = [rest[0].lower()]
        rest = SHORTHANDS[rest[0].lower()].split()
    fields: dict[str, tuple[int, ...] | None] = {}
    short = bool(said)
    if rest[0][:1].isalpha():
        said.append(rest[0])
        fields["weekdays"] = _weekdays(rest.pop(0), alone=len(parts) == 1)
    from_end = False
    if rest and ":" not in rest[0]:
        dates, from_end, text = _date(rest.pop(0))
        said.append(text)
        fields |= dates
    if rest:
        times, text = _time(rest.pop(0))
        said.append(text)
        fields |= times
    if rest:
        raise CalendarError(
            f'has "{rest[0]}" where nothing more is expected; write weekdays, date, time and zone in this order'
        )
    rule = Rule(text=said[0] if short else " ".join(said), zone=zone, from_end=from_end, **fields)  # type: ignore[arg-type]
    if next(rule.local_times(datetime(FIRST_YEAR, 1, 1)), None) is None:  # noqa: DTZ001 - the wall clock of any zone
        raise CalendarError("names a day that never comes; look at the day and the month")
    return rule


def _weekdays(word: str, *, alone: bool) -> tuple[int, ...]:
    found: set[int] = set()
    for part in word.removesuffix(",").split(","):
        ends = [_weekday(one, word, alone=alone) for one in re.split(r"\.\.|-", part, maxsplit=1)]
        if ends[0] > ends[-1]:
            both = _named(list(range(ends[-1] + 1))), _named(list(range(ends[0], 7)))
            raise CalendarError(f"has weekdays that run backwards ({part}); the week begins on Monday: write {','.join(both)}")
        found |= set(range(ends[0], ends[-1] + 1))
    return tuple(sorted(found))


def _weekday(name: str, word: str, *, alone: bool) -> int:
    names = {one.lower(): number for number, long in enumerate(WEEKDAYS) for one in (long, long[:3])}
    if name.lower() in names:
        return names[name.lower()]
    near = difflib.get_close_matches((name or word).lower(), [*names, *(SHORTHANDS if alone else ())], n=1)
    known = "Mon, Tue, Wed, Thu, Fri, Sat, Sun" + (", or daily, weekly, monthly ..." if alone else "")
    fix = f'did you mean "{near[0].capitalize() if near[0] in names else near[0]}"?' if near else f"known here: {known}"
    raise CalendarError(f'has "{name or word}", which is no weekday{" or shorthand" if alone else ""}; {fix}')


def _date(word: str) -> tuple[dict[str, tuple[int, ...] | None], bool, str]:
    parts = _DATE.fullmatch(word)
    if parts is None:
        raise CalendarError(f'has "{word}", which is neither a date nor a time; write for example *-*-01 or 07:30')
    year, month, mark, day = parts.groups()
    from_end = mark == "~"
    out = {"years": _years(year), "months": _numbers(month, "month"), "days": _numbers(day, "day", from_end=from_end)}
    text = f"{_closed(month, 'month')}{mark}{_closed(day, 'day', from_end=from_end)}"
    return out, from_end, f"{_closed(year or '*', 'year')}-{text}"


def _years(word: str | None) -> tuple[int, ...] | None:
    if word in (None, "*"):
        return None
    if any(len(number) != 4 for number in re.findall(r"(?<!/)\b\d+", str(word))):
        raise CalendarError(f'has the year "{word}"; write it with four digits, or * for every year')
    return _list(str(word), "year", FIRST_YEAR, LAST_YEAR)


def _time(word: str) -> tuple[dict[str, tuple[int, ...] | None], str]:
    parts = word.split(":")
    if not 2 <= len(parts) <= 3:
        raise CalendarError(f'has "{word}", which is no time; write for example 07:30 or *:0/15')
    if "." in re.sub(r"\.\.", "", parts[-1]):
        raise CalendarError("has parts of a second; whole seconds are the finest here")
    hours, minutes, seconds = (*parts, "00")[:3]
    out = {"hours": _numbers(hours, "hour"), "minutes": _numbers(minutes, "minute"), "seconds": _numbers(seconds, "second")}
    return dict(out), ":".join(_closed(one, kind) for one, kind in zip(parts, ("hour", "minute", "second"), strict=False))


def _closed(word: str, kind: str, *, from_end: bool = False) -> str:
    """Return a chain with its open steps closed, where they would run over the end; the same numbers, safely said."""
    low, high = _KINDS.get(kind, (FIRST_YEAR, LAST_YEAR))

    def close(found: re.Match[str]) -> str:
        start, step = int(found[1]), int(found[2])
        if from_end:
            return f"{(start - 1) % step + 1}..{start}/{step}"
        even = kind in ("hour", "minute", "second") and start == low and (high + 1) % step == 0
        return found[0] if even else f"{start}..{high}/{step}"

    same = re.sub(r"\b(\d+)\.\.\1(/\d+)?(?=,|$)", r"\1", word)
    return ",".join(re.sub(r"^(\d+)/(\d+)$", close, part) for part in same.split(","))


def _numbers(word: str, kind: str, *, from_end: bool = False) -> tuple[int, ...]:
    low, high = _KINDS[kind]
    if word == "*" and not from_end:
        return tuple(range(low, high + 1))
    return _list(word, kind, low, high, from_end=from_end)


def _list(word: str, kind: str, low: int, high: int, *, from_end: bool = False) -> tuple[int, ...]:
    found: set[int] = set()
    parts = word.split(",")
    most = 28 - 3 * (len(parts) - 1) if from_end else high  # as systemd counts from the end: fewer with each entry of a list
    for part in parts:
        item = _ITEM.fullmatch(part)
        if item is None:
            fix = (
                f"a step begins at a number: write {low}{part[1:]}"
                if part.startswith("*/")
                else "write for example 5, 1..5 or 0/15"
            )
            raise CalendarError(f'has "{part}" as the {kind}; {fix}')
        start, stop, step = (int(one) if one else None for one in item.groups())
        assert start is not None
        span = f"{kind}s are {low} to {high}" if low else f"{kind}s go from {low} to {high}"
        if not low <= start <= high or (stop is not None and not start <= stop <= high):
            raise CalendarError(f'has "{part}" as the {kind}; {span}, the smaller one first: correct it')
        if (stop or start) > most:
            raise CalendarError(f'has "~{part}", which systemd does not count from the end; count up to {most}')
        if step is not None and not 1 <= step <= (start - 1 if from_end and stop is None else most - start):
            raise CalendarError(
                f'has "{part}" as the {kind}, a step that leads nowhere; {span}: leave it out or write a smaller one'
            )
        found |= _span(start, stop, step, high, from_end=from_end)
    return tuple(sorted(found))


def _span(start: int, stop: int | None, step: int | None, high: int, *, from_end: bool) -> set[int]:
    if stop is not None:
        return set(range(start, stop + 1, step or 1))
    if step is None:
        return {start}
    return set(range(start, 0, -step)) if from_end else set(range(start, high + 1, step))
