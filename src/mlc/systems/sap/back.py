"""What SAP knows of money that went back to customers, and of receipts that somebody cancelled.

Incoming payments carry no change stamp (facts, section 3): cancellations are asked for as such, in a window of days.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import date
from decimal import Decimal
from typing import Any

from mlc.core.facts import Booked, Receipt, Withdrawal
from mlc.core.keys import is_reference
from mlc.systems.sap import odata, wire
from mlc.systems.sap.client import SapRefusedError
from mlc.systems.sap.entries import live
from mlc.systems.sap.reads import SapReads

_OUTGOING = (
    "DocEntry,DocNum,CardCode,DocDate,TransferSum,CashSum,TransferReference,CounterReference,Remarks,JournalRemarks,Cancelled,"
    "PaymentChecks"
)
_ENTRY = f"{wire.ENTRY},Reference,Reference3,Memo,OriginalJournal"
_MANUAL = "ttJournalEntry"
_NOISE = Decimal("0.0001")  # SAP's sums are doubles


def withdrawals(sap: SapReads, cards: Iterable[str], names: Iterable[str], first: date) -> list[Withdrawal]:
    """Return what people keyed from a day on that may have given money back: for these customers, or naming one of these things.

    An entry that carries a reference of ours is about that one thing and no candidate for another; one that was reversed is none.
    """
    known, wanted = set(cards), [name for name in dict.fromkeys(names) if name]
    found = [one for one in _outgoing(sap, first) if one.card_code in known or any(name in one.words for name in wanted)]

    def concerns(entry: Booked, words: str) -> bool:
        return any(line.short_name in known for line in entry.lines) or any(name in words for name in wanted)

    for entry, words in _standing(sap, first, concerns):
        found += _debits(words, entry)
    return found


def _outgoing(sap: SapReads, first: date) -> Iterator[Withdrawal]:
    names = ("TransferReference", "CounterReference", "Remarks", "JournalRemarks")
    for page in sap.system.pages("VendorPayments", _OUTGOING, f"DocDate ge {odata.literal(first)}"):
        for one, row in ((wire.receipt(row), row) for row in page):
            if not one.cancelled:
                what = f"outgoing payment {one.doc_num}"
                yield Withdrawal(what, one.card_code, one.doc_date, one.total, _words(row, names), what)


def _manual(sap: SapReads, first: date) -> Iterator[dict[str, Any]]:
    """Yield entries that were keyed by hand, page by page; where SAP does not filter by origin it is looked at here."""
    since = f"ReferenceDate ge {odata.literal(first)}"
    try:
        pages = list(sap.system.pages("JournalEntries", _ENTRY, f"{since} and OriginalJournal eq '{_MANUAL}'", key="JdtNum"))
    except SapRefusedError:
        for page in sap.system.pages("JournalEntries", _ENTRY, since, key="JdtNum"):
            yield from (row for row in page if row.get("OriginalJournal") in (None, _MANUAL))
        return
    for page in pages:
        yield from page


def _standing(sap: SapReads, first: date, wanted: Callable[[Booked, str], bool]) -> list[tuple[Booked, str]]:
    """Return the entries keyed by hand that are wanted and stand, each with its words: one and its reversal are none."""
    rows = []
    for row in _manual(sap, first):
        entry = wire.booked(row)
        lines = " ".join(f"{line.reference1} {line.reference2} {line.memo}" for line in entry.lines)
        words = f"{_words(row, ('Reference', 'Reference2', 'Reference3', 'Memo'))} {lines}".strip()
        if not is_reference(entry.reference2) and wanted(entry, words):
            rows.append((entry, words))
    standing = {entry.trans for entry in live([entry for entry, _ in rows])}
    return [(entry, words) for entry, words in rows if entry.trans in standing]


def _debits(words: str, entry: Booked) -> list[Withdrawal]:
    """Return each debit of an entry; one of no customer cannot be the whole booking."""
    what = f"journal entry {entry.number}"
    return [
        Withdrawal(what, line.short_name, entry.day, line.local, words, f"{what}/{line.line_id}", bool(line.short_name))
        for line in entry.lines if line.local > 0
    ]  # fmt: skip


def keyed_entries(
    sap: SapReads, first: date, account: str, clearing: str, amount: Decimal, name: str
) -> Iterator[tuple[Booked, str]]:  # fmt: skip
    """Yield the entries keyed by hand from a day on that may be a payout, each with all its words.

    They bring its sum to the bank, draw at least as much from clearing for nobody's account, or name it.
    """

    def wanted(entry: Booked, words: str) -> bool:
        moves = any(line.account == account and is_sum(abs(line.local), amount) for line in entry.lines)
        whole = all(not line.short_name for line in entry.lines)  # nobody's payment or refund: clearing against the bank's side
        drawn = any(line.account == clearing and abs(line.local) >= amount - _NOISE for line in entry.lines)
        return moves or name in words or (whole and drawn)

    for entry, words in _standing(sap, first, wanted):
        if (
            name in words
            or any(line.account == account and line.local > 0 for line in entry.lines)
            or any(line.account == clearing and line.local < 0 for line in entry.lines)
        ):
            yield entry, words


def _words(row: dict[str, Any], names: Iterable[str]) -> str:
    return " ".join(str(row[name]) for name in names if row.get(name))


def cancelled_receipts(sap: SapReads, first: date) -> Iterator[list[Receipt]]:
    """Yield pages of incoming payments from a day on that somebody cancelled."""
    where = f"Cancelled eq 'tYES' and DocDate ge {odata.literal(first)}"
    select = wire.RECEIPT if sap.marker_field == "TransferReference" else f"{wire.RECEIPT},{sap.marker_field}"
    for page in sap.system.pages("IncomingPayments", select, where):
        yield [wire.receipt(row, sap.marker_field) for row in page]


def amount_is(one: Withdrawal, minor: Decimal) -> bool:
    """Tell whether a document gave back exactly an amount in major units (SAP's sums are doubles)."""
    return is_sum(one.amount, minor)


def is_sum(one: Decimal, other: Decimal) -> bool:
    """Tell whether two sums are the same (SAP's are doubles)."""
    return abs(one - other) < _NOISE
