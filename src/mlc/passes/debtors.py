"""Who pays by GoCardless: which business partner a customer or mandate is, and what may still be collected from whom."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from mlc.core.clues import Payer, payer_of
from mlc.core.commands import NoteMandate
from mlc.core.facts import Partner
from mlc.core.intents import Intent, Mark, Plan, Skip
from mlc.passes.debit_news import debtor_mark
from mlc.passes.scene import Scene, chunks

_LINKING = "sync-customers"


@dataclass(slots=True)
class People:
    """Whose payments a batch holds, as far as it is known."""

    payers: dict[str, Payer] = field(default_factory=dict)  # mandate -> payer
    partners: dict[str, Partner] = field(default_factory=dict)


# --- who is who ------------------------------------------------------------------------------------------------------


def people(scene: Scene, mandates: Iterable[str]) -> People:
    """Return the payers of mandates: explicit metadata read in this run, then the link, then an e-mail unique on both sides."""
    links = scene.journal.links
    wanted = [one for one in dict.fromkeys(mandates) if one]
    there = links.many("mandate", wanted)
    customer_of = {mandate: mark.other for mandate, mark in there.items() if mark.other}
    fresh_mandates = {key for key, mark in there.items() if mark.data.get("run") == scene.journal.run_id}
    missing = [one for one in wanted if one not in customer_of]
    read = scene.gocardless.mandates(missing, links.count("mandate")) if missing else {}
    customer_of |= {key: one.customer for key, one in read.items()}
    said_by_mandate = {key: str(there[key].data.get("said") or "") for key in fresh_mandates}
    said_by_mandate |= {key: dict(one.metadata).get(scene.debits.customer_key, "") for key, one in read.items()}
    customers = _fresh_customers(scene, customer_of.values())
    silent = [key for key in wanted if key not in said_by_mandate]
    stale = scene.gocardless.mandates(silent, links.count("mandate")) if silent else {}
    said_by_mandate |= {key: dict(one.metadata).get(scene.debits.customer_key, "") for key, one in stale.items()}
    linked = {mark.key: mark.other for mark in links.many("gc-customer", customers).values()}
    by_email = _by_email(scene, {key: data for key, data in customers.items() if not data.get("said") and not linked.get(key)})
    cards = {str(data.get("said") or "") for data in customers.values()} | set(linked.values()) | set(said_by_mandate.values())
    found = People()
    found.partners = scene.sap.payers(sorted((cards | set(by_email.values())) - {""}), scene.debits.dimensions.fields)
    for mandate in wanted:
        customer = customer_of.get(mandate, "")
        data = customers.get(customer, {})
        sources = [
            (f"metadata of {customer}", str(data.get("said") or "")),
            (f"metadata of {mandate}", said_by_mandate.get(mandate, "")),
        ]
        found.payers[mandate] = payer_of(
            sources, found.partners, linked=linked.get(customer, ""), by_email=by_email.get(customer, ""),
            email=str(data.get("email") or ""),
        )  # fmt: skip
    return found


def _fresh_customers(scene: Scene, customers: Iterable[str]) -> dict[str, dict[str, object]]:
    """Return customer -> what it says now: read in this run already, or read now."""
    links = scene.journal.links
    known = links.many("gc-customer", customers)
    found = {key: dict(mark.data) for key, mark in known.items() if mark.data.get("run") == scene.journal.run_id}
    missing = [one for one in dict.fromkeys(customers) if one and one not in found]
    for key, one in scene.gocardless.debtors(missing, links.count("gc-customer")).items():
        found[key] = dict(debtor_mark(scene, one).data)
    return found


def _by_email(scene: Scene, customers: dict[str, dict[str, object]]) -> dict[str, str]:
    """Return customer -> partner where exactly one of each has the address and neither is linked yet."""
    links = scene.journal.links
    emails = {key: str(data.get("email") or "") for key, data in customers.items()}
    alone = {key: email for key, email in emails.items() if email and len(links.customers_with(email)) == 1}
    if not alone:
        return {}
    partners: dict[str, list[str]] = {}
    for email in dict.fromkeys(alone.values()):
        partners[email] = []
    asked = [how for email in partners for how in dict.fromkeys([email, email.lower(), email.upper(), email.capitalize()])]
    for one in scene.sap.partners_by_email(asked):
        partners.setdefault(one.email.lower(), []).append(one.card_code)
    found = {}
    for key, email in alone.items():
        cards = list(dict.fromkeys(partners.get(email, [])))
        others = [
            *links.of_others("gc-customer", cards),
            *links.saying("gc-customer", cards),
        ]
        if len(cards) == 1 and not any(mark.key != key for mark in others):
            found[key] = cards[0]
    return found


# --- linking (sync-customers) ----------------------------------------------------------------------------------------


def link_customers(scene: Scene) -> Iterator[Plan]:
    """Link the customers that nobody is linked to yet; what no rule links and could be collected from waits for a person."""
    links = scene.journal.links
    held = {one.name for one in scene.journal.held.all(pass_=_LINKING, dismissed=True) if "/link-customer/" in one.name}
    for part in chunks(links.without_other("gc-customer"), 200):
        plan = Plan(seen=len(part))
        marks = links.many("gc-customer", part)
        named = {key: str(mark.data.get("said") or "") for key, mark in marks.items()}
        theirs = links.of_others("mandate", part)
        mandates = {mark.other for mark in theirs if mark.state == "active"}
        by_mandate: dict[str, set[str]] = {}
        for mark in theirs:
            if mark.data.get("said"):
                by_mandate.setdefault(mark.other, set()).add(str(mark.data["said"]))
        for key, cards in by_mandate.items():
            if not named[key] and len(cards) == 1:
                named[key] = next(iter(cards))
        partners = scene.sap.partners(sorted(set(named.values()) - {""}))
        by_email = _by_email(scene, {key: mark.data for key, mark in marks.items() if not named[key]})
        for key in part:
            name = scene.name("link-customer", key, "gocardless")
            card = named[key] if named[key] in partners else by_email.get(key, "")
            if card:
                how = "its metadata" if named[key] else f"the e-mail {marks[key].data.get('email')}, which one of each has"
                plan.marks.append(Mark("gc-customer", key, card, "linked", {"by": "metadata" if named[key] else "email"}))
                plan.notes.append((name, f"{key} is linked to {card} by {how}"))
                plan.healed += [name] if name in held else []
            elif key in mandates:
                plan.skips.append(_unlinked(name, key, marks[key], named[key]))
            else:
                plan.unchanged += 1
        yield plan


def _unlinked(name: str, key: str, mark: Mark, named: str) -> Skip:
    who = f"{key} {mark.data.get('name') or ''}".strip()
    why = (
        f"its metadata names {named}, which SAP does not have"
        if named
        else "neither metadata nor an e-mail that is unique on both sides"
    )
    text = f"GoCardless customer {who} has an active mandate and is linked to nobody in SAP: {why}"
    return Skip(name, "no_customer", text, about={"customer": key})


def note_mandates(scene: Scene) -> Iterator[Plan]:
    """Bring the reference of a customer's only active mandate into a user field of the partner, where the configuration names one."""
    field_ = scene.debits.mandate_field
    if not field_:
        return
    links = scene.journal.links
    for part in chunks((mark.key for mark in links.all_in_state("gc-customer", "linked")), 200):
        customers = links.many("gc-customer", part)
        mandates: dict[str, list[Mark]] = {}
        for mark in links.of_others("mandate", part):
            if mark.state == "active":
                mandates.setdefault(mark.other, []).append(mark)
        plan = Plan(seen=len(part))
        for key, mark in customers.items():
            only = mandates.get(key, [])
            reference = str(only[0].data.get("reference") or "") if len(only) == 1 else ""
            if not reference or mark.data.get("noted") == reference:
                plan.unchanged += 1
                continue
            says = f"note mandate {reference} of {mark.other} in {field_}"
            command = NoteMandate(mark.other, key, field_, reference)
            plan.intents.append(
                Intent(scene.name("note-mandate", key, "gocardless"), command, f"customer/{mark.other}", None, says, anew=True)
            )
        yield plan


