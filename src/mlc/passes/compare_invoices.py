"""SAP's invoices of the span against what Stripe asks for, and Stripe's invoices of the span against SAP's documents.

Reads: Stripe's invoices of this company by pages, kept beside; SAP's invoices by pages, joined with them; at last the documents that
    Stripe's invoices of the span name and that no page of SAP brought.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from mlc.core import codec, comparing
from mlc.core.comparing import AT_STRIPE, DIFFERENT, FOLLOWS, INVOICE, MISSING_IN_SAP, NOT_COMPARABLE, SAME, TWICE, Finding
from mlc.core.facts import Invoice, ProcessorInvoice
from mlc.passes import debtors
from mlc.passes.compare_payments import TOLD
from mlc.passes.compare_span import Span

_EARLY = 92 * 86400  # an invoice may be pushed so long before its own day
_BATCH = 40
_VERBS = ("push-invoice", "settle", "credit", "report-payment")
_SUSPECT = (DIFFERENT, TWICE, MISSING_IN_SAP)
_NOT_WANTED = ("collected_elsewhere",)  # held for good reason: push-invoices does not want them


class Invoices:
    """The comparison of invoices."""

    def __init__(self, span: Span) -> None:
        self.span, self.scene = span, span.scene

    def findings(self) -> Iterator[Finding]:
        """Yield every invoice that is not the same on both sides."""
        self._read()
        span, rules = self.span, self.scene.rules
        for page in span.sap.invoices(span.since, span.until, rules.invoice_filter):
            documents = {one.doc_entry: one for one in page}
            span.besides.tick(INVOICE, documents)
            yield from self._compared(documents, list(documents), within=True)
        for entries in span.besides.left(INVOICE, _BATCH):
            yield from self._compared(self.scene.sap.invoices(entries), entries, within=False)

    def _read(self) -> None:
        """Keep what Stripe has under this company's numbers."""
        assert self.span.stripe is not None
        foreign = 0
        for page in self.span.stripe.invoices(self.span.first - _EARLY):
            ours = [one for one in page if one.origin.company == self.scene.rules.company and one.origin.doc_entry is not None]
            foreign += sum(1 for one in page if one.origin.company and one.origin.company != self.scene.rules.company)
            values = {one.id: codec.encode(one) for one in ours}
            self.span.besides.keep(INVOICE, values, {one.id: one.origin.doc_entry or 0 for one in ours})
        if foreign:
            self.span.note(f"{foreign} invoices at Stripe belong to another company: not compared")

    def _compared(self, documents: Mapping[int, Invoice], entries: Sequence[int], *, within: bool) -> Iterator[Finding]:
        kept = self.span.besides.numbered(INVOICE, entries)
        asked = {entry: [codec.decode(ProcessorInvoice, data) for data in rows] for entry, rows in kept.items()}
        if not within:  # what neither as a document nor as an invoice is of this span is no matter of it
            entries = [entry for entry in entries if any(self._in_span(one) for one in asked.get(entry, []))]
        found = {entry: self._finding(documents.get(entry), asked.get(entry, [])) for entry in entries}
        suspects = [entry for entry, one in found.items() if one is not None and one.state in _SUSPECT]
        again = self.scene.sap.invoices(suspects) if suspects else {}
        for entry, first in found.items():
            doc = again.get(entry) if entry in suspects else documents.get(entry)
            told = self._read_again(doc, asked[entry], first) if entry in suspects else first
            if told is not None and told.state == AT_STRIPE:
                told = self._looked_up(entry, told, doc)
            if told is None:
                continue
            self.span.take(told)
            if told.state not in (SAME, FOLLOWS):
                yield self._explained(entry, told, doc)

    def _in_span(self, one: ProcessorInvoice) -> bool:
        return self.span.first <= one.created < self.span.end

    def _read_again(self, doc: Invoice | None, asked: Sequence[ProcessorInvoice], first: Finding | None) -> Finding | None:
        """Look at both sides of a difference once more: an invoice may have been paid and posted while the lists were read."""
        if not self.span.look():
            return first
        fresh = [self.scene.stripe.invoice(one.id) for one in asked]
        return self._finding(doc, [one for one in fresh if one is not None])

    def _finding(self, doc: Invoice | None, asked: Sequence[ProcessorInvoice]) -> Finding | None:
        local = doc is not None and self.scene.is_local(doc.currency)
        return comparing.invoice(doc, asked, self.span.terms, local=local, away=self._away(asked))

    def _away(self, asked: Sequence[ProcessorInvoice]) -> int:
        """Return what payments that were told as missing gave to these invoices."""
        parts = [part for one in asked for part in one.payments or () if part.status == "paid"]
        told = self.span.besides.known(TOLD, [part.payment for part in parts]) if parts else {}
        return sum(part.amount.minor for part in parts if part.payment in told)

    def _looked_up(self, entry: int, found: Finding, doc: Invoice | None) -> Finding | None:
        """A document that no list brought: what the journal calls its invoice is read by itself, and what nobody wants is said."""
        mandate = self._mandate(doc)
        if mandate:
            return replace(
                found, state=NOT_COMPARABLE, why=f"GoCardless collects it by mandate {mandate}: Stripe is not asked for it"
            )
        held = self.span.held(self.scene.name("push-invoice", entry))
        if held is not None and held.reason in _NOT_WANTED:
            return replace(found, state=NOT_COMPARABLE)
        link = self.scene.journal.links.get("invoice", str(entry))
        if link is not None and link.other and self.span.look():
            one = self.scene.stripe.invoice(link.other)
            if one is not None:
                return self._finding(doc, [one])
            return replace(found, id=link.other, why=f"Stripe no longer has {link.other}")
        return found

    def _mandate(self, doc: Invoice | None) -> str:
        """Return the mandate that keeps push-invoices from asking Stripe for a document, as far as mlc has noted it."""
        if doc is None or self.scene.organisation is None or self.scene.rules.also_with_mandate:
            return ""
        if not self.span.known:
            self.span.note("without a state file, invoices of customers who pay by mandate are told as missing at Stripe")
        return debtors.collected_elsewhere(self.scene, [doc.card_code]).get(doc.card_code, "")

    def _explained(self, entry: int, found: Finding, doc: Invoice | None) -> Finding:
        names = [self.scene.name(verb, entry) for verb in _VERBS] + [self.scene.name("void", found.id)]
        link = self.scene.journal.links.get("invoice", str(entry))
        word = str(doc.doc_num) if doc is not None else found.id
        return self.span.explained(found, names, word, link if found.state == MISSING_IN_SAP else None)
