"""The simulated Stripe's door: keys, versions, parameters, limits, pages, expansion."""

from __future__ import annotations

import base64
import json

import pytest
from test_stripe_world import DAY, START, Caller, world

from mlc.sandbox.kit import Fault, Request
from mlc.sandbox.stripe import StripeSwitches


def test_wrong_and_missing_keys_are_401():
    """A key that is wrong, missing or mangled is refused, and the refusal does not show it."""
    service, _ = world()
    error = Caller(service, "sk_test_somebodyelse").refused("customers", status=401, method="GET")
    assert "somebody" not in error["message"]
    for header in ("", "Basic !!", "Token abc", "Basic " + base64.b64encode(b"other:").decode()):
        assert service.serve(Request("GET", "/v1/balance", (), {"authorization": header})).status == 401


def test_basic_and_bearer_are_both_accepted():
    """The key may come as the user of HTTP Basic or as Bearer token."""
    service, call = world()
    call.get("balance")
    basic = "Basic " + base64.b64encode(b"sk_test_mlcsandbox:").decode()
    assert service.serve(Request("GET", "/v1/balance", (), {"authorization": basic})).status == 200


def test_answers_carry_id_version_and_date():
    """Each answer names its request, the version and the service's time, refusals too."""
    _, call = world()
    for path, status in (("/v1/balance", 200), ("/v1/nothing", 404)):
        headers = dict(call.send("GET", path).headers)
        assert headers["Request-Id"].startswith("req_")
        assert headers["Stripe-Version"] == "2026-10-28.endive"
        assert headers["Date"].endswith("GMT")
        assert call.last.status == status


def test_version_header():
    """Another version is refused, a missing one only under the switch."""
    service, call = world()
    assert call.send("GET", "/v1/balance", stripe_version="2024-06-20").status == 400
    key = {"authorization": "Bearer sk_test_mlcsandbox"}
    assert service.serve(Request("GET", "/v1/balance", (), key)).status == 200
    strict, _ = world(StripeSwitches(require_version=True))
    assert strict.serve(Request("GET", "/v1/balance", (), key)).status == 400


def test_restricted_keys():
    """A restricted key works except for the resources it may not use."""
    service, _ = world(StripeSwitches(forbidden=frozenset({"payouts"})))
    call = Caller(service, "rk_test_mlcsandbox")
    call.get("balance")
    assert call.refused("payouts", status=403, method="GET")["code"] == "permission_denied"


def test_live_keys_make_live_objects():
    """With a live key every object says so."""
    service, call = world(secret_key="sk_live_mlcsandbox")
    customer = call.post("customers", {"name": "A"})
    assert customer["livemode"] is True
    assert service.account.events()[0]["livemode"] is True


