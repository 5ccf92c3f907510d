"""mlc compare: every difference of a period is told once, with its figures on both sides; nothing is written, no state is needed."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from desk import Desk, Said
from test_commands_payouts import DebitDesk
from test_live import LiveDesk

from harness import TODAY, Company
from mlc.sandbox.sap import SapSwitches
from published import STRIPE, SapEar, StripeEar

GONE = "pi_3Unknown0000000000000000"
BOOKED = ("    stripe:\n", '    stripe:\n      refunds: book\n      disputes: book\n      suspense_account: "1590"\n')


def items(said: Said) -> dict[str, tuple[str, str, list[str]]]:
    """What was told: id -> kind, state, names of the fields that differ; each thing once."""
    found: dict[str, tuple[str, str, list[str]]] = {}
    for line in said.of("item"):
        assert line["id"] not in found, f"{line['id']} is told twice"
        found[line["id"]] = (line["kind"], line["state"], [one["field"] for one in line["differences"]])
    return found


def counts(said: Said, kind: str) -> dict[str, int]:
    """What was counted of a kind, zeros left out."""
    (line,) = said.of("summary")
    return {name: number for name, number in line["counts"][kind].items() if number}


def written(company: Company) -> list[tuple[str, str, int]]:
    """Every request at any system that could have changed something, logins left out."""
    asked = [one for name in ("sap", "stripe", "gocardless") for one in company.requests(name)]
    return [one for one in asked if one[0] != "GET" and "CompanyService_" not in one[1]]


def mark(company: Company, payment: str, amount: str = "119.00", day: datetime.date = TODAY, account: str = "1361") -> int:
    """Key a receipt by hand that carries a payment's id."""
    return int(company.books.add_receipt("C1", Decimal(amount), date=day, reference=payment, account=account))


def entry(company: Company, reference: str, amount: str = "50.00", account: str = "1200") -> int:
    """Key an entry by hand that carries a reference."""
    books = company.books
    lines = [books.line(account, Decimal(amount)), books.line("1361", -Decimal(amount))]
    return int(books.add_entry(lines, books.today(), fields={"Reference2": reference}))


