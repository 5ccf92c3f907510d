"""Who pays by GoCardless: its customers, mandates, payments and events since the last run, as links that every pass can look at.

Four list calls where nothing happened. What an event says is a hint: the resource itself is read before its state is believed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from mlc.core import codec
from mlc.core.clues import Payer, payer_of
from mlc.core.commands import NoteMandate
from mlc.core.debits import Collection, DebitEvent, Debtor, Mandate
from mlc.core.facts import Partner
from mlc.core.intents import Intent, Mark, Plan, Skip
from mlc.core.tiers import said
from mlc.passes.scene import Scene, chunks
from mlc.systems.gocardless.reads import stamp

CUSTOMERS, MANDATES, PAYMENTS, EVENTS = (
    "gocardless/customers",
    "gocardless/mandates",
    "gocardless/payments",
    "gocardless/events",
)
BOUNCED = "gocardless/bounced"
_LINKING = "sync-customers"
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


@dataclass(slots=True)
class People:
    """Whose payments a batch holds, as far as it is known."""

    payers: dict[str, Payer] = field(default_factory=dict)  # mandate -> payer
    partners: dict[str, Partner] = field(default_factory=dict)


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
    return stamp(datetime.fromisoformat(kept) - overlap) if kept else ""


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
    notes = []
    if kept and now - datetime.fromisoformat(kept) > _KEPT:
        notes.append(
            ("", f"the events of GoCardless were last read on {kept[:10]}; those older than 18 months are archived there")
        )
    payments: list[str] = []
    mandates: list[str] = []
    seen: list[str] = []
    steps: dict[str, str] = {}
    plan = Plan(notes=notes)
    for page in scene.gocardless.events_since(_since(scene, EVENTS, _EVENTS_OVERLAP) or first):
        fresh = set(scene.journal.unseen([one.id for one in page]))
        for one in page:
            if one.id not in fresh or one.id in seen:
                continue
            seen.append(one.id)
            what = ACTIONS.get(one.resource, {}).get(one.action, "note")
            if one.resource == "payments" and one.action in _STEPS:
                steps.setdefault(one.link("payment"), one.action)  # newest first
            if what == "ignore":
                continue
            plan.notes.append((_subject(scene, one), _sentence(scene, one)))
            if what == "read" and one.resource == "payments":
                payments.append(one.link("payment"))
            elif what == "read":
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
    plan.events = seen
    plan.cursors[EVENTS] = now.isoformat()
    yield plan


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


# --- who is who ------------------------------------------------------------------------------------------------------


def people(scene: Scene, mandates: Iterable[str]) -> People:
    """Return the payers of mandates: explicit metadata read in this run, then the link, then an e-mail unique on both sides."""
    links = scene.journal.links
    wanted = [one for one in dict.fromkeys(mandates) if one]
    there = links.many("mandate", wanted)
    customer_of = {mandate: mark.other for mandate, mark in there.items() if mark.other}
    fresh_mandates = {key for key, mark in there.items() if mark.data.get("run") == scene.journal.run_id}
    missing = [one for one in wanted if one not in customer_of]
    read = scene.gocardless.mandates(missing, links.count("mandate")) if missing else {}
    customer_of |= {key: one.customer for key, one in read.items()}
    said_by_mandate = {key: str(there[key].data.get("said") or "") for key in fresh_mandates}
    said_by_mandate |= {key: dict(one.metadata).get(scene.debits.customer_key, "") for key, one in read.items()}
    customers = _fresh_customers(scene, customer_of.values())
    silent = [key for key in wanted if key not in said_by_mandate]
    stale = scene.gocardless.mandates(silent, links.count("mandate")) if silent else {}
    said_by_mandate |= {key: dict(one.metadata).get(scene.debits.customer_key, "") for key, one in stale.items()}
    linked = {mark.key: mark.other for mark in links.many("gc-customer", customers).values()}
    by_email = _by_email(scene, {key: data for key, data in customers.items() if not data.get("said") and not linked.get(key)})
    cards = {str(data.get("said") or "") for data in customers.values()} | set(linked.values()) | set(said_by_mandate.values())
    found = People()
    found.partners = scene.sap.payers(sorted((cards | set(by_email.values())) - {""}), scene.debits.dimensions.fields)
    for mandate in wanted:
        customer = customer_of.get(mandate, "")
        data = customers.get(customer, {})
        sources = [
            (f"metadata of {customer}", str(data.get("said") or "")),
            (f"metadata of {mandate}", said_by_mandate.get(mandate, "")),
        ]
        found.payers[mandate] = payer_of(
            sources, found.partners, linked=linked.get(customer, ""), by_email=by_email.get(customer, ""),
            email=str(data.get("email") or ""),
        )  # fmt: skip
    return found


def _fresh_customers(scene: Scene, customers: Iterable[str]) -> dict[str, dict[str, object]]:
    """Return customer -> what it says now: read in this run already, or read now."""
    links = scene.journal.links
    known = links.many("gc-customer", customers)
    found = {key: dict(mark.data) for key, mark in known.items() if mark.data.get("run") == scene.journal.run_id}
    missing = [one for one in dict.fromkeys(customers) if one and one not in found]
    for key, one in scene.gocardless.debtors(missing, links.count("gc-customer")).items():
        found[key] = dict(debtor_mark(scene, one).data)
    return found


def _by_email(scene: Scene, customers: dict[str, dict[str, object]]) -> dict[str, str]:
    """Return customer -> partner where exactly one of each has the address and neither is linked yet."""
    links = scene.journal.links
    emails = {key: str(data.get("email") or "") for key, data in customers.items()}
    alone = {key: email for key, email in emails.items() if email and len(links.customers_with(email)) == 1}
    if not alone:
        return {}
    partners: dict[str, list[str]] = {}
    for email in dict.fromkeys(alone.values()):
        partners[email] = []
    asked = [how for email in partners for how in dict.fromkeys([email, email.lower(), email.upper(), email.capitalize()])]
    for one in scene.sap.partners_by_email(asked):
        partners.setdefault(one.email.lower(), []).append(one.card_code)
    found = {}
    for key, email in alone.items():
        cards = list(dict.fromkeys(partners.get(email, [])))
        others = [
            *links.of_others("gc-customer", cards),
            *links.saying("gc-customer", cards),
        ]
        if len(cards) == 1 and not any(mark.key != key for mark in others):
            found[key] = cards[0]
    return found


# --- linking (sync-customers) ----------------------------------------------------------------------------------------


def link_customers(scene: Scene) -> Iterator[Plan]:
    """Link the customers that nobody is linked to yet; what no rule links and could be collected from waits for a person."""
    links = scene.journal.links
    held = {one.name for one in scene.journal.held.all(pass_=_LINKING, dismissed=True) if "/link-customer/" in one.name}
    for part in chunks(links.without_other("gc-customer"), 200):
        plan = Plan(seen=len(part))
        marks = links.many("gc-customer", part)
        named = {key: str(mark.data.get("said") or "") for key, mark in marks.items()}
        theirs = links.of_others("mandate", part)
        mandates = {mark.other for mark in theirs if mark.state == "active"}
        by_mandate: dict[str, set[str]] = {}
        for mark in theirs:
            if mark.data.get("said"):
                by_mandate.setdefault(mark.other, set()).add(str(mark.data["said"]))
        for key, cards in by_mandate.items():
            if not named[key] and len(cards) == 1:
                named[key] = next(iter(cards))
        partners = scene.sap.partners(sorted(set(named.values()) - {""}))
        by_email = _by_email(scene, {key: mark.data for key, mark in marks.items() if not named[key]})
        for key in part:
            name = scene.name("link-customer", key, "gocardless")
            card = named[key] if named[key] in partners else by_email.get(key, "")
            if card:
                how = "its metadata" if named[key] else f"the e-mail {marks[key].data.get('email')}, which one of each has"
                plan.marks.append(Mark("gc-customer", key, card, "linked", {"by": "metadata" if named[key] else "email"}))
                plan.notes.append((name, f"{key} is linked to {card} by {how}"))
                plan.healed += [name] if name in held else []
            elif key in mandates:
                plan.skips.append(_unlinked(name, key, marks[key], named[key]))
            else:
                plan.unchanged += 1
        yield plan


def _unlinked(name: str, key: str, mark: Mark, named: str) -> Skip:
    who = f"{key} {mark.data.get('name') or ''}".strip()
    why = (
        f"its metadata names {named}, which SAP does not have"
        if named
        else "neither metadata nor an e-mail that is unique on both sides"
    )
    text = f"GoCardless customer {who} has an active mandate and is linked to nobody in SAP: {why}"
    return Skip(name, "no_customer", text, about={"customer": key})


def note_mandates(scene: Scene) -> Iterator[Plan]:
    """Bring the reference of a customer's only active mandate into a user field of the partner, where the configuration names one."""
    field_ = scene.debits.mandate_field
    if not field_:
        return
    links = scene.journal.links
    for part in chunks((mark.key for mark in links.all_in_state("gc-customer", "linked")), 200):
        customers = links.many("gc-customer", part)
        mandates: dict[str, list[Mark]] = {}
        for mark in links.of_others("mandate", part):
            if mark.state == "active":
                mandates.setdefault(mark.other, []).append(mark)
        plan = Plan(seen=len(part))
        for key, mark in customers.items():
            only = mandates.get(key, [])
            reference = str(only[0].data.get("reference") or "") if len(only) == 1 else ""
            if not reference or mark.data.get("noted") == reference:
                plan.unchanged += 1
                continue
            says = f"note mandate {reference} of {mark.other} in {field_}"
            command = NoteMandate(mark.other, key, field_, reference)
            plan.intents.append(
                Intent(scene.name("note-mandate", key, "gocardless"), command, f"customer/{mark.other}", None, says, anew=True)
            )
        yield plan


