"""What is read around Stripe's payouts: the list, what each is made of, entries under its id, and entries that people keyed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from mlc.core.deposits import Split, StripePayout
from mlc.core.facts import Account, Booked, Movement, Period
from mlc.core.inbox import PAYOUT
from mlc.core.intents import Mark
from mlc.core.keys import marker
from mlc.core.matching import is_foreign
from mlc.passes.scene import Scene
from mlc.store.held import Held
from mlc.systems.sap import back
from mlc.systems.sap.client import SapRefusedError
from mlc.systems.sap.entries import live

KIND = "stripe-payout"
RETURNED = ("failed", "canceled")
_CURSOR = "stripe/payouts"
_WINDOW = 90 * 86400  # payouts are listed by creation, and may fail for weeks
_BEFORE = 35  # days before the start in which one that arrives after it may have been created
_NEAR = timedelta(days=10)
_PASSING = ("not_reconciled", "closed_period")  # dismissing these says nothing about what comes after
_ROLES = ("clearing_account", "bank_account", "fee_account", "vat_account", "suspense_account")


@dataclass(slots=True)
class DepositFacts:
    """One payout with everything needed to decide about it, or several that only need a word."""

    payouts: list[StripePayout]
    split: Split | None = None
    foreign: list[str] = field(default_factory=list)  # payments of another company in it
    entries: dict[str, list[Booked]] = field(default_factory=dict)
    by_hand: list[tuple[Booked, str]] = field(default_factory=list)  # entries keyed around its day, with all their words
    unread: str = ""
    marks: dict[str, Mark] = field(default_factory=dict)
    held: dict[str, Held] = field(default_factory=dict)
    accounts: dict[str, Account | None] = field(default_factory=dict)
    periods: list[Period] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    cursors: dict[str, str] = field(default_factory=dict)
    dealt: list[Mark] = field(default_factory=list)  # what a person dealt with by hand


class DepositReader:
    """Reads Stripe's payouts for one run; `insist` names those a person wants booked in spite of their state."""

    def __init__(self, scene: Scene, pass_: str, only: set[str] | None, insist: set[str]) -> None:
        self.scene = scene
        self._pass = pass_
        self._only = only
        self._insist = insist
        self._vanished: set[str] = set()  # booked ones whose entry SAP shows no more, or reversed

    def _name(self, key: str) -> str:
        return self.scene.name("reconcile-payout", key)

    def gather(self) -> Iterator[DepositFacts]:
        """Yield each payout that needs reading, oldest first, then those that need a word only, with the cursor."""
        scene, now = self.scene, int(self.scene.clock.now())
        listed = self._listed()
        keys = [key for ident in listed for key in (ident, f"{ident}/failed")]
        marks = {key: mark for key, mark in scene.journal.links.many(KIND, keys).items() if mark.state}
        held = {one.name: one for one in scene.journal.held.all(pass_=self._pass, dismissed=True)}
        dealt = self._dealt_with(listed, marks, held)
        marks |= {one.key: one for one in dealt}
        quiet = []
        booked = [key for key, mark in marks.items() if mark.state == "booked"]
        entries = scene.sap.entries_by_reference(booked) if booked else {}
        self._vanished = {one.split("/")[0] for one in booked if not live(entries.get(one, []))}
        for one in sorted(listed.values(), key=lambda each: (each.created, each.id)):
            if self._needs_reading(one, marks):
                yield from self._read(one, marks, held)
            else:
                quiet.append(one)
        cursors = {_CURSOR: str(now)} if self._only is None and scene.since is None else {}
        yield DepositFacts(quiet, marks=marks, held=held, cursors=cursors, dealt=dealt)

    def _dealt_with(self, listed: Iterable[str], marks: dict[str, Mark], held: dict[str, Held]) -> list[Mark]:
        """Return what a person dismissed as booked by hand: it is remembered as that, whatever is held of it later."""
        found = []
        for ident in listed:
            known = held.get(self._name(ident))
            if known is None or not known.dismissed or known.reason in _PASSING or ident in self._insist:
                continue
            key = f"{ident}/failed" if known.reason == "payout_failed" else ident
            if key not in marks or marks[key].state == "waiting":
                amount = known.amount.minor if known.amount is not None else 0
                clearing = amount if key != ident else -amount
                data = {"clearing": clearing, "fees": 0, "currency": self.scene.currency, "what": "dismissed by a person"}
                found.append(Mark(KIND, key, state="by_hand", data=data))
        return found

    def _listed(self) -> dict[str, StripePayout]:
        scene, kept = self.scene, self.scene.journal.cursor(_CURSOR)
        listed: dict[str, StripePayout] = {}
        wanted = set(self._only or ())
        if self._only is None:
            first = scene.start_moment(_BEFORE) if scene.since else int(scene.first_moment(_BEFORE).timestamp())
            since = first if kept is None or scene.since is not None else max(first, int(kept) - _WINDOW)
            listed = {one.id: one for page in scene.stripe.payouts_since(since) for one in page}
            wanted |= set(scene.journal.links.in_state(KIND, "waiting"))
            wanted |= {one for one in scene.journal.inbox.named(PAYOUT) if one.startswith("po_")}
            held = scene.journal.held.all(pass_=self._pass)
            wanted |= {str(one.about["payout"]) for one in held if str(one.about.get("payout") or "").startswith("po_")}
        for ident in sorted(wanted - listed.keys()):
            found = scene.stripe.payout(ident)
            if found is not None:
                listed[ident] = found
        return {key: one for key, one in listed.items() if one.arrival >= scene.start}

    def _needs_reading(self, one: StripePayout, marks: dict[str, Mark]) -> bool:
        if not one.automatic or not one.reconciled or one.status not in ("paid", *RETURNED):
            return False
        booked = marks.get(one.id)
        if one.id in self._insist | self._vanished or booked is None or booked.state not in ("booked", "by_hand"):
            return True
        if booked.state == "by_hand":
            return False
        return one.status in RETURNED and (marks.get(f"{one.id}/failed") or booked).key != f"{one.id}/failed"

    def _read(self, one: StripePayout, marks: dict[str, Mark], held: dict[str, Held]) -> Iterator[DepositFacts]:
        """Yield a payout once, and a second time for its failure, which builds on what was really booked."""
        facts = self._facts(one, marks, held)
        yield facts
        again = self.scene.journal.links.get(KIND, one.id)
        if one.status in RETURNED and one.id not in marks and again is not None and again.state == "booked":
            yield self._facts(one, {**marks, one.id: again}, held)

    def _facts(self, one: StripePayout, marks: dict[str, Mark], held: dict[str, Held]) -> DepositFacts:
        scene = self.scene
        facts = DepositFacts([one], marks=marks, held=held)
        facts.entries = scene.sap.entries_by_reference([one.id, f"{one.id}/failed"])
        codes = {role: scene.rules.account(scene.currency, role) for role in _ROLES}
        found = scene.sap.accounts([code for code in codes.values() if code])
        facts.accounts = {role: found.get(code) if code else None for role, code in codes.items()}
        facts.periods = scene.sap.periods()
        states = scene.journal.states([self._name(one.id), self._name(f"{one.id}/failed")])
        facts.refused = {name for name, state in states.items() if state == "refused" and name not in held}
        if marks.get(one.id) is not None and marks[one.id].state == "booked" and one.id not in self._insist:
            return facts
        facts.split = Split()
        for page in scene.stripe.movements_of(one.id):
            posted = scene.journal.links.many("payment", [move.payment for move in page if move.payment])
            stood = self._stood(page, posted)
            for move in page:
                facts.split.add(move if move.payment in stood else _never_posted(move))
            facts.foreign += self._foreign(page, posted)
        if not live(facts.entries.get(one.id, [])):
            try:
                bank = facts.accounts.get("bank_account")
                first, code = one.arrival - _NEAR, bank.code if bank is not None else ""
                from_ = facts.accounts.get("clearing_account")
                drawn = from_.code if from_ is not None else ""
                facts.by_hand = list(back.keyed_entries(scene.sap, first, code, drawn, one.amount.decimal(), one.id))
            except SapRefusedError as refused:
                facts.unread = f"{refused.error.code} {refused.error.text}"
        return facts

    def _stood(self, page: list[Movement], posted: dict[str, Mark]) -> set[str]:
        """Return the payments of failed charges that stand, or stood, in SAP: their return has an entry of its own.

        Those the journal does not know are asked for in SAP: a state file may be new.
        """
        failed = {move.payment for move in page if move.category == "charge_failure" and move.payment}
        stood = {one for one in failed if one in posted and posted[one].state in ("posted", "cancelled")}
        asked = sorted(failed - stood)
        found = self.scene.sap.receipts_by_marker([marker(one) for one in asked]) if asked else {}
        return stood | {one for one in asked if found.get(marker(one))}

    def _foreign(self, page: list[Movement], posted: dict[str, Mark]) -> list[str]:
        """Return the payments of a page that belong to another company; only those nobody knows are read."""
        unknown = [move.payment for move in page if move.payment and move.payment not in posted and move.category == "charge"]
        unknown = [
            one for one in dict.fromkeys(unknown) if self.scene.journal.held.get(self.scene.name("post-payment", one)) is None
        ]
        if not unknown:
            return []
        found = self.scene.stripe.payments(dict.fromkeys(unknown, 0))
        return [key for key, one in found.items() if one is not None and is_foreign(one, self.scene.rules.company)]


def _never_posted(move: Movement) -> Movement:
    """Return a debit that failed before it ever succeeded as what it is: money in and out, its fee with the payout's fees."""
    if move.category != "charge_failure":
        return move
    return Movement(
        move.id, move.amount, move.fee, move.currency, move.created, "charge", move.source, move.kind, move.tax, move.payment
    )