@dataclass
class World:
    """A company in which everything went wrong once."""

    desk: Desk
    ids: dict[str, str] = field(default_factory=dict)
    expected: dict[str, tuple[str, str, list[str]]] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path) -> World:
        """Let it go wrong."""
        company = Company(folder)
        company.partner()
        one = cls(Desk(company))
        one.desk.write(BOOKED)
        one.live(company)
        return one

    def wrong(self, ident: str, kind: str, state: str, *fields: str) -> None:
        """Expect a thing to be told."""
        self.expected[ident] = (kind, state, list(fields))

    def live(self, company: Company) -> None:
        """Payments, payouts, invoices: one of each kind of trouble, and some that are right."""
        account, books, mlc = company.account, company.books, self.desk.mlc
        names = ("same", "gone", "twice", "keyed", "void", "late", "by_hand", "two", "unpaid", "back", "cancelled")
        entries = {name: company.invoice() for name in names}
        assert mlc("run").code == 0
        invoices = {name: company.pushed()[number] for name, number in entries.items()}
        pays = {name: account.pay(invoices[name]) for name in ("same", "gone", "twice", "back")}
        assert mlc("run").code == 0
        refunds = [account.refund(pays["back"], 1000), account.refund(pays["back"], 2000)]
        assert mlc("post-payments").code in (0, 3)
        company.clock.pass_time(9 * 86400)
        payout = account.make_payout()
        account.complete_payout(payout)
        assert mlc("reconcile-payouts").code in (0, 3)
        account.pay_without_invoice(None, 100, "eur", {"sap_company": "ANOTHER"})
        company.clock.pass_time(9 * 86400)
        self.ids |= {
            "later": account.make_payout(),
            "payout": payout,
            "refund": refunds[0],
            "held": self.desk.unexplained(),
            "late": account.pay_late(invoices["late"]),
        }
        # and now it goes wrong
        books.cancel_payment(company.posted()[pays["gone"]][0].doc_entry)
        self.wrong(pays["gone"], "payment", "missing_in_sap")  # its invoice differs by that alone
        mark(company, pays["twice"])
        self.wrong(pays["twice"], "payment", "twice")
        pays["keyed"] = account.pay(invoices["keyed"])
        mark(company, pays["keyed"], "100.00", books.today() - datetime.timedelta(days=1), "1200")
        self.wrong(pays["keyed"], "payment", "different", "amount", "date", "clearing_account")
        self.wrong(invoices["keyed"], "invoice", "different", "status", "open")
        self.wrong(self.ids["held"], "payment", "missing_in_sap")
        self.wrong(self.ids["late"], "payment", "on_its_way")
        mark(company, GONE, "7.00", books.today())
        self.wrong(GONE, "payment", "missing_at_stripe")
        dollars = account.pay_without_invoice(None, 700, "usd")
        self.wrong(dollars, "payment", "not_comparable")
        for carrying in (one for one in books.entries() if one.reference2 in (payout, refunds[0])):
            books.cancel_entry(carrying.trans_id)
        self.wrong(payout, "payout", "missing_in_sap")
        self.wrong(refunds[0], "refund", "missing_in_sap")
        entry(company, refunds[1], "-20.00")
        self.wrong(refunds[1], "refund", "twice")
        self.wrong(self.ids["later"], "payout", "on_its_way")
        entry(company, "po_1Unknown0000000000000000")
        self.wrong("po_1Unknown0000000000000000", "payout", "missing_at_stripe")
        books.cancel_entry(entry(company, "po_2Unknown0000000000000000"))  # and this one was taken back
        self.go_wrong(company, entries, invoices)
        self.ids |= {f"in_{name}": ident for name, ident in invoices.items()} | pays

    def go_wrong(self, company: Company, entries: dict[str, int], invoices: dict[str, str]) -> None:
        """Let invoices go wrong."""
        account, books = company.account, company.books
        account.void(invoices["void"])
        self.wrong(invoices["void"], "invoice", "different", "status")
        books.add_receipt("C1", Decimal("119.00"), {entries["by_hand"]: Decimal("119.00")}, date=books.today())
        self.wrong(invoices["by_hand"], "invoice", "different", "status", "open")
        books.cancel_invoice(entries["cancelled"])
        self.wrong(invoices["cancelled"], "invoice", "different", "status", "open")
        original = account.read(invoices["two"])
        account.add_invoice(original["customer"], 11900, "eur", metadata=original["metadata"])
        self.wrong(
            next(iter(sorted(one["id"] for one in account.all("invoice") if _entry(one) == str(entries["two"])))),
            "invoice",
            "twice",
        )
        foreign = {**original["metadata"], "sap_doc_entry": "4711", "sap_doc_num": "4711"}
        self.wrong(account.add_invoice(original["customer"], 500, "eur", metadata=foreign), "invoice", "missing_in_sap")
        new = company.invoice(doc_date=books.today(), due_date=books.today())
        self.wrong(str(books.invoice(new).doc_num), "invoice", "missing_at_stripe")


def _entry(invoice: dict[str, Any]) -> str:
    return str(invoice["metadata"].get("sap_doc_entry"))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """One world for all these tests: they only look, or forget the state."""
    return World.of(tmp_path_factory.mktemp("compare"))


