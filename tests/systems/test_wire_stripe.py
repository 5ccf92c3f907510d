"""Everything mlc says to Stripe, and everything it hears, is as Stripe publishes it."""

from __future__ import annotations

from pathlib import Path

import pytest
from story import told

from published import STRIPE, SapEar, StripeEar

pytestmark = pytest.mark.skipif(not STRIPE.exists(), reason="the published shapes are not beside the repository")
EXPECTED = {
    "POST /v1/customers", "POST /v1/customers/{customer}", "POST /v1/invoices", "POST /v1/invoices/{invoice}/add_lines",
    "POST /v1/invoices/{invoice}/finalize", "POST /v1/invoices/{invoice}/void", "POST /v1/invoices/{invoice}/pay",
    "POST /v1/invoices/{invoice}/attach_payment", "POST /v1/payment_records/report_payment", "POST /v1/credit_notes",
    "GET /v1/events", "GET /v1/invoices", "GET /v1/customers", "GET /v1/charges", "GET /v1/refunds", "GET /v1/disputes",
    "GET /v1/invoice_payments", "GET /v1/payment_intents/{intent}", "GET /v1/invoices/{invoice}", "GET /v1/charges/{charge}",
}  # fmt: skip


def test_every_request_is_as_published(tmp_path: Path) -> None:
    """A story that makes mlc use every operation contains no unknown parameter, no wrong type, nothing too long."""
    ear = StripeEar()
    told(tmp_path, ears=(SapEar(), ear))
    assert ear.wrong == []
    assert set(ear.heard) >= EXPECTED, f"the story misses {EXPECTED - set(ear.heard)}"


def test_mailed_invoices_are_as_published(tmp_path: Path) -> None:
    """With delivery by Stripe the same holds, and each pushed invoice is sent once."""
    ear = StripeEar()
    company = told(tmp_path, ears=(SapEar(), ear), stripe_config="delivery: stripe_email")
    assert ear.wrong == []
    assert ear.heard["POST /v1/invoices/{invoice}/send"] == len(company.account.mails) == 18


def test_the_listener_hears_mistakes() -> None:
    """The listener itself notices an unknown parameter, a wrong type and a missing key: a test that cannot fail proves nothing."""
    from mlc.sandbox.kit import Request, Response

    ear = StripeEar()
    ear(Request("POST", "/v1/invoices/in_1/add_lines", body=b"lines[0][price]=1&lines[0][amount]=x"), Response(200, b"{}"))
    assert len(ear.wrong) >= 3
