"""What turns after a person has dealt with it is told again, and what nobody changed is not asked for again."""

from __future__ import annotations

from steps import pushed, reasons

from harness import Company


def dismiss(company: Company, thing: str) -> None:
    """Let a person say that a thing is dealt with."""
    opened = company.open()
    try:
        (held,) = opened.journal.held.search(thing)
        opened.journal.dismiss(held.name, "booked", "anna")
    finally:
        opened.close()


def test_a_refund_that_fails_after_it_was_booked_waits_again(company: Company) -> None:
    """A refund that a person booked and dismissed, and that fails later, is held anew as refund_failed."""
    _, one = pushed(company)
    refund = company.account.refund(company.account.pay(one))
    company.run()
    assert reasons(company) == {refund: "refund"}
    dismiss(company, refund)
    company.run()
    assert reasons(company) == {}
    company.account.fail_refund(refund)
    assert company.run("post-payments").exit_code == 3
    assert reasons(company) == {refund: "refund_failed"}


def test_a_dispute_that_is_won_after_it_was_booked_waits_again(company: Company) -> None:
    """A dispute that a person booked and dismissed, and that is won later, is held anew as dispute_won."""
    _, one = pushed(company)
    dispute = company.account.dispute(company.account.pay(one))
    company.run()
    assert reasons(company) == {dispute: "dispute"}
    dismiss(company, dispute)
    company.account.win_dispute(dispute)
    company.run("post-payments")
    assert reasons(company) == {dispute: "dispute_won"}


def test_a_refund_that_fails_before_anybody_booked_it_heals(company: Company) -> None:
    """A refund that failed while it still waited needs nobody any more."""
    _, one = pushed(company)
    refund = company.account.refund(company.account.pay(one))
    company.run()
    company.account.fail_refund(refund)
    company.run()
    assert reasons(company) == {}


def test_marked_as_paid_at_stripe_is_seen_with_both_events(company: Company) -> None:
    """Marked as paid by hand at Stripe, told by invoice.paid and by an invoice payment without money: held, not overlooked."""
    entry, one = pushed(company)
    company.account.pay_invoice(one, {"paid_out_of_band": True})
    company.run()
    assert reasons(company) == {str(entry): "reopened"}


def test_what_waits_unchanged_costs_stripe_no_read(company: Company) -> None:
    """A held invoice on which nothing moved is not read again at Stripe on every run; once SAP's figure moves it is."""
    entry, one = pushed(company)
    company.account.pay_invoice(one, {"paid_out_of_band": True})
    company.run()
    before = len(company.stripe.log)
    company.run("push-invoices")
    assert [path for method, path, _ in company.stripe.log[before:] if method == "GET" and path.endswith(one)] == []
    assert reasons(company) == {str(entry): "reopened"}
    company.books.cancel_invoice(entry)
    company.run("push-invoices")
    assert str(entry) not in reasons(company)