def test_each_difference_is_told_once_and_nothing_is_written(world: World) -> None:
    """Every kind of difference has one line with the fields that differ, the code is 3, and no system was asked to change a thing."""
    company = world.desk.company
    before, state = written(company), _files(company)
    said = world.desk.mlc("compare", "--json")
    assert items(said) == world.expected
    assert (said.code, said.of("summary")[0]["exit_code"]) == (3, 3)
    assert (written(company), _files(company)) == (before, state)
    found = {line["id"]: line for line in said.of("item")}
    keyed = found[world.ids["keyed"]]
    assert keyed["differences"][0]["sap"] == {"minor": 10000, "currency": "EUR", "exponent": 2}
    assert (keyed["amount"]["minor"], keyed["differences"][2]) == (
        11900,
        {"field": "clearing_account", "sap": "1200", "processor": "1361"},
    )
    assert "held no_customer since 2026-11-21" in found[world.ids["held"]]["explanation"]
    assert found[world.ids["held"]]["next"] == f"mlc held show {world.ids['held']}"
    assert found[world.ids["gone"]]["next"] == f"mlc replay {world.ids['gone']} --again"
    assert counts(said, "payment") == {"compared": 7, "same": 2, "different": 1, "twice": 1, "missing_in_sap": 2,
                                       "missing_at_stripe": 1, "on_its_way": 1, "not_comparable": 1}  # fmt: skip
    assert counts(said, "invoice")["follows"] == 1


def _files(company: Company) -> dict[str, bytes]:
    """The state file and what lies beside it (SQLite's own shared memory left out)."""
    return {path.name: path.read_bytes() for path in company.folder.glob("mlc.db*") if not path.name.endswith("-shm")}


def test_the_screen(world: World) -> None:
    """At a terminal each thing has its lines, none wider than 80 columns, and the counts stand at the end; quiet tells differences only."""
    said = world.desk.mlc("compare")
    assert said.code == 3
    lines = said.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == "acme  2026-10-01 to 2026-11-21  (Europe/Berlin)"
    at = lines.index(f"payment {world.ids['keyed']}  119.00 EUR  DIFFERENT")
    assert lines[at + 1].startswith("    receipt 50")
    assert "amount 100.00 EUR in SAP, 119.00 EUR at Stripe" in f"{lines[at + 1]} {lines[at + 2].strip()}"
    assert "payments: compared 7, same 2, different 1, twice 1, missing in SAP 2," in lines
    assert lines[-1].endswith(" missing or different")
    quiet = world.desk.mlc("compare", "-q").out
    assert "on its way" not in quiet
    assert quiet.count("\n    next: ") == sum(
        1 for _, state, _ in world.expected.values() if state not in ("on_its_way", "not_comparable")
    )


@pytest.mark.skipif(not STRIPE.exists(), reason="the published shapes are not beside the repository")
def test_what_is_asked_is_as_published(world: World) -> None:
    """Every request of a comparison, and every answer, is as the vendors publish it."""
    company, ears = world.desk.company, (SapEar(), StripeEar())
    company.sap.watchers.append(ears[0])
    company.stripe.watchers.append(ears[1])
    try:
        world.desk.mlc("compare", "-q")
    finally:
        company.sap.watchers.clear()
        company.stripe.watchers.clear()
    assert (ears[0].wrong, ears[1].wrong) == ([], [])


def test_a_part_of_the_period(world: World) -> None:
    """Another period tells what lies in it; what is cut is said, and what is no period is exit 2."""
    desk = world.desk
    first = items(desk.mlc("compare", "--json", "--until", "2026-11-03"))
    assert first[world.ids["gone"]][1] == "missing_in_sap"
    assert world.ids["held"] not in first
    last = desk.mlc("compare", "--json", "--since", "2026-11-04")
    assert not {world.ids["gone"], world.ids["in_void"]} & set(items(last))
    assert items(last)[world.ids["held"]][1] == "missing_in_sap"
    cut = desk.mlc("compare", "--since", "2026-09-01", "--until", "2027-01-01").out
    assert "note: --since 2026-09-01 is before start_date: compared from 2026-10-01 on" in cut
    assert "note: --until 2027-01-01 is not over yet" in cut
    assert desk.mlc("compare", "--since", "2026-11-05", "--until", "2026-11-04").code == 2
    assert "--until soon is no day" in desk.mlc("compare", "--until", "soon").err


