"""Where the documents leave a doubt, mlc is right under either answer: one small story under every switch of both simulators."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from test_payouts import silent
from test_payouts_back import gone_back

from direct_debit import DebitCompany
from mlc.core.errors import USAGE
from mlc.sandbox.gocardless import GoCardlessSwitches
from mlc.sandbox.sap import SapSwitches

GOCARDLESS: list[dict[str, Any]] = [
    *({"fx_without": one} for one in ("nulls", "null", "absent")),
    {"fx_late": True}, {"fx_late": False}, {"tax_sign": "positive"}, {"tax_sign": "item"},
    *({"half": one} for one in ("up", "even", "down")),
    {"bounced_keeps_id": True}, {"bounced_keeps_id": False}, {"bounce_names_payout": True}, {"bounce_names_payout": False},
    {"chargeback_cancelled_item": "payment_paid_out"}, {"chargeback_cancelled_item": "payment_charged_back"},
    {"events_late": 0}, {"events_late": 7200.0}, {"events_linked": True}, {"events_linked": False}, {"events_archived": False},
    {"subscription_metadata": True}, {"subscription_metadata": False}, {"gone_reason": None}, {"gone_reason": "other"},
    {"fees_deducted": True}, {"fees_deducted": False}, {"surcharge": 0}, {"vat_percent": 0}, {"fee_permille": 0, "fee_flat": 0},
    {"rate_limit": 7, "rate_limited": True}, {"read_only": True},
]  # fmt: skip
SAP: list[dict[str, Any]] = [
    *({"partner_line_account": one} for one in ("either", "omitted", "given")),
    {"reversal_keeps_references": True}, {"reversal_keeps_references": False},
    {"reconciliation_closes": True}, {"reconciliation_closes": False},
    {"payment_moves_update_date": True}, {"payment_moves_update_date": False},
    {"cancel_reconciled": "refused"}, {"cancel_reconciled": "undone"},
    {"segmented_accounts": True}, {"segmented_accounts": False}, {"original_filters": False},
    {"finance_periods_need_category": False}, {"function_values": "wrapped"}, {"page_size": 1}, {"page_limit": 2},
    {"next_link": "path"}, {"next_link": "absolute"}, {"next_link": "foreign"}, {"next_link": "off"}, {"next_link_keeps_options": False},
    {"full_page_has_link": False}, {"default_order": "reverse"}, {"case_insensitive": True}, {"date_literals": "quoted"},
    {"dead_session": "-5002"}, {"missing_route_id": "done"}, {"missing_route_id": "accepted"},
    {"error_style": "message_dict"}, {"error_style": "innererror"}, {"localised": True},
    {"missing_apis": frozenset({"CompanyService_GetFinancePeriods", "CompanyService_GetPeriods"})},
    {"partner_line_account": "given", "localised": True}, {"partner_line_account": "given", "error_style": "innererror"},
    {"partner_line_account": "given", "segmented_accounts": True},
]  # fmt: skip


def name(switches: dict[str, Any]) -> str:
    """The switches as a test's name."""
    return ",".join(f"{key}={value if not isinstance(value, frozenset) else 'some'}" for key, value in switches.items())


def story(company: DebitCompany, *, forget: bool = False) -> None:
    """Booked and closed; taken back and open again; collected once more and closed; quiet in between and ever after."""
    entry, payment, first = company.paid("C1", 300)
    company.reconcile()
    assert (set(company.entries()), company.open_of(entry), company.held()) == ({first}, 0, {})
    assert company.books.partner_balance("C1") == 0
    silent(company)
    second = gone_back(company, payment, "failed")
    company.reconcile()
    assert (set(company.entries()), company.open_of(entry), company.held()) == ({first, second}, 300, {})
    assert company.books.invoice(entry).status == "bost_Open"
    third = company.arrive(company.organisation.retry_payment(payment))
    company.reconcile()
    assert (set(company.entries()), company.open_of(entry), company.held()) == ({first, second, third}, 0, {})
    assert all(sum(line.net for line in each.lines) == 0 for found in company.entries().values() for each in found)
    company.check()
    silent(company)
    if forget:
        silent(company, forget=True)


@pytest.mark.parametrize("switches", GOCARDLESS, ids=name)
def test_gocardless_either_way(tmp_path: Path, switches: dict[str, Any]) -> None:
    """Whichever way GoCardless turns out to behave, the story ends with the same books."""
    story(DebitCompany(tmp_path, gocardless={"switches": GoCardlessSwitches(**switches)}), forget=True)


