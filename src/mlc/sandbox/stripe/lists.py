"""The lists: which filters each takes, how its cursors work, and the search that lags behind."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from .account import Account
from .checks import PAGING, Check, Fields, boolean, choice, currency, group, ident, integer, listing, span, text
from .errors import Refusal, missing, unacceptable
from .shapes import line, listed, show
from .table import Span, Table, Thing

Test = Callable[[Account, Thing, Any], bool]


@dataclass(frozen=True, slots=True)
class Listing:
    """One list: its parameters, those that are looked up in an index, and those that each object is tested for."""

    kind: str
    checks: Fields = field(default_factory=dict)
    indexed: dict[str, str] = field(default_factory=dict)
    tests: dict[str, Test] = field(default_factory=dict)
    refers: dict[str, str] = field(default_factory=dict)
    created: bool = True

    def fields(self) -> dict[str, Check]:
        """Return all parameters of the list."""
        return {**PAGING, **({"created": span} if self.created else {}), **self.checks}


def _is(name: str) -> Test:
    return lambda books, thing, value: bool(books.of(thing, name) == value)


def _within(name: str) -> Test:
    return lambda books, thing, value: value.holds(books.of(thing, name))


def _payment(_: Account, thing: Thing, value: dict[str, Any]) -> bool:
    found = thing["payment"]
    return bool(found["type"] == value["type"]) and value.get(value["type"], found[found["type"]]) == found[found["type"]]


def _lives(books: Account, thing: Thing, value: str) -> bool:
    """Tell whether a subscription is of the status asked for; `ended` is two of them, and no status at all means: not canceled."""
    status = books.of(thing, "status")
    return value == "all" or status in {"ended": ("canceled", "incomplete_expired"), "": LIVING}.get(value, (value,))


LIVING = ("active", "incomplete", "past_due", "paused", "trialing", "unpaid", "incomplete_expired")
PAYMENT = group(
    {"type": choice("payment_intent", "payment_record"), "payment_intent": ident(), "payment_record": ident()}, "type"
)
CUSTOMER_OF = {"customer": "customer"}
LISTS: dict[str, Listing] = {
    "customers": Listing("customer", {"email": text(512, unset=False)}, {"email": "email"}),
    "invoices": Listing(
        "invoice",
        {
            "customer": ident(),
            "status": choice("draft", "open", "paid", "uncollectible", "void"),
            "collection_method": choice("charge_automatically", "send_invoice"),
            "due_date": span,
            "subscription": ident(),
        },
        CUSTOMER_OF,
        {
            "status": _is("status"),
            "collection_method": _is("collection_method"),
            "due_date": _within("due_date"),
            "subscription": _is("_subscription"),
        },
        CUSTOMER_OF,
    ),
    "subscriptions": Listing(
        "subscription",
        {
            "customer": ident(),
            "status": choice(
                *(
                    "active",
                    "all",
                    "canceled",
                    "ended",
                    "incomplete",
                    "incomplete_expired",
                    "past_due",
                    "paused",
                    "trialing",
                    "unpaid",
                )
            ),
            "collection_method": choice("charge_automatically", "send_invoice"),
        },
        CUSTOMER_OF,
        {"status": _lives, "collection_method": _is("collection_method")},
        CUSTOMER_OF,
    ),
    "invoiceitems": Listing(
        "invoiceitem",
        {"customer": ident(), "invoice": ident(), "pending": boolean},
        {"customer": "customer", "invoice": "invoice"},
        {"pending": lambda _, thing, value: (not thing.get("invoice")) == value},
        {"customer": "customer", "invoice": "invoice"},
    ),
    "invoice_payments": Listing(
        "invoice_payment",
        {"invoice": ident(), "status": choice("open", "paid", "canceled"), "payment": PAYMENT},
        {"invoice": "invoice", "_intent": "_intent", "_record": "_record"},
        {"status": _is("status"), "payment": _payment},
        {"invoice": "invoice", "_intent": "payment_intent", "_record": "payment_record"},
    ),
    "payment_intents": Listing("payment_intent", {"customer": ident()}, CUSTOMER_OF, {}, CUSTOMER_OF),
    "charges": Listing(
        "charge",
        {"customer": ident(), "payment_intent": ident(), "transfer_group": ident()},
        {"customer": "customer", "payment_intent": "payment_intent"},
        {"transfer_group": _is("transfer_group")},
        {"customer": "customer", "payment_intent": "payment_intent"},
    ),
    "refunds": Listing(
        "refund",
        {"charge": ident(), "payment_intent": ident()},
        {"charge": "charge", "payment_intent": "payment_intent"},
        {},
        {"charge": "charge", "payment_intent": "payment_intent"},
    ),
    "disputes": Listing(
        "dispute",
        {"charge": ident(), "payment_intent": ident()},
        {"charge": "charge", "payment_intent": "payment_intent"},
        {},
        {"charge": "charge", "payment_intent": "payment_intent"},
    ),
    "balance_transactions": Listing(
        "balance_transaction",
        {"payout": ident(), "source": ident(), "type": text(255, unset=False), "currency": currency},
        {"payout": "_payout", "source": "source"},
        {"type": _is("type"), "currency": _is("currency")},
    ),
    "payouts": Listing(
        "payout",
        {
            "status": choice("pending", "paid", "in_transit", "canceled", "failed"),
            "arrival_date": span,
            "destination": ident(),
        },
        {},
        {"status": _is("status"), "arrival_date": _within("arrival_date"), "destination": _is("destination")},
    ),
    "credit_notes": Listing(
        "credit_note",
        {"customer": ident(), "invoice": ident()},
        {"customer": "customer", "invoice": "invoice"},
        {},
        {"customer": "customer", "invoice": "invoice"},
    ),
    "tax_rates": Listing("tax_rate", {"active": boolean, "inclusive": boolean}, {}, {"active": _is("active")}),
    "webhook_endpoints": Listing("webhook_endpoint", created=False),
    "events": Listing(
        "event",
        {
            "type": text(255, unset=False),
            "types": listing(text(255, unset=False), 20),
            "delivery_success": boolean,
        },
        {"type": "type", "types": "type"},
        {
            "delivery_success": lambda _, thing, value: bool(thing.get("_delivered")) == value,
        },
    ),
}


def cursor(account: Account, table: Table, params: dict[str, Any], kind: str) -> None:
    """Refuse cursors that name nothing, or both directions at once."""
    if {"starting_after", "ending_before"} <= set(params):
        text_ = "You cannot use both `starting_after` and `ending_before`."
        raise unacceptable(text_, "starting_after", "parameters_exclusive")
    for name in ("starting_after", "ending_before"):
        ident_ = params.get(name)
        row = table.rows.get(ident_) if ident_ else None
        if ident_ and (row is None or (kind == "event" and not account.visible(row))):
            raise missing(kind, ident_, name)


def _passes(account: Account, tests: list[tuple[Test, Any]], thing: Thing) -> bool:
    return all(test(account, thing, value) for test, value in tests)


def list_objects(account: Account, name: str, params: dict[str, Any]) -> dict[str, Any]:
    """Answer one page of a list."""
    spec = LISTS[name]
    table = account.tables[spec.kind]
    given = {key: value for key, value in params.items() if key not in PAGING}
    created: Span | None = given.pop("created", None)
    if spec.kind == "event":
        if {"type", "types"} <= set(given):
            raise unacceptable("You may only specify one of these parameters: type, types.", "types", "parameters_exclusive")
        if "*" in given.get("type", ""):
            given["types"] = fnmatch.filter(table.values("type"), given.pop("type"))
        low = account.now() - 30 * 86400 + 1
        created = Span(max(low, (created.low if created else None) or low), created.high if created else None)
    if spec.kind == "subscription":
        given.setdefault("status", "")
    if spec.kind == "balance_transaction":
        account.list_movements(given)
    if "payment" in given:
        kind = given["payment"]["type"]
        other = "payment_record" if kind == "payment_intent" else "payment_intent"
        if other in given["payment"]:
            raise unacceptable(f"payment[{other}] does not go with type {kind}.", f"payment[{other}]", "parameters_exclusive")
        if kind in given["payment"]:
            given["_intent" if kind == "payment_intent" else "_record"] = given["payment"][kind]
    cursor(account, table, params, spec.kind)
    for key, kind in spec.refers.items():
        if key in given and given[key] not in account.tables[kind].rows and given[key] not in account.deleted:
            raise missing(kind, given[key], f"payment[payment{key}]" if key[0] == "_" else key)
    tests = [(spec.tests[key], value) for key, value in given.items() if key in spec.tests]
    page = table.page(
        limit=params.get("limit", 10),
        after=params.get("starting_after"),
        before=params.get("ending_before"),
        created=created,
        where={spec.indexed[key]: value for key, value in given.items() if key in spec.indexed},
        test=partial(_passes, account, tests) if tests else None,
    )
    return listed(f"/v1/{name}", [show(account, thing) for thing in page.rows], has_more=page.has_more)


def list_lines(account: Account, invoice_id: str, params: dict[str, Any]) -> dict[str, Any]:
    """Answer one page of an invoice's lines, in the order of the invoice."""
    items = account.get("invoice", invoice_id)["_lines"]
    if {"starting_after", "ending_before"} <= set(params):
        raise unacceptable("You cannot use both `starting_after` and `ending_before`.", "starting_after")
    limit, first, last = params.get("limit", 10), 0, len(items)
    names = [item["_line"] for item in items]
    for name in ("starting_after", "ending_before"):
        if name in params and params[name] not in names:
            raise missing("line_item", params[name], name)
    if "starting_after" in params:
        first = names.index(params["starting_after"]) + 1
    if "ending_before" in params:
        last = names.index(params["ending_before"])
        first = max(last - limit, 0)
        more = first > 0
    else:
        last = min(first + limit, last)
        more = last < len(items)
    data = [line(item, account.livemode) for item in items[first:last]]
    return listed(f"/v1/invoices/{invoice_id}/lines", data, has_more=more)


