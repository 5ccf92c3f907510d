"""The lists: which filters each takes, cursors, and what events bring along."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from typing import Any

from .base import ONE, Books, Record, months_before
from .errors import Refusal, invalid, missing, usage
from .organisation import Organisation
from .shapes import balances, show, show_item

Test = Callable[[Books, Record, str], bool]
Params = dict[str, str]
DEFAULT, MOST = 50, 500
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "gt": lambda one, two: one > two,
    "gte": lambda one, two: one >= two,
    "lt": lambda one, two: one < two,
    "lte": lambda one, two: one <= two,
}


def _is(name: str) -> Test:
    return lambda _, record, value: record.get(name) in value.split(",")


def _link(name: str) -> Test:
    return lambda _, record, value: record["links"].get(name) == value


def _flag(name: str) -> Test:
    def test(_: Books, record: Record, value: str) -> bool:
        if value not in ("true", "false"):
            raise invalid("filters", (name, "must be a boolean"))
        return bool(record[name] == (value == "true"))

    return test


def _payer(books: Books, record: Record, value: str) -> bool:
    return bool(books.tables["mandates"][record["links"]["mandate"]]["links"]["customer"] == value)


def _refund_type(_: Books, record: Record, value: str) -> bool:
    return ("payment" in record["links"]) == (value == "payment")


@dataclass(frozen=True, slots=True)
class Listing:
    """One list: its filters, the fields that take a span, and filters that exclude each other."""

    tests: dict[str, Test] = field(default_factory=dict)
    spans: tuple[str, ...] = ("created_at",)
    apart: tuple[str, ...] = ()


CREDITOR = {"creditor": _link("creditor")}
CUSTOMER_OF_PLAN: dict[str, Test] = {"customer": _payer, "mandate": _link("mandate"), "status": _is("status")}
BY_ID = (
    *("billing_request", "creditor", "creditor_bank_account", "customer", "customer_bank_account", "instalment_schedule"),
    *("mandate", "payment", "payout", "refund", "subscription"),
)
LISTS: dict[str, Listing] = {
    "customers": Listing({"name": lambda _, one, value: value in (one["company_name"] or "")}),
    "customer_bank_accounts": Listing({"customer": _link("customer"), "enabled": _flag("enabled")}),
    "creditors": Listing(),
    "creditor_bank_accounts": Listing({**CREDITOR, "enabled": _flag("enabled")}),
    "mandates": Listing(
        {
            **CREDITOR,
            "customer": _link("customer"),
            "customer_bank_account": _link("customer_bank_account"),
            "reference": _is("reference"),
            "scheme": _is("scheme"),
            "status": _is("status"),
        }
    ),
    "payments": Listing(
        {
            **CREDITOR,
            "customer": _payer,
            "currency": _is("currency"),
            "mandate": _link("mandate"),
            "scheme": _is("scheme"),
            "status": _is("status"),
            "subscription": _link("subscription"),
        },
        ("created_at", "charge_date"),
        ("creditor", "customer"),
    ),
    "refunds": Listing({"mandate": _link("mandate"), "payment": _link("payment"), "refund_type": _refund_type}),
    "payouts": Listing(
        {
            **CREDITOR,
            "creditor_bank_account": _link("creditor_bank_account"),
            "currency": _is("currency"),
            "payout_type": _is("payout_type"),
            "reference": _is("reference"),
            "status": _is("status"),
        }
    ),
    "subscriptions": Listing(CUSTOMER_OF_PLAN),
    "instalment_schedules": Listing(CUSTOMER_OF_PLAN),
    "events": Listing(
        {
            "action": _is("action"),
            "resource_type": _is("resource_type"),
            "parent_event": _link("parent_event"),
            **{name: _link(name) for name in BY_ID},
        }
    ),
    "tax_rates": Listing({"jurisdiction": _is("jurisdiction")}, ()),
    "webhooks": Listing({"is_test": _flag("is_test"), "successful": _flag("successful")}),
}


def _moment(kind: str, name: str, value: str) -> datetime | date:
    """Read one end of a span."""
    try:
        if name == "charge_date":
            return date.fromisoformat(value)
        found = datetime.fromisoformat(value)
    except ValueError:
        raise invalid(kind, (name, "is not a valid date")) from None
    if found.tzinfo is None:
        raise invalid(kind, (name, "must be an ISO 8601 time with an offset"))
    return found


def _passes(books: Books, test: Test, value: str, record: Record) -> bool:
    return test(books, record, value)


def _labelled(key: str, value: str, record: Record) -> bool:
    return bool(record["metadata"].get(key) == value)


def _within(kind: str, name: str, compare: Callable[[Any, Any], bool], edge: datetime | date, record: Record) -> bool:
    return compare(_moment(kind, name, record[name]), edge)


def _chosen(books: Books, kind: str, params: Params) -> list[Record]:
    """Return the records that all filters keep, newest first."""
    listing = LISTS[kind]
    if sum(name in params for name in listing.apart) > 1:
        raise invalid(kind, (listing.apart[0], f"cannot be combined with {listing.apart[1]}"))
    tests: list[Callable[[Record], bool]] = []
    for name, value in params.items():
        span = re.fullmatch(r"(\w+)\[(gt|gte|lt|lte)\]", name)
        label = re.fullmatch(r"metadata\[(.+)\]", name) if kind == "payouts" else None
        if name in listing.tests:
            tests.append(partial(_passes, books, listing.tests[name], value))
        elif label:
            tests.append(partial(_labelled, label[1], value))
        elif span and span[1] in listing.spans:
            tests.append(partial(_within, kind, span[1], COMPARE[span[2]], _moment(kind, span[1], value)))
        else:
            raise invalid(kind, (name, "is not a permitted filter"))
    return [one for one in reversed(list(books.tables[kind].values())) if all(test(one) for test in tests)]


def _page(
    rows: list[tuple[int, dict[str, Any]]], params: Params, where: Callable[[str], int]
) -> tuple[list[Any], dict[str, Any]]:
    """Cut a page out of rows that come with a falling position; a cursor is turned into a position by `where`."""
    try:
        limit = int(params.get("limit", DEFAULT))
    except ValueError:
        limit = 0
    if not 1 <= limit <= MOST:
        raise _usage("limit", f"must be between 1 and {MOST}")
    if "after" in params and "before" in params:
        raise _usage("after", "cannot be combined with before")
    first, last = 0, len(rows)
    if "after" in params:
        edge = where(params["after"])
        first = next((index for index, row in enumerate(rows) if row[0] < edge), last)
        last = min(last, first + limit)
    elif "before" in params:
        edge = where(params["before"])
        last = next((index for index, row in enumerate(rows) if row[0] <= edge), last)
        first = max(0, last - limit)
    else:
        last = min(last, limit)
    return rows[first:last], {"limit": limit, "first": first > 0, "more": last < len(rows)}


def _usage(name: str, message: str) -> Refusal:
    detail = {"field": name, "message": message, "request_pointer": f"/{name}"}
    return Refusal(400, "invalid_api_usage", f"{name} {message}", slug="invalid_api_usage", errors=[detail])


def _body(kind: str, rows: list[Any], cursors: list[str], told: dict[str, Any]) -> dict[str, Any]:
    before = cursors[0] if cursors and told["first"] else None
    after = cursors[-1] if cursors and told["more"] else None
    return {kind: rows, "meta": {"cursors": {"before": before, "after": after}, "limit": told["limit"]}}


def _split(params: Params) -> tuple[Params, Params]:
    paging = {name: value for name, value in params.items() if name in ("after", "before", "limit")}
    return paging, {name: value for name, value in params.items() if name not in paging}


def listed(organisation: Organisation, kind: str, params: Params) -> dict[str, Any]:
    """Answer a list."""
    if kind == "payout_items":
        return _items(organisation, params)
    if kind == "balances":
        paging, rest = _split(params)
        if set(rest) != {"creditor"}:
            raise invalid(kind, ("creditor", "is required, and the only filter"))
        found = balances(organisation, organisation.get("creditors", rest["creditor"])["id"])
        return _numbered(kind, found, paging)
    if kind not in LISTS:
        raise usage(404, "path_not_found", "Path not found")
    paging, filters = _split(params)
    include = filters.pop("include", None) if kind == "events" else None
    if kind == "events":
        _sane(filters, include)
    if kind == "refunds":
        filters.setdefault("refund_type", "payment")
        if filters["refund_type"] not in ("payment", "mandate"):
            raise invalid(kind, ("refund_type", "must be payment or mandate"))
    chosen = _chosen(organisation, kind, filters)
    if kind == "events":
        chosen = [one for one in chosen if seen(organisation, one)]
    table = {ident: position for position, ident in enumerate(organisation.tables[kind])}

    def where(cursor: str) -> int:
        if cursor not in table:
            raise _usage("cursor", "is invalid")
        return table[cursor]

    cut, told = _page([(table[one["id"]], one) for one in chosen], paging, where)
    found = [one for _, one in cut]
    body = _body(kind, [show(organisation, kind, one) for one in found], [one["id"] for one in found], told)
    if include is not None:
        body["linked"] = _linked(organisation, include, found)
    return body


def seen(organisation: Organisation, event: Record) -> bool:
    """Tell whether an event can be read: already visible and not yet archived."""
    now = organisation.clock.now()
    if event["_seen_at"] > now:
        return False
    return not organisation.switches.events_archived or event["created_at"] >= months_before(now, 18)


def _sane(filters: Params, include: str | None) -> None:
    ids = [name for name in BY_ID if name in filters]
    if len(ids) > 1 or (ids and "resource_type" in filters):
        raise invalid("events", (ids[0], "cannot be combined with resource_type or another resource"))
    if include is not None and "resource_type" not in filters:
        raise invalid("events", ("include", "requires resource_type"))
    if (include is not None and include not in ONE.values()) or include == "webhook":
        raise invalid("events", ("include", "is not a permitted value"))


def _linked(organisation: Organisation, include: str, events: list[Record]) -> dict[str, list[Any]]:
    kind = next(many for many, one in ONE.items() if one == include)
    idents = dict.fromkeys(one["links"].get(include) for one in events)
    table = organisation.tables[kind] if organisation.switches.events_linked else {}
    return {kind: [show(organisation, kind, table[ident]) for ident in idents if ident in table]}


def _items(organisation: Organisation, params: Params) -> dict[str, Any]:
    """Answer the items of a payout that is not too old."""
    paging, rest = _split(params)
    if set(rest) != {"payout"}:
        raise invalid("payout_items", ("payout", "is required, and the only filter"))
    payout = organisation.tables["payouts"].get(rest["payout"])
    if payout is None:
        raise missing()
    if payout["created_at"] < months_before(organisation.clock.now(), 6):
        text, reason = (
            "Payout items are only available for payouts created in the last 6 months",
            organisation.switches.gone_reason,
        )
        if reason is None:
            raise Refusal(410, "invalid_api_usage", text)
        raise usage(410, reason, text)
    return _numbered("payout_items", [show_item(organisation, payout, one) for one in payout["_items"]], paging)


def _numbered(kind: str, rows: list[dict[str, Any]], paging: Params) -> dict[str, Any]:
    """Page through rows that have no ids."""

    def where(cursor: str) -> int:
        if not re.fullmatch(r"row_\d+", cursor):
            raise _usage("cursor", "is invalid")
        return -int(cursor[4:])

    cut, told = _page([(-position, row) for position, row in enumerate(rows)], paging, where)
    return _body(kind, [row for _, row in cut], [f"row_{-position}" for position, _ in cut], told)
