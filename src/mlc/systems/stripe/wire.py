"""Stripe's JSON becomes facts here, once; amounts leave Stripe's own unit at this door."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from mlc.core.deposits import StripePayout
from mlc.core.errors import UnexpectedAnswerError
from mlc.core.facts import Movement, Origin, Paid, Payment, ProcessorCustomer, ProcessorInvoice, Reversal, Subscription
from mlc.core.money import Money, from_stripe

FIGURES = ("sap_open_balance", "sap_overdue", "sap_currency", "sap_on_hold")


def need(body: dict[str, Any], name: str) -> Any:
    """Return a field that must be there; a version that stopped sending it is loud, never zero."""
    if body.get(name) is None:
        raise UnexpectedAnswerError(f"Stripe sent {body.get('object', 'an object')} {body.get('id', '')} without {name}")
    return body[name]


def id_of(value: Any) -> str:
    """Return the id of something that may be expanded, "" where there is none."""
    if isinstance(value, dict):
        return str(value.get("id") or "")
    return str(value or "")


def money(body: dict[str, Any], name: str) -> Money:
    """Return an amount that must be there, in ISO minor units."""
    return from_stripe(int(need(body, name)), need(body, "currency"))


def origin(body: dict[str, Any]) -> Origin:
    """Return the SAP numbers in the metadata."""
    data = body.get("metadata") or {}
    return Origin(
        company=data.get("sap_company", ""),
        doc_entry=_whole(data.get("sap_doc_entry")),
        doc_num=_whole(data.get("sap_doc_num")),
        card_code=data.get("sap_card_code", ""),
        key=data.get("mlc_key", ""),
        doc_total=data.get("sap_doc_total", ""),
        installment=_whole(data.get("sap_installment")) or 0,
    )


def _whole(text: Any) -> int | None:
    return int(text) if isinstance(text, str) and text.isascii() and text.isdecimal() else None


def invoice(body: dict[str, Any]) -> ProcessorInvoice:
    """Read an invoice; its payments only where they were expanded."""
    payments = body.get("payments")
    customer = body.get("customer")
    return ProcessorInvoice(
        id=need(body, "id"),
        status=body.get("status") or "",
        customer=id_of(customer),
        created=int(need(body, "created")),
        total=money(body, "total"),
        due=money(body, "amount_due"),
        remaining=money(body, "amount_remaining"),
        origin=origin(body),
        number=body.get("number") or "",
        payments=tuple(paid(one) for one in payments.get("data", [])) if isinstance(payments, dict) else None,
        customer_balance=int(customer.get("balance") or 0) if isinstance(customer, dict) else None,
    )


def paid(body: dict[str, Any]) -> Paid:
    """Read an InvoicePayment; where its invoice was expanded with what that says about SAP."""
    payment = body.get("payment") or {}
    kind = payment.get("type") or ""
    whole = body.get("invoice")
    amount = body.get("amount_paid")
    times = body.get("status_transitions") or {}
    return Paid(
        invoice=id_of(whole),
        kind=kind,
        payment=id_of(payment.get(kind)),
        status=body.get("status") or "",
        amount=from_stripe(int(amount if amount is not None else body.get("amount_requested") or 0), need(body, "currency")),
        at=times.get("paid_at"),
        created=int(body.get("created") or 0),
        origin=origin(whole) if isinstance(whole, dict) else Origin(),
        invoice_total=money(whole, "total") if isinstance(whole, dict) else None,
        invoice_remaining=money(whole, "amount_remaining") if isinstance(whole, dict) else None,
        invoice_status=str(whole.get("status") or "") if isinstance(whole, dict) else "",
    )


def intent(body: dict[str, Any], paid_by: tuple[Paid, ...]) -> Payment:
    """Read a PaymentIntent with the InvoicePayments that belong to it."""
    charge = body.get("latest_charge")
    charge = charge if isinstance(charge, dict) else {}
    received, succeeded = body.get("amount_received"), body.get("status") == "succeeded"
    return Payment(
        id=need(body, "id"),
        status=body.get("status") or "",
        amount=from_stripe(int(_first(received if succeeded else None, body.get("amount"))), need(body, "currency")),
        customer=id_of(body.get("customer")),
        created=int(body.get("created") or 0),
        succeeded_at=_success(body, charge, paid_by) if body.get("status") == "succeeded" else None,
        origin=origin(body),
        paid=paid_by,
        refunded=int(charge.get("amount_refunded") or 0),
        disputed=bool(charge.get("disputed")),
        description=body.get("description") or "",
        charge=id_of(body.get("latest_charge")),
    )


def charge(body: dict[str, Any], paid_by: tuple[Paid, ...] = ()) -> Payment:
    """Read a charge without a PaymentIntent as the payment it is."""
    status = str(body.get("status") or "")
    if status == "succeeded" and not body.get("captured", True):
        status = "requires_capture"  # authorised only: no money has come
    return Payment(
        id=need(body, "id"),
        status=status,
        amount=from_stripe(int(_first(body.get("amount_captured"), body.get("amount"))), need(body, "currency")),
        customer=id_of(body.get("customer")),
        created=int(body.get("created") or 0),
        succeeded_at=_success(body, body, paid_by) if status == "succeeded" else None,
        origin=origin(body),
        paid=paid_by,
        refunded=int(body.get("amount_refunded") or 0),
        disputed=bool(body.get("disputed")),
        description=body.get("description") or "",
        charge=need(body, "id"),
    )


def _first(*values: Any) -> Any:
    """Return the first figure that was told."""
    return next((value for value in values if value is not None), 0)


def _success(body: dict[str, Any], charged: dict[str, Any], paid_by: tuple[Paid, ...]) -> datetime:
    """Return when the money succeeded: what the invoice payments say; else when it reached the balance; else the charge."""
    times = [one.at for one in paid_by if one.at]
    balance = charged.get("balance_transaction")
    if not times and isinstance(balance, dict) and balance.get("created"):
        times = [int(balance["created"])]
    return datetime.fromtimestamp(max(times) if times else int(charged.get("created") or need(body, "created")), UTC)


def movement(body: dict[str, Any]) -> Movement:
    """Read a balance transaction."""
    currency, source = str(need(body, "currency")), body.get("source")
    parts = [one for one in body.get("fee_details") or [] if one.get("type") == "tax"]
    return Movement(
        id=need(body, "id"), amount=money(body, "amount").minor, fee=from_stripe(int(body.get("fee") or 0), currency).minor,
        currency=currency.upper(), created=int(need(body, "created")), category=str(body.get("reporting_category") or ""),
        source=id_of(source), kind=str(source.get("object") or "") if isinstance(source, dict) else "",
        tax=from_stripe(sum(int(one.get("amount") or 0) for one in parts), currency).minor,
        payment=_payment_of(source) if isinstance(source, dict) else "",
    )  # fmt: skip


def _payment_of(source: dict[str, Any]) -> str:
    """Return the payment that an object belongs to: its PaymentIntent, else the charge."""
    own = str(source.get("id") or "") if source.get("object") == "charge" else ""
    return id_of(source.get("payment_intent")) or id_of(source.get("charge")) or own


def payout(body: dict[str, Any]) -> StripePayout:
    """Read a payout; its failure's moment only where that was expanded. Arrival is a day, told as its midnight UTC."""
    trace, failed = body.get("trace_id") or {}, body.get("failure_balance_transaction")
    return StripePayout(
        id=need(body, "id"), amount=money(body, "amount"), status=str(need(body, "status")), automatic=bool(body.get("automatic")),
        reconciled=body.get("reconciliation_status") == "completed", created=int(need(body, "created")),
        arrival=datetime.fromtimestamp(int(need(body, "arrival_date")), UTC).date(),
        failed_at=int(failed.get("created") or 0) if isinstance(failed, dict) else 0, trace=str(trace.get("value") or ""),
    )  # fmt: skip


