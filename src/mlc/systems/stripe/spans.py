"""Stripe's objects of a span of time, by pages and with what belongs to them expanded: what a comparison sets against SAP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mlc.core.clearing import Movement
from mlc.core.comparing import Taken
from mlc.core.deposits import StripePayout
from mlc.core.facts import ProcessorInvoice
from mlc.core.money import from_stripe
from mlc.systems.stripe import balance, wire
from mlc.systems.stripe.client import StripeSystem

_CHARGE = ["data.balance_transaction", "data.customer", "data.payment_intent"]


class StripeSpans:
    """Lists one account's objects; moments are Unix seconds, the first included, the last not."""

    def __init__(self, system: StripeSystem) -> None:
        self.system = system

    def payments(self, first: int, end: int) -> Iterator[list[Taken]]:
        """Yield pages of payments whose charge was created in the span, newest first; one may come again with an earlier charge."""
        for page in self.system.pages("/v1/charges", {"created": {"gte": first, "lt": end}, "expand": _CHARGE}):
            yield [_taken(row) for row in page]

    def movements(self, first: int, end: int) -> Iterator[list[tuple[Movement, str]]]:
        """Yield pages of what moved the balance in the span, each with the payment it belongs to."""
        params = {"created": {"gte": first, "lt": end}, "expand": ["data.source"]}
        for page in self.system.pages("/v1/balance_transactions", params):
            yield [(balance.movement(row), wire.movement(row).payment) for row in page]

    def payouts(self, first: int, end: int | None) -> Iterator[list[StripePayout]]:
        """Yield pages of payouts that arrive in the span (arrival is a day, told as its midnight UTC); None = without end."""
        params = {"arrival_date": {"gte": first, "lt": end}, "expand": ["data.failure_balance_transaction"]}
        for page in self.system.pages("/v1/payouts", params):
            yield [wire.payout(row) for row in page]

    def invoices(self, first: int) -> Iterator[list[ProcessorInvoice]]:
        """Yield pages of invoices created at or after a moment, with up to ten payments each."""
        for page in self.system.pages("/v1/invoices", {"created": {"gte": first}, "expand": ["data.payments"]}):
            yield [wire.invoice(row) for row in page]


def _taken(row: dict[str, Any]) -> Taken:
    """Read a charge as the payment it belongs to: what a customer names counts where the payment itself names nothing."""
    whole, customer = row.get("payment_intent"), row.get("customer")
    one = wire.charge(row)
    said = wire.origin(whole) if isinstance(whole, dict) else one.origin
    theirs = wire.origin(customer) if isinstance(customer, dict) else wire.origin({})
    intent = str(whole.get("status") or "") if isinstance(whole, dict) else ""
    return Taken(
        wire.id_of(whole) or one.id, "processing" if intent == "processing" and one.status != "succeeded" else one.status, one.amount,
        one.created, one.succeeded_at, said.company or theirs.company, theirs.card_code,
        from_stripe(one.refunded, one.amount.currency).minor,
    )  # fmt: skip
