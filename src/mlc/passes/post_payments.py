"""post-payments: what Stripe collected to SAP, one incoming payment each; what goes back is booked or held (see reversals).

Reads: hints (events since the last run, charges themselves where there are none to trust), the payments they speak of, SAP's
    documents under our marks, the invoices they name, receipts of the same customers around the same days.
Decides: what to post on which invoices, what was posted already, what is held and why.
Names: `<company>/post-payment/stripe/<PaymentIntent or charge>`, `.../paid-twice/...`, `.../refund/...<refund>`, `.../dispute/...<dispute>`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mlc.core import codec
from mlc.core.commands import PostPayment
from mlc.core.facts import Hint, Payment, Reversal
from mlc.core.intents import Mark, Plan
from mlc.passes import receipts, reversal_facts, reversals, settling
from mlc.passes.hints import Hints, read_hints
from mlc.passes.post_facts import PostFacts, PostReader, Read
from mlc.passes.posting import Posting
from mlc.passes.reversal_facts import ReversalFacts
from mlc.passes.scene import Scene, chunks
from mlc.passes.settling import SettleFacts

NAME = "post-payments"
Facts = PostFacts | ReversalFacts | SettleFacts


class PostPayments:
    """The pass. `only` limits it to some payments, `insist` names those a person wants posted in spite of a doubt."""

    name = NAME

    def __init__(
        self,
        scene: Scene,
        *,
        only: Iterable[str] | None = None,
        insist: Iterable[str] = (),
        decided: dict[str, list[int]] | None = None,
        hints: Iterable[Hint] = (),
    ) -> None:
        """`decided` are decisions of a person that the journal need not know yet (a dry run), `hints` events looked at again."""
        self.scene = scene
        self.reader = PostReader(scene, NAME, set(insist), decided or {})
        self._only = list(only) if only is not None else None
        self._hints = list(hints)
        self._done: set[str] = set()
        self._back: set[str] = set()
        self.partial = self._only is not None or scene.since is not None

    # --- gather -----------------------------------------------------------------------------------------------------

    def gather(self) -> Iterator[Facts]:
        """Yield what is held, what was promised and not sent, and what the hints speak of; then let the cursors move."""
        self._done, self._back = set(), set()
        if self._only is not None:
            for part in chunks(self._only, 40):
                yield self._facts(self.scene.stripe.payments(dict.fromkeys(part, 0)))
            for one in self._only:
                yield from self._reversals(self.scene.stripe.reversals_of(one))
            yield from self._returned(self._only)
            if self._hints:
                told = Hints(events=[hint.event for hint in self._hints])
                for hint in self._hints:
                    told.add(hint)
                yield from self._hinted(told)
            yield from settling.gather(self.scene, NAME, whose=settling.STRIPE)
            return
        yield from self._held()
        unsent = [
            one.command.payment for one in self.scene.journal.opened(NAME, begun=False) if isinstance(one.command, PostPayment)
        ]
        for part in chunks(unsent, 40):
            yield self._facts(self.scene.stripe.payments(dict.fromkeys(part, 0)))
        for hints in read_hints(self.scene):
            yield from self._hinted(hints)
        yield from self._reversals(reversal_facts.waiting(self.scene, NAME))
        yield from self._receipts()
        yield from settling.gather(self.scene, NAME, whose=settling.STRIPE)

    def _held(self) -> Iterator[PostFacts]:
        """Look at every held payment again: with what was read of it then, and afresh where that would change anything."""
        held = [one for one in self.scene.journal.held.all(pass_=NAME) if "/post-payment/" in one.name]
        blank = [str(one.about["payment"]) for one in held if "payment" not in one.facts]  # a recipe held it: it knows no facts
        for chunk in chunks(blank, 40):
            yield self._facts(self.scene.stripe.payments(dict.fromkeys(chunk, 0)))
        held = [one for one in held if "payment" in one.facts]
        for start in range(0, len(held), 40):
            part = held[start : start + 40]
            stale = {str(one.about["payment"]): codec.decode(Payment, one.facts["payment"]) for one in part}
            facts = self._facts(stale, stale=not any(one.reason == "closed_period" for one in part))
            same = {skip.name: skip.reason for skip in self.decide(facts).skips}
            moved = [str(one.about["payment"]) for one in part if same.get(one.name) != one.reason]
            if moved:
                facts = self._facts(
                    {**stale, **{key: one for key, one in self.scene.stripe.payments(dict.fromkeys(moved, 0)).items() if one}}
                )
            yield facts

    def _receipts(self) -> Iterator[PostFacts]:
        """Decide again about payments whose receipt does not stand any more: they are held, never booked by themselves."""
        for lost in receipts.lost(self.scene):
            facts = self._facts(self.scene.stripe.payments(dict.fromkeys(lost.payments, 0)))
            facts.invoice_states += [Mark("payment", key, state="cancelled") for key in lost.payments]
            facts.cursors |= lost.cursors
            yield facts

    def _returned(self, payments: Iterable[str], held: Iterable[str] = ()) -> Iterator[ReversalFacts]:
        """Look at payments that have failed: those that stood in SAP, and those that were held as succeeded, have come back."""
        posted = self.scene.journal.links.many("payment", payments)
        stood = [one for one, mark in posted.items() if mark.state in ("posted", "cancelled")]
        yield from self._reversals(reversal_facts.returned(self.scene, dict.fromkeys([*stood, *held])))

    def _hinted(self, hints: Hints) -> Iterator[Facts]:
        journal = self.scene.journal
        posted = {mark.key for mark in journal.links.many("payment", hints.payments).values() if mark.state == "posted"}
        held = [one for one in hints.failed if journal.held.get(self.scene.name("post-payment", one)) is not None]
        open_ = [one for one in hints.payments if one not in posted and one not in self._done]
        for part in chunks(open_, 40):
            yield self._facts(self.scene.stripe.payments({one: hints.payments[one] for one in part}, hints.paid_invoice))
        last = PostFacts(events=hints.events, cursors=hints.cursors, notes=hints.notes, seen=len(posted))
        back = [one for kind, ident in hints.reversals if (one := self.scene.stripe.reversal(kind, ident)) is not None]
        back += hints.read
        yield from self._reversals(back)
        yield from self._returned(hints.failed, held)
        yield from self._invoices(hints, last)
        yield last

    def _reversals(self, found: Iterable[Reversal]) -> Iterator[ReversalFacts]:
        fresh = [one for one in found if one.id not in self._back]
        self._back |= {one.id for one in fresh}
        yield from reversal_facts.gather(self.scene, NAME, fresh, self.reader.insist)

    def _invoices(self, hints: Hints, last: PostFacts) -> Iterator[PostFacts]:
        """Look at invoices of ours that an event says were voided, written off, or paid by a payment no event named."""
        for mark in self.scene.journal.links.by_other("invoice", hints.invoices).values():
            if mark.state not in ("open", "uncollectible"):
                continue
            now = self.scene.stripe.invoice(mark.other)
            if now is None:
                continue
            if now.status in ("void", "uncollectible", "paid"):
                last.invoice_states.append(Mark("invoice", mark.key, mark.other, now.status))
            missed = [part.payment for part in now.payments or () if part.status == "paid" and part.kind != "payment_record"]
            fresh = [one for one in missed if one and one not in hints.payments]
            if fresh:
                yield self._facts(self.scene.stripe.payments(dict.fromkeys(fresh, 0)))

    def _facts(self, read: Read, *, stale: bool = False) -> PostFacts:
        if not stale:
            self._done.update(read)
        return self.reader.facts(read, stale=stale)

    # --- decide -----------------------------------------------------------------------------------------------------

    def decide(self, facts: Facts) -> Plan:
        """Turn one batch into a plan."""
        if isinstance(facts, ReversalFacts):
            return reversals.decide(self.scene, facts)
        if isinstance(facts, SettleFacts):
            return settling.decide(self.scene, facts)
        return Posting(self.scene, self.reader).decide(facts)
