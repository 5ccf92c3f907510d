"""Where post-payments learns of payments: webhooks, the events since the last run, objects themselves where those cannot be trusted.

Objects are listed on the first run, once a day, when the cursor is older than Stripe keeps events, and with `--since`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from mlc.core.facts import Hint, Reversal
from mlc.core.inbox import MONEY
from mlc.passes.scene import Scene, letters
from mlc.systems.stripe.reads import StripeReads, delivered

EVENTS = "stripe/events"
READ = "stripe/events-read"
SWEPT = "stripe/swept"
_OVERLAP = 600
_DAY = 86400
_KEPT = 30 * _DAY
_LATE = 45 * _DAY  # a charge may have been created this long before it succeeded
_SWEEP = 14 * _DAY
_FAILED = ("charge.failed", "payment_intent.payment_failed")


@dataclass(slots=True)
class Hints:
    """What may have happened, as ids: each is read afresh before anything is decided."""

    payments: dict[str, int] = field(default_factory=dict)  # id -> when its invoice payment was created, 0 = unknown
    paid_invoice: dict[str, str] = field(default_factory=dict)  # bare charge -> the invoice an event says it paid
    reversals: list[tuple[str, str]] = field(default_factory=list)  # to be read one by one
    read: list[Reversal] = field(default_factory=list)  # read already, by pages
    failed: list[str] = field(default_factory=list)  # payments that an event says have failed, perhaps after they had succeeded
    invoices: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    cursors: dict[str, str] = field(default_factory=dict)
    notes: list[tuple[str, str]] = field(default_factory=list)

    def add(self, hint: Hint) -> None:
        """Take what a hint is about."""
        if hint.kind in ("refund", "dispute"):
            if (hint.kind, hint.id) not in self.reversals:
                self.reversals.append((hint.kind, hint.id))
        elif hint.kind == "invoice" and hint.id not in self.invoices:
            self.invoices.append(hint.id)
        if hint.type in _FAILED and hint.payment:
            self.failed.append(hint.payment)
        if hint.payment:
            if hint.invoice and not hint.payment.startswith("pi_"):
                self.paid_invoice[hint.payment] = hint.invoice
            self.payments[hint.payment] = max(hint.at, self.payments.get(hint.payment, 0))


def read_hints(scene: Scene) -> Iterator[Hints]:
    """Yield hints page by page; the last one carries the cursors, so that they move when everything before is accepted."""
    cursor = scene.journal.cursor(EVENTS)
    now = scene.clock.now()
    newest, last = int(cursor or 0), Hints()
    read = float(scene.journal.cursor(READ) or now)
    too_old = now - read > _KEPT - _DAY  # when the events were last read: a quiet month is no old cursor
    first = cursor is None
    for hints in _delivered(scene, last.notes):
        last.events += hints.events
        hints.events = []
        yield hints
    for page in scene.stripe.events_since(max(0, newest - _OVERLAP)):
        hints = Hints()
        fresh = set(scene.journal.unseen([hint.event for hint in page]))
        newest = max([newest, *(hint.created for hint in page)])
        covered = {hint.invoice for hint in page if hint.kind == "invoice_payment" and hint.payment}
        for hint in page:
            if hint.event in fresh:
                last.events.append(hint.event)  # ticked off with the cursor, when every page has been dealt with
                if not (hint.type == "invoice.paid" and hint.invoice in covered):
                    hints.add(hint)
        if first:  # the objects are listed below and tell more than thirty days of events
            break
        yield hints  # a page that is known already does not end it: webhooks may have told of newer events and not of older ones
    if scene.since is not None and now - scene.start_moment() > _KEPT:
        beyond = f"{scene.start} is further back than Stripe keeps events (30 days)"
        last.notes.append(("", f"{beyond}: payments, refunds and disputes are listed themselves"))
    swept = float(scene.journal.cursor(SWEPT) or 0)
    if first or too_old or scene.since is not None or not 0 <= now - swept < _DAY:
        if too_old:
            days = int((now - read) // _DAY)
            last.notes.append(
                ("", f"the events were last read {days} days ago, Stripe keeps 30: payments are listed themselves instead")
            )
        begin = scene.start_moment() - _LATE
        since = begin if first or too_old or scene.since is not None else max(begin, int(newest - _SWEEP))
        yield from _sweep(scene, max(0, since))
        last.cursors[SWEPT] = str(now)
    last.cursors |= {EVENTS: str(newest), READ: str(now)}
    yield last


def _delivered(scene: Scene, unread: list[tuple[str, str]]) -> Iterator[Hints]:
    """Yield what webhooks delivered and no run has dealt with, oldest first; what polling saw before is no news."""
    for page in letters(scene, MONEY, delivered, unread):
        hints = Hints()
        fresh = set(scene.journal.unseen([event for event, _ in page]))
        for event, hint in page:
            if event in fresh:
                hints.events.append(event)
                hints.add(whole(scene.stripe, hint))
        yield hints


def whole(stripe: StripeReads, hint: Hint) -> Hint:
    """Return a hint with the payment it is about: a thin event names the invoice payment alone."""
    if hint.kind != "invoice_payment" or hint.payment or not hint.id:
        return hint
    return replace(hint, payment=stripe.payment_of(hint.id))


def _sweep(scene: Scene, since: int) -> Iterator[Hints]:
    """Yield hints from charges, refunds and disputes themselves, and from payments that had not ended yet."""
    for page in scene.stripe.charges_since(since):
        hints = Hints()
        for hint in page:
            hints.add(hint)
        yield hints
    for found in scene.stripe.reversals_since(since):
        yield Hints(read=found)
    pending = Hints()
    pending.payments = dict.fromkeys(scene.journal.links.in_state("payment", "pending"), 0)
    if pending.payments:
        yield pending
