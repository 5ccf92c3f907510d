"""What SAP knows of money that went back to customers, and of receipts that somebody cancelled.

Incoming payments carry no change stamp (facts, section 3): cancellations are asked for as such, in a window of days.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from typing import Any

from mlc.core.facts import Booked, Receipt, Withdrawal
from mlc.core.keys import is_reference
from mlc.systems.sap import odata, wire
from mlc.systems.sap.client import SapRefusedError
from mlc.systems.sap.reads import SapReads

_OUTGOING = (
    "DocEntry,DocNum,CardCode,DocDate,TransferSum,CashSum,TransferReference,CounterReference,Remarks,JournalRemarks,Cancelled,"
    "PaymentChecks"
)
_ENTRY = f"{wire.ENTRY},Reference,Reference3,Memo,OriginalJournal"
_MANUAL = "ttJournalEntry"


def withdrawals(sap: SapReads, cards: Iterable[str], first: date) -> list[Withdrawal]:
    """Return what gave money back to these customers from a day on: outgoing payments and manual entries that debit them.

    An entry that carries a reference of ours is about that one thing and no candidate for another.
    """
    wanted = list(dict.fromkeys(cards))
    if not wanted:
        return []
    found = list(_outgoing(sap, wanted, first))
    known = set(wanted)
    for row in _manual(sap, first):
        entry = wire.booked(row)
        if not is_reference(entry.reference2):
            found += _debits(row, entry, known)
    return found


def _outgoing(sap: SapReads, cards: list[str], first: date) -> Iterator[Withdrawal]:
    rows = sap.bulk("VendorPayments", _OUTGOING, "CardCode", cards, extra=f"DocDate ge {odata.literal(first)}")
    for row in rows:
        one = wire.receipt(row)
        if not one.cancelled:
            names = ("TransferReference", "CounterReference", "Remarks", "JournalRemarks")
            yield Withdrawal(f"outgoing payment {one.doc_num}", one.card_code, one.doc_date, one.total, _words(row, names))


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


def _debits(row: dict[str, Any], entry: Booked, cards: set[str]) -> list[Withdrawal]:
    words = _words(row, ("Reference", "Reference2", "Reference3", "Memo"))
    lines = [line for line in entry.lines if line.short_name in cards and line.local > 0]
    return [
        Withdrawal(
            f"journal entry {entry.number}", line.short_name, entry.day, line.local,
            f"{words} {line.reference1} {line.reference2} {line.memo}".strip(),
        )
        for line in lines
    ]  # fmt: skip


def keyed_entries(sap: SapReads, first: date) -> Iterator[tuple[Booked, str]]:
    """Yield the entries that were keyed by hand from a day on, each with every reference and remark it carries."""
    for row in _manual(sap, first):
        entry = wire.booked(row)
        if is_reference(entry.reference2):
            continue
        lines = " ".join(f"{line.reference1} {line.reference2} {line.memo}" for line in entry.lines)
        yield entry, f"{_words(row, ('Reference', 'Reference2', 'Reference3', 'Memo'))} {lines}"


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
    return abs(one.amount - minor) < Decimal("0.0001")
