"""$batch of the simulated Service Layer: change sets as a whole or not at all, and claims that make a write unique."""

from __future__ import annotations

import json
from typing import Any

import pytest
from test_sap_support import D, Sap, invoice, payment, sap

from mlc.sandbox.kit import dump_json

CLAIMS = frozenset({"U_MLC_CLAIM"})


def change_set(*parts: tuple[str, str, Any], ids: bool = True, inner_ids: bool = False, quoted: bool = False) -> str:
    """Write a change set of (method, path, body) parts."""
    pieces = []
    for number, (method, path, body) in enumerate(parts, 1):
        name = f"Content-ID: {number}\r\n"
        head = "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n" + (name if ids else "")
        inner = name if inner_ids else ""
        text = dump_json(body) if body is not None else ""
        pieces.append(f"--cs\r\n{head}\r\n{method} {path} HTTP/1.1\r\nContent-Type: application/json\r\n{inner}\r\n{text}\r\n")
    mark = '"cs"' if quoted else "cs"
    return f"Content-Type: multipart/mixed;boundary={mark}\r\n\r\n" + "".join(pieces) + "--cs--\r\n"


def reading(path: str) -> str:
    """Write one reading part."""
    return f"Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\nGET {path} HTTP/1.1\r\n\r\n"


def batch(caller: Sap, *pieces: str) -> Any:
    """Send a batch of these pieces."""
    body = "".join(f"--b1\r\n{piece}\r\n" for piece in pieces) + "--b1--\r\n"
    return caller.send("POST", "$batch", body.encode(), {"content-type": "multipart/mixed;boundary=b1"})


def claimed(entry: int, marker: str = "k1") -> str:
    """Write a change set of a claim and the payment it guards."""
    paying = payment((entry, "119"))
    return change_set(("POST", "U_MLC_CLAIM", {"Code": marker, "Name": marker}), ("POST", "/b1s/v2/IncomingPayments", paying))


def state(caller: Sap) -> str:
    """Write down everything the company holds."""
    books = caller.service.books
    tables = (
        books.accounts, books.partners, books.journal, books.documents, books.receipts, books.reconciliations, books.drafts,
    )  # fmt: skip
    return repr(tables) + repr(books.user_rows)


def test_claim_and_payment_in_one_change_set() -> None:
    """A claim and a payment in one change set are both done; the answer carries both objects."""
    caller = sap(user_tables=CLAIMS)
    entry = invoice(caller.service.books)
    answer = batch(caller, claimed(entry))
    assert (answer.status, answer.headers["Content-Type"].split("=")[0]) == (200, "multipart/mixed;boundary")
    assert answer.body.count("HTTP/1.1 201 Created") == 2
    assert '"TransferReference": "pi_3NxExample00000000000001"' in answer.body
    assert caller.service.books.open_balance(entry) == 0
    assert caller.get("U_MLC_CLAIM('k1')").body["Name"] == "k1"
    caller.service.books.check()


def test_second_claim_fails_as_a_whole() -> None:
    """The same claim again is -2035 and takes the payment with it, in whichever order they stand."""
    caller = sap(user_tables=CLAIMS)
    first, second = invoice(caller.service.books), invoice(caller.service.books)
    batch(caller, claimed(first))
    before = state(caller)
    late = change_set(("POST", "IncomingPayments", payment((second, "119"))), ("POST", "U_MLC_CLAIM", {"Code": "k1"}))
    for piece in (claimed(second), late):
        answer = batch(caller, piece)
        assert (answer.status, answer.body.count("HTTP/1.1")) == (200, 1)
        assert json.loads(answer.body[answer.body.index('{"error"') :].splitlines()[0])["error"]["code"] == "-2035"
        assert state(caller) == before
    assert caller.service.books.open_balance(second) == D("119.00")
    caller.service.books.check()


