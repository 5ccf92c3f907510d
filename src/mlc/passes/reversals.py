"""Money that goes back at Stripe: refunds, disputes, bank debits that are returned after they had succeeded.

Reads: the refunds and disputes as they are now with what they did to the balance, the payments they are about as the journal and SAP
    know them, entries under our references, what somebody keyed by hand for the same customer and sum.
Decides: the entry of each movement by the allocation recorded for its payment, or what is held and why.
Names: `<company>/refund/stripe/<refund>`, `.../dispute/...`, `.../returned/...<payment>/returned`; the entries `.../<refund>/failed`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from mlc.core import reversing
from mlc.core.commands import PostEntry
from mlc.core.facts import Booked, Reversal, Withdrawal
from mlc.core.intents import Adoption, Intent, Mark, Plan, Skip
from mlc.core.intents import Receipt as Proof
from mlc.core.keys import marker
from mlc.core.matching import is_foreign
from mlc.core.money import Money
from mlc.core.reversing import Leg, Place, Wait
from mlc.passes.reversal_facts import NEAR, ReversalFacts, policy
from mlc.passes.scene import Scene
from mlc.store.held import Held
from mlc.systems.sap import back
from mlc.systems.sap.entries import differs, entry_marks, live

_PASSING = ("refund_pending", "balance_pending")  # dismissing these says nothing about what comes after
_OVER = ("failed", "canceled", "won", "prevented")
_TURNED = {"refund": "refund_failed", "dispute": "dispute_won", "returned": "returned"}


# --- decide -----------------------------------------------------------------------------------------------------------


def decide(scene: Scene, facts: ReversalFacts) -> Plan:
    """Turn a batch into a plan; what one reversal takes of a payment is not there for the next."""
    plan = Plan(seen=len(facts.reversals))
    desk = _Desk(scene, facts, plan)
    for one in sorted(facts.reversals, key=lambda each: (each.created, each.id)):
        desk.decide(one)
    return plan


class _Desk:
    """A batch while it is decided."""

    def __init__(self, scene: Scene, facts: ReversalFacts, plan: Plan) -> None:
        self.scene, self.facts, self.plan = scene, facts, plan
        self.parts = {payment: list(parts) for payment, parts in facts.parts.items()}
        self.claimed = set(facts.claimed)

    def decide(self, one: Reversal) -> None:
        """Decide one: leave it, hold it, or book what of it is not booked yet."""
        name = self.scene.name(one.kind, one.id)
        other = self.facts.others.get(one.payment)
        held = self.facts.held.get(name)
        if other is not None and is_foreign(other, self.scene.rules.company):
            self._end(name, held)
        elif one.created < self.scene.start_moment() and not any(
            move.created >= self.scene.start_moment() for move in one.moves
        ):
            self.plan.notes.append((name, f"{_told(one)}: {one.status}, before the start"))
        elif policy(self.scene, one.kind) == "hold":
            if not self._keyed_surely(one, name):
                self._by_hand(one, name, held)
        elif held is not None and held.dismissed and held.reason not in _PASSING and one.id not in self.facts.insist:
            self._dealt_with(one, name, held)
        else:
            self._book(one, name, held)

    def _end(self, name: str, held: Held | None) -> None:
        self.plan.unchanged += 1
        if held is not None:
            self.plan.healed.append(name)

    def _by_hand(self, one: Reversal, name: str, held: Held | None) -> None:
        """Leave the booking to a person: held until it is booked by hand and dismissed, and again where it turns."""
        over = one.status in _OVER or one.status.startswith("warning")
        if one.kind == "returned":
            over = False
        if over and held is not None and held.dismissed:
            what = f"{_told(one)} is {one.status} now, and it was dismissed as booked: take the booking in SAP back, then dismiss this"
            self._skip(one, name, _TURNED[one.kind], what)
        elif over:
            self.plan.notes.append((name, f"{_told(one)}: {one.status}"))
            if held is not None:
                self.plan.healed.append(name)
        elif one.kind == "refund" and one.status in ("pending", "requires_action"):
            self._skip(one, name, "refund_pending", f"{_told(one)} is on its way ({one.status}): nothing to book yet")
        else:
            fee = sum(move.fee for move in one.moves)
            with_fee = f" with its fee of {Money(fee, one.moves[0].currency)}" if fee else ""
            self._skip(
                one,
                name,
                one.kind,
                f"{_told(one)} is {one.status} at Stripe; book it{with_fee} in SAP by hand, then dismiss it",
            )

    def _keyed_surely(self, one: Reversal, name: str) -> bool:
        """Recognise what a person keyed under its ids while it is held: then nobody needs to wait for a word."""
        legs = reversing.legs(one, self.scene.currency)
        link = self.facts.links.get(one.payment)
        if isinstance(legs, Wait) or not legs or link is None:
            return False
        if len(legs) > 1:
            keyed = self._keyed(one, legs) or bool(self._same(one, legs[0], link)[0])
            return keyed and self._turned_by_hand(one, name, legs)
        state = self._state(one, legs[0]) if legs else ""
        if state == "by_hand":
            self._end(name, self.facts.held.get(name))
            return True
        sure, _ = self._same(one, legs[0], link)
        if state or not sure:
            return False
        data = {"clearing": legs[0].clearing, "fee": legs[0].fee, "currency": self.scene.currency, "payment": one.payment}
        self._hand(one, name, one.id, sure[0].what, data)
        return True

    def _same(self, one: Reversal, leg: Leg, link: Mark) -> tuple[list[Withdrawal], list[Withdrawal]]:
        """Return what a person keyed for it by its ids, and everything of the same customer and sum around its day."""
        day, card = self.scene.day_of(leg.created), link.data.get("card_code")
        amount = Money(leg.back, self.scene.currency).decimal()
        same = [
            other for other in self.facts.withdrawals
            if other.card_code == card and other.day >= day - NEAR and back.amount_is(other, amount) and other.what not in self.claimed
        ]  # fmt: skip
        return [other for other in same if one.id in other.words or one.payment in other.words], same

    def _dealt_with(self, one: Reversal, name: str, held: Held) -> None:
        """A person has dealt with it: it is never booked by itself, and only told again where it turned."""
        if one.status in _OVER:
            self._by_hand(one, name, held)
        else:
            self.plan.unchanged += 1

    def _book(self, one: Reversal, name: str, held: Held | None) -> None:
        legs = reversing.legs(one, self.scene.currency)
        if isinstance(legs, Wait):
            self._skip(one, name, legs.reason, f"{_told(one)}: {legs.text}")
            return
        first = self._state(one, legs[0]) if legs else ""
        link = self.facts.links.get(one.payment)
        if (
            legs
            and not first
            and link is not None
            and self._same(one, legs[0], link)[0]
            and self._turned_by_hand(one, name, legs)
        ):
            return
        if not legs or (one.kind == "refund" and one.status in _OVER and not first):
            self.plan.notes.append((name, f"{_told(one)}: {one.status}, nothing to book"))
            self._end(name, held)
            return
        if link is None:
            self._absent(one, name)
            return
        for leg in legs:
            state = self._state(one, leg)
            if state == "reversed" and one.id not in self.facts.insist:
                text = f"the journal entry of {one.id}{leg.suffix} was reversed in SAP, or is not there; "
                self._skip(one, name, "cancelled_in_sap", f"{text}mlc replay {one.id} --again books it anew")
                return
            if state in ("booked", "by_hand"):
                continue
            if self._leg(one, name, leg, link, legs):
                return
        self._end(name, held)

    def _turned_by_hand(self, one: Reversal, name: str, legs: Sequence[Leg]) -> bool:
        """Tell of a reversal that a person keyed and that turned: the state that knew of it may be lost."""
        if len(legs) < 2 or legs[-1].back > 0:
            return False
        what = (
            f"{_told(one)} is {one.status} now, and what went back was keyed by hand: take that back in SAP, then dismiss this"
        )
        self._skip(one, name, _TURNED[one.kind], what)
        return True

    def _state(self, one: Reversal, leg: Leg) -> str:
        """Tell how a leg stands: booked, by_hand, reversed, found (in SAP, not known yet), or "" where it does not."""
        key = one.id + leg.suffix
        entries, mark = self.facts.entries.get(key, []), self.facts.marks.get(key)
        if mark is not None and mark.state == "by_hand":
            return "by_hand"
        if live(entries):
            return "booked" if mark is not None and mark.state == "booked" else "found"
        return "reversed" if entries or (mark is not None and mark.state == "booked") else ""

    def _absent(self, one: Reversal, name: str) -> None:
        why = self.facts.waits.get(one.payment, "is not named")
        if not why:
            self.plan.skips.append(Skip(name, "waits", f"{_told(one)} is booked once {one.payment} is", held=False))
            return
        text = f"{_told(one)} is {one.status}, but its payment {why}: nothing in SAP to take it back from; book it by hand, then dismiss this"
        self._skip(one, name, "original_not_found", text)

    def _leg(self, one: Reversal, name: str, leg: Leg, link: Mark, legs: Sequence[Leg]) -> bool:
        """Adopt, recognise or wish the entry of one leg; True where the legs behind it must wait."""
        key = one.id + leg.suffix
        day = self.scene.day_of(leg.created)
        if leg.back < 0 and self._keyed(one, legs):
            what = f"{_told(one)} is {one.status} now, and what went back was keyed by hand: take that back in SAP, then dismiss this"
            self._skip(one, name, _TURNED[one.kind], what)
            return True
        found = live(self.facts.entries.get(key, []))
        command = self._entry(one, leg, link, self._posting_day(day, exact=bool(found)), day, exact=bool(found))
        if isinstance(command, Wait):
            self._skip(one, name, command.reason, f"{_told(one)}: {command.text}")
            return True
        data = {"clearing": leg.clearing, "fee": leg.fee, "currency": self.scene.currency, "payment": one.payment}
        if found:
            return self._adopt(one, name, key, command, found, data, legs)
        if leg.back > 0 and one.id not in self.facts.insist and self._recognised(one, name, key, leg, link, data):
            return key not in {mark.key for mark in self.plan.marks}
        for part in command.parts:
            if part.role == "refund":
                self.parts.setdefault(one.payment, []).append(part)
        self.plan.marks.append(Mark("reversal", key, data=data))
        says = f"book {one.kind} {key} of {one.payment} over {Money(abs(leg.back), self.scene.currency)}"
        amount = Money(abs(leg.back), self.scene.currency)
        intent_name = self.scene.name(one.kind, key)
        lane = f"customer/{link.data.get('card_code')}"
        self.plan.intents.append(Intent(intent_name, command, lane, amount, says, anew=one.id in self.facts.insist))
        if name in self.facts.held:
            self.plan.healed.append(name)
        return True  # what turned it is built on what was really booked

    def _keyed(self, one: Reversal, legs: Sequence[Leg]) -> bool:
        return any(self._state(one, leg) == "by_hand" for leg in legs if leg.back > 0)

    def _posting_day(self, day: date, *, exact: bool) -> date | None:
        return day if exact else self.scene.posting_day(day, self.facts.periods)

    def _entry(
        self, one: Reversal, leg: Leg, link: Mark, day: date | None, original: date, *, exact: bool
    ) -> PostEntry | Wait:  # fmt: skip
        card = str(link.data.get("card_code") or "")
        clearing, fee = self.facts.accounts.get("clearing_account"), self.facts.accounts.get("fee_account")
        for role, account, needed in (("clearing_account", clearing, True), ("fee_account", fee, bool(leg.fee))):
            if needed and (account is None or not (account.active and account.postable)):
                return Wait("account", f"stripe.{role} is not configured or cannot be posted to in SAP")
        if day is None:
            return Wait("closed_period", f"the posting period of {original} is closed in SAP")
        if card not in self.facts.partners:
            return Wait("no_customer", f"SAP has no business partner {card}")
        applied = [(int(entry), int(minor)) for entry, minor in link.data.get("applied") or ()]
        branches = {self.facts.invoices[entry].branch for entry, _ in applied if entry in self.facts.invoices}
        if self.scene.ledger.branches and len(branches) != 1:
            return Wait("branch", f"it cannot be told to which branch {one.payment} belongs")
        assert clearing is not None
        places = self._places(one.payment, int(link.data["amount"]), applied)
        taken = reversing.taken_from(places, leg.back) if leg.back > 0 else ()
        if taken is None and exact:  # it stands in SAP: what it took was there then
            taken = (Place(reversing.NOT_SAID, 0, leg.back),)
        undone = [part for part in self.parts.get(one.payment, []) if part.thing == one.id] if leg.back < 0 else []
        if taken is None or (leg.back < 0 and -sum(part.amount for part in undone) != -leg.back):
            left = Money(sum(place.minor for place in places), self.scene.currency)
            return Wait("amount_mismatch", f"{left} are left of {one.payment} in SAP")
        numbers = tuple(sorted(self.facts.invoices[entry].doc_num for entry, _ in applied if entry in self.facts.invoices))
        books = reversing.Books(
            card, self.facts.partners[card].control, clearing, fee, self.scene.currency, day, original,
            next(iter(branches)) if self.scene.ledger.branches else None, numbers,
        )  # fmt: skip
        return reversing.entry(one, leg, taken, undone, books)

    def _places(self, payment: str, amount: int, applied: Sequence[tuple[int, int]]) -> tuple[Place, ...]:
        """Return what is left of a payment where it stands: on its invoices, the rest on account."""
        numbers = {entry: self.facts.invoices[entry].doc_num for entry, _ in applied if entry in self.facts.invoices}
        places = [Place(entry, numbers.get(entry, 0), minor) for entry, minor in applied]
        rest = amount - sum(minor for _, minor in applied)
        return reversing.left_of([*places, *([Place(0, 0, rest)] if rest else [])], self.parts.get(payment, []))

    def _adopt(
        self, one: Reversal, name: str, key: str, command: PostEntry, found: Sequence[Booked], data: dict[str, object],
        legs: Sequence[Leg],
    ) -> bool:  # fmt: skip
        wrong = f"there are {len(found)} of them" if len(found) > 1 else differs(command, found[0])
        if wrong:
            self._skip(one, name, "marker_mismatch", f"journal entry {found[0].number} carries {key}, but it is {wrong}")
            return True
        came_back = any(live(self.facts.entries.get(one.id + leg.suffix, [])) for leg in legs if leg.back < 0)
        for part in command.parts:
            if part.role == "refund" and not came_back:
                self.parts.setdefault(one.payment, []).append(part)
        mark = Mark("reversal", key, str(found[0].trans), "booked", {**data, "number": str(found[0].number)})
        intent = Intent(
            self.scene.name(one.kind, key), command, f"customer/{one.payment}", one.amount, f"found {key} as entry {found[0].number}",
            anew=True,
        )  # fmt: skip
        proof = Proof("sap", "JournalEntry", str(found[0].trans), str(found[0].number))
        self.plan.adopted.append(Adoption(intent, proof, (mark, *entry_marks(command, found[0]))))
        if name in self.facts.held:
            self.plan.healed.append(name)
        return True  # the parts are links from now on: what turned it comes with the next batch

    def _recognised(self, one: Reversal, name: str, key: str, leg: Leg, link: Mark, data: dict[str, object]) -> bool:
        """Recognise what a person keyed for this reversal: certain by its ids, else held; False where nothing speaks of it."""
        if self.facts.unread:
            text = f"SAP does not show outgoing payments ({self.facts.unread}), so nobody can tell whether {_told(one)} was keyed already;"
            self._skip(one, name, "unreadable", f"{text} let mlc's user read them, or mlc replay {one.id} --again")
            return True
        receipts = self.facts.receipts.get(marker(one.payment), [])
        if not any(not receipt.cancelled for receipt in receipts):
            return self._receipt_gone(one, name, key, leg, link, data)
        sure, same = self._same(one, leg, link)
        if sure:
            self._hand(one, name, key, sure[0].what, data)
        elif same:
            whats = ", ".join(other.what for other in same[:6])
            text = f"{_told(one)}: {whats} of {link.data.get('card_code')} is over the same sum; is it this one?"
            text = f"{text} If not: mlc replay {one.id} --again"
            self._skip(one, name, "maybe_booked", text, tuple(other.what for other in same[:12]))
        return bool(same)

    def _receipt_gone(self, one: Reversal, name: str, key: str, leg: Leg, link: Mark, data: dict[str, object]) -> bool:
        """The payment's receipt was cancelled in SAP, or is gone: with the whole sum going back, that was the booking."""
        whole = leg.back == int(link.data["amount"]) and not leg.fee
        if whole and self.facts.receipts.get(marker(one.payment)):
            self._hand(one, name, key, f"receipt {link.data.get('number') or link.other}, cancelled", data)
            return True
        text = f"{_told(one)}: the receipt of {one.payment} was cancelled in SAP, or is not there any more; see whether that booked it"
        self._skip(one, name, "maybe_booked", text)
        return True

    def _hand(self, one: Reversal, name: str, key: str, what: str, data: dict[str, object]) -> None:
        self.claimed.add(what)
        self.plan.marks.append(Mark("reversal", key, state="by_hand", data={**data, "what": what}))
        self.plan.notes.append((name, f"{_told(one)} stands in SAP already: {what}"))
        self._end(name, self.facts.held.get(name))

    def _skip(self, one: Reversal, name: str, reason: str, text: str, candidates: tuple[str, ...] = ()) -> None:
        about = {one.kind: one.id, "payment": one.payment, "status": one.status}
        self.plan.skips.append(Skip(name, reason, text, amount=one.amount, candidates=candidates, about=about))


def _told(one: Reversal) -> str:
    if one.kind == "returned":
        return f"the debit {one.payment} over {one.amount}, which came back,"
    return f"{one.kind} {one.id} over {one.amount} of {one.payment}"
