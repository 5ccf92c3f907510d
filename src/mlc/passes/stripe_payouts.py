"""Stripe's payouts: each automatic one, taken apart once Stripe has reconciled it, becomes an entry from clearing to the bank.

Reads: payouts of the last weeks and those that wait, their movements by pages, entries under their ids, entries keyed by hand.
Decides: the entry with its fees by kind, the bank leg taken back where a payout failed, what is held and why.
Names: `<company>/reconcile-payout/stripe/<payout>`, `.../<payout>/failed`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date

from mlc.core import deposits
from mlc.core.commands import PostEntry
from mlc.core.deposits import Accounts, Split, StripePayout
from mlc.core.facts import Account, Booked
from mlc.core.intents import Adoption, Intent, Mark, Plan, Skip
from mlc.core.intents import Receipt as Proof
from mlc.core.money import Money
from mlc.passes.deposit_facts import KIND, RETURNED, DepositFacts, DepositReader
from mlc.passes.scene import Scene
from mlc.systems.sap.entries import differs, entry_marks, live

_SLOW = 14 * 86400  # so long Stripe may take to reconcile a payout before a person should look


class StripePayouts:
    """The part of the pass that follows Stripe's payouts."""

    def __init__(self, scene: Scene, pass_: str, only: set[str] | None, insist: set[str]) -> None:
        self.scene = scene
        self.reader = DepositReader(scene, pass_, only, insist)
        self._only = only
        self._insist = insist

    @property
    def wanted(self) -> bool:
        """Tell whether the configuration says where the money arrives."""
        return self.scene.stripe_account is not None and any(self.scene.rules.accounts.get("bank_account", {}).values())

    def gather(self) -> Iterator[DepositFacts]:
        """Yield each payout that needs reading, then those that need a word only."""
        return self.reader.gather()

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
        if one.status in RETURNED:  # it went and came back: nothing to book
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
        if one.status in RETURNED and (failed is None or failed.state != "by_hand"):
            text = f"{one.id} over {one.amount} is {one.status} now, and it was booked by hand: take the booking in SAP back"
            self._hold(one, facts, plan, "payout_failed", f"{text}, then dismiss this")
        else:
            plan.unchanged += 1

    def _waits(self, one: StripePayout, facts: DepositFacts, plan: Plan) -> None:
        """Stripe has not finished it: noted, and held where it takes too long."""
        if one.status in ("paid", *RETURNED) and self.scene.clock.now() - one.created > _SLOW:
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
        if one.status not in RETURNED:
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


def only_stripe(wanted: Iterable[str]) -> set[str]:
    """Return those ids that are payouts of Stripe."""
    return {one for one in wanted if one.startswith("po_")}
