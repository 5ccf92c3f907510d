"""How an incoming payment comes to stand in SAP: one POST under our marker, and the look-up that tells whether it did.

A recipe is a pure generator: it yields Calls and is sent answers. It may run again after a crash and yields the same Calls then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

from mlc.core.commands import After, NoteMandate, PostPayment
from mlc.core.intents import Answer, Call, Done, Finder, Hold, Mark, Receipt, Recipe, Refusal, Refused
from mlc.core.money import Money, MoneyError, from_decimal
from mlc.systems.sap import odata, wire

_NOISE = Decimal("0.0001")  # SAP's sums are doubles


@dataclass(frozen=True, slots=True)
class PostingRules:
    """What the company's set-up says about posting."""

    marker_field: str | None = None
    approvals: bool = False
    local_currency: str = "EUR"  # ISO code of SAP's local currency
    prove: Callable[[], bool] = lambda: False  # True while the first own document must still complete the proof
    again: bool = False  # a person wants it anew: cancelled documents under our mark no longer speak against it


def post_payment(command: PostPayment, rules: PostingRules) -> Recipe:
    """Post one incoming payment; gross, into the clearing account, applied to its invoices, the rest on account."""
    find = lambda: _find(command, rules)  # noqa: E731 - a bound look-up, used once
    reply = yield Call("post", "sap", "POST", "IncomingPayments", _body(command, rules), write=True, find=find)
    if isinstance(reply, Refusal):
        if reply.code == "-2028" and (draft := (yield from _draft(command))):
            return cast("Hold", draft)
        if reply.code == "-4013":
            return Hold("closed_period", f"SAP refuses the posting date {command.doc_date}: {reply.code} {reply.text}")
        return Refused(reply.code, reply.text)
    if reply.told and rules.prove():
        yield Call("prove", "sap", "ASK", "complete_proof", {"marker": command.marker})
    wrong = differs(command, reply.body, rules) if reply.told else ""
    if wrong:
        return Hold("marker_mismatch", f"SAP booked {_number(reply.body)} differently than it was asked to: {wrong}")
    return Done(receipt_of(reply.body), posted_marks(command, reply.body))


def note_mandate(command: NoteMandate) -> Recipe:
    """Write one user field of a business partner; writing it twice changes nothing."""
    path = f"BusinessPartners({odata.escaped(odata.literal(command.card_code))})"

    def find() -> Finder:
        reply = yield Call("find", "sap", "GET", path, query=(("$select", f"CardCode,{command.field}"),))
        same = isinstance(reply, Answer) and reply.body.get(command.field) == command.reference
        return {} if same else None

    reply = yield Call("note", "sap", "PATCH", path, {command.field: command.reference}, write=True, find=find)
    if isinstance(reply, Refusal):
        return Refused(reply.code, reply.text)
    mark = Mark("gc-customer", command.customer, data={"noted": command.reference})
    return Done(Receipt("sap", "BusinessPartner", command.card_code), (mark,))


def posted_marks(command: PostPayment, body: dict[str, Any]) -> tuple[Mark, ...]:
    """Return what both sides agree on once a payment is posted."""
    entry = str(body.get("DocEntry", ""))
    data = {"amount": command.amount.minor, "currency": command.amount.currency, "card_code": command.card_code}
    sums: dict[int, int] = {}
    for part in command.allocations:  # an invoice with installments stands in several rows
        sums[part.doc_entry] = sums.get(part.doc_entry, 0) + part.amount.minor
    parts = [[doc_entry, minor] for doc_entry, minor in sums.items()]
    posted = Mark(
        "payment",
        command.payment,
        entry,
        "posted",
        {**data, "applied": parts, "number": str(body.get("DocNum") or entry), "day": command.doc_date.isoformat()},
    )
    return (posted, *(_stands(one, command) for one in command.after if one.invoice))


def _stands(after: After, command: PostPayment) -> Mark:
    data: dict[str, Any] = {
        "doc_num": after.doc_num,
        "card_code": command.card_code,
        "currency": command.amount.currency,
    }
    if after.installment:
        data["installment"] = after.installment
    if after.remaining == after.left:  # else something else moved the balance too: the next push looks into it
        data["expected"] = after.left
    known = {"sap_closed": True} if after.left == 0 else {}
    total = {"doc_total": after.doc_total} if after.doc_total else {}
    return Mark(
        "invoice", str(after.doc_entry), after.invoice, "paid" if after.remaining == 0 else "open", {**data, **known, **total}
    )


def receipt_of(body: dict[str, Any]) -> Receipt:
    """Return the receipt of a posted payment."""
    return Receipt("sap", "IncomingPayment", str(body.get("DocEntry", "")), str(body.get("DocNum") or ""))


