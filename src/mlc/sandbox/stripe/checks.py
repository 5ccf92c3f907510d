"""Parameters at the door: the bracket form becomes nested values, and each value is checked as strictly as Stripe does.

A check takes the raw value and the parameter's full name and returns the cleaned value; None means "unset".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from .errors import unacceptable
from .money import known
from .table import Span

Check = Callable[[Any, str], Any]
Fields = Mapping[str, Check]


def decode(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Turn `a[b][0][c]=v` pairs into nested dicts; lists stay dicts with digits as keys until a check makes them lists."""
    root: dict[str, Any] = {}
    for name, value in pairs:
        if not re.fullmatch(r"[^\[\]]+(\[[^\[\]]*\])*", name):
            raise unacceptable(f"Received unknown parameter: {name}", name, "parameter_unknown")
        head, _, rest = name.partition("[")
        parts = [head, *re.findall(r"([^\[\]]*)\]", rest)]
        cursor = root
        for part in parts[:-1]:
            inner = cursor.setdefault(part or str(len(cursor)), {})
            if not isinstance(inner, dict):
                raise unacceptable(f"Invalid hash: {name}", name, "parameter_invalid")
            cursor = inner
        last = parts[-1] or str(len(cursor))
        if isinstance(cursor.get(last), dict):
            raise unacceptable(f"Invalid string: {name}", name, "parameter_invalid")
        cursor[last] = value
    return root


def _scalar(value: Any, name: str, kind: str) -> str:
    if not isinstance(value, str):
        raise unacceptable(f"Invalid {kind}: {value!r}", name)
    return value


def _emptied(name: str) -> Exception:
    return unacceptable(
        f"You passed an empty string for '{name}'. We assume empty values are an attempt to unset a parameter; however "
        f"'{name}' cannot be unset. You should remove '{name}' from your request or supply a non-empty value.",
        name,
        "parameter_invalid_empty",
    )


def text(most: int = 5000, *, unset: bool = True) -> Check:
    """A text of at most `most` characters."""

    def check(value: Any, name: str) -> str | None:
        value = _scalar(value, name, "string")
        if not value:
            if unset:
                return None
            raise _emptied(name)
        if len(value) > most:
            raise unacceptable(f"Invalid string: {value[:10]}...{value[-10:]}; must be at most {most} characters", name)
        return str(value)

    return check


def ident() -> Check:
    """An id; it cannot be unset."""
    return text(255, unset=False)


def integer(low: int = -(2**53), high: int = 2**53, *, unset: bool = False) -> Check:
    """A whole number."""

    def check(value: Any, name: str) -> int | None:
        value = _scalar(value, name, "integer")
        if not value:
            if unset:
                return None
            raise _emptied(name)
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", value):
            raise unacceptable(f"Invalid integer: {value}", name, "parameter_invalid_integer")
        if int(value) < low:
            raise unacceptable(f"This value must be greater than or equal to {low}.", name, "parameter_invalid_integer")
        if int(value) > high:
            raise unacceptable(f"This value must be less than or equal to {high}.", name, "parameter_invalid_integer")
        return int(value)

    return check


def boolean(value: Any, name: str) -> bool:
    """Either `true` or `false`."""
    if value not in ("true", "false"):
        raise unacceptable(f"Invalid boolean: {value}", name)
    return bool(value == "true")


def choice(*names: str, unset: bool = False) -> Check:
    """One of a few words."""

    def check(value: Any, name: str) -> str | None:
        if value == "" and unset:
            return None
        if value not in names:
            raise unacceptable(f"Invalid {name}: must be one of {', '.join(names[:-1])} or {names[-1]}", name)
        return str(value)

    return check


def exactly(wanted: str) -> Check:
    """A parameter of which the simulator knows only this value."""

    def check(value: Any, name: str) -> None:
        if value != wanted:
            raise unacceptable(f"the simulator knows {name} only as {wanted!r}", name)

    return check


def currency(value: Any, name: str) -> str:
    """A currency Stripe supports."""
    return known(_scalar(value, name, "string"), name)


def email(value: Any, name: str) -> str | None:
    """An e-mail address of at most 512 characters."""
    address = text(512)(value, name)
    if address is not None and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s.]+", address):
        raise unacceptable(f"Invalid email address: {address}", name, "email_invalid")
    return None if address is None else str(address)


