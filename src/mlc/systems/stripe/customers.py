"""How customers come to stand at Stripe and stay as agreed: link, create, update, what they owe, and pausing their subscriptions.

The recipes are like those in `recipes`: pure generators of their command and of the answers they are sent.
"""

from __future__ import annotations

from typing import Any

from mlc.core import merge
from mlc.core.commands import EnsureCustomer, NoteFigures, PauseSubscription, UpdateCustomer
from mlc.core.facts import Partner
from mlc.core.intents import Answer, Call, Done, Finder, Hold, Mark, Outcome, Receipt, Recipe, Refusal, Refused
from mlc.core.merge import Contact
from mlc.systems.stripe import wire
from mlc.systems.stripe.recipes import Moment, listed

_SYSTEM = "stripe"
PAUSED = "keep_as_draft"  # the only way to pause in which nothing is lost: invoices wait as drafts


# --- link and create --------------------------------------------------------------------------------------------------


def ensure_customer(command: EnsureCustomer, moment: Moment) -> Recipe:
    """Link an existing customer, or create one."""
    if command.link:
        return (yield from _link(command))
    find = lambda: _find_customer(command, moment)  # noqa: E731 - a bound look-up, used once
    filled = {name: value for name, value in fields_of(merge.of_partner(command.partner)).items() if value}
    body = {**filled, "metadata": metadata_of(command.company, command.partner.card_code, command.key)}
    reply = yield Call("create", _SYSTEM, "POST", "/v1/customers", body, write=True, find=find)
    if isinstance(reply, Refusal):
        return Refused(reply.code, reply.text)
    return _linked(command, wire.need(reply.body, "id"))


def _link(command: EnsureCustomer) -> Recipe:
    path = f"/v1/customers/{command.link}"
    now = yield Call("look", _SYSTEM, "GET", path)
    if isinstance(now, Refusal) or now.body.get("deleted"):
        return Hold("no_customer", f"the Stripe customer {command.link} found for {command.partner.card_code} is gone")
    found = wire.customer(now.body)
    if found.card_code and (found.card_code != command.partner.card_code or found.company not in ("", command.company)):
        return Hold("conflict", f"the Stripe customer {found.id} belongs to {found.card_code} of {found.company}")
    if not found.card_code and command.email_then and found.email.lower() != command.email_then.lower():
        return Hold("conflict", f"the Stripe customer {found.id} no longer has the e-mail by which it was found")
    contact = merge.of_partner(command.partner)  # nothing was agreed before: contact data follow SAP
    unset = fields_of(contact, found.province)
    body = {**unset, "metadata": metadata_of(command.company, command.partner.card_code, command.key)}
    reply = yield Call("link", _SYSTEM, "POST", path, body, write=True)
    if isinstance(reply, Refusal):
        return Refused(reply.code, reply.text)
    return _linked(command, command.link)


def fields_of(contact: Contact, province: str = "", names: tuple[str, ...] = merge.FIELDS) -> dict[str, Any]:
    """Return some of the contact data as Stripe takes them; "" unsets, and an address is always said as a whole."""
    body: dict[str, Any] = {name: contact[name] for name in names if name not in merge.ADDRESS}
    if any(name in merge.ADDRESS for name in names):
        address = {name: contact[name] for name in merge.ADDRESS}
        body["address"] = {**address, "line2": "", "state": province} if any([*address.values(), province]) else ""
    return body


def metadata_of(company: str, card_code: str, key: str) -> dict[str, str]:
    """Return our numbers as they stand in a customer's metadata."""
    return {"sap_company": company, "sap_card_code": card_code, "mlc_key": key}


def _linked(command: EnsureCustomer, customer: str) -> Done:
    partner = command.partner
    link = Mark("customer", partner.card_code, customer, "linked", {"email": partner.email})
    return Done(Receipt(_SYSTEM, "Customer", customer), (link, contact_mark(partner, customer)))


