"""mlc compare at the edges: shared accounts, other days, filters that SAP does not have, what moves meanwhile, what the state explains."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from desk import Desk
from test_commands_payouts import DebitDesk
from test_compare import BOOKED, GONE, counts, items, mark

from harness import TODAY, Company
from mlc.core.commands import PostPayment
from mlc.core.intents import Call, Intent, Mark, Plan
from mlc.core.money import Money
from mlc.sandbox.sap import SapSwitches
from mlc.systems.sap.client import SapRefusedError
from mlc.systems.sap.odata import SapError
from mlc.systems.sap.reads import SapReads
from mlc.systems.sap.spans import SapSpans

OTHER = {"sap_company": "OTHER", "sap_doc_entry": "1", "sap_doc_num": "1", "sap_card_code": "C9"}


def test_another_company_on_the_same_account(desk: Desk) -> None:
    """What belongs to another company is counted in a note and is no difference; what belongs to nobody is compared."""
    company, account = desk.company, desk.company.account
    theirs = account.add_customer("Theirs", metadata={"sap_company": "OTHER", "sap_card_code": "C9"})
    paid = account.pay(account.add_invoice(theirs, 5000, "eur", metadata=OTHER))
    account.refund(paid, 1000)
    said = desk.mlc("compare", "--json")
    assert (said.code, items(said)) == (0, {})
    notes = " ".join(said.of("summary")[0]["notes"])
    assert "1 payments belong to customers of another company" in notes
    assert "1 invoices at Stripe belong to another company" in notes
    mark(company, paid, "50.00")
    assert items(desk.mlc("compare", "--json")) == {paid: ("payment", "different", ["company"])}
    company.books.cancel_payment(company.posted()[paid][0].doc_entry)
    nobodys = company.account.pay_without_invoice(None, 700, "eur")
    assert items(desk.mlc("compare", "--json")) == {nobodys: ("payment", "missing_in_sap", [])}


def test_days_that_are_not_the_day_of_success(desk: Desk) -> None:
    """A posting moved to the next open day is the same in either month; a debit counts on the day on which it succeeded."""
    company = desk.company
    desk.write(("    first_run", "    closed_period: next_open_day\n    first_run"))
    first, second = company.invoice(), company.invoice()
    desk.mlc("run")
    late = company.account.pay_late(company.pushed()[second])
    company.clock.pass_time(20 * 86400)
    company.account.settle_late(late)
    company.account.pay(company.pushed()[first])
    company.books.close_period(2026, 11)
    company.clock.pass_time(9 * 86400)
    desk.mlc("run")
    (receipts,) = {tuple(one.date for one in found) for found in company.posted().values()}
    assert receipts == (date(2026, 12, 1),)
    assert counts(desk.mlc("compare", "--json", "--since", "2026-11-20", "--until", "2026-11-25"), "payment") == {
        "compared": 2,
        "same": 2,
    }
    assert counts(desk.mlc("compare", "--json", "--since", "2026-11-26"), "payment") == {"compared": 2, "same": 2}
    assert counts(desk.mlc("compare", "--json", "--until", "2026-11-10"), "payment") == {}
    assert desk.mlc("compare").code == 0


@pytest.mark.parametrize(("switches", "code"), [
    ({"payment_marker_filter": "refused"}, 2), ({"entry_marker_filter": "refused"}, 2), ({"payment_marker_filter": "ignored"}, 2),
    ({"payment_marker_filter": "always_empty"}, 2),
])  # fmt: skip
def test_a_filter_that_finds_nothing_proves_nothing(tmp_path: Path, switches: dict[str, Any], code: int) -> None:
    """Where SAP cannot find documents by their marks nothing is told as missing: the command says what to set."""
    company = Company(tmp_path, sap={"switches": SapSwitches(**switches)})
    company.partner()
    company.account.pay_without_invoice(None, 700, "eur")
    mark(company, "pi_3Another0000000000000000")
    said = Desk(company).mlc("compare", "--json")
    assert (said.code, said.of("summary"), said.of("item")) == (code, [], [])
    assert "marker_field" in said.err


def test_without_the_beginning_of_a_text() -> None:
    """A Service Layer that does not filter by how a text begins is read whole for the span, and the marks are looked for here."""

    class Server:
        """Refuses `startswith`."""

        def __init__(self) -> None:
            self.options, self.answers, self.asked = type("Options", (), {"marker_field": None})(), {}, []

        def pages(self, entity: str, select: str, where: str, **_more: Any) -> Iterator[list[dict[str, Any]]]:
            self.asked.append((entity, where))
            if "startswith" in where:
                raise SapRefusedError(entity, SapError(400, -1000, "no such function", own=True))
            row = {
                "DocEntry": 1,
                "DocNum": 1,
                "CardCode": "C1",
                "DocDate": "2026-11-03",
                "TransferSum": 5,
                "TransferAccount": "1361",
            }
            yield [
                {**row, "TransferReference": GONE},
                {**row, "TransferReference": "by hand"},
                {**row, "TransferReference": "Miete"},
            ]

    server = Server()
    spans = SapSpans(SapReads(server), lambda _code: "EUR")  # type: ignore[arg-type]
    (page,) = spans.marked(TODAY, TODAY)
    assert [(one.mark, one.account) for one in page] == [(GONE, "1361")]
    assert [where.count("startswith") for _, where in server.asked] == [4, 0]


def test_what_moves_while_it_is_read(desk: Desk) -> None:
    """An invoice that is paid and posted between the two lists is read once more, and is no difference."""
    company = desk.company
    entry = company.invoice()
    desk.mlc("run")
    pushed, moved = company.pushed()[entry], []

    def pay(request: httpx.Request, _response: httpx.Response) -> None:
        if request.url.path == "/v1/invoices" and not moved:
            moved.append(company.account.pay(pushed))
            company.books.add_receipt("C1", Decimal("119.00"), {entry: Decimal("119.00")}, date=TODAY)

    company.wires["stripe"].after = pay
    said = desk.mlc("compare", "--json")
    assert (len(moved), said.code, items(said)) == (1, 0, {})


def test_how_many_are_read_one_by_one(desk: Desk) -> None:
    """However many marks Stripe does not know, two hundred are asked for and the rest are said not to have been looked up."""
    company = desk.company
    for number in range(203):
        mark(company, f"pi_3Unknown{number:016}", "1.00")
    before = len(company.requests("stripe"))
    said = desk.mlc("compare", "--json")
    assert counts(said, "payment") == {"compared": 200, "missing_at_stripe": 200, "not_comparable": 3}
    assert len(company.requests("stripe")) - before <= 206
    assert any("200 differences were read one by one" in note for note in said.of("summary")[0]["notes"])


def test_what_the_state_explains(desk: Desk) -> None:
    """Promised, in doubt, dismissed and decided by a person: each is said beside what is missing, and none makes it less missing."""
    company = desk.company
    held, doubt, promised, dismissed = (company.account.pay_without_invoice(None, 100 + number, "eur") for number in range(4))
    desk.mlc("post-payments")
    desk.mlc("held", "dismiss", dismissed, "--note", "keyed as cash")
    opened = company.open()
    try:
        for payment in (doubt, promised):
            command = PostPayment(payment, payment, "C1", Money(101, "EUR"), "1361", TODAY, (), None, "test")
            opened.journal.accept(
                Plan(intents=[Intent(opened.scene().name("post-payment", payment), command, "customer/C1")]), "post-payments"
            )
        stored = opened.journal.find(opened.scene().name("post-payment", doubt))
        assert stored is not None
        opened.journal.sending(stored, Call("post", "sap", "POST", "IncomingPayments", {}, write=True))
        opened.journal.accept(Plan(marks=[Mark("payment", held, state="pending")]), "test")
        for payment in (doubt, promised):
            with opened.journal.database.write():
                opened.journal.held.remove(opened.scene().name("post-payment", payment))
        opened.journal.decide(held, {"invoices": [1]}, "test")
    finally:
        opened.close()
    said = desk.mlc("compare", "--json")
    found = {line["id"]: line["explanation"] for line in said.of("item")}
    assert {line["state"] for line in said.of("item")} == {"missing_in_sap"}
    assert found[doubt] == "in doubt: it was sent, and no answer is known"
    assert found[promised] == "promised, and not sent yet"
    assert found[dismissed].startswith("dismissed by a person: keyed as cash (was held no_customer since 2026-11-03")
    assert found[held].endswith("; a person matched it by hand")


def test_what_a_tenant_does_not_have(tmp_path: Path) -> None:
    """A section or an account that is missing is said to be the reason why something was not compared."""
    desk = DebitDesk(tmp_path)
    desk.debit.paid("C1", 500)
    text = desk.config.read_text()
    head, rest = text.split("    stripe:\n")
    desk.config.write_text(head + "    gocardless:\n" + rest.split("    gocardless:\n")[1])
    (line,) = desk.mlc("compare", "--json").of("summary")
    assert "no stripe section: payments, refunds and invoices are not compared" in line["notes"]
    assert line["counts"]["payout"]["missing_in_sap"] == 1
    desk.config.write_text(
        text.replace('      bank_account: "1200"\n', "").replace('clearing_account: "1361"', 'clearing_account: "4711"')
    )
    (line,) = desk.mlc("compare", "--json").of("summary")
    assert {note.split(":")[0] for note in line["notes"]} >= {
        "stripe.bank_account is not configured",
        "stripe.clearing_account is not in SAP",
    }


def test_dismissed_before_it_turned(desk: Desk) -> None:
    """A refund dismissed as booked by hand, which fails later, is a difference again until that is dealt with as well."""
    company = desk.company
    company.invoice()
    desk.mlc("run")
    (pushed,) = company.pushed().values()
    payment = company.account.pay(pushed)
    desk.mlc("run")
    refund = company.account.refund(payment, 3000)
    desk.mlc("post-payments")
    assert desk.mlc("held", "dismiss", refund, "--note", "by hand").code == 0
    assert desk.mlc("compare").code == 0
    company.account.fail_refund(refund)
    assert items(desk.mlc("compare", "--json")) == {f"{refund}/failed": ("refund", "missing_in_sap", [])}
    desk.mlc("post-payments")
    assert desk.mlc("held", "dismiss", refund, "--note", "by hand").code == 0
    assert desk.mlc("compare").code == 0
    desk.mlc("post-payments")
    assert desk.mlc("compare").code == 0


def test_a_payout_that_came_back(desk: Desk) -> None:
    """A payout that failed wants two entries, its own and the one that gives the bank's leg back; one started by hand is for people."""
    company, account = desk.company, desk.company.account
    account.pay_without_invoice(None, 50000, "eur")
    account.pay_without_invoice(None, 50000, "eur")
    company.clock.pass_time(9 * 86400)
    by_hand = account.manual_payout(1000)
    account.complete_payout(by_hand, reconcile=False)
    payout = account.make_payout()
    account.complete_payout(payout)
    desk.mlc("run")
    found = items(desk.mlc("compare", "--json"))
    assert {key: one for key, one in found.items() if one[0] == "payout"} == {by_hand: ("payout", "not_comparable", [])}
    account.fail_payout(payout)
    assert items(desk.mlc("compare", "--json"))[f"{payout}/failed"] == ("payout", "missing_in_sap", [])
    desk.mlc("run")
    assert payout not in " ".join(items(desk.mlc("compare", "--json")))
    assert desk.mlc("held", "dismiss", by_hand, "--note", "by hand").code == 0
    assert by_hand not in items(desk.mlc("compare", "--json"))