# --- what push-invoices asks -----------------------------------------------------------------------------------------


def collected_elsewhere(scene: Scene, cards: Iterable[str]) -> dict[str, str]:
    """Return CardCode -> the active mandate by which GoCardless may collect from it."""
    links = scene.journal.links
    wanted = set(cards)
    owners: dict[str, set[str]] = {}  # customer -> the partners it may be
    found: dict[str, str] = {}
    for mark in links.of_others("gc-customer", wanted):
        owners.setdefault(mark.key, set()).add(mark.other)
    for mark in links.saying("gc-customer", wanted):
        owners.setdefault(mark.key, set()).add(str(mark.data["said"]))
    for mark in links.saying("mandate", wanted):
        if mark.state == "active":
            found.setdefault(str(mark.data["said"]), mark.key)
    mandates = links.of_others("mandate", owners)
    pending = {mark.other for mark in links.of_others("debit", [one.key for one in mandates]) if _on_its_way(mark)}
    for mark in mandates:
        if mark.state == "active" or mark.key in pending:
            for card in sorted(owners[mark.other] & wanted):
                found.setdefault(card, mark.key)
    return found


def _on_its_way(mark: Mark) -> bool:
    """Tell whether a payment may still bring money that no entry of ours holds yet."""
    return mark.state == "live" and mark.data.get("status") in ("pending_submission", "submitted", "confirmed")


def named_invoices(scene: Scene) -> dict[tuple[str, int], str]:
    """Return (field, number) -> a payment that names the invoice and has not failed."""
    found = {}
    for mark in scene.journal.links.all_in_state("debit", "live"):
        for field_, number in mark.data.get("names") or []:
            found[field_, number] = mark.key
    return found
