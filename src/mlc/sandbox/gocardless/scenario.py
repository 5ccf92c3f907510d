"""The verbs over HTTP: `POST /sandbox/<verb>` with a JSON object of the verb's arguments."""

from __future__ import annotations

import inspect
from typing import Any

from mlc.sandbox.kit import Request

from .errors import Refusal, invalid, usage
from .organisation import SCENARIOS, Organisation

VERBS = frozenset(
    (
        *SCENARIOS,
        *("add_creditor", "add_customer", "add_mandate", "add_payment", "add_refund", "add_subscription"),
        *("add_instalment_schedule", "subscription_payment", "collect", "pay", "make_payout", "pay_payout", "bounce", "retry"),
        *(
            "confirm_fx_rate",
            "confirm_tax_rates",
            "set_fx_currency",
            "set_rate",
            "share_revenue",
            "late_failure",
            "charge_back",
        ),
        *("cancel_chargeback", "cancel_payment", "retry_payment", "cancel_mandate", "reinstate_mandate", "replace_mandate"),
        *("items", "balances", "read", "all", "events", "check", "webhook_endpoints"),
    )
)
REST = {"pay": "payments", "events": "names"}


def play(organisation: Organisation, request: Request) -> Any:
    """Do one verb; what it made is answered as the record it is."""
    verb = request.path.removeprefix("/sandbox/")
    if request.method != "POST" or verb not in VERBS:
        raise usage(404, "path_not_found", f"no such verb: {verb}; there are: {', '.join(sorted(VERBS))}")
    try:
        body = request.json() if request.body else {}
    except ValueError as error:
        raise usage(400, "invalid_document_structure", f"the body is no JSON: {error}") from None
    if not isinstance(body, dict):
        raise usage(400, "invalid_document_structure", "Root element must be an object.")
    deed = getattr(organisation, verb)
    rest = body.pop(REST[verb], []) if verb in REST else []
    try:
        inspect.signature(deed).bind(*rest, **body)
        result = deed(*rest, **body)
    except (TypeError, ValueError, AttributeError, KeyError, ArithmeticError) as error:
        raise invalid("sandbox", (verb, f"{inspect.signature(deed)}: {error}")) from None
    except AssertionError as error:
        raise Refusal(500, "gocardless", f"the books do not agree: {error}", slug="internal_error") from None
    return organisation.read(result) if isinstance(result, str) else {"result": result}
