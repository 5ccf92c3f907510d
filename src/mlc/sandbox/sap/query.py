"""Query options of an entity set: which rows, in which order, which page of them, and the link to the next."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from mlc.sandbox.kit import Request
from mlc.sandbox.sap.errors import bad_query, invalid_property
from mlc.sandbox.sap.filters import Filter, Parser
from mlc.sandbox.sap.schema import EntityType
from mlc.sandbox.sap.switches import SapSwitches

_KNOWN = {
    "v1": frozenset({"$select", "$filter", "$orderby", "$top", "$skip", "$inlinecount", "$format"}),
    "v2": frozenset({"$select", "$filter", "$orderby", "$top", "$skip", "$count", "$format"}),
}


@dataclass(slots=True)
class Query:
    """The options of one request, parsed."""

    options: dict[str, str]
    select: tuple[str, ...] | None
    filter: Filter | None
    order: list[tuple[str, bool]]
    top: int | None
    skip: int
    count: bool
    page: int
    asked_page: int | None


@dataclass(slots=True)
class Page:
    """The rows of one page; `next_skip` is where the next one starts, None where there is none."""

    rows: list[Any]
    count: int | None = None
    next_skip: int | None = None
    rest: int | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Target:
    """What a query is about: an entity set with its type, key and rows, and where its addresses lie."""

    name: str
    kind: EntityType
    key: str
    table: Mapping[Any, Any]
    version: str
    root: str
    origin: str


def parse_query(request: Request, target: Target, switches: SapSwitches) -> Query:
    """Read the query options; raises the refusal for unknown or broken ones."""
    options: dict[str, str] = {}
    for name, value in request.query:
        if name.startswith("$") and (name not in _KNOWN[target.version] or name in options):
            raise bad_query(f"Invalid query option '{name}'")
        options[name] = value
    text = options.get("$filter")
    parser = Parser(target.name, target.kind, target.key, target.version, switches)
    parsed = parser.parse(text) if text is not None else None
    asked = _asked_page(request)
    page = switches.page_size if asked is None else asked
    if switches.page_limit:
        page = min(page or switches.page_limit, switches.page_limit)
    return Query(
        options, parse_select(options.get("$select"), target.kind), parsed, _order(options.get("$orderby"), target.kind),
        _whole(options, "$top"), _whole(options, "$skip") or 0, _count(options), page, asked,
    )  # fmt: skip


def parse_select(text: str | None, kind: EntityType) -> tuple[str, ...] | None:
    """Read $select; None is everything."""
    if text is None:
        return None
    names = tuple(one.strip() for one in text.split(","))
    if names == ("*",):
        return None
    for name in names:
        if "/" in name or not name:
            raise bad_query(f"Invalid select '{text}'")
        kind.prop(name)
    return names


def _order(text: str | None, kind: EntityType) -> list[tuple[str, bool]]:
    result = []
    for part in text.split(",") if text is not None else ():
        hit = re.fullmatch(r"\s*(\w+)(?:\s+(asc|desc))?\s*", part)
        if hit is None:
            raise bad_query(f"Invalid orderby '{text}'")
        if kind.props.get(hit[1]) is None:
            raise invalid_property(hit[1], kind.name)
        if kind.props[hit[1]].kind == "many":
            raise bad_query(f"Invalid orderby '{text}'")
        result.append((hit[1], hit[2] == "desc"))
    return result


def _whole(options: Mapping[str, str], name: str) -> int | None:
    text = options.get(name)
    if text is None:
        return None
    if not re.fullmatch(r"\d{1,9}", text):
        raise bad_query(f"Invalid query option '{name}={text}'")
    return int(text)


def _count(options: Mapping[str, str]) -> bool:
    for name, values in (("$inlinecount", ("allpages", "none")), ("$count", ("true", "false"))):
        text = options.get(name)
        if text is not None and text not in values:
            raise bad_query(f"Invalid query option '{name}={text}'")
    return options.get("$inlinecount") == "allpages" or options.get("$count") == "true"


def _asked_page(request: Request) -> int | None:
    hit = re.search(r"odata\.maxpagesize\s*=\s*(\d{1,9})", request.headers.get("prefer", ""))
    text = hit[1] if hit else request.headers.get("b1s-pagesize", "")
    return int(text) if text.isdigit() else None


def select_rows(query: Query, target: Target, switches: SapSwitches) -> Page:
    """Return the page a query asks for; looks at no more rows than it must."""
    by_key = query.order == [(target.key, False)] and target.kind.props[target.key].kind == "int"
    natural = by_key or not query.order
    rows = _matching(query.filter, target.table)
    if natural and switches.default_order == "reverse" and not query.order:
        rows = reversed(list(rows))
    elif not natural:
        rows = _ordered(list(rows), query.order, target.kind)
    count: int | None = None
    if query.count:
        rows = list(rows)
        count = len(rows)
    wanted = query.page or None
    if query.top is not None:
        wanted = query.top if wanted is None else min(wanted, query.top)
    page: list[Any] = []
    more = False
    for position, row in enumerate(rows):
        if position < query.skip:
            continue
        if wanted is not None and len(page) == wanted:
            more = True
            break
        page.append(row)
    return _linked(query, Page(page, count), more=more, switches=switches)


def count_rows(query: Query, table: Mapping[Any, Any]) -> int:
    """Return how many rows match, before paging."""
    return sum(1 for _ in _matching(query.filter, table))


def _matching(found: Filter | None, table: Mapping[Any, Any]) -> Iterable[Any]:
    if found is None:
        return iter(list(table.values()))
    if found.keys is not None:
        return [table[one] for one in table.keys() & found.keys if found.test(table[one])]
    if found.low is not None:
        keys = list(table)
        return (table[one] for one in keys[bisect_left(keys, found.low) :] if found.test(table[one]))
    return (row for row in list(table.values()) if found.test(row))


def _ordered(rows: list[Any], order: list[tuple[str, bool]], kind: EntityType) -> list[Any]:
    for name, down in reversed(order):
        get = kind.props[name].get
        rows.sort(key=lambda row: ((value := get(row)) is not None, value), reverse=down)
    return rows


def _linked(query: Query, page: Page, *, more: bool, switches: SapSwitches) -> Page:
    full = bool(query.page) and len(page.rows) == query.page
    rest = None if query.top is None else query.top - len(page.rows)
    if full and rest != 0 and (more or switches.full_page_has_link) and switches.next_link != "off":
        page.next_skip, page.rest = query.skip + len(page.rows), rest
    if query.asked_page is not None:
        page.headers.append(("Preference-Applied", f"odata.maxpagesize={query.page}"))
    return page


def next_link(query: Query, page: Page, target: Target, switches: SapSwitches) -> str:
    """Write the link to the next page in this server's style."""
    options = {key: value for key, value in query.options.items() if key not in ("$skip", "$top")}
    if not switches.next_link_keeps_options:
        options = {}
    if page.rest is not None:
        options["$top"] = str(page.rest)
    options["$skip"] = str(page.next_skip)
    link = f"{target.name}?" + "&".join(f"{key}={quote(value, safe=',')}" for key, value in options.items())
    if switches.next_link == "relative":
        return link
    path = f"{target.root}/{link}"
    if switches.next_link == "path":
        return path
    return f"{switches.scheme}://{target.origin if switches.next_link == 'absolute' else 'elsewhere.example'}{path}"
