"""One linked customer, decided: whose contact data go where, and who has lost the other. Pure.

Names: `<company>/update-customer/stripe/<CardCode>`, `.../update-partner/...`; held as `.../customer/stripe/<CardCode>` where the
link itself is in question, as `.../field/stripe/<CardCode>` where SAP has no room, and as `.../gone-customer/stripe/<customer>` where
invoices of a deleted customer are open.
"""

from __future__ import annotations

from mlc.core.commands import UpdateCustomer, UpdatePartner
from mlc.core.facts import Partner, ProcessorCustomer
from mlc.core.intents import Intent, Mark, Plan, Skip
from mlc.core.merge import FIELDS, Merged, merge, of_customer, of_partner, only_sap, too_long
from mlc.passes.customer_batch import CustomerBatch, agreed
from mlc.passes.scene import Scene


def decide(scene: Scene, card: str, batch: CustomerBatch, plan: Plan, *, insist: bool = False) -> bool:
    """Decide one partner's contact data; False where the link is in question and nothing may be written."""
    link, name = batch.links[card], scene.name("customer", card)
    if link.state == "gone":
        _found_again(scene, card, batch, plan)
        return False
    if link.other in batch.customers:
        customer = batch.customers[link.other]
        if customer is None:
            _gone(scene, card, batch, plan)
            return False
        if (customer.company, customer.card_code) != (scene.rules.company, card) and card not in batch.partners:
            _moved(scene, card, customer, batch, plan)
            return False
        if (customer.company, customer.card_code) != (scene.rules.company, card):
            plan.skips.append(_renamed(scene, name, card, customer))
            if link.state != "conflict":
                plan.marks.append(Mark("customer", card, customer.id, "conflict"))
            return False
        if link.state != "linked":
            plan.marks.append(Mark("customer", card, customer.id, "linked"))
    if card not in batch.partners:
        text = f"the Stripe customer {link.other} is linked to {card}, and SAP has no such business partner (any more)"
        text += ": put its new CardCode into sap_card_code of the metadata, or take it out there"
        plan.skips.append(Skip(name, "gone_from_sap", text, about=_about(card, link.other)))
        return False
    if link.other not in batch.customers:
        return link.state == "linked"
    others = _others(scene, card, batch)
    if others:
        both = tuple(sorted([link.other, *others]))
        text = f"{len(both)} Stripe customers name {card} in their metadata: {', '.join(both)}; leave it at one ({link.other} is used)"
        plan.skips.append(Skip(name, "conflict", text, candidates=both, about=_about(card, link.other)))
        plan.marks += [
            Mark("stripe-card", other, card, "unlinked") for other in others if other not in batch.rivals.get(card, [])
        ]
    for one in batch.rivals.get(card, []):
        rival = batch.customers.get(one)
        if rival is None or rival.card_code != card:
            plan.marks.append(Mark("stripe-card", one, state="gone"))
    customer = batch.customers[link.other]
    assert customer is not None, "a customer that was read just now"
    _merge(scene, batch.partners[card], customer, batch, plan, insist=insist)
    return True


def _about(card: str, customer: str) -> dict[str, object]:
    return {"card_code": card, "customer": customer}


def _others(scene: Scene, card: str, batch: CustomerBatch) -> list[str]:
    """Return the customers that name a partner and are not linked to it."""
    return sorted(one for one in batch.customers if one != batch.links[card].other and _names(scene, card, one, batch))


def _names(scene: Scene, card: str, customer: str, batch: CustomerBatch) -> bool:
    one = batch.customers.get(customer)
    return one is not None and (one.company, one.card_code) == (scene.rules.company, card)


# --- lost each other --------------------------------------------------------------------------------------------------


def _renamed(scene: Scene, name: str, card: str, customer: ProcessorCustomer) -> Skip:
    now = f"{customer.card_code} of {customer.company or 'no company'}" if customer.card_code else "nobody"
    text = f"the Stripe customer {customer.id} is linked to {card}, and its metadata names {now} by now: put sap_card_code and"
    text += f" sap_company right there ({card}, {scene.rules.company}); until then nothing is written to it"
    return Skip(name, "conflict", text, about=_about(card, customer.id))


def _moved(scene: Scene, card: str, customer: ProcessorCustomer, batch: CustomerBatch, plan: Plan) -> None:
    """SAP no longer has the partner and the customer names another one, or none: a renamed partner keeps its customer."""
    plan.marks.append(Mark("customer", card, f"was {customer.id}", "gone"))
    told = f"SAP has no {card} any more, and its Stripe customer {customer.id} names {customer.card_code or 'nobody'} by now"
    plan.notes.append((scene.name("customer", card), told))
    known = batch.links.get(customer.card_code)
    if customer.company == scene.rules.company and customer.card_code and (known is None or known.state == "gone"):
        plan.marks.append(Mark("customer", customer.card_code, customer.id, "linked"))


