"""Events and webhook deliveries of the simulated Stripe."""

from __future__ import annotations

import itertools
import json

import pytest
import stripe
from test_stripe_world import DAY, START, proper, world

from mlc.sandbox.stripe import StripeSwitches, sign


def paid(switches=None):
    """Return service and caller after one invoice was pushed and paid, and the invoice's id."""
    service, call = world(switches)
    customer = service.account.add_customer("A", "a@example.com")
    invoice = service.account.add_invoice(customer, 11900)
    service.clock.advance(60)
    service.account.pay(invoice)
    return service, call, invoice


def types(call, **params):
    """Return the types of events, newest first."""
    return [one["type"] for one in call.get("events", {"limit": 100, **params})["data"]]


def test_events_are_listed_newest_first_in_whole_seconds():
    """All events of a payment stand in one second, newest first."""
    _, call, _ = paid()
    rows = call.get("events", {"limit": 100})["data"]
    assert rows[0]["type"] == "charge.updated"
    assert {one["created"] for one in rows if one["type"].startswith(("invoice.paid", "charge."))} == {START + 60}
    assert call.get(f"events/{rows[0]['id']}")["id"] == rows[0]["id"]


def test_types_of_events():
    """`type` takes one type or a wildcard, `types[]` up to twenty; both together are refused."""
    _, call, _ = paid()
    assert types(call, type="invoice.paid") == ["invoice.paid"]
    assert set(types(call, type="invoice.*")) >= {"invoice.paid", "invoice.created"}
    assert "invoice_payment.paid" not in types(call, type="invoice.*")
    assert types(call, types=["charge.updated", "invoice_payment.paid"]) == ["charge.updated", "invoice_payment.paid"]
    call.refused("events", {"type": "a", "types": ["b"]}, method="GET")
    call.refused("events", {"types": ["invoice.paid"] * 21}, method="GET")
    assert types(call, created={"gt": START}, types=["invoice.created", "invoice.paid"]) == ["invoice.paid"]


def test_events_page_with_types():
    """Cursors and types work together in both directions and meet every event once."""
    service, call = world()
    customer = service.account.add_customer("A")
    for _ in range(7):
        service.account.add_invoice(customer, 5000)
        service.clock.advance(1)
    wanted = [one["id"] for one in service.account.events("invoice.created", "invoice.finalized")][::-1]
    found, after = [], None
    while True:
        params = {"types": ["invoice.created", "invoice.finalized"], "limit": 3}
        page = call.get("events", params | ({"starting_after": after} if after else {}))
        found += [one["id"] for one in page["data"]]
        if not page["has_more"]:
            break
        after = found[-1]
    assert found == wanted
    newer = call.get("events", {"types": ["invoice.created", "invoice.finalized"], "limit": 3, "ending_before": wanted[-1]})
    assert [one["id"] for one in newer["data"]] == wanted[-4:-1]
    assert newer["has_more"] is True


def test_events_live_for_thirty_days():
    """After thirty days an event can be neither listed nor read nor used as a cursor."""
    service, call, invoice = paid()
    event = call.get("events")["data"][0]["id"]
    service.clock.advance(30 * DAY - 1)
    assert call.get(f"events/{event}")["id"] == event
    service.clock.advance(1)
    assert types(call) == []
    assert types(call, created={"gte": START}) == []
    call.refused(f"events/{event}", status=404, method="GET")
    assert call.refused("events", {"ending_before": event}, method="GET")["code"] == "resource_missing"
    assert call.get(f"invoices/{invoice}")["status"] == "paid"


def test_events_show_the_object_as_it_was():
    """An event keeps the state of its moment, what changed, and which request caused it."""
    service, call = world()
    customer = call.post("customers", {"name": "A"}, idem="my-key")["id"]
    call.post(f"customers/{customer}", {"name": "B", "metadata": {"a": "1"}})
    made, changed = service.account.events("customer.created", "customer.updated")
    assert (made["data"]["object"]["name"], changed["data"]["object"]["name"]) == ("A", "B")
    assert changed["data"]["previous_attributes"] == {"name": "A", "metadata": {}}
    assert "previous_attributes" not in made["data"]
    assert made["request"]["idempotency_key"] == "my-key"
    assert made["request"]["id"].startswith("req_")
    service.account.credit_customer(customer, 5)
    assert service.account.events()[-1]["request"] == {"id": None, "idempotency_key": None}


def test_drafts_in_events_do_not_change_later():
    """The event of a draft shows what was due then, whatever the customer's balance is now."""
    service, _, invoice = paid()
    service.account.credit_customer(service.account.read(invoice)["customer"], 100)
    updated = service.account.events("invoice.updated")[0]["data"]["object"]
    assert (updated["status"], updated["amount_due"], updated["starting_balance"]) == ("draft", 11900, 0)


