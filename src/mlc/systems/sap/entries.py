"""How a payout comes to stand in SAP: one journal entry under its own reference, then reconciliations that close the invoices.

Recipes are pure generators and may run again after a crash. A reconciliation has no mark of its own: whether it was done is seen from
the rows that are still open (facts, section 8).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlc.core import codec
from mlc.core.commands import EntryLine, OpenRow, Part, PostEntry, Reconcile
from mlc.core.facts import Booked, OpenItem
from mlc.core.intents import Answer, Call, Done, Finder, Hold, Mark, Receipt, Recipe, Refusal, Refused
from mlc.core.money import Money, MoneyError, from_decimal
from mlc.systems.sap import odata, wire
from mlc.systems.sap.recipes import PostingRules, amount_of, rows_of

_ACCOUNT_TAG = "[JDT1.Account]"
_COSTING = ("CostingCode", "CostingCode2", "CostingCode3", "CostingCode4", "CostingCode5")
_LOOK_BACK, _MOST = 40, 1 << 30  # how far from the newest reconciliation one of ours is looked for
_STATES = {"invoice": "open", "account": "account", "parked": "parked", "undo": "open", "refund": "open", "return": "open"}


@dataclass(frozen=True, slots=True)
class EntryRules:
    """What the company's set-up says about posting entries."""

    posting: PostingRules
    field: str = "Reference2"


# --- the entry -------------------------------------------------------------------------------------------------------


def post_entry(command: PostEntry, rules: EntryRules) -> Recipe:
    """Post one balanced journal entry.

    Whether a partner's line may or must name its control account differs between companies: left out first, given where SAP asks for it.
    """
    find = lambda: _find(command, rules)  # noqa: E731 - a bound look-up, used twice
    reply = yield Call("post", "sap", "POST", "JournalEntries", _body(command, rules), write=True, find=find)
    controls = any(line.card_code and line.control for line in command.lines)
    if isinstance(reply, Refusal) and _ACCOUNT_TAG in reply.text and controls:
        body = _body(command, rules, controls=True)
        reply = yield Call("post-controls", "sap", "POST", "JournalEntries", body, write=True, find=find)
    if isinstance(reply, Refusal):
        if reply.code == "-4013":
            return Hold("closed_period", f"SAP refuses the posting date {command.day}: {reply.code} {reply.text}")
        return Refused(reply.code, reply.text)
    body, number = reply.body, _number(reply.body)
    if not isinstance(body.get("JournalEntryLines"), list):
        read = yield Call("read", "sap", "GET", f"JournalEntries({number})", query=(("$select", wire.ENTRY),))
        if isinstance(read, Answer):
            body = read.body
    if reply.told and rules.posting.prove():
        yield Call("prove", "sap", "ASK", "complete_proof", {"marker": command.reference2, "entry": True})
    booked = wire.booked({"ReferenceDate": command.day.isoformat(), **body, "JdtNum": number})
    wrong = differs(command, booked) if booked.lines else ""
    if wrong:
        return Hold("marker_mismatch", f"SAP booked entry {booked.number} differently than it was asked to: {wrong}")
    return Done(Receipt("sap", "JournalEntry", str(number), str(booked.number)), entry_marks(command, booked))


def _number(body: dict[str, Any]) -> int:
    return int(body.get("JdtNum") or body.get("DocEntry") or 0)


def entry_marks(command: PostEntry, booked: Booked) -> tuple[Mark, ...]:
    """Return what is known once an entry stands: where each part of it is, and what it took back."""
    order = (
        [line.line_id for line in booked.lines] if len(booked.lines) == len(command.lines) else list(range(len(command.lines)))
    )
    marks: list[Mark] = []
    for part in command.parts:
        rows = [order[place] for place, line in enumerate(command.lines) if line.part == part.key]
        state = _STATES.get(part.role, "settled")
        if state == "open" and not part.card_code:
            state = "settled"  # nothing of a customer is open
        if part.twice:
            state = "twice"
        marks += part_marks(part, state, booked.trans, rows, command.day.isoformat())
    for name, state in command.states:
        kind, _, key = name.partition(" ")
        marks.append(Mark(kind, key, str(booked.trans), state, {"number": str(booked.number)}))
    return tuple(marks)


