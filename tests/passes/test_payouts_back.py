"""Money that goes back: chargebacks, late failures, retries, refunds, and payouts that bounce. Each cent follows its own booking."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from test_payouts import silent

from direct_debit import DebitCompany
from harness import TODAY
from mlc.sandbox.gocardless import GoCardlessSwitches


def fresh(company: DebitCompany, card: str = "C9", gross: int = 400) -> str:
    """Another customer's payment with its invoice, collected: what carries the debits that wait."""
    if card not in company.mandates:
        company.debtor(card)
    return company.collect(card, gross, company.owe(card, gross)[1])


def gone_back(company: DebitCompany, payment: str, how: str) -> str:
    """Let a paid out payment go back, debited from a payout of another customer's money; returns that payout."""
    if how == "charged_back":
        company.organisation.charge_back(payment)
    else:
        company.organisation.late_failure(payment)
    return company.arrive(fresh(company))


@pytest.mark.parametrize("how", ["charged_back", "failed"])
def test_e3_what_goes_back_opens_its_invoice(debit: DebitCompany, how: str) -> None:
    """E3: a chargeback or late failure is debited to its own customer and invoice, and the invoice itself is open again."""
    entry, payment, first = debit.paid("C1", 300)
    debit.reconcile()
    assert debit.open_of(entry) == 0
    payout = gone_back(debit, payment, how)
    debit.reconcile()
    assert debit.lines(payout)[:3] == ["1210 93.04", "6855 5.80", "1576 1.16"]
    assert f"C1 300.00 {payment} 1001" in debit.lines(payout)
    assert (debit.open_of(entry), debit.books.invoice(entry).status) == (300, "bost_Open")
    ours = [line for reference in (first, payout) for line in debit.entry(reference).lines if line.short_name == "C1"]
    assert [line.open for line in ours] == [0, 0]
    assert debit.held() == {}
    debit.check()
    silent(debit)
    silent(debit, forget=True)
    assert debit.open_of(entry) == 300


@pytest.mark.parametrize("how", ["charged_back", "failed"])
def test_what_goes_back_after_the_state_was_lost(debit: DebitCompany, how: str) -> None:
    """SAP lists no reconciliations: without its state mlc leaves the debit open, naming the invoice; the next collection settles it."""
    entry, payment, _ = debit.paid("C1", 300)
    debit.reconcile()
    payout = gone_back(debit, payment, how)
    debit.forget()
    debit.reconcile()
    (line,) = [one for one in debit.entry(payout).lines if one.short_name == "C1"]
    assert (line.net, line.open, line.fields["Reference1"], line.fields["Reference2"]) == (300, 300, payment, "1001")
    assert debit.open_of(entry) == 0
    silent(debit, forget=True)
    if how == "failed":
        debit.arrive(debit.organisation.retry_payment(payment))
        debit.reconcile()
        assert (line.open, debit.books.partner_balance("C1"), debit.held()) == (0, 0, {})


@pytest.mark.parametrize("how", ["charged_back", "failed"])
def test_several_invoices_of_one_payment_open_again(debit: DebitCompany, how: str) -> None:
    """A payment over several invoices goes back onto all of them, each with its part, whatever was open beside them."""
    debit.debtor("C1")
    owed = [debit.owe("C1", gross) for gross in (100, 50, 150)]
    payment = debit.collect("C1", 120, metadata={"invoice": f"{owed[0][1]},{owed[1][1]}"})
    debit.arrive(payment)
    debit.reconcile()
    assert [debit.open_of(entry) for entry, _ in owed] == [0, 30, 150]
    payout = gone_back(debit, payment, how)
    debit.reconcile()
    back = [line for line in debit.lines(payout) if payment in line]
    assert back == [f"C1 100.00 {payment} {owed[0][1]}", f"C1 20.00 {payment} {owed[1][1]}"]
    assert [debit.open_of(entry) for entry, _ in owed] == [100, 50, 150]
    silent(debit, forget=True)


