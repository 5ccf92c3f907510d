"""mlc report clearing: the provider's balance and SAP's account side by side, and one number that must be 0."""

from __future__ import annotations

import csv
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from desk import Desk, Said
from test_commands_payouts import DebitDesk

from harness import TODAY
from mlc.core.intents import Mark, Plan
from published import STRIPE, SapEar, StripeEar

MONTH = 30 * 86400


def entry(desk: Desk, amount: str, other: str = "6855", account: str = "1361") -> int:
    """Key an entry by hand that moves the clearing account."""
    books = desk.company.books
    return int(books.add_entry([books.line(account, Decimal(amount)), books.line(other, -Decimal(amount))], books.today()))


def know(desk: Desk, *marks: Mark) -> None:
    """Let the journal know what a pass would have noted."""
    opened = desk.company.open()
    try:
        opened.journal.accept(Plan(marks=list(marks)), "test")
    finally:
        opened.close()


def proof(desk: Desk, *words: str, code: int = 0) -> dict[str, Any]:
    """Ask for the proof of the only account."""
    said = desk.mlc("report", "clearing", "--json", *words)
    assert said.code == code, said.err
    (line,) = said.of("clearing")
    return line


def parts(line: dict[str, Any]) -> dict[str, list[tuple[str, int]]]:
    """What explains: kind -> (reason, minor units)."""
    return {kind: [(one["reason"], one["minor"]) for one in part["lines"]] for kind, part in line["explained"].items()}


def lived(desk: Desk) -> dict[str, str]:
    """Two payments posted, one unknown, a refund that is held, a fee, and a payout of all that arrives; returns their ids."""
    company = desk.company
    entries = [company.invoice() for _ in range(3)]
    desk.mlc("run")
    ids = company.pushed()
    pays = [company.account.pay(ids[one]) for one in entries[:2]]
    unknown = company.account.pay_without_invoice(None, 4200, "eur")
    refund = company.account.refund(pays[0], 5000)
    company.account.book(-1000)
    desk.mlc("run")
    company.clock.pass_time(9 * 86400)
    payout = company.account.make_payout()
    company.account.complete_payout(payout)
    return {"pay": pays[0], "unknown": unknown, "refund": refund, "payout": payout, "open": ids[entries[2]]}


