"""Writing: creating, changing and acting on objects, each handed to the books behind the desk."""

from __future__ import annotations

from typing import Any

from mlc.sandbox.kit import Response
from mlc.sandbox.sap.company import READ_ONLY, Company, single_value
from mlc.sandbox.sap.desk import Desk
from mlc.sandbox.sap.errors import SapError, no_such_path, not_supported
from mlc.sandbox.sap.post_documents import patch, post_document, post_partner
from mlc.sandbox.sap.post_entries import open_transactions, post_entry, post_reconciliation
from mlc.sandbox.sap.post_payments import post_payment
from mlc.sandbox.sap.reads import TAGGED, Call, Reader, etag
from mlc.sandbox.sap.subscriptions import Subscriptions

OPEN_TRANSACTIONS = "InternalReconciliationsService_GetOpenTransactions"
PATCHABLE = frozenset({"Document", "Payment", "JournalEntry", "BusinessPartner", "EventSubscription"})


class Writer:
    """Answers POST, PATCH and DELETE."""

    def __init__(self, desk: Desk, reader: Reader, company: str, subscriptions: Subscriptions | None = None) -> None:
        self.desk = desk
        self.reader = reader
        self.subscriptions = subscriptions
        self.company = Company(desk, company)

    def create(self, call: Call) -> Response:
        """Add an object to an entity set."""
        if call.rest:
            raise no_such_path()
        return self.reader.entity(call, self._created(call.name, body_of(call)), 201)

    def _created(self, name: str, body: Any) -> Any:
        if name in ("IncomingPayments", "VendorPayments"):
            return post_payment(self.desk, name, body)
        if name in ("Invoices", "CreditNotes"):
            return post_document(self.desk, name, body)
        if name == "BusinessPartners":
            return post_partner(self.desk, body)
        if name == "JournalEntries":
            return post_entry(self.desk, body)
        if name == "InternalReconciliations":
            return post_reconciliation(self.desk, body)
        if name == "EventSubscriptions" and self.subscriptions is not None:
            return self.subscriptions.create(body)
        if name in self.desk.switches.user_tables:
            fields = self.desk.schema.read_body(name, body)
            if not fields.get("Code"):
                raise SapError(-5002, f"Code undefined  [@{name[2:]}.Code]")
            return self.desk.books.add_user_row(name, fields)
        raise not_supported()

    def change(self, call: Call) -> Response:
        """Change an object in place."""
        type_name = self.reader.sets[call.name][0]
        if call.rest or type_name not in PATCHABLE:
            raise not_supported()
        record = self.reader.record(call)
        self._if_match(call, record)
        replace = call.request.headers.get("b1s-replacecollectionsonpatch", "").lower() == "true"
        if call.name == "EventSubscriptions" and self.subscriptions is not None:
            self.subscriptions.change(record, body_of(call), replace=replace)
            return Response(204)
        patch(self.desk, type_name, record, body_of(call), replace=replace)
        self.desk.books.notice(call.name, self.reader.key(call), "Updated")
        return Response(204)

    def delete(self, call: Call) -> Response:
        """Delete a draft; documents refuse."""
        if call.name == "EventSubscriptions" and self.subscriptions is not None and not call.rest:
            self.subscriptions.delete(self.reader.record(call))
            return Response(204)
        if call.name != "PaymentDrafts" or call.rest:
            raise not_supported()
        self.reader.record(call)
        self.desk.books.remove_draft(self.reader.key(call))
        return Response(204)

    def _if_match(self, call: Call, record: Any) -> None:
        wanted = call.request.headers.get("if-match")
        if self.reader.sets[call.name][0] in TAGGED and wanted not in (None, "*", etag(record)):
            raise SapError(-2039, "Another user or another operation modified data (ODBC -2039)", 412)

    def act(self, call: Call) -> Response:
        """Do an action of one object: Cancel, Close, Reopen."""
        record, key = self.reader.record(call), self.reader.key(call)
        self._if_match(call, record)
        if call.name in ("IncomingPayments", "VendorPayments") and call.rest in ("Cancel", "CancelbyCurrentSystemDate"):
            self.desk.books.call_off(record, self.desk.day(record.date if call.rest == "Cancel" else None))
        elif call.name == "EventSubscriptions" and self.subscriptions is not None:
            self.subscriptions.act(record, call.rest)
        elif call.name in ("Invoices", "CreditNotes"):
            self._act_on_document(call, record)
        elif call.name == "JournalEntries" and call.rest == "Cancel":
            self.desk.books.cancel_entry(key, self.desk.day(record.date))
        elif call.name == "InternalReconciliations" and call.rest == "Cancel":
            self.desk.books.unsettle(key)
        elif call.name == "PaymentDrafts" and call.rest == "SaveDraftToDocument":
            self.desk.day(record.date)
            self.desk.books.approve_draft(key)
        else:
            raise no_such_path()
        return Response(204)

    def _act_on_document(self, call: Call, record: Any) -> None:
        books = self.desk.books
        if call.rest == "Cancel":
            self.desk.day(record.doc_date)
            books.cancel_document(call.name, record.doc_entry)
        elif call.rest == "Close" and call.name == "Invoices":
            books.close_document(record.doc_entry)
        elif call.rest == "Reopen" and call.name == "Invoices":
            books.reopen_document(record.doc_entry)
        else:
            raise no_such_path()

    # --- calls that belong to no object ---------------------------------------------------------------------------
    def is_call(self, name: str) -> bool:
        """Tell whether an address is a function or action of the company."""
        return name in self.company.calls or name == OPEN_TRANSACTIONS

    def is_reading(self, name: str) -> bool:
        """Tell whether such a call changes nothing."""
        return self.is_call(name) and not name.endswith(("_SetCurrencyRate", "_UpdateAdminInfo"))

    def call(self, call: Call) -> Response:
        """Answer a function or action of the company."""
        if call.rest or call.key_text is not None:
            raise no_such_path()
        if call.method != "POST" and not (call.method == "GET" and call.name in READ_ONLY):
            raise not_supported()
        body = body_of(call) if call.method == "POST" else None
        if call.name == OPEN_TRANSACTIONS:
            envelope = call.envelope("InternalReconciliationOpenTrans")
            return Response.of_json(200, dict([envelope]) | open_transactions(self.desk, body, call.version))
        result = self.company.call(call.name, body, call.version)
        envelope = call.envelope(call.name)
        if result is None:
            return Response(204)
        if isinstance(result, list):
            return Response.of_json(200, {envelope[0]: envelope[1], "value": result})
        if isinstance(result, dict):
            return Response.of_json(200, dict([envelope]) | result)
        return single_value(result, self.desk.switches.function_values, envelope)


def body_of(call: Call) -> Any:
    """Read the JSON body of a call; None where it is empty."""
    if not call.request.body.strip():
        return None
    try:
        return call.request.json()
    except ValueError:
        raise SapError(-1004, "The request body is no valid JSON") from None
