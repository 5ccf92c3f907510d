"""Reading through the simulated Service Layer: filters, paging, order, links, and strict refusals."""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_sap_support import D, Sap, invoice, payment, sap


def company(count: int = 7, version: str = "v2", **switches: Any) -> Sap:
    """Make a company with invoices of 119.00, 120.19 and so on, for two customers in turn."""
    caller = sap(version, **switches)
    for number in range(count):
        invoice(caller.service.books, "C1" if number % 2 else "C2", str(100 + number), NumAtCard=f"PO{number}")
    return caller


def entries(caller: Sap, filter_text: str, **query: Any) -> list[int]:
    """Return the DocEntry of all invoices a filter finds."""
    answer = caller.get("Invoices", filter=filter_text, select="DocEntry", **query)
    assert answer.status == 200, answer.body
    return [row["DocEntry"] for row in answer.body["value"]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("DocEntry eq 3", [3]),
        ("DocEntry gt 5", [6, 7]),
        ("DocEntry ge 5 and DocEntry lt 7", [5, 6]),
        ("DocEntry le 2 or DocEntry eq 7", [1, 2, 7]),
        ("not (DocEntry gt 2)", [1, 2]),
        ("not DocEntry gt 2", [1, 2]),
        ("5 lt DocEntry", [6, 7]),
        ("DocEntry eq 1 or DocEntry eq 2 and CardCode eq 'C2'", [1]),
        ("(DocEntry eq 1 or DocEntry eq 2) and CardCode eq 'C1'", [2]),
        ("DocTotal eq 119", [1]),
        ("DocTotal ge 124.95 and DocTotal lt 126.14", [6]),
        ("NumAtCard eq 'PO0' or NumAtCard eq 'PO4' or NumAtCard eq 'zz'", [1, 5]),
        ("startswith(NumAtCard,'PO') and endswith(NumAtCard,'3')", [4]),
        ("contains(NumAtCard,'O3')", [4]),
        ("substringof('O3',NumAtCard)", [4]),
        ("startswith(NumAtCard,'PO6') eq true", [7]),
        ("contains(CardName,'O''Neil')", [1, 3, 5, 7]),
        ("DocumentStatus eq 'bost_Open' and DocEntry eq 1", [1]),
        ("DocumentStatus eq 'O' and DocEntry eq 1", [1]),
        ("Cancelled eq 'tNO' and CancelStatus eq 'csNo' and DocEntry eq 1", [1]),
        ("Cancelled eq 'N' and DocEntry eq 1", [1]),
        ("DocDate eq '2026-05-01' and DocEntry eq 1", [1]),
        ("DocDate gt '2026-04-30T12:00:00Z' and DocEntry eq 1", [1]),
        ("DocDate eq '20260501' and DocEntry eq 1", [1]),
        ("(UpdateDate gt '2026-05-28' or (UpdateDate eq '2026-05-28' and UpdateTime ge '22:26:40')) and DocEntry eq 1", [1]),
        ("UpdateTime gt '22:26' and DocEntry eq 1", [1]),
        ("UpdateTime ge '222641' and DocEntry eq 1", []),
        ("Comments eq null and DocEntry eq 1", [1]),
        ("Comments ne null", []),
        ("Comments eq 'x'", []),
        ("DocEntry ne 1 and DocEntry le 2", [2]),
    ],
)
def test_filters(text: str, expected: list[int]) -> None:
    """Each filter finds exactly these invoices, on both versions."""
    for version in ("v1", "v2"):
        assert entries(company(version=version), text) == expected


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Nothing eq 1", -1000),
        ("DocEntry eq '1'", 201),
        ("CardCode eq C1", 201),
        ("CardCode eq 5", 201),
        ("DocEntry = 1", 201),
        ("DocEntry eq", 201),
        ("DocEntry", 201),
        ("(DocEntry eq 1", 201),
        ("DocEntry eq 1)", 201),
        ("DocEntry eq 1 DocEntry eq 2", 201),
        ("DocEntry eq 1 and", 201),
        ("DocEntry add 1 eq 2", 201),
        ("1 eq 1", 201),
        ("DocDate eq 'yesterday'", 201),
        ("DocDate eq 5", 201),
        ("DocDate eq '2026-02-30'", 201),
        ("UpdateTime gt 'noon'", 201),
        ("year(DocDate) eq 2026", 201),
        ("DocumentStatus eq 'open'", 201),
        ("DocumentStatus eq bost_Open", 201),
        ("DocumentLines eq 1", 201),
        ("DocumentLines/any(l: l/LineNum eq 0)", 201),
        ("startswith(DocEntry,'1')", 201),
        ("startswith('PO',NumAtCard)", 201),
        ("startswith(NumAtCard,'P') eq 1", 201),
        ("DocEntry gt null", 201),
        ("CardCode eq 'C1", 201),
        ("(" * 500 + "DocEntry eq 1" + ")" * 500, 201),
        ("not " * 500 + "DocEntry eq 1", 201),
        ("", 201),
        ("U_MLC_Key eq 'x'", -1000),
    ],
)
def test_broken_filters_are_refused(text: str, code: int) -> None:
    """A filter that is not understood or names an unknown property is a 400."""
    assert company(1).get("Invoices", filter=text).error[:2] == (400, code)