def test_a_retry_pays_the_same_invoice_again(debit: DebitCompany) -> None:
    """The same payment paid out, failed and paid out again, under one id: three lines, and the invoice is closed at the end."""
    entry, payment, first = debit.paid("C1", 300)
    debit.reconcile()
    second = gone_back(debit, payment, "failed")
    debit.reconcile()
    assert debit.open_of(entry) == 300
    third = debit.arrive(debit.organisation.retry_payment(payment))
    debit.reconcile()
    assert [debit.lines(one)[-1].count(payment) for one in (first, third)] == [1, 1]
    assert set(debit.entries()) == {first, second, third}
    assert (debit.open_of(entry), debit.held(), debit.books.partner_balance("C1")) == (0, {}, 0)
    silent(debit, forget=True)


def test_all_three_rounds_in_one_run(debit: DebitCompany) -> None:
    """Paid out, failed and paid out again before anybody looked: the same books as run by run."""
    entry, payment, _ = debit.paid("C1", 300)
    gone_back(debit, payment, "failed")
    debit.arrive(debit.organisation.retry_payment(payment))
    debit.reconcile()
    assert len(debit.entries()) == 3
    assert (debit.open_of(entry), debit.held(), debit.books.partner_balance("C1")) == (0, {}, 0)
    debit.check()
    silent(debit, forget=True)


@pytest.mark.parametrize("item", ["payment_paid_out", "payment_charged_back"])
def test_a_cancelled_chargeback_returns(tmp_path: Path, item: str) -> None:
    """Money of a cancelled chargeback comes back as a positive item, of whichever type, and closes the invoice again."""
    switches = GoCardlessSwitches(chargeback_cancelled_item=item)
    company = DebitCompany(tmp_path, gocardless={"switches": switches})
    entry, payment, _ = company.paid("C1", 300)
    company.reconcile()
    gone_back(company, payment, "charged_back")
    company.reconcile()
    assert company.open_of(entry) == 300
    company.organisation.cancel_chargeback(payment)
    payout = company.arrive(fresh(company, "C8", 10))
    company.reconcile()
    assert f"C1 -300.00 {payment} 1001" in company.lines(payout)
    assert (company.open_of(entry), company.held()) == (0, {})
    silent(company, forget=True)


def test_a_debit_whose_reconciliation_cannot_be_cancelled_stays_open(tmp_path: Path) -> None:
    """Where the old reconciliation cannot be cancelled, the debit stays an open item naming the invoice; the next collection settles it."""
    company = DebitCompany(tmp_path)
    entry, payment, _ = company.paid("C1", 300)
    company.reconcile()
    (done,) = [one for one in company.books.reconciliations.values() if one.kind == "rtManual"]
    done.kind = "rtAutomatic"  # SAP cancels only what was made by hand
    payout = gone_back(company, payment, "failed")
    company.reconcile()
    (debit_line,) = [line for line in company.entry(payout).lines if line.short_name == "C1"]
    assert (debit_line.open, debit_line.fields["Reference2"]) == (300, "1001")
    assert company.open_of(entry) == 0
    company.arrive(company.organisation.retry_payment(payment))
    company.reconcile()
    assert (debit_line.open, company.books.partner_balance("C1"), company.held()) == (0, 0, {})


def test_what_goes_back_of_a_stranger_is_held(debit: DebitCompany) -> None:
    """A minus line of a payment nobody booked is held original_not_found, never matched by amount; a named invoice decides it."""
    debit.debtor("C1")
    entry, _ = debit.owe("C1", 300)
    payment = debit.collect("C1", 300)
    debit.arrive(payment)
    debit.organisation.charge_back(payment)
    debit.clock.pass_time(86400)
    for made in debit.organisation.tables["payouts"].values():
        made["arrival_date"] = "2026-09-01"  # paid out long before mlc came
    payout = debit.arrive(fresh(debit))
    assert debit.reconcile().exit_code == 3
    assert debit.reasons() == {payment: "original_not_found"}
    assert debit.entries() == {}
    debit.decide(payment, entry)
    debit.reconcile(payout)
    assert (debit.held(), f"C1 300.00 {payment} 1001" in debit.lines(payout)) == ({}, True)