def test_a_page_costs_what_it_shows(tmp_path: Path) -> None:
    """A hundred payments with their receipts are compared in a handful of requests, and all are the same."""
    company = Company(tmp_path)
    company.partner()
    desk = Desk(company)
    for _ in range(100):
        mark(company, company.account.pay_without_invoice(None, 500, "eur"), "5.00")
    before = [len(company.requests(name)) for name in ("sap", "stripe")]
    said = desk.mlc("compare", "--json")
    assert (said.code, counts(said, "payment")) == (0, {"compared": 100, "same": 100})
    asked = [len(company.requests(name)) - number for name, number in zip(("sap", "stripe"), before, strict=True)]
    assert asked[0] <= 16
    assert asked[1] <= 5
    assert not list(company.folder.glob("mlc.db*"))
    assert "there is no state file" in said.of("summary")[0]["notes"][0]


def test_a_lost_state_changes_no_verdict(tmp_path: Path) -> None:
    """What the systems hold decides: a new company, one that mlc served, and one whose state was lost are told the same way."""
    company = Company(tmp_path)
    company.partner()
    desk = Desk(company)
    desk.write(BOOKED)
    entries = [company.invoice() for _ in range(3)]
    assert list(items(desk.mlc("compare", "--json")).values()) == [("invoice", "missing_at_stripe", [])] * 3
    desk.mlc("run")
    company.account.refund(company.account.pay(company.pushed()[entries[0]]), 2000)
    company.account.pay_partly(company.pushed()[entries[1]], 5000)
    desk.mlc("run")
    company.account.dispute(company.account.pay(company.pushed()[entries[2]]))
    for _ in range(3):
        desk.mlc("run")
    company.clock.pass_time(9 * 86400)
    payout = company.account.make_payout()
    company.account.complete_payout(payout)
    desk.mlc("run")
    same = desk.mlc("compare", "--json")
    assert (same.code, items(same)) == (0, {})
    assert [counts(same, kind)["same"] for kind in ("payment", "refund", "dispute", "payout", "invoice")] == [3, 1, 1, 1, 3]
    assert desk.mlc("compare", "-q").out == ""
    assert "nothing is missing or different" in desk.mlc("compare").out
    company.forget()
    assert desk.mlc("compare").code == 0
    assert not list(company.folder.glob("mlc.db*"))


def test_what_went_back_by_hand(desk: Desk) -> None:
    """A refund left to people is a difference until it is dismissed or recognised; a debit that came back unposted is none."""
    company = desk.company
    first, second = company.invoice(), company.invoice()
    desk.mlc("run")
    payment = company.account.pay(company.pushed()[first])
    desk.mlc("run")
    refund = company.account.refund(payment, 3000)
    late = company.account.pay_late(company.pushed()[second])
    company.account.settle_late(late)
    company.account.return_debit(late)
    desk.mlc("post-payments")
    said = desk.mlc("compare", "--json")
    asked = company.pushed()[second]  # the simulated Stripe leaves it as paid
    assert items(said) == {refund: ("refund", "missing_in_sap", []), asked: ("invoice", "different", ["status", "open"])}
    assert "held by configuration (stripe.refunds: hold)" in said.of("item")[0]["text"]
    assert said.of("item")[0]["explanation"].startswith("held refund since")
    desk.mlc("held", "dismiss", refund, "--note", "keyed by hand")
    assert set(items(desk.mlc("compare", "--json"))) == {asked}
    company.forget()
    assert set(items(desk.mlc("compare", "--json"))) == {asked, refund}


def test_a_receipt_that_was_taken_back_for_its_refund(desk: Desk) -> None:
    """A receipt cancelled because all of its money went back agrees with Stripe; with the refund booked as well it is taken back twice."""
    company = desk.company
    company.invoice()
    desk.mlc("run")
    (pushed,) = company.pushed().values()
    payment = company.account.pay(pushed)
    desk.mlc("run")
    refund = company.account.refund(payment)
    company.books.cancel_payment(company.posted()[payment][0].doc_entry)
    said = desk.mlc("compare", "--json")
    assert {key: one for key, one in items(said).items() if one[0] != "invoice"} == {}
    entry(company, refund, "119.00")
    assert items(desk.mlc("compare", "--json"))[refund] == ("refund", "twice", [])