def test_date_dialects_per_version() -> None:
    """The form datetime'' belongs to v1, a bare date to v2; a strict server takes the quoted form alone."""
    assert entries(company(1, "v1"), "DocDate eq datetime'2026-05-01'") == [1]
    assert entries(company(1, "v2"), "DocDate eq 2026-05-01") == [1]
    assert company(1, "v2").get("Invoices", filter="DocDate eq datetime'2026-05-01'").error[1] == 201
    assert company(1, "v1").get("Invoices", filter="DocDate eq 2026-05-01").error[1] == 201
    strict = company(1, date_literals="quoted")
    assert entries(strict, "DocDate eq '2026-05-01'") == [1]
    assert strict.get("Invoices", filter="DocDate eq '20260501'").error[1] == 201


def test_unknown_filter_property_may_be_201() -> None:
    """Some servers answer an unknown property in a filter with 201."""
    assert company(1, unknown_filter_code=201).get("Invoices", filter="U_X eq 'a'").error[1] == 201


def test_user_field_exists_where_it_was_made() -> None:
    """A user field that the company has can be selected and filtered."""
    caller = sap(user_fields=frozenset({"OINV.U_MLC_Key"}))
    invoice(caller.service.books, U_MLC_Key="k1")
    invoice(caller.service.books)
    answer = caller.get("Invoices", filter="U_MLC_Key eq 'k1'", select="DocEntry,U_MLC_Key")
    assert [(row["DocEntry"], row["U_MLC_Key"]) for row in answer.rows] == [(1, "k1")]
    assert caller.get("IncomingPayments", filter="U_MLC_Key eq 'k1'").error[1] == -1000


def test_case_insensitive_collation() -> None:
    """On a case-insensitive database texts match in any case."""
    assert entries(company(1), "NumAtCard eq 'po0'") == []
    caller = company(2, case_insensitive=True)
    assert entries(caller, "NumAtCard eq 'po0' or contains(NumAtCard,'o1')") == [1, 2]
    assert [row["CardCode"] for row in caller.get("BusinessPartners", filter="CardCode eq 'c1'").rows] == ["C1"]


def test_minutes_only_servers_ignore_seconds() -> None:
    """Where seconds do not count, a time of the same minute is equal and shown without seconds."""
    caller = company(1, update_time_has_seconds=False)
    assert entries(caller, "UpdateTime eq '22:26:59'") == [1]
    assert caller.get("Invoices(1)", select="UpdateTime").body["UpdateTime"] == "22:26:00"
    assert entries(company(1), "DocTime eq '22:26:59'") == [1]


def test_dates_and_times_per_version() -> None:
    """v1 writes plain dates, v2 dates that look like midnight in UTC; times are the same."""
    for version, day in (("v1", "2026-05-01"), ("v2", "2026-05-01T00:00:00Z")):
        body = company(1, version).get("Invoices(1)", select="DocDate,UpdateTime").body
        assert (body["DocDate"], body["UpdateTime"]) == (day, "22:26:40")


