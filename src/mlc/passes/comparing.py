"""The full comparison of a tenant's span of days: payments, what went back, payouts, invoices, on both sides; nothing is written.

Reads: see compare_payments, compare_entries, compare_payouts, compare_invoices. What cannot be compared
    is said in `notes`, never left out silently.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from mlc.core.comparing import Finding, Terms
from mlc.passes.compare_entries import Entries
from mlc.passes.compare_invoices import Invoices
from mlc.passes.compare_payments import Payments
from mlc.passes.compare_payouts import Payouts
from mlc.passes.compare_span import Span
from mlc.passes.scene import Scene
from mlc.store.besides import Besides
from mlc.systems.sap.spans import SapSpans
from mlc.systems.stripe.spans import StripeSpans


class Comparison:
    """Reads both sides of one span and says what differs; only counts, sums and notes are kept."""

    def __init__(self, scene: Scene, since: date, until: date, besides: Besides) -> None:
        """Both days are included; `since` is never before the start of the configuration."""
        stripe = StripeSpans(scene.stripe.system) if scene.stripe_account is not None else None
        sap = SapSpans(scene.sap, lambda code: scene.currency if scene.is_local(code) else scene.rules.iso(code) or code)
        self.span = Span(scene, max(since, scene.rules.start), until, besides, sap, stripe, _terms(scene))
        self.tally, self.notes = self.span.tally, self.span.notes

    def findings(self) -> Iterator[Finding]:
        """Yield everything that is not the same on both sides, kind by kind, while it is found."""
        span, scene = self.span, self.span.scene
        entries = Entries(span)
        payouts = Payouts(span, entries)
        beginnings = []
        self._prove()
        if span.stripe is not None:
            if not span.terms.account:
                span.note("stripe.clearing_account is not in SAP: which account receipts stand on is not compared")
            yield from Payments(span).findings()
            yield from entries.reversals()
            if any(scene.rules.accounts.get("bank_account", {}).values()):
                beginnings.append("po_")
                yield from payouts.stripe_payouts()
            else:
                span.note("stripe.bank_account is not configured: Stripe's payouts are not compared")
        else:
            span.note("no stripe section: payments, refunds and invoices are not compared")
        if scene.organisation is not None:
            beginnings.append("PO")
            yield from payouts.debit_payouts()
        if beginnings:
            yield from payouts.unknown(beginnings)
        if span.stripe is not None:
            yield from Invoices(span).findings()

    def _prove(self) -> None:
        """Make sure that SAP finds documents by our marks: a filter that finds nothing would tell everything as missing.

        Raises ConfigError.
        """
        if self.span.stripe is not None:
            self.span.scene.sap.prove_marker()
        self.span.scene.sap.prove_entries()


def _terms(scene: Scene) -> Terms:
    code = scene.rules.account(scene.currency) if scene.stripe_account is not None else None
    account = scene.sap.accounts([code])[code] if code else None

    def moved(success: date, booked: date) -> bool:
        return scene.rules.closed_period == "next_open_day" and scene.posting_day(success, scene.sap.periods()) == booked

    return Terms(scene.currency, scene.rules.start, account.code if account else "", scene.rules.installments, moved)
