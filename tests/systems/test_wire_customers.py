"""Customers both ways say to either system only what is published."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import Company
from published import SAP, STRIPE, SapEar, StripeEar

pytestmark = pytest.mark.skipif(
    not (SAP.exists() and STRIPE.exists()), reason="the published shapes are not beside the repository"
)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_customers_both_ways_are_as_published(tmp_path: Path, version: str) -> None:
    """Merged fields, a partner made for a customer, figures, a deleted customer and paused subscriptions: no word that is unknown."""
    ears = SapEar(version), StripeEar()
    config = "customers: {create_in_sap: true, group: 100, pause_subscriptions: true}"
    company = Company(tmp_path, stripe_config=config, sap_config=f"url: http://127.0.0.1:1/b1s/{version}")
    company.sap.watchers.append(ears[0])
    company.stripe.watchers.append(ears[1])
    company.partner()
    company.invoice()
    company.run()
    (customer,) = company.account.all("customer")
    company.account.add_subscription(customer["id"])
    whole = {"line1": "Weg 1", "line2": "Hof", "city": "Köln", "postal_code": "1", "state": "NRW", "country": "DE"}
    company.account.update_customer(customer["id"], {"phone": "0221", "address": whole})
    company.account.add_customer("Neu & Söhne", "neu@example.com", address=whole, phone="1")
    company.books.change_partner("C1", EmailAddress="", Frozen="tYES")
    company.run()
    company.books.change_partner("C1", Frozen="tNO", ZipCode="")
    company.run()
    company.account.delete_customer(customer["id"])
    company.run()
    assert ears[0].wrong == []
    unlisted = [one for one in ears[1].wrong if "/v1/subscriptions/sub_" not in one]  # what is published has no write of them
    assert unlisted == []
    assert {"PATCH BusinessPartners", "POST BusinessPartners"} <= set(ears[0].heard)
    assert {"GET /v1/subscriptions", "GET /v1/subscriptions/{subscription_exposed_id}"} <= set(ears[1].heard)