def test_dropped_events():
    """Events can be lost: the newest, those of a type, or those a function chooses."""
    service, call, _ = paid()
    before = len(service.account.events())
    assert service.account.drop_events(2) == 2
    assert service.account.drop_events("invoice.p") == 1
    assert service.account.drop_events(lambda event: event["data"]["object"]["object"] == "customer") == 1
    assert len(service.account.events()) == before - 4
    assert not {"charge.updated", "invoice.paid", "customer.created"} & set(types(call))


def test_duplicated_events():
    """The same fact can come under several event ids."""
    service, call, invoice = paid()
    assert service.account.duplicate_events("invoice.paid") == 1
    rows = call.get("events", {"type": "invoice.paid"})["data"]
    assert len({one["id"] for one in rows}) == 2
    assert {one["data"]["object"]["id"] for one in rows} == {invoice}
    assert service.account.duplicate_events() == 5


def test_any_order_within_a_second():
    """Events of one second can be listed in any order, by switch or drawn anew."""
    service, call, _ = paid()
    wanted = sorted(types(call))
    orders = set()
    for _ in range(5):
        service.account.shuffle_events()
        orders.add(tuple(types(call)))
        assert sorted(types(call)) == wanted
    assert len(orders) > 1
    shuffled, other, _ = paid(StripeSwitches(events_shuffled=True))
    assert sorted(types(other)) == wanted
    assert types(other) != list(itertools.chain(types(call)))
    rows = other.get("events", {"limit": 100})["data"]
    assert [one["created"] for one in rows] == sorted((one["created"] for one in rows), reverse=True)
    assert shuffled.account.events()


def test_deliveries_are_told_apart():
    """`delivery_success` lists what webhooks took and what they did not."""
    service, call, _ = paid()
    assert service.account.mark_delivered("invoice.paid") == 1
    assert types(call, delivery_success=True) == ["invoice.paid"]
    assert "invoice.paid" not in types(call, delivery_success=False)


def test_old_event_bodies():
    """An account on an old version has event bodies with the fields of that time, while reads stay new."""
    service, call, invoice = paid(StripeSwitches(event_version="2024-06-20"))
    event = service.account.events("invoice.paid")[0]
    assert event["api_version"] == "2024-06-20"
    body = event["data"]["object"]
    assert (body["paid"], body["discount"], body["tax"]) == (True, None, None)
    assert body["payment_intent"].startswith("pi_")
    assert body["charge"].startswith("ch_")
    assert "amount_overpaid" not in body
    assert "paid" not in call.get(f"invoices/{invoice}")
    charge = service.account.events("charge.succeeded")[0]["data"]["object"]
    assert charge["invoice"] == invoice


def test_deliveries_are_signed():
    """The vendor's SDK accepts the deliveries, and refuses them under another secret."""
    service, _, _ = paid()
    deliveries = service.account.deliveries("whsec_a", moment=int(service.clock.now()))
    assert len(deliveries) == len(service.account.events())
    for one in deliveries[:3]:
        event = stripe.Webhook.construct_event(one.body, one.headers["stripe-signature"], "whsec_a", tolerance=None)
        assert event["id"] == one.event_id
        proper(json.loads(one.body))
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.Webhook.construct_event(one.body, one.headers["stripe-signature"], "whsec_b", tolerance=None)
    rest = service.account.deliveries("whsec_a", deliveries[-2].event_id)
    assert [one.event_id for one in rest] == [deliveries[-1].event_id]
    ours = sign(b"{}", "whsec_a", 1).split(",")[1]
    assert ours in stripe.WebhookSignature.generate_signature_header("{}", "whsec_a", timestamp=1)


def test_thin_events():
    """Under the switch each delivery has a thin companion that names the object only."""
    service, _, invoice = paid(StripeSwitches(thin_events=True))
    bodies = [json.loads(one.body) for one in service.account.deliveries("whsec_a")]
    thin = [one for one in bodies if one["object"] == "v2.core.event"]
    assert len(thin) * 2 == len(bodies)
    found = next(one for one in thin if one["type"] == "v1.invoice.paid")
    assert found["related_object"] == {"id": invoice, "type": "invoice", "url": f"/v1/invoices/{invoice}"}
    assert "data" not in found


def test_listeners_hear_events_at_once():
    """Whoever listens is told of each event when it happens."""
    service, _ = world()
    heard = []
    service.account.listeners.append(heard.append)
    service.account.add_customer("A")
    assert [one["type"] for one in heard] == ["customer.created"]
