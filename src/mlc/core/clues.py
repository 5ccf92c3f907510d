"""What speaks for and against a match: the payment and its payer, the open balances, the verdict with its reasons."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mlc.core.debits import Collection, DebitPlan
from mlc.core.facts import Invoice
from mlc.core.money import Money, MoneyError, from_decimal

UNMATCHED = frozenset(
    {"no_customer", "no_open_invoice", "ambiguous", "suggestion", "conflict", "amount_mismatch", "currency_mismatch"}
)


@dataclass(frozen=True, slots=True)
class Claim:
    """A part of a payment on one invoice, in the invoice's currency."""

    doc_entry: int
    doc_num: int
    card_code: str
    amount: Money
    branch: int | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a payment pays. `rest` is what the claims leave; `rule` and `evidence` explain it, `rejected` what was not taken."""

    card_code: str
    claims: tuple[Claim, ...]
    rest: Money
    rule: str
    evidence: str
    rejected: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unclear:
    """Why a payment is matched to nothing by itself; `candidates` are invoice numbers, the likeliest first."""

    reason: str
    text: str
    candidates: tuple[str, ...] = ()
    rejected: tuple[str, ...] = ()
    closed: tuple[int, ...] = ()  # DocEntries that it names and that are closed


@dataclass(frozen=True, slots=True)
class Payer:
    """Whose payment it is, as far as it is known. `card_code` is a business partner that SAP has."""

    card_code: str = ""
    evidence: str = ""
    conflict: str = ""  # two sources that name two partners
    weak: bool = False  # known by an e-mail only


@dataclass(frozen=True, slots=True)
class Clue:
    """One payment with everything that may say what it pays."""

    payment: Collection
    payer: Payer
    plan: DebitPlan | None = None
    decision: tuple[int, ...] | None = None  # DocEntries a person named, in order
    rest_on_account: bool = False  # the person said so too
    recorded: tuple[tuple[int, int], ...] = ()  # (DocEntry, minor units) of an earlier collection of the same payment


@dataclass(frozen=True, slots=True)
class Habits:
    """How this company names invoices and customers at GoCardless."""

    company: str
    keys: tuple[str, ...]
    pattern: str


@dataclass(slots=True)
class Balances:
    """The open balances a run draws from: what one payment takes is not there for the next. Amounts in the document's currency."""

    invoices: Mapping[int, Invoice]
    iso: Callable[[str], str | None]  # SAP's own currency code ("" = local) -> ISO
    local: Callable[[str], bool]
    taken: dict[int, int] = field(default_factory=dict)
    closed_by: Mapping[int, str] = field(default_factory=dict)  # DocEntry -> the document that closed it, in words
    _by_card: dict[str, list[Invoice]] = field(default_factory=dict, init=False)
    _by_number: dict[int, list[Invoice]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Sort the invoices by customer and by number once: a batch asks for them a thousand times."""
        for one in sorted(self.invoices.values(), key=lambda invoice: invoice.doc_entry):
            self._by_card.setdefault(one.card_code, []).append(one)
            self._by_number.setdefault(one.doc_num, []).append(one)

    def numbered(self, number: int) -> list[Invoice]:
        """Return the invoices of a document number, cancelled ones left out, by DocEntry."""
        return [one for one in self._by_number.get(number, []) if not one.cancelled]

    def every_of(self, card: str) -> list[Invoice]:
        """Return all invoices of a customer that were read, by DocEntry."""
        return list(self._by_card.get(card, []))

    def open(self, invoice: Invoice) -> Money:
        """Return what is still open; raises MoneyError where SAP's figure is no whole minor unit or of no known currency."""
        currency = self.iso(invoice.currency)
        if currency is None:
            raise MoneyError(f"invoice {invoice.doc_num} is in {invoice.currency!r}, which is no known currency")
        if invoice.cancelled:
            return Money(0, currency)
        figure = invoice.balance if self.local(invoice.currency) else invoice.total_fc - invoice.paid_fc
        return Money(from_decimal(figure, currency).minor - self.taken.get(invoice.doc_entry, 0), currency)

    def take(self, doc_entry: int, minor: int) -> None:
        """Note that something is used up."""
        self.taken[doc_entry] = self.taken.get(doc_entry, 0) + minor

    def of(self, card: str, currency: str) -> list[tuple[Invoice, Money]]:
        """Return the open invoices of a customer in a currency, by due date."""
        found = [(one, left) for one, left in self._open(self._by_card.get(card, [])) if left.currency == currency]
        return sorted(found, key=lambda pair: (pair[0].due_date, pair[0].doc_entry))

    def _open(self, invoices: Iterable[Invoice]) -> Iterable[tuple[Invoice, Money]]:
        for one in invoices:
            try:
                left = self.open(one)
            except MoneyError:
                continue
            if left.minor > 0:
                yield one, left

    def equal(self, amount: Money) -> list[Invoice]:
        """Return the open invoices of anybody with exactly this balance."""
        return sorted(
            (one for one, left in self._open(self.invoices.values()) if left == amount), key=lambda one: one.doc_entry
        )


def payer_of(
    sources: Sequence[tuple[str, str]], partners: Mapping[str, object], *, linked: str = "", by_email: str = "", email: str = ""
) -> Payer:
    """Say whose payment it is: `sources` are (where, CardCode) of explicit metadata, customer before mandate; then link, then e-mail."""
    named = [(where, card.strip()) for where, card in sources if card.strip()]
    cards = {card for _, card in named}
    if len(cards) > 1:
        return Payer(conflict=" but ".join(f"{where} names {card}" for where, card in named))
    if named:
        where, card = named[0]
        if card not in partners and linked not in partners:
            return Payer(evidence=f"{where} names {card}, which SAP does not have")
        if card in partners:
            return Payer(card, f"{where}: {card}")
    if linked and linked in partners:
        return Payer(linked, f"linked to {linked}")
    if by_email and by_email in partners:
        return Payer(by_email, f"e-mail {email}, which exactly one partner and one customer have", weak=True)
    return Payer()
