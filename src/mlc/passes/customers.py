"""Which business partner is which Stripe customer: our numbers in the metadata first, then an e-mail that exactly one of each has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from mlc.core.commands import EnsureCustomer
from mlc.core.facts import Partner, ProcessorCustomer
from mlc.core.intents import Intent, Mark, Plan, Skip
from mlc.core.keys import metadata_key
from mlc.passes.scene import Scene

CURSOR = "stripe/customers"
LISTING = "stripe/customers-listing"
_OVERLAP = 600


@dataclass(slots=True)
class CustomerFacts:
    """What is known of the partners of a batch at Stripe."""

    linked: dict[str, Mark] = field(default_factory=dict)
    partners: dict[str, Partner] = field(default_factory=dict)
    same_email: dict[str, int] = field(default_factory=dict)  # e-mail in lower case -> how many partners have it
    unlinked: dict[str, list[str]] = field(default_factory=dict)  # e-mail in lower case -> customers of nobody
    by_card: dict[str, list[str]] = field(default_factory=dict)  # CardCode -> customers that name it and are not linked to it
    gone: dict[str, str] = field(default_factory=dict)  # CardCode -> its customer that was deleted at Stripe


def linked(scene: Scene, cards: Iterable[str]) -> dict[str, Mark]:
    """Return CardCode -> link of those partners that have a customer; one that was deleted at Stripe is none."""
    return {card: mark for card, mark in scene.journal.links.many("customer", cards).items() if mark.state != "gone"}


def seen_customers(scene: Scene, page: list[ProcessorCustomer]) -> Plan:
    """Return the marks that a page of Stripe customers leads to: links by our numbers, and who belongs to nobody yet."""
    plan = Plan(seen=len(page))
    known = scene.journal.links.many("customer", [one.card_code for one in page if one.company == scene.rules.company])
    theirs = {
        mark.other for mark in scene.journal.links.of_others("customer", [one.id for one in page]) if mark.state != "gone"
    }
    for one in page:
        if one.company == scene.rules.company and one.card_code and not one.deleted:
            link = known.get(one.card_code)
            if one.id in theirs and (link is None or link.other != one.id):
                continue  # it is linked to another partner: sync-customers asks a person
            if link is None or (link.state == "gone" and link.other != one.id):
                known[one.card_code] = Mark("customer", one.card_code, one.id, "linked", {"email": one.email})
                plan.marks.append(known[one.card_code])
            elif link.other != one.id:  # a second one: whoever is linked stays so, and sync-customers asks a person
                plan.marks.append(Mark("stripe-card", one.id, one.card_code, "unlinked"))
        elif not one.company and one.card_code:  # our key without a company: whoever wrote it meant a business partner
            plan.marks.append(Mark("stripe-card", one.id, one.card_code, "unlinked"))
        elif not one.company and one.email:
            plan.marks.append(Mark("stripe-customer", one.id, one.email.lower(), "unlinked", {"name": one.name}))
    return plan


def seen_again(scene: Scene, customers: Mapping[str, ProcessorCustomer | None]) -> Plan:
    """Return what changed of customers that belonged to nobody when they were noted: gone, another e-mail, or somebody's by now."""
    plan = Plan()
    for kind in ("stripe-customer", "stripe-card"):
        for key, mark in scene.journal.links.many(kind, customers).items():
            one = customers[key]
            names = "" if one is None else one.email.lower() if kind == "stripe-customer" else one.card_code
            theirs = one is not None and bool(one.company and (kind == "stripe-customer" or one.company != scene.rules.company))
            state = "unlinked" if names and not theirs else "gone"
            if (state, names or mark.other) != (mark.state, mark.other):
                plan.marks.append(Mark(kind, key, names, state))
    return plan


def read_new_customers(scene: Scene) -> Iterable[Plan]:
    """Read the customers created at Stripe since the last run; yields plans that are to be accepted before anything is decided."""
    for _, plan in customer_pages(scene):
        yield plan


