"""How the later life of an invoice is told to Stripe: void, paid elsewhere, reported in part, credited.

Nothing is changed at Stripe while a payment of the invoice is on its way: every recipe reads the invoice first.
"""

from __future__ import annotations

from typing import Any

from mlc.core.commands import CreditInvoice, ReportPayment, SettleInvoice, VoidInvoice
from mlc.core.intents import Answer, Call, Done, Finder, Hold, Mark, Receipt, Recipe, Refusal, Refused
from mlc.core.money import Money, to_stripe
from mlc.systems.stripe import wire
from mlc.systems.stripe.recipes import find_status, listed

_SYSTEM = "stripe"


def void_invoice(command: VoidInvoice) -> Recipe:
    """Void an invoice that SAP cancelled, unless money is on its way or has come."""
    path = f"/v1/invoices/{command.invoice}"
    guard = yield from _guard(command.doc_num, path)
    if isinstance(guard, Hold):
        return guard
    mark = Mark("invoice", str(command.doc_entry), command.invoice, "void", {"by": "mlc"})
    if guard.get("status") != "void":
        if guard.get("status") == "paid" or int(guard.get("amount_paid") or 0):
            return Hold(
                "payment_in_flight", f"{command.doc_num} was cancelled in SAP, but {command.invoice} was paid at Stripe"
            )
        reply = yield Call("void", _SYSTEM, "POST", f"{path}/void", write=True, find=lambda: find_status(path, "void"))
        if isinstance(reply, Refusal):
            return Refused(reply.code, reply.text)
    return Done(Receipt(_SYSTEM, "Invoice", command.invoice), (mark,))


def settle_invoice(command: SettleInvoice) -> Recipe:
    """Mark an invoice as paid out of band: its money came by another way and stands in SAP."""
    path = f"/v1/invoices/{command.invoice}"
    guard = yield from _guard(command.doc_num, path)
    if isinstance(guard, Hold):
        return guard
    mark = Mark("invoice", str(command.doc_entry), command.invoice, "paid", {"by": "mlc", "expected": 0, "sap_closed": True})
    if guard.get("status") != "paid":
        remaining = wire.invoice(guard).remaining
        if remaining != command.remaining:
            return Hold("balance_unexplained", f"{command.why}, but Stripe still asks for {remaining}, not {command.remaining}")
        reply = yield Call(
            "pay",
            _SYSTEM,
            "POST",
            f"{path}/pay",
            {"paid_out_of_band": True},
            write=True,
            find=lambda: find_status(path, "paid"),
        )
        if isinstance(reply, Refusal):
            return Refused(reply.code, reply.text)
    return Done(Receipt(_SYSTEM, "Invoice", command.invoice), (mark,))


def report_payment(command: ReportPayment) -> Recipe:
    """Report a part that was paid elsewhere and attach it: Stripe asks for the rest only."""
    path = f"/v1/invoices/{command.invoice}"
    guard = yield from _guard(command.doc_num, path)
    if isinstance(guard, Hold):
        return guard
    amount = {"value": to_stripe(command.amount), "currency": command.amount.currency.lower()}
    body = {
        "amount_requested": amount, "initiated_at": command.paid_at, "outcome": "guaranteed",
        "guaranteed": {"guaranteed_at": command.paid_at},
        "payment_method_details": {"type": "custom", "custom": {"display_name": "Paid to us directly"}},
        "processor_details": {"type": "custom", "custom": {"payment_reference": f"SAP receipt {command.receipt}"}},
        "metadata": {"sap_receipt": str(command.receipt), "sap_doc_entry": str(command.doc_entry)},
    }  # fmt: skip
    unknown = f"whether receipt {command.receipt} was reported for invoice {command.doc_num} can no longer be told; look at {command.invoice}"
    find = lambda: _undecidable(unknown)  # noqa: E731 - a bound look-up, used once
    record = yield Call("report", _SYSTEM, "POST", "/v1/payment_records/report_payment", body, write=True, find=find)
    if isinstance(record, Refusal):
        return Refused(record.code, record.text)
    record_id = wire.need(record.body, "id")
    find = lambda: _find_attached(path, record_id)  # noqa: E731 - a bound look-up, used once
    reply = yield Call(
        "attach", _SYSTEM, "POST", f"{path}/attach_payment", {"payment_record": record_id}, write=True, find=find
    )
    if isinstance(reply, Refusal):
        return Refused(reply.code, reply.text)
    return Done(Receipt(_SYSTEM, "PaymentRecord", record_id), (_lowered(command, command.receipt, "receipts"),))


