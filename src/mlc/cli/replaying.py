"""What `mlc replay` and `mlc held match` do: find the thing a person means, and send it down the road once more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlc.cli.events import find_event, is_event
from mlc.cli.passes import STOPS_PUSH, run_one
from mlc.core import errors
from mlc.core.commands import (
    CreatePartner,
    DropDraft,
    EnsureCustomer,
    NoteFigures,
    PauseSubscription,
    PostEntry,
    PostPayment,
    PushInvoice,
    Reconcile,
    UpdateCustomer,
    UpdatePartner,
)
from mlc.core.errors import ATTENTION, ConfigError
from mlc.core.intents import Intent, Plan
from mlc.core.keys import thing_of
from mlc.passes.post_payments import NAME as POST
from mlc.passes.post_payments import PostPayments
from mlc.passes.push_invoices import NAME as PUSH
from mlc.passes.push_invoices import PushInvoices
from mlc.passes.reconcile_payouts import NAME as RECONCILE
from mlc.passes.reconcile_payouts import ReconcilePayouts
from mlc.passes.sync_customers import NAME as SYNC
from mlc.passes.sync_customers import SyncCustomers

if TYPE_CHECKING:
    from mlc.cli.session import Session
    from mlc.core.debits import DebitEvent
    from mlc.core.facts import Hint
    from mlc.engine.road import Options
    from mlc.store.inbox import Letter
    from mlc.store.records import Stored
    from mlc.systems.stripe.reads import StripeReads
    from mlc.wiring import OpenTenant

BACK = ("refund", "dispute", "returned")
PAYOUTS = ("reconcile-payout", "payout-line", "settle", "bounce", "match", "parked", "paid-twice", "tax", "reversed")
PARTNERS = ("customer", "update-customer", "update-partner", "note-figures", "field", "gone-customer")


@dataclass(slots=True)
class Wanted:
    """What a replay is about, sorted by the pass that decides it."""

    payments: list[str] = field(default_factory=list)
    back: list[tuple[str, str]] = field(default_factory=list)  # (refund or dispute, its payment)
    documents: list[int] = field(default_factory=list)
    payouts: list[str] = field(default_factory=list)
    cards: list[str] = field(default_factory=list)  # partners whose customer is looked at again on both sides
    customers: list[str] = field(default_factory=list)  # Stripe customers that nobody is
    hints: list[Hint] = field(default_factory=list)  # what an event of Stripe is about
    debit_events: list[DebitEvent] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)  # deliveries that are dealt with by this
    others: list[Stored] = field(default_factory=list)
    finished: list[Stored] = field(default_factory=list)

    def __bool__(self) -> bool:
        again = self.payments or self.back or self.documents or self.payouts or self.cards or self.customers
        return bool(again or self.others or self.finished or self.hints or self.debit_events)


def replay_in(
    session: Session, opened: OpenTenant, wish: str | None, *, failed: bool, held: bool, again: bool, options: Options
) -> bool:  # fmt: skip
    """Replay one thing, or all that failed or are held, in one tenant; False where nothing of it is known there."""
    wanted = Wanted()
    session.voice.asked = wish is not None
    if wish is not None:
        _find(opened, wish, wanted, again=again)
        _one_meaning(wish, wanted)
    if failed:
        for stored in opened.journal.intents(state="refused"):
            if stored.code != "withdrawn" and opened.journal.held.get(stored.name) is None:
                _sort(stored, wanted)
    if held:
        for item in opened.journal.held.all():
            _by_about(item.name, item.about, wanted, opened)
    for stored in wanted.finished:
        receipt = f": {stored.receipt}" if stored.receipt else ""
        session.voice.say(f"{stored.name} is done{receipt}; give --again to do it anew")
    known = bool(wanted)
    _leave_waiting_drafts(session, opened, wanted)
    scene = opened.scene()
    if wanted.payments or wanted.back or wanted.hints:
        insist = [*wanted.payments, *(one for one, _ in wanted.back)] if again else []
        only = dict.fromkeys([*wanted.payments, *(payment for _, payment in wanted.back)])
        pass_ = PostPayments(scene, only=only, insist=insist, hints=wanted.hints)
        session.codes.append(run_one(session, opened, POST, options, None, pass_))
    if wanted.payouts or wanted.debit_events:
        insist = wanted.payouts if again else []
        reconcile = ReconcilePayouts(scene, only=dict.fromkeys(wanted.payouts), insist=insist, told=wanted.debit_events)
        session.codes.append(run_one(session, opened, RECONCILE, options, None, reconcile))
    if wanted.cards or wanted.customers:
        sync = SyncCustomers(scene, cards=dict.fromkeys(wanted.cards), only=dict.fromkeys(wanted.customers), insist=True)
        session.codes.append(run_one(session, opened, SYNC, options, None, sync))
    if wanted.others:
        session.codes.append(
            run_one(session, opened, wanted.others[0].pass_, options, None, Once(wanted.others[0].pass_, wanted.others))
        )
    if wanted.documents and STOPS_PUSH & set(session.codes):
        session.voice.say(f"{opened.tenant.name} push-invoices: skipped, because an earlier pass did not end well", "yellow")
    elif wanted.documents:
        push = PushInvoices(scene, only=wanted.documents, insist=again)
        session.codes.append(run_one(session, opened, PUSH, options, None, push))
    if not options.dry_run and not {*session.codes} - {errors.OK, ATTENTION}:
        opened.journal.inbox.settled([letter.seq for letter in wanted.letters], opened.run_id)
    return known


def _find(opened: OpenTenant, wish: str, wanted: Wanted, *, again: bool) -> None:
    journal = opened.journal
    if is_event(wish):
        find_event(opened, wish, wanted)
        return
    for item in journal.held.search(wish):
        _by_about(item.name, item.about, wanted, opened)
    for stored in journal.search(wish):
        if stored.state == "done" and not again:
            wanted.finished.append(stored)
        else:
            _sort(stored, wanted)
    if not wanted and wish.startswith(("pi_", "ch_", "py_")):
        wanted.payments.append(wish)
    if not wanted and opened.stripe is not None:
        _find_at_stripe(opened.stripe, wish, wanted)
    if not wanted and opened.gocardless is not None and wish.startswith(("PO", "PM")):
        wanted.payouts += _payouts(opened, wish)
    entries = _documents(opened, wish)
    for entry in entries:
        known = journal.find(opened.scene().name("push-invoice", entry))
        if known is not None and known.state == "done" and not again:
            wanted.finished.append(known)
        elif entry not in wanted.documents:
            wanted.documents.append(entry)


def _find_at_stripe(stripe: StripeReads, wish: str, wanted: Wanted) -> None:
    """Take a refund, dispute or payout that Stripe knows and that waits for nobody."""
    for prefixes, kind in ((("re_", "pyr_"), "refund"), (("dp_", "du_"), "dispute")):
        if wish.startswith(prefixes) and (one := stripe.reversal(kind, wish)) is not None:
            wanted.back.append((one.id, one.payment))
    if wish.startswith("po_") and stripe.payout(wish) is not None:
        wanted.payouts.append(wish)


def _payouts(opened: OpenTenant, wish: str) -> list[str]:
    """Return the payout a word names: itself, or the one that a payment of GoCardless was paid out by."""
    assert opened.gocardless is not None
    if wish.startswith("PM"):
        payment = opened.gocardless.collection(wish)
        return [payment.payout] if payment is not None and payment.payout else []
    payout = opened.gocardless.payout(wish)
    return [payout.id] if payout is not None else []


def _documents(opened: OpenTenant, wish: str) -> list[int]:
    """Return the documents of an invoice number; `docentry:N` names one where several series use a number."""
    if wish.lower().startswith("docentry:") and wish[9:].isdigit():
        return [int(wish[9:])]
    return [one.doc_entry for one in opened.sap.invoices_by_number([int(wish)])] if wish.isdigit() else []


def _one_meaning(wish: str, wanted: Wanted) -> None:
    """Refuse a word that may mean several things: nothing is done to the wrong one."""
    meant = [
        *dict.fromkeys(wanted.payments),
        *(one for one, _ in dict.fromkeys(wanted.back)),
        *dict.fromkeys(wanted.payouts),
        *dict.fromkeys(wanted.cards),
        *dict.fromkeys(wanted.customers),
        *(f"docentry:{entry}" for entry in dict.fromkeys(wanted.documents)),
    ]
    meant += [one.name for one in wanted.others]
    if len(meant) > 1:
        raise ConfigError(f"{wish} may mean {len(meant)} things: {', '.join(meant)}", hint="give the one that is meant")


def _by_about(name: str, about: dict[str, Any], wanted: Wanted, opened: OpenTenant) -> None:
    verb = name.split("/")[1]
    if verb == "post-payment":
        wanted.payments.append(str(about.get("payment") or thing_of(name)))
    elif verb in BACK or (verb == "settle" and not about.get("payout")):
        one = next((str(about[kind]) for kind in BACK if about.get(kind)), thing_of(name))
        wanted.back.append((one, str(about.get("payment") or "")))
    elif verb in PAYOUTS and about.get("payout"):
        wanted.payouts.append(str(about["payout"]))
    elif verb == "push-invoice" and "doc_entry" in about:
        wanted.documents.append(int(about["doc_entry"]))
    elif verb in PARTNERS and opened.journal.links.get("customer", str(about.get("card_code") or "")) is not None:
        wanted.cards.append(str(about["card_code"]))
    elif verb == "create-partner":
        wanted.customers.append(thing_of(name))
    else:
        stored = opened.journal.find(name)
        if stored is not None and stored.state != "done":
            wanted.others.append(stored)


def _sort(stored: Stored, wanted: Wanted) -> None:
    if isinstance(stored.command, PostPayment):
        wanted.payments.append(stored.command.payment)
    elif isinstance(stored.command, PostEntry) and stored.command.reversal:
        wanted.back.append((stored.command.reversal, stored.command.parts[0].payment))
    elif isinstance(stored.command, Reconcile) and not stored.command.parts[0].startswith("PO"):
        wanted.back.append((stored.command.parts[0].split("/")[0], stored.command.payment))
    elif isinstance(stored.command, PostEntry):
        wanted.payouts.append(stored.command.payout)
    elif isinstance(stored.command, Reconcile):
        wanted.payouts.append(stored.command.parts[0].split("/")[0])
    elif isinstance(stored.command, PushInvoice):
        wanted.documents.append(stored.command.doc_entry)
    elif isinstance(stored.command, UpdateCustomer | UpdatePartner | NoteFigures | PauseSubscription):
        wanted.cards.append(stored.command.card_code)
    elif isinstance(stored.command, EnsureCustomer) and stored.state == "done":
        wanted.cards.append(stored.command.partner.card_code)
    elif isinstance(stored.command, CreatePartner):
        wanted.customers.append(stored.command.customer)
    elif not isinstance(stored.command, DropDraft):
        wanted.others.append(stored)


def _leave_waiting_drafts(session: Session, opened: OpenTenant, wanted: Wanted) -> None:
    """Refuse what waits for approval in SAP: the draft decides it, a second posting would double it."""
    from mlc.core.keys import marker

    held = {one: item.reason for one in wanted.payments for item in opened.journal.held.search(one)}
    stuck = [one for one, reason in held.items() if reason == "awaiting_approval"]
    drafts = opened.sap.drafts_by_marker([marker(one) for one in stuck]) if stuck else {}
    for one in stuck:
        if marker(one) in drafts:
            draft = drafts[marker(one)]
            session.voice.say(
                f"{one} waits as draft {draft} for an approval in SAP: decide it there; nothing was sent", "yellow"
            )
            session.codes.append(ATTENTION)
            wanted.payments.remove(one)


@dataclass(slots=True)
class Once:
    """A pass that wishes stored commands once more: their recipes read again whatever guards money."""

    name: str
    stored: list[Stored]

    def gather(self) -> Iterator[list[Stored]]:
        """Yield what was asked for."""
        yield self.stored

    def decide(self, facts: list[Stored]) -> Plan:
        """Wish it again."""
        return Plan(
            [Intent(one.name, one.command, one.lane, one.amount, one.says, anew=True) for one in facts], seen=len(facts)
        )