def refund(body: dict[str, Any]) -> Reversal:
    """Read a refund; what it did to the balance only where that was expanded."""
    moves = [body.get(name) for name in ("balance_transaction", "failure_balance_transaction")]
    return _reversal(body, "refund", body.get("failure_reason") or body.get("reason") or "", moves)


def dispute(body: dict[str, Any]) -> Reversal:
    """Read a dispute."""
    return _reversal(body, "dispute", body.get("reason") or "", body.get("balance_transactions") or [])


def _reversal(body: dict[str, Any], kind: str, reason: str, moves: list[Any]) -> Reversal:
    return Reversal(
        id=need(body, "id"), kind=kind, status=body.get("status") or "", amount=money(body, "amount"),
        payment=id_of(body.get("payment_intent")) or id_of(body.get("charge")), created=int(body.get("created") or 0),
        reason=reason, charge=id_of(body.get("charge")), moves=tuple(movement(one) for one in moves if isinstance(one, dict)),
    )  # fmt: skip


def customer(body: dict[str, Any]) -> ProcessorCustomer:
    """Read a customer."""
    address = body.get("address") or {}
    data = body.get("metadata") or {}
    street = ", ".join(part for part in (address.get("line1"), address.get("line2")) if part)
    return ProcessorCustomer(
        id=need(body, "id"), name=body.get("name") or "", email=body.get("email") or "", phone=body.get("phone") or "", street=street,
        city=address.get("city") or "", zip_code=address.get("postal_code") or "", country=address.get("country") or "",
        company=data.get("sap_company", ""), card_code=data.get("sap_card_code", ""), created=int(body.get("created") or 0),
        balance=int(body.get("balance") or 0), deleted=bool(body.get("deleted")), province=address.get("state") or "",
        figures=tuple((name, data[name]) for name in FIGURES if name in data),
    )  # fmt: skip


def subscription(body: dict[str, Any]) -> Subscription:
    """Read a subscription."""
    pause = body.get("pause_collection") or {}
    return Subscription(
        id=need(body, "id"), customer=id_of(body.get("customer")), status=body.get("status") or "",
        paused=pause.get("behavior") or "", resumes=pause.get("resumes_at") is not None,
        paused_by=(body.get("metadata") or {}).get("mlc_paused", ""),
    )  # fmt: skip
