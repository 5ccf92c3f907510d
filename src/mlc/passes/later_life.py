"""The later life of a pushed invoice: what SAP did to it meanwhile, and what Stripe must be told of it.

Reads: the invoice at Stripe with its payments, our receipts and those keyed by hand, credit memos; only where SAP's balance is
    not the one that was last agreed.
Decides: void, settle, report, credit, or hold, with both figures.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta

from mlc.core.commands import CreditInvoice, ReportPayment, SettleInvoice, VoidInvoice
from mlc.core.facts import CreditMemo, Installment, Invoice, Origin, ProcessorInvoice, Receipt
from mlc.core.intents import Intent, Mark, Plan, Skip
from mlc.core.keys import marker
from mlc.core.matching import distrust
from mlc.core.money import Money, MoneyError, from_decimal
from mlc.core.reductions import new_reductions, with_rest
from mlc.passes import installments, settling
from mlc.passes.scene import Scene

_BEFORE = timedelta(days=31)  # a receipt may be dated before the invoice it pays


@dataclass(slots=True)
class LifeFacts:
    """What both sides say now about an invoice whose balance moved."""

    at_stripe: ProcessorInvoice | None = None
    receipts: list[Receipt] = field(default_factory=list)  # live ones that pay it, ours too
    memos: list[CreditMemo] = field(default_factory=list)
    unposted: int = 0  # minor units that Stripe collected for it and SAP does not hold
    plan: tuple[Installment, ...] = ()  # where one installment at a time is asked for
    taken_back: int = 0  # how much of that stood in SAP once and was cancelled there


def moved(scene: Scene, one: Invoice, link: Mark) -> bool:
    """Tell whether SAP's figure is another than the one both sides agreed on."""
    if link.state == "paid":  # paid there and open here: the money may not be posted yet, or there was none
        return not link.data.get("sap_closed") and not one.cancelled and one.balance > 0
    if link.state != "open":
        return False
    return one.cancelled or _balance(one, link.data.get("currency") or scene.currency) != link.data.get("expected")


def _balance(one: Invoice, currency: str) -> int | None:
    if one.cancelled:
        return 0
    try:
        return from_decimal(one.balance, currency).minor
    except MoneyError:
        return None


def gather(scene: Scene, invoices: dict[int, Invoice], links: dict[str, Mark], lives: dict[int, LifeFacts]) -> None:
    """Read what is needed for those invoices whose balance moved; nothing for the others."""
    changed = [one for one in invoices.values() if str(one.doc_entry) in links and moved(scene, one, links[str(one.doc_entry)])]
    if not changed:
        return
    receipts, memos = read_reductions(scene, changed)
    for one in changed:
        life = LifeFacts(scene.stripe.invoice(links[str(one.doc_entry)].other))
        if links[str(one.doc_entry)].data.get("installment"):
            life.plan = installments.read(scene, [one]).get(one.doc_entry, ())
        life.receipts, life.memos = receipts.get(one.doc_entry, []), memos.get(one.doc_entry, [])
        lives[one.doc_entry] = life
    paid = [
        part for life in lives.values() if life.at_stripe for part in life.at_stripe.payments or () if part.status == "paid"
    ]
    payments = [part.payment for part in paid if part.kind != "payment_record"]
    booked = scene.sap.receipts_by_marker([marker(one) for one in payments]) if payments else {}  # the books, not the journal
    for life in lives.values():
        parts = life.at_stripe.payments or () if life.at_stripe else ()
        for part in parts:
            if part.status == "paid" and part.kind != "payment_record":
                ours = booked.get(marker(part.payment), [])
                if all(receipt.cancelled for receipt in ours):
                    life.unposted += part.amount.minor
                    life.taken_back += part.amount.minor if ours else 0


def read_reductions(scene: Scene, invoices: Iterable[Invoice]) -> tuple[dict[int, list[Receipt]], dict[int, list[CreditMemo]]]:
    """Return DocEntry -> live receipts and credit memos that reduce these invoices."""
    wanted = {one.doc_entry: one for one in invoices}
    cards, first = sorted({one.card_code for one in wanted.values()}), min(one.doc_date for one in wanted.values())
    receipts: dict[int, list[Receipt]] = {}
    for receipt in scene.sap.receipts_of(cards, first - _BEFORE):
        for entry in {entry for entry, _ in receipt.applied if entry in wanted}:
            receipts.setdefault(entry, []).append(receipt)
    if scene.organisation is not None:
        for entry in wanted:
            receipts.setdefault(entry, []).extend(debited(scene, entry))
    memos: dict[int, list[CreditMemo]] = {}
    for memo in scene.sap.credit_memos_of(cards, first):
        for entry in memo.base_invoices:
            if entry in wanted:
                memos.setdefault(entry, []).append(memo)
    return receipts, memos


