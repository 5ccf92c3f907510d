"""The API over HTTP: the door, lists and cursors, writes and their refusals, idempotency, scenarios, faults."""

from __future__ import annotations

import json
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from test_gocardless_world import DAY, START, call, euro, got, world

from mlc.sandbox.gocardless import GoCardlessService
from mlc.sandbox.kit import Fault, Response


def refused(answer: Response, status: int, kind: str, reason: str | None = None) -> dict[str, Any]:
    """The error of a refusal, after its status, its type and its reason."""
    assert answer.status == status, answer.body
    error: dict[str, Any] = json.loads(answer.body)["error"]
    assert (error["code"], error["type"]) == (status, kind)
    assert {"message", "documentation_url"} <= set(error)
    if reason:
        assert error["errors"][0]["reason"] == reason
    return error


def fields(error: dict[str, Any]) -> set[str]:
    """The pointers of a validation error."""
    return {one["request_pointer"] for one in error["errors"]}


def payment(mandate: str, **more: Any) -> dict[str, Any]:
    """The body of a payment's creation."""
    return {"payments": {"amount": 1000, "currency": "GBP", "links": {"mandate": mandate}, **more}}


def test_the_door():
    """Without token, version or permission nothing is answered, and each refusal has its code."""
    service, _, mandate = world(forbidden=("refunds",))
    usage = "invalid_api_usage"
    refused(call(service, "GET", "/payments", authorization=""), 401, usage, "unauthorized")
    refused(call(service, "GET", "/payments", authorization="Bearer wrong"), 401, usage, "unauthorized")
    refused(call(service, "GET", "/payments", gocardless_version=""), 400, usage, "missing_version_header")
    refused(call(service, "GET", "/payments", gocardless_version="2014-01-01"), 400, usage, "version_not_found")
    refused(call(service, "GET", "/refunds"), 403, usage, "insufficient_permissions")
    for path in ("/payments/PM0", "/payments/CR0001", "/nothing", "/payments/a/b", "/balances/x"):
        refused(call(service, "GET", path), 404, usage)
    refused(call(service, "DELETE", "/payments/PM0"), 404, usage)
    refused(call(service, "POST", "/payouts", {"payouts": {}}), 404, usage)
    refused(call(service, "POST", f"/mandates/{mandate}/actions/dance"), 404, usage)
    refused(call(service, "POST", "/payments", b"[]"), 400, usage, "invalid_document_structure")
    refused(call(service, "POST", "/payments", b"{"), 400, usage, "invalid_document_structure")
    refused(call(service, "POST", "/payments", {"other": {}}), 400, usage, "invalid_document_structure")
    refused(call(service, "POST", "/payments", b"{}", content_type="text/plain"), 415, usage)


def test_a_read_only_token_reads():
    """A token without the right to write gets 403 for every write."""
    service, made, mandate = world(read_only=True)
    assert got(service, f"/mandates/{mandate}")["mandates"]["status"] == "active"
    refused(call(service, "PUT", f"/mandates/{mandate}", {"mandates": {}}), 403, "invalid_api_usage")
    assert not made.all("payments")


def test_rate_limits():
    """Every answer tells what is left of the minute; beyond it 429 comes without request id, and the next minute is free."""
    service, _, _ = world(rate_limit=2, rate_limited=True)
    answer = call(service, "GET", "/payments")
    assert dict(answer.headers)["RateLimit-Remaining"] == "1"
    call(service, "GET", "/payments")
    answer = call(service, "GET", "/payments")
    assert "request_id" not in refused(answer, 429, "invalid_api_usage", "rate_limit_exceeded")
    headers = dict(answer.headers)
    reset = parsedate_to_datetime(headers["RateLimit-Reset"]).timestamp()
    assert (headers["RateLimit-Limit"], headers["RateLimit-Remaining"]) == ("2", "0")
    assert START < reset <= START + 60
    service.clock.advance(reset - START)
    assert call(service, "GET", "/payments").status == 200


def test_faults_of_its_own():
    """A prepared 429 and a JSON 500 without errors[] do nothing else."""
    service, made, mandate = world()
    service.faults += [Fault("rate_limit", "POST"), Fault("internal", "POST")]
    refused(call(service, "POST", "/payments", payment(mandate)), 429, "invalid_api_usage")
    error = refused(call(service, "POST", "/payments", payment(mandate)), 500, "gocardless")
    assert "errors" not in error
    assert error["request_id"]
    assert not made.all("payments")


