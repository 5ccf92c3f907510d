"""A payout run killed at every single write point: one more run, and the books are those of a run that was never disturbed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from payout_worlds import PayoutStory, assert_same, calm, in_a_fork
from worlds import quick_folder, write_points

POINTS = 240
Recovery = Callable[[PayoutStory], None]


def _at_once(story: PayoutStory) -> None:
    story.company.clock.pass_time(60)  # the fence


def _a_day_later(story: PayoutStory) -> None:
    story.company.clock.pass_time(25 * 3600)
    story.company.clock.boot, story.company.clock.up = "boot-2", 60.0


def _without_state(story: PayoutStory) -> None:
    story.company.clock.pass_time(60)
    story.company.forget()
    story.say()  # what only a person knows, the person says again


# How it goes on, and which share of the points it is tried at. Before a commit or request the disk and the world are what they
# were after the one before it: such a point is tried only now and then. At every `whole`-th point the story is played to its end.
RECOVERIES = {"at once": (_at_once, 2, 12), "a day later": (_a_day_later, 8, 4), "no state": (_without_state, 8, 5)}


@pytest.mark.parametrize("recovery", RECOVERIES)
def test_a_killed_payout_run_and_one_clean_run_are_one_run(tmp_path: Path, recovery: str) -> None:
    """Wherever a run is killed, one more run leaves every reference, invoice, open row and held item as if it had not been."""
    wanted = calm(tmp_path / "calm")
    story, ground = PayoutStory(tmp_path / "story"), quick_folder()
    recover, share, whole = RECOVERIES[recovery]
    points: list[str] = []
    tried: list[str] = []
    failures: list[str] = []
    act = 0

    def die(where: str) -> None:
        if where.endswith("GetOpenTransactions"):
            return  # a read
        points.append(where)
        after = where.startswith("after")
        if sum(1 for one in points if one.startswith("after") == after) % (share if after else 24 * share):
            return
        tried.append(where)

        def go_on() -> None:
            recover(story)
            story.company.reconcile()
            if act == 2:  # a person's command is given again where it did not come through
                story.acts[act][1]()
            lost = recovery == "no state"
            assert_same(story.company, wanted[act], rows=not lost)
            if len(tried) % whole == 0:
                story.play(range(act + 1, len(story.acts)))
                assert_same(story.company, wanted[-1], rows=not lost)

        if failure := in_a_fork(story.company, ground / f"point-{len(points)}", go_on):
            failures.append(f"killed in act {act + 1} at point {len(points)}, {where}:\n{failure}")

    for act, (world, command) in enumerate(story.acts):
        world()
        with write_points(story.company, die):
            command()
        assert_same(story.company, wanted[act])
    print(f"{recovery}: {len(points)} write points, killed at {len(tried)}")  # noqa: T201 - so that a fall of the figure is seen
    assert len(points) >= POINTS
    assert len(tried) * share >= POINTS // 2
    assert not failures, f"{len(failures)} of {len(tried)}\n" + "\n".join(failures[:3])