def test_default_page_and_next_link() -> None:
    """A page has 20 rows; the relative link leads through all rows and repeats the query."""
    caller = company(45)
    link, seen, links = "Invoices?$select=DocEntry&$filter=DocEntry gt 2 and DocTotal gt 0", [], []
    while link:
        parts = urlsplit(link)
        answer = caller.get(parts.path, **{key[1:]: value for key, value in parse_qsl(parts.query)})
        seen += [row["DocEntry"] for row in answer.rows]
        link = answer.body.get("@odata.nextLink", "")
        links.append(link)
    assert seen == list(range(3, 46))
    assert links[0] == "Invoices?$select=DocEntry&$filter=DocEntry%20gt%202%20and%20DocTotal%20gt%200&$skip=20"
    assert "odata.nextLink" in company(21, "v1").get("Invoices").body


@pytest.mark.parametrize(
    ("style", "link"),
    [
        ("relative", "Invoices?$skip=20"),
        ("path", "/SL/b1s/v2/Invoices?$skip=20"),
        ("absolute", "http://sap.test/SL/b1s/v2/Invoices?$skip=20"),
        ("foreign", "http://elsewhere.example/SL/b1s/v2/Invoices?$skip=20"),
        ("off", None),
    ],
)
def test_next_link_styles(style: str, link: str | None) -> None:
    """The link comes in every style seen in the wild, or not at all."""
    caller = sap(prefix="/SL", next_link=style)
    for _ in range(21):
        invoice(caller.service.books)
    assert caller.get("Invoices").body.get("@odata.nextLink") == link


def test_next_link_may_forget_the_query() -> None:
    """A careless server's link carries the position alone."""
    caller = company(25, next_link_keeps_options=False)
    answer = caller.get("Invoices", filter="DocEntry gt 0", select="DocEntry")
    assert answer.body["@odata.nextLink"] == "Invoices?$skip=20"


def test_full_last_page_still_has_a_link() -> None:
    """An exactly full last page has a link to an empty one, or none where the server knows better."""
    caller = company(20)
    assert caller.get("Invoices").body["@odata.nextLink"] == "Invoices?$skip=20"
    assert caller.get("Invoices", skip=20).body["value"] == []
    assert "@odata.nextLink" not in company(20, full_page_has_link=False).get("Invoices").body


def test_page_size_is_asked_for_and_confirmed() -> None:
    """Prefer and B1S-PageSize set the page, 0 takes all, the answer says what was applied, within the server's limit."""
    caller = company(30)
    answer = caller.send("GET", "Invoices", headers={"prefer": "odata.maxpagesize=7"})
    assert (len(answer.rows), answer.headers["Preference-Applied"]) == (7, "odata.maxpagesize=7")
    assert len(caller.send("GET", "Invoices", headers={"b1s-pagesize": "25"}).rows) == 25
    everything = caller.send("GET", "Invoices", headers={"prefer": "odata.maxpagesize=0"})
    assert (len(everything.rows), "@odata.nextLink" in everything.body) == (30, False)
    limited = company(30, page_limit=10).send("GET", "Invoices", headers={"prefer": "odata.maxpagesize=500"})
    assert (len(limited.rows), limited.headers["Preference-Applied"]) == (10, "odata.maxpagesize=10")


def test_top_holds_across_pages() -> None:
    """$top counts over all pages; not above the page size there is no link although more rows exist."""
    caller = company(45)
    first = caller.get("Invoices", top=30, select="DocEntry")
    assert first.body["@odata.nextLink"] == "Invoices?$select=DocEntry&$top=10&$skip=20"
    second = caller.get("Invoices", top=10, skip=20)
    assert (len(second.rows), "@odata.nextLink" in second.body) == (10, False)
    assert "@odata.nextLink" not in caller.get("Invoices", top=20).body