SEARCH_FIELDS: Fields = {"query": text(2000, unset=False), "limit": integer(1, 100), "page": ident()}
CLAUSE = re.compile(r"""\s*(metadata\[['"](?P<key>[^'"]+)['"]\]|(?P<field>[a-z_]+))\s*:\s*['"](?P<value>[^'"]*)['"]\s*""")
SEARCHED = {
    "invoices": ("status", "number", "customer", "currency", "subscription"),
    "customers": ("email", "name", "phone"),
    "payment_intents": ("customer", "status", "currency"),
    "charges": ("customer", "status", "currency"),
}


def search(account: Account, name: str, params: dict[str, Any]) -> dict[str, Any]:
    """Answer a search over objects that are old enough for the search to have seen them; `AND` joins clauses."""
    if not account.switches.search:
        raise Refusal("Search is not available in your region.", status=400)
    wanted: list[tuple[str | None, str | None, str]] = []
    for clause in re.split(r"\s+AND\s+", params["query"]):
        hit = CLAUSE.fullmatch(clause)
        if not hit or (hit["field"] and hit["field"] not in SEARCHED[name]):
            raise unacceptable(f"We were unable to parse your search query: {clause}", "query", "parameter_invalid")
        wanted.append((hit["key"], hit["field"], hit["value"]))

    def test(thing: Thing) -> bool:
        meta = thing.get("metadata", {})
        return all(meta.get(key) == value if key else account.of(thing, field or "") == value for key, field, value in wanted)

    table = account.tables[LISTS[name].kind]
    if "page" in params and params["page"] not in table.rows:
        raise unacceptable("Invalid page", "page", "parameter_invalid")
    seen = Span(None, account.now() - account.switches.search_lag)
    page = table.page(limit=params.get("limit", 10), after=params.get("page"), created=seen, test=test)
    body = listed(f"/v1/{name}/search", [show(account, thing) for thing in page.rows], has_more=page.has_more)
    return body | {"object": "search_result", "next_page": page.rows[-1]["id"] if page.has_more else None}
