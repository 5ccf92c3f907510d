"""What Stripe's objects mean: authorised is not collected, and a part of an amount is not the whole."""

from __future__ import annotations

from typing import Any

import pytest

from mlc.systems.stripe import wire
from mlc.systems.stripe.reads import EVENT_TYPES

CHARGE: dict[str, Any] = {
    "id": "ch_1", "object": "charge", "status": "succeeded", "captured": True, "amount": 11900, "amount_captured": 11900,
    "currency": "eur", "created": 1793700000, "customer": "cus_1",
}  # fmt: skip


def test_an_authorised_charge_is_no_money() -> None:
    """A charge that was authorised and not captured never counts as paid, whatever its status says."""
    payment = wire.charge({**CHARGE, "captured": False, "amount_captured": 0})
    assert payment.status == "requires_capture"
    assert payment.succeeded_at is None


@pytest.mark.parametrize(("captured", "minor"), [(11900, 11900), (5000, 5000)])
def test_a_charge_is_worth_what_was_captured(captured: int, minor: int) -> None:
    """Of a charge captured in part only the part is money."""
    assert wire.charge({**CHARGE, "amount_captured": captured}).amount.minor == minor


@pytest.mark.parametrize("status", ["processing", "requires_capture", "requires_payment_method", "canceled"])
def test_an_intent_that_has_not_succeeded_has_no_moment_of_success(status: str) -> None:
    """Only a succeeded intent says when the money came (complaint 2)."""
    body = {"id": "pi_1", "status": status, "amount": 11900, "amount_received": 0, "currency": "eur", "created": 1793700000}
    assert wire.intent(body, ()).succeeded_at is None


def test_an_intent_is_worth_what_was_received() -> None:
    """An intent captured in part is worth the part."""
    body = {
        "id": "pi_1",
        "status": "succeeded",
        "amount": 11900,
        "amount_received": 4000,
        "currency": "eur",
        "created": 1793700000,
    }
    assert wire.intent(body, ()).amount.minor == 4000


def test_no_more_event_types_than_one_call_takes() -> None:
    """Stripe refuses a list call with more than twenty types as a whole."""
    assert len(EVENT_TYPES) == len(set(EVENT_TYPES)) <= 20
