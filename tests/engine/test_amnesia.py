"""The state file deleted, or an older copy put back, at any moment between two passes: nothing is doubled, everything is adopted."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from worlds import PASSES, Story, assert_nothing_open, assert_one_invoice_each, settle

from harness import Company
from mlc.sandbox.kit import Fault

STEPS = 2 * len(PASSES)
LATER = {"soon": 120.0, "a day later": 25 * 3600.0, "five weeks later": 35 * 86400.0}


def _play(story: Story, upto: int) -> None:
    """Run the first `upto` passes of the story; what customers do happens after the first three."""
    for step in range(upto):
        if step == len(PASSES):
            story.live()
        story.company.run(PASSES[step % len(PASSES)])


def _end(story: Story) -> None:
    settle(story.company)
    if not story.lived:
        story.live()
        settle(story.company)
    story.prove(remembers=False)


def _copy(story: Story, folder: Path) -> None:
    """Keep a copy of the state as `mlc state backup` would: between runs the file stands alone."""
    folder.mkdir()
    for path in story.company.folder.glob("mlc.db*"):
        shutil.copy(path, folder / path.name)


def _put_back(story: Story, folder: Path) -> None:
    story.company.forget()
    for path in folder.iterdir():
        shutil.copy(path, story.company.folder / path.name)


@pytest.mark.parametrize("later", LATER)
@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_a_deleted_state_file_doubles_nothing(tmp_path: Path, step: int, later: str) -> None:
    """Whenever the state file is lost, what stands on both sides already is found and adopted."""
    story = Story(tmp_path)
    _play(story, step)
    story.company.clock.pass_time(LATER[later])
    story.company.forget()
    _end(story)


@pytest.mark.parametrize("later", ["soon", "a day later"])
@pytest.mark.parametrize(("kept", "step"), [(kept, step) for kept in range(1, STEPS) for step in range(kept + 1, STEPS + 1)])
def test_an_older_copy_put_back_doubles_nothing(tmp_path: Path, kept: int, step: int, later: str) -> None:
    """Whatever was done after the copy was made is found on both sides and not done again."""
    (tmp_path / "now").mkdir()
    story = Story(tmp_path / "now")
    _play(story, kept)
    _copy(story, tmp_path / "copy")
    for number in range(kept, step):
        if number == len(PASSES):
            story.live()
        story.company.run(PASSES[number % len(PASSES)])
    story.company.clock.pass_time(LATER[later])
    _put_back(story, tmp_path / "copy")
    _end(story)


@pytest.mark.parametrize("later", LATER)
def test_a_copy_with_a_payment_in_doubt_doubles_nothing(company: Company, tmp_path: Path, later: str) -> None:
    """A copy in which a payment is still in doubt, while it was posted since, finds the receipt and posts no other."""
    company.invoice()
    company.run()
    payment = company.account.pay(next(iter(company.pushed().values())))
    company.sap.faults.append(Fault("never", path="IncomingPayments", method="POST", times=1))
    settle_seconds = company.settings.tenants["acme"].sap.settle_seconds
    company.settings.tenants["acme"].sap.__dict__["settle_seconds"] = 600  # so that the first run ends in doubt
    assert company.run("post-payments").exit_code == 5
    company.settings.tenants["acme"].sap.__dict__["settle_seconds"] = settle_seconds
    copy = tmp_path / "mlc.copy"
    shutil.copy(tmp_path / "mlc.db", copy)
    company.clock.pass_time(60)
    settle(company)
    assert {key: len(found) for key, found in company.posted().items()} == {payment: 1}
    company.clock.pass_time(LATER[later])
    company.forget()
    shutil.copy(copy, tmp_path / "mlc.db")
    settle(company)
    assert {key: len(found) for key, found in company.posted().items()} == {payment: 1}
    assert_nothing_open(company)


@pytest.mark.parametrize("later", LATER)
@pytest.mark.parametrize("path", ["/v1/invoices$", "/add_lines$", "/finalize$"])
def test_a_draft_left_behind_and_no_state_leaves_one_invoice(company: Company, path: str, later: str) -> None:
    """A push that died half-way and a lost state file end in one invoice and no draft."""
    entry = company.invoice()
    company.stripe.faults.append(Fault("never", path=path, times=6, skip=1 if path == "/v1/invoices$" else 0, method="POST"))
    if path == "/v1/invoices$":  # the draft is made, its answer is lost, and so are the repetitions
        company.stripe.faults[:] = [Fault("lost", path=path, method="POST", times=6)]
    company.run()
    assert [one["status"] for one in company.account.all("invoice")] == ["draft"]
    company.clock.pass_time(LATER[later])
    company.forget()
    settle(company)
    assert_one_invoice_each(company, [entry])
    assert_nothing_open(company)


@pytest.mark.parametrize("hours", [0, 25, 72])
@pytest.mark.parametrize("email", ["", "one@example.com"])
def test_a_customer_in_doubt_is_made_once(company: Company, email: str, hours: int) -> None:
    """A customer whose answers were lost is found again, however long it takes until the next run."""
    company.partner("C9", "Without", email=email)
    company.invoice("C9")
    company.stripe.faults.append(Fault("lost", method="POST", path="/v1/customers$", times=6))
    company.run("sync-customers")
    company.clock.pass_time(hours * 3600)
    settle(company)
    assert len(company.account.all("customer", metadata={"sap_card_code": "C9"})) == 1
    assert len(company.pushed()) == 1
