"""Money going back at the simulated Stripe: refunds, disputes, credit notes."""

from __future__ import annotations

import pytest
from test_stripe_world import DAY, START, world

from mlc.sandbox.stripe import Refusal, StripeSwitches


def paid_invoice(switches=None, amount=11900):
    """Return service, caller, a paid invoice and its PaymentIntent."""
    service, call = world(switches)
    customer = service.account.add_customer("A GmbH", "a@example.com")
    invoice = service.account.add_invoice(customer, amount)
    return service, call, invoice, service.account.pay(invoice)


def open_invoice(amount=11900):
    """Return service, caller and an open invoice."""
    service, call = world()
    return service, call, service.account.add_invoice(service.account.add_customer("A"), amount)


def entries(call):
    """Return amount, fee and category of all movements, oldest first."""
    rows = call.get("balance_transactions", {"limit": 100})["data"]
    return [(one["amount"], one["fee"], one["type"], one["reporting_category"]) for one in rows[::-1]]


def test_refunds_in_parts():
    """Two partial refunds add up on the charge, keep the fee, and a third beyond the rest is refused."""
    service, call, invoice, intent = paid_invoice()
    first = service.account.refund(intent, 4000)
    second = call.post("refunds", {"payment_intent": intent, "amount": 5000, "reason": "requested_by_customer"})
    assert call.get(f"refunds/{first}")["status"] == second["status"] == "succeeded"
    charge = call.get("charges", {"payment_intent": intent})["data"][0]
    assert (charge["amount_refunded"], charge["refunded"]) == (9000, False)
    assert entries(call)[1:] == [(-4000, 0, "refund", "refund"), (-5000, 0, "refund", "refund")]
    call.refused("refunds", {"payment_intent": intent, "amount": 2901})
    call.post("refunds", {"charge": charge["id"]})
    assert call.refused("refunds", {"charge": charge["id"]})["code"] == "charge_already_refunded"
    expanded = call.get(f"charges/{charge['id']}", {"expand": ["refunds"]})
    assert (expanded["refunded"], len(expanded["refunds"]["data"])) == (True, 3)
    assert len(call.get("refunds", {"charge": charge["id"]})["data"]) == 3
    assert call.get(f"invoices/{invoice}")["status"] == "paid"
    service.account.check()


def test_refund_requests_are_checked():
    """A refund needs a succeeded payment, and both references must agree."""
    service, call, _, intent = paid_invoice()
    other = service.account.charge_without_intent(None, 900)
    unpaid = service.account.add_invoice(service.account.add_customer("B"), 5000)
    waiting = call.get("invoice_payments", {"invoice": unpaid})["data"][0]["payment"]["payment_intent"]
    for params in ({}, {"payment_intent": waiting}, {"payment_intent": "pi_x"}, {"charge": other, "payment_intent": intent}):
        call.refused("refunds", params)


def test_refund_that_fails():
    """A refund may fail after it succeeded; the money comes back and the charge is no longer refunded."""
    service, call, _, intent = paid_invoice()
    refund = service.account.refund(intent)
    service.account.fail_refund(refund)
    body = call.get(f"refunds/{refund}", {"expand": ["failure_balance_transaction"]})
    assert (body["status"], body["failure_reason"]) == ("failed", "expired_or_canceled_card")
    assert body["failure_balance_transaction"]["amount"] == 11900
    assert call.get("charges", {"payment_intent": intent})["data"][0]["amount_refunded"] == 0
    assert [one["type"] for one in service.account.events()][-4:] == [
        "refund.failed",
        "refund.updated",
        "charge.refund.updated",
        "charge.updated",
    ]
    with pytest.raises(Refusal):
        service.account.fail_refund(refund)
    service.account.check()


def test_pending_refunds():
    """Under the switch a refund is pending until it settles."""
    service, call, _, intent = paid_invoice(StripeSwitches(refund_pending=True))
    refund = service.account.refund(intent, 100)
    assert call.get(f"refunds/{refund}")["status"] == "pending"
    service.account.settle_refund(refund)
    assert call.get(f"refunds/{refund}")["status"] == "succeeded"
    assert call.post(f"refunds/{refund}", {"metadata": {"a": "1"}})["metadata"] == {"a": "1"}
    with pytest.raises(Refusal):
        service.account.settle_refund(refund)


