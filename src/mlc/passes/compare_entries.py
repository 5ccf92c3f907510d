"""Whatever stands in SAP as a journal entry under a reference of ours; here what went back at Stripe, see compare_payouts for the rest.

Reads: the movements of Stripe's balance in the span by pages, entries by forty references at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from mlc.core import clearing, comparing
from mlc.core.comparing import (
    DISPUTE,
    MISSING_IN_SAP,
    NOT_COMPARABLE,
    ON_ITS_WAY,
    PAYMENT,
    REFUND,
    RETURNED,
    SAME,
    TWICE,
    Finding,
    Side,
)  # fmt: skip
from mlc.core.keys import marker
from mlc.core.money import Money
from mlc.passes.compare_payments import UNDONE
from mlc.passes.compare_span import Span
from mlc.systems.sap.entries import live


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

    def account(self, code: str) -> tuple[str, ...]:
        """Return an account as entries name it, () where SAP has none."""
        if code and code not in self._codes:
            found = self.scene.sap.accounts([code])[code]
            self._codes[code] = (found.code,) if found is not None else ()
            if found is None:
                self.span.note(f"SAP has no account {code}: amounts on it are not compared")
        return self._codes.get(code, ())

    def compared(self, wanted: Sequence[Wanted]) -> Iterator[Finding]:
        """Compare a batch of things with the entries under their references."""
        booked = self.scene.sap.entries_by_reference([one.side.key for one in wanted]) if wanted else {}
        marks = {
            (kind, key): mark
            for kind in {one.link[0] for one in wanted}
            for key, mark in self.scene.journal.links.many(kind, [one.link[1] for one in wanted]).items()
        }
        found = {
            one.side.key: comparing.entry(one.side, booked.get(one.side.key, []), live(booked.get(one.side.key, [])))
            for one in wanted
        }
        missing = [one for one in wanted if found[one.side.key].state == MISSING_IN_SAP]
        dealt = {
            one.side.key for one in missing if self.span.dealt_with(one.names, marks.get(one.link), turned=_is_turn(one.side))
        }
        idle = self._idle([one for one in missing if one.side.key not in dealt and not found[one.side.key].other])
        for one in wanted:
            mark = marks.get(one.link)
            told = self._judged(one, found[one.side.key], settled=one.side.key in dealt | idle)
            self.span.take(told)
            if told.state != SAME:
                yield self.span.explained(told, one.names, one.side.key.split("/")[0], mark, one.pass_, one.at)

    def _judged(self, one: Wanted, found: Finding, *, settled: bool) -> Finding:
        """Say what of a finding is no difference, and what of an agreement is one."""
        undone = bool(one.payment) and bool(self.span.besides.known(UNDONE, [one.payment]))
        if found.state == SAME and undone:
            why = (
                f"journal entry {found.other} took it back, and so did the cancelled receipt of {one.payment}: undo one of both"
            )
            return replace(found, state=TWICE, why=why)
        if found.state != MISSING_IN_SAP:
            return found
        if settled or undone or self._foreign(one):
            return Finding(found.kind, found.id, SAME, found.amount, processor=found.processor)
        if one.held and not found.other:
            return replace(found, state=NOT_COMPARABLE, why=one.held)
        if one.hold and not found.other:
            return replace(found, why=f"{found.why}; held by configuration ({one.hold})")
        return found

    def _idle(self, missing: Sequence[Wanted]) -> set[str]:
        """Return what needs no entry: what went and came back unbooked, and what came back before its payment was ever posted."""
        sums: Counter[str] = Counter()
        for one in missing:
            sums[one.side.key.split("/")[0]] += one.side.wanted.minor
        idle = {one.side.key for one in missing if one.hold and not sums[one.side.key.split("/")[0]]}
        returned = {one.side.key: marker(one.payment) for one in missing if one.side.kind == RETURNED and one.payment}
        posted = self.span.sap.by_marks(list(returned.values())) if returned else {}
        return idle | {key for key, mark in returned.items() if all(receipt.cancelled for receipt in posted[mark])}

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
                    yield self.span.take(
                        Finding(kind, one.key, NOT_COMPARABLE, amount, why=why, command=f"mlc explain {one.key}")
                    )
                elif kind == REFUND and one.status in ("pending", "requires_action"):
                    yield self.span.take(Finding(kind, one.key, ON_ITS_WAY, amount, why=one.status))
                elif one.currency != self.span.terms.currency:
                    why = f"only {self.span.terms.currency} is booked by mlc"
                    yield self.span.take(Finding(kind, one.key, NOT_COMPARABLE, amount, why=why))
                else:
                    wanted.append(self._back(one, kind, amount, payment))
                seen[one.key] = 1
            self.span.besides.keep("movement", dict.fromkeys((one.key for one, _ in back), 1))
            yield from self.compared(wanted)

    def _back(self, one: clearing.Movement, kind: str, amount: Money, payment: str) -> Wanted:
        rules, base = self.scene.rules, one.key.split("/")[0]
        setting = "refunds" if kind == REFUND else "disputes"
        holds = (rules.refunds if kind == REFUND else rules.disputes) != "book"
        side = Side(kind, one.key, amount, "clearing", self.account(rules.account(one.currency) or ""))
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


def _is_turn(side: Side) -> bool:
    """Tell whether it takes back what stood before: a refund that failed, a dispute that was won, a payout that came back."""
    return "/" in side.key and side.kind != RETURNED


def _kind(one: clearing.Movement) -> str:
    """Return what kind of reversal moved the balance, "" for anything else."""
    if one.kind == clearing.PAYMENT:
        return RETURNED if one.key.endswith("/returned") else ""
    return {clearing.REFUND: REFUND, clearing.DISPUTE: DISPUTE}.get(one.kind, "")
