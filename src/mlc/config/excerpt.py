"""Shows the line of a file that a problem is about, without anything that could be a secret.

Only the key is shown, and the value of a key that is known and holds none: a password under a misspelt key, or beside the wrong key in
the same line, must not reach a screen or a log.
"""

from __future__ import annotations

import re
from typing import Any, get_args

from mlc.config import schema
from mlc.config.document import Document, Loc
from mlc.config.models import Settings
from mlc.config.references import OneOf
from mlc.config.values import looks_secret, mask

_WIDTH = 100
_KEY = re.compile(r"(\s*(?:- )?['\"]?([\w.-]+)['\"]?\s*:)(\s.*|$)")
_NO_PLAIN_VALUE = ("{", "[", "&", "*", "!", "|", ">")
_USER_IN_ADDRESS = re.compile(r"//[^/\s]*@")


def excerpt(read: Document, place: tuple[int, int], loc: Loc) -> list[str]:
    """Return the offending line and a mark below its column; nothing where the line may only show a secret."""
    number, column = place
    if not 0 < number <= len(read.lines):
        return []
    line = read.lines[number - 1]
    text = _of_key(line, column, loc) if loc else _of_no_document(line, column)
    if text is None:
        return []
    shown, at = text
    margin = " " * len(str(number))
    return [f"    {number} | {shown[:_WIDTH]}", f"    {margin} | {' ' * min(at, _WIDTH)}^"]


def _of_key(line: str, column: int, loc: Loc) -> tuple[str, int] | None:
    """Return the key at a column, with its value where that may be shown, and where the key now stands."""
    before, rest = line[: column - 1], line[column - 1 :]
    lead = _flat(before) if not before.strip(" \t-") else f"{_flat(before[: len(before) - len(before.lstrip())])}... "
    if isinstance(loc[-1], int):  # an entry of a list
        return f"{lead}{_value(rest, alone=bool(lead.endswith('... '))) if _open(loc[:-1]) else '...'}", len(lead)
    if looks_secret(str(loc[-1])) or " " in str(loc[-1]):
        return None
    found = re.match(r"['\"]?" + re.escape(str(loc[-1])) + r"['\"]?\s*:(?=\s|$)", rest)
    if found is None:  # the nearest key around it, or a key written in another way
        found = re.match(r"['\"]?[\w.-]+['\"]?\s*:(?=\s|$)", rest)
        return (f"{lead}{mask(found[0])}{' ...' if rest[found.end() :].strip() else ''}", len(lead)) if found else None
    value = rest[found.end() :].strip()
    if value and not _open(loc):
        value = "..."
    return f"{lead}{_flat(found[0])} {_value(value, alone=lead.endswith('... '))}".rstrip(), len(lead)


def _of_no_document(line: str, column: int) -> tuple[str, int] | None:
    """Return the key of a line of a file that is no YAML: who knows what its value is."""
    found = _KEY.match(line)
    if found is None or found[2] not in _words():
        return None
    at = column - 1 if column - 1 <= len(found[1]) else len(found[1]) + 1
    return f"{_flat(found[1])}{' ...' if found[3].strip() else ''}", at


def _value(text: str, *, alone: bool) -> str:
    """Return a value as it may be shown; `alone` where other keys of the same line follow it."""
    value = re.split(r"(?:^|\s)#", text.strip())[0].strip()
    if alone:
        value = re.split(r"[,}\]]", value)[0]
    if value.startswith(_NO_PLAIN_VALUE):
        return "..."
    return _flat(mask(_USER_IN_ADDRESS.sub("//***@", value)))


def _open(loc: Loc) -> bool:
    """Tell whether a key is known and neither it nor a key around it holds a secret."""
    kinds: list[Any] = [schema.at(loc[:end]) for end in range(1, len(loc) + 1)]
    if any(isinstance(kind, type) and issubclass(kind, OneOf) for kind in kinds):
        return False
    around = schema.at(loc[:-1])
    if schema.is_model(around):
        return loc[-1] in around.model_fields
    return around is not None and schema.shape(get_args(around)[1]) is None


def _flat(text: str) -> str:
    """Return a text in which every character takes one column."""
    return "".join(one if one.isprintable() else " " for one in text)


def _words(kind: Any = Settings, seen: frozenset[Any] = frozenset()) -> set[str]:
    """Return every key name that the configuration knows."""
    if kind is None or kind in seen:
        return set()
    if not schema.is_model(kind):
        return set(schema.keys(kind)) | _words(schema.shape(get_args(kind)[1]), seen)
    inner = [_words(schema.inside(kind, name), seen | {kind}) for name in kind.model_fields]
    return set(kind.model_fields).union(*inner)
