"""What GoCardless says of one thing now, in sentences with its own times: the thing itself and the events about it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

from mlc.core.story import Tale, Told
from mlc.systems.gocardless import wire
from mlc.systems.gocardless.client import GoCardlessSystem

SOURCE = "GoCardless now"
_ID = re.compile(r"(PM|PO|MD|CU|RF|EV)[0-9A-Z]+")
_EVENTS = 50  # of one thing, the newest
_FEW = 10  # payments of a mandate


class GoCardlessTelling:
    """Tells of the resources of one organisation, by the prefix of their ids."""

    def __init__(self, system: GoCardlessSystem) -> None:
        self.system = system
        self._kinds: dict[str, Callable[[str, Tale], None]] = {
            "PM": self._payment, "PO": self._payout, "MD": self._mandate, "CU": self._customer, "RF": self._refund, "EV": self._event,
        }  # fmt: skip

    @staticmethod
    def knows(ident: str) -> bool:
        """Tell whether an id looks like one of GoCardless'."""
        return bool(_ID.fullmatch(ident))

    def tell(self, ident: str) -> Tale:
        """Tell of one resource."""
        tale = Tale()
        self._kinds[ident[:2]](ident, tale)
        return tale

    def _payment(self, ident: str, tale: Tale) -> None:
        row = self.system.find("payments", ident)
        if row is None:
            return
        one = wire.collection(row)
        _say(tale, "payment", f"payment {ident} over {one.amount} is created", wire.moment(one.created))
        said = f", charged on {one.charged}" if one.charged else ""
        _say(
            tale,
            "payment",
            f"payment {ident} over {one.amount} is {one.status}{said}",
            data={"id": ident, "status": one.status},
        )
        tale.lead("debit_payout", one.payout)
        tale.lead("debit_mandate", one.mandate)
        self._events("payment", ident, tale)

    def _payout(self, ident: str, tale: Tale) -> None:
        row = self.system.find("payouts", ident)
        if row is None:
            return
        one = wire.payout(row)
        _say(tale, "payout", f"payout {ident} over {one.amount} is made, reference {one.reference or 'none'}", one.created)
        there = f", arrives {one.arrival}" if one.arrival else ""
        _say(
            tale, "payout", f"payout {ident} over {one.amount} is {one.status}{there}", data={"id": ident, "status": one.status}
        )
        self._events("payout", ident, tale)

    def _mandate(self, ident: str, tale: Tale) -> None:
        row = self.system.find("mandates", ident)
        if row is None:
            return
        one = wire.mandate(row)
        _say(tale, "mandate", f"mandate {ident} {one.reference} is {one.status}", data={"id": ident, "status": one.status})
        tale.lead("debtor", one.customer)
        self._events("mandate", ident, tale)

    def _customer(self, ident: str, tale: Tale) -> None:
        row = self.system.find("customers", ident)
        if row is None:
            return
        one = wire.debtor(row)
        _say(tale, "customer", f"customer {ident} is created", wire.moment(one.created))
        _say(
            tale,
            "customer",
            f"customer {ident} is {one.name or 'without a name'} <{one.email or 'no e-mail'}>",
            data={"id": ident},
        )
        for row in self.system.get("/payments", {"customer": ident, "limit": _FEW}).get("payments") or []:
            payment = wire.collection(row)
            text = f"payment {payment.id} over {payment.amount} is {payment.status}"
            _say(tale, "payment", text, wire.moment(payment.created), {"id": payment.id, "status": payment.status})

    def _refund(self, ident: str, tale: Tale) -> None:
        row = self.system.find("refunds", ident)
        if row is None:
            return
        one = wire.refund(row)
        _say(
            tale,
            "refund",
            f"refund {ident} over {one.amount} is {one.status or 'made'}",
            data={"id": ident, "status": one.status},
        )
        tale.lead("debit", one.payment)
        self._events("refund", ident, tale)

    def _event(self, ident: str, tale: Tale) -> None:
        row = self.system.find("events", ident)
        if row is None:
            return
        one = wire.event(row)
        _say(tale, "event", f"event {ident}: {one.resource} {one.action} {one.text}".rstrip(), wire.moment(one.created))
        for _, thing in one.links:
            if self.knows(thing) and thing[:2] != "EV" and thing[:2] == _PREFIXES.get(one.resource):
                self._kinds[thing[:2]](thing, tale)
                tale.lead("thing", thing)

    def _events(self, kind: str, ident: str, tale: Tale) -> None:
        rows = self.system.get("/events", {kind: ident, "limit": _EVENTS}).get("events") or []
        for one in [wire.event(row) for row in reversed(rows)]:  # newest first: those of one moment shall keep their order
            if one.resource != f"{kind}s":
                continue
            why = f": {one.text}" if one.text else ""
            _say(
                tale,
                "event",
                f"{kind} {ident} {one.action.replace('_', ' ')}{why}",
                wire.moment(one.created),
                {"event": one.id},
            )


_PREFIXES = {"payments": "PM", "payouts": "PO", "mandates": "MD", "customers": "CU", "refunds": "RF"}


def _say(tale: Tale, kind: str, text: str, at: datetime | None = None, data: dict[str, str] | None = None) -> None:
    tale.told.append(Told(SOURCE, kind, text, at, dict(data or {})))
