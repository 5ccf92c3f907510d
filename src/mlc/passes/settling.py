"""Closing what entries paid: each receivable line is reconciled with its invoice; what goes back opens the invoice again.

Reads: the open rows of the customers concerned, SAP's invoices. Decides: which rows settle each other, what stays open and why.
Names: `<company>/settle/sap/<part>`, held: `<company>/settle/sap/<part>`, `.../refund/gocardless/...`, `.../paid-twice/...`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from mlc.core import codec
from mlc.core.commands import OpenRow, Part, Reconcile
from mlc.core.facts import Invoice, OpenItem
from mlc.core.intents import Intent, Mark, Plan, Skip
from mlc.core.money import Money, MoneyError, from_decimal
from mlc.passes.scene import Scene

_BATCH = 200
_INVOICE, _MEMO = ("13", "oInvoices", "it_Invoice"), ("14", "oCreditNotes", "it_CredItnote")
_RECEIPT = ("24", "oIncomingPayments", "it_Receipt")
GOCARDLESS, STRIPE = "gocardless", "stripe"


@dataclass(frozen=True, slots=True)
class Placed:
    """A part of a posted entry: where it stands, and whether it is settled."""

    part: Part
    state: str
    trans: int
    rows: tuple[int, ...]
    day: date
    recon: int


@dataclass(slots=True)
class SettleFacts:
    """A batch of parts that are not settled yet, with the open rows of their customers."""

    parts: list[Placed] = field(default_factory=list)
    related: dict[str, Placed] = field(default_factory=dict)  # key -> the part that one of them takes back
    returned: dict[str, list[Placed]] = field(default_factory=dict)  # payment -> debits of it that stayed open
    items: list[OpenItem] = field(default_factory=list)
    invoices: dict[int, Invoice] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)  # names that are held now
    currency: str = ""
    final: bool = True
    credits: dict[str, list[Placed]] = field(default_factory=dict)  # payment -> what of it stands on account
    paid_by: dict[str, int] = field(default_factory=dict)  # payment of Stripe -> DocEntry of its receipt
    bases: dict[int, tuple[int, ...]] = field(default_factory=dict)  # credit memo -> the invoices it was made from


def placed(mark: Mark) -> Placed:
    """Read a link of the kind `part`."""
    data: dict[str, Any] = mark.data
    return Placed(
        codec.decode(Part, data), mark.state, int(data["trans"]), tuple(data.get("rows") or ()), date.fromisoformat(data["day"]),
        int(data.get("recon") or 0),
    )  # fmt: skip


def gather(
    scene: Scene, pass_: str, only: set[str] | None = None, *, final: bool = True, whose: str = GOCARDLESS
) -> Iterator[SettleFacts]:
    """Yield what is posted for one processor and not settled, in batches, each customer's rows read now.

    Not `final`: more entries of the same payments are still to be taken over, nothing is told of an invoice that is open.
    """
    links = scene.journal.links
    known = {one.name for one in scene.journal.held.all(pass_=pass_, dismissed=True)}
    dismissed = {one.name for one in scene.journal.held.all(pass_=pass_, dismissed=True) if one.dismissed}
    marks = (mark for mark in links.all_in_state("part", "open") if mark.key.startswith("PO") == (whose == GOCARDLESS))
    open_ = [placed(mark) for mark in marks if only is None or mark.key.split("/")[0] in only]
    open_ = [one for one in open_ if _name(scene, one.part) not in dismissed]
    for start in range(0, len(open_), _BATCH):
        facts = SettleFacts(open_[start : start + _BATCH], known=known, currency=scene.currency, final=final)
        facts.related = {
            m.key: placed(m) for m in links.many("part", [o.part.undoes for o in facts.parts if o.part.undoes]).values()
        }
        for mark in links.of_others("part", {one.part.payment for one in facts.parts if one.part.payment}):
            if mark.state == "left":
                facts.returned.setdefault(mark.other, []).append(placed(mark))
            elif mark.state in ("account", "twice") and not mark.data.get("undone"):
                facts.credits.setdefault(mark.other, []).append(placed(mark))
        facts.items = scene.sap.open_items(one.part.card_code for one in facts.parts)
        if whose == STRIPE:
            paid = links.many("payment", {one.part.payment for one in facts.parts})
            facts.paid_by = {key: int(mark.other) for key, mark in paid.items() if mark.other.isdecimal()}
            memos = {one.document for one in facts.items if one.source in _MEMO}
            facts.bases = {one.doc_entry: one.base_invoices for one in scene.sap.credit_memos(memos)} if memos else {}
        named = {(one.card_code, one.document) for one in facts.items if one.source in _INVOICE}
        open_rows = {(one.trans, one.row) for one in facts.items}
        entries = {
            one.part.doc_entry for one in facts.parts
            if one.part.doc_entry
            and ((one.part.card_code, one.part.doc_entry) not in named or not any((one.trans, row) in open_rows for row in one.rows))
        }  # fmt: skip
        facts.invoices = scene.sap.debts(entries=entries) if entries else {}
        yield facts


def decide(scene: Scene, facts: SettleFacts) -> Plan:
    """Turn a batch into reconciliations; what one takes of a row is not there for the next."""
    plan = Plan(seen=len(facts.parts))
    desk = _Desk(scene, facts, plan)
    for one in sorted(facts.parts, key=lambda each: (each.part.role not in ("undo", "return"), each.day, each.part.key)):
        before = len(plan.skips)
        desk.settle(one)
        name = _name(scene, one.part)
        if len(plan.skips) == before and name in facts.known:
            plan.healed.append(name)
    skipped = {skip.name for skip in plan.skips}
    seen = {scene.name("reversed", one.part.key.split("/")[0], "gocardless") for one in facts.parts}
    plan.healed += sorted((seen & facts.known) - skipped)
    return plan


def _name(scene: Scene, part: Part) -> str:
    return scene.name("settle", part.key, "sap")


class _Desk:
    """The open rows of a batch while they are given away."""

    def __init__(self, scene: Scene, facts: SettleFacts, plan: Plan) -> None:
        self.scene, self.facts, self.plan = scene, facts, plan
        self.rows = {(one.trans, one.row): one for one in facts.items}
        self.left = {key: self._minor(one) for key, one in self.rows.items()}
        self.done: set[str] = set()
        self.reopening: set[int] = set()  # invoices that this very plan opens again

    def _minor(self, one: OpenItem) -> int:
        try:
            return from_decimal(abs(one.amount), self.facts.currency).minor
        except MoneyError:
            return 0

    def settle(self, one: Placed) -> None:
        part = one.part
        if part.key in self.done:
            return
        own = self._own(one)
        if not own and self._surely_not_applied(part):
            if self.facts.final:
                self._reversed(part)
        elif not own:
            self.plan.marks.append(Mark("part", part.key, state="settled", data={"by": "somebody else"}))
            self.plan.notes.append(
                (_name(self.scene, part), f"the line of {part.thing} is no longer open in SAP: settled there")
            )
        elif part.undone and (taker := self._taker(one)) is not None:
            self._pair(one, taker)
        elif part.role in ("undo", "return"):
            self._take_back(one)
        elif part.role == "refund":
            self._refund(one)
        elif back := self._left_open(one):
            self._pair(back, one)
        else:
            self._close(one)

    def _surely_not_applied(self, part: Part) -> bool:
        """Tell whether our line is closed although its invoice cannot have been paid by it: more is open than it would leave."""
        invoice = self.facts.invoices.get(part.doc_entry)
        if invoice is None or part.role != "invoice" or part.undone or part.local <= 0:
            return False
        return not invoice.cancelled and invoice.balance > invoice.total - Money(part.local, self.facts.currency).decimal()

    def _reversed(self, part: Part) -> None:
        """A line that is settled, and not with its invoice: somebody reversed the entry, or used its line elsewhere."""
        payout = part.key.split("/")[0]
        text = f"the line of {part.thing} in the entry of {payout} is settled, but invoice {part.doc_num} is open: was the entry reversed"
        text += f" in SAP? mlc replay {payout} --again books it anew if so; else reconcile by hand, then dismiss this"
        about = {"payout": payout, "payment": part.payment, "doc_num": part.doc_num, "card_code": part.card_code}
        name = self.scene.name("reversed", payout, "gocardless")
        if all(skip.name != name for skip in self.plan.skips):
            amount = Money(part.amount, part.currency)
            self.plan.skips.append(Skip(name, "cancelled_in_sap", text, amount=amount, about=about))

    def _taker(self, one: Placed) -> Placed | None:
        return next((other for other in self.facts.parts if other.part.key == one.part.undone), None)

    def _left_open(self, one: Placed) -> Placed | None:
        """Return a debit of the same payment that stayed open when it went back: its next collection settles it."""
        fitting = [each for each in self.facts.returned.get(one.part.payment, []) if each.part.amount == -one.part.amount]
        return next((each for each in fitting if self._own(each)), None)

    def _own(self, one: Placed) -> list[OpenRow]:
        """Return our rows of a part that are open, with their whole amounts."""
        keys = [(one.trans, row) for row in one.rows]
        return [OpenRow(*key, self.left[key], own=True) for key in keys if self.left.get(key, 0) > 0]

    # --- the three ways -------------------------------------------------------------------------------------------------

    def _close(self, one: Placed) -> None:
        """Settle a credit with the rows of its invoice, in the order in which they are due."""
        part, own = one.part, self._own(one)
        need = -sum(self._signed(row) for row in own)
        invoice = self.facts.invoices.get(part.doc_entry)
        theirs: list[OpenRow] = []
        for key in sorted(self._of_invoice(part, invoice)):
            takes = min(need - sum(row.minor for row in theirs), self.left[key])
            if takes > 0:
                theirs.append(OpenRow(*key, takes))
        if sum(row.minor for row in theirs) != need and part.doc_entry in self.reopening:
            self.plan.unchanged += 1  # once it is open again
            return
        if sum(row.minor for row in theirs) != need or need <= 0:
            there = Money(sum(row.minor for row in theirs), self.facts.currency)
            text = f"{part.thing} of {part.key.split('/')[0]} is booked for {part.card_code}, but on invoice {part.doc_num} only {there}"
            text += " are open: somebody may have closed it meanwhile; reconcile it in SAP by hand"
            self._skip(one, "no_open_invoice", text)
            return
        self._wish([*own, *theirs], [one], "settled", f"close invoice {part.doc_num} with {part.thing}")

    def _of_invoice(self, part: Part, invoice: Invoice | None) -> list[tuple[int, int]]:
        """Return the open rows of an invoice: by the document SAP names as their source, else by its own journal entry."""
        mine = [key for key, one in self.rows.items() if one.card_code == part.card_code and one.amount > 0]
        found = [key for key in mine if self.rows[key].source in _INVOICE and self.rows[key].document == part.doc_entry]
        if not found and invoice is not None and invoice.trans_num:
            found = [key for key in mine if key[0] == invoice.trans_num]
        return found

    def _take_back(self, one: Placed) -> None:
        """Settle what went back with what was booked, so that the invoice itself is open again."""
        part = one.part
        old = self.facts.related.get(part.undoes)
        known = old is not None and (bool(self._own(old)) or (old.state == "settled" and bool(old.recon)))
        again = self._collected_again(one)
        if again is not None and not known:
            self._pair(one, again)
            return
        if old is None or not known or old.part.card_code != part.card_code:
            which = f" on invoice {part.doc_num}" if part.doc_num else ""
            why = f"{part.thing} went back{which}; its earlier reconciliation is not known, the debit stays open and names the invoice"
            self.plan.marks.append(Mark("part", part.key, state="left", data={"why": why}))
            self.plan.notes.append((_name(self.scene, part), why))
            return
        if self._own(old):  # never settled, or its reconciliation is cancelled already
            self._pair(old, one)
        else:
            self._reopen(one, old)

    def _collected_again(self, one: Placed) -> Placed | None:
        """Return a later collection of the same payment and sum that is still open: it may settle what went back."""
        later = [
            each for each in self.facts.parts if each.part.payment == one.part.payment and each.part.amount == -one.part.amount
        ]
        return next(
            (each for each in later if each.part.key not in self.done and not each.part.undone and self._own(each)), None
        )

    def _reopen(self, one: Placed, old: Placed) -> None:
        """Cancel the reconciliation that closed the invoice, then settle the new debit with the old credit."""
        own = self._own(one)
        if len(old.rows) != len(own):
            self.plan.marks.append(
                Mark("part", one.part.key, state="left", data={"why": "its lines are not those of the booking"})
            )
            return
        self.reopening.add(old.part.doc_entry)
        mirrored = [OpenRow(old.trans, row, mine.minor, own=True) for row, mine in zip(old.rows, own, strict=True)]
        says = f"open invoice {one.part.doc_num} again: {one.part.thing} went back"
        if one.part.role == "return":
            says = f"settle {one.part.thing}, which came back, with its refund"
        self._wish([*mirrored, *own], [old, one], "back", says, cancel=old.recon)

    def _pair(self, old: Placed, one: Placed) -> None:
        """Settle two parts of ours with each other."""
        rows = [*self._own(old), *self._own(one)]
        if sum(self._signed(row) for row in rows) != 0:
            text = (
                f"{one.part.thing} cannot be settled with what was booked of it before: one of both was used elsewhere in SAP;"
            )
            text += " reconcile the rest by hand"
            self._skip(one, "no_open_invoice", text)
            return
        self._wish(rows, [old, one], "back", f"settle {one.part.thing} with what was booked before")

    def _refund(self, one: Placed) -> None:
        """Settle a refund with the one open credit memo of its sum; without one it stays on account and is listed."""
        part, own = one.part, self._own(one)
        need = sum(self._signed(row) for row in own)
        for credit in self.facts.credits.get(part.payment, []):
            if sum(self._signed(row) for row in self._own(credit)) == -need and credit.part.key not in self.done:
                self._pair(credit, one)  # money on account goes back where it came from: no credit memo is missing
                return
        rest = self._rest_of_receipt(part, need)
        if rest is not None:
            self._wish(
                [*own, OpenRow(*rest, need)], [one], "settled", f"settle {part.thing} with what {part.payment} left on account"
            )
            return
        memos = self._memos(part, need) if part.type not in ("dispute", "returned") else []
        if not part.key.startswith("PO"):
            memos = self._made_for(part, memos)
        if len(memos) == 1:
            self._wish([*own, OpenRow(*memos[0], need)], [one], "settled", f"settle refund {part.thing} with its credit memo")
            return
        if part.key.startswith("PO"):
            self._skip(one, "refund_without_credit_memo", self._no_memo(part, need, len(memos)))
        else:
            self._skip(one, "reopened", self._owed_again(part, need, len(memos)))

    def _rest_of_receipt(self, part: Part, need: int) -> tuple[int, int] | None:
        """Return the open row of a payment's own receipt, where exactly that sum of it stands on account."""
        receipt = self.facts.paid_by.get(part.payment)
        return next(
            (
                key for key, item in self.rows.items()
                if item.card_code == part.card_code and item.amount < 0 and item.source in _RECEIPT and item.document == receipt
                and self.left[key] == need
            ), None,
        )  # fmt: skip

    def _memos(self, part: Part, need: int) -> list[tuple[int, int]]:
        return [
            key for key, item in self.rows.items()
            if item.card_code == part.card_code and item.amount < 0 and item.source in _MEMO and self.left[key] == need
        ]  # fmt: skip

    def _made_for(self, part: Part, memos: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Return the memos that can only be this refund's: made from its invoice, or from none while no other refund is of the sum."""
        bases = {key: self.facts.bases.get(self.rows[key].document, ()) for key in memos}
        own = [key for key in memos if part.doc_entry and bases[key] == (part.doc_entry,)]
        rivals = [
            one for one in self.facts.parts
            if one.part.key != part.key and one.part.amount == part.amount and one.part.card_code == part.card_code
            and one.part.role == "refund" and one.part.key not in self.done and not one.part.undone
        ]  # fmt: skip
        same = [one for one in rivals if one.part.doc_entry == part.doc_entry]
        if own and len(own) > len(same):
            return own[:1]
        return [key for key in memos if not bases[key]] if not own and not rivals else []

    def _no_memo(self, part: Part, need: int, memos: int) -> str:
        found = (
            f"{memos} open credit memos are of this sum:" if memos else "there is no open credit memo of this sum: create it,"
        )
        amount = Money(need, self.facts.currency)
        return f"refund {part.thing} over {amount} is debited to {part.card_code}, and {found} or reconcile it in SAP by hand"

    def _owed_again(self, part: Part, need: int, memos: int) -> str:
        amount = Money(need, self.facts.currency)
        about = f"invoice {part.doc_num}" if part.doc_num else "an invoice that is not named"
        text = f"{amount} of {part.payment} went back ({part.type} {part.thing}): {part.card_code} owes them again for {about}"
        if part.type == "refund":
            found = (
                f"{memos} open credit memos are of this sum"
                if memos
                else "an open credit memo of this sum settles it by itself"
            )
            return f"{text}; {found}, or reconcile it in SAP by hand"
        return f"{text}; the open debit names it, and nothing is asked for at Stripe by itself"

    # --- what they share ------------------------------------------------------------------------------------------------

    def _signed(self, row: OpenRow) -> int:
        return row.minor if self.rows[row.trans, row.row].amount > 0 else -row.minor

    def _wish(self, rows: Sequence[OpenRow], parts: Sequence[Placed], state: str, says: str, *, cancel: int = 0) -> None:
        last = parts[-1]
        day = max(each.day for each in parts)
        for row in rows:
            if (row.trans, row.row) in self.left:
                self.left[row.trans, row.row] -= row.minor
        self.done |= {each.part.key for each in parts}
        command = Reconcile(
            last.part.card_code, day, self.facts.currency, tuple(rows), tuple(each.part.key for each in parts), last.part.doc_num,
            last.part.payment, cancel, state,
        )  # fmt: skip
        self.plan.intents.append(
            Intent(_name(self.scene, last.part), command, f"customer/{last.part.card_code}", None, says, anew=True)
        )

    def _skip(self, one: Placed, reason: str, text: str) -> None:
        part = one.part
        about = {
            "payment": part.payment,
            "payout": part.key.split("/")[0],
            "doc_num": part.doc_num or None,
            "card_code": part.card_code,
        }
        if not part.key.startswith("PO"):
            about |= {"payout": None, part.type: part.thing}
        elif part.role in ("refund", "return"):
            about["refund"] = part.thing
        amount = Money(abs(part.amount), part.currency)
        told = {key: value for key, value in about.items() if value}
        self.plan.skips.append(Skip(_name(self.scene, part), reason, text, amount=amount, about=told))
