"""What becomes of each payment: posted on which invoices, taken as posted already, held with a reason, or nothing of ours."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from decimal import Decimal

from mlc.core import codec
from mlc.core.commands import After, PostPayment
from mlc.core.facts import Paid, Payment, Receipt
from mlc.core.intents import Adoption, Intent, Mark, Plan, Skip
from mlc.core.intents import Receipt as Proof
from mlc.core.keys import marker
from mlc.core.matching import Match, NoMatch, Shelf, is_foreign, match_payment, named_entries
from mlc.core.money import MoneyError, from_decimal, to_stripe
from mlc.passes import installments
from mlc.passes.post_facts import NEIGHBOUR_DAYS, PostFacts, PostReader
from mlc.passes.scene import Scene

_NOISE = Decimal("0.0001")  # SAP's sums are doubles
_PENDING = ("processing", "requires_capture", "pending")
_OVER = ("requires_payment_method", "requires_confirmation", "requires_action", "canceled", "failed")


class Posting:
    """The decision about a batch of payments; nothing is read here."""

    def __init__(self, scene: Scene, reader: PostReader) -> None:
        """`reader` knows which payments count for this run, and which of them a person insists on."""
        self.scene = scene
        self._reader = reader

    def decide(self, facts: PostFacts) -> Plan:
        """Turn one batch into a plan; the order in which Stripe told of the payments never matters."""
        plan = Plan(seen=facts.seen, events=list(facts.events), cursors=dict(facts.cursors), notes=list(facts.notes))
        plan.marks += facts.invoice_states
        shelf = (
            Shelf(self.scene.rules.company, self.scene.currency, facts.invoices, dict(facts.taken)) if facts.payments else None
        )
        for one in sorted(facts.payments.values(), key=lambda payment: (payment.created, payment.id)):
            assert shelf is not None
            self._decide(one, facts, shelf, plan)
        return plan

    def _is_insisted(self, one: Payment) -> bool:
        return one.id in self._reader.insist

    def _decide(self, one: Payment, facts: PostFacts, shelf: Shelf, plan: Plan) -> None:
        name = self.scene.name("post-payment", one.id)
        skip = self._standing(one, name, facts, plan)
        if skip is None:
            skip = self._post(one, name, facts, shelf, plan)
        if isinstance(skip, Skip):
            plan.skips.append(skip)
            plan.marks += _stripe_states(one)

    def _standing(self, one: Payment, name: str, facts: PostFacts, plan: Plan) -> Skip | str | None:
        """Deal with what needs no posting; None where the payment is money that must be posted."""
        stands = [receipt for receipt in facts.receipts.get(marker(one.id), []) if not receipt.cancelled]
        if one.status in _OVER and stands and not is_foreign(one, self.scene.rules.company):
            return self._adopt(one, name, stands, plan)  # it was posted, and came back: what went back is decided by itself
        if one.status in _PENDING:
            plan.marks.append(Mark("payment", one.id, "", "pending", {"created": one.created}))
            plan.unchanged += 1
            return "pending"
        if (
            one.status in _OVER
            or is_foreign(one, self.scene.rules.company)
            or (one.status == "succeeded" and not self._reader.counts(one))
        ):
            plan.unchanged += 1
            left_out = self.scene.since is not None and one.status == "succeeded"  # out of sight of this run only
            if name in facts.known and not left_out:
                plan.healed.append(name)
            return "nothing to post"
        if one.status != "succeeded":
            return self._skip(one, name, "unknown_status", f"{one.id} has a status mlc does not know: {one.status!r}")
        booked = facts.receipts.get(marker(one.id), [])
        live = [receipt for receipt in booked if not receipt.cancelled]
        if live:
            return self._adopt(one, name, live, plan)
        if booked and one.refunded >= to_stripe(one.amount) and one.id not in facts.booked_back:
            plan.notes.append((name, f"the receipt of {one.id} was cancelled in SAP, and all of it was refunded at Stripe"))
            plan.marks.append(_posted(one, booked[-1], "cancelled"))
            plan.unchanged += 1
            plan.healed += [name] if name in facts.known else []
            return "refunded"
        if not booked and one.id in facts.posted and not self._is_insisted(one):
            text = f"{one.id} was posted, and SAP no longer knows its receipt: was the company restored? mlc replay {one.id} --again"
            return self._skip(one, name, "gone_from_sap", f"{text} books it anew")
        if booked and not self._is_insisted(one):
            text = f"receipt {booked[-1].doc_num} for {one.id} was cancelled in SAP"
            if one.id in facts.booked_back:
                text += ", and what went back of it is booked there too: the money is taken back twice, undo one of both"
            return self._skip(one, name, "cancelled_in_sap", text, (str(booked[-1].doc_num),))
        if marker(one.id) in facts.drafts:
            text = f"an approval procedure in SAP keeps the payment as draft {facts.drafts[marker(one.id)]}; approve or reject it there"
            return self._skip(one, name, "awaiting_approval", text)
        return None

    def _adopt(self, one: Payment, name: str, live: list[Receipt], plan: Plan) -> Skip | str:
        """Take a document found under our mark as the receipt, if it is what would have been posted."""
        receipt = live[0]
        wrong = self._differs(one, live)
        if wrong:
            return self._skip(
                one, name, "marker_mismatch", f"receipt {receipt.doc_num} carries the mark of {one.id} but {wrong}"
            )
        posted = _posted(one, receipt, "posted")
        command = PostPayment(one.id, marker(one.id), receipt.card_code, one.amount, "", receipt.doc_date, (), None, "adopted")
        intent = Intent(
            name,
            command,
            f"customer/{receipt.card_code}",
            one.amount,
            f"found {one.id} as receipt {receipt.doc_num}",
            anew=True,
        )
        proof = Proof("sap", "IncomingPayment", str(receipt.doc_entry), str(receipt.doc_num))
        plan.adopted.append(Adoption(intent, proof, (posted, *_stripe_states(one, {entry for entry, _ in receipt.applied}))))
        plan.unchanged += 1
        return "adopted"

    def _differs(self, one: Payment, live: list[Receipt]) -> str:
        if len(live) > 1:
            return f"there are {len(live)} of them: {', '.join(str(receipt.doc_num) for receipt in live)}"
        receipt = live[0]
        try:
            total = from_decimal(receipt.total, one.amount.currency)
        except MoneyError as error:
            return str(error)
        if total != one.amount:
            return f"is over {total}, not {one.amount}"
        if not self.scene.is_local(receipt.currency) or one.amount.currency != self.scene.currency:
            return f"is in {receipt.currency or self.scene.currency}"
        cards = {part.origin.card_code for part in one.paid if part.origin.company == self.scene.rules.company}
        return f"belongs to {receipt.card_code}" if cards and receipt.card_code not in cards else ""

    def _post(self, one: Payment, name: str, facts: PostFacts, shelf: Shelf, plan: Plan) -> Skip | str:
        scene = self.scene
        if one.amount.currency != scene.currency:
            return self._skip(
                one, name, "currency", f"{one.id} is in {one.amount.currency}; only {scene.currency} is posted yet"
            )
        twice = self._paid_twice(one, facts, shelf, plan)
        result = twice or match_payment(one, shelf, facts.decisions.get(one.id))
        if isinstance(result, NoMatch):
            result = self._unmatched(one, result, facts, shelf)
        if isinstance(result, NoMatch):
            return self._skip(one, name, result.reason, result.text, result.candidates)
        if any(not scene.is_local(facts.invoices[part.doc_entry].currency) for part in result.allocations):
            return self._skip(one, name, "currency", f"{one.id} pays an invoice that is not in {scene.currency}")
        twin = self._twin(one, result.card_code, facts)
        if twin is not None and not self._is_insisted(one) and one.id not in facts.decisions:
            text = f"receipt {twin.doc_num} of {twin.doc_date} over the same sum stands in SAP for {twin.card_code}: is it {one.id}?"
            return self._skip(one, name, "maybe_booked", text, (str(twin.doc_num),))
        assert one.succeeded_at is not None
        day = scene.posting_day(scene.day_of(one.succeeded_at), facts.periods)
        if day is None:
            return self._skip(
                one, name, "closed_period", f"the posting period of {scene.day_of(one.succeeded_at)} is closed in SAP"
            )
        if facts.account is None or not (facts.account.active and facts.account.postable):
            return self._skip(
                one, name, "account", f"the clearing account {scene.rules.account(scene.currency)} cannot be posted to in SAP"
            )
        parts = installments.spread(result.allocations, facts.plans, shelf.used)
        if parts is None:
            text = f"{one.id} pays an invoice in installments, and what is open of each cannot be told from SAP"
            return self._skip(one, name, "installments", text)
        shelf.take(result)
        result = replace(result, allocations=parts)
        plan.intents.append(self._intent(one, name, result, day, facts, shelf))
        return "posted"

    def _paid_twice(self, one: Payment, facts: PostFacts, shelf: Shelf, plan: Plan) -> Match | None:
        """Return the payment on account, and list it, where GoCardless had collected every invoice that it names."""
        entries = named_entries(one, shelf.company)
        invoices = [shelf.invoices[entry] for entry in entries if entry in shelf.invoices and entry in facts.debited]
        if (
            not entries
            or len(invoices) != len(entries)
            or one.id in facts.decisions
            or len({o.card_code for o in invoices}) != 1
        ):
            return None
        numbers = ", ".join(str(invoice.doc_num) for invoice in invoices)
        by = ", ".join(dict.fromkeys(facts.debited[entry] for entry in entries))
        card = invoices[0].card_code
        text = f"{one.id} paid invoice {numbers}, which GoCardless had collected already ({by}); it stands on account of {card}"
        about = {"payment": one.id, "doc_nums": [invoice.doc_num for invoice in invoices], "card_code": card}
        name = self.scene.name("paid-twice", one.id)
        plan.skips.append(
            Skip(name, "paid_twice", f"{text}: refund it by hand, then dismiss this", amount=one.amount, about=about)
        )
        return Match(card, (), invoices[0].branch, "paid twice", text)

    def _unmatched(self, one: Payment, result: NoMatch, facts: PostFacts, shelf: Shelf) -> Match | NoMatch:
        """A payment that names no invoice is held, or put on account of a known customer where the configuration says so."""
        insisted = self._is_insisted(one) and result.reason == "maybe_booked"
        if not insisted and result.reason not in ("no_open_invoice", "no_customer"):
            return result
        names = {shelf.invoices[entry].card_code for entry in named_entries(one, shelf.company) if entry in shelf.invoices}
        card = next(iter(names)) if len(names) == 1 else facts.cards.get(one.customer, "")
        if not card:
            return NoMatch("no_customer", f"{result.text}, and its customer is linked to nobody in SAP", result.candidates)
        if insisted or self.scene.rules.on_unmatched == "on_account":
            return Match(card, (), None, "on account", result.text)
        return NoMatch(result.reason, result.text, tuple(
            number for number in result.candidates if any(
                str(invoice.doc_num) == number and invoice.card_code == card for invoice in shelf.invoices.values())
        ) or result.candidates)  # fmt: skip

    def _twin(self, one: Payment, card: str, facts: PostFacts) -> Receipt | None:
        """Return a receipt keyed by hand for the same customer and sum within ten days."""
        assert one.succeeded_at is not None
        day, amount = self.scene.day_of(one.succeeded_at), one.amount.decimal()
        near = (receipt for receipt in facts.neighbours if abs(receipt.doc_date - day) <= NEIGHBOUR_DAYS)
        return next((receipt for receipt in near if receipt.card_code == card and abs(receipt.total - amount) < _NOISE), None)

    def _intent(self, one: Payment, name: str, match: Match, day: date, facts: PostFacts, shelf: Shelf) -> Intent:
        assert one.succeeded_at is not None
        assert facts.account is not None
        success = self.scene.day_of(one.succeeded_at)
        dated = "" if day == success else f", received {success}"
        numbers = ", ".join(str(part.doc_num) for part in match.allocations) or "account"
        after = tuple(
            After(
                entry, facts.invoices[entry].doc_num, part.invoice, shelf.open(facts.invoices[entry]).minor,
                doc_total=part.origin.doc_total, remaining=_left_at_stripe(part), installment=part.origin.installment,
            )
            for part in one.paid
            if (entry := part.origin.doc_entry) is not None and entry in {taken.doc_entry for taken in match.allocations}
        )  # fmt: skip
        command = PostPayment(
            payment=one.id, marker=marker(one.id), card_code=match.card_code, amount=one.amount, account=facts.account.code,
            doc_date=day, allocations=match.allocations, branch=match.branch, remarks=f"Stripe {one.id}: {numbers}{dated}", after=after,
        )  # fmt: skip
        says = f"post {one.id} for {match.card_code} on {numbers} ({match.rule}: {match.evidence})"
        return Intent(name, command, f"customer/{match.card_code}", one.amount, says, anew=self._is_insisted(one))

    def _skip(self, one: Payment, name: str, reason: str, text: str, candidates: tuple[str, ...] = ()) -> Skip:
        about: dict[str, object] = {"payment": one.id, "customer": one.customer}
        invoices = [part.invoice for part in one.paid]
        if invoices:
            about["invoices"] = invoices
            about["doc_nums"] = [part.origin.doc_num for part in one.paid if part.origin.doc_num]
        return Skip(
            name, reason, text, amount=one.amount, candidates=candidates, about=about, facts={"payment": codec.encode(one)}
        )


def _posted(one: Payment, receipt: Receipt, state: str) -> Mark:
    """Return how a payment stands, as its receipt in SAP says."""
    data = {
        "amount": one.amount.minor, "currency": one.amount.currency, "card_code": receipt.card_code, "number": str(receipt.doc_num),
        "applied": [(entry, from_decimal(amount, one.amount.currency).minor) for entry, amount in receipt.applied],
        "day": receipt.doc_date.isoformat(),
    }  # fmt: skip
    return Mark("payment", one.id, str(receipt.doc_entry), state, data)


def _left_at_stripe(part: Paid) -> int | None:
    """Return what is left to pay at Stripe on the invoice a payment touched, None where Stripe did not say."""
    if part.invoice_status == "paid":
        return 0
    return part.invoice_remaining.minor if part.invoice_remaining is not None else None


def _stripe_states(one: Payment, applied: Iterable[int] = ()) -> list[Mark]:
    """Return how the invoices that a payment touched stand at Stripe, as it was read just now.

    `applied` are the documents that its receipt closed: one that opens again is noticed.
    """
    marks = []
    for part in one.paid:
        origin = part.origin
        if origin.doc_entry is None or part.invoice_status != "paid":
            continue
        data = {
            "doc_num": origin.doc_num,
            "card_code": origin.card_code,
            "doc_total": origin.doc_total,
            "currency": part.amount.currency,
        }
        if origin.installment:
            data["installment"] = origin.installment
        whole = not origin.installment and origin.doc_entry in applied and part.amount == part.invoice_total
        marks.append(
            Mark("invoice", str(origin.doc_entry), part.invoice, "paid", {**data, **({"sap_closed": True} if whole else {})})
        )
    return marks