def part_marks(part: Part, state: str, trans: int, rows: Sequence[int], day: str) -> list[Mark]:
    """Return the marks of one part."""
    data = {**codec.encode(part), "trans": trans, "rows": list(rows), "day": day}
    marks = [Mark("part", part.key, part.payment or part.thing, state, data)]
    if part.undoes:
        marks.append(Mark("part", part.undoes, data={"undone": part.key}))
    if part.payment.startswith("PM") and part.amount > 0:
        marks.append(Mark("debit", part.payment, state="booked"))  # no longer money on its way to the invoice it names
    if part.role == "refund" and part.thing.startswith("RF"):
        marks.append(Mark("refund", part.thing, part.key, "booked"))
    return marks


def _body(command: PostEntry, rules: EntryRules, *, controls: bool = False) -> dict[str, Any]:
    body: dict[str, Any] = {
        "ReferenceDate": command.day.isoformat(), "TaxDate": command.document_day.isoformat(), "DueDate": command.day.isoformat(),
        "Memo": command.memo, "Reference2": command.reference2,
        "JournalEntryLines": [_line(line, command.currency, controls=controls) for line in command.lines],
    }  # fmt: skip
    if rules.field != "Reference2":
        body[rules.field] = command.reference2
    return body


def _line(line: EntryLine, local: str, *, controls: bool) -> dict[str, Any]:
    body: dict[str, Any] = {"ShortName": line.card_code} if line.card_code else {"AccountCode": line.account}
    if controls and line.card_code:
        body["AccountCode"] = line.control
    body |= _sides("", line.local, local)
    if line.currency:
        body |= {**_sides("FC", line.foreign, local), "FCCurrency": line.currency}
    if line.reference1:
        body["Reference1"] = line.reference1
    if line.reference2:
        body["Reference2"] = line.reference2
    if line.memo:
        body["LineMemo"] = line.memo
    body |= {name: code for name, code in zip(_COSTING, line.codes, strict=False) if code}
    if line.project:
        body["ProjectCode"] = line.project
    if line.branch is not None:
        body["BPLID"] = line.branch
    return body


def _sides(prefix: str, minor: int, currency: str) -> dict[str, Any]:
    amount = amount_of(Money(abs(minor), currency))
    return {f"{prefix}Debit": amount if minor > 0 else 0, f"{prefix}Credit": 0 if minor > 0 else amount}


def differs(command: PostEntry, booked: Booked) -> str:
    """Compare what SAP holds with what was asked, line by line; returns the difference in words, or nothing."""
    try:
        there = sorted(
            (line.short_name or line.account, from_decimal(line.local, command.currency).minor) for line in booked.lines
        )
    except MoneyError as error:
        return str(error)
    asked = sorted((line.card_code or line.account, line.local) for line in command.lines)
    if there == asked:
        return ""
    only_there = [f"{name} {Money(minor, command.currency)}" for name, minor in there if (name, minor) not in asked]
    only_asked = [f"{name} {Money(minor, command.currency)}" for name, minor in asked if (name, minor) not in there]
    return f"{', '.join(only_there) or 'nothing'} instead of {', '.join(only_asked) or 'nothing'}"


def live(entries: Sequence[Booked]) -> list[Booked]:
    """Return the entries that stand: one and its reversal cancel each other out."""
    left = list(entries)
    for one in entries:
        mirror = next((other for other in left if other is not one and other.trans > one.trans and other.mirrors(one)), None)
        if mirror is not None and one in left:
            left.remove(one)
            left.remove(mirror)
    return left


def _find(command: PostEntry, rules: EntryRules) -> Finder:
    """Look for our reference: live and equal is adopted, anything else a person must see; None where nothing was booked."""
    select = wire.ENTRY if rules.field == "Reference2" else f"{wire.ENTRY},{rules.field}"
    where = f"{rules.field} eq {odata.literal(command.reference2)}"
    rows = yield from rows_of("JournalEntries", select, where, key="JdtNum")
    found = {row["JdtNum"]: row for row in rows if row.get(rules.field) == command.reference2}
    standing = live([wire.booked(row) for row in found.values()])
    if len(standing) > 1:
        numbers = ", ".join(str(one.number) for one in standing)
        return Hold(
            "marker_mismatch", f"SAP holds {len(standing)} journal entries with the reference {command.reference2}: {numbers}"
        )
    if standing:
        wrong = differs(command, standing[0])
        if wrong:
            return Hold(
                "marker_mismatch", f"journal entry {standing[0].number} carries {command.reference2} but differs: {wrong}"
            )
        return found[standing[0].trans]
    if found and not rules.posting.again:
        return Hold("cancelled_in_sap", f"the journal entry of {command.reference2} was reversed in SAP")
    return None


