"""Credit memos for invoices that were paid at Stripe: where the configuration says so, Stripe gets a credit note out of band.

Reads: credit memos changed since the last look (once an hour), the invoices at Stripe they are about. Decides: what Stripe is told.
Names: `<company>/credit/stripe/<DocEntry>-<memo>`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from mlc.core.commands import CreditInvoice
from mlc.core.facts import CreditMemo, ProcessorInvoice
from mlc.core.intents import Intent, Mark, Plan, Skip
from mlc.core.matching import plain
from mlc.core.money import Money, MoneyError, from_decimal
from mlc.passes.scene import Scene

_CURSOR = "sap/credit-memos"
_PAUSE = 3600.0


@dataclass(slots=True)
class CreditFacts:
    """A page of credit memos for invoices that are paid at Stripe."""

    memos: list[CreditMemo] = field(default_factory=list)
    links: dict[str, Mark] = field(default_factory=dict)  # DocEntry of the invoice -> link
    there: dict[str, ProcessorInvoice | None] = field(default_factory=dict)
    notes: dict[str, list[tuple[str, Money]]] = field(default_factory=dict)  # invoice -> its credit notes at Stripe
    back: set[str] = field(default_factory=set)  # invoices of which money went back at Stripe
    cursors: dict[str, str] = field(default_factory=dict)


def gather(scene: Scene) -> Iterator[CreditFacts]:
    """Yield what is new, page by page; nothing where the configuration leaves the rest of a paid invoice alone."""
    now = scene.clock.now()
    last = float(scene.journal.cursor(_CURSOR) or 0)
    if scene.rules.credit_rest != "out_of_band" or (last and 0 <= now - last < _PAUSE):
        return
    since = scene.day_of(last) - timedelta(days=1) if last else scene.rules.start
    for page in scene.sap.changed_credit_memos(since):
        single = [one for one in page if not one.cancelled and len(one.base_invoices) == 1]
        links = scene.journal.links.many("invoice", [str(one.base_invoices[0]) for one in single])
        facts = CreditFacts([one for one in single if _is_news(one, links)], links)
        for one in facts.memos:
            invoice = links[str(one.base_invoices[0])].other
            facts.there[invoice] = scene.stripe.invoice(invoice)
            facts.notes[invoice] = scene.stripe.credit_notes(invoice)
            found = facts.there[invoice]
            paid = [part.payment for part in found.payments or ()] if found is not None else []
            if any(scene.journal.links.find("reversal", "payment", one) for one in paid if one):
                facts.back.add(invoice)
        yield facts
    yield CreditFacts(cursors={_CURSOR: str(now)})


def _is_news(one: CreditMemo, links: dict[str, Mark]) -> bool:
    link = links.get(str(one.base_invoices[0]))
    return link is not None and link.state == "paid" and f"memos_{one.doc_num}" not in link.data


def decide(scene: Scene, facts: CreditFacts) -> Plan:
    """Tell Stripe of each memo out of band, as far as Stripe collected the money; else hold."""
    plan = Plan(seen=len(facts.memos), cursors=dict(facts.cursors))
    wished: dict[str, int] = {}  # what this page credits already
    for memo in facts.memos:
        link = facts.links[str(memo.base_invoices[0])]
        there, number = facts.there.get(link.other), link.data.get("doc_num")
        name = scene.name("credit", f"{link.key}-{memo.doc_entry}")
        try:
            amount = from_decimal(memo.total, scene.currency)
        except MoneyError as error:
            plan.skips.append(Skip(name, "currency", f"credit memo {memo.doc_num}: {error}"))
            continue
        if there is None or there.status != "paid" or there.remaining:
            continue  # the push pass looks after what is still open there
        notes = facts.notes.get(link.other, [])
        if any(number_ == str(memo.doc_num) for number_, _ in notes):
            plan.marks.append(Mark("invoice", link.key, data={f"memos_{memo.doc_num}": amount.minor}))
            continue  # told already: the state that knew of it is lost
        lowered = there.origin.doc_total != plain(there.total)
        if lowered or link.other in facts.back:
            why = "what was asked for may have been lowered by it" if lowered else "money of it went back at Stripe"
            plan.notes.append((name, f"credit memo {memo.doc_num} of the paid invoice {number} is not told to Stripe: {why}"))
            plan.marks.append(Mark("invoice", link.key, data={f"memos_{memo.doc_num}": 0}))
            continue
        taken = sum(noted.minor for _, noted in notes) + wished.get(link.other, 0)
        left = Money(there.total.minor - taken, amount.currency)
        about = {"doc_entry": int(link.key), "doc_num": number, "invoice": link.other, "card_code": memo.card_code}
        if amount > left:
            text = f"credit memo {memo.doc_num} over {amount} is more than is left to credit on {link.other} of invoice {number} ({left})"
            plan.skips.append(Skip(name, "amount_mismatch", text, amount=amount, about=about))
            continue
        wished[link.other] = wished.get(link.other, 0) + amount.minor
        nothing = Money(0, amount.currency)
        command = CreditInvoice(
            int(link.key), number or 0, link.other, memo.doc_num, nothing, nothing, f"Credit memo {memo.doc_num}", amount.minor
        )
        says = f"tell Stripe of credit memo {memo.doc_num} for the paid invoice {number}"
        plan.intents.append(Intent(name, command, f"customer/{memo.card_code}", amount, says))
    return plan
