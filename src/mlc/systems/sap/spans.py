"""SAP's documents of a span of days that carry a mark of ours, and its invoices: what a comparison sets against the processors.

Both days are included. Where SAP does not filter by the beginning of a text, everything of the span is read and looked at here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import Any

from mlc.core.comparing import Posted
from mlc.core.facts import Booked, Invoice
from mlc.core.keys import is_marker, is_reference
from mlc.systems.sap import odata, wire
from mlc.systems.sap.client import SapRefusedError
from mlc.systems.sap.reads import SapReads

_MARKS = ("pi_", "ch_", "py_", "M")
_MOST = 100  # receipts carry their invoices with them: pages stay small


class SapSpans:
    """Reads one company; `iso` says what a document's currency is."""

    def __init__(self, sap: SapReads, iso: Callable[[str], str]) -> None:
        self.sap, self._iso = sap, iso
        self._select = f"{wire.RECEIPT},TransferAccount,Remarks"
        if sap.marker_field != "TransferReference":
            self._select += f",{sap.marker_field}"

    def by_marks(self, marks: Sequence[str]) -> dict[str, list[Posted]]:
        """Return mark -> incoming payments that carry it, cancelled ones included."""
        found: dict[str, list[Posted]] = {mark: [] for mark in marks}
        for row in self.sap.bulk("IncomingPayments", self._select, self.sap.marker_field, list(found)):
            one = self._posted(row)
            if one.mark in found:
                found[one.mark].append(one)
        return found

    def marked(self, first: date, last: date) -> Iterator[list[Posted]]:
        """Yield pages of live incoming payments posted in the span that carry a mark of Stripe."""
        where = f"{_days('DocDate', first, last)} and Cancelled eq 'tNO'"
        for page in self._beginning("IncomingPayments", self._select, where, self.sap.marker_field, _MARKS, "DocEntry"):
            yield [one for one in map(self._posted, page) if is_marker(one.mark) and not one.cancelled]

    def referenced(self, first: date, last: date, beginnings: Sequence[str]) -> Iterator[list[Booked]]:
        """Yield pages of journal entries posted in the span whose reference is one of ours and begins so."""
        field = self.sap.entry_field
        select = wire.ENTRY if field == "Reference2" else f"{wire.ENTRY},{field}"
        for page in self._beginning("JournalEntries", select, _days("ReferenceDate", first, last), field, beginnings, "JdtNum"):
            rows = [{**row, "Reference2": row.get(field)} for row in page]
            found = [wire.booked(row) for row in rows]
            yield [one for one in found if is_reference(one.reference2) and one.reference2.startswith(tuple(beginnings))]

    def invoices(self, first: date, last: date, extra: str | None) -> Iterator[list[Invoice]]:
        """Yield pages of invoices dated in the span, whatever their status; `extra` is a further filter."""
        where = _days("DocDate", first, last) + (f" and ({extra})" if extra else "")
        for page in self.sap.system.pages("Invoices", wire.INVOICE, where, after=0):
            yield [wire.invoice(row) for row in page]

    def _beginning(
        self, entity: str, select: str, where: str, field: str, beginnings: Sequence[str], key: str
    ) -> Iterator[list[dict[str, Any]]]:  # fmt: skip
        words = " or ".join(f"startswith({field}, {odata.literal(word)})" for word in beginnings)
        pages = self.sap.system.pages(entity, select, f"{where} and ({words})", key=key, page=_MOST)
        try:
            first = next(pages, None)
        except SapRefusedError:
            yield from self.sap.system.pages(entity, select, where, key=key, page=_MOST)
            return
        if first is not None:
            yield first
            yield from pages

    def _posted(self, row: dict[str, Any]) -> Posted:
        one = wire.receipt(row, self.sap.marker_field)
        return Posted(
            one.doc_entry, one.doc_num, one.card_code, one.doc_date, self._iso(one.currency), one.total, one.reference, one.cancelled,
            str(row.get("TransferAccount") or ""), str(row.get("Remarks") or ""),
        )  # fmt: skip


def _days(field: str, first: date, last: date) -> str:
    return f"{field} ge {odata.literal(first)} and {field} le {odata.literal(last)}"