def test_one_tenant_does_not_stop_another(desk: Desk) -> None:
    """A tenant that cannot be read has its own code and message, the others are compared, and the worst code wins."""
    desk.second().invoice()
    desk.tenant("acme", key="{env: WRONG}")
    desk.env["WRONG"] = "sk_test_another0815"
    said = desk.mlc("compare", "--json")
    assert said.code == 4
    assert [(line["tenant"], line["exit_code"]) for line in said.of("summary")] == [("beta", 3)]
    plain = desk.mlc("compare", "--tenant", "beta")
    assert plain.code == 3
    assert "next: mlc replay 1001 --tenant beta" in plain.out
    desk.tenant("acme", sap=9)
    assert desk.mlc("compare", "--tenant", "acme").code == 5


def test_mode_live_may_be_compared(tmp_path: Path) -> None:
    """A live tenant is compared without a company's name, because nothing is written; a test key is refused as everywhere."""
    desk = LiveDesk(tmp_path)
    desk.company.invoice()
    before = desk.writes()
    said = desk.mlc("compare")
    assert (said.code, desk.writes()) == (3, before), said.err
    desk.env["K"] = "sk_test_mlcsandbox"
    assert desk.mlc("compare").code == 2


def test_payouts_of_gocardless(tmp_path: Path) -> None:
    """A paid payout has one entry of its sum; one that is not there, reversed, twice or unknown is told, a pending one is on its way."""
    desk = DebitDesk(tmp_path, sap={"switches": SapSwitches(cancel_reconciled="undone")})
    debit, books = desk.debit, desk.debit.books
    payouts = [debit.paid(f"C{number}", 500)[2] for number in range(1, 5)]
    desk.mlc("reconcile-payouts")
    assert desk.mlc("compare").code == 0
    books.cancel_entry(debit.entry(payouts[0]).trans_id)
    twice = [books.line(line.account, line.net) for line in debit.entry(payouts[1]).lines if not line.short_name]
    off = sum((line.net for line in twice), Decimal(0))
    books.add_entry([*twice, books.line("1590", -off)], books.today(), fields={"Reference2": payouts[1]})
    books.cancel_entry(debit.entry(payouts[2]).trans_id)
    lines = [books.line("1210", Decimal(1)), books.line("1590", Decimal(-1))]
    books.add_entry(lines, books.today(), fields={"Reference2": payouts[2]})
    entry(debit, "PO000UNKNOWN01", account="1210")
    entry(debit, "PO4711", account="6855")  # a purchase order
    missing = debit.paid("C5", 70)[2]
    early = debit.arrive(debit.collect("C5", 20), days=0)  # sent, and not there before the day after
    debit.collect("C5", 30)
    on_its_way = debit.organisation.make_payout()
    before = written(debit)
    said = desk.mlc("compare", "--json")
    assert {key: one for key, one in items(said).items() if one[0] == "payout"} == {
        payouts[0]: ("payout", "missing_in_sap", []), payouts[1]: ("payout", "twice", []), payouts[2]: ("payout", "different", ["bank"]),
        missing: ("payout", "missing_in_sap", []),
        early: ("payout", "missing_in_sap", []), "PO000UNKNOWN01": ("payout", "missing_at_gocardless", []),
        **({on_its_way: ("payout", "on_its_way", [])} if on_its_way else {}),
    }  # fmt: skip
    assert (said.code, written(debit)) == (3, before)
    elsewhere = [line for line in said.of("item") if line["kind"] == "invoice" and line["state"] == "not_comparable"]
    assert ["by mandate MD" in line["text"] for line in elsewhere] == [True, True]
    debit.clock.pass_time(200 * 86400)
    notes = desk.mlc("compare", "--json").of("summary")[0]["notes"]
    assert any("six months" in note for note in notes)