# --- refunds -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("memo", [True, False])
def test_e2_a_refund_is_debited_to_its_customer(debit: DebitCompany, memo: bool) -> None:
    """E2: a refund is debited to the customer of its payment and settled with the open credit memo of its sum, or listed."""
    entry, payment, _ = debit.paid("C6", 500)
    debit.reconcile()
    if memo:
        debit.books.credit_memo(entry, Decimal(50))
    refund = debit.organisation.add_refund(payment, 5000)
    payments = [fresh(debit, "C4", 300), fresh(debit, "C5", 200)]
    payout = debit.arrive(*payments)
    debit.reconcile()
    assert debit.lines(payout)[:3] == ["1210 443.52", "6855 5.40", "1576 1.08"]
    (line,) = [one for one in debit.entry(payout).lines if one.short_name == "C6"]
    assert (line.net, line.fields["Reference1"]) == (50, refund)
    assert line.open == (0 if memo else 50)
    assert list(debit.held().values()) == ([] if memo else ["refund_without_credit_memo"])
    assert debit.open_of(entry) == 0
    silent(debit)
    if not memo:
        memo_of(debit, entry)
        debit.reconcile()
        assert (line.open, debit.held()) == (0, {})
    silent(debit)


def memo_of(company: DebitCompany, entry: int) -> int:
    """A credit memo over 50.00 of a paid invoice, which nothing settles."""
    return int(company.books.credit_memo(entry, Decimal(50)))


def test_a_returned_refund_comes_back(debit: DebitCompany) -> None:
    """A refund whose money comes back is credited to the same customer, and the two settle each other."""
    entry, payment, _ = debit.paid("C6", 500)
    debit.reconcile()
    refund = debit.organisation.add_refund(payment, 5000)
    debit.arrive(fresh(debit, "C4", 300))
    debit.reconcile()
    assert list(debit.held().values()) == ["refund_without_credit_memo"]
    debit.organisation.refund_returned(refund)
    payout = debit.arrive(fresh(debit, "C5", 200))
    debit.reconcile()
    (line,) = [one for one in debit.entry(payout).lines if one.short_name == "C6"]
    assert (line.net, line.open, line.fields["Reference1"]) == (-50, 0, refund)
    assert (debit.books.partner_balance("C6"), debit.open_of(entry), debit.held()) == (0, 0, {})
    silent(debit, forget=True)


def test_a_refund_that_cleared_comes_back(debit: DebitCompany) -> None:
    """A refund that its credit memo cleared and whose money comes back: the credit memo is open again."""
    entry, payment, _ = debit.paid("C6", 500)
    debit.reconcile()
    memo = debit.books.documents["CreditNotes"][memo_of(debit, entry)]
    refund = debit.organisation.add_refund(payment, 5000)
    debit.arrive(fresh(debit, "C4", 300))
    debit.reconcile()
    assert memo.open == 0
    debit.organisation.refund_returned(refund)
    debit.arrive(fresh(debit, "C5", 200))
    debit.reconcile()
    assert (memo.open, debit.books.partner_balance("C6"), debit.held()) == (50, -50, {})


@pytest.mark.parametrize("known", [True, False])
def test_a_refund_against_a_mandate(debit: DebitCompany, known: bool) -> None:
    """A refund against a mandate is debited to the mandate's customer on account and listed; nobody's is held no_customer."""
    debit.debtor("C6", named=known, email="" if not known else None)
    refund = debit.organisation.add_refund(mandate=debit.mandates["C6"], amount=5000)
    payout = debit.arrive(fresh(debit, "C4", 300))
    debit.reconcile()
    if known:
        (line,) = [one for one in debit.entry(payout).lines if one.short_name == "C6"]
        assert (line.net, line.fields["Reference1"], line.fields.get("Reference2") or "") == (50, refund, "")
        assert list(debit.held().values()) == ["refund_without_credit_memo"]
    else:
        assert (debit.entries(), debit.reasons()) == ({}, {refund: "no_customer"})


def test_collected_and_refunded_in_one_payout(debit: DebitCompany) -> None:
    """A payment and its refund in one payout: the invoice is closed by the whole payment, the refund stands on its customer."""
    debit.debtor("C1")
    entry, number = debit.owe("C1", 300)
    payment = debit.collect("C1", 300, number)
    first = debit.organisation.make_payout("GBP")
    refund = debit.organisation.add_refund(payment, 5000)
    debit.organisation.pay_payout(first)
    record = debit.organisation.get("payouts", first)
    (waiting,) = debit.organisation.waiting[debit.organisation.creditor, "GBP", "merchant"]
    debit.organisation.waiting[debit.organisation.creditor, "GBP", "merchant"] = []
    record["_items"].append(waiting)
    record["amount"] -= 5000
    debit.clock.pass_time(2 * 86400)
    debit.reconcile()
    assert {(line.short_name, line.net, line.fields["Reference1"]) for line in debit.entry(first).lines if line.is_partner} == {
        ("C1", Decimal(-300), payment), ("C1", Decimal(50), refund),
    }  # fmt: skip
    assert debit.open_of(entry) == 0
    assert list(debit.held().values()) == ["refund_without_credit_memo"]


