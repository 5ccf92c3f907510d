"""Event subscriptions of the simulated Service Layer: what is refused, the handshake, what is told, and what becomes of failures."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from decimal import Decimal

import pytest
from couriers import Receiver
from test_sap_support import MAY, START, Sap, invoice, sap

from mlc.sandbox.courier import Courier
from mlc.sandbox.sap import SapService

KEY = "the secret of the subscription"
URL = "https://a.example/sap/acme"
EVENTS = [
    {"BusinessObject": "Invoices", "TransactionType": "Created"},
    {"BusinessObject": "Invoices", "TransactionType": "Cancelled"},
]
GOOD = {
    "WebhookID": "mlc", "WebhookURL": URL, "EventCollection": EVENTS,
    "AuthenticationCred": json.dumps({"Key": KEY, "Algorithm": "HMACSha256"}),
}  # fmt: skip
HOUR = 3600


class Scene:
    """A company on a version with webhooks, a receiver, and the courier between them."""

    def __init__(self, **switches) -> None:
        self.sap: Sap = sap(**{"webhooks": "on", **switches})
        self.service: SapService = self.sap.service
        self.books = self.service.books
        self.receiver = Receiver()
        self.courier = Courier(self.service.clock, self.service.hooks, carry=self.receiver)

    def subscribe(self, **change):
        """Subscribe; None takes a property away."""
        body = {name: value for name, value in {**GOOD, **change}.items() if value is not None}
        return self.sap.send("POST", "EventSubscriptions", body)

    def invoice(self) -> int:
        """Write an invoice."""
        return invoice(self.books)

    def later(self, seconds: float = 0) -> list[int]:
        """Move the clock and carry what is due then; returns the statuses."""
        self.service.clock.advance(seconds)
        return [one.status for one in self.courier.step()]

    def told(self) -> list[tuple[str, str]]:
        """What was told: type and subject of every event."""
        return [(one["type"], one["subject"]) for body in self.receiver.bodies for one in body]

    def state(self) -> str:
        """The subscription's state."""
        return str(self.sap.get("EventSubscriptions('mlc')").body["State"])


def digest(message: bytes, key: str = KEY) -> bytes:
    """The HMAC as it should be."""
    return hmac.new(key.encode(), message, hashlib.sha256).digest()


def test_a_version_before_fp_2602_has_no_webhooks():
    """Without the feature there is no such entity, no catalog and no setting."""
    scene = Scene(webhooks="absent")
    for answer in (
        scene.subscribe(),
        scene.sap.get("EventSubscriptions"),
        scene.sap.get("EventSubscriptionsService_GetEventCatalog"),
    ):
        assert answer.error[:2] == (404, -1008)
    assert "EnableWebhook" not in scene.sap.get("CompanyService_GetAdminInfo").body


def test_webhooks_are_off_until_they_are_enabled():
    """A company begins without webhooks; EnableWebhook turns them on, and OData V3 does not know them."""
    scene = Scene(webhooks="off")
    assert scene.subscribe().error[:2] == (400, -21100)
    body = {"AdminInfo": {"EnableWebhook": "tYES"}}
    assert scene.sap.send("POST", "CompanyService_UpdateAdminInfo", body).status == 204
    assert scene.sap.get("CompanyService_GetAdminInfo").body["EnableWebhook"] == "tYES"
    assert scene.subscribe().status == 201
    scene.sap.version = "v1"
    assert scene.sap.get("EventSubscriptions").error[:2] == (404, -1008)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"WebhookID": None}, -21100),
        ({"WebhookURL": None}, -21100),
        ({"WebhookURL": "http://a.example/sap"}, -21100),
        ({"WebhookURL": "https://"}, -21100),
        ({"WebhookURL": "https://" + "a" * 254}, -5002),
        ({"EventCollection": None}, -21100),
        ({"EventCollection": []}, -21100),
        ({"EventCollection": [{"BusinessObject": "13", "TransactionType": "A"}]}, -21100),
        ({"EventCollection": [{"BusinessObject": "BusinessPartners", "TransactionType": "Cancelled"}]}, -21100),
        ({"AuthenticationType": "Digest"}, -1004),
        ({"AuthenticationType": "Basic"}, -21100),
        ({"AuthenticationCred": None}, -21100),
        ({"AuthenticationCred": "secret"}, -21100),
        ({"AuthenticationCred": '{"Key": "a", "Algorithm": "MD5"}'}, -21100),
        ({"WorkMode": "Replay"}, -21100),
        ({"Secret": "x"}, -1000),
    ],
)
def test_what_is_refused_when_a_subscription_is_made(change, code):
    """A subscription that is set up wrongly is refused, and is not there afterwards."""
    scene = Scene()
    assert scene.subscribe(**change).error[:2] == (400, code)
    assert scene.sap.get("EventSubscriptions").rows == []
    assert not scene.receiver.took or code == -21100