def test_refund_of_a_debit():
    """The refund of a bank debit is a payment_refund in the balance."""
    service, call, _, _ = paid_invoice()
    invoice = service.account.add_invoice(service.account.add_customer("B"), 5000)
    intent = service.account.settle_late(service.account.pay_late(invoice))
    service.account.refund(intent)
    assert entries(call)[-1] == (-5000, 0, "payment_refund", "refund")


@pytest.mark.parametrize("returned", [False, True])
def test_dispute_won(returned):
    """A dispute withdraws funds and a fee; winning brings the funds back, the fee only under the switch."""
    service, call, _, intent = paid_invoice(StripeSwitches(dispute_fee_returned=returned))
    dispute = service.account.dispute(intent)
    body = call.get(f"disputes/{dispute}")
    assert (body["status"], body["amount"], body["payment_intent"]) == ("needs_response", 11900, intent)
    assert [(one["amount"], one["fee"]) for one in body["balance_transactions"]] == [(-11900, 2000)]
    charge = call.get("charges", {"payment_intent": intent})["data"][0]
    assert charge["disputed"] is True
    assert call.refused("refunds", {"charge": charge["id"]})["code"] == "charge_disputed"
    service.account.win_dispute(dispute)
    body = call.get("disputes", {"charge": charge["id"]})["data"][0]
    assert body["status"] == "won"
    last = body["balance_transactions"][-1]
    assert (last["amount"], last["fee"], last["reporting_category"]) == (11900, -2000 if returned else 0, "dispute_reversal")
    types = [one["type"] for one in service.account.events()]
    assert {"charge.dispute.created", "charge.dispute.funds_withdrawn", "charge.dispute.funds_reinstated"} <= set(types)
    service.account.check()


def test_dispute_lost():
    """A lost dispute moves nothing more."""
    service, call, _, intent = paid_invoice()
    dispute = service.account.dispute(intent)
    before = entries(call)
    service.account.lose_dispute(dispute)
    assert (call.get(f"disputes/{dispute}")["status"], entries(call)) == ("lost", before)
    for again in (service.account.win_dispute, service.account.lose_dispute, service.account.escalate_dispute):
        with pytest.raises(Refusal):
            again(dispute)
    with pytest.raises(Refusal):
        service.account.dispute(intent)
    service.account.check()


def test_warnings_move_nothing_until_they_escalate():
    """An inquiry has no movement and can be closed; an escalated one withdraws funds."""
    service, call, _, intent = paid_invoice()
    warning = service.account.dispute(intent, "warning_needs_response")
    assert call.get(f"disputes/{warning}")["balance_transactions"] == []
    with pytest.raises(Refusal):
        service.account.lose_dispute(warning)
    service.account.escalate_dispute(warning)
    assert len(call.get(f"disputes/{warning}")["balance_transactions"]) == 1
    service.account.lose_dispute(warning)
    other = service.account.charge_without_intent(None, 900)
    closed = service.account.win_dispute(service.account.dispute(other, "warning_needs_response"))
    assert call.get(f"disputes/{closed}")["status"] == "warning_closed"
    with pytest.raises(Refusal):
        service.account.dispute(intent, "nonsense")
    service.account.check()


def test_returned_debit():
    """A returned bank debit is a dispute that is lost at once."""
    service, call, _, intent = paid_invoice()
    dispute = service.account.dispute(intent, "lost")
    assert call.get(f"disputes/{dispute}")["status"] == "lost"
    assert [one["type"] for one in service.account.events()][-3:] == [
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.closed",
    ]


