"""mlc explain: one story across the systems, in the order of time, with the payment link that is kept nowhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from desk import Desk, Said

from harness import Company
from published import STRIPE, SapEar, StripeEar

LINK = "https://invoice.stripe.com/i/"


@dataclass
class Life:
    """What became of two invoices: one paid in part and in part refunded, one paid and disputed, both paid out."""

    desk: Desk
    ids: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path) -> Life:
        """Live it."""
        company = Company(folder)
        company.partner()
        life = cls(Desk(company))
        desk, account, ids = life.desk, company.account, life.ids
        entries = [company.invoice(), company.invoice()]
        assert desk.mlc("run").code == 0
        ids["in"], other = (company.pushed()[entry] for entry in entries)
        company.clock.pass_time(3600)
        ids["pi"] = account.pay_partly(ids["in"], 5000)
        desk.mlc("run")
        company.clock.pass_time(3600)
        ids["re"] = account.refund(ids["pi"], 1000)
        ids["du"] = account.dispute(account.pay(other))
        desk.mlc("run")
        company.clock.pass_time(9 * 86400)
        ids["po"] = account.make_payout()
        account.complete_payout(ids["po"])
        ids["cus"] = account.read(ids["in"])["customer"]
        ids["ch"] = account.read(ids["pi"])["latest_charge"]
        ids["evt"] = next(one["id"] for one in account.events("charge.refunded"))
        return life

    def asked(self) -> int:
        """How much was asked of both systems so far."""
        company = self.desk.company
        return len(company.requests("sap")) + len(company.requests("stripe"))


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Life:
    """One life for all these tests: they only look."""
    return Life.of(tmp_path_factory.mktemp("explain"))


def in_order(said: Said, *wanted: str) -> None:
    """Each of these stands in a line of its own, in this order."""
    at = -1
    for words in wanted:
        lines = said.out.splitlines()
        at = next((number for number, line in enumerate(lines) if number > at and words in line), len(lines))
        assert at < len(lines), f"{words!r} is missing or out of order in\n{said.out}"


def test_the_story_of_an_invoice(life: Life) -> None:
    """SAP's day, Stripe's times and mlc's own steps make one story in the tenant's time, and the link to pay comes last, fresh."""
    before = life.asked()
    said = life.desk.mlc("explain", "1001", "-vv")
    assert said.code == 0
    assert life.asked() - before <= 10
    in_order(
        said, "SAP now         invoice 1001 of C1 over 119.00 EUR, due 2026-11-17",
        f"2026-11-03 11:00  Stripe now      invoice {life.ids['in']} is finalized", "journal         push-invoice 1 done",
        f"2026-11-03 12:00  Stripe now      payment {life.ids['pi']} over 50.00 EUR begins", f"post-payment {life.ids['pi']} done",
        f"2026-11-03 13:00  Stripe now      refund {life.ids['re']} over 10.00 EUR is succeeded", "SAP now         receipt 5001",
        "now               SAP now         invoice 1001: total 119.00, paid 50.00, open 69.00; open",
        "Stripe now      the customer pays invoice",
    )  # fmt: skip
    url = life.desk.company.account.read(life.ids["in"])["hosted_invoice_url"]
    assert said.out.count(url) == 1
    assert LINK not in said.err


def test_the_link_is_kept_nowhere(life: Life) -> None:
    """Neither state, trail nor journal ever held a payment link, though it was pushed, paid and shown."""
    rows = life.desk.mlc("explain", "1001", "--json").of("story")
    (link,) = [row for row in rows if row["about"] == "link"]
    assert LINK in link["data"]["url"]
    assert LINK not in life.desk.mlc("audit", "export").out
    for path in life.desk.folder.rglob("*"):
        assert not path.is_file() or LINK.encode() not in path.read_bytes(), path


@pytest.mark.parametrize(("wish", "wanted"), [
    ("in", ["invoice 1001 of C1", "the customer pays"]),
    ("pi", ["reaches the balance: 50.00 EUR", "is paid out with po_", "open 69.00"]),
    ("ch", ["pays 50.00 EUR on in_", "is paid out with po_", "is noted as posted"]),
    ("re", ["refund re_", "pays 50.00 EUR", "held refund"]),
    ("du", ["dispute du_", "moves the balance by -", "invoice 1002 of C1", "held dispute"]),
    ("po", ["automatic payout po_", "1 dispute -", "reconciliation completed"]),
    ("cus", ["partner C1", "owes", "invoice 1001 is open: 69.00", "69.00 EUR remains", "create C1"]),
    ("C1", ["partner C1", "owes", "customer cus_", "create C1"]),
    ("evt", ["charge.refunded", "reaches the balance"]),
])  # fmt: skip
def test_everything_can_be_asked_for(life: Life, wish: str, wanted: list[str]) -> None:
    """An id of any kind tells of the thing itself and of what it led to, in JSON as for people, in few requests."""
    before = life.asked()
    said = life.desk.mlc("explain", life.ids.get(wish, wish))
    assert said.code == 0
    assert life.asked() - before <= 16
    for words in wanted:
        assert words in said.out, f"{words!r} is missing in\n{said.out}"
    rows = life.desk.mlc("explain", life.ids.get(wish, wish), "--json").of("story")
    assert [row["text"] in line for row, line in zip(rows, said.out.splitlines(), strict=True)] == [True] * len(rows)
    times = [row["at"] for row in rows]
    assert times[-1] is None or wish == "evt"


def test_offline_and_a_system_that_is_away(life: Life) -> None:
    """Offline nobody is asked; a system that cannot be read is named, the rest is told, and the code says so."""
    desk, before = life.desk, life.asked()
    said = desk.mlc("explain", "1001", "--offline")
    assert (said.code, life.asked()) == (0, before)
    assert {line.split("  ")[1].strip() or "journal" for line in said.out.splitlines()} <= {"journal"}
    assert "push-invoice 1 done" in said.out
    assert LINK not in said.out
    text = desk.config.read_text()
    try:
        desk.config.write_text(text.replace("127.0.0.1:1/", "127.0.0.1:9/"))
        away = desk.mlc("explain", "1001")
        assert away.code == 5
        in_order(away, "push-invoice 1 done", "SAP could not be read")
        assert f"invoice {life.ids['in']} is open" in away.out
        desk.config.write_text(text.replace("127.0.0.1:2\n", "127.0.0.1:9\n"))
        assert desk.mlc("explain", life.ids["pi"]).code == 5
        assert "Stripe could not be read" in desk.mlc("explain", "1001").out
    finally:
        desk.config.write_text(text)
    key, desk.env["K"] = desk.env["K"], "sk_test_another0815"
    try:
        said = desk.mlc("explain", "1001")
        assert said.code == 4
        assert "invoice 1001 of C1" in said.out
        assert "another0815" not in said.out + said.err
    finally:
        desk.env["K"] = key


def test_after_the_state_was_lost(tmp_path: Path) -> None:
    """Where the journal does not know which Stripe invoice is whose, its metadata does."""
    company = Company(tmp_path)
    company.partner()
    desk = Desk(company)
    entry = company.invoice()
    desk.mlc("run")
    ident = company.pushed()[entry]
    company.forget()
    desk.mlc("sync-customers")
    said = desk.mlc("explain", "1001")
    assert f"invoice {ident} is open" in said.out
    assert f"push-invoice {entry}" not in said.out
    again = desk.mlc("explain", f"SBODEMO/push-invoice/stripe/{entry}")
    assert again.out.splitlines()[0] == said.out.splitlines()[0]


@pytest.mark.skipif(not STRIPE.exists(), reason="the published shapes are not beside the repository")
def test_what_is_asked_is_as_published(life: Life) -> None:
    """Every request of a story, and every answer, is as the vendors publish it; nothing is written anywhere."""
    company, ears, writes = life.desk.company, (SapEar(), StripeEar()), life.desk.writes()
    company.sap.watchers.append(ears[0])
    company.stripe.watchers.append(ears[1])
    try:
        for wish in ["1001", "C1", *life.ids.values()]:
            assert life.desk.mlc("explain", wish).code == 0
        for wish in (
            "pi_3Unknown0000000000000000",
            "in_x",
            "po_1",
            "re_1",
            "du_1",
            "cus_1",
            "evt_1",
            "4711",
            "O'Neil & Co",
            "ch_%2F",
        ):
            assert life.desk.mlc("explain", wish).code == 2, wish
    finally:
        company.sap.watchers.clear()
        company.stripe.watchers.clear()
    assert (ears[0].wrong, ears[1].wrong, life.desk.writes()) == ([], [], writes)
