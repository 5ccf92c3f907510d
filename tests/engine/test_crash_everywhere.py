"""Killed at every single write point, and every time the books come out right: exactly once, nothing lost, nothing left open."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from harness import Company
from worlds import Story, in_a_copy, settle, write_points

FIRST_POINTS = 200
LATER_POINTS = 100
Recovery = Callable[[Company], None]


def _at_once(company: Company) -> None:
    settle(company)


def _a_day_later(company: Company) -> None:
    company.clock.pass_time(25 * 3600)
    company.clock.boot, company.clock.up = "boot-2", 60.0
    settle(company)


def _without_state(company: Company) -> None:
    company.clock.pass_time(60)
    company.forget()
    settle(company)


def _without_state_and_keys(company: Company) -> None:
    company.clock.pass_time(25 * 3600)
    company.forget()
    settle(company)


RECOVERIES = {"at once": _at_once, "a day later": _a_day_later, "no state": _without_state, "neither": _without_state_and_keys}


@pytest.mark.parametrize("recovery", RECOVERIES)
def test_a_kill_at_any_write_point_changes_nothing_in_the_end(tmp_path: Path, recovery: str) -> None:
    """Wherever a run is killed, the next runs bring both sides to the same end as a run that was never disturbed."""
    story = Story(tmp_path)
    recover = RECOVERIES[recovery]
    points: list[str] = []
    failures: list[str] = []

    def die(where: str) -> None:
        points.append(where)

        def go_on() -> None:
            recover(story.company)
            if not story.lived:
                story.live()
                settle(story.company)
            story.prove()

        if failure := in_a_copy(story.company, tmp_path / f"point-{len(points)}", go_on):
            failures.append(f"killed at point {len(points)}, {where}:\n{failure}")

    with write_points(story.company, die):
        story.company.run()
        first = len(points)
        story.live()
        story.company.run()
        later = len(points) - first
    settle(story.company)
    story.prove()
    print(f"{recovery}: {first} + {later} write points")  # noqa: T201 - so that a fall of the figure is seen
    assert first >= FIRST_POINTS
    assert later >= LATER_POINTS
    assert not failures, f"{len(failures)} of {len(points)}\n" + "\n".join(failures[:3])
