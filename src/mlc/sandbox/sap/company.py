"""The company's own answers: administration, posting periods, currencies and rates."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

from mlc.sandbox.kit import Response
from mlc.sandbox.sap.desk import Desk
from mlc.sandbox.sap.errors import SapError, invalid_property, no_match, not_valid
from mlc.sandbox.sap.schema import Row, parse_date
from mlc.sandbox.sap.subscriptions import catalog

NUMBERED = frozenset({"13", "14", "24", "30", "46"})  # invoices, credit memos, payments in, journal entries, payments out
Answer = Callable[[str, Any], Response]
# Functions without parameters, which GET may call as well.
READ_ONLY = frozenset({
    "CompanyService_GetAdminInfo", "CompanyService_GetCompanyInfo", "CompanyService_GetPeriods",
    "SBOBobService_GetLocalCurrency", "SBOBobService_GetSystemCurrency", "EventSubscriptionsService_GetEventCatalog",
})  # fmt: skip


class Company:
    """Answers the functions and actions that belong to no entity set."""

    def __init__(self, desk: Desk, name: str) -> None:
        self.desk = desk
        self.name = name
        self.calls: dict[str, Callable[[Any, str], Any]] = {
            "CompanyService_GetAdminInfo": self._admin_info,
            "CompanyService_GetCompanyInfo": self._company_info,
            "CompanyService_GetPeriods": self._periods,
            "CompanyService_GetPeriod": self._period,
            "CompanyService_GetFinancePeriods": self._finance_periods,
            "CompanyService_GetFinancePeriod": self._finance_period,
            "SBOBobService_GetLocalCurrency": self._local_currency,
            "SBOBobService_GetSystemCurrency": self._system_currency,
            "SBOBobService_GetCurrencyRate": self._rate,
            "SBOBobService_SetCurrencyRate": self._set_rate,
            "SeriesService_GetDocumentSeries": self._series,
        }

        if desk.switches.webhooks != "absent":
            self.calls["CompanyService_UpdateAdminInfo"] = self._update_admin_info
            self.calls["EventSubscriptionsService_GetEventCatalog"] = lambda _, __: catalog()

    def call(self, name: str, body: Any, version: str) -> Any:
        """Answer one call: an object, a list for a collection, a Decimal or text for a single value, None for nothing."""
        if body is not None and not isinstance(body, dict):
            raise SapError(-1004, f"The request body of '{name}' is not valid")
        return self.calls[name](body or {}, version)

    def _show(self, type_name: str, fields: dict[str, Any], version: str) -> Any:
        return self.desk.schema.render(type_name, Row(fields), version)

    def _admin_info(self, _: Any, version: str) -> Any:
        books, switches = self.desk.books, self.desk.switches
        approval = switches.approval or bool(switches.approval_cards)
        fields = {
            "CompanyName": self.name, "LocalCurrency": books.local_currency, "Country": "DE",
            "SystemCurrency": switches.system_currency or books.local_currency, "TotalsAccuracy": books.decimals,
            "AccuracyofQuantities": 2, "PriceAccuracy": 2, "RateAccuracy": 4, "PercentageAccuracy": 2,
            "DirectIndirectRate": "tYES", "EnableBranches": _yes(on=switches.enable_branches),
            "EnableApprovalProcedureInDI": _yes(on=approval), "DecimalSeparator": ".", "ThousandsSeparator": ",",
            "AllowFuturePostingDate": "tYES", "AccountSegmentsSeparator": "-", "EnableWebhook": _yes(on=books.webhooks_enabled),
        }  # fmt: skip
        return self._show("AdminInfo", fields, version)

    def _update_admin_info(self, body: Any, _: str) -> Any:
        given = self._params(body, "AdminInfo")
        if set(given) - {"EnableWebhook"}:
            raise SapError(-5006, "The simulator changes EnableWebhook only")
        self.desk.books.webhooks_enabled = given.get("EnableWebhook") == "tYES"

    def _company_info(self, _: Any, version: str) -> Any:
        switches = self.desk.switches
        notified = switches.notification is not None or bool(switches.notification_cards)
        fields = {
            "Version": int(switches.version), "CompanyName": self.name, "Localization": "DE",
            "EnableAccountSegmentation": _yes(on=switches.segmented_accounts),
            "EnableTransactionNotification": _yes(on=notified),
            "MaxNumberOfDocumentsInPmt": switches.max_documents_in_payment,
        }  # fmt: skip
        return self._show("CompanyInfo", fields, version)

    # --- periods --------------------------------------------------------------------------------------------------
    def _periods(self, _: Any, version: str) -> Any:
        count = len(self.desk.books.years)
        return [self._show("PeriodCategoryParams", {"AbsoluteEntry": number}, version) for number in range(1, count + 1)]

    def _category(self, body: Any) -> int:
        params = self._params(body, "PeriodCategoryParams")
        number = params.get("AbsoluteEntry")
        if not isinstance(number, int) or not 0 < number <= len(self.desk.books.years):
            raise no_match()
        return number

    def _params(self, body: Any, name: str) -> dict[str, Any]:
        for key in body:
            if key != name:
                raise invalid_property(key, name)
        if name not in body:
            raise SapError(-1004, f"Parameter '{name}' is missing")
        return self.desk.schema.read_body(name, body[name])

    def _period(self, body: Any, version: str) -> Any:
        number = self._category(body)
        year = list(self.desk.books.years)[number - 1]
        first, last = date(year, 1, 1), date(year, 12, 31)
        fields = {
            "AbsoluteEntry": number, "BeginningofFinancialYear": first, "PeriodCategoryProperty": str(year),
            "SubPeriodType": "spt_Months", "NumberOfPeriods": 12, "PeriodName": str(year), "FromPostingDate": first,
            "ToPostingDate": last, "FinancialYear": year,
        }  # fmt: skip
        return self._show("PeriodCategory", fields, version)

    def _finance_periods(self, body: Any, version: str) -> Any:
        books, render = self.desk.books, self.desk.schema.render
        if not body and not self.desk.switches.finance_periods_need_category:
            return [render("FinancePeriod", one, version) for one in books.periods()]
        number = self._category(body)
        return [render("FinancePeriod", one, version) for one in books.periods() if one.category == number]

    def _finance_period(self, body: Any, version: str) -> Any:
        number = self._params(body, "FinancePeriodParams").get("AbsoluteEntry")
        found = next((one for one in self.desk.books.periods() if one.number == number), None)
        if found is None:
            raise no_match()
        return self.desk.schema.render("FinancePeriod", found, version)

    def _series(self, body: Any, version: str) -> Any:
        """Answer the numbering series of one kind of document, by the number of its object type (24 incoming payments)."""
        params = body.get("DocumentTypeParams")
        if not isinstance(params, dict):
            raise SapError(-1004, "Parameter 'DocumentTypeParams' is missing")
        for key in params:
            if key not in ("Document", "DocumentSubType"):
                raise invalid_property(key, "DocumentTypeParams")
        document = params.get("Document")
        if document not in NUMBERED:
            raise no_match()
        if not self.desk.switches.numbering_series_defined:
            return []
        fields = {
            "Document": document, "DocumentSubType": "--", "InitialNumber": 1, "NextNumber": 100, "Name": "Primary",
            "Locked": _yes(on=self.desk.switches.series_locked), "IsManual": "tNO", "PeriodIndicator": "Default",
            "SeriesProperty": int(document),
        }  # fmt: skip
        return [self._show("Series", fields, version)]

    # --- currencies -----------------------------------------------------------------------------------------------
    def _local_currency(self, _body: Any, _version: str) -> Any:
        return self.desk.books.local_currency

    def _system_currency(self, _body: Any, _version: str) -> Any:
        return self.desk.switches.system_currency or self.desk.books.local_currency

    def _rate(self, body: Any, _version: str) -> Any:
        currency, day = self._currency_and_day(body, "Date", {"Currency", "Date"})
        return self.desk.books.rate(currency, day).quantize(Decimal("0.000001"))

    def _set_rate(self, body: Any, _version: str) -> Any:
        currency, day = self._currency_and_day(body, "RateDate", {"Currency", "Rate", "RateDate"})
        try:
            rate = Decimal(str(body.get("Rate")))
        except ArithmeticError:
            raise not_valid("Rate", body.get("Rate")) from None
        if not rate.is_finite() or rate <= 0:
            raise not_valid("Rate", body.get("Rate"))
        self.desk.books.set_rate(currency, rate, day)

    def _currency_and_day(self, body: Any, day_name: str, known: set[str]) -> tuple[str, date]:
        for key in body:
            if key not in known:
                raise invalid_property(key, "SBOBobService")
        day = parse_date(str(body.get(day_name)))
        if day is None:
            raise not_valid(day_name, body.get(day_name))
        currency = body.get("Currency")
        if not isinstance(currency, str):
            raise not_valid("Currency", currency)
        if currency not in self.desk.books.currencies:
            raise no_match()
        return currency, day


def single_value(value: Decimal | str, style: str, envelope: tuple[str, str]) -> Response:
    """Write a single value bare, as text, or wrapped in an object."""
    if style == "wrapped":
        return Response.of_json(200, {envelope[0]: envelope[1], "value": value})
    text = f"{value:f}" if isinstance(value, Decimal) else json.dumps(value)
    return Response(200, text.encode(), (("Content-Type", "text/plain;charset=utf-8"),))


def _yes(*, on: bool) -> str:
    return "tYES" if on else "tNO"
