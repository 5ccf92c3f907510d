"""The state file deleted, or an older copy put back, between any two runs of a story of payouts: nothing doubled, nothing lost."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from payout_worlds import CONFIG, PayoutStory, assert_same, calm, doubled
from worlds import assert_nothing_open

from direct_debit import DebitCompany
from mlc.sandbox.kit import Fault

ACTS = 4
LATER = {"soon": 120.0, "a day later": 25 * 3600.0}
_WRITES = ("/JournalEntries", "/InternalReconciliations")


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What the books say after each act of an undisturbed story."""
    return calm(tmp_path_factory.mktemp("calm"))


def _written(company: DebitCompany) -> int:
    return sum(1 for method, path, _ in company.requests("sap") if method == "POST" and path.endswith(_WRITES))


def _end(story: PayoutStory, wanted: list[dict[str, Any]], begun: int) -> None:
    """Play what is left of the story; then the sums are those of the undisturbed one, and a further run writes nothing."""
    story.say()
    story.play(range(begun, ACTS))
    if begun == ACTS:
        story.company.reconcile()
    assert_same(story.company, wanted[-1], rows=False)
    before = _written(story.company)
    story.company.clock.pass_time(3600)
    story.company.reconcile()
    assert _written(story.company) == before
    assert_same(story.company, wanted[-1], rows=False)


@pytest.mark.parametrize(("later", "run_first"), [("soon", False), ("soon", True), ("a day later", False)])
@pytest.mark.parametrize("act", range(1, ACTS + 1))
def test_a_deleted_state_file_books_nothing_twice(
    tmp_path: Path, wanted: list[dict[str, Any]], act: int, later: str, *, run_first: bool
) -> None:
    """Whenever the state file is lost, what stands in SAP is adopted, whether or not money goes back before the next run."""
    story = PayoutStory(tmp_path)
    story.play(range(act))
    story.company.clock.pass_time(LATER[later])
    story.company.forget()
    if run_first:
        story.say()
        story.company.reconcile()
        assert_same(story.company, wanted[act - 1], rows=False)
    _end(story, wanted, act)


def test_a_state_file_deleted_after_every_run_books_nothing_twice(tmp_path: Path, wanted: list[dict[str, Any]]) -> None:
    """A machine that forgets everything after each run books the story once all the same."""
    story = PayoutStory(tmp_path)
    for act in range(ACTS):
        story.play([act])
        assert doubled(story.company) == []
        story.company.clock.pass_time(120)
        story.company.forget()
        story.say()
    _end(story, wanted, ACTS)


@pytest.mark.parametrize("later", ["a day later"])
@pytest.mark.parametrize(("kept", "act"), [(kept, act) for kept in range(1, ACTS) for act in range(kept + 1, ACTS + 1)])
def test_an_older_copy_put_back_books_nothing_twice(
    tmp_path: Path, wanted: list[dict[str, Any]], kept: int, act: int, later: str
) -> None:
    """Whatever was booked after the copy was made is found in SAP and not booked again."""
    story, copy = PayoutStory(tmp_path / "now"), tmp_path / "copy"
    story.play(range(kept))
    shutil.copytree(story.company.folder, copy)
    story.play(range(kept, act))
    story.company.clock.pass_time(LATER[later])
    _put_back(story.company, copy)
    _end(story, wanted, act)


def _put_back(company: DebitCompany, copy: Path) -> None:
    company.forget()
    for path in copy.glob("mlc.db*"):
        shutil.copy(path, company.folder / path.name)


@pytest.mark.parametrize("later", LATER)
@pytest.mark.parametrize("kind", ["lost", "never"])
@pytest.mark.parametrize("path", ["/JournalEntries$", "/InternalReconciliations$"])
def test_a_copy_with_a_write_in_doubt_books_nothing_twice(tmp_path: Path, path: str, kind: str, later: str) -> None:
    """A copy in which an entry or a reconciliation is still in doubt, while it was done since, does it no second time."""
    company = DebitCompany(tmp_path / "now", CONFIG)
    entry, _, payout = company.paid("C1", 100)
    company.sap.faults.append(Fault(kind, path=path, method="POST"))
    sap = company.settings.tenants["acme"].sap
    usual, sap.__dict__["settle_seconds"] = sap.settle_seconds, 600  # so that the first run ends in doubt
    assert company.reconcile().exit_code == 5
    sap.__dict__["settle_seconds"] = usual
    shutil.copytree(company.folder, tmp_path / "copy")
    company.clock.pass_time(60)
    company.reconcile()
    company.reconcile()
    company.clock.pass_time(LATER[later])
    _put_back(company, tmp_path / "copy")
    company.reconcile()
    company.reconcile()
    assert {ref: len(found) for ref, found in company.entries().items()} == {payout: 1}
    assert (company.open_of(entry), company.held()) == (0, {})
    company.check()
    assert_nothing_open(company)


def test_a_vat_rate_that_comes_after_the_state_was_lost_is_booked_too(tmp_path: Path, wanted: list[dict[str, Any]]) -> None:
    """VAT that was estimated is corrected when GoCardless confirms it, also where only SAP remembers the estimate."""
    story = PayoutStory(tmp_path)
    story.play([0])
    story.company.forget()
    story.play([1])
    assert f"{story.euros}/tax/1" in story.company.entries()
    assert story.company.books.balance("1576") == Decimal(wanted[1]["accounts"]["1576"])


