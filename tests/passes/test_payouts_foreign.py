"""Payouts of other currencies: E4 to the cent, VAT that is confirmed later, a foreign bank account, and what is held for want of a rate."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from test_payouts import silent
from test_payouts_back import fresh

from direct_debit import DebitCompany
from mlc.sandbox.gocardless import GoCardlessSwitches

RATE = Decimal("0.86")


def e4(folder: Path, *, fx: str | None = "GBP", config: str = "", **switches: Any) -> tuple[DebitCompany, list[str]]:
    """Two payments of EUR 1,000.00 with their invoices at 0.86, not yet paid out; with the payments."""
    made = GoCardlessSwitches(fee_permille=20, fee_cap=10_000, **switches)
    company = DebitCompany(folder, config, gocardless={"switches": made})
    company.organisation.set_fx_currency(fx)
    payments = []
    for card in ("C1", "C2"):
        company.debtor(card, "sepa_core")
        _, number = company.owe(card, 1000, currency="EUR", rate=RATE)
        payments.append(company.collect(card, 1000, number))
    return company, payments


def arrived(company: DebitCompany, payments: list[str], rate: str | None) -> str:
    """Pay out and let it arrive; returns the payout."""
    payout = str(company.organisation.pay(*payments, rate=rate))
    company.clock.pass_time(2 * 86400)
    return payout


def reopened(company: DebitCompany) -> list[Decimal]:
    """What is open of every invoice, in its own currency."""
    return [company.open_of(one.doc_entry) for one in company.books.invoices()]


@pytest.mark.parametrize(
    ("rate", "fx", "heads"),
    [
        ("0.85", "6880 20.00", ["1210 1658.79", "6855 34.34", "1576 6.87"]),
        ("0.86", "", ["1210 1678.31", "6855 34.74", "1576 6.95"]),
        ("0.88", "6880 -40.00", ["1210 1717.34", "6855 35.55", "1576 7.11"]),
    ],
)
def test_e4_a_payout_that_is_converted(tmp_path: Path, rate: str, fx: str, heads: list[str]) -> None:
    """E4: bank as it arrived, fees and VAT at the payout's rate, receivables at the invoices' rate, the rest is realised FX."""
    company, payments = e4(tmp_path)
    payout = arrived(company, payments, rate)
    assert company.organisation.read(payout)["amount"] == 195_152
    assert company.reconcile().exit_code == 0
    lines = company.lines(payout)
    assert lines[:3] == heads
    assert lines[3:5] == [f"C1 -860.00 EUR 1000.00 {payments[0]} 1001", f"C2 -860.00 EUR 1000.00 {payments[1]} 1002"]
    assert lines[5:] == ([fx] if fx else [])
    assert (reopened(company), company.held()) == ([0, 0], {})
    assert {one.status for one in company.books.invoices()} == {"bost_Close"}
    company.check()
    silent(company)
    silent(company, forget=True)


@pytest.mark.parametrize("when", ["before", "after", "equal"])
def test_vat_whose_rate_is_confirmed(tmp_path: Path, when: str) -> None:
    """VAT is booked at the payout's rate until GoCardless confirms it; then the difference is booked once, against fees."""
    company, payments = e4(tmp_path)
    payout = arrived(company, payments, "0.85")
    rate = "0.85" if when == "equal" else "0.84"
    if when == "before":
        company.organisation.confirm_tax_rates(payout, rate)
    company.reconcile()
    if when == "before":
        assert company.lines(payout)[2] == "1576 6.79"
    else:
        assert company.lines(payout)[2] == "1576 6.87"
        company.reconcile()
        assert set(company.entries()) == {payout}
        company.organisation.confirm_tax_rates(payout, rate)
        company.reconcile()
    tax = f"{payout}/tax/1"
    assert set(company.entries()) == ({payout, tax} if when == "after" else {payout})
    if when == "after":
        assert sorted(company.lines(tax)) == ["1576 -0.08", "6855 0.08"]
    assert company.books.balance("1576") == Decimal("6.87" if when == "equal" else "6.79")
    silent(company)
    silent(company, forget=True)


def test_an_invoice_paid_in_parts_is_closed_to_the_cent(tmp_path: Path) -> None:
    """Three parts of a foreign invoice in three payouts add up to what it was booked with, and close it in both currencies."""
    company, _ = e4(tmp_path)
    company.debtor("C3", "sepa_core")
    entry, number = company.owe("C3", "100.01", currency="EUR", rate=Decimal("0.8567"))
    for gross in ("33.33", "33.33", "33.35"):
        arrived(company, [company.collect("C3", gross, number)], "0.85")
        company.reconcile()
    paper = company.books.invoice(entry)
    assert (paper.open, paper.open_fc, paper.status) == (0, 0, "bost_Close")
    assert company.books.partner_balance("C3") == 0


