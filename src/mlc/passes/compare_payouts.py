"""Payouts of both processors against SAP's journal entries by their reference, and those references against the processors.

Reads: payouts by the day on which they arrive, their entries, then entries of the span whose reference looks like a payout. Of a payout
    only its own figure is compared, never its items: GoCardless keeps those for six months.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

from mlc.core.comparing import AT_GOCARDLESS, AT_STRIPE, GOCARDLESS, NOT_COMPARABLE, ON_ITS_WAY, PAYOUT, STRIPE, Finding, Side
from mlc.core.debits import Payout
from mlc.core.deposits import StripePayout
from mlc.core.facts import Booked
from mlc.core.intents import Mark
from mlc.core.money import Money
from mlc.passes.compare_entries import Entries, Wanted
from mlc.passes.compare_span import Span, moment
from mlc.systems.sap.entries import live

_ITEMS = timedelta(days=183)  # so long GoCardless keeps the items of a payout
_EARLY = timedelta(days=35)  # a payout is created at most so long before it arrives
_ID = 12  # so long an id of GoCardless is at least: a purchase order's number is shorter
_BATCH = 40
_FAILED = ("failed", "canceled")


class Payouts:
    """The comparison of payouts."""

    def __init__(self, span: Span, entries: Entries) -> None:
        self.span, self.scene, self.entries = span, span.scene, entries

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
            yield from self.entries.compared(wanted)

    def _mark(self, key: str) -> Mark | None:
        return self.scene.journal.links.get("stripe-payout", key)

    def _paid_out(self, one: StripePayout, name: str) -> Iterator[Wanted]:
        currency, held = one.amount.currency, ""
        if currency != self.span.terms.currency:
            held = f"only {self.span.terms.currency} is booked by mlc"
        elif self.scene.ledger.branches:
            held = "which branch it belongs to is not configured: a person books it"
        bank = self.entries.account(self.scene.rules.account(currency, "bank_account") or "")
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
            if not self._in_span(one):
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
        yield from self.entries.compared(wanted)

    def _in_span(self, one: Payout) -> bool:
        """Tell whether a payout is of the span: by its arrival where it was sent, which may be told before it has come."""
        if one.status == "paid" and one.arrival is not None:
            return self.span.holds(min(one.arrival, self.scene.today)) and one.arrival >= self.span.since
        return self.span.holds(self.scene.day_of(one.created))

    def _debit(self, one: Payout, name: str) -> Wanted:
        fx, local = one.exchange, self.span.terms.currency
        arrives = fx.currency if fx is not None else one.amount.currency
        bank = self.entries.account(self.scene.debits.account("bank_account", one.bank, arrives))
        amount = Money(fx.amount, fx.currency) if fx is not None and fx.amount is not None else one.amount
        if arrives != local:  # its entry is converted at SAP's own rate
            self.span.note(
                f"payouts that arrive in {arrives}: their sum is compared where the bank's line in SAP shows that currency"
            )
        side = Side(PAYOUT, one.id, amount, "bank", bank, GOCARDLESS, arrives != local)
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


def _waits(one: StripePayout) -> str:
    return "Stripe has not reconciled it yet" if one.status == "paid" else one.status
