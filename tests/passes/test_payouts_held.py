"""What is not certain is held, parked or put on account as configured; it heals by itself, or by a person's word, and is booked once."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from test_payouts import silent

from direct_debit import DebitCompany
from mlc.sandbox.gocardless import GoCardlessSwitches

HOLD = ("hold", "park", "on_account")


def unknown(folder: Path, policy: str = "hold", **debtor: Any) -> tuple[DebitCompany, str, str]:
    """E5: PM8 of C8 names its invoice, PM9 of C9 has none; returns the company, PM9 and the payout."""
    company = DebitCompany(folder, f"on_unmatched: {policy}")
    company.debtor("C8")
    company.debtor("C9", **debtor)
    first = company.collect("C8", 250, company.owe("C8", 250)[1])
    second = company.collect("C9", 150)
    return company, second, company.arrive(first, second)


def refused(company: DebitCompany, payout: str, reason: str, **held: str) -> None:
    """Nothing of a payout is in SAP, and this is why."""
    assert company.entries() == {}
    assert company.reasons() == (held or {payout: reason})
    assert all(company.open_of(one.doc_entry) == one.total for one in company.books.invoices())


def test_e5_hold(tmp_path: Path) -> None:
    """E5, hold: nothing is posted, the payment waits by its own name; it heals once its invoice appears, and is booked once."""
    company, payment, payout = unknown(tmp_path)
    assert company.reconcile().exit_code == 3
    refused(company, payout, "", **{payment: "no_open_invoice"})
    assert company.reconcile().exit_code == 0
    entry, _ = company.owe("C9", 150)
    company.reconcile()
    assert (company.held(), company.open_of(entry), len(company.entries()[payout])) == ({}, 0, 1)
    assert company.lines(payout)[:3] == ["1210 394.72", "6855 4.40", "1576 0.88"]
    silent(company)
    silent(company, forget=True)


def test_e5_park(tmp_path: Path) -> None:
    """E5, park: the rest is booked, the unknown line stands on the unallocated account and waits there for a person."""
    company, payment, payout = unknown(tmp_path, "park")
    assert company.reconcile().exit_code == 3
    assert company.lines(payout)[:3] == ["1210 394.72", "6855 4.40", "1576 0.88"]
    assert f"1590 -150.00 {payment}" in company.lines(payout)
    assert company.reasons() == {payment: "parked"}
    assert company.books.balance("1590") == -150
    silent(company)
    silent(company, forget=True)
    entry, number = company.owe("C9", 150)
    company.reconcile()
    assert company.reasons() == {payment: "parked"}, "parked money waits for a person, whatever appears"
    company.decide(payment, entry)
    company.reconcile(payout)
    assert company.lines(f"{payout}/match/{payment}") == [f"1590 150.00 {payment}", f"C9 -150.00 {payment} {number}"]
    assert (company.held(), company.books.balance("1590"), company.open_of(entry)) == ({}, 0, 0)
    silent(company)
    silent(company, forget=True)


def test_e5_on_account(tmp_path: Path) -> None:
    """E5, on account: a known customer is credited without an invoice, and nothing waits."""
    company, payment, payout = unknown(tmp_path, "on_account")
    assert company.reconcile().exit_code == 0
    (line,) = [one for one in company.entry(payout).lines if one.short_name == "C9"]
    assert (line.net, line.open, line.fields["Reference1"], line.fields.get("Reference2") or "") == (-150, 150, payment, "")
    assert company.held() == {}
    silent(company)
    silent(company, forget=True)


def test_on_account_of_nobody_is_held(tmp_path: Path) -> None:
    """On account of an unknown customer is impossible: the payout is held no_customer."""
    company, payment, payout = unknown(tmp_path, "on_account", named=False, email="")
    company.reconcile()
    refused(company, payout, "", **{payment: "no_customer"})


def wrong_currency(company: DebitCompany) -> str:
    """A payment that names an invoice in another currency."""
    company.debtor("C9")
    return company.collect("C9", 150, company.owe("C9", 150, currency="EUR", rate=Decimal("0.86"))[1])


def ambiguous(company: DebitCompany) -> str:
    """A payment whose description names two open invoices."""
    company.debtor("C9")
    numbers = [company.owe("C9", gross)[1] for gross in (150, 151)]
    return company.collect("C9", 150, description=f"Invoices {numbers[0]} and {numbers[1]}")


def conflict(company: DebitCompany) -> str:
    """A payment that names a stranger's invoice."""
    company.debtor("C9")
    company.partner("C7")
    return company.collect("C9", 150, company.owe("C7", 150)[1])


