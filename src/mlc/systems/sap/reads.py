"""What mlc reads of SAP: always `$select`, in bulk with `or`, by keyset pages; every answer leaves as facts."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from mlc.core.errors import ConfigError, UnexpectedAnswerError
from mlc.core.facts import Booked, CreditMemo, Invoice, OpenItem, Partner, Receipt
from mlc.core.keys import is_marker
from mlc.systems.sap import odata, wire
from mlc.systems.sap.client import SapRefusedError, SapSystem
from mlc.systems.sap.company import BULK, SMALL_ROWS, CompanyReads


def _open_or_new(start: date, above: int, extra: str | None) -> str:
    """Return the filter of invoices since a day that are open, or newer than a document whatever their status."""
    where = f"DocDate ge {odata.literal(start)} and (DocumentStatus eq 'bost_Open' or DocEntry gt {above})"
    return f"{where} and ({extra})" if extra else where


class SapReads(CompanyReads):
    """The reads of one company: its partners and documents, beside what it is itself."""

    def __init__(self, system: SapSystem) -> None:
        super().__init__(system)
        self.marker_field = system.options.marker_field or "TransferReference"
        self.entry_field = system.options.marker_field or "Reference2"
        system.answers["open_balance"] = self._open_balance
        system.answers["open_items"] = lambda question: self.open_items(question["cards"])

    # --- documents --------------------------------------------------------------------------------------------------

    def open_invoices(self, start: date, above: int, extra: str | None) -> Iterator[list[Invoice]]:
        """Yield pages of invoices since `start` that are open, or newer than document `above` whatever their status."""
        for page in self.system.pages("Invoices", wire.INVOICE, _open_or_new(start, above, extra), after=0):
            yield [wire.invoice(row) for row in page]

    def how_many(self, start: date, above: int, extra: str | None) -> int | None:
        """Return how many invoices `open_invoices` will yield, None where SAP does not say: only to show how far a run is."""
        try:
            answer = self.system.get("Invoices/$count", odata.query(filter=_open_or_new(start, above, extra)))
        except (SapRefusedError, UnexpectedAnswerError):
            return None
        return answer if isinstance(answer, int) else None

    def changed_invoices(self, start: date, since: date, extra: str | None) -> Iterator[list[Invoice]]:
        """Yield pages of invoices that are not open and were changed on or after a day (UpdateDate has day precision)."""
        where = f"DocDate ge {odata.literal(start)} and DocumentStatus ne 'bost_Open' and UpdateDate ge {odata.literal(since)}"
        if extra:
            where += f" and ({extra})"
        for page in self.system.pages("Invoices", wire.INVOICE, where, after=0):
            yield [wire.invoice(row) for row in page]

    def invoices(self, entries: Iterable[int], *, whole: bool = False) -> dict[int, Invoice]:
        """Return DocEntry -> invoice, with lines where `whole`."""
        select = wire.INVOICE_WHOLE if whole else wire.INVOICE
        rows = self.bulk("Invoices", select, "DocEntry", sorted(set(entries)))
        return {one.doc_entry: one for one in map(wire.invoice, rows)}

    def open_invoices_of(self, codes: Iterable[str]) -> dict[int, Invoice]:
        """Return the open invoices of customers: what a payment that names none might be for."""
        rows = self.bulk(
            "Invoices", wire.INVOICE, "CardCode", list(dict.fromkeys(codes)), extra="DocumentStatus eq 'bost_Open'"
        )
        return {one.doc_entry: one for one in map(wire.invoice, rows)}

    def invoices_by_number(self, numbers: Iterable[int]) -> list[Invoice]:
        """Return the invoices of document numbers, which are unique per series only."""
        return [wire.invoice(row) for row in self.bulk("Invoices", wire.INVOICE, "DocNum", list(dict.fromkeys(numbers)))]

    def partners(self, codes: Iterable[str]) -> dict[str, Partner]:
        """Return CardCode -> business partner."""
        rows = self.bulk("BusinessPartners", wire.PARTNER, "CardCode", list(dict.fromkeys(codes)), key="CardCode")
        return {one.card_code: one for one in map(wire.partner, rows)}

    def owing_partners(self, codes: Iterable[str], hold_field: str = "") -> dict[str, Partner]:
        """Return CardCode -> business partner with what it owes and whether it is on hold.

        Raises ConfigError where SAP has no such user field.
        """
        with _known_fields([hold_field] if hold_field else [], _HOLD):
            rows = self.bulk("BusinessPartners", _owing(hold_field), "CardCode", list(dict.fromkeys(codes)), key="CardCode")
            return {one.card_code: one for one in map(wire.partner, rows)}

    def stirring_partners(self, since: date | None, hold_field: str = "") -> Iterator[list[Partner]]:
        """Yield pages of customers that were changed on or after a day, owe something, or are frozen."""
        changed = f"UpdateDate ge {odata.literal(since)} or " if since is not None else ""
        where = f"CardType eq 'cCustomer' and ({changed}CurrentAccountBalance ne 0 or Frozen eq 'tYES')"
        with _known_fields([hold_field] if hold_field else [], _HOLD):
            for page in self.system.pages("BusinessPartners", _owing(hold_field), where, key="CardCode", page=SMALL_ROWS):
                yield [wire.partner(row) for row in page]

    def overdue_of(self, codes: Iterable[str], day: date) -> dict[str, Decimal]:
        """Return CardCode -> what is open on invoices that were due before a day."""
        found: dict[str, Decimal] = {}
        extra = f"DocumentStatus eq 'bost_Open' and DocDueDate lt {odata.literal(day)}"
        for row in self.bulk("Invoices", wire.INVOICE, "CardCode", list(dict.fromkeys(codes)), extra=extra):
            one = wire.invoice(row)
            if not one.cancelled:
                found[one.card_code] = found.get(one.card_code, Decimal(0)) + one.balance
        return found

    def partners_by_email(self, emails: Iterable[str]) -> list[Partner]:
        """Return the customers that have one of these e-mail addresses."""
        rows = self.bulk("BusinessPartners", wire.PARTNER, "EmailAddress", list(dict.fromkeys(emails)), key="CardCode")
        return [wire.partner(row) for row in rows]

    def receipts_by_marker(self, markers: Sequence[str]) -> dict[str, list[Receipt]]:
        """Return marker -> incoming payments that carry it, cancelled ones included."""
        select = wire.RECEIPT if self.marker_field == "TransferReference" else f"{wire.RECEIPT},{self.marker_field}"
        found: dict[str, list[Receipt]] = {marker: [] for marker in markers}
        for row in self.bulk("IncomingPayments", select, self.marker_field, list(dict.fromkeys(markers))):
            one = wire.receipt(row, self.marker_field)
            if one.reference in found:  # SAP's databases compare without case: what differs in case is not ours
                found[one.reference].append(one)
        return found

    def drafts_by_marker(self, markers: Sequence[str]) -> dict[str, int]:
        """Return marker -> DocEntry of a payment draft that waits for approval."""
        rows = self.bulk(
            "PaymentDrafts", "DocEntry,DocNum,TransferReference", "TransferReference", list(dict.fromkeys(markers))
        )
        return {row["TransferReference"]: int(row["DocEntry"]) for row in rows}

    def receipts_of(self, codes: Iterable[str], first: date, last: date | None = None) -> list[Receipt]:
        """Return the live incoming payments of customers from a day on (and up to another)."""
        dates = f"DocDate ge {odata.literal(first)}" + (f" and DocDate le {odata.literal(last)}" if last else "")
        rows = self.bulk("IncomingPayments", wire.RECEIPT, "CardCode", list(dict.fromkeys(codes)), extra=dates)
        return [one for one in (wire.receipt(row) for row in rows) if not one.cancelled]

    def credit_memos_of(self, codes: Iterable[str], first: date) -> list[CreditMemo]:
        """Return the live credit memos of customers from a day on."""
        extra = f"DocDate ge {odata.literal(first)}"
        rows = self.bulk("CreditNotes", wire.CREDIT_MEMO, "CardCode", list(dict.fromkeys(codes)), extra=extra)
        return [one for one in map(wire.credit_memo, rows) if not one.cancelled]

    def credit_memos(self, entries: Iterable[int]) -> list[CreditMemo]:
        """Return credit memos by DocEntry."""
        return [wire.credit_memo(row) for row in self.bulk("CreditNotes", wire.CREDIT_MEMO, "DocEntry", sorted(set(entries)))]

    def changed_credit_memos(self, since: date) -> Iterator[list[CreditMemo]]:
        """Yield pages of credit memos changed on or after a day."""
        where = f"UpdateDate ge {odata.literal(since)}"
        for page in self.system.pages("CreditNotes", wire.CREDIT_MEMO, where, after=0):
            yield [wire.credit_memo(row) for row in page]

    # --- what payouts need ------------------------------------------------------------------------------------------

    def debts(
        self, *, entries: Iterable[int] = (), numbers: Iterable[int] = (), cards: Iterable[str] = (), whole: bool = False
    ) -> dict[int, Invoice]:  # fmt: skip
        """Return DocEntry -> invoice by entry, by number, and every open one of some customers; with foreign balances."""
        select = f"{wire.INVOICE_DEBT},DocumentLines" if whole else wire.INVOICE_DEBT
        rows = [
            *self.bulk("Invoices", select, "DocEntry", sorted(set(entries))),
            *self.bulk("Invoices", select, "DocNum", sorted(set(numbers))),
            *self.bulk("Invoices", select, "CardCode", sorted(set(cards)), extra="DocumentStatus eq 'bost_Open'"),
        ]
        return {one.doc_entry: one for one in map(wire.invoice, rows)}

    def all_debts(self) -> Iterator[list[Invoice]]:
        """Yield pages of every open invoice of the company."""
        for page in self.system.pages("Invoices", wire.INVOICE_DEBT, "DocumentStatus eq 'bost_Open'", after=0):
            yield [wire.invoice(row) for row in page]

    def payers(self, codes: Iterable[str], fields: Sequence[str] = ()) -> dict[str, Partner]:
        """Return CardCode -> partner with control account and these user fields.

        Raises ConfigError where SAP has no such field.
        """
        select = ",".join([wire.PARTNER, "DebitorAccount", *fields])
        with _known_fields(fields, "gocardless.dimensions: customer_field"):
            rows = self.bulk("BusinessPartners", select, "CardCode", list(dict.fromkeys(codes)), key="CardCode")
            return {one.card_code: one for one in map(wire.partner, rows)}

    def entries_by_reference(self, references: Iterable[str]) -> dict[str, list[Booked]]:
        """Return our reference -> journal entries that carry it, reversals included."""
        wanted = list(dict.fromkeys(references))
        found: dict[str, list[Booked]] = {one: [] for one in wanted}
        select = wire.ENTRY if self.entry_field == "Reference2" else f"{wire.ENTRY},{self.entry_field}"
        try:
            for row in self.bulk("JournalEntries", select, self.entry_field, wanted, key="JdtNum"):
                if row.get(self.entry_field) in found:
                    found[row[self.entry_field]].append(wire.booked(row))
        except SapRefusedError as refused:
            raise ConfigError(
                f"SAP refuses a filter on JournalEntries.{self.entry_field}: {refused.error.text}", hint=_PROOF_HINT
            ) from refused
        return found

    def entries_by_number(self, numbers: Iterable[int]) -> dict[int, Booked]:
        """Return JdtNum -> journal entry."""
        rows = self.bulk("JournalEntries", wire.ENTRY, "JdtNum", sorted(set(numbers)), key="JdtNum")
        return {one.trans: one for one in map(wire.booked, rows)}

    def reversal_of(self, entry: Booked) -> Booked | None:
        """Return a later entry that takes this one back line by line, though it carries no reference of ours; page by page."""
        where = f"ReferenceDate ge {odata.literal(entry.day)}"
        for page in self.system.pages("JournalEntries", wire.ENTRY, where, key="JdtNum", after=entry.trans):
            for row in page:
                if (other := wire.booked(row)).mirrors(entry):
                    return other
        return None

    def open_items(self, cards: Iterable[str]) -> list[OpenItem]:
        """Return the open rows of customers, many at once where SAP answers for many."""
        wanted = list(dict.fromkeys(cards))
        found: list[OpenItem] = []
        for start in range(0, len(wanted), BULK):
            part = wanted[start : start + BULK]
            try:
                found += self._open_items(part)
            except SapRefusedError:
                if len(part) == 1:
                    raise
                found += [item for card in part for item in self._open_items([card])]
        return found

    def _open_items(self, cards: list[str]) -> list[OpenItem]:
        partners = [{"BPCode": card} for card in cards]
        params = {"CardOrAccount": "coaCard", "InternalReconciliationBPs": partners}
        answer = self.system.get(
            "InternalReconciliationsService_GetOpenTransactions", method="POST",
            body={"InternalReconciliationOpenTransParams": params},
        )  # fmt: skip
        rows = answer.get("InternalReconciliationOpenTransRows") if isinstance(answer, dict) else None
        if not isinstance(rows, list):
            raise UnexpectedAnswerError("SAP answered the open transactions without rows")
        items = [wire.open_item(row) for row in rows]
        return [replace(one, card_code=cards[0]) if not one.card_code and len(cards) == 1 else one for one in items]

    def _open_balance(self, question: dict[str, Any]) -> dict[str, Any]:
        """Answer the guard before an invoice is finalized: what is open in SAP at this moment."""
        one = self.invoices([question["doc_entry"]]).get(question["doc_entry"])
        if one is None or one.cancelled:
            return {"balance": "0", "currency": one.currency if one else "", "card_code": one.card_code if one else ""}
        return {"balance": str(one.balance), "currency": one.currency, "card_code": one.card_code}

    # --- the proof that markers filter ------------------------------------------------------------------------------

    def prove_marker(self) -> str:
        """Prove that incoming payments can be found again by our mark (`_prove`)."""
        return self._prove("IncomingPayments", self.marker_field, "DocEntry")

    def prove_entries(self) -> str:
        """Prove that journal entries can be found again by our reference (`_prove`)."""
        return self._prove("JournalEntries", self.entry_field, "JdtNum")

    def _prove(self, entity: str, field: str, key: str) -> str:
        """Prove that documents can be found again; returns `proved`, or `empty` where none carries a value yet.

        Raises ConfigError where the filter is refused, ignored, or finds nothing: then nothing may be posted.
        """
        try:
            if any(self._with(entity, field, key, f"mlc-{secrets.token_hex(8)}")):
                raise ConfigError(f"SAP ignores a filter on {entity}.{field}: a random value found documents", hint=_PROOF_HINT)
            body = self.system.get(entity, odata.query(select=f"{key},{field}", orderby=f"{key} desc"))
            rows, _ = odata.rows_of(body)
            existing = next(((row[key], row[field]) for row in rows if row.get(field)), None)
            if existing is None:
                return "empty"
            if not any(entry == existing[0] for entry in self._with(entity, field, key, existing[1])):
                raise ConfigError(f"SAP does not find {entity} by {field} ({existing[1]!r})", hint=_PROOF_HINT)
        except SapRefusedError as refused:
            raise ConfigError(f"SAP refuses a filter on {entity}.{field}: {refused.error.text}", hint=_PROOF_HINT) from refused
        return "proved"

    def complete_proof(self, marker: str, *, entry: bool = False) -> None:
        """Prove with our own first document what no other document could prove."""
        entity, field, key = (
            ("JournalEntries", self.entry_field, "JdtNum") if entry else ("IncomingPayments", self.marker_field, "DocEntry")
        )
        if not any(self._with(entity, field, key, marker)):
            raise ConfigError(f"SAP does not find its own newest of {entity} by {field} {marker!r}", hint=_PROOF_HINT)

    def _with(self, entity: str, field: str, key: str, value: str) -> Iterator[int]:
        where = f"{field} eq {odata.literal(value)}"
        for page in self.system.pages(entity, f"{key},{field}", where, key=key):
            yield from (int(row[key]) for row in page)


def _owing(hold_field: str) -> str:
    return f"{wire.PARTNER_OWING},{hold_field}" if hold_field else wire.PARTNER_OWING


_HOLD = "stripe.customers.hold_field: it"


@contextmanager
def _known_fields(fields: Sequence[str], where: str) -> Iterator[None]:
    try:
        yield
    except SapRefusedError as refused:
        if fields and refused.error.code in (-1000, 201):
            raise ConfigError(
                f"SAP does not know {', '.join(fields)} on business partners: {refused.error.text}",
                hint=f"correct {where} names a user field of table OCRD",
            ) from refused
        raise


_PROOF_HINT = (
    "mlc cannot prove that a payment is posted only once; set sap.marker_field to a user field that filters (mlc ping tells)"
)


def is_by_hand(receipt: Receipt) -> bool:
    """Tell whether a receipt was not posted by mlc."""
    return not is_marker(receipt.reference)
