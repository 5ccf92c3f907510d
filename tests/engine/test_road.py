"""What holds for every pass: limits, first runs, --limit, dry runs, and threads that change nothing."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from worlds import Story, settle, writes

from harness import Company
from mlc.sandbox.kit import Fault


def _with(folder: Path, invoices: int, config: str = "") -> Company:
    company = Company(folder, config=config)
    company.partner()
    for _ in range(invoices):
        company.invoice()
    return company


@pytest.mark.parametrize("config", ["limits: {max_writes: 3}", "limits: {max_amount: {EUR: 300}}"])
def test_a_tripped_limit_stays_tripped_until_a_person_accepts_it(tmp_path: Path, config: str) -> None:
    """Beyond a limit nothing is written, also by later runs, until one run is told to accept it."""
    company = _with(tmp_path, 4, config)
    for _ in range(2):
        before = writes(company)
        assert company.run("push-invoices").exit_code == 7
        assert writes(company) == before
    for entry in (3, 4):
        company.books.cancel_invoice(entry)
    assert company.run("push-invoices").exit_code == 7
    assert company.run("push-invoices", accept_limit=True).exit_code == 0
    assert len(company.pushed()) == 2
    assert company.run("push-invoices").exit_code == 0


def test_a_dry_run_neither_trips_nor_accepts_a_limit(tmp_path: Path) -> None:
    """A dry run ends with 7 like the real run would, and leaves no stop behind."""
    company = _with(tmp_path, 4, "limits: {max_writes: 3}")
    assert company.run("push-invoices", dry_run=True).exit_code == 7
    company.books.cancel_invoice(4)
    company.books.cancel_invoice(3)
    assert company.run("push-invoices").exit_code == 0


def test_open_intents_count_for_the_limit(tmp_path: Path) -> None:
    """What earlier runs left in doubt uses up this run's limit."""
    company = _with(tmp_path, 2, "limits: {max_writes: 2}")
    company.run("sync-customers")
    company.stripe.faults.append(Fault("never", method="POST", path="/v1/invoices$", times=6))
    assert company.run("push-invoices").exit_code == 5
    for _ in range(2):
        company.invoice()
    assert company.run("push-invoices").exit_code == 7


def test_a_first_run_waits_for_a_word(tmp_path: Path) -> None:
    """The first writing run shows its plan and writes nothing until it is allowed to; later runs do not ask."""
    company = _with(tmp_path, 2)
    company.settings.tenants["acme"].__dict__["first_run"] = "ask"
    assert company.run("push-invoices").exit_code == 7
    assert company.run("push-invoices", ask=lambda _report: False).exit_code == 7
    assert [one.state for one in company.items] == ["planned"] * 3
    assert (company.pushed(), writes(company)) == ({}, 0)
    assert company.run("push-invoices", first_run=True).exit_code == 0
    company.invoice()
    assert company.run("push-invoices").exit_code == 0
    assert len(company.pushed()) == 3


def test_a_limit_on_the_run_never_passes_unfinished_work_by(tmp_path: Path) -> None:
    """With --limit each run does a part, and together they do everything once."""
    company = _with(tmp_path, 5)
    company.run("sync-customers")
    for done in (2, 4, 5):
        company.run("push-invoices", limit=2)
        assert len(company.pushed()) == done
    payments = [company.account.pay(invoice) for invoice in company.pushed().values()]
    for done in (2, 4, 5, 5):
        company.run("post-payments", limit=2)
        assert len(company.posted()) == done
    assert sorted(company.posted()) == sorted(payments)
    company.check()


def test_a_dry_run_writes_nothing_anywhere(tmp_path: Path) -> None:
    """A dry run leaves both systems as they were and promises nothing; it plans what the real run then does."""
    story = Story(tmp_path)
    for _ in range(2):
        before = writes(story.company)
        planned = {}
        for name in ("post-payments", "sync-customers", "push-invoices"):
            story.company.run(name, dry_run=True)
            planned[name] = {one.id for one in story.company.items if one.state == "planned"}
        assert writes(story.company) == before
        opened = story.company.open()
        assert list(opened.journal.intents(state="open")) == []
        opened.close()
        for name in ("post-payments", "push-invoices"):
            story.company.run(name)
            assert {one.id for one in story.company.items if one.state == "done"} == planned[name]
        if not story.lived:
            story.live()
    settle(story.company)
    story.prove()


def test_threads_come_to_the_same_end(tmp_path: Path) -> None:
    """Several workers leave both sides exactly as one does."""
    ends = []
    for number, threads in enumerate((False, True)):
        folder = tmp_path / str(number)
        folder.mkdir()
        story = Story(folder, threads=threads, sap_config="workers: 4")
        story.company.run()
        story.live()
        settle(story.company)
        story.prove()
        company = story.company
        receipts = sorted((one.card_code, one.transfer_sum) for one in company.books.payments())
        ends.append(
            (receipts, [company.books.open_balance(entry) for entry in story.entries], len(company.account.all("invoice")))
        )
    assert ends[0] == ends[1]
    assert sum((amount for _, amount in ends[0][0]), Decimal(0)) > 0