def test_five_hundred_and_one_payments():
    """Pages are newest first, of 50 unless asked otherwise; after is null on the last; before leads back."""
    service, made, mandate = world()
    idents = [made.add_payment(mandate, 100 + number) for number in range(501)][::-1]
    page = got(service, "/payments")
    assert [one["id"] for one in page["payments"]] == idents[:50]
    assert page["meta"] == {"cursors": {"before": None, "after": idents[49]}, "limit": 50}
    page = got(service, "/payments?limit=500")
    assert [one["id"] for one in page["payments"]] == idents[:500]
    page = got(service, f"/payments?limit=500&after={page['meta']['cursors']['after']}")
    assert [one["id"] for one in page["payments"]] == idents[500:]
    assert page["meta"]["cursors"] == {"before": idents[500], "after": None}
    page = got(service, f"/payments?limit=100&before={idents[500]}")
    assert [one["id"] for one in page["payments"]] == idents[400:500]
    for wrong in ("limit=501", "limit=0", "limit=x", "after=PM0", f"after={idents[0]}&before={idents[1]}"):
        refused(call(service, "GET", f"/payments?{wrong}"), 400, "invalid_api_usage")


def test_items_of_a_large_payout():
    """The items of a payout come in pages too, each once, though they have no ids."""
    service, made, mandate = world()
    payout = made.pay(*(made.collect(mandate, 1000) for _ in range(260)))
    rows, after = [], ""
    for size in (50, 200, 500):
        page = got(service, f"/payout_items?payout={payout}&limit={size}{after}")
        rows += page["payout_items"]
        after = f"&after={page['meta']['cursors']['after']}"
    assert page["meta"]["cursors"]["after"] is None
    assert rows == made.items(payout)
    back = got(service, f"/payout_items?payout={payout}&limit=10&before={page['meta']['cursors']['before']}")
    assert back["payout_items"] == rows[240:250]
    refused(call(service, "GET", f"/payout_items?payout={payout}&after=x"), 400, "invalid_api_usage")


@pytest.mark.parametrize("reason", ["payout_items_unavailable", None])
def test_items_older_than_six_months_are_gone(reason):
    """Items are there for six months to the day; then 410, with or without a reason."""
    service, made, mandate = world(gone_reason=reason)
    payout = made.pay(made.collect(mandate, 1000))
    service.clock.advance(180 * DAY)
    assert got(service, f"/payout_items?payout={payout}")["payout_items"]
    service.clock.advance(4 * DAY)
    error = refused(call(service, "GET", f"/payout_items?payout={payout}"), 410, "invalid_api_usage", reason)
    assert ("errors" in error) is (reason is not None)
    refused(call(service, "GET", "/payout_items"), 422, "validation_failed")
    refused(call(service, "GET", "/payout_items?payout=PO0"), 404, "invalid_api_usage")


def test_filters():
    """Lists are cut by their filters; those that do not exist, or exclude each other, are refused."""
    service, made, mandate = world()
    first = made.collect(mandate, 1000)
    service.clock.advance(DAY)
    second = made.add_payment(mandate, 2000, charge_date="2027-01-01")
    payout = made.make_payout("GBP")
    customer = made.read(mandate)["links"]["customer"]
    edge = made.read(second)["created_at"]

    def found(query: str) -> list[str]:
        kind = query.split("?", maxsplit=1)[0]
        return [one["id"] for one in got(service, f"/{query}")[kind]]

    assert found(f"payments?created_at[gte]={edge}") == [second]
    assert found(f"payments?created_at[lt]={edge}") == [first]
    assert found("payments?charge_date[gt]=2026-12-31") == [second]
    assert found("payments?status=paid_out") == [first]
    assert found(f"payments?customer={customer}&currency=GBP") == [second, first]
    assert found("payments?creditor=CR0001&scheme=sepa_core") == []
    assert found("payouts?status=pending&currency=GBP&payout_type=merchant") == [payout]
    call(service, "PUT", f"/payouts/{payout}", {"payouts": {"metadata": {"k": "v"}}})
    assert found("payouts?metadata[k]=v") == [payout]
    assert found("payouts?metadata[k]=w") == []
    assert found(f"mandates?customer={customer}&status=active,cancelled") == [mandate]
    wrong = ("payout=PO1", "customer=a&creditor=b", "created_at[gt]=soon", "created_at[gt]=2026-01-01", "created_at[x]=1")
    for query in wrong:
        refused(call(service, "GET", f"/payments?{query}"), 422, "validation_failed")


