"""Money that goes back at Stripe: refunds, disputes, bank debits that are returned after they had succeeded.

Reads: see reversal_facts. Decides: the entry of each movement, what of it a person keyed, what is held and why. What a person dealt with
    is remembered movement by movement, so that it is never booked by itself, and what turns it is told until that is dealt with too.
Names: `<company>/refund/stripe/<refund>`, `.../dispute/...`, `.../returned/...<payment>/returned`; the entries `.../<refund>/failed`.
"""

from __future__ import annotations

from collections.abc import Sequence

from mlc.core import reversing
from mlc.core.facts import Reversal, Withdrawal
from mlc.core.intents import Mark, Plan, Skip
from mlc.core.keys import marker
from mlc.core.matching import is_foreign
from mlc.core.money import Money
from mlc.core.reversing import Leg, Wait
from mlc.passes.reversal_booking import Booking
from mlc.passes.reversal_facts import NEAR, ReversalFacts, policy
from mlc.passes.scene import Scene
from mlc.store.held import Held
from mlc.systems.sap import back
from mlc.systems.sap.entries import live

_PASSING = ("refund_pending", "balance_pending")  # dismissing these says nothing about what comes after
_TURNED = {"refund": "refund_failed", "dispute": "dispute_won", "returned": "returned"}
_WAITS_BY_HAND = ("refund_pending", "balance_pending", "unknown_status")  # reasons that stay their own with hold
DISMISSED = "dismissed by a person"


def decide(scene: Scene, facts: ReversalFacts) -> Plan:
    """Turn a batch into a plan."""
    plan = Plan(seen=len(facts.reversals))
    desk = _Desk(scene, facts, plan)
    for one in sorted(facts.reversals, key=lambda each: (each.created, each.id)):
        desk.decide(one)
    return plan


