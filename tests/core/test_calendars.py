"""Calendar expressions: what they mean, when they are due next, and the same as the service manager says."""

from __future__ import annotations

import calendar
import re
import shutil
import subprocess
from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlc.core.calendars import SHORTHANDS, CalendarError, Rule, read, shortest_gap, upcoming

BERLIN = ZoneInfo("Europe/Berlin")
ANALYZE = shutil.which("systemd-analyze")


def moments(value: str | tuple[str, ...], after: datetime, count: int, zone: ZoneInfo = BERLIN) -> list[str]:
    """The next moments of an expression, in the zone's own time."""
    found = islice(upcoming(read(value), zone, after), count)
    return [one.astimezone(zone).strftime("%a %Y-%m-%d %H:%M:%S") for one in found]


NEXT = [
    ("*:0/15", "Mon 2026-11-02 09:15:00", "Mon 2026-11-02 09:30:00"),
    ("Mon..Fri 07:30", "Tue 2026-11-03 07:30:00", "Wed 2026-11-04 07:30:00"),
    ("Sat,Sun", "Sat 2026-11-07 00:00:00", "Sun 2026-11-08 00:00:00"),
    ("hourly", "Mon 2026-11-02 10:00:00", "Mon 2026-11-02 11:00:00"),
    ("Daily", "Tue 2026-11-03 00:00:00", "Wed 2026-11-04 00:00:00"),
    ("weekly", "Mon 2026-11-09 00:00:00", "Mon 2026-11-16 00:00:00"),
    ("monthly", "Tue 2026-12-01 00:00:00", "Fri 2027-01-01 00:00:00"),
    ("quarterly", "Fri 2027-01-01 00:00:00", "Thu 2027-04-01 00:00:00"),
    ("*-*~1 22:00", "Mon 2026-11-30 22:00:00", "Thu 2026-12-31 22:00:00"),
    ("Fri *-*~7/1 08:00", "Fri 2026-11-27 08:00:00", "Fri 2026-12-25 08:00:00"),
    ("*-02-29 12:00", "Tue 2028-02-29 12:00:00", "Sun 2032-02-29 12:00:00"),
    ("2027-*-15 06:00", "Fri 2027-01-15 06:00:00", "Mon 2027-02-15 06:00:00"),
    ("*:0/30:0/20", "Mon 2026-11-02 09:00:20", "Mon 2026-11-02 09:00:40"),
    ("06:00 UTC", "Tue 2026-11-03 07:00:00", "Wed 2026-11-04 07:00:00"),
    ("first working day 06:00", "Tue 2026-12-01 06:00:00", "Fri 2027-01-01 06:00:00"),
    ("Last Working Day 18:00", "Mon 2026-11-30 18:00:00", "Thu 2026-12-31 18:00:00"),
    ("working day 3 06:00", "Wed 2026-11-04 06:00:00", "Thu 2026-12-03 06:00:00"),
    ("working day 20", "Fri 2026-11-27 00:00:00", "Mon 2026-12-28 00:00:00"),
    (("06:00", "first working day 05:00"), "Tue 2026-11-03 06:00:00", "Wed 2026-11-04 06:00:00"),
]


@pytest.mark.parametrize(("text", "first", "second"), NEXT)
def test_when_it_is_due_next(text, first, second):
    """Each form of expression is due when a calendar on the wall says so."""
    assert moments(text, datetime(2026, 11, 2, 9, 0, tzinfo=BERLIN), 2) == [first, second]


