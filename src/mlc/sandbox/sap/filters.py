"""The $filter language: a strict parser that turns a text into one test of a record, and bounds of the key it implies."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, time
from decimal import Decimal
from typing import Any

from mlc.sandbox.sap.errors import SapError, bad_query, invalid_property
from mlc.sandbox.sap.schema import EntityType, Prop, enum_member, parse_date, parse_time
from mlc.sandbox.sap.switches import SapSwitches

Test = Callable[[Any], bool]
_TOKENS = re.compile(
    r"\s*(?:(?P<date>datetime'[^']*'|\d{4}-\d{2}-\d{2}(?:T[\d:.]+Z?)?)|(?P<string>'(?:[^']|'')*')"
    r"|(?P<number>-?\d+(?:\.\d+)?)(?![\w.])|(?P<name>[A-Za-z_]\w*(?:/\w+)*)|(?P<mark>[(),]))"
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq, "ne": operator.ne, "gt": operator.gt, "ge": operator.ge, "lt": operator.lt, "le": operator.le,
}  # fmt: skip
_MIRROR = {"eq": "eq", "ne": "ne", "gt": "lt", "ge": "le", "lt": "gt", "le": "ge"}
_FUNCTIONS = frozenset({"startswith", "endswith", "contains", "substringof"})
_DEEP = 100


@dataclass(slots=True)
class Node:
    """A test and what is known about it: an equality on one property, or bounds of the key."""

    test: Test
    equals: tuple[Prop, frozenset[Any]] | None = None
    low: int | None = None
    keys: frozenset[Any] | None = None


@dataclass(slots=True)
class Filter:
    """A parsed $filter: `test`, and where rows can be found without looking at all of them."""

    test: Test
    low: int | None = None
    keys: frozenset[Any] | None = None


@dataclass(slots=True)
class _Token:
    kind: str
    text: str


@dataclass(slots=True)
class Parser:
    """Parses one $filter for one entity set."""

    set_name: str
    kind: EntityType
    key: str
    version: str
    switches: SapSwitches
    tokens: list[_Token] = field(default_factory=list)
    position: int = 0
    depth: int = 0

    def parse(self, text: str) -> Filter:
        """Parse a filter; raises the refusal for anything that is not understood."""
        self.tokens, self.position = _tokens(text), 0
        node = self._or()
        if self.position != len(self.tokens):
            raise bad_query(f"Invalid filter: unexpected '{self.tokens[self.position].text}'")
        return Filter(node.test, node.low, node.keys)

    # --- grammar --------------------------------------------------------------------------------------------------
    def _peek(self) -> _Token:
        return self.tokens[self.position] if self.position < len(self.tokens) else _Token("end", "end of the text")

    def _next(self) -> _Token:
        token = self._peek()
        self.position += 1
        return token

    def _word(self, word: str) -> bool:
        token = self._peek()
        if (token.kind, token.text) == ("name", word):
            self.position += 1
            return True
        return False

    def _expect(self, mark: str) -> None:
        token = self._next()
        if token.text != mark or token.kind != "mark":
            raise bad_query(f"Invalid filter: '{mark}' expected, '{token.text}' found")

    def _deeper(self) -> None:
        self.depth += 1
        if self.depth > _DEEP:
            raise bad_query("Invalid filter: too deeply nested")

    def _or(self) -> Node:
        self._deeper()
        parts = [self._and()]
        while self._word("or"):
            parts.append(self._and())
        self.depth -= 1
        return parts[0] if len(parts) == 1 else _any(parts, self.key)

    def _and(self) -> Node:
        parts = [self._not()]
        while self._word("and"):
            parts.append(self._not())
        return parts[0] if len(parts) == 1 else _all(parts)

    def _not(self) -> Node:
        if self._word("not"):
            self._deeper()
            test = self._not().test
            self.depth -= 1
            return Node(lambda record: not test(record))
        if self._peek().text == "(" and self._peek().kind == "mark":
            self._next()
            node = self._or()
            self._expect(")")
            return node
        return self._comparison()

    def _comparison(self) -> Node:
        first = self._next()
        if first.kind == "name" and first.text in _FUNCTIONS and self._peek().text == "(":
            return self._function(first.text)
        sign = self._next()
        if sign.kind != "name" or sign.text not in _COMPARE:
            raise bad_query(f"Invalid filter: an operator is expected, '{sign.text}' found")
        second = self._next()
        if first.kind == "name" and first.text != "null":
            return self._test(self._prop(first.text), sign.text, second)
        if second.kind == "name" and second.text != "null":
            return self._test(self._prop(second.text), _MIRROR[sign.text], first)
        raise bad_query("Invalid filter: a property is expected")

    def _function(self, name: str) -> Node:
        self._expect("(")
        first = self._next()
        self._expect(",")
        second = self._next()
        self._expect(")")
        needle, haystack = (first, second) if name == "substringof" else (second, first)
        if haystack.kind != "name" or needle.kind != "string":
            raise bad_query(f"Invalid filter: {name} takes a property and a text")
        prop = self._prop(haystack.text)
        if prop.kind != "text":
            raise bad_query(f"Invalid filter: {name} needs a text property, '{prop.name}' is none")
        if self._word("eq") and not self._word("true"):
            raise bad_query(f"Invalid filter: {name} can only be compared with true")
        word, get, fold = self._fold(_unquoted(needle.text)), prop.get, self._fold
        if name == "startswith":
            node = Node(lambda record: fold(get(record) or "").startswith(word))
        elif name == "endswith":
            node = Node(lambda record: fold(get(record) or "").endswith(word))
        else:
            node = Node(lambda record: word in fold(get(record) or ""))
        return self._quirk(prop, node)

    def _fold(self, text: str) -> str:
        return text.casefold() if self.switches.case_insensitive else text

    def _prop(self, name: str) -> Prop:
        prop = self.kind.props.get(name)
        if prop is None:
            if self.switches.unknown_filter_code == 201:
                raise bad_query(f"Invalid filter: property '{name}' of '{self.kind.name}' is unknown")
            raise invalid_property(name, self.kind.name)
        if prop.kind == "many":
            raise bad_query(f"Invalid filter: '{name}' is a collection")
        if name in ("Original", "OriginalJournal") and not self.switches.original_filters:
            raise bad_query(f"Invalid filter: '{name}' cannot be filtered")
        return prop

    # --- comparisons ----------------------------------------------------------------------------------------------
    def _test(self, prop: Prop, sign: str, token: _Token) -> Node:
        get, compare = prop.get, _COMPARE[sign]
        if (token.kind, token.text) == ("name", "null"):
            if sign not in ("eq", "ne"):
                raise bad_query("Invalid filter: null can only be compared by eq and ne")
            return Node(lambda record: (get(record) is None) == (sign == "eq"))
        wanted = self._literal(prop, token)
        node = Node(lambda record: (value := get(record)) is not None and compare(value, wanted))
        if prop.kind == "text" and self.switches.case_insensitive:
            fold = self._fold
            wanted = fold(str(wanted))
            node = Node(lambda record: (value := get(record)) is not None and compare(fold(value), wanted))
        elif prop.kind == "time":
            shown = self._minutes if not self.switches.update_time_has_seconds or prop.name == "DocTime" else _same
            wanted = shown(wanted)
            node = Node(lambda record: (value := get(record)) is not None and compare(shown(value), wanted))
        elif sign == "eq":
            node.equals = (prop, frozenset({wanted}))
        if prop.name == self.key and sign == "eq" and not self.switches.case_insensitive:
            node.keys = frozenset({wanted})
        elif prop.name == self.key and isinstance(wanted, int) and sign in ("gt", "ge"):
            node.low = wanted + (sign == "gt")
        return self._quirk(prop, node)

    @staticmethod
    def _minutes(value: time) -> time:
        return value.replace(second=0)

    def _quirk(self, prop: Prop, node: Node) -> Node:
        name = f"{self.set_name}.{prop.name}"
        how = {
            "IncomingPayments.TransferReference": self.switches.payment_marker_filter,
            "VendorPayments.TransferReference": self.switches.payment_marker_filter,
            "JournalEntries.Reference2": self.switches.entry_marker_filter,
        }.get(name, "works")
        if how == "refused":
            raise bad_query(f"Invalid filter: '{prop.name}' cannot be filtered")
        if how == "ignored":
            return Node(lambda _: True)
        return Node(lambda _: False) if how == "always_empty" else node

    def _literal(self, prop: Prop, token: _Token) -> Any:
        if prop.kind in ("int", "number"):
            if token.kind != "number":
                raise bad_query(f"Invalid filter: '{prop.name}' is a number, '{token.text}' is none")
            amount = Decimal(token.text)
            return int(amount) if prop.kind == "int" and amount == amount.to_integral_value() else amount
        if prop.kind == "date":
            return self._date(prop, token)
        if token.kind != "string":
            raise bad_query(f"Invalid filter: '{prop.name}' needs a quoted text, '{token.text}' is none")
        text = _unquoted(token.text)
        if prop.kind == "time":
            found = parse_time(text)
            if found is None:
                raise bad_query(f"Invalid filter: '{text}' is no time")
            return found
        if prop.kind == "enum":
            try:
                return enum_member(prop, text)
            except SapError as error:
                raise bad_query(f"Invalid filter: {error.text}") from None
        return text

    def _date(self, prop: Prop, token: _Token) -> date:
        bare = token.text.removeprefix("datetime").strip("'")
        found = parse_date(bare) if token.kind in ("string", "date") else None
        quoted = token.kind == "string"
        dialect = quoted or (token.text.startswith("datetime") == (self.version == "v1"))
        if self.switches.date_literals == "quoted":
            dialect = quoted and bool(re.fullmatch(r"\d{4}-\d{2}-\d{2}", bare))
        if found is None or not dialect:
            raise bad_query(f"Invalid filter: '{token.text}' is no date for '{prop.name}'")
        return found


def _same(value: time) -> time:
    return value


def _unquoted(text: str) -> str:
    return text[1:-1].replace("''", "'")


def _tokens(text: str) -> list[_Token]:
    tokens, position, text = [], 0, text.rstrip()
    while position < len(text):
        hit = _TOKENS.match(text, position)
        if hit is None:
            raise bad_query(f"Invalid filter: not understood from '{text[position:][:40]}'")
        tokens.append(_Token(hit.lastgroup or "", hit[hit.lastgroup or 0]))
        position = hit.end()
    return tokens


def _all(parts: list[Node]) -> Node:
    tests = tuple(part.test for part in parts)
    lows = [part.low for part in parts if part.low is not None]
    keys = next((part.keys for part in parts if part.keys is not None), None)
    return Node(lambda record: all(test(record) for test in tests), None, max(lows, default=None), keys)


def _any(parts: list[Node], key: str) -> Node:
    """Join alternatives; equalities on one property become one membership test."""
    equals = [part.equals for part in parts]
    first = equals[0]
    if first is not None and all(one is not None and one[0] is first[0] for one in equals):
        values: frozenset[Any] = frozenset().union(*(one[1] for one in equals if one is not None))
        get = first[0].get
        return Node(lambda record: get(record) in values, (first[0], values), keys=values if first[0].name == key else None)
    tests = tuple(part.test for part in parts)
    return Node(lambda record: any(test(record) for test in tests))
