"""What an event id given to `mlc replay` leads to: from the inbox where it was delivered, else from the processor that made it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlc.core.errors import ConfigError
from mlc.core.facts import Hint

if TYPE_CHECKING:
    from mlc.cli.replaying import Wanted
    from mlc.core.debits import DebitEvent
    from mlc.store.inbox import Letter
    from mlc.wiring import OpenTenant


def is_event(wish: str) -> bool:
    """Tell whether a word is the id of an event: Stripe's begin with evt_, GoCardless' with EV, those mlc gives to SAP's with sap_."""
    return wish.startswith(("evt_", "sap_")) or (wish.startswith("EV") and wish[2:].isalnum() and len(wish) > 4)


def find_event(opened: OpenTenant, wish: str, wanted: Wanted) -> None:
    """Sort what an event is about into what is looked at again. Raises ConfigError where nobody keeps it any more."""
    letters = opened.journal.inbox.find(wish)
    letter = letters[0] if letters else None
    wanted.letters += letters
    if wish.startswith("sap_"):
        if letter is not None:
            raise ConfigError(
                f"{wish} is a message of SAP that documents have changed", hint="`mlc push-invoices` looks at them"
            )
    elif wish.startswith("evt_") and opened.stripe is not None:
        _of_stripe(opened, wish, letter, wanted)
    elif wish.startswith("EV") and opened.gocardless is not None:
        _of_gocardless(opened, wish, letter, wanted)


def _of_stripe(opened: OpenTenant, wish: str, letter: Letter | None, wanted: Wanted) -> None:
    from mlc.systems.stripe.reads import delivered

    assert opened.stripe is not None
    hint = delivered(letter.body) if letter is not None and letter.body else opened.stripe.event(wish)
    if hint is None:
        raise ConfigError(
            f"{wish} was never delivered here, and Stripe does not know it: events are kept for 30 days",
            hint="replay what it was about: a payment (pi_), a refund (re_), a dispute (du_), a payout (po_), an invoice number",
        )
    if hint.kind in ("customer", "subscription"):
        link = opened.journal.links.by_other("customer", [hint.id]).get(hint.id)
        if link is not None:
            wanted.cards.append(link.key)
        else:
            wanted.customers.append(hint.id)
    elif hint.kind == "payout":
        wanted.payouts.append(hint.id)
    else:
        wanted.hints.append(_with_payment(opened, hint))


def _with_payment(opened: OpenTenant, hint: Hint) -> Hint:
    from mlc.passes.hints import whole

    assert opened.stripe is not None
    return whole(opened.stripe, hint)


def _of_gocardless(opened: OpenTenant, wish: str, letter: Letter | None, wanted: Wanted) -> None:
    from mlc.systems.gocardless.reads import delivered

    assert opened.gocardless is not None
    event = delivered(letter.body) if letter is not None and letter.body else opened.gocardless.event(wish)
    if event is None:
        raise ConfigError(
            f"{wish} was never delivered here, and GoCardless does not know it: events older than 18 months are archived",
            hint="replay what it was about: a payout (PO) or a payment (PM)",
        )
    wanted.debit_events.append(event)
    payout = event.link("payout") or _payout_of(opened, event)
    if payout:
        wanted.payouts.append(payout)


def _payout_of(opened: OpenTenant, event: DebitEvent) -> str:
    """Return the payout that a payment of an event was paid out by, "" where it has not been yet."""
    assert opened.gocardless is not None
    payment = opened.gocardless.collection(event.link("payment")) if event.link("payment") else None
    return payment.payout if payment is not None else ""
