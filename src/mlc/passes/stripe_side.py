"""What Stripe holds of our invoices that the journal does not know: a state file may be new, lost, or an older copy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

from mlc.core.facts import ProcessorInvoice
from mlc.core.intents import Mark, Plan, Skip
from mlc.core.money import MoneyError, from_decimal
from mlc.passes.scene import Scene

_CURSOR = "stripe/invoices"
_LISTING = "stripe/invoices-listing"
_OVERLAP = 3600
_RANK = {"open": 4, "paid": 4, "uncollectible": 3, "void": 2, "draft": 1, "": 0}


@dataclass(slots=True)
class SideFacts:
    """A page of invoices under our numbers that nobody knows here."""

    found: list[ProcessorInvoice] = field(default_factory=list)
    links: dict[str, Mark] = field(default_factory=dict)
    seen: int = 0  # those of other companies
    cursors: dict[str, str] = field(default_factory=dict)


def gather(scene: Scene) -> Iterator[SideFacts]:
    """Yield the invoices created at Stripe since the last run, page by page, as far as the journal does not know them."""
    cursor = scene.journal.cursor(_CURSOR)
    whole = (
        cursor is None or scene.journal.cursor(_LISTING) == "open"
    )  # an earlier listing broke off: what it noted proves nothing
    newest = int(cursor or 0)
    since = newest - _OVERLAP if cursor else scene.start_moment(margin_days=92)
    for page in scene.stripe.invoices_since(since):
        newest = max([newest, *(one.created for one in page)])
        known = scene.journal.links.by_other("invoice", [one.id for one in page])
        foreign = sum(1 for one in page if one.origin.company and one.origin.company != scene.rules.company)
        ours = [one for one in page if one.origin.company == scene.rules.company and one.origin.doc_entry is not None]
        new = [one for one in ours if one.id not in known and not _is_in_work(scene, one)]
        links = scene.journal.links.many("invoice", [str(one.origin.doc_entry) for one in new])
        yield SideFacts(new, links, foreign, {_LISTING: "open"})
        if not whole and not new and all(one.id in known for one in ours) and ours:
            break
    yield SideFacts(cursors={_CURSOR: str(newest), _LISTING: "done"})


def _is_in_work(scene: Scene, one: ProcessorInvoice) -> bool:
    """Tell whether an open intent of ours made this invoice and is not through with it: it will finish by itself."""
    turn = f"/{one.origin.installment}" if one.origin.installment else ""
    stored = scene.journal.find(scene.name("push-invoice", f"{one.origin.doc_entry}{turn}"))
    return stored is not None and stored.state == "open" and scene.journal.effect(stored, "create") is not None


def decide(scene: Scene, facts: SideFacts) -> Plan:
    """Take over what Stripe holds; two live invoices of one document are for a person to void."""
    plan = Plan(seen=facts.seen, cursors=dict(facts.cursors))
    for one in facts.found:
        _adopt(scene, one, facts, plan)
    return plan


def _adopt(scene: Scene, found: ProcessorInvoice, facts: SideFacts, plan: Plan) -> None:
    entry, turn = str(found.origin.doc_entry), found.origin.installment
    known = facts.links.get(entry)
    earlier = next((mark for mark in reversed(plan.marks) if mark.kind == "invoice" and mark.key == entry), known)
    had = int(earlier.data.get("installment") or 0) if earlier is not None else 0
    if had and turn and had != turn:
        if had > turn:
            return  # an earlier installment, which had its turn
    elif earlier is not None and _RANK.get(earlier.state, 0) >= _RANK.get(found.status, 0):
        if found.status in ("open", "paid") and earlier.other != found.id:
            both = f"{earlier.other} and {found.id}"
            text = f"Stripe holds two invoices for document {found.origin.doc_num}: {both}; void one, then dismiss this"
            about = {"doc_entry": int(entry), "invoice": found.id}
            plan.skips.append(Skip(scene.name("push-invoice", f"{entry}-{found.id}"), "conflict", text, about=about))
        return
    data = {
        "doc_num": found.origin.doc_num, "card_code": found.origin.card_code, "pushed": found.due.minor,
        "expected": found.remaining.minor, "doc_total": found.origin.doc_total, "currency": found.due.currency,
        "number": found.number, "explained": None if turn else _reduced_before(found), "installment": turn,
    }  # fmt: skip
    plan.marks.append(Mark("invoice", entry, found.id, found.status, data))
    plan.notes.append((scene.name("push-invoice", entry), f"found at Stripe: {found.id} ({found.status})"))


def _reduced_before(found: ProcessorInvoice) -> int | None:
    """Return what was taken off an invoice before it was pushed: its document's total less what Stripe asked for."""
    try:
        return from_decimal(Decimal(found.origin.doc_total), found.total.currency).minor - found.total.minor
    except (MoneyError, InvalidOperation):
        return None