def debited(scene: Scene, entry: int) -> list[Receipt]:
    """Return what GoCardless collected for an invoice and an entry of ours settled, as receipts with negative numbers."""
    found = []
    for mark in scene.journal.links.parts_on(entry):
        if mark.state == "settled" and mark.data.get("role") == "invoice" and not mark.data.get("undone"):
            one = settling.placed(mark)
            amount = Money(one.part.amount, one.part.currency).decimal()
            found.append(
                Receipt(
                    -one.trans,
                    -one.trans,
                    one.part.card_code,
                    one.day,
                    "",
                    amount,
                    one.part.payment,
                    cancelled=False,
                    applied=((entry, amount),),
                )
            )
    return found


def _called(receipt: Receipt) -> str:
    return (
        f"journal entry {-receipt.doc_num} (GoCardless {receipt.reference})"
        if receipt.doc_num < 0
        else f"receipt {receipt.doc_num}"
    )


def decide(scene: Scene, one: Invoice, link: Mark, life: LifeFacts | None, plan: Plan) -> None:
    """Decide what Stripe must be told of an invoice, or why a person must look. Adds nothing where both sides agree."""
    wrong = distrust(_origin(scene, link), one)
    if wrong is not None:
        plan.skips.append(
            _skip(scene, one, link, "gone_from_sap", f"{link.other} at Stripe was pushed for another document: {wrong[1]}")
        )
    elif link.state in ("void", "uncollectible") and link.data.get("by") != "mlc":
        if not one.cancelled and one.balance > 0 and scene.is_local(one.currency):
            text = f"invoice {one.doc_num} is open in SAP, but its {link.other} is {link.state} at Stripe"
            plan.skips.append(_skip(scene, one, link, "voided_at_stripe", text))
    elif link.state == "paid":
        if link.data.get("sap_closed") and not one.cancelled and one.balance > 0:
            text = f"invoice {one.doc_num} was paid at Stripe and is open again in SAP with {one.balance:.2f}"
            plan.skips.append(_skip(scene, one, link, "reopened", text))
        elif (
            life is not None
            and life.at_stripe is not None
            and life.unposted == life.taken_back
            and one.balance > 0
            and not one.cancelled
        ):
            text = f"{link.other} of invoice {one.doc_num} is paid at Stripe, and {one.balance:.2f} that nothing of it explains are open in SAP"
            plan.skips.append(_skip(scene, one, link, "reopened", text))
    elif life is not None:
        _decide_moved(scene, one, link, life, plan)


def _origin(scene: Scene, link: Mark) -> Origin:
    data = link.data
    return Origin(
        scene.rules.company, int(link.key), data.get("doc_num"), data.get("card_code") or "", "", data.get("doc_total") or ""
    )


def _decide_moved(scene: Scene, one: Invoice, link: Mark, life: LifeFacts, plan: Plan) -> None:
    there = life.at_stripe
    if there is None:
        plan.skips.append(
            _skip(scene, one, link, "gone_from_stripe", f"Stripe no longer knows {link.other} of invoice {one.doc_num}")
        )
        return
    if there.status in ("void", "uncollectible", "paid") and not one.cancelled:
        plan.marks.append(_mark(link, there.status))
        if there.status != "paid":
            decide(scene, one, _mark(link, there.status), None, plan)
        return
    if one.cancelled:
        _decide_cancelled(scene, one, link, there, plan)
        return
    balance = _balance(one, scene.currency)
    if balance is None:
        plan.skips.append(
            _skip(scene, one, link, "currency", f"invoice {one.doc_num}: {one.balance} is no whole number of minor units")
        )
        return
    aside = 0
    if turn := int(link.data.get("installment") or 0):
        if not life.plan:
            text = f"invoice {one.doc_num} is asked for by installment, and what is open of each cannot be told from SAP"
            plan.skips.append(_skip(scene, one, link, "installments", text))
            return
        aside = sum(part.open or 0 for part in life.plan if part.number != turn)
    fall = there.remaining.minor - (balance - aside - life.unposted)
    if fall and turn:
        text = f"installment {turn} of invoice {one.doc_num} is asked for by {link.other} with {there.remaining}, and in SAP"
        text = f"{text} {Money(balance - aside - life.unposted, scene.currency)} of it are open; void it, then mlc replay"
        plan.skips.append(_skip(scene, one, link, "balance_unexplained", f"{text} {one.doc_num} --again asks for what is open"))
        return
    if fall == 0:
        plan.marks.append(Mark("invoice", link.key, link.other, "open", {"expected": balance}))
    elif fall < 0:
        text = f"SAP holds {Money(balance, scene.currency)} open on {one.doc_num}, Stripe asks for {there.remaining} only"
        plan.skips.append(_skip(scene, one, link, "balance_unexplained", text))
    else:
        _decide_fall(scene, one, link, life, Money(fall, scene.currency), there, plan)


