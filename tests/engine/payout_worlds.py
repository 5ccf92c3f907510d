"""A company that collects by direct debit and its whole story in four acts; what its books say, strictly and in sums."""

from __future__ import annotations

import gc
import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from worlds import assert_nothing_open, in_a_copy

from direct_debit import DebitCompany
from harness import TODAY

CONFIG = 'on_unmatched: park\nbank_account: {EUR: "1210", GBP: "1200"}\ndimensions: {1: invoice}'
SUMS = ("entries", "accounts", "owed", "held")
KINDS = ("part", "payout", "tax", "refund")
Act = tuple[Callable[[], None], Callable[[], object]]


class PayoutStory:
    """A company of five customers: paid, parked, in euros; charged back, refunded, matched, bounced; the bounce booked; paid again."""

    def __init__(self, folder: Path, **more: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.company = company = DebitCompany(folder, CONFIG, **more)
        company.books.set_rate("EUR", Decimal("0.85"))
        for centre in ("NORTH", "SOUTH"):
            company.books.add_centre(centre, centre)
        for number in range(1, 6):
            company.debtor(f"C{number}", "sepa_core" if number == 5 else "bacs")
        self.numbers: dict[str, int] = {}
        self.entries: dict[str, int] = {}
        self.back = self.refunded = self.again = self.parked = self.payout = self.euros = ""
        self.acts: tuple[Act, ...] = (
            (self._paid, company.reconcile), (self._goes_back, company.reconcile),
            (lambda: None, self._book_bounce), (self._comes_again, company.reconcile),
        )  # fmt: skip

    def _owe(self, name: str, card: str, gross: str, **more: Any) -> int:
        self.entries[name], self.numbers[name] = self.company.owe(card, gross, **more)
        return self.numbers[name]

    def _paid(self) -> None:
        """Let four customers pay and one send money that names nothing; one invoice stands on two cost centres."""
        company, rows = self.company, [(text, Decimal(1), Decimal(net), Decimal(0)) for text, net in (("A", 200), ("B", 100))]
        centres = [{"CostingCode": "NORTH"}, {"CostingCode": "SOUTH"}]
        self.entries["split"] = company.books.add_invoice("C1", rows, doc_date=TODAY, due_date=TODAY, line_fields=centres)
        self.numbers["split"] = int(company.books.invoice(self.entries["split"]).doc_num)
        self.back = company.collect("C1", 300, self.numbers["split"])
        self.refunded = company.collect("C2", 80, self._owe("refunded", "C2", "80"))
        self.again = company.collect("C3", "45.50", self._owe("again", "C3", "45.50"))
        self.parked = company.collect("C4", 37, metadata={})
        self.payout = company.arrive(self.back, self.refunded, self.again, self.parked, days=0)
        self.euros = company.arrive(company.collect("C5", 200, self._owe("euros", "C5", "200", currency="EUR")))

    def _goes_back(self) -> None:
        """Let money go back in every way there is; a person names the invoice of what was parked, the rate of the VAT is known."""
        company, organisation = self.company, self.company.organisation
        organisation.charge_back(self.back)
        organisation.late_failure(self.again)
        company.books.credit_memo(self.entries["refunded"], Decimal(20))
        organisation.refund_paid(organisation.add_refund(self.refunded, 2000))
        self._owe("matched", "C4", "37")
        self.say()
        organisation.bounce(self.payout)
        organisation.confirm_tax_rates(self.euros, "0.8000000000")
        company.arrive(company.collect("C2", 500, self._owe("later", "C2", "500")))

    def say(self) -> None:
        """Let the person say, or say again, which invoice the parked money pays."""
        if "matched" in self.entries:
            self.company.decide(self.parked, self.entries["matched"])

    def _book_bounce(self) -> object:
        return self.company.reconcile(self.payout, insist=True)

    def _comes_again(self) -> None:
        """Let the bank take the bounced payout after all, and the payment that failed late be collected once more."""
        company, organisation = self.company, self.company.organisation
        organisation.pay_payout(organisation.retry(self.payout))
        company.arrive(organisation.retry_payment(self.again))

    def play(self, acts: Sequence[int]) -> None:
        """Play some of the acts, undisturbed."""
        for number in acts:
            world, command = self.acts[number]
            world()
            command()


def calm(folder: Path) -> list[dict[str, Any]]:
    """Play the whole story undisturbed; return what is true after each act."""
    story, found = PayoutStory(folder), []
    for number in range(len(story.acts)):
        story.play([number])
        found.append(truth(story.company) | {"remembered": remembered(story.company)})
    return found


def truth(company: DebitCompany) -> dict[str, Any]:
    """Return what the books hold row by row, by names that do not depend on the order in which it was written."""
    company.check()
    return {**money(company), "open rows": _open_rows(company), "settled": _settled(company), "invoices": _invoices(company)}


def money(company: DebitCompany) -> dict[str, Any]:
    """Return the sums alone: entries, balances, and what each customer owes on each invoice, whichever row it stands in."""
    owed: Counter[str] = Counter()
    for name, card, open_, _, number in _rows(company):
        owed[f"{card} {number or name}"] += open_
    return {
        "entries": {ref: [_lines(company, entry) for entry in found] for ref, found in sorted(company.entries().items())},
        "accounts": {code: str(one.balance) for code, one in company.books.accounts.items()},
        "owed": {key: str(value) for key, value in sorted(owed.items()) if value},
        "held": company.held(),
    }


def remembered(company: DebitCompany) -> dict[str, str]:
    """Return what mlc itself believes of payouts and their parts, read past it."""
    with closing(sqlite3.connect(company.folder / "mlc.db")) as connection:
        rows = connection.execute("SELECT kind, key, state, data FROM links").fetchall()
    return {
        f"{kind} {key}": f"{state} {json.loads(data).get('undone') or ''}".strip()
        for kind, key, state, data in sorted(rows)
        if kind in KINDS
    }


def in_a_fork(company: DebitCompany, folder: Path, work: Callable[[], None]) -> str:
    """Go on in a forked process as `in_a_copy` does, under the configuration of this company."""
    gc.freeze()  # what is there already is not looked through in every fork

    def copied(into: Path) -> Any:
        return SimpleNamespace(settings=company.settings.model_copy(update={"state": into / "mlc.db"}))

    with mock.patch("worlds.Company", copied):
        return in_a_copy(company, folder, work)


def doubled(company: DebitCompany) -> list[str]:
    """Return the references that stand more than once."""
    return [f"{len(found)} x {ref}" for ref, found in company.entries().items() if len(found) > 1]


def differing(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    """Say where two truths differ."""
    said = []
    for key, value in wanted.items():
        one, other = found[key], value
        if one != other:
            if isinstance(one, dict):
                names = sorted({name for name in (*one, *other) if one.get(name) != other.get(name)})
                one, other = ({name: each.get(name) for name in names} for each in (one, other))
            said.append(f"{key}:\n  is     {one}\n  wanted {other}")
    return "\n".join(said)


def assert_same(company: DebitCompany, wanted: dict[str, Any], *, rows: bool = True) -> None:
    """Assert that the books say the same as undisturbed ones, row by row or in sums, and that no promise is open."""
    assert doubled(company) == []
    found, names = truth(company) | {"remembered": remembered(company)}, [name for name in wanted if rows or name in SUMS]
    said = differing(found, {name: wanted[name] for name in names})
    assert not said, said
    assert_nothing_open(company)


def _lines(company: DebitCompany, entry: Any) -> list[str]:
    """Return an entry's lines, under a word where its day is not the one on which the money arrived."""
    payout, _, later = entry.reference2.partition("/")
    arrived = company.organisation.read(payout)["arrival_date"]
    day = [] if later or str(entry.date) == arrived else ["too late" if str(entry.date) > arrived else "arrived again"]
    fields = ("Reference1", "Reference2", "CostingCode")
    return day + [
        " ".join(
            str(part)
            for part in (line.short_name, f"{line.net:.2f}", line.currency, *(line.fields.get(name) for name in fields))
            if part
        )
        for line in entry.lines
    ]


def _name(company: DebitCompany, entry: Any) -> str:
    if entry.origin == "ttARInvoice":
        return str(company.books.invoice(entry.original).doc_num)
    return str(entry.reference2 or f"{entry.origin} {entry.original}")


def _rows(company: DebitCompany) -> list[tuple[str, str, Decimal, str, str]]:
    """Return (where it stands, customer, open amount with its sign, payment, invoice number) of every open row."""
    return [
        (_name(company, entry), card, line.open if line.is_debit else -line.open,
         str(line.fields.get("Reference1") or ""), str(line.fields.get("Reference2") or ""))
        for card in sorted(company.books.partners) for entry, line in company.books.open_items(card)
    ]  # fmt: skip


def _open_rows(company: DebitCompany) -> list[str]:
    return sorted(f"{card}: {name} {open_:.2f} {payment} {number}" for name, card, open_, payment, number in _rows(company))


def _settled(company: DebitCompany) -> list[str]:
    """Return every reconciliation in force: which rows it holds, and how much of each."""
    live = (one for one in company.books.reconciliations.values() if not one.cancelled_by and not one.mirror_of)
    return sorted(
        ", ".join(
            sorted(f"{_name(company, company.books.entry(row.trans_id))}#{row.row_id} {row.amount:.2f}" for row in one.rows)
        )
        for one in live
    )


def _invoices(company: DebitCompany) -> dict[int, str]:
    return {one.doc_num: f"{one.status} {one.paid:.2f} of {one.total:.2f}" for one in company.books.invoices()}
