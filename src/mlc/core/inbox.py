"""What a webhook delivery becomes: one row for each thing that may have happened. It is a hint, and nothing in it is believed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mlc.core.keys import SAFE_ORDER

# What a delivery is about, and the passes that such a hint calls for, in the safe order.
MONEY, PAYOUT, CUSTOMER, DEBIT, DOCUMENT, NOTHING = "money", "payout", "customer", "debit", "document", ""
CALLS: Mapping[str, tuple[str, ...]] = {
    MONEY: ("post-payments",),
    PAYOUT: ("reconcile-payouts",),
    CUSTOMER: ("sync-customers",),
    DEBIT: ("reconcile-payouts",),
    DOCUMENT: ("post-payments", "sync-customers", "push-invoices"),
}
TICKED_BY: Mapping[str, tuple[str, ...]] = {
    "post-payments": (MONEY,),
    "reconcile-payouts": (PAYOUT, DEBIT),
    "sync-customers": (CUSTOMER,),
    "push-invoices": (DOCUMENT,),
}


@dataclass(frozen=True, slots=True)
class Delivered:
    """One event of a delivery whose signature was right."""

    id: str  # the processor's event id; for SAP, which gives none, a digest of the message
    type: str
    kind: str  # one of the words above
    about: str = ""  # the object it names
    created: float = 0.0  # Unix seconds as the processor says, 0 = unknown
    body: str = ""  # the event as JSON, secrets taken out
    key: str = ""  # the idempotency key of the request that caused it, where the event tells
    repeats: bool = False  # the id may come again with news in it: a message that was dealt with is taken anew


class NotAcceptedError(Exception):
    """A delivery that is not taken: `reason` says why in words without anything of the sender's."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def passes_for(kinds: Iterable[str]) -> tuple[str, ...]:
    """Return the passes that hints of these kinds call for, in the safe order."""
    wanted = {name for kind in kinds for name in CALLS.get(kind, ())}
    return tuple(name for name in SAFE_ORDER if name in wanted)


def parsed(body: bytes) -> Any:
    """Return a body as JSON. Raises NotAcceptedError: no UTF-8, no JSON, too deep, figures that are none."""
    try:
        return json.loads(body.decode(), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise NotAcceptedError("the body is no JSON") from error


def _no_number(_word: str) -> None:
    raise ValueError("no number")


def moment(value: Any) -> float:
    """Return a moment written in ISO 8601 as Unix seconds, 0 where it is none."""
    try:
        return datetime.fromisoformat(value).timestamp() if isinstance(value, str) else 0.0
    except (ValueError, OverflowError, OSError):
        return 0.0


def kept(event: Any) -> str:
    """Return an event as it is kept, whole: secrets that let a browser act on a payment are taken out.

    It is plain ASCII, so that half a character in somebody's name can be stored too. Raises NotAcceptedError: nested too deep.
    """
    try:
        return json.dumps(_without_secrets(event), separators=(",", ":"))
    except RecursionError as error:
        raise NotAcceptedError("the body is nested too deep") from error


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: "***" if str(key).endswith("secret") and one else _without_secrets(one) for key, one in value.items()}
    return [_without_secrets(one) for one in value] if isinstance(value, list) else value
