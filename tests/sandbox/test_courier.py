"""The courier: what falls due when, what is tried again, and what the switches do on the way."""

from __future__ import annotations

import http.server
import itertools
import json
import threading

import pytest
import stripe
from couriers import Receiver
from test_stripe_world import DAY, START, Caller, proper, world

from mlc.sandbox.courier import Courier, CourierSwitches, by_http
from mlc.sandbox.kit import Request
from mlc.sandbox.stripe import StripeService, StripeSwitches

SECRET = "whsec_here"
URL = "http://127.0.0.1:9/stripe/acme"


class Scene:
    """An account with one endpoint, a receiver, and the courier between them."""

    def __init__(self, *events: str, switches: StripeSwitches | None = None, key: str = "", **way) -> None:
        self.service, self.call = world(switches)
        if key:
            self.service = StripeService(self.service.clock, secret_key=key)
            self.call = Caller(self.service, key)
        self.account = self.service.account
        url = URL.replace("http:", "https:") if key else URL
        self.endpoint = self.account.add_endpoint(url, list(events) or ["customer.created"], secret=SECRET)
        self.receiver = Receiver()
        self.courier = Courier(self.service.clock, self.service.hooks, carry=self.receiver, switches=CourierSwitches(**way))

    def happen(self, times: int = 1) -> list[str]:
        """Let events happen; returns their ids."""
        for number in range(times):
            self.account.add_customer(f"C{number}")
        return [one["id"] for one in self.account.events("customer.created")][-times:]

    def later(self, seconds: float) -> list[int]:
        """Move the clock and carry what is due then; returns the statuses."""
        self.service.clock.advance(seconds)
        return [one.status for one in self.courier.step()]

    def heard(self) -> list[str]:
        """The ids of the events that arrived, in order."""
        return [one["id"] for one in self.receiver.bodies]


def test_an_event_is_carried_once_to_who_asked_for_it():
    """Each event goes to the endpoints that asked for its type, at once, signed for the vendor's own check, and no second time."""
    scene = Scene("customer.created")
    other = scene.account.add_endpoint("http://127.0.0.1:9/other", ["invoice.paid"])
    (ident,) = scene.happen()
    (attempt,) = scene.courier.step()
    assert (attempt.system, attempt.endpoint, attempt.ids, attempt.number, attempt.status) == (
        "stripe", scene.endpoint, (ident,), 1, 200,
    )  # fmt: skip
    headers, body = scene.receiver.last
    event = stripe.Webhook.construct_event(body, headers["Stripe-Signature"], SECRET, tolerance=None)
    assert (event["id"], event["pending_webhooks"]) == (ident, 1)
    assert headers["Content-Type"].startswith("application/json")
    proper(json.loads(body))
    assert scene.courier.step() == []
    assert scene.call.get(f"events/{ident}")["pending_webhooks"] == 0
    assert other


def test_everything_but_2xx_is_tried_again_with_a_new_time():
    """In test mode a failed delivery is tried three times over a few hours, each signed at its own moment; then it is given up."""
    scene = Scene()
    (ident,) = scene.happen()
    scene.receiver.say(500, 302, 400)
    assert scene.later(0) == [500]
    assert scene.later(599) == []
    assert scene.later(1) == [302]
    assert scene.later(3 * 3600) == [400]
    assert scene.later(30 * DAY) == []
    times = [int(one["Stripe-Signature"].split(",")[0][2:]) for one in scene.receiver.headers]
    assert times == [START, START + 600, START + 600 + 3 * 3600]
    assert [one.number for one in scene.courier.attempts] == [1, 2, 3]
    assert scene.heard() == [ident] * 3


def test_live_mode_tries_for_three_days():
    """In live mode the attempts stretch over up to three days, further and further apart."""
    scene = Scene(key="sk_live_x")
    scene.happen()
    scene.receiver.say(*[0] * 50)
    while (moment := scene.courier.pending() if scene.courier.attempts else START) is not None:
        scene.later(moment - scene.service.clock.now())
    times = [one.at - START for one in scene.courier.attempts]
    assert 2 * DAY < times[-1] <= 3 * DAY
    assert len(times) > 5
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert gaps == sorted(gaps)