def _body(command: PostPayment, rules: PostingRules) -> dict[str, Any]:
    day = command.doc_date.isoformat()
    body: dict[str, Any] = {
        "DocType": "rCustomer",
        "CardCode": command.card_code,
        "DocDate": day,
        "TransferAccount": command.account,
        "TransferSum": amount_of(command.amount),
        "TransferDate": day,
        "TransferReference": command.marker,
        "Remarks": command.remarks[:254],
    }
    if rules.marker_field:
        body[rules.marker_field] = command.marker
    if command.branch is not None:
        body["BPLID"] = command.branch
    if command.allocations:
        body["PaymentInvoices"] = [
            {
                "DocEntry": part.doc_entry,
                "SumApplied": amount_of(part.amount),
                "InvoiceType": "it_Invoice",
                **({"InstallmentId": part.installment} if part.installment else {}),
            }
            for part in command.allocations
        ]
    return body


def amount_of(money: Money) -> float | int:
    """Return the number whose literal is exactly the amount."""
    from mlc.systems.sap.client import exact_float

    value = money.decimal()
    return int(value) if value == value.to_integral_value() else exact_float(value)


def differs(command: PostPayment, body: dict[str, Any], rules: PostingRules) -> str:
    """Compare what SAP says it booked with what was asked; returns the difference in words, or nothing."""
    found = []
    if body.get("CardCode") not in (None, command.card_code):
        found.append(f"customer {body['CardCode']} instead of {command.card_code}")
    if body.get("TransferSum") is not None:
        try:
            total = from_decimal(wire.receipt({"DocDate": command.doc_date.isoformat(), **body}).total, command.amount.currency)
        except MoneyError as error:
            return str(error)
        if total != command.amount:
            found.append(f"{total} instead of {command.amount}")
    currency = body.get("DocCurrency")
    if currency not in (None, "", "##", rules.local_currency, command.amount.currency):
        found.append(f"currency {currency}")
    if isinstance(body.get("PaymentInvoices"), list):
        applied = sum((wire.optional(part, "SumApplied") for part in body["PaymentInvoices"]), Decimal(0))
        asked = sum((part.amount.decimal() for part in command.allocations), Decimal(0))
        if abs(applied - asked) >= _NOISE:
            found.append(f"{applied} applied instead of {asked}")
    return ", ".join(found)


def _number(body: dict[str, Any]) -> str:
    return f"incoming payment {body.get('DocNum') or body.get('DocEntry')}"


def _find(command: PostPayment, rules: PostingRules) -> Finder:
    """Look for our marker: live and equal is adopted, anything else a person must see; None where nothing was booked."""
    field = rules.marker_field or "TransferReference"
    select = wire.RECEIPT if field == "TransferReference" else f"{wire.RECEIPT},{field}"
    where = f"{field} eq {odata.literal(command.marker)}"
    rows = yield from rows_of("IncomingPayments", select, where)
    rows = [row for row in rows if row.get(field) == command.marker]
    live = [row for row in rows if row.get("Cancelled") != "tYES"]
    if len(live) > 1:
        numbers = ", ".join(str(row.get("DocNum") or row["DocEntry"]) for row in live)
        return Hold("marker_mismatch", f"SAP holds {len(live)} incoming payments with the mark {command.marker}: {numbers}")
    if live:
        wrong = differs(command, live[0], rules)
        return Hold("marker_mismatch", f"{_number(live[0])} carries our mark but differs: {wrong}") if wrong else live[0]
    if rows and not rules.again:
        return Hold("cancelled_in_sap", f"{_number(rows[-1])} for {command.payment} was cancelled in SAP")
    if rules.approvals:
        draft = yield from _draft(command)
        if draft is not None:
            return draft
    return None


def _draft(command: PostPayment) -> Finder:
    """Look for a draft that an approval procedure made of our payment."""
    where = f"TransferReference eq {odata.literal(command.marker)}"
    rows = yield from rows_of("PaymentDrafts", "DocEntry,DocNum,TransferReference", where)
    drafts = [row for row in rows if row.get("TransferReference") == command.marker]
    if not drafts:
        return None
    number = drafts[-1]["DocEntry"]
    text = f"an approval procedure in SAP keeps the payment as draft {number}; approve or reject it there"
    return Hold("awaiting_approval", text, facts={"draft": number})


def rows_of(entity: str, select: str, where: str, key: str = "DocEntry") -> Finder:
    """Read all rows of a look-up; trouble with it leaves the doubt."""
    query = (("$select", select), ("$filter", odata.escaped(where)), ("$orderby", key))
    reply = yield Call("find", "sap", "GET", entity, query=query)
    if isinstance(reply, Answer):
        return odata.rows_of(reply.body)[0]
    from mlc.core.errors import UnreachableError

    raise UnreachableError(f"SAP refuses the look-up in {entity}: {reply.code} {reply.text}; what it was about stays in doubt")