def contact_mark(partner: Partner, customer: str) -> Mark:
    """Return the mark that both sides agree on every contact field as SAP has it."""
    return Mark("contact", partner.card_code, customer, data=dict(merge.of_partner(partner)))


def _find_customer(command: EnsureCustomer, moment: Moment) -> Finder:
    where: dict[str, Any] = (
        {"email": command.partner.email}
        if command.partner.email
        else {"created": {"gte": int(min(moment.promised, moment.now)) - 86400}}
    )
    rows = yield from listed("/v1/customers", where)
    wanted = (command.company, command.partner.card_code)
    return next((row for row in rows if (wire.customer(row).company, wire.customer(row).card_code) == wanted), None)


# --- update -----------------------------------------------------------------------------------------------------------


def update_customer(command: UpdateCustomer) -> Recipe:
    """Bring some of a customer's contact data to what SAP gives."""
    contact = dict(command.contact)
    body = fields_of(contact, command.province, command.changed)
    reply = yield Call("update", _SYSTEM, "POST", f"/v1/customers/{command.customer}", body, write=True)
    if isinstance(reply, Refusal):
        return _refused(reply, command.customer, command.card_code)
    agreed = Mark("contact", command.card_code, command.customer, data={name: contact[name] for name in command.changed})
    return Done(Receipt(_SYSTEM, "Customer", command.customer), (agreed,))


def note_figures(command: NoteFigures) -> Recipe:
    """Write what a partner owes into its customer's metadata; nothing else there is touched."""
    body = {"metadata": dict(command.figures)}
    reply = yield Call("note", _SYSTEM, "POST", f"/v1/customers/{command.customer}", body, write=True)
    if isinstance(reply, Refusal):
        return _refused(reply, command.customer, command.card_code)
    mark = Mark("figures", command.card_code, command.customer, command.state, dict(command.figures))
    return Done(Receipt(_SYSTEM, "Customer", command.customer), (mark,))


def _refused(reply: Refusal, customer: str, card_code: str) -> Outcome:
    if reply.code == "resource_missing":
        return Hold("gone_from_stripe", f"the Stripe customer {customer} of {card_code} is gone")
    return Refused(reply.code, reply.text)


# --- subscriptions ----------------------------------------------------------------------------------------------------


def pause_subscription(command: PauseSubscription) -> Recipe:
    """Pause a subscription's collection, or let it go on; what a person paused or let go on stays as it is."""
    path = f"/v1/subscriptions/{command.subscription}"
    now = yield Call("look", _SYSTEM, "GET", path)
    receipt = Receipt(_SYSTEM, "Subscription", command.subscription)
    if isinstance(now, Refusal):
        return Done(receipt) if now.status == 404 else Refused(now.code, now.text)
    found = wire.subscription(now.body)
    if command.pause:
        if found.paused or found.paused_by:  # a person paused it, or let go on what mlc had paused: theirs to say
            return Done(receipt)
        body: dict[str, Any] = {"pause_collection": {"behavior": PAUSED}, "metadata": {"mlc_paused": command.key}}
    else:
        if not found.paused_by and not found.paused:
            return Done(receipt)
        body = {"metadata": {"mlc_paused": ""}}
        if found.paused == PAUSED and found.paused_by and not found.resumes:
            body["pause_collection"] = ""
    find = lambda: _find_paused(path, command)  # noqa: E731 - a bound look-up, used once
    reply = yield Call("pause" if command.pause else "resume", _SYSTEM, "POST", path, body, write=True, find=find)
    return Refused(reply.code, reply.text) if isinstance(reply, Refusal) else Done(receipt)


def _find_paused(path: str, command: PauseSubscription) -> Finder:
    now = yield Call("find", _SYSTEM, "GET", path)
    if not isinstance(now, Answer):
        return None
    found = wire.subscription(now.body)
    return now.body if (found.paused_by == command.key if command.pause else not found.paused_by) else None
