"""Where every item of a payout belongs: collected money on invoices, money that goes back onto the allocation it was booked by.

Pure: the same facts give the same parts. A payout of which one item has no place waits as a whole, with the reason.
"""

from __future__ import annotations

from collections.abc import Collection as Several
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal

from mlc.core.clues import UNMATCHED, Balances, Clue, Habits, Payer, Unclear, Verdict
from mlc.core.commands import Part
from mlc.core.debits import COLLECTED, REFUNDED, RETURNED, TAKEN_BACK, Collection, Payout, PayoutItem
from mlc.core.facts import Invoice
from mlc.core.identities import Problem
from mlc.core.money import Money, from_decimal
from mlc.core.tiers import match

_HALF = Decimal("0.5")


@dataclass(slots=True)
class Placement:
    """What became of a payout's items."""

    parts: list[Part] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Rates:
    """How amounts of the payout's currency become local ones; `rate` is local per foreign, exact."""

    local: str
    rate: Decimal | None = None  # None: the payout is in the local currency

    def convert(self, minor: int | Decimal) -> int:
        """Return local minor units, rounded half up (both currencies have two decimals at GoCardless)."""
        value = Decimal(minor) * (self.rate if self.rate is not None else 1)
        return int(value.quantize(Decimal(1), rounding=ROUND_HALF_UP))


@dataclass(slots=True)
class Case:
    """One payout with everything known of what is in it."""

    payout: Payout
    items: Sequence[PayoutItem]
    rates: Rates
    payments: Mapping[str, Collection] = field(default_factory=dict)
    clues: Mapping[str, Clue] = field(default_factory=dict)  # payment -> what says whose and what for
    payers: Mapping[str, Payer] = field(default_factory=dict)  # mandate -> whose (refunds against mandates)
    history: Mapping[str, Sequence[Part]] = field(
        default_factory=dict
    )  # payment or refund -> parts booked before, oldest first
    reopenable: Several[str] = frozenset()  # keys of parts whose invoice opens again when they are taken back
    left: Mapping[str, Sequence[Part]] = field(
        default_factory=dict
    )  # payment -> debits of it that stayed open when it went back
    paid_elsewhere: Mapping[int, str] = field(default_factory=dict)  # DocEntry -> what paid it at Stripe
    policy: str = "hold"
    parking: str = ""  # account of parked parts
    branch: int | None = None


