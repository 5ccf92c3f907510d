"""While money is on its way at Stripe nothing is changed there; what waited for it is decided when it ends."""

from __future__ import annotations

from decimal import Decimal

import pytest
from oracle import Oracle, writes
from steps import pushed, reasons

from harness import Company


@pytest.mark.parametrize("ends", ["settles", "fails"])
def test_nothing_changes_while_money_is_on_its_way(company: Company, ends: str) -> None:
    """While a debit is in flight a cancelled or credited invoice stays as it is at Stripe; it is decided when the debit ends."""
    entry, one = pushed(company)
    payment = company.account.pay_late(one)
    company.books.credit_memo(entry, Decimal("19.00"))
    company.run("sync-customers")  # what the customer owes is noted at Stripe
    mark = len(company.stripe.log)
    company.run()
    assert set(reasons(company).values()) == {"payment_in_flight"}
    company.run()
    assert writes(company, stripe=mark, sap=10**9) == []
    if ends == "fails":
        company.account.fail_late(payment)
        company.run()
        assert company.held() == {}
        assert company.account.read(one)["amount_remaining"] == 10000
        assert company.posted() == {}
    else:
        company.account.settle_late(payment)
        company.run()
        company.run()
        ((receipt,),) = company.posted().values()
        assert receipt.amount == 119
        assert receipt.applied == 100
    company.check()


def test_a_cancelled_invoice_waits_for_the_debit(company: Company) -> None:
    """An invoice cancelled while a debit is in flight is voided only after the debit failed."""
    entry, one = pushed(company)
    payment = company.account.pay_late(one)
    company.books.cancel_invoice(entry)
    company.run()
    assert set(reasons(company).values()) == {"payment_in_flight"}
    assert company.account.read(one)["status"] == "open"
    company.account.fail_late(payment)
    company.run()
    assert company.account.read(one)["status"] == "void"
    assert company.held() == {}


@pytest.mark.parametrize("change", ["cancelled", "paid by hand", "credited"])
def test_what_waited_for_a_debit_is_over_when_it_settles(company: Company, change: str) -> None:
    """An item that waits because of a payment in flight no longer says so when the payment has arrived."""
    entry, one = pushed(company)
    payment = company.account.pay_late(one)
    if change == "cancelled":
        company.books.cancel_invoice(entry)
    elif change == "paid by hand":
        Oracle(company).receipt(entry)
    else:
        company.books.credit_memo(entry, Decimal("19.00"))
    company.run()
    assert set(reasons(company).values()) == {"payment_in_flight"}
    company.account.settle_late(payment)
    company.run()
    company.run()
    assert "payment_in_flight" not in reasons(company).values()