def test_a_reconciliation_whose_answer_was_lost_can_be_undone(tmp_path: Path, wanted: list[dict[str, Any]]) -> None:
    """A chargeback opens its invoice again also where the number of the reconciliation that closed it was never heard."""
    story = PayoutStory(tmp_path)
    story.company.sap.faults.append(Fault("lost", path="/InternalReconciliations$", method="POST"))
    story.play([0])
    assert_same(story.company, wanted[0])
    story.play([1])
    assert_same(story.company, wanted[1])


def test_a_retry_beside_its_failure_is_placed_although_an_answer_was_lost(tmp_path: Path) -> None:
    """A payout in which a payment goes back and comes again is booked also where its first reconciliation's answer was lost."""
    company = DebitCompany(tmp_path)
    company.sap.faults.append(Fault("lost", path="/InternalReconciliations$", method="POST"))
    _, payment, _ = company.paid("C1", 300)
    company.reconcile()
    company.organisation.late_failure(payment)
    company.organisation.retry_payment(payment)
    company.debtor("C2")
    payout = company.arrive(payment, company.collect("C2", 500, company.owe("C2", 500)[1]))
    company.reconcile()
    company.reconcile()
    assert company.held() == {}
    assert payout in company.entries()
    assert company.books.partner_balance("C1") == 0


def test_a_retried_payout_does_not_hide_what_was_taken_back(tmp_path: Path) -> None:
    """Without a state file the entries are taken over in the order in which they were booked, also where a payout arrived again later."""
    company = DebitCompany(tmp_path, CONFIG)
    company.debtor("C2")
    entry, payment, first = company.paid("C1", 100)
    company.reconcile()
    company.organisation.late_failure(payment)
    company.arrive(company.collect("C2", 500, company.owe("C2", 500)[1]))
    company.reconcile()
    company.organisation.bounce(first)
    company.organisation.pay_payout(company.organisation.retry(first))
    company.arrive(company.organisation.retry_payment(payment))
    company.forget()
    company.reconcile()
    assert (company.held(), len(company.entries())) == ({}, 3)
    assert company.books.partner_balance("C1") == 0, f"invoice {entry} was paid again"


def _copy_kept_before(story: PayoutStory, folder: Path, happens: Callable[[], object]) -> None:
    """Put back a copy that was made before something happened."""
    shutil.copytree(story.company.folder, folder)
    happens()
    _put_back(story.company, folder)


def test_an_older_copy_corrects_vat_once(tmp_path: Path, wanted: list[dict[str, Any]]) -> None:
    """A correction of VAT that was booked after the copy was made is found in SAP."""
    story = PayoutStory(tmp_path / "now")
    story.play([0])
    _copy_kept_before(story, tmp_path / "copy", lambda: story.play([1]))
    story.company.reconcile()
    assert doubled(story.company) == []
    assert story.company.books.balance("1576") == Decimal(wanted[1]["accounts"]["1576"])


def test_an_older_copy_ends_a_bounce_that_it_does_not_know(tmp_path: Path) -> None:
    """A bounce that was booked after the copy was made ends when the payout arrives again: nothing stays on clearing."""
    story = PayoutStory(tmp_path / "now")
    story.play([0])
    company, organisation = story.company, story.company.organisation
    organisation.bounce(story.payout)
    _copy_kept_before(story, tmp_path / "copy", lambda: company.reconcile(story.payout, insist=True))
    organisation.pay_payout(organisation.retry(story.payout))
    company.clock.pass_time(2 * 86400)
    company.reconcile()
    company.reconcile()
    assert f"{story.payout}/bounced/1" in company.entries()
    assert f"{story.payout}/paid/2" in company.entries()
    assert company.books.balance("1362") == 0


def test_an_older_copy_holds_no_bounce_that_is_over(tmp_path: Path) -> None:
    """A bounce that was held in the copy, then booked, and paid after all waits for nobody any more."""
    story = PayoutStory(tmp_path / "now")
    story.play([0])
    company, organisation = story.company, story.company.organisation
    organisation.bounce(story.payout)
    company.reconcile()
    _copy_kept_before(story, tmp_path / "copy", lambda: company.reconcile(story.payout, insist=True))
    organisation.pay_payout(organisation.retry(story.payout))
    company.clock.pass_time(2 * 86400)
    company.reconcile()
    company.reconcile()
    assert company.books.balance("1362") == 0
    assert company.held() == {f"parked/gocardless/{story.payout}/{story.parked}": "parked"}


def test_a_debit_left_open_is_settled_by_its_retry_although_twice_forgotten(tmp_path: Path) -> None:
    """A debit that stayed open, was forgotten again, and whose payment comes once more in the same run is what that money settles."""
    company = DebitCompany(tmp_path, CONFIG)
    company.debtor("C2")
    _, payment, _ = company.paid("C1", 100)
    company.reconcile()
    company.forget()  # so that the reconciliation is not known
    company.organisation.late_failure(payment)
    company.arrive(company.collect("C2", 500, company.owe("C2", 500)[1]))
    company.reconcile()
    company.forget()  # so that the open debit is not known either
    company.arrive(company.organisation.retry_payment(payment))
    company.reconcile()
    assert company.held() == {}
    assert company.books.partner_balance("C1") == 0
