"""How contact data that Stripe gives come to stand on a business partner, and how a new partner is made: under a code of our own."""

from __future__ import annotations

from typing import Any

from mlc.core import merge
from mlc.core.commands import CreatePartner, UpdatePartner
from mlc.core.intents import Answer, Call, Done, Finder, Hold, Mark, Receipt, Recipe, Refusal, Refused
from mlc.core.merge import Contact
from mlc.systems.sap import odata, wire

# SAP shows the address of the default bill-to in the header, and that is what is read (wire.partner).
IN_SAP = {
    "name": "CardName", "email": "EmailAddress", "phone": "Phone1", "line1": "Address", "city": "City", "postal_code": "ZipCode",
    "country": "Country",
}  # fmt: skip
_TAKEN = "-10"  # the code is assigned already


def update_partner(command: UpdatePartner) -> Recipe:
    """Write contact fields onto a partner and prove by reading that SAP took them; writing them twice changes nothing."""
    path, wanted = _path(command.card_code), dict(command.changed)

    def find() -> Finder:
        now = yield from _read(path)
        return {} if now is not None and not _missing(now, wanted) else None

    body = {IN_SAP[name]: value for name, value in wanted.items()}
    reply = yield Call("update", "sap", "PATCH", path, body, write=True, find=find)
    if isinstance(reply, Refusal):
        if reply.status == 404:
            return Hold("gone_from_sap", f"SAP no longer has the business partner {command.card_code}")
        return Refused(reply.code, reply.text)
    now = yield from _read(path)
    missing = _missing(now, wanted) if now is not None else tuple(wanted)
    if missing:
        fields = ", ".join(f"{IN_SAP[name]} ({wanted[name]!r})" for name in missing)
        text = f"SAP did not take over from Stripe for {command.card_code}: {fields}; change it in SAP, or at Stripe {command.customer}"
        return Hold("field_not_taken", text)
    mark = Mark("contact", command.card_code, command.customer, data=wanted)
    return Done(Receipt("sap", "BusinessPartner", command.card_code), (mark,))


def create_partner(command: CreatePartner) -> Recipe:
    """Add a business partner for a Stripe customer, then put our numbers into the customer's metadata.

    The CardCode is computed from the customer's id: whatever became of the write, it can be found again.
    """
    path, customer = _path(command.card_code), f"/v1/customers/{command.customer}"
    look = yield Call("look", "stripe", "GET", customer)
    if isinstance(look, Refusal) or look.body.get("deleted"):
        return Hold("gone_from_stripe", f"the Stripe customer {command.customer} is gone: nothing was created in SAP")
    said = (look.body.get("metadata") or {}).get("sap_card_code", "")
    if said not in ("", command.card_code):
        return Hold("conflict", f"the Stripe customer {command.customer} names {said} by now: nothing was created in SAP")

    def find() -> Finder:
        now = yield from _read(path)
        return None if now is None else _same_or_hold(command, now)

    reply = yield Call("post", "sap", "POST", "BusinessPartners", _body(command), write=True, find=find)
    if isinstance(reply, Refusal) and reply.code == _TAKEN:
        there = yield from find()
        if isinstance(there, Hold):
            return there
        if there is None:
            return Refused(reply.code, reply.text)
    elif isinstance(reply, Refusal):
        return Refused(reply.code, reply.text)
    numbers = {"sap_company": command.company, "sap_card_code": command.card_code, "mlc_key": command.key}
    told = yield Call("mark", "stripe", "POST", customer, {"metadata": numbers}, write=True)
    if isinstance(told, Refusal):
        return Refused(told.code, told.text)
    marks = (
        Mark("customer", command.card_code, command.customer, "linked", {"created": True}),
        Mark("contact", command.card_code, command.customer, data=dict(command.contact)),
        Mark("stripe-customer", command.customer, state="linked"),
    )
    return Done(Receipt("sap", "BusinessPartner", command.card_code), marks)


def _body(command: CreatePartner) -> dict[str, Any]:
    filled = {IN_SAP[name]: value for name, value in command.contact if value}
    group = {"GroupCode": command.group} if command.group is not None else {}
    return {"CardCode": command.card_code, "CardType": "cCustomer", **filled, **group}


def _same_or_hold(command: CreatePartner, now: Contact) -> dict[str, Any] | Hold:
    """Take a partner of our code for our own where it has the customer's e-mail."""
    if merge.same("email", now["email"], dict(command.contact)["email"]):
        return {"CardCode": command.card_code}
    return Hold(
        "conflict", f"SAP has another business partner {command.card_code}, the code for Stripe customer {command.customer}"
    )


def _path(card_code: str) -> str:
    return f"BusinessPartners({odata.escaped(odata.literal(card_code))})"


def _read(path: str) -> Finder:
    """Read the contact data of a partner, None where SAP has none of that code."""
    reply = yield Call("find", "sap", "GET", path, query=(("$select", wire.PARTNER),))
    if isinstance(reply, Answer):
        return merge.of_partner(wire.partner(reply.body))
    if reply.status == 404:
        return None
    from mlc.core.errors import UnreachableError

    raise UnreachableError(f"SAP refuses to show {path}: {reply.code} {reply.text}; what it was about stays in doubt")


def _missing(now: Contact, wanted: Contact) -> tuple[str, ...]:
    return tuple(name for name, value in wanted.items() if not merge.same(name, now[name], value))
