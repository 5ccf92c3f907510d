"""The desk where writes are received: what every written document has to pass before the books see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from mlc.sandbox.sap.books import Books
from mlc.sandbox.sap.errors import SapError, no_match, not_valid
from mlc.sandbox.sap.records import Account, Partner
from mlc.sandbox.sap.schema import Schema
from mlc.sandbox.sap.switches import SapSwitches

SERIES = range(1, 100)


@dataclass(slots=True)
class Desk:
    """The books with the schema and switches of one company."""

    books: Books
    schema: Schema
    switches: SapSwitches

    def customer(self, code: str | None, table: str, card_type: str = "cCustomer") -> Partner:
        """Return an active customer (or supplier); raises the refusal for any other."""
        if not code:
            raise SapError(-5002, f"Code undefined  [{table}.CardCode]")
        partner = self.books.partners.get(code)
        if partner is None:
            raise SapError(-8112, f"Business partner '{code}' does not exist  [{table}.CardCode]")
        if partner.card_type != card_type:
            wanted = "customer" if card_type == "cCustomer" else "vendor"
            raise SapError(-5002, f"Business partner is not a {wanted}  [{table}.CardCode]")
        if partner.fields.get("Frozen") == "tYES" or partner.fields.get("Valid") == "tNO":
            raise SapError(-1028, f"Customer is inactive  [{table}.CardCode]")
        return partner

    def account(self, code: str | None, tag: str) -> Account:
        """Return an account that takes postings; raises the refusal for a missing or locked one."""
        if not code:
            raise SapError(-5002, f"G/L account is missing  [{tag}]")
        account = self.books.accounts.get(code)
        if account is None:
            raise no_match()
        if account.active == "tNO" or account.frozen == "tYES":
            raise SapError(-5002, f"G/L account '{code}' is inactive or a title account  [{tag}]")
        return account

    def manual_account(self, code: str | None, tag: str) -> Account:
        """Return an account that takes manual postings."""
        account = self.account(code, tag)
        if "tYES" in (account.manual_lock, account.manual_block):
            raise SapError(-5002, f"G/L account '{code}' is locked for manual transactions  [{tag}]")
        if any(one.control_account == account.code for one in self.books.partners.values()):
            raise SapError(-5002, f"G/L account '{code}' is a control account  [{tag}]")
        return account

    def currency(self, code: str | None, partner: Partner, table: str) -> str:
        """Return the currency of a document; raises the refusal for one that the company or partner does not have."""
        own = partner.currency if partner.currency != "##" else self.books.local_currency
        code = code or own
        if code not in self.books.currencies:
            raise SapError(-5002, f"Currency '{code}' is not defined  [{table}.DocCur]")
        if partner.currency != "##" and code not in (partner.currency, self.books.local_currency):
            raise SapError(-10, f"Currency differs from the business partner's  [{table}.DocCur]")
        return code

    def rate(self, rate: Decimal | None, currency: str, day: date) -> Decimal:
        """Return the rate of a document: its own or that of the day, 1 for the local currency."""
        if currency == self.books.local_currency or not rate:
            return self.books.rate(currency, day)
        if rate < 0:
            raise not_valid("DocRate", rate)
        return rate

    def branch(self, number: int | None, table: str) -> int | None:
        """Return the branch of a document; raises the refusal where branches are on and it is missing or unknown."""
        if not self.switches.enable_branches:
            return None
        known = self.books.branches.get(number or 0)
        if known is None or known.fields.get("Disabled") == "tYES":
            raise SapError(-5002, f"Specify an active branch  [{table}.BPLId]")
        return number

    def day(self, day: date | None, tax_day: date | None = None) -> date:
        """Return the posting date; raises the refusal where its period is locked or a needed rate is missing."""
        day = day or self.books.today()
        self.books.gate(day)
        if tax_day is not None and tax_day.year not in self.books.years:
            raise SapError(-4013, "Date deviates from permissible range")
        system = self.switches.system_currency
        if system and system != self.books.local_currency:
            self.books.rate(system, day)
        return day

    def series(self, fields: Mapping[str, Any], table: str) -> None:
        """Refuse a document for which no numbering series is defined."""
        if not self.switches.numbering_series_defined:
            text = "10000521 - To generate this document, first define the numbering series in the Administration module"
            raise SapError(-10, f"{text}  [{table}.Series]")
        if fields.get("Series") is not None and fields["Series"] not in SERIES:
            raise SapError(-4002, "To generate this document, first define the numbering series in the Administration module")

    def codes(self, fields: Mapping[str, Any], stem: str = "CostingCode") -> None:
        """Refuse unknown profit centres and projects."""
        for dimension in range(1, 6):
            code = fields.get(stem + (str(dimension) if dimension > 1 else ""))
            if not code:
                continue
            centre = self.books.centres.get(code)
            if centre is None or centre.fields["InWhichDimension"] != dimension:
                raise no_match()
        if fields.get("ProjectCode") and fields["ProjectCode"] not in self.books.projects:
            raise no_match()

    def notify(self, set_name: str, body: Mapping[str, Any], cards: set[str]) -> None:
        """Let the customer's stored procedure refuse a write."""
        refusal = self.switches.notification(set_name, body) if self.switches.notification else None
        if refusal is None and cards & self.switches.notification_cards:
            refusal = (4711, "Business partner needs release by the sales office")
        if refusal is not None:
            raise SapError(*refusal)