# --- what push-invoices asks -----------------------------------------------------------------------------------------


def collected_elsewhere(scene: Scene, cards: Iterable[str]) -> dict[str, str]:
    """Return CardCode -> the active mandate by which GoCardless may collect from it."""
    links = scene.journal.links
    wanted = set(cards)
    owners: dict[str, set[str]] = {}  # customer -> the partners it may be
    found: dict[str, str] = {}
    for mark in links.of_others("gc-customer", wanted):
        owners.setdefault(mark.key, set()).add(mark.other)
    for mark in links.saying("gc-customer", wanted):
        owners.setdefault(mark.key, set()).add(str(mark.data["said"]))
    for mark in links.saying("mandate", wanted):
        if mark.state == "active":
            found.setdefault(str(mark.data["said"]), mark.key)
    mandates = links.of_others("mandate", owners)
    pending = {mark.other for mark in links.of_others("debit", [one.key for one in mandates]) if _on_its_way(mark)}
    for mark in mandates:
        if mark.state == "active" or mark.key in pending:
            for card in sorted(owners[mark.other] & wanted):
                found.setdefault(card, mark.key)
    return found


def _on_its_way(mark: Mark) -> bool:
    """Tell whether a payment may still bring money that no entry of ours holds yet."""
    return mark.state == "live" and mark.data.get("status") in ("pending_submission", "submitted", "confirmed")


def named_invoices(scene: Scene) -> dict[tuple[str, int], str]:
    """Return (field, number) -> a payment that names the invoice and has not failed."""
    found = {}
    for mark in scene.journal.links.all_in_state("debit", "live"):
        for field_, number in mark.data.get("names") or []:
            found[field_, number] = mark.key
    return found
