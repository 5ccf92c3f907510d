"""Payments at the simulated Stripe: at once, in part, late, for several invoices, for none, and outside Stripe."""

from __future__ import annotations

import pytest
from test_stripe_world import DAY, START, world

from mlc.sandbox.stripe import Refusal, StripeSwitches


def open_invoice(amount=11900, switches=None, **more):
    """Return service, caller and the id of an open invoice."""
    service, call = world(switches)
    customer = service.account.add_customer("A GmbH", "a@example.com")
    return service, call, service.account.add_invoice(customer, amount, **more)


def kinds(service, start=0):
    """Return the types of events from a position on."""
    return [one["type"] for one in service.account.events()][start:]


def test_card_payment():
    """A card pays at once: intent, charge, fee, InvoicePayment and invoice agree, and every event is there."""
    service, call, invoice = open_invoice()
    seen = len(service.account.events())
    intent = service.account.pay(invoice)
    body = call.get(f"invoices/{invoice}", {"expand": ["payments"]})
    assert (body["status"], body["amount_paid"], body["amount_remaining"]) == ("paid", 11900, 0)
    assert body["status_transitions"]["paid_at"] == START
    paid = body["payments"]["data"][0]
    assert (paid["status"], paid["amount_paid"], paid["payment"]["payment_intent"]) == ("paid", 11900, intent)
    full = call.get(f"payment_intents/{intent}", {"expand": ["latest_charge.balance_transaction"]})
    assert (full["status"], full["amount_received"]) == ("succeeded", 11900)
    entry = full["latest_charge"]["balance_transaction"]
    assert (entry["amount"], entry["fee"], entry["net"], entry["status"]) == (11900, 203, 11697, "pending")
    assert entry["reporting_category"] == "charge"
    assert kinds(service, seen) == [
        "charge.succeeded",
        "payment_intent.succeeded",
        "invoice_payment.paid",
        "invoice.updated",
        "invoice.paid",
        "invoice.payment_succeeded",
        "charge.updated",
    ]
    service.account.check()


def test_ids_look_real():
    """Ids have the length and the prefix of the vendor's."""
    service, call, invoice = open_invoice()
    intent = service.account.pay(invoice)
    charge = call.get(f"payment_intents/{intent}")["latest_charge"]
    assert [(one[:3], len(one)) for one in (invoice, intent, charge)] == [("in_", 27), ("pi_", 27), ("ch_", 27)]
    again = open_invoice()[2]
    assert again == invoice


def test_part_payments():
    """Parts lower what remains, keep the default request in step, and the last part closes the invoice."""
    service, call, invoice = open_invoice()
    first = service.account.pay_partly(invoice, 5000)
    body = call.get(f"invoices/{invoice}")
    assert (body["status"], body["amount_paid"], body["amount_remaining"]) == ("open", 5000, 6900)
    default = call.get("invoice_payments", {"invoice": invoice, "status": "open"})["data"]
    assert [(one["is_default"], one["amount_requested"]) for one in default] == [(True, 6900)]
    assert call.get(f"payment_intents/{default[0]['payment']['payment_intent']}")["amount"] == 6900
    assert "invoice.paid" not in kinds(service)
    second = service.account.pay(invoice)
    paid = call.get("invoice_payments", {"invoice": invoice, "status": "paid"})["data"]
    assert [(one["payment"]["payment_intent"], one["amount_paid"]) for one in paid] == [(first, 5000), (second, 6900)] or [
        (one["payment"]["payment_intent"], one["amount_paid"]) for one in paid
    ] == [(second, 6900), (first, 5000)]
    service.account.check()
    with pytest.raises(Refusal):
        service.account.pay_partly(invoice, 1)


def test_late_payment_that_arrives():
    """A bank debit is processing for days, without balance transaction, and then succeeds."""
    service, call, invoice = open_invoice()
    intent = service.account.pay_late(invoice, "sepa_debit")
    body = call.get(f"payment_intents/{intent}", {"expand": ["latest_charge"]})
    charge = body["latest_charge"]
    assert (body["status"], charge["status"], charge["balance_transaction"]) == ("processing", "pending", None)
    assert charge["id"].startswith("py_")
    assert call.get(f"invoices/{invoice}")["status"] == "open"
    for path in ("void", "pay"):
        assert call.refused(f"invoices/{invoice}/{path}", {})["code"] == "invoice_payment_processing"
    service.clock.advance(9 * DAY)
    service.account.settle_late(intent)
    assert call.get(f"invoices/{invoice}")["status_transitions"]["paid_at"] == START + 9 * DAY
    entry = call.get("balance_transactions", {"source": charge["id"]})["data"][0]
    assert (entry["type"], entry["reporting_category"]) == ("payment", "charge")
    with pytest.raises(Refusal):
        service.account.settle_late(intent)
    service.account.check()


