"""Signatures: what the vendors' own tools sign is taken, everything else is refused with a reason."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest
import stripe as stripe_sdk
from gocardless_pro import webhooks as gocardless_sdk
from hypothesis import example, given, settings
from hypothesis import strategies as st

from deliveries import GOCARDLESS, SAP, STRIPE, debit_events, plain_header, stripe_event, stripe_header
from mlc.core.inbox import NotAcceptedError
from mlc.systems.gocardless import signature as gocardless
from mlc.systems.sap import signature as sap
from mlc.systems.stripe import signature as stripe
from published import WIRE

NOW = 1_793_700_000
WORDS = ["object", "id", "type", "data", "livemode", "created", "events", "links", "resource_type", "action", "related_object"]
LEAVES = st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(["event", "evt_1", "EV1", "v2.core.event"])
TREES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(WORDS), inner), max_leaves=10)
SHAPES = st.binary(max_size=300) | TREES.map(lambda value: json.dumps(value).encode())
BODY = json.dumps(stripe_event()).encode()


def refused(header: str, body: bytes = BODY, secrets: tuple[str, ...] = (STRIPE,), now: float = NOW) -> str:
    """Why a delivery of Stripe is refused."""
    with pytest.raises(NotAcceptedError) as error:
        stripe.verify(body, header, secrets, now)
    return error.value.reason


def test_what_the_official_sdk_signs_is_taken() -> None:
    """A header made by Stripe's SDK verifies, and what verifies here verifies there."""
    header = stripe_sdk.WebhookSignature.generate_signature_header(BODY.decode(), STRIPE, timestamp=NOW)
    stripe.verify(BODY, header, (STRIPE,), NOW)
    stripe.verify(BODY, f"{header},v0={'0' * 64}", ("whsec_new", STRIPE), NOW + 299)
    assert stripe_sdk.WebhookSignature.verify_header(BODY.decode(), stripe_header(BODY, NOW), STRIPE, tolerance=None)


def test_a_secret_being_rolled() -> None:
    """While a secret is rolled Stripe signs with both: one that matches any of ours is enough, on either side."""
    old, new = stripe_header(BODY, NOW, "whsec_old"), stripe_header(BODY, NOW, "whsec_new")
    both = f"{old},{new.split(',')[1]}"
    for secrets in (("whsec_old",), ("whsec_new",), ("whsec_new", "whsec_old")):
        stripe.verify(BODY, both, secrets, NOW)
    assert refused(both, secrets=("whsec_third",)) == "the signature does not match"


@pytest.mark.parametrize(("age", "taken"), [(0, True), (300, True), (301, False), (-300, True), (-301, False), (10**6, False)])
def test_the_tolerance_counts_in_both_directions(age: int, *, taken: bool) -> None:
    """A signature of the future is as suspicious as an old one."""
    header = stripe_header(BODY, NOW - age)
    if taken:
        stripe.verify(BODY, header, (STRIPE,), NOW)
    else:
        assert "more than 300 seconds" in refused(header)


@pytest.mark.parametrize(
    "header",
    [
        "", "t=", "v1=", "t=1793700000", f"t={NOW},v0={'0' * 64}", f"t=1e9,v1={'0' * 64}", f"t=-1,v1={'0' * 64}", "t=١٧٩٣,v1=x",
        f"t={NOW},t={NOW},v1=x", ",,,,", "=", "t=1,v1", "v1=é,t=1", "\x00", f"t={'9' * 400},v1=x", ",".join(["v1=x"] * 500),
    ],
)  # fmt: skip
def test_unreadable_headers_are_refused(header: str) -> None:
    """Whatever stands in the header, the answer is a refusal and never an exception of another kind."""
    assert refused(header)


def test_each_secret_and_signature_is_compared_whole() -> None:
    """A prefix, another case, spaces or a digest of the body alone are no signature."""
    good = stripe_header(BODY, NOW).split("v1=")[1]
    alone = hmac.new(STRIPE.encode(), BODY, hashlib.sha256).hexdigest()
    for wrong in (good[:-1], good.upper(), f"{good} x", f"{good}0", alone, good[::-1]):
        assert refused(f"t={NOW},v1={wrong}") == "the signature does not match"


