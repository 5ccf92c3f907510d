"""crontab lines for the tenants' calendars; what cron cannot say is an error, never something near it."""

from __future__ import annotations

import shlex
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from mlc.cli.units import Due, due
from mlc.core.calendars import Rule
from mlc.core.errors import ConfigError

if TYPE_CHECKING:
    from mlc.config import Tenant

_RANGES = {"minute": (0, 59), "hour": (0, 23), "day": (1, 31), "month": (1, 12), "weekday": (1, 7)}
_HEAD = """\
# Printed by mlc schedule cron. These lines are for the crontab of the user mlc runs as: `crontab -e`, or /etc/cron.d/mlc with the
# user's name after the five fields of time.
# cron knows no random delay, and does not catch up on what it missed while the machine was off: systemd timers do both.
PATH=/usr/local/bin:/usr/bin:/bin
# cron mails whatever is printed; -q prints errors only.
#MAILTO=books@example.com
"""


def lines(tenants: list[Tenant], command: str, config: Path) -> str:
    """Return the crontab. Raises ConfigError where cron has no words for a calendar."""
    found = list(due(tenants))
    told = [(one, rule, _line(one, rule, command, config)) for one in found for rule in one.rules]
    zones = {rule.zone or one.tenant.timezone: one for one, rule, _ in told}
    if len(zones) > 1:
        each = ", ".join(f"{zone} ({one.tenant.name} {one.name})" for zone, one in zones.items())
        raise ConfigError(
            f"the calendars are in different time zones, and a crontab has one: {each}",
            hint="print one crontab for each zone with --tenant, or use `mlc schedule systemd`, which knows zones",
        )
    text = _HEAD
    for zone in zones:
        text += (
            "# cronie (Red Hat, SUSE, Arch) reads the times below in this zone. Other crons, Debian's too, take no notice of it: there the\n"
            f"# machine itself must be in {zone}.\nCRON_TZ={zone}\n"
        )
    for one in found:
        text += f"# {one.tenant.name}: {one.name}\n" + "".join(f"{line}\n" for other, _, line in told if other is one)
    return text


def _line(one: Due, rule: Rule, command: str, config: Path) -> str:
    if why := _unsayable(rule):
        raise ConfigError(
            f'{one.tenant.name} {one.name}: "{rule.text}" has no cron form: {why}',
            hint="use `mlc schedule systemd`, or write the calendar differently",
        )
    days, weekdays, guard = _field(rule.days, "day"), _field(tuple(one + 1 for one in rule.weekdays), "weekday"), ""
    if days != "*" and weekdays != "*":  # cron would run on either of the two; so it wakes on the days and asks for the weekday
        wanted = "|".join(str(number + 1) for number in rule.weekdays)
        guard = f'case "$(TZ={rule.zone or one.tenant.timezone} date +%u)" in {wanted}) ;; *) exit 0 ;; esac; '
        weekdays = "*"
    times = f"{_field(rule.minutes, 'minute')} {_field(rule.hours, 'hour')} {days} {_field(rule.months, 'month')} {weekdays}"
    return f"{times} {(guard + shlex.join(one.words(command, config))).replace('%', chr(92) + '%')}"


def _unsayable(rule: Rule) -> str:
    if rule.seconds != (0,):
        return "cron knows whole minutes only"
    if rule.years is not None:
        return "cron knows no years"
    if rule.from_end:
        return "cron cannot count days from the end of a month"
    return ""


def _field(numbers: tuple[int, ...], kind: str) -> str:
    """Return numbers as a field of a crontab, as short as it goes."""
    low, high = _RANGES[kind]
    if len(numbers) == high - low + 1:
        return "*"
    step = numbers[1] - numbers[0] if len(numbers) > 1 else 0
    even = len(numbers) > 2 and all(later - former == step for former, later in pairwise(numbers))
    if even and step == 1:
        return f"{numbers[0]}-{numbers[-1]}"
    if even and numbers[0] == low and numbers[-1] + step > high and kind in ("minute", "hour"):
        return f"*/{step}"
    return ",".join(map(str, numbers))
