"""Subscriptions of the simulated Stripe: shaped as published, listed, paused, let go on, ended with their customer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_stripe_world import world

FIXTURES = Path(__file__).parents[3] / "shared" / "wire" / "stripe" / "fixtures.json"


@pytest.mark.skipif(not FIXTURES.exists(), reason="the vendors' published shapes are not at hand")
def test_a_subscription_is_shaped_as_published():
    """A subscription has the fields of the published fixture, and those of its item but the legacy plan."""
    service, call = world()
    ident = service.account.add_subscription(service.account.add_customer("A"), 900)
    wanted, found = json.loads(FIXTURES.read_text())["resources"]["subscription"], call.get(f"subscriptions/{ident}")
    assert wanted.keys() == found.keys()
    assert wanted["items"]["data"][0].keys() - found["items"]["data"][0].keys() == {"plan"}
    assert wanted["items"]["data"][0]["price"].keys() == found["items"]["data"][0]["price"].keys()
    filled = {name for name, value in found.items() if value is not None and wanted[name] is not None}
    assert {name: type(found[name]) for name in filled} == {name: type(wanted[name]) for name in filled}


def test_collection_pauses_and_goes_on():
    """Pausing needs a behavior, an empty text ends it, each change is an event; lists leave out what has ended unless asked."""
    service, call = world()
    account = service.account
    customer, other = account.add_customer("A"), account.add_customer("B")
    one, two = account.add_subscription(customer), account.add_subscription(other)
    assert (
        call.refused(f"subscriptions/{one}", {"pause_collection": {"resumes_at": 1}})["param"] == "pause_collection[behavior]"
    )
    change = {"pause_collection": {"behavior": "keep_as_draft"}, "metadata": {"k": "v"}}
    assert call.post(f"subscriptions/{one}", change)["pause_collection"] == {"behavior": "keep_as_draft", "resumes_at": None}
    assert call.post(f"subscriptions/{one}", {"pause_collection": ""})["pause_collection"] is None
    assert [row["id"] for row in call.get("subscriptions", {"customer": customer})["data"]] == [one]
    account.delete_customer(customer)
    assert [row["id"] for row in call.get("subscriptions")["data"]] == [two]
    assert len(call.get("subscriptions", {"status": "all"})["data"]) == 2
    assert [row["id"] for row in call.get("subscriptions", {"status": "ended"})["data"]] == [one]
    call.refused(f"subscriptions/{one}", change)
    types = [event["type"] for event in account.events("customer.subscription.updated", "customer.subscription.deleted")]
    assert types == ["customer.subscription.updated"] * 2 + ["customer.subscription.deleted"]