def test_refunds_against_mandates_are_asked_for():
    """The list of refunds shows those of payments unless those of mandates are asked for."""
    service, made, mandate = world()
    paid = made.collect(mandate, 5000)
    made.pay(paid)
    links = {"payment": paid}
    body = {"refunds": {"amount": 100, "total_amount_confirmation": 100, "links": links}}
    of_payment = json.loads(call(service, "POST", "/refunds", body).body)["refunds"]["id"]
    body = {"refunds": {"amount": 50, "links": {"mandate": mandate}}}
    of_mandate = json.loads(call(service, "POST", "/refunds", body).body)["refunds"]["id"]
    assert [one["id"] for one in got(service, "/refunds")["refunds"]] == [of_payment]
    assert [one["id"] for one in got(service, "/refunds?refund_type=mandate")["refunds"]] == [of_mandate]
    refused(call(service, "GET", "/refunds?refund_type=all"), 422, "validation_failed")
    made.pay(made.collect(mandate, 9000))
    made.refund_settled(made.add_refund(paid, 10))
    made.check()


def test_refunds_that_are_refused():
    """A refund needs a paid out payment, what is left of it, and the right confirmation, and there are five at most."""
    service, made, mandate = world()
    paid, waiting = made.collect(mandate, 5000), made.add_payment(mandate, 100)
    made.pay(paid)

    def ask(amount: int, total: int | None, on: str = paid) -> Response:
        given = {"amount": amount, "links": {"payment": on}} | ({} if total is None else {"total_amount_confirmation": total})
        return call(service, "POST", "/refunds", {"refunds": given})

    assert fields(refused(ask(1, None), 422, "validation_failed")) == {"/refunds/total_amount_confirmation"}
    refused(ask(1, 1, waiting), 422, "invalid_state", "refund_payment_invalid_state")
    refused(ask(1, 2), 422, "invalid_state", "total_amount_confirmation_invalid")
    refused(ask(5001, 5001), 422, "invalid_state", "available_refund_amount_insufficient")
    refused(call(service, "POST", "/refunds", {"refunds": {"amount": 1}}), 422, "validation_failed")
    for number in range(1, 6):
        assert ask(1, number).status == 201
    refused(ask(1, 6), 422, "invalid_state", "number_of_refunds_exceeded")
    assert made.read(paid)["amount_refunded"] == 5


def test_events_and_what_they_bring():
    """Events are found by resource or by kind, with what they are about linked; the combinations GoCardless refuses are."""
    service, made, mandate = world()
    idents = [made.collect(mandate, 1000, metadata={"inv": str(number)}) for number in range(3)]
    payout = made.pay(*idents)
    page = got(service, "/events?resource_type=payments&action=paid_out&include=payment&limit=500")
    assert [one["links"]["payment"] for one in page["events"]] == idents[::-1]
    assert {one["id"] for one in page["linked"]["payments"]} == set(idents)
    assert page["events"][0]["resource_metadata"] == {"inv": "2"}
    assert page["events"][0]["links"]["payout"] == payout
    assert len(got(service, f"/events?payout={payout}")["events"]) == 4
    event = page["events"][0]["id"]
    assert got(service, f"/events/{event}")["events"]["id"] == event
    for query in ("include=payment", f"resource_type=payments&payment={idents[0]}", "resource_type=payments&include=x"):
        refused(call(service, "GET", f"/events?{query}"), 422, "validation_failed")
    refused(call(service, "GET", "/events?payment=a&payout=b"), 422, "validation_failed")
    made.cancel_mandate(mandate)
    assert got(service, f"/events?parent_event={event}")["events"] == []


def test_events_come_late_and_are_archived():
    """A late event appears under its old time; after 18 months it is gone, where the switch says so; linking can be off."""
    service, _, _ = world(events_late=60, events_linked=False)
    assert got(service, "/events")["events"] == []
    service.clock.advance(60)
    events = got(service, "/events?resource_type=mandates&include=mandate")
    assert events["events"][0]["created_at"].startswith("2026-09-21")
    assert events["linked"] == {"mandates": []}
    service.clock.advance(560 * DAY)
    assert got(service, "/events")["events"] == []
    refused(call(service, "GET", f"/events/{events['events'][0]['id']}"), 404, "invalid_api_usage")
    kept, _, _ = world(events_archived=False)
    kept.clock.advance(560 * DAY)
    assert got(kept, "/events")["events"]