class Placer:
    """Places the items of one payout; `shelf` is what the run draws from and is changed by what is placed."""

    def __init__(self, case: Case, shelf: Balances, habits: Habits) -> None:
        self.case = case
        self.shelf = shelf
        self.habits = habits
        self.done = Placement()
        self._numbers: dict[str, int] = {}
        self._live: dict[str, list[Part]] = {  # what of a payment or refund stands booked and was not taken back
            thing: [part for part in parts if not part.undone] for thing, parts in case.history.items()
        }
        self._opens = set(case.reopenable)
        self._returned_parts: set[str] = set()
        self._unopened: dict[str, list[Part]] = {}  # payment -> its debits here, where invoices cannot be opened again
        self._fleeting = self._collected_and_gone()

    def _collected_and_gone(self) -> set[str]:
        """Return the payments that come and go within this payout: neither closes an invoice."""
        sums: dict[str, Decimal] = {}
        both: dict[str, set[bool]] = {}
        for one in self.case.items:
            if one.type == COLLECTED or one.type in TAKEN_BACK:
                sums[one.payment] = sums.get(one.payment, Decimal(0)) + one.amount
                both.setdefault(one.payment, set()).add(one.amount > 0)
        return {
            payment for payment, total in sums.items() if total == 0 and len(both[payment]) == 2 and not self._booked(payment)
        }

    def _booked(self, thing: str) -> list[Part]:
        return [part for part in self._live.get(thing, []) if part.amount > 0]

    def place(self) -> Placement:
        """Return parts and problems, in an order that does not depend on that of the items."""
        moving: dict[str, list[PayoutItem]] = {}
        for one in self.case.items:
            if one.type == COLLECTED or one.type in TAKEN_BACK:
                moving.setdefault(one.payment, []).append(one)
        for items in moving.values():
            items.sort(key=lambda one: (one.amount, one.type))
        order = sorted(moving, key=self._when)
        for payment in order:  # what was booked goes back first: its invoices are open again for whoever pays them here
            if self._booked(payment) and moving[payment][0].amount < 0:
                self._taken_back(moving[payment].pop(0))
        for payment in order:
            self._by_turns(payment, moving[payment])
        others = sorted(self.case.items, key=lambda one: (one.payment, one.refund, one.mandate, one.type, one.amount))
        for one in [item for item in others if item.type in REFUNDED]:
            self._refunded(one)
        for one in [item for item in others if item.type == RETURNED]:
            self._returned(one)
        return self.done

    def _when(self, payment: str) -> tuple[str, str]:
        known = self.case.payments.get(payment)
        return (str(known.charged or known.created) if known else ""), payment

    def _by_turns(self, payment: str, items: list[PayoutItem]) -> None:
        """A payment is collected and taken back by turns, however often; whichever can be next is next."""
        minus, plus = [one for one in items if one.amount < 0], [one for one in items if one.amount >= 0]
        while plus or minus:
            before = len(self.done.problems)
            if minus and (self._booked(payment) or not plus):
                self._taken_back(minus.pop(0))
            else:
                self._collected(plus.pop(0))
            if len(self.done.problems) > before:
                return  # one reason is enough: the rest of this payment depends on it

    # --- collected ----------------------------------------------------------------------------------------------------

    def _collected(self, one: PayoutItem) -> None:
        payment = self.case.payments.get(one.payment)
        if one.amount <= 0 or payment is None:
            text = f"{self.case.payout.id}: {one.type} of {one.payment or 'nothing'} over {one.amount / 100:.2f} cannot be read as a collection"
            self.done.problems.append(Problem("original_not_found", text, one.payment))
            return
        if self._booked(one.payment):
            booked = self._booked(one.payment)[0].key.split("/")[0]
            text = f"{one.payment} over {payment.amount} was paid out in {booked} already and never taken back"
            self.done.problems.append(Problem("maybe_booked", text, one.payment, amount=payment.amount))
            return
        left = self._unopened.pop(one.payment, None) or self.case.left.get(one.payment) or ()
        if left and sum(part.amount for part in left) == -one.amount:
            for part in left:
                self._add(
                    one, part.role if part.role == "account" else "invoice" if part.doc_entry else "account", -part.amount, local=-part.local,
                    card_code=part.card_code, doc_entry=part.doc_entry, doc_num=part.doc_num, branch=part.branch, rule="recorded",
                    evidence=f"settles the debit of {part.key}, which stayed open",
                )  # fmt: skip
            return
        clue = self.case.clues[one.payment]
        result = match(clue, self.shelf, self.habits)
        if isinstance(result, Unclear):
            self._unclear(one, clue, result)
        else:
            self._matched(one, clue, result)

    def _matched(self, one: PayoutItem, clue: Clue, result: Verdict) -> None:
        rest_on_account = clue.rest_on_account or self.case.policy == "on_account"
        if result.rest.minor and result.claims and not rest_on_account and self.case.policy != "park":
            closed = ", ".join(str(claim.doc_num) for claim in result.claims)
            text = (
                f"{one.payment} over {clue.payment.amount} is {result.rest} more than is open on {closed} ({result.evidence})"
            )
            numbers = tuple(str(claim.doc_num) for claim in result.claims)
            self.done.problems.append(
                Problem("amount_mismatch", text, one.payment, numbers, clue.payment.amount, result.rejected)
            )
            return
        for claim in result.claims:
            local = self._local_of(claim.doc_entry, claim.amount)
            self._add(
                one, "invoice", claim.amount.minor, local=local, card_code=result.card_code, doc_entry=claim.doc_entry,
                doc_num=claim.doc_num, branch=claim.branch, rule=result.rule, evidence=result.evidence, rejected=result.rejected,
            )  # fmt: skip
            if one.payment not in self._fleeting:
                self.shelf.take(claim.doc_entry, claim.amount.minor)
        if result.rest.minor:
            parked = bool(result.claims) and not rest_on_account
            self._elsewhere(one, result.rest.minor, "" if parked else result.card_code, result.rule, result.evidence)

    def _local_of(self, doc_entry: int, amount: Money) -> int:
        """Return what a part of an invoice is worth in the books: at the rate it was booked with, the last part what is left."""
        if self.case.rates.rate is None:
            return amount.minor
        one = self.shelf.invoices[doc_entry]
        whole, begun = one.total - one.paid, one.total_fc - one.paid_fc
        if begun <= 0:  # closed, and opened again by this very entry
            whole, begun = one.total, one.total_fc
        taken = max(0, self.shelf.taken.get(doc_entry, 0))
        upto, before = (
            (Decimal(minor) / (begun * 100) * whole * 100).quantize(Decimal(1), rounding=ROUND_HALF_UP)
            for minor in (taken + amount.minor, taken)
        )
        return int(upto - before)

    def _unclear(self, one: PayoutItem, clue: Clue, result: Unclear) -> None:
        case = self.case
        twice = self._paid_elsewhere(result)
        if twice is not None:
            entry, by = twice
            invoice = self.shelf.invoices[entry]
            evidence = f"invoice {invoice.doc_num} was paid by {by} already"
            self._add(one, "account", int(one.amount), card_code=invoice.card_code, doc_num=invoice.doc_num, twice=by,
                      branch=invoice.branch, rule="paid twice", evidence=evidence)  # fmt: skip
            return
        if result.reason in UNMATCHED:
            if one.payment in self._fleeting and clue.payer.card_code:
                self._elsewhere(one, int(one.amount), clue.payer.card_code, "-", "collected and failed in one payout")
                return
            if case.policy == "park":
                self._elsewhere(one, int(one.amount), "", "parked", f"{result.reason}: {result.text}", result.rejected)
                return
            if case.policy == "on_account" and clue.payer.card_code:
                self._elsewhere(
                    one, int(one.amount), clue.payer.card_code, "on account", f"{result.reason}: {result.text}", result.rejected
                )
                return
        problem = Problem(result.reason, result.text, one.payment, result.candidates, clue.payment.amount, result.rejected)
        self.done.problems.append(problem)

    def _paid_elsewhere(self, result: Unclear) -> tuple[int, str] | None:
        """Return the invoice a payment names that Stripe was paid for already."""
        return next(
            ((entry, self.case.paid_elsewhere[entry]) for entry in result.closed if entry in self.case.paid_elsewhere), None
        )

    def _elsewhere(
        self, one: PayoutItem, minor: int, card: str, rule: str, evidence: str, rejected: tuple[str, ...] = ()
    ) -> None:  # fmt: skip
        """Put money on account of a customer, or without one on the account for what nobody explained yet."""
        role, account = ("account", "") if card else ("parked", self.case.parking)
        self._add(one, role, minor, card_code=card, account=account, rule=rule, evidence=evidence, rejected=rejected)

    # --- going back -----------------------------------------------------------------------------------------------------

    def _taken_back(self, one: PayoutItem) -> None:
        booked = self._booked(one.payment)
        if sum(part.amount for part in booked) != -one.amount:
            self._by_word(one) if not booked else self._unlike(one, booked)
            return
        gone = {part.key for part in booked}
        for part in booked:
            if part.role == "invoice" and part.key in self._opens and part.payment not in self._fleeting:
                self.shelf.take(part.doc_entry, -part.amount)
        self._live[one.payment] = [part for part in self._live[one.payment] if part.key not in gone]
        for part in booked:
            made = self._add(
                one, "undo", -part.amount, local=-part.local, card_code=part.card_code, account=part.account,
                doc_entry=part.doc_entry, doc_num=part.doc_num, branch=part.branch, undoes=part.key, rule="recorded",
                evidence=f"{one.payment} was booked by {part.key} ({part.rule})",
            )  # fmt: skip
            if part.card_code and not any(each.role == "invoice" and each.key in self._opens for each in booked):
                self._unopened.setdefault(one.payment, []).append(made)

    def _unlike(self, one: PayoutItem, booked: Sequence[Part]) -> None:
        there = Money(sum(part.amount for part in booked), self.case.payout.amount.currency)
        text = f"{self.case.payout.id} takes {-one.amount / 100:.2f} of {one.payment} back, booked are {there}"
        self.done.problems.append(Problem("does_not_tie", text, one.payment))

    def _by_word(self, one: PayoutItem) -> None:
        """Money goes back of a payment nobody here booked: by the invoices a person named, or not at all."""
        clue = self.case.clues.get(one.payment)
        invoices = (
            [self.shelf.invoices[entry] for entry in (clue.decision or ()) if entry in self.shelf.invoices] if clue else []
        )
        left = -int(one.amount)
        currency = self.case.payout.amount.currency
        whole = [(one_, min(left, _total(one_, self.shelf, currency))) for one_ in invoices]
        if not invoices or len({(each.card_code, each.branch) for each in invoices}) > 1 or sum(m for _, m in whole) < left:
            text = f"{self.case.payout.id} takes {-one.amount / 100:.2f} of {one.payment or one.thing} back, and no booking of it is known"
            self.done.problems.append(
                Problem("original_not_found", text, one.payment or one.thing, amount=Money(int(-one.amount), currency))
            )
            return
        for invoice, most in whole:
            takes = min(left, most)
            if takes > 0:
                self._add(one, "undo", -takes, card_code=invoice.card_code, doc_entry=invoice.doc_entry, doc_num=invoice.doc_num,
                          branch=invoice.branch, rule="R1", evidence="a person's decision")  # fmt: skip
                left -= takes

    def _refunded(self, one: PayoutItem) -> None:
        """A refund is debited to whoever the payment, or the mandate, belongs to; it clears against a credit memo if there is one."""
        booked = self._booked(one.payment) if one.payment else []
        booked = booked or [part for part in self.case.history.get(one.payment, []) if one.payment and part.amount > 0]
        clue = self.case.clues.get(one.payment)
        if booked:
            self._refund_parts(one, booked)
        elif one.type == "refund" or not one.payment:
            payer = self.case.payers.get(one.mandate, Payer())
            parked = self.case.parking if not payer.card_code and self.case.policy == "park" else ""
            if payer.card_code or parked:
                self._add(
                    one,
                    "refund",
                    int(one.amount),
                    card_code=payer.card_code,
                    account=parked,
                    rule="mandate",
                    evidence=payer.evidence,
                )
                return
            text = f"{self.case.payout.id} refunds {-one.amount / 100:.2f} by {one.thing}, and its customer is linked to nobody in SAP"
            amount = Money(int(-one.amount), self.case.payout.amount.currency)
            self.done.problems.append(Problem("no_customer", text, one.thing, amount=amount))
        elif clue is not None and clue.decision and clue.decision[0] in self.shelf.invoices:
            invoice = self.shelf.invoices[clue.decision[0]]
            self._add(one, "refund", int(one.amount), card_code=invoice.card_code, branch=invoice.branch, doc_num=invoice.doc_num,
                      rule="R1", evidence="a person's decision")  # fmt: skip
        else:
            self._by_word(one)

    def _refund_parts(self, one: PayoutItem, booked: Sequence[Part]) -> None:
        """Take a refund from where the payment stands: first what nobody explained, then what is on account, then its invoices."""
        rank = {"parked": 0, "account": 1}
        homes: dict[tuple[str, str], list[Part]] = {}
        for part in sorted(booked, key=lambda each: rank.get(each.role, 2)):
            homes.setdefault((part.card_code, part.account), []).append(part)
        left = -int(one.amount)
        for number, ((card, account), parts) in enumerate(homes.items(), 1):
            back = [p for p in [*self.case.history.get(one.payment, []), *self.done.parts] if p.payment == one.payment]
            gone = sum(p.amount for p in back if p.role in ("refund", "return") and (p.card_code, p.account) == (card, account))
            takes = left if number == len(homes) else min(left, max(0, sum(part.amount for part in parts) + gone))
            if takes > 0:
                numbers = {part.doc_num for part in parts}
                self._add(
                    one, "refund", -takes, card_code=card, account=account, branch=parts[-1].branch, rule="recorded",
                    doc_entry=parts[-1].doc_entry if len(numbers) == 1 else 0, doc_num=numbers.pop() if len(numbers) == 1 else 0,
                    evidence=f"{one.payment} was booked by {parts[-1].key}",
                )  # fmt: skip
                left -= takes

    def _returned(self, one: PayoutItem) -> None:
        """A refund that did not arrive: back onto the customer it was taken from."""
        booked = [part for part in self._live.get(one.refund, []) if part.role == "refund"]
        booked += [part for part in self.done.parts if part.thing == one.refund and part.role == "refund"]
        booked = [part for part in booked if part.key not in self._returned_parts]
        if sum(-part.amount for part in booked) != one.amount or not one.refund:
            text = f"{self.case.payout.id} returns {one.amount / 100:.2f} of refund {one.refund}, and no booking of it is known"
            self.done.problems.append(Problem("original_not_found", text, one.payment or one.refund))
            return
        self._returned_parts |= {part.key for part in booked}
        for part in booked:
            self._add(one, "return", -part.amount, local=-part.local, card_code=part.card_code, account=part.account,
                      doc_num=part.doc_num, branch=part.branch, undoes=part.key, rule="recorded",
                      evidence=f"{one.refund} was booked by {part.key}")  # fmt: skip

    # --- parts ----------------------------------------------------------------------------------------------------------

    def _add(self, one: PayoutItem, role: str, minor: int, *, local: int | None = None, **more: object) -> Part:
        payout = self.case.payout
        stem = f"{payout.id}/{one.thing or one.mandate}"
        number = self._numbers[stem] = self._numbers.get(stem, 0) + 1
        part = Part(
            f"{stem}/{number}", one.type, one.thing, one.payment, role, minor, payout.amount.currency,
            self.case.rates.convert(minor) if local is None else local, **more,  # type: ignore[arg-type]
        )  # fmt: skip
        self.done.parts.append(part)
        if minor > 0 and role != "return":
            self._live.setdefault(one.payment, []).append(part)
            self._opens.add(part.key)
        return part


def _total(invoice: Invoice, shelf: Balances, currency: str) -> int:
    """Return an invoice's total in a currency, 0 where it is in another one."""
    if shelf.iso(invoice.currency) != currency:
        return 0
    return from_decimal(invoice.total if shelf.local(invoice.currency) else invoice.total_fc, currency).minor
