"""A payout becomes one balanced entry that closes its invoices: the worked entries of bookkeeping.md, through the whole pass."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path

import pytest
from oracle import WRITES

from direct_debit import DebitCompany
from harness import TODAY
from mlc.sandbox.gocardless import GoCardlessSwitches
from mlc.sandbox.sap import SapSwitches


def silent(company: DebitCompany, *, forget: bool = False) -> None:
    """A further run, with or without its state file, writes nothing and holds the same things for the same reasons."""
    held, entries, start = company.held(), len(company.books.journal), len(company.sap.log)
    if forget:
        company.forget()
    company.reconcile()
    writes = [one for one in company.requests("sap", start) if one[0] in WRITES and "Service_" not in one[1]]
    assert (writes, len(company.books.journal), company.held()) == ([], entries, held)


def test_e1_three_payments_with_fees_and_vat(debit: DebitCompany) -> None:
    """E1: bank, fees, VAT and a receivable line for each customer, to the cent; the invoices are closed and say so."""
    entries, payments = [], []
    for card, gross in (("C1", 500), ("C2", 120), ("C3", 80)):
        debit.debtor(card)
        entry, number = debit.owe(card, gross)
        entries.append(entry)
        payments.append(debit.collect(card, gross, number))
    payout = debit.arrive(*payments)
    assert debit.reconcile().exit_code == 0
    assert debit.lines(payout) == [
        "1210 692.32", "6855 6.40", "1576 1.28",
        f"C1 -500.00 {payments[0]} 1001", f"C2 -120.00 {payments[1]} 1002", f"C3 -80.00 {payments[2]} 1003",
    ]  # fmt: skip
    for entry, gross in zip(entries, (500, 120, 80), strict=True):
        invoice = debit.books.invoice(entry)
        assert (invoice.open, invoice.paid, invoice.status) == (0, Decimal(gross), "bost_Close")
    assert debit.held() == {}
    debit.check()
    silent(debit)
    silent(debit, forget=True)
    silent(debit)


def test_the_dates_and_names_of_an_entry(debit: DebitCompany) -> None:
    """The posting date is the arrival, the document date the creation; Reference2 is the payout, the lines name payment and invoice."""
    _, payment, payout = debit.paid("C1", 500)
    debit.reconcile()
    entry, told = debit.entry(payout), debit.organisation.read(payout)
    assert entry.date == datetime.date.fromisoformat(told["arrival_date"])
    assert entry.tax_date == datetime.date.fromisoformat(told["created_at"][:10])
    assert entry.reference2 == payout
    line = entry.lines[-1]
    assert (line.fields["Reference1"], line.fields["Reference2"]) == (payment, "1001")
    assert "1001" in line.fields["LineMemo"]
    assert told["reference"] in entry.memo


def test_fractions_of_a_penny_go_to_the_fee(debit: DebitCompany) -> None:
    """Two payments of 10.10 with fees of 36.1 pence: bank and receivables exactly, VAT rounded half up, the net fee balances."""
    payments = []
    for card in ("C1", "C2"):
        debit.debtor(card)
        payments.append(debit.collect(card, "10.10", debit.owe(card, "10.10")[1]))
    payout = debit.arrive(*payments)
    assert [one["amount"] for one in debit.organisation.items(payout) if one["type"] == "gocardless_fee"] == ["-36.1", "-36.1"]
    debit.reconcile()
    assert debit.lines(payout)[:3] == ["1210 19.48", "6855 0.60", "1576 0.12"]
    assert sum(line.net for line in debit.entry(payout).lines) == 0


def test_e6_collected_and_failed_in_one_payout(debit: DebitCompany) -> None:
    """E6: a payment that comes and goes in one payout is net zero on its customer, and its invoice stays open."""
    debit.debtor("C1")
    debit.debtor("C2")
    lost, number = debit.owe("C1", 100)
    kept, other = debit.owe("C2", 400)
    failed = debit.organisation.late_failure(debit.collect("C1", 100, number))
    payout = debit.arrive(debit.collect("C2", 400, other))
    debit.reconcile()
    of_failed = [line for line in debit.entry(payout).lines if line.fields.get("Reference1") == failed]
    assert [line.net for line in of_failed] == [-100, 100]
    assert debit.books.partner_balance("C1") == 100
    assert (debit.open_of(lost), debit.open_of(kept)) == (100, 0)
    assert sum(line.open for line in of_failed) == 0
    assert debit.held() == {}
    silent(debit)
    silent(debit, forget=True)


def test_e8_creditors_share_the_books(tmp_path: Path) -> None:
    """E8: each payout of several creditors is one entry, its bank account found by the creditor's bank account."""
    company = DebitCompany(tmp_path, 'bank_account: {GBP: "1210", BA00000004: "1200"}')
    company.debtor("C1")
    company.debtor("C2")
    other = company.organisation.add_creditor("Second")
    customer = company.organisation.tables["mandates"][company.mandates["C2"]]["links"]["customer"]
    company.mandates["C2"] = company.organisation.add_mandate(customer, creditor=other)
    first = company.arrive(company.collect("C1", 500, company.owe("C1", 500)[1]))
    second = company.arrive(company.collect("C2", 120, company.owe("C2", 120)[1]))
    named = [company.organisation.read(one)["links"]["creditor_bank_account"] for one in (first, second)]
    company.reconcile()
    banks = [company.lines(one)[0].split()[0] for one in (first, second)]
    assert banks == ["1200" if one == "BA00000004" else "1210" for one in named]
    assert "1200" in banks