@pytest.mark.parametrize("switches", SAP, ids=name)
def test_sap_either_way(tmp_path: Path, switches: dict[str, Any]) -> None:
    """However this company and this Service Layer are set up, the story ends with the same books."""
    story(DebitCompany(tmp_path, sap={"switches": SapSwitches(**switches)}), forget=True)


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("given", [True, False])
def test_both_dialects(tmp_path: Path, version: str, given: bool) -> None:
    """The story is the same over v1 and v2 of the Service Layer."""
    switches = SapSwitches(partner_line_account="given" if given else "omitted")
    company = DebitCompany(tmp_path, sap={"switches": switches}, sap_config=f"url: http://127.0.0.1:1/b1s/{version}")
    story(company, forget=True)
    assert {path.split("/")[2] for _, path, _ in company.requests("sap")} == {version}


@pytest.mark.parametrize("how", ["works", "refused", "ignored", "always_empty"])
@pytest.mark.parametrize("known", [True, False])
def test_a_reference_that_cannot_be_filtered(tmp_path: Path, how: Any, known: bool) -> None:
    """Before its first entry mlc proves that Reference2 filters: where it does not, nothing is ever booked twice; exit 2 says so."""
    company = DebitCompany(tmp_path, sap={"switches": SapSwitches(entry_marker_filter=how)})
    books = company.books
    if known:  # an entry somebody keyed, which carries some reference
        company.partner("C7")
        lines = [books.line("1210", Decimal(1)), books.line("", Decimal(-1), partner="C7")]
        books.add_entry(lines, books.today(), fields={"Reference2": "BANK-1"})
    mine = lambda: {key for key in company.entries() if key.startswith("PO")}  # noqa: E731
    _, _, payout = company.paid("C1", 300)
    report = company.reconcile()
    if how == "works":
        assert (report.exit_code, mine()) == (0, {payout})
        return
    if known or how != "always_empty":
        assert (report.exit_code, mine()) == (USAGE, set())
    for number in range(3):
        _, _, _ = company.paid("C2", 100 + number)
        report = company.reconcile()
        company.forget()
        assert report.exit_code == USAGE
    assert all(len(found) == 1 for found in company.entries().values())
    assert len(mine()) <= 1, "an entry whose reference is not found is the last one"


@pytest.mark.parametrize("how", ["refused", "undone"])
@pytest.mark.parametrize("keeps", [True, False])
def test_an_entry_that_a_person_reversed(tmp_path: Path, how: Any, keeps: bool) -> None:
    """An entry that was reversed in SAP is never booked again by itself, whether the reversal carries its reference or not."""
    switches = SapSwitches(reversal_keeps_references=keeps, cancel_reconciled=how)
    company = DebitCompany(tmp_path, sap={"switches": switches})
    _, _, payout = company.paid("C1", 300)
    company.reconcile()
    entry = company.entry(payout)
    for one in list(company.books.reconciliations.values()):
        company.books.unsettle(one.number)
    company.books.cancel_entry(entry.trans_id)
    count = len(company.books.journal)
    for forget in (False, True, False):
        if forget:
            company.forget()
        company.reconcile()
        assert len(company.books.journal) == count
    assert company.reasons() == {payout: "cancelled_in_sap"}
    company.reconcile(payout, insist=True)
    assert len(company.entries()[payout]) == 1


@pytest.mark.parametrize("forbidden", ["payouts", "payout_items", "customers", "mandates", "payments", "events"])
def test_a_token_that_may_not_read_everything(tmp_path: Path, forbidden: str) -> None:
    """A token that may not read one of the resources is exit 4 before anything is booked."""
    company = DebitCompany(tmp_path, gocardless={"switches": GoCardlessSwitches(forbidden=(forbidden,))})
    company.paid("C1", 300)
    assert company.reconcile().exit_code == 4
    assert company.entries() == {}


@pytest.mark.parametrize("sign", ["positive", "item"])
def test_the_sign_of_taxes_on_credits(tmp_path: Path, sign: str) -> None:
    """E3 is the same to the cent whichever sign the tax of a negative or credited fee has."""
    company = DebitCompany(tmp_path, gocardless={"switches": GoCardlessSwitches(tax_sign=sign)})
    _, payment, _ = company.paid("C1", 300)
    company.reconcile()
    payout = gone_back(company, payment, "charged_back")
    company.reconcile()
    assert company.lines(payout)[:3] == ["1210 93.04", "6855 5.80", "1576 1.16"]


@pytest.mark.parametrize("half", ["up", "even", "down"])
@pytest.mark.parametrize("gross", ["10.10", "5.45", "1.25", "0.35"])
def test_sums_that_end_in_half_a_penny(tmp_path: Path, half: str, gross: str) -> None:
    """However a half is rounded, the bank line is the payout's amount, the receivable the payment's, and the entry balances."""
    company = DebitCompany(
        tmp_path, gocardless={"switches": GoCardlessSwitches(half=half, fee_permille=13, fee_flat=1, vat_percent=25)}
    )
    entry, _, payout = company.paid("C1", gross)
    company.reconcile()
    assert company.entry(payout).lines[0].net * 100 == company.organisation.read(payout)["amount"]
    assert (company.open_of(entry), company.held()) == (0, {})
