"""What post-payments reads around a batch of payments: SAP's documents under our marks, invoices, receipts of the same days."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from mlc.core.facts import Account, Installment, Invoice, Payment, Period, Receipt
from mlc.core.intents import Mark
from mlc.core.keys import marker
from mlc.core.matching import is_foreign, named_entries
from mlc.core.money import Money
from mlc.passes import installments
from mlc.passes.scene import Scene
from mlc.systems.sap.reads import is_by_hand

NEIGHBOUR_DAYS = timedelta(days=10)
Read = Mapping[str, Payment | None]


@dataclass(slots=True)
class PostFacts:
    """A batch of payments with everything needed to decide about them."""

    payments: dict[str, Payment] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    receipts: dict[str, list[Receipt]] = field(default_factory=dict)  # by marker
    drafts: dict[str, int] = field(default_factory=dict)  # by marker: waits for approval
    invoices: dict[int, Invoice] = field(default_factory=dict)
    plans: dict[int, tuple[Installment, ...]] = field(default_factory=dict)  # of invoices with several installments
    neighbours: list[Receipt] = field(default_factory=list)
    cards: dict[str, str] = field(default_factory=dict)  # Stripe customer -> CardCode
    decisions: dict[str, list[int]] = field(default_factory=dict)
    periods: list[Period] = field(default_factory=list)
    account: Account | None = None
    invoice_states: list[Mark] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    cursors: dict[str, str] = field(default_factory=dict)
    notes: list[tuple[str, str]] = field(default_factory=list)
    taken: dict[int, int] = field(default_factory=dict)  # DocEntry -> minor units booked on it that SAP does not show yet
    debited: dict[int, str] = field(default_factory=dict)  # DocEntry -> what GoCardless collected for it
    posted: set[str] = field(default_factory=set)  # payments that this journal posted once
    booked_back: set[str] = field(default_factory=set)  # payments of which mlc booked what went back
    known: set[str] = field(default_factory=set)  # names that are held now
    seen: int = 0


@dataclass(slots=True)
class PostReader:
    """Reads for one run; `insist` names payments a person wants in spite of a doubt, `decided` are decisions of this command."""

    scene: Scene
    name: str
    insist: set[str]
    decided: dict[str, list[int]]

    def facts(self, read: Read, *, stale: bool = False) -> PostFacts:
        """Return a batch with everything around it; `stale` payments are only tried, nothing is posted from them."""
        scene = self.scene
        facts = PostFacts(
            payments={key: one for key, one in read.items() if one}, gone=[key for key, one in read.items() if not one]
        )
        facts.seen = len(read)
        facts.known = {one.name for one in scene.journal.held.all(pass_=self.name, dismissed=True)}
        candidates = [one for one in facts.payments.values() if self.counts(one)]
        ended = [marker(one.id) for one in facts.payments.values() if one.status != "succeeded" and one.charge]
        facts.receipts = scene.sap.receipts_by_marker(ended) if ended else {}  # a debit that came back after it was posted
        if not candidates:
            return facts
        links = scene.journal.links.many("payment", [one.id for one in candidates])
        facts.posted = {key for key, mark in links.items() if mark.state in ("posted", "cancelled")}
        for one in candidates:
            decision = scene.journal.decision(one.id)
            if one.id in self.decided:
                facts.decisions[one.id] = self.decided[one.id]
            elif decision and decision.get("invoices"):
                facts.decisions[one.id] = [int(entry) for entry in decision["invoices"]]
        markers = [marker(one.id) for one in candidates]
        facts.receipts |= scene.sap.receipts_by_marker(markers)
        for one in candidates:
            gone = facts.receipts.get(marker(one.id))
            if gone and all(receipt.cancelled for receipt in gone):
                back = scene.journal.links.find("reversal", "payment", one.id)
                facts.booked_back |= {one.id} if any(mark.state == "booked" for mark in back) else set()
        new = [one for one in candidates if not facts.receipts.get(marker(one.id)) or one.id in self.insist]
        if scene.ledger.approvals and new:
            facts.drafts = scene.sap.drafts_by_marker([marker(one.id) for one in new])
        self._read_invoices(new, facts)
        if new and not stale:
            facts.periods = scene.sap.periods()
        if new:
            account = scene.rules.account(scene.currency)
            facts.account = scene.sap.accounts([account])[account] if account else None
        return facts

    def counts(self, one: Payment) -> bool:
        """Tell whether a payment is money that came to this company since its start."""
        if one.status != "succeeded" or one.succeeded_at is None or is_foreign(one, self.scene.rules.company):
            return False
        return self.scene.day_of(one.succeeded_at) >= self.scene.start

    def _read_invoices(self, new: list[Payment], facts: PostFacts) -> None:
        scene = self.scene
        entries = {entry for one in new for entry in named_entries(one, scene.rules.company)}
        entries |= {entry for one in new for entry in facts.decisions.get(one.id, [])}
        facts.invoices = scene.sap.invoices(entries) if entries else {}
        if scene.organisation is not None:
            for one in facts.invoices.values():
                self._read_debited(one, facts)
        nameless = [one for one in new if not named_entries(one, scene.rules.company)]
        for customer in dict.fromkeys(one.customer for one in nameless if one.customer):
            card = self._card(customer)
            if card:
                facts.cards[customer] = card
        if facts.cards:
            facts.invoices.update(scene.sap.open_invoices_of(facts.cards.values()))
        facts.plans = installments.read(scene, facts.invoices.values())
        cards = {one.card_code for one in facts.invoices.values()} | set(facts.cards.values())
        days = [scene.day_of(one.succeeded_at) for one in new if one.succeeded_at]
        if cards and days:
            around = scene.sap.receipts_of(sorted(cards), min(days) - NEIGHBOUR_DAYS, max(days) + NEIGHBOUR_DAYS)
            facts.neighbours = [one for one in around if is_by_hand(one)]

    def _card(self, customer: str) -> str:
        """Return the business partner of a Stripe customer: our link, else its own metadata."""
        link = self.scene.journal.links.by_other("customer", [customer]).get(customer)
        if link is not None:
            return link.key
        found = self.scene.stripe.customer(customer)
        return found.card_code if found is not None and found.company == self.scene.rules.company else ""

    def _read_debited(self, one: Invoice, facts: PostFacts) -> None:
        """Note what GoCardless collected for an invoice: booked and settled, or booked and not settled with it yet."""
        parts = [mark for mark in self.scene.journal.links.parts_on(one.doc_entry) if not mark.data.get("undone")]
        parts = [mark for mark in parts if mark.data.get("role") == "invoice" and mark.state in ("settled", "open")]
        waiting = sum(int(mark.data.get("local") or 0) for mark in parts if mark.state == "open")
        if waiting:
            facts.taken[one.doc_entry] = waiting
        if parts and one.balance - Money(waiting, self.scene.currency).decimal() <= 0:
            facts.debited[one.doc_entry] = ", ".join(dict.fromkeys(mark.other for mark in parts))
