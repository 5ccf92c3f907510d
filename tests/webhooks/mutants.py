"""Requests that must never be accepted: rightly signed ones, each changed in one way that makes it wrong."""

from __future__ import annotations

import io
import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

from deliveries import Door, debit_events, plain_header, stripe_event, stripe_header
from mlc.webhooks.app import MOST_BYTES

Environ = dict[str, Any]
SIGNATURES = ("HTTP_STRIPE_SIGNATURE", "HTTP_WEBHOOK_SIGNATURE", "HTTP_X_B1_WEBHOOK_SIGNATURE")
_TYPES = (
    "text/plain",
    "",
    "application/xml",
    "application/json; charset=utf-16",
    "multipart/form-data",
    "application/json, x",
    "\x00",
)
_NOISE = ("", "\x00", "é" * 50, "v1=", "t=,v1=", "t=1", "0" * 64, "=" * 100, "v0=" + "0" * 64, "😀", "%00", "'; --", "null")
LARGE = b" " * (MOST_BYTES + 1)


def good(rng: random.Random, now: float) -> Environ:
    """A request that would be accepted."""
    which = rng.randrange(3)
    number = rng.randrange(10**9)
    if which == 0:
        body = json.dumps(stripe_event(number)).encode()
        path, header, sign = "/stripe/acme", SIGNATURES[0], stripe_header(body, now)
    elif which == 1:
        body = json.dumps(debit_events(number, number + 1)).encode()
        path, header, sign = "/gocardless/acme", SIGNATURES[1], plain_header(body)
    else:
        body = json.dumps([{"BusinessObject": "13", "Key": number}]).encode()
        path, header, sign = "/sap/acme", SIGNATURES[2], plain_header(body, "sap-secret")
    return {
        "PATH_INFO": path, "REQUEST_METHOD": "POST", "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(body)), header: sign,
        "body": body,
    }  # fmt: skip


def _signature(environ: Environ) -> str:
    return next(name for name in SIGNATURES if name in environ)


def _flip(rng: random.Random, environ: Environ, _now: float) -> None:
    body = bytearray(environ["body"])
    body[rng.randrange(len(body))] ^= rng.randrange(1, 256)
    environ["body"] = bytes(body)


def _cut(rng: random.Random, environ: Environ, _now: float) -> None:
    environ["body"] = environ["body"][: rng.randrange(len(environ["body"]))]
    if rng.random() < 0.5:
        environ["CONTENT_LENGTH"] = str(len(environ["body"]))


def _grow(rng: random.Random, environ: Environ, _now: float) -> None:
    environ["body"] += bytes(rng.randrange(256) for _ in range(rng.randrange(1, 30)))
    environ["CONTENT_LENGTH"] = str(len(environ["body"]))


def _huge(rng: random.Random, environ: Environ, _now: float) -> None:
    environ["CONTENT_LENGTH"] = rng.choice([str(len(LARGE)), "9" * 15, "9" * 400])
    environ["body"] = LARGE


def _length(rng: random.Random, environ: Environ, _now: float) -> None:
    environ["CONTENT_LENGTH"] = rng.choice(["", "-1", "abc", "1e3", "٣", str(len(environ["body"]) + 1), "0x10", " "])


def _header(rng: random.Random, environ: Environ, _now: float) -> None:
    name = _signature(environ)
    text = environ[name]
    place = rng.randrange(len(text))
    if text[place : place + 1] == "v":
        place += 1
    changed = rng.choice("0123456789abcdefg,= \x00é")
    environ[name] = text[:place] + changed + text[place + 1 :]
    if environ[name] == text or (environ["PATH_INFO"] == "/sap/acme" and environ[name].strip().lower() == text.lower()):
        environ[name] = text[:-1]


def _no_header(rng: random.Random, environ: Environ, _now: float) -> None:
    name = _signature(environ)
    environ[name] = rng.choice(_NOISE) * rng.choice([1, 1, 1, 200])


def _secret(rng: random.Random, environ: Environ, now: float) -> None:
    wrong = rng.choice(["", " ", "whsec_wrong", "gc-other", "whsec_other", "x" * 300])
    body = environ["body"]
    name = _signature(environ)
    environ[name] = stripe_header(body, now, wrong) if name == SIGNATURES[0] else plain_header(body, wrong)


