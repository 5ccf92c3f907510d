"""Idempotency keys of the simulated Stripe: replayed, refused, under way, forgotten."""

from __future__ import annotations

import pytest
from test_stripe_world import DAY, world

from mlc.sandbox.kit import ConnectionLost, Fault, Storm
from mlc.sandbox.stripe import StripeSwitches

NAME = {"name": "A"}


def test_replay_is_the_first_answer():
    """The same key and parameters give the first answer again, marked, and nothing is done twice."""
    service, call = world()
    first = call.send("POST", "/v1/customers", NAME, idem="k")
    again = call.send("POST", "/v1/customers", NAME, idem="k")
    assert (again.status, again.body) == (first.status, first.body)
    assert "Idempotent-Replayed" not in dict(first.headers)
    assert dict(again.headers)["Idempotent-Replayed"] == "true"
    assert dict(again.headers)["Original-Request"] == dict(first.headers)["Request-Id"]
    assert len(service.account.all("customer")) == 1


def test_replayed_header_can_be_missing():
    """Under the switch a replay is not marked."""
    _, call = world(StripeSwitches(replayed_header=False))
    call.send("POST", "/v1/customers", NAME, idem="k")
    assert "Idempotent-Replayed" not in dict(call.send("POST", "/v1/customers", NAME, idem="k").headers)


def test_other_parameters_are_refused():
    """The same key with other parameters, or on another path, is an idempotency error and does nothing."""
    service, call = world()
    call.post("customers", NAME, idem="k")
    assert call.refused("customers", {"name": "B"}, idem="k")["type"] == "idempotency_error"
    assert call.refused("invoices", NAME, idem="k")["type"] == "idempotency_error"
    assert len(service.account.all("customer")) == 1
    assert call.send("POST", "/v1/customers", NAME, idem="k").status == 200


def test_keys_are_forgotten_after_a_day():
    """After 24 hours of the service's clock the same key is a new request."""
    service, call = world()
    first = call.post("customers", NAME, idem="k")
    service.clock.advance(DAY - 1)
    assert call.post("customers", NAME, idem="k")["id"] == first["id"]
    service.clock.advance(1)
    assert call.post("customers", NAME, idem="k")["id"] != first["id"]
    assert call.post("customers", NAME, idem="k")["id"] != first["id"]
    assert len(service.account.all("customer")) == 2


def test_refusals_are_kept_once_execution_began():
    """A refusal by the account's state is replayed even after the cause is gone; one by its parameters is not kept."""
    service, call = world()
    customer = service.account.add_customer("A")
    invoice = service.account.add_invoice(customer, 5000)
    error = call.refused(f"invoices/{invoice}/add_lines", {"lines": [{"amount": 5}]}, idem="k")
    assert call.refused(f"invoices/{invoice}/add_lines", {"lines": [{"amount": 5}]}, idem="k") == error
    assert dict(call.last.headers)["Idempotent-Replayed"] == "true"
    call.refused("customers", {"colour": "red"}, idem="other")
    assert call.send("POST", "/v1/customers", NAME, idem="other").status == 200


def test_keys_have_no_effect_on_reads_and_a_length():
    """GET and DELETE ignore keys; a key has at most 255 characters."""
    service, call = world()
    customer = service.account.add_customer("A")
    call.get(f"customers/{customer}", idem="k")
    call("DELETE", f"/v1/customers/{customer}", idem="k")
    call.post("customers", NAME, idem="k")
    call.refused("customers", NAME, idem="k" * 256)
    call.post("customers", NAME, idem="k" * 255)


def test_a_key_under_way_is_409():
    """While a late request holds its key, the same key is 409, which is not kept; then its answer is replayed."""
    service, call = world()
    service.faults.append(Fault("late", delay=5))
    with pytest.raises(ConnectionLost):
        call.send("POST", "/v1/customers", NAME, idem="k")
    error = call.refused("customers", NAME, idem="k", status=409)
    assert error["code"] == "idempotency_key_in_use"
    assert not service.account.all("customer")
    service.clock.advance(5)
    answer = call.send("POST", "/v1/customers", NAME, idem="k")
    assert (answer.status, dict(answer.headers)["Idempotent-Replayed"]) == (200, "true")
    assert len(service.account.all("customer")) == 1


def test_late_requests_without_key_or_with_a_known_one():
    """A late request without key is done when its time comes; one with a known key is a late replay."""
    service, call = world()
    call.post("customers", NAME, idem="k")
    service.faults += [Fault("late", delay=5), Fault("late", delay=5)]
    for idem in (None, "k"):
        with pytest.raises(ConnectionLost):
            call.send("POST", "/v1/customers", NAME, idem=idem)
    assert call.send("POST", "/v1/customers", NAME, idem="k").status == 200
    service.clock.advance(5)
    service.settle()
    assert len(service.account.all("customer")) == 2


@pytest.mark.parametrize(("kind", "done"), [("saved_500", 0), ("saved_500_done", 1)])
def test_saved_500(kind, done):
    """A 500 is replayed for its key whether or not the work was done; a new key acts anew."""
    service, call = world()
    service.faults.append(Fault(kind))
    for _ in range(3):
        assert call.refused("customers", NAME, idem="k", status=500)["type"] == "api_error"
        assert len(service.account.all("customer")) == done
    service.clock.advance(DAY)
    call.post("customers", NAME, idem="k")
    assert len(service.account.all("customer")) == done + 1


def test_saved_500_leaves_known_keys_and_bad_requests_alone():
    """The fault does not overwrite an answer that is already kept, nor keep what is refused at the door."""
    service, call = world()
    first = call.post("customers", NAME, idem="k")
    service.faults += [Fault("saved_500_done"), Fault("saved_500")]
    assert call.post("customers", NAME, idem="k") == first
    call.refused("customers", {"colour": "red"}, idem="other")
    call.post("customers", NAME, idem="other")


def test_lost_answers_are_replayed():
    """An answer that was lost after the work is given again under its key."""
    service, call = world()
    service.faults.append(Fault("lost"))
    with pytest.raises(ConnectionLost):
        call.send("POST", "/v1/customers", NAME, idem="k")
    call.post("customers", NAME, idem="k")
    assert len(service.account.all("customer")) == 1


def test_storms_do_each_wish_at_most_once():
    """However often a wish is repeated under its key through a storm, it is done once."""
    service, call = world()
    rates = {"lost": 0.2, "late": 0.2, "never": 0.1, "html": 0.05, "lost_html": 0.05, "rate_limit": 0.05, "lock_timeout": 0.05}
    service.storm = Storm(7, rates, delay=3)
    for wish in range(40):
        for _ in range(30):
            service.clock.advance(1)
            try:
                if call.send("POST", "/v1/customers", {"name": f"C{wish}"}, idem=f"k{wish}").status == 200:
                    break
            except ConnectionLost:
                continue
    names = [one["name"] for one in service.account.all("customer")]
    assert sorted(names) == sorted(f"C{wish}" for wish in range(40))