def test_credit_note_on_an_open_invoice():
    """A credit note first lowers what remains, and voiding it raises that again."""
    service, call, invoice = open_invoice()
    params = {"invoice": invoice, "amount": 1900, "reason": "order_change", "email_type": "none", "metadata": {"k": "v"}}
    note = call.post("credit_notes", params)
    assert (note["type"], note["pre_payment_amount"], note["post_payment_amount"]) == ("pre_payment", 1900, 0)
    assert note["number"].endswith("-CN-01")
    body = call.get(f"invoices/{invoice}")
    assert (body["amount_due"], body["amount_remaining"], body["pre_payment_credit_notes_amount"]) == (10000, 10000, 1900)
    assert body["total"] == 11900
    assert service.account.default_request(invoice)["amount_requested"] == 10000
    assert call.get("credit_notes", {"invoice": invoice})["data"][0]["id"] == note["id"]
    void = call.post(f"credit_notes/{note['id']}/void")
    assert (void["status"], void["voided_at"]) == ("void", START)
    assert call.get(f"invoices/{invoice}")["amount_remaining"] == 11900
    call.refused(f"credit_notes/{note['id']}/void")
    assert service.account.mails == []
    service.account.check()


def test_credit_notes_send_mail_unless_told_otherwise():
    """The default mails the customer."""
    service, call, invoice = open_invoice()
    note = call.post("credit_notes", {"invoice": invoice, "amount": 100})["id"]
    assert service.account.mails == [("credit_note", note)]


def test_credit_note_closes_an_invoice():
    """A credit note over all that remains pays the invoice, and cannot be voided then."""
    service, call, invoice = open_invoice()
    service.account.pay_partly(invoice, 10000)
    note = call.post("credit_notes", {"invoice": invoice, "amount": 1900, "email_type": "none"})["id"]
    assert call.get(f"invoices/{invoice}")["status"] == "paid"
    call.refused(f"credit_notes/{note}/void")
    call.refused("credit_notes", {"invoice": invoice, "amount": 10001, "out_of_band_amount": 10001})
    service.account.check()


def test_credit_note_after_payment():
    """What was paid goes back by refund, credit, out of band, or refunds that exist; the parts must add up."""
    service, call, invoice, intent = paid_invoice()
    existing = service.account.refund(intent, 500)
    params = {
        "invoice": invoice,
        "amount": 4000,
        "refund_amount": 2000,
        "credit_amount": 1000,
        "out_of_band_amount": 500,
        "refunds": [{"refund": existing, "amount_refunded": 500}],
        "email_type": "none",
    }
    call.refused("credit_notes", params | {"refund_amount": 2001})
    call.refused("credit_notes", {"invoice": invoice, "amount": 4000})
    note = call.post("credit_notes", params)
    assert (note["type"], note["post_payment_amount"], note["out_of_band_amount"]) == ("post_payment", 4000, 500)
    assert [one["amount_refunded"] for one in note["refunds"]] == [500, 2000]
    expanded = call.get(f"credit_notes/{note['id']}", {"expand": ["refunds.refund", "customer_balance_transaction"]})
    assert expanded["refunds"][1]["refund"]["amount"] == 2000
    assert expanded["customer_balance_transaction"]["amount"] == -1000
    body = call.get(f"invoices/{invoice}")
    assert (body["status"], body["post_payment_credit_notes_amount"], body["amount_paid"]) == ("paid", 4000, 11900)
    service.account.check()


def test_mixed_credit_note():
    """A credit note above what remains is partly before and partly after payment."""
    service, call, invoice = open_invoice()
    service.account.pay_partly(invoice, 10000)
    note = call.post("credit_notes", {"invoice": invoice, "amount": 2900, "refund_amount": 1000, "email_type": "none"})
    assert (note["type"], note["pre_payment_amount"], note["post_payment_amount"]) == ("mixed", 1900, 1000)
    service.account.check()


def test_credit_note_lines():
    """Lines of the invoice are credited up to their amount, custom lines by unit and quantity."""
    service, call, invoice = open_invoice()
    line = call.get(f"invoices/{invoice}")["lines"]["data"][0]["id"]
    lines = [
        {"type": "invoice_line_item", "invoice_line_item": line, "amount": 900},
        {"type": "custom_line_item", "unit_amount": 50, "quantity": 2, "description": "goodwill"},
    ]
    note = call.post("credit_notes", {"invoice": invoice, "lines": lines, "email_type": "none"})
    assert (note["amount"], [one["amount"] for one in note["lines"]["data"]]) == (1000, [900, 100])
    for wrong in (
        {"amount": 5, "lines": lines},
        {},
        {"amount": 0},
        {"lines": [{"type": "invoice_line_item", "invoice_line_item": "il_x"}]},
        {"lines": [{"type": "invoice_line_item", "invoice_line_item": line, "amount": 11901}]},
        {"lines": [{"type": "custom_line_item"}]},
        {"amount": 5, "shipping_cost": {"shipping_rate": "x"}},
    ):
        call.refused("credit_notes", {"invoice": invoice, **wrong})
    draft = service.account.add_invoice(call.get(f"invoices/{invoice}")["customer"], 100, finalize=False)
    call.refused("credit_notes", {"invoice": draft, "amount": 5})
    service.account.check()