def _gone(scene: Scene, card: str, batch: CustomerBatch, plan: Plan) -> None:
    """A customer was deleted at Stripe: nothing is pushed to it any more; who has something to push gets another one."""
    link = batch.links[card]
    plan.marks.append(Mark("customer", card, link.other, "gone"))
    name = scene.name("gone-customer", link.other)
    plan.notes.append((name, f"the Stripe customer {link.other} of {card} was deleted there"))
    asked = batch.asked.get(card, [])
    if asked:
        numbers = ", ".join(str(mark.data.get("doc_num")) for mark in asked)
        text = f"the Stripe customer {link.other} of {card} was deleted there, and its invoices {numbers} are open at Stripe:"
        text += " collect or void them there; new invoices go to a new customer"
        facts = {"invoices": [mark.key for mark in asked]}
        plan.skips.append(Skip(name, "gone_from_stripe", text, about=_about(card, link.other), facts=facts))
    _found_again(scene, card, batch, plan)


def _found_again(scene: Scene, card: str, batch: CustomerBatch, plan: Plan) -> None:
    """Where exactly one other customer names the partner it takes the place of the deleted one (two were merged into one)."""
    others = _others(scene, card, batch)
    if len(others) == 1:
        plan.marks.append(Mark("customer", card, others[0], "linked"))
        plan.notes.append((scene.name("customer", card), f"{card} is linked to {others[0]}, which names it"))


# --- merge ------------------------------------------------------------------------------------------------------------


def _merge(
    scene: Scene, partner: Partner, customer: ProcessorCustomer, batch: CustomerBatch, plan: Plan, *, insist: bool
) -> None:  # fmt: skip
    card, known = partner.card_code, agreed(batch, partner.card_code)
    owners = {**scene.rules.customers.owners, **dict.fromkeys(only_sap(partner), "sap")}
    merged = merge(known, of_partner(partner), of_customer(customer), owners)
    settled = {name: merged.result[name] for name in merged.agreed if known.get(name) != merged.result[name]}
    if settled or (not known and FIELDS):
        fresh = dict.fromkeys(FIELDS) if not known else {}  # of another customer nothing is agreed
        plan.marks.append(Mark("contact", card, customer.id, data={**fresh, **settled}))
    wishes = [_to_stripe(scene, partner, customer, merged), *_to_sap(scene, partner, customer, merged)]
    for wish in wishes:
        if isinstance(wish, Skip):
            plan.skips.append(wish)
        elif wish is not None:
            _wish(wish, card, batch, plan, insist=insist)
    if any(isinstance(wish, Intent) and wish in plan.intents for wish in wishes):
        for one in merged.conflicts:
            winner = "SAP" if one.taken == "sap" else "Stripe"
            text = f"{one.field} of {card} differs: SAP {one.sap!r}, Stripe ({customer.id}) {one.stripe!r}; {winner}'s is taken"
            plan.notes.append((scene.name("update-customer" if one.taken == "sap" else "update-partner", card), text))


def _wish(intent: Intent, card: str, batch: CustomerBatch, plan: Plan, *, insist: bool) -> None:
    """Wish it, unless the very same was refused before: then it waits for its cause to go, or for `mlc replay`."""
    stored = batch.stored.get(intent.name)
    if stored is None or stored.code == "withdrawn" or stored.command != intent.command or insist:
        plan.intents.append(intent)
        return
    held = next((one for one in batch.held.get(card, []) if one.name == intent.name), None)
    if held is not None:
        plan.skips.append(
            Skip(held.name, held.reason, held.text, candidates=held.candidates, about=held.about, facts=held.facts)
        )


def _to_stripe(scene: Scene, partner: Partner, customer: ProcessorCustomer, merged: Merged) -> Intent | None:
    if not merged.to_stripe:
        return None
    contact = tuple((name, merged.result[name]) for name in FIELDS)
    command = UpdateCustomer(partner.card_code, customer.id, contact, merged.to_stripe, customer.province)
    says = f"bring {partner.card_code} {partner.name} at Stripe to what SAP holds: {', '.join(merged.to_stripe)}"
    name = scene.name("update-customer", partner.card_code)
    return Intent(name, command, f"customer/{partner.card_code}", says=says, anew=True)


def _to_sap(scene: Scene, partner: Partner, customer: ProcessorCustomer, merged: Merged) -> list[Intent | Skip]:
    card = partner.card_code
    wishes: list[Intent | Skip] = []
    long = too_long(merged.result, merged.to_sap)
    if long:
        told = ", ".join(f"{field} {merged.result[field]!r}" for field in long)
        text = f"SAP has no room for what Stripe holds of {card}: {told}; shorten it at Stripe ({customer.id}), or change it in SAP"
        name = scene.name("field", card)
        wishes.append(Skip(name, "field_not_taken", text, about=_about(card, customer.id)))
    fit = [field for field in merged.to_sap if field not in long]
    if fit:
        command = UpdatePartner(card, customer.id, tuple((field, merged.result[field]) for field in fit))
        says = f"bring {card} {partner.name} in SAP to what Stripe holds: {', '.join(fit)}"
        name = scene.name("update-partner", card)
        wishes.append(Intent(name, command, f"customer/{card}", says=says, anew=True))
    return wishes
