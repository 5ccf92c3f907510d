"""Plans as text: facts in, plan out, compared with tests/golden/plans (MLC_UPDATE_GOLDEN=1 writes them anew)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from goldens import compare, kept
from harness import TODAY, Company
from mlc.core.commands import PostPayment, PushInvoice
from mlc.core.intents import Plan
from mlc.passes.post_payments import PostPayments
from mlc.passes.push_invoices import PushInvoices


def told(plan: Plan) -> list[str]:
    """A plan as lines that a reader of the diff understands."""
    lines = []
    for intent in plan.intents:
        lines.append(f"{intent.name}  {intent.says}  {intent.amount or ''}".rstrip())
        command = intent.command
        if isinstance(command, PushInvoice):
            lines += [f"    {line.amount}  {line.text}" for line in command.lines]
        elif isinstance(command, PostPayment):
            lines += [f"    {part.amount} on {part.doc_num}" for part in command.allocations]
            lines.append(f"    {command.on_account} on account, {command.doc_date}, account {command.account}")
        else:
            lines.append(f"    {type(command).__name__}")
    lines += [f"{skip.name}  {'held' if skip.held else 'skipped'} {skip.reason}: {skip.text}" for skip in plan.skips]
    return lines


def plans(company: Company, kind: type[PushInvoices | PostPayments]) -> str:
    """Everything a pass decides now, nothing of it carried out."""
    opened = company.open()
    try:
        pass_ = kind(opened.scene())
        return "\n".join(line for facts in pass_.gather() for line in told(pass_.decide(facts))) + "\n"
    finally:
        opened.close()


def test_the_plan_of_a_first_push(company: Company) -> None:
    """Customers, lines with tax, what was paid before under its cause, and every reason to hold before a draft exists."""
    company.partner("C2", "O'Neil & Söhne")
    company.invoice(lines=2)
    paid = company.invoice("C2")
    company.books.add_receipt("C2", Decimal("19.00"), {paid: Decimal("19.00")}, date=TODAY)
    company.invoice(net="0.20")
    company.invoice(lines=101)
    company.books.cancel_invoice(company.invoice())
    compare("plans/first-push", plans(company, PushInvoices))


def test_the_plan_of_payments_of_every_kind(company: Company) -> None:
    """Full, part, two at once, too much, none named, one keyed by hand: what is posted where, and what is held."""
    entries = [company.invoice(net=f"{100 + number}.00") for number in range(6)]
    company.run()
    asked = company.pushed()
    company.account.pay(asked[entries[0]])
    company.account.pay_partly(asked[entries[1]], 5000)
    company.account.pay_many([asked[entries[2]], asked[entries[3]]])
    company.account.overpay(asked[entries[4]], 20000)
    company.account.pay(asked[entries[5]])
    company.books.add_receipt("C1", company.books.open_balance(entries[5]), {}, date=TODAY - timedelta(days=3))
    company.account.pay_without_invoice(None, 4200, "eur")
    compare("plans/payments", plans(company, PostPayments))


def test_the_plan_of_later_life(company: Company) -> None:
    """Cancelled, paid by hand in full and in part, credited: what Stripe shall be told."""
    entries = [company.invoice(net=f"{100 + number}.00") for number in range(4)]
    company.run()
    company.books.cancel_invoice(entries[0])
    whole = company.books.open_balance(entries[1])
    company.books.add_receipt("C1", whole, {entries[1]: whole}, date=TODAY)
    company.books.add_receipt("C1", Decimal("20.00"), {entries[2]: Decimal("20.00")}, date=TODAY)
    company.books.credit_memo(entries[3], Decimal("23.80"))
    compare("plans/later-life", plans(company, PushInvoices))


@pytest.mark.parametrize("name", ["first-push", "payments", "later-life"])
def test_a_golden_plan_is_no_empty_file(name: str) -> None:
    """A golden file that says nothing proves nothing."""
    assert len(kept(f"plans/{name}").splitlines()) >= 8
