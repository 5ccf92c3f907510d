"""How an invoice comes to stand at Stripe, and how its later life is told: requests in order, each with its look-up.

A recipe is a pure generator of its command and of the answers it is sent. What guards money (the customer's balance, the draft's
total, SAP's balance) is never taken from an old answer: it is read again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

from mlc.core.commands import DropDraft, PushInvoice
from mlc.core.errors import UnreachableError
from mlc.core.intents import Again, Answer, Call, Done, Finder, Hold, Mark, Receipt, Recipe, Refusal, Refused
from mlc.core.money import Money, MoneyError, from_decimal, from_stripe, to_stripe
from mlc.systems.stripe import wire

_FRESH = 300.0
_SYSTEM = "stripe"


@dataclass(frozen=True, slots=True)
class Moment:
    """When and as what a recipe runs: the run, its generation, and the clock, because a recipe may take its time."""

    run_id: str
    generation: int
    clock: Callable[[], float]
    promised: float = 0.0  # when this generation was promised: nothing of it can be older

    @property
    def now(self) -> float:
        """Return this moment in Unix seconds."""
        return self.clock()


# --- invoices ---------------------------------------------------------------------------------------------------------


def push_invoice(command: PushInvoice, customer: str, moment: Moment) -> Recipe:
    """Draft, lines, compare, finalize: three writes, and nothing is asked for that SAP does not hold open."""
    key = command.key if moment.generation == 1 else f"{command.key}#{moment.generation}"
    find = lambda: _find_invoice(customer, key, command, moment)  # noqa: E731 - a bound look-up, used once
    created = yield Call("create", _SYSTEM, "POST", "/v1/invoices", _draft(command, customer, key), write=True, find=find)
    if isinstance(created, Refusal):
        if created.code == "resource_missing" and customer in created.text:
            text = (
                f"the Stripe customer {customer} of {command.card_code} is gone: the next sync-customers finds or makes another"
            )
            return Hold("gone_from_stripe", text)
        return Refused(created.code, created.text)
    invoice_id = wire.need(created.body, "id")
    path = f"/v1/invoices/{invoice_id}"
    if created.body.get("status") not in (None, "draft"):
        return (yield from _already_final(command, path))  # an earlier attempt got further than its journal knows
    if not created.told or created.replayed:
        now = yield Call("look", _SYSTEM, "GET", path)
        if isinstance(now, Refusal) or now.body.get("deleted"):
            return Again(f"the draft {invoice_id} is gone")
        if now.body.get("status") != "draft":
            return (yield from _already_final(command, path))
    find = lambda: _find_lines(path)  # noqa: E731 - a bound look-up, used once
    filled = yield Call("lines", _SYSTEM, "POST", f"{path}/add_lines", {"lines": _lines(command)}, write=True, find=find)
    if isinstance(filled, Refusal):
        if filled.status == 404:
            return Again(f"the draft {invoice_id} is gone")
        yield from _drop(path)
        return Refused(filled.code, filled.text)
    wrong = yield from _compare(command, created, filled, path, moment)
    if wrong is not None:
        kept: Hold | None = yield from _drop(path)
        return kept or cast("Hold", wrong)
    find = lambda: _find_final(path)  # noqa: E731 - a bound look-up, used once
    final = yield Call("finalize", _SYSTEM, "POST", f"{path}/finalize", {"auto_advance": False}, write=True, find=find)
    if isinstance(final, Refusal):
        kept = yield from _drop(path)
        return kept or Refused(final.code, final.text)
    return (yield from _finalized(command, final, path))


def _draft(command: PushInvoice, customer: str, key: str) -> dict[str, Any]:
    return {
        "customer": customer,
        "currency": command.amount.currency.lower(),
        "collection_method": "send_invoice",
        "due_date": command.due_at,
        "auto_advance": False,
        "pending_invoice_items_behavior": "exclude",
        "discounts": "",
        "description": command.description[:1500],
        "metadata": {
            "sap_company": command.company, "sap_doc_entry": str(command.doc_entry), "sap_doc_num": str(command.doc_num),
            "sap_card_code": command.card_code, "sap_doc_total": command.doc_total, "mlc_key": key,
            **({"sap_installment": str(command.installment)} if command.installment else {}),
        },
        "expand": ["customer"],
    }  # fmt: skip


def _lines(command: PushInvoice) -> list[dict[str, Any]]:
    return [{"amount": to_stripe(line.amount), "description": line.text[:5000]} for line in command.lines]


def _compare(command: PushInvoice, created: Answer, filled: Answer, path: str, moment: Moment) -> Finder:
    """Return a Hold where what Stripe would ask differs from what SAP holds open now, None where both agree."""
    told, draft = created.told and filled.told and not filled.replayed, filled.body
    balance = wire.invoice(created.body).customer_balance if told else None
    if balance is None or not told:
        now = yield Call("guard", _SYSTEM, "GET", path, {"expand": ["customer"]})
        if isinstance(now, Refusal):
            raise UnreachableError(f"the draft of invoice {command.doc_num} cannot be read again: {now.text}")
        draft, balance = now.body, wire.invoice(now.body).customer_balance
    if balance is None:
        one = yield Call("customer", _SYSTEM, "GET", f"/v1/customers/{wire.id_of(draft.get('customer'))}")
        balance = int(one.body.get("balance") or 0) if isinstance(one, Answer) else None
    if balance != 0:
        return Hold("customer_balance", _balance_text(command, balance))
    asked = wire.invoice(draft)
    if asked.total != command.amount or asked.due != command.amount:
        return Hold("balance_differs", f"SAP holds {command.amount} open on {command.doc_num}, Stripe would ask for {asked.due}"
                    f" (total {asked.total})")  # fmt: skip
    if moment.run_id != command.run_id or moment.now - command.read_at > _FRESH:
        live = yield Call("balance", "sap", "ASK", "open_balance", {"doc_entry": command.doc_entry})
        held, then = (
            _open_in_sap(live, command.amount.currency),
            Money(command.amount.minor + command.aside, command.amount.currency),
        )
        if held != then:
            return Hold("balance_differs", f"SAP now holds {held} open on {command.doc_num}, it was {then} when it was read")
    return None


def _balance_text(command: PushInvoice, balance: int | None) -> str:
    if balance is None:
        return f"Stripe does not tell the balance of the customer of {command.doc_num}"
    return (
        f"the Stripe customer of {command.card_code} has a balance of {from_stripe(-balance, command.amount.currency)}, which Stripe"
        f" would use on invoice {command.doc_num} by itself; bring it to zero"
    )


def _open_in_sap(answer: Answer | Refusal, currency: str) -> Money | None:
    if isinstance(answer, Refusal):
        return None
    try:
        return from_decimal(Decimal(answer.body["balance"]), currency)
    except MoneyError:
        return None


def _already_final(command: PushInvoice, path: str) -> Recipe:
    now = yield Call("look again", _SYSTEM, "GET", path)
    if isinstance(now, Refusal):
        return Again("the invoice is gone")
    return (yield from _finalized(command, now, path))


def _finalized(command: PushInvoice, final: Answer, path: str) -> Recipe:
    """Compare once more; what differs after all is voided and held."""
    if not final.told or final.replayed:
        now = yield Call("look at the end", _SYSTEM, "GET", path)
        if isinstance(now, Refusal):
            return Hold("balance_differs", f"the finalized invoice of {command.doc_num} cannot be read: {now.text}")
        final = now
    asked = wire.invoice(final.body)
    data = {
        "doc_num": command.doc_num, "card_code": command.card_code, "pushed": command.amount.minor, "doc_total": command.doc_total,
        "currency": command.amount.currency, "expected": command.amount.minor + command.aside, "explained": command.explained,
        "number": asked.number, "sap_closed": False, "by": "", "sap_due": command.due_in_sap, "installment": command.installment,
        "aside": command.aside,
    }  # fmt: skip
    if asked.total != command.amount or asked.due != command.amount:
        reply = yield Call("void", _SYSTEM, "POST", f"{path}/void", write=True, find=lambda: find_status(path, "void"))
        ended = "voided" if isinstance(reply, Answer) else f"could not be voided ({reply.text})"
        text = f"SAP holds {command.amount} open on {command.doc_num}, Stripe asked for {asked.due} after finalizing; {asked.id} {ended}"
        return Hold("balance_differs", text)
    if command.mail:
        yield Call("send", _SYSTEM, "POST", f"{path}/send", write=True, find=_believed)
    state = asked.status if asked.status in ("paid", "void", "uncollectible") else "open"
    mark = Mark("invoice", str(command.doc_entry), asked.id, state, data)
    return Done(Receipt(_SYSTEM, "Invoice", asked.id, asked.number), (mark,))


def _drop(path: str) -> Finder:
    """Delete a draft; returns a Hold where it turns out not to be one any more."""
    reply = yield Call("drop", _SYSTEM, "DELETE", path, write=True)
    if isinstance(reply, Refusal) and reply.status != 404:
        return Hold("balance_differs", f"{path.rsplit('/', 1)[-1]} could not be deleted: {reply.text}")
    return None


def drop_draft(command: DropDraft) -> Recipe:
    """Delete a draft that an earlier attempt left behind."""
    kept = yield from _drop(f"/v1/invoices/{command.invoice}")
    if kept is not None:
        return Refused("not_a_draft", kept.text)
    return Done(Receipt(_SYSTEM, "Draft", command.invoice))


def _find_invoice(customer: str, key: str, command: PushInvoice, moment: Moment) -> Finder:
    since = int(min(moment.now, command.read_at or moment.now)) - 86400
    rows = yield from listed("/v1/invoices", {"customer": customer, "created": {"gte": since}})
    return next((row for row in rows if (row.get("metadata") or {}).get("mlc_key") == key), None)


def _find_lines(path: str) -> Finder:
    now = yield Call("find lines", _SYSTEM, "GET", path)
    if isinstance(now, Refusal):
        return None
    return now.body if (now.body.get("lines") or {}).get("data") else None


def _find_final(path: str) -> Finder:
    now = yield Call("find final", _SYSTEM, "GET", path)
    return now.body if isinstance(now, Answer) and now.body.get("status") not in (None, "draft") else None


def listed(path: str, params: dict[str, Any]) -> Finder:
    """Read a whole list for a look-up."""
    rows: list[dict[str, Any]] = []
    while True:
        after = {"starting_after": rows[-1]["id"]} if rows else {}
        reply = yield Call("find", _SYSTEM, "GET", path, {"limit": 100, **params, **after})
        if isinstance(reply, Refusal):
            raise UnreachableError(f"Stripe refuses the look-up in {path}: {reply.text}")
        rows += reply.body.get("data") or []
        if not reply.body.get("has_more") or not reply.body.get("data"):
            return rows


def _believed() -> Finder:
    """Take it as done: a mail that may have gone out is not sent twice."""
    yield from ()
    return {}


def find_status(path: str, status: str) -> Finder:
    """Look whether an invoice has come to a status."""
    now = yield Call("find status", _SYSTEM, "GET", path)
    return now.body if isinstance(now, Answer) and now.body.get("status") == status else None