def suggestion(company: DebitCompany) -> str:
    """A payment of which two equal invoices are possible."""
    company.debtor("C9")
    company.owe("C9", 150)
    company.owe("C9", 150, due_date=company.books.today().replace(day=28))
    return company.collect("C9", 150)


def mismatch(company: DebitCompany) -> str:
    """A payment of more than is open on the invoice it names."""
    company.debtor("C9")
    return company.collect("C9", 150, company.owe("C9", 100)[1])


def nobody(company: DebitCompany) -> str:
    """A payment of a customer that nobody in SAP is."""
    company.debtor("C9", named=False, email="")
    return company.collect("C9", 150)


def closed(company: DebitCompany) -> str:
    """A payment that names an invoice which a receipt keyed by hand has closed."""
    company.debtor("C9")
    entry, number = company.owe("C9", 150)
    company.books.add_receipt("C9", Decimal(150), {entry: Decimal(150)}, date=company.books.today())
    return company.collect("C9", 150, number)


WAYS = (
    (nobody, "no_customer"), (closed, "no_open_invoice"), (ambiguous, "ambiguous"), (suggestion, "suggestion"),
    (conflict, "conflict"), (mismatch, "amount_mismatch"), (wrong_currency, "currency_mismatch"),
)  # fmt: skip


@pytest.mark.parametrize("policy", HOLD)
@pytest.mark.parametrize(("way", "reason"), WAYS, ids=[reason for _, reason in WAYS])
def test_on_unmatched_decides_for_seven_reasons(tmp_path: Path, policy: str, way: Any, reason: str) -> None:
    """The seven reasons of matching are held, parked or put on account as configured; no other customer's invoice is touched."""
    company = DebitCompany(tmp_path, f"on_unmatched: {policy}")
    payment = way(company)
    company.debtor("C8")
    entry, number = company.owe("C8", 250)
    payout = company.arrive(payment, company.collect("C8", 250, number))
    before = {one.doc_entry: one.open for one in company.books.invoices() if one.doc_entry != entry}
    company.reconcile()
    paid = 100 if reason == "amount_mismatch" else 0
    if policy == "hold" or (policy == "on_account" and reason == "no_customer"):
        assert (company.reasons(), company.entries()) == ({payment: reason}, {})
        assert payout in next(iter(company.held()))
    elif policy == "park":
        assert company.reasons() == {payment: "parked"}
        assert company.books.balance("1590") == paid - 150
    else:
        assert company.held() == {}
        on_account = [one for one in company.entry(payout).lines if one.short_name == "C9" and one.open]
        assert sum(line.net for line in on_account) == paid - 150
    if policy != "hold" and company.entries():
        assert company.open_of(entry) == 0
    after = {one.doc_entry: one.open for one in company.books.invoices() if one.doc_entry != entry}
    changed = {key: before[key] - after[key] for key in before if before[key] != after[key]}
    assert sum(changed.values()) == (paid if company.entries() else 0)
    silent(company)
    silent(company, forget=True)


