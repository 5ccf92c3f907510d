"""Invoices of the simulated Stripe: drafts, lines, taxes, finalizing, balance, end."""

from __future__ import annotations

import pytest
from test_stripe_world import DAY, START, world

from mlc.sandbox.stripe import Refusal, StripeSwitches


def draft(call, customer, **more):
    """Create a draft as the connector does."""
    params = {
        "customer": customer,
        "currency": "eur",
        "collection_method": "send_invoice",
        "due_date": START + 30 * DAY,
        "auto_advance": False,
        "pending_invoice_items_behavior": "exclude",
        "discounts": "",
    }
    params |= more
    return call.post("invoices", {key: value for key, value in params.items() if value is not None})


def lines(call, invoice, *amounts, **more):
    """Add one line per amount."""
    return call.post(f"invoices/{invoice}/add_lines", {"lines": [{"amount": amount} for amount in amounts], **more})


def a_world(switches=None, **customer):
    """Return service, caller and a customer's id."""
    service, call = world(switches)
    return service, call, service.account.add_customer("A GmbH", "a@example.com", **customer)


def test_three_writes():
    """Draft, lines and finalizing make an open invoice with number, page and a default payment."""
    service, call, customer = a_world(metadata={"sap_card_code": "C1"})
    made = draft(
        call,
        customer,
        metadata={"mlc_key": "k", "sap_doc_num": "4711"},
        number="RE-4711",
        custom_fields=[{"name": "PO", "value": "7"}],
    )
    assert (made["status"], made["total"], made["amount_due"], made["number"]) == ("draft", 0, 0, "RE-4711")
    assert made["customer_name"] == "A GmbH"
    added = lines(call, made["id"], 10000, -500, invoice_metadata={"more": "1"})
    assert (added["subtotal"], added["total"], added["amount_due"]) == (9500, 9500, 9500)
    assert added["metadata"] == {"mlc_key": "k", "sap_doc_num": "4711", "more": "1"}
    final = call.post(f"invoices/{made['id']}/finalize", {"auto_advance": False})
    assert (final["status"], final["number"], final["amount_remaining"]) == ("open", "RE-4711", 9500)
    assert final["hosted_invoice_url"].startswith("https://")
    assert final["status_transitions"]["finalized_at"] == START
    request = call.get("invoice_payments", {"invoice": made["id"], "status": "open"})["data"][0]
    assert (request["is_default"], request["amount_requested"], request["amount_paid"]) == (True, 9500, None)
    intent = call.get(f"payment_intents/{request['payment']['payment_intent']}")
    assert (intent["amount"], intent["status"]) == (9500, "requires_payment_method")
    service.account.check()


def test_gone_fields_are_gone():
    """What basil removed is not in the answers, and what must be asked for is not there unasked."""
    service, call, customer = a_world()
    invoice = service.account.add_invoice(customer, 5000)
    intent = service.account.pay(invoice)
    gone = {"payment_intent", "charge", "paid", "paid_out_of_band", "tax", "total_tax_amounts", "subscription", "discount"}
    body = call.get(f"invoices/{invoice}")
    assert not gone & set(body)
    assert not {"payments", "amount_paid_off_stripe"} & set(body)
    assert "invoice" not in call.get(f"payment_intents/{intent}")
    charge = call.get("charges", {"payment_intent": intent})["data"][0]
    assert not {"invoice", "refunds"} & set(charge)


def test_after_finalizing_the_document_is_frozen():
    """Only metadata and the like can be changed on a finalized invoice, which cannot be deleted."""
    service, call, customer = a_world()
    invoice = service.account.add_invoice(customer, 5000)
    assert call.post(f"invoices/{invoice}", {"metadata": {"a": "1"}, "auto_advance": True})["metadata"] == {"a": "1"}
    for params in (
        {"description": "x"},
        {"due_date": START + DAY},
        {"number": "R"},
        {"collection_method": "charge_automatically"},
    ):
        assert call.refused(f"invoices/{invoice}", params)["code"] == "invoice_not_editable"
    call.refused(f"invoices/{invoice}", status=400, method="DELETE")


