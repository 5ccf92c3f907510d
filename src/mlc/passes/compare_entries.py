"""What went back and what was paid out against SAP's journal entries by their reference, and those references against the processors.

Reads: the movements of Stripe's balance in the span, payouts by the day on which they arrive, entries by forty references at a time,
    then entries of the span whose reference looks like a payout. Of a payout only its own figure is compared, never its items.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta

from mlc.core import clearing, comparing
from mlc.core.comparing import (
    AT_GOCARDLESS,
    AT_STRIPE,
    DISPUTE,
    GOCARDLESS,
    MISSING_IN_SAP,
    NOT_COMPARABLE,
    ON_ITS_WAY,
    PAYMENT,
    PAYOUT,
    REFUND,
    RETURNED,
    SAME,
    STRIPE,
    Finding,
    Side,
)  # fmt: skip
from mlc.core.debits import Payout
from mlc.core.deposits import StripePayout
from mlc.core.facts import Booked
from mlc.core.intents import Mark
from mlc.core.keys import marker
from mlc.core.money import Money
from mlc.passes.compare_payments import UNDONE
from mlc.passes.compare_span import Span, moment
from mlc.systems.sap.entries import live

_ITEMS = timedelta(days=183)  # so long GoCardless keeps the items of a payout
_EARLY = timedelta(days=35)  # a payout is created at most so long before it arrives
_ID = 12  # so long an id of GoCardless is at least: a purchase order's number is shorter
_BATCH = 40
_FAILED = ("failed", "canceled")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A side with what is needed to explain it."""

    side: Side
    names: tuple[str, ...]
    link: tuple[str, str]  # kind and key of what the journal noted
    pass_: str
    at: int = 0
    hold: str = ""  # the setting that leaves it to a person
    held: str = ""  # why mlc would never book it by itself
    payment: str = ""