def test_idempotency():
    """A key used again is a conflict that names what was made, until it is forgotten; keys of refused writes are free."""
    service, made, mandate = world()
    assert call(service, "POST", "/payments", payment(mandate, amount=0), idempotency_key="k").status == 422
    first = call(service, "POST", "/payments", payment(mandate), idempotency_key="k")
    assert first.status == 201
    error = refused(
        call(service, "POST", "/payments", payment(mandate), idempotency_key="k"),
        409,
        "invalid_state",
        "idempotent_creation_conflict",
    )
    made_id = error["errors"][0]["links"]["conflicting_resource_id"]
    assert made_id == json.loads(first.body)["payments"]["id"]
    assert len(made.all("payments")) == 1
    service.clock.advance(DAY)
    assert call(service, "POST", "/payments", payment(mandate), idempotency_key="k").status == 201
    forever, _, mandate = world(key_lifetime=None)
    call(forever, "POST", "/payments", payment(mandate), idempotency_key="k")
    forever.clock.advance(400 * DAY)
    assert call(forever, "POST", "/payments", payment(mandate), idempotency_key="k").status == 409


def test_payments_that_are_refused():
    """Wrong fields are all named at once; a wrong currency, an endless reference, a fee beyond the amount are refused."""
    service, made, mandate = world()
    body = {"payments": {"amount": "x", "currency": "XXX", "metadata": {"a": 1, "b": "", "c": "", "d": ""}, "colour": "red"}}
    error = refused(call(service, "POST", "/payments", body), 422, "validation_failed")
    assert fields(error) == {
        *("/payments/amount", "/payments/currency", "/payments/metadata", "/payments/metadata/a"),
        *("/payments/links/mandate", "/payments/colour"),
    }
    wrong: list[dict[str, Any]] = [
        *({"currency": "EUR"}, {"reference": "12345678901"}, {"app_fee": 1001}, {"charge_date": "soon"}, {"amount": True}),
        *({"charge_date": "2026-01-01"}, {"metadata": {"k" * 51: "v" * 501}}, {"metadata": []}, {"retry_if_possible": "yes"}),
        *({"description": 1}, {"description": "d" * 501}, {"links": {"mandate": 1}}),
    ]
    for more in wrong:
        refused(call(service, "POST", "/payments", {"payments": payment(mandate)["payments"] | more}), 422, "validation_failed")
    refused(call(service, "POST", "/payments", payment("MD0")), 404, "invalid_api_usage")
    made.cancel_mandate(mandate)
    refused(call(service, "POST", "/payments", payment(mandate)), 422, "invalid_state", "mandate_is_inactive")


def test_customers_accounts_and_mandates_over_http():
    """A customer, an account and a mandate are made one on the other; the same account twice is refused with its id."""
    service, made, _ = world()

    def create(kind: str, **fields: Any) -> Response:
        return call(service, "POST", f"/{kind}", {kind: fields})

    refused(create("customers", email="a@example.com"), 422, "validation_failed")
    customer = json.loads(create("customers", company_name="B", metadata={"sap": "C1"}).body)["customers"]
    links = {"customer": customer["id"]}
    refused(create("customer_bank_accounts", account_holder_name="B", links=links), 422, "validation_failed")
    given = {"account_holder_name": "B", "account_number": "55779911", "branch_code": "200000", "links": links}
    account = json.loads(create("customer_bank_accounts", **given).body)["customer_bank_accounts"]
    assert account["account_number_ending"] == "9911"
    assert "55779911" not in json.dumps(account)
    error = refused(create("customer_bank_accounts", **given), 409, "validation_failed", "bank_account_exists")
    assert error["errors"][0]["links"] == {"customer_bank_account": account["id"]}
    links = {"customer_bank_account": account["id"]}
    refused(create("mandates", scheme="sepa_core", links=links), 422, "validation_failed")
    mandate = json.loads(create("mandates", scheme="bacs", links=links).body)["mandates"]
    assert (mandate["status"], mandate["links"]["customer"]) == ("pending_submission", customer["id"])
    assert call(service, "POST", f"/customer_bank_accounts/{account['id']}/actions/disable").status == 200
    assert made.read(mandate["id"])["status"] == "cancelled"
    path = f"/customer_bank_accounts/{account['id']}/actions/disable"
    refused(call(service, "POST", path), 422, "invalid_state", "bank_account_disabled")
    refused(create("mandates", links=links), 422, "validation_failed")


