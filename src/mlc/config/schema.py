"""Walks the settings' models by key names, for suggestions and for environment variables."""

from __future__ import annotations

import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from mlc.config.models import Settings


def shape(annotation: Any) -> Any:
    """Return the model or dict type inside an annotation (`X | None`, `tuple[X, ...]`), None for a single value."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    origin = get_origin(annotation)
    if origin is dict:
        return annotation
    if origin in {Union, types.UnionType, Annotated, tuple}:
        return next((found for part in get_args(annotation) if (found := shape(part)) is not None), None)
    return None


def is_model(kind: Any) -> bool:
    """Tell whether a shape is a block with fixed keys."""
    return isinstance(kind, type)


def keys(kind: Any) -> list[str]:
    """Return the key names a block or map is known to take; empty where they are free."""
    if is_model(kind):
        return list(kind.model_fields)
    if kind is None:
        return []
    allowed = get_args(kind)[0]
    return list(get_args(allowed)) if get_origin(allowed) is Literal else []


def inside(kind: Any, key: str) -> Any:
    """Return the shape under a key of a block or map."""
    if is_model(kind):
        known = kind.model_fields.get(key)
        return shape(known.annotation) if known else None
    return shape(get_args(kind)[1]) if kind is not None else None


def at(loc: tuple[str | int, ...]) -> Any:
    """Return the shape at a place of the configuration."""
    kind: Any = Settings
    for part in loc:
        kind = kind if isinstance(part, int) else inside(kind, part)
    return kind
