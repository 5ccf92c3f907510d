"""What the engine asks of a foreign system: deliver one request, and say honestly what is known afterwards."""

from __future__ import annotations

from typing import Protocol

from mlc.core.intents import Answer, Call, Refusal


class Doubt(Exception):
    """The request may or may not have been carried out.

    `ended` is True where the system repeated a saved failure: it is no longer working on it (Stripe: a replayed 500).
    """

    def __init__(self, why: str, *, ended: bool = False) -> None:
        super().__init__(why)
        self.ended = ended


class NotSent(Exception):
    """The request never left: nothing can have happened."""


class System(Protocol):
    """A foreign system as the engine sees it."""

    name: str
    workers: int
    """How many writes may be in flight."""
    takes_keys: bool
    """True where a write may be repeated under its idempotency key (Stripe); False where only a look-up tells (SAP)."""
    settle: float
    """Seconds after `sent` from which a look-up is to be trusted; or, with keys, seconds for which a key is remembered."""

    def deliver(self, call: Call, key: str) -> Answer | Refusal:
        """Send one request.

        Raises Doubt (a write without a clear answer), NotSent, UnreachableError (a read that never got through) and
        CredentialError.
        """
