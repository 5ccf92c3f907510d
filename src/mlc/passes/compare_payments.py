"""Stripe's payments against SAP's incoming payments under their marks, and those marks against Stripe.

Reads: charges by pages (they may be older than their success), receipts by forty marks at a time, then receipts of the span by pages.
    What looks different on a page is read by itself before it is told, so many times and no more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

from mlc.core import codec, comparing
from mlc.core.comparing import (
    DIFFERENT,
    MISSING_IN_SAP,
    NOT_COMPARABLE,
    ON_ITS_WAY,
    PAYMENT,
    SAME,
    Finding,
    Posted,
    Taken,
)  # fmt: skip
from mlc.core.facts import Payment
from mlc.core.keys import marker
from mlc.core.matching import is_foreign
from mlc.core.money import from_stripe
from mlc.passes.compare_span import Span

_LATE = 45 * 86400  # a charge may have been created this long before it succeeded
_PENDING = ("processing", "pending", "requires_capture")
TOLD = "told"  # payments that SAP lacks and that were said
UNDONE = "undone"  # payments whose receipt was cancelled because all of it went back


class Payments:
    """The comparison of payments."""

    def __init__(self, span: Span) -> None:
        self.span, self.scene = span, span.scene

    def findings(self) -> Iterator[Finding]:
        """Yield every payment that is not the same on both sides."""
        assert self.span.stripe is not None
        for page in self.span.stripe.payments(self.span.first - _LATE, self.span.end):
            yield from self._page(page)
        if self.span.others:
            self.span.note(f"{self.span.others} payments belong to customers of another company on this account: not compared")
        for receipts in self.span.sap.marked(self.span.since, self.span.until):
            yield from self._marked(receipts)

    # --- from Stripe to SAP -------------------------------------------------------------------------------------------

    def _page(self, page: Sequence[Taken]) -> Iterator[Finding]:
        """Compare a page; of a payment's charges the newest, which comes first, tells how it stands."""
        newest: dict[str, Taken] = {}
        for one in page:
            newest.setdefault(marker(one.id), one)
        known = self.span.besides.known(PAYMENT, newest)
        fresh = {mark: one for mark, one in newest.items() if mark not in known}
        self.span.besides.keep(PAYMENT, {mark: codec.encode(one) for mark, one in fresh.items()})
        wanted = {}
        for mark, one in fresh.items():
            if not (self._in_span(one) or (one.status in _PENDING and one.created < self.span.end)):
                continue
            if self._is_foreign(one):
                self.span.others += 1
            else:
                wanted[mark] = one
        posted = self.span.sap.by_marks(list(wanted)) if wanted else {}
        for mark, one in wanted.items():
            yield from self._told(one, posted[mark])

    def _is_foreign(self, one: Taken) -> bool:
        return bool(one.company) and one.company != self.scene.rules.company

    def _in_span(self, one: Taken) -> bool:
        return one.at is not None and self.span.holds(self.scene.day_of(one.at))

    def _day(self, one: Taken) -> date | None:
        return self.scene.day_of(one.at) if one.at is not None else None

    def _told(self, one: Taken, posted: Sequence[Posted], *, whole: bool = False) -> Iterator[Finding]:
        found = comparing.payment(one, self._day(one), posted, self.span.terms)
        if found.state == DIFFERENT and not whole and self.span.look():
            read = self.scene.stripe.payment(one.id)
            if read is not None:
                one = self._exact(read, one.card)
                found = comparing.payment(one, self._day(one), posted, self.span.terms)
        self.span.take(found)
        if found.state == MISSING_IN_SAP:
            self.span.besides.keep(TOLD, {one.id: one.amount.minor})
        if found.state == SAME and posted and all(receipt.cancelled for receipt in posted):
            self.span.besides.keep(UNDONE, {one.id: 1})
        if found.state != SAME:
            yield self._explained(found, one)

    def _explained(self, found: Finding, one: Taken) -> Finding:
        names = [self.scene.name("post-payment", one.id)]
        mark = self.scene.journal.links.get("payment", one.id)
        at = int(one.at.timestamp()) if one.at is not None and found.state == MISSING_IN_SAP else 0
        return self.span.explained(found, names, one.id, None if found.state == ON_ITS_WAY else mark, "post-payments", at)

    def _exact(self, read: Payment, card: str) -> Taken:
        """Return a payment as it was read by itself: the invoices it paid name its customer and its day best."""
        cards = [part.origin.card_code for part in read.paid if part.origin.company == self.scene.rules.company]
        return Taken(
            read.id, read.status, read.amount, read.created, read.succeeded_at,
            read.origin.company, cards[0] if cards else card, from_stripe(read.refunded, read.amount.currency).minor,
        )  # fmt: skip

    # --- from SAP to Stripe -------------------------------------------------------------------------------------------

    def _marked(self, receipts: Sequence[Posted]) -> Iterator[Finding]:
        """Look at marks in SAP that the payments of the span did not account for."""
        known = self.span.besides.known(PAYMENT, [one.mark for one in receipts])
        dealt = self.span.besides.known("dealt", [one.mark for one in receipts])
        left: dict[str, Posted] = {}
        for one in receipts:
            taken = codec.decode(Taken, known[one.mark]) if one.mark in known else None
            seen = taken is not None and (self._in_span(taken) or taken.status in _PENDING) and not self._is_foreign(taken)
            if not seen and one.mark not in dealt:
                left.setdefault(one.mark, one)
        self.span.besides.keep("dealt", dict.fromkeys(left, 1))
        posted = self.span.sap.by_marks(list(left)) if left else {}
        for mark, one in left.items():
            taken = codec.decode(Taken, known[mark]) if mark in known else None
            if (
                taken is not None and taken.status == "succeeded" and not self._is_foreign(taken)
            ):  # of another day: told with its receipt's
                yield from self._told(taken, posted[mark])
            else:
                yield from self._alone(one, posted[mark])

    def _alone(self, receipt: Posted, posted: Sequence[Posted]) -> Iterator[Finding]:
        mark, number = receipt.mark, str(receipt.doc_num)
        if mark.startswith("M") or not self.span.look():
            why = "only a digest of its id stands in SAP" if mark.startswith("M") else "not looked up"
            amount = comparing.money_of(receipt.total, receipt.currency)
            yield self.span.take(Finding(PAYMENT, mark, NOT_COMPARABLE, amount, number, why=why))
            return
        read = self.scene.stripe.payment(mark)
        if read is None:
            found = self.span.take(comparing.unknown_payment(receipt))
            yield self.span.explained(found, [self.scene.name("post-payment", mark)], mark)
        elif is_foreign(read, self.scene.rules.company):
            wrong = comparing.Field("company", self.scene.rules.company, read.origin.company or "another")
            found = Finding(PAYMENT, mark, DIFFERENT, read.amount, number, (wrong,), command=f"mlc explain {mark}")
            yield self.span.take(found)
        elif (
            read.status not in ("succeeded", *_PENDING) and read.charge and self.scene.stripe.returned(read, read.charge).moves
        ):
            self.span.tally.count(PAYMENT, SAME)  # it had succeeded: what came back is a movement of its own
        else:
            yield from self._told(self._exact(read, ""), posted, whole=True)