@pytest.mark.parametrize("merges", [True, False])
def test_updates(merges):
    """PUT takes metadata and nothing else, but of a customer everything; it replaces or adds as the switch says."""
    service, made, mandate = world(metadata_merges=merges)
    paid = made.collect(mandate, 1000, metadata={"a": "1"})
    assert call(service, "PUT", f"/payments/{paid}", {"payments": {"metadata": {"b": "2"}}}).status == 200
    assert made.read(paid)["metadata"] == ({"a": "1", "b": "2"} if merges else {"b": "2"})
    refused(call(service, "PUT", f"/payments/{paid}", {"payments": {"amount": 1}}), 422, "validation_failed")
    refused(call(service, "PUT", "/events/EV1", {"events": {}}), 404, "invalid_api_usage")
    more = call(service, "PUT", f"/payments/{paid}", {"payments": {"metadata": {"c": "", "d": ""}}})
    assert more.status == (422 if merges else 200)
    customer = made.read(mandate)["links"]["customer"]
    call(service, "PUT", f"/customers/{customer}", {"customers": {"company_name": "New Ltd"}})
    assert made.read(customer)["company_name"] == "New Ltd"


def test_actions():
    """Cancel and retry move a payment, with the metadata sent standing on the event; what the state forbids is refused."""
    service, made, mandate = world()
    one, two = made.add_payment(mandate, 100), made.payment_failed(made.add_payment(mandate, 100))
    assert call(service, "POST", f"/payments/{one}/actions/cancel", {"data": {"metadata": {"why": "typo"}}}).status == 200
    assert made.events("payments/cancelled")[-1]["metadata"] == {"why": "typo"}
    refused(call(service, "POST", f"/payments/{one}/actions/cancel"), 422, "invalid_state", "cancellation_failed")
    assert (
        json.loads(call(service, "POST", f"/payments/{two}/actions/retry").body)["payments"]["status"] == "pending_submission"
    )
    refused(call(service, "POST", f"/payments/{two}/actions/retry"), 422, "invalid_state", "retry_failed")
    assert call(service, "POST", f"/mandates/{mandate}/actions/cancel", {}).status == 200
    assert call(service, "POST", f"/mandates/{mandate}/actions/reinstate").status == 200
    refused(call(service, "POST", f"/mandates/{mandate}/actions/reinstate"), 422, "invalid_state")


def scenario(service: GoCardlessService, name: str, ident: object) -> Response:
    """Ask for a scenario."""
    return call(service, "POST", f"/scenario_simulators/{name}/actions/run", {"data": {"links": {"resource": ident}}})


@pytest.mark.parametrize(
    ("name", "status", "event"),
    [
        ("payment_submitted", "submitted", "payments/submitted"),
        ("payment_confirmed", "confirmed", "payments/confirmed"),
        ("payment_paid_out", "paid_out", "payments/paid_out"),
        ("payment_failed", "failed", "payments/failed"),
        ("payment_charged_back", "charged_back", "payments/charged_back"),
        ("payment_late_failure", "failed", "payments/failed"),
        ("payment_late_failure_settled", "failed", "payments/late_failure_settled"),
    ],
)
def test_payment_scenarios(name, status, event):
    """Each scenario takes a payment from pending_submission to its end, with the events on the way."""
    service, made, mandate = world(scenario_strict=True)
    made.collect(mandate, 90000)
    ident = made.add_payment(mandate, 1000)
    answer = scenario(service, name, ident)
    assert json.loads(answer.body) == {"scenario_simulators": {"id": name}}
    refused(scenario(service, "payment_submitted", ident), 422, "invalid_state", "invalid_state_for_scenario")
    assert made.read(ident)["status"] == status
    assert event in [f"{one['resource_type']}/{one['action']}" for one in made.events()]
    made.check()