def test_recovery_lists_what_was_not_delivered():
    """`delivery_success=false` lists an event until the last endpoint took it; `pending_webhooks` counts who did not."""
    scene = Scene()
    scene.account.add_endpoint("http://127.0.0.1:9/second", ["*"])
    (ident,) = scene.happen()
    scene.receiver.say(200, 503)
    scene.courier.step()
    undelivered = {"types": ["customer.created"], "delivery_success": False}
    assert [(one["id"], one["pending_webhooks"]) for one in scene.call.get("events", undelivered)["data"]] == [(ident, 1)]
    scene.later(600)
    assert scene.call.get("events", undelivered)["data"] == []
    assert scene.call.get("events", {**undelivered, "delivery_success": True})["data"][0]["pending_webhooks"] == 0


def test_a_deleted_or_disabled_endpoint_gets_nothing_more():
    """What waits for an endpoint that is gone or disabled is not carried."""
    scene = Scene()
    scene.happen()
    scene.receiver.say(500)
    scene.courier.step()
    scene.call.post(f"webhook_endpoints/{scene.endpoint}", {"disabled": True})
    assert scene.later(DAY) == []
    scene.happen()
    scene.call.post(f"webhook_endpoints/{scene.endpoint}", {"disabled": False})
    scene.happen()
    scene.call("DELETE", f"/v1/webhook_endpoints/{scene.endpoint}")
    assert scene.later(DAY) == []
    assert len(scene.receiver.took) == 1


def test_a_rolled_secret_signs_beside_the_new_one():
    """While a secret is rolled both verify; afterwards the new one alone."""
    scene = Scene()
    new = scene.account.roll_secret(scene.endpoint)["secret"]
    for later, good, bad in ((0, (SECRET, new), ()), (DAY + 1, (new,), (SECRET,))):
        scene.service.clock.advance(later)
        scene.happen()
        scene.courier.step()
        headers, body = scene.receiver.last
        for secret in good:
            assert stripe.Webhook.construct_event(body, headers["Stripe-Signature"], secret, tolerance=None)
        for secret in bad:
            with pytest.raises(stripe.SignatureVerificationError):
                stripe.Webhook.construct_event(body, headers["Stripe-Signature"], secret, tolerance=None)


@pytest.mark.parametrize(
    ("form", "kinds"), [("full", ["event"]), ("thin", ["v2.core.event"]), ("both", ["event", "v2.core.event"])]
)
def test_full_and_thin_events(form, kinds):
    """By switch an endpoint gets full events, thin ones, or both."""
    scene = Scene(switches=StripeSwitches(hook_form=form))
    (ident,) = scene.happen()
    scene.courier.step()
    assert [one["object"] for one in scene.receiver.bodies] == kinds
    assert scene.call.get(f"events/{ident}")["pending_webhooks"] == 0


def test_an_endpoint_made_for_an_older_version_gets_its_bodies():
    """An endpoint's api_version decides how its events look, whatever the account's is."""
    scene = Scene("customer.created")
    old = {"url": "http://127.0.0.1:9/old", "enabled_events": ["invoice.paid"], "api_version": "2024-06-20"}
    scene.call.post("webhook_endpoints", old)
    scene.account.pay(scene.account.add_invoice(scene.account.add_customer("A"), 11900))
    scene.courier.step()
    (event,) = [one for one in scene.receiver.bodies if one["type"] == "invoice.paid"]
    assert event["api_version"] == "2024-06-20"
    assert event["data"]["object"]["payment_intent"].startswith("pi_")


def test_duplicates_and_shuffling():
    """Each event can come several times, and what is due together in any order; a seed gives the same order again."""
    orders = []
    for seed in (1, 1, 2):
        scene = Scene(duplicates=2, shuffle=True, seed=seed)
        idents = scene.happen(5)
        scene.courier.step()
        assert sorted(scene.heard()) == sorted(idents * 3)
        orders.append(scene.heard())
    assert orders[0] == orders[1] != orders[2]