def test_candidates_and_reasons_are_told(debit: DebitCompany) -> None:
    """A held payment names its amount and its candidates by invoice number, the fitting ones first."""
    payment = suggestion(debit)
    debit.arrive(payment)
    debit.reconcile()
    (item,) = [one for one in debit.items if one.state == "held"]
    assert (item.reason, item.candidates, item.amount.minor) == ("suggestion", ("1001", "1002"), 15000)
    assert item.about["payment"] == payment


@pytest.mark.parametrize("heal", ["invoice", "person", "two"])
def test_a_held_payment_is_booked_once(tmp_path: Path, heal: str) -> None:
    """Healed by its invoice or decided by a person: booked once, never again, and remembered."""
    company, payment, payout = unknown(tmp_path, "hold")
    company.reconcile()
    if heal == "invoice":
        owed = [company.owe("C9", 150)[0]]
    else:
        gross = (150,) if heal == "person" else (100, 50)
        company.partner("C7")
        owed = [company.owe("C7", one)[0] for one in gross]
        company.reconcile()
        assert company.reasons()[payment] in ("no_open_invoice", "suggestion", "conflict")
        company.decide(payment, *owed)
    for _ in range(3):
        company.reconcile()
    assert (company.held(), [company.open_of(one) for one in owed]) == ({}, [0] * len(owed))
    assert len(company.entries()[payout]) == 1
    silent(company, forget=True)


def test_the_rest_goes_on_account_where_a_person_says_so(tmp_path: Path) -> None:
    """`held match PAYMENT NUMBER account` closes the invoice and puts the rest on account of its customer."""
    company = DebitCompany(tmp_path)
    payment = mismatch(company)
    payout = company.arrive(payment)
    company.reconcile()
    assert company.reasons() == {payment: "amount_mismatch"}
    company.decide(payment, 1, account=True)
    company.reconcile(payout)
    assert [line for line in company.lines(payout) if payment in line] == [f"C9 -100.00 {payment} 1001", f"C9 -50.00 {payment}"]
    assert (company.held(), company.open_of(1)) == ({}, 0)


def dismiss(company: DebitCompany, name: str) -> None:
    """Dismiss a held item as a person would."""
    opened = company.open()
    try:
        opened.journal.dismiss(f"SBODEMO/{name}", "seen", "test")
    finally:
        opened.close()


def test_a_dismissed_payout_is_never_booked(tmp_path: Path) -> None:
    """A payout that a person has dismissed is not booked when its invoice appears, in no run; asked for by name it is."""
    company, _, payout = unknown(tmp_path)
    company.reconcile()
    (name,) = company.held()
    dismiss(company, name)
    company.owe("C9", 150)
    for _ in range(3):
        company.reconcile()
        company.clock.pass_time(86400)
    assert company.entries() == {}
    company.reconcile(payout)
    assert len(company.entries()[payout]) == 1


def test_a_dismissed_parked_line_stays_where_it_is(tmp_path: Path) -> None:
    """A parked line that is dismissed waits for nobody any more, and the money stays on its account."""
    company, _, _ = unknown(tmp_path, "park")
    company.reconcile()
    (name,) = company.held()
    dismiss(company, name)
    company.reconcile()
    assert (company.held(), company.books.balance("1590")) == ({}, -150)


def test_a_held_payout_takes_nothing_from_others(debit: DebitCompany) -> None:
    """While a payout is held, another payment of the customer does not take the invoice that the held one names."""
    debit.debtor("C1")
    debit.debtor("C2", named=False, email="")
    entry, number = debit.owe("C1", 100)
    named = debit.collect("C1", 100, number)
    stranger = debit.collect("C2", 55)
    first = debit.arrive(named, stranger)
    debit.arrive(debit.collect("C1", 100))
    debit.reconcile()
    assert debit.entries() == {}
    assert debit.reasons()[stranger] == "no_customer"
    debit.decide(stranger, debit.owe("C1", 55)[0])
    debit.reconcile()
    assert set(debit.entries()) == {first}
    assert debit.open_of(entry) == 0


