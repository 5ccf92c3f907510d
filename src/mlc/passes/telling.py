"""The story of one thing across the systems: what each says of it now with its own times, beside what the journal and the trail know.

Reads: the thing at the systems whose ids look like it, what it leads to (an invoice to its payments, a payment to its invoices and its
    payout), and the journal. Nothing is written, nothing of what was read is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from mlc.core.errors import MlcError
from mlc.core.intents import Mark
from mlc.core.keys import thing_of
from mlc.core.money import Money
from mlc.core.story import JOURNAL, Tale, Told, ordered
from mlc.store.audit import AuditRow
from mlc.store.journal import Journal
from mlc.systems.gocardless.telling import GoCardlessTelling
from mlc.systems.sap.reads import SapReads
from mlc.systems.sap.telling import SapTelling
from mlc.systems.stripe.reads import StripeReads
from mlc.systems.stripe.telling import StripeTelling

_COLLECTED = 3  # payments of GoCardless that are told of one invoice
_CARD_CODE = 50  # characters of a CardCode at most
_MOST = 12  # so many things are followed: a story, not the whole company


@dataclass(slots=True)
class Ways:
    """How each system is opened when it is first needed; None where the tenant does not have it, or nobody may ask."""

    sap: Callable[[], SapReads] | None = None
    stripe: Callable[[], StripeReads] | None = None
    gocardless: Callable[[], Any] | None = None


@dataclass(slots=True)
class Teller:
    """Tells of one thing of one tenant. `codes` are the exit codes of what could not be read."""

    journal: Journal
    zone: ZoneInfo
    ways: Ways
    codes: list[int] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    words: dict[str, None] = field(default_factory=dict)  # ids by which the journal may know it
    entries: dict[str, None] = field(default_factory=dict)  # invoices, by DocEntry
    _doors: dict[str, Any] = field(default_factory=dict)
    _asked: set[tuple[str, str]] = field(default_factory=set)
    _own: str = ""

    def story(self, wish: str) -> list[Told]:
        """Return everything known of one thing, in the order of time; how things stand now comes last."""
        named = wish.startswith(f"{self.journal.book}/")  # the name of a wish: its last part is no invoice number
        wish = thing_of(wish) if named else wish
        if not wish:
            return []
        self._own = wish
        if named and wish.isdecimal() and len(wish) < 19:
            self.entries[wish] = None
            self._documents()
        else:
            self._ask(wish)
            for letter in self.journal.inbox.find(wish):  # an event: what it is about may be known where the event is no more
                self._stripe(letter.about)
                self._gocardless(letter.about)
                self.words[letter.about] = None
        known = list(self._known(wish))
        if not known and all(one.kind == "unread" for one in self.told):
            return self.told if self.codes else []
        return ordered([*self.told, *known], self.zone)

    # --- the systems ------------------------------------------------------------------------------------------------

    def _ask(self, wish: str) -> None:
        """Ask the systems that may know a thing; what only the journal knows of it leads on as well."""
        links = self.journal.links
        if wish.isdecimal() and len(wish) < 19:
            for mark in links.find("invoice", "doc_num", wish):
                self.entries[mark.key] = None
            for number in self._live("SAP", lambda sap: sap.numbered(int(wish)), []) if len(wish) < 10 else []:
                self.entries[str(number)] = None
            for part in links.find("part", "doc_num", wish):
                if part.data.get("doc_entry"):
                    self.entries[str(part.data["doc_entry"])] = None
            self._documents()
        else:
            self.words[wish] = None
        if StripeTelling.knows(wish):
            self._stripe(wish, main=True)
        elif GoCardlessTelling.knows(wish):
            self._gocardless(wish)
        if not StripeTelling.knows(wish) and not self.entries and len(wish) <= _CARD_CODE and "/" not in wish:
            self._partner(wish)

    def _stripe(self, ident: str, *, main: bool = False) -> None:
        if not StripeTelling.knows(ident) or not self._fresh("Stripe", ident):
            return
        self.words[ident] = None
        payout = main and ident[:3] in ("pi_", "ch_", "py_")
        tale = self._live("Stripe", lambda stripe: stripe.tell(ident, payout=payout), Tale())
        self._take(tale)
        if tale.told and ident.startswith("po_"):
            references = [ident, f"{ident}/failed"]
            self._take(self._live("SAP", lambda sap: sap.entries(references), Tale()))

    def _gocardless(self, ident: str) -> None:
        if not GoCardlessTelling.knows(ident) or not self._fresh("GoCardless", ident):
            return
        self.words[ident] = None
        tale = self._live("GoCardless", lambda debits: debits.tell(ident), Tale())
        self._take(tale)
        if tale.told and ident.startswith("PO"):
            self._take(self._live("SAP", lambda sap: sap.entries([ident]), Tale()))
        if tale.told and ident.startswith("PM"):
            for mark in self.journal.links.of_others("part", [ident]):
                if mark.data.get("doc_entry"):
                    self.entries[str(mark.data["doc_entry"])] = None
            self._documents()
        link = self.journal.links.get("gc-customer", ident)
        if link is not None and link.other and self._own == ident:
            self._partner(link.other)

    def _partner(self, card: str) -> None:
        """Tell of a partner and of what it is linked to at the processors."""
        if not self._fresh("card", card):
            return
        links = self.journal.links
        tale = self._live("SAP", lambda sap: sap.partner(card), Tale())
        self._take(tale)
        link = links.get("customer", card)
        if not tale.told and link is None and not links.of_others("gc-customer", [card]):
            return
        self.words[card] = None
        if link is not None and link.other:
            self._stripe(link.other)
        for mark in links.of_others("gc-customer", [card])[:3]:
            self._gocardless(mark.key)

    def _documents(self) -> None:
        """Tell of invoices that are not told of yet, and of what became of them at Stripe."""
        fresh = [entry for entry in self.entries if self._fresh("document", entry)]
        if not fresh:
            return
        links = self.journal.links
        self._take(self._live("SAP", lambda sap: sap.documents([int(entry) for entry in fresh]), Tale()))
        for entry in fresh:
            link = links.get("invoice", entry)
            ident = link.other if link is not None else self._at_stripe(entry)
            if ident:
                self._stripe(ident)
            for part in links.parts_on(int(entry))[:_COLLECTED]:
                self._gocardless(part.other)

    def _at_stripe(self, entry: str) -> str:
        """Return the Stripe invoice of a document that the journal does not link (its state was lost), by its metadata."""
        cards = [one.data.get("card_code") for one in self.told if str(one.data.get("doc_entry")) == entry]
        link = self.journal.links.get("customer", str(cards[0])) if cards else None
        if link is None or not link.other:
            return ""
        other, company = link.other, self.journal.book
        return str(self._live("Stripe", lambda stripe: stripe.invoice_of(other, company, int(entry)), ""))

    def _take(self, tale: Tale) -> None:
        """Take what a system told, and follow what it leads to."""
        self.told += tale.told
        marks = []
        for kind, ident in tale.leads:
            if kind == "document":
                self.entries[ident] = None
            elif kind in ("payment", "refund", "dispute", "payout", "stripe", "debit", "debit_payout", "thing"):
                self.words[ident] = None
            if kind == "payment":
                marks.append(ident)
                self._asked.add(("Stripe", ident))
        self._documents()
        if marks and not self.entries and self._fresh("marks", ",".join(marks)):
            self._take(self._live("SAP", lambda sap: sap.receipts(marks), Tale()))
        for kind, ident in tale.leads:
            if (kind, self._own[:2]) in (("debit_payout", "PM"), ("debit", "RF")):
                self._gocardless(ident)
            elif kind == "card" and self._own.startswith("cus_"):
                self._partner(ident)

    def _fresh(self, kind: str, ident: str) -> bool:
        if (kind, ident) in self._asked or len(self._asked) >= _MOST:
            return False
        self._asked.add((kind, ident))
        return True

    def _live(self, name: str, ask: Callable[[Any], Any], otherwise: Any) -> Any:
        """Ask one system; one that could not be read once is not asked again, and the story says so."""
        if name not in self._doors:
            try:
                self._doors[name] = self._open(name)
            except MlcError as error:
                self._lost(name, error)
        door = self._doors[name]
        if door is None:
            return otherwise
        try:
            return ask(door)
        except MlcError as error:
            self._lost(name, error)
            return otherwise

    def _open(self, name: str) -> Any:
        if name == "SAP":
            return SapTelling(self.ways.sap()) if self.ways.sap else None
        if name == "Stripe":
            return StripeTelling(self.ways.stripe().system) if self.ways.stripe else None
        return GoCardlessTelling(self.ways.gocardless().system) if self.ways.gocardless else None

    def _lost(self, name: str, error: MlcError) -> None:
        self._doors[name] = None
        self.codes.append(error.exit_code)
        self.told.append(
            Told(f"{name} now", "unread", f"{name} could not be read, what it says is missing here: {error.message}")
        )

    # --- the journal ------------------------------------------------------------------------------------------------

    def _known(self, wish: str) -> Iterator[Told]:
        """Yield what links, held items and the trail know of the thing, and of what it led to."""
        links = self.journal.links
        for mark in self._people(wish):
            self.words[mark.key] = None
            yield _told(
                "customer",
                f"GoCardless customer {mark.key} {mark.data.get('name') or ''} is {mark.other or 'linked to nobody'}",
                mark.data,
            )
            for mandate in links.of_others("mandate", [mark.key]):
                self.words[mandate.key] = None
                yield _told(
                    "mandate", f"mandate {mandate.key} {mandate.data.get('reference') or ''} is {mandate.state}", mandate.data
                )
                for debit in links.of_others("debit", [mandate.key]):
                    self.words[debit.key] = None
                    yield _told("payment", _debit(debit), debit.data)
        debit_ = links.get("debit", wish)
        if debit_ is not None:
            yield _told("payment", _debit(debit_), debit_.data)
        for entry in self.entries:
            for payment in links.applied_to(int(entry)):
                self.words[payment] = None
        for mark in self._parts(wish):
            yield _part(mark)
        yield from self._links()
        yield from self._delivered(wish)
        items = {one.name: one for word in [wish, *self.words] for one in self.journal.held.search(word)}
        items |= {one.name: one for one in self.journal.held.all() if one.about.get("card_code") == wish}
        for item in items.values():
            yield _told("held", f"held {item.reason}: {item.text}", dict(item.about))
        yield from self._trail()

    def _delivered(self, wish: str) -> Iterator[Told]:
        """Yield which webhooks arrived about the things of the story."""
        inbox = self.journal.inbox
        for letter in [*inbox.find(wish), *(one for word in list(self.words) if word for one in inbox.of(word))]:
            dealt = (
                "waits for a pass" if letter.done_at is None else f"dealt with by run {letter.run_id}" if letter.run_id else ""
            )
            times = f", {letter.deliveries} times" if letter.deliveries > 1 else ""
            text = f"webhook {letter.type} {letter.id} arrived{times}" + (f": {dealt}" if dealt else "")
            yield _told("webhook", text, {"event": letter.id}, datetime.fromtimestamp(letter.received_at, UTC))

    def _links(self) -> Iterator[Told]:
        """Yield how mlc noted the payments, reversals and payouts of Stripe that the story is about."""
        links = self.journal.links
        for word in list(self.words):
            for kind in ("payment", "reversal", "stripe-payout"):
                for mark in [links.get(kind, word), *links.beginning(kind, f"{word}/")]:
                    if mark is not None and mark.state:
                        amount = _amount(mark.data.get("amount", mark.data.get("clearing")), mark.data.get("currency"))
                        number = f", in SAP {mark.data['number']}" if mark.data.get("number") else ""
                        yield _told(kind, f"{mark.key}{amount} is noted as {mark.state}{number}", mark.data)

    def _trail(self) -> Iterator[Told]:
        """Yield the rows of the trail, by whole ids only: a DocEntry may be the number of another thing."""
        book, seen = self.journal.book, set()
        for word in [*self.words, *self.entries]:
            for row in self.journal.audit.rows(book=book, name=word):
                if row.seq not in seen and (word in self.words or thing_of(row.name) == word):
                    seen.add(row.seq)
                    yield _row(row)

    def _people(self, wish: str) -> list[Mark]:
        known = self.journal.links.get("gc-customer", wish)
        return [known] if known is not None else self.journal.links.of_others("gc-customer", [wish])

    def _parts(self, wish: str) -> list[Mark]:
        """Return the parts of entries that a payment, payout, invoice number or customer has."""
        links = self.journal.links
        found = {mark.key: mark for mark in links.of_others("part", [wish])}
        for name in ("doc_num", "card_code", "thing"):
            found |= {mark.key: mark for mark in links.find("part", name, wish)}
        if wish.startswith("PO"):
            found |= {mark.key: mark for mark in links.beginning("part", f"{wish}/")}
        return [found[key] for key in sorted(found)]


def _told(kind: str, text: str, data: dict[str, Any], at: datetime | date | None = None) -> Told:
    return Told(JOURNAL, kind, text.rstrip(), at, data, late=True)


def _part(mark: Mark) -> Told:
    """Tell where a part of a payout's entry stands, and by which rule."""
    data = mark.data
    number = f"invoice {data['doc_num']}" if data.get("doc_num") else data.get("card_code") or f"account {data.get('account')}"
    amount, source = Money(data["amount"], data["currency"]), mark.key.split("/")[0]
    what = f"payout {source}" if source.startswith("PO") else data["payment"]
    text = f"{data['thing']} {amount} of {what} -> {number} in entry {data['trans']} ({mark.state})"
    return _told("booking", f"{text}; {data.get('rule')}: {data.get('evidence')}", data, date.fromisoformat(data["day"]))


def _row(row: AuditRow) -> Told:
    data, parts = row.data, row.name.split("/", 3)
    told = next(
        (str(data[name]) for name in ("text", "says", "receipt", "reason", "request", "note", "why") if data.get(name)), ""
    )
    text = f"{f'{parts[1]} {parts[3]}' if len(parts) == 4 else row.name or row.pass_} {row.what}"
    return _told("trail", f"{text}: {told}" if told else text, data, datetime.fromisoformat(row.at))


def _debit(mark: Mark) -> str:
    payment = mark.data.get("payment") or {}
    amount = payment.get("amount") or {}
    return f"payment {mark.key}{_amount(amount.get('minor', 0), amount.get('currency'), ' over')} is {mark.data.get('status')}"


def _amount(minor: Any, currency: Any, word: str = "") -> str:
    return f"{word} {Money(int(minor), str(currency))}" if minor is not None and currency else ""
