"""Everything mlc says to the Service Layer stands in its metadata, in both dialects."""

from __future__ import annotations

from pathlib import Path

import pytest
from story import told

from harness import Company
from mlc.sandbox.kit import Request, Response
from mlc.sandbox.sap import SapSwitches
from published import SAP, SapEar, StripeEar

pytestmark = pytest.mark.skipif(not SAP.exists(), reason="the published metadata is not beside the repository")


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Company:
    """The story told to a Service Layer with the most probable habits; only looked at."""
    return told(tmp_path_factory.mktemp("usual"), ears=(SapEar(), StripeEar()))


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_every_request_stands_in_the_metadata(tmp_path: Path, version: str) -> None:
    """Properties exist, are writable, have their type and length; $select and $filter name what exists; enums are members."""
    ear = SapEar(version)
    told(tmp_path, ears=(ear, StripeEar()), sap_config=f"url: http://127.0.0.1:1/b1s/{version}")
    assert ear.wrong == []
    assert ear.heard["POST IncomingPayments"] >= 7
    for name in ("Invoices", "BusinessPartners", "IncomingPayments", "CreditNotes", "ChartOfAccounts"):
        assert ear.heard[f"GET {name}"], name


@pytest.mark.parametrize(
    "switches",
    [
        SapSwitches(next_link="path"),
        SapSwitches(next_link="off"),
        SapSwitches(page_limit=7),
        SapSwitches(next_link="off", page_limit=7),
        SapSwitches(next_link="absolute", next_link_keeps_options=False, default_order="reverse", full_page_has_link=False),
        SapSwitches(case_insensitive=True, date_literals="quoted", update_time_has_seconds=False),
        SapSwitches(dead_session="-5002", session_timeout_minutes=2),
        SapSwitches(function_values="wrapped", payment_moves_update_date=False),
        SapSwitches(segmented_accounts=True),
    ],
)
def test_every_habit_of_a_service_layer_leads_to_the_same_books(tmp_path: Path, usual: Company, switches: SapSwitches) -> None:
    """Where the documentation leaves a doubt the story ends with the same books under either answer."""
    ears = SapEar(), StripeEar()
    other = told(tmp_path, ears=ears, sap={"switches": switches})
    assert {key: [one.applied for one in found] for key, found in other.posted().items()} == {
        key: [one.applied for one in found] for key, found in usual.posted().items()
    }
    assert other.pushed() == usual.pushed()
    assert other.held() == usual.held()
    assert ears[0].wrong == []


def test_the_listener_hears_mistakes() -> None:
    """The listener itself notices unknown, read-only, mistyped and long values: a test that cannot fail proves nothing."""
    ear = SapEar()
    body = b'{"Nonsense": 1, "Cancelled": "tYES", "TransferSum": "1", "DocType": "rNobody", "CardCode": "1234567890123456"}'
    ear(Request("POST", "/b1s/v2/IncomingPayments", body=body), Response(201))
    ear(Request("GET", "/b1s/v2/Invoices", (("$select", "Nope"), ("$filter", "Wrong eq 'x'"))), Response(200))
    ear(Request("GET", "/b1s/v2/Nothing"), Response(200))
    assert len(ear.wrong) == 8
