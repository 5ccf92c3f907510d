"""The commands around money that goes back: held, replay, explain and the clearing report, as a person types them."""

from __future__ import annotations

from decimal import Decimal

from desk import Desk

MORE = '      refunds: book\n      disputes: book\n      suspense_account: "1590"\n'


def booking(desk: Desk) -> Desk:
    """Let the desk's tenant book what goes back."""
    desk.config.write_text(desk.config.read_text() + MORE)
    return desk


def test_a_refund_that_is_not_certain(desk: Desk) -> None:
    """A refund that somebody may have keyed is held with the document's name; replay --again books it, a second time it is done."""
    booking(desk)
    entry = desk.company.invoice()
    desk.mlc("run")
    payment = desk.company.account.pay(desk.company.pushed()[entry])
    desk.mlc("run")
    refund = desk.company.account.refund(payment, 2500)
    desk.company.books.add_refund("C1", Decimal("25.00"))
    assert desk.mlc("run").code == 3
    shown = desk.mlc("held", "show", refund)
    assert "outgoing payment 7001" in shown.out
    assert f"mlc replay {refund} --again" in shown.out
    assert desk.mlc("replay", refund).code in (0, 3)
    assert refund not in {one.reference2 for one in desk.company.books.entries()}
    assert desk.mlc("replay", refund, "--again").code == 3  # booked, and the invoice is owed again
    assert refund in {one.reference2 for one in desk.company.books.entries()}
    assert "reopened" in desk.mlc("held", "list").out
    assert refund in desk.mlc("explain", refund, "--offline").out
    again = desk.mlc("replay", refund)
    assert sum(1 for one in desk.company.books.entries() if one.reference2 == refund) == 1, again.err
    assert desk.mlc("audit", "verify").code == 0


def test_a_payout_from_the_plan_to_the_proof(desk: Desk) -> None:
    """The plan shows the payout as a T-account; after the run the clearing report's drift is nothing, and a stray entry shows."""
    booking(desk)
    entry = desk.company.invoice()
    desk.mlc("run")
    desk.company.account.pay(desk.company.pushed()[entry])
    desk.mlc("run")
    desk.company.clock.pass_time(4 * 86400)
    payout = desk.company.account.complete_payout(desk.company.account.make_payout())
    plan = desk.mlc("reconcile-payouts", "-n")
    assert f"book payout {payout}: 1 movement, 2.03 EUR fees" in plan.err
    assert "6855 Processing fees" in plan.err
    done = desk.mlc("reconcile-payouts", "--json")
    (item,) = done.of("item")
    assert (item["state"], item["target"], item["about" if "about" in item else "payout"]) == ("done", "sap", payout)
    assert desk.mlc("report", "clearing").code == 0
    assert payout in desk.mlc("explain", payout).out
    assert desk.mlc("replay", payout).code == 0
    books = desk.company.books
    books.add_entry([books.line("1361", Decimal("5.00")), books.line("1200", Decimal("-5.00"))], books.today())
    report = desk.mlc("report", "clearing")
    assert report.code == 3
    assert "5.00" in report.out


def test_a_manual_payout_tells_what_to_book(desk: Desk) -> None:
    """A manual payout is held with what a person has to book, and dismissed when that is done."""
    booking(desk)
    entry = desk.company.invoice()
    desk.mlc("run")
    desk.company.account.pay(desk.company.pushed()[entry])
    desk.company.clock.pass_time(4 * 86400)
    payout = desk.company.account.complete_payout(desk.company.account.manual_payout(5000))
    desk.mlc("run")
    shown = desk.mlc("held", "show", payout)
    assert "Dr bank, Cr clearing over 50.00 EUR" in shown.out
    assert desk.mlc("held", "dismiss", payout, "--note", "booked by hand").code == 0
    assert desk.mlc("run").code == 0
