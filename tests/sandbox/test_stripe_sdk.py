"""The vendor's own SDK as a second client of the simulated Stripe, over a real socket."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import pytest
import stripe
from test_stripe_world import DAY, START, world
from waitress import create_server

from mlc.sandbox.kit import Fault, wsgi
from mlc.sandbox.stripe import StripeService, StripeSwitches


class Loopback:
    """A service on a port of this machine and the SDK's client for it."""

    def __init__(self, service: StripeService, retries: int = 0) -> None:
        self.service = service
        self.server = create_server(wsgi(service, sockets=True), host="127.0.0.1", port=0, threads=4)
        address = f"http://127.0.0.1:{self.server.effective_port}"
        self.client = stripe.StripeClient(service.secret_key, base_addresses={"api": address}, max_network_retries=retries)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()

    def close(self) -> None:
        """Stop serving: everything is closed in the server's own thread, kept-alive connections too."""
        with contextlib.suppress(OSError):  # the thread may wake by itself, and close the trigger before it is pulled
            self.server.trigger.pull_trigger(lambda: [one.close() for one in list(self.server._map.values())])
        self.thread.join(5)
        assert not self.thread.is_alive()
        self.server.task_dispatcher.shutdown()


@pytest.fixture
def loop(monkeypatch) -> Iterator[Loopback]:
    """Serve an empty account; the SDK's waits between retries are skipped."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    service, _ = world()
    opened = Loopback(service)
    yield opened
    opened.close()


def push(client: stripe.StripeClient, customer: str, **more) -> stripe.Invoice:
    """Push an invoice in three writes."""
    params = {
        "customer": customer,
        "currency": "eur",
        "collection_method": "send_invoice",
        "due_date": START + 30 * DAY,
        "auto_advance": False,
        "pending_invoice_items_behavior": "exclude",
        "discounts": "",
        "metadata": {"sap_company": "SBO_DE", "sap_doc_num": "4711", "mlc_key": "k"},
    }
    draft = client.v1.invoices.create(params | more)
    rate = {"display_name": "VAT", "inclusive": False, "percentage": 19}
    line = {"amount": 10000, "tax_amounts": [{"amount": 1900, "taxable_amount": 10000, "tax_rate_data": rate}]}
    added = client.v1.invoices.add_lines(draft.id, {"lines": [line]})
    assert (added.total, added.amount_due) == (11900, 11900)
    return client.v1.invoices.finalize_invoice(draft.id, {"auto_advance": False})


def test_main_loop(loop):
    """Customer, invoice, payment, events, payout and credit note through the vendor's client."""
    client, account = loop.client.v1, loop.service.account
    customer = client.customers.create({"name": "Käufer & Söhne", "email": "a@example.com", "address": {"city": "Köln"}})
    assert client.customers.list({"email": "a@example.com"}).data[0].name == "Käufer & Söhne"
    invoice = push(loop.client, customer.id)
    assert (invoice.status, invoice.metadata["mlc_key"]) == ("open", "k")
    intent = account.pay(invoice.id)
    paid = client.invoices.retrieve(invoice.id, {"expand": ["payments.data.payment.payment_intent"]})
    assert paid.payments.data[0].payment.payment_intent.id == intent
    found = client.invoice_payments.list(
        {"payment": {"type": "payment_intent", "payment_intent": intent}, "expand": ["data.invoice"]}
    )
    assert found.data[0].invoice.id == invoice.id
    charge = client.payment_intents.retrieve(intent, {"expand": ["latest_charge.balance_transaction"]}).latest_charge
    assert charge.balance_transaction.fee == 203
    events = list(client.events.list({"types": ["invoice.paid", "invoice_payment.paid"], "limit": 1}).auto_paging_iter())
    assert [one.type for one in events] == ["invoice.paid", "invoice_payment.paid"]
    refund = client.refunds.create({"payment_intent": intent, "amount": 900})
    assert refund.status == "succeeded"
    loop.service.clock.advance(3 * DAY)
    payout = account.complete_payout(account.make_payout())
    rows = client.balance_transactions.list({"payout": payout, "limit": 100, "expand": ["data.source"]}).data
    assert sum(one.net for one in rows if one.type != "payout") == client.payouts.retrieve(payout).amount
    assert client.balance.retrieve().available[0].amount == 0
    account.check()