def test_credit_note_waits_for_payments_in_flight():
    """While a payment is processing no credit note is made."""
    service, call, invoice = open_invoice()
    service.account.pay_late(invoice)
    call.refused("credit_notes", {"invoice": invoice, "amount": 100})


def test_credit_note_whose_refund_is_refused_changes_nothing():
    """Where the refund cannot be made there is no credit note either."""
    service, call, invoice, intent = paid_invoice()
    service.account.refund(intent)
    call.refused("credit_notes", {"invoice": invoice, "amount": 100, "refund_amount": 100})
    assert service.account.all("credit_note") == []
    assert call.get(f"invoices/{invoice}")["post_payment_credit_notes_amount"] == 0


def debited(reopens=False, **switches):
    """Return service, caller, an invoice paid by bank debit, and its PaymentIntent."""
    service, call = world(StripeSwitches(returned_debit_reopens=reopens, **switches))
    invoice = service.account.add_invoice(service.account.add_customer("A"), 10000)
    return service, call, invoice, service.account.settle_late(service.account.pay_late(invoice))


@pytest.mark.parametrize("reopens", [False, True])
def test_debit_that_comes_back_as_a_failed_charge(reopens):
    """The charge fails after success, its money leaves the balance; the invoice stays paid, or opens under the switch."""
    service, call, invoice, intent = debited(reopens)
    account = service.account
    account.return_debit(intent)
    charge = call.get("charges", {"payment_intent": intent, "expand": ["data.failure_balance_transaction"]})["data"][0]
    back = charge["failure_balance_transaction"]
    assert (charge["status"], charge["paid"], charge["failure_code"]) == ("failed", False, "insufficient_funds")
    assert (back["type"], back["reporting_category"], back["source"]) == (
        "payment_failure_refund",
        "charge_failure",
        charge["id"],
    )
    assert entries(call) == [
        (10000, 175, "payment", "charge"),
        (-10000, -175, "payment_failure_refund", "charge_failure"),
    ]
    assert call.get(f"payment_intents/{intent}")["status"] == "requires_payment_method"
    types = [one["type"] for one in account.events()]
    assert types.index("charge.succeeded") < types.index("charge.failed") < types.index("payment_intent.payment_failed")
    body, part = call.get(f"invoices/{invoice}"), call.get("invoice_payments", {"invoice": invoice})["data"][0]
    if reopens:
        assert (body["status"], body["amount_remaining"], part["status"]) == ("open", 10000, "open")
        account.pay(invoice)
        assert call.get(f"invoices/{invoice}")["status"] == "paid"
    else:
        assert (body["status"], body["amount_remaining"], part["status"]) == ("paid", 0, "paid")
    for done in (intent, account.pay(account.add_invoice(account.add_customer("B"), 5000))):
        with pytest.raises(Refusal):
            account.return_debit(done)
    account.check()


def test_debit_in_parts_comes_back():
    """A returned part opens just that part again, also of an invoice that was paid up or voided since; the fee may be kept."""
    service, call = world(StripeSwitches(returned_debit_reopens=True, failed_debit_fee_returned=False, void_partly_paid=True))
    account = service.account
    first, second = (account.add_invoice(account.add_customer("A"), 10000) for _ in "ab")
    part = account.settle_late(account.pay_late(first, amount=4000))
    account.pay(first)
    account.return_debit(part)
    assert call.get(f"invoices/{first}")["amount_remaining"] == 4000
    account.pay(first)
    gone = account.settle_late(account.pay_late(second, amount=4000))
    account.void(second)
    account.return_debit(gone)
    assert call.get(f"invoices/{second}")["status"] == "void"
    assert [one[1] for one in entries(call) if one[3] == "charge_failure"] == [0, 0]
    account.check()


