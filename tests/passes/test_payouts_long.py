"""Histories of several runs in which something happens between them: nothing is lost, nothing stays where it does not belong."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from direct_debit import RECONCILE, DebitCompany
from mlc.core.money import Money


@pytest.fixture
def park(tmp_path: Path) -> DebitCompany:
    """A company that parks what it cannot match."""
    return DebitCompany(tmp_path, "on_unmatched: park")


def other(company: DebitCompany) -> str:
    """Another customer pays 300, so that money that goes back finds a payout; returns the payment."""
    if "C8" not in company.mandates:
        company.debtor("C8")
    _, number = company.owe("C8", 300)
    return company.collect("C8", 300, number)


def test_since_passes_nothing_by_for_good(debit: DebitCompany) -> None:
    """A payout that one run left out by --since is booked by the next run."""
    entry, _, payout = debit.paid("C1", 100)
    debit.clock.pass_time(10 * 86400)
    debit.run(RECONCILE, since=datetime.date(2026, 11, 10))
    assert debit.entries() == {}
    debit.reconcile()
    assert (len(debit.entries()[payout]), debit.open_of(entry)) == (1, 0)


def test_parked_matched_forgotten_and_charged_back(park: DebitCompany) -> None:
    """A chargeback in the first run after a lost state goes onto the invoice that a person matched, not onto the parking account."""
    park.debtor("C9")
    payment = park.collect("C9", 150)
    park.arrive(payment)
    park.reconcile()
    entry, _ = park.owe("C9", 150)
    park.decide(payment, entry)
    park.reconcile()
    assert park.open_of(entry) == 0
    park.forget()
    park.organisation.charge_back(payment)
    park.arrive(other(park))
    park.reconcile()
    park.reconcile()
    assert park.books.balance("1590") == 0
    assert park.books.partner_balance("C9") == 150


def test_a_customer_and_its_mandate_that_disagree_stay_in_conflict(debit: DebitCompany) -> None:
    """What two sources say of the payer is the same in every run: a conflict does not heal by being read twice."""
    debit.partner("C1")
    debit.partner("C2")
    customer = debit.organisation.add_customer("X", email="x@example.com", metadata={"sap_card_code": "C1"})
    debit.mandates["X"] = debit.organisation.add_mandate(customer, "bacs", metadata={"sap_card_code": "C2"})
    debit.owe("C1", 100)
    debit.arrive(debit.collect("X", 100))
    for _ in range(3):
        debit.reconcile()
        debit.clock.pass_time(86400)
        assert set(debit.held().values()) == {"conflict"}
        assert debit.entries() == {}


@pytest.mark.parametrize(("back", "left"), [(50, 100), (150, 0)])
def test_parked_money_that_was_refunded_is_not_there_any_more(park: DebitCompany, back: int, left: int) -> None:
    """A match moves what is still parked; what was refunded whole waits for nobody."""
    park.debtor("C9")
    payment = park.collect("C9", 150)
    park.arrive(payment)
    park.reconcile()
    park.organisation.refund_paid(park.organisation.add_refund(payment, back * 100, total_amount_confirmation=back * 100))
    park.arrive(other(park))
    park.reconcile()
    assert park.books.balance("1590") == -left
    entry, _ = park.owe("C9", 150)
    park.decide(payment, entry)
    park.reconcile()
    assert park.books.balance("1590") == 0
    assert park.open_of(entry) == 150 - left
    assert "parked" not in park.held().values()


def test_a_mandate_says_whose_it_is(tmp_path: Path) -> None:
    """Metadata of a mandate links its customer, and leaves the partner's invoices to GoCardless."""
    company = DebitCompany(tmp_path, local="EUR", stripe="")
    company.partner("C1")
    customer = company.organisation.add_customer("X", email="x@example.com", metadata={})
    company.organisation.add_mandate(customer, "sepa_core", metadata={"sap_card_code": "C1"})
    company.owe("C1", 100)
    company.run("sync-customers")
    assert company.held() == {}
    company.run("push-invoices")
    assert (set(company.held().values()), company.pushed()) == ({"collected_elsewhere"}, {})


def test_a_payment_over_two_invoices_that_failed_after_a_lost_state_comes_again(debit: DebitCompany) -> None:
    """The next collection settles every debit that stayed open, not only a single one."""
    debit.debtor("C1")
    (_, first), (_, second) = debit.owe("C1", 60), debit.owe("C1", 40)
    payment = debit.collect("C1", 100, metadata={"invoice": f"{first},{second}"}, retry_if_possible=True)
    debit.arrive(payment)
    debit.reconcile()
    debit.forget()
    debit.organisation.late_failure(payment)
    debit.arrive(other(debit))
    debit.reconcile()
    debit.arrive(debit.organisation.retry_payment(payment))
    debit.reconcile()
    assert debit.books.partner_balance("C1") == 0
    assert debit.held() == {}
    assert all(line.open == 0 for _, line in debit.books.lines_of("C1"))


def test_a_reversed_chargeback_is_booked_anew(debit: DebitCompany) -> None:
    """An entry that SAP's people reversed is noticed, and booked again where a person insists, with what it takes back."""
    _, payment, _ = debit.paid("C1", 100)
    debit.reconcile()
    debit.organisation.charge_back(payment)
    payout = debit.arrive(other(debit))
    debit.reconcile()
    taken = debit.entry(payout)
    for one in list(debit.books.reconciliations.values()):
        if not one.cancelled_by and not one.mirror_of and any(row.trans_id == taken.trans_id for row in one.rows):
            debit.books.unsettle(one.number)
    debit.books.cancel_entry(taken.trans_id)
    debit.reconcile()
    assert debit.reasons() == {payout: "cancelled_in_sap"}
    debit.reconcile(payout, insist=True)
    assert any(line.startswith(f"C1 100.00 {payment}") for line in debit.lines(payout))
    assert debit.held() == {}


