"""The vendor's own client as a second client of the simulated GoCardless, over a real socket."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
from test_gocardless_world import euro, world
from waitress import create_server

from mlc.sandbox.gocardless import GoCardlessService
from mlc.sandbox.kit import Fault, wsgi

gocardless_pro = pytest.importorskip("gocardless_pro")
webhooks = pytest.importorskip("gocardless_pro.webhooks")


class Loopback:
    """A service on a port of this machine and the vendor's client for it."""

    def __init__(self, service: GoCardlessService) -> None:
        self.service = service
        self.server = create_server(wsgi(service, sockets=True), host="127.0.0.1", port=0, threads=4)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()

    def client(self, token: str = "sandbox_mlc", **options):
        """A client of the vendor's for this service."""
        address = f"http://127.0.0.1:{self.server.effective_port}"
        return gocardless_pro.Client(access_token=token, base_url=address, **options)

    def close(self) -> None:
        """Stop serving: everything is closed in the server's own thread, kept-alive connections too."""
        with suppress(OSError):  # it may wake by itself, and close the trigger before it is pulled
            self.server.trigger.pull_trigger(lambda: [one.close() for one in list(self.server._map.values())])
        self.thread.join(5)
        assert not self.thread.is_alive()
        self.server.task_dispatcher.shutdown()


@pytest.fixture
def loop(monkeypatch) -> Iterator[Loopback]:
    """Serve an organisation; the client's waits between retries are skipped."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    opened = Loopback(world()[0])
    yield opened
    opened.close()


def test_main_loop(loop):
    """Customer, account, mandate, payment, scenario, events, payout, items and refund through the vendor's client."""
    client, made = loop.client(), loop.service.organisation
    customer = client.customers.create(params={"company_name": "Käufer & Söhne", "metadata": {"sap": "C100"}})
    account = client.customer_bank_accounts.create(
        params={
            "account_holder_name": "K",
            "account_number": "55779911",
            "branch_code": "200000",
            "links": {"customer": customer.id},
        }
    )
    mandate = client.mandates.create(params={"scheme": "bacs", "links": {"customer_bank_account": account.id}})
    client.scenario_simulators.run("mandate_activated", params={"links": {"resource": mandate.id}})
    assert client.mandates.get(mandate.id).status == "active"
    given = {"amount": 1010, "currency": "GBP", "links": {"mandate": mandate.id}, "metadata": {"invoice": "4711"}}
    payments = [client.payments.create(params=given) for _ in range(2)]
    for payment in payments:
        client.scenario_simulators.run("payment_confirmed", params={"links": {"resource": payment.id}})
    payout = client.payouts.get(made.pay_payout(made.make_payout("GBP")))
    assert (payout.amount, payout.deducted_fees, payout.status) == (1948, 72, "paid")
    assert payout.fx.exchange_rate is None
    items = list(client.payout_items.all(params={"payout": payout.id, "limit": 1}))
    assert [one.amount for one in items] == ["1010.0", "-36.1"] * 2
    assert items[1].taxes[0]["tax_rate_id"] == "GB_VAT_1"
    events = client.events.list(
        params={"resource_type": "payments", "action": "paid_out", "include": "payment", "created_at[gte]": payout.created_at}
    )
    assert {one.links.payment for one in events.records} == {one.id for one in payments}
    assert client.payments.get(payments[0].id).links.payout == payout.id
    refund = client.refunds.create(params={"amount": 10, "total_amount_confirmation": 10, "links": {"payment": payments[0].id}})
    assert [one.id for one in client.refunds.list().records] == [refund.id]
    assert client.payments.update(payments[0].id, params={"metadata": {"invoice": "4712"}}).metadata == {"invoice": "4712"}
    assert client.tax_rates.get("GB_VAT_1").percentage == "20.0"
    assert client.balances.list(params={"creditor": "CR0001"}).records
    assert client.creditor_bank_accounts.get(payout.links.creditor_bank_account).currency == "GBP"
    assert [one.id for one in client.customers.all()] == ["CU00000002", "CU00000001"]
    made.check()


def test_all_events_through_the_cursors(loop):
    """The client's own paging sees every event once, the newest first."""
    made = loop.service.organisation
    mandate = made.all("mandates")[0]["id"]
    for _ in range(60):
        made.collect(mandate, 100)
    assert [one.id for one in loop.client().events.all()] == [one["id"] for one in made.events()][::-1]


def test_refusals_are_the_clients_own(loop):
    """The client understands each refusal as its own kind of error, and follows a conflict to what was made."""
    errors, client = gocardless_pro.errors, loop.client()
    made = loop.service.organisation
    mandate = made.all("mandates")[0]["id"]
    with pytest.raises(errors.AuthenticationError):
        loop.client("wrong").payments.list()
    with pytest.raises(errors.InvalidApiUsageError) as caught:
        client.payments.get("PM0")
    assert (caught.value.code, caught.value.request_id is None) == (404, False)
    with pytest.raises(errors.ValidationFailedError, match="must be a number"):
        client.payments.create(params={"amount": "x", "currency": "GBP", "links": {"mandate": mandate}})
    payment = made.collect(mandate, 100)
    with pytest.raises(errors.InvalidStateError):
        client.payments.cancel(payment)
    given = {"params": {"amount": 1, "currency": "GBP", "links": {"mandate": mandate}}, "headers": {"Idempotency-Key": "k"}}
    first = client.payments.create(**given)
    assert client.payments.create(**given).id == first.id
    with pytest.raises(errors.IdempotentCreationConflictError) as conflict:
        loop.client(raise_on_idempotency_conflict=True).payments.create(**given)
    assert conflict.value.conflicting_resource_id == first.id
    loop.service.faults += [Fault("rate_limit"), Fault("internal")]
    with pytest.raises(errors.RateLimitError):
        client.payments.list()
    with pytest.raises(errors.GoCardlessInternalError):
        client.payments.list()
    client.payments.list()
    assert client.rate_limit["ratelimit-limit"] == 1000


def test_what_the_network_does(loop):
    """Reads that a proxy spoiled are repeated by the client; a payment created under such an answer is found by its key."""
    client, made = loop.client(), loop.service.organisation
    mandate = made.all("mandates")[0]["id"]
    loop.service.faults += [Fault("html", "GET", status=502), Fault("html", "GET", status=504)]
    assert client.mandates.list().records[0].id == mandate
    loop.service.faults += [Fault("lost_html", "POST")]
    given = {"amount": 1, "currency": "GBP", "links": {"mandate": mandate}}
    assert client.payments.create(params=given).id == "PM00000001"
    assert len(made.all("payments")) == 1


def test_signatures_and_fx_of_the_client():
    """The client accepts our webhooks, refuses a newline more, and reads an FX payout."""
    _, made, mandate = euro()
    payout = made.pay(made.collect(mandate, 100000), rate="0.85")
    sent = made.deliveries("secret")[0]
    header = sent.headers["webhook-signature"]
    parsed = webhooks.parse_with_meta(sent.body, "secret", header)
    assert (len(parsed.events), parsed.webhook_id) == (len(made.events()), sent.webhook_id)
    with pytest.raises(gocardless_pro.errors.InvalidSignatureError):
        webhooks.parse(sent.body + b"\n", "secret", header)
    read = gocardless_pro.resources.Payout(made.read(payout), None)
    assert (read.fx.exchange_rate, read.fx.fx_currency) == ("0.8500000000", "GBP")