WRONG = [
    ("dayly", 'did you mean "daily"?'),
    ("Mon..Fry 07:30", 'did you mean "Fri'),
    ("*:*/5", "write 0/5"),
    ("24:00", "hours go from 0 to 23"),
    ("Fri..Mon 07:00", "write Mon,Fri..Sun"),
    ("*-02-30", "never comes"),
    ("2026-02-29", "never comes"),
    ("10", "neither a date nor a time"),
    ("*:0/60", "leads nowhere"),
    ("*:0/0", "leads nowhere"),
    ("*:5..3", "the smaller one first"),
    ("first working monday", "write `first working day 06:00`"),
    ("working day 23 06:00", "not every month has"),
    ("working day 0", "not every month has"),
    ("26-01-01", "four digits"),
    ("10:00 11:00", "where nothing more is expected"),
    ("*:00:0.5", "whole seconds"),
    ("", "is empty"),
    ("Mon..", "no weekday"),
    ("*-*~29..31", "count up to 28"),
    ("*-*~1,26", "count up to 25"),
    ("*-*~1/1", "leads nowhere"),
    ("*-*~*", 'has "*" as the day'),
    ("07.30", "neither a date nor a time"),
    ("*-*-01; rm 06:00", 'has "01;" as the day'),
    ("٣:00", "as the hour"),
]


@pytest.mark.parametrize(("text", "expected"), WRONG)
def test_what_means_nothing_is_told_with_the_fix(text, expected):
    """A wrong expression says which part of it is wrong and what to write."""
    with pytest.raises(CalendarError, match=re.escape(expected)):
        read(text)


def test_working_days_are_those_of_the_month():
    """First, n-th and last working day are what counting Monday to Friday gives, each month once, for forty years."""
    begin = datetime(2019, 12, 31, 23, tzinfo=UTC)
    for text, index in [
        ("first working day", 0),
        ("last working day", -1),
        *((f"working day {n}", n - 1) for n in (2, 7, 15, 20)),
    ]:
        due = islice(upcoming(read(f"{text} 06:00"), ZoneInfo("UTC"), begin), 480)
        counted = []
        for year in range(2020, 2060):
            for month in range(1, 13):
                days = [date(year, month, day + 1) for day in range(calendar.monthrange(year, month)[1])]
                counted.append([day for day in days if day.weekday() < 5][index])
        assert [moment.date() for moment in due] == counted


def test_the_clock_that_jumps():
    """What is skipped in spring does not come; what comes twice in autumn counts once, and no moment stands still."""
    spring = datetime(2026, 3, 28, 12, tzinfo=BERLIN)
    assert moments("02:30", spring, 2) == ["Mon 2026-03-30 02:30:00", "Tue 2026-03-31 02:30:00"]
    assert moments("*:0/30", datetime(2026, 3, 29, 1, 0, tzinfo=BERLIN), 2)[-1] == "Sun 2026-03-29 03:00:00"
    autumn = datetime(2026, 10, 25, 1, 0, tzinfo=BERLIN)
    assert moments("02:30", autumn, 2) == ["Sun 2026-10-25 02:30:00", "Mon 2026-10-26 02:30:00"]
    every = list(islice(upcoming(read("*:0/5"), BERLIN, autumn), 600))
    assert all(one < two for one, two in pairwise(every))
    assert not moments("2026-10-25 02:30", datetime(2026, 10, 25, 1, 15, tzinfo=UTC), 1)


def test_the_shortest_gap():
    """The gap is measured over all rules together, and there is none where nothing comes twice."""
    now = datetime(2026, 11, 2, tzinfo=UTC)
    assert shortest_gap(read(("*:0/5", "*:2/5")), BERLIN, now) == timedelta(minutes=2)
    assert shortest_gap(read("2027-01-01"), BERLIN, now) is None


def listed(low: int, high: int):
    """A chain of numbers, ranges and steps as the syntax has them."""
    number = st.integers(low, high)
    pair = st.tuples(number, number).map(sorted)
    step = st.integers(low, high - 1).flatmap(lambda one: st.tuples(st.just(one), st.integers(1, high - one)))
    item = st.one_of(number.map(str), pair.map("{0[0]}..{0[1]}".format), step.map("{0[0]}/{0[1]}".format))
    return st.one_of(st.just("*"), st.lists(item, min_size=1, max_size=3).map(",".join))


