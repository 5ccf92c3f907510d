"""Invoices and credit memos: their totals, their entries, and what happens to them later."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from itertools import product
from typing import Any

from mlc.sandbox.sap.errors import SapError, no_match
from mlc.sandbox.sap.ledger import OUTPUT_VAT, REVENUE, ROUNDING
from mlc.sandbox.sap.papers import Document, DocumentLine, Installment
from mlc.sandbox.sap.records import ZERO, Entry, EntryLine
from mlc.sandbox.sap.settle import Settlement

LineSpec = tuple[str, Decimal, Decimal, Decimal]
Plan = Sequence[tuple[date, Decimal]]
HUNDRED = Decimal(100)
INVOICES, CREDIT_NOTES = "Invoices", "CreditNotes"
ORIGINS = {INVOICES: "ttARInvoice", CREDIT_NOTES: "ttARCredItnote"}
_DEFAULTS = {"DocType": "dDocument_Items", "Printed": "psNo", "AuthorizationStatus": "dasWithout", "Series": 4}
_MOVED = {"DocDueDate": "due_date", "TaxDate": "tax_date", "CardName": "card_name", "BPL_IDAssignedToInvoice": "branch"}
DIMENSIONS = {1: "CostingCode", 2: "CostingCode2", 3: "CostingCode3", 4: "CostingCode4", 5: "CostingCode5"}


class Documents(Settlement):
    """The ledger with sales documents."""

    def _begin(self) -> None:
        super()._begin()
        self.documents: dict[str, dict[int, Document]] = {INVOICES: {}, CREDIT_NOTES: {}}
        self.series = {INVOICES: 1000, CREDIT_NOTES: 3000}

    # --- making ---------------------------------------------------------------------------------------------------
    def add_invoice(
        self,
        card_code: str,
        lines: Sequence[LineSpec],
        *,
        doc_date: date,
        due_date: date | None = None,
        currency: str | None = None,
        rate: Decimal | None = None,
        rounding: Decimal = ZERO,
        branch: int | None = None,
        installments: Plan | None = None,
        project: str = "",
        costing: Mapping[int | str, str] | None = None,
        line_fields: Sequence[Mapping[str, Any]] = (),
        **fields: Any,
    ) -> int:
        """Add an invoice of lines (description, quantity, net price, tax percent); returns its DocEntry.

        `installments` are (due date, gross amount) pairs that sum to the total; `line_fields` are further properties per
        line; `fields` are further properties of the document such as NumAtCard, DiscountPercent or Comments.
        """
        common: dict[str, Any] = {
            DIMENSIONS[key] if isinstance(key, int) else key: code for key, code in (costing or {}).items()
        }
        if project:
            common["ProjectCode"] = project
            fields.setdefault("Project", project)
        for name, code in common.items():
            self._known(name, code)
        specs = [
            {"ItemDescription": text, "Quantity": quantity, "Price": price, "TaxPercentagePerRow": tax, **common, **extra}
            for (text, quantity, price, tax), extra in zip(
                lines, [*line_fields, *({} for _ in lines[len(line_fields) :])], strict=True
            )
        ]
        return self.add_document(
            INVOICES, card_code, specs, doc_date=doc_date, due_date=due_date, currency=currency, rate=rate,
            rounding=rounding, branch=branch, installments=installments, fields=fields,
        ).doc_entry  # fmt: skip

    def _known(self, name: str, code: str) -> None:
        """Make sure a profit centre or project that a document names exists."""
        if name == "ProjectCode" and code not in self.projects:
            self.add_project(code, code)
        if name.startswith("CostingCode") and code not in self.centres:
            self.add_centre(code, code, int(name[11:] or 1))

    def add_document(
        self,
        kind: str,
        card_code: str,
        specs: Sequence[Mapping[str, Any]],
        *,
        doc_date: date,
        due_date: date | None = None,
        tax_date: date | None = None,
        currency: str | None = None,
        rate: Decimal | None = None,
        rounding: Decimal = ZERO,
        branch: int | None = None,
        installments: Plan | None = None,
        fields: Mapping[str, Any] | None = None,
    ) -> Document:
        """Add an invoice or credit memo whose lines are given by SAP's property names, and post its entry."""
        partner = self.partners[card_code]
        currency = currency or self.local_currency
        if currency not in self.currencies:
            raise SapError(-5002, f"Currency '{currency}' is not defined  [OINV.DocCur]")
        rate = (rate if currency != self.local_currency else None) or self.rate(currency, doc_date)
        now, due = self.local_now(), due_date or doc_date
        document = Document(
            now, now, 1, kind, 0, 0, card_code, partner.name, doc_date, due, tax_date or doc_date, currency, rate, []
        )
        document.branch, document.fields = branch, dict(fields or {})
        document.lines = [self._line(document, number, spec) for number, spec in enumerate(specs)]
        self._total(document, rounding)
        self._plan(document, installments)
        self._enter(document)
        return document

    def _line(self, document: Document, number: int, spec: Mapping[str, Any]) -> DocumentLine:
        more = dict(spec)
        quantity, price = more.pop("Quantity", Decimal(1)), more.pop("Price", ZERO)
        percent, foreign = more.pop("TaxPercentagePerRow", ZERO), document.currency != self.local_currency
        discount = document.fields.get("DiscountPercent") or ZERO
        total = self.rounded(quantity * price, document.currency)
        revenue = self.rounded(total * (HUNDRED - discount) / HUNDRED, document.currency)
        tax = self.rounded(total * (HUNDRED - discount) / HUNDRED * percent / HUNDRED, document.currency)
        account = self.account(more.pop("AccountCode", None) or REVENUE).code
        more.setdefault("VatGroup", f"S{percent.normalize():f}"[:8])
        local = [self.rounded(one * document.rate) if foreign else one for one in (total, tax, revenue)]
        fc = [one if foreign else ZERO for one in (total, tax, revenue)]
        return DocumentLine(
            number, more.pop("ItemDescription", ""), quantity, price, local[0], fc[0], percent, local[1], fc[1], account,
            document.currency, local[2], fc[2],
            base_type=more.pop("BaseType", -1), base_entry=more.pop("BaseEntry", None), base_line=more.pop("BaseLine", None),
            fields=more,
        )  # fmt: skip

    def _total(self, document: Document, rounding: Decimal) -> None:
        lines = document.lines
        foreign = document.currency != self.local_currency
        document.vat = sum((line.tax for line in lines), ZERO)
        document.vat_fc = sum((line.tax_fc for line in lines), ZERO)
        document.discount = sum((line.total - line.revenue for line in lines), ZERO)
        document.rounding = self.rounded(rounding * document.rate) if foreign else rounding
        document.total = sum((line.revenue for line in lines), document.vat + document.rounding)
        if foreign:
            document.total_fc = sum((line.revenue_fc for line in lines), document.vat_fc + rounding)
        document.total_sys = document.total
        system = self.switches.system_currency
        if system and system != self.local_currency:
            document.total_sys = self.rounded(document.total / self.rate(system, document.doc_date), system)
        if document.total < 0:
            raise SapError(-5002, "Document total cannot be negative  [OINV.DocTotal]")

    def _plan(self, document: Document, plan: Plan | None) -> None:
        whole = document.total_fc or document.total
        rows = list(plan or [(document.due_date, whole)])
        if sum((amount for _, amount in rows), ZERO) != whole:
            raise SapError(-5002, "Instalments must sum to the document's total  [INV6.InsTotal]")
        left, left_fc = document.total, document.total_fc
        for number, (due, amount) in enumerate(rows, 1):
            last = number == len(rows)
            total_fc = (left_fc if last else amount) if document.total_fc else ZERO
            local = self.rounded(amount * document.rate) if document.total_fc else amount
            total = left if last else local
            percent = (amount * HUNDRED / whole).quantize(Decimal("0.0001")) if whole else HUNDRED
            document.installments.append(Installment(number, due, percent, total, total_fc))
            left, left_fc = left - total, left_fc - total_fc
        document.due_date = rows[-1][0]

    def _enter(self, document: Document) -> None:
        """Number the document and post its journal entry."""
        table = self.documents[document.kind]
        document.doc_entry = len(table) + 1
        document.doc_num = document.fields.pop("DocNum", None) or self.series[document.kind] + document.doc_entry
        for name, value in _DEFAULTS.items():
            document.fields.setdefault(name, value)
        for line in document.lines:
            line.doc_entry = document.doc_entry
        memo = document.fields.get("JournalMemo") or f"A/R {document.kind} - {document.card_code}"
        document.fields["JournalMemo"] = memo[:50]
        fields = {"Reference": str(document.doc_num), "Reference2": document.fields.get("NumAtCard")}
        entry = self.post(
            self._entry_lines(document), document.doc_date, ORIGINS[document.kind], document.doc_entry,
            due_date=document.due_date, tax_date=document.tax_date, memo=memo[:50], fields=fields,
        )  # fmt: skip
        document.trans_id = entry.trans_id
        table[document.doc_entry] = document
        self.owners[entry.trans_id] = document
        self._restate(document, manual=False)
        self.notice(document.kind, document.doc_entry, "Created")

    def _entry_lines(self, document: Document) -> list[EntryLine]:
        side = 1 if document.kind == INVOICES else -1
        currency = document.currency if document.total_fc else None
        extra = {"currency": currency, "branch": document.branch}
        lines = [
            self.line("", side * one.total, side * one.total_fc, partner=document.card_code, due_date=one.due_date, **extra)
            for one in document.installments
        ]
        keep = ("ProjectCode", *DIMENSIONS.values())
        for row in document.lines:
            if row.revenue:
                fields = {key: row.fields[key] for key in keep if row.fields.get(key)}
                lines.append(self.line(row.account, -side * row.revenue, -side * row.revenue_fc, fields=fields, **extra))
        if document.vat:
            lines.append(self.line(OUTPUT_VAT, -side * document.vat, -side * document.vat_fc, **extra))
        if document.rounding:
            fc = document.total_fc - document.vat_fc - sum((row.revenue_fc for row in document.lines), ZERO)
            lines.append(self.line(ROUNDING, -side * document.rounding, -side * fc if currency else ZERO, **extra))
        return lines

    # --- later life -----------------------------------------------------------------------------------------------
    def document(self, kind: str, doc_entry: int) -> Document:
        """Return a document; raises SapError where there is none."""
        found = self.documents[kind].get(doc_entry)
        if found is None:
            raise no_match()
        return found

    def invoice(self, doc_entry: int) -> Document:
        """Return an invoice; raises SapError where there is none."""
        return self.document(INVOICES, doc_entry)

    def cancel_invoice(self, doc_entry: int) -> int:
        """Cancel an invoice by a cancellation document; returns the DocEntry of that; refuses one that is settled."""
        return self.cancel_document(INVOICES, doc_entry).doc_entry

    def cancel_document(self, kind: str, doc_entry: int) -> Document:
        """Cancel a document that nothing has settled yet; returns the cancelling document."""
        old = self.document(kind, doc_entry)
        if old.cancel_status != "csNo":
            raise SapError(-5002, "Document is already cancelled  [OINV.CANCELED]")
        if old.paid or old.closed_by_hand:
            raise SapError(-10, "Document cannot be cancelled; it is linked to other documents  [OINV.PaidToDate]")
        now, entry = self.local_now(), self.journal[old.trans_id]
        self.undo.keep(old, *old.lines)
        new = dataclasses.replace(
            old, created=now, updated=now, version=1, cancel_status="csCancellation", status="bost_Close",
            lines=[dataclasses.replace(line, status="bost_Close", fields=dict(line.fields)) for line in old.lines],
            installments=[dataclasses.replace(one) for one in old.installments], fields=dict(old.fields),
            doc_entry=len(self.documents[kind]) + 1, paid=ZERO, paid_fc=ZERO,
        )  # fmt: skip
        new.doc_num = self.series[kind] + new.doc_entry
        for line in new.lines:
            line.doc_entry, line.base_type, line.base_entry, line.base_line = new.doc_entry, 13, doc_entry, line.line_num
        self.documents[kind][new.doc_entry] = new
        old.cancel_status, old.status = "csYes", "bost_Close"
        for line in old.lines:
            line.status = "bost_Close"
        new.trans_id = len(self.journal) + 1
        self.owners[new.trans_id] = new
        self.reverse(entry, old.doc_date, ORIGINS[kind], new.doc_entry)
        self.stamp(old)
        self.notice(kind, doc_entry, "Cancelled")
        self.notice(kind, new.doc_entry, "Created")
        return new

    def close_document(self, doc_entry: int) -> None:
        """Close an invoice by hand, whatever its balance."""
        invoice = self.invoice(doc_entry)
        if invoice.status == "bost_Close":
            raise SapError(-5002, "Document is already closed  [OINV.DocStatus]")
        self.undo.keep(invoice)
        invoice.status, invoice.closed_by_hand = "bost_Close", True
        self.stamp(invoice)
        self.notice(INVOICES, doc_entry, "Closed")

    def reopen_document(self, doc_entry: int) -> None:
        """Open an invoice again that was closed by hand."""
        invoice = self.invoice(doc_entry)
        if not invoice.closed_by_hand:
            raise SapError(-5002, "Document cannot be reopened  [OINV.DocStatus]")
        self.undo.keep(invoice, *invoice.lines)
        invoice.closed_by_hand = False
        self._restate(invoice, manual=False)
        self.stamp(invoice)
        self.notice(INVOICES, doc_entry, "Reopened")

    def touch(self, doc_entry: int, **fields: Any) -> None:
        """Change properties of an invoice (none is allowed) and with them its change stamp."""
        invoice = self.invoice(doc_entry)
        self.undo.keep(invoice)
        for name in fields.keys() & _MOVED.keys():
            setattr(invoice, _MOVED[name], fields.pop(name))
        invoice.fields = {**invoice.fields, **fields}
        self.follow_due_date(invoice)
        self.stamp(invoice)
        self.notice(INVOICES, doc_entry, "Updated")

    def follow_due_date(self, document: Document) -> None:
        """Let the one instalment of a document, and the entry line that carries it, fall due with the document."""
        if len(document.installments) != 1 or document.installments[0].due_date == document.due_date:
            return
        entry = self.journal[document.trans_id]
        line = entry.partner_lines[0] if entry.partner_lines else None
        self.undo.keep(document.installments[0], entry, *([line] if line else []))
        document.installments[0].due_date = entry.due_date = document.due_date
        if line:
            line.due_date = document.due_date

    def change_partner(self, card_code: str, **fields: Any) -> None:
        """Change properties of a partner (none is allowed) and with them its change stamp."""
        partner = self.partners[card_code]
        partner.name = fields.pop("CardName", partner.name)
        partner.currency = fields.pop("Currency", partner.currency)
        partner.fields = {**partner.fields, **fields}
        self.stamp(partner)
        self.notice("BusinessPartners", card_code, "Updated")

    def credit_memo(self, invoice_doc_entry: int, amount: Decimal | None = None, *, day: date | None = None) -> int:
        """Credit an invoice by a gross amount in its currency (None is what is open); returns the memo's DocEntry."""
        invoice = self.invoice(invoice_doc_entry)
        foreign = bool(invoice.total_fc)
        whole = invoice.total_fc if foreign else invoice.total
        gross = amount if amount is not None else (invoice.open_fc if foreign else invoice.open)
        if gross <= 0:
            raise SapError(-5002, "Nothing to credit  [ORIN.DocTotal]")
        vat = invoice.vat_fc if foreign else invoice.vat
        net = self.rounded(gross * (whole - vat) / whole, invoice.currency)
        percent = (gross - net) * HUNDRED / net if net else ZERO
        spec = {
            "ItemDescription": f"Credit for invoice {invoice.doc_num}", "Price": net, "TaxPercentagePerRow": percent,
            "BaseType": 13, "BaseEntry": invoice_doc_entry, "BaseLine": 0, "VatGroup": invoice.lines[0].fields["VatGroup"],
        }  # fmt: skip
        memo = self.add_document(
            CREDIT_NOTES, invoice.card_code, [spec], doc_date=day or self.today(), currency=invoice.currency,
            rate=invoice.rate, branch=invoice.branch,
        )  # fmt: skip
        memo.lines[0].tax_percent = percent.quantize(Decimal("0.0001"))
        self.link_memo(memo, invoice)
        return memo.doc_entry

    def link_memo(self, memo: Document, invoice: Document) -> None:
        """Settle a credit memo with the invoice it was copied from, as far as that is open."""
        if not invoice.open or invoice.cancel_status != "csNo":
            return
        self.match(self.journal[memo.trans_id], self.journal[invoice.trans_id], memo.doc_date, "rtCreditMemo")

    def match(self, one: Entry, other: Entry, day: date, kind: str) -> None:
        """Settle the partner lines of two entries with each other, in order, as far as both are open."""
        for left, right in product(one.partner_lines, other.partner_lines):
            amount = min(left.open, right.open)
            if not amount:
                continue
            first, second = self.share(one, left, amount), self.share(other, right, amount)
            if left.currency == right.currency and left.open > amount:
                first.amount_fc = min(second.amount_fc, left.open_fc)
            elif left.currency == right.currency and right.open > amount:
                second.amount_fc = min(first.amount_fc, right.open_fc)
            self.settle([first, second], day, kind)

    # --- questions ------------------------------------------------------------------------------------------------
    def invoices(self) -> Iterator[Document]:
        """Walk through all invoices, cancelled and cancelling ones included."""
        return iter(list(self.documents[INVOICES].values()))

    def credit_notes(self) -> Iterator[Document]:
        """Walk through all credit memos."""
        return iter(list(self.documents[CREDIT_NOTES].values()))

    def open_balance(self, doc_entry: int) -> Decimal:
        """Return what is still owed on an invoice, in its own currency."""
        invoice = self.invoice(doc_entry)
        return invoice.open_fc if invoice.total_fc else invoice.open
