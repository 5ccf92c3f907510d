"""How far back anything can be read: what a processor no longer keeps is said, and read another way."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from direct_debit import RECONCILE, DebitCompany
from harness import TODAY, Company

POST, SYNC = "post-payments", "sync-customers"
DAY = 86400


def test_since_beyond_the_events_is_said_and_lists_the_payments(tmp_path: Path) -> None:
    """`--since` further back than 30 days reads the charges themselves, says so, and finds what no event tells of any more."""
    company = Company(tmp_path, start="2026-10-01")
    company.partner()
    entry = company.invoice()
    company.run()
    company.account.pay(company.pushed()[entry])
    company.account.drop_events(len(company.account.events()))
    company.clock.pass_time(60 * DAY)
    report = company.run(POST, since=TODAY)
    assert report.notes == [
        "2026-11-03 is further back than Stripe keeps events (30 days): payments, refunds and disputes are listed themselves",
        "the events were last read 60 days ago, Stripe keeps 30: payments are listed themselves instead",
    ]
    assert len(company.posted()) == 1
    report = company.run(SYNC, since=TODAY)
    assert any("the customers are listed" in note for note in report.notes)
    assert company.run(POST).notes == []


@pytest.mark.parametrize("dry", [True, False])
def test_a_recent_since_says_nothing_of_it(tmp_path: Path, *, dry: bool) -> None:
    """Within 30 days nothing is out of reach, and nothing is said; a dry run says what a real one would."""
    company = Company(tmp_path)
    company.run(POST)
    assert company.run(POST, since=TODAY - datetime.timedelta(days=5), dry_run=dry).notes == []
    company.clock.pass_time(40 * DAY)
    assert len(company.run(POST, since=TODAY, dry_run=dry).notes) == 2


def test_archived_events_of_gocardless_are_said_and_everything_is_listed(tmp_path: Path) -> None:
    """After two years without a run the states of mandates are read again by themselves: their events are archived."""
    company = DebitCompany(tmp_path, start="2026-10-01")
    company.debtor("C1")
    company.clock.pass_time(DAY)  # beyond the overlap: a list of new mandates does not show it again
    company.run(RECONCILE)
    company.clock.pass_time(600 * DAY)
    company.organisation.cancel_mandate(company.mandates["C1"])
    company.organisation.tables["events"].clear()
    report = company.run(RECONCILE)
    assert ["last read on 2026-11-04; events older than 18 months are archived there" in note for note in report.notes] == [
        True
    ]
    opened = company.open()
    assert opened.journal.links.get("mandate", company.mandates["C1"]).state == "cancelled"
    opened.close()
    assert company.run(RECONCILE).notes == []


def test_a_start_beyond_gocardless_archive_is_said(tmp_path: Path) -> None:
    """A first run whose start lies more than 18 months back says that events cannot tell the beginning."""
    company = DebitCompany(tmp_path, start="2025-01-01")
    assert ["GoCardless is read from 2024-" in note or "2025-01-01" in note for note in company.run(RECONCILE).notes] == [True]


def test_items_older_than_six_months_hold_their_payout(tmp_path: Path) -> None:
    """A payout whose items GoCardless no longer tells is held with that reason, never left out."""
    company = DebitCompany(tmp_path, start="2026-10-01")
    _, _, payout = company.paid("C1", "100.00")
    company.clock.pass_time(200 * DAY)
    assert company.run(RECONCILE, since=TODAY).exit_code == 3
    assert company.held() == {f"reconcile-payout/gocardless/{payout}": "payout_too_old"}
