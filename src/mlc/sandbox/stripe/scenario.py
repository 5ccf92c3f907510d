"""The scenario verbs over HTTP: `POST /sandbox/<verb>` with a JSON object of the verb's arguments."""

from __future__ import annotations

import inspect
from typing import Any

from mlc.sandbox.kit import Request

from .account import Account
from .errors import Refusal
from .words import words

VERBS = frozenset(
    words("""pay pay_partly pay_late settle_late fail_late return_debit pay_many overpay pay_without_invoice
    charge_without_intent pay_by_charge settle_balance refund settle_refund fail_refund dispute
    escalate_dispute win_dispute lose_dispute make_payout manual_payout send_payout complete_payout
    reconcile_payout fail_payout credit_customer book monthly_fee reserve_hold reserve_release top_up
    odd_movement void subscription_invoice duplicate_events drop_events shuffle_events mark_delivered balance
    check add_customer add_invoice update_customer delete_customer add_subscription pause_by_hand read all
    events open_invoices add_endpoint roll_secret""")
)


def play(account: Account, request: Request) -> Any:
    """Do one verb; what it made is answered as the object it is."""
    verb = request.path.removeprefix("/sandbox/")
    if request.method != "POST" or verb not in VERBS:
        raise Refusal(f"no such verb: {request.method} {request.path}; there are: {', '.join(sorted(VERBS))}", status=404)
    try:
        body = request.json() if request.body else {}
    except ValueError as error:
        raise Refusal(f"the body is no JSON: {error}") from None
    deed = getattr(account, verb)
    rest = body.pop("types", []) if verb == "events" and isinstance(body, dict) else []
    try:
        inspect.signature(deed).bind(*rest, **body)
    except TypeError as error:
        raise Refusal(f"{verb}{inspect.signature(deed)}: {error}") from None
    try:
        result = deed(*rest, **body)
    except AssertionError as error:
        raise Refusal(f"the books do not agree: {error}", status=500) from None
    except (TypeError, ValueError) as error:
        raise Refusal(f"{verb}{inspect.signature(deed)}: {error}") from None
    return account.read(result) if isinstance(result, str) else {"result": result}
