"""Money on the unallocated account: listed until a person says whose it is, then moved by an entry of its own (`PO1/match/PM9`).

What was refunded of it meanwhile is gone from there; what an entry of ours moved already is taken over when it is found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mlc.core import codec
from mlc.core.clues import Clue, Payer, Unclear
from mlc.core.commands import Part, PostEntry
from mlc.core.facts import Booked, Invoice
from mlc.core.intents import Intent, Mark, Plan, Skip
from mlc.core.money import Money, from_decimal
from mlc.core.placing import Rates
from mlc.core.postings import Accounts, Terms, part_lines
from mlc.core.tiers import match
from mlc.passes import debtors, settling
from mlc.passes.payout_batch import PayoutFacts, balances
from mlc.passes.payout_facts import PayoutReader
from mlc.passes.scene import Scene
from mlc.passes.settling import Placed
from mlc.systems.sap.entries import live, part_marks


@dataclass(slots=True)
class ParkedFacts:
    """Parked parts, what of each is still there, and what a person decided."""

    parked: list[Placed] = field(default_factory=list)
    left: dict[str, int] = field(default_factory=dict)  # part -> minor units that were not refunded
    decided: dict[str, Clue] = field(default_factory=dict)  # part -> what a person said
    batch: PayoutFacts = field(default_factory=PayoutFacts)


def reference(part: Part) -> str:
    """Return the reference of the entry that moves a parked part."""
    return f"{part.key.split('/')[0]}/match/{part.thing}"


def subject(payout: str, payment: str) -> str:
    """Return under what a decision about a parked part is kept: it is not about the payment's next collection."""
    return f"{payout}/match/{payment}"


def gather(scene: Scene, reader: PayoutReader, only: set[str] | None) -> ParkedFacts:
    """Read what is parked and was not moved or taken back."""
    links, facts = scene.journal.links, ParkedFacts()
    wanted = [mark for mark in links.all_in_state("part", "parked") if only is None or mark.key.split("/")[0] in only]
    facts.parked = [settling.placed(mark) for mark in wanted if not mark.data.get("undone")]
    if not facts.parked:
        return facts
    facts.batch.entries = scene.sap.entries_by_reference(reference(one.part) for one in facts.parked)
    for one in facts.parked:
        theirs = [codec.decode(Part, mark.data) for mark in links.of_others("part", [one.part.payment])]
        back = sum(
            p.amount for p in theirs if p.role in ("refund", "return") and p.account == one.part.account and not p.card_code
        )
        facts.left[one.part.key] = max(0, one.part.amount + back)
        _read_decision(scene, reader, one, facts)
    numbers = {int(line.reference2) for entries in facts.batch.entries.values() for entry in entries for line in entry.lines
               if line.reference2.isdecimal()}  # fmt: skip
    entries = {entry for clue in facts.decided.values() for entry in clue.decision or ()}
    facts.batch.invoices = scene.sap.debts(entries=entries, numbers=numbers, whole=scene.debits.dimensions.by_invoice)
    if facts.decided:
        facts.batch.taken = reader.taken()
        cards = {one.card_code for one in facts.batch.invoices.values()} | {c.payer.card_code for c in facts.decided.values()}
        facts.batch.partners = scene.sap.payers(sorted(cards - {""}), scene.debits.dimensions.fields)
    return facts


def _read_decision(scene: Scene, reader: PayoutReader, one: Placed, facts: ParkedFacts) -> None:
    part, left = one.part, facts.left[one.part.key]
    decision: dict[str, Any] | None = reader.decision(subject(part.key.split("/")[0], part.payment)) or reader.decision(
        part.payment
    )
    if not decision or not left or live(facts.batch.entries.get(reference(part), [])):
        return
    if not (decision.get("invoices") or decision.get("account")):
        return
    payment = scene.gocardless.collection(part.payment)
    if payment is None:
        return
    payer = (
        debtors.people(scene, [payment.mandate]).payers.get(payment.mandate, Payer()) if decision.get("account") else Payer()
    )
    payment = replace(payment, amount=Money(left, payment.amount.currency))
    entries = tuple(int(entry) for entry in decision.get("invoices") or ())
    facts.decided[part.key] = Clue(payment, payer, decision=entries, rest_on_account=bool(decision.get("account")))


def decide(scene: Scene, facts: ParkedFacts, plan: Plan) -> set[str]:
    """List what is parked, move what a person decided; returns the names of what still waits."""
    names: set[str] = set()
    for one in facts.parked:
        name = scene.name("parked", f"{one.part.key.split('/')[0]}/{one.part.thing}", "gocardless")
        found = live(facts.batch.entries.get(reference(one.part), []))
        clue, left = facts.decided.get(one.part.key), facts.left[one.part.key]
        if found:
            plan.marks += moved_marks(scene, one.part, found[0], facts.batch.invoices.values())
        elif clue is not None:
            why = _move(scene, facts, one, clue, plan)
            if why:
                names.add(name)
                plan.skips.append(_skip(one, name, why, left))
        elif left:
            names.add(name)
            plan.skips.append(_skip(one, name, one.part.evidence, left))
    return names


