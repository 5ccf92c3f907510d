"""Stripe's payouts: each automatic one, taken apart once Stripe has reconciled it, becomes an entry from clearing to the bank.

Reads: payouts of the last weeks and those that wait, their movements by pages, entries under their ids, entries keyed by hand.
Decides: the entry with its fees by kind, the bank leg taken back where a payout failed, what is held and why.
Names: `<company>/reconcile-payout/stripe/<payout>`, `.../<payout>/failed`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

from mlc.core import deposits
from mlc.core.commands import PostEntry
from mlc.core.deposits import Accounts, Split, StripePayout
from mlc.core.facts import Account, Booked, Movement, Period
from mlc.core.intents import Adoption, Intent, Mark, Plan, Skip
from mlc.core.intents import Receipt as Proof
from mlc.core.keys import marker
from mlc.core.matching import is_foreign
from mlc.core.money import Money
from mlc.passes.scene import Scene
from mlc.store.held import Held
from mlc.systems.sap import back
from mlc.systems.sap.client import SapRefusedError
from mlc.systems.sap.entries import differs, entry_marks, live

KIND = "stripe-payout"
_CURSOR = "stripe/payouts"
_WINDOW = 90 * 86400  # payouts are listed by creation, and may fail for weeks
_BEFORE = 35  # days before the start in which one that arrives after it may have been created
_NEAR = timedelta(days=10)
_SLOW = 14 * 86400  # so long Stripe may take to reconcile a payout before a person should look
_PASSING = ("not_reconciled", "closed_period")  # dismissing these says nothing about what comes after
_RETURNED = ("failed", "canceled")
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


class StripePayouts:
    """The part of the pass that follows Stripe's payouts."""

    def __init__(self, scene: Scene, pass_: str, only: set[str] | None, insist: set[str]) -> None:
        self.scene = scene
        self._pass = pass_
        self._only = only
        self._insist = insist
        self._vanished: set[str] = set()  # booked ones whose entry SAP shows no more, or reversed

    @property
    def wanted(self) -> bool:
        """Tell whether the configuration says where the money arrives."""
        return self.scene.stripe_account is not None and any(self.scene.rules.accounts.get("bank_account", {}).values())

    # --- gather -----------------------------------------------------------------------------------------------------

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
            held = scene.journal.held.all(pass_=self._pass)
            wanted |= {str(one.about["payout"]) for one in held if str(one.about.get("payout") or "").startswith("po_")}
        for ident in sorted(wanted - listed.keys()):
            found = scene.stripe.payout(ident)
            if found is not None:
                listed[ident] = found
        return {key: one for key, one in listed.items() if one.arrival >= scene.start}

    def _needs_reading(self, one: StripePayout, marks: dict[str, Mark]) -> bool:
        if not one.automatic or not one.reconciled or one.status not in ("paid", *_RETURNED):
            return False
        booked = marks.get(one.id)
        if one.id in self._insist | self._vanished or booked is None or booked.state not in ("booked", "by_hand"):
            return True
        if booked.state == "by_hand":
            return False
        return one.status in _RETURNED and (marks.get(f"{one.id}/failed") or booked).key != f"{one.id}/failed"

    def _read(self, one: StripePayout, marks: dict[str, Mark], held: dict[str, Held]) -> Iterator[DepositFacts]:
        """Yield a payout once, and a second time for its failure, which builds on what was really booked."""
        facts = self._facts(one, marks, held)
        yield facts
        again = self.scene.journal.links.get(KIND, one.id)
        if one.status in _RETURNED and one.id not in marks and again is not None and again.state == "booked":
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

    # --- decide -----------------------------------------------------------------------------------------------------

    def decide(self, facts: DepositFacts) -> Plan:
        """Turn one payout, or those that need a word only, into a plan."""
        plan = Plan(seen=len(facts.payouts), cursors=dict(facts.cursors), marks=list(facts.dealt))
        for one in facts.payouts:
            self._decide(one, facts, plan)
        return plan

    def _name(self, key: str) -> str:
        return self.scene.name("reconcile-payout", key)

    def _decide(self, one: StripePayout, facts: DepositFacts, plan: Plan) -> None:
        if facts.split is not None or facts.entries:
            self._reconciled(one, facts, plan)
        elif (mark := facts.marks.get(one.id)) is not None and mark.state == "booked":
            plan.unchanged += 1
        elif mark is not None and mark.state == "by_hand":
            self._by_hand(one, facts, plan)
        elif not one.automatic:
            self._manual(one, facts, plan)
        else:
            self._waits(one, facts, plan)

    def _manual(self, one: StripePayout, facts: DepositFacts, plan: Plan) -> None:
        held = facts.held.get(self._name(one.id))
        if one.status in _RETURNED:  # it went and came back: nothing to book
            plan.unchanged += 1
            plan.healed += [held.name] if held is not None else []
            plan.marks.append(Mark(KIND, one.id, state="returned"))
        elif one.status != "paid":
            plan.unchanged += 1
            plan.marks.append(Mark(KIND, one.id, state="waiting"))
        else:
            text = f"{one.id} over {one.amount} was started by hand: Stripe does not tell what is in it; book Dr bank, Cr clearing over"
            self._hold(one, facts, plan, "manual_payout", f"{text} {one.amount} by hand, then dismiss this", state="waiting")

    def _by_hand(self, one: StripePayout, facts: DepositFacts, plan: Plan) -> None:
        """A payout that a person booked by hand: its failure is told until that is dealt with too, nothing is booked."""
        failed = facts.marks.get(f"{one.id}/failed")
        if one.status in _RETURNED and (failed is None or failed.state != "by_hand"):
            text = f"{one.id} over {one.amount} is {one.status} now, and it was booked by hand: take the booking in SAP back"
            self._hold(one, facts, plan, "payout_failed", f"{text}, then dismiss this")
        else:
            plan.unchanged += 1

    def _waits(self, one: StripePayout, facts: DepositFacts, plan: Plan) -> None:
        """Stripe has not finished it: noted, and held where it takes too long."""
        if one.status in ("paid", *_RETURNED) and self.scene.clock.now() - one.created > _SLOW:
            text = f"Stripe has not reconciled {one.id} over {one.amount} ({one.status}) after {_SLOW // 86400} days"
            self._hold(one, facts, plan, "not_reconciled", f"{text}: look at it there", state="waiting")
            return
        plan.unchanged += 1
        plan.marks.append(Mark(KIND, one.id, state="waiting"))

    def _reconciled(self, one: StripePayout, facts: DepositFacts, plan: Plan) -> None:
        booked, mark = facts.entries.get(one.id, []), facts.marks.get(one.id)
        known = mark is not None and mark.state == "booked"
        if known and not live(booked) and one.id not in self._insist:
            text = f"the journal entry of {one.id} was reversed in SAP, or is not there any more; mlc replay {one.id} --again books it anew"
            self._hold(one, facts, plan, "cancelled_in_sap" if booked else "gone_from_sap", text)
        elif booked and not live(booked) and one.id not in self._insist:
            self._hold(
                one, facts, plan, "cancelled_in_sap", f"the journal entry of {one.id} was reversed in SAP", state="waiting"
            )
        elif known and live(booked):
            self._failed(one, facts, plan)
        elif facts.split is not None:
            self._book(one, facts, facts.split, plan)

    def _accounts(self, one: StripePayout, facts: DepositFacts, plan: Plan) -> Accounts | None:
        found = facts.accounts
        for role in ("clearing_account", "bank_account"):
            if not _usable(found.get(role)):
                self._hold(
                    one, facts, plan, "account", f"{one.id}: stripe.{role} is not configured or cannot be posted to in SAP"
                )
                return None
        clearing, bank = found["clearing_account"], found["bank_account"]
        assert clearing is not None
        assert bank is not None
        roles = ("fee_account", "vat_account", "suspense_account")
        locked = [
            role for role in roles if self.scene.rules.account(self.scene.currency, role) and not _usable(found.get(role))
        ]
        if locked:
            self._hold(one, facts, plan, "account", f"{one.id}: stripe.{locked[0]} cannot be posted to in SAP")
            return None
        others = [found.get(role) for role in roles]
        return Accounts(clearing, bank, *others)

    def _book(self, one: StripePayout, facts: DepositFacts, split: Split, plan: Plan) -> None:
        scene = self.scene
        wrong = self._unsound(one, facts, split)
        if wrong is not None:
            self._hold(one, facts, plan, *wrong, state="waiting")
            return
        accounts = self._accounts(one, facts, plan)
        if accounts is None:
            return
        lacking = deposits.missing(split, accounts)
        if split.unknown:
            there = ", ".join(f"{name} {Money(split.others[name], one.amount.currency)}" for name in split.unknown)
            text = (
                f"{one.id} holds {there}: a kind of movement that mlc does not know; book the payout by hand, then dismiss this"
            )
            self._hold(one, facts, plan, "unknown_item", text, state="waiting")
            return
        if lacking:
            there = ", ".join(f"{name} {Money(minor, one.amount.currency)}" for name, minor in split.others.items())
            why = f"it holds {there}, which" if lacking == "suspense_account" else "its fees"
            text = f"{one.id}: {why} need stripe.{lacking}, which is not configured or cannot be posted to"
            self._hold(one, facts, plan, "unknown_item" if lacking == "suspense_account" else "account", text, state="waiting")
            return
        command = deposits.entry(one, split, accounts, one.arrival, scene.day_of(one.created))
        data = {
            "clearing": sum(line.local for line in command.lines if line.title == "Stripe"),
            "fees": split.kept,
            "currency": one.amount.currency,
        }
        found = live(facts.entries.get(one.id, []))
        if found:
            self._adopt(one, facts, command, found, data, plan)
            return
        twin = self._twin(one, facts)
        if twin and one.id not in self._insist:
            self._hold(one, facts, plan, "maybe_booked", twin, state="waiting")
            return
        if self._unposted(command.day, one, facts, plan):
            return
        count = f"{split.count} movement" + ("s" if split.count != 1 else "")
        says = f"book payout {one.id}: {count}, {Money(split.kept, one.amount.currency)} fees"
        self._wish(one, one.id, command, data, says, facts, plan)

    def _unsound(self, one: StripePayout, facts: DepositFacts, split: Split) -> tuple[str, str] | None:
        if one.amount.currency != self.scene.currency:
            return (
                "currency",
                f"{one.id} is in {one.amount.currency}; only {self.scene.currency} is booked yet: book it by hand, then dismiss this",
            )
        if self.scene.ledger.branches:
            return (
                "branch",
                f"{one.id}: which branch the bank's line belongs to is not configured; book it by hand, then dismiss this",
            )
        if facts.foreign:
            return (
                "other_company",
                f"{one.id} contains payments of another company ({', '.join(facts.foreign[:5])}); book it by hand",
            )
        if split.net != one.amount.minor:
            there = Money(split.net, one.amount.currency)
            return "sum_mismatch", f"the movements of {one.id} add up to {there}, the payout is {one.amount}"
        return None

    def _twin(self, one: StripePayout, facts: DepositFacts) -> str:
        """Return who may have keyed a payout by hand: an entry with the bank's line of its sum, or that names it."""
        if facts.unread:
            return f"SAP does not show the entries around {one.arrival} ({facts.unread}): whether {one.id} was keyed cannot be told"
        for entry, _ in facts.by_hand:
            text = f"journal entry {entry.number} of {entry.day} may bring {one.id} over {one.amount} to the bank already;"
            return f"{text} dismiss this if so, else mlc replay {one.id} --again"
        return ""

    def _unposted(self, day: date, one: StripePayout, facts: DepositFacts, plan: Plan) -> bool:
        """Hold where the period is closed: the date of a bank line is never moved."""
        if not facts.periods or any(period.first <= day <= period.last and period.open for period in facts.periods):
            return False
        self._hold(
            one, facts, plan, "closed_period", f"{one.id}: the posting period of {day} is closed in SAP", state="waiting"
        )
        return True

    def _wish(
        self, one: StripePayout, key: str, command: PostEntry, data: dict[str, object], says: str, facts: DepositFacts, plan: Plan
    ) -> None:  # fmt: skip
        name = self._name(key)
        if name in facts.refused and self._only is None:
            plan.unchanged += 1  # refused by SAP: `mlc replay` when the cause is gone
            return
        plan.marks.append(Mark(KIND, key, data=data))
        anew = one.id in self._insist
        plan.intents.append(Intent(name, command, "payouts/stripe", one.amount, says, anew=anew))
        if self._name(one.id) in facts.held:
            plan.healed.append(self._name(one.id))

    def _adopt(
        self, one: StripePayout, facts: DepositFacts, command: PostEntry, found: list[Booked], data: dict[str, object], plan: Plan
    ) -> None:  # fmt: skip
        wrong = f"there are {len(found)} of them" if len(found) > 1 else differs(command, found[0])
        if wrong:
            text = f"journal entry {found[0].number} carries {command.reference2}, but it is {wrong}"
            self._hold(one, facts, plan, "marker_mismatch", text, state="waiting")
            return
        key, name = command.reference2, self._name(command.reference2)
        mark = Mark(KIND, key, str(found[0].trans), "booked", {**data, "number": str(found[0].number)})
        intent = Intent(name, command, "payouts/stripe", one.amount, f"found {key} as entry {found[0].number}", anew=True)
        proof = Proof("sap", "JournalEntry", str(found[0].trans), str(found[0].number))
        plan.adopted.append(Adoption(intent, proof, (mark, *entry_marks(command, found[0]))))
        plan.unchanged += 1
        plan.healed += [held for held in (self._name(one.id),) if held in facts.held]

    def _failed(self, one: StripePayout, facts: DepositFacts, plan: Plan) -> None:
        """Take the bank's leg back where the money of a booked payout came back to the balance."""
        if one.status not in _RETURNED:
            plan.unchanged += 1
            plan.healed += [held for held in (self._name(one.id),) if held in facts.held and not facts.held[held].dismissed]
            return
        accounts = self._accounts(one, facts, plan)
        if accounts is None:
            return
        if not one.failed_at:
            self._hold(
                one,
                facts,
                plan,
                "balance_pending",
                f"{one.id} is {one.status}; Stripe does not show yet when its money came back",
            )
            return
        again = facts.entries.get(f"{one.id}/failed", [])
        booked = facts.marks.get(f"{one.id}/failed")
        if (again or (booked is not None and booked.state == "booked")) and not live(again) and one.id not in self._insist:
            text = f"the entry {one.id}/failed was reversed in SAP, or is not there any more; mlc replay {one.id} --again books it anew"
            self._hold(one, facts, plan, "cancelled_in_sap", text)
            return
        command = deposits.reversed_entry(one, accounts, self.scene.day_of(one.failed_at))
        data = {"clearing": one.amount.minor, "fees": 0, "currency": one.amount.currency}
        found = live(facts.entries.get(command.reference2, []))
        if found:
            self._adopt(one, facts, command, found, data, plan)
        elif not self._unposted(command.day, one, facts, plan):
            self._wish(one, command.reference2, command, data, f"take the bank's line of {one.id} back: it failed", facts, plan)

    def _hold(self, one: StripePayout, facts: DepositFacts, plan: Plan, reason: str, text: str, state: str = "") -> None:
        about = {"payout": one.id, "payout_amount": str(one.amount), "status": one.status}
        plan.skips.append(Skip(self._name(one.id), reason, text, amount=one.amount, about=about))
        if state and not (one.id in facts.marks and facts.marks[one.id].state == "booked"):
            plan.marks.append(Mark(KIND, one.id, state=state))


def _usable(account: Account | None) -> bool:
    return account is not None and account.active and account.postable


def _never_posted(move: Movement) -> Movement:
    """Return a debit that failed before it ever succeeded as what it is: money in and out, its fee with the payout's fees."""
    if move.category != "charge_failure":
        return move
    return Movement(
        move.id, move.amount, move.fee, move.currency, move.created, "charge", move.source, move.kind, move.tax, move.payment
    )


def only_stripe(wanted: Iterable[str]) -> set[str]:
    """Return those ids that are payouts of Stripe."""
    return {one for one in wanted if one.startswith("po_")}
