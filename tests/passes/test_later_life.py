"""The later life of a pushed invoice: what happens in SAP is told to Stripe, what cannot be explained waits for a person."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from oracle import Oracle, writes
from steps import pushed, reasons

from harness import TODAY, Company
from mlc.sandbox.kit import Request, Response
from mlc.sandbox.stripe import StripeSwitches


def quiet(company: Company) -> None:
    """Neither another run nor a lost state file changes anything."""
    oracle = Oracle(company)
    oracle.prove_quiet()
    oracle.prove_forgetful()
    company.check()


def test_a_cancelled_invoice_is_voided(company: Company) -> None:
    """Cancelled in SAP is void at Stripe."""
    entry, one = pushed(company)
    company.books.cancel_invoice(entry)
    company.run()
    assert company.account.read(one)["status"] == "void"
    assert company.held() == {}
    quiet(company)


def test_paid_by_hand_is_settled_out_of_band(company: Company) -> None:
    """An invoice paid by hand in SAP is paid out of band at Stripe, and nothing comes back."""
    entry, one = pushed(company)
    Oracle(company).receipt(entry)
    company.run()
    assert company.account.read(one)["status"] == "paid"
    assert company.posted() == {}
    assert company.held() == {}
    quiet(company)


def test_paid_out_of_band_with_records_is_no_echo(tmp_path: Path) -> None:
    """Where Stripe makes a payment record of what is paid out of band, that is no payment for SAP either."""
    company = Company(tmp_path, stripe={"switches": StripeSwitches(out_of_band_record=True)})
    company.partner()
    entry, _ = pushed(company)
    Oracle(company).receipt(entry)
    company.run()
    company.run()
    assert company.posted() == {}
    assert company.held() == {}
    quiet(company)


def test_paid_in_part_by_hand_is_reported(company: Company) -> None:
    """A part paid by hand lowers what Stripe asks for by a payment record; the rest is paid by card, and both books agree."""
    entry, one = pushed(company)
    oracle = Oracle(company)
    oracle.receipt(entry, Decimal("19.00"))
    company.run()
    assert company.account.read(one)["amount_remaining"] == 10000
    assert len(company.account.all("payment_record")) == 1
    oracle.receipt(entry, Decimal("0.50"))
    company.run()
    assert company.account.read(one)["amount_remaining"] == 9950
    quiet(company)
    payment = company.account.pay(one)
    company.run()
    assert set(company.posted()) == {payment}
    assert company.books.open_balance(entry) == 0
    quiet(company)


def test_a_credit_memo_becomes_a_credit_note(company: Company) -> None:
    """A credit memo lowers what Stripe asks for by a credit note of the same sum; no mail is sent."""
    entry, one = pushed(company)
    company.books.credit_memo(entry, Decimal("19.00"))
    company.run()
    (note,) = company.account.all("credit_note")
    assert (note["amount"], note["invoice"]) == (1900, one)
    assert company.account.read(one)["amount_remaining"] == 10000
    assert company.account.mails == []
    quiet(company)


def test_a_whole_credit_memo_ends_the_invoice(company: Company) -> None:
    """An invoice that was credited in full asks for nothing any more."""
    entry, one = pushed(company)
    company.books.credit_memo(entry)
    company.run()
    assert company.account.read(one)["amount_remaining"] == 0
    assert company.posted() == {}
    assert company.held() == {}
    quiet(company)


def test_receipt_and_credit_memo_at_once(company: Company) -> None:
    """A receipt and a credit memo of the same night are told as what they are."""
    entry, one = pushed(company)
    company.books.credit_memo(entry, Decimal("9.00"))
    Oracle(company).receipt(entry, Decimal("10.00"))
    company.run()
    assert [note["amount"] for note in company.account.all("credit_note")] == [900]
    assert len(company.account.all("payment_record")) == 1
    assert company.account.read(one)["amount_remaining"] == 10000
    quiet(company)


@pytest.mark.parametrize("cause", ["credit memo", "receipt"])
def test_a_part_payment_hides_no_other_reduction(company: Company, cause: str) -> None:
    """What SAP took off an invoice before a part payment was posted on it is told to Stripe all the same: nobody is asked for too much."""
    entry, one = pushed(company)
    company.account.pay_partly(one, 1000)
    if cause == "receipt":
        Oracle(company).receipt(entry, Decimal("19.00"))
    else:
        company.books.credit_memo(entry, Decimal("19.00"))
    company.run()
    company.run()
    assert company.books.open_balance(entry) == Decimal("90.00")
    assert company.account.read(one)["amount_remaining"] == 9000 or str(entry) in reasons(company)


def by_entry(company: Company, entry: int, amount: str) -> None:
    """Lower an invoice by a manual journal entry and a reconciliation: neither receipt nor credit memo."""
    books = company.books
    amount_ = Decimal(amount)
    card = books.invoice(entry).card_code
    number = books.add_entry([books.line("6880", amount_), books.line("", -amount_, partner=card)], TODAY)
    invoice = books.invoice(entry)
    debit = next(line for line in books.journal[invoice.trans_id].lines if line.is_partner)
    credit = next(line for line in books.journal[number].lines if line.is_partner)
    books.reconcile([(invoice.trans_id, debit.line_id, amount_), (number, credit.line_id, amount_)])


@pytest.mark.parametrize("amount", ["19.00", "119.00"])
def test_an_unexplained_fall_waits(company: Company, amount: str) -> None:
    """A balance that fell by a journal entry is held balance_unexplained and nothing is told to Stripe."""
    entry, one = pushed(company)
    by_entry(company, entry, amount)
    company.run("sync-customers")  # what the customer owes is noted at Stripe
    mark = len(company.stripe.log)
    company.run()
    assert reasons(company) == {str(entry): "balance_unexplained"}
    assert company.account.read(one)["amount_remaining"] == 11900
    assert writes(company, stripe=mark, sap=10**9) == []
    quiet(company)


def test_voided_at_stripe_is_never_pushed_again(company: Company) -> None:
    """An invoice that somebody voided at Stripe and that is open in SAP waits, and is not asked for again."""
    entry, one = pushed(company)
    company.account.void(one)
    company.run()
    assert reasons(company) == {str(entry): "voided_at_stripe"}
    assert company.pushed() == {}
    quiet(company)
    Oracle(company).receipt(entry)
    company.run()
    assert company.held() == {}


def test_a_cancelled_receipt_is_noticed(company: Company) -> None:
    """An invoice that was paid at Stripe and whose receipt was cancelled in SAP waits: reopened and cancelled_in_sap are told."""
    entry, one = pushed(company)
    payment = company.account.pay(one)
    company.run()
    (receipt,) = company.posted()[payment]
    company.books.cancel_payment(receipt.doc_entry)
    company.run()
    assert reasons(company)[str(entry)] == "reopened"
    company.clock.pass_time(90_000)
    company.run()
    assert reasons(company)[str(entry)] == "reopened"
    assert company.posted() == {}
    company.forget()
    company.run()
    assert reasons(company)[payment] == "cancelled_in_sap"
    assert company.posted() == {}


def test_a_customer_with_a_balance_waits(company: Company) -> None:
    """An invoice of a Stripe customer with a balance is held before it is finalized, and pushed when the balance is zero."""
    pushed(company)
    (customer,) = company.account.all("customer")
    company.account.credit_customer(customer["id"], 500)
    entry = company.invoice(net="50.00")
    company.run()
    assert reasons(company) == {str(entry): "customer_balance"}
    assert entry not in company.pushed()
    assert [one["id"] for one in company.account.all("invoice", status="draft")] == []
    Oracle(company).prove_quiet()
    company.account.credit_customer(customer["id"], -500)
    company.run()
    assert company.held() == {}
    assert company.account.read(company.pushed()[entry])["amount_due"] == 5950


def test_a_draft_that_differs_is_deleted(company: Company) -> None:
    """Where Stripe would ask for something else than SAP holds open, the draft is deleted and the invoice held with both figures."""
    company.invoice()
    company.stripe.watchers.append(lambda request, answer: None)
    inner = company.stripe.handle

    def tampered(request: Request) -> Response:
        answer = inner(request)
        if request.path.endswith("/add_lines") and answer.status == 200:
            ident = request.path.split("/")[3]
            company.account.add_lines(ident, {"lines": [{"amount": 1, "description": "somebody else's"}]})
            return Response.of_json(200, company.account.read(ident))
        return answer

    company.stripe.handle = tampered  # type: ignore[method-assign]
    company.run()
    assert set(reasons(company).values()) == {"balance_differs"}
    assert company.account.all("invoice") == []


def paid_meanwhile(company: Company) -> list[int]:
    """Key a part by hand while a slow Stripe takes the lines; returns what Stripe asks for afterwards."""
    entry = company.invoice()
    inner = company.stripe.handle

    def slow(request: Request) -> Response:
        if request.path.endswith("/add_lines"):
            company.clock.pass_time(400)
            Oracle(company).receipt(entry, Decimal("19.00"))
        return inner(request)

    company.stripe.handle = slow  # type: ignore[method-assign]
    company.run()
    company.stripe.handle = inner  # type: ignore[method-assign]
    return [one["amount_remaining"] for one in company.account.all("invoice", status="open")]


def test_a_balance_that_moved_since_it_was_read(company: Company) -> None:
    """A figure of SAP that grew older than five minutes while Stripe was slow is read again before the invoice is finalized."""
    assert paid_meanwhile(company) in ([], [10000])


def test_a_balance_that_moved_is_told_by_the_next_run(company: Company) -> None:
    """What was paid by hand just before finalizing lowers what Stripe asks for at the latest with the next run."""
    paid_meanwhile(company)
    company.run()
    (one,) = company.account.all("invoice", status="open")
    assert one["amount_remaining"] == 10000
    assert company.held() == {}