@pytest.mark.parametrize("named", ["C1", "nobody"])
def test_a_part_payment_stays_a_part(debit: DebitCompany, named: str) -> None:
    """A payment of less than the invoice it names closes that much of it, the rest stays open; the next one closes it."""
    debit.debtor("C1", named=named == "C1", email="" if named == "nobody" else None)
    entry, number = debit.owe("C1", 100)
    debit.arrive(debit.collect("C1", 30, number))
    debit.reconcile()
    assert (debit.open_of(entry), debit.books.invoice(entry).status) == (70, "bost_Open")
    debit.arrive(debit.collect("C1", 70, number))
    debit.reconcile()
    assert (debit.open_of(entry), debit.books.invoice(entry).status) == (0, "bost_Close")
    silent(debit, forget=True)


def test_several_invoices_in_the_order_named(debit: DebitCompany) -> None:
    """A payment that names several invoices pays them in the order in which it names them, each on a line of its own."""
    debit.debtor("C1")
    first, second, third = (debit.owe("C1", gross) for gross in (100, 50, 70))
    text = f"{third[1]}; {first[1]}, {second[1]}"
    payment = debit.collect("C1", 190, metadata={"invoice_number": text})
    payout = debit.arrive(payment)
    debit.reconcile()
    assert debit.lines(payout)[3:] == [
        f"C1 -70.00 {payment} {third[1]}", f"C1 -100.00 {payment} {first[1]}", f"C1 -20.00 {payment} {second[1]}",
    ]  # fmt: skip
    assert [debit.open_of(one[0]) for one in (first, second, third)] == [0, 30, 0]
    silent(debit, forget=True)


def test_two_payments_cannot_use_up_one_invoice(debit: DebitCompany) -> None:
    """Two payments in two payouts of one run never put more on an invoice than is open."""
    debit.debtor("C1")
    entry, number = debit.owe("C1", 100)
    first = debit.arrive(debit.collect("C1", 100, number))
    second = debit.arrive(debit.collect("C1", 100, number))
    debit.reconcile()
    assert set(debit.entries()) == {first}
    assert list(debit.held().values()) == ["no_open_invoice"]
    assert second in next(iter(debit.held()))
    assert debit.open_of(entry) == 0


def test_nothing_is_booked_before_the_money_comes(debit: DebitCompany) -> None:
    """What GoCardless tells before a payout is paid books nothing: a pending payout waits in silence until it is."""
    debit.debtor("C1")
    entry, number = debit.owe("C1", 100)
    payment = debit.collect("C1", 100, number)
    assert debit.reconcile().exit_code == 0
    payout = debit.organisation.make_payout("GBP")
    debit.reconcile()
    assert (debit.entries(), debit.held(), debit.open_of(entry)) == ({}, {}, 100)
    debit.clock.pass_time(45 * 86400)
    debit.organisation.pay_payout(payout)
    debit.clock.pass_time(2 * 86400)
    debit.reconcile()
    assert payment in str(debit.lines(payout))
    assert debit.open_of(entry) == 0


@pytest.mark.parametrize(("start", "booked"), [("2026-11-04", True), ("2026-11-05", False)])
def test_money_counts_from_the_start_on(tmp_path: Path, start: str, booked: bool) -> None:
    """Money that arrived on or after the start date is booked, also for older invoices; older money is left alone in silence."""
    company = DebitCompany(tmp_path, start=start)
    company.debtor("C1")
    _, number = company.owe("C1", 100, doc_date=TODAY - datetime.timedelta(days=200))
    payout = company.arrive(company.collect("C1", 100, number))
    assert company.organisation.read(payout)["arrival_date"] == "2026-11-04"
    company.reconcile()
    assert set(company.entries()) == ({payout} if booked else set())
    assert company.held() == {}


