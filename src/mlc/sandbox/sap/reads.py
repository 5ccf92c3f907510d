"""Reading: entity sets, single objects, counts, and how an object is written as an answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlc.sandbox.kit import Request, Response
from mlc.sandbox.sap.desk import Desk
from mlc.sandbox.sap.errors import SapError, bad_query, no_match, no_such_path, not_supported, not_valid
from mlc.sandbox.sap.query import Target, count_rows, next_link, parse_query, parse_select, select_rows

# Entity sets with their type and key property.
SETS = {
    "Invoices": ("Document", "DocEntry"),
    "CreditNotes": ("Document", "DocEntry"),
    "DownPayments": ("Document", "DocEntry"),
    "BusinessPartners": ("BusinessPartner", "CardCode"),
    "IncomingPayments": ("Payment", "DocEntry"),
    "VendorPayments": ("Payment", "DocEntry"),
    "PaymentDrafts": ("Payment", "DocEntry"),
    "JournalEntries": ("JournalEntry", "JdtNum"),
    "InternalReconciliations": ("InternalReconciliation", "ReconNum"),
    "ChartOfAccounts": ("ChartOfAccount", "Code"),
    "Currencies": ("Currency", "Code"),
    "ProfitCenters": ("ProfitCenter", "CenterCode"),
    "Dimensions": ("Dimension", "DimensionCode"),
    "BusinessPlaces": ("BusinessPlace", "BPLID"),
    "Projects": ("Project", "Code"),
}
TAGGED = frozenset({"Document", "BusinessPartner"})
PLAIN_TEXT = (("Content-Type", "text/plain;charset=utf-8"),)


@dataclass(slots=True)
class Call:
    """One request on its way through the service: `name(key)/rest` below `root`."""

    request: Request
    method: str
    version: str
    root: str
    scheme: str
    name: str
    key_text: str | None = None
    rest: str = ""

    @property
    def v1(self) -> bool:
        """Whether this is OData V3."""
        return self.version == "v1"

    @property
    def origin(self) -> str:
        """The host that was asked."""
        return self.request.headers.get("host", "localhost")

    def address(self, tail: str) -> str:
        """Write a full address below the service root."""
        return f"{self.scheme}://{self.origin}{self.root}/{tail}"

    def envelope(self, fragment: str) -> tuple[str, str]:
        """Return the name and value of the metadata link every JSON answer starts with."""
        return ("odata.metadata" if self.v1 else "@odata.context"), self.address(f"$metadata#{fragment}")


class Reader:
    """Answers GET, and writes objects for the answers of POST."""

    def __init__(self, desk: Desk, subscriptions: Mapping[str, Any] | None = None) -> None:
        self.desk = desk
        self.schema = desk.schema
        self.switches = desk.switches
        self.sets = SETS | {name: (name, "Code") for name in desk.switches.user_tables}
        if subscriptions is not None:
            self.sets["EventSubscriptions"] = ("EventSubscription", "WebhookID")
        books = desk.books
        own: dict[str, Mapping[Any, Any]] = {name: books.user_rows.setdefault(name, {}) for name in desk.switches.user_tables}
        self.tables: dict[str, Mapping[Any, Any]] = {
            "Invoices": books.documents["Invoices"],
            "CreditNotes": books.documents["CreditNotes"],
            "DownPayments": {},
            "BusinessPartners": books.partners,
            "IncomingPayments": books.receipts,
            "VendorPayments": books.outgoing,
            "PaymentDrafts": books.drafts,
            "JournalEntries": books.journal,
            "InternalReconciliations": books.reconciliations,
            "ChartOfAccounts": books.accounts,
            "Currencies": books.currencies,
            "ProfitCenters": books.centres,
            "Dimensions": books.dimensions,
            "BusinessPlaces": books.branches,
            "Projects": books.projects,
            **own,
            **({} if subscriptions is None else {"EventSubscriptions": subscriptions}),
        }

    def many(self, call: Call) -> Response:
        """Answer an entity set or its count."""
        if call.name == "InternalReconciliations":
            raise not_supported()
        if call.rest not in ("", "$count"):
            raise no_such_path()
        type_name, key = self.sets[call.name]
        kind = self.schema.types[type_name]
        target = Target(call.name, kind, key, self.tables[call.name], call.version, call.root, call.origin)
        query = parse_query(call.request, target, self.switches)
        if call.rest == "$count":
            return Response(200, str(count_rows(query, target.table)).encode(), PLAIN_TEXT)
        page = select_rows(query, target, self.switches)
        names = query.select or kind.scalars
        render = self.schema.render
        body: dict[str, Any] = dict([call.envelope(call.name)])
        if page.count is not None:
            body["odata.count" if call.v1 else "@odata.count"] = str(page.count) if call.v1 else page.count
        body["value"] = [self._tag(call, type_name, row) | render(type_name, row, call.version, names) for row in page.rows]
        if page.next_skip is not None:
            body["odata.nextLink" if call.v1 else "@odata.nextLink"] = next_link(query, page, target, self.switches)
        return Response.of_json(200, body, page.headers)

    def one(self, call: Call) -> Response:
        """Answer one object by its key, its collections inline."""
        if call.rest:
            raise no_such_path()
        for name, _ in call.request.query:
            if name.startswith("$") and name not in ("$select", "$format"):
                raise bad_query(f"Invalid query option '{name}'")
        record = self.record(call)
        names = parse_select(call.request.param("$select"), self.schema.types[self.sets[call.name][0]])
        return self.entity(call, record, 200, names)

    def key(self, call: Call) -> Any:
        """Read the key of an address."""
        kind, key = self.sets[call.name]
        text = call.key_text or ""
        named = re.fullmatch(r"(\w+)=(.*)", text, re.DOTALL)
        if named is not None:
            if named[1] != key:
                raise bad_query(f"Invalid key '{text}'")
            text = named[2]
        is_number = self.schema.types[kind].props[key].kind == "int"
        if is_number == text.startswith("'"):
            raise not_valid(key, text)
        return int(text) if is_number else text[1:-1].replace("''", "'")

    def record(self, call: Call) -> Any:
        """Return the object an address names; raises the refusal where there is none."""
        key = self.key(call)
        found = self.tables[call.name].get(key)
        if found is not None:
            return found
        if call.method == "GET":
            raise no_match(404)
        raise SapError(self.switches.patch_missing_code, f"Entity with value('{key}') does not exist", 404)

    def entity(self, call: Call, record: Any, status: int, names: tuple[str, ...] | None = None) -> Response:
        """Write one object as an answer; 201 carries its address and may go without a body."""
        type_name, key = self.sets[call.name]
        body = dict([call.envelope(f"{call.name}/@Element" if call.v1 else f"{call.name}/$entity")])
        body |= self._tag(call, type_name, record)
        body |= self.schema.render(type_name, record, call.version, names)
        headers = [("ETag", etag(record))] if type_name in TAGGED else []
        if status == 201:
            value = self.schema.types[type_name].props[key].get(record)
            text = str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"
            headers.append(("Location", call.address(f"{call.name}({text})")))
            if "return-no-content" in call.request.headers.get("prefer", ""):
                return Response(204, b"", (*headers, ("Preference-Applied", "return-no-content")))
        return Response.of_json(status, body, headers)

    def _tag(self, call: Call, type_name: str, record: Any) -> dict[str, Any]:
        if type_name not in TAGGED:
            return {}
        return {"odata.etag" if call.v1 else "@odata.etag": etag(record)}


def etag(record: Any) -> str:
    """Write the version of a record as an ETag."""
    return f'W/"{record.version:08X}"'