@pytest.mark.parametrize(
    ("currency", "below", "least"), [("eur", 49, 50), ("jpy", 49, 50), ("huf", 17499, 17500), ("gbp", 29, 30)]
)
def test_smallest_charge(currency, below, least):
    """Below the smallest charge a finalized invoice is paid by itself and the customer owes the amount."""
    service, call, customer = a_world()
    invoice = service.account.add_invoice(customer, below, currency)
    body = call.get(f"invoices/{invoice}")
    assert (body["status"], body["total"], body["amount_due"], body["amount_paid"]) == ("paid", below, 0, 0)
    assert call.get(f"customers/{customer}")["balance"] == below
    entry = call.get(f"customers/{customer}/balance_transactions")["data"][0]
    assert (entry["type"], entry["amount"], entry["invoice"]) == ("invoice_too_small", below, invoice)
    assert not call.get("invoice_payments", {"invoice": invoice})["data"]
    debit = service.account.add_invoice(customer, least, currency)
    assert call.get(f"invoices/{debit}")["amount_due"] == least + below
    assert call.get(f"customers/{customer}")["balance"] == 0
    service.account.check()


def test_customer_balance_is_applied():
    """Credit lowers what the next invoice asks for; the draft already shows it, and voiding gives it back."""
    service, call, customer = a_world()
    service.account.credit_customer(customer, 3000)
    invoice = service.account.add_invoice(customer, 11900, finalize=False)
    before = call.get(f"invoices/{invoice}")
    assert (before["starting_balance"], before["ending_balance"], before["amount_due"]) == (-3000, None, 8900)
    after = call.post(f"invoices/{invoice}/finalize")
    assert (after["starting_balance"], after["ending_balance"], after["amount_due"]) == (-3000, 0, 8900)
    assert call.get(f"customers/{customer}")["balance"] == 0
    service.account.void(invoice)
    assert call.get(f"customers/{customer}")["balance"] == -3000
    small = service.account.add_invoice(customer, 1000)
    assert call.get(f"invoices/{small}")["status"] == "paid"
    assert call.get(f"customers/{customer}")["balance"] == -2000
    service.account.check()


def test_balances_of_other_currencies_are_left_alone():
    """Credit in one currency does not touch an invoice in another."""
    service, call, customer = a_world()
    service.account.credit_customer(customer, 3000)
    invoice = service.account.add_invoice(customer, 11900, "usd")
    assert call.get(f"invoices/{invoice}")["amount_due"] == 11900
    params = {"amount": -500, "currency": "usd"}
    assert call.post(f"customers/{customer}/balance_transactions", params)["ending_balance"] == -500
    expanded = call.get(f"customers/{customer}", {"expand": ["invoice_credit_balance"]})
    assert (expanded["balance"], expanded["invoice_credit_balance"]) == (-3000, {"eur": -3000, "usd": -500})


def test_one_currency_per_customer():
    """Under the switch a customer with one currency is refused an invoice in another."""
    service, call, customer = a_world(StripeSwitches(one_currency_per_customer=True))
    service.account.add_invoice(customer, 5000)
    params = {"customer": customer, "currency": "usd", "collection_method": "send_invoice", "days_until_due": 3}
    assert call.refused("invoices", params)["param"] == "currency"


def test_negative_and_empty_invoices():
    """A negative total becomes credit, an empty invoice is paid at once."""
    service, call, customer = a_world()
    invoice = service.account.add_invoice(customer, -700)
    body = call.get(f"invoices/{invoice}")
    assert (body["status"], body["amount_due"], body["total"]) == ("paid", 0, -700)
    assert call.get(f"customers/{customer}")["balance"] == -700
    empty = draft(call, customer)["id"]
    assert call.post(f"invoices/{empty}/finalize")["status"] == "paid"
    service.account.check()


def test_void():
    """Only finalized, unpaid invoices can be voided; their payment is cancelled; voiding is the end."""
    service, call, customer = a_world()
    invoice = service.account.add_invoice(customer, 5000)
    body = call.post(f"invoices/{invoice}/void")
    assert (body["status"], body["status_transitions"]["voided_at"]) == ("void", START)
    request = call.get("invoice_payments", {"invoice": invoice})["data"][0]
    assert request["status"] == "canceled"
    assert call.get(f"payment_intents/{request['payment']['payment_intent']}")["status"] == "canceled"
    for path in ("void", "pay", "finalize", "mark_uncollectible", "send"):
        call.refused(f"invoices/{invoice}/{path}")
    call.refused(f"invoices/{draft(call, customer)['id']}/void")
    with pytest.raises(Refusal):
        service.account.pay(invoice)