def test_a_dry_run_decides_and_writes_nothing(debit: DebitCompany) -> None:
    """A dry run shows the very entry that the real run posts, and writes nothing to SAP."""
    entry, _, payout = debit.paid("C1", 500)
    start = len(debit.sap.log)
    report = debit.reconcile(dry_run=True)
    shown = [one.command for one in debit.items if one.command is not None and one.action == "PostEntry"]
    assert (report.exit_code, report.counts["planned"]) == (0, 1)
    assert not [one for one in debit.requests("sap", start) if one[0] in WRITES and "Service_" not in one[1]]
    assert (debit.entries(), debit.open_of(entry)) == ({}, 500)
    debit.reconcile()
    done = [one.command for one in debit.items if one.command is not None and one.action == "PostEntry"]
    assert shown == done
    assert set(debit.entries()) == {payout}


def test_an_entry_that_was_not_reconciled_is_never_posted_again(tmp_path: Path) -> None:
    """Between entry and reconciliation anything may happen: the entry stands once, and the invoice closes when SAP lets it."""
    refused = {"InternalReconciliations"}

    def refuse(name: str, body: object) -> tuple[int, str] | None:
        return (4711, "not now") if name in refused else None

    company = DebitCompany(tmp_path, sap={"switches": SapSwitches(notification=refuse)})
    entry, _, payout = company.paid("C1", 500)
    assert company.reconcile().exit_code == 3
    assert (len(company.entries()[payout]), company.open_of(entry)) == (1, 500)
    company.forget()
    company.reconcile()
    assert (len(company.entries()[payout]), company.open_of(entry)) == (1, 500)
    refused.clear()
    company.forget()
    company.reconcile()
    assert (len(company.entries()[payout]), company.open_of(entry)) == (1, 0)
    assert company.held() == {}


def test_every_request_to_gocardless_reads(debit: DebitCompany) -> None:
    """Whatever a run does, GoCardless is only ever read."""
    debit.paid("C1", 500)
    debit.reconcile()
    assert {method for method, _, _ in debit.requests("gocardless")} == {"GET"}


def test_the_items_are_kept_without_bank_details(debit: DebitCompany) -> None:
    """The raw items of a payout are kept in the state, and nothing of a bank account is."""
    _, payment, payout = debit.paid("C1", 500)
    debit.reconcile()
    opened = debit.open()
    try:
        kept = opened.journal.links.get("payout", payout).data["items"]
    finally:
        opened.close()
    assert kept == debit.organisation.items(payout)
    assert payment in str(kept)
    raw = b"".join(path.read_bytes() for path in debit.folder.glob("mlc.db*"))
    assert b"account_number_ending" not in raw
    assert b"bank_account_token" not in raw


def test_a_long_payout_is_read_to_its_end(debit: DebitCompany) -> None:
    """A payout of more items than GoCardless' usual page of 50 holds is booked whole."""
    debit.debtor("C1")
    payments = [debit.collect("C1", 10, debit.owe("C1", 10)[1]) for _ in range(70)]
    payout = debit.arrive(*payments)
    assert len(debit.organisation.items(payout)) > 100
    debit.reconcile()
    assert len(debit.entry(payout).lines) == 73
    assert debit.books.partner_balance("C1") == 0
    assert all(debit.open_of(one.doc_entry) == 0 for one in debit.books.invoices())


def test_a_limit_leaves_nothing_behind(debit: DebitCompany) -> None:
    """With a limit of one a run books some, and the next runs all of the rest."""
    payouts = {debit.paid(f"C{number}", 100 + number)[2] for number in range(1, 4)}
    for _ in range(8):
        debit.reconcile(limit=1)
    assert set(debit.entries()) == payouts
    assert all(debit.open_of(one.doc_entry) == 0 for one in debit.books.invoices())


@pytest.mark.parametrize("apart", [False, True])
def test_surcharges_are_fees_unless_given_apart(tmp_path: Path, apart: bool) -> None:
    """A surcharge is a fee; where an account of its own is configured it stands there, and the VAT stays one line."""
    company = DebitCompany(tmp_path, 'surcharge_account: "6880"' if apart else "")
    _, payment, _ = company.paid("C1", 300)
    company.reconcile()
    company.organisation.charge_back(payment)
    company.debtor("C2")
    payout = company.arrive(company.collect("C2", 400, company.owe("C2", 400)[1]))
    company.reconcile()
    heads = company.lines(payout)[: 4 if apart else 3]
    assert heads == (
        ["1210 93.04", "6855 0.80", "6880 5.00", "1576 1.16"] if apart else ["1210 93.04", "6855 5.80", "1576 1.16"]
    )