@pytest.mark.parametrize("arrives", [True, False])
def test_debit_stands_in_the_balance_from_its_submission(arrives):
    """Under the switch a debit on its way is in the pending balance, is never paid out, and goes out again when it fails."""
    service, call = world(StripeSwitches(debit_balance_early=True))
    account = service.account
    invoice = account.add_invoice(account.add_customer("A"), 10000)
    intent = account.pay_late(invoice)
    service.clock.advance(9 * DAY)
    charge = call.get("charges", {"payment_intent": intent, "expand": ["data.balance_transaction"]})["data"][0]
    assert (charge["status"], charge["balance_transaction"]["status"]) == ("pending", "pending")
    assert account.balance() == {"available": {}, "pending": {"eur": 9825}}
    with pytest.raises(Refusal):
        account.make_payout()
    account.check()
    if arrives:
        account.settle_late(intent)
        assert account.balance()["available"] == {"eur": 9825}
    else:
        account.fail_late(intent)
        assert account.balance()["available"] == {"eur": 0}
        assert call.get("charges", {"payment_intent": intent})["data"][0]["failure_balance_transaction"] is not None
    account.check()


@pytest.mark.parametrize("mirrored", [False, True])
def test_movements_without_a_payment(mirrored):
    """Monthly fee, reserve, top-up and a category nobody knows are movements of their own in balance and payout."""
    service, call = world(StripeSwitches(reserve_mirrored=mirrored))
    account = service.account
    account.monthly_fee(500)
    account.reserve_hold(2000)
    account.reserve_release(1500)
    top = account.top_up(7000)
    account.odd_movement(-30, category="moon_tax")
    found = call.get("balance_transactions", {"limit": 100})["data"]
    reserved = [one["amount"] for one in found[::-1] if one["balance_type"] == "risk_reserved"]
    assert reserved == ([2000, -1500] if mirrored else [])
    kinds = [
        (one["amount"], one["type"], one["reporting_category"]) for one in found[::-1] if one["balance_type"] == "payments"
    ]
    assert kinds == [
        (-500, "stripe_fee", "fee"),
        (-2000, "reserve_hold", "risk_reserved_funds"),
        (1500, "reserve_release", "risk_reserved_funds"),
        (7000, "topup", "topup"),
        (-30, "adjustment", "moon_tax"),
    ]
    payout = account.make_payout()
    rows = call.get("balance_transactions", {"payout": payout, "expand": ["data.source"]})["data"]
    assert [one["net"] for one in rows] == [-5970, -30, 7000, 1500, -2000, -500]
    assert [one["source"] and one["source"]["id"] for one in rows[:3]] == [payout, None, top]
    account.check()


def test_sources_of_every_kind_are_expanded():
    """One read of movements brings charges, refunds, their failures, disputes and payouts in full, with the PaymentIntent."""
    service, call, _, intent = paid_invoice()
    account = service.account
    other = account.pay(account.add_invoice(account.add_customer("B"), 50000))
    service.clock.advance(3 * DAY)
    account.make_payout()
    account.fail_refund(account.refund(intent, 100))
    account.dispute(other)
    rows = call.get("balance_transactions", {"limit": 100, "expand": ["data.source"]})["data"]
    kinds = [(one["reporting_category"], one["source"]["object"]) for one in rows[::-1]]
    assert kinds == [
        ("charge", "charge"),
        ("charge", "charge"),
        ("payout", "payout"),
        ("refund", "refund"),
        ("refund_failure", "refund"),
        ("dispute", "dispute"),
    ]
    assert rows[0]["source"]["balance_transactions"][0]["fee"] == 2000
    assert {one["source"]["payment_intent"] for one in rows if one["source"]["object"] != "payout"} == {intent, other}
    refund = call.get("refunds", {"expand": ["data.balance_transaction", "data.failure_balance_transaction"]})["data"][0]
    assert (refund["balance_transaction"]["net"], refund["failure_balance_transaction"]["net"]) == (-100, 100)
    account.check()