def test_failed_change_set_leaves_no_trace() -> None:
    """Cancellations, changes, partners and entries before a failure are all taken back."""
    caller = sap(user_tables=CLAIMS)
    books = caller.service.books
    paid, other = invoice(books), invoice(books)
    caller.post("IncomingPayments", payment((paid, "119")))
    before = state(caller)
    lines = [{"AccountCode": "1200", "Debit": 5}, {"ShortName": "C1", "Credit": 5}]
    parts = (
        ("POST", "IncomingPayments(1)/Cancel", None),
        ("PATCH", "BusinessPartners('C1')", {"CardName": "Other", "EmailAddress": "x@example.com"}),
        ("POST", f"Invoices({other})/Cancel", None),
        ("POST", "BusinessPartners", {"CardCode": "C9", "CardName": "New"}),
        ("POST", "JournalEntries", {"JournalEntryLines": lines}),
        ("POST", "IncomingPayments", payment(total="0.01")),
    )
    failing = ("POST", "IncomingPayments", payment((99, "1")))
    assert "-2028" in batch(caller, change_set(*parts, failing)).body
    assert state(caller) == before
    assert batch(caller, change_set(*parts)).body.count("HTTP/1.1 20") == 6
    books.check()


def test_reads_and_references() -> None:
    """Reads stand outside change sets; $1 is what the first part made; v1 answers 202 and has its ids inside."""
    for version, status in (("v1", 202), ("v2", 200)):
        caller = sap(version)
        parts = (("POST", "IncomingPayments", payment(total="5")), ("POST", "$1/Cancel", None))
        piece = change_set(*parts, ids=version == "v2", inner_ids=version == "v1", quoted=True)
        answer = batch(caller, piece, reading("IncomingPayments(1)?$select=Cancelled"))
        assert answer.status == status
        assert '"Cancelled": "tYES"' in answer.body
        caller.service.books.check()


def test_batch_stops_at_the_first_failure() -> None:
    """Parts after a failed one are not done."""
    caller = sap()
    answer = batch(caller, reading("Invoices(9)"), change_set(("POST", "IncomingPayments", payment(total="5"))))
    assert answer.body.count("HTTP/1.1") == 1
    assert caller.service.books.receipts == {}


@pytest.mark.parametrize(
    "piece",
    [
        change_set(("GET", "Invoices", None)),
        "Content-Type: application/http\r\n\r\nPOST IncomingPayments HTTP/1.1\r\n\r\n{}",
        "Content-Type: text/plain\r\n\r\nhello",
        "Content-Type: application/http\r\n\r\nnonsense",
        "Content-Type: multipart/mixed\r\n\r\nnothing",
    ],
)
def test_incomplete_batches(piece: str) -> None:
    """Reads in change sets, writes outside, and what is no HTTP are refused."""
    assert batch(sap(), piece).error == (400, -1000, "Incomplete Batch Request Body!")


def test_batch_needs_its_ends_and_ids() -> None:
    """A batch without its closing mark, and v2 change sets without unique ids, are refused."""
    caller = sap()
    assert caller.send("POST", "$batch", b"--b1\r\n", {"content-type": "multipart/mixed;boundary=b1"}).error[1] == -1000
    assert caller.send("POST", "$batch", b"--b1--\r\n").error[1] == -1000
    piece = change_set(("POST", "IncomingPayments", payment(total="5")), ids=False)
    assert batch(caller, piece).error[1] == 244


def test_claims_without_a_batch() -> None:
    """The user table is an entity set of its own; it exists only where it was made."""
    caller = sap(user_tables=CLAIMS, user_fields=frozenset({"@MLC_CLAIM.U_When"}))
    assert caller.post("U_MLC_CLAIM", {"Code": "a", "U_When": "now"}).status == 201
    assert caller.post("U_MLC_CLAIM", {"Code": "a"}).error[1] == -2035
    assert caller.post("U_MLC_CLAIM", {"Name": "a"}).error[1] == -5002
    assert [row["U_When"] for row in caller.get("U_MLC_CLAIM", filter="Code eq 'a'").rows] == ["now"]
    assert sap().post("U_MLC_CLAIM", {"Code": "a"}).error[:2] == (404, -1008)
