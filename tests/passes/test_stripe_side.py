"""What people do at Stripe with an invoice that mlc pushed: nothing of it is overlooked, and nothing is guessed."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from oracle import Oracle
from steps import pushed, reasons

from harness import Company


@pytest.mark.parametrize("how", ["out of band", "credit note"])
def test_paid_at_stripe_without_money_is_seen(company: Company, how: str) -> None:
    """An invoice that somebody marked as paid or credited at Stripe, and that is open in SAP, waits for a person."""
    entry, one = pushed(company)
    if how == "out of band":
        company.account.pay_invoice(one, {"paid_out_of_band": True})
    else:
        company.account.create_credit_note({"invoice": one, "amount": 11900, "email_type": "none"})
    for _ in range(3):
        company.clock.pass_time(90_000)
        company.run()
    assert company.posted() == {}
    assert str(entry) in reasons(company)


def test_an_invoice_given_up_and_paid_after_all(company: Company) -> None:
    """An invoice marked uncollectible at Stripe waits; paid after all, its money is posted and nothing waits any more."""
    entry, one = pushed(company)
    company.account.mark_uncollectible(one)
    company.run()
    assert reasons(company) == {str(entry): "voided_at_stripe"}
    payment = company.account.pay(one)
    company.run()
    assert set(company.posted()) == {payment}
    assert company.books.open_balance(entry) == 0
    assert reasons(company) == {}
    Oracle(company).prove_quiet()


def test_a_payment_attached_afterwards(company: Company) -> None:
    """A payment that named no invoice waits; attached to its invoice at Stripe, it is posted there."""
    entry, one = pushed(company)
    payment = company.account.pay_without_invoice(company.account.read(one)["customer"], 11900)
    company.run()
    assert reasons(company) == {payment: "no_open_invoice"}
    company.clock.pass_time(600)
    company.account.attach(one, {"payment_intent": payment})
    company.run()
    assert set(company.posted()) == {payment}
    assert company.books.open_balance(entry) == 0
    assert reasons(company) == {}


def test_an_email_in_two_spellings_is_not_unique(company: Company) -> None:
    """Two partners whose e-mails differ in capitals only share an e-mail: an existing customer is linked to neither."""
    customer = company.account.add_customer("x", email="shared@example.com")
    for card, email in (("K1", "shared@example.com"), ("K2", "Shared@Example.com")):
        company.partner(card, card, email=email)
        company.invoice(card)
    company.run()
    assert len(company.pushed()) == 2
    assert not company.account.read(customer)["metadata"]


def test_two_invoices_of_one_document_are_told(company: Company) -> None:
    """A second invoice that carries our numbers is never adopted in silence: one of them waits as a conflict after a lost state."""
    entry, one = pushed(company)
    first = company.account.read(one)
    company.account.add_invoice(first["customer"], 11900, metadata=first["metadata"])
    company.forget()
    company.run()
    assert "conflict" in reasons(company).values()
    assert any(name.startswith(f"{entry}") for name in reasons(company))


def test_a_payment_of_both_kinds_of_money(company: Company) -> None:
    """A part by hand, a part by card and the rest by debit close the invoice on both sides, each once."""
    entry, one = pushed(company)
    oracle = Oracle(company)
    oracle.receipt(entry, Decimal("19.00"))
    company.run()
    card = company.account.pay_partly(one, 4000)
    company.run()
    debit = company.account.pay_late(one)
    company.run()
    company.account.settle_late(debit)
    company.run()
    assert {key: found[0].applied for key, found in company.posted().items()} == {card: 40, debit: 60}
    assert company.books.open_balance(entry) == 0
    assert company.account.read(one)["status"] == "paid"
    assert reasons(company) == {}
    oracle.prove_quiet()
    oracle.prove_forgetful()


def test_other_peoples_invoices_are_left_alone(tmp_path: Path) -> None:
    """Invoices at Stripe that carry another company's numbers, or none, are never touched and never wait."""
    company = Company(tmp_path)
    company.partner()
    account = company.account
    numbers = {"sap_company": "OTHER", "sap_doc_entry": "1", "sap_doc_num": "1001", "sap_card_code": "C1", "mlc_key": "x"}
    theirs = account.add_invoice(account.add_customer("theirs"), 11900, metadata=numbers)
    nobodys = account.add_invoice(account.add_customer("nobodys"), 11900)
    entry = company.invoice()
    company.run()
    assert len(account.all("invoice", metadata={"sap_company": "SBODEMO", "sap_doc_entry": str(entry)})) == 1
    company.books.cancel_invoice(entry)
    account.void(theirs)
    company.run()
    assert account.read(nobodys)["status"] == "open"
    assert company.held() == {}
