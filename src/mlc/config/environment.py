"""Lays environment variables such as MLC_STATE or MLC_TENANTS__acme__SAP__URL over what the file says."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from mlc.config import schema
from mlc.config.document import Loc
from mlc.config.models import Settings
from mlc.config.references import SecretRef
from mlc.config.values import FromEnvironment, looks_secret, suggest

PREFIX = "MLC_"
HOOK_VARIABLES = ("MLC_TENANT", "MLC_COMMAND", "MLC_EXIT_CODE", "MLC_RUN_ID", "MLC_MESSAGE")  # told to on_failure commands
RESERVED = {"MLC_CONFIG", *HOOK_VARIABLES}


class _NoSuchSettingError(Exception):
    """A variable that names nothing; its text says what and how to mend it."""


def overlay(data: dict[str, Any], environ: Mapping[str, str]) -> tuple[dict[Loc, str], list[tuple[str, str]]]:
    """Put the variables into `data`; return which variable set which place, and (variable, trouble) pairs."""
    origins: dict[Loc, str] = {}
    troubles: list[tuple[str, str]] = []
    skipped = RESERVED | set(referred(data)) | {value for name, value in environ.items() if name.upper().endswith("__ENV")}
    for variable in sorted(environ):
        value = environ[variable]
        if not variable.startswith(PREFIX) or variable in skipped or not value:
            continue
        if not _is_ours(variable):
            continue
        try:
            loc = _locate(data, variable[len(PREFIX) :].split("__"), value)
        except _NoSuchSettingError as trouble:
            troubles.append((variable, str(trouble)))
            continue
        if loc in origins:
            troubles.append((variable, f"sets the same as {origins[loc]}; keep one of the two"))
            continue
        _put(data, loc, value)
        origins[loc] = variable
    return origins, troubles


def _is_ours(variable: str) -> bool:
    """Tell whether a variable means a setting of ours, rightly spelled or nearly: others may use the prefix as well."""
    first = _folded(variable[len(PREFIX) :].split("__", maxsplit=1)[0])
    known = list(Settings.model_fields)
    return "__" in variable or first in known or bool(difflib.get_close_matches(first, known, n=1))


def referred(data: Any) -> Iterator[str]:
    """Yield the variables that {env: NAME} references read; they are secrets and no settings."""
    if isinstance(data, dict):
        if isinstance(name := data.get("env"), str):
            yield name
        for value in data.values():
            yield from referred(value)
    elif isinstance(data, list):
        for value in data:
            yield from referred(value)


def _folded(name: str) -> str:
    return name.lower().replace("-", "_")


def _locate(data: dict[str, Any], segments: list[str], value: str) -> Loc:
    """Return the place a variable means, with the key names as the file spells them."""
    kind: Any = Settings
    node: Any = data
    loc: Loc = ()
    for segment in segments:
        if kind is None:
            raise _NoSuchSettingError(f"{_dotted(loc)} is a single value without parts; set it by its own name")
        if node is not None and not isinstance(node, dict) and kind is not SecretRef:
            raise _NoSuchSettingError(f"{_dotted(loc)} is a single value in the file; set it by its own name")
        key = _key(kind, node if isinstance(node, dict) else {}, segment)
        loc = (*loc, key)
        node = node.get(key) if isinstance(node, dict) else None
        kind = schema.inside(kind, key)
    if kind is SecretRef:
        raise _NoSuchSettingError(f"{_dotted(loc)} is a secret; write {loc[-1]}: {{env: NAME}} into the file and set NAME")
    if schema.is_model(kind):
        raise _NoSuchSettingError(f"{_dotted(loc)} is a block; add __ and one of {', '.join(schema.keys(kind))}")
    if looks_secret(value):
        raise _NoSuchSettingError(
            "its value looks like a secret; refer to secrets by {env: NAME} under their own key in the file"
        )
    return loc


def _key(kind: Any, node: dict[str, Any], segment: str) -> str:
    known = schema.keys(kind) or list(node)
    if segment in known:
        return segment
    matches = [name for name in known if _folded(name) == _folded(segment)]
    if len(matches) > 1:
        raise _NoSuchSettingError(f"could mean {' or '.join(matches)}; spell it as the file does")
    if matches:
        return matches[0]
    if schema.keys(kind) or schema.is_model(schema.inside(kind, segment)):
        raise _NoSuchSettingError(f'there is no setting "{segment.lower()}" here; {suggest(segment, known)}')
    return segment


def _put(data: dict[str, Any], loc: Loc, value: str) -> None:
    node: Any = data
    for part in loc[:-1]:
        if not isinstance(node.get(part), dict):
            node[part] = {}
        node = node[part]
    if schema.at(loc[:-1]) is SecretRef:
        node.clear()
    node[loc[-1]] = None if value == "null" else FromEnvironment(value)


def _dotted(loc: Loc) -> str:
    return ".".join(map(str, loc))