def test_late_payment_that_fails():
    """A failed debit leaves the invoice open and payable, with the reason on intent and charge."""
    service, call, invoice = open_invoice()
    intent = service.account.pay_late(invoice)
    service.account.fail_late(intent)
    body = call.get(f"payment_intents/{intent}", {"expand": ["latest_charge"]})
    assert (body["status"], body["latest_charge"]["status"]) == ("requires_payment_method", "failed")
    assert body["latest_charge"]["failure_code"] == "insufficient_funds"
    assert {"charge.failed", "payment_intent.payment_failed", "invoice.payment_failed"} <= set(kinds(service))
    assert call.get(f"invoices/{invoice}")["amount_remaining"] == 11900
    assert service.account.pay(invoice) == intent
    service.account.check()


def test_a_payment_in_flight_may_be_crossed():
    """Under the switch an invoice can be voided or paid elsewhere meanwhile; the debit then overpays or lies unused."""
    switches = StripeSwitches(in_flight_blocks=False)
    service, call, invoice = open_invoice(switches=switches)
    intent = service.account.pay_late(invoice)
    call.post(f"invoices/{invoice}/pay", {"paid_out_of_band": True})
    service.account.settle_late(intent)
    assert call.get(f"invoices/{invoice}")["amount_overpaid"] == 11900
    service.account.check()
    service, call, invoice = open_invoice(switches=switches)
    intent = service.account.pay_late(invoice)
    call.post(f"invoices/{invoice}/void")
    service.account.settle_late(intent)
    assert call.get(f"payment_intents/{intent}")["amount_received"] == 11900
    assert call.get("invoice_payments", {"invoice": invoice, "status": "paid"})["data"] == []
    service.account.check()


def test_one_payment_for_several_invoices():
    """One PaymentIntent pays two invoices, and is found from both sides."""
    service, call, first = open_invoice()
    customer = call.get(f"invoices/{first}")["customer"]
    second = service.account.add_invoice(customer, 23800)
    intent = service.account.pay_many([first, second], [11900, 20000])
    found = call.get(
        "invoice_payments",
        {"payment": {"type": "payment_intent", "payment_intent": intent}, "expand": ["data.invoice"]},
    )["data"]
    assert sorted((one["invoice"]["id"], one["amount_paid"]) for one in found) == sorted([(first, 11900), (second, 20000)])
    assert call.get(f"payment_intents/{intent}")["amount_received"] == 31900
    assert call.get(f"invoices/{second}")["amount_remaining"] == 3800
    for wrong in ([], [second, second]):
        with pytest.raises(Refusal):
            service.account.pay_many(wrong)
    with pytest.raises(Refusal):
        service.account.pay_many([second], [3801])
    service.account.check()


@pytest.mark.parametrize("credited", [True, False])
@pytest.mark.parametrize("shown", [True, False])
def test_overpayment(credited, shown):
    """More than asked closes the invoice, stands as amount_overpaid, and becomes credit unless switched off."""
    service, call, invoice = open_invoice(switches=StripeSwitches(overpayment_credited=credited, overpaid_in_payment=shown))
    intent = service.account.overpay(invoice, 12000)
    body = call.get(f"invoices/{invoice}", {"expand": ["payments"]})
    assert (body["status"], body["amount_paid"], body["amount_overpaid"]) == ("paid", 11900, 100)
    paid = next(one for one in body["payments"]["data"] if one["status"] == "paid")
    assert paid["amount_paid"] == (12000 if shown else 11900)
    assert call.get(f"payment_intents/{intent}")["amount_received"] == 12000
    assert call.get(f"customers/{body['customer']}")["balance"] == (-100 if credited else 0)
    assert "invoice.overpaid" in kinds(service)
    service.account.check()