def test_the_handshake():
    """The address is asked by GET for the token it got, signed; who does not answer it is not subscribed."""
    scene = Scene()
    made = scene.subscribe()
    assert made.status == 201
    assert (made.body["AuthenticationType"], made.body["State"], made.body["Handshake"]) == ("HMAC", "Active", "tYES")
    assert made.body["AuthenticationCred"] is None
    ((method, url, headers, _),) = scene.receiver.took
    assert (method, url) == ("GET", URL)
    assert base64.b64decode(headers["X-B1-Webhook-Signature"]) == digest(headers["X-B1-Webhook-Token"].encode())
    scene.receiver.echo = False
    assert scene.subscribe(WebhookID="two", WebhookURL=URL + "2").error[1] == -21100
    assert scene.sap.send("POST", "EventSubscriptions('mlc')/Handshake").error[1] == -21100
    scene.receiver.echo = True
    scene.receiver.say(500)
    assert scene.subscribe(WebhookID="two", WebhookURL=URL + "2").error[1] == -21100
    assert scene.subscribe(WebhookID="two", WebhookURL="http://127.0.0.1:8377/sap/acme", Handshake="tNO").status == 201
    assert scene.sap.send("POST", "EventSubscriptions('mlc')/Handshake").status == 204


def test_ids_and_addresses_are_unique_and_sixteen_are_the_most():
    """One id and one address stand for one subscription, and there are sixteen at most."""
    scene = Scene()
    assert scene.subscribe().status == 201
    assert scene.subscribe(WebhookURL=URL + "2").error[1] == -2035
    assert scene.subscribe(WebhookID="two").error[1] == -2035
    for number in range(15):
        assert scene.subscribe(WebhookID=f"w{number}", WebhookURL=f"{URL}{number}").status == 201
    assert scene.subscribe(WebhookID="more", WebhookURL=URL + "more").error[1] == -21100


def test_changes_are_told_in_one_signed_batch():
    """What happened since is told together, as the manual writes it, under the HMAC of the raw body."""
    scene = Scene()
    scene.invoice()
    scene.subscribe()
    first, second = scene.invoice(), scene.invoice()
    scene.books.cancel_invoice(first)
    scene.books.add_partner("C3", "nobody asked")
    assert scene.later() == [200]
    headers, body = scene.receiver.last
    assert base64.b64decode(headers["X-B1-Webhook-Signature"]) == digest(body)
    kinds = ["Created", "Created", "Cancelled", "Created"]
    assert scene.told() == [(f"sap.b1.Invoices.{kind}.v1", key) for kind, key in zip(kinds, ["2", "3", "2", "4"], strict=True)]
    event = json.loads(body)[0]
    assert (event["source"], event["data"], event["specversion"]) == ("/default/sap.b1/SBODEMO", {"DocEntry": "2"}, "1.0")
    assert event["time"] == "2026-05-28T20:26:40.000Z"
    assert scene.later(HOUR) == []
    assert second == 3


