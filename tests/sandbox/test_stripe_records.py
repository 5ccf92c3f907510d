"""Payments outside Stripe, attached payments and payments by request at the simulated Stripe."""

from __future__ import annotations

import pytest
from test_stripe_payments import kinds, open_invoice
from test_stripe_world import DAY, START

from mlc.sandbox.stripe import StripeSwitches

RECORD = {
    "initiated_at": START - DAY,
    "outcome": "guaranteed",
    "guaranteed": {"guaranteed_at": START - DAY},
    "payment_method_details": {"type": "custom", "custom": {"display_name": "Bank transfer"}},
    "processor_details": {"type": "custom", "custom": {"payment_reference": "SAP 512"}},
}


@pytest.mark.parametrize("recorded", [False, True])
def test_paid_out_of_band(recorded):
    """Paid elsewhere counts as paid; whether a payment record stands for it is a switch."""
    service, call, invoice = open_invoice(switches=StripeSwitches(out_of_band_record=recorded))
    service.account.pay_partly(invoice, 1900)
    body = call.post(f"invoices/{invoice}/pay", {"paid_out_of_band": True})
    assert (body["status"], body["amount_paid"]) == ("paid", 11900)
    assert call.get(f"invoices/{invoice}", {"expand": ["amount_paid_off_stripe"]})["amount_paid_off_stripe"] == 10000
    found = call.get("invoice_payments", {"invoice": invoice, "payment": {"type": "payment_record"}})["data"]
    assert [one["amount_paid"] for one in found] == ([10000] if recorded else [])
    assert [one for one in kinds(service) if one == "invoice.paid"] == ["invoice.paid"]
    open_ones = call.get("invoice_payments", {"invoice": invoice, "status": "open"})["data"]
    assert open_ones == []
    call.refused(f"invoices/{invoice}/pay", {"paid_out_of_band": True})
    service.account.check()


def test_pay_by_request():
    """Without a payment method there is nothing to pay with; a test card pays or is declined with 402, which is kept."""
    service, call, invoice = open_invoice()
    call.refused(f"invoices/{invoice}/pay")
    declined = {"payment_method": "pm_card_chargeDeclined"}
    error = call.refused(f"invoices/{invoice}/pay", declined, status=402, idem="k")
    assert (error["type"], error["decline_code"]) == ("card_error", "generic_decline")
    assert call.refused(f"invoices/{invoice}/pay", declined, status=402, idem="k") == error
    assert call.post(f"invoices/{invoice}/pay", {"payment_method": "pm_card_visa"})["status"] == "paid"
    assert service.account.events("invoice.payment_failed")


def test_payment_records():
    """A payment made elsewhere is reported, attached, lowers what remains, and comes back as an echo."""
    service, call, invoice = open_invoice()
    params = {"amount_requested": {"value": 5000, "currency": "eur"}, **RECORD, "metadata": {"mlc_key": "k"}}
    record = call.post("payment_records/report_payment", params)
    assert (record["object"], record["amount_guaranteed"]["value"]) == ("payment_record", 5000)
    assert call.get(f"payment_records/{record['id']}")["metadata"] == {"mlc_key": "k"}
    body = call.post(f"invoices/{invoice}/attach_payment", {"payment_record": record["id"]})
    assert (body["status"], body["amount_paid"], body["amount_remaining"]) == ("open", 5000, 6900)
    found = call.get("invoice_payments", {"payment": {"type": "payment_record", "payment_record": record["id"]}})["data"]
    assert [(one["status"], one["amount_paid"]) for one in found] == [("paid", 5000)]
    echo = service.account.events("invoice_payment.paid")[0]["data"]["object"]
    assert echo["payment"] == {"type": "payment_record", "payment_record": record["id"]}
    call.refused(f"invoices/{invoice}/attach_payment", {"payment_record": record["id"]})
    service.account.check()


def test_payment_records_are_checked():
    """Outcome and its time belong together; failed ones and other currencies cannot be attached."""
    _, call, invoice = open_invoice()
    amount = {"amount_requested": {"value": 5000, "currency": "eur"}}
    plain = {key: value for key, value in RECORD.items() if key != "guaranteed"}
    call.refused("payment_records/report_payment", {**amount, **plain})
    call.refused("payment_records/report_payment", {**amount, **RECORD, "initiated_at": START + 5})
    failed = {**plain, "outcome": "failed", "failed": {"failed_at": START}}
    dollars = {"amount_requested": {"value": 5000, "currency": "usd"}, **RECORD}
    for params in ({**amount, **failed}, dollars):
        record = call.post("payment_records/report_payment", params)["id"]
        call.refused(f"invoices/{invoice}/attach_payment", {"payment_record": record})


def test_attaching_intents():
    """A succeeded intent counts at once up to what remains, an open one when it succeeds; one of several at a time."""
    service, call, invoice = open_invoice()
    customer = call.get(f"invoices/{invoice}")["customer"]
    done = service.account.pay_without_invoice(customer, 15000)
    waiting = call.post("payment_intents", {"amount": 4000, "currency": "eur", "customer": customer})["id"]
    other = service.account.pay_without_invoice(service.account.add_customer("B"), 500)
    record = {"payment_intent": waiting, "payment_record": "pr_x"}
    for wrong in ({}, record, {"payment_intent": other}, {"payment_intent": "pi_missing"}):
        call.refused(f"invoices/{invoice}/attach_payment", wrong)
    assert call.post(f"invoices/{invoice}/attach_payment", {"payment_intent": waiting})["amount_remaining"] == 11900
    service.account.succeed(waiting)
    assert call.get(f"invoices/{invoice}")["amount_remaining"] == 7900
    body = call.post(f"invoices/{invoice}/attach_payment", {"payment_intent": done})
    assert (body["status"], body["amount_overpaid"]) == ("paid", 0)
    second = service.account.add_invoice(customer, 9000)
    body = call.post(f"invoices/{second}/attach_payment", {"payment_intent": done})
    assert (body["amount_paid"], body["amount_remaining"]) == (7100, 1900)
    call.refused(f"invoices/{second}/attach_payment", {"payment_intent": done})
    service.account.check()


def test_intents_by_request():
    """Test worlds create, confirm, change and cancel PaymentIntents of their own."""
    _, call, _ = open_invoice()
    paid = call.post("payment_intents", {"amount": 900, "currency": "eur", "confirm": True, "payment_method": "pm_card_visa"})
    assert paid["status"] == "succeeded"
    call.refused("payment_intents", {"amount": 900, "currency": "eur", "confirm": True})
    assert call.refused("payment_intents", {"amount": 49, "currency": "eur"})["code"] == "amount_too_small"
    waiting = call.post("payment_intents", {"amount": 900, "currency": "eur"})["id"]
    assert call.post(f"payment_intents/{waiting}", {"amount": 950, "metadata": {"a": "1"}})["amount"] == 950
    assert call.post(f"payment_intents/{waiting}/cancel", {"cancellation_reason": "duplicate"})["status"] == "canceled"
    for ident in (paid["id"], waiting):
        assert call.refused(f"payment_intents/{ident}/cancel")["code"] == "payment_intent_unexpected_state"
