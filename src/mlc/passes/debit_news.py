"""What is new at GoCardless since the last run: customers, mandates, payments and events, as links that every pass can look at.

Four list calls where nothing happened. What an event says is a hint: the resource itself is read before its state is believed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain

from mlc.core import codec
from mlc.core.debits import Collection, DebitEvent, Debtor, Mandate
from mlc.core.inbox import DEBIT
from mlc.core.intents import Mark, Plan
from mlc.core.tiers import said
from mlc.passes.scene import Scene, letters
from mlc.systems.gocardless.reads import delivered, stamp

CUSTOMERS, MANDATES, PAYMENTS, EVENTS = (
    "gocardless/customers",
    "gocardless/mandates",
    "gocardless/payments",
    "gocardless/events",
)
BOUNCED = "gocardless/bounced"
_OVERLAP = timedelta(hours=1)
_EVENTS_OVERLAP = timedelta(hours=3)  # events are made asynchronously
_BEFORE = 60  # days before the start in which a payment that is paid out after it may have been created
_KEPT = timedelta(days=540)  # GoCardless archives events after 18 months
OVER = frozenset({"failed", "cancelled", "customer_approval_denied", "charged_back"})

_STEPS = frozenset(
    {"submitted", "confirmed", "paid_out"}
)  # told as they come; what ends or undoes a payment is read at the payment

# Every action of the eight resource types: what mlc does about it. note = the trail tells it; read = and the resource is read again;
# ignore = nothing of money or of who pays changes by it, or the resource's creation is listed anyway.
ACTIONS: dict[str, dict[str, str]] = {
    "payments": {
        "created": "ignore", "customer_approval_granted": "ignore", "submitted": "ignore", "confirmed": "ignore", "paid_out": "ignore",
        "customer_approval_denied": "read", "cancelled": "read", "failed": "read", "charged_back": "read",
        "chargeback_cancelled": "read", "late_failure_settled": "note", "chargeback_settled": "note",
        "surcharge_fee_debited": "note", "surcharge_fee_credited": "note", "resubmission_requested": "read",
        "sds_settlement_delayed": "note",
    },
    "mandates": {
        "created": "ignore", "customer_approval_granted": "ignore", "customer_approval_skipped": "ignore", "active": "read",
        "submitted": "read", "cancelled": "read", "failed": "read", "expired": "read", "blocked": "read", "consumed": "read",
        "reinstated": "read", "replaced": "read", "resubmission_requested": "read", "transferred": "note",
    },
    "refunds": {"created": "note", "paid": "note", "failed": "note", "funds_returned": "note", "refund_settled": "note"},
    "payouts": {"paid": "ignore", "fx_rate_confirmed": "ignore", "tax_exchange_rates_confirmed": "note"},
    "creditors": {
        "bounced_payout": "note", "account_auto_frozen": "note", "account_auto_frozen_reverted": "note",
        "new_payout_currency_added": "note", "updated": "ignore",
    },
    "subscriptions": {
        "created": "ignore", "customer_approval_granted": "ignore", "customer_approval_denied": "note", "payment_created": "ignore",
        "cancelled": "note", "finished": "note", "paused": "note", "resumed": "note", "amended": "note", "scheduled_pause": "ignore",
        "scheduled_pause_cancelled": "ignore", "scheduled_resume": "ignore",
    },
    "instalment_schedules": {
        "created": "ignore", "completed": "note", "cancelled": "note", "creation_failed": "note", "errored": "note", "resumed": "note",
    },
}  # fmt: skip


def refresh(scene: Scene) -> Iterator[Plan]:
    """Read what is new at GoCardless; yields plans of marks and notes, to be accepted before anything is decided."""
    now = datetime.fromtimestamp(scene.clock.now(), UTC)
    yield from _new_debtors(scene, now)
    yield from _new_mandates(scene, now)
    yield from _new_payments(scene, now)
    yield from _events(scene, now)


def catch_up(scene: Scene, pass_: str) -> None:
    """Read what is new and remember it: what was read is no promise, a dry run may note it too."""
    if scene.organisation is not None:
        for plan in refresh(scene):
            scene.journal.accept(plan, pass_)


def _since(scene: Scene, cursor: str, overlap: timedelta = _OVERLAP) -> str:
    kept = scene.journal.cursor(cursor)
    return stamp(datetime.fromisoformat(kept) - overlap) if kept and not _archived(scene) else ""


def _archived(scene: Scene) -> bool:
    """Tell whether events since the last reading may be archived by now: then everything is listed itself, as on a first run."""
    kept = scene.journal.cursor(EVENTS)
    return kept is not None and datetime.fromtimestamp(scene.clock.now(), UTC) - datetime.fromisoformat(kept) > _KEPT


def _new_debtors(scene: Scene, now: datetime) -> Iterator[Plan]:
    for page in scene.gocardless.debtors_since(_since(scene, CUSTOMERS)):
        yield Plan(marks=[debtor_mark(scene, one) for one in page])
    yield Plan(cursors={CUSTOMERS: now.isoformat()})


def debtor_mark(scene: Scene, one: Debtor) -> Mark:
    """Return what is kept of a customer; `run` says when it was read, because metadata may change at any time."""
    card = dict(one.metadata).get(scene.debits.customer_key, "").strip()
    data = {"email": one.email.lower(), "name": one.name, "said": card, "run": scene.journal.run_id}
    return Mark("gc-customer", one.id, data=data)


def _new_mandates(scene: Scene, now: datetime) -> Iterator[Plan]:
    for page in scene.gocardless.mandates_since(_since(scene, MANDATES)):
        yield Plan(marks=[mandate_mark(scene, one) for one in page])
    yield Plan(cursors={MANDATES: now.isoformat()})


def mandate_mark(scene: Scene, one: Mandate) -> Mark:
    """Return what is kept of a mandate."""
    card = dict(one.metadata).get(scene.debits.customer_key, "").strip()
    data = {"reference": one.reference, "said": card, "run": scene.journal.run_id, "new": one.new}
    return Mark("mandate", one.id, one.customer, one.status, data)


def _new_payments(scene: Scene, now: datetime) -> Iterator[Plan]:
    since = _since(scene, PAYMENTS) or stamp(scene.first_moment(_BEFORE))
    marks = []
    for row in scene.gocardless.collections_since(since):
        marks.append(debit_mark(scene, row))
        if len(marks) >= 500:
            yield Plan(marks=marks)
            marks = []
    yield Plan(marks=marks, cursors={PAYMENTS: now.isoformat()})


def debit_mark(scene: Scene, one: Collection) -> Mark:
    """Return what is kept of a payment: whether it may still be collected, and the invoices it names."""
    names = [[field_, number] for _, field_, number in said(dict(one.metadata), scene.debits.habits)]
    data = {"payment": codec.encode(one), "names": names, "run": scene.journal.run_id, "status": one.status}
    return Mark("debit", one.id, one.mandate, "over" if one.status in OVER else "live", data)


def _events(scene: Scene, now: datetime) -> Iterator[Plan]:
    kept = scene.journal.cursor(EVENTS)
    first = stamp(scene.first_moment())
    notes: list[tuple[str, str]] = []
    instead = "events older than 18 months are archived there: customers, mandates and payments are listed themselves"
    if kept and _archived(scene):
        notes.append(("", f"the events of GoCardless were last read on {kept[:10]}; {instead}"))
    elif kept is None and now - scene.first_moment() > _KEPT:
        notes.append(("", f"GoCardless is read from {first[:10]} on; {instead}"))
    listed = ((page, True) for page in scene.gocardless.events_since(_since(scene, EVENTS, _EVENTS_OVERLAP) or first))
    brought = (([event for _, event in page], False) for page in letters(scene, DEBIT, delivered, notes))
    plan = _told(scene, chain(listed, brought))
    plan.notes = notes + plan.notes
    plan.cursors[EVENTS] = now.isoformat()
    yield plan


def told_again(scene: Scene, events: Iterable[DebitEvent]) -> Plan:
    """Return what events mean that a person wants looked at again: what they are about is read afresh."""
    return _told(scene, [(list(events), False)], again=True)


def _told(scene: Scene, pages: Iterable[tuple[list[DebitEvent], bool]], *, again: bool = False) -> Plan:
    """Return what events mean, those that were dealt with before left out; a page says whether it was listed, newest first."""
    payments: list[str] = []
    mandates: list[str] = []
    seen: dict[str, None] = {}
    steps: dict[str, str] = {}
    plan = Plan()
    for page, newest_first in pages:
        fresh = {one.id for one in page} if again else set(scene.journal.unseen([one.id for one in page]))
        for one in page:
            if one.id not in fresh or one.id in seen:
                continue
            seen[one.id] = None
            what = ACTIONS.get(one.resource, {}).get(one.action, "note")
            if newest_first and one.resource == "payments" and one.action in _STEPS:  # webhooks come in any order
                steps.setdefault(one.link("payment"), one.action)
            if what == "ignore" and not again:
                continue
            plan.notes.append((_subject(scene, one), _sentence(scene, one)))
            if (what == "read" or again) and one.resource == "payments":
                payments.append(one.link("payment"))
            elif (what == "read" or again) and one.resource == "mandates":
                mandates += [one.link("mandate"), one.link("new_mandate")]
            elif one.action == "bounced_payout":
                plan.cursors[BOUNCED] = one.created
    plan.notes.reverse()  # the trail is told oldest first
    known_debits = scene.journal.links.many("debit", _stale(scene, "debit", steps))
    plan.marks += [Mark("debit", ident, data={"status": steps[ident]}) for ident in known_debits]
    for ident in _stale(scene, "debit", payments):
        payment = scene.gocardless.collection(ident)
        if payment is not None:
            plan.marks.append(debit_mark(scene, payment))
    moved, known = _stale(scene, "mandate", mandates), scene.journal.links.count("mandate")
    plan.marks += [mandate_mark(scene, one) for one in scene.gocardless.mandates(moved, known).values()]
    plan.events = list(seen)
    return plan


def _stale(scene: Scene, kind: str, idents: Iterable[str]) -> list[str]:
    """Return those ids, each once, that were not read in this run already."""
    wanted = [one for one in dict.fromkeys(idents) if one]
    fresh = {
        key for key, mark in scene.journal.links.many(kind, wanted).items() if mark.data.get("run") == scene.journal.run_id
    }
    return [one for one in wanted if one not in fresh]


def _subject(scene: Scene, one: DebitEvent) -> str:
    kind = one.resource.removesuffix("s")
    return scene.name(kind, one.link(kind) or one.id, "gocardless")


def _sentence(scene: Scene, one: DebitEvent) -> str:
    kind = one.resource.removesuffix("s")
    ident = one.link(kind)
    card = card_of(scene, one)
    words = f"{kind.replace('_', ' ')} {ident} {one.action.replace('_', ' ')}"
    if card:
        words += f", customer {card}"
    if one.cause or one.text:
        words += f": {one.cause}" + (f" ({one.text})" if one.text else "")
    return words + ("; it will be tried again" if one.retries else "")


def card_of(scene: Scene, one: DebitEvent) -> str:
    """Return the business partner an event is about, as far as the links know."""
    links = scene.journal.links
    mandate, payment = one.link("mandate"), one.link("payment")
    if one.resource == "refunds" and not (mandate or payment):
        refund = scene.gocardless.refund(one.link("refund"))  # the event names the refund alone
        mandate, payment = (refund.mandate, refund.payment) if refund is not None else ("", "")
    if not mandate and payment:
        debit = links.get("debit", payment)
        mandate = debit.other if debit else ""
    there = links.get("mandate", mandate) if mandate else None
    customer = links.get("gc-customer", one.link("customer") or (there.other if there else ""))
    return (customer.other or str(customer.data.get("said") or "")) if customer else ""
