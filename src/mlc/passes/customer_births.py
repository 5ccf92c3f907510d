"""Stripe customers that nobody is, made business partners in SAP, where the configuration says so.

Reads: the partners that have the customers' e-mails.
Decides: only a customer created since `start_date`, with an e-mail that no partner and no other such customer has.
Names: `<company>/create-partner/stripe/<customer>`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from mlc.core import keys
from mlc.core.commands import CreatePartner
from mlc.core.facts import Partner, ProcessorCustomer
from mlc.core.intents import Intent, Plan, Skip
from mlc.core.merge import FIELDS, IN_SAP, of_customer, same, too_long
from mlc.passes import customers
from mlc.passes.scene import Scene

VERB = "create-partner"
_CODE_LENGTH = 15


@dataclass(slots=True)
class Births:
    """Customers of nobody, and who in SAP may be one of them."""

    nobody: list[ProcessorCustomer] = field(default_factory=list)
    partners: list[Partner] = field(default_factory=list)  # with one of their e-mails
    twins: Counter[str] = field(default_factory=Counter)  # e-mail -> how many customers of nobody have it
    states: dict[str, str] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)  # looked at because they waited or a person asked


def code_of(scene: Scene, customer: str) -> str:
    """Return the CardCode that a customer gets: always the same one, so that it is found again in doubt."""
    prefix = scene.rules.customers.prefix
    return prefix + keys.digest(customer)[: _CODE_LENGTH - len(prefix)]


def read(scene: Scene, page: Iterable[ProcessorCustomer | None], asked: Iterable[str] = ()) -> Births | None:
    """Read what is needed to decide who is to be created; None where the configuration does not want it, or nobody is."""
    if not scene.rules.customers.create_in_sap:
        return None
    begin = scene.first_moment().timestamp()
    nobody = [one for one in page if one is not None and not one.company and not one.card_code and one.created >= begin]
    waits = {held.name for held in scene.journal.held.all(dismissed=True) if held.name.split("/")[1] == VERB}
    facts = Births([one for one in nobody if one.email], held=waits, asked=set(asked))
    if not (facts.nobody or facts.asked):
        return None
    emails = list(dict.fromkeys(one.email for one in facts.nobody))
    facts.partners = scene.sap.partners_by_email(how for email in emails for how in customers.spellings(email))
    there = scene.journal.links.of_others("stripe-customer", [email.lower() for email in emails])
    facts.twins = Counter(
        mark.other for mark in there if mark.state == "unlinked" and mark.key not in {one.id for one in facts.nobody}
    )
    facts.twins.update(one.email.lower() for one in facts.nobody)
    facts.states = scene.journal.states([scene.name(VERB, one.id) for one in facts.nobody])
    return facts


def decide(scene: Scene, facts: Births, plan: Plan, *, insist: bool = False) -> None:
    """Wish a partner for each customer that has none; two customers of one e-mail wait for a person."""
    told: set[str] = set()
    for one in facts.nobody:
        name, code, about = scene.name(VERB, one.id), code_of(scene, one.id), {"customer": one.id}
        contact = of_customer(one)
        contact["name"] = contact["name"] or contact["email"]
        long = too_long(contact, FIELDS)
        if any(same("email", other.email, one.email) and other.card_code != code for other in facts.partners):
            continue  # it is linked by that e-mail when there is something to push
        if facts.states.get(name) == "refused" and name not in facts.held and not insist:
            continue
        if facts.twins[one.email.lower()] > 1:
            text = f"{facts.twins[one.email.lower()]} Stripe customers have the e-mail {one.email} and no partner in SAP: leave it at one"
            told.add(name)
            plan.skips.append(Skip(name, "conflict", text, about=about))
        elif long:
            fields = ", ".join(f"{field} {contact[field]!r} (at most {IN_SAP[field]})" for field in long)
            text = f"SAP has no room for what Stripe holds of {one.id}: {fields}; shorten it there"
            told.add(name)
            plan.skips.append(Skip(name, "field_not_taken", text, about=about))
        else:
            told.add(name)
            key = keys.metadata_key(name)
            pairs = tuple((field, contact[field]) for field in FIELDS)
            command = CreatePartner(scene.rules.company, key, one.id, code, pairs, scene.rules.customers.group)
            says = f"create business partner {code} for Stripe customer {one.id} {contact['name']}"
            plan.intents.append(Intent(name, command, f"customer/{code}", says=says, anew=insist))
    plan.healed += sorted(name for one in facts.asked if (name := scene.name(VERB, one)) in facts.held and name not in told)