@settings(max_examples=200)
@given(st.data())
def test_no_change_of_body_or_header_is_taken(data: st.DataObject) -> None:
    """Any byte changed, taken out or put in, in the body or the header, is refused."""
    header = stripe_header(BODY, NOW)
    body, text = bytearray(BODY), header
    if data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(body) - 1))
        change = data.draw(st.sampled_from(["flip", "drop", "add"]))
        if change == "flip":
            body[place] ^= data.draw(st.integers(1, 255))
        elif change == "drop":
            del body[place]
        else:
            body.insert(place, data.draw(st.integers(0, 255)))
    else:
        place = data.draw(st.integers(0, len(text) - 1))
        text = text[:place] + chr((ord(text[place]) + data.draw(st.integers(1, 90))) % 128) + text[place + 1 :]
    if text.replace(" ", "") == header and bytes(body) == BODY:  # a space beside the comma changes nothing
        return
    assert refused(text, bytes(body))


@settings(max_examples=200)
@example(b"[" * 100_000)
@example(b'{"object":"event","id":"evt_1","type":"x","livemode":false,"created":NaN}')
@example(b'{"object":"event","id":"evt_1","type":"x","livemode":false,"created":' + b"9" * 5000 + b"}")
@given(SHAPES)
def test_a_signed_body_of_any_shape_is_read_or_refused(body: bytes) -> None:
    """Also behind a right signature nothing but a well-shaped event is taken, and nothing crashes."""
    for read in (lambda: stripe.events(body, live=False), lambda: gocardless.events(body), lambda: sap.events(body)):
        try:
            found = read()
        except NotAcceptedError:
            continue
        assert all(one.id for one in found)


def test_the_published_vector_of_gocardless() -> None:
    """The published body, secret and signature verify here; a newline more does not."""
    folder = WIRE / "gocardless"
    if not folder.is_dir():
        pytest.skip("the published shapes are not here")
    vector = json.loads((folder / "webhook_vector.json").read_text())
    body = (folder / vector["body_file"]).read_bytes()
    gocardless.verify(body, vector["signature"], (vector["secret"],))
    assert [one.type for one in gocardless.events(body)] == ["subscriptions/created", "mandates/created"]
    with pytest.raises(NotAcceptedError):
        gocardless.verify(body + b"\n", vector["signature"], (vector["secret"],))


def test_what_the_official_gocardless_client_takes_is_taken() -> None:
    """A body and signature that the official client parses are taken here, upper case is not, as there."""
    body = json.dumps(debit_events(1, 2)).encode()
    header = plain_header(body)
    assert len(gocardless_sdk.parse(body.decode(), GOCARDLESS, header)) == 2
    gocardless.verify(body, header, (GOCARDLESS,))
    for wrong in (header.upper(), header[:-1], "", f"sha256={header}", "é"):
        with pytest.raises(NotAcceptedError):
            gocardless.verify(body, wrong, (GOCARDLESS,))


@pytest.mark.parametrize("encode", [bytes.hex, lambda one: one.hex().upper(), lambda one: base64.b64encode(one).decode()])
def test_both_encodings_of_saps_signature(encode) -> None:
    """Whether SAP writes hex or base64 is not known: both are taken, of the right digest only."""
    body = b'[{"BusinessObject":"13"}]'
    digest = hmac.new(SAP.encode(), body, hashlib.sha256).digest()
    sap.verify(body, encode(digest), (SAP,))
    for wrong in (encode(digest[::-1]), "", "x" * 200, encode(digest[:-1])):
        with pytest.raises(NotAcceptedError):
            sap.verify(body, wrong, (SAP,))


def test_thin_and_full_events_and_older_versions_tell_the_same() -> None:
    """A thin event and one of an older API version are about the same object as the full one."""
    thin = {
        "id": "evt_9", "object": "v2.core.event", "type": "v1.charge.succeeded", "livemode": False, "created": "2026-11-03T10:00:00.000Z",
        "context": None, "related_object": {"id": "ch_1", "type": "charge", "url": "/v1/charges/ch_1"},
    }  # fmt: skip
    full, old = stripe_event(), stripe_event(api_version="2019-05-16")
    read = [stripe.events(json.dumps(one).encode(), live=False)[0] for one in (thin, full, old)]
    assert {(one.type, one.kind, one.about, one.created) for one in read} == {
        ("charge.succeeded", "money", "ch_1", 1793700000.0)
    }


def test_what_a_browser_could_act_with_is_not_kept() -> None:
    """A client secret in an event is taken out before it is stored."""
    event = stripe_event(
        type_="payment_intent.succeeded",
        data={"object": {"id": "pi_1", "object": "payment_intent", "client_secret": "pi_1_secret_x"}},
    )
    kept = stripe.events(json.dumps(event).encode(), live=False)[0].body
    assert "pi_1_secret_x" not in kept
    assert '"client_secret":"***"' in kept
