"""The thinnest line: an invoice out, its payment back."""

from __future__ import annotations

from harness import Company


def test_an_invoice_goes_out_and_its_payment_comes_back(company: Company) -> None:
    """One invoice is pushed once, its payment posted once, and both books agree."""
    entry = company.invoice()
    company.run()
    (invoice,) = company.pushed().values()
    payment = company.account.pay(invoice)
    company.run()
    assert company.books.open_balance(entry) == 0
    assert {key: len(found) for key, found in company.posted().items()} == {payment: 1}
    assert company.run().exit_code == 0
    company.check()
