"""The contact data of a customer on both sides: one form for both, and a three-way merge field by field. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mlc.core.facts import Partner, ProcessorCustomer

FIELDS = ("name", "email", "phone", "line1", "city", "postal_code", "country")
ADDRESS = ("line1", "city", "postal_code", "country")
# Stripe's lengths and SAP's; SAP's are the smallest that any version has (newer databases are wider).
AT_STRIPE = {"name": 256, "email": 512, "phone": 20, "line1": 5000, "city": 5000, "postal_code": 5000, "country": 2}
IN_SAP = {"name": 100, "email": 100, "phone": 20, "line1": 100, "city": 100, "postal_code": 20, "country": 2}
OWNERS = ("merge", "sap", "stripe")
Contact = dict[str, str]


@dataclass(frozen=True, slots=True)
class Conflict:
    """A field of which one side's value gave way to the other's."""

    field: str
    sap: str
    stripe: str
    taken: str  # sap | stripe


@dataclass(frozen=True, slots=True)
class Merged:
    """What a merge leads to; `result` is what both sides hold once both have taken what is theirs to take."""

    result: Contact
    to_stripe: tuple[str, ...] = ()
    to_sap: tuple[str, ...] = ()
    agreed: tuple[str, ...] = ()
    conflicts: tuple[Conflict, ...] = field(default=())


def tidy(text: str) -> str:
    """Return a text without what the other system may drop by itself: outer spaces, line breaks, doubled spaces."""
    return " ".join(text.split())


def of_partner(partner: Partner) -> Contact:
    """Return a business partner's contact data as Stripe can hold them."""
    raw = _raw(partner)
    cut = {name: tidy(tidy(text)[: AT_STRIPE[name]]) for name, text in raw.items()}
    country = cut["country"] if len(tidy(raw["country"])) == 2 else ""
    return {**cut, "name": cut["name"] or partner.card_code, "country": country}


def _raw(partner: Partner) -> Contact:
    texts = (partner.name, partner.email, partner.phone, partner.street, partner.city, partner.zip_code, partner.country)
    return dict(zip(FIELDS, texts, strict=True))


def of_customer(customer: ProcessorCustomer) -> Contact:
    """Return a Stripe customer's contact data; both lines of the street are one."""
    texts = (
        customer.name, customer.email, customer.phone, customer.street, customer.city, customer.zip_code, customer.country
    )  # fmt: skip
    return {name: tidy(text) for name, text in zip(FIELDS, texts, strict=True)}


def only_sap(partner: Partner) -> tuple[str, ...]:
    """Return the fields whose value in SAP Stripe cannot hold as it is: what stands there may not go back into SAP."""
    shown = of_partner(partner)
    return tuple(name for name, text in _raw(partner).items() if tidy(text) and tidy(text) != shown[name])


def same(name: str, one: str, other: str) -> bool:
    """Tell whether two values mean the same: addresses of mail are the same in capitals."""
    return one.lower() == other.lower() if name == "email" else one == other


def differing(known: Mapping[str, str | None], now: Contact) -> tuple[str, ...]:
    """Return the fields whose last agreed value is another one, or not known."""
    return tuple(name for name in FIELDS if (was := known.get(name)) is None or not same(name, was, now[name]))


def merge(known: Mapping[str, str | None], sap: Contact, stripe: Contact, owners: Mapping[str, str] | None = None) -> Merged:
    """Merge both sides against the last agreed values; a value nobody agreed on yet (None) is SAP's to say.

    What changed on one side goes to the other; what changed on both differently is SAP's, unless the field has another owner. An
    empty value at Stripe empties nothing in SAP, unless Stripe owns the field; a name is never emptied.
    """
    result: Contact = {}
    to_stripe: list[str] = []
    to_sap: list[str] = []
    agreed: list[str] = []
    conflicts: list[Conflict] = []
    for name in FIELDS:
        ours, theirs, was = sap[name], stripe[name], known.get(name)
        if same(name, ours, theirs):
            result[name] = ours
            agreed.append(name)
            continue
        taken = _taken(name, ours, theirs, was, (owners or {}).get(name, "merge"))
        result[name] = theirs if taken == "stripe" else ours
        (to_sap if taken == "stripe" else to_stripe).append(name)
        lost = ours if taken == "stripe" else theirs
        if not same(name, lost, was or ""):  # somebody wrote the value that gives way
            conflicts.append(Conflict(name, ours, theirs, taken))
    return Merged(result, tuple(to_stripe), tuple(to_sap), tuple(agreed), tuple(conflicts))


def _taken(name: str, ours: str, theirs: str, was: str | None, owner: str) -> str:
    if not theirs and (name == "name" or owner != "stripe"):
        return "sap"
    if owner != "merge":
        return owner
    return "stripe" if was is not None and same(name, ours, was) else "sap"


def too_long(contact: Contact, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of the fields whose value does not fit into SAP's."""
    return tuple(name for name in names if len(contact[name]) > IN_SAP[name])
