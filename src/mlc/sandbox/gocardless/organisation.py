"""The organisation: the in-memory truth, with the verbs that scenarios, seeds and oracles use without HTTP."""

from __future__ import annotations

from typing import Any

from mlc.sandbox.courier import is_loopback

from . import audit
from .errors import invalid, missing, state
from .plans import Plans
from .shapes import balances, show, show_item
from .webhooks import Delivery, deliver

SCENARIOS = {
    "payment_submitted": "payments",
    "payment_confirmed": "payments",
    "payment_paid_out": "payments",
    "payment_failed": "payments",
    "payment_charged_back": "payments",
    "payment_chargeback_settled": "payments",
    "payment_late_failure": "payments",
    "payment_late_failure_settled": "payments",
    "mandate_activated": "mandates",
    "mandate_failed": "mandates",
    "mandate_expired": "mandates",
    "mandate_customer_approval_granted": "mandates",
    "mandate_customer_approval_skipped": "mandates",
    "refund_paid": "refunds",
    "refund_settled": "refunds",
    "refund_bounced": "refunds",
    "refund_returned": "refunds",
    "payout_bounced": "payouts",
}


class Organisation(Plans):
    """One GoCardless organisation in memory. Amounts are minor units; verbs return the id of what they made or moved.

    A scenario takes a payment through every step that lies before its end, from wherever it stands. Those that need a payout
    make one of all that waits in the currency; while the balance is not positive there is none, and the payment stays
    where it is. Verbs called directly take no lock: where requests are served by other threads, play them over HTTP instead.
    """

    def collect(
        self, mandate: str, amount: int, description: str | None = None, metadata: dict[str, str] | None = None, **more: Any
    ) -> str:
        """Create a payment and collect it: it is confirmed, its money waits for a payout."""
        return self.payment_confirmed(self.add_payment(mandate, amount, description, metadata, **more))

    def pay(self, *payments: str, rate: str | None = None) -> str:
        """Collect payments of one currency as far as needed and pay them out; an FX payout is final with a `rate` only."""
        found = [self.get("payments", ident) for ident in payments]
        owners = {(one["currency"], one["links"]["creditor"]) for one in found}
        if len(owners) != 1:
            raise state("payout_not_possible", "A payout has payments of one currency and one creditor")
        for payment in found:
            if payment["status"] != "confirmed":
                self.payment_confirmed(payment["id"])
        currency, creditor = owners.pop()
        made = self.make_payout(currency, creditor=creditor)
        if made is None:
            raise state("payout_not_possible", "The balance is not positive")
        return self.pay_payout(made, rate)

    def _settle_all(self, kind: str, ident: str) -> str:
        record = self.get(kind, ident)
        self.make_payout(record["currency"], creditor=record.get("_creditor") or record["links"].get("creditor"))
        return ident

    def payment_paid_out(self, ident: str) -> str:
        """Collect a payment and put it into a payout."""
        if self.get("payments", ident)["status"] != "confirmed":
            self.payment_confirmed(ident)
        return self._settle_all("payments", ident)

    def payment_charged_back(self, ident: str) -> str:
        """Pay a payment out and have the payer take it back."""
        if self.get("payments", ident)["status"] != "paid_out":
            self.payment_paid_out(ident)
        return self.charge_back(ident)

    def payment_chargeback_settled(self, ident: str) -> str:
        """Charge a payment back and debit it from a payout."""
        if self.get("payments", ident)["status"] != "charged_back":
            self.payment_charged_back(ident)
        return self._settle_all("payments", ident)

    def payment_late_failure(self, ident: str) -> str:
        """Collect a payment and have it fail all the same."""
        if self.get("payments", ident)["status"] not in ("confirmed", "paid_out"):
            self.payment_confirmed(ident)
        return self.late_failure(ident)

    def payment_late_failure_settled(self, ident: str) -> str:
        """Have a payment fail late and debit it from a payout."""
        if self.get("payments", ident)["status"] != "failed":
            self.payment_late_failure(ident)
        return self._settle_all("payments", ident)

    def refund_settled(self, ident: str) -> str:
        """Pay a refund and debit it from a payout."""
        if self.get("refunds", ident)["status"] != "paid":
            self.refund_paid(ident)
        return self._settle_all("refunds", ident)

    def payout_bounced(self, ident: str) -> str:
        """Have the creditor's bank refuse a paid payout."""
        return self.bounce(ident)

    def mandate_customer_approval_granted(self, ident: str) -> str:
        """Have the customer approve a mandate."""
        return self.approve_mandate(ident)

    def mandate_customer_approval_skipped(self, ident: str) -> str:
        """Have the customer skip the approval of a mandate."""
        return self.approve_mandate(ident, "customer_approval_skipped")

    def run(self, scenario: str, ident: str) -> str:
        """Play one of GoCardless' scenarios by its name."""
        if scenario not in SCENARIOS:
            raise missing()
        self.get(SCENARIOS[scenario], ident)
        return str(getattr(self, scenario)(ident))

    def read(self, ident: str) -> dict[str, Any]:
        """Return any record as the API would answer it now."""
        for kind, table in self.tables.items():
            if ident in table:
                return show(self, kind, table[ident])
        raise missing()

    def all(self, kind: str, **fields: Any) -> list[dict[str, Any]]:
        """Return all records of a kind, oldest first, whose fields have these values; `metadata` need only be contained."""
        if kind not in self.tables:
            raise missing()
        wanted = fields.pop("metadata", {})
        shown = (show(self, kind, one) for one in self.tables[kind].values())
        return [
            one
            for one in shown
            if all(one.get(name) == value for name, value in fields.items())
            and all(one.get("metadata", {}).get(name) == value for name, value in wanted.items())
        ]

    def items(self, payout: str) -> list[dict[str, Any]]:
        """Return the items of a payout, however old it is."""
        record = self.get("payouts", payout)
        return [show_item(self, record, one) for one in record["_items"]]

    def events(self, *names: str) -> list[dict[str, Any]]:
        """Return all events, oldest first, of these names (`payments/paid_out`) or of all, those not yet visible too."""
        return [one for one in self.all("events") if not names or f"{one['resource_type']}/{one['action']}" in names]

    def balances(self, creditor: str | None = None) -> list[dict[str, Any]]:
        """Return the balances of a creditor."""
        return balances(self, self.get("creditors", creditor or self.creditor)["id"])

    def deliveries(self, secret: str, since: str | None = None) -> list[Delivery]:
        """Return signed webhook requests for the visible events after one of them, oldest first."""
        return deliver(self, secret, since)

    def webhook_endpoints(self, url: str, secret: str) -> dict[str, Any]:
        """Make an endpoint as the Dashboard does; https, or this machine. Returns it without its secret."""
        if not url.startswith("https://") and not (url.startswith("http://") and is_loopback(url)):
            raise invalid("webhook_endpoints", ("url", "must be https"))
        if not secret.strip():
            raise invalid("webhook_endpoints", ("secret", "must not be blank"))
        ident = self.mint("WE")
        self.endpoints[ident] = {"id": ident, "url": url, "secret": secret}
        return {"id": ident, "url": url}

    def retry_webhook(self, ident: str) -> str:
        """Ask for a webhook to be sent again, as it was."""
        record = self.get("webhooks", ident)
        for retry in self.retries:
            retry(record)
        return ident

    def check(self) -> None:
        """Prove the books; raises AssertionError where an identity does not hold."""
        audit.check(self)
