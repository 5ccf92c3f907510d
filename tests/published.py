"""Checks what mlc says and hears against the vendors' published shapes in ../shared/wire."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from jsonschema import Draft202012Validator

from mlc.sandbox.kit import Request, Response

WIRE = Path(__file__).resolve().parents[2] / "shared" / "wire"
STRIPE = WIRE / "stripe" / "schemas-2026-10-28.endive.json"
SAP = WIRE / "sap" / "entities.json"
_WORDS = frozenset({"and", "or", "eq", "ne", "gt", "ge", "lt", "le", "not", "startswith", "endswith", "contains", "null"})
_JSON_TYPES = {"String": str, "Int32": int, "Double": (int, float), "Boolean": bool, "DateTimeOffset": str, "TimeOfDay": str}
_LENGTHS = {"Idempotency-Key": 255, "description": 5000, "metadata": 500, "name": 256, "email": 512, "phone": 20, "memo": 500}


# --- Stripe -------------------------------------------------------------------------------------------------------------


def decode(text: str) -> Any:
    """Turn a bracket form into objects and lists."""
    root: dict[str, Any] = {}
    for key, value in parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text)):
        head, rest = re.match(r"([^\[]+)(.*)", key).groups()  # type: ignore[union-attr]
        parts, cursor = [head, *re.findall(r"\[([^\]]*)\]", rest)], root
        for part in parts[:-1]:
            cursor = cursor.setdefault(part or str(len(cursor)), {})
        assert parts[-1] not in cursor, f"{key} twice"
        cursor[parts[-1] or str(len(cursor))] = value
    return _lists(root)


def _lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {key: _lists(one) for key, one in value.items()}
    return list(inner.values()) if inner and all(key.isdigit() for key in inner) else inner


def coerce(value: Any, schema: dict[str, Any], defs: dict[str, Any]) -> Any:
    """Give text the scalar type that the schema wants, where that is unambiguous."""
    while "$ref" in schema:
        schema = defs[schema["$ref"].rsplit("/", 1)[-1]]
    if "anyOf" in schema:
        tried = [coerce(value, one, defs) for one in schema["anyOf"]]
        fits = [
            one
            for one, inner in zip(tried, schema["anyOf"], strict=True)
            if Draft202012Validator({**inner, "$defs": defs}).is_valid(one)
        ]
        return fits[0] if fits else value
    if isinstance(value, str):
        if schema.get("type") == "integer" and re.fullmatch(r"-?\d+", value):
            return int(value)
        if schema.get("type") == "number" and re.fullmatch(r"-?\d+(\.\d+)?", value):
            return float(value)
        return {"true": True, "false": False}.get(value, value) if schema.get("type") == "boolean" else value
    if isinstance(value, dict):
        known, other = schema.get("properties", {}), schema.get("additionalProperties")
        return {
            key: coerce(one, known.get(key) or (other if isinstance(other, dict) else {}), defs) for key, one in value.items()
        }
    if isinstance(value, list):
        return [coerce(one, schema.get("items", {}), defs) for one in value]
    return value


@cache
def _stripe() -> Any:
    return json.loads(STRIPE.read_text())


@cache
def _validator(operation: str) -> Draft202012Validator:
    return Draft202012Validator(_stripe()["requests"][operation]["schema"])


@cache
def _object(name: str) -> Draft202012Validator | None:
    known = _stripe()["objects"]
    return Draft202012Validator({"$ref": known[name], "$defs": _stripe()["$defs"]}) if name in known else None


@cache
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    made = sorted(_stripe()["requests"], key=lambda name: name.count("{"))
    return [(name, re.compile(re.sub(r"\{\w+\}", "[^/]+", name))) for name in made]


_SOUND: set[bytes] = set()  # objects that were as published: the same one again, to the letter, is so again


class StripeEar:
    """Listens to a simulated Stripe; `wrong` is what was not as published."""

    def __init__(self) -> None:
        self.wrong: list[str] = []
        self.heard: Counter[str] = Counter()

    def __call__(self, request: Request, response: Response) -> None:
        """Check one request and its answer."""
        asked = f"{request.method} {request.path}"
        operation = next((name for name, pattern in _patterns() if pattern.fullmatch(asked)), None)
        if operation is None:
            self.wrong.append(f"no such operation: {asked}")
            return
        self.heard[operation] += 1
        text = (
            request.body.decode()
            if request.method == "POST"
            else "&".join(f"{_quoted(k)}={_quoted(v)}" for k, v in request.query)
        )
        self._request(operation, decode(text), request)
        body = json.loads(response.body) if response.body else {}
        for one in body["data"] if body.get("object") == "list" else [body]:
            self._answer(operation, one)
        if body.get("object") == "list" and not {"data", "has_more", "url"} <= body.keys():
            self.wrong.append(f"{operation}: no list {sorted(body)}")

    def _request(self, operation: str, params: Any, request: Request) -> None:
        schema = _stripe()["requests"][operation]["schema"]
        told = coerce(params, schema, schema.get("$defs", {}))
        for error in _validator(operation).iter_errors(told):
            where = "/".join(map(str, error.absolute_path))
            if error.instance != "":  # an empty text unsets
                self.wrong.append(f"{operation} {where}: {error.message[:160]}")
        headers = request.headers
        if headers.get("stripe-version") != _stripe()["stripe_api_version"]:
            self.wrong.append(f"{operation}: version {headers.get('stripe-version')}")
        if request.method == "POST" and not 0 < len(headers.get("idempotency-key", "")) <= _LENGTHS["Idempotency-Key"]:
            self.wrong.append(f"{operation}: idempotency key {headers.get('idempotency-key')!r}")
        self._lengths(operation, told)

    def _lengths(self, operation: str, told: Any) -> None:
        data = told.get("metadata")
        for key, value in (data if isinstance(data, dict) else {}).items():
            if len(key) > 40 or len(value) > _LENGTHS["metadata"]:
                self.wrong.append(f"{operation}: metadata {key} is too long")
        for name, most in _LENGTHS.items():
            allowed = 1500 if (name, operation) == ("description", "POST /v1/invoices") else most
            if isinstance(told.get(name), str) and len(told[name]) > allowed:
                self.wrong.append(f"{operation}: {name} has {len(told[name])} characters")

    def _answer(self, operation: str, one: dict[str, Any]) -> None:
        validator = None if one.get("deleted") else _object(one.get("object", ""))
        shape = hashlib.sha256(json.dumps(one, sort_keys=True).encode()).digest()
        if validator is None or shape in _SOUND:
            return
        errors = list(validator.iter_errors(one))
        if not errors:
            _SOUND.add(shape)
        for error in errors:
            self.wrong.append(f"answer of {operation} {'/'.join(map(str, error.absolute_path))}: {error.message[:160]}")


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="[]")


# --- SAP ----------------------------------------------------------------------------------------------------------------


@cache
def _sap() -> Any:
    return json.loads(SAP.read_text())


class SapEar:
    """Listens to a simulated Service Layer; `wrong` is what does not stand in its metadata."""

    def __init__(self, version: str = "v2") -> None:
        self.version = version
        self.wrong: list[str] = []
        self.heard: Counter[str] = Counter()

    def __call__(self, request: Request, _response: Response) -> None:
        """Check one request."""
        found = re.fullmatch(rf"/b1s/{self.version}/([\w$]+)(\(.*\))?(/\w+)?", request.path)
        if found is None:
            self.wrong.append(f"no path of {self.version}: {request.path}")
            return
        name = found[1]
        self.heard[f"{request.method} {name}"] += 1
        if name in ("Login", "Logout") or name in _sap()["actions"]:
            return
        if name not in _sap()["entity_sets"]:
            self.wrong.append(f"no entity set {name}")
            return
        kind = _sap()["types"][_sap()["entity_sets"][name]["type"]]
        if request.method == "GET":
            self._query(name, kind, request)
        elif request.body:
            self._body(name, kind, json.loads(request.body))

    def _query(self, name: str, kind: dict[str, Any], request: Request) -> None:
        options = dict(request.query)
        if len(options) < len(request.query) or not all(key.startswith("$") for key in options):
            self.wrong.append(f"{name}: options {request.query}")
        plain = re.sub(r"'(?:[^']|'')*'", "", options.get("$filter", ""))
        fields = [word for word in re.findall(r"[A-Za-z_]\w*", plain) if word not in _WORDS]
        names = [
            *options.get("$select", "").split(","),
            *fields,
            *(part.split(" ")[0] for part in options.get("$orderby", "").split(",")),
        ]
        if not options.get("$select"):
            self.wrong.append(f"GET {request.path} without $select")
        for one in filter(None, names):
            if one not in kind["properties"] and not one.startswith("U_"):
                self.wrong.append(f"{name} has no {one}")
        for one in fields:
            if kind["properties"].get(one, {}).get("type", "").endswith("[]"):
                self.wrong.append(f"{name}: {one} is a collection and cannot be filtered")

    def _body(self, name: str, kind: dict[str, Any], body: dict[str, Any]) -> None:
        for key, value in body.items():
            known = kind["properties"].get(key)
            if known is None:
                if not key.startswith("U_"):
                    self.wrong.append(f"{name} has no {key}")
                continue
            if known.get("read_only"):
                self.wrong.append(f"{name}.{key} is read-only")
            self._value(f"{name}.{key}", known, value)

    def _value(self, where: str, known: dict[str, Any], value: Any) -> None:
        kind = known["type"]
        if kind.endswith("[]"):
            inner = _sap()["types"].get(kind[:-2])
            for row in value if inner else ():
                self._body(where, inner, row)
        elif kind in _sap()["enums"]:
            if value not in _sap()["enums"][kind]:
                self.wrong.append(f"{where}: {value!r} is no {kind}")
        elif not isinstance(value, _JSON_TYPES.get(kind, object)) or (isinstance(value, bool) and kind != "Boolean"):  # type: ignore[arg-type]
            self.wrong.append(f"{where}: {value!r} is no {kind}")
        most = known.get("max_length", {}).get("n")
        if most and len(str(value)) > most:
            self.wrong.append(f"{where}: {len(str(value))} characters, at most {most}")