def test_a_refund_of_what_was_paid_twice_settles_it(tmp_path: Path) -> None:
    """Money on account that is refunded needs no credit memo: both clear each other, and nothing waits."""
    company = DebitCompany(tmp_path, local="EUR", stripe="also_with_mandate: true")
    company.debtor("C1", scheme="sepa_core")
    entry, number = company.owe("C1", 100)
    company.run("sync-customers", "push-invoices")
    company.account.pay(company.pushed()[entry])
    company.run("post-payments")
    payment = company.collect("C1", 100, number)
    company.arrive(payment)
    company.reconcile()
    assert set(company.held().values()) == {"paid_twice"}
    company.organisation.refund_paid(company.organisation.add_refund(payment, 10000, total_amount_confirmation=10000))
    company.debtor("C8", scheme="sepa_core")
    company.arrive(other(company))
    company.reconcile()
    company.reconcile()
    assert company.held() == {}
    assert company.books.partner_balance("C1") == 0


def test_a_settled_chargeback_is_no_alarm_after_a_lost_state(debit: DebitCompany) -> None:
    """What went back and was settled is found as it is, without a word."""
    _, payment, _ = debit.paid("C1", 100)
    debit.reconcile()
    debit.organisation.charge_back(payment)
    debit.arrive(other(debit))
    debit.reconcile()
    debit.forget()
    assert debit.reconcile().exit_code == 0
    assert [item for item in debit.items if item.state == "held"] == []


def test_parked_money_goes_on_account_where_a_person_says_so(park: DebitCompany) -> None:
    """`held match PM9 account` moves parked money onto the account of the payer."""
    park.debtor("C9")
    payment = park.collect("C9", 150)
    park.arrive(payment)
    park.reconcile()
    park.decide(payment, account=True)
    park.reconcile()
    assert (park.books.balance("1590"), park.books.partner_balance("C9"), park.held()) == (0, -150, {})


def test_stripe_pays_what_is_booked_and_not_settled_yet(tmp_path: Path) -> None:
    """An invoice that a booked direct debit pays is paid, though SAP does not show it yet: the second payment is paid_twice."""
    company = DebitCompany(tmp_path, local="EUR", stripe="also_with_mandate: true")
    company.debtor("C1", scheme="sepa_core")
    entry, number = company.owe("C1", 100)
    company.run("sync-customers", "push-invoices")
    company.arrive(company.collect("C1", 100, number))
    company.run(RECONCILE, limit=1)
    assert company.open_of(entry) == 100
    company.account.pay(company.pushed()[entry])
    company.run("post-payments")
    company.reconcile()
    assert (company.open_of(entry), set(company.held().values())) == (0, {"paid_twice"})


def test_a_refund_carries_the_cost_centre_of_its_invoice(tmp_path: Path) -> None:
    """A customer's line that names an invoice follows its cost centres, whichever way the money goes."""
    company = DebitCompany(tmp_path, "dimensions: {1: invoice}")
    company.books.add_centre("NORTH", "North")
    company.debtor("C1")
    _, number = company.owe("C1", 100, line_fields=[{"CostingCode": "NORTH"}])
    payment = company.collect("C1", 100, number)
    company.arrive(payment)
    company.reconcile()
    company.organisation.refund_paid(company.organisation.add_refund(payment, 2000, total_amount_confirmation=2000))
    payout = company.arrive(other(company))
    company.reconcile()
    assert [line for line in company.lines(payout) if line.startswith("C1")] == [f"C1 20.00 RF00000001 {number} NORTH"]


def test_what_waits_is_told_once_a_run(debit: DebitCompany) -> None:
    """An item that still waits is one item and one count, however often a run looks at it."""
    _, payment, _ = debit.paid("C1", 100)
    debit.reconcile()
    debit.organisation.refund_paid(debit.organisation.add_refund(payment, 2000, total_amount_confirmation=2000))
    debit.arrive(other(debit))
    debit.reconcile()
    report = debit.reconcile()
    names: list[Any] = [item.id for item in debit.items if item.state == "held"]
    assert (len(names), report.counts["held"]) == (1, 1)
    assert debit.items[0].amount == Money(2000, "GBP")
    assert Decimal(20) == debit.books.partner_balance("C1")


def test_an_entry_that_sap_no_longer_knows_is_held_and_never_booked_again_by_itself(debit: DebitCompany) -> None:
    """A company restored from a backup has lost the entry: a person decides, however many runs look at it."""
    _, _, payout = debit.paid("C1", 100)
    debit.reconcile()
    entry = debit.entry(payout)
    entry.fields["Reference2"] = None
    for _ in range(3):
        debit.reconcile()
        assert debit.reasons() == {payout: "gone_from_sap"}
        assert debit.entries() == {}
    entry.fields["Reference2"] = payout
    debit.reconcile()
    assert debit.held() == {}


def test_what_is_booked_no_longer_keeps_an_invoice_from_stripe(tmp_path: Path) -> None:
    """A payment that names an invoice keeps it from Stripe until it is booked; the rest may be asked for where no mandate is left."""
    company = DebitCompany(tmp_path, local="EUR", stripe="")
    company.debtor("C1", scheme="sepa_core")
    entry, number = company.owe("C1", 100)
    payment = company.collect("C1", 40, number)
    company.organisation.cancel_mandate(company.mandates["C1"])
    company.run("sync-customers", "push-invoices")
    assert (set(company.held().values()), company.pushed()) == ({"collected_elsewhere"}, {})
    company.arrive(payment)
    company.reconcile()
    company.run("push-invoices")
    assert (company.held(), list(company.pushed())) == ({}, [entry])