def decimal(places: int) -> Check:
    """A decimal number with at most `places` decimals."""

    def check(value: Any, name: str) -> Decimal:
        value = _scalar(value, name, "decimal")
        if not re.fullmatch(rf"-?[0-9]{{1,12}}(\.[0-9]{{1,{places}}})?", value):
            raise unacceptable(f"Invalid decimal: {value}; must have at most {places} decimal places", name)
        return Decimal(value)

    return check


def span(value: Any, name: str) -> Span:
    """A second, or a range of seconds with gt, gte, lt, lte."""
    if isinstance(value, str):
        exact = integer()(value, name)
        return Span(exact, exact)
    given = group({key: integer() for key in ("gt", "gte", "lt", "lte")})(value, name)
    step = {"gt": 1, "gte": 0, "lt": -1, "lte": 0}
    bounds = {key: second + step[key] for key, second in given.items()}
    lows = [second for key, second in bounds.items() if key[0] == "g"]
    highs = [second for key, second in bounds.items() if key[0] == "l"]
    return Span(max(lows, default=None), min(highs, default=None))


def metadata(value: Any, name: str) -> dict[str, str | None] | None:
    """Up to 50 texts under keys of up to 40 characters; an empty text removes its key, an empty whole removes all."""
    if value == "":
        return None
    if not isinstance(value, dict):
        raise unacceptable("Invalid hash: metadata must be a hash of texts", name)
    for key, inner in value.items():
        if not isinstance(inner, str):
            raise unacceptable(f"Invalid string: metadata values must be texts, {key} is not", f"{name}[{key}]")
        if len(key) > 40:
            raise unacceptable(f"Metadata keys can have up to 40 characters: {key[:50]}", name)
        if len(inner) > 500:
            raise unacceptable(
                f"Metadata values can have up to 500 characters, but you passed in a value that is {len(inner)} "
                f"characters. Invalid value: {inner[:10]}...",
                f"{name}[{key}]",
            )
    if len(value) > 50:
        raise unacceptable("Metadata can have up to 50 keys", name)
    return {key: inner or None for key, inner in value.items()}


def listing(each: Check, most: int = 1000, *, unset: bool = False) -> Check:
    """A list; `most` is its greatest length."""

    def check(value: Any, name: str) -> list[Any] | None:
        if value == "":
            if unset:
                return None
            raise _emptied(name)
        if not isinstance(value, dict) or not all(key.isdigit() for key in value):
            raise unacceptable(f"Invalid array: {name}", name)
        if len(value) > most:
            raise unacceptable(f"Array {name} exceeded maximum {most} allowed elements.", name)
        return [each(value[key], f"{name}[{key}]") for key in sorted(value, key=int)]

    return check


def group(fields: Fields, *required: str, unset: bool = False) -> Check:
    """A hash with exactly these keys, `required` among them."""

    def check(value: Any, name: str) -> dict[str, Any] | None:
        if value == "" and unset:
            return None
        if not isinstance(value, dict):
            raise unacceptable(f"Invalid hash: {name}", name)
        return clean(value, fields, required, name)

    return check


def clean(value: dict[str, Any], fields: Fields, required: Iterable[str] = (), name: str = "") -> dict[str, Any]:
    """Check the keys and values of one hash; refuses what is unknown and what is missing."""
    known_value: dict[str, Any] = {}
    for key, inner in value.items():
        full = f"{name}[{key}]" if name else key
        if key not in fields:
            raise unacceptable(f"Received unknown parameter: {full}", full, "parameter_unknown")
        known_value[key] = fields[key](inner, full)
    for key in required:
        full = f"{name}[{key}]" if name else key
        if key not in value:
            raise unacceptable(f"Missing required param: {full}.", full, "parameter_missing")
        if value[key] == "":
            raise _emptied(full)
    return known_value


PAGING: Fields = {"limit": integer(1, 100), "starting_after": ident(), "ending_before": ident()}
EXPAND: Fields = {"expand": listing(text(255, unset=False), 50)}
ADDRESS: Check = group({key: text(5000) for key in ("city", "country", "line1", "line2", "postal_code", "state")}, unset=True)
