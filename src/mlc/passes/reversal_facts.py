"""What is read around money that goes back: the payments as journal and SAP know them, entries under our references, what people keyed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from mlc.core import reversing
from mlc.core.commands import Part
from mlc.core.facts import Account, Booked, Invoice, Partner, Payment, Period, Receipt, Reversal, Withdrawal
from mlc.core.intents import Mark
from mlc.core.keys import marker
from mlc.core.reversing import Leg, Wait
from mlc.passes.scene import Scene
from mlc.passes.settling import placed
from mlc.store.held import Held
from mlc.systems.sap import back
from mlc.systems.sap.client import SapRefusedError
from mlc.systems.sap.reads import is_by_hand

NEAR = timedelta(days=10)  # so long before money went back somebody may have keyed it


@dataclass(slots=True)
class ReversalFacts:
    """A batch of reversals with everything needed to decide about them."""

    reversals: list[Reversal]
    held: dict[str, Held] = field(default_factory=dict)  # by name, dismissed ones too
    links: dict[str, Mark] = field(default_factory=dict)  # payment -> how it stands in SAP
    others: dict[str, Payment | None] = field(default_factory=dict)  # payments that do not stand there, as Stripe tells them
    waits: dict[str, str] = field(default_factory=dict)  # payment -> why it is not in SAP yet
    marks: dict[str, Mark] = field(default_factory=dict)  # re_1, re_1/failed -> what was booked
    parts: dict[str, list[Part]] = field(default_factory=dict)  # payment -> what went back of it and was not undone
    entries: dict[str, list[Booked]] = field(default_factory=dict)
    receipts: dict[str, list[Receipt]] = field(default_factory=dict)  # by marker
    withdrawals: list[Withdrawal] = field(default_factory=list)
    unread: str = ""  # SAP's words where it does not show what people keyed
    anew: list[Receipt] = field(default_factory=list)  # receipts keyed by hand where a payment's own was cancelled
    claimed: set[str] = field(default_factory=set)  # documents that were recognised as other reversals
    accounts: dict[str, Account | None] = field(default_factory=dict)  # by role
    partners: dict[str, Partner] = field(default_factory=dict)
    invoices: dict[int, Invoice] = field(default_factory=dict)
    periods: list[Period] = field(default_factory=list)
    insist: set[str] = field(default_factory=set)


def gather(scene: Scene, pass_: str, found: Iterable[Reversal], insist: set[str]) -> Iterator[ReversalFacts]:
    """Yield a batch, and again while more of it can be booked: what turned a reversal waits for the reversal's own entry."""
    batch = list({one.id: one for one in found}.values())
    for _ in range(4):
        if not batch:
            return
        facts = _facts(scene, pass_, batch, insist)
        before = set(facts.marks)
        yield facts
        keys = [one.id + leg.suffix for one in batch for leg in _legs(scene, one)]
        after = {key for key, mark in scene.journal.links.many("reversal", keys).items() if mark.state}
        batch = [one for one in batch if _progress(scene, one, before, after)]


def _legs(scene: Scene, one: Reversal) -> Sequence[Leg]:
    found = reversing.legs(one, scene.currency)
    return () if isinstance(found, Wait) else found


def _progress(scene: Scene, one: Reversal, before: set[str], after: set[str]) -> bool:
    keys = [one.id + leg.suffix for leg in _legs(scene, one)]
    return any(key in after - before for key in keys) and not all(key in after for key in keys)


def waiting(scene: Scene, pass_: str) -> list[Reversal]:
    """Return the reversals that are held and may be booked meanwhile, as they are now."""
    found = []
    for held in scene.journal.held.all(pass_=pass_):
        verb, _, thing = held.name.split("/", 1)[1].partition("/")
        kind, ident = verb, thing.split("/")[1]
        if kind in ("refund", "dispute") and policy(scene, kind) == "book":
            one = scene.stripe.reversal(kind, ident)
            found += [one] if one is not None else []
        elif kind == "returned" and policy(scene, kind) == "book":
            found += returned(scene, [str(held.about.get("payment") or "")])
    return found


def returned(scene: Scene, payments: Iterable[str]) -> list[Reversal]:
    """Return those of the posted payments whose money came back: they no longer stand as succeeded."""
    found = []
    for ident, payment in scene.stripe.payments(dict.fromkeys(filter(None, payments), 0)).items():
        if payment is not None and payment.status != "succeeded" and payment.charge:
            one = scene.stripe.returned(payment, payment.charge)
            found += [one] if one.moves or scene.journal.links.get("payment", ident) else []
    return found