def test_a_held_payment_whose_money_goes_back(debit: DebitCompany) -> None:
    """A held payment that is charged back in a later payout: decided in the end, both are booked and the invoice is open."""
    debit.debtor("C9")
    payment = debit.collect("C9", 150)
    debit.arrive(payment)
    debit.reconcile()
    debit.organisation.charge_back(payment)
    debit.debtor("C8")
    debit.arrive(debit.collect("C8", 250, debit.owe("C8", 250)[1]))
    debit.reconcile()
    assert debit.entries() == {}
    assert set(debit.held().values()) == {"no_open_invoice", "original_not_found"}
    entry, _ = debit.owe("C9", 150)
    debit.reconcile()
    assert (len(debit.entries()), debit.held(), debit.open_of(entry)) == (2, {}, 150)
    silent(debit, forget=True)


# --- what holds the whole payout ---------------------------------------------------------------------------------------


def test_another_companys_items_hold_the_payout(debit: DebitCompany) -> None:
    """A payout with a payment of another company is held as a whole, and nothing of it is booked."""
    debit.debtor("C1")
    debit.debtor("C2")
    mine = debit.collect("C1", 100, debit.owe("C1", 100)[1])
    theirs = debit.collect("C2", 50, metadata={"sap_company": "SBOOTHER", "sap_doc_entry": "1", "invoice": "1"})
    payout = debit.arrive(mine, theirs)
    assert debit.reconcile().exit_code == 3
    assert (debit.entries(), list(debit.reasons())) == ({}, [payout])
    assert "SBOOTHER" in next(one.text for one in debit.items if one.state == "held")


@pytest.mark.parametrize("hold", [True, False])
def test_partner_payouts(tmp_path: Path, hold: bool) -> None:
    """A partner payout pays no receivables: it is left alone in silence, or held where the configuration says so; never booked."""
    company = DebitCompany(tmp_path, "partner_payouts: hold" if hold else "")
    company.organisation.share_revenue(4200)
    payout = company.organisation.pay_payout(company.organisation.make_payout("GBP", partner=True))
    company.clock.pass_time(2 * 86400)
    for _ in range(2):
        company.reconcile()
        assert company.entries() == {}
        assert list(company.reasons()) == ([payout] if hold else [])
    silent(company, forget=True)


@pytest.mark.parametrize("reason", [None, "payout_items_unavailable"])
@pytest.mark.parametrize("booked", [True, False])
def test_items_that_gocardless_no_longer_tells(tmp_path: Path, reason: str | None, booked: bool) -> None:
    """A payout older than six months is held payout_too_old with its reason; one that was booked stays booked in silence."""
    company = DebitCompany(tmp_path, gocardless={"switches": GoCardlessSwitches(gone_reason=reason)}, start="2026-01-01")
    entry, _, payout = company.paid("C1", 100)
    if booked:
        company.reconcile()
    company.clock.pass_time(200 * 86400)
    report = company.reconcile()
    if booked:
        assert (report.exit_code, company.held(), company.open_of(entry)) == (0, {}, 0)
    else:
        assert (report.exit_code, company.reasons(), company.entries()) == (3, {payout: "payout_too_old"}, {})
    silent(company)


def test_a_payout_that_was_read_is_booked_although_its_items_are_gone(debit: DebitCompany) -> None:
    """What was read of a held payout is kept: it heals also after GoCardless stopped telling its items."""
    debit.debtor("C9")
    payment = debit.collect("C9", 150)
    payout = debit.arrive(payment)
    debit.reconcile()
    debit.clock.pass_time(200 * 86400)
    debit.reconcile()
    assert debit.reasons() == {payment: "no_open_invoice"}
    entry, _ = debit.owe("C9", 150)
    debit.reconcile()
    assert (set(debit.entries()), debit.open_of(entry), debit.held()) == ({payout}, 0, {})


