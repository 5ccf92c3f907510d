"""Who pays by GoCardless: customers and mandates linked to business partners, and what pushing invoices has to know of them."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from test_payouts import silent

from direct_debit import DebitCompany
from mlc.passes.debit_news import ACTIONS

ACTIONS_FILE = Path(__file__).resolve().parents[3] / "shared" / "wire" / "gocardless" / "event-actions.json"


def link(company: DebitCompany, customer: str) -> str:
    """The business partner a GoCardless customer is linked to, "" where to none."""
    opened = company.open()
    try:
        mark = opened.journal.links.get("gc-customer", customer)
        return str(mark.other or "") if mark else ""
    finally:
        opened.close()


def trail(company: DebitCompany, word: str) -> str:
    """Everything the audit trail tells of a thing."""
    opened = company.open()
    try:
        return "\n".join(str(row.data) for row in opened.journal.audit.rows(book="SBODEMO") if word in f"{row.name} {row.data}")
    finally:
        opened.close()


# --- linking -----------------------------------------------------------------------------------------------------------


def test_metadata_links_first(debit: DebitCompany) -> None:
    """The partner that a customer's metadata names is linked, whatever address stands beside it."""
    debit.partner("C2", email="shared@example.com")
    customer = debit.debtor("C1", email="shared@example.com")
    debit.run("sync-customers")
    assert (link(debit, customer), debit.held()) == ("C1", {})


def test_metadata_of_the_mandate_says_who_pays(debit: DebitCompany) -> None:
    """A payment is its customer's also where only the mandate's metadata names the partner."""
    customer = debit.debtor("C1", named=False, email="")
    debit.organisation.tables["mandates"][debit.mandates["C1"]]["metadata"]["sap_card_code"] = "C1"
    entry, _ = debit.owe("C1", 100)
    debit.arrive(debit.collect("C1", 100))
    debit.reconcile()
    assert (debit.held(), debit.open_of(entry)) == ({}, 0)
    assert customer


def test_an_address_that_one_of_each_has_links(debit: DebitCompany) -> None:
    """An e-mail that exactly one partner and one customer have links them, however it is spelled."""
    customer = debit.debtor("C1", named=False, email="C1@Example.com")
    debit.run("sync-customers")
    assert (link(debit, customer), debit.held()) == ("C1", {})


@pytest.mark.parametrize("both", ["partners", "customers", "linked"])
def test_an_address_that_is_not_unique_links_nobody(debit: DebitCompany, both: str) -> None:
    """An e-mail of two partners, of two customers, or of a partner that is linked already, links nobody: a person decides."""
    customer = debit.debtor("C1", named=False, email="c1@example.com")
    if both == "partners":
        debit.partner("C2", email="c1@example.com")
    elif both == "customers":
        debit.organisation.add_customer("Another", email="c1@example.com")
    else:
        named = debit.organisation.add_customer("First", email="other@example.com", metadata={"sap_card_code": "C1"})
        debit.organisation.add_mandate(named)
    report = debit.run("sync-customers")
    assert report.exit_code == 3
    assert link(debit, customer) == ""
    assert debit.reasons() == {customer: "no_customer"}


@pytest.mark.parametrize("email", ["", "somebody@else.example"])
def test_a_name_alone_never_links(debit: DebitCompany, email: str) -> None:
    """A customer of exactly the partner's name is linked to nobody, and its payments are nobody's."""
    debit.partner("C1", name="Firm C1")
    customer = debit.debtor("C1", named=False, email=email)
    entry, _ = debit.owe("C1", 100)
    payment = debit.collect("C1", 100)
    debit.arrive(payment)
    debit.run("sync-customers")
    debit.reconcile()
    assert (link(debit, customer), debit.entries(), debit.open_of(entry)) == ("", {}, 100)
    assert debit.reasons()[customer] == "no_customer"


def test_metadata_that_names_nobody_is_held(debit: DebitCompany) -> None:
    """Metadata that names a partner SAP does not have links nobody; it heals when the partner appears."""
    debit.partner("C1")
    customer = debit.debtor("C1", named=False, email="c1@example.com")
    debit.organisation.tables["customers"][customer]["metadata"]["sap_card_code"] = "C77"
    debit.run("sync-customers")
    assert (link(debit, customer), debit.reasons()) == ("", {customer: "no_customer"})
    debit.partner("C77")
    debit.run("sync-customers")
    assert (link(debit, customer), debit.held()) == ("C77", {})


def test_a_customer_without_a_mandate_waits_for_nobody(debit: DebitCompany) -> None:
    """A customer from whom nothing can be collected is not held."""
    debit.organisation.add_customer("Nobody", email="")
    debit.run("sync-customers")
    assert debit.held() == {}


def test_two_names_for_one_payer_are_a_conflict(debit: DebitCompany) -> None:
    """A customer and its mandate that name two partners are a conflict, also for a payment that names an invoice."""
    debit.partner("C2")
    debit.debtor("C1")
    debit.organisation.tables["mandates"][debit.mandates["C1"]]["metadata"]["sap_card_code"] = "C2"
    payment = debit.collect("C1", 100, debit.owe("C1", 100)[1])
    debit.arrive(payment)
    debit.reconcile()
    assert (debit.entries(), debit.reasons()) == ({}, {payment: "conflict"})


