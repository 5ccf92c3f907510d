"""Profit centres, projects and branches of a payout's lines: from the invoice, the customer, or fixed; never an inactive one."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from test_payouts import silent
from test_payouts_back import gone_back

from direct_debit import DebitCompany
from harness import TODAY
from mlc.sandbox.sap import SapSwitches

Rows = list[tuple[str, str, int, str]]  # text, net, tax percent, profit centre


def centred(folder: Path, rule: str = "{1: invoice}", config: str = "", **switches: Any) -> DebitCompany:
    """A company with the centres A, B, C in dimension 1, NORTH in dimension 2, HQ in dimension 1 and H3 in dimension 3."""
    made = SapSwitches(user_fields=frozenset({"OCRD.U_Region"}), **switches)
    company = DebitCompany(folder, f"dimensions: {rule}" + (f"\n{config}" if config else ""), sap={"switches": made})
    for code, dimension in (("A", 1), ("B", 1), ("C", 1), ("NORTH", 2), ("H3", 3)):
        company.books.add_centre(code, code, dimension)
    return company


def billed(company: DebitCompany, rows: Rows, card: str = "C1", **more: Any) -> tuple[int, int]:
    """Owe by lines of several profit centres; returns DocEntry and number."""
    if card not in company.mandates:
        company.debtor(card)
    lines = [(text, Decimal(1), Decimal(net), Decimal(tax)) for text, net, tax, _ in rows]
    fields = [{"CostingCode": centre} if centre else {} for *_, centre in rows]
    more.setdefault("line_fields", fields)
    entry = company.books.add_invoice(card, lines, doc_date=TODAY, due_date=TODAY, **more)
    return entry, int(company.books.invoice(entry).doc_num)


def shares(company: DebitCompany, payout: str, card: str = "C1") -> list[tuple[str, Decimal]]:
    """The first cost centre and the amount of each line of a customer."""
    lines = [line for line in company.entry(payout).lines if line.short_name == card]
    return [(line.fields.get("CostingCode") or "", line.net) for line in lines]


def test_a_payment_is_split_by_the_invoices_lines(tmp_path: Path) -> None:
    """The receivable is split over the invoice's profit centres in proportion to their gross totals, exactly."""
    company = centred(tmp_path)
    entry, number = billed(company, [("1", "100", 20, "A"), ("2", "60", 0, "B"), ("3", "20", 0, "A")])
    payout = company.arrive(company.collect("C1", 200, number))
    company.reconcile()
    assert shares(company, payout) == [("A", Decimal(-140)), ("B", Decimal(-60))]
    assert (company.open_of(entry), company.held()) == (0, {})
    silent(company, forget=True)


@pytest.mark.parametrize(
    ("gross", "expected"),
    [("100.01", ["50.01", "25.00", "25.00"]), ("0.01", ["0.01"]), ("100.03", ["50.01", "25.01", "25.01"]), ("0.03", ["0.01", "0.01", "0.01"])],
)  # fmt: skip
def test_the_largest_remainder_gets_the_cent(tmp_path: Path, gross: str, expected: list[str]) -> None:
    """A part payment is split to the cent, what is left over goes to the largest remainders; a share of nothing is no line."""
    company = centred(tmp_path)
    _, number = billed(company, [("1", "100", 0, "A"), ("2", "50", 0, "B"), ("3", "50", 0, "C")])
    helper, other = billed(company, [("1", "50", 0, "A")], "C2")
    payout = company.arrive(company.collect("C1", gross, number), company.collect("C2", 50, other))
    company.reconcile()
    assert [-amount for _, amount in shares(company, payout)] == [Decimal(one) for one in expected]
    assert company.open_of(helper) == 0


def test_what_goes_back_has_the_same_centres(tmp_path: Path) -> None:
    """A chargeback is debited by the same profit centres as it was credited, and the invoice is open again in whole."""
    company = centred(tmp_path)
    entry, number = billed(company, [("1", "100", 0, "A"), ("2", "200", 0, "B")])
    payment = company.collect("C1", 300, number)
    company.arrive(payment)
    company.reconcile()
    payout = gone_back(company, payment, "charged_back")
    company.reconcile()
    assert shares(company, payout) == [("A", Decimal(100)), ("B", Decimal(200))]
    assert (company.open_of(entry), company.held()) == (300, {})
    silent(company, forget=True)


def test_field_of_the_customer_and_fixed(tmp_path: Path) -> None:
    """Dimension 2 is read from the customer's field, dimension 3 is fixed, on fees too; the bank line and VAT carry what is fixed or nothing."""
    company = centred(tmp_path, "{1: invoice, 2: {customer_field: U_Region}, 3: {fixed: H3}}")
    company.books.add_partner("C1", "Firm", U_Region="NORTH")
    _, number = billed(company, [("1", "100", 0, "A")])
    payout = company.arrive(company.collect("C1", 100, number))
    company.reconcile()
    bank, fee, _, line = company.entry(payout).lines
    found = [line.fields.get(name) for name in ("CostingCode", "CostingCode2", "CostingCode3")]
    assert found == ["A", "NORTH", "H3"]
    assert (fee.fields.get("CostingCode") or "", fee.fields.get("CostingCode3")) == ("", "H3")
    assert (bank.fields.get("CostingCode") or "") == ""


def test_a_customer_without_the_field(tmp_path: Path) -> None:
    """A customer whose field is empty has no code there, and is booked all the same."""
    company = centred(tmp_path, "{2: {customer_field: U_Region}}")
    _, _, payout = company.paid("C1", 100)
    company.reconcile()
    assert not company.entry(payout).lines[-1].fields.get("CostingCode2")
    assert company.held() == {}