def test_fees_that_are_invoiced_are_no_lines(tmp_path: Path) -> None:
    """Where GoCardless invoices its fees, deducted_fees is 0 and the entry has neither fees nor VAT."""
    company = DebitCompany(tmp_path, gocardless={"switches": GoCardlessSwitches(fees_deducted=False)})
    _, payment, payout = company.paid("C1", 500)
    company.reconcile()
    assert company.lines(payout) == ["1210 500.00", f"C1 -500.00 {payment} 1001"]


def test_an_app_fee_is_a_fee(debit: DebitCompany) -> None:
    """A partner's app fee goes to the fee account, without VAT."""
    debit.debtor("C1")
    _, number = debit.owe("C1", 500)
    payout = debit.arrive(debit.collect("C1", 500, number, app_fee=250))
    debit.reconcile()
    assert debit.lines(payout)[:3] == ["1210 492.70", "6855 6.50", "1576 0.80"]


@pytest.mark.parametrize("role", ["bank_account", "fee_account", "vat_account"])
@pytest.mark.parametrize("how", ["missing", "locked"])
def test_an_account_that_cannot_be_posted_to_stops_loudly(tmp_path: Path, role: str, how: str) -> None:
    """An account that SAP does not have, or that is locked, stops the payout before anything is sent; it heals by itself."""
    company = DebitCompany(tmp_path, f'{role}: "{"9876" if how == "missing" else "1234"}"')
    company.books.add_account("1234", "Locked")
    company.books.lock_account("1234")
    entry, _, payout = company.paid("C1", 500)
    assert company.reconcile().exit_code != 0
    assert company.entries() == {}
    assert not [one for one in company.requests("sap") if one[:2] == ("POST", "/b1s/v2/JournalEntries")]
    if how == "missing":
        company.books.add_account("9876", "Found")
    else:
        company.books.unlock_account("1234")
    company.reconcile()
    assert set(company.entries()) == {payout}
    assert (company.held(), company.open_of(entry)) == ({}, 0)


def test_a_closed_period_waits_and_heals(debit: DebitCompany) -> None:
    """A payout of a closed period is held with that period, its date is never moved, and it is booked once the period is open."""
    entry, _, payout = debit.paid("C1", 500)
    debit.books.close_period(2026, 11)
    assert debit.reconcile().exit_code == 3
    assert (debit.reasons(), debit.entries()) == ({payout: "closed_period"}, {})
    debit.books.open_period(2026, 11)
    debit.reconcile()
    assert (debit.held(), debit.open_of(entry)) == ({}, 0)
    assert debit.entry(payout).date == datetime.date(2026, 11, 4)


def test_plans_name_invoices_for_their_payments(debit: DebitCompany) -> None:
    """A payment of a subscription or an instalment schedule is matched by the metadata of its plan (R3)."""
    debit.debtor("C1", named=False, email="")
    first, number = debit.owe("C1", 40)
    second, other = debit.owe("C1", 60)
    subscription = debit.organisation.add_subscription(debit.mandates["C1"], 4000, "Monthly", {"invoice": str(number)})
    payment = debit.organisation.subscription_payment(subscription)
    schedule = debit.organisation.add_instalment_schedule(debit.mandates["C1"], [2000, 4000], "Plan", {"invoice": str(other)})
    rates = debit.organisation.read(schedule)["links"]["payments"]
    debit.arrive(*(debit.organisation.payment_confirmed(one) for one in (payment, *rates)))
    debit.reconcile()
    assert (debit.held(), debit.open_of(first), debit.open_of(second)) == ({}, 0, 0)
    posted = next(one.command for one in debit.items if one.action == "PostEntry")
    assert {part.rule for part in posted.parts} == {"R3"}


@pytest.mark.parametrize(
    ("how", "rule"), [("description", "R4"), ("reference", "R5"), ("amount", "R6"), ("all", "R7"), ("docentry", "R2")]
)
def test_tiers_that_post_by_themselves(debit: DebitCompany, how: str, rule: str) -> None:
    """Description, reference, the only equal balance and the sum of all open invoices each match a known customer by themselves."""
    debit.debtor("C1")
    entry, number = debit.owe("C1", 100)
    more: dict[str, object] = {}
    if how == "all":
        debit.owe("C1", 50)
    elif how != "amount":
        debit.owe("C1", 100)
    if how == "description":
        more = {"description": f"Your invoice {number}"}
    if how == "reference":
        more = {"reference": f"INV {number}"}
    if how == "docentry":
        more = {"metadata": {"docentry": str(entry)}}
    payment = debit.collect("C1", 150 if how == "all" else 100, **more)
    debit.arrive(payment)
    debit.reconcile()
    posted = next(one.command for one in debit.items if one.action == "PostEntry")
    assert {part.rule for part in posted.parts} == {rule}
    assert debit.open_of(entry) == 0
    assert debit.held() == {}