def test_the_status_decides_not_the_event(tmp_path: Path) -> None:
    """An FX payout whose event says paid while its status is pending waits in silence until its rate is confirmed."""
    company = DebitCompany(tmp_path)
    company.organisation.set_fx_currency("GBP")
    company.debtor("C1", "sepa_core")
    company.owe("C1", 1000, currency="EUR", rate=Decimal("0.86"))
    payment = company.collect("C1", 1000, 1001)
    payout = company.arrive(payment)
    assert company.organisation.events("payouts/paid")
    assert company.organisation.read(payout)["status"] == "pending"
    company.reconcile()
    assert (company.entries(), company.held()) == ({}, {})
    company.organisation.confirm_fx_rate(payout, "0.85")
    company.clock.pass_time(86400)
    company.reconcile()
    assert (set(company.entries()), company.held(), company.open_of(1)) == ({payout}, {}, 0)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        ("amount", "does_not_tie"),
        ("deducted_fees", "does_not_tie"),
        ("type", "unknown_item_type"),
        ("arrival_date", "rate_not_final"),
    ],
)
def test_figures_that_do_not_tie_are_never_posted(debit: DebitCompany, spoil: str, reason: str) -> None:
    """A payout whose figures or items are not understood is held as a whole, and booked once they are right."""
    from dataclasses import replace

    entry, _, payout = debit.paid("C1", 100)
    record = debit.organisation.get("payouts", payout)
    kept = {**record, "_items": list(record["_items"])}
    if spoil == "type":
        record["_items"][0] = replace(record["_items"][0], type="payment_levitated")
    elif spoil == "arrival_date":
        record["arrival_date"] = None
    else:
        record[spoil] += 1
    assert debit.reconcile().exit_code == 3
    refused(debit, payout, reason)
    record.update(kept)
    debit.reconcile()
    assert (set(debit.entries()), debit.held(), debit.open_of(entry)) == ({payout}, {}, 0)


def test_what_sap_refuses_can_be_replayed(tmp_path: Path) -> None:
    """An entry that SAP refuses is said so with SAP's own text, not sent in every run, and booked once by its payout's id."""
    from mlc.sandbox.sap import SapSwitches

    stops = {"JournalEntries"}
    switches = SapSwitches(notification=lambda name, _: (4711, "not before noon") if name in stops else None)
    company = DebitCompany(tmp_path, sap={"switches": switches})
    entry, _, payout = company.paid("C1", 100)
    assert company.reconcile().exit_code == 3
    (item,) = [one for one in company.items if one.state == "refused"]
    assert "not before noon" in item.text + item.reason
    company.reconcile()
    stops.clear()
    company.reconcile(payout)
    assert (len(company.entries()[payout]), company.open_of(entry)) == (1, 0)


@pytest.mark.parametrize("wrong", ["amount", "reversed", "two"])
def test_an_entry_under_our_reference_is_looked_at(debit: DebitCompany, wrong: str) -> None:
    """An entry that somebody keyed or reversed under a payout's reference is never doubled: it is held, with its reason."""
    _, _, payout = debit.paid("C1", 100)
    books = debit.books
    amount = Decimal("98.57" if wrong == "amount" else "98.56")
    lines = lambda: [books.line("1210", amount), books.line("", -amount, partner="C1")]  # noqa: E731
    for _ in range(2 if wrong == "two" else 1):
        made = books.add_entry(lines(), books.today(), fields={"Reference2": payout})
    if wrong == "reversed":
        books.cancel_entry(made)
    count = len(books.journal)
    assert debit.reconcile().exit_code == 3
    assert debit.reasons() == {payout: "cancelled_in_sap" if wrong == "reversed" else "marker_mismatch"}
    assert len(books.journal) == count
    if wrong == "reversed":
        debit.reconcile(payout, insist=True)
        assert (len(debit.entries()[payout]), debit.held()) == (1, {})
        silent(debit)