def test_payments_without_invoice():
    """A bare PaymentIntent and a bare charge belong to no invoice."""
    service, call, _ = open_invoice()
    customer = service.account.add_customer("B")
    intent = service.account.pay_without_invoice(customer, 4200, "usd", {"order": "7"})
    charge = service.account.charge_without_intent(None, 1500)
    assert call.get(f"payment_intents/{intent}")["metadata"] == {"order": "7"}
    bare = call.get(f"charges/{charge}")
    assert (bare["payment_intent"], bare["customer"], bare["amount"]) == (None, None, 1500)
    params = {"payment": {"type": "payment_intent", "payment_intent": intent}}
    assert call.get("invoice_payments", params)["data"] == []
    assert [one["id"] for one in call.get("charges", {"customer": customer})["data"]] == [
        call.get(f"payment_intents/{intent}")["latest_charge"]
    ]
    service.account.check()


def test_charge_without_intent_for_an_invoice():
    """A charge without PaymentIntent pays an invoice as payment of type charge, which no filter finds."""
    service, call, invoice = open_invoice()
    charge = service.account.pay_by_charge(invoice)
    found = call.get("invoice_payments", {"invoice": invoice, "status": "paid"})["data"][0]
    assert found["payment"] == {"type": "charge", "charge": charge}
    call.refused("invoice_payments", {"payment": {"type": "charge"}}, method="GET")
    assert call.get(f"invoices/{invoice}")["status"] == "paid"
    service.account.check()


def test_filters_of_invoice_payments():
    """`payment[type]` is required and goes only with its own id; unknown ids are refused."""
    service, call, invoice = open_invoice()
    intent = service.account.pay(invoice)
    assert call.refused("invoice_payments", {"payment": {"payment_intent": intent}}, method="GET")["param"] == "payment[type]"
    for payment in ({"type": "payment_record", "payment_intent": intent}, {"type": "payment_intent", "payment_intent": "pi_x"}):
        call.refused("invoice_payments", {"payment": payment}, method="GET")
    assert len(call.get("invoice_payments", {"payment": {"type": "payment_intent"}})["data"]) == 1
    assert call.get("invoice_payments", {"payment": {"type": "payment_record"}})["data"] == []
    assert call.get(f"invoice_payments/{call.get('invoice_payments')['data'][0]['id']}")["invoice"] == invoice


def test_balance_transaction_may_come_later():
    """Under the switch a charge has no balance transaction until it is entered, which charge.updated tells."""
    service, call, invoice = open_invoice(switches=StripeSwitches(balance_later=True))
    intent = service.account.pay(invoice)
    expand = {"expand": ["latest_charge.balance_transaction"]}
    assert call.get(f"payment_intents/{intent}", expand)["latest_charge"]["balance_transaction"] is None
    assert "charge.updated" not in kinds(service)
    assert service.account.settle_balance(intent) == 1
    assert call.get(f"payment_intents/{intent}", expand)["latest_charge"]["balance_transaction"]["net"] == 11697
    assert kinds(service)[-1] == "charge.updated"
    assert service.account.settle_balance() == 0
    service.account.check()


def test_settlement_in_another_currency():
    """A charge in a currency with a rate settles in the account's currency, with the rate on the balance transaction."""
    service, call, invoice = open_invoice(10000, StripeSwitches(rates={"usd": "0.92"}), currency="usd")
    intent = service.account.pay(invoice)
    entry = call.get(f"payment_intents/{intent}", {"expand": ["latest_charge.balance_transaction"]})["latest_charge"]
    entry = entry["balance_transaction"]
    assert (entry["amount"], entry["currency"], entry["exchange_rate"]) == (9200, "eur", 0.92)
    service.account.refund(intent)
    service.account.check()


def test_tax_on_fees():
    """Under the switch a fee consists of the fee itself and the tax on it."""
    service, call, invoice = open_invoice(switches=StripeSwitches(fee_tax_percent=19))
    service.account.pay(invoice)
    details = call.get("balance_transactions")["data"][0]["fee_details"]
    assert [(one["type"], one["amount"]) for one in details] == [("stripe_fee", 171), ("tax", 32)]


def test_subscription_invoices_are_not_ours():
    """An invoice of a subscription says so and is paid by card unless told otherwise."""
    service, call, invoice = open_invoice()
    customer = call.get(f"invoices/{invoice}")["customer"]
    body = call.get(f"invoices/{service.account.subscription_invoice(customer, 2900)}")
    assert (body["billing_reason"], body["status"], body["metadata"]) == ("subscription_cycle", "paid", {})
    assert body["parent"]["type"] == "subscription_details"
    assert body["lines"]["data"][0]["parent"]["type"] == "subscription_item_details"
    unpaid = call.get(f"invoices/{service.account.subscription_invoice(customer, 2900, paid=False)}")
    assert unpaid["status"] == "open"
    service.account.check()