def test_order_by_several() -> None:
    """Rows are ordered by several properties, up and down; without order the server chooses."""
    caller = company(4)
    rows = caller.get("Invoices", orderby="CardCode desc,DocEntry desc", select="DocEntry").rows
    assert [row["DocEntry"] for row in rows] == [3, 1, 4, 2]
    rows = caller.get("Invoices", orderby="DocTotal asc", select="DocEntry").rows
    assert [row["DocEntry"] for row in rows] == [1, 2, 3, 4]
    rows = company(3, default_order="reverse").get("Invoices", select="DocEntry").rows
    assert [row["DocEntry"] for row in rows] == [3, 2, 1]
    keyset = caller.get("BusinessPartners", filter="CardCode gt 'C1'", orderby="CardCode", select="CardCode")
    assert [row["CardCode"] for row in keyset.rows] == ["C2"]


def test_counts() -> None:
    """$count is plain text and obeys the filter; inline counts are a text on v1 and a number on v2."""
    caller = company(7)
    answer = caller.get("Invoices/$count", filter="DocEntry gt 2")
    assert (answer.body, answer.headers["Content-Type"].split(";")[0]) == ("5", "text/plain")
    assert caller.get("Invoices", count="true", top=1).body["@odata.count"] == 7
    assert company(7, "v1").get("Invoices", inlinecount="allpages", top=1).body["odata.count"] == "7"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"select": "DocEntry,Nonsense"}, -1000),
        ({"select": "DocumentLines/LineNum"}, 201),
        ({"orderby": "Nonsense"}, -1000),
        ({"orderby": "DocEntry up"}, 201),
        ({"orderby": "DocumentLines"}, 201),
        ({"expand": "DocumentLines"}, 201),
        ({"apply": "aggregate(DocTotal with sum as x)"}, 201),
        ({"top": "many"}, 201),
        ({"skip": "-1"}, 201),
        ({"inlinecount": "allpages"}, 201),
        ({"count": "yes"}, 201),
    ],
)
def test_bad_options_are_refused(query: dict[str, str], code: int) -> None:
    """Unknown options, unknown properties and options of the other version are a 400."""
    assert company(1).get("Invoices", **query).error[:2] == (400, code)


def test_collections_come_by_key_or_by_name() -> None:
    """Lines come with a GET by key and with a list that names them, not with a list that does not."""
    caller = company(1)
    one = caller.get("Invoices(1)")
    assert one.body["DocumentLines"][0]["LineTotal"] == D("100.0")
    assert one.headers["ETag"] == one.body["@odata.etag"]
    assert "DocumentLines" not in caller.get("Invoices").rows[0]
    assert len(caller.get("Invoices", select="DocEntry,DocumentLines,DocumentInstallments").rows[0]["DocumentLines"]) == 1


def test_keys() -> None:
    """Objects are found by number, by quoted text with doubled quotes, and by named key; anything else is refused."""
    caller = company(1)
    caller.service.books.add_partner("A'b (c)/1", "Quoted")
    assert caller.get("BusinessPartners('A''b (c)/1')", select="CardName").body["CardName"] == "Quoted"
    assert caller.get("Invoices(DocEntry=1)", select="DocNum").body["DocNum"] == 1001
    assert caller.get("Invoices(99)").error == (404, -2028, "No matching records found (ODBC -2028)")
    assert caller.get("Invoices(-1)").error[0] == 404
    assert caller.get("Invoices('1')").error[0] == 400
    assert caller.get("BusinessPartners(1)").error[0] == 400
    assert caller.get("Invoices(DocNum=1)").error[0] == 400
    assert caller.get("Invoices(1)", filter="DocEntry eq 1").error[:2] == (400, 201)
    assert caller.get("Invoices(1)/DocumentLines").error[0] == 404
    assert caller.get("Orders").error[:2] == (404, -1008)