def test_a_foreign_chargeback_mirrors_its_booking(tmp_path: Path) -> None:
    """A foreign payment that goes back is debited as it was credited, whatever the rate is now; its invoice is open again."""
    company, payments = e4(tmp_path)
    arrived(company, payments, "0.85")
    company.reconcile()
    company.organisation.charge_back(payments[0])
    company.debtor("C3", "sepa_core")
    _, number = company.owe("C3", 2000, currency="EUR", rate=RATE)
    payout = arrived(company, [company.collect("C3", 2000, number)], "0.80")
    company.reconcile()
    assert f"C1 860.00 EUR 1000.00 {payments[0]} 1001" in company.lines(payout)
    assert (reopened(company), company.books.partner_balance("C1"), company.held()) == ([1000, 0, 0], 860, {})
    company.check()


def test_money_that_arrives_in_a_foreign_currency(tmp_path: Path) -> None:
    """Euros that arrive on a euro account are booked in both currencies at SAP's own rate of the day."""
    company, payments = e4(tmp_path, fx=None)
    company.books.set_rate("EUR", Decimal("0.85"))
    payout = arrived(company, payments, None)
    assert company.reconcile().exit_code == 0
    assert company.lines(payout) == [
        "1200 1658.79 EUR 1951.52", "6855 34.34 EUR 40.40", "1576 6.87 EUR 8.08",
        f"C1 -860.00 EUR 1000.00 {payments[0]} 1001", f"C2 -860.00 EUR 1000.00 {payments[1]} 1002", "6880 20.00",
    ]  # fmt: skip
    assert (reopened(company), company.held()) == ([0, 0], {})
    company.check()
    silent(company, forget=True)


def test_no_rate_is_invented(tmp_path: Path) -> None:
    """Foreign money of a day for which SAP keeps no rate is held, and booked once somebody has entered it."""
    company, payments = e4(tmp_path, fx=None)
    payout = arrived(company, payments, None)
    assert company.reconcile().exit_code == 3
    assert (company.entries(), company.reasons()) == ({}, {payout: "currency"})
    company.books.set_rate("EUR", Decimal("0.85"))
    company.reconcile()
    assert (set(company.entries()), company.held()) == ({payout}, {})


def test_three_currencies_are_booked_by_hand(tmp_path: Path) -> None:
    """Payer in dollars, bank in euros, books in pounds: held as triangulation, whatever the rates are."""
    company = DebitCompany(tmp_path)
    company.organisation.set_fx_currency("EUR")
    company.books.set_rate("EUR", Decimal("0.85"))
    company.books.set_rate("USD", Decimal("0.75"))
    company.debtor("C1", "ach")
    _, number = company.owe("C1", 100, currency="USD", rate=Decimal("0.75"))
    payout = arrived(company, [company.collect("C1", 100, number)], "0.9")
    assert company.reconcile().exit_code == 3
    assert (company.entries(), company.reasons()) == ({}, {payout: "triangulation"})


def test_pounds_that_arrive_as_euros_are_held(tmp_path: Path) -> None:
    """Money collected in the books' own currency that is converted into another one is held, never booked at an invented rate."""
    company = DebitCompany(tmp_path)
    company.organisation.set_fx_currency("EUR")
    company.debtor("C1")
    payout = arrived(company, [fresh(company, "C1", 100)], "1.15")
    assert company.reconcile().exit_code == 3
    assert (company.entries(), list(company.reasons())) == ({}, [payout])


@pytest.mark.parametrize("off", [0, 1, -1, 2, -2])
def test_the_converted_amount_is_proved(tmp_path: Path, off: int) -> None:
    """An fx_amount that is more than one minor unit off amount times rate is held does_not_tie; one unit is accepted as it arrived."""
    company, payments = e4(tmp_path)
    payout = arrived(company, payments, "0.85")
    company.organisation.get("payouts", payout)["_fx_amount"] += off
    company.reconcile()
    if abs(off) > 1:
        assert (company.entries(), company.reasons()) == ({}, {payout: "does_not_tie"})
    else:
        assert company.entry(payout).lines[0].net == Decimal("1658.79") + Decimal(off) / 100
        assert sum(line.net for line in company.entry(payout).lines) == 0


@pytest.mark.parametrize("without", ["nulls", "null", "absent"])
def test_a_payout_without_conversion_says_so_in_three_ways(tmp_path: Path, without: str) -> None:
    """An fx of nulls, no fx, and an absent one all mean that nothing was converted."""
    company = DebitCompany(tmp_path, gocardless={"switches": GoCardlessSwitches(fx_without=without)})
    entry, _, payout = company.paid("C1", 500)
    company.reconcile()
    assert (company.lines(payout)[0], company.open_of(entry)) == ("1210 495.20", 0)
