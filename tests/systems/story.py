"""A whole story that makes mlc say everything it can say to both systems."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from harness import TODAY, Company

LIMITS = "limits: {max_writes: 100000, max_amount: {EUR: 1000000000}}"
HARD = "Ünïcode & Söhne's «Café» 🚀 50% + 1 = a/b?c#d" + " lang" * 60


def told(folder: Path, **options: Any) -> Company:
    """Play the story with listeners at both systems that the caller put into `ears` of the options."""
    ears = options.pop("ears")
    company = Company(folder, config=LIMITS, **options)
    company.sap.watchers.append(ears[0])
    company.stripe.watchers.append(ears[1])
    books, account = company.books, company.account
    company.partner("C1", HARD)
    company.partner("O'Neil & Co", "O'Neil", email="o'neil+x@example.com")
    company.partner("C3", "Linked", email="linked@example.com")
    books.change_partner("C1", Phone1="+49 30 123456789 0123", Address="Straße 1", City="Köln", ZipCode="50667", Country="DE")
    account.add_customer("linked", email="linked@example.com")
    entries = [company.invoice(card, lines=lines) for card in ("C1", "O'Neil & Co", "C3") for lines in (1, 60, 251, 2, 3, 4)]
    books.add_receipt("C1", Decimal(10), {entries[0]: Decimal(10)}, date=TODAY)
    books.credit_memo(entries[1], Decimal(10))
    books.touch(entries[3], NumAtCard="PO's «4711» " + "9" * 80)
    company.run()
    ids = company.pushed()
    account.pay(ids[entries[0]])
    account.pay_partly(ids[entries[6]], 1000)
    account.pay_many([ids[entries[7]], ids[entries[8]]])
    account.overpay(ids[entries[9]], 99_000)
    account.pay_without_invoice(account.read(ids[entries[12]])["customer"], 1234)
    account.charge_without_intent(None, 4321)
    late = account.pay_late(ids[entries[13]])
    refunded = account.pay(ids[entries[14]])
    books.cancel_invoice(entries[10])
    books.credit_memo(entries[3], Decimal(50))
    books.add_receipt("C1", Decimal(20), {entries[4]: Decimal(20)}, date=TODAY)
    whole = books.open_balance(entries[5])
    books.add_receipt("C1", whole, {entries[5]: whole}, date=TODAY)
    account.void(ids[entries[15]])
    company.run()
    account.refund(refunded, 100)
    account.dispute(account.pay(ids[entries[16]]))
    company.clock.pass_time(9 * 86_400)
    account.settle_late(late)
    books.change_partner("C1", CardName="New Name", EmailAddress="new@example.com")
    company.run()
    company.forget()
    company.run()
    company.check()
    return company