@pytest.mark.skipif(not STRIPE.exists(), reason="the published shapes are not beside the repository")
def test_the_clearing_proof(desk: Desk, tmp_path: Path) -> None:
    """Every difference has its line and reason, the drift is 0; what is asked is as published, nothing is written, no lock is needed."""
    found, company = lived(desk), desk.company
    ears = SapEar(), StripeEar()
    company.sap.watchers.append(ears[0])
    company.stripe.watchers.append(ears[1])
    before, writes = company.books.balance("1361"), desk.writes()
    opened = company.open()  # another run holds the lock
    head = opened.journal.audit.head()
    try:
        line = proof(desk, "--csv", str(tmp_path / "proof.csv"))
    finally:
        opened.close()
    fees = line["explained"]["fees"]["minor"]
    assert (line["opening"], line["receipts"], line["refunds"], line["fees"]) == (0, 28000, -5000, -fees)
    assert line["payouts"] == -(28000 - 5000 - fees)
    assert (line["closing"], line["sap"], line["drift"]) == (0, 23800, 0)
    assert parts(line)["payments"] == [("no_customer", -4200)]
    assert parts(line)["refunds_disputes"] == [("refund", 5000)]
    assert parts(line)["payouts"] == [("not_seen", -line["payouts"])]
    with (tmp_path / "proof.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["amount"] for row in rows if row["id"] == found["refund"]] == ["50.00"]
    assert rows[-1]["section"], rows[-1]["amount"] == ("drift", "0.00")
    assert (ears[0].wrong, ears[1].wrong, desk.writes()) == ([], [], writes)
    assert company.books.balance("1361") == before
    assert desk.mlc("status", "--json").of("status")[0]["audit_head"] == head
    said = desk.mlc("report", "clearing")
    assert max(map(len, said.out.splitlines())) <= 80
    assert "drift" in said.out
    assert said.code == 0


def test_what_is_booked_needs_no_line_and_tampering_is_the_drift(desk: Desk) -> None:
    """Once refund and payout stand in SAP and in the journal only the unknown payment is left; an entry by hand is the drift."""
    found = lived(desk)
    line = proof(desk)
    out, fees = -line["payouts"], line["explained"]["fees"]["minor"]
    entry(desk, "-50.00")
    know(
        desk, Mark("reversal", found["refund"], "1", "by_hand", {"clearing": -5000, "fee": 0, "currency": "EUR", "number": "1"})
    )
    worth = out + fees
    entry(desk, f"-{Decimal(worth) / 100}")
    know(
        desk,
        Mark(
            "stripe-payout",
            found["payout"],
            "2",
            "booked",
            {"clearing": -worth, "fees": fees, "currency": "EUR", "number": "2"},
        ),
    )
    line = proof(desk)
    assert parts(line) == {"payments": [("no_customer", -4200)]}
    assert line["booked"] == {"payments": 23800, "refunds_disputes": -5000, "payouts": -worth, "by_people": 0}
    desk.company.account.fail_payout(found["payout"])
    assert parts(proof(desk))["payouts"] == [("not_seen", -out)]
    desk.company.clock.pass_time(MONTH)
    desk.mlc("post-payments", "-q")
    assert entry(desk, "0.01")
    line = proof(desk, code=3)
    assert (line["drift"], line["unexplained"]["minor"]) == (1, 0)
    assert "drift" in desk.mlc("report", "clearing", "-q").out


def test_people_cancel_dismiss_and_open(desk: Desk) -> None:
    """A receipt cancelled in SAP explains itself, what is dismissed counts as booked by hand, and so does an opening entry."""
    company = desk.company
    found = lived(desk)
    receipt = company.posted()[found["pay"]][0]
    company.books.cancel_payment(receipt.doc_entry)
    assert ("cancelled_in_sap", -11900) in parts(proof(desk))["payments"]
    assert desk.mlc("held", "dismiss", found["unknown"], "--note", "booked by hand").code == 0
    line = proof(desk, code=3)
    assert (line["drift"], line["booked"]["by_people"]) == (-4200, 4200)
    entry(desk, "42.00")
    assert proof(desk)["drift"] == 0
    company.account.switches = replace(company.account.switches, balance_later=True)
    company.account.pay(found["open"])
    desk.mlc("run")
    assert ("not_in_balance", 11900) in parts(proof(desk))["payments"]
    assert desk.mlc("report", "clearing", "--since", "2026-11-05", "--json").of("clearing")[0]["receipts"] == 0


def test_the_opening_may_be_booked_by_hand(desk: Desk) -> None:
    """Money that stood at Stripe before the start explains the difference until somebody books it, and counts as booked then."""
    company = desk.company
    late = company.invoice()
    desk.mlc("run", "-q")
    company.account.pay_without_invoice(None, 10000, "eur")
    company.clock.pass_time(3 * 86400)
    desk.write(("start_date: 2026-10-01", f"start_date: {TODAY.replace(day=5)}"))
    desk.mlc("run", "-q")
    line = proof(desk)
    assert line["opening"] == line["closing"] > 0
    assert (parts(line), line["opening_booked"]) == ({"opening": [("opening", -line["opening"])]}, False)
    entry(desk, str(Decimal(line["opening"]) / 100))
    line = proof(desk)
    assert (parts(line), line["opening_booked"], line["drift"]) == ({}, True, 0)
    company.account.pay(company.pushed()[late])
    desk.mlc("run", "-q")
    company.clock.pass_time(86400)
    first = line["opening"]
    desk.write(("start_date: 2026-10-01", f"start_date: {TODAY.replace(day=7)}"))
    line = proof(desk, code=3)  # a part of what was the opening by then is booked payment by payment
    assert parts(line)["payments"] == [("before_start", 11900)]
    assert (line["opening_booked"], line["drift"]) == (False, first)


def test_the_clearing_account_of_gocardless(tmp_path: Path) -> None:
    """GoCardless' clearing account holds what bounced and was not paid again; its balances are shown; anything else is drift."""
    desk = DebitDesk(tmp_path)
    _, _, payout = desk.debit.paid("C1", 500)
    desk.debit.debtor("C2")
    desk.debit.collect("C2", 70)
    desk.mlc("reconcile-payouts")
    desk.debit.organisation.bounce(payout)
    desk.mlc("reconcile-payouts")
    assert debits(desk.mlc("report", "clearing", "--json"))["drift"] == 0
    assert desk.mlc("replay", payout, "--again").code == 0
    line = debits(desk.mlc("report", "clearing", "--json"))
    assert parts(line) == {"bounced": [("bounced", line["sap"])]}
    assert line["sap"] > 49000
    assert line["balances"]["confirmed_funds GBP"] > 0
    entry(desk, "3.00", account="1362")
    said = desk.mlc("report", "clearing", "--json")
    assert (said.code, debits(said)["drift"]) == (3, 300)
    desk.tenants = [desk.tenants[0].replace('"1362"', '"1361"')]
    desk.write()
    entry(desk, "-3.00", account="1362")
    entry(desk, str(Decimal(line["sap"]) / 100), account="1361", other="1362")
    both = desk.mlc("report", "clearing", "--json").of("clearing")
    assert [(one["provider"], one["drift"]) for one in both] == [("Stripe", 0), ("GoCardless", None)]


def debits(said: Said) -> dict[str, Any]:
    """The proof of GoCardless."""
    return next(line for line in said.of("clearing") if line["provider"] == "GoCardless")


def test_what_cannot_be_compared(desk: Desk) -> None:
    """Money in another currency is shown and not compared; an account that SAP does not have proves nothing and is exit 3."""
    desk.company.account.pay_without_invoice(None, 700, "usd")
    desk.mlc("run", "-q")
    euro, dollar = desk.mlc("report", "clearing", "--json").of("clearing")
    assert (euro["currency"], euro["drift"], dollar["currency"], dollar["drift"]) == ("EUR", 0, "USD", None)
    assert (dollar["receipts"], parts(dollar)["payments"]) == (700, [("currency", -700)])
    assert "not compared" in dollar["notes"][0]
    desk.write(('clearing_account: "1361"', 'clearing_account: "4711"'))
    said = desk.mlc("report", "clearing", "-q")
    assert said.code == 3
    assert "SAP has no account 4711" in said.out


@pytest.mark.parametrize("words", [("--since", "soon"), ("--csv", "/nowhere/at/all.csv")])
def test_what_cannot_be_asked(desk: Desk, words: tuple[str, str]) -> None:
    """A day that is none, and a file that cannot be written, are exit 2."""
    desk.mlc("run", "-q")
    assert desk.mlc("report", "clearing", *words).code == 2
