"""Event bodies of accounts that still stand on a version before basil (2025-03-31): fields that are gone today."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .shapes import show

if TYPE_CHECKING:
    from .base import Books
    from .table import Thing


def as_before(books: Books, thing: Thing) -> dict[str, Any]:
    """Return an object in the shape it had before basil."""
    body = show(books, thing)
    kind = thing["object"]
    if kind == "invoice":
        _invoice(books, thing, body)
    elif kind in ("charge", "payment_intent"):
        intent = thing.get("payment_intent") if kind == "charge" else thing["id"]
        paid = books.tables["invoice_payment"].where("_intent", intent) if intent else []
        body["invoice"] = paid[0]["invoice"] if paid else None
    return body


def _invoice(books: Books, thing: Thing, body: dict[str, Any]) -> None:
    payments = books.tables["invoice_payment"].where("invoice", thing["id"])
    intent = next((one["_intent"] for one in payments if one.get("_intent")), None)
    row = books.tables["payment_intent"].rows.get(intent) if intent else None
    for name in ("amount_overpaid", "parent", "total_taxes"):
        body.pop(name, None)
    body |= {
        "payment_intent": intent,
        "charge": row.get("latest_charge") if row else None,
        "paid": body["status"] == "paid",
        "paid_out_of_band": bool(thing.get("_off_stripe")),
        "subscription": thing.get("_subscription"),
        "tax": None,
        "total_tax_amounts": [],
        "discount": None,
    }