def customer_pages(scene: Scene, *, every: bool = False) -> Iterator[tuple[list[ProcessorCustomer], Plan]]:
    """Yield pages of the customers created at Stripe since the last run (or of `every` one) with what is to be noted of them.

    One list call where nothing is new: a page on which everything is known already ends the reading.
    """
    cursor = scene.journal.cursor(CURSOR)
    whole = (
        every or cursor is None or scene.journal.cursor(LISTING) == "open"
    )  # an earlier listing broke off: what it noted proves nothing
    newest = int(cursor or 0)
    for page in scene.stripe.customers_since(0 if every else max(0, newest - _OVERLAP)):
        plan = seen_customers(scene, page)
        plan.cursors[LISTING] = "open"
        newest = max([newest, *(one.created for one in page)])
        yield page, plan
        known = {
            **scene.journal.links.many("stripe-customer", [one.id for one in page]),
            **scene.journal.links.many("stripe-card", [one.id for one in page]),
        }
        mine = scene.journal.links.by_other("customer", [one.id for one in page])
        if not whole and not plan.marks and len(known) + len(mine) >= len(page):
            break
    yield [], Plan(cursors={CURSOR: str(newest), LISTING: "done"})


def customer_facts(scene: Scene, cards: Iterable[str]) -> CustomerFacts:
    """Read what is needed to give each partner of a batch its customer."""
    wanted = list(dict.fromkeys(cards))
    known = scene.journal.links.many("customer", wanted)
    facts = CustomerFacts(linked={card: mark for card, mark in known.items() if mark.state != "gone"})
    facts.gone = {card: mark.other for card, mark in known.items() if mark.state == "gone"}
    missing = [card for card in wanted if card not in facts.linked]
    if not missing:
        return facts
    facts.partners = scene.sap.partners(missing)
    for mark in scene.journal.links.of_others("stripe-card", missing):
        if mark.state == "unlinked":
            facts.by_card.setdefault(mark.other, []).append(mark.key)
    emails = {one.email.lower(): one.email for one in facts.partners.values() if one.email}
    for mark in scene.journal.links.of_others("stripe-customer", emails):
        if mark.state == "unlinked":
            facts.unlinked.setdefault(mark.other, []).append(mark.key)
    if facts.unlinked:
        asked = [how for email, text in emails.items() if email in facts.unlinked for how in spellings(text)]
        for one in scene.sap.partners_by_email(asked):
            facts.same_email[one.email.lower()] = facts.same_email.get(one.email.lower(), 0) + 1
    return facts


def spellings(email: str) -> list[str]:
    """Return the ways an address is usually written: SAP's filter may tell capitals apart."""
    return list(dict.fromkeys([email, email.lower(), email.upper(), email.capitalize()]))


def ensure(scene_company: str, name: str, card: str, facts: CustomerFacts) -> Intent | Skip | None:
    """Decide how a partner comes to its customer; None where it has one. Pure."""
    if card in facts.linked:
        link_ = facts.linked[card]
        if link_.state == "linked":
            return None
        text = f"the Stripe customer {link_.other} is linked to {card}, and its metadata says otherwise; put it right there"
        return Skip(name, "conflict", text, about={"card_code": card, "customer": link_.other})
    partner = facts.partners.get(card)
    if partner is None:
        return Skip(name, "no_customer", f"SAP has no business partner {card}", about={"card_code": card})
    email = partner.email.lower()
    found = facts.unlinked.get(email, []) if email else []
    named = facts.by_card.get(card, [])
    if len(named) > 1:
        text = f"{len(named)} Stripe customers name {card} in their metadata: {', '.join(sorted(named))}; leave it at one"
        return Skip(name, "conflict", text, candidates=tuple(sorted(named)), about={"card_code": card})
    by_email = found[0] if len(found) == 1 and facts.same_email.get(email) == 1 else ""
    link = named[0] if named else by_email
    command = EnsureCustomer(scene_company, metadata_key(name), partner, link, partner.email if link and not named else "")
    says = f"link {card} to Stripe customer {link}" if link else f"create {card} {partner.name} at Stripe"
    if card in facts.gone:
        says += f": {facts.gone[card]} was deleted there"
    return Intent(name, command, lane=f"customer/{card}", says=says, anew=card in facts.gone)


def names_of(cards: Iterable[str], scene: Scene) -> Mapping[str, str]:
    """Return CardCode -> the name of the wish that it has a customer."""
    return {card: scene.name("customer", card) for card in cards}
