"""GoCardless' JSON becomes facts here, once. Amounts are whole minor units, in payout items texts with one decimal."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from mlc.core.debits import (
    Collection,
    DebitEvent,
    DebitPlan,
    DebitRefund,
    Debtor,
    Exchange,
    Mandate,
    Payout,
    PayoutItem,
    Tax,
)
from mlc.core.errors import UnexpectedAnswerError
from mlc.core.money import Money


def need(row: dict[str, Any], name: str, what: str) -> Any:
    """Return a field that must be there; a version that stopped sending it is loud, never zero."""
    if row.get(name) is None:
        raise UnexpectedAnswerError(f"GoCardless sent {what} {row.get('id', '')} without {name}")
    return row[name]


def _money(row: dict[str, Any], what: str, name: str = "amount") -> Money:
    amount = need(row, name, what)
    if not isinstance(amount, int) or isinstance(amount, bool):
        raise UnexpectedAnswerError(f"GoCardless sent {what} {row.get('id', '')} with {name} {amount!r}, no whole minor units")
    return Money(amount, str(need(row, "currency", what)).upper())


def _decimal(value: Any, what: str) -> Decimal:
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite():
        raise UnexpectedAnswerError(f"GoCardless sent {what} {value!r}, which is no number")
    return found


def _day(value: Any) -> date | None:
    return date.fromisoformat(str(value)[:10]) if value else None


def _links(row: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in (row.get("links") or {}).items() if value}


def _metadata(row: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((str(name), str(value)) for name, value in (row.get("metadata") or {}).items()))


def payout(row: dict[str, Any]) -> Payout:
    """Read a payout; `fx` may be null, absent, or an object of nulls where nothing is converted."""
    links, fx = _links(row), row.get("fx") or {}
    target = str(fx.get("fx_currency") or "").upper()
    converted = target not in ("", str(row.get("currency") or "").upper())
    deducted = need(row, "deducted_fees", "a payout")
    return Payout(
        id=need(row, "id", "a payout"), status=need(row, "status", "a payout"), kind=row.get("payout_type") or "merchant",
        amount=_money(row, "a payout"), deducted=int(deducted), created=moment(need(row, "created_at", "a payout")),
        arrival=_day(row.get("arrival_date")), creditor=links.get("creditor", ""), bank=links.get("creditor_bank_account", ""),
        reference=row.get("reference") or "", tax_currency=row.get("tax_currency") or "",
        exchange=_exchange(fx) if converted else None,
    )  # fmt: skip


def moment(text: str) -> datetime:
    """Read a time stamp (ISO, UTC)."""
    return datetime.fromisoformat(text)


def _exchange(fx: dict[str, Any]) -> Exchange:
    amount, rate = fx.get("fx_amount"), fx.get("exchange_rate")
    return Exchange(
        currency=str(fx["fx_currency"]).upper(),
        amount=int(amount) if amount is not None else None,
        rate=_decimal(rate, "an exchange rate") if rate else None,
    )


def item(row: dict[str, Any]) -> PayoutItem:
    """Read one item of a payout."""
    links = _links(row)
    taxes = tuple(
        Tax(
            _decimal(need(tax, "amount", "a tax"), "a tax"),
            _decimal(tax["destination_amount"], "a tax") if tax.get("destination_amount") is not None else None,
            str(tax.get("destination_currency") or "").upper(),
        )
        for tax in row.get("taxes") or []
    )
    return PayoutItem(
        type=str(need(row, "type", "a payout item")), amount=_decimal(need(row, "amount", "a payout item"), "a payout item"),
        payment=links.get("payment", ""), mandate=links.get("mandate", ""), refund=links.get("refund", ""), taxes=taxes,
    )  # fmt: skip


def collection(row: dict[str, Any]) -> Collection:
    """Read a payment."""
    links = _links(row)
    return Collection(
        id=need(row, "id", "a payment"), status=need(row, "status", "a payment"), amount=_money(row, "a payment"),
        created=str(need(row, "created_at", "a payment")), charged=_day(row.get("charge_date")),
        refunded=int(row.get("amount_refunded") or 0), description=row.get("description") or "", reference=row.get("reference") or "",
        metadata=_metadata(row), mandate=links.get("mandate", ""), subscription=links.get("subscription", ""),
        schedule=links.get("instalment_schedule", ""), payout=links.get("payout", ""),
    )  # fmt: skip


def mandate(row: dict[str, Any]) -> Mandate:
    """Read a mandate."""
    links = _links(row)
    return Mandate(
        id=need(row, "id", "a mandate"), status=need(row, "status", "a mandate"), customer=links.get("customer", ""),
        reference=row.get("reference") or "", metadata=_metadata(row), new=links.get("new_mandate", ""),
    )  # fmt: skip


def debtor(row: dict[str, Any]) -> Debtor:
    """Read a customer."""
    person = " ".join(part for part in (row.get("given_name"), row.get("family_name")) if part)
    return Debtor(
        id=need(row, "id", "a customer"), name=row.get("company_name") or person, email=(row.get("email") or "").strip(),
        created=str(need(row, "created_at", "a customer")), metadata=_metadata(row),
    )  # fmt: skip


def plan(row: dict[str, Any]) -> DebitPlan:
    """Read a subscription or an instalment schedule."""
    return DebitPlan(need(row, "id", "a subscription"), row.get("name") or "", _metadata(row))


def refund(row: dict[str, Any]) -> DebitRefund:
    """Read a refund."""
    links = _links(row)
    return DebitRefund(
        need(row, "id", "a refund"), row.get("status") or "", _money(row, "a refund"), links.get("payment", ""),
        links.get("mandate", ""),
    )  # fmt: skip


def event(row: dict[str, Any]) -> DebitEvent:
    """Read an event."""
    details = row.get("details") or {}
    return DebitEvent(
        id=need(row, "id", "an event"), created=str(need(row, "created_at", "an event")), resource=row.get("resource_type") or "",
        action=row.get("action") or "", links=tuple(sorted(_links(row).items())), cause=details.get("cause") or "",
        text=details.get("description") or "", retries=details.get("will_attempt_retry") is True,
    )  # fmt: skip
