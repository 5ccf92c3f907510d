"""What a partner owes, in its customer's metadata, and the subscriptions of those on hold. Pure.

Names: `<company>/note-figures/stripe/<CardCode>`, `.../pause/stripe/<subscription>`, `.../resume/stripe/<subscription>`.
"""

from __future__ import annotations

from decimal import Decimal

from mlc.core.commands import NoteFigures, PauseSubscription
from mlc.core.intents import Intent, Mark, Plan
from mlc.core.keys import metadata_key
from mlc.passes.customer_batch import CustomerBatch, noted
from mlc.passes.scene import Scene


def decide(scene: Scene, card: str, batch: CustomerBatch, plan: Plan, *, insist: bool = False) -> None:
    """Write the figures where they changed. Subscriptions come first: once the hold is noted they are not looked at again."""
    figures = batch.figures.get(card)
    if figures is None:
        return
    _subscriptions(scene, card, batch, plan)
    link, mark = batch.links[card], batch.noted.get(card)
    owes = any(Decimal(figures[name]) for name in ("sap_open_balance", "sap_overdue"))
    state = "owing" if owes or figures["sap_on_hold"] == "true" else "clear"
    if noted(batch, card) == figures:
        if mark is None or (mark.other, mark.state, dict(mark.data)) != (link.other, state, figures):
            plan.marks.append(Mark("figures", card, link.other, state, dict(figures)))
        return
    command = NoteFigures(card, link.other, tuple(figures.items()), state)
    name = scene.name("note-figures", card)
    stored = batch.stored.get(name)
    if stored is not None and stored.code != "withdrawn" and stored.command == command and not insist:
        return  # refused by Stripe: it waits for `mlc replay`, or for other figures
    says = f"note at Stripe what {card} owes: {figures['sap_open_balance']} {figures['sap_currency']}"
    says += f", {figures['sap_overdue']} overdue" + (", on hold" if figures["sap_on_hold"] == "true" else "")
    plan.intents.append(Intent(name, command, f"customer/{card}", says=says, anew=True))


def _subscriptions(scene: Scene, card: str, batch: CustomerBatch, plan: Plan) -> None:
    """Pause what collects from a customer on hold; let go on what mlc itself has paused, never what a person has."""
    hold = batch.figures[card]["sap_on_hold"] == "true"
    for one in batch.subscriptions.get(card, []):
        wanted = not one.paused and not one.paused_by if hold else bool(one.paused_by)
        if not wanted:
            continue
        name = scene.name("pause" if hold else "resume", one.id)
        key = metadata_key(scene.name("pause", one.id))
        command = PauseSubscription(card, batch.links[card].other, one.id, key, hold)
        says = f"{'pause' if hold else 'resume'} subscription {one.id} of {card}, {'on' if hold else 'off'} credit hold"
        plan.intents.append(Intent(name, command, f"customer/{card}", says=says, anew=True))
