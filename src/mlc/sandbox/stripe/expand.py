"""`expand[]`: ids become the objects they name, at most four levels deep, and only where the API knows the property."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import unacceptable
from .shapes import listed, show

if TYPE_CHECKING:
    from .base import Books

DEEPEST = 4
REFERENCE, LIST, ARRAY, HASH, EXTRA = "reference", "list", "array", "hash", "extra"
MOVED = ("charge", "refund", "dispute", "payout", "topup")
# kind -> property -> (what it is, the kinds behind it); a hash has a row of its own
GRAPH: dict[str, dict[str, tuple[str, tuple[str, ...]]]] = {
    "customer": {"default_source": (REFERENCE, ()), "invoice_credit_balance": (EXTRA, ()), "tax_ids": (LIST, ())},
    "subscription": {"customer": (REFERENCE, ("customer",)), "latest_invoice": (REFERENCE, ("invoice",))},
    "invoice": {
        "customer": (REFERENCE, ("customer",)),
        "payments": (LIST, ("invoice_payment",)),
        "amount_paid_off_stripe": (EXTRA, ()),
        "lines": (LIST, ("line_item",)),
        "default_payment_method": (REFERENCE, ()),
        "latest_revision": (REFERENCE, ("invoice",)),
        "confirmation_secret": (EXTRA, ()),
    },
    "line_item": {"discounts": (EXTRA, ())},
    "invoiceitem": {"customer": (REFERENCE, ("customer",)), "invoice": (REFERENCE, ("invoice",))},
    "invoice_payment": {"invoice": (REFERENCE, ("invoice",)), "payment": (HASH, ("payment",))},
    "payment": {
        "payment_intent": (REFERENCE, ("payment_intent",)),
        "charge": (REFERENCE, ("charge",)),
        "payment_record": (REFERENCE, ("payment_record",)),
    },
    "payment_intent": {
        "customer": (REFERENCE, ("customer",)),
        "latest_charge": (REFERENCE, ("charge",)),
        "payment_method": (REFERENCE, ()),
    },
    "charge": {
        "customer": (REFERENCE, ("customer",)),
        "payment_intent": (REFERENCE, ("payment_intent",)),
        "balance_transaction": (REFERENCE, ("balance_transaction",)),
        "failure_balance_transaction": (REFERENCE, ("balance_transaction",)),
        "refunds": (LIST, ("refund",)),
    },
    "refund": {
        "charge": (REFERENCE, ("charge",)),
        "payment_intent": (REFERENCE, ("payment_intent",)),
        "balance_transaction": (REFERENCE, ("balance_transaction",)),
        "failure_balance_transaction": (REFERENCE, ("balance_transaction",)),
    },
    "dispute": {"charge": (REFERENCE, ("charge",)), "payment_intent": (REFERENCE, ("payment_intent",))},
    "balance_transaction": {"source": (REFERENCE, MOVED)},
    "topup": {"balance_transaction": (REFERENCE, ("balance_transaction",))},
    "payout": {
        "balance_transaction": (REFERENCE, ("balance_transaction",)),
        "failure_balance_transaction": (REFERENCE, ("balance_transaction",)),
        "original_payout": (REFERENCE, ("payout",)),
        "reversed_by": (REFERENCE, ("payout",)),
        "destination": (REFERENCE, ()),
    },
    "credit_note": {
        "customer": (REFERENCE, ("customer",)),
        "invoice": (REFERENCE, ("invoice",)),
        "customer_balance_transaction": (REFERENCE, ("customer_balance_transaction",)),
        "refunds": (ARRAY, ("credit_refund",)),
    },
    "credit_refund": {"refund": (REFERENCE, ("refund",))},
    "customer_balance_transaction": {
        "customer": (REFERENCE, ("customer",)),
        "invoice": (REFERENCE, ("invoice",)),
        "credit_note": (REFERENCE, ("credit_note",)),
    },
    "tax_rate": {},
    "payment_record": {},
    "event": {},
    "webhook_endpoint": {},
    "balance": {},
    "account": {},
}


def check(kind: str, paths: list[str], *, in_list: bool) -> None:
    """Refuse paths that are too deep or lead nowhere, whatever the answer will hold."""
    for path in paths:
        steps = path.split(".")
        if len(steps) > DEEPEST:
            text = f"You cannot expand more than {DEEPEST} levels of a property. The property `{path}` exceeds this."
            raise unacceptable(text, "expand", "parameter_invalid")
        if in_list:
            if steps[0] != "data" or len(steps) < 2:
                text = f"This property cannot be expanded ({steps[0]}). You may want to try expanding 'data.{path}' instead."
                raise unacceptable(text, "expand", "parameter_invalid")
            steps = steps[1:]
        _walkable((kind,), steps, path)


def _walkable(kinds: tuple[str, ...], steps: list[str], path: str) -> None:
    if not steps:
        return
    found = [GRAPH[kind][steps[0]] for kind in kinds if steps[0] in GRAPH[kind]]
    if not found:
        raise unacceptable(f"This property cannot be expanded ({steps[0]}).", "expand", "parameter_invalid")
    sort, targets = found[0][0], tuple(target for _, inner in found for target in inner)
    rest = steps[1:]
    if sort == LIST and rest:
        if rest[0] != "data":
            raise unacceptable(f"This property cannot be expanded ({path}).", "expand", "parameter_invalid")
        rest = rest[1:]
    _walkable(targets, rest, path)


def expand(books: Books, body: dict[str, Any], paths: list[str]) -> None:
    """Put the objects into an answer whose paths have been checked."""
    for path in sorted(paths):
        _grow(books, body, path.split("."))


def _grow(books: Books, body: dict[str, Any], steps: list[str]) -> None:
    if body.get("object") in ("list", "search_result"):
        for one in body["data"] if steps[0] == "data" and len(steps) > 1 else []:
            _grow(books, one, steps[1:])
        return
    head, rest = steps[0], steps[1:]
    value = body.get(head)
    kind = body.get("object")
    if kind == "invoice" and head == "payments" and value is None:
        value = body[head] = _payments(books, body["id"])
    elif kind == "charge" and head == "refunds" and value is None:
        rows = books.tables["refund"].where("charge", body["id"])
        value = body[head] = listed(f"/v1/charges/{body['id']}/refunds", [show(books, one) for one in rows[::-1]])
    elif kind in ("invoice", "customer") and value is None:
        _extra(books, body, head)
    elif isinstance(value, str):
        value = _fetch(books, value)
        body[head] = body[head] if value is None else value
    elif isinstance(value, list):
        value = body[head] = [dict(one) for one in value]
        for one in value:
            _grow(books, one, rest)
        return
    elif isinstance(value, dict) and "object" not in value:
        value = body[head] = dict(value)
    if rest and isinstance(value, dict):
        _grow(books, value, rest)


def _payments(books: Books, invoice_id: str) -> dict[str, Any]:
    rows = books.tables["invoice_payment"].where("invoice", invoice_id)[::-1]
    data = [show(books, one) for one in rows[:10]]
    return listed(f"/v1/invoice_payments?invoice={invoice_id}", data, has_more=len(rows) > 10)


def _extra(books: Books, body: dict[str, Any], head: str) -> None:
    if head == "amount_paid_off_stripe":
        row = books.tables["invoice"].rows.get(body["id"], {})
        records = books.tables["invoice_payment"].where("invoice", body["id"])
        body[head] = row.get("_off_stripe", 0) + sum(one.get("_applied", 0) for one in records if one.get("_record"))
    elif head == "invoice_credit_balance":
        body[head] = books.tables["customer"].rows.get(body["id"], {}).get("_balances", {})
    elif head == "tax_ids":
        body[head] = listed(f"/v1/customers/{body['id']}/tax_ids", [])


def _fetch(books: Books, ident: str) -> dict[str, Any] | None:
    if ident in books.deleted:
        return dict(books.deleted[ident])
    for table in books.tables.values():
        if ident in table.rows:
            return show(books, table.rows[ident])
    return None