class Entries:
    """The comparison of everything that stands in SAP as a journal entry."""

    def __init__(self, span: Span) -> None:
        self.span, self.scene = span, span.scene
        self._codes: dict[str, tuple[str, ...]] = {}

    def _account(self, code: str) -> tuple[str, ...]:
        """Return an account as entries name it, () where SAP has none."""
        if code and code not in self._codes:
            found = self.scene.sap.accounts([code])[code]
            self._codes[code] = (found.code,) if found is not None else ()
            if found is None:
                self.span.note(f"SAP has no account {code}: amounts on it are not compared")
        return self._codes.get(code, ())

    def _compared(self, wanted: Sequence[Wanted]) -> Iterator[Finding]:
        """Compare a batch of things with the entries under their references."""
        booked = self.scene.sap.entries_by_reference([one.side.key for one in wanted]) if wanted else {}
        marks = {(kind, key): mark for kind in {one.link[0] for one in wanted}
                 for key, mark in self.scene.journal.links.many(kind, [one.link[1] for one in wanted]).items()}  # fmt: skip
        for one in wanted:
            carrying, mark = booked.get(one.side.key, []), marks.get(one.link)
            found = comparing.entry(one.side, carrying, live(carrying))
            if found.state == MISSING_IN_SAP and (
                self.span.dealt_with(one.names, mark) or self._undone(one) or self._foreign(one)
            ):
                found = Finding(found.kind, found.id, SAME, found.amount, processor=found.processor)
            elif found.state == MISSING_IN_SAP and one.held and not carrying:
                found = replace(found, state=NOT_COMPARABLE, why=one.held)
            elif found.state == MISSING_IN_SAP and one.hold and not carrying:
                found = replace(found, why=f"{found.why}; held by configuration ({one.hold})")
            self.span.take(found)
            if found.state != SAME:
                yield self.span.explained(found, one.names, one.side.key.split("/")[0], mark, one.pass_, one.at)

    def _undone(self, one: Wanted) -> bool:
        """Tell whether a refund was booked by taking the payment's receipt back."""
        return bool(one.payment) and bool(self.span.besides.known(UNDONE, [one.payment]))

    def _foreign(self, one: Wanted) -> bool:
        if not one.payment:
            return False
        known = self.span.besides.known(PAYMENT, [marker(one.payment)])
        company = next((str(data.get("company", "")) for data in known.values()), "")
        return bool(company) and company != self.scene.rules.company

    # --- what went back at Stripe -------------------------------------------------------------------------------------

    def reversals(self) -> Iterator[Finding]:
        """Yield refunds, disputes and returned debits that moved the balance and are not booked so."""
        assert self.span.stripe is not None
        for page in self.span.stripe.movements(self.span.first, self.span.end):
            back = [(one, payment) for one, payment in page if _kind(one)]
            seen = self.span.besides.known("movement", [one.key for one, _ in back])
            wanted = []
            for one, payment in back:
                kind, amount = _kind(one), Money(one.net, one.currency)
                if one.key in seen:
                    why = "it moved the balance more than once"
                    yield self._word(Finding(kind, one.key, NOT_COMPARABLE, amount, why=why, command=f"mlc explain {one.key}"))
                elif kind == REFUND and one.status in ("pending", "requires_action"):
                    yield self._word(Finding(kind, one.key, ON_ITS_WAY, amount, why=one.status))
                elif one.currency != self.span.terms.currency:
                    why = f"only {self.span.terms.currency} is booked by mlc"
                    yield self._word(Finding(kind, one.key, NOT_COMPARABLE, amount, why=why))
                else:
                    wanted.append(self._back(one, kind, amount, payment))
                seen[one.key] = 1
            self.span.besides.keep("movement", dict.fromkeys((one.key for one, _ in back), 1))
            yield from self._compared(wanted)

    def _word(self, found: Finding) -> Finding:
        return self.span.take(found)

    def _back(self, one: clearing.Movement, kind: str, amount: Money, payment: str) -> Wanted:
        rules, base = self.scene.rules, one.key.split("/")[0]
        setting = "refunds" if kind == REFUND else "disputes"
        holds = (rules.refunds if kind == REFUND else rules.disputes) != "book"
        side = Side(kind, one.key, amount, "clearing", self._account(rules.account(one.currency) or ""))
        name = self.scene.name(kind, one.key if kind == RETURNED else base)
        return Wanted(
            side,
            (name,),
            ("reversal", one.key),
            "post-payments",
            one.at,
            f"stripe.{setting}: hold" if holds else "",
            "",
            payment,
        )

    # --- payouts of Stripe --------------------------------------------------------------------------------------------

    def stripe_payouts(self) -> Iterator[Finding]:
        """Yield Stripe's payouts of the span that are not booked so."""
        assert self.span.stripe is not None
        now = self.span.until >= self.scene.today  # then also what is to arrive later: it is on its way
        end = None if now else moment(self.span.until + timedelta(days=1))
        for page in self.span.stripe.payouts(moment(self.span.since), end):
            self.span.besides.keep(PAYOUT, dict.fromkeys((one.id for one in page), 1))
            wanted: list[Wanted] = []
            for one in page:
                name = self.scene.name("reconcile-payout", one.id)
                if one.automatic and one.reconciled and one.status in ("paid", *_FAILED):
                    wanted += self._paid_out(one, name)
                elif one.status not in _FAILED and not self.span.dealt_with([name], self._mark(one.id)):
                    manual = not one.automatic and one.status == "paid"
                    why = "started by hand: Stripe does not tell what is in it" if manual else _waits(one)
                    found = Finding(PAYOUT, one.id, NOT_COMPARABLE if manual else ON_ITS_WAY, one.amount, why=why)
                    yield self.span.explained(self.span.take(found), [name] if manual else [], one.id)
            yield from self._compared(wanted)

    def _mark(self, key: str) -> Mark | None:
        return self.scene.journal.links.get("stripe-payout", key)

    def _paid_out(self, one: StripePayout, name: str) -> Iterator[Wanted]:
        currency, held = one.amount.currency, ""
        if currency != self.span.terms.currency:
            held = f"only {self.span.terms.currency} is booked by mlc"
        elif self.scene.ledger.branches:
            held = "which branch it belongs to is not configured: a person books it"
        bank = self._account(self.scene.rules.account(currency, "bank_account") or "")
        side = Side(PAYOUT, one.id, one.amount, "bank", bank)
        yield Wanted(side, (name,), ("stripe-payout", one.id), "reconcile-payouts", one.created, held=held)
        if one.status in _FAILED:
            key = f"{one.id}/failed"
            side, names = Side(PAYOUT, key, -one.amount, "bank", bank), (self.scene.name("reconcile-payout", key), name)
            yield Wanted(side, names, ("stripe-payout", key), "reconcile-payouts", one.failed_at, held=held)

    # --- payouts of GoCardless ----------------------------------------------------------------------------------------

    def debit_payouts(self) -> Iterator[Finding]:
        """Yield GoCardless' payouts of the span that are not booked so."""
        if self.scene.today - self.span.since > _ITEMS:
            self.span.note(
                "GoCardless keeps the items of a payout for six months: of older ones only the payout's own sum is compared"
            )
        begin = datetime.combine(self.span.since - _EARLY, time(), self.scene.rules.zone).astimezone(UTC)
        batch: list[Payout] = []
        for one in self.scene.gocardless.payouts_since(begin):
            batch.append(one)
            if len(batch) == _BATCH:
                yield from self._arrived(batch)
                batch = []
        yield from self._arrived(batch)

    def _arrived(self, batch: Sequence[Payout]) -> Iterator[Finding]:
        self.span.besides.keep(PAYOUT, dict.fromkeys((one.id for one in batch), 1))
        marks = self.scene.journal.links.many("payout", [one.id for one in batch])
        wanted = []
        for one in batch:
            name, mark = self.scene.name("reconcile-payout", one.id, "gocardless"), marks.get(one.id)
            if not self.span.holds(one.arrival if one.status == "paid" else self.scene.day_of(one.created)):
                continue
            found = Finding(PAYOUT, one.id, ON_ITS_WAY, one.amount, why=one.status, processor=GOCARDLESS)
            if one.status == "paid" and one.kind == "partner" and self.scene.debits.partner_payouts == "ignore":
                found = replace(found, state=NOT_COMPARABLE, why="a partner payout: ignored by configuration")
            elif one.status == "paid" and mark is not None and mark.state == "ignored":
                found = replace(
                    found, state=NOT_COMPARABLE, why=f"it repeats {mark.data.get('repeats') or 'another'}, which bounced"
                )
            elif one.status == "paid":
                wanted.append(self._debit(one, name))
                continue
            yield self.span.explained(self.span.take(found), [name], one.id)
        yield from self._compared(wanted)

    def _debit(self, one: Payout, name: str) -> Wanted:
        fx, local = one.exchange, self.span.terms.currency
        arrives = fx.currency if fx is not None else one.amount.currency
        bank = self._account(self.scene.debits.account("bank_account", one.bank, arrives))
        amount = Money(fx.amount, fx.currency) if fx is not None and fx.amount is not None else one.amount
        if arrives != local:  # its entry is converted at SAP's own rate
            self.span.note(
                f"payouts that arrive in {arrives} are converted by SAP's rate: only whether they are booked is compared"
            )
            bank = ()
        side = Side(PAYOUT, one.id, amount, "bank", bank, processor=GOCARDLESS)
        at = int(datetime.combine(one.arrival, time(), UTC).timestamp()) if one.arrival is not None else 0
        return Wanted(side, (name,), ("payout", one.id), "reconcile-payouts", at)

    # --- from SAP to the processors -----------------------------------------------------------------------------------

    def unknown(self, beginnings: Sequence[str]) -> Iterator[Finding]:
        """Yield entries of the span whose reference looks like a payout that the processor does not know."""
        for page in self.span.sap.referenced(self.span.since, self.span.until, beginnings):
            bases = {one.reference2.split("/")[0] for one in page}
            known = self.span.besides.known(PAYOUT, bases)
            for one in page:
                base = one.reference2.split("/")[0]
                if base in known or not self._is_ours(one, base):
                    continue
                known[base] = 1
                if self.span.look() and not self._exists(base):
                    yield from self._gone(one, base)
            self.span.besides.keep(PAYOUT, dict.fromkeys(bases, 1))

    def _is_ours(self, one: Booked, base: str) -> bool:
        """Tell whether an entry is about a payout: a purchase order's number begins with PO as well."""
        if base.startswith("po_") or len(base) >= _ID:
            return True
        codes = {
            code for role in ("bank_account", "clearing_account") for code in self.scene.debits.accounts.get(role, {}).values()
        }
        return any(line.account in codes for line in one.lines)

    def _exists(self, base: str) -> bool:
        return (self.scene.stripe if base.startswith("po_") else self.scene.gocardless).payout(base) is not None

    def _gone(self, one: Booked, base: str) -> Iterator[Finding]:
        standing = live(self.scene.sap.entries_by_reference([one.reference2])[one.reference2])
        if not standing:
            return
        stripe = base.startswith("po_")
        processor = STRIPE if stripe else GOCARDLESS
        why = f"journal entry {one.number} of {one.day} carries a reference that {processor} does not know"
        found = Finding(
            PAYOUT, one.reference2, AT_STRIPE if stripe else AT_GOCARDLESS, other=str(one.number), why=why, processor=processor,
        )  # fmt: skip
        name = self.scene.name("reconcile-payout", base, "stripe" if stripe else "gocardless")
        yield self.span.explained(self.span.take(found), [name], base)


def _kind(one: clearing.Movement) -> str:
    """Return what kind of reversal moved the balance, "" for anything else."""
    if one.kind == clearing.PAYMENT:
        return RETURNED if one.key.endswith("/returned") else ""
    return {clearing.REFUND: REFUND, clearing.DISPUTE: DISPUTE}.get(one.kind, "")


def _waits(one: StripePayout) -> str:
    return "Stripe has not reconciled it yet" if one.status == "paid" else one.status
