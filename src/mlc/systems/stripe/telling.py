"""What Stripe says of one thing now, in sentences with Stripe's own times: few requests, nothing kept.

The payment link is read here each time it is asked for, and stands nowhere else: whoever has it can see and pay the invoice.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from mlc.core.money import MoneyError
from mlc.core.story import Tale, Told
from mlc.systems.stripe import wire
from mlc.systems.stripe.client import StripeSystem

SOURCE = "Stripe now"
_CHARGE = "latest_charge.balance_transaction"
_KNOWN = frozenset({"in", "pi", "ch", "py", "re", "pyr", "dp", "du", "po", "cus", "evt"})
_FEW = 5  # payments of an invoice, and payouts that may hold a payment, that are looked into
_PAYOUTS_AFTER = 45 * 86400  # a payment is paid out at the latest so long after it is available, where payouts are automatic


class StripeTelling:
    """Tells of the objects of one account, by the prefix of their ids."""

    def __init__(self, system: StripeSystem) -> None:
        self.system = system
        self._kinds: dict[str, Callable[[str, Tale], None]] = {
            "in": self._invoice, "pi": self._intent, "ch": self._charge_alone, "py": self._charge_alone, "re": self._refund,
            "pyr": self._refund, "dp": self._dispute, "du": self._dispute, "po": self._payout, "cus": self._customer, "evt": self._event,
        }  # fmt: skip

    @staticmethod
    def knows(ident: str) -> bool:
        """Tell whether an id looks like one of Stripe's."""
        prefix, mark, rest = ident.partition("_")
        return bool(mark and rest.isascii() and rest.isalnum() and prefix in _KNOWN)

    def tell(self, ident: str, *, payout: bool = False) -> Tale:
        """Tell of one object; `payout` looks for the payout that a payment was paid out with."""
        tale = Tale()
        self._kinds[ident.partition("_")[0]](ident, tale)
        if payout:
            self._paid_out(tale)
        return tale

    def invoice_of(self, customer: str, company: str, doc_entry: int) -> str:
        """Return the newest invoice that was made for a document, by its metadata; "" where there is none."""
        rows = self.system.get("/v1/invoices", {"customer": customer, "limit": 100}).get("data") or []
        origins = [(row["id"], wire.origin(row)) for row in rows]
        return next((ident for ident, one in origins if (one.company, one.doc_entry) == (company, doc_entry)), "")

    # --- invoices and customers ---------------------------------------------------------------------------------------

    def _invoice(self, ident: str, tale: Tale) -> None:
        body = self.system.find(f"/v1/invoices/{ident}", {"expand": ["payments.data.payment.payment_intent"]})
        if body is None:
            return
        total, number = _amount(body, "total"), body.get("number") or ident
        said = {
            "": f"invoice {ident} over {total} is drafted", "finalized_at": f"invoice {ident} is finalized as {number}",
            "paid_at": f"invoice {ident} is paid", "voided_at": f"invoice {ident} is voided",
            "marked_uncollectible_at": f"invoice {ident} is marked uncollectible",
        }  # fmt: skip
        times = {"": body.get("created"), **(body.get("status_transitions") or {})}
        for name, text in said.items():
            _say(tale, "invoice", text, times.get(name))
        text = f"invoice {ident} is {body.get('status')}: {_amount(body, 'amount_remaining')} of {_amount(body, 'amount_due')} remains"
        _say(tale, "invoice", text, data={"id": ident, "status": body.get("status"), "remaining": body.get("amount_remaining")})
        origin = wire.origin(body)
        tale.lead("document", origin.doc_entry)
        tale.lead("customer", wire.id_of(body.get("customer")))
        self._credit_notes(ident, tale)
        for part in ((body.get("payments") or {}).get("data") or [])[:_FEW]:
            self._part(part, tale)
        link = body.get("hosted_invoice_url")
        if link and body.get("status") in ("open", "uncollectible"):
            _say(tale, "link", f"the customer pays invoice {ident} here: {link}", data={"url": link})

    def _part(self, part: dict[str, Any], tale: Tale) -> None:
        """Tell of one payment of an invoice: its intent with charge and refunds; what was never tried needs no word."""
        payment = part.get("payment") or {}
        intent = payment.get("payment_intent")
        status = intent.get("status") if isinstance(intent, dict) else ""
        ident = wire.id_of(intent) or wire.id_of(payment.get("charge"))
        if wire.id_of(payment.get("payment_record")):
            paid = wire.paid(part)
            _say(tale, "payment", f"{paid.payment} over {paid.amount} was paid elsewhere and reported", paid.at or paid.created)
        elif ident and (part.get("status") == "paid" or status not in ("requires_payment_method", "canceled")):
            self._kinds[ident.partition("_")[0]](ident, tale)
            tale.lead("payment", ident)
        elif isinstance(intent, dict) and intent.get("last_payment_error"):
            self._intent(ident, tale)

    def _credit_notes(self, invoice: str, tale: Tale) -> None:
        for row in self.system.get("/v1/credit_notes", {"invoice": invoice, "limit": 20}).get("data") or []:
            _say(
                tale,
                "credit_note",
                f"credit note {row.get('number')} over {_amount(row, 'total')} is {row.get('status')}",
                row.get("created"),
            )

    def _customer(self, ident: str, tale: Tale) -> None:
        body = self.system.find(f"/v1/customers/{ident}")
        if body is None:
            return
        one = wire.customer(body)
        _say(tale, "customer", f"customer {ident} is created", one.created)
        named = f"{one.name or 'without a name'} <{one.email or 'no e-mail'}>"
        _say(
            tale,
            "customer",
            f"customer {ident} is {named}, partner {one.card_code or 'unknown'}",
            data={"id": ident, "card_code": one.card_code},
        )
        tale.lead("card", one.card_code)
        for row in self.system.get("/v1/invoices", {"customer": ident, "status": "open", "limit": 20}).get("data") or []:
            _say(
                tale,
                "invoice",
                f"invoice {row['id']} is open: {_amount(row, 'amount_remaining')} remains",
                data={"id": row["id"]},
            )

    # --- payments ---------------------------------------------------------------------------------------------------

    def _intent(self, ident: str, tale: Tale) -> None:
        body = self.system.find(f"/v1/payment_intents/{ident}", {"expand": [_CHARGE, "latest_charge.refunds"]})
        if body is None:
            return
        _say(tale, "payment", f"payment {ident} over {_amount(body, 'amount')} begins", body.get("created"))
        charge = body.get("latest_charge")
        if isinstance(charge, dict):
            self._charge(ident, charge, tale)
        _say(tale, "payment", f"payment {ident} is {body.get('status')}", data={"id": ident, "status": body.get("status")})
        tale.lead("customer", wire.id_of(body.get("customer")))
        params = {"payment": {"type": "payment_intent", "payment_intent": ident}, "expand": ["data.invoice"], "limit": 20}
        for row in self.system.get("/v1/invoice_payments", params).get("data") or []:
            self._paid(ident, wire.paid(row), tale)

    def _paid(self, ident: str, paid: Any, tale: Tale) -> None:
        number = f" (SAP {paid.origin.doc_num})" if paid.origin.doc_num else ""
        if paid.status == "paid":
            _say(tale, "payment", f"{ident} pays {paid.amount} on {paid.invoice}{number}", paid.at or paid.created)
        tale.lead("document", paid.origin.doc_entry)

    def _charge_alone(self, ident: str, tale: Tale) -> None:
        body = self.system.find(f"/v1/charges/{ident}", {"expand": ["balance_transaction", "refunds"]})
        if body is None:
            return
        if wire.id_of(body.get("payment_intent")):
            tale.lead("payment", wire.id_of(body["payment_intent"]))
            self._intent(wire.id_of(body["payment_intent"]), tale)
            return
        self._charge(ident, body, tale)
        tale.lead("customer", wire.id_of(body.get("customer")))

    def _charge(self, payment: str, charge: dict[str, Any], tale: Tale) -> None:
        why = f": {charge['failure_message']}" if charge.get("failure_message") else ""
        _say(tale, "charge", f"charge {charge['id']} of {payment} over {_amount(charge, 'amount')} is {charge.get('status')}{why}",
             charge.get("created"))  # fmt: skip
        entry = charge.get("balance_transaction")
        if isinstance(entry, dict):
            text = f"{payment} reaches the balance: {_amount(entry, 'amount')}, fee {_amount(entry, 'fee')}, available on {_day(entry)}"
            data = {"charge": charge["id"], "available_on": entry.get("available_on"), "payment": payment}
            _say(tale, "balance", text, entry.get("created"), data)
        for row in (charge.get("refunds") or {}).get("data") or []:
            self._refunded(row, tale)
        if charge.get("disputed"):
            for row in self.system.get("/v1/disputes", {"charge": charge["id"], "limit": 20}).get("data") or []:
                self._disputed(row, tale)

    def _paid_out(self, tale: Tale) -> None:
        """Look for the payout of the payments told of: a balance transaction does not name it, but a payout lists its own."""
        for one in [told for told in tale.told if told.kind == "balance"][:_FEW]:
            first = int(one.data["available_on"] or 0)
            span = {"gte": first - 86400, "lte": first + _PAYOUTS_AFTER}
            rows = self.system.get("/v1/payouts", {"created": span, "limit": 100}).get("data") or []
            for row in [row for row in reversed(rows) if row.get("automatic")][:_FEW]:
                params = {"payout": row["id"], "source": one.data["charge"], "limit": 1}
                if self.system.get("/v1/balance_transactions", params).get("data"):
                    _say(
                        tale,
                        "payout",
                        f"{one.data['payment']} is paid out with {row['id']}",
                        row.get("created"),
                        {"id": row["id"]},
                    )
                    tale.lead("payout", row["id"])
                    self._arrives(row, tale)
                    break

    # --- what goes back, payouts, events ------------------------------------------------------------------------------

    def _refund(self, ident: str, tale: Tale) -> None:
        body = self.system.find(f"/v1/refunds/{ident}")
        if body is not None:
            self._refunded(body, tale)
            self._about(body, tale)

    def _refunded(self, row: dict[str, Any], tale: Tale) -> None:
        why = f": {row['failure_reason']}" if row.get("failure_reason") else ""
        _say(tale, "refund", f"refund {row['id']} over {_amount(row, 'amount')} is {row.get('status')}{why}", row.get("created"),
             {"id": row["id"], "status": row.get("status")})  # fmt: skip
        tale.lead("refund", row["id"])

    def _dispute(self, ident: str, tale: Tale) -> None:
        body = self.system.find(f"/v1/disputes/{ident}")
        if body is not None:
            self._disputed(body, tale)
            self._about(body, tale)

    def _disputed(self, row: dict[str, Any], tale: Tale) -> None:
        text = f"dispute {row['id']} over {_amount(row, 'amount')} ({row.get('reason')}) is {row.get('status')}"
        _say(tale, "dispute", text, row.get("created"), {"id": row["id"], "status": row.get("status")})
        for entry in row.get("balance_transactions") or []:
            _say(tale, "dispute", f"{row['id']} moves the balance by {_amount(entry, 'net')}", entry.get("created"))
        tale.lead("dispute", row["id"])

    def _about(self, row: dict[str, Any], tale: Tale) -> None:
        """Go on with the payment that something is about."""
        payment = wire.id_of(row.get("payment_intent")) or wire.id_of(row.get("charge"))
        if payment:
            tale.lead("payment", payment)
            self._kinds[payment.partition("_")[0]](payment, tale)

    def _payout(self, ident: str, tale: Tale) -> None:
        body = self.system.find(f"/v1/payouts/{ident}", {"expand": ["failure_balance_transaction"]})
        if body is None:
            return
        how = "automatic" if body.get("automatic") else "manual"
        _say(tale, "payout", f"{how} payout {ident} over {_amount(body, 'amount')} is made", body.get("created"))
        self._arrives(body, tale)
        if not body.get("automatic"):
            return
        page = self.system.get("/v1/balance_transactions", {"payout": ident, "limit": 100})
        rows = [row for row in page.get("data") or [] if wire.id_of(row.get("source")) != ident]
        sums: dict[str, tuple[int, int]] = {}
        for row in rows:
            count, net = sums.get(row["reporting_category"], (0, 0))
            sums[row["reporting_category"]] = (count + 1, net + int(row["net"]))
        more = " (the first hundred movements)" if page.get("has_more") else ""
        parts = [f"{count} {name} {_minor(net, body)}" for name, (count, net) in sorted(sums.items())]
        _say(tale, "payout", f"{ident} holds{more} {', '.join(parts) or 'nothing'}, net of fees", data={"id": ident})

    def _arrives(self, body: dict[str, Any], tale: Tale) -> None:
        failed = body.get("failure_balance_transaction")
        why = f": {body['failure_message']}" if body.get("failure_message") else ""
        how = f"{body.get('status')}{why}, reconciliation {body.get('reconciliation_status')}"
        data = {"id": body["id"], "status": body.get("status"), "arrival_date": body.get("arrival_date")}
        _say(tale, "payout", f"payout {body['id']} over {_amount(body, 'amount')} is {how}", data=data)
        if body.get("arrival_date") and not failed:
            _say(tale, "payout", f"{body['id']} is to arrive at the bank", body["arrival_date"])
        if isinstance(failed, dict):
            _say(tale, "payout", f"{body['id']} comes back{why}", failed.get("created"))

    def _event(self, ident: str, tale: Tale) -> None:
        body = self.system.find(f"/v1/events/{ident}")
        if body is None:
            return
        about = (body.get("data") or {}).get("object") or body.get("related_object") or {}
        thing = str(about.get("id") or "")
        _say(
            tale,
            "event",
            f"event {ident}: {body.get('type')} of {thing or 'nothing'}",
            body.get("created"),
            {"type": body.get("type")},
        )
        if about.get("object") == "invoice_payment":
            thing = wire.id_of(about.get("invoice"))
        if self.knows(thing) and not thing.startswith("evt_"):
            self._kinds[thing.partition("_")[0]](thing, tale)
            tale.lead("stripe", thing)


def _say(tale: Tale, kind: str, text: str, at: Any = None, data: dict[str, Any] | None = None) -> None:
    """Add a sentence; what should have a time and has none did not happen."""
    if at:
        tale.told.append(Told(SOURCE, kind, text, datetime.fromtimestamp(int(at), UTC), data or {}))
    elif data is not None:
        tale.told.append(Told(SOURCE, kind, text, None, data))


def _amount(body: dict[str, Any], name: str) -> str:
    return _minor(int(body.get(name) or 0), body)


def _minor(amount: int, body: dict[str, Any]) -> str:
    from mlc.core.money import from_stripe

    try:
        return str(from_stripe(amount, str(body.get("currency") or "")))
    except MoneyError:
        return f"{amount} of Stripe's units of {body.get('currency')}"


def _day(entry: dict[str, Any]) -> str:
    return datetime.fromtimestamp(int(entry.get("available_on") or 0), UTC).date().isoformat()