def _time(rng: random.Random, environ: Environ, now: float) -> None:
    if _signature(environ) != SIGNATURES[0]:
        _secret(rng, environ, now)
        return
    away = rng.choice([301, 302, 3600, 10**6, 10**9]) * rng.choice([-1, 1])
    environ[SIGNATURES[0]] = stripe_header(environ["body"], max(0, now + away))


def _type(rng: random.Random, environ: Environ, now: float) -> None:
    if environ["PATH_INFO"] == "/sap/acme":
        _secret(rng, environ, now)
    else:
        environ["CONTENT_TYPE"] = rng.choice(_TYPES)


def _encoding(rng: random.Random, environ: Environ, _now: float) -> None:
    environ["HTTP_CONTENT_ENCODING"] = rng.choice(["gzip", "br", "deflate", "x", "gzip, identity"])


def _tenant(rng: random.Random, environ: Environ, _now: float) -> None:
    environ["PATH_INFO"] = rng.choice(
        ["/stripe/other", "/gocardless/other", "/stripe/", "/stripe/acme/", "/x", "", "/stripe/acme\x00", "//stripe/acme"]
    )


def _method(rng: random.Random, environ: Environ, _now: float) -> None:
    environ["REQUEST_METHOD"] = rng.choice(["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "post", "", "TRACE"])


def _shape(rng: random.Random, environ: Environ, now: float) -> None:
    """Rightly signed, and no event: wrong shapes, wrong mode, a connected account, no text, too deep."""
    if environ["PATH_INFO"] == "/sap/acme":
        body = rng.choice([b"", b"1", b'"x"', b"null", b"{", b"\xff\xfe", b"[" * 3000, b"nan"])
        name, sign = SIGNATURES[2], plain_header(body, "sap-secret")
    elif environ["PATH_INFO"] == "/gocardless/acme":
        rows: list[Any] = [{}, {"id": 1}, {"id": "EV1"}, {"id": "EV1", "resource_type": "x", "action": 1}, None, "EV1", []]
        wrong: list[Any] = [
            None,
            1,
            "x",
            {},
            {"events": {}},
            {"events": [{"id": "EV1"}] * 1001},
            {"events": [rng.choice(rows)]},
        ]
        body = json.dumps(rng.choice(wrong)).encode() if rng.random() < 0.8 else rng.choice([b"", b"\xff", b"{", b"[" * 3000])
        name, sign = SIGNATURES[1], plain_header(body)
    else:
        event = stripe_event(rng.randrange(10**9))
        event |= rng.choice([
            {"livemode": True}, {"livemode": None}, {"livemode": "false"}, {"account": "acct_1"}, {"context": "acct_1"}, {"object": "charge"},
            {"id": None}, {"id": "x"}, {"id": "evt_" + "a" * 300}, {"type": None}, {"type": 7}, {"object": None}, {"id": "evt_é"},
        ])  # fmt: skip
        body = json.dumps(event).encode() if rng.random() < 0.8 else rng.choice([b"", b"\xff", b"{", b"[" * 3000, b"{}", b"[]"])
        name, sign = SIGNATURES[0], stripe_header(body, now)
    environ |= {name: sign, "body": body, "CONTENT_LENGTH": str(len(body))}


WAYS: dict[str, Callable[[random.Random, Environ, float], None]] = {
    "a byte of the body changed": _flip, "body cut": _cut, "body grown": _grow, "too large": _huge, "length wrong": _length,
    "signature changed": _header, "no signature": _no_header, "another secret": _secret, "old or future": _time,
    "content type": _type, "content encoding": _encoding, "another tenant or path": _tenant, "method": _method, "signed, no event": _shape,
}  # fmt: skip


def fuzz(door: Door, count: int, seed: int) -> Counter[str]:
    """Send so many wrong requests; returns how many of each way. Raises AssertionError where one is accepted or breaks the app."""
    rng = random.Random(seed)
    tried: Counter[str] = Counter()
    names = list(WAYS)
    for number in range(count):
        now = door.clock.now()
        environ = good(rng, now)
        way = names[number % len(names)]
        WAYS[way](rng, environ, now)
        told: list[str] = []
        request = {**environ, "wsgi.input": io.BytesIO(environ["body"])}
        door.app(request, lambda status, _headers, told=told: told.append(status))
        assert told[0][0] == "4", (way, told, seed, number, {key: value for key, value in environ.items() if key != "body"})
        tried[way] += 1
    return tried
