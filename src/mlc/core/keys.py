"""How every wish is named, and how the name is carried to systems that allow less than a name.

`SBO_ACME/post-payment/stripe/pi_3Nx`: company, verb, system, the thing. Never the tenant's label: renaming a tenant changes nothing.
"""

from __future__ import annotations

import base64
import hashlib
import re
from urllib.parse import quote

SAFE_ORDER = (
    "post-payments",
    "reconcile-payouts",
    "sync-customers",
    "push-invoices",
)  # money that arrived before money that is asked for
MARKER_LENGTH = 27  # TransferReference (SAP: ORCT.TrsfrRef)
_IDEMPOTENCY_LENGTH = 255  # Stripe: idempotent requests
_METADATA_LENGTH = 500
_ENTRY_REFERENCE = re.compile(r"((re|pyr|dp|du|po)_[A-Za-z0-9]{8,}|PO[A-Z0-9]{3,})(/\S+)?|(pi|ch|py)_[A-Za-z0-9]{8,}/\S+")
_STRIPE_MARKER = re.compile(r"(pi|ch|py)_[A-Za-z0-9]{8,}|M[A-Z2-7]{26}")


def intent_name(company: str, verb: str, system: str, thing: str) -> str:
    """Spell the name of a wish."""
    return f"{company}/{verb}/{system}/{thing}"


def thing_of(name: str) -> str:
    """Return the vendor's or SAP's own id in a name (`pi_3Nx`): the part a person knows."""
    return name.split("/", 3)[-1]


def marker(thing: str) -> str:
    """Return what stands in SAP's 27 characters for an id: the id, or a digest where it is longer. Never cut."""
    return thing if len(thing) <= MARKER_LENGTH else "M" + digest(thing)[:26]


def is_marker(text: str) -> bool:
    """Tell whether a reference looks like one of ours, so that a receipt that carries it is not one keyed by hand."""
    return bool(_STRIPE_MARKER.fullmatch(text))


def is_reference(text: str) -> bool:
    """Tell whether a journal entry's reference is one of ours: it is about that payout, refund or dispute, and no other."""
    return bool(_ENTRY_REFERENCE.fullmatch(text))


def digest(text: str) -> str:
    """Return base32(sha256(text)) without padding: 52 characters of A-Z and 2-7."""
    return base64.b32encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


def idempotency_key(name: str, generation: int, step: str, roll: int) -> str:
    """Return the key of one effect: pure ASCII, at most 255 characters (Stripe: idempotent requests).

    `roll` counts keys of the same attempt: it rises only after a look-up has shown that the old key did nothing.
    """
    key = f"{quote(name, safe='/_.-')}#{generation}/{step}" + (f"~{roll}" if roll else "")
    return key if len(key) <= _IDEMPOTENCY_LENGTH else f"mlc-{digest(key)}"


def metadata_key(name: str) -> str:
    """Return the name as Stripe's metadata can hold it (500 characters)."""
    return name if len(name) <= _METADATA_LENGTH else digest(name)
