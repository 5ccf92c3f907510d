"""What those who watch are told: the body of a ping, a file for Prometheus, one line for a mail. Pure, and counts only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlc.cli.render import age
from mlc.core import errors
from mlc.engine.report import STATES, Report

COUNTED = ("seen", *(state for state in STATES if state != "planned"), "unchanged")
NEEDS_NOBODY = (errors.OK, errors.LOCKED)  # the other run is the one to watch
_MOST_BYTES = 100_000


@dataclass(frozen=True, slots=True)
class Figures:
    """How a tenant stands after a command; `journal` is False where its state could not be read."""

    code: int
    at: float
    journal: bool = False
    runs: Sequence[Mapping[str, Any]] = ()  # as Runs.last
    held: int = 0
    oldest_held: float = 0.0  # seconds
    in_doubt: int = 0
    waiting: int = 0
    cursors: Mapping[str, float] = field(default_factory=dict)  # pass -> seconds


def rid_of(run_id: str) -> str:
    """Return a run's id as a UUID: its last group is the id."""
    return f"6d6c6300-0000-4000-8000-{run_id.rjust(12, '0')[-12:]}"


def ping_body(code: int, reports: Iterable[Report]) -> str:
    """Return what a ping at the end says: counts only."""
    lines = [f"exit_code={code}"]
    for report in reports:
        counts = " ".join(f"{name}={report.counts[name]}" for name in COUNTED)
        lines.append(f"{report.pass_}: {counts} exit_code={report.exit_code}")
    return ("\n".join(lines) + "\n")[:_MOST_BYTES]


def attention(code: int, reports: Sequence[Report]) -> str:
    """Return in one line why a command over a tenant did not end with 0, and where to look."""
    said = [text for report in reports if (text := _of_pass(report))]
    overdue = next((report.overdue for report in reports if report.overdue), None)
    if overdue is not None:
        said.append(f"the oldest {overdue[0]} item waits for {age(overdue[1])}")
    if code in (errors.INTERRUPTED, errors.TERMINATED):
        said.append("interrupted")
    if not said:
        return errors.EXIT_CODES.get(code, "failed")
    if any(report.news for report in reports) or (overdue is not None and overdue[0] == "held"):
        return f"{'; '.join(said)}; see mlc held list"
    return f"{'; '.join(said)}; see mlc status"


def _of_pass(report: Report) -> str:
    words = [(report.news, "newly held"), (report.counts["refused"], "refused"), (report.counts["in_doubt"], "in doubt")]
    told = [f"{number} {word}" for number, word in words if number]
    told += ["stopped"] if report.messages else []
    return f"{report.pass_} {', '.join(told)}" if told else ""


def prometheus(tenant: str, figures: Figures) -> str:
    """Return a tenant's file for the textfile collector."""
    own = {"tenant": tenant}
    text = _metric("mlc_last_command_exit_code", "Exit code of the last command over the tenant.", [(own, figures.code)])
    text += _metric("mlc_last_command_timestamp_seconds", "When that command ended.", [(own, figures.at)])
    if not figures.journal:
        return text
    last = {
        run["pass"]: run for run in sorted(figures.runs, key=lambda run: run["ended"] or 0)
    }  # a sample twice spoils the scrape
    runs = [({**own, "pass": name}, run) for name, run in sorted(last.items())]
    text += _metric(
        "mlc_last_success_timestamp_seconds", "When a pass last ended with 0 or 3.",
        [(labels, run["success"]) for labels, run in runs if run["success"] is not None],
    )  # fmt: skip
    text += _metric(
        "mlc_last_run_exit_code", "Exit code of the last run of a pass; absent where it was killed.",
        [(labels, run["exit_code"]) for labels, run in runs if run["exit_code"] is not None],
    )  # fmt: skip
    text += _metric(
        "mlc_last_run_items", "Items of the last run of a pass, by state.",
        [({**labels, "state": name}, run["counts"].get(name, 0)) for labels, run in runs for name in COUNTED],
    )  # fmt: skip
    text += _metric("mlc_held", "Items that wait for a person.", [(own, figures.held)])
    text += _metric(
        "mlc_oldest_held_seconds", "How long the oldest of them waits; 0 where none does.", [(own, figures.oldest_held)]
    )
    text += _metric("mlc_in_doubt", "Writes that were sent and not answered.", [(own, figures.in_doubt)])
    text += _metric("mlc_inbox_waiting", "Webhook deliveries that no pass has dealt with.", [(own, figures.waiting)])
    ages = [({**own, "pass": name}, seconds) for name, seconds in figures.cursors.items()]
    return text + _metric("mlc_cursor_age_seconds", "How old the newest event is that a pass has read.", ages)


def _metric(name: str, says: str, samples: Sequence[tuple[Mapping[str, str], float]]) -> str:
    lines = [f"# HELP {name} {says}", f"# TYPE {name} gauge"]
    for labels, value in samples:
        inside = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        lines.append(f"{name}{{{inside}}} {_number(value)}")
    return "\n".join(lines) + "\n" if samples else ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else f"{value:.3f}"