def _decide_cancelled(scene: Scene, one: Invoice, link: Mark, there: ProcessorInvoice, plan: Plan) -> None:
    if there.status == "void":
        plan.marks.append(Mark("invoice", link.key, link.other, "void", {"by": "mlc"}))
        return
    if there.status == "paid" or there.remaining != there.due:
        text = f"invoice {one.doc_num} was cancelled in SAP, but {link.other} was paid at Stripe"
        plan.skips.append(_skip(scene, one, link, "payment_in_flight", text))
        return
    command = VoidInvoice(one.doc_entry, one.doc_num, link.other, f"invoice {one.doc_num} was cancelled in SAP")
    name = scene.name("void", link.other)
    plan.intents.append(Intent(name, command, f"customer/{one.card_code}", None, f"void {link.other}: {command.why}"))


def _decide_fall(
    scene: Scene, one: Invoice, link: Mark, life: LifeFacts, fall: Money, there: ProcessorInvoice, plan: Plan
) -> None:  # fmt: skip
    """Carry a fall of the balance to Stripe where receipts and credit memos explain it to the minor unit; else hold."""
    if fall.minor > there.remaining.minor:
        text = f"the balance of {one.doc_num} fell by {fall} in SAP, and Stripe asks for {there.remaining} only: {link.other} was paid there"
        text = f"{text} with money that SAP does not hold for it; was it keyed by hand? Then settle the rest at Stripe"
        plan.skips.append(_skip(scene, one, link, "balance_unexplained", text))
        return
    receipts, memos = new_reductions(one, link.data, life.at_stripe, life.receipts, life.memos, fall)
    rest = 0
    if receipts is None or memos is None:
        receipts, memos, rest = with_rest(one, link.data, life.at_stripe, life.receipts, life.memos, fall)
    if receipts is None or memos is None:
        text = f"the balance of {one.doc_num} fell by {fall} in SAP; receipts and credit memos that SAP links to it do not add up to that"
        text += "; was it written off? Then mark it uncollectible at Stripe, or void it"
        plan.skips.append(_skip(scene, one, link, "balance_unexplained", text))
        return
    lane = f"customer/{one.card_code}"
    left = there.remaining
    if rest:
        newest = memos[-1][0]
        text = f"credit memo {newest.doc_num} is {Money(rest, scene.currency)} more than was open on invoice {one.doc_num}"
        plan.notes.append((scene.name("credit", f"{one.doc_entry}-{newest.doc_entry}"), text))
    if not memos and fall == left:
        numbers = ", ".join(_called(receipt) for receipt, _ in receipts)
        settle = SettleInvoice(one.doc_entry, one.doc_num, link.other, left, f"paid in SAP by {numbers}")
        says = f"mark {link.other} as paid: invoice {one.doc_num} was paid in SAP"
        plan.intents.append(Intent(scene.name("settle", link.other), settle, lane, left, says))
        return
    for receipt, amount in receipts:
        moment = datetime.combine(receipt.doc_date, time(12), scene.rules.zone)
        paid_at = int(min(moment.timestamp(), scene.clock.now()))
        report = ReportPayment(
            one.doc_entry,
            one.doc_num,
            link.other,
            receipt.doc_num,
            amount,
            left,
            paid_at,
            f"paid in SAP by {_called(receipt)}",
        )
        name = scene.name("report-payment", f"{one.doc_entry}-{receipt.doc_entry}")
        plan.intents.append(Intent(name, report, lane, amount, f"report {amount} of invoice {one.doc_num} as paid elsewhere"))
        left -= amount
    for memo, amount in memos:
        credit = CreditInvoice(
            one.doc_entry, one.doc_num, link.other, memo.doc_num, amount, left, f"Credit memo {memo.doc_num}",
            rest if memo is memos[-1][0] and scene.rules.credit_rest == "out_of_band" else 0,
        )  # fmt: skip
        name = scene.name("credit", f"{one.doc_entry}-{memo.doc_entry}")
        plan.intents.append(Intent(name, credit, lane, amount, f"credit {amount} of invoice {one.doc_num}"))
        left -= amount


def _mark(link: Mark, state: str) -> Mark:
    return Mark("invoice", link.key, link.other, state, link.data)


def _skip(scene: Scene, one: Invoice, link: Mark, reason: str, text: str) -> Skip:
    about = {"doc_entry": one.doc_entry, "doc_num": one.doc_num, "card_code": one.card_code, "invoice": link.other}
    facts = {"balance": str(one.balance), "at": scene.clock.now()}
    return Skip(scene.name("push-invoice", one.doc_entry), reason, text, about=about, facts=facts)
