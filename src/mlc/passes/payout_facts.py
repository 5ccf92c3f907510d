"""What reconcile-payouts reads around a batch of payouts: items, payments, payers, SAP's open invoices, what was booked before."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from mlc.core import codec
from mlc.core.clues import Balances, Clue, Payer
from mlc.core.commands import Part, PostEntry
from mlc.core.debits import COLLECTED, FEES, TAKEN_BACK, Collection, DebitPlan, Payout
from mlc.core.facts import Invoice
from mlc.core.money import MoneyError
from mlc.core.tiers import said, tokens_of
from mlc.passes import debtors
from mlc.passes.payout_batch import KNOWN, ROLES, Opened, PayoutFacts, balances
from mlc.passes.scene import Scene
from mlc.systems.gocardless import wire
from mlc.systems.gocardless.reads import GoneError
from mlc.systems.sap.entries import live


class PayoutReader:
    """Reads for one run of the pass."""

    def __init__(
        self, scene: Scene, name: str, decided: dict[str, dict[str, Any]] | None = None, insist: Iterable[str] = ()
    ) -> None:
        """`decided` are decisions of a person made by this very command, `insist` payouts that a person wants booked anew."""
        self.scene = scene
        self._insist = set(insist)
        self._decided = decided or {}
        self.name = name
        self.reserved: dict[int, int] = {}  # what held payouts of this run would take

    def open(self, payout: Payout) -> Opened:
        """Read every item of a payout; what was kept serves where GoCardless no longer tells."""
        try:
            items, rows = self.scene.gocardless.items(payout.id)
        except GoneError:
            kept = self.scene.journal.links.get("payout", payout.id)
            rows = (kept.data.get("items") or []) if kept else []
            return Opened(payout, [wire.item(row) for row in rows], rows, gone=not rows)
        return Opened(payout, items, rows)

    def decision(self, payment: str) -> dict[str, Any] | None:
        """Return what a person decided about a payment."""
        return self._decided.get(payment) or self.scene.journal.decision(payment)

    # --- the batch ----------------------------------------------------------------------------------------------------

    def facts(self, opened: list[Opened]) -> PayoutFacts:
        """Return a batch with everything around it, as both sides say it now."""
        scene = self.scene
        facts = PayoutFacts(opened)
        names = [scene.name("reconcile-payout", one.payout.id, "gocardless") for one in opened]
        states = scene.journal.states(names)
        facts.states = {
            key: mark.state for key, mark in scene.journal.links.many("payout", [o.payout.id for o in opened]).items()
        }
        for held in scene.journal.held.all(pass_=self.name, dismissed=True):
            facts.held.setdefault(str(held.about.get("payout", "")), []).append(held.name)
        waiting = {name for held in facts.held.values() for name in held}
        facts.refused = {
            one.payout.id
            for one, name in zip(opened, names, strict=True)
            if states.get(name) == "refused" and name not in waiting  # what was held is tried again by itself
        }
        facts.entries = scene.sap.entries_by_reference(
            reference
            for one in opened
            for reference in (one.payout.id, f"{one.payout.id}/bounced/1", f"{one.payout.id}/paid/2")
        )
        for ident in self._insist & facts.entries.keys():
            for entry in live(facts.entries[ident]):
                if (reversal := scene.sap.reversal_of(entry)) is not None:
                    facts.entries[ident].append(reversal)  # it may carry no reference of ours
        self.read_accounts(facts)
        self._read_moved(facts)
        self._history(facts)
        self._twins(facts)
        for stored in scene.journal.opened(self.name, begun=True):
            if isinstance(stored.command, PostEntry):
                facts.in_doubt |= {ident for part in stored.command.parts for ident in (part.payment, part.thing) if ident}
        posted = {one.payout.id for one in opened if live(facts.entries.get(one.payout.id, []))}
        fresh = [one for one in opened if one.payout.id not in posted and not one.gone and one.payout.status == "paid"]
        self._read_payments(fresh, facts)
        numbers = {int(line.reference2) for one in opened if one.payout.id in posted and facts.states.get(one.payout.id) not in KNOWN
                   for reference, entries in facts.entries.items() if reference.split("/")[0] == one.payout.id
                   for entry in entries for line in entry.lines if line.reference2.isdecimal()}  # fmt: skip
        facts.invoices = scene.sap.debts(numbers=numbers) if numbers else {}
        if fresh:
            facts.periods = scene.sap.periods()
            self._read_invoices(facts)
            self._read_rates(fresh, facts)
        return facts

    def _read_moved(self, facts: PayoutFacts) -> None:
        """Read the entries that moved parked money of payouts that are taken over: a chargeback in the same run must know them."""
        parking = {account.code for code, account in facts.accounts.items() if account is not None}
        moved = [
            f"{one.payout.id}/match/{line.reference1}" for one in facts.opened if facts.states.get(one.payout.id) not in KNOWN
            for entry in live(facts.entries.get(one.payout.id, [])) for line in entry.lines
            if line.reference1 and not line.short_name and line.account in parking
        ]  # fmt: skip
        if moved:
            facts.entries |= self.scene.sap.entries_by_reference(moved)

    def read_accounts(self, facts: PayoutFacts) -> None:
        """Read every account the configuration names for payouts."""
        rules = self.scene.debits
        codes = {code for role in ROLES for code in rules.accounts.get(role, {}).values() if code}
        facts.accounts = self.scene.sap.accounts(sorted(codes)) if codes else {}

    def _history(self, facts: PayoutFacts) -> None:
        links = self.scene.journal.links
        things = {thing for one in facts.opened for thing in one.things}
        refunds = [one.refund for opened in facts.opened for one in opened.items if one.refund]
        owners = {mark.other: mark.key for mark in links.many("refund", refunds).values()}
        others = {mark.other for mark in links.many("part", owners).values()}
        marks = sorted(links.of_others("part", things | others), key=lambda mark: (str(mark.data.get("day")), mark.key))
        takers = {str(mark.data["undone"]) for mark in marks if mark.data.get("undone")}
        references = {_reference(key) for key in {mark.key for mark in marks} | takers} - facts.entries.keys()
        facts.entries |= self.scene.sap.entries_by_reference(sorted(references))
        for mark in marks:
            part = codec.decode(Part, mark.data)
            if not live(facts.entries.get(_reference(part.key), [])):
                continue  # its entry was reversed in SAP: it stands no more
            if part.undone and not live(facts.entries.get(_reference(part.undone), [])):
                part = replace(part, undone="")  # what took it back was reversed itself
            if mark.state == "open" or (mark.state == "settled" and mark.data.get("recon")):
                facts.reopenable.add(mark.key)
            unopened = mark.state == "open" and bool(part.undoes) and part.undoes not in facts.reopenable
            if part.role == "undo" and (mark.state == "left" or unopened):
                facts.left.setdefault(mark.other, []).append(part)
            for thing in dict.fromkeys([mark.other, part.thing]):
                facts.history.setdefault(thing, []).append(part)

    def _twins(self, facts: PayoutFacts) -> None:
        bounced = {
            str(mark.data.get("print")): mark
            for state in ("bounced", "bounced-booked", "bounced-again", "bounced-unbooked")
            for mark in self.scene.journal.links.all_in_state("payout", state)
        }
        for one in facts.opened:
            twin = bounced.get(one.print)
            if twin is not None and twin.key != one.payout.id:
                facts.twins[one.payout.id] = twin.key
                facts.twin_states[twin.key] = twin.state

    # --- payments and payers --------------------------------------------------------------------------------------------

    def _read_payments(self, fresh: list[Opened], facts: PayoutFacts) -> None:
        scene = self.scene
        wanted = dict.fromkeys(
            item.payment for one in fresh for item in one.items
            if item.payment and (item.type in (COLLECTED, "payment_refunded") or (item.amount > 0 and item.type in TAKEN_BACK))
        )  # fmt: skip
        known = scene.journal.links.many("debit", wanted)
        for key, mark in known.items():
            if mark.data.get("run") == scene.journal.run_id:
                facts.payments[key] = codec.decode(Collection, mark.data["payment"])
        missing = [one for one in wanted if one not in facts.payments]
        facts.payments |= scene.gocardless.collections(missing, [one.payout.created for one in fresh])
        direct = [item.mandate for one in fresh for item in one.items if item.type not in FEES and not item.payment]
        people = debtors.people(scene, [*(one.mandate for one in facts.payments.values()), *direct])
        facts.payers, facts.partners = people.payers, people.partners
        named = {key for key, one in facts.payments.items() if said(dict(one.metadata), scene.debits.habits)}
        silent = [one for key, one in facts.payments.items() if key not in named]
        plans = scene.gocardless.plans(
            [one.subscription for one in silent if one.subscription], [one.schedule for one in silent if one.schedule]
        )
        for key, one in facts.payments.items():
            facts.clues[key] = self._clue(one, plans, facts)
        for thing in {item.payment for one in fresh for item in one.items if item.payment and item.payment not in facts.clues}:
            self._decided_only(thing, facts)

    def _clue(self, one: Collection, plans: dict[str, DebitPlan], facts: PayoutFacts) -> Clue:
        decision = self.decision(one.id)
        booked = [part for part in facts.history.get(one.id, []) if part.role == "invoice"]
        last = booked[-1].key.split("/")[0] if booked else ""
        recorded = tuple((part.doc_entry, part.amount) for part in booked if part.key.split("/")[0] == last and part.undone)
        return Clue(
            one, facts.payers.get(one.mandate, Payer()), plans.get(one.subscription) or plans.get(one.schedule),
            tuple(int(entry) for entry in decision["invoices"]) if decision and "invoices" in decision else None,
            bool(decision and decision.get("account")), recorded,
        )  # fmt: skip

    def _decided_only(self, payment: str, facts: PayoutFacts) -> None:
        """A payment that only goes back here, and that nobody booked: a person may have named its invoices."""
        decision = self.decision(payment)
        one = self.scene.gocardless.collection(payment) if decision and decision.get("invoices") else None
        if one is not None and decision is not None:
            facts.clues[payment] = Clue(one, Payer(), decision=tuple(int(entry) for entry in decision["invoices"]))

    # --- SAP's side -----------------------------------------------------------------------------------------------------

    def _read_invoices(self, facts: PayoutFacts) -> None:
        """Read the invoices that are named, and every open one of those payers whose payments name none that serves."""
        scene = self.scene
        entries: set[int] = set()
        numbers: set[int] = set()
        named: dict[str, set[tuple[str, int]]] = {}
        for key, clue in facts.clues.items():
            entries |= {*(clue.decision or ()), *(entry for entry, _ in clue.recorded)}
            named[key] = self._named(clue)
            numbers |= {number for field_, number in named[key] if field_ == "doc_num"} | self._told(clue)
            entries |= {number for field_, number in named[key] if field_ == "doc_entry"}
        entries |= {part.doc_entry for parts in facts.history.values() for part in parts if part.doc_entry}
        facts.invoices |= scene.sap.debts(numbers=numbers)
        facts.invoices |= scene.sap.debts(entries=entries - facts.invoices.keys())
        facts.taken = self.taken()
        shelf = balances(scene, facts)
        served = {("doc_num", one.doc_num) for one in facts.invoices.values() if not _is_closed(shelf, one)}
        served |= {("doc_entry", one.doc_entry) for one in facts.invoices.values() if not _is_closed(shelf, one)}
        left = [clue for key, clue in facts.clues.items() if not named[key] or not named[key] <= served]
        facts.invoices |= scene.sap.debts(cards={clue.payer.card_code for clue in left if clue.payer.card_code})
        strangers = {clue.payment.amount for clue in left if not clue.payer.card_code and clue.decision is None}
        if strangers:
            self._read_equal(strangers, facts)
        shelf = balances(scene, facts)
        pointed = {pair for pairs in named.values() for pair in pairs} | {("doc_num", number) for number in numbers}
        closed = [
            one for one in facts.invoices.values()
            if pointed & {("doc_num", one.doc_num), ("doc_entry", one.doc_entry)} and not one.cancelled and _is_closed(shelf, one)
        ]  # fmt: skip
        if closed:
            self._read_closing(closed, facts)

    def _named(self, clue: Clue) -> set[tuple[str, int]]:
        """Return (field, number) of every invoice that the metadata of a payment or its plan names."""
        habits = self.scene.debits.habits
        sources = (clue.payment.metadata, clue.plan.metadata if clue.plan else ())
        return {(field_, number) for source in sources for _, field_, number in said(dict(source), habits)}

    def _told(self, clue: Clue) -> set[int]:
        """Return what looks like an invoice number in the free texts of a payment."""
        texts = (clue.payment.description, clue.payment.reference, clue.plan.name if clue.plan else "")
        tokens = (token for text in texts for token in tokens_of(text, self.scene.debits.habits))
        return {int(token) for token in tokens if token.isdecimal() and len(token) < 10}

    def _read_equal(self, amounts: set[Any], facts: PayoutFacts) -> None:
        """Read every open invoice of the company page by page, and keep those that are over one of these amounts."""
        shelf = balances(self.scene, facts)
        for page in self.scene.sap.all_debts():
            for one in page:
                try:
                    if shelf.open(one) in amounts:
                        facts.invoices.setdefault(one.doc_entry, one)
                except MoneyError:
                    continue

    def taken(self) -> dict[int, int]:
        """Return what is booked, or promised to SAP, on invoices that do not show it yet."""
        taken = dict(self.reserved)
        parts = [
            codec.decode(Part, mark.data)
            for mark in self.scene.journal.links.all_in_state("part", "open")
            if not mark.data.get("undone")
            and mark.key.split("/")[0] not in self._insist  # those are booked anew, or stand already
        ]
        for stored in self.scene.journal.opened(self.name, begun=True):
            if isinstance(stored.command, PostEntry):
                parts += stored.command.parts
        for part in parts:
            if part.role == "invoice":
                taken[part.doc_entry] = taken.get(part.doc_entry, 0) + part.amount
        return taken

    def _read_closing(self, closed: list[Invoice], facts: PayoutFacts) -> None:
        """Find out what closed the invoices that are named and closed: a receipt, Stripe, or an entry of ours."""
        scene = self.scene
        cards, first = sorted({one.card_code for one in closed}), min(one.doc_date for one in closed)
        for receipt in scene.sap.receipts_of(cards, first):
            for entry, _ in receipt.applied:
                facts.closed_by[entry] = f"receipt {receipt.doc_num}"
        for one in closed:
            by_stripe = scene.journal.links.applied_to(one.doc_entry)
            ours = [
                m for m in scene.journal.links.parts_on(one.doc_entry) if not m.data.get("undone") and m.data.get("role") == "invoice"
            ]  # fmt: skip
            if by_stripe:
                facts.paid_elsewhere[one.doc_entry] = facts.closed_by[one.doc_entry] = f"Stripe payment {', '.join(by_stripe)}"
            elif ours:
                facts.closed_by[one.doc_entry] = f"payment {ours[0].other} of payout {ours[0].key.split('/')[0]}"

    def _read_rates(self, fresh: list[Opened], facts: PayoutFacts) -> None:
        """Ask SAP for its own rate where money arrives in a foreign currency as it was collected."""
        for one in fresh:
            payout = one.payout
            if payout.amount.currency != self.scene.currency and payout.exchange is None and payout.arrival:
                facts.rates[payout.id] = self.rate(payout.amount.currency, payout.arrival, facts)

    def rate(self, currency: str, day: date, facts: PayoutFacts) -> Decimal | None:
        """Return local units per foreign one by SAP's own rate table, None where it has no rate of that day."""
        found = self.scene.sap.rate(self.code_of(currency, facts), day)
        return 1 / found if found is not None and self.scene.ledger.indirect else found

    def code_of(self, currency: str, facts: PayoutFacts) -> str:
        """Return SAP's own code of a currency: as its invoices write it, else ISO."""
        used = {one.currency for one in facts.invoices.values() if self.scene.rules.iso(one.currency) == currency}
        return min(used) if used else currency

    # --- the second look ------------------------------------------------------------------------------------------------

    def add_details(self, facts: PayoutFacts, parts: Iterable[Part]) -> None:
        """Read what the lines of these parts need: the invoices' own lines and the owners' control accounts."""
        scene, rules = self.scene, self.scene.debits
        parts = list(parts)
        if rules.dimensions.by_invoice:
            facts.whole = scene.sap.debts(entries={part.doc_entry for part in parts if part.doc_entry}, whole=True)
        cards = {part.card_code for part in parts if part.card_code and part.card_code not in facts.partners}
        if cards:
            facts.partners |= scene.sap.payers(sorted(cards), rules.dimensions.fields)

    def add_centres(self, facts: PayoutFacts, codes: set[str], projects: set[str]) -> None:
        """Read whether the cost centres and projects of the lines exist."""
        if codes:
            facts.centres = self.scene.sap.centres(sorted(codes))
        if projects:
            facts.projects = self.scene.sap.projects(sorted(projects))


def _reference(key: str) -> str:
    """Return the reference of the entry that a part stands in: the payout, or `PO1/match/PM9`."""
    parts = key.split("/")
    return "/".join(parts[:3]) if len(parts) > 3 else parts[0]


def _is_closed(shelf: Balances, one: Invoice) -> bool:
    try:
        return shelf.open(one).minor <= 0
    except MoneyError:
        return False