def test_out_of_band_and_records(loop):
    """A part paid elsewhere and the rest out of band close the invoice."""
    client, account = loop.client.v1, loop.service.account
    invoice = account.add_invoice(account.add_customer("A"), 11900)
    record = client.payment_records.report_payment(
        {
            "amount_requested": {"value": 1900, "currency": "eur"},
            "initiated_at": START,
            "outcome": "guaranteed",
            "guaranteed": {"guaranteed_at": START},
            "payment_method_details": {"type": "custom", "custom": {"display_name": "Bank"}},
            "processor_details": {"type": "custom", "custom": {"payment_reference": "SAP 1"}},
        }
    )
    assert client.invoices.attach_payment(invoice, {"payment_record": record.id}).amount_remaining == 10000
    assert client.credit_notes.create({"invoice": invoice, "amount": 500, "email_type": "none"}).pre_payment_amount == 500
    assert client.invoices.pay(invoice, {"paid_out_of_band": True}).status == "paid"
    expanded = client.invoices.retrieve(invoice, {"expand": ["amount_paid_off_stripe"]})
    assert expanded.amount_paid_off_stripe == 11400
    account.check()


def test_errors_reach_the_sdk_as_its_own(loop):
    """The SDK raises its own exceptions for each kind of refusal."""
    client = loop.client.v1
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.invoices.create({"customer": "cus_missing", "collection_method": "send_invoice", "days_until_due": 3})
    assert (refused.value.http_status, refused.value.code, refused.value.param) == (400, "resource_missing", "customer")
    client.customers.create({"name": "A"}, {"idempotency_key": "k"})
    with pytest.raises(stripe.IdempotencyError):
        client.customers.create({"name": "B"}, {"idempotency_key": "k"})
    with pytest.raises(stripe.AuthenticationError):
        client.customers.list({}, {"api_key": "sk_test_wrong"})
    loop.service.faults.append(Fault("rate_limit"))
    with pytest.raises(stripe.RateLimitError):
        client.customers.list()
    invoice = loop.service.account.add_invoice(loop.service.account.add_customer("A"), 5000)
    with pytest.raises(stripe.CardError):
        client.invoices.pay(invoice, {"payment_method": "pm_card_chargeDeclined"})
    limited = StripeService(loop.service.clock, switches=StripeSwitches(forbidden=frozenset({"payouts"})))
    with_rights = Loopback(limited)
    with pytest.raises(stripe.PermissionError):
        with_rights.client.v1.payouts.list({}, {"api_key": limited.restricted_key})
    with_rights.close()


def test_the_sdk_heals_with_the_same_key(monkeypatch):
    """The SDK heals a 502 and Stripe-Should-Retry, its caller a broken answer; everything is done once."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    service, _ = world()
    loop = Loopback(service, retries=3)
    service.faults += [
        Fault("html", method="POST", status=502),
        Fault("should_retry", method="POST"),
        Fault("lost", method="POST"),
    ]
    with pytest.raises(stripe.APIConnectionError):
        loop.client.v1.customers.create({"name": "A"}, {"idempotency_key": "k"})
    assert [status for _, _, status in service.log] == [502, 504, 200, 0]
    customer = loop.client.v1.customers.create({"name": "A"}, {"idempotency_key": "k"})
    assert [one["id"] for one in service.account.all("customer")] == [customer.id]
    loop.close()


def test_pagination_by_the_sdk(loop):
    """The SDK pages through 120 invoices and 250 lines and sees each once."""
    account, client = loop.service.account, loop.client.v1
    customer = account.add_customer("A")
    made = [account.add_invoice(customer, 5000) for _ in range(120)]
    assert [one.id for one in client.invoices.list({"limit": 50}).auto_paging_iter()] == made[::-1]
    draft = account.add_invoice(customer, 1, finalize=False)
    account.add_lines(draft, {"lines": [{"amount": amount} for amount in range(2, 251)]})
    amounts = [one.amount for one in client.invoices.line_items.list(draft, {"limit": 100}).auto_paging_iter()]
    assert amounts == list(range(1, 251))
