"""What a company of SAP is: its ledger, accounts, periods, series, dimensions and rates; and how many keys are read at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from mlc.core.facts import Account, Centre, Ledger, Period
from mlc.systems.sap import odata, wire
from mlc.systems.sap.client import SapRefusedError, SapSystem

SMALL_ROWS = 500  # a page of rows with a handful of fields (facts: 100-500)
BULK = 40  # keys per `or` filter: 20-50 (HOUSE, "Read first")


class CompanyReads:
    """The reads of one company that are about no partner and no document; what does not change in a run is read once."""

    def __init__(self, system: SapSystem) -> None:
        self.system = system
        self._ledger: Ledger | None = None
        self._accounts: dict[str, Account | None] = {}
        self._periods: list[Period] | None = None

    def ledger(self) -> Ledger:
        """Return what holds for the whole company; read once a run."""
        if self._ledger is None:
            self._ledger = wire.ledger(self.system.get("CompanyService_GetAdminInfo", method="POST"))
        return self._ledger

    def company(self) -> dict[str, Any]:
        """Return what SAP says of the company: its name and version."""
        answer = self.system.get("CompanyService_GetCompanyInfo", method="POST")
        return answer if isinstance(answer, dict) else {}

    def accounts(self, codes: Iterable[str]) -> dict[str, Account | None]:
        """Return configured code -> account, by Code or (segmented accounts) FormatCode; None where there is none."""
        missing = [code for code in dict.fromkeys(codes) if code not in self._accounts]
        if missing:
            where = f"{odata.any_of('Code', missing)} or {odata.any_of('FormatCode', missing)}"
            pages = self.system.pages("ChartOfAccounts", wire.ACCOUNT, where, key="Code")
            found = [wire.account(row) for page in pages for row in page]
            for code in missing:
                by_code = [one for one in found if one.code == code]
                by_format = [one for one in found if one.shown == code]
                self._accounts[code] = next(iter(by_code or by_format), None)
        return {code: self._accounts[code] for code in codes}

    def chart(self) -> Iterator[list[Account]]:
        """Yield pages of the accounts that may be posted to, in the order of their codes."""
        for page in self.system.pages("ChartOfAccounts", wire.ACCOUNT, "ActiveAccount eq 'tYES'", key="Code", page=SMALL_ROWS):
            yield [one for one in map(wire.account, page) if one.active and one.postable]

    def periods(self) -> list[Period]:
        """Return the posting periods; empty where this Service Layer does not tell them (SAP then refuses by itself)."""
        if self._periods is None:
            self._periods = []
            try:
                categories = self._service("CompanyService_GetPeriods", {})
                for category in categories:
                    entry = {"PeriodCategoryParams": {"AbsoluteEntry": category["AbsoluteEntry"]}}
                    self._periods += [wire.period(row) for row in self._service("CompanyService_GetFinancePeriods", entry)]
            except SapRefusedError:
                self._periods = []
        return self._periods

    def has_series(self, document: str) -> bool | None:
        """Tell whether a numbering series takes new documents of a type (24 incoming payments, 30 journal entries).

        None where this Service Layer does not say (SAP then refuses by itself).
        """
        try:
            rows = self._service("SeriesService_GetDocumentSeries", {"DocumentTypeParams": {"Document": document}})
        except SapRefusedError:
            return None
        return any(row.get("Locked") != "tYES" and row.get("IsManual") != "tYES" for row in rows)

    def centres(self, codes: Iterable[str]) -> list[Centre]:
        """Return the distribution rules and profit centres of these codes, whatever their dimension."""
        wanted = list(dict.fromkeys(codes))
        rows = self.bulk(
            "ProfitCenters",
            "CenterCode,InWhichDimension,Active,EffectiveFrom,EffectiveTo",
            "CenterCode",
            wanted,
            key="CenterCode",
        )
        found = [wire.centre(row, "CenterCode") for row in rows]
        missing = [code for code in wanted if all(one.code != code for one in found)]
        try:
            rules = list(
                self.bulk("DistributionRules", "FactorCode,InWhichDimension,Active", "FactorCode", missing, key="FactorCode")
            )
        except SapRefusedError:  # not every Service Layer shows them: what is no profit centre then does not exist
            rules = []
        return [*found, *(wire.centre(row, "FactorCode") for row in rules)]

    def projects(self, codes: Iterable[str]) -> set[str]:
        """Return those of the project codes that exist and are active."""
        rows = self.bulk("Projects", "Code,Active", "Code", list(dict.fromkeys(codes)), key="Code")
        return {str(row["Code"]) for row in rows if row.get("Active") != "tNO"}

    def rate(self, currency: str, day: date) -> Decimal | None:
        """Return SAP's own rate of a currency on a day, None where it has none."""
        try:
            answer = self.system.get(
                "SBOBobService_GetCurrencyRate", method="POST", body={"Currency": currency, "Date": day.strftime("%Y%m%d")}
            )
        except SapRefusedError:
            return None
        value = answer.get("value") if isinstance(answer, dict) else answer
        try:
            found = Decimal(str(value))
        except InvalidOperation:
            return None
        return found if found > 0 else None

    def bulk(
        self,
        entity: str,
        select: str,
        field: str,
        values: Sequence[str] | Sequence[int],
        *,
        key: str = "DocEntry",
        extra: str = "",
    ) -> Iterator[dict[str, Any]]:
        """Yield the rows whose field is one of many values, forty to a filter."""
        for start in range(0, len(values), BULK):
            where = odata.any_of(field, values[start : start + BULK])
            where = f"{where} and {extra}" if extra else where
            for page in self.system.pages(entity, select, where, key=key):
                yield from page

    def _service(self, name: str, body: dict[str, Any]) -> list[dict[str, Any]]:
        answer = self.system.get(name, method="POST", body=body)
        rows = answer.get("value", []) if isinstance(answer, dict) else answer
        return [row for row in rows or [] if isinstance(row, dict)]
