"""A small client for the tests of the simulated Service Layer; it shares nothing with the product's own client."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from mlc.sandbox.kit import Clock, Request, Response, dump_json
from mlc.sandbox.sap import Books, SapService, SapSwitches

START = 1_780_000_000  # 2026-05-28 22:26:40 in Berlin
MAY = date(2026, 5, 1)
D = Decimal


@dataclass
class Answer:
    """What came back."""

    status: int
    body: Any
    headers: dict[str, str]
    raw: Response

    @property
    def error(self) -> tuple[int, int, str]:
        """Status, code and text of a refusal."""
        inner = self.body["error"]
        text = inner["message"]["value"] if isinstance(inner["message"], dict) else inner["message"]
        return self.status, int(inner["code"]), text

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows of a collection."""
        assert self.status == 200, self.body
        return list(self.body["value"])


@dataclass
class Sap:
    """One signed-in caller."""

    service: SapService
    version: str = "v2"
    cookies: dict[str, str] = field(default_factory=dict)

    def send(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, **query: Any) -> Answer:
        """Send one request; query names go without their dollar sign."""
        sent = {"host": "sap.test", **(headers or {})}
        if self.cookies:
            sent["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        pairs = tuple((f"${name}", str(value)) for name, value in query.items())
        raw = body if isinstance(body, bytes) else b"" if body is None else dump_json(body).encode()
        full = f"{self.service.prefix}/b1s/{self.version}/{path}"
        answer = self.service.serve(Request(method, full, pairs, sent, raw))
        for name, value in answer.headers:
            if name == "Set-Cookie":
                key, _, rest = value.partition("=")
                self.cookies[key] = rest.split(";")[0]
        named = dict(answer.headers)
        is_json = named.get("Content-Type", "").startswith("application/json")
        parsed = json.loads(answer.body, parse_float=Decimal) if is_json else answer.body.decode()
        return Answer(answer.status, parsed, named, answer)

    def login(self, password: str = "secret", user: str = "manager", company: str = "SBODEMO") -> Answer:
        """Sign in."""
        return self.send("POST", "Login", {"CompanyDB": company, "UserName": user, "Password": password})

    def get(self, path: str, **query: Any) -> Answer:
        """Read."""
        return self.send("GET", path, **query)

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        """Write; header names are given with underscores."""
        return self.send("POST", path, body, {key.replace("_", "-").lower(): value for key, value in headers.items()})

    def patch(self, path: str, body: Any, **headers: str) -> Answer:
        """Change."""
        return self.send("PATCH", path, body, {key.replace("_", "-").lower(): value for key, value in headers.items()})


def sap(version: str = "v2", prefix: str = "", **switches: Any) -> Sap:
    """Make a company that stands still in time, with a signed-in caller and two customers."""
    service = SapService(Clock(START), switches=SapSwitches(**switches), prefix=prefix)
    service.books.add_partner("C1", "Alpha GmbH", email="a@alpha.example", phone="1")
    service.books.add_partner("C2", "O'Neil & Sons")
    caller = Sap(service, version)
    assert caller.login().status == 200
    return caller


def invoice(books: Books, card: str = "C1", net: str = "100", tax: str = "19", **more: Any) -> int:
    """Add an invoice of one line; 119.00 gross by default."""
    more.setdefault("doc_date", MAY)
    return books.add_invoice(card, [("Service", D(1), D(net), D(tax))], **more)


def payment(*applied: tuple[int, str], total: str = "", **more: Any) -> dict[str, Any]:
    """Build the body of an incoming payment into the Stripe clearing account."""
    whole = D(total) if total else sum((D(amount) for _, amount in applied), D(0))
    body: dict[str, Any] = {
        "DocType": "rCustomer", "CardCode": "C1", "DocDate": "2026-05-02", "TransferAccount": "1361", "TransferSum": whole,
        "TransferDate": "2026-05-02", "TransferReference": "pi_3NxExample00000000000001",
    }  # fmt: skip
    if applied:
        body["PaymentInvoices"] = [
            {"DocEntry": entry, "SumApplied": D(amount), "InvoiceType": "it_Invoice"} for entry, amount in applied
        ]
    return {key: value for key, value in {**body, **more}.items() if value is not ...}
