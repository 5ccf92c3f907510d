"""What a property is: its kind, its length, whether it can be written, and where its value is found in a record."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from functools import cache
from operator import attrgetter
from typing import Any

from mlc.sandbox.sap.errors import SapError, invalid_property, not_valid, too_long
from mlc.sandbox.sap.switches import SapSwitches
from mlc.sandbox.sap.tables import ENUMS, TYPES, USER_FIELDS_OF, WEBHOOK_ENUMS, WEBHOOK_TYPES

NUMERIC = frozenset({"int", "number"})
MEMBERS = ENUMS | WEBHOOK_ENUMS
USER_FIELD_LENGTH = 100
_TOKEN = re.compile(r"(?P<name>\w+):(?P<kind>\[?\w+\]?)(?P<ro>!?)(?:=(?P<attr>\w+))?")
_USER_TABLE = "Code:s50=key Name:s100"
_LARGEST = Decimal(10) ** 15
_SHORT = {"i": "int", "n": "number", "d": "date", "t": "time", "yn": "BoYesNoEnum", "s": "text"}


@dataclass(frozen=True, slots=True)
class Prop:
    """One property: `kind` is text, int, number, date, time, enum or many (a collection of `type_name`)."""

    name: str
    kind: str
    get: Callable[[Any], Any]
    read_only: bool = False
    size: int = 0
    type_name: str = ""
    attr: str = ""


@dataclass(frozen=True, slots=True)
class EntityType:
    """A named set of properties."""

    name: str
    props: Mapping[str, Prop]
    scalars: tuple[str, ...] = field(default=())

    def prop(self, name: str) -> Prop:
        """Return a property; raises the refusal for an unknown one."""
        found = self.props.get(name)
        if found is None:
            raise invalid_property(name, self.name)
        return found


class Schema:
    """The types of one company: the standard ones, less what its version lacks, plus its user fields."""

    def __init__(self, switches: SapSwitches) -> None:
        self.switches = switches
        known = {name: text for name, text in TYPES.items() if switches.webhooks != "absent" or name not in WEBHOOK_TYPES}
        if switches.webhooks != "absent":
            known["AdminInfo"] += " EnableWebhook:yn"
        self.types = {name: self._type(name, text) for name, text in known.items()}
        for name in switches.user_tables:
            self.types[name] = self._type(name, _USER_TABLE)

    def _type(self, name: str, text: str) -> EntityType:
        props = {one.name: one for one in map(_prop, text.split())}
        if name == "Document" and not self.switches.has_paid_to_date:
            props = {key: one for key, one in props.items() if not key.startswith("PaidToDate")}
        for column in sorted(self.switches.user_fields):
            table, _, field_name = column.partition(".")
            if table == USER_FIELDS_OF.get(name, "@" + name.removeprefix("U_")):
                props[field_name] = Prop(field_name, "text", _stored(field_name, None), size=USER_FIELD_LENGTH)
        return EntityType(name, props, tuple(key for key, one in props.items() if one.kind != "many"))

    # --- writing --------------------------------------------------------------------------------------------------
    def read_body(self, type_name: str, body: Any) -> dict[str, Any]:
        """Check a JSON object against a type: unknown names, wrong kinds and long texts are refused, read-only ones dropped."""
        kind = self.types[type_name]
        if not isinstance(body, dict):
            raise SapError(-1004, f"The request body is not a '{type_name}'")
        result: dict[str, Any] = {}
        for name, value in body.items():
            if name.startswith(("odata.", "@odata.")):
                continue
            prop = kind.prop(name)
            if prop.read_only or value is None:
                continue
            result[name] = self._value(prop, type_name, value)
        return result

    def _value(self, prop: Prop, type_name: str, value: Any) -> Any:
        if prop.kind == "many":
            if not isinstance(value, list):
                raise not_valid(prop.name, value)
            return [self.read_body(prop.type_name, one) for one in value]
        if prop.kind == "text":
            if not isinstance(value, str):
                raise not_valid(prop.name, value)
            if prop.size and len(value) > prop.size:
                raise too_long(prop.name, type_name)
            return value
        if prop.kind in NUMERIC:
            return _number(prop, value)
        if not isinstance(value, str):
            raise not_valid(prop.name, value)
        if prop.kind == "enum":
            return enum_member(prop, value)
        parsed = parse_date(value) if prop.kind == "date" else parse_time(value)
        if parsed is None:
            raise not_valid(prop.name, value)
        return parsed

    # --- reading --------------------------------------------------------------------------------------------------
    def render(self, type_name: str, record: Any, version: str, names: Iterable[str] | None = None) -> dict[str, Any]:
        """Write a record as JSON; without `names` everything it has, collections included."""
        kind = self.types[type_name]
        return {name: self._written(kind.props[name], record, version) for name in (names or kind.props)}

    def _written(self, prop: Prop, record: Any, version: str) -> Any:
        value = prop.get(record)
        if prop.kind == "many":
            return [self.render(prop.type_name, Row(one) if isinstance(one, dict) else one, version) for one in value or ()]
        if value is None:
            return None
        if prop.kind == "number":
            return plain(value)
        if prop.kind == "date":
            value = parse_date(value) if isinstance(value, str) else value
            return f"{value:%Y-%m-%d}T00:00:00Z" if version == "v2" else f"{value:%Y-%m-%d}"
        if prop.kind == "time":
            return f"{self.shown_time(value):%H:%M:%S}"
        return value

    def shown_time(self, value: time) -> time:
        """Return a time as precise as this server keeps it."""
        return value if self.switches.update_time_has_seconds else value.replace(second=0)


class Row:
    """A record made of property names alone, for nested rows."""

    __slots__ = ("fields",)

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self.fields = fields


@cache
def _prop(token: str) -> Prop:
    hit = _TOKEN.fullmatch(token)
    assert hit, f"bad property {token}"
    name, short, read_only, attr = hit["name"], hit["kind"], bool(hit["ro"]), hit["attr"] or ""
    if short.startswith("["):
        return Prop(name, "many", _getter(name, attr, ()), read_only, type_name=short.strip("[]"), attr=attr)
    size = int(short[1:]) if re.fullmatch(r"s\d+", short) else 0
    kind = "text" if size else _SHORT.get(short, short)
    if kind in ("text", "int", "date", "time"):
        return Prop(name, kind, _getter(name, attr, None), read_only, size, attr=attr)
    if kind == "number":
        return Prop(name, kind, _getter(name, attr, Decimal(0)), read_only, attr=attr)
    default = "tNO" if kind == "BoYesNoEnum" else None
    assert kind in MEMBERS, f"no such enum: {kind}"
    return Prop(name, "enum", _getter(name, attr, default), read_only, type_name=kind, attr=attr)


def _getter(name: str, attr: str, default: Any) -> Callable[[Any], Any]:
    return attrgetter(attr) if attr else _stored(name, default)


def _stored(name: str, default: Any) -> Callable[[Any], Any]:
    return lambda record: record.fields.get(name, default)


def plain(value: Decimal | int) -> Decimal:
    """Write an amount the way Edm.Double is written: no trailing zeros, but at least one decimal."""
    amount = Decimal(value).normalize()
    return amount.quantize(Decimal("0.1")) if amount == amount.to_integral_value() else amount


def enum_member(prop: Prop, value: str) -> str:
    """Return the member an enum value means, by name or database code."""
    members = MEMBERS[prop.type_name]
    if value in members:
        return value
    for member, code in members.items():
        if code == value:
            return member
    raise not_valid(prop.name, value)


def _number(prop: Prop, value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise not_valid(prop.name, value)
    try:
        amount = Decimal(value)
    except InvalidOperation:
        raise not_valid(prop.name, value) from None
    if not amount.is_finite() or abs(amount) >= _LARGEST or (prop.kind == "int" and amount != amount.to_integral_value()):
        raise not_valid(prop.name, value)
    return int(amount) if prop.kind == "int" else amount


def parse_date(text: str) -> date | None:
    """Read 2026-05-02, 20260502, or either with a time part that is ignored."""
    hit = re.fullmatch(r"(\d{4})-?(\d{2})-?(\d{2})(?:[T ][\d:.]+(?:Z|[+-]\d{2}:?\d{2})?)?", text)
    try:
        return date(int(hit[1]), int(hit[2]), int(hit[3])) if hit else None
    except ValueError:
        return None


def parse_time(text: str) -> time | None:
    """Read 18:38:00, 18:38 or 183800."""
    for pattern in ("%H:%M:%S", "%H:%M", "%H%M%S"):
        try:
            return datetime.strptime(text, pattern).time()  # noqa: DTZ007 a time of day has no zone
        except ValueError:
            continue
    return None