def _skip(one: Placed, name: str, why: str, left: int) -> Skip:
    part = one.part
    amount = Money(left, part.currency)
    text = f"{part.thing}: {amount} stand on account {part.account}: {why}"
    text += f"; mlc held match {part.thing} DOCNUM, or dismiss it" if "by hand" not in why else "; then dismiss it"
    candidates = tuple(number for number in part.rejected if number.isdecimal())
    about = {"payment": part.payment, "payout": part.key.split("/")[0]}
    return Skip(name, "parked", text, amount=amount, candidates=candidates, about=about)


def _move(scene: Scene, facts: ParkedFacts, one: Placed, clue: Clue, plan: Plan) -> str:
    """Wish the entry that moves parked money where a person said; returns why it cannot be."""
    part, batch = one.part, facts.batch
    if part.currency != scene.currency:
        return f"it is in {part.currency}: book it by hand"
    result = match(clue, balances(scene, batch), scene.debits.habits)
    if isinstance(result, Unclear):
        return result.text
    if result.rest.minor and not clue.rest_on_account:
        return f"{result.rest} more than is open on the invoices that were named"
    payout, left = part.key.split("/")[0], facts.left[part.key]
    stem = reference(part)
    fixed: dict[str, Any] = {"rule": "R1", "evidence": "a person's decision"}
    parts = [Part(f"{stem}/0", part.type, part.thing, part.payment, "moved", -left, part.currency, -left, account=part.account,
                  branch=part.branch, undoes=part.key, **fixed)]  # fmt: skip
    for number, claim in enumerate(result.claims, 1):
        parts.append(
            Part(f"{stem}/{number}", part.type, part.thing, part.payment, "invoice", claim.amount.minor, part.currency, claim.amount.minor,
                 result.card_code, doc_entry=claim.doc_entry, doc_num=claim.doc_num, branch=claim.branch, **fixed)
        )  # fmt: skip
    if result.rest.minor:
        parts.append(Part(f"{stem}/{len(parts)}", part.type, part.thing, part.payment, "account", result.rest.minor, part.currency,
                          result.rest.minor, result.card_code, branch=part.branch, **fixed))  # fmt: skip
    day = scene.today
    terms = Terms(Accounts(), scene.debits.dimensions, Rates(scene.currency), scene.currency, day, part.branch, invoices=batch.invoices,
                  partners=batch.partners)  # fmt: skip
    lines = tuple(line for each in parts for line in part_lines(each, terms))
    command = PostEntry(payout, stem, day, day, f"GoCardless {part.thing} allocated"[:50], scene.currency, lines, tuple(parts))
    where = ", ".join(f"invoice {claim.doc_num}" for claim in result.claims) or f"account of {result.card_code}"
    says = f"allocate parked {part.thing} to {where} (R1: a person's decision)"
    name = scene.name("match", f"{payout}/{part.thing}", "gocardless")
    plan.intents.append(Intent(name, command, f"payout/{payout}", Money(left, part.currency), says))
    return ""


def moved_marks(scene: Scene, part: Part, booked: Booked, invoices: Sequence[Invoice] | Any) -> list[Mark]:
    """Return what is known of parked money that an entry of ours moved already: the journal did not know."""
    stem = reference(part)
    marks = [Mark("part", part.key, data={"undone": f"{stem}/0"})]
    groups: dict[tuple[str, str], list[Any]] = {}
    for line in booked.lines:
        if line.short_name:
            groups.setdefault((line.short_name, line.reference2), []).append(line)
    for number, ((card, number2), lines) in enumerate(groups.items(), 1):
        minor = -sum(from_decimal(line.local, scene.currency).minor for line in lines)
        doc_num = int(number2) if number2.isdecimal() else 0
        entry = next((one.doc_entry for one in invoices if one.doc_num == doc_num and one.card_code == card), 0)
        made = Part(f"{stem}/{number}", part.type, part.thing, part.payment, "invoice" if doc_num else "account", minor, part.currency, minor,
                    card, doc_entry=entry, doc_num=doc_num, branch=lines[0].branch, rule="found in SAP",
                    evidence=f"line in the entry of {stem}")  # fmt: skip
        state = "open" if doc_num else "account"
        marks += part_marks(made, state, booked.trans, [line.line_id for line in lines], booked.day.isoformat())
    return marks
