"""A small caller for the simulated Stripe that checks every request and answer against the published shapes."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from jsonschema import Draft202012Validator

from mlc.sandbox.kit import Clock, Request, Response
from mlc.sandbox.stripe import VERSION, StripeService, StripeSwitches
from mlc.sandbox.stripe.endpoints import Routes
from mlc.sandbox.stripe.fields import ELSEWHERE

WIRE = Path(__file__).parents[3] / "shared" / "wire" / "stripe" / "schemas-2026-10-28.endive.json"
START = 1_790_000_000
DAY = 86_400
needs_shapes = pytest.mark.skipif(not WIRE.exists(), reason="the vendors' published shapes are not at hand")


@functools.cache
def shapes() -> dict[str, Any] | None:
    """Return the published shapes, None where they are not at hand."""
    return json.loads(WIRE.read_text()) if WIRE.exists() else None


@functools.cache
def object_shape(kind: str) -> Draft202012Validator | None:
    """Return the checker of one kind of object."""
    known = shapes()
    if known is None or kind not in known["objects"]:
        return None
    return Draft202012Validator({"$ref": known["objects"][kind], "$defs": known["$defs"]})


@functools.cache
def request_shape(method: str, path: str) -> tuple[dict[str, Any], Draft202012Validator] | None:
    """Return the fields of an operation and its checker; literal paths come before templates."""
    known = shapes() or {"requests": {}}
    for name in sorted(known["requests"], key=lambda one: one.count("{")):
        verb, template = name.split(" ")
        if verb == method and re.fullmatch(re.sub(r"\{\w+\}", "[^/{]+", template), path):
            schema = known["requests"][name]["schema"]
            fields = schema["$defs"][schema["$ref"].split("/")[-1]] if "$ref" in schema else schema
            return fields, Draft202012Validator(schema)
    return None


def proper(body: Any) -> None:
    """Assert that an answer and everything in it has the published shape."""
    if isinstance(body, list):
        for one in body:
            proper(one)
    if not isinstance(body, dict):
        return
    kind = body.get("object")
    if kind == "list":
        assert {"data", "has_more", "url"} <= set(body)
    elif isinstance(kind, str) and not body.get("deleted") and object_shape(kind):
        found = sorted(object_shape(kind).iter_errors(body), key=str)
        assert not found, (kind, [(list(one.path), one.message[:200]) for one in found])
    for inner in body.values():
        proper(inner)


def flat(params: Any, name: str = "") -> list[tuple[str, str]]:
    """Write nested parameters in the bracket form."""
    if isinstance(params, dict):
        pairs = [(f"{name}[{key}]" if name else key, inner) for key, inner in params.items()]
    elif isinstance(params, list):
        pairs = [(f"{name}[{number}]", inner) for number, inner in enumerate(params)]
    else:
        return [(name, str(params).lower() if isinstance(params, bool) else str(params))]
    return [one for key, inner in pairs for one in flat(inner, key)]


class Caller:
    """Speaks to a service without a socket; `check` compares requests and answers with the published shapes."""

    def __init__(self, service: StripeService, key: str = "sk_test_mlcsandbox") -> None:
        self.service = service
        self.key = key
        self.last: Response | None = None

    def send(self, method: str, path: str, params: dict | None = None, *, idem: str | None = None, **headers) -> Response:
        """Send one request and return the raw answer."""
        said = {"authorization": f"Bearer {self.key}", "stripe-version": VERSION}
        said |= {name.replace("_", "-"): value for name, value in headers.items()}
        if idem:
            said["idempotency-key"] = idem
        pairs = tuple(flat(params or {}))
        if method == "POST":
            said["content-type"] = "application/x-www-form-urlencoded"
            request = Request(method, path, (), said, urlencode(pairs).encode())
        else:
            request = Request(method, path, pairs, said)
        self.last = self.service.serve(request)
        return self.last

    def __call__(self, method: str, path: str, params: dict | None = None, *, status: int = 200, **rest) -> Any:
        """Send one request, expect this status, and return the body."""
        answer = self.send(method, path, params, **rest)
        body = json.loads(answer.body)
        assert answer.status == status, (answer.status, body)
        if status == 200:
            proper(body)
            shape = request_shape(method, path)
            if shape and params:
                errors = [one.message for one in shape[1].iter_errors(params)]
                assert not errors, errors
        return body

    def get(self, path: str, params: dict | None = None, **rest) -> Any:
        """GET."""
        return self("GET", f"/v1/{path}", params, **rest)

    def post(self, path: str, params: dict | None = None, **rest) -> Any:
        """POST."""
        return self("POST", f"/v1/{path}", params, **rest)

    def refused(self, path: str, params: dict | None = None, *, status: int = 400, method: str = "POST", **rest) -> dict:
        """Expect a refusal and return its error."""
        return self(method, f"/v1/{path}", params, status=status, **rest)["error"]


def world(switches: StripeSwitches | None = None, **options: Any) -> tuple[StripeService, Caller]:
    """Return a service with a standing clock and a caller."""
    service = StripeService(Clock(START), switches=switches, **options)
    return service, Caller(service, service.secret_key)


def test_form_of_parameters():
    """Nested parameters are written in Stripe's bracket form."""
    assert flat({"a": {"b": [{"c": 1}, True]}}) == [("a[b][0][c]", "1"), ("a[b][1]", "true")]


@needs_shapes
def test_every_parameter_is_published():
    """The simulator knows no parameter that the published schemas do not know, and names those it cannot act on."""
    seen = 0
    routes = Routes()
    for endpoint in [*routes.literal.values(), *(one for one, _ in routes.templates)]:
        shape = request_shape(endpoint.method, re.sub(r"\{\w+\}", "x_1", endpoint.path))
        if shape is None:
            continue
        seen += 1
        known = set(shape[0].get("properties", {}))
        assert set(endpoint.fields) <= known, (endpoint.path, set(endpoint.fields) - known)
        assert set(shape[0].get("required", ())) <= set(endpoint.required), endpoint.path
        if endpoint.method == "POST":
            unknown = set(ELSEWHERE.get("/".join(endpoint.path.split("/")[:3]), ()))
            rest = known - set(endpoint.fields) - unknown - {"expand"}
            assert not rest, (endpoint.path, rest)
    assert seen > 50


@needs_shapes
def test_the_shape_check_can_fail():
    """An answer without a field that the vendor promises is noticed, also deep inside another."""
    _, call = world()
    customer = call.post("customers", {"name": "A"})
    del customer["created"]
    with pytest.raises(AssertionError):
        proper({"object": "list", "data": [customer], "has_more": False, "url": "/v1/customers"})