@pytest.mark.parametrize(
    ("path", "params", "code", "param"),
    [
        ("customers", {"colour": "red"}, "parameter_unknown", "colour"),
        ("customers", {"address": {"street": "x"}}, "parameter_unknown", "address[street]"),
        ("customers", {"name": "x" * 257}, None, "name"),
        ("customers", {"phone": "1" * 21}, None, "phone"),
        ("customers", {"email": "not an address"}, "email_invalid", "email"),
        ("customers", {"email": "a" * 508 + "@b.de"}, None, "email"),
        ("customers", {"metadata": {"k" * 41: "v"}}, None, "metadata"),
        ("customers", {"metadata": {"k": "v" * 501}}, None, "metadata[k]"),
        ("customers", {"metadata": {str(n): "v" for n in range(51)}}, None, "metadata"),
        ("customers", {"tax_exempt": "maybe"}, None, "tax_exempt"),
        ("customers", {"balance": "1.5"}, "parameter_invalid_integer", "balance"),
        ("customers", {"expand": ["nonsense"]}, "parameter_invalid", "expand"),
        ("invoices", {}, "parameter_missing", "customer"),
        ("invoices", {"customer": ""}, "parameter_invalid_empty", "customer"),
        ("invoices", {"customer": "cus_x", "lines": [{"amount": 1}]}, "parameter_unknown", "lines"),
        ("invoices", {"customer": "cus_x", "number": "N" * 27}, None, "number"),
        ("invoices", {"customer": "cus_x", "description": "x" * 1501}, None, "description"),
        ("invoices", {"customer": "cus_x", "footer": "x" * 5001}, None, "footer"),
        ("invoices", {"customer": "cus_x", "statement_descriptor": "x" * 23}, None, "statement_descriptor"),
        ("invoices", {"customer": "cus_x", "auto_advance": "yes"}, None, "auto_advance"),
        ("invoices", {"customer": "cus_x", "currency": "xyz"}, None, "currency"),
        ("invoices", {"customer": "cus_x", "discounts": [{"coupon": "x"}]}, None, "discounts"),
        ("invoices", {"customer": "cus_x", "transfer_data": {"destination": "x"}}, None, "transfer_data"),
        (
            "invoices",
            {"customer": "cus_x", "custom_fields": [{"name": "n" * 41, "value": "v"}]},
            None,
            "custom_fields[0][name]",
        ),
        ("invoices", {"customer": "cus_x", "custom_fields": [{"name": "n", "value": "v"}] * 5}, None, "custom_fields"),
        ("invoices", {"customer": "cus_x", "custom_fields": [{"name": "n"}]}, "parameter_missing", "custom_fields[0][value]"),
        ("invoices/in_x/add_lines", {}, "parameter_missing", "lines"),
        ("invoices/in_x/add_lines", {"lines": "no list"}, None, "lines"),
        ("invoices/in_x/add_lines", {"lines": [{"price": "price_x"}]}, "parameter_unknown", "lines[0][price]"),
        ("invoices/in_x/add_lines", {"lines": [{"description": "x" * 5001}]}, None, "lines[0][description]"),
        ("invoices/in_x/add_lines", {"lines": [{"period": {"start": 1}}]}, "parameter_missing", "lines[0][period][end]"),
        ("credit_notes", {"amount": 5}, "parameter_missing", "invoice"),
        ("refunds", {"payment_intent": "pi_x", "amount": 0}, "parameter_invalid_integer", "amount"),
        ("payment_records/report_payment", {"initiated_at": 1}, "parameter_missing", "amount_requested"),
    ],
)
def test_parameters_are_checked(path, params, code, param):
    """What Stripe does not know, does not take or finds too long is refused with the parameter's full name."""
    _, call = world()
    error = call.refused(path, params)
    assert (error["type"], error.get("code"), error.get("param")) == ("invalid_request_error", code, param)


def test_bodies_must_be_forms():
    """JSON bodies, parameters of a POST in the URL and bodies of a GET are refused."""
    service, _ = world()
    key = {"authorization": "Bearer sk_test_mlcsandbox"}
    form = {**key, "content-type": "application/x-www-form-urlencoded"}
    wrong = [
        Request("POST", "/v1/customers", (), {**key, "content-type": "application/json"}, b'{"name": "A"}'),
        Request("POST", "/v1/customers", (("name", "A"),), form),
        Request("POST", "/v1/customers", (), form, b"name"),
        Request("POST", "/v1/customers", (), form, b"name[=A"),
        Request("POST", "/v1/customers", (), form, b"metadata[a[b]]=A"),
        Request("POST", "/v1/customers", (), form, b"address=x&address[city]=y"),
        Request("GET", "/v1/customers", (), key, b"limit=1"),
    ]
    assert [service.serve(one).status for one in wrong] == [400] * len(wrong)
    assert not service.account.all("customer")


def test_unknown_objects():
    """An unknown id is 404 in the path and 400 in a parameter; an unknown path is 404."""
    _, call = world()
    error = call.refused("invoices/in_missing", status=404, method="GET")
    assert (error["code"], error["param"]) == ("resource_missing", "id")
    error = call.refused("invoices", {"customer": "cus_missing", "collection_method": "send_invoice", "days_until_due": 3})
    assert (error["code"], error["param"]) == ("resource_missing", "customer")
    assert call.refused("invoices", {"customer": "cus_missing"}, method="GET")["param"] == "customer"
    assert "Unrecognized" in call.refused("invoices/in_x/explode", status=404)["message"]


def test_customer_life():
    """A customer is changed field by field, emptied with an empty text, deleted for good and then no longer usable."""
    _, call = world()
    customer = call.post(
        "customers", {"name": "A", "email": "a@b.de", "metadata": {"a": "1", "b": "2"}, "preferred_locales": ["de"]}
    )
    ident = customer["id"]
    assert len(ident) == 18
    changed = call.post(f"customers/{ident}", {"name": "", "metadata": {"a": "", "c": "3"}, "tax_exempt": "reverse"})
    assert (changed["name"], changed["email"], changed["tax_exempt"]) == (None, "a@b.de", "reverse")
    assert changed["metadata"] == {"b": "2", "c": "3"}
    assert call.post(f"customers/{ident}", {"metadata": ""})["metadata"] == {}
    assert call("DELETE", f"/v1/customers/{ident}") == {"id": ident, "object": "customer", "deleted": True}
    assert call.get(f"customers/{ident}")["deleted"] is True
    call.refused(f"customers/{ident}", {"name": "B"}, status=404)
    call.refused("invoices", {"customer": ident, "collection_method": "charge_automatically"})
    assert call.get("customers")["data"] == []


