"""What mlc reads of GoCardless: pages of 500, payments in bulk through the events that tell of them, single objects where few are missing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, TypeVar

from mlc.core.debits import Collection, DebitEvent, DebitPlan, DebitRefund, Debtor, Mandate, Payout, PayoutItem
from mlc.core.errors import UnexpectedAnswerError
from mlc.systems.gocardless import wire
from mlc.systems.gocardless.client import PAGE, GoCardlessRefusedError, GoCardlessSystem

T = TypeVar("T")
_FEW = 3  # so many are read one by one before a page would do
_BEFORE, _AFTER = timedelta(days=2), timedelta(days=7)  # around a payout: where the events of its payments lie


class GoneError(Exception):
    """GoCardless answers 410: it keeps the items of a payout for six months only."""


class GoCardlessReads:
    """The reads of one organisation."""

    def __init__(self, system: GoCardlessSystem) -> None:
        self.system = system

    def creditor(self) -> tuple[str, str]:
        """Return the organisation's first creditor and its name: later ones do not make it another organisation."""
        rows = list(self.system.rows("creditors"))  # the newest first
        if not rows:
            raise UnexpectedAnswerError(
                "GoCardless tells no creditor of this token", hint="finish the account's set-up at GoCardless"
            )
        return str(rows[-1]["id"]), str(rows[-1].get("name") or "")

    # --- payouts ----------------------------------------------------------------------------------------------------

    def payouts_since(self, created: datetime) -> Iterator[Payout]:
        """Yield the payouts created at or after a moment, newest first."""
        for row in self.system.rows("payouts", {"created_at[gte]": stamp(created)}):
            yield wire.payout(row)

    def payout(self, payout_id: str) -> Payout | None:
        """Return a payout as it is now."""
        row = self.system.find("payouts", payout_id)
        return wire.payout(row) if row else None

    def bounced(self) -> Iterator[Payout]:
        """Yield the payouts that a bank sent back."""
        for row in self.system.rows("payouts", {"status": "bounced"}):
            yield wire.payout(row)

    def items(self, payout_id: str) -> tuple[list[PayoutItem], list[dict[str, Any]]]:
        """Return every item of a payout, and the rows as they came.

        Raises GoneError where the payout is older than six months.
        """
        try:
            rows = list(self.system.rows("payout_items", {"payout": payout_id}))
        except GoCardlessRefusedError as refused:
            if refused.status == 410:
                raise GoneError(refused.message) from refused
            raise
        return [wire.item(row) for row in rows], rows

    # --- payments ---------------------------------------------------------------------------------------------------

    def collections(self, wanted: Iterable[str], around: list[datetime]) -> dict[str, Collection]:
        """Return payment id -> payment as it is now.

        Many come by pages of the events that paid them out, each with its payment; what those do not bring is read one by one.
        """
        ids = list(dict.fromkeys(wanted))
        found: dict[str, Collection] = {}
        if len(ids) > _FEW and around:
            span = {"created_at[gte]": stamp(min(around) - _BEFORE), "created_at[lte]": stamp(max(around) + _AFTER)}
            params = {"resource_type": "payments", "action": "paid_out", "include": "payment", **span}
            missing, left = set(ids), len(ids) // 20 + 2
            for page in self.system.pages("events", params):
                for row in (page.get("linked") or {}).get("payments") or []:
                    if row.get("id") in missing:
                        found[row["id"]] = wire.collection(row)
                        missing.discard(row["id"])
                left -= 1
                if not missing or not left or not page.get("linked"):
                    break
        for one in ids:
            if one not in found and (row := self.system.find("payments", one)):
                found[one] = wire.collection(row)
        return found

    def collection(self, payment_id: str) -> Collection | None:
        """Return a payment as it is now."""
        row = self.system.find("payments", payment_id)
        return wire.collection(row) if row else None

    def collections_since(self, created: str) -> Iterator[Collection]:
        """Yield the payments created at or after a moment (ISO), newest first."""
        for row in self.system.rows("payments", {"created_at[gte]": created}):
            yield wire.collection(row)

    # --- who pays ---------------------------------------------------------------------------------------------------

    def mandates(self, wanted: Iterable[str], known: int) -> dict[str, Mandate]:
        """Return mandate id -> mandate as it is now; `known` is about how many there are in all."""
        return self._many("mandates", wanted, known, wire.mandate)

    def debtors(self, wanted: Iterable[str], known: int) -> dict[str, Debtor]:
        """Return customer id -> customer as it is now; `known` is about how many there are in all."""
        return self._many("customers", wanted, known, wire.debtor)

    def _many(self, kind: str, wanted: Iterable[str], known: int, read: Callable[[dict[str, Any]], T]) -> dict[str, T]:
        """Read by pages of the whole list where that costs fewer requests, else one by one."""
        missing = list(dict.fromkeys(one for one in wanted if one))
        found: dict[str, T] = {}
        if len(missing) > max(_FEW, known // PAGE + 1):
            left = set(missing)
            for number, page in enumerate(self.system.pages(kind), 1):
                for row in page[kind]:
                    if row.get("id") in left:
                        found[row["id"]] = read(row)
                        left.discard(row["id"])
                if not left or number >= len(missing):  # more customers than anybody thought: the rest one by one
                    break
        for one in missing:
            if one not in found and (row := self.system.find(kind, one)):
                found[one] = read(row)
        return found

    def debtors_since(self, created: str) -> Iterator[list[Debtor]]:
        """Yield pages of customers created at or after a moment (ISO; "" = all), newest first."""
        for page in self.system.pages("customers", {"created_at[gte]": created}):
            yield [wire.debtor(row) for row in page["customers"]]

    def mandates_since(self, created: str) -> Iterator[list[Mandate]]:
        """Yield pages of mandates created at or after a moment (ISO; "" = all), newest first."""
        for page in self.system.pages("mandates", {"created_at[gte]": created}):
            yield [wire.mandate(row) for row in page["mandates"]]

    def mandate(self, mandate_id: str) -> Mandate | None:
        """Return a mandate as it is now."""
        row = self.system.find("mandates", mandate_id)
        return wire.mandate(row) if row else None

    def debtor(self, customer_id: str) -> Debtor | None:
        """Return a customer as it is now."""
        row = self.system.find("customers", customer_id)
        return wire.debtor(row) if row else None

    def plans(self, subscriptions: Iterable[str], schedules: Iterable[str]) -> dict[str, DebitPlan]:
        """Return id -> subscription or instalment schedule as it is now."""
        return {
            **self._many("subscriptions", subscriptions, 0, wire.plan),
            **self._many("instalment_schedules", schedules, 0, wire.plan),
        }

    def refund(self, refund_id: str) -> DebitRefund | None:
        """Return a refund as it is now."""
        row = self.system.find("refunds", refund_id)
        return wire.refund(row) if row else None

    # --- events -----------------------------------------------------------------------------------------------------

    def events_since(self, created: str) -> Iterator[list[DebitEvent]]:
        """Yield pages of events created at or after a moment (ISO), newest first."""
        for page in self.system.pages("events", {"created_at[gte]": created}):
            yield [wire.event(row) for row in page["events"]]

    def event(self, event_id: str) -> DebitEvent | None:
        """Return one event, None where GoCardless does not keep it (any more)."""
        row = self.system.find("events", event_id)
        return wire.event(row) if row else None


def delivered(body: str) -> DebitEvent:
    """Read an event that a webhook brought, as the inbox keeps it."""
    return wire.event(json.loads(body))


def stamp(moment: datetime) -> str:
    """Return a moment as GoCardless' filters want it: ISO, UTC, milliseconds."""
    from datetime import UTC

    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