def test_delay_and_overtaking():
    """Events can be late, and overtake each other by as much as they are spread."""
    scene = Scene(delay=100, spread=50, seed=3)
    idents = scene.happen(6)
    assert scene.later(0) == scene.later(100) == []
    assert scene.later(50) == [200] * 6
    assert set(scene.heard()) == set(idents)
    assert scene.heard() != idents


def test_dropped_lost_and_forged():
    """A dropped event never comes, one whose answer is lost comes again, a forged one does not verify and tells so in the record."""
    scene = Scene(drop=1)
    scene.happen()
    assert [(one.status, one.note) for one in scene.courier.step()] == [(0, "dropped")]
    assert scene.later(10 * DAY) == scene.receiver.took == []
    scene.courier.switch({"drop": 0, "lose": 1})
    (ident,) = scene.happen()
    assert [(one.status, one.note) for one in scene.courier.step()] == [(0, "lost")]
    scene.courier.switch({"lose": 0})
    assert scene.later(600) == [200]
    assert scene.heard() == [ident] * 2
    scene.courier.switch({"forge": 1})
    scene.happen()
    assert [one.note for one in scene.courier.step()] == ["forged"]
    headers, body = scene.receiver.last
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(body, headers["Stripe-Signature"], SECRET, tolerance=None)


def test_the_record_can_be_read_and_the_way_changed_over_http():
    """GET /sandbox/deliveries lists the attempts; POST /sandbox/courier sets switches and refuses unknown ones."""
    scene = Scene()
    (ident,) = scene.happen()
    scene.courier.step()

    def ask(method: str, path: str, body: bytes = b""):
        answer = scene.service.serve(Request(method, path, body=body))
        return answer.status, json.loads(answer.body)

    status, told = ask("GET", "/sandbox/deliveries")
    assert (status, told["deliveries"][0]["ids"], told["deliveries"][0]["status"]) == (200, [ident], 200)
    assert ask("POST", "/sandbox/courier", b'{"duplicates": 1}') == ask("GET", "/sandbox/courier")
    assert scene.courier.switches.duplicates == 1
    assert ask("POST", "/sandbox/courier", b'{"speed": 9}')[0] == 400


def test_events_dropped_or_doubled_at_the_source():
    """An event that the account lost is not delivered; one that it emits twice is, under both ids."""
    scene = Scene()
    scene.happen(2)
    scene.account.drop_events(1)
    scene.account.duplicate_events(1)
    scene.courier.step()
    assert len(set(scene.heard())) == len(scene.heard()) == 2
    assert len({one["data"]["object"]["id"] for one in scene.receiver.bodies}) == 1


class Door(http.server.BaseHTTPRequestHandler):
    """A receiver over a socket that redirects under /away."""

    def do_POST(self) -> None:
        """Answer, and tell the test."""
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(307 if self.path == "/away" else 204)
        self.send_header("Location", "/here")
        self.end_headers()
        self.server.rung.release()

    def log_message(self, *_) -> None:
        """Say nothing."""


@pytest.fixture
def door():
    """A receiver on this machine."""
    server = http.server.HTTPServer(("127.0.0.1", 0), Door)
    server.bodies, server.rung = [], threading.Semaphore(0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_by_itself_over_a_socket(door):
    """Started, the courier delivers as soon as something happens; a redirect is a failure, and nothing leaves this machine."""
    address = f"http://127.0.0.1:{door.server_port}"
    service, _ = world()
    service.account.add_endpoint(f"{address}/here", ["customer.created"], secret=SECRET)
    courier = Courier(service.clock, service.hooks).start()
    with service.lock:
        service.account.add_customer("A")
    assert door.rung.acquire(timeout=5)
    courier.stop()
    assert json.loads(door.bodies[0])["type"] == "customer.created"
    assert [one.status for one in courier.attempts] == [204]
    assert by_http("POST", f"{address}/away", {"Content-Length": "0"}, b"").status == 307
    assert by_http("POST", "http://192.0.2.1/", {}, b"").status == 0
    assert by_http("POST", "http://127.0.0.1:1/", {}, b"").status == 0