# --- reconciliation --------------------------------------------------------------------------------------------------


def reconcile(command: Reconcile) -> Recipe:
    """Settle open rows with each other; where an earlier reconciliation is in the way, cancel that first."""
    if command.cancel:
        find = lambda: _opened_again(command)  # noqa: E731 - a bound look-up
        path = f"InternalReconciliations({command.cancel})/Cancel"
        reply = yield Call("cancel", "sap", "POST", path, {}, write=True, find=find)
        if isinstance(reply, Refusal):
            left = Receipt("sap", "InternalReconciliation", str(command.cancel))
            return Done(left, _settled(command, 0, "left", f"{reply.code} {reply.text}"))
    rows = [
        {"Selected": "tYES", "TransId": row.trans, "TransRowId": row.row, "ReconcileAmount": amount_of(Money(row.minor, command.currency))}
        for row in command.rows
    ]  # fmt: skip
    body = {"CardOrAccount": "coaCard", "ReconDate": command.day.isoformat(), "InternalReconciliationOpenTransRows": rows}
    reply = yield Call(
        "reconcile", "sap", "POST", "InternalReconciliations", body, write=True, find=lambda: _settled_already(command)
    )
    if isinstance(reply, Refusal):
        if reply.code == "-4013":
            return Hold("closed_period", f"SAP refuses the reconciliation date {command.day}: {reply.code} {reply.text}")
        return Refused(reply.code, reply.text)
    number = int(reply.body.get("ReconNum") or reply.body.get("DocEntry") or 0)
    return Done(Receipt("sap", "InternalReconciliation", str(number or "?")), _settled(command, number, command.state))


def _settled(command: Reconcile, number: int, state: str, why: str = "") -> tuple[Mark, ...]:
    data = {"recon": number, **({"why": why} if why else {})}
    return tuple(Mark("part", key, state=state, data=data) for key in command.parts)


def _own(command: Reconcile, items: Sequence[OpenItem]) -> list[tuple[OpenRow, int]]:
    """Return our own rows with what of each is open, in minor units as SAP lists them."""
    open_ = {(one.trans, one.row): from_decimal(abs(one.amount), command.currency).minor for one in items}
    return [(row, open_.get((row.trans, row.row), 0)) for row in command.rows if row.own]


def _opened_again(command: Reconcile) -> Finder:
    """Tell by our rows whether the earlier reconciliation is cancelled: then they are all open again."""
    reply = yield Call("look", "sap", "ASK", "open_items", {"cards": [command.card_code]})
    assert isinstance(reply, Answer)
    return {} if all(left >= row.minor for row, left in _own(command, reply.body)) else None


def _settled_already(command: Reconcile) -> Finder:
    """Tell by our rows whether the reconciliation was done: then they are no longer open. Its number is looked for."""
    reply = yield Call("look", "sap", "ASK", "open_items", {"cards": [command.card_code]})
    assert isinstance(reply, Answer)
    if all(left >= row.minor for row, left in _own(command, reply.body)):
        return None
    newest = yield from _newest()
    wanted = {(row.trans, row.row) for row in command.rows if row.own}
    for number in range(newest, max(0, newest - _LOOK_BACK), -1):
        found = yield from _reconciliation(number)
        rows = {(row.get("TransId"), row.get("TransRowId")) for row in (found or {}).get("InternalReconciliationRows") or []}
        if found and wanted <= rows and not found.get("CancelAbs"):
            return {"ReconNum": number}
    return {"ReconNum": 0}


def _newest() -> Finder:
    """Return the greatest number of a reconciliation: there is no list, but they are counted up, so a search by halves finds it."""
    low, high = 0, 1
    while (yield from _reconciliation(high)) is not None and high < _MOST:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        if (yield from _reconciliation(middle)) is not None:
            low = middle
        else:
            high = middle
    return low


def _reconciliation(number: int) -> Finder:
    select = "ReconNum,CancelAbs,InternalReconciliationRows"
    reply = yield Call("number", "sap", "GET", f"InternalReconciliations({number})", query=(("$select", select),))
    return reply.body if isinstance(reply, Answer) else None
