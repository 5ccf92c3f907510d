"""push-invoices: SAP invoices to Stripe, and their later life.

Reads: Stripe invoices created since the last run; SAP invoices that are open or new, by keyset pages, merged with what was pushed
    and is no longer open; the partners, lines, receipts and credit memos of what needs a decision.
Decides: what to push, with which lines; what to void, settle, report or credit; what is held and why.
Names: `<company>/push-invoice/stripe/<DocEntry>`, `.../void/...`, `.../settle/...`, `.../report-payment/...<DocEntry>-<receipt>`,
    `.../credit/...<DocEntry>-<memo>`, `.../drop-draft/...<invoice id>`, `.../customer/...<CardCode>`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from mlc.core import billing
from mlc.core.commands import DropDraft, PushInvoice, PushLine
from mlc.core.facts import CreditMemo, Installment, Invoice, Receipt
from mlc.core.inbox import DOCUMENT
from mlc.core.intents import Intent, Mark, Plan, Skip
from mlc.core.keys import metadata_key
from mlc.core.matching import total_text
from mlc.core.money import Money, MoneyError, from_decimal
from mlc.passes import credits as credits_
from mlc.passes import customers, debit_news, debtors, installments, later_life, stripe_side
from mlc.passes.credits import CreditFacts
from mlc.passes.customers import CustomerFacts
from mlc.passes.later_life import LifeFacts
from mlc.passes.scene import Scene
from mlc.passes.stripe_side import SideFacts
from mlc.store.held import Held

NAME = "push-invoices"
_SCANNED = "sap/invoices-scanned"
_CHANGED = "sap/invoices-changed"
_RESCAN = 3600.0
_LOOK_AGAIN = 6 * 3600.0


@dataclass(slots=True)
class PushFacts:
    """One page of SAP invoices with everything needed to decide about them."""

    invoices: dict[int, Invoice] = field(default_factory=dict)
    gone: list[Mark] = field(default_factory=list)  # pushed, and SAP no longer knows them
    links: dict[str, Mark] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    held: dict[str, Held] = field(default_factory=dict)
    customers: CustomerFacts = field(default_factory=CustomerFacts)
    receipts: dict[int, list[Receipt]] = field(default_factory=dict)
    memos: dict[int, list[CreditMemo]] = field(default_factory=dict)
    balances: dict[str, int] = field(default_factory=dict)  # Stripe customer -> balance, where one was in the way
    lives: dict[int, LifeFacts] = field(default_factory=dict)
    calm: dict[int, Held] = field(default_factory=dict)  # held, and nothing has moved since
    mandates: dict[str, str] = field(default_factory=dict)  # CardCode -> the mandate by which GoCardless may collect
    named: dict[int, str] = field(default_factory=dict)  # DocEntry -> the payment of GoCardless that names the invoice
    read_at: float = 0.0
    today: date = date.min
    plans: dict[int, tuple[Installment, ...]] = field(default_factory=dict)  # of invoices with several installments
    seen: int = 0
    cursors: dict[str, str] = field(default_factory=dict)
    ready: Plan | None = None


Facts = PushFacts | CreditFacts | SideFacts


class PushInvoices:
    """The pass."""

    name = NAME

    def __init__(self, scene: Scene, *, only: Iterable[int] | None = None, insist: bool = False) -> None:
        """`only` limits the pass to some documents; with `insist` a person wants them anew, whatever became of them before."""
        self.scene = scene
        self._only = sorted(set(only)) if only is not None else None
        self._insist = insist
        self.partial = only is not None or scene.since is not None
        self.expected: int | None = None
        self._customers_read = False
        self._waiting: dict[int, list[Held]] = {}
        self._named: dict[tuple[str, int], str] = {}
        self._turns: dict[int, str] = {}  # DocEntry -> the name of the wish for its next installment

    # --- gather -----------------------------------------------------------------------------------------------------

    def gather(self) -> Iterator[Facts]:
        """Yield what exists at Stripe already, then SAP's invoices page by page."""
        scene, self._customers_read = self.scene, False
        if scene.organisation is not None:
            debit_news.catch_up(scene, NAME)
            self._named = debtors.named_invoices(scene)
        yield from stripe_side.gather(scene)
        if self._only is not None:
            self._read_waiting()
            yield self._facts(scene.sap.invoices(self._only), [])
            return
        self._read_waiting()
        for stored in scene.journal.opened(NAME, begun=False):
            if isinstance(stored.command, PushInvoice):
                self._waiting.setdefault(stored.command.doc_entry, [])
        above = int(scene.journal.cursor(_SCANNED) or 0)
        low = 0
        if scene.watched:
            self.expected = scene.sap.how_many(scene.start, above, scene.rules.invoice_filter)
        for page in scene.sap.open_invoices(scene.start, above, scene.rules.invoice_filter):
            high = page[-1].doc_entry
            yield from self._batch(page, low, high)
            low = high
        yield from self._batch([], low, None)
        yield from self._changed()
        yield from credits_.gather(scene)
        yield PushFacts(cursors={_SCANNED: str(max(low, above))})

    def _read_waiting(self) -> None:
        self._waiting = {}
        for held in self.scene.journal.held.all(pass_=NAME, dismissed=True):
            if str(held.about.get("doc_entry", "")).isdigit():
                self._waiting.setdefault(int(held.about["doc_entry"]), []).append(held)

    def _changed(self) -> Iterator[PushFacts]:
        """Once an hour, or when SAP says so, look at what is closed and was changed: closed with a balance is still owed."""
        scene, now = self.scene, self.scene.clock.now()
        last = float(scene.journal.cursor(_CHANGED) or 0)
        if last and 0 <= now - last < _RESCAN and not scene.journal.inbox.waits(DOCUMENT):
            return
        if last:  # the first run has just read everything
            for page in scene.sap.changed_invoices(
                scene.start, scene.day_of(last) - timedelta(days=1), scene.rules.invoice_filter
            ):
                yield self._facts({one.doc_entry: one for one in page}, [])
        yield PushFacts(cursors={_CHANGED: str(now)})

    def _batch(self, page: list[Invoice], low: int, high: int | None) -> Iterator[PushFacts]:
        """Yield a page with what else lies between its first and last document: pushed or held, and no longer open."""
        invoices = {one.doc_entry: one for one in page}
        pushed = self.scene.journal.links.between("invoice", "open", low, high)
        absent = {int(mark.key): mark for mark in pushed if int(mark.key) not in invoices}
        wanted = set(absent) | {entry for entry in self._waiting if low < entry <= (high or entry) and entry not in invoices}
        order = sorted(wanted)
        for start in range(0, max(len(order), 1), 200):
            part = order[start : start + 200]
            read = self.scene.sap.invoices(part) if part else {}
            gone = [absent[entry] for entry in part if entry in absent and entry not in read]
            whole = {**invoices, **read} if start == 0 else read
            if whole or gone:
                yield self._facts(whole, gone)

    def _facts(self, invoices: dict[int, Invoice], gone: list[Mark]) -> PushFacts:
        scene = self.scene
        facts = PushFacts(
            invoices=invoices, gone=gone, read_at=scene.clock.now(), today=scene.today, seen=len(invoices) + len(gone)
        )
        facts.links = scene.journal.links.many("invoice", map(str, invoices))
        facts.states = scene.journal.states([scene.name("push-invoice", entry) for entry in invoices])
        facts.held = {held.name: held for entry in invoices for held in self._waiting.get(entry, [])}
        fresh = [entry for entry, one in invoices.items() if self._is_candidate(one, facts)]
        if fresh:
            self._read_candidates(fresh, facts)
        facts.calm = {entry: held for entry in invoices if (held := self._calm(entry, facts)) is not None}
        moved = {entry: one for entry, one in facts.invoices.items() if entry not in facts.calm}
        later_life.gather(scene, moved, facts.links, facts.lives)
        return facts

    def _calm(self, entry: int, facts: PushFacts) -> Held | None:
        """Return what is held of an invoice where neither SAP's figure moved nor much time passed: Stripe need not be asked again."""
        held = facts.held.get(self.scene.name("push-invoice", entry))
        if held is None or held.reason not in ("balance_unexplained", "reopened") or self._only is not None:
            return None
        same = held.facts.get("balance") == str(facts.invoices[entry].balance) and not facts.invoices[entry].cancelled
        return held if same and 0 <= facts.read_at - float(held.facts.get("at", 0)) < _LOOK_AGAIN else None

    def _is_candidate(self, one: Invoice, facts: PushFacts) -> bool:
        link = facts.links.get(str(one.doc_entry))
        if one.cancelled or one.doc_date < self.scene.start or one.balance <= 0:
            return False
        if self._insist:
            return link is None or link.state != "open"
        if link is not None and self._in_turn(link):
            return True
        if link is not None and link.state != "draft":
            return False
        return facts.states.get(self.scene.name("push-invoice", one.doc_entry)) in (None, "", "refused", "promised", "open")

    def _in_turn(self, link: Mark) -> bool:
        """Tell whether an installment of it was paid at Stripe, so that the next one may be asked for."""
        return link.state == "paid" and bool(link.data.get("installment")) and self.scene.rules.installments == "next_due"

    def _wish(self, entry: int, facts: PushFacts) -> str:
        """Return the name of the wish that an invoice, or its next installment, is pushed."""
        turn = installments.next_due(facts.plans.get(entry, ()))
        return self.scene.name("push-invoice", f"{entry}/{turn.number}" if turn is not None else entry)

    def _goes_on(self, one: Invoice, link: Mark, facts: PushFacts) -> bool:
        """Tell whether SAP shows the installment that was paid at Stripe as paid, and another one is open."""
        then = installments.next_due(facts.plans.get(one.doc_entry, ()))
        return self._in_turn(link) and then is not None and then.number > int(link.data["installment"])

    def _read_candidates(self, fresh: list[int], facts: PushFacts) -> None:
        scene = self.scene
        facts.invoices.update(scene.sap.invoices(fresh, whole=True))
        cards = [facts.invoices[entry].card_code for entry in fresh if entry in facts.invoices]
        if scene.organisation is not None:
            facts.mandates = debtors.collected_elsewhere(scene, cards) if not scene.rules.also_with_mandate else {}
            facts.named = {
                entry: payment
                for entry, one in ((entry, facts.invoices[entry]) for entry in fresh if entry in facts.invoices)
                if (payment := self._named.get(("doc_entry", entry)) or self._named.get(("doc_num", one.doc_num)))
            }
        known = customers.linked(scene, cards)
        if not self._customers_read and len(known) < len(set(cards)):
            for plan in customers.read_new_customers(scene):
                scene.journal.accept(plan, NAME)  # what was read, no promise: a dry run may note it too
            self._customers_read = True
        facts.customers = customers.customer_facts(scene, cards)
        reduced = [facts.invoices[entry] for entry in fresh if entry in facts.invoices and facts.invoices[entry].paid > 0]
        if reduced:
            facts.receipts, facts.memos = later_life.read_reductions(scene, reduced)
        if scene.rules.installments == "next_due":
            facts.plans = installments.read(scene, [facts.invoices[entry] for entry in fresh if entry in facts.invoices])
            for entry in facts.plans:
                name = self._turns[entry] = self._wish(entry, facts)
                facts.states[scene.name("push-invoice", entry)] = scene.journal.states([name]).get(name, "")
        for held in facts.held.values():
            if held.reason == "customer_balance":
                self._read_balance(facts.invoices[int(held.about["doc_entry"])].card_code, facts)

    def _read_balance(self, card: str, facts: PushFacts) -> None:
        link = facts.customers.linked.get(card)
        if link is not None and link.other not in facts.balances:
            customer = self.scene.stripe.customer(link.other)
            facts.balances[link.other] = customer.balance if customer else 0

    # --- decide -----------------------------------------------------------------------------------------------------

    def decide(self, facts: Facts) -> Plan:
        """Turn one page into a plan."""
        if isinstance(facts, CreditFacts):
            return credits_.decide(self.scene, facts)
        if isinstance(facts, SideFacts):
            return stripe_side.decide(self.scene, facts)
        plan = Plan(seen=facts.seen, cursors=dict(facts.cursors))
        for mark in facts.gone:
            name = self.scene.name("push-invoice", mark.key)
            text = f"invoice {mark.data.get('doc_num')} was pushed as {mark.other}, and SAP no longer knows it"
            plan.skips.append(Skip(name, "gone_from_sap", text, about={"doc_entry": int(mark.key), "invoice": mark.other}))
        for one in sorted(facts.invoices.values(), key=lambda invoice: invoice.doc_entry):
            link = facts.links.get(str(one.doc_entry))
            if (
                link is not None
                and link.state != "draft"
                and not ((self._insist and self._is_candidate(one, facts)) or self._goes_on(one, link, facts))
            ):
                self._decide_pushed(one, link, facts, plan)
            else:
                self._decide_new(one, link, facts, plan)
        return plan

    def _decide_pushed(self, one: Invoice, link: Mark, facts: PushFacts, plan: Plan) -> None:
        life = facts.lives.get(one.doc_entry)
        if one.doc_entry in facts.calm:
            held = facts.calm[one.doc_entry]
            plan.skips.append(Skip(held.name, held.reason, held.text, about=held.about, facts=held.facts))
            return
        self._note_due(one, link, plan)
        before = len(plan.skips) + len(plan.intents)
        later_life.decide(self.scene, one, link, life, plan)
        if len(plan.skips) + len(plan.intents) == before:
            plan.unchanged += 1
        wished = {skip.name for skip in plan.skips} | {intent.name for intent in plan.intents}
        waiting = [held for held in self._waiting.get(one.doc_entry, []) if held.name not in wished]
        plan.healed += [held.name for held in waiting if held.reason != "conflict"]  # a second invoice is for a person to void

    def _note_due(self, one: Invoice, link: Mark, plan: Plan) -> None:
        """Tell in the trail that SAP's due date changed: what Stripe shows on a finalized invoice stays as it is."""
        said, now = link.data.get("sap_due"), one.due_date.isoformat()
        if link.state != "open" or link.data.get("installment") or said == now:
            return
        plan.marks.append(Mark("invoice", link.key, data={"sap_due": now}))
        if said:
            text = f"the due date of invoice {one.doc_num} changed in SAP from {said} to {now}; {link.other} keeps the date it was sent with"
            plan.notes.append((self.scene.name("push-invoice", one.doc_entry), text))

    def _decide_new(self, one: Invoice, link: Mark | None, facts: PushFacts, plan: Plan) -> None:
        name = self.scene.name("push-invoice", one.doc_entry)
        if not self._is_candidate(one, facts):
            plan.unchanged += 1
            if name in facts.held and (one.cancelled or one.balance <= 0):
                plan.healed.append(name)
            return
        held = facts.held.get(self._wish(one.doc_entry, facts)) or facts.held.get(name)
        if facts.states.get(name) == "refused" and held is None and self._only is None:
            plan.unchanged += 1  # refused by Stripe: `mlc replay` when the cause is gone
            return
        skip = self._why_not(one, held, facts)
        if skip is not None:
            plan.skips.append(skip)
            return
        if link is not None and link.state == "draft":  # a draft that an earlier attempt left behind
            drop = DropDraft(one.doc_entry, link.other)
            says = f"delete the draft {link.other}"
            plan.intents.append(Intent(self.scene.name("drop-draft", link.other), drop, self._lane(one), says=says, anew=True))
        customer = customers.ensure(
            self.scene.rules.company, self.scene.name("customer", one.card_code), one.card_code, facts.customers
        )
        if isinstance(customer, Skip):
            plan.skips.append(self._skip(one, "no_customer", customer.text))
            return
        if customer is not None and all(known.name != customer.name for known in plan.intents):
            plan.intents.append(customer)
        plan.intents.append(self._push(one, facts, self._wish(one.doc_entry, facts)))

    def _why_not(self, one: Invoice, held: Held | None, facts: PushFacts) -> Skip | None:
        scene = self.scene
        if not scene.is_local(one.currency):
            return self._skip(
                one, "currency", f"invoice {one.doc_num} is in {one.currency}; only {scene.currency} is posted back yet"
            )
        try:
            balance = from_decimal(one.balance, scene.currency)
            from_decimal(one.total, scene.currency)
        except MoneyError as error:
            return self._skip(one, "currency", f"invoice {one.doc_num}: {error}")
        turn = installments.next_due(facts.plans.get(one.doc_entry, ()))
        refused = billing.refuse_amount(Money(turn.open or 0, scene.currency) if turn is not None else balance)
        if refused is not None:
            return self._skip(one, refused[0], f"invoice {one.doc_num}: {refused[1]}", balance)
        if one.installments > 1 and scene.rules.installments == "hold":
            return self._skip(one, "installments", f"invoice {one.doc_num} is due in {one.installments} installments", balance)
        if one.installments > 1 and scene.rules.installments == "next_due" and not facts.plans.get(one.doc_entry):
            text = f"invoice {one.doc_num} is due in {one.installments} installments, and what is open of each cannot be told from SAP"
            return self._skip(one, "installments", text, balance)
        if held is not None and held.reason == "balance_differs" and held.amount == balance and self._only is None:
            return self._skip(one, held.reason, held.text, balance)
        elsewhere = facts.named.get(one.doc_entry) or facts.mandates.get(one.card_code)
        if elsewhere:
            text = f"invoice {one.doc_num} of {one.card_code} is collected by GoCardless ({elsewhere}): Stripe is not asked for it too"
            return self._skip(one, "collected_elsewhere", text, balance)
        link = facts.customers.linked.get(one.card_code)
        if link is not None and facts.balances.get(link.other):
            return self._skip(
                one, "customer_balance", held.text if held else f"the customer {link.other} has a balance", balance
            )
        return None

    def _skip(self, one: Invoice, reason: str, text: str, amount: Money | None = None) -> Skip:
        about = {"doc_entry": one.doc_entry, "doc_num": one.doc_num, "card_code": one.card_code}
        return Skip(
            self._turns.get(one.doc_entry) or self.scene.name("push-invoice", one.doc_entry),
            reason,
            text,
            amount=amount,
            about=about,
        )

    def _lane(self, one: Invoice) -> str:
        return f"customer/{one.card_code}"

    def _push(self, one: Invoice, facts: PushFacts, name: str) -> Intent:
        scene = self.scene
        balance = from_decimal(one.balance, scene.currency)
        reduced = billing.reductions(
            one, scene.currency, facts.receipts.get(one.doc_entry, []), facts.memos.get(one.doc_entry, [])
        )
        turn = installments.next_due(facts.plans.get(one.doc_entry, ()))
        asked, in_sap = (Money(turn.open or 0, scene.currency), turn.due) if turn is not None else (balance, one.due_date)
        lines = billing.push_lines(one, scene.currency, balance, reduced)
        if turn is not None:
            lines = (PushLine(f"Installment {turn.number} of {one.installments} of invoice {one.doc_num}", asked),)
        due = max(in_sap, facts.today + timedelta(days=scene.rules.min_days_due))
        reference = f", your reference {one.customer_reference}" if one.customer_reference else ""
        command = PushInvoice(
            company=scene.rules.company, key=metadata_key(name), doc_entry=one.doc_entry, doc_num=one.doc_num, card_code=one.card_code,
            amount=asked, doc_total=total_text(one), due_at=int(datetime.combine(due, time(12), scene.rules.zone).timestamp()),
            description=f"Invoice {one.doc_num} of {one.doc_date}, due {in_sap}{reference}",
            lines=lines, explained=sum(part.amount.minor for part in reduced),
            read_at=facts.read_at, run_id=scene.journal.run_id, mail=scene.rules.mail,
            due_in_sap=in_sap.isoformat(), installment=turn.number if turn is not None else 0, aside=balance.minor - asked.minor,
        )  # fmt: skip
        says = f"push invoice {one.doc_num} of {one.card_code}"
        return Intent(name, command, self._lane(one), asked, says, anew=self._insist)
