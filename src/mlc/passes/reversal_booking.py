"""The entry of one movement that goes back: built by the recorded allocation, wished, or adopted where SAP holds it already."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from mlc.core import reversing
from mlc.core.commands import Part, PostEntry
from mlc.core.facts import Booked, Reversal
from mlc.core.intents import Adoption, Intent, Mark, Plan
from mlc.core.intents import Receipt as Proof
from mlc.core.money import Money
from mlc.core.reversing import Leg, Place, Wait
from mlc.passes.reversal_facts import ReversalFacts
from mlc.passes.scene import Scene
from mlc.systems.sap.entries import differs, entry_marks


class Booking:
    """Builds the entries of a batch; what one takes of a payment is not there for the next."""

    def __init__(self, scene: Scene, facts: ReversalFacts, plan: Plan) -> None:
        self.scene, self.facts, self.plan = scene, facts, plan
        self.parts = {payment: list(parts) for payment, parts in facts.parts.items()}

    def data(self, one: Reversal, leg: Leg) -> dict[str, object]:
        """Return what is remembered of a leg: what it moves the clearing account by, of whose payment."""
        return {"clearing": leg.clearing, "fee": leg.fee, "currency": self.scene.currency, "payment": one.payment}

    def entry(self, one: Reversal, leg: Leg, link: Mark, *, found: bool, anew: bool) -> PostEntry | Wait:
        """Build the entry of a leg, or say why there can be none; one that was `found` in SAP is built as it must be there."""
        original = self.scene.day_of(leg.created)
        day: date | None = original if found else self.scene.posting_day(original, self.facts.periods)
        card = str(link.data.get("card_code") or "")
        clearing, fee = self.facts.accounts.get("clearing_account"), self.facts.accounts.get("fee_account")
        for role, account, needed in (("clearing_account", clearing, True), ("fee_account", fee, bool(leg.fee))):
            if needed and (account is None or not (found or (account.active and account.postable))):
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
        earlier = [part for part in self.parts.get(one.payment, []) if not (anew and part.thing == one.id)]
        places = self._places(int(link.data["amount"]), applied, earlier)
        taken = reversing.taken_from(places, leg.back) if leg.back > 0 else ()
        if taken is None and found:  # it stands in SAP: what it took was there then
            taken = (Place(reversing.NOT_SAID, 0, leg.back),)
        undone = [part for part in earlier if part.thing == one.id] if leg.back < 0 else []
        if taken is None or (leg.back < 0 and sum(part.amount for part in undone) != leg.back):
            left = Money(sum(place.minor for place in places), self.scene.currency)
            return Wait("amount_mismatch", f"{left} are left of {one.payment} in SAP")
        numbers = tuple(sorted(self.facts.invoices[entry].doc_num for entry, _ in applied if entry in self.facts.invoices))
        books = reversing.Books(
            card, self.facts.partners[card].control, clearing, fee, self.scene.currency, day, original,
            next(iter(branches)) if self.scene.ledger.branches else None, numbers,
        )  # fmt: skip
        return reversing.entry(one, leg, taken, undone, books)

    def _places(self, amount: int, applied: Sequence[tuple[int, int]], earlier: Sequence[Part]) -> tuple[Place, ...]:
        """Return what is left of a payment where it stands: on its invoices, the rest on account."""
        numbers = {entry: self.facts.invoices[entry].doc_num for entry, _ in applied if entry in self.facts.invoices}
        places = [Place(entry, numbers.get(entry, 0), minor) for entry, minor in applied]
        rest = amount - sum(minor for _, minor in applied)
        return reversing.left_of([*places, *([Place(0, 0, rest)] if rest else [])], earlier)

    def wish(self, one: Reversal, leg: Leg, link: Mark, command: PostEntry, *, anew: bool) -> None:
        """Wish the entry; what is known of it beside its parts is noted with the promise."""
        key, amount = one.id + leg.suffix, Money(abs(leg.back), self.scene.currency)
        self._take(one, command)
        self.plan.marks.append(Mark("reversal", key, data=self.data(one, leg)))
        says = f"book {one.kind} {key} of {one.payment} over {amount}"
        lane = f"customer/{link.data.get('card_code')}"
        self.plan.intents.append(Intent(self.scene.name(one.kind, key), command, lane, amount, says, anew=anew))

    def adopt(self, one: Reversal, leg: Leg, command: PostEntry, found: Sequence[Booked], *, came_back: bool) -> str:
        """Take over what SAP holds under our reference; returns in words where it is not what it must be."""
        wrong = f"there are {len(found)} of them" if len(found) > 1 else differs(command, found[0])
        if wrong:
            return f"journal entry {found[0].number} carries {one.id + leg.suffix}, but it is {wrong}"
        if not came_back:
            self._take(one, command)
        key, number = one.id + leg.suffix, str(found[0].number)
        mark = Mark("reversal", key, str(found[0].trans), "booked", {**self.data(one, leg), "number": number})
        says = f"found {key} as entry {number}"
        intent = Intent(self.scene.name(one.kind, key), command, f"customer/{one.payment}", one.amount, says, anew=True)
        proof = Proof("sap", "JournalEntry", str(found[0].trans), number)
        self.plan.adopted.append(Adoption(intent, proof, (mark, *entry_marks(command, found[0]))))
        return ""

    def _take(self, one: Reversal, command: PostEntry) -> None:
        for part in command.parts:
            if part.role == "refund":
                self.parts.setdefault(one.payment, []).append(part)
