"""Killed at every single write point, and every time the books come out right: exactly once, nothing lost, nothing left open."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from worlds import Story, in_a_copy, quick_folder, settle, write_points

from harness import Company
from mlc.sandbox.kit import Fault

FIRST_POINTS = 200
LATER_POINTS = 95
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


# How it goes on, and which share of the points it is tried at. Before a commit or request the disk and the world are what they
# were after the one before it: such a point is tried only now and then.
RECOVERIES = {"at once": (_at_once, 3), "a day later": (_a_day_later, 8), "no state": (_without_state, 8),
              "neither": (_without_state_and_keys, 8)}  # fmt: skip


@pytest.mark.parametrize("recovery", RECOVERIES)
def test_a_kill_at_any_write_point_changes_nothing_in_the_end(tmp_path: Path, recovery: str) -> None:
    """Wherever a run is killed, the next runs bring both sides to the same end as a run that was never disturbed."""
    story, ground = Story(tmp_path), quick_folder()
    recover, share = RECOVERIES[recovery]
    points: list[str] = []
    tried: list[int] = []
    failures: list[str] = []

    def die(where: str) -> None:
        points.append(where)
        after = where.startswith("after")
        if sum(1 for one in points if one.startswith("after") == after) % (share if after else 6 * share):
            return
        tried.append(len(points))

        def go_on() -> None:
            recover(story.company)
            if not story.lived and len(tried) % 3 == 0:  # what comes after a sound recovery is lived through now and then
                story.live()
                settle(story.company)
            story.prove(remembers=recovery not in ("no state", "neither"))

        if failure := in_a_copy(story.company, ground / f"point-{len(points)}", go_on):
            failures.append(f"killed at point {len(points)}, {where}:\n{failure}")

    with write_points(story.company, die):
        story.company.run()
        first = len(points)
        story.live()
        story.company.run()
        later = len(points) - first
    settle(story.company)
    story.prove()
    print(f"{recovery}: {first} + {later} write points, killed at {len(tried)}")  # noqa: T201 - so that a fall of the figure is seen
    assert first >= FIRST_POINTS
    assert later >= LATER_POINTS
    assert len(tried) * share >= (FIRST_POINTS + LATER_POINTS - 40) // 2
    assert not failures, f"{len(failures)} of {len(tried)}\n" + "\n".join(failures[:3])


@pytest.mark.parametrize("recovery", ["at once", "a day later"])
def test_a_kill_after_a_refusal_never_makes_it_a_success(tmp_path: Path, recovery: str) -> None:
    """A payment that SAP refused is refused, also where the run died between hearing the refusal and ending the intent."""
    company, ground = Company(tmp_path), quick_folder()
    company.partner()
    company.invoice()
    company.run()
    payment = company.account.pay(next(iter(company.pushed().values())))
    company.books.change_partner("C1", Frozen="tYES")
    failures: list[str] = []
    points: list[str] = []

    def go_on() -> None:
        RECOVERIES[recovery][0](company)
        opened = company.open()
        stored = opened.journal.find(f"SBODEMO/post-payment/stripe/{payment}")
        opened.close()
        assert company.posted() == {}
        assert stored is not None
        assert (stored.state, stored.code) == ("refused", "-1028"), f"{stored.state} {stored.receipt} although SAP refused it"

    def die(where: str) -> None:
        points.append(where)
        if failure := in_a_copy(company, ground / f"point-{len(points)}", go_on):
            failures.append(f"killed at point {len(points)}, {where}:\n{failure}")

    with write_points(company, die):
        company.run("post-payments")
    assert len(points) >= 10
    assert not failures, f"{len(failures)} of {len(points)}\n" + "\n".join(failures[:3])


@pytest.mark.parametrize("path", ["/v1/credit_notes", "/v1/payment_records/report_payment", "/attach_payment"])
def test_what_stripe_was_told_in_doubt_is_not_told_twice_a_day_later(tmp_path: Path, path: str) -> None:
    """A credit note or payment record whose answer was lost and whose key Stripe forgot lowers the invoice once.

    Payment records cannot be listed: a second one may exist, but only one is attached.
    """
    story = Story(tmp_path)
    story.company.run()
    story.live()
    story.company.stripe.faults.append(Fault("lost", method="POST", path=path, times=6))
    story.company.run()
    _a_day_later(story.company)
    assert len(story.company.account.all("credit_note")) == 1
    story.prove()