def test_every_entity_set_answers() -> None:
    """Every set that is served lists its rows with all its properties and counts them."""
    caller = company(1)
    entry = caller.service.books.add_receipt("C2", D("1"), {1: D("1")}, date=dt.date(2026, 5, 2))
    caller.service.books.credit_memo(1, D("1"))
    caller.service.books.add_project("P1", "Project")
    for name in (
        "Invoices", "CreditNotes", "DownPayments", "BusinessPartners", "IncomingPayments", "VendorPayments", "PaymentDrafts",
        "JournalEntries", "ChartOfAccounts", "Currencies", "ProfitCenters", "Dimensions", "BusinessPlaces", "Projects",
    ):  # fmt: skip
        rows = caller.send("GET", name, headers={"prefer": "odata.maxpagesize=0"}).rows
        assert str(len(rows)) == caller.get(f"{name}/$count").body
        assert rows or name in ("DownPayments", "PaymentDrafts", "VendorPayments")
    assert caller.get(f"IncomingPayments({entry})").body["PaymentInvoices"][0]["SumApplied"] == 1
    assert caller.get("InternalReconciliations").error[:2] == (400, -5006)
    assert caller.get("InternalReconciliations(1)").body["ReconType"] == "rtPayment"


def test_paid_to_date_may_be_missing() -> None:
    """In an older version PaidToDate does not exist."""
    assert company(1).get("Invoices(1)", select="PaidToDate").body["PaidToDate"] == 0
    assert company(1, has_paid_to_date=False).get("Invoices(1)", select="PaidToDate").error[1] == -1000


def test_segmented_accounts_have_two_codes() -> None:
    """Where accounts are segmented the code is internal and the visible one stands in FormatCode."""
    caller = sap(segmented_accounts=True)
    row = caller.get("ChartOfAccounts", filter="FormatCode eq '1361'").rows[0]
    assert row["Code"].startswith("_SYS")
    assert caller.get("ChartOfAccounts('1361')").error[0] == 404
    entry = invoice(caller.service.books)
    assert caller.post("IncomingPayments", payment((entry, "119"))).error[1] == -2028
    assert caller.post("IncomingPayments", payment((entry, "119"), TransferAccount=row["Code"])).status == 201
    assert caller.service.books.balance("1361") == D("119")


@pytest.mark.parametrize(("how", "found"), [("works", [1]), ("ignored", [1, 2]), ("always_empty", [])])
def test_marker_filters_may_lie(how: str, found: list[int]) -> None:
    """A filter on the marker field works, is ignored, or never finds anything."""
    caller = sap(payment_marker_filter=how, entry_marker_filter=how)
    books = caller.service.books
    for reference in ("a", "b"):
        books.add_receipt("C1", D("1"), date=dt.date(2026, 5, 1), reference=reference)
        lines = [books.line("1200", D("1")), books.line("1590", D("-1"))]
        books.add_entry(lines, dt.date(2026, 5, 1), fields={"Reference2": reference})
    for text in ("TransferReference eq 'a'", "TransferReference eq 'a' or TransferReference eq 'x'"):
        assert [row["DocEntry"] for row in caller.get("IncomingPayments", filter=text).rows] == found
    rows = caller.get("JournalEntries", filter="Reference2 eq 'a' and OriginalJournal eq 'ttJournalEntry'").rows
    assert len(rows) == len(found)


def test_marker_filters_may_be_refused() -> None:
    """A server that cannot filter the marker says so."""
    caller = sap(payment_marker_filter="refused", entry_marker_filter="refused", original_filters=False)
    assert caller.get("IncomingPayments", filter="TransferReference eq 'a'").error[:2] == (400, 201)
    assert caller.get("JournalEntries", filter="Reference2 eq 'a'").error[:2] == (400, 201)
    assert caller.get("JournalEntries", filter="Original eq 1").error[:2] == (400, 201)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=30))
def test_any_text_is_found_by_its_own_filter(text: str) -> None:
    """A text quoted by doubling its quotes finds exactly the row that holds it."""
    caller = FUZZED
    books = caller.service.books
    number = invoice(books, NumAtCard=text)
    found = entries(caller, "NumAtCard eq '" + text.replace("'", "''") + f"' and DocEntry ge {number}")
    assert found == [number]


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="DocEntry eqandor()'1,\"$/-.:é ", max_size=40))
def test_no_text_breaks_the_filter(text: str) -> None:
    """Any text is either a filter or a clean refusal."""
    assert FUZZED.get("Invoices", filter=text, top=1).status in (200, 400)


FUZZED = sap()