DAYS = st.lists(st.sampled_from(["Mon", "tuesday", "Wed", "Thu..Sat", "Mon..Fri", "Sun"]), max_size=2).map(",".join)
TAIL = st.sampled_from(["~01", "~28", "~7/1", "~27/2", "~1..3", "~2..9/3", "~3,1", "~05,1..2"])
DATES = st.one_of(
    st.just(""), st.tuples(listed(1, 12), st.one_of(listed(1, 31).map("-".__add__), TAIL)).map("*-{0[0]}{0[1]}".format)
)
TIMES = st.tuples(listed(0, 23), listed(0, 59), listed(0, 59)).map(":".join)
EXPRESSIONS = st.one_of(
    st.tuples(DAYS, DATES, TIMES).map(lambda parts: " ".join(filter(None, parts))),
    st.sampled_from(sorted(SHORTHANDS)),
)
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"])
BASES = st.datetimes(datetime(2000, 1, 1), datetime(2099, 1, 1)).map(lambda one: one.replace(microsecond=0, tzinfo=UTC))  # noqa: DTZ001


@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not here")
@settings(max_examples=80, deadline=None)
@given(EXPRESSIONS, ZONES, BASES)
def test_the_next_times_are_those_of_the_service_manager(text, zone, base):
    """What is counted here and what systemd-analyze counts is the same, but for hours that come twice."""
    try:
        rules = read(text)
    except CalendarError as error:
        assert "never comes" in str(error)  # noqa: PT017 - the only thing a well-formed expression can lack
        rules = ()
    command = [str(ANALYZE), "calendar", "--iterations=4", f"--base-time={base:%Y-%m-%d %H:%M:%S} UTC"]
    words = [rule.in_zone(zone) for rule in rules] or [f"{text} {zone}"]
    told = subprocess.run(
        [*command, *words], capture_output=True, text=True, check=False, timeout=30, env={"TZ": "UTC", "LC_ALL": "C"}
    )
    assert told.returncode == 0, told.stderr
    theirs = re.findall(r"(?:Next elapse|Iter\. #\d+): \w{3} ([-\d]+ [:\d]+) UTC", told.stdout)
    ours = list(islice(upcoming(rules, ZoneInfo(zone), base), 4))
    if any(twice(one, zone) for one in [base, *ours]):
        return
    assert [one.strftime("%Y-%m-%d %H:%M:%S") for one in ours] == theirs


def twice(moment: datetime, zone: str) -> bool:
    """Whether the wall clock shows this time twice, or will within the hour."""
    hours = [moment.astimezone(ZoneInfo(zone)) + timedelta(minutes=30 * back) for back in range(-3, 4)]
    return any(one.utcoffset() != one.replace(fold=1 - one.fold).utcoffset() for one in hours)


@settings(max_examples=60, deadline=None)
@given(EXPRESSIONS, BASES)
def test_moments_only_go_forward(text, base):
    """Whatever the expression, the moments come after the base, in order, and at times it allows."""
    try:
        rules = read(text)
    except CalendarError:
        return
    before = base
    for moment in islice(upcoming(rules, BERLIN, base), 20):
        local = moment.astimezone(BERLIN)
        assert moment > before
        assert any(local.weekday() in rule.weekdays and local.hour in rule.hours for rule in rules)
        before = moment


def test_open_steps_are_closed_for_the_service_manager():
    """A step that would run over the end of the year is printed with its end, and means the same."""
    said = {
        "*-*-1/4": "*-*-1..31/4",
        "0/5:00": "0..23/5:00",
        "*:0/15": "*:0/15",
        "1/5-1 6:0": "*-1..12/5-1 6:0",
        "*-*~6/2": "*-*~2..6/2",
    }
    assert [read(text)[0].text for text in said] == list(said.values())
    assert all(read(text)[0].days == read(closed)[0].days for text, closed in said.items())


def test_a_rule_carries_its_zone():
    """An expression keeps its own zone, and takes the tenant's where it has none."""
    rules = read(("06:00", "07:00 UTC"))
    assert [rule.in_zone("Europe/Berlin") for rule in rules] == ["06:00 Europe/Berlin", "07:00 UTC"]
    assert Rule("x").in_zone("UTC") == "x UTC"
