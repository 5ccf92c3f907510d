"""What mlc reads of Stripe: one list call where nothing happened, pages instead of single objects, never the search API (it lags)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from mlc.core.deposits import StripePayout
from mlc.core.facts import Hint, Movement, Paid, Payment, ProcessorCustomer, ProcessorInvoice, Reversal, Subscription
from mlc.core.inbox import moment
from mlc.core.money import Money
from mlc.systems.stripe import wire
from mlc.systems.stripe.client import ForbiddenError, StripeSystem

# Twenty is the most one call takes; a twenty-first is refused with the whole call. What only speaks of payouts and credit notes, or
# of failures that change nothing, is not needed by these passes.
EVENT_TYPES = (
    "invoice_payment.paid", "invoice.paid", "invoice.voided", "invoice.marked_uncollectible", "invoice.overpaid",
    "payment_intent.succeeded", "payment_intent.processing",
    "payment_intent.payment_failed", "charge.succeeded", "charge.updated", "charge.failed", "refund.created", "refund.updated",
    "refund.failed", "charge.dispute.created", "charge.dispute.funds_withdrawn", "charge.dispute.funds_reinstated",
    "charge.dispute.closed",
)  # fmt: skip
CUSTOMER_EVENTS = ("customer.created", "customer.updated", "customer.deleted")
SUBSCRIPTION_EVENTS = ("customer.subscription.created", "customer.subscription.updated")
PAYOUT_EVENTS = (
    "payout.paid",
    "payout.failed",
    "payout.reconciliation_completed",
)  # heard as webhooks; a run lists payouts anyway
_WHOLE_PAYMENT = "latest_charge.balance_transaction"


class StripeReads:
    """The reads of one account."""

    def __init__(self, system: StripeSystem) -> None:
        self.system = system

    def account(self) -> tuple[str, str]:
        """Return the account behind the key and its business name; a key that may not read it stands for itself."""
        try:
            body = self.system.get("/v1/account")
        except ForbiddenError:
            return f"key:{self.system.fingerprint()}", "not readable with this restricted key"
        return str(body.get("id") or ""), str((body.get("business_profile") or {}).get("name") or "")

    # --- invoices and customers -------------------------------------------------------------------------------------

    def invoices_since(self, created: int) -> Iterator[list[ProcessorInvoice]]:
        """Yield pages of invoices created at or after a moment, newest first."""
        for page in self.system.pages("/v1/invoices", {"created": {"gte": created}}):
            yield [wire.invoice(row) for row in page]

    def invoice(self, invoice_id: str) -> ProcessorInvoice | None:
        """Return an invoice with its payments, None where Stripe has none."""
        body = self.system.find(f"/v1/invoices/{invoice_id}", {"expand": ["payments", "customer"]})
        return wire.invoice(body) if body else None

    def credit_notes(self, invoice_id: str) -> list[tuple[str, Money]]:
        """Return (number of the SAP credit memo it was made for, "" where none; amount) of an invoice's live credit notes."""
        pages = self.system.pages("/v1/credit_notes", {"invoice": invoice_id})
        rows = [row for page in pages for row in page if row.get("status") != "void"]
        return [(str((row.get("metadata") or {}).get("sap_credit_memo") or ""), wire.money(row, "amount")) for row in rows]

    def customers_since(self, created: int) -> Iterator[list[ProcessorCustomer]]:
        """Yield pages of customers created at or after a moment, newest first."""
        for page in self.system.pages("/v1/customers", {"created": {"gte": created}} if created else {}):
            yield [wire.customer(row) for row in page]

    def customer(self, customer_id: str) -> ProcessorCustomer | None:
        """Return a customer, None where Stripe has none."""
        body = self.system.find(f"/v1/customers/{customer_id}")
        return wire.customer(body) if body else None

    def subscriptions_of(self, customer_id: str) -> list[Subscription]:
        """Return a customer's subscriptions that have not ended."""
        rows = (row for page in self.system.pages("/v1/subscriptions", {"customer": customer_id}) for row in page)
        return [wire.subscription(row) for row in rows]

    # --- events -----------------------------------------------------------------------------------------------------

    def events_since(self, created: int) -> Iterator[list[Hint]]:
        """Yield pages of hints created at or after a moment, newest first. Stripe keeps events for 30 days."""
        for page in self.system.pages("/v1/events", {"types": list(EVENT_TYPES), "created": {"gte": created}}):
            yield [hint_of(row) for row in page]

    def customer_events_since(self, created: int, *, subscriptions: bool = False) -> Iterator[list[Hint]]:
        """Yield pages of hints that a customer (or a subscription of one) is new, changed or gone, newest first."""
        types = [*CUSTOMER_EVENTS, *(SUBSCRIPTION_EVENTS if subscriptions else ())]
        for page in self.system.pages("/v1/events", {"types": types, "created": {"gte": created}}):
            yield [hint_of(row) for row in page]

    def event(self, event_id: str) -> Hint | None:
        """Return one event as a hint, None where Stripe does not keep it (any more)."""
        body = self.system.find(f"/v1/events/{event_id}")
        return hint_of(body) if body else None

    # --- payments ---------------------------------------------------------------------------------------------------

    def charges_since(self, created: int) -> Iterator[list[Hint]]:
        """Yield pages of hints from the charges themselves: what needs no event to be found."""
        for page in self.system.pages("/v1/charges", {"created": {"gte": created}}):
            yield [_hint("", "charge", row, int(row.get("created") or 0), _ended(row)) for row in page]

    def payment(self, payment_id: str, invoice_id: str = "") -> Payment | None:
        """Return a PaymentIntent or bare charge as it is now, with the invoices it paid.

        Invoice payments cannot be filtered by charge: they are looked for at `invoice_id`, else among its customer's paid invoices.
        """
        if not payment_id.startswith("pi_"):
            body = self.system.find(f"/v1/charges/{payment_id}", {"expand": ["balance_transaction"]})
            if body and wire.id_of(body.get("payment_intent")):
                return self.payment(wire.id_of(body["payment_intent"]))
            return wire.charge(body, self._paid_by_charge(body, invoice_id)) if body else None
        body = self.system.find(f"/v1/payment_intents/{payment_id}", {"expand": [_WHOLE_PAYMENT]})
        return wire.intent(body, self._paid_by(payment_id)) if body else None

    def payment_of(self, invoice_payment: str) -> str:
        """Return the PaymentIntent or charge behind an invoice payment, "" where Stripe has none: thin events name no more."""
        body = self.system.find(f"/v1/invoice_payments/{invoice_payment}")
        return wire.paid(body).payment if body else ""

    def _paid_by(self, payment_id: str) -> tuple[Paid, ...]:
        params = {"payment": {"type": "payment_intent", "payment_intent": payment_id}, "expand": ["data.invoice"]}
        rows = [wire.paid(row) for page in self.system.pages("/v1/invoice_payments", params) for row in page]
        return tuple(one for one in rows if one.status == "paid")

    def _paid_by_charge(self, charge: dict[str, Any], invoice_id: str) -> tuple[Paid, ...]:
        invoices = [invoice_id] if invoice_id else []
        customer = wire.id_of(charge.get("customer"))
        if not invoices and customer:
            pages = self.system.pages("/v1/invoices", {"customer": customer, "expand": ["data.payments"]})
            invoices = [row["id"] for page in pages for row in page if charge["id"] in _charges(row)]
        params = {"status": "paid", "expand": ["data.invoice"]}
        parts = [
            wire.paid(row)
            for one in invoices
            for page in self.system.pages("/v1/invoice_payments", {"invoice": one, **params})
            for row in page
        ]
        return tuple(part for part in parts if part.payment == charge["id"])

    def payments(self, hints: dict[str, int], invoices: dict[str, str] | None = None) -> dict[str, Payment | None]:
        """Return payment id -> payment as it is now; `hints` maps ids to when their invoice payment was created (0 = unknown).

        Many are read by pages of paid invoice payments around those moments, with intent and charge expanded; what the pages do
        not show completely is read one by one.
        """
        found: dict[str, Payment | None] = {}
        placed = {payment: at for payment, at in hints.items() if at}
        if len(placed) >= 4:
            found.update(self._by_pages(placed))
        for payment_id in hints:
            if payment_id not in found:
                found[payment_id] = self.payment(payment_id, (invoices or {}).get(payment_id, ""))
        return found

    def _by_pages(self, placed: dict[str, int]) -> dict[str, Payment]:
        window = {"gte": min(placed.values()), "lte": max(placed.values())}
        params = {"status": "paid", "created": window, "expand": ["data.invoice", "data.payment.payment_intent.latest_charge"]}
        intents: dict[str, dict[str, Any]] = {}
        parts: dict[str, list[Paid]] = {}
        budget = max(1, len(placed) // 4)
        for number, page in enumerate(self.system.pages("/v1/invoice_payments", params), 1):
            for row in page:
                whole = (row.get("payment") or {}).get("payment_intent")
                if isinstance(whole, dict) and whole.get("id") in placed:
                    intents[whole["id"]] = whole
                    parts.setdefault(whole["id"], []).append(wire.paid(row))
            if number >= budget or len(intents) == len(placed):
                break
        read = {one: wire.intent(body, tuple(parts[one])) for one, body in intents.items()}
        return {one: payment for one, payment in read.items() if _complete(payment, intents[one])}

    # --- what goes back ---------------------------------------------------------------------------------------------

    def reversals_since(self, created: int) -> Iterator[list[Reversal]]:
        """Yield pages of refunds and disputes created at or after a moment, as they are now."""
        for kind in ("refund", "dispute"):
            for page in self.system.pages(f"/v1/{kind}s", {"created": {"gte": created}, **_moves(kind, "data.")}):
                yield [_BACK[kind](row) for row in page]

    def reversals_of(self, payment: str) -> list[Reversal]:
        """Return the refunds and disputes of a payment as they are now."""
        where = {"payment_intent" if payment.startswith("pi_") else "charge": payment}
        rows = [
            (kind, row)
            for kind in ("refund", "dispute")
            for page in self.system.pages(f"/v1/{kind}s", {**where, **_moves(kind, "data.")})
            for row in page
        ]
        return [_BACK[kind](row) for kind, row in rows]

    def reversal(self, kind: str, reversal_id: str) -> Reversal | None:
        """Return a refund or dispute as it is now, None where Stripe has none."""
        body = self.system.find(f"/v1/{kind}s/{reversal_id}", _moves(kind))
        return _BACK[kind](body) if body is not None else None

    def returned(self, payment: Payment, charge: str) -> Reversal:
        """Return a bank debit that came back after it had succeeded: what its charge did to the balance tells when."""
        params = {"source": charge, "expand": ["data.source"]}
        moves = [wire.movement(row) for page in self.system.pages("/v1/balance_transactions", params) for row in page]
        back = sorted((one for one in moves if one.category == "charge_failure"), key=lambda one: one.created)
        return Reversal(
            f"{payment.id}/returned",
            "returned",
            "failed",
            payment.amount,
            payment.id,
            payment.created,
            charge=charge,
            moves=tuple(back),
        )

    # --- payouts ----------------------------------------------------------------------------------------------------

    def payouts_since(self, created: int) -> Iterator[list[StripePayout]]:
        """Yield pages of payouts created at or after a moment."""
        params = {"created": {"gte": created}, "expand": ["data.failure_balance_transaction"]}
        for page in self.system.pages("/v1/payouts", params):
            yield [wire.payout(row) for row in page]

    def payout(self, payout_id: str) -> StripePayout | None:
        """Return a payout, None where Stripe has none."""
        body = self.system.find(f"/v1/payouts/{payout_id}", {"expand": ["failure_balance_transaction"]})
        return wire.payout(body) if body else None

    def movements_of(self, payout_id: str) -> Iterator[list[Movement]]:
        """Yield pages of what an automatic payout is made of, its own movement left out."""
        params = {"payout": payout_id, "expand": ["data.source"]}
        for page in self.system.pages("/v1/balance_transactions", params):
            rows = [row for row in page if row.get("type") != "payout" or wire.id_of(row.get("source")) != payout_id]
            yield [wire.movement(row) for row in rows]


_BACK = {"refund": wire.refund, "dispute": wire.dispute}


def _moves(kind: str, prefix: str = "") -> dict[str, Any]:
    """Return the expansion that shows what a refund did to the balance; a dispute shows it by itself."""
    names = ("balance_transaction", "failure_balance_transaction") if kind == "refund" else ()
    return {"expand": [prefix + name for name in names]} if names else {}


def _ended(charge: dict[str, Any]) -> str:
    """Return the type of the event that a charge would have brought where it failed."""
    return "charge.failed" if charge.get("status") == "failed" else ""


def _charges(invoice: dict[str, Any]) -> set[str]:
    parts = (invoice.get("payments") or {}).get("data") or []
    return {wire.id_of((part.get("payment") or {}).get("charge")) for part in parts}


def _complete(payment: Payment, body: dict[str, Any]) -> bool:
    """Tell whether the pages showed everything: the intent, its charge, and invoice payments that add up to it."""
    return isinstance(body.get("latest_charge"), dict) and sum(one.amount.minor for one in payment.paid) == payment.amount.minor


def hint_of(row: dict[str, Any]) -> Hint:
    """Read an event as the hint it is; thin events and those of other API versions serve as well.

    Of an event about a customer's subscription the id is the customer's.
    """
    inner = (row.get("data") or {}).get("object")
    body: dict[str, Any] = inner if isinstance(inner, dict) else row.get("related_object") or {}
    type_ = str(row.get("type") or "").removeprefix("v1.")
    event, created = str(row.get("id") or ""), seconds(row.get("created"))
    if type_.startswith("customer."):
        subscription = type_.startswith("customer.subscription.")
        ident = wire.id_of(body.get("customer")) if subscription else str(body.get("id") or "")
        key = str((row.get("request") or {}).get("idempotency_key") or "")
        return Hint(event, type_, created, "subscription" if subscription else "customer", ident, key=key)
    kind = body.get("object") or (body.get("type") if body is not inner else "") or type_.split(".")[0]
    return _hint(event, str(kind), body, created, type_)


def delivered(body: str) -> Hint:
    """Read an event that a webhook brought, as the inbox keeps it."""
    return hint_of(json.loads(body))


def seconds(created: Any) -> int:
    """Return when an event was made, in Unix seconds: full events say seconds, thin ones ISO 8601; 0 where neither is said."""
    if isinstance(created, int | str) and str(created).isdecimal():
        return int(created) if int(created) < 10**11 else 0
    return int(moment(created))


def _hint(event: str, kind: str, body: dict[str, Any], created: int, type_: str = "") -> Hint:
    payment = wire.id_of(body.get("payment_intent"))
    at, invoice = 0, str(body.get("id") or "") if kind == "invoice" else ""
    if kind == "invoice_payment":
        inner = body.get("payment") or {}
        payment = wire.id_of(inner.get("payment_intent")) or wire.id_of(inner.get("charge"))
        at, invoice = int(body.get("created") or 0), wire.id_of(body.get("invoice"))
    elif kind == "payment_intent":
        payment = str(body.get("id") or "")
    elif kind == "charge":
        payment = payment or str(body.get("id") or "")
    elif kind in ("refund", "dispute"):
        payment = payment or wire.id_of(body.get("charge"))
    return Hint(event, type_, created, kind, str(body.get("id") or ""), payment, at, invoice)


def ids(hints: Iterable[Hint], kind: str) -> list[str]:
    """Return the ids of one kind among hints, each once."""
    return list(dict.fromkeys(hint.id for hint in hints if hint.kind == kind and hint.id))
