"""Payouts at the command line: the T-account that an accountant reads, what is held and how a person decides, the story of a thing."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest
from desk import Desk, Said
from test_screens import golden

from direct_debit import DebitCompany
from mlc.sandbox.gocardless import GoCardlessSwitches

SECTION = """    gocardless:
      url: http://127.0.0.1:5
      access_token: {env: G}
      bank_account: {EUR: "1200", GBP: "1210"}
      fee_account: "6855"
      vat_account: "1576"
      unallocated_account: "1590"
      clearing_account: "1362"
      fx_account: "6880"
      dimensions: {1: invoice}
"""


class DebitDesk(Desk):
    """A desk at a company in pounds that collects by direct debit."""

    def __init__(self, folder: Path, more: str = "", **options: object) -> None:
        """`more` are further lines of the gocardless section."""
        self.debit = DebitCompany(folder, stripe="", **options)
        super().__init__(self.debit)
        self.ports.wires[5] = self.debit.wires["gocardless"]
        self.tenants = [self.tenants[0] + SECTION + more]
        self.write()

    def unknown(self) -> tuple[str, str]:
        """A payment without an invoice that a run has held; returns it and its payout."""
        self.debit.debtor("C9")
        payment = self.debit.collect("C9", 150)
        payout = self.debit.arrive(payment)
        assert self.mlc("reconcile-payouts").code == 3
        return payment, payout


@pytest.fixture
def desk(tmp_path: Path) -> DebitDesk:
    """A desk without customers yet."""
    return DebitDesk(tmp_path)


def a_week(folder: Path) -> DebitDesk:
    """A week with all that an entry can hold: two centres, a refund, a foreign payout, an unknown payment."""
    switches = GoCardlessSwitches(fee_permille=20, fee_cap=10_000)
    desk = DebitDesk(folder, gocardless={"switches": switches})
    debit = desk.debit
    for centre in ("NORTH", "SOUTH"):
        debit.books.add_centre(centre, centre)
    debit.debtor("C1")
    rows = [("Service", Decimal(1), Decimal(net), Decimal(20)) for net in ("1000.00", "250.00")]
    fields = [{"CostingCode": "NORTH"}, {"CostingCode": "SOUTH"}]
    day = debit.books.today()
    entry = debit.books.add_invoice("C1", rows, doc_date=day, due_date=day, line_fields=fields)
    debit.owe("C1", "77.00")
    debit.debtor("A-RATHER-LONG1")
    debit.owe("A-RATHER-LONG1", "12345.67")
    first = [debit.collect("C1", 1500, debit.books.invoice(entry).doc_num), debit.collect("A-RATHER-LONG1", "12345.67")]
    debit.arrive(*first)
    debit.organisation.set_fx_currency("GBP")
    debit.debtor("C2", "sepa_core")
    _, number = debit.owe("C2", 1000, currency="EUR", rate=Decimal("0.86"))
    debit.organisation.pay(debit.collect("C2", 1000, number), rate="0.85")
    debit.organisation.set_fx_currency(None)
    debit.debtor("C3")
    debit.arrive(debit.collect("C3", 42))
    return desk


def test_the_t_account_of_a_dry_run(tmp_path: Path) -> None:
    """A dry run shows each entry as a small T-account with the reason of each match, no line wider than 80 columns."""
    desk = a_week(tmp_path)
    before = desk.writes()
    said = desk.mlc("reconcile-payouts", "-n")
    assert said.code == 3
    assert desk.writes() == before
    text = said.err + said.out
    drawn = [line for line in text.splitlines() if line.startswith("    ")]
    assert drawn
    assert max(map(len, drawn)) <= 80
    golden("payouts", text)


def test_debits_and_credits_of_every_t_account_are_equal(tmp_path: Path) -> None:
    """The columns of each T-account add up to the total below them."""
    said = a_week(tmp_path).mlc("reconcile-payouts", "-n")
    sides: dict[str, list[Decimal]] = {"debit": [], "credit": []}
    totals = 0
    for line in (said.err + said.out).splitlines():
        hit = re.match(r"^    (.{36}) (.{0,13})(?: (.{13}))?$", line)
        if hit is None or not re.search(r"\d,?\d*\.\d\d$", line) or line.startswith("        "):
            continue
        debit, credit = (re.sub(r"[ ,]", "", one or "") for one in (hit[2], hit[3]))
        if hit[1].strip() == "total":
            assert debit == credit == str(sum(sides["debit"])) == str(sum(sides["credit"]))
            sides, totals = {"debit": [], "credit": []}, totals + 1
            continue
        sides["debit"] += [Decimal(debit)] if debit else []
        sides["credit"] += [Decimal(credit)] if credit else []
    assert totals == 2


@pytest.mark.parametrize("dry", [True, False])
def test_json_has_the_entry(tmp_path: Path, dry: bool) -> None:
    """`--json` gives each entry in minor units with rule and evidence of each match, the same dry and real."""
    said = a_week(tmp_path).mlc("reconcile-payouts", "--json", *(["-n"] if dry else []))
    entries = [line for line in said.of("item") if line.get("entry")]
    assert {line["state"] for line in entries} == {"planned" if dry else "done"}
    assert len(entries) == 2
    for line in entries:
        rows = line["entry"]["lines"]
        sums = {side: sum(row["amount"]["minor"] for row in rows if row["side"] == side) for side in ("debit", "credit")}
        assert sums["debit"] == sums["credit"] > 0
        assert {(row["amount"]["currency"], row["amount"]["exponent"]) for row in rows} == {("GBP", 2)}
        receivable = [row for row in rows if row["card_code"]]
        assert receivable
        assert all(row["rule"] and row["evidence"] and row["reference1"].startswith("PM") for row in receivable)
    assert entries[0]["entry"]["reference2"].startswith("PO")
    split = [row["codes"][0] for row in entries[0]["entry"]["lines"] if row["reference2"] == "1001"]
    assert split == ["NORTH", "SOUTH"]
    (summary,) = said.of("summary")
    assert (summary["dry_run"], summary["exit_code"]) == (dry, said.code)


def test_a_real_run_and_one_more(desk: DebitDesk) -> None:
    """A run books and closes with exit 0, and one more finds nothing to do."""
    entry, _, payout = desk.debit.paid("C1", 500)
    assert desk.mlc("reconcile-payouts").code == 0
    assert (set(desk.debit.entries()), desk.debit.open_of(entry)) == ({payout}, 0)
    before = desk.writes()
    again = desk.mlc("reconcile-payouts")
    assert (again.code, desk.writes()) == (0, before)
    assert "nothing to do" in again.err


# --- held --------------------------------------------------------------------------------------------------------------


def test_held_list_and_show(desk: DebitDesk) -> None:
    """`held list` shows the payment of the payout line; `held show` finds it by payment, payout and id, with the next step."""
    payment, payout = desk.unknown()
    desk.debit.owe("C9", 149)
    desk.mlc("reconcile-payouts")
    listed = desk.mlc("held", "list")
    assert payment in listed.out
    assert "no_open_invoice" in listed.out
    (item,) = desk.mlc("held", "list", "--json").of("item")
    assert (item["payment"], item["payout"], item["reason"], item["candidates"]) == (
        payment,
        payout,
        "no_open_invoice",
        ["1001"],
    )
    assert item["amount"] == {"minor": 15000, "currency": "GBP", "exponent": 2}
    for wish in (payment, payout, item["id"]):
        shown = desk.mlc("held", "show", wish)
        assert shown.code == 0
        assert f"mlc held match {payment} DOCNUM" in shown.out


def decided(desk: DebitDesk, *words: str) -> Said:
    """Decide, and let one more run pass."""
    said = desk.mlc("held", "match", *words)
    before = desk.writes()
    desk.mlc("reconcile-payouts")
    assert desk.writes() == before
    return said


@pytest.mark.parametrize("wish", ["payment", "id"])
def test_held_match_books_at_once(desk: DebitDesk, wish: str) -> None:
    """`held match PAYMENT NUMBER NUMBER` books the payout at once, on the invoices in the order named, and is remembered."""
    payment, payout = desk.unknown()
    first, second = desk.debit.owe("C9", 100), desk.debit.owe("C9", 70)
    (item,) = desk.mlc("held", "list", "--json").of("item")
    said = decided(desk, payment if wish == "payment" else item["id"], str(second[1]), str(first[1]))
    assert said.code == 0
    assert [desk.debit.open_of(one[0]) for one in (first, second)] == [20, 0]
    assert (set(desk.debit.entries()), desk.debit.held()) == ({payout}, {})


def test_held_match_dry_run(desk: DebitDesk) -> None:
    """A dry `held match` shows the entry, writes nothing and keeps no decision."""
    payment, _ = desk.unknown()
    desk.debit.partner("C7")
    _, number = desk.debit.owe("C7", 150)
    before = desk.writes()
    said = desk.mlc("held", "match", payment, str(number), "-n")
    assert said.code == 0
    assert f"C7 invoice {number}" in said.err + said.out
    desk.mlc("reconcile-payouts")
    assert (desk.writes(), list(desk.debit.held())) == (before, [f"payout-line/gocardless/PO00000001/{payment}"])


def test_the_rest_on_account(desk: DebitDesk) -> None:
    """`held match PAYMENT NUMBER account` puts what the invoice leaves on account."""
    payment, payout = desk.unknown()
    entry, number = desk.debit.owe("C9", 100)
    assert desk.mlc("held", "match", payment, str(number)).code == 3
    assert desk.debit.entries() == {}
    assert decided(desk, payment, str(number), "account").code == 0
    assert (desk.debit.open_of(entry), desk.debit.books.partner_balance("C9")) == (0, -50)
    assert len(desk.debit.lines(payout)) == 5


def test_a_parked_line_is_matched(tmp_path: Path) -> None:
    """`held match` of a parked payment moves it from the unallocated account onto the invoice."""
    desk = DebitDesk(tmp_path, "      on_unmatched: park\n")
    payment, payout = desk.unknown()
    entry, number = desk.debit.owe("C9", 150)
    assert decided(desk, payment, str(number)).code == 0
    assert f"{payout}/match/{payment}" in desk.debit.entries()
    assert (desk.debit.open_of(entry), desk.debit.books.balance("1590"), desk.debit.held()) == (0, 0, {})


@pytest.mark.parametrize("number", ["4711", "nonsense"])
def test_held_match_of_no_invoice(desk: DebitDesk, number: str) -> None:
    """A number that SAP does not have is exit 2, and nothing is decided."""
    payment, _ = desk.unknown()
    assert desk.mlc("held", "match", payment, number).code == 2
    assert desk.debit.entries() == {}


def test_a_customer_is_matched(desk: DebitDesk) -> None:
    """`held match CU CARDCODE` links a customer that no rule links; a partner SAP does not have is exit 2."""
    customer = desk.debit.debtor("C9", named=False, email="")
    assert desk.mlc("sync-customers").code == 3
    assert desk.mlc("held", "match", customer, "C77").code == 2
    dry = desk.mlc("held", "match", customer, "C9", "-n")
    assert (dry.code, len(desk.debit.held())) == (0, 1)
    assert desk.mlc("held", "match", customer, "C9").code == 0
    assert desk.debit.held() == {}
    entry, _ = desk.debit.owe("C9", 100)
    desk.debit.arrive(desk.debit.collect("C9", 100))
    assert desk.mlc("reconcile-payouts").code == 0
    assert desk.debit.open_of(entry) == 0


def test_dismissed_is_never_booked(desk: DebitDesk) -> None:
    """`held dismiss` of a payout line keeps the payout out of SAP, also once its invoice appears."""
    payment, _ = desk.unknown()
    assert desk.mlc("held", "dismiss", payment, "--note", "wrong account").code == 0
    desk.debit.owe("C9", 150)
    assert desk.mlc("reconcile-payouts").code == 0
    assert desk.debit.entries() == {}


@pytest.mark.parametrize("wish", ["payout", "payment", "id"])
def test_replay_after_the_invoice_was_written(desk: DebitDesk, wish: str) -> None:
    """`replay` of a held thing works from the payout, the payment or its id once the invoice is there."""
    payment, payout = desk.unknown()
    entry, _ = desk.debit.owe("C9", 150)
    (item,) = desk.mlc("held", "list", "--json").of("item")
    said = desk.mlc("replay", {"payout": payout, "payment": payment, "id": item["id"]}[wish])
    assert said.code == 0
    assert (set(desk.debit.entries()), desk.debit.open_of(entry)) == ({payout}, 0)


@pytest.mark.parametrize("wish", ["payout", "payment", "intent"])
def test_replay_of_what_sap_refused(tmp_path: Path, wish: str) -> None:
    """A refused entry is booked once by `replay` of payout, payment or intent, after the cause is gone."""
    from mlc.sandbox.sap import SapSwitches

    stops = {"JournalEntries"}
    switches = SapSwitches(notification=lambda name, _: (4711, "not before noon") if name in stops else None)
    desk = DebitDesk(tmp_path, sap={"switches": switches})
    entry, payment, payout = desk.debit.paid("C1", 100)
    refused = desk.mlc("reconcile-payouts")
    assert refused.code == 3
    assert "not before noon" in refused.err
    stops.clear()
    names = {"payout": payout, "payment": payment, "intent": f"SBODEMO/reconcile-payout/gocardless/{payout}"}
    assert desk.mlc("replay", names[wish]).code == 0
    assert (len(desk.debit.entries()[payout]), desk.debit.open_of(entry)) == (1, 0)


# --- explain -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("about", ["customer", "card", "payment", "payout", "invoice"])
def test_explain(desk: DebitDesk, about: str) -> None:
    """`explain` tells of a customer, a partner, a payment, a payout or an invoice where the money stands, and by which rule."""
    customer = desk.debit.debtor("C1")
    _, payment, payout = desk.debit.paid("C1", 500)
    desk.mlc("sync-customers")
    desk.mlc("reconcile-payouts")
    wish = {"customer": customer, "card": "C1", "payment": payment, "payout": payout, "invoice": "1001"}[about]
    said = desk.mlc("explain", wish)
    assert said.code == 0
    wanted = {"customer": payment, "card": payout, "payment": payout, "payout": payment, "invoice": payment}[about]
    assert wanted in said.out
    if about != "customer":
        assert "R2" in said.out
        assert "500.00 GBP" in said.out
    rows = desk.mlc("explain", wish, "--json").of("story")
    lines = said.out.splitlines()
    assert len(rows) == len(lines)
    assert all(row["text"] in line and row["source"] in line for row, line in zip(rows, lines, strict=True))
    assert {row["source"] for row in rows} >= {"journal", "SAP now", "GoCardless now"}


def test_explain_tells_of_failures_and_chargebacks(desk: DebitDesk) -> None:
    """Pending, failed and charged back payments of a customer stand in its story."""
    customer = desk.debit.debtor("C1")
    _, back, _ = desk.debit.paid("C1", 500)
    desk.mlc("reconcile-payouts")
    desk.debit.organisation.charge_back(back)
    failed = desk.debit.organisation.payment_failed(desk.debit.organisation.add_payment(desk.debit.mandates["C1"], 700))
    pending = desk.debit.organisation.add_payment(desk.debit.mandates["C1"], 800)
    desk.mlc("sync-customers")
    out = desk.mlc("explain", customer).out
    for ident, word in ((back, "charged_back"), (failed, "failed"), (pending, "pending_submission")):
        assert any(ident in line and word in line for line in out.splitlines()), ident


@pytest.mark.parametrize("wish", ["PO99999999", "nobody", "%"])
def test_explain_of_nothing(desk: DebitDesk, wish: str) -> None:
    """`explain` of what nobody knows is exit 2 and says so."""
    desk.debit.paid("C1", 500)
    desk.mlc("reconcile-payouts")
    said = desk.mlc("explain", wish)
    assert (said.code, said.out) == (2, "")
    assert f"nothing is known of {wish}" in said.err


# --- a tenant without GoCardless ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [("reconcile-payouts",), ("reconcile-payouts", "-n"), ("run",), ("sync-customers",)])
def test_a_tenant_without_gocardless(tmp_path: Path, words: tuple[str, ...]) -> None:
    """Where no GoCardless is configured the commands end with 0, and nobody asks for a token."""
    from harness import SECRETS, Company

    company = Company(tmp_path)
    company.partner()
    plain = Desk(company, secrets={name: value for name, value in SECRETS.items() if name != "G"})
    assert plain.mlc(*words).code == 0
    assert company.requests("gocardless") == []


@pytest.mark.parametrize("words", [("held", "match", "PM1", "1"), ("replay", "PM1"), ("replay", "PO1"), ("explain", "PO1")])
def test_words_about_payouts_without_gocardless(tmp_path: Path, words: tuple[str, ...]) -> None:
    """Words about payouts where no GoCardless is configured are exit 2, never a defect."""
    from harness import Company

    company = Company(tmp_path)
    company.partner()
    plain = Desk(company)
    plain.mlc("run")
    assert plain.mlc(*words).code == 2


def test_a_rejected_token(desk: DebitDesk) -> None:
    """A rejected token is exit 4 at once, names tenant and secret, and the token stands nowhere."""
    desk.debit.paid("C1", 500)
    desk.env["G"] = "another-token-0815"
    said = desk.mlc("reconcile-payouts")
    assert said.code == 4
    assert "acme" in said.err
    assert "gocardless.access_token" in said.err
    assert "another-token-0815" not in said.err + said.out
    assert len(desk.debit.requests("gocardless")) == 1