# --- bounced payouts ---------------------------------------------------------------------------------------------------


def bounced(folder: Path, *, keeps: bool, names: bool = False, before: bool = False) -> tuple[DebitCompany, int, str]:
    """A company whose payout bounced, booked before unless the bounce came first; with the invoice and the payout."""
    switches = GoCardlessSwitches(bounced_keeps_id=keeps, bounce_names_payout=names)
    company = DebitCompany(folder, gocardless={"switches": switches})
    entry, _, payout = company.paid("C1", 300)
    if not before:
        company.reconcile()
    company.organisation.bounce(payout)
    company.clock.pass_time(86400)
    return company, entry, payout


def paid_after_all(company: DebitCompany, payout: str) -> str:
    """Send a bounced payout again; returns its id now."""
    again = str(company.organisation.retry(payout))
    company.reconcile()
    company.organisation.pay_payout(again)
    company.clock.pass_time(2 * 86400)
    return again


@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.parametrize("names", [True, False])
def test_e7_a_bounce_waits_and_its_retry_heals(tmp_path: Path, keeps: bool, names: bool) -> None:
    """E7: a bounced payout is held with the entry it would take; when its retry is paid it heals and nothing is posted."""
    company, entry, payout = bounced(tmp_path, keeps=keeps, names=names)
    assert company.reconcile().exit_code == 3
    assert company.reasons() == {payout: "bounced"}
    (item,) = [one for one in company.items if one.state == "held"]
    for word in ("1362", "1210", f"{payout}/bounced/1"):
        assert word in item.text
    paid_after_all(company, payout)
    assert company.reconcile().exit_code == 0
    assert (set(company.entries()), company.held(), company.open_of(entry)) == ({payout}, {}, 0)
    silent(company)
    silent(company, forget=True)


@pytest.mark.parametrize("keeps", [True, False])
def test_a_booked_bounce_is_booked_back(tmp_path: Path, keeps: bool) -> None:
    """A bounce that a person has booked takes the bank leg alone, and is booked again when the retry is paid: /paid/2."""
    company, entry, payout = bounced(tmp_path, keeps=keeps)
    company.reconcile()
    company.reconcile(payout, insist=True)
    assert company.lines(f"{payout}/bounced/1") == ["1362 296.16", "1210 -296.16"]
    assert (company.open_of(entry), company.held()) == (0, {})
    silent(company)
    paid_after_all(company, payout)
    company.reconcile()
    assert company.lines(f"{payout}/paid/2") == ["1210 296.16", "1362 -296.16"]
    assert set(company.entries()) == {payout, f"{payout}/bounced/1", f"{payout}/paid/2"}
    assert (company.books.balance("1362"), company.books.balance("1210")) == (0, Decimal("296.16"))
    silent(company)
    silent(company, forget=True)


@pytest.mark.parametrize("keeps", [True, False])
def test_a_bounce_before_the_booking(tmp_path: Path, keeps: bool) -> None:
    """A payout that bounced before it was ever booked is held; when its retry is paid it is booked once, like any other."""
    company, entry, payout = bounced(tmp_path, keeps=keeps, before=True)
    company.reconcile()
    assert (company.reasons(), company.entries()) == ({payout: "bounced"}, {})
    again = paid_after_all(company, payout)
    company.reconcile()
    assert (set(company.entries()), company.held(), company.open_of(entry)) == ({again}, {}, 0)
    silent(company, forget=True)


def test_a_bounce_moves_no_date_of_its_receivables(tmp_path: Path) -> None:
    """While a payout bounces its receivables stay settled: the invoice is not open again."""
    company, entry, _ = bounced(tmp_path, keeps=True)
    for _ in range(3):
        company.reconcile()
        assert (company.open_of(entry), company.books.invoice(entry).status) == (0, "bost_Close")
    assert company.books.invoice(entry).doc_date == TODAY
