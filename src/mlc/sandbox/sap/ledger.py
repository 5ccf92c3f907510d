"""The general ledger: chart of accounts, partners, currencies, periods, and journal entries that balance."""

from __future__ import annotations

import calendar
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

from mlc.sandbox.kit import Clock
from mlc.sandbox.sap.errors import SapError
from mlc.sandbox.sap.records import ZERO, Account, Currency, Entry, EntryLine, Partner, Period, Simple
from mlc.sandbox.sap.switches import SapSwitches
from mlc.sandbox.sap.undo import Undo

CHART = (
    ("1000", "Cash", "at_Other", "tYES"),
    ("1200", "Bank", "at_Other", "tYES"),
    ("1210", "Bank EUR", "at_Other", "tYES"),
    ("1361", "Stripe clearing", "at_Other", "tNO"),
    ("1362", "GoCardless clearing", "at_Other", "tNO"),
    ("1400", "Trade receivables", "at_Other", "tNO"),
    ("1576", "Input VAT", "at_Other", "tNO"),
    ("1590", "Suspense", "at_Other", "tNO"),
    ("2660", "Rounding differences", "at_Expenses", "tNO"),
    ("3806", "Output VAT", "at_Other", "tNO"),
    ("4400", "Revenue", "at_Revenues", "tNO"),
    ("6855", "Payment fees", "at_Expenses", "tNO"),
    ("6880", "Exchange differences", "at_Expenses", "tNO"),
    ("6930", "Losses on receivables", "at_Expenses", "tNO"),
)
CURRENCIES = (("EUR", "Euro"), ("GBP", "British Pound"), ("USD", "US Dollar"), ("CHF", "Swiss Franc"))
DIGITS = {"cdWithoutDecimals": 0, "cd1Digit": 1, "cd2Digits": 2, "cd3Digits": 3, "cd4Digits": 4, "cd5Digits": 5, "cd6Digits": 6}
RECEIVABLES, REVENUE, OUTPUT_VAT, FEES, EXCHANGE, ROUNDING, BANK, CASH, CLEARING, LOSSES = (
    "1400", "4400", "3806", "6855", "6880", "2660", "1200", "1000", "1361", "6930",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Change:
    """Something that happened to a document or partner: the name of its entity set, its key, and Created, Updated ..."""

    kind: str
    key: int | str
    what: str


class Ledger:
    """Accounts, partners and entries; amounts are exact and every entry balances when it is posted."""

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        local_currency: str = "EUR",
        decimals: int = 2,
        timezone: str = "Europe/Berlin",
        switches: SapSwitches | None = None,
    ) -> None:
        self.clock = clock or Clock()
        self.local_currency = local_currency
        self.decimals = decimals
        self.switches = switches or SapSwitches()
        self.zone = ZoneInfo(self.switches.server_timezone or timezone)
        self.accounts: dict[str, Account] = {}
        self.partners: dict[str, Partner] = {}
        self.currencies: dict[str, Currency] = {}
        self.rates: dict[tuple[str, date | None], Decimal] = {}
        self.journal: dict[int, Entry] = {}
        self.changes: dict[int, Change] = {}
        self.on_change: Callable[[], None] | None = None
        self.webhooks_enabled = self.switches.webhooks == "on"
        self._noticed = 0
        self.years: dict[int, dict[int, Period]] = {}
        self.branches: dict[int, Simple] = {}
        self.centres: dict[str, Simple] = {}
        self.dimensions: dict[int, Simple] = {}
        self.projects: dict[str, Simple] = {}
        self.undo = Undo()
        self._visible: dict[str, str] = {}
        self._seed(timezone)

    def _seed(self, timezone: str) -> None:
        for code, name, kind, cash in CHART:
            self.add_account(code, name, kind=kind, cash=cash)
        for code, name in CURRENCIES:
            self.add_currency(code, name)
        if self.local_currency not in self.currencies:
            self.add_currency(self.local_currency, self.local_currency)
        for number in range(1, 6):
            active = "tYES" if number == 1 else "tNO"
            fields = {"DimensionName": f"Dimension {number}", "DimensionDescription": f"Dimension {number}", "IsActive": active}
            self.dimensions[number] = Simple(number, fields)
        self.add_centre("HQ", "Headquarters")
        self.add_branch(1, "Main", main=True)
        this_year = datetime.fromtimestamp(self.clock.now(), ZoneInfo(timezone)).year
        for year in range(this_year - 3, this_year + 2):
            self.add_year(year)

    def notice(self, kind: str, key: int | str, what: str) -> None:
        """Write a change down for those who want to be told, if anybody does."""
        if self.on_change is not None:
            self._noticed += 1
            self.changes[self._noticed] = Change(kind, key, what)
            self.on_change()

    # --- masters --------------------------------------------------------------------------------------------------
    def add_account(self, code: str, name: str, *, kind: str = "at_Other", cash: str = "tNO", currency: str = "##") -> str:
        """Open a G/L account; returns the code that postings name (internal where accounts are segmented)."""
        inner = f"_SYS{len(self.accounts) + 1:011d}" if self.switches.segmented_accounts else code
        self.accounts[inner] = Account(inner, name, kind, currency, format_code=code, cash=cash)
        self._visible[code] = inner
        return inner

    def account(self, code: str) -> Account:
        """Return an account by its posting code or its visible code; raises KeyError."""
        return self.accounts[self._visible.get(code, code)]

    def lock_account(self, code: str, how: str = "frozen") -> None:
        """Lock an account: `frozen`, `inactive` (a title), `manual` (LockManualTransaction) or `block` (BlockManualPosting)."""
        self._set_lock(code, how, locked=True)

    def unlock_account(self, code: str, how: str = "frozen") -> None:
        """Take a lock off an account."""
        self._set_lock(code, how, locked=False)

    def _set_lock(self, code: str, how: str, *, locked: bool) -> None:
        account, value = self.account(code), "tYES" if locked else "tNO"
        if how == "inactive":
            account.active = "tNO" if locked else "tYES"
        elif how == "manual":
            account.manual_lock = value
        elif how == "block":
            account.manual_block = value
        else:
            account.frozen = value

    def add_currency(self, code: str, name: str, decimals: str = "cdDefault") -> None:
        """Add a currency under the company's own code."""
        self.currencies[code] = Currency(code, name, decimals)

    def set_rate(self, currency: str, rate: Decimal, day: date | None = None) -> None:
        """Set how much local currency one unit costs, on a day or (None) on every day without its own rate."""
        self.rates[currency, day] = rate

    def rate(self, currency: str, day: date) -> Decimal:
        """Return the rate of a day; raises SapError where none is kept."""
        if currency == self.local_currency:
            return Decimal(1)
        rate = self.rates.get((currency, day)) or self.rates.get((currency, None))
        if rate is None:
            raise SapError(-10, f"Update the exchange rate , '{currency}'")
        return rate

    def places(self, currency: str) -> int:
        """Return how many decimals a currency has."""
        known = self.currencies.get(currency)
        return DIGITS.get(known.decimals, self.decimals) if known else self.decimals

    def rounded(self, amount: Decimal, currency: str | None = None) -> Decimal:
        """Round to the decimals of a currency, the local one by default."""
        places = self.places(currency) if currency else self.decimals
        return amount.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)

    def add_partner(
        self, card_code: str, name: str, *, email: str = "", phone: str = "", currency: str = "##", **fields: Any
    ) -> str:
        """Add a business partner; `fields` are further SAP properties; returns the card code."""
        if card_code in self.partners:
            raise SapError(-10, f"1320000140 - Business partner code '{card_code}' already assigned to a business partner")
        control = fields.pop("DebitorAccount", None)
        now = self.local_now()
        partner = Partner(now, now, 1, card_code, name, fields.pop("CardType", "cCustomer"), currency)
        partner.control_account = self.account(control or RECEIVABLES).code
        partner.fields = {"EmailAddress": email or None, "Phone1": phone or None, "Valid": "tYES", **fields}
        self.partners[card_code] = partner
        self.notice("BusinessPartners", card_code, "Created")
        return card_code

    def add_centre(self, code: str, name: str, dimension: int = 1) -> None:
        """Add a profit centre and with it the distribution rule of the same code."""
        fields = {"CenterName": name, "InWhichDimension": dimension, "Active": "tYES", "EffectiveFrom": date(2000, 1, 1)}
        self.centres[code] = Simple(code, fields)
        self.dimensions[dimension].fields["IsActive"] = "tYES"

    def add_branch(self, number: int, name: str, *, main: bool = False, disabled: bool = False) -> None:
        """Add a branch (BusinessPlace)."""
        flags = {"MainBPL": "tYES" if main else "tNO", "Disabled": "tYES" if disabled else "tNO"}
        self.branches[number] = Simple(number, {"BPLName": name, **flags})

    def add_project(self, code: str, name: str) -> None:
        """Add a project."""
        self.projects[code] = Simple(code, {"Name": name, "Active": "tYES"})

    # --- time -----------------------------------------------------------------------------------------------------
    def local_now(self) -> datetime:
        """Return the server's local time without a zone, as SAP stores it."""
        return datetime.fromtimestamp(self.clock.now(), self.zone).replace(tzinfo=None, microsecond=0)

    def today(self) -> date:
        """Return the server's local day."""
        return self.local_now().date()

    def add_year(self, year: int) -> None:
        """Open the twelve posting periods of a year."""
        category = len(self.years) + 1
        self.years[year] = {
            month: Period(
                (category - 1) * 12 + month,
                category,
                year,
                month,
                date(year, month, 1),
                date(year, month, calendar.monthrange(year, month)[1]),
            )
            for month in range(1, 13)
        }

    def close_period(self, year: int, month: int) -> None:
        """Lock a posting period."""
        self.years[year][month].status = "ltLocked"

    def open_period(self, year: int, month: int) -> None:
        """Unlock a posting period."""
        self.years[year][month].status = "ltUnlocked"

    def periods(self) -> Iterator[Period]:
        """Walk through all posting periods."""
        for months in self.years.values():
            yield from months.values()

    def gate(self, *days: date | None) -> None:
        """Refuse days outside the known periods or in locked ones."""
        for day in days:
            if day is None:
                continue
            months = self.years.get(day.year)
            if months is None:
                raise SapError(-4013, "Date deviates from permissible range")
            if months[day.month].status in ("ltLocked", "ltPeriodClosing"):
                raise SapError(-4013, "Posting period locked; specify an alternative date")

    # --- postings -------------------------------------------------------------------------------------------------
    def line(self, account: str, amount: Decimal, amount_fc: Decimal = ZERO, **more: Any) -> EntryLine:
        """Build a line on an account or, with `partner=`, on a partner; positive is debit, negative is credit."""
        partner = more.pop("partner", None)
        code = self.account(account).code if account else self.partners[partner].control_account
        line = EntryLine(0, code, partner or code, **more)
        line.debit, line.credit = max(amount, ZERO), max(-amount, ZERO)
        line.fc_debit, line.fc_credit = max(amount_fc, ZERO), max(-amount_fc, ZERO)
        return line

    def post(self, lines: Sequence[EntryLine], day: date, origin: str, original: int, **more: Any) -> Entry:
        """Post a balanced entry and move the balances."""
        if sum((line.net for line in lines), ZERO) != 0:
            raise SapError(-5012, "Unbalanced Transaction")
        number = len(self.journal) + 1
        due, tax, memo = more.get("due_date") or day, more.get("tax_date") or day, more.get("memo") or ""
        entry = Entry(number, 900000 + number, day, due, tax, memo, origin, original or number, list(lines))
        entry.fields = more.get("fields") or {}
        entry.reverses = more.get("reverses", 0)
        for position, line in enumerate(entry.lines):
            line.line_id, line.open, line.open_fc = position, line.amount, line.amount_fc
            line.due_date = line.due_date or due
            self.undo.keep(self.accounts[line.account])
            self.accounts[line.account].balance += line.net
            if line.is_partner:
                self.undo.keep(self.partners[line.short_name])
                self.partners[line.short_name].balance += line.net
        self.journal[number] = entry
        return entry

    def reversal_lines(self, entry: Entry) -> list[EntryLine]:
        """Build the lines that undo an entry."""
        return [
            EntryLine(
                0, one.account, one.short_name, one.credit, one.debit, one.fc_credit, one.fc_debit, one.currency,
                one.due_date, one.branch, fields=dict(one.fields),
            )
            for one in entry.lines
        ]  # fmt: skip

    # --- questions ------------------------------------------------------------------------------------------------
    def entries(self) -> Iterator[Entry]:
        """Walk through all journal entries in the order of posting."""
        return iter(list(self.journal.values()))

    def balance(self, account_code: str) -> Decimal:
        """Return debit minus credit of an account."""
        return self.account(account_code).balance

    def partner_balance(self, card_code: str) -> Decimal:
        """Return debit minus credit of a partner."""
        return self.partners[card_code].balance

    def lines_of(self, short_name: str) -> Iterable[tuple[Entry, EntryLine]]:
        """Walk through the lines of a partner or account."""
        for entry in self.journal.values():
            for line in entry.lines:
                if line.short_name == short_name:
                    yield entry, line
