"""What the simulated Stripe tells by itself: each event to every endpoint that asked for its type, full, thin or both.

Stripe gives no figures for its retries: "up to three days" in live mode, "three times over a few hours" in test mode. The
steps below keep to that.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mlc.sandbox.courier import Headers, Parcel, Reply, Sender

from .deliveries import sign_all, thin
from .hook_endpoints import secrets_of
from .shapes import show

if TYPE_CHECKING:
    from .service import StripeService
    from .table import Thing

MINUTE, HOUR = 60, 3600
LIVE = (5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 12 * HOUR, 12 * HOUR, 12 * HOUR, 12 * HOUR)
TEST = (10 * MINUTE, 3 * HOUR)
FORMS = {"full": (False,), "thin": (True,), "both": (False, True)}
NOBODYS = "whsec_nobodys"


class StripeHooks(Sender):
    """The webhooks of one account."""

    def __init__(self, service: StripeService) -> None:
        """Listen to the account's events."""
        super().__init__("stripe", service)
        self.account = service.account
        self._fresh: list[str] = []
        self._left: dict[str, set[tuple[str, bool]]] = {}
        self.account.listeners.append(self._happened)

    def _forms(self) -> tuple[bool, ...]:
        switches = self.account.switches
        return FORMS["both" if switches.thin_events and switches.hook_form == "full" else switches.hook_form]

    def _happened(self, event: Thing) -> None:
        wanting = [one["id"] for one in self._endpoints() if wants(one, event["type"])]
        if not wanting:
            return
        self._left[event["id"]] = {(one, form) for one in wanting for form in self._forms()}
        self.account.change(event, pending_webhooks=len(wanting))
        self._fresh.append(event["id"])
        self.wake()

    def _endpoints(self) -> list[Thing]:
        rows = self.account.tables["webhook_endpoint"].rows.values()
        return [one for one in rows if self.account.of(one, "status") == "enabled"]

    def collect(self) -> list[Parcel]:
        """Return a parcel per event, endpoint and form; events that were dropped meanwhile are told to nobody."""
        fresh, self._fresh = self._fresh, []
        rows = self.account.tables["event"].rows
        told = [rows[ident] for ident in fresh if ident in rows]
        return [self._parcel(event, *one) for event in told for one in sorted(self._left[event["id"]])]

    def _parcel(self, event: Thing, endpoint: str, thinly: bool) -> Parcel:
        row = self.account.tables["webhook_endpoint"].rows.get(endpoint, {})

        def letter(forged: bool) -> tuple[Headers, bytes] | None:
            now_row = self.account.tables["webhook_endpoint"].rows.get(endpoint)
            if now_row is None or self.account.of(now_row, "status") != "enabled":
                return None
            body = json.dumps(self._content(event["id"], event, now_row, thinly), indent=2).encode()
            secrets = [NOBODYS] if forged else secrets_of(self.account, now_row)
            return {
                "Content-Type": "application/json; charset=utf-8",
                "Stripe-Signature": sign_all(body, secrets, self.account.now()),
                "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
                "Cache-Control": "no-cache",
            }, body

        def heard(reply: Reply, _: bool) -> None:
            if reply.taken:
                self._taken(event["id"], endpoint, thinly)

        waits = LIVE if self.account.livemode else TEST
        return Parcel(endpoint, row.get("url", ""), (event["id"],), letter, heard, waits)

    def _content(self, ident: str, event: Thing, endpoint: Thing, thinly: bool) -> dict[str, Any]:
        """Return an event as this endpoint gets it: in the version it was made for, else in the account's."""
        now = self.account.tables["event"].rows.get(ident, event)
        if thinly:
            return thin(self.account, now)
        return show(self.account, {**now, "api_version": endpoint.get("api_version") or now["api_version"]})

    def _taken(self, ident: str, endpoint: str, thinly: bool) -> None:
        left = self._left.get(ident, set())
        left.discard((endpoint, thinly))
        row = self.account.tables["event"].rows.get(ident)
        if row is None:
            return
        pending = len({one for one, _ in left})
        if not left:
            self._left.pop(ident, None)
        self.account.change(row, pending_webhooks=pending, **({} if pending else {"_delivered": True}))


def wants(endpoint: Thing, kind: str) -> bool:
    """Tell whether an endpoint asked for events of a type."""
    return kind in endpoint["enabled_events"] or "*" in endpoint["enabled_events"]
