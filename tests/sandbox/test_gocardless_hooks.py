"""Webhooks of the simulated GoCardless: batches, signature, retries, and the record that can be listed and retried."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from couriers import Receiver
from test_gocardless_sdk import Loopback
from test_gocardless_shapes import WIRE, alike, fixture
from test_gocardless_world import DAY, START, call, got, world

from mlc.sandbox.courier import Courier

gocardless_pro = pytest.importorskip("gocardless_pro")
webhooks = pytest.importorskip("gocardless_pro.webhooks")
errors = pytest.importorskip("gocardless_pro.errors")

SECRET = "ED7D658C-here"
URL = "https://a.example/gocardless/acme"


class Scene:
    """An organisation with one endpoint, a receiver, and the courier between them."""

    def __init__(self, **switches) -> None:
        self.service, self.made, self.mandate = world(**switches)
        made = call(self.service, "POST", "/sandbox/webhook_endpoints", {"url": URL, "secret": SECRET})
        assert made.status == 200, made.body
        assert SECRET.encode() not in made.body
        self.receiver = Receiver()
        self.courier = Courier(self.service.clock, self.service.hooks, carry=self.receiver)

    def later(self, seconds: float) -> list[int]:
        """Move the clock and carry what is due then; returns the statuses."""
        self.service.clock.advance(seconds)
        return [one.status for one in self.courier.step()]

    def listed(self, query: str = "") -> list[dict]:
        """The webhooks as the API lists them."""
        return got(self.service, f"/webhooks{query}")["webhooks"]


def names(body: dict) -> list[str]:
    """The names of the events in a body."""
    return [f"{one['resource_type']}/{one['action']}" for one in body["events"]]


def test_events_come_in_one_signed_batch():
    """What happens together comes in one request that the vendor's client accepts, and under no other secret."""
    scene = Scene()
    scene.made.collect(scene.mandate, 1000)
    assert scene.later(0) == [200]
    headers, body = scene.receiver.last
    parsed = webhooks.parse_with_meta(body, SECRET, headers["Webhook-Signature"])
    assert parsed.webhook_id == scene.listed()[0]["id"]
    assert [one.action for one in parsed.events] == ["created", "submitted", "confirmed"]
    assert headers["Content-Type"] == "application/json"
    with pytest.raises(errors.InvalidSignatureError):
        webhooks.parse(body, "another", headers["Webhook-Signature"])
    assert scene.later(DAY) == []


def test_a_batch_has_250_events_at_most():
    """More events than that come in several requests."""
    scene = Scene()
    for _ in range(251):
        scene.made.add_payment(scene.mandate, 100)
    assert scene.later(0) == [200, 200]
    assert [len(one["events"]) for one in scene.receiver.bodies] == [250, 1]


def test_a_failure_is_tried_about_eight_times():
    """Everything but 2xx is tried again after 1, 2, 10 minutes and so on, under the same signature, and then given up."""
    scene = Scene()
    scene.made.add_payment(scene.mandate, 100)
    scene.receiver.say(*[498, 301, 500] * 9)
    scene.later(0)
    while (moment := scene.courier.pending()) is not None:
        scene.later(moment - scene.service.clock.now())
    times = [one.at - START for one in scene.courier.attempts]
    assert times[:4] == [0, 60, 180, 780]
    assert len(times) == 9
    assert len({one["Webhook-Signature"] for one in scene.receiver.headers}) == 1
    assert len({body for _, _, _, body in scene.receiver.took}) == 1


def test_the_record_of_webhooks():
    """Each webhook is listed with what was sent and answered; filters find those that failed; a retry sends it again."""
    scene = Scene()
    scene.receiver.body = b"x" * 2000
    scene.receiver.say(500)
    scene.made.add_payment(scene.mandate, 100)
    scene.later(0)
    scene.service.clock.advance(30)
    scene.made.add_payment(scene.mandate, 200)
    scene.later(0)
    good, bad = scene.listed()
    assert (bad["successful"], bad["response_code"], bad["response_body_truncated"]) == (False, 500, True)
    assert (good["successful"], good["response_code"], good["url"]) == (True, 200, URL)
    assert scene.listed("?successful=false") == [bad]
    assert scene.listed("?is_test=true") == []
    assert scene.listed(f"?created_at[gt]={bad['created_at']}") == [good]
    assert call(scene.service, "GET", "/webhooks?successful=maybe").status == 422
    assert call(scene.service, "GET", "/webhooks?url=x").status == 422
    again = call(scene.service, "POST", f"/webhooks/{bad['id']}/actions/retry", {"data": {}})
    assert again.status == 200, again.body
    assert scene.later(0) == [200]
    assert scene.receiver.last[1].decode() == bad["request_body"]
    assert got(scene.service, f"/webhooks/{bad['id']}")["webhooks"]["successful"] is True
    assert call(scene.service, "POST", "/webhooks/WB9/actions/retry").status == 404


def test_events_that_come_late_are_told_late():
    """An event that cannot be seen yet is not delivered either; the courier knows when it will be."""
    scene = Scene(events_late=90)
    scene.made.add_payment(scene.mandate, 100)
    assert scene.later(0) == []
    assert scene.courier.pending() == START + 90
    assert scene.later(90) == [200]


@pytest.mark.parametrize("given", [{"url": "http://a.example", "secret": "s"}, {"url": URL, "secret": " "}, {"url": URL}])
def test_what_is_refused_when_an_endpoint_is_made(given):
    """An endpoint needs https (or this machine) and a secret that is not blank."""
    assert call(world()[0], "POST", "/sandbox/webhook_endpoints", given).status == 422


def test_the_vendors_client_lists_and_retries(monkeypatch):
    """The vendor's client lists, reads and retries webhooks."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    scene = Scene()
    scene.receiver.say(500)
    scene.made.add_payment(scene.mandate, 100)
    scene.later(0)
    loop = Loopback(scene.service)
    try:
        client = loop.client()
        (failed,) = client.webhooks.list(params={"successful": "false"}).records
        assert client.webhooks.get(failed.id).response_code == 500
        assert client.webhooks.retry(failed.id).id == failed.id
        scene.later(0)
        assert client.webhooks.get(failed.id).successful is True
    finally:
        loop.close()


@pytest.mark.skipif(not Path(WIRE).is_dir(), reason="the published shapes are not here")
def test_the_published_shape():
    """A webhook has the keys and types of the published one."""
    scene = Scene()
    scene.made.add_payment(scene.mandate, 100)
    scene.later(0)
    published = fixture("webhooks")
    ours = got(scene.service, "/webhooks")
    for one, theirs in ((ours["webhooks"][0], published["list"]["body"]["webhooks"][0]),):
        open_ended = {"request_headers", "response_headers"}
        alike({key: value for key, value in one.items() if key not in open_ended},
              {key: value for key, value in theirs.items() if key not in open_ended}, "webhooks")  # fmt: skip
    assert set(ours) == {"webhooks", "meta"}
    assert json.loads(ours["webhooks"][0]["request_body"])["events"]
    assert names(scene.receiver.bodies[0]) == ["payments/created"]
