"""Reads YAML into plain data and remembers the line and column of every key."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from mlc.config.values import looks_secret

Loc = tuple[str | int, ...]
Position = tuple[int, int]
_NUMBER = re.compile(r"[-+]?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?")
_MOST = 100_000  # values; a configuration of a thousand tenants has half of them
_TAG = "tag:yaml.org,2002:"
_TEXT_TAGS = {_TAG + name for name in ("str", "int", "float", "timestamp", "value")}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where by keys, what in words, and the place where the keys do not tell it."""

    loc: Loc
    text: str
    position: Position | None = None


@dataclass(slots=True)
class Document:
    """What a file says (texts, booleans, null, lists, maps), where each key stands, and what is wrong with it."""

    data: Any = None
    positions: dict[Loc, Position] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)  # the text itself, to show where a problem is

    def position(self, loc: Loc) -> Position:
        """Return the place of a key, or of the nearest key around it."""
        path: Loc = ()
        for part in loc:
            if (*path, part) in self.positions:
                path = (*path, part)
        return self.positions.get(path, (1, 1))


def read(raw: bytes) -> Document:
    """Read one YAML document; whatever is wrong with it stands in `problems`."""
    document = _read(raw)
    document.lines = re.split(r"\r\n|\r|\n|\x85|\u2028|\u2029", raw.decode("utf-8-sig", "replace"))  # YAML's own line breaks
    return document


def _read(raw: bytes) -> Document:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = _place(raw[: error.start].decode("utf-8", "replace"))
        return _unreadable("is not UTF-8 text; save the file as UTF-8", place)
    document = Document()
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is None:
            document.problems.append(Problem((), "the file is empty; `mlc init` writes one to start from"))
        elif not isinstance(node, yaml.MappingNode):
            document.problems.append(Problem((), "must be keys and values; write `key: value` lines", _mark(node)))
        else:
            document.data = _Builder(document).value(node, ())
    except yaml.MarkedYAMLError as error:
        began = error.context_mark if "end of stream" in (error.problem or "") else None
        mark = began or error.problem_mark or error.context_mark
        return _unreadable(_syntax(error), (mark.line + 1, mark.column + 1) if mark else None)
    except yaml.reader.ReaderError as error:
        return _unreadable("has a control character; take it out", _place(text[: error.position]))
    except _UnfoldsError:
        return _unreadable("unfolds to far too many values by its aliases (*); write the values out", None)
    except RecursionError:
        return _unreadable("is nested too deeply; write it flatter", None)
    except (ValueError, OverflowError):
        return _unreadable("has an escape (\\U...) that is no character; write the character itself", None)
    return document


def _unreadable(text: str, position: Position | None) -> Document:
    return Document(problems=[Problem((), text, position)])


def _place(before: str) -> Position:
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def _mark(node: yaml.Node) -> Position:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _syntax(error: yaml.MarkedYAMLError) -> str:
    """Return the parser's words without any text of the file, which could be a secret."""
    problem = error.problem or "is no YAML"
    if "'\\t'" in problem or "tab" in problem:
        return "a tab stands where YAML wants spaces; indent by spaces"
    if "undefined alias" in problem:
        return "an alias (*) refers to nothing; put a value that begins with * in quotes"
    if "single document" in (error.context or ""):
        return "a second document begins here; keep one document and take out the line `---`"
    words = re.sub(r"'[^']{2,}'|\"[^\"]{2,}\"", "...", problem)
    return f"is no YAML ({words}); look at the indentation, quotes and colons here and in the line above"


class _UnfoldsError(Exception):
    """Aliases of aliases: a few lines that stand for millions of values."""


class _Builder:
    """Turns the nodes of one document into data, noting positions and problems on the way."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.above: list[yaml.Node] = []
        self.built = 0

    def problem(self, loc: Loc, text: str, node: yaml.Node) -> None:
        self.document.problems.append(Problem(loc, text, _mark(node)))

    def value(self, node: yaml.Node, loc: Loc) -> Any:
        self.built += 1
        if self.built > _MOST:
            raise _UnfoldsError
        if any(node is other for other in self.above):
            self.problem(loc, "an alias refers to what it stands in; write the value out", node)
            return None
        self.above.append(node)
        try:
            if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
                return self.mapping(node, loc)
            if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
                return [self.item(child, (*loc, index)) for index, child in enumerate(node.value)]
            if isinstance(node, yaml.ScalarNode):
                return self.scalar(node, loc)
            self.problem(loc, "has a YAML tag (!...) that is not used here; take it out", node)
        finally:
            self.above.pop()
        return None

    def item(self, node: yaml.Node, loc: Loc) -> Any:
        self.document.positions[loc] = _mark(node)
        return self.value(node, loc)

    def scalar(self, node: yaml.ScalarNode, loc: Loc) -> Any:
        text = str(node.value)
        if node.tag == f"{_TAG}null":
            return None
        if node.tag == f"{_TAG}bool":
            return text.lower() in {"true", "yes", "on"}
        if node.tag not in _TEXT_TAGS:
            self.problem(loc, "has a YAML tag (!...) that is not used here; put a value that begins with ! in quotes", node)
        elif node.tag in {f"{_TAG}int", f"{_TAG}float"} and not _NUMBER.fullmatch(text):
            self.problem(loc, "YAML reads this as another number than it looks (leading 0, colon or _); put it in quotes", node)
        return text

    def mapping(self, node: yaml.MappingNode, loc: Loc) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key, child, merged in self.entries(node, loc):
            if not isinstance(key, yaml.ScalarNode):
                self.problem(loc, "a key must be a single word; write `key: value`", key)
                continue
            name = str(key.value)
            here = (*loc, name)
            if name in out:
                if not merged:
                    first = self.document.positions[here][0]
                    shown = () if looks_secret(name) else here
                    self.problem(shown, f"stands here a second time (first in line {first}); keep one of the two", key)
                continue
            self.document.positions[here] = _mark(key)
            out[name] = self.value(child, here)
        return out

    def entries(self, node: yaml.MappingNode, loc: Loc) -> Iterator[tuple[yaml.Node, yaml.Node, bool]]:
        """Yield the own entries first, then those merged in by `<<`, which never win."""
        merges: list[yaml.Node] = []
        for key, child in node.value:
            if key.tag == f"{_TAG}merge":
                merges += child.value if isinstance(child, yaml.SequenceNode) else [child]
            else:
                yield key, child, False
        for source in merges:
            if not isinstance(source, yaml.MappingNode) or any(source is other for other in self.above):
                self.problem(loc, "<< must name a map defined above it; write `<<: *name`", source)
                continue
            self.above.append(source)
            for key, child, _merged in self.entries(source, loc):
                yield key, child, True
            self.above.pop()