class _Desk:
    """A batch while it is decided."""

    def __init__(self, scene: Scene, facts: ReversalFacts, plan: Plan) -> None:
        self.scene, self.facts, self.plan = scene, facts, plan
        self.booking = Booking(scene, facts, plan)
        self.claimed = set(facts.claimed)
        self.hands: set[str] = set()  # legs that turn out to be keyed by a person

    def decide(self, one: Reversal) -> None:
        """Decide one: leave it, hold it, or book what of it is not booked yet."""
        name = self.scene.name(one.kind, one.id)
        held, other, start = self.facts.held.get(name), self.facts.others.get(one.payment), self.scene.start_moment()
        if other is not None and is_foreign(other, self.scene.rules.company):
            self._end(name, held)
            return
        if one.created < start and not any(move.created >= start for move in one.moves):
            self.plan.notes.append((name, f"{_told(one)}: {one.status}, before the start"))
            return
        legs = reversing.legs(one, self.scene.currency)
        if isinstance(legs, Wait):
            self._unclear(one, name, held, legs)
        elif not legs:
            self._nothing(one, name, held)
        else:
            self._dismissed(one, held, legs)
            self._legs(one, name, held, legs)

    # --- what ends without an entry -----------------------------------------------------------------------------------

    def _end(self, name: str, held: Held | None) -> None:
        self.plan.unchanged += 1
        if held is not None:
            self.plan.healed.append(name)

    def _nothing(self, one: Reversal, name: str, held: Held | None) -> None:
        self.plan.notes.append((name, f"{_told(one)}: {one.status}, nothing to book"))
        self._end(name, held)

    def _unclear(self, one: Reversal, name: str, held: Held | None, wait: Wait) -> None:
        if held is not None and held.dismissed and held.reason not in _PASSING:
            self.plan.unchanged += 1
        elif policy(self.scene, one.kind) == "book" or wait.reason in _WAITS_BY_HAND:
            self._skip(one, name, wait.reason, f"{_told(one)}: {wait.text}")
        else:
            self._skip(one, name, one.kind, f"{_to_book(one)} ({wait.text})")

    def _dismissed(self, one: Reversal, held: Held | None, legs: Sequence[Leg]) -> None:
        """Remember what a person dealt with: the first movement nobody booked, once for each reason that was dismissed."""
        if held is None or not held.dismissed or held.reason in _PASSING or one.id in self.facts.insist:
            return
        keys = [one.id + leg.suffix for leg in legs]
        if any(mark.data.get("reason") == held.reason for key in keys if (mark := self.facts.marks.get(key)) is not None):
            return
        leg = next((leg for leg in legs if self._state(one, leg) not in ("booked", "by_hand", "found")), None)
        turned = held.reason in _TURNED.values() and held.reason != "returned"
        if leg is not None and (leg.back > 0) != turned:
            self._hand(one, leg, DISMISSED, reason=held.reason)

    # --- movement by movement -------------------------------------------------------------------------------------------

    def _legs(self, one: Reversal, name: str, held: Held | None, legs: Sequence[Leg]) -> None:
        link, insists = self.facts.links.get(one.payment), one.id in self.facts.insist
        for number, leg in enumerate(legs):
            state = self._state(one, leg)
            if state == "by_hand" and self._vanished(one, leg, name):
                return
            if state in ("booked", "by_hand"):
                continue
            if link is None:
                self._absent(one, name, held, legs)
                return
            if state == "reversed" and not insists:
                text = f"the journal entry of {one.id}{leg.suffix} was reversed in SAP, or is not there; "
                self._skip(one, name, "cancelled_in_sap", f"{text}mlc replay {one.id} --again books it anew")
                return
            if state == "found":
                self._adopt(one, name, leg, link, legs)
                return
            if leg.back < 0 and self._state(one, legs[number - 1]) == "by_hand":
                self._turned(one, name, "what went back was keyed by hand: take that back in SAP")
                return
            if leg.back > 0 and not insists and self._settled_without(one, name, held, leg, legs, link):
                return
            if self._state(one, leg) == "by_hand":
                continue
            self._book(one, name, leg, link, anew=insists)
            return
        self._end(name, held)

    def _settled_without(self, one: Reversal, name: str, held: Held | None, leg: Leg, legs: Sequence[Leg], link: Mark) -> bool:
        """Deal with money that came back before it was booked, and with what people keyed; True where that ends it for now."""
        sure, naming, same = self._keyed(one, leg, link)
        net = sum(each.clearing for each in legs)
        hold = policy(self.scene, one.kind) == "hold"
        if leg is legs[0] and legs[-1].back < 0 and (one.kind == "refund" or hold):
            if sure or naming:
                self._turned(one, name, "what went back was keyed by hand: take that back in SAP")
            elif net and hold:
                fee = Money(-net, self.scene.currency)
                self._skip(
                    one,
                    name,
                    one.kind,
                    f"{_told(one)} is {one.status}; {fee} of fees stay with Stripe: book them, then dismiss it",
                )
            else:
                self._nothing(one, name, held)
            return True
        return self._recognised(one, name, leg, link, sure, naming, same, hold=hold)

    def _recognised(
        self, one: Reversal, name: str, leg: Leg, link: Mark, sure: list[Withdrawal], naming: list[Withdrawal], same: list[Withdrawal],
        *, hold: bool,
    ) -> bool:  # fmt: skip
        """Recognise what a person keyed for this movement: certain by its ids, customer and sum, else held; False where nothing is."""
        if sure:
            self.claimed.add(sure[0].claim)
            self._hand(one, leg, sure[0].what, claim=sure[0].claim)
            return False
        receipts = self.facts.receipts.get(marker(one.payment), [])
        if all(receipt.cancelled for receipt in receipts):
            return self._receipt_gone(one, name, leg, link, known=bool(receipts))
        if hold:
            self._skip(one, name, one.kind, _to_book(one))
            return True
        if self.facts.unread:
            text = f"SAP does not show outgoing payments ({self.facts.unread}), so nobody can tell whether {_told(one)} was keyed already;"
            self._skip(one, name, "unreadable", f"{text} let mlc's user read them, or mlc replay {one.id} --again")
            return True
        if naming or same:
            found = list(dict.fromkeys(other.what for other in naming or same))
            why = "names it, and is not its booking to the cent" if naming else "is over the same sum"
            text = f"{_told(one)}: {', '.join(found[:6])} {why}; is it this one? Dismiss this if so, else mlc replay {one.id} --again"
            self._skip(one, name, "maybe_booked", text, tuple(found[:12]))
            return True
        return False

    def _keyed(self, one: Reversal, leg: Leg, link: Mark) -> tuple[list[Withdrawal], list[Withdrawal], list[Withdrawal]]:
        """Return documents that are its booking for sure, those that name it at all, and those of the same customer and sum."""
        first, card = self.scene.day_of(leg.created) - NEAR, link.data.get("card_code")
        amount = Money(leg.back, self.scene.currency).decimal()
        free = [other for other in self.facts.withdrawals if other.claim not in self.claimed and other.day >= first]
        naming = [other for other in free if any(word in other.words for word in (one.id, one.payment, one.charge) if word)]
        fitting = [other for other in free if other.card_code == card and back.amount_is(other, amount)]
        sure = [other for other in naming if other in fitting and other.from_clearing]
        return sorted(sure, key=lambda other: one.id not in other.words), naming, fitting

    def _receipt_gone(self, one: Reversal, name: str, leg: Leg, link: Mark, *, known: bool) -> bool:
        """The payment's receipt was cancelled in SAP, or is gone: with the whole sum going back, that was the booking."""
        whole = leg.back == int(link.data["amount"]) and not leg.fee
        before = self.facts.held.get(self.scene.name("post-payment", one.payment))
        twin = Money(leg.back, self.scene.currency).decimal()
        keyed_anew = any(
            back.is_sum(other.total, twin) and other.card_code == link.data.get("card_code") for other in self.facts.anew
        )
        if whole and known and before is None and not keyed_anew:
            self._hand(one, leg, f"receipt {link.data.get('number') or link.other}, cancelled")
            return False
        text = f"{_told(one)}: the receipt of {one.payment} was cancelled in SAP, or is not there any more; see whether that booked it"
        self._skip(one, name, "maybe_booked", text)
        return True

    def _vanished(self, one: Reversal, leg: Leg, name: str) -> bool:
        """Tell of a document that was recognised as the booking and that SAP shows no more."""
        what = str(self.facts.marks.get(one.id + leg.suffix, Mark("", "")).data.get("what") or "")
        if not what.startswith(("outgoing payment", "journal entry")) or self.facts.unread or one.id in self.facts.insist:
            return False
        if any(other.what == what for other in self.facts.withdrawals):
            return False
        text = f"{_told(one)} was keyed as {what}, and that does not stand in SAP any more; key it again, then dismiss this"
        self._skip(one, name, "cancelled_in_sap", text)
        return True

    def _turned(self, one: Reversal, name: str, what: str) -> None:
        self._skip(one, name, _TURNED[one.kind], f"{_told(one)} is {one.status} now, and {what}, then dismiss this")

    def _state(self, one: Reversal, leg: Leg) -> str:
        """Tell how a leg stands: booked, by_hand, reversed, found (in SAP, not known yet), or "" where it does not."""
        key = one.id + leg.suffix
        entries, mark = self.facts.entries.get(key, []), self.facts.marks.get(key)
        if key in self.hands or (mark is not None and mark.state == "by_hand"):
            return "by_hand"
        if live(entries):
            return "booked" if mark is not None and mark.state == "booked" else "found"
        return "reversed" if entries or (mark is not None and mark.state == "booked") else ""

    def _absent(self, one: Reversal, name: str, held: Held | None, legs: Sequence[Leg]) -> None:
        """Its payment does not stand in SAP: nothing to take back from there."""
        why = self.facts.waits.get(one.payment, "is not named")
        if legs[-1].back < 0 and not sum(leg.clearing for leg in legs):
            self._nothing(one, name, held)
        elif policy(self.scene, one.kind) == "hold":
            self._skip(one, name, one.kind, _to_book(one))
        elif not why:
            self.plan.skips.append(Skip(name, "waits", f"{_told(one)} is booked once {one.payment} is", held=False))
        else:
            text = f"{_told(one)} is {one.status}, but its payment {why}: nothing in SAP to take it back from; book it by hand,"
            self._skip(one, name, "original_not_found", f"{text} then dismiss this")

    def _adopt(self, one: Reversal, name: str, leg: Leg, link: Mark, legs: Sequence[Leg]) -> None:
        found = live(self.facts.entries.get(one.id + leg.suffix, []))
        command = self.booking.entry(one, leg, link, found=True, anew=False)
        if isinstance(command, Wait):
            self._skip(one, name, command.reason, f"{_told(one)}: {command.text}")
            return
        came_back = any(live(self.facts.entries.get(one.id + each.suffix, [])) for each in legs if each.back < 0)
        wrong = self.booking.adopt(one, leg, command, found, came_back=came_back)
        if wrong:
            self._skip(one, name, "marker_mismatch", wrong)
            return
        self._heal(name)
        if link.state == "cancelled":
            self._taken_back_twice(one, link)

    def _book(self, one: Reversal, name: str, leg: Leg, link: Mark, *, anew: bool) -> None:
        """Wish the entry of a leg; with hold only what mlc itself booked is told, where it turned."""
        if policy(self.scene, one.kind) == "hold":
            self._turned(one, name, "what went back was booked by mlc: take that entry back in SAP (or set book)")
            return
        command = self.booking.entry(one, leg, link, found=False, anew=anew)
        if isinstance(command, Wait):
            self._skip(one, name, command.reason, f"{_told(one)}: {command.text}")
            return
        self.booking.wish(one, leg, link, command, anew=anew)
        self._heal(name)

    def _taken_back_twice(self, one: Reversal, link: Mark) -> None:
        """The receipt was cancelled although the refund has an entry of its own: the money is taken back twice."""
        name = self.scene.name("post-payment", one.payment)
        text = f"receipt {link.data.get('number')} for {one.payment} was cancelled in SAP, and {one.id} is booked there too"
        about = {"payment": one.payment, one.kind: one.id}
        self.plan.skips.append(Skip(name, "cancelled_in_sap", f"{text}: undo one of both", amount=one.amount, about=about))

    def _heal(self, name: str) -> None:
        if name in self.facts.held:
            self.plan.healed.append(name)

    def _hand(self, one: Reversal, leg: Leg, what: str, *, reason: str = "", claim: str = "") -> None:
        key = one.id + leg.suffix
        self.hands.add(key)
        data = {**self.booking.data(one, leg), "what": what, "reason": reason, "claim": claim}
        self.plan.marks.append(Mark("reversal", key, state="by_hand", data=data))
        self.plan.notes.append((self.scene.name(one.kind, one.id), f"{_told(one)} is dealt with: {what}"))

    def _skip(self, one: Reversal, name: str, reason: str, text: str, candidates: tuple[str, ...] = ()) -> None:
        about = {one.kind: one.id, "payment": one.payment, "status": one.status}
        self.plan.skips.append(Skip(name, reason, text, amount=one.amount, candidates=candidates, about=about))


def _to_book(one: Reversal) -> str:
    fee = sum(move.fee for move in one.moves)
    with_fee = f" with its fee of {Money(fee, one.moves[0].currency)}" if fee else ""
    return f"{_told(one)} is {one.status} at Stripe; book it{with_fee} in SAP by hand, then dismiss it"


def _told(one: Reversal) -> str:
    if one.kind == "returned":
        return f"the debit {one.payment} over {one.amount}, which came back,"
    return f"{one.kind} {one.id} over {one.amount} of {one.payment}"
