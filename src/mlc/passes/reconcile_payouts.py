"""reconcile-payouts: every GoCardless payout becomes one balanced entry that closes invoices; for Stripe's see stripe_payouts.

Reads: what is new at GoCardless (customers, mandates, payments, events), payouts and their items, the payments in them, SAP's open
    invoices and partners, entries under our references, open rows of the customers.
Decides: which invoice each payment pays, the entry of each payout, what is held and why; which rows settle each other.
Names: `<company>/reconcile-payout/gocardless/<payout>`, held: `.../payout-line/gocardless/<payout>/<payment>`; see also standing, settling.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from mlc.core import codec
from mlc.core.clues import Balances
from mlc.core.commands import PostEntry, Reconcile
from mlc.core.debits import DebitEvent, Payout
from mlc.core.identities import Problem
from mlc.core.inbox import DEBIT
from mlc.core.intents import Adoption, Intent, Mark, Plan, Skip
from mlc.core.intents import Receipt as Proof
from mlc.passes import debit_news, parked, settling, standing
from mlc.passes.adopting import adopted
from mlc.passes.deposit_facts import DepositFacts
from mlc.passes.payout_batch import KNOWN, Opened, PayoutFacts, balances
from mlc.passes.payout_case import Outcome, outcome
from mlc.passes.payout_facts import PayoutReader
from mlc.passes.scene import Scene
from mlc.passes.settling import SettleFacts
from mlc.passes.standing import StandingFacts
from mlc.passes.stripe_payouts import StripePayouts, only_stripe
from mlc.systems.sap.entries import entry_marks, live

NAME = "reconcile-payouts"
_CURSOR = "gocardless/payouts"
_LOOKED = "gocardless/bounced-looked"
_BEGUN = "gocardless/payouts-begun"
_WINDOW = timedelta(days=30)  # payouts are listed by creation only: their status may change for so long without being asked for
_CREATED_BEFORE = 35  # days before the start in which a payout that arrives after it may have been created
_MOST_ITEMS = 1500


@dataclass(slots=True)
class Standing:
    """Payouts about which nothing needs to be read beyond what the list says."""

    payouts: list[Payout]
    states: dict[str, str]
    cursors: dict[str, str]


Facts = PayoutFacts | SettleFacts | StandingFacts | Standing | DepositFacts | Plan


class ReconcilePayouts:
    """The pass. `only` limits it to some payouts, `insist` names those a person wants booked in spite of their state."""

    name = NAME

    def __init__(
        self, scene: Scene, *, only: Iterable[str] | None = None, insist: Iterable[str] = (),
        decided: dict[str, dict[str, Any]] | None = None, told: Iterable[DebitEvent] = (),
    ) -> None:  # fmt: skip
        """`decided` are decisions of a person that the journal need not know yet (a dry run), `told` events looked at again."""
        self.scene = scene
        self._insist = set(insist)
        self._decided = decided or {}
        self.reader = PayoutReader(scene, NAME, self._decided, self._insist)
        self._only = set(only) if only is not None else None
        self._told_again = list(told)
        self._reopened = False
        self._taken_over: set[str] = set()
        self._waiting: set[str] = set()  # payouts that are held as a whole
        self._vanished: set[str] = set()  # posted payouts whose entry SAP shows no more, or reversed
        self._told: set[str] = set()
        self._stripe = StripePayouts(scene, NAME, None, self._insist)
        self._look_again = False  # GoCardless tells of a bounce that this state may not know
        self.partial = self._only is not None or scene.since is not None
        self.expected: int | None = None

    # --- gather -----------------------------------------------------------------------------------------------------

    def gather(self) -> Iterator[Facts]:
        """Yield Stripe's payouts, then GoCardless': new, not settled yet, payouts in their order, then what they leave to settle."""
        stripe = only_stripe(self._only) if self._only is not None else None
        self._stripe = StripePayouts(self.scene, NAME, stripe, self._insist)
        if self._stripe.wanted and stripe != set():
            yield from self._stripe.gather()
        if self._told_again:
            yield debit_news.told_again(self.scene, self._told_again)
        if self.scene.organisation is not None and (self._only is None or self._only - (stripe or set())):
            yield from self._debits()

    def _debits(self) -> Iterator[Facts]:
        """Yield what concerns GoCardless: what is not settled yet, then payouts in the order in which they were made."""
        self.reader = PayoutReader(self.scene, NAME, self._decided, self._insist)
        debit_news.catch_up(self.scene, NAME)
        if not self._insist:
            yield from settling.gather(self.scene, NAME, self._only)
        quiet, busy, cursors = self._payouts()
        yield quiet
        if not self._stripe.wanted:  # Stripe's were counted while they were read
            self.expected = len(quiet.payouts) + len(busy)
        batch: list[Opened] = []
        for payout in sorted(busy, key=lambda one: (one.created, one.id)):
            one = self.reader.open(payout)
            if batch and (
                one.things & {thing for other in batch for thing in other.things} or _size(batch) + len(one.items) > _MOST_ITEMS
            ):
                yield from self._batch(batch)
                batch = []
            batch.append(one)
        if batch:
            yield from self._batch(batch)
        yield Plan(cursors=cursors)
        yield from standing.gather(self.scene, self.reader, self._only)
        yield from settling.gather(self.scene, NAME, self._only)
        if self._reopened:  # what waited for an invoice to be open again
            yield from settling.gather(self.scene, NAME, self._only)

    def _batch(self, batch: list[Opened]) -> Iterator[Facts]:
        """Yield a batch; what was taken over from SAP is looked at in SAP's open rows before anything is built on it."""
        yield self._facts(batch)
        if self._taken_over:
            yield from settling.gather(self.scene, NAME, self._taken_over, final=False)
            self._taken_over = set()

    def _payouts(self) -> tuple[Standing, list[Payout], dict[str, str]]:
        """Return the payouts that only need a word, and those that need reading."""
        scene, links = self.scene, self.scene.journal.links
        now = datetime.fromtimestamp(scene.clock.now(), UTC)
        listed: dict[str, Payout] = {}
        if self._only is None:
            kept = scene.journal.cursor(_CURSOR)
            first, begun = scene.first_moment(_CREATED_BEFORE), scene.journal.cursor(_BEGUN)
            whole = (
                kept is None or scene.since is not None or (begun or "") > scene.rules.start.isoformat()
            )  # an earlier start now
            since = first if whole or kept is None else max(first, datetime.fromisoformat(kept) - _WINDOW)
            listed = {one.id: one for one in scene.gocardless.payouts_since(since)}
        held = [
            one
            for one in scene.journal.held.all(pass_=NAME, dismissed=True)
            if str(one.about.get("payout") or "").startswith("PO")
        ]
        waiting = {str(one.about["payout"]) for one in held if not one.dismissed}
        self._waiting = {str(one.about["payout"]) for one in held if not one.dismissed and _is_of_payout(one.name)}
        closed = {str(one.about["payout"]) for one in held if one.dismissed and _is_of_payout(one.name)} - (self._only or set())
        states = [
            links.in_state("payout", state)
            for state in ("pending", "bounced", "bounced-booked", "bounced-unbooked", "bounced-again", "waiting")
        ]
        wanted = self._only if self._only is not None else waiting.union(self._told_of(), *states)
        wanted |= {
            stored.command.payout for stored in scene.journal.opened(NAME, begun=False)
            if isinstance(stored.command, PostEntry) and stored.command.payout.startswith("PO")
        } if self._only is None else set()  # fmt: skip
        for ident in sorted(wanted - listed.keys()):
            found = scene.gocardless.payout(ident)
            if found is not None:
                listed[ident] = found
        known = {key: mark.state for key, mark in links.many("payout", listed).items()}
        bounced = scene.journal.cursor(debit_news.BOUNCED)
        self._look_again = bounced is not None and bounced != scene.journal.cursor(_LOOKED)
        posted = [one for one in listed if known.get(one) == "posted" and one not in closed]
        entries = scene.sap.entries_by_reference(posted) if posted else {}
        self._vanished = {one for one in posted if not live(entries.get(one, []))}
        busy = [one for one in listed.values() if one.id not in closed and self._needs_reading(one, known.get(one.id, ""))]
        quiet = [one for one in listed.values() if one not in busy]
        cursors = {_CURSOR: now.isoformat(), _BEGUN: scene.rules.start.isoformat(), **({_LOOKED: bounced} if bounced else {})}
        return Standing(quiet, known, {}), busy, {} if self.partial else cursors

    def _told_of(self) -> set[str]:
        """Return the payouts that webhooks name: one of them may be older than the listing reaches."""
        return {one for one in self.scene.journal.inbox.named(DEBIT) if one.startswith("PO")}

    def _needs_reading(self, one: Payout, state: str) -> bool:
        if self._is_before(one) or one.status == "pending" or one.kind == "partner":
            return False
        if state in ("ignored", "resent"):
            return False
        again = one.id in self._insist | self._vanished | self._waiting or self._look_again
        return again or state != "posted" or one.status == "bounced"

    def _is_before(self, one: Payout) -> bool:
        return one.arrival is not None and one.arrival < self.scene.start

    def _facts(self, batch: list[Opened]) -> PayoutFacts:
        """Read around a batch; what its lines need is known once it has been matched, so it is matched twice."""
        facts = self.reader.facts(batch)
        drafts = [self._outcome(one, facts, shelf) for shelf in [balances(self.scene, facts)] for one in self._due(facts)]
        self.reader.add_details(facts, [part for draft in drafts for part in draft.parts])
        again = [self._outcome(one, facts, shelf) for shelf in [balances(self.scene, facts)] for one in self._due(facts)]
        lines = [line for draft in again for line in draft.lines]
        codes = {code for line in lines for code in line.codes if code}
        self.reader.add_centres(facts, codes, {line.project for line in lines if line.project})
        return facts

    def _due(self, facts: PayoutFacts) -> list[Opened]:
        """Return the payouts of a batch that are to be booked now."""
        return [
            one for one in facts.opened
            if one.payout.status == "paid" and self._is_open(one, facts) and not (one.things & facts.in_doubt)
            and facts.twin_states.get(facts.twins.get(one.payout.id, "")) not in standing.BOUNCES
        ]  # fmt: skip

    def _is_open(self, one: Opened, facts: PayoutFacts) -> bool:
        """Tell whether no entry of a payout stands; one that was reversed is booked anew only where a person insists."""
        entries, ident = facts.entries.get(one.payout.id, []), one.payout.id
        if ident in self._insist:
            return not live(entries)
        return not entries and facts.states.get(ident) not in KNOWN

    def _outcome(self, one: Opened, facts: PayoutFacts, shelf: Balances) -> Outcome:
        if one.payout.id in facts.refused and self._only is None:
            return Outcome()
        return outcome(self.scene, facts, one, shelf)

    # --- decide -----------------------------------------------------------------------------------------------------

    def decide(self, facts: Facts) -> Plan:
        """Turn one batch into a plan."""
        if isinstance(facts, Plan):
            return facts
        if isinstance(facts, DepositFacts):
            return self._stripe.decide(facts)
        if isinstance(facts, SettleFacts):
            plan = settling.decide(self.scene, facts)
            plan.skips = [skip for skip in plan.skips if skip.name not in self._told]  # what waits is told once a run
            self._told |= {skip.name for skip in plan.skips}
            self._reopened = self._reopened or any(
                isinstance(one.command, Reconcile) and one.command.cancel for one in plan.intents
            )
            return plan
        if isinstance(facts, StandingFacts):
            return standing.decide(self.scene, facts)
        if isinstance(facts, Standing):
            return self._decide_quiet(facts)
        plan = Plan(seen=len(facts.opened))
        shelf = balances(self.scene, facts)
        due = {one.payout.id for one in self._due(facts)}
        for one in facts.opened:
            self._decide(one, facts, shelf, plan, due=one.payout.id in due)
        return plan

    def _decide_quiet(self, facts: Standing) -> Plan:
        plan = Plan(seen=len(facts.payouts), cursors=facts.cursors)
        for one in sorted(facts.payouts, key=lambda payout: payout.id):
            state = facts.states.get(one.id, "")
            if one.kind == "partner" and not self._is_before(one) and self.scene.debits.partner_payouts == "hold":
                text = f"{one.id} over {one.amount} is a partner payout: it pays no receivables; book it by hand, then dismiss this"
                name = self.scene.name("reconcile-payout", one.id, "gocardless")
                plan.skips.append(Skip(name, "partner_payout", text, amount=one.amount, about={"payout": one.id}))
                continue
            plan.unchanged += 1
            if one.status == "pending" and one.kind != "partner" and state not in KNOWN:
                plan.marks.append(Mark("payout", one.id, state="pending"))
        return plan

    def _decide(self, one: Opened, facts: PayoutFacts, shelf: Balances, plan: Plan, *, due: bool) -> None:
        payout, state = one.payout, facts.states.get(one.payout.id, "")
        name = self.scene.name("reconcile-payout", payout.id, "gocardless")
        standing_ = live(facts.entries.get(payout.id, []))
        if not standing_ and state in KNOWN and payout.id not in self._insist:
            found = bool(facts.entries.get(payout.id))
            reason, what = ("cancelled_in_sap", "was reversed") if found else ("gone_from_sap", "is not found any more")
            text = f"the journal entry of {payout.id} {what} in SAP; mlc replay {payout.id} --again books it anew"
            self._hold(
                one, [Problem(reason, text, amount=payout.amount)], facts, plan, state=state
            )  # still known: never due by itself
        elif standing_:
            if state not in KNOWN and not self._adopt(one, facts, name, plan):
                return
            standing.decide_known(self.scene, facts, payout, state or "posted", plan, insist=payout.id in self._insist)
        elif facts.entries.get(payout.id) and payout.id not in self._insist:
            self._hold(one, [Problem("cancelled_in_sap", f"the journal entry of {payout.id} was reversed in SAP", amount=payout.amount)],
                       facts, plan)  # fmt: skip
        elif payout.status == "bounced":
            text = (
                f"the bank sent {payout.id} over {payout.amount} back before it was booked: nothing to book; wait for the retry"
            )
            self._hold(one, [Problem("bounced", text, amount=payout.amount)], facts, plan, state="bounced-unbooked")
        elif payout.id in facts.twins and facts.twin_states.get(facts.twins[payout.id]) in standing.BOUNCES:
            standing.sent_again(self.scene, facts, one, facts.twins[payout.id], facts.twin_states[facts.twins[payout.id]], plan)
        elif due:
            self._post(one, facts, shelf, name, plan)
        else:
            plan.skips.append(Skip(name, "waits", f"{payout.id} waits for an entry that is in doubt", held=False))

    def _adopt(self, one: Opened, facts: PayoutFacts, name: str, plan: Plan) -> bool:
        """Take over the entry that SAP holds under this payout's reference; False where it is not what the payout says."""
        payout = one.payout
        found = live(facts.entries[payout.id])
        command: PostEntry | str = (
            f"there are {len(found)} of them" if len(found) > 1 else adopted(self.scene, facts, one, found[0])
        )
        if isinstance(command, str):
            text = f"journal entry {found[0].number} carries {payout.id}, but {command}"
            self._hold(one, [Problem("marker_mismatch", text, amount=payout.amount)], facts, plan)
            return False
        marks = (*self._payout_marks(one), *entry_marks(command, found[0]))
        intent = Intent(
            name, command, f"payout/{payout.id}", payout.amount, f"found {payout.id} as entry {found[0].number}", anew=True
        )
        proof = Proof("sap", "JournalEntry", str(found[0].trans), str(found[0].number))
        plan.adopted.append(
            Adoption(intent, proof, (Mark("payout", payout.id, str(found[0].trans), "posted"), *marks, *_tax(command, one)))
        )
        self._taken_over.add(payout.id)
        for part in command.parts:
            if part.role == "parked" and (entries := live(facts.entries.get(parked.reference(part), []))):
                plan.marks += parked.moved_marks(self.scene, part, entries[0], facts.invoices.values())
        if payout.id in facts.twins:
            self._resent(facts.twins[payout.id], plan)
        plan.healed += facts.held.get(payout.id, [])
        return True

    def _resent(self, twin: str, plan: Plan) -> None:
        """Note that a bounced payout was sent again under another id, which is booked."""
        plan.marks.append(Mark("payout", twin, state="resent"))
        plan.healed.append(self.scene.name("reconcile-payout", twin, "gocardless"))

    def _payout_marks(self, one: Opened) -> list[Mark]:
        data = {"payout": codec.encode(one.payout), "items": one.rows, "print": one.print}
        return [Mark("payout", one.payout.id, data=data)]

    def _post(self, one: Opened, facts: PayoutFacts, shelf: Balances, name: str, plan: Plan) -> None:
        payout = one.payout
        if payout.id in facts.refused and self._only is None:
            plan.unchanged += 1  # refused by SAP: `mlc replay` when the cause is gone
            return
        result = self._outcome(one, facts, shelf)
        if result.entry is None:
            for part in result.parts:  # what a held payout would take is not there for another one
                if part.role == "invoice":
                    self.reader.reserved[part.doc_entry] = self.reader.reserved.get(part.doc_entry, 0) + part.amount
            self._hold(one, result.problems, facts, plan)
            return
        plan.marks += self._payout_marks(one)
        if payout.id in facts.twins:
            self._resent(facts.twins[payout.id], plan)
        command = result.entry
        states = [(f"payout {payout.id}", "posted")]
        if result.estimated_vat is not None:
            plan.marks.append(Mark("tax", payout.id, state="estimated", data={"vat": result.estimated_vat}))
            states.append((f"tax {payout.id}", "open"))
        command = replace(command, states=tuple(states))
        for part in command.parts:
            target = f"invoice {part.doc_num}" if part.doc_num else part.card_code or f"account {part.account}"
            rejected = f"; not taken: {'; '.join(part.rejected)}" if part.rejected else ""
            plan.notes.append((name, f"{part.thing} {part.type} -> {target} by {part.rule}: {part.evidence}{rejected}"))
        count = len({part.thing for part in command.parts})
        says = f"book payout {payout.id} with {count} payment{'s' if count != 1 else ''}"
        anew = payout.id in self._insist
        plan.intents.append(Intent(name, command, f"payout/{payout.id}", payout.amount, says, anew=anew))
        plan.healed += [held for held in facts.held.get(payout.id, []) if held == name or "/payout-line/" in held]

    def _hold(self, one: Opened, problems: list[Problem], facts: PayoutFacts, plan: Plan, state: str = "waiting") -> None:
        """Hold a payout: one item for each payment that nobody can place, or one for the whole payout."""
        payout = one.payout
        names = set()
        for problem in problems:
            if problem.payment:
                name = self.scene.name("payout-line", f"{payout.id}/{problem.payment}", "gocardless")
            else:
                name = self.scene.name("reconcile-payout", payout.id, "gocardless")
            names.add(name)
            about = {"payout": payout.id, "payout_amount": str(payout.amount)}
            if problem.payment:
                about["refund" if problem.payment.startswith("RF") else "payment"] = problem.payment
            amount = problem.amount or (payout.amount if not problem.payment else None)
            facts_ = {"rejected": list(problem.rejected)} if problem.rejected else {}
            plan.skips.append(
                Skip(
                    name, problem.reason, problem.text, amount=amount, candidates=problem.candidates, about=about, facts=facts_
                )
            )
        gone = [held for held in facts.held.get(payout.id, []) if held not in names and _is_of_payout(held)]
        plan.healed += gone
        plan.marks += [Mark("payout", payout.id, state=state), *self._payout_marks(one)]


def _tax(command: PostEntry, one: Opened) -> tuple[Mark, ...]:
    """Return the VAT that stands in an entry taken over, where GoCardless may still confirm another rate for it."""
    if one.payout.amount.currency == command.currency or one.payout.tax_currency != command.currency:
        return ()
    vat = sum(line.local for line in command.lines if line.title == "VAT on fees")
    return (Mark("tax", one.payout.id, state="open", data={"vat": vat}),)


def _is_of_payout(name: str) -> bool:
    return "/payout-line/" in name or "/reconcile-payout/" in name


def _size(batch: list[Opened]) -> int:
    return sum(len(one.items) for one in batch)