def policy(scene: Scene, kind: str) -> str:
    """Return hold or book, as the configuration says for a kind."""
    return scene.rules.refunds if kind == "refund" else scene.rules.disputes


def _facts(scene: Scene, pass_: str, batch: list[Reversal], insist: set[str]) -> ReversalFacts:
    links = scene.journal.links
    facts = ReversalFacts(batch, insist=insist)
    facts.held = {one.name: one for one in scene.journal.held.all(pass_=pass_, dismissed=True)}
    payments = list(dict.fromkeys(one.payment for one in batch if one.payment))
    facts.links = {key: mark for key, mark in links.many("payment", payments).items() if mark.state in ("posted", "cancelled")}
    absent = [one for one in payments if one not in facts.links]
    facts.others = scene.stripe.payments(dict.fromkeys(absent, 0)) if absent else {}
    facts.waits = {one: _why_absent(scene, one, facts) for one in absent}
    booking = [one for one in batch if one.payment in facts.links]
    if booking:
        _read_around(scene, booking, facts)
    return facts


def _is_new(mark: Mark | None) -> bool:
    """Tell whether a movement must be looked at: nobody booked it, or a document of SAP is its booking and may be gone."""
    what = str(mark.data.get("what") or "") if mark is not None else ""
    return mark is None or what.startswith(("outgoing payment", "journal entry"))


def _why_absent(scene: Scene, payment: str, facts: ReversalFacts) -> str:
    name = scene.name("post-payment", payment)
    held, stored = facts.held.get(name), scene.journal.find(name)
    if held is not None:
        return f"is held itself: {held.reason}"
    if stored is not None and stored.state == "refused":
        return f"was refused by SAP: {stored.code}"
    if stored is not None and stored.state == "open":
        return "is still in doubt"
    one = facts.others.get(payment)
    if one is None or one.succeeded_at is None or scene.day_of(one.succeeded_at) < scene.rules.start:
        return "is of before the start, or not known"
    return ""  # it is posted first


def _read_around(scene: Scene, booking: list[Reversal], facts: ReversalFacts) -> None:
    links, keys = scene.journal.links, [one.id + leg.suffix for one in booking for leg in _legs(scene, one)]
    facts.marks = {key: mark for key, mark in links.many("reversal", keys).items() if mark.state}
    facts.entries = scene.sap.entries_by_reference(keys) if keys else {}
    for mark in links.of_others("part", {one.payment for one in booking}):
        part = placed(mark).part
        if part.role == "refund" and not part.undone:
            facts.parts.setdefault(part.payment, []).append(part)
    new = [
        one for one in booking
        for leg in _legs(scene, one) if _is_new(facts.marks.get(one.id + leg.suffix)) or one.id in facts.insist
    ]  # fmt: skip
    if not new:
        return
    facts.receipts = scene.sap.receipts_by_marker([marker(one.payment) for one in new])
    marks = [facts.links[one.payment] for one in new]
    cards = list(dict.fromkeys(str(mark.data.get("card_code") or "") for mark in marks))
    facts.partners = scene.sap.payers(cards)
    facts.invoices = scene.sap.invoices({int(entry) for mark in marks for entry, _ in mark.data.get("applied") or ()})
    first = min(scene.day_of(leg.created) for one in new for leg in _legs(scene, one)) - NEAR
    try:
        names = [name for one in new for name in (one.id, one.payment, one.charge)]
        facts.withdrawals = back.withdrawals(scene.sap, cards, names, first)
    except SapRefusedError as refused:
        facts.unread = f"{refused.error.code} {refused.error.text}"
    facts.claimed = {str(mark.data.get("claim") or mark.data.get("what")) for mark in links.all_in_state("reversal", "by_hand")}
    gone = [one for one in new if all(r.cancelled for r in facts.receipts.get(marker(one.payment), []))]
    if gone:  # somebody may have keyed the payment anew
        days = [str(facts.links[one.payment].data.get("day") or "") for one in gone]
        since = min([first, *(date.fromisoformat(day) for day in days if day)])
        facts.anew = [one for one in scene.sap.receipts_of(cards, since) if is_by_hand(one)]
    codes = {role: scene.rules.account(scene.currency, role) for role in ("clearing_account", "fee_account")}
    accounts = scene.sap.accounts([code for code in codes.values() if code])
    facts.accounts = {role: accounts.get(code) if code else None for role, code in codes.items()}
    facts.periods = scene.sap.periods()
