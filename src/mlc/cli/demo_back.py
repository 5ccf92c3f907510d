"""The part of `mlc demo` in which money goes back and Stripe pays out: entries, fees, and the clearing proof."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mlc.cli import options as o
from mlc.core.errors import UnexpectedAnswerError

if TYPE_CHECKING:
    from mlc.cli.session import Session
    from mlc.sandbox.world import World

BOOKING = "      refunds: book\n      disputes: book\n"


def show_money_back(session: Session, world: World, path: Path, run: Callable[..., None]) -> None:
    """Refund a payment in part, let another be disputed, pay the rest out, and prove the clearing account; `run` runs passes."""
    from mlc.cli.reporting import prove
    from mlc.cli.session import Session as Inner

    say, account = session.voice.say, world.stripe.account
    say("\n10. At Stripe a customer gets money back, another disputes a payment, and the rest is paid out:", "bold")
    amounts = {one["id"]: one["amount"] for one in account.all("payment_intent") if one["status"] == "succeeded"}
    paid = sorted(amounts, key=lambda one: -amounts[one])
    account.refund(paid[0], 2000)
    say(f"   20.00 of {paid[0]} are refunded")
    account.dispute(paid[1])
    say(f"   {paid[1]} is disputed: Stripe takes it back, with a fee")
    account.monthly_fee(500)
    payout = account.complete_payout(account.make_payout())
    say(f"   {payout} brings {account.read(payout)['amount'] / 100:.2f} to the bank")
    run("post-payments", "reconcile-payouts")
    say("\n11. mlc report clearing: Stripe's balance beside SAP's account, and what explains the difference", "bold")
    inner = Inner(o.common(path, json=session.options.json, verbose=session.options.verbose))
    prove(inner, None)
    if any(inner.codes):
        raise UnexpectedAnswerError("the clearing account of the demo has a drift")