def test_a_replaced_mandate_keeps_its_customer(debit: DebitCompany) -> None:
    """Payments of a mandate that got a new id are still their customer's, linked by a person or by metadata."""
    customer = debit.debtor("C1")
    debit.run("sync-customers")
    old = debit.mandates["C1"]
    debit.mandates["C1"] = debit.organisation.replace_mandate(old)
    entry, _ = debit.owe("C1", 100)
    debit.arrive(debit.collect("C1", 100))
    debit.run("sync-customers")
    debit.reconcile()
    assert (link(debit, customer), debit.open_of(entry), debit.held()) == ("C1", 0, {})
    assert f"mandate {old} replaced, customer C1" in trail(debit, old)


def test_linking_writes_nothing_anywhere(debit: DebitCompany) -> None:
    """Linking customers writes neither to GoCardless nor to SAP."""
    debit.debtor("C1")
    start = len(debit.sap.log)
    debit.run("sync-customers")
    assert {one[0] for one in debit.requests("gocardless")} == {"GET"}
    assert not [one for one in debit.requests("sap", start) if one[0] != "GET" and "Service_" not in one[1]]


# --- collected elsewhere -----------------------------------------------------------------------------------------------


def both(folder: Path, more: str = "") -> DebitCompany:
    """A company with Stripe and GoCardless."""
    return DebitCompany(folder, stripe=more)


@pytest.mark.parametrize("also", [False, True])
def test_a_mandate_collects_elsewhere(tmp_path: Path, also: bool) -> None:
    """An invoice of a customer with an active mandate is not pushed but held collected_elsewhere, unless the configuration says so."""
    company = both(tmp_path, "also_with_mandate: true" if also else "")
    company.debtor("C1")
    entry, _ = company.owe("C1", 100)
    company.run()
    assert set(company.pushed()) == ({entry} if also else set())
    assert company.reasons() == ({} if also else {str(entry): "collected_elsewhere"})


@pytest.mark.parametrize("end", ["cancel_mandate", "mandate_expired"])
def test_a_mandate_that_ended_collects_no_more(tmp_path: Path, end: str) -> None:
    """Once the mandate has ended, the invoice is pushed by itself."""
    company = both(tmp_path)
    company.debtor("C1")
    entry, _ = company.owe("C1", 100)
    company.run()
    getattr(company.organisation, end)(company.mandates["C1"])
    company.run()
    assert (set(company.pushed()), company.held()) == ({entry}, {})


@pytest.mark.parametrize("also", [False, True])
def test_an_invoice_that_a_payment_names_is_collected_elsewhere(tmp_path: Path, also: bool) -> None:
    """An invoice named by a payment that has not failed is held, whoever pays it; when the payment has failed it is pushed."""
    company = both(tmp_path, "also_with_mandate: true" if also else "")
    company.partner("C2")
    company.debtor("C1", named=False, email="")
    entry, number = company.owe("C2", 100)
    payment = company.organisation.add_payment(company.mandates["C1"], 10000, metadata={"invoice": str(number)})
    company.run("push-invoices")
    assert (company.pushed(), company.reasons().get(str(entry))) == ({}, "collected_elsewhere")
    company.organisation.payment_failed(payment)
    company.run("push-invoices")
    assert set(company.pushed()) == {entry}
    assert str(entry) not in company.reasons()


@pytest.mark.parametrize("how", ["invoice", "sap_doc_entry", "docentry"])
def test_every_way_of_naming_counts(tmp_path: Path, how: str) -> None:
    """An invoice is named by number, by DocEntry, or by mlc's own metadata."""
    company = both(tmp_path)
    company.partner("C2")
    company.debtor("C1", named=False, email="")
    entry, number = company.owe("C2", 100)
    named = {
        "invoice": {"invoice": str(number)}, "docentry": {"docentry": str(entry)},
        "sap_doc_entry": {"sap_company": "SBODEMO", "sap_doc_entry": str(entry), "sap_doc_num": str(number)},
    }  # fmt: skip
    company.organisation.add_payment(company.mandates["C1"], 10000, metadata=named[how])
    company.run("push-invoices")
    assert (company.pushed(), company.reasons().get(str(entry))) == ({}, "collected_elsewhere")


# --- paid twice --------------------------------------------------------------------------------------------------------


def asked_twice(folder: Path) -> tuple[DebitCompany, int, int, str]:
    """An invoice that was pushed to Stripe before its customer had a mandate; with DocEntry, number and Stripe's invoice."""
    company = both(folder)
    company.partner("C1")
    entry, number = company.owe("C1", 100)
    company.run()
    one = company.pushed()[entry]
    company.debtor("C1")
    return company, entry, number, one


