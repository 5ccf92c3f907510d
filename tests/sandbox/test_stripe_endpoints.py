"""Webhook endpoints at the simulated Stripe: what is refused, when the secret is told, and the vendor's SDK against them."""

from __future__ import annotations

import pytest
from test_stripe_sdk import Loopback
from test_stripe_world import WIRE, Caller, needs_shapes, shapes, world

from mlc.sandbox.stripe import StripeService
from mlc.sandbox.stripe.event_names import EVENT_NAMES

GOOD = {"url": "https://a.example/stripe/acme", "enabled_events": ["invoice.paid"]}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"url": None}, "Missing required param: url"),
        ({"enabled_events": None}, "Missing required param: enabled_events"),
        ({"url": ""}, "empty string"),
        ({"url": "a.example/stripe"}, "An explicit scheme (such as https) must be provided"),
        ({"url": "ftp://a.example"}, "Invalid URL: ftp://a.example"),
        ({"url": "https://"}, "Invalid URL"),
        ({"enabled_events": ["invoice.payed"]}, "invoice.payed is none"),
        ({"enabled_events": ["invoice.*"]}, "invoice.* is none"),
        ({"api_version": "2026-10-29.endive"}, "Invalid API version"),
        ({"api_version": "newest"}, "Invalid API version"),
        ({"secret": "whsec_mine"}, "Received unknown parameter: secret"),
        ({"disabled": True}, "Received unknown parameter: disabled"),
        ({"connect": True}, "the simulator does not know what `connect` would do"),
    ],
)
def test_what_is_refused_when_an_endpoint_is_made(change, says):
    """Stripe refuses addresses, events, versions and parameters that it does not know."""
    _, call = world()
    given = {name: value for name, value in (GOOD | change).items() if value is not None}
    assert says in call.refused("webhook_endpoints", given)["message"]


def test_live_mode_wants_https():
    """In live mode an address without TLS is refused; in test mode one of this machine is good."""
    live = Caller(StripeService(world()[0].clock, secret_key="sk_live_x"), "sk_live_x")
    plain = {**GOOD, "url": "http://127.0.0.1:8377/stripe/acme"}
    assert 'must begin with "https://"' in live.refused("webhook_endpoints", plain)["message"]
    made = live.post("webhook_endpoints", GOOD)
    assert 'must begin with "https://"' in live.refused(f"webhook_endpoints/{made['id']}", {"url": plain["url"]})["message"]
    assert world()[1].post("webhook_endpoints", plain)["status"] == "enabled"


def test_the_secret_is_told_once_and_the_version_stays():
    """Only the answer to the creation has the secret; an update cannot change the version, and sixteen endpoints are the most."""
    _, call = world()
    made = call.post("webhook_endpoints", {**GOOD, "api_version": "2025-03-31.basil"})
    path = f"webhook_endpoints/{made['id']}"
    assert made["secret"].startswith("whsec_")
    changed = call.post(path, {"enabled_events": ["*"], "disabled": True, "metadata": {"a": "1"}, "description": "x"})
    assert (changed["status"], changed["enabled_events"], changed["api_version"]) == ("disabled", ["*"], "2025-03-31.basil")
    assert "secret" not in changed
    assert "secret" not in call.get(path)
    assert call.refused(path, {"api_version": "2025-03-31.basil"})["code"] == "parameter_unknown"
    for _ in range(15):
        call.post("webhook_endpoints", GOOD)
    assert call.refused("webhook_endpoints", GOOD)["message"] == "You have reached the maximum of 16 test webhook endpoints."
    assert len(call.get("webhook_endpoints", {"limit": 100})["data"]) == 16


def test_the_vendors_sdk_keeps_endpoints(monkeypatch):
    """The SDK makes, reads, changes, lists and deletes endpoints."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    loop = Loopback(world()[0])
    try:
        hooks = loop.client.v1.webhook_endpoints
        made = hooks.create({"url": "http://127.0.0.1:8377/stripe/acme", "enabled_events": ["invoice.paid", "payout.paid"]})
        assert made.secret.startswith("whsec_")
        assert hooks.retrieve(made.id).enabled_events == ["invoice.paid", "payout.paid"]
        assert hooks.update(made.id, {"disabled": True}).status == "disabled"
        assert [one.id for one in hooks.list().data] == [made.id]
        assert hooks.delete(made.id).deleted is True
    finally:
        loop.close()


@needs_shapes
def test_the_names_of_events_are_the_published_ones():
    """The events that an endpoint may ask for are those of the published list."""
    assert WIRE.exists()
    params = shapes()["requests"]["POST /v1/webhook_endpoints"]["schema"]["$defs"]["WebhookEndpointCreateParams"]
    assert set(params["properties"]["enabled_events"]["items"]["enum"]) == EVENT_NAMES | {"*"}
