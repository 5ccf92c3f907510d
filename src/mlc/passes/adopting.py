"""An entry that SAP holds under a payout's reference, and the journal does not know: a state file was lost, or is older.

It is taken over only if it is what the payout says; its lines tell which payment stands on whose invoice. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mlc.core.commands import EntryLine, Part, PostEntry
from mlc.core.debits import COLLECTED, FEES, RETURNED, TAKEN_BACK, PayoutItem
from mlc.core.facts import Booked, BookedLine
from mlc.core.money import MoneyError, from_decimal
from mlc.core.postings import ON_ACCOUNT
from mlc.passes.payout_batch import Opened, PayoutFacts
from mlc.passes.payout_case import accounts_of
from mlc.passes.scene import Scene


def adopted(scene: Scene, facts: PayoutFacts, one: Opened, booked: Booked) -> PostEntry | str:
    """Return the command that would have made this entry, or what of it is not as the payout says."""
    try:
        return _adopted(scene, facts, one, booked)
    except MoneyError as error:
        return str(error)


def _adopted(scene: Scene, facts: PayoutFacts, one: Opened, booked: Booked) -> PostEntry | str:
    payout, local = one.payout, scene.currency
    accounts = accounts_of(scene, facts, payout)
    parking = accounts.parking.code if accounts.parking is not None else ""
    if accounts.bank is not None and payout.amount.currency == local:
        bank = sum(from_decimal(line.local, local).minor for line in booked.lines if line.account == accounts.bank.code)
        if bank != payout.amount.minor:
            return f"its bank line is {bank / 100:.2f}, not {payout.amount}"
    lines: list[EntryLine] = []
    parts: list[Part] = []
    for line in booked.lines:
        key = ""
        if line.reference1 and (line.short_name or line.account == parking):
            found = _part(one, line, parts, facts, local)
            if isinstance(found, str):
                return found
            parts, key = found
        minor = from_decimal(line.local, local).minor
        title = "VAT on fees" if accounts.vat is not None and line.account == accounts.vat.code else ""
        lines.append(
            EntryLine(
                minor,
                line.account,
                line.short_name,
                part=key,
                reference1=line.reference1,
                reference2=line.reference2,
                title=title,
            )
        )
    wrong = _differs(one, parts)
    if wrong and one.items:
        return wrong
    day = booked.day
    return PostEntry(payout.id, payout.id, day, payout.created.date(), "adopted", local, tuple(lines), tuple(parts))


def _part(
    one: Opened, line: BookedLine, parts: list[Part], facts: PayoutFacts, local: str
) -> tuple[list[Part], str] | str:  # fmt: skip
    """Add a line to the part it belongs to: lines of one payment, invoice and side are one part over several cost centres."""
    payout = one.payout
    debit = line.local > 0
    minor = -from_decimal(line.local, local).minor
    foreign = -from_decimal(line.foreign, payout.amount.currency).minor if line.currency else minor
    number = int(line.reference2) if line.reference2.isdecimal() else 0
    items = [
        item for item in one.items if item.thing == line.reference1 and item.type not in FEES and (item.amount < 0) == debit
    ]
    if one.items and not items:
        return f"its line of {line.reference1} is not in the payout"
    last = next((part for part in reversed(parts) if part.thing == line.reference1), None)
    if last is not None and (last.amount < 0) == debit and last.doc_num == number and last.card_code == line.short_name:
        joined = replace(last, amount=last.amount + foreign, local=last.local + minor)
        return [joined if part.key == last.key else part for part in parts], last.key
    role = _role(items[0] if items else None, line, number)
    count = sum(1 for part in parts if part.thing == line.reference1) + 1
    invoice = next(
        (found for found in facts.invoices.values() if found.doc_num == number and found.card_code == line.short_name), None
    )
    item = items[0] if items else PayoutItem(COLLECTED, 0 * line.local, line.reference1)
    part = Part(
        f"{payout.id}/{line.reference1}/{count}", item.type, line.reference1, item.payment, role, foreign, payout.amount.currency, minor,
        line.short_name, "" if line.short_name else line.account, invoice.doc_entry if invoice else 0, number, line.branch,
        undoes=_undone(role, line, item, [*parts, *facts.history.get(item.payment, []), *facts.history.get(item.refund, [])]),
        twice="another payment" if role == "account" and number else "", rule="found in SAP",
        evidence=f"line of {line.reference1} in the entry of {payout.id}",
    )  # fmt: skip
    return [*parts, part], part.key


def _role(item: PayoutItem | None, line: BookedLine, number: int) -> str:
    if item is not None and item.type in TAKEN_BACK and item.amount < 0:
        return "undo"
    if item is not None and item.type == RETURNED:
        return "return"
    if line.local > 0:
        return "refund"
    if not line.short_name:
        return "parked"
    return "invoice" if number and not line.memo.startswith(ON_ACCOUNT) else "account"


def _undone(role: str, line: BookedLine, item: PayoutItem, known: Sequence[Part]) -> str:
    """Return the part that this one takes back: same customer, same invoice, other side, and not taken back before."""
    if role not in ("undo", "return"):
        return ""
    number = int(line.reference2) if line.reference2.isdecimal() else 0
    wanted = "refund" if role == "return" else ""
    for part in reversed(known):
        same = part.thing == (item.refund if role == "return" else item.payment) and part.card_code == line.short_name
        if same and not part.undone and part.doc_num == number and (part.role == wanted if wanted else part.amount > 0):
            return part.key
    return ""


def _differs(one: Opened, parts: Sequence[Part]) -> str:
    """Compare what stands there with the items, payment by payment."""
    for thing in {
        item.thing for item in one.items if item.thing and item.type not in ("gocardless_fee", "app_fee", "surcharge_fee")
    }:
        asked = sum(int(item.amount) for item in one.items if item.thing == thing and not item.type.endswith("_fee"))
        there = sum(part.amount for part in parts if part.thing == thing)
        if asked != there:
            return f"{thing} stands there with {there / 100:.2f}, the payout says {asked / 100:.2f}"
    return ""