def test_every_object_of_the_catalog_is_told():
    """Partners, documents, payments and manual entries tell of their making, changing and cancelling, however that came about."""
    scene = Scene()
    catalog = scene.sap.get("EventSubscriptionsService_GetEventCatalog").rows
    events = [
        {"BusinessObject": one["BusinessObject"], "TransactionType": kind}
        for one in catalog
        for kind in one["TransactionTypes"].split(",")
    ]
    assert {one["ObjectType"] for one in catalog} == {"2", "13", "14", "24", "30", "46"}
    scene.subscribe(EventCollection=events)
    made = scene.invoice()
    payment = scene.books.add_receipt("C1", Decimal("119.00"), {made: Decimal("119.00")}, date=MAY)
    scene.books.cancel_payment(payment)
    scene.books.credit_memo(made)
    scene.books.add_refund("C1", Decimal("5.00"), date=MAY)
    entry = scene.books.refund_by_entry("C1", Decimal("1.00"), date=MAY)
    scene.books.cancel_entry(entry)
    assert scene.sap.send("PATCH", "BusinessPartners('C1')", {"CardName": "Müller"}).status == 204
    scene.later()
    short = [f"{kind.split('.')[2]}/{kind.split('.')[3]} {key}" for kind, key in scene.told()]
    assert short == [
        "Invoices/Created 1", "IncomingPayments/Created 1", "IncomingPayments/Cancelled 1", "CreditNotes/Created 1",
        "VendorPayments/Created 1", f"JournalEntries/Created {entry}", f"JournalEntries/Cancelled {entry}",
        f"JournalEntries/Created {entry + 1}", "BusinessPartners/Updated C1",
    ]  # fmt: skip


def test_a_change_set_that_fails_tells_nothing():
    """What is taken back with its change set never happened."""
    scene = Scene()
    scene.subscribe()
    scene.books.begin()
    scene.invoice()
    scene.books.undo.rollback()
    assert scene.later() == []


def test_batches_hold_1024_messages():
    """More than that comes in several requests."""
    scene = Scene()
    scene.subscribe()
    for number in range(1025):
        scene.books.notice("Invoices", number, "Created")
    assert scene.later() == [200, 200]
    assert [len(one) for one in scene.receiver.bodies] == [1024, 1]


def test_failures_are_tried_again_and_then_the_webhook_is_paused():
    """5xx, 408, 429 and silence are tried again 2, 4, 8 seconds later; after that the subscription is inactive until resumed."""
    scene = Scene()
    scene.subscribe()
    scene.invoice()
    scene.receiver.say(500, 429, 408, 0)
    assert (scene.later(), scene.state()) == ([500], "Exceptional")
    assert scene.later(1.9) == []
    assert scene.later(0.1) + scene.later(4) + scene.later(8) == [429, 408, 0]
    assert (scene.state(), scene.courier.pending()) == ("Inactive", None)
    scene.invoice()
    assert scene.later(60) == []
    assert scene.sap.send("POST", "EventSubscriptions('mlc')/Replay").status == 204
    assert scene.later() == [200]
    assert [key for _, key in scene.told()][-2:] == ["1", "2"]
    assert scene.state() == "Active"


def test_other_answers_are_final():
    """A refusal with any other status is not tried again, and the webhook stays active."""
    scene = Scene(webhook_retries=5)
    scene.subscribe()
    scene.invoice()
    scene.receiver.say(401)
    assert scene.later() == [401]
    assert (scene.state(), scene.courier.pending()) == ("Active", None)


def test_messages_grow_old():
    """A message that could not be delivered for a day is discarded."""
    scene = Scene()
    scene.subscribe()
    scene.invoice()
    scene.receiver.say(500)
    scene.later()
    assert scene.later(25 * HOUR) == []