def test_rate_limits():
    """Beyond 25 requests of a second a test account answers 429 with the reason, and heals with the clock."""
    service, call = world(StripeSwitches(rate_limit=True, retry_after=2))
    answers = [call.send("GET", "/v1/balance") for _ in range(26)]
    assert [one.status for one in answers] == [200] * 25 + [429]
    headers = dict(answers[-1].headers)
    assert (headers["Stripe-Rate-Limited-Reason"], headers["Retry-After"]) == ("global-rate", "2")
    service.clock.advance(1)
    call.get("balance")
    live, fast = world(StripeSwitches(rate_limit=True), secret_key="sk_live_x")
    assert [fast.send("GET", "/v1/balance").status for _ in range(26)][-1] == 429
    assert dict(fast.last.headers)["Stripe-Rate-Limited-Reason"] == "endpoint-rate"
    assert live.account.livemode


def test_lock_timeouts():
    """A lock timeout is a 429 without reason and without Request-Id, by switch and by fault."""
    service, call = world(StripeSwitches(lock_timeout_every=2))
    customer = service.account.add_customer("A")
    assert call.send("POST", f"/v1/customers/{customer}", {"name": "B"}).status == 200
    answer = call.send("POST", f"/v1/customers/{customer}", {"name": "C"})
    for _ in range(2):
        assert answer.status == 429
        assert json.loads(answer.body)["error"]["code"] == "lock_timeout"
        assert not {"Request-Id", "Stripe-Rate-Limited-Reason"} & set(dict(answer.headers))
        service.faults.append(Fault("lock_timeout"))
        answer = call.send("GET", "/v1/balance")
    assert service.account.read(customer)["name"] == "B"


def test_should_retry_header():
    """Faults of their own answer with Stripe-Should-Retry and do nothing."""
    service, call = world()
    for kind, said in (("should_retry", "true"), ("should_not_retry", "false")):
        service.faults.append(Fault(kind, status=503))
        answer = call.send("POST", "/v1/customers", {"name": "A"}, idem="k")
        assert (answer.status, dict(answer.headers)["Stripe-Should-Retry"]) == (503, said)
    assert not service.account.all("customer")
    assert call.send("POST", "/v1/customers", {"name": "A"}, idem="k").status == 200


def test_rate_limit_fault_is_not_kept():
    """A 429 does nothing and is not kept under the key."""
    service, call = world()
    service.faults.append(Fault("rate_limit"))
    assert call.send("POST", "/v1/customers", {"name": "A"}, idem="k").status == 429
    assert call.send("POST", "/v1/customers", {"name": "A"}, idem="k").status == 200


def test_account_and_webhook_endpoints():
    """The account names itself; a webhook endpoint shows its secret only once."""
    _, call = world()
    assert call.get("account")["id"] == "acct_1Sandbox"
    made = call.post("webhook_endpoints", {"url": "https://a.example", "enabled_events": ["invoice.paid"]})
    assert made["secret"].startswith("whsec_")
    assert "secret" not in call.get(f"webhook_endpoints/{made['id']}")
    assert call("DELETE", f"/v1/webhook_endpoints/{made['id']}")["deleted"] is True


def test_scenarios_over_http():
    """Each verb can be called as JSON and answers the object it made; wrong verbs and arguments are refused."""
    service, _ = world()

    def play(verb: str, **body):
        answer = service.serve(Request("POST", f"/sandbox/{verb}", (), {}, json.dumps(body).encode()))
        return answer.status, json.loads(answer.body)

    _, customer = play("add_customer", name="A")
    _, invoice = play("add_invoice", customer_id=customer["id"], amount=11900)
    status, intent = play("pay", invoice_id=invoice["id"], amount=10000)
    assert (status, intent["status"]) == (200, "succeeded")
    assert play("pay", invoice_id=invoice["id"], amount=10000)[0] == 400
    assert play("pay", invoice="x")[0] == 400
    assert play("pay", invoice_id=invoice["id"], amount="10.00")[0] == 400
    assert play("all", kind="unicorn")[0] == 400
    assert [one["type"] for one in play("events", types=["invoice_payment.paid"])[1]["result"]] == ["invoice_payment.paid"]
    assert play("explode")[0] == 404
    assert play("balance")[1]["result"]["pending"] == {"eur": 9825}
    assert play("check") == (200, {"result": None})
    service.account.purse["eur"] += 1
    assert play("check")[0] == 500
    assert service.clock.now() < START + DAY
