"""Lists, cursors, expansion and search of the simulated Stripe."""

from __future__ import annotations

import json

from test_stripe_world import START, world

from mlc.sandbox.kit import Request
from mlc.sandbox.stripe import StripeSwitches


def test_both_forms_of_lists_are_understood():
    """`expand[]` and `expand[0]` mean the same."""
    service, call = world()
    customer = call.post("customers", {"name": "A"})["id"]
    invoice = service.account.add_invoice(customer, 5000)
    said = {"authorization": "Bearer sk_test_mlcsandbox"}
    for name in ("expand[]", "expand[0]"):
        answer = service.serve(Request("GET", f"/v1/invoices/{invoice}", ((name, "customer"),), said))
        assert json.loads(answer.body)["customer"]["id"] == customer


def test_pages():
    """Lists are newest first, ten at a time, and cursors meet every object exactly once in both directions."""
    service, call = world()
    names = []
    for _ in range(25):
        names.append(service.account.add_customer("A"))
        service.clock.advance(1)
    first = call.get("customers")
    assert [one["id"] for one in first["data"]] == names[:-11:-1]
    assert first["has_more"] is True
    assert first["url"] == "/v1/customers"
    older = call.get("customers", {"limit": 100, "starting_after": names[15]})
    assert [one["id"] for one in older["data"]] == names[14::-1]
    assert older["has_more"] is False
    newer = call.get("customers", {"limit": 4, "ending_before": names[15]})
    assert [one["id"] for one in newer["data"]] == names[19:15:-1]
    assert newer["has_more"] is True


def test_page_limits_and_cursors():
    """A page has 1 to 100 objects, one cursor, and that must exist."""
    service, call = world()
    customer = service.account.add_customer("A")
    for params in (
        {"limit": 0},
        {"limit": 101},
        {"limit": "x"},
        {"starting_after": "cus_missing"},
        {"starting_after": customer, "ending_before": customer},
        {"metadata": {"a": "b"}},
    ):
        call.refused("customers", params, method="GET")


def test_created_ranges():
    """`created` takes a second or a range with open and closed ends."""
    service, call = world()
    for _ in range(5):
        service.account.add_customer("A")
        service.clock.advance(10)

    def count(created) -> int:
        return len(call.get("customers", {"created": created})["data"])

    assert count(START) == 1
    assert count({"gte": START + 10}) == 4
    assert count({"gt": START + 10}) == 3
    assert count({"gte": START + 10, "lt": START + 30}) == 2
    assert count({"lte": START + 30}) == 4
    call.refused("customers", {"created": {"after": 5}}, method="GET")


def test_order_within_a_second():
    """Under the switch a new object may stand on the older side of one that was created in the same second."""
    service, _ = world(StripeSwitches(equal_created="any"))
    made = [service.account.add_customer("A") for _ in range(20)]
    listed = [key[2] for key in service.account.tables["customer"].order]
    assert sorted(made) == sorted(listed)
    assert made != listed


def test_customers_are_found_by_mail_but_not_by_metadata():
    """The list of customers filters on the exact address."""
    service, call = world()
    wanted = service.account.add_customer("A", "a@example.com")
    service.account.add_customer("B", "b@example.com")
    assert [one["id"] for one in call.get("customers", {"email": "a@example.com"})["data"]] == [wanted]
    assert call.get("customers", {"email": "A@example.com"})["data"] == []


def test_expansion():
    """Ids become objects up to four levels deep; deeper, unknown or list-wise wrong paths are refused."""
    service, call = world()
    customer = service.account.add_customer("A")
    invoice = service.account.add_invoice(customer, 11900)
    intent = service.account.pay(invoice)
    body = call.get(
        f"invoices/{invoice}", {"expand": ["payments.data.payment.payment_intent", "customer", "amount_paid_off_stripe"]}
    )
    assert body["payments"]["data"][0]["payment"]["payment_intent"]["id"] == intent
    assert (body["customer"]["name"], body["amount_paid_off_stripe"]) == ("A", 0)
    plain = call.get(f"invoices/{invoice}")
    assert plain["customer"] == customer
    assert not {"payments", "amount_paid_off_stripe"} & set(plain)
    found = call.get(
        "invoice_payments",
        {"invoice": invoice, "expand": ["data.payment.payment_intent.latest_charge", "data.invoice", "data.invoice.customer"]},
    )["data"][0]
    assert found["payment"]["payment_intent"]["latest_charge"]["amount"] == 11900
    assert found["invoice"]["customer"]["id"] == customer
    entry = call.get(f"payment_intents/{intent}", {"expand": ["latest_charge.balance_transaction"]})["latest_charge"]
    assert entry["balance_transaction"]["fee"] == 203
    sources = call.get("balance_transactions", {"expand": ["data.source.payment_intent"]})["data"]
    assert sources[0]["source"]["payment_intent"]["id"] == intent
    for path, wrong in (
        ("invoices", "data.payments.data.payment.payment_intent"),
        ("invoices", "customer"),
        ("invoices", "data.charge"),
        (f"invoices/{invoice}", "payment_intent"),
        (f"invoices/{invoice}", "payments.payment"),
        (f"charges/{entry['id']}", "invoice"),
    ):
        call.refused(path, {"expand": [wrong]}, method="GET")


def test_expansion_of_writes_can_be_ignored():
    """Under the switch answers to writes come unexpanded."""
    for honoured in (True, False):
        service, call = world(StripeSwitches(expand_on_write=honoured))
        customer = service.account.add_customer("A")
        params = {"customer": customer, "collection_method": "send_invoice", "days_until_due": 3, "expand": ["customer"]}
        assert isinstance(call.post("invoices", params)["customer"], dict) is honoured


def test_search_lags():
    """The search sees an object only after a while, and not at all where an account has none."""
    service, call = world(StripeSwitches(search_lag=60))
    customer = service.account.add_customer("A", metadata={"sap_card_code": "C1"})
    query = {"query": "metadata['sap_card_code']:'C1' AND name:'A'"}
    assert call.get("customers/search", query)["data"] == []
    service.clock.advance(61)
    assert [one["id"] for one in call.get("customers/search", query)["data"]] == [customer]
    call.refused("customers/search", {"query": "colour:'red'"}, method="GET")
    call.refused("customers/search", method="GET")
    _, without = world(StripeSwitches(search=False))
    without.refused("customers/search", query, method="GET")