def test_void_of_a_partly_paid_invoice():
    """A partly paid invoice is voided only under the switch."""
    for allowed, status in ((False, 400), (True, 200)):
        service, call, customer = a_world(StripeSwitches(void_partly_paid=allowed))
        invoice = service.account.add_invoice(customer, 5000)
        service.account.pay_partly(invoice, 1000)
        assert call.send("POST", f"/v1/invoices/{invoice}/void").status == status
        service.account.check()


def test_uncollectible():
    """An open invoice can be given up and still be paid or voided; drafts only under the switch."""
    service, call, customer = a_world()
    first, second = (service.account.add_invoice(customer, 5000) for _ in range(2))
    assert call.post(f"invoices/{first}/mark_uncollectible")["status"] == "uncollectible"
    call.post(f"invoices/{second}/mark_uncollectible")
    assert [one["id"] for one in call.get("invoices", {"status": "uncollectible"})["data"]] == [second, first]
    service.account.pay(first)
    assert call.get(f"invoices/{first}")["status"] == "paid"
    assert call.post(f"invoices/{second}/void")["status"] == "void"
    for allowed, status in ((False, 400), (True, 200)):
        _, call, customer = a_world(StripeSwitches(uncollectible_drafts=allowed))
        assert call.send("POST", f"/v1/invoices/{draft(call, customer)['id']}/mark_uncollectible").status == status


def test_send():
    """Sending mails a sent invoice, finalizes a draft, and needs an address."""
    service, call, customer = a_world()
    invoice = service.account.add_invoice(customer, 5000, finalize=False)
    assert call.post(f"invoices/{invoice}/send")["status"] == "open"
    assert service.account.mails == [("invoice", invoice)]
    assert service.account.events("invoice.sent")
    nobody = service.account.add_customer("B")
    call.refused(f"invoices/{service.account.add_invoice(nobody, 5000)}/send")
    automatic = call.post("invoices", {"customer": customer})["id"]
    call.refused(f"invoices/{automatic}/send")


def test_auto_advance_finalizes_after_an_hour():
    """A draft that was told to advance finalizes by itself; one that was not stays; later it is overdue."""
    service, call, customer = a_world()
    lazy, eager = draft(call, customer)["id"], draft(call, customer, auto_advance=True)["id"]
    for one in (lazy, eager):
        lines(call, one, 5000)
    service.clock.advance(3600)
    assert [call.get(f"invoices/{one}")["status"] for one in (lazy, eager)] == ["draft", "open"]
    service.clock.advance(31 * DAY)
    call.get("balance")
    assert [one["data"]["object"]["id"] for one in service.account.events("invoice.overdue")] == [eager]


def test_lists_of_invoices():
    """Invoices are filtered by customer, status, method, due date and subscription."""
    service, call, customer = a_world()
    other = service.account.add_customer("B")
    one = service.account.add_invoice(customer, 5000)
    two = service.account.add_invoice(other, 5000, due_days=60)
    three = service.account.subscription_invoice(customer, 900)

    def ids(**params):
        return [invoice["id"] for invoice in call.get("invoices", params)["data"]]

    assert ids() == [three, two, one]
    assert ids(customer=customer) == [three, one]
    assert ids(status="open") == [two, one]
    assert ids(collection_method="charge_automatically") == [three]
    assert ids(due_date={"gt": START + 31 * DAY}) == [two]
    parent = call.get(f"invoices/{three}")["parent"]
    assert ids(subscription=parent["subscription_details"]["subscription"]) == [three]
    call.refused("invoices", {"number": "R"}, method="GET")


def test_invoices_of_deleted_customers_cannot_be_finalized():
    """Deleting a customer leaves its drafts, which cannot be finalized any more."""
    service, call, customer = a_world()
    invoice = service.account.add_invoice(customer, 5000, finalize=False)
    service.account.delete_customer(customer)
    assert call.get(f"invoices/{invoice}", {"expand": ["customer"]})["customer"]["deleted"] is True
    call.refused(f"invoices/{invoice}/finalize")
