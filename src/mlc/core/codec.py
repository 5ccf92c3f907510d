"""Frozen dataclasses to JSON and back, exactly: the journal keeps commands and facts as text."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar, get_args, get_origin

T = TypeVar("T")


def encode(value: Any) -> Any:
    """Return the JSON form of a dataclass tree; decimals and dates become text, tuples lists, defaults stay away."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: encode(getattr(value, field.name))
            for field in dataclasses.fields(value)
            if getattr(value, field.name) != field.default
        }
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    if isinstance(value, dict):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


def decode(kind: type[T], data: Any) -> T:
    """Return the dataclass of type `kind` from its JSON form; raises TypeError or ValueError where it does not fit."""
    hints = _hints(kind)  # type: ignore[arg-type]  # a class is hashable
    fields = {name: _value(hints[name], item) for name, item in data.items() if name in hints}
    return kind(**fields)


def cleaned(value: Any, clean: Callable[[str], str]) -> Any:
    """Return a JSON value with every text in it cleaned; figures and the names of fields stay as they are."""
    if isinstance(value, dict):
        return {key: cleaned(inner, clean) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [cleaned(inner, clean) for inner in value]
    return clean(value) if isinstance(value, str) else value


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _value(hint: Any, data: Any) -> Any:
    origin = get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        options = [option for option in get_args(hint) if option is not type(None)]
        return None if data is None else _value(options[0], data)
    if origin is tuple:
        inner = get_args(hint)
        if len(inner) == 2 and inner[1] is Ellipsis:
            return tuple(_value(inner[0], item) for item in data)
        return tuple(_value(part, item) for part, item in zip(inner, data, strict=True))
    if hint is Decimal:
        return Decimal(data)
    if hint in (datetime, date):
        return hint.fromisoformat(data)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return decode(hint, data)
    return data
