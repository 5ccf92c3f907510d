"""What `mlc held match` does: keep a person's decision about a payment or a customer, and send the thing down the road once more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlc.cli.holding import who
from mlc.cli.passes import run_one
from mlc.core.errors import ConfigError
from mlc.core.intents import Mark, Plan
from mlc.engine.road import Options
from mlc.passes.parked import subject as parked_subject
from mlc.passes.post_payments import NAME as POST
from mlc.passes.post_payments import PostPayments
from mlc.passes.reconcile_payouts import NAME as RECONCILE
from mlc.passes.reconcile_payouts import ReconcilePayouts

if TYPE_CHECKING:
    from mlc.cli.session import Session
    from mlc.store.held import Held
    from mlc.wiring import OpenTenant

ACCOUNT = "account"  # in place of an invoice number: the rest, or all, on account


def match_in(session: Session, opened: OpenTenant, wish: str, words: list[str], *, dry_run: bool) -> list[bool]:
    """Decide in one tenant; an empty answer means that nothing of the kind is held there."""
    session.voice.asked = True
    items = opened.journal.held.search(wish)
    customers = [one for one in items if "/link-customer/" in one.name]
    if customers:
        _link(session, opened, customers[0], words, dry_run=dry_run)
        return [True]
    items = [one for one in items if one.about.get("payment")]
    posted = [one for one in items if "/post-payment/" in one.name]
    if posted:
        payment = str(posted[0].about["payment"])
        entries = entries_of(opened, words)
        _keep(opened, payment, {"invoices": entries, "numbers": words}, dry_run=dry_run)
        post = PostPayments(opened.scene(), only=[payment], decided={payment: entries})
        session.codes.append(run_one(session, opened, POST, Options(dry_run=dry_run, first_run=True), None, post))
        return [True]
    collected = [one for one in items if "/payout-line/" in one.name or "/parked/" in one.name]
    if collected:
        _collected(session, opened, collected[0], words, dry_run=dry_run)
        return [True]
    return []


def _collected(session: Session, opened: OpenTenant, item: Held, words: list[str], *, dry_run: bool) -> None:
    payment, payout = str(item.about["payment"]), str(item.about["payout"])
    numbers = [word for word in words if word.lower() != ACCOUNT]
    on_account = len(numbers) < len(words)
    decision: dict[str, Any] = {"invoices": entries_of(opened, numbers), "numbers": words}
    if on_account:
        decision["account"] = True
    subject = parked_subject(payout, payment) if "/parked/" in item.name else payment
    _keep(opened, subject, decision, dry_run=dry_run)
    pass_ = ReconcilePayouts(opened.scene(), only=[payout], decided={subject: decision})
    session.codes.append(run_one(session, opened, RECONCILE, Options(dry_run=dry_run, first_run=True), None, pass_))


def _link(session: Session, opened: OpenTenant, item: Held, words: list[str], *, dry_run: bool) -> None:
    customer = str(item.about["customer"])
    if len(words) != 1 or words[0] not in opened.sap.partners(words):
        raise ConfigError(f"SAP has no business partner {' '.join(words)}", hint=f"mlc held match {customer} CARDCODE")
    if dry_run:
        session.voice.say(f"{customer} would be linked to {words[0]}")
        return
    opened.journal.decide(customer, {"card_code": words[0]}, who())
    plan = Plan(marks=[Mark("gc-customer", customer, words[0], "linked", {"by": "person"})], healed=[item.name])
    opened.journal.accept(plan, item.pass_)
    session.voice.say(f"{opened.tenant.name}: {customer} is linked to {words[0]}")


def _keep(opened: OpenTenant, subject: str, decision: dict[str, Any], *, dry_run: bool) -> None:
    if not dry_run:
        opened.journal.decide(subject, decision, who())


def entries_of(opened: OpenTenant, numbers: list[str]) -> list[int]:
    """Return the DocEntries of invoice numbers; a number that several series use must be given as docentry:N."""
    entries = []
    for number in numbers:
        if number.lower().startswith("docentry:") and number[9:].isdigit():
            if not opened.sap.invoices([int(number[9:])]):
                raise ConfigError(f"SAP has no invoice with DocEntry {number[9:]}", hint="mlc held match PAYMENT DOCNUM")
            entries.append(int(number[9:]))
            continue
        if not number.isdigit():
            raise ConfigError(f"{number} is no invoice number", hint="give DocNum as SAP shows it, or docentry:N")
        found = [one for one in opened.sap.invoices_by_number([int(number)]) if not one.cancelled]
        if len(found) != 1:
            which = ", ".join(f"docentry:{one.doc_entry} ({one.card_code}, {one.doc_date})" for one in found) or "none"
            raise ConfigError(
                f"SAP has {len(found)} invoices with the number {number}: {which}",
                hint="give the one that is meant as docentry:N",
            )
        entries.append(found[0].doc_entry)
    return entries