def test_a_chargeback_is_settled_once_there_is_money():
    """Without money to take it from, a charged back payment waits for its settlement; asked again with money, it settles."""
    service, made, mandate = world()
    ident = made.add_payment(mandate, 1000)
    assert scenario(service, "payment_chargeback_settled", ident).status == 200
    assert made.read(ident)["status"] == "charged_back"
    assert not made.events("payments/chargeback_settled")
    made.collect(mandate, 50000)
    assert scenario(service, "payment_chargeback_settled", ident).status == 200
    assert [one["links"]["payment"] for one in made.events("payments/chargeback_settled")] == [ident]
    made.check()


def test_other_scenarios():
    """Mandates, refunds and payouts have scenarios of their own; unknown names and ids are not found."""
    service, made, mandate = world()
    paid = made.collect(mandate, 90000)
    payout = made.pay(paid)
    new = made.add_mandate(made.add_customer("C"), active=False)
    refunds = [made.add_refund(paid, 10) for _ in range(4)]
    made.collect(mandate, 5000)
    steps = [
        ("mandate_activated", new),
        ("payout_bounced", payout),
        ("refund_paid", refunds[0]),
        ("refund_settled", refunds[1]),
    ]
    for name, ident in [*steps, ("refund_bounced", refunds[2]), ("refund_returned", refunds[3])]:
        assert scenario(service, name, ident).status == 200
    assert [made.read(one)["status"] for one in refunds] == ["paid", "paid", "bounced", "funds_returned"]
    assert made.read(payout)["status"] == "bounced"
    refused(scenario(service, "refund_paid", refunds[3]), 422, "invalid_state")
    refused(scenario(service, "nothing", paid), 404, "invalid_api_usage")
    refused(scenario(service, "payment_failed", payout), 404, "invalid_api_usage")
    refused(scenario(service, "payment_failed", None), 422, "validation_failed")
    made.check()


def test_scenarios_are_played_later():
    """With a delay a scenario is answered at once and played when its time has come, if it still fits."""
    service, made, mandate = world(scenario_delay=90)
    one, two = made.add_payment(mandate, 100), made.add_payment(mandate, 100)
    for ident in (one, two):
        assert scenario(service, "payment_confirmed", ident).status == 200
    assert made.read(one)["status"] == "pending_submission"
    made.cancel_payment(two)
    service.clock.advance(90)
    got(service, "/payments")
    assert [made.read(ident)["status"] for ident in (one, two)] == ["confirmed", "cancelled"]


def test_verbs_over_http():
    """Everything the organisation can do is a verb under /sandbox/; mistakes are told, not raised."""
    service, made, mandate = world()

    def verb(name: str, **given: Any) -> Any:
        return json.loads(call(service, "POST", f"/sandbox/{name}", given, authorization="").body)

    paid = verb("collect", mandate=mandate, amount=1000, description="Invoice 1")
    assert paid["status"] == "confirmed"
    payout = verb("pay", payments=[paid["id"]])
    assert payout["status"] == "paid"
    assert len(verb("items", payout=payout["id"])["result"]) == 2
    assert verb("make_payout") == {"result": None}
    assert verb("check") == {"result": None}
    assert len(verb("events", names=["payments/paid_out"])["result"]) == 1
    assert verb("collect", colour="red")["error"]["type"] == "validation_failed"
    assert verb("_settle_all")["error"]["code"] == 404
    for raw in (b"{", b"[]"):
        refused(call(service, "POST", "/sandbox/check", raw), 400, "invalid_api_usage")
    made.tables["payouts"][payout["id"]]["amount"] += 1
    assert verb("check")["error"]["code"] == 500


def test_balances_and_tax_rates():
    """Balances tell where the money is, per currency; the tax rate is there to be read."""
    service, made, mandate = euro()
    made.collect(mandate, 1000)
    made.payment_submitted(made.add_payment(mandate, 500))
    found = got(service, "/balances?creditor=CR0001")["balances"]
    assert [(one["balance_type"], one["amount"]) for one in found] == [
        ("confirmed_funds", 964),
        ("pending_payments_submitted", 500),
        ("pending_payouts", 0),
    ]
    made.make_payout("EUR")
    assert got(service, "/balances?creditor=CR0001")["balances"][2]["amount"] == 964
    refused(call(service, "GET", "/balances"), 422, "validation_failed")
    assert got(service, "/tax_rates/GB_VAT_1")["tax_rates"]["percentage"] == "20.0"
    assert got(service, "/creditors/CR0001")["creditors"]["fx_payout_currency"] == "GBP"