def test_pause_resume_and_delete():
    """While paused nothing is told, resuming does not tell it later, and only a paused subscription can be deleted."""
    scene = Scene()
    scene.subscribe()
    assert scene.sap.send("DELETE", "EventSubscriptions('mlc')").error[1] == -21100
    assert scene.sap.send("POST", "EventSubscriptions('mlc')/Replay").error[1] == -21100
    assert scene.sap.send("POST", "EventSubscriptions('mlc')/Pause").status == 204
    scene.invoice()
    assert scene.later() == []
    assert scene.sap.send("POST", "EventSubscriptions('mlc')/Resume").status == 204
    scene.invoice()
    scene.later()
    assert [key for _, key in scene.told()] == ["2"]
    scene.sap.send("POST", "EventSubscriptions('mlc')/Pause")
    assert scene.sap.send("DELETE", "EventSubscriptions('mlc')").status == 204
    assert scene.sap.get("EventSubscriptions('mlc')").status == 404
    scene.invoice()
    assert (scene.later(), scene.books.changes) == ([], {})


def test_a_subscription_can_be_changed_but_not_moved():
    """PATCH adds events, replaces them where that is asked for, rolls the key; id, address and state stay."""
    scene = Scene()
    scene.subscribe()
    path, more = "EventSubscriptions('mlc')", [{"BusinessObject": "CreditNotes", "TransactionType": "Created"}]
    assert scene.sap.send("PATCH", path, {"EventCollection": more}).status == 204
    assert len(scene.sap.get(path).body["EventCollection"]) == 3
    replace = {"B1S-ReplaceCollectionsOnPatch": "true"}
    assert (
        scene.sap.send("PATCH", path, {"EventCollection": more}, {name.lower(): one for name, one in replace.items()}).status
        == 204
    )
    assert len(scene.sap.get(path).body["EventCollection"]) == 1
    for name, value in (("WebhookURL", URL + "2"), ("WebhookID", "x"), ("State", "Inactive")):
        assert scene.sap.send("PATCH", path, {name: value}).error[1] == -1029
    rolled = json.dumps({"Key": "new", "Algorithm": "hmacsha256"})
    assert scene.sap.send("PATCH", path, {"AuthenticationCred": rolled}).status == 204
    scene.books.credit_memo(scene.invoice())
    scene.later()
    headers, body = scene.receiver.last
    assert base64.b64decode(headers["X-B1-Webhook-Signature"]) == digest(body, "new")


def test_the_other_ways_to_write_and_to_sign():
    """By switch the signature is hex and the body an object; Basic sends credentials, a forged message proves nothing."""
    scene = Scene(webhook_body="object", webhook_signature="hex")
    scene.subscribe()
    made = scene.invoice()
    scene.later()
    headers, body = scene.receiver.last
    assert headers["X-B1-Webhook-Signature"] == digest(body).hex()
    (message,) = json.loads(body)["Messages"]
    assert (message["BusinessObject"], message["TransactionType"], message["Key"]) == ("13", "Created", str(made))
    scene.courier.switch({"forge": 1})
    scene.invoice()
    scene.later()
    headers, body = scene.receiver.last
    assert headers["X-B1-Webhook-Signature"] != digest(body).hex()
    scene = Scene()
    scene.subscribe(AuthenticationType="Basic", AuthenticationCred='{"Username": "u", "Password": "p"}')
    assert scene.receiver.last[0]["Authorization"] == "Basic " + base64.b64encode(b"u:p").decode()
    scene = Scene()
    scene.subscribe(AuthenticationType="None", AuthenticationCred=None)
    assert set(scene.receiver.last[0]) == {"X-B1-Webhook-Token"}


def test_subscriptions_are_listed_and_filtered():
    """GET lists subscriptions and understands filters and selections."""
    scene = Scene()
    scene.subscribe()
    assert scene.sap.get("EventSubscriptions", filter="AuthenticationType eq 'HMAC'").rows[0]["WebhookID"] == "mlc"
    assert scene.sap.get("EventSubscriptions", filter="State eq 'Inactive'").rows == []
    assert scene.sap.get("EventSubscriptions", select="WebhookID,State").rows == [{"WebhookID": "mlc", "State": "Active"}]
    assert scene.service.clock.now() == START
