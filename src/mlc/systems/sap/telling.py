"""What SAP says of one thing now, in sentences with SAP's own days (its documents carry no times)."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from mlc.core.facts import Invoice
from mlc.core.keys import is_marker
from mlc.core.story import Tale, Told
from mlc.systems.sap import odata, wire
from mlc.systems.sap.reads import SapReads

SOURCE = "SAP now"
_PARTNER = "CardCode,CardName,EmailAddress,CurrentAccountBalance,CreateDate,Frozen"
_FEW = 20


class SapTelling:
    """Tells of the documents and partners of one company."""

    def __init__(self, reads: SapReads) -> None:
        self.reads = reads

    def numbered(self, number: int) -> list[int]:
        """Return the documents that carry an invoice number: it is unique within a series only."""
        return [one.doc_entry for one in self.reads.invoices_by_number([number])]

    def documents(self, entries: Iterable[int]) -> Tale:
        """Tell of invoices: how they stand, what was received on them, what was credited."""
        tale, local = Tale(), self.reads.ledger().local_currency
        found = self.reads.invoices(entries)
        for one in found.values():
            number = f"invoice {one.doc_num}"
            tale.lead("number", one.doc_num)
            tale.lead("card", one.card_code)
            _say(
                tale,
                "invoice",
                f"{number} of {one.card_code} over {_sum(one.total, one.currency, local)}, due {one.due_date}",
                one.doc_date,
            )
            data = {
                "doc_entry": one.doc_entry,
                "card_code": one.card_code,
                "doc_num": one.doc_num,
                "total": str(one.total),
                "paid": str(one.paid),
                "open": str(one.balance),
            }
            text = f"{number}: total {_plain(one.total)}, paid {_plain(one.paid)}, open {_plain(one.balance)}; {_status(one)}"
            tale.told.append(Told(SOURCE, "invoice", text, None, data))
        if found:
            self._applied(found, tale, local)
        return tale

    def _applied(self, found: dict[int, Invoice], tale: Tale, local: str) -> None:
        cards, first = {one.card_code for one in found.values()}, min(one.doc_date for one in found.values())
        for receipt in self.reads.receipts_of(sorted(cards), first):
            for entry, amount in receipt.applied:
                if entry not in found:
                    continue
                whose = f" for {receipt.reference}" if is_marker(receipt.reference) else " keyed by hand"
                text = f"receipt {receipt.doc_num} over {_sum(receipt.total, receipt.currency, local)}{whose}"
                _say(
                    tale,
                    "receipt",
                    f"{text} pays {_plain(amount)} of invoice {found[entry].doc_num}",
                    receipt.doc_date,
                    late=True,
                )
                tale.lead("payment", receipt.reference if is_marker(receipt.reference) else "")
        for memo in self.reads.credit_memos_of(sorted(cards), first):
            for entry in memo.base_invoices:
                if entry in found:
                    text = (
                        f"credit memo {memo.doc_num} over {_plain(memo.total)} was copied from invoice {found[entry].doc_num}"
                    )
                    tale.told.append(Told(SOURCE, "credit_memo", text, None, {"doc_num": memo.doc_num}))

    def receipts(self, marks: list[str]) -> Tale:
        """Tell of the incoming payments that carry these marks, cancelled ones too."""
        tale, local = Tale(), self.reads.ledger().local_currency
        for mark, receipts in self.reads.receipts_by_marker(marks).items():
            for one in receipts:
                gone = ", cancelled" if one.cancelled else ""
                text = f"receipt {one.doc_num} of {one.card_code} over {_sum(one.total, one.currency, local)} stands for {mark}{gone}"
                _say(tale, "receipt", text, one.doc_date, late=True)
                for entry, _ in one.applied:
                    tale.lead("document", entry)
        return tale

    def entries(self, references: list[str]) -> Tale:
        """Tell of the journal entries that carry these references."""
        tale = Tale()
        for reference, entries in self.reads.entries_by_reference(references).items():
            for one in entries:
                lines = ", ".join(
                    f"{'Dr' if line.local > 0 else 'Cr'} {line.short_name or line.account} {_plain(abs(line.local))}"
                    for line in one.lines[:_FEW]
                )
                more = f" and {len(one.lines) - _FEW} more lines" if len(one.lines) > _FEW else ""
                _say(tale, "entry", f"journal entry {one.number} for {reference}: {lines}{more}", one.day, late=True)
        return tale

    def partner(self, card: str) -> Tale:
        """Tell of a partner with what is open."""
        tale = Tale()
        where = f"CardCode eq {odata.literal(card)}"
        for page in self.reads.system.pages("BusinessPartners", _PARTNER, where, key="CardCode"):
            for row in page:
                balance = Decimal(str(row.get("CurrentAccountBalance") or 0))
                if row.get("CreateDate"):
                    _say(tale, "customer", f"partner {row['CardCode']} is created", wire.day(row, "CreateDate", "a partner"))
                held = ", frozen" if row.get("Frozen") == "tYES" else ""
                named = f"{row.get('CardName') or ''} <{row.get('EmailAddress') or 'no e-mail'}>"
                text = f"partner {row['CardCode']} {named} owes {_plain(balance)}{held}"
                tale.told.append(Told(SOURCE, "customer", text, None, {"card_code": row["CardCode"], "balance": str(balance)}))
        if tale.told:
            open_ = sorted(self.reads.open_invoices_of([card]).values(), key=lambda one: (one.due_date, one.doc_num))
            for one in open_[:_FEW]:
                text = f"invoice {one.doc_num} is open: {_plain(one.balance)} of {_plain(one.total)}, due {one.due_date}"
                tale.told.append(Told(SOURCE, "invoice", text, None, {"doc_num": one.doc_num}))
            if len(open_) > _FEW:
                tale.told.append(Told(SOURCE, "invoice", f"and {len(open_) - _FEW} more open invoices", None, {}))
        return tale


def _say(tale: Tale, kind: str, text: str, at: object, *, late: bool = False) -> None:
    tale.told.append(Told(SOURCE, kind, text, at, {}, late))  # type: ignore[arg-type]  # always a day


def _status(one: Invoice) -> str:
    return "cancelled" if one.cancelled else "open" if one.open else "closed"


def _sum(amount: Decimal, currency: str, local: str) -> str:
    return f"{_plain(amount)} {local if currency in ('', '##') else currency}"


def _plain(amount: Decimal) -> str:
    return f"{amount:,.2f}" if amount == amount.quantize(Decimal("0.01")) else f"{amount:,f}"