def credit_invoice(command: CreditInvoice) -> Recipe:
    """Issue the credit note of a credit memo; Stripe mails nothing."""
    path = f"/v1/invoices/{command.invoice}"
    guard = yield from _guard(command.doc_num, path)
    if isinstance(guard, Hold):
        return guard
    rest = Money(command.rest, command.amount.currency)
    body: dict[str, Any] = {
        "invoice": command.invoice, "amount": to_stripe(command.amount + rest), "email_type": "none", "memo": command.why[:500],
        "metadata": {"sap_credit_memo": str(command.memo), "sap_doc_entry": str(command.doc_entry)},
    }  # fmt: skip
    if rest:
        body["out_of_band_amount"] = to_stripe(rest)
    reply = yield Call("credit", _SYSTEM, "POST", "/v1/credit_notes", body, write=True, find=lambda: _find_credit(command))
    if isinstance(reply, Refusal):
        return Refused(reply.code, reply.text)
    return Done(Receipt(_SYSTEM, "CreditNote", wire.need(reply.body, "id")), (_lowered(command, command.memo, "memos"),))


def _lowered(command: ReportPayment | CreditInvoice, number: int, kind: str) -> Mark:
    left = command.left - command.amount
    data = {"expected": left.minor, f"{kind}_{number}": command.amount.minor}
    return Mark(
        "invoice", str(command.doc_entry), command.invoice, "open" if left else "paid", {**data, "sap_closed": not left}
    )


def _guard(doc_num: int, path: str) -> Finder:
    """Read the invoice now; a Hold where money is on its way: then nothing is changed at Stripe."""
    now = yield Call("guard", _SYSTEM, "GET", path, {"expand": ["payments.data.payment.payment_intent"]})
    if isinstance(now, Refusal):
        return Hold(
            "gone_from_stripe", f"Stripe does not know {path.rsplit('/', 1)[-1]} of invoice {doc_num} any more: {now.text}"
        )
    body: dict[str, Any] = now.body
    for one in (body.get("payments") or {}).get("data") or []:
        intent = (one.get("payment") or {}).get("payment_intent")
        if one.get("status") != "open" or not intent:
            continue
        if not isinstance(intent, dict):
            read = yield Call("intent", _SYSTEM, "GET", f"/v1/payment_intents/{intent}")
            intent = read.body if isinstance(read, Answer) else {}
        if intent.get("status") in ("processing", "requires_capture", "succeeded"):
            return Hold("payment_in_flight", f"a payment of invoice {doc_num} is on its way at Stripe ({intent.get('id')})")
    return body


def _find_attached(path: str, record_id: str) -> Finder:
    now = yield Call("find attached", _SYSTEM, "GET", path, {"expand": ["payments"]})
    parts = (now.body.get("payments") or {}).get("data") or [] if isinstance(now, Answer) else []
    return (
        now.body if any(wire.id_of((part.get("payment") or {}).get("payment_record")) == record_id for part in parts) else None
    )


def _find_credit(command: CreditInvoice) -> Finder:
    rows = yield from listed("/v1/credit_notes", {"invoice": command.invoice})
    return next((row for row in rows if (row.get("metadata") or {}).get("sap_credit_memo") == str(command.memo)), None)


def _undecidable(text: str) -> Finder:
    """Say that nothing can tell any more: Stripe lists no payment records."""
    yield from ()
    return Hold("in_doubt", text)