def test_paid_by_stripe_and_then_by_direct_debit(tmp_path: Path) -> None:
    """Paid at Stripe first: the direct debit goes on account of the customer, is held paid_twice, and mlc refunds nothing."""
    company, entry, number, one = asked_twice(tmp_path)
    company.account.pay(one)
    company.run("post-payments")
    assert company.open_of(entry) == 0
    payment = company.collect("C1", 100, number)
    payout = company.arrive(payment)
    assert company.reconcile().exit_code == 3
    (line,) = [each for each in company.entry(payout).lines if each.short_name == "C1"]
    assert (line.net, line.open, line.fields["Reference1"]) == (-100, 100, payment)
    assert company.reasons() == {payment: "paid_twice"}
    assert company.books.partner_balance("C1") == -100
    assert not company.account.all("refund")
    silent(company)
    silent(company, forget=True)


def test_paid_by_direct_debit_and_then_by_stripe(tmp_path: Path) -> None:
    """Paid by direct debit first: the money at Stripe goes on account and is held paid_twice."""
    company, entry, number, one = asked_twice(tmp_path)
    payout = company.arrive(company.collect("C1", 100, number))
    payment = company.account.pay(one)
    company.reconcile()
    assert (set(company.entries()), company.open_of(entry)) == ({payout}, 0)
    company.run("post-payments")
    ((posted,),) = company.posted().values()
    assert (posted.card_code, posted.amount, posted.applied, list(posted.rows)) == ("C1", Decimal(100), 0, [])
    assert company.reasons()[payment] == "paid_twice"
    company.run("post-payments")
    assert {key: len(found) for key, found in company.posted().items()} == {payment: 1}
    assert company.books.partner_balance("C1") == -100


def test_a_direct_debit_settles_the_invoice_at_stripe(tmp_path: Path) -> None:
    """An invoice that was pushed and then closed by a payout is no longer asked for at Stripe."""
    company, entry, number, one = asked_twice(tmp_path)
    company.arrive(company.collect("C1", 100, number))
    company.reconcile()
    company.run()
    assert company.open_of(entry) == 0
    assert company.account.read(one)["status"] in ("paid", "void")


# --- events ------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not ACTIONS_FILE.exists(), reason="the published events are not beside the repository")
def test_every_published_action_is_understood() -> None:
    """Every action of every resource in the published list is read, noted, or explicitly ignored."""
    published = json.loads(ACTIONS_FILE.read_text())
    known = {resource: set(actions) for resource, actions in ACTIONS.items()}
    missing = {
        resource: sorted(set(actions) - known.get(resource, set()))
        for resource, actions in published.items()
        if set(actions) - known.get(resource, set())
    }
    assert not missing
    assert {what for actions in ACTIONS.values() for what in actions.values()} <= {"read", "note", "ignore"}


@pytest.mark.parametrize(
    ("verb", "word"),
    [("payment_failed", "failed"), ("charge_back", "charged back"), ("late_failure", "failed"), ("cancel_mandate", "cancelled"),
     ("add_refund", "created"), ("refund_paid", "paid"), ("refund_returned", "funds returned"), ("cancel_payment", "cancelled")],
)  # fmt: skip
def test_the_trail_tells_what_happened_with_the_customer(debit: DebitCompany, verb: str, word: str) -> None:
    """Failures, cancelled mandates, refunds and chargebacks stand in the trail with the partner, also where nothing is posted."""
    debit.debtor("C1")
    organisation = debit.organisation
    if verb in ("payment_failed", "cancel_payment"):
        thing = organisation.add_payment(debit.mandates["C1"], 10000)
        getattr(organisation, verb)(thing)
    elif verb == "cancel_mandate":
        thing = debit.mandates["C1"]
        organisation.cancel_mandate(thing)
    else:
        _, payment, _ = debit.paid("C1", 100)
        thing = payment
        if verb in ("charge_back", "late_failure"):
            getattr(organisation, verb)(payment)
        else:
            thing = organisation.add_refund(payment, 1000)
            if verb != "add_refund":
                getattr(organisation, verb)(thing)
    debit.run("sync-customers")
    told = [line for line in trail(debit, thing).splitlines() if word in line]
    assert told
    assert any("C1" in line for line in told)


def test_the_trail_tells_each_event_once(debit: DebitCompany) -> None:
    """Whatever pass reads them and however often, an event is told once."""
    debit.debtor("C1")
    payment = debit.organisation.payment_failed(debit.organisation.add_payment(debit.mandates["C1"], 10000))
    for _ in range(3):
        debit.reconcile()
        debit.run("sync-customers")
        debit.clock.pass_time(1800)
    assert trail(debit, payment).count(f"payment {payment} failed") == 1


def test_a_late_event_is_not_missed(tmp_path: Path) -> None:
    """An event that GoCardless shows minutes after it happened is read by the next run."""
    from mlc.sandbox.gocardless import GoCardlessSwitches

    company = DebitCompany(tmp_path, gocardless={"switches": GoCardlessSwitches(events_late=900)})
    company.debtor("C1")
    payment = company.organisation.payment_failed(company.organisation.add_payment(company.mandates["C1"], 10000))
    company.reconcile()
    assert "failed" not in trail(company, payment)
    company.clock.pass_time(1000)
    company.reconcile()
    assert "failed" in trail(company, payment)
