"""What is told to Stripe about an invoice is told once, whatever happens to the answer or to the state file."""

from __future__ import annotations

from decimal import Decimal

import pytest
from oracle import Oracle
from steps import pushed, reasons

from harness import Company
from mlc.sandbox.kit import Fault


def lowerings(company: Company, one: str) -> int:
    """How often the invoice was lowered; a payment record that is attached to nothing lowers nothing."""
    parts = company.account.all("invoice_payment", invoice=one, status="paid")
    return len(company.account.all("credit_note")) + sum(part["payment"]["type"] == "payment_record" for part in parts)


@pytest.mark.parametrize("path", ["credit_notes", "report_payment", "attach_payment"])
@pytest.mark.parametrize("kind", ["saved_500_done", "lost", "lost_html"])
def test_a_reduction_is_told_once(company: Company, path: str, kind: str) -> None:
    """A credit note or payment record whose answer is lost, or whose failure Stripe saved, lowers the invoice exactly once."""
    entry, one = pushed(company)
    if path == "credit_notes":
        company.books.credit_memo(entry, Decimal("19.00"))
    else:
        Oracle(company).receipt(entry, Decimal("19.00"))
    company.stripe.faults.append(Fault(kind, "POST", path))
    company.run()
    company.clock.pass_time(26 * 3600)
    company.run()
    assert company.account.read(one)["amount_remaining"] == 10000
    assert lowerings(company, one) == 1
    assert company.held() == {}
    company.run()
    assert company.account.read(one)["amount_remaining"] == 10000


@pytest.mark.parametrize("path", ["credit_notes", "report_payment", "attach_payment"])
def test_a_reduction_in_doubt_for_a_day_is_told_once(company: Company, path: str) -> None:
    """A credit note or payment record that was in doubt longer than Stripe keeps keys is looked up, not done again."""
    entry, one = pushed(company)
    if path == "credit_notes":
        company.books.credit_memo(entry, Decimal("19.00"))
    else:
        Oracle(company).receipt(entry, Decimal("19.00"))
    company.stripe.faults += [Fault("lost", "POST", path, times=1), Fault("never", "POST", path, times=1000)]
    company.run()
    company.stripe.faults.clear()
    company.clock.pass_time(26 * 3600)
    company.run()
    company.run()
    assert company.account.read(one)["amount_remaining"] == 10000
    assert lowerings(company, one) == 1
    assert company.held() == {}
    company.run()
    assert company.account.read(one)["amount_remaining"] == 10000


def test_a_state_lost_after_a_part_was_told(company: Company) -> None:
    """After a part was reported and the state file is lost, a further credit memo is told once or held, never a part twice."""
    entry, one = pushed(company)
    Oracle(company).receipt(entry, Decimal("19.00"))
    company.run()
    company.forget()
    company.run()
    company.books.credit_memo(entry, Decimal("9.00"))
    company.run()
    assert company.account.read(one)["amount_remaining"] in (10000, 9100)
    assert len(company.account.all("payment_record")) == 1
    if company.account.read(one)["amount_remaining"] == 10000:
        assert reasons(company) == {str(entry): "balance_unexplained"}


def test_money_that_a_person_matched_lowers_what_stripe_asks(company: Company) -> None:
    """A payment that named no invoice and was matched by a person is reported to Stripe, once, and nothing is unexplained."""
    from mlc.engine.road import Options
    from mlc.passes.post_payments import PostPayments

    entry, one = pushed(company)
    payment = company.account.pay_without_invoice(company.account.read(one)["customer"], 1900, "eur")
    company.run()
    assert reasons(company)[payment] == "no_open_invoice"
    opened = company.open()
    try:
        opened.journal.decide(payment, {"invoices": [entry]}, "anna")
        opened.road("post-payments", Options()).run(PostPayments(opened.scene(), only=[payment]))
    finally:
        opened.close()
    company.run()
    company.run()
    assert reasons(company) == {}
    assert company.account.read(one)["amount_remaining"] == 10000
    assert company.books.open_balance(entry) == 100
    company.check()
