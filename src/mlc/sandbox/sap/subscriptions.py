"""Event subscriptions as the Service Layer keeps them, from FP 2602 on: made, changed, paused, resumed, deleted.

Names, defaults and rules follow SAP's user manual of the Service Layer (chapter on webhooks); what it leaves open is marked (check).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mlc.sandbox.courier import Reply, is_loopback
from mlc.sandbox.sap.errors import SapError, not_supported
from mlc.sandbox.sap.records import Simple

if TYPE_CHECKING:
    from mlc.sandbox.sap.desk import Desk
    from mlc.sandbox.sap.hooks import SapHooks

MOST = 16
WRONG = -21100  # what a subscription is answered that is set up wrongly (check)
CREDENTIALS = {
    "Basic": {"Username", "Password"},
    "HMAC": {"Key", "Algorithm"},
    "OAuth": {"token_endpoint", "client_id", "client_secret", "grant_type"},
}
ALGORITHMS = {"hmacsha256": "sha256", "hmacsha384": "sha384", "hmacsha512": "sha512"}
DEFAULTS = {
    "AuthenticationType": "HMAC", "Handshake": "tYES", "VerifyCertificate": "tYES", "State": "Active", "WorkMode": "Standard",
}  # fmt: skip
FIXED = ("WebhookID", "WebhookURL", "State", "WorkMode")  # State and WorkMode have calls of their own (check)
_DOCUMENT = "Created,Updated,Closed,Cancelled,Reopened"
CATALOG = {
    "BusinessPartners": ("2", "Created,Updated,Deleted"),
    "Invoices": ("13", _DOCUMENT),
    "CreditNotes": ("14", _DOCUMENT),
    "IncomingPayments": ("24", "Created,Updated,Cancelled"),
    "JournalEntries": ("30", "Created,Updated,Cancelled"),
    "VendorPayments": ("46", "Created,Updated,Cancelled"),
}


def catalog() -> dict[str, Any]:
    """Return the event catalog as the Service Layer answers it."""
    rows = [{"BusinessObject": name, "ObjectType": code, "TransactionTypes": kinds} for name, (code, kinds) in CATALOG.items()]
    return {"Version": "1.0", "Description": "SAP Business One Event Catalog", "value": rows}


def wrong(text: str) -> SapError:
    """Return the refusal of a subscription that is set up wrongly."""
    return SapError(WRONG, text)


class Subscriptions:
    """The subscriptions of one company; refuses what the original refuses."""

    def __init__(self, desk: Desk, hooks: SapHooks) -> None:
        self.desk = desk
        self.hooks = hooks
        self.rows: dict[str, Simple] = {}
        self.credentials: dict[str, dict[str, str]] = {}

    def create(self, body: Any) -> Simple:
        """Add a subscription; with a handshake it is added only if the address answers."""
        if not self.desk.books.webhooks_enabled:
            raise wrong("Webhooks are not enabled for this company; set EnableWebhook")
        fields = DEFAULTS | self.desk.schema.read_body("EventSubscription", body)
        ident, url = fields.pop("WebhookID", ""), fields.get("WebhookURL", "")
        if not ident.strip():
            raise wrong("WebhookID is required")
        if ident in self.rows or any(one.fields["WebhookURL"] == url for one in self.rows.values()):
            raise SapError(-2035, "This entry already exists in the following tables 'OEVC' (ODBC -2035)")
        if len(self.rows) >= MOST:
            raise wrong(f"The maximum number of webhooks ({MOST}) is reached")
        _address(url)
        self._events(fields.get("EventCollection"))
        if fields["WorkMode"] != "Standard" or fields["State"] == "Exceptional":
            raise wrong("WorkMode and State of a new webhook are Standard, and Active or Inactive")
        known = _credentials(str(fields["AuthenticationType"]), fields.pop("AuthenticationCred", None))
        row = Simple(ident, fields)
        if fields["Handshake"] == "tYES":
            self.handshake(row, known)
        self.rows[ident], self.credentials[ident] = row, known
        self.hooks.watch()
        return row

    def _events(self, given: Any) -> None:
        if not given:
            raise wrong("EventCollection must name at least one event")
        for one in given:
            _, known = CATALOG.get(one.get("BusinessObject"), ("", ""))
            if one.get("TransactionType") not in known.split(","):
                raise wrong(f"{one.get('BusinessObject')}/{one.get('TransactionType')} is not in the event catalog")

    def change(self, row: Simple, body: Any, *, replace: bool) -> None:
        """Change a subscription; events are added to those it has unless the collection is to be replaced."""
        fields = self.desk.schema.read_body("EventSubscription", body)
        for name in FIXED:
            if name in fields and fields[name] != (row.key if name == "WebhookID" else row.fields.get(name)):
                raise SapError(-1029, f"[OEVC.{name}], Field cannot be updated")
        fields = {name: value for name, value in fields.items() if name not in FIXED}
        if "AuthenticationType" in fields or "AuthenticationCred" in fields:
            kind = str(fields.get("AuthenticationType", row.fields["AuthenticationType"]))
            self.credentials[str(row.key)] = _credentials(kind, fields.pop("AuthenticationCred", None))
        if "EventCollection" in fields:
            self._events(fields["EventCollection"])
            old = [] if replace else row.fields["EventCollection"]
            fields["EventCollection"] = old + [one for one in fields["EventCollection"] if one not in old]
        row.fields = row.fields | fields

    def delete(self, row: Simple) -> None:
        """Delete a subscription that is paused."""
        if row.fields["State"] != "Inactive":
            raise wrong("Only an inactive webhook can be deleted; pause it first")
        del self.rows[str(row.key)], self.credentials[str(row.key)]
        self.hooks.watch()

    def act(self, row: Simple, action: str) -> None:
        """Pause, resume, shake hands, or send again what was missed."""
        shakes = row.fields["Handshake"] == "tYES"
        if action == "Pause":
            row.fields = row.fields | {"State": "Inactive"}
        elif action == "Handshake":
            self.handshake(row, self.credentials[str(row.key)])
        elif action in ("Resume", "Replay"):
            if action == "Replay" and (row.fields["State"] != "Inactive" or not shakes):
                raise wrong("Replay needs an inactive webhook that supports the handshake")
            if shakes:
                self.handshake(row, self.credentials[str(row.key)])
            row.fields = row.fields | {"State": "Active"}
            self.hooks.resumed(str(row.key), replay=action == "Replay")
        else:
            raise not_supported()

    def handshake(self, row: Simple, known: Mapping[str, str]) -> None:
        """Ask the address to answer a token; raises the refusal where it does not."""
        token = str(uuid.UUID(int=self.hooks.random.getrandbits(128), version=4))
        headers = {"X-B1-Webhook-Token": token, **self.hooks.proof(row, known, token.encode())}
        reply = self.hooks.carry("GET", row.fields["WebhookURL"], headers, b"")
        if not _echoed(reply, token):
            told = reply.body[:100].decode("utf-8", "replace")
            raise wrong(f"Handshake with {row.fields['WebhookURL']} failed: HTTP {reply.status} {told}".strip())


def _echoed(reply: Reply, token: str) -> bool:
    try:
        body = json.loads(reply.body)
    except ValueError:
        return False
    return reply.status == 200 and isinstance(body, dict) and body.get("Challenge") == token


def _address(url: str) -> None:
    """Refuse what is no https address; http only on this machine, for the sandbox."""
    try:
        parts = urlsplit(url)
        good = bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(url)))
    except ValueError:
        good = False
    if not good:
        raise wrong(f"WebhookURL '{url}' is not a valid https address")


def _credentials(kind: str, text: str | None) -> dict[str, str]:
    """Read what proves that a message comes from SAP: JSON in a text, its members as the manual names them."""
    if kind == "None":
        return {}
    try:
        given = json.loads(text or "")
    except ValueError:
        given = None
    if (
        not isinstance(given, dict)
        or set(given) != CREDENTIALS[kind]
        or not all(isinstance(one, str) and one for one in given.values())
    ):
        raise wrong(f"AuthenticationCred must be JSON with {', '.join(sorted(CREDENTIALS[kind]))} for {kind}")
    if kind == "HMAC" and given["Algorithm"].lower() not in ALGORITHMS:
        raise wrong(f"Algorithm '{given['Algorithm']}' is not supported")
    return given
