"""Money going back and payouts of Stripe, killed at every write point and stormed: the books end as if nothing had happened."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from worlds import assert_nothing_open, in_a_copy, quick_folder, write_points

from harness import TODAY
from ledgers import ALL, CLEARING, Ledgers
from mlc.sandbox.kit import Storm

POINTS = 60
SEEDS = 6
RATES = {"lost": 0.2, "late": 0.2, "never": 0.1, "lost_html": 0.1, "html": 0.1}
WRITES = r"/(IncomingPayments|JournalEntries|InternalReconciliations)$"


class BackStory:
    """Four invoices paid; refunds, disputes and a payout; then each turns: failed, won, lost, bounced, cancelled by hand."""

    def __init__(self, folder: Path, **more: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.books = Ledgers(folder, **more)
        self.acts = (self._paid, self._goes_back, self._turns)

    def _paid(self) -> None:
        self.payments = [self.books.account.pay(self.books.asked[entry]) for entry in self.books.entries]

    def _goes_back(self) -> None:
        account, (one, two, three, four) = self.books.account, self.payments
        self.failing, self.kept = account.refund(one), account.refund(two, 2000)
        self.won, self.lost = account.dispute(three), account.dispute(four, "lost")
        account.monthly_fee(300)
        self.books.clock.pass_time(4 * 86400)
        self.payout = account.complete_payout(account.make_payout())

    def _turns(self) -> None:
        account = self.books.account
        account.fail_refund(self.failing)
        account.win_dispute(self.won)
        account.fail_payout(self.payout)
        self.books.books.credit_memo(self.books.entries[1], Decimal("20.00"), day=TODAY)

    def run(self) -> None:
        """Run the two passes that book."""
        for name in ALL[:2]:
            self.books.run(name)


def truth(books: Ledgers) -> dict[str, Any]:
    """What the books say, by names that do not depend on the order in which it was written."""
    books.check()
    return {
        "references": books.references(),
        "accounts": {code: str(one.balance) for code, one in books.books.accounts.items()},
        "receipts": sorted(books.posted()),
        "open": sorted(
            f"{card} {entry.reference2 or entry.origin} {line.open}"
            for card in books.books.partners for entry, line in books.books.open_items(card)
        ),
        "held": books.held(),
    }  # fmt: skip


def calm(folder: Path) -> list[dict[str, Any]]:
    """Play the story undisturbed; return the truth after each act."""
    story, found = BackStory(folder), []
    for act in story.acts:
        act()
        story.run()
        story.run()
        found.append(truth(story.books))
    return found


def agrees(books: Ledgers, wanted: dict[str, Any]) -> None:
    """Assert that nothing is open and the books are the undisturbed ones."""
    assert_nothing_open(books)
    found = truth(books)
    wrong = {key: (found[key], wanted[key]) for key in wanted if found[key] != wanted[key]}
    assert not wrong, wrong


@pytest.mark.parametrize("lost", [False, True])
def test_killed_anywhere(tmp_path: Path, lost: bool) -> None:
    """Wherever a run is killed, with or without its state file afterwards, further runs end where an undisturbed one ends."""
    wanted, story, ground = calm(tmp_path / "calm"), BackStory(tmp_path / "story"), quick_folder()
    points: list[str] = []
    failures: list[str] = []
    number = 0
    share = 4 if lost else 1

    def die(where: str) -> None:
        if "GetOpenTransactions" in where or (where.startswith("before") and len(points) % 5):
            points.append("")
            return
        points.append(where)
        if len(points) % share:
            return

        def go_on() -> None:
            story.books.clock.pass_time(60)
            if lost:
                story.books.forget()
            story.run()
            story.run()
            agrees(story.books, wanted[number])

        if failure := in_a_copy(story.books, ground / f"{lost}-{len(points)}", go_on):
            failures.append(f"act {number + 1}, {where}:\n{failure}")

    for number, act in enumerate(story.acts):
        act()
        with write_points(story.books, die):
            story.run()
        story.run()
        agrees(story.books, wanted[number])
    tried = [one for one in points if one]
    print(f"lost={lost}: {len(points)} write points, killed at {len(tried) // share}")  # noqa: T201 - so that a fall of the figure is seen
    assert len(tried) >= POINTS
    assert not failures, f"{len(failures)} of {len(tried)}\n" + "\n".join(failures[:2])


@pytest.mark.parametrize("seed", range(SEEDS))
def test_storms(tmp_path: Path, seed: int) -> None:
    """Answers lost after SAP acted, late commits, 500s and 429s at random: no entry twice, none missing."""
    wanted, story = calm(tmp_path / "calm"), BackStory(tmp_path / "story")
    for number, act in enumerate(story.acts):
        act()
        story.books.sap.storm = Storm(1000 * seed + number, RATES, path=WRITES, delay=3.0)
        for _ in range(4):
            story.run()
            story.books.clock.pass_time(40)
        story.books.sap.storm = None
        story.run()
        story.run()
        agrees(story.books, wanted[number])
    assert story.books.minor(CLEARING) == story.books.stripe_balance() + story.books.unpaid_fees()
