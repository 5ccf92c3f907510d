"""sync-customers: business partners to Stripe customers; existing ones are linked first, changes follow.

Reads: customers created at Stripe since the last run; the customers of open invoices in SAP; partners changed since the last run.
Decides: which partner is which customer, whom to create (only those with something to push), what to update.
Names: `<company>/customer/stripe/<CardCode>`, `<company>/update-customer/stripe/<CardCode>`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

from mlc.core.commands import UpdateCustomer
from mlc.core.facts import Partner
from mlc.core.intents import Intent, Mark, Plan, Skip
from mlc.passes import customers, debit_news, debtors
from mlc.passes.customers import CustomerFacts
from mlc.passes.scene import Scene
from mlc.systems.stripe.recipes import customer_fields

NAME = "sync-customers"
_PARTNERS = "sap/partners"
_EVERYTHING_KNOWN = 2**31 - 1


@dataclass(slots=True)
class SyncFacts:
    """A batch: partners that need a customer, or partners that changed, with what Stripe knows of them."""

    ready: Plan | None = None
    needed: list[str] = field(default_factory=list)
    customers: CustomerFacts = field(default_factory=CustomerFacts)
    changed: list[Partner] = field(default_factory=list)
    states: dict[str, str] = field(default_factory=dict)
    links: dict[str, Mark] = field(default_factory=dict)
    cursors: dict[str, str] = field(default_factory=dict)


class SyncCustomers:
    """The pass."""

    name = NAME

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    def gather(self) -> Iterator[SyncFacts]:
        """Yield what Stripe has, then who has something to push, then who changed."""
        scene = self.scene
        if scene.organisation is not None:
            debit_news.catch_up(scene, NAME)
            for plan in debtors.link_customers(scene):
                yield SyncFacts(ready=plan)
            for plan in debtors.note_mandates(scene):
                yield SyncFacts(ready=plan)
        if scene.stripe_account is None:
            return
        since = scene.journal.cursor(_PARTNERS)
        first = date.fromisoformat(since) - timedelta(days=1) if since else None
        for plan in customers.read_new_customers(scene):
            yield SyncFacts(ready=plan)
        for page in scene.sap.open_invoices(scene.start, _EVERYTHING_KNOWN, scene.rules.invoice_filter):
            owing = [one for one in page if not one.cancelled and one.balance > 0]
            linked = scene.journal.links.many("customer", [one.card_code for one in owing])
            unlinked = (one for one in owing if one.card_code not in linked)
            missing = list(dict.fromkeys(one.card_code for one in unlinked if scene.is_local(one.currency)))
            facts = customers.customer_facts(scene, missing)
            names = customers.names_of(missing, scene)
            yield SyncFacts(needed=missing, customers=facts, states=scene.journal.states(list(names.values())))
            if first is None and linked:  # the first run has no day to look back to: compare whoever is linked already
                yield SyncFacts(changed=list(scene.sap.partners(linked).values()), links=linked)
        if first is not None:
            for partners in scene.sap.changed_partners(first):
                links = scene.journal.links.many("customer", [one.card_code for one in partners])
                yield SyncFacts(changed=[one for one in partners if one.card_code in links], links=links)
        yield SyncFacts(cursors={_PARTNERS: scene.today.isoformat()})

    def decide(self, facts: SyncFacts) -> Plan:
        """Turn a batch into a plan."""
        if facts.ready is not None:
            return facts.ready
        plan = Plan(seen=len(facts.needed) + len(facts.changed), cursors=dict(facts.cursors))
        for card in facts.needed:
            name = self.scene.name("customer", card)
            if facts.states.get(name) == "refused":
                plan.unchanged += 1  # refused by Stripe: `mlc replay` when the cause is gone
                continue
            wish = customers.ensure(self.scene.rules.company, name, card, facts.customers)
            if isinstance(wish, Intent):
                plan.intents.append(wish)
            elif isinstance(wish, Skip):
                plan.skips.append(wish)
        for partner in facts.changed:
            self._update(partner, facts.links[partner.card_code], plan)
        return plan

    def _update(self, partner: Partner, link: Mark, plan: Plan) -> None:
        fields = customer_fields(partner)
        known = link.data.get("fields")
        if known == fields:
            plan.unchanged += 1
            return
        name = self.scene.name("update-customer", partner.card_code)
        unset = tuple(sorted(set(known or {}) - set(fields)))
        command = UpdateCustomer(partner.card_code, link.other, partner, unset)
        says = f"bring {partner.card_code} {partner.name} at Stripe to what SAP holds"
        plan.intents.append(Intent(name, command, f"customer/{partner.card_code}", says=says, anew=True))