@pytest.mark.parametrize("how", ["inactive", "missing", "expired", "not yet", "other dimension"])
def test_a_centre_that_cannot_be_used_stops_before_anything_is_sent(tmp_path: Path, how: str) -> None:
    """A profit centre that is inactive, absent, outside its dates or of another dimension holds the payout, and it heals."""
    company = centred(tmp_path)
    entry, number = billed(company, [("1", "100", 0, "A")])
    payout = company.arrive(company.collect("C1", 100, number))
    centre = company.books.centres["A"]
    kept = dict(centre.fields)
    if how == "missing":
        del company.books.centres["A"]
    changes = {
        "inactive": {"Active": "tNO"}, "expired": {"EffectiveTo": TODAY.replace(month=1)}, "not yet": {"EffectiveFrom": TODAY.replace(month=12)},
        "other dimension": {"InWhichDimension": 2},
    }  # fmt: skip
    centre.fields.update(changes.get(how, {}))
    assert company.reconcile().exit_code == 3
    assert (company.entries(), list(company.reasons())) == ({}, [payout])
    (item,) = [one for one in company.items if one.state == "held"]
    assert "A" in item.text.split()
    assert str(number) in item.text
    assert not [one for one in company.requests("sap") if one[:2] == ("POST", "/b1s/v2/JournalEntries")]
    company.books.centres["A"] = centre
    centre.fields.clear()
    centre.fields.update(kept)
    company.reconcile()
    assert (company.held(), company.open_of(entry)) == ({}, 0)


@pytest.mark.parametrize("active", [True, False])
def test_the_project_of_the_invoice(tmp_path: Path, active: bool) -> None:
    """The project of the invoice's lines stands on the receivable line; one that is not active holds the payout."""
    company = centred(tmp_path)
    _, number = billed(company, [("1", "100", 0, "A")], project="TOWER", line_fields=[{"CostingCode": "A"}])
    payout = company.arrive(company.collect("C1", 100, number))
    if not active:
        company.books.projects["TOWER"].fields["Active"] = "tNO"
    company.reconcile()
    if active:
        assert company.entry(payout).lines[-1].fields["ProjectCode"] == "TOWER"
    else:
        assert (company.entries(), list(company.reasons())) == ({}, [payout])


def test_without_rules_no_line_has_a_centre(tmp_path: Path) -> None:
    """Without dimensions in the configuration no line carries a profit centre."""
    company = centred(tmp_path, "{}")
    _, number = billed(company, [("1", "100", 0, "A"), ("2", "50", 0, "B")])
    payout = company.arrive(company.collect("C1", 150, number))
    company.reconcile()
    assert shares(company, payout) == [("", Decimal(-150))]


def test_parked_money_gets_its_centres_when_it_is_matched(tmp_path: Path) -> None:
    """A parked line has no centre of an invoice; once it is matched its receivable is split like any other."""
    company = centred(tmp_path, config="on_unmatched: park")
    company.debtor("C1")
    payment = company.collect("C1", 150)
    payout = company.arrive(payment)
    company.reconcile()
    entry, _ = billed(company, [("1", "100", 0, "A"), ("2", "50", 0, "B")])
    company.decide(payment, entry)
    company.reconcile(payout)
    assert shares(company, f"{payout}/match/{payment}") == [("A", Decimal(-100)), ("B", Decimal(-50))]
    assert (company.open_of(entry), company.held()) == (0, {})


# --- branches ----------------------------------------------------------------------------------------------------------


def branched(folder: Path, config: str = "branches: {CR0001: 2}") -> DebitCompany:
    """A company with the branches 1, 2 and 3."""
    company = centred(folder, "{}", config, enable_branches=True)
    company.books.add_branch(2, "Second")
    company.books.add_branch(3, "Third")
    return company


def test_every_line_stands_in_the_creditors_branch(tmp_path: Path) -> None:
    """In a company with branches every line of the entry carries the branch that is configured for the creditor."""
    company = branched(tmp_path)
    entry, number = billed(company, [("1", "100", 0, "")], branch=2)
    payout = company.arrive(company.collect("C1", 100, number))
    company.reconcile()
    assert {line.branch for line in company.entry(payout).lines} == {2}
    assert (company.open_of(entry), company.held()) == (0, {})
    silent(company, forget=True)


def test_a_branch_is_never_guessed(tmp_path: Path) -> None:
    """Without a branch configured for the creditor the payout is held, and nothing is sent."""
    company = branched(tmp_path, "branches: {CR9999: 2}")
    _, number = billed(company, [("1", "100", 0, "")], branch=2)
    payout = company.arrive(company.collect("C1", 100, number))
    assert company.reconcile().exit_code == 3
    assert (company.entries(), list(company.reasons())) == ({}, [payout])
    assert "CR0001" in next(one.text for one in company.items if one.state == "held")


def test_an_invoice_of_another_branch_is_held(tmp_path: Path) -> None:
    """A payout whose money arrives in one branch and pays an invoice of another one would not balance per branch: it is held."""
    company = branched(tmp_path)
    _, number = billed(company, [("1", "100", 0, "")], branch=3)
    payout = company.arrive(company.collect("C1", 100, number))
    assert company.reconcile().exit_code == 3
    assert company.entries() == {}
    assert "several_partners" in company.reasons().values()
    assert any(payout in name for name in company.held())


def test_a_bounce_stands_in_the_creditors_branch(tmp_path: Path) -> None:
    """The entry of a booked bounce is balanced within the creditor's branch too."""
    company = branched(tmp_path)
    _, number = billed(company, [("1", "100", 0, "")], branch=2)
    payout = company.arrive(company.collect("C1", 100, number))
    company.reconcile()
    company.organisation.bounce(payout)
    company.reconcile()
    company.reconcile(payout, insist=True)
    assert {line.branch for line in company.entry(f"{payout}/bounced/1").lines} == {2}
