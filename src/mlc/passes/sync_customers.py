"""sync-customers: business partners and Stripe customers kept in agreement, field by field; existing ones are linked first.

Reads: customer events at Stripe since the last run, or all customers; the customers of open invoices in SAP; partners that changed,
    owe something or are frozen; what is overdue of those.
Decides: which partner is which customer, whom to create (only those with something to push), whose contact data go where, what a
    customer owes and whether its subscriptions are paused.
Names: `<company>/customer/stripe/<CardCode>`, `.../update-customer/...`, `.../update-partner/...`, `.../note-figures/...`,
    `.../create-partner/stripe/<customer>`, `.../gone-customer/...`, `.../pause/stripe/<subscription>`, `.../resume/...`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

from mlc.core.intents import Intent, Plan, Skip
from mlc.passes import customer_births, customer_figures, customer_merge, customers, debit_news, debtors
from mlc.passes.customer_batch import BatchReader, CustomerBatch
from mlc.passes.customer_births import Births
from mlc.passes.customer_news import MANY, News, chunks_of, read_news
from mlc.passes.customers import CustomerFacts
from mlc.passes.scene import Scene, chunks

NAME = "sync-customers"
_PARTNERS = "sap/partners"
_EVERYTHING_KNOWN = 2**31 - 1
_BATCH = 200


@dataclass(slots=True)
class SyncFacts:
    """A batch: a plan that is ready, partners that need a customer, customers of both sides, customers of nobody."""

    ready: Plan | None = None
    needed: list[str] = field(default_factory=list)
    customers: CustomerFacts = field(default_factory=CustomerFacts)
    states: dict[str, str] = field(default_factory=dict)
    batch: CustomerBatch | None = None
    births: Births | None = None


class SyncCustomers:
    """The pass."""

    name = NAME

    def __init__(
        self, scene: Scene, *, cards: Iterable[str] | None = None, only: Iterable[str] = (), insist: bool = False
    ) -> None:  # fmt: skip
        """`cards` limits the pass to some partners, `only` to some Stripe customers; with `insist` what was refused is tried again."""
        self.scene = scene
        self._cards = list(cards or ())
        self._only = list(only)
        self._insist = insist
        self.partial = bool(cards is not None or self._only)
        self._listed = False
        self._told: set[str] = set()  # what was held in this run already: a partner may be met on both sides

    # --- gather -----------------------------------------------------------------------------------------------------

    def gather(self) -> Iterator[SyncFacts]:
        """Yield what Stripe has, then who has something to push, then what SAP has."""
        scene, self._listed, self._told = self.scene, False, set()
        if self.partial:
            yield from self._read_again(BatchReader(scene, thorough=True), self._only, self._cards)
            return
        if scene.organisation is not None:
            debit_news.catch_up(scene, NAME)
            for plan in debtors.link_customers(scene):
                yield SyncFacts(ready=plan)
            for plan in debtors.note_mandates(scene):
                yield SyncFacts(ready=plan)
        if scene.stripe_account is None:
            return
        news, reader = read_news(scene), BatchReader(scene)
        yield from self._stripe_side(news, reader)
        yield from self._needed(reader)
        yield from self._sap_side(reader)
        cursors = {_PARTNERS: scene.today.isoformat(), **news.cursors}
        yield SyncFacts(ready=Plan(cursors=cursors, events=news.events, notes=news.notes, healed=news.settled))

    def _stripe_side(self, news: News, reader: BatchReader) -> Iterator[SyncFacts]:
        """Yield what may have changed at Stripe: whole pages where they are listed, else customer by customer."""
        many = len(news.changed) > MANY
        if news.every or many or news.created or self.scene.journal.cursor(customers.LISTING) != "done":
            yield from self._list(reader, news, every=news.every or many)
        yield from self._read_again(reader, news.changed, news.cards, news.hinted)

    def _read_again(
        self, reader: BatchReader, changed: list[str], cards: list[str], hinted: Iterable[str] = ()
    ) -> Iterator[SyncFacts]:
        for part in chunks_of(changed):
            fresh = {one: self.scene.stripe.customer(one) for one in part}
            yield SyncFacts(ready=customers.seen_again(self.scene, fresh))
            yield SyncFacts(batch=reader.both(fresh, hinted=hinted))
            births = customer_births.read(self.scene, fresh.values(), asked=part)
            if births is not None:
                yield SyncFacts(births=births)
        for part in chunks(cards, _BATCH):
            yield SyncFacts(batch=reader.both({}, part))

    def _list(self, reader: BatchReader, news: News, *, every: bool) -> Iterator[SyncFacts]:
        """Yield the new customers, or all of them, page by page; who is whose is noted before anything is decided."""
        self._listed = True
        for page, plan in customers.customer_pages(self.scene, every=every):
            yield SyncFacts(ready=plan)
            ours = {one.id: one for one in page if one.company == self.scene.rules.company and one.card_code}
            if every:
                shown = {one.id for one in page}
                news.changed = [one for one in news.changed if one not in shown]
            if every and ours:
                yield SyncFacts(batch=reader.both(ours, hinted=ours))
            births = customer_births.read(self.scene, page)
            if births is not None:
                yield SyncFacts(births=births)

    def _needed(self, reader: BatchReader) -> Iterator[SyncFacts]:
        """Yield the partners with something to push that have no customer; before one is created Stripe is asked who is new.

        Beside them those that have one, are not known to owe anything, and have an invoice that is overdue: money on account may
        make up for it, and then no balance tells of it.
        """
        scene = self.scene
        for page in scene.sap.open_invoices(scene.start, _EVERYTHING_KNOWN, scene.rules.invoice_filter):
            owing = [one for one in page if not one.cancelled and one.balance > 0]
            linked = customers.linked(scene, [one.card_code for one in owing])
            unlinked = (one for one in owing if one.card_code not in linked)
            missing = list(dict.fromkeys(one.card_code for one in unlinked if scene.is_local(one.currency)))
            if missing and not self._listed:
                self._listed = True
                for plan in customers.read_new_customers(scene):
                    yield SyncFacts(ready=plan)
            facts = customers.customer_facts(scene, missing)
            names = customers.names_of(missing, scene)
            yield SyncFacts(needed=missing, customers=facts, states=scene.journal.states(list(names.values())))
            late = {one.card_code for one in owing if one.due_date < scene.today} & set(linked)
            noted = scene.journal.links.many("figures", late)
            fresh = {card: linked[card] for card in sorted(late) if card not in noted or noted[card].state != "owing"}
            if fresh:
                partners = scene.sap.owing_partners(fresh, scene.rules.customers.hold_field)
                yield SyncFacts(batch=reader.partners(partners, fresh))

    def _sap_side(self, reader: BatchReader) -> Iterator[SyncFacts]:
        """Yield the partners that owed something when they were last looked at, then those that changed or owe now."""
        scene, links = self.scene, self.scene.journal.links
        hold = scene.rules.customers.hold_field
        for part in chunks((mark.key for mark in links.all_in_state("figures", "owing")), _BATCH):
            known = customers.linked(scene, part)
            if known:
                yield SyncFacts(batch=reader.partners(scene.sap.owing_partners(known, hold), known))
        since = scene.journal.cursor(_PARTNERS)
        first = date.fromisoformat(since) - timedelta(days=1) if since else None
        for page in scene.sap.stirring_partners(first, hold):
            known = customers.linked(scene, [one.card_code for one in page])
            if known:
                done = [card for card, mark in links.many("figures", known).items() if mark.state == "owing"]
                yield SyncFacts(batch=reader.partners({one.card_code: one for one in page}, known, done))

    # --- decide -----------------------------------------------------------------------------------------------------

    def decide(self, facts: SyncFacts) -> Plan:
        """Turn a batch into a plan."""
        if facts.ready is not None:
            return facts.ready
        plan = Plan(seen=len(facts.needed))
        for card in facts.needed:
            self._create(card, facts, plan)
        if facts.batch is not None:
            for card in facts.batch.links:
                self._decide(card, facts.batch, plan)
        if facts.births is not None:
            plan.seen += len(facts.births.nobody)
            customer_births.decide(self.scene, facts.births, plan, insist=self._insist)
        return self._once(plan)

    def _create(self, card: str, facts: SyncFacts, plan: Plan) -> None:
        name = self.scene.name("customer", card)
        if facts.states.get(name) == "refused":
            plan.unchanged += 1  # refused by Stripe: `mlc replay` when the cause is gone
            return
        wish = customers.ensure(self.scene.rules.company, name, card, facts.customers)
        if isinstance(wish, Intent):
            plan.intents.append(wish)
        elif isinstance(wish, Skip):
            plan.skips.append(wish)

    def _decide(self, card: str, batch: CustomerBatch, plan: Plan) -> None:
        plan.seen += 1
        before = len(plan.skips) + len(plan.intents)
        if customer_merge.decide(self.scene, card, batch, plan, insist=self._insist):
            customer_figures.decide(self.scene, card, batch, plan, insist=self._insist)
        plan.unchanged += len(plan.skips) + len(plan.intents) == before
        if batch.links[card].other not in batch.customers and batch.links[card].state != "gone":
            return  # Stripe's side was not looked at: what waits because of it waits on
        wished = {skip.name for skip in plan.skips} | {intent.name for intent in plan.intents}
        plan.healed += [held.name for held in batch.held.get(card, []) if held.name not in wished]

    def _once(self, plan: Plan) -> Plan:
        """Leave out what was held in this run already."""
        plan.skips = [skip for skip in plan.skips if skip.name not in self._told]
        self._told.update(skip.name for skip in plan.skips)
        return plan
