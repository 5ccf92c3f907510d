"""Balance and payouts of the simulated Stripe."""

from __future__ import annotations

import pytest
from test_stripe_world import DAY, world

from mlc.sandbox.stripe import Refusal, StripeSwitches


def with_money(switches=None, currency="eur"):
    """Return service and caller of an account with two charges, a refund and a monthly fee, all available."""
    service, call = world(switches)
    account = service.account
    customer = account.add_customer("A")
    account.pay(account.add_invoice(customer, 11900, currency))
    second = account.pay(account.add_invoice(customer, 23800, currency))
    account.refund(second, 5000)
    service.clock.advance(3 * DAY)
    return service, call


def test_balance_becomes_available():
    """Charges are pending for some days, then available."""
    service, call = world()
    service.account.pay_without_invoice(None, 11900)
    assert call.get("balance")["pending"][0]["amount"] == 11697
    service.clock.advance(2 * DAY)
    body = call.get("balance")
    assert (body["available"][0]["amount"], body["pending"][0]["amount"]) == (11697, 0)
    assert call.get("balance_transactions")["data"][0]["status"] == "available"


def test_automatic_payout_can_be_taken_apart():
    """The movements of a reconciled payout, its own entry aside, add up to its amount; the example of the books."""
    service, call = with_money()
    payout = service.account.make_payout()
    body = call.get(f"payouts/{payout}")
    assert (body["amount"], body["status"], body["reconciliation_status"]) == (30115, "pending", "in_progress")
    assert body["automatic"] is True
    service.account.send_payout(payout)
    assert call.get("payouts", {"status": "in_transit"})["data"][0]["id"] == payout
    service.account.complete_payout(payout)
    body = call.get(f"payouts/{payout}", {"expand": ["balance_transaction"]})
    assert (body["status"], body["reconciliation_status"]) == ("paid", "completed")
    assert body["trace_id"]["status"] == "supported"
    rows = call.get("balance_transactions", {"payout": payout, "limit": 100, "expand": ["data.source"]})["data"]
    assert sum(one["net"] for one in rows) == 0
    assert sum(one["net"] for one in rows if one["id"] != body["balance_transaction"]["id"]) == 30115
    assert sum(one["fee"] for one in rows) == 203 + 382
    assert {one["source"]["object"] for one in rows} == {"charge", "refund", "payout"}
    assert [one["type"] for one in service.account.events()][-4:] == [
        "payout.updated",
        "payout.paid",
        "payout.updated",
        "payout.reconciliation_completed",
    ]
    assert call.get("balance")["available"][0]["amount"] == 0
    service.account.check()


def test_reconciliation_can_come_later():
    """A payout may be paid while its reconciliation is still in progress."""
    service, call = with_money()
    payout = service.account.complete_payout(service.account.make_payout(), reconcile=False)
    assert call.get(f"payouts/{payout}")["reconciliation_status"] == "in_progress"
    service.account.reconcile_payout(payout)
    assert call.get(f"payouts/{payout}")["reconciliation_status"] == "completed"
    with pytest.raises(Refusal):
        service.account.reconcile_payout(payout)


def test_manual_payouts_cannot_be_taken_apart():
    """The movements of a manual payout cannot be listed, and it is not reconciled."""
    service, call = with_money()
    payout = service.account.complete_payout(service.account.manual_payout(10000))
    assert call.get(f"payouts/{payout}")["reconciliation_status"] == "not_applicable"
    assert "manual" in call.refused("balance_transactions", {"payout": payout}, method="GET")["message"]
    with pytest.raises(Refusal):
        service.account.manual_payout(10**7)
    service.account.check()


def test_payouts_bounce():
    """A payout can fail even after it was paid; the money is back and goes out with the next one."""
    service, call = with_money()
    payout = service.account.complete_payout(service.account.make_payout())
    service.account.fail_payout(payout)
    body = call.get(f"payouts/{payout}", {"expand": ["failure_balance_transaction"]})
    assert (body["status"], body["failure_code"]) == ("failed", "account_closed")
    assert body["failure_balance_transaction"]["reporting_category"] == "payout_reversal"
    again = service.account.make_payout()
    assert call.get(f"payouts/{again}")["amount"] == 30115
    with pytest.raises(Refusal):
        service.account.fail_payout(payout)
    service.account.check()


def test_nothing_to_pay_out():
    """Without available money there is no payout."""
    service, _ = world()
    with pytest.raises(Refusal):
        service.account.make_payout()
    service.account.book(-990)
    with pytest.raises(Refusal):
        service.account.make_payout()


def test_foreign_movements():
    """Monthly fees, reserves and unknown categories stand in payouts like everything else."""
    service, call = with_money()
    service.account.book(-990, description="Billing usage fee")
    service.account.book(-1000, type="reserve_transaction", reporting_category="risk_reserved_funds")
    service.account.book(7, type="moon_dust", reporting_category="moon_dust")
    payout = service.account.complete_payout(service.account.make_payout())
    assert call.get(f"payouts/{payout}")["amount"] == 30115 - 990 - 1000 + 7
    kinds = [one["reporting_category"] for one in call.get("balance_transactions", {"payout": payout})["data"]]
    assert {"fee", "risk_reserved_funds", "moon_dust"} <= set(kinds)
    assert len(call.get("balance_transactions", {"type": "moon_dust"})["data"]) == 1
    service.account.check()


def test_payouts_in_whole_units():
    """Payouts in HUF are whole units; the rest is held back and released to the next one."""
    service, call = with_money()
    service.account.pay_without_invoice(None, 9_999_933, "huf")
    service.clock.advance(3 * DAY)
    available = service.account.balance()["available"]["huf"]
    payout = service.account.make_payout("huf")
    assert call.get(f"payouts/{payout}")["amount"] == available - available % 100
    assert available % 100
    assert service.account.balance()["available"]["huf"] == available % 100
    service.account.check()


def test_one_balance_per_currency():
    """Each currency has its own balance and payouts, unless it is exchanged."""
    service, call = with_money()
    service.account.pay_without_invoice(None, 10000, "usd")
    service.clock.advance(3 * DAY)
    assert [one["currency"] for one in call.get("balance")["available"]] == ["eur", "usd"]
    payout = service.account.make_payout("usd")
    assert call.get(f"payouts/{payout}")["amount"] == 10000 - 175
    assert len(call.get("balance_transactions", {"currency": "usd"})["data"]) == 2
    exchanged, other = with_money(StripeSwitches(rates={"usd": "0.5"}))
    exchanged.account.pay_without_invoice(None, 10000, "usd")
    assert [one["currency"] for one in other.get("balance")["available"]] == ["eur"]