def test_a_debit_that_came_back(desk: Desk) -> None:
    """A debit that was posted and came back is the same on both sides once its return is booked, and a difference before that."""
    company = desk.company
    desk.write(BOOKED)
    company.invoice()
    desk.mlc("run")
    (pushed,) = company.pushed().values()
    late = company.account.pay_late(pushed)
    company.account.settle_late(late)
    desk.mlc("run")
    company.account.return_debit(late)
    assert items(desk.mlc("compare", "--json"))[f"{late}/returned"] == ("returned", "missing_in_sap", [])
    desk.mlc("run")
    said = desk.mlc("compare", "--json")
    assert (counts(said, "payment"), counts(said, "returned")) == ({"compared": 1, "same": 1}, {"compared": 1, "same": 1})


def test_an_invoice_that_was_pushed_before_its_own_day(desk: Desk) -> None:
    """An invoice dated later than it was pushed is found at Stripe though its invoice there is older than the period."""
    company = desk.company
    company.invoice(doc_date=TODAY + timedelta(days=5))
    desk.mlc("run")
    company.clock.pass_time(6 * 86400)
    company.forget()
    said = desk.mlc("compare", "--json", "--since", str(TODAY + timedelta(days=4)))
    assert (said.code, counts(said, "invoice")) == (0, {"compared": 1, "same": 1})
