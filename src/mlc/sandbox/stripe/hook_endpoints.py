"""Webhook endpoints as the API keeps them: made, changed, listed, dropped; the secret is told once, when they are made."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .checks import Fields, boolean, listing, metadata, text
from .errors import Refusal, unacceptable
from .event_names import EVENT_NAMES
from .ids import scramble
from .shapes import show

if TYPE_CHECKING:
    from .base import Books
    from .table import Thing

MOST = 16
NEWEST = "2026-10-28"
OVERLAP = 86_400


def address(value: Any, name: str) -> str:
    """An address that Stripe could deliver to; whether it must be https is the account's mode."""
    url = str(text(5000, unset=False)(value, name))
    try:
        parts = urlsplit(url)
        known = bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise unacceptable(f"Invalid URL: {url}", name, "url_invalid") from None
    if not parts.scheme or "://" not in url:
        raise unacceptable("Invalid URL: An explicit scheme (such as https) must be provided.", name, "url_invalid")
    if parts.scheme not in ("http", "https") or not known:
        raise unacceptable(f"Invalid URL: {url}", name, "url_invalid")
    return url


def event_name(value: Any, name: str) -> str:
    """The name of an event, or `*` for all."""
    found = str(text(255, unset=False)(value, name))
    if found != "*" and found not in EVENT_NAMES:
        raise unacceptable(f"Invalid {name}: must be one of *, account.application.authorized, ...; {found} is none", name)
    return found


def version(value: Any, name: str) -> str:
    """A version of the API that exists by now."""
    found = str(text(40, unset=False)(value, name))
    if not re.fullmatch(r"20\d\d-\d\d-\d\d(\.[a-z]+)?", found) or found[:10] > NEWEST:
        raise unacceptable(f"Invalid API version: {found}", name)
    return found


_EVENTS = listing(event_name, 500)
CREATE: Fields = {
    "url": address,
    "enabled_events": _EVENTS,
    "api_version": version,
    "description": text(5000),
    "metadata": metadata,
}
UPDATE: Fields = {
    "url": address,
    "enabled_events": _EVENTS,
    "description": text(5000),
    "disabled": boolean,
    "metadata": metadata,
}


def _checked(books: Books, params: dict[str, Any]) -> None:
    """Refuse what the account's mode does not allow."""
    url = params.get("url")
    if url is not None and books.livemode and not url.startswith("https://"):
        text_ = f'Invalid URL: {url}. URLs in livemode must begin with "https://"'
        raise unacceptable(text_, "url", "url_invalid")
    if "enabled_events" in params and not params["enabled_events"]:
        raise unacceptable("Invalid array: enabled_events must name at least one event", "enabled_events")


def create(books: Books, params: dict[str, Any], _: tuple[str, ...] = (), *, secret: str | None = None) -> dict[str, Any]:
    """Make an endpoint; the answer alone has its secret."""
    _checked(books, params)
    if len(books.tables["webhook_endpoint"]) >= MOST:
        mode = "live" if books.livemode else "test"
        raise Refusal(f"You have reached the maximum of {MOST} {mode} webhook endpoints.")
    row = books.make(
        "webhook_endpoint",
        url=params["url"],
        enabled_events=params["enabled_events"],
        api_version=params.get("api_version"),
        description=params.get("description"),
        metadata=books.merged(None, params.get("metadata", {})) or None,
    )
    secret = secret or f"whsec_{scramble(row['id'] + '/secret', 32)}"
    row = books.change(row, _secrets=((secret, None),))
    return show(books, row) | {"secret": secret}


def update(books: Books, params: dict[str, Any], ids: tuple[str, ...]) -> dict[str, Any]:
    """Change an endpoint; its version and its secret stay."""
    row = books.get("webhook_endpoint", ids[0])
    _checked(books, params)
    changes: dict[str, Any] = {name: params[name] for name in ("url", "enabled_events", "description") if name in params}
    if "metadata" in params:
        changes["metadata"] = books.merged(row, params["metadata"])
    if "disabled" in params:
        changes["status"] = "disabled" if params["disabled"] else "enabled"
    return show(books, books.change(row, **changes))


def drop(books: Books, _: dict[str, Any], ids: tuple[str, ...]) -> dict[str, Any]:
    """Delete an endpoint."""
    books.get("webhook_endpoint", ids[0])
    books.tables["webhook_endpoint"].drop(ids[0])
    return {"id": ids[0], "object": "webhook_endpoint", "deleted": True}


def roll(books: Books, ident: str, secret: str | None = None, overlap: float = OVERLAP) -> str:
    """Give an endpoint a new secret as the Dashboard does: for a while both sign. Returns the new one."""
    row = books.get("webhook_endpoint", ident)
    made = secret or f"whsec_{scramble(f'{ident}/secret/{books.now()}', 32)}"
    old = [(value, min(end or until, until)) for until in (books.now() + overlap,) for value, end in row["_secrets"]]
    books.change(row, _secrets=((made, None), *old))
    return made


def secrets_of(books: Books, row: Thing) -> list[str]:
    """Return the secrets that sign now, the newest first."""
    now = books.clock.now()
    return [value for value, end in row["_secrets"] if end is None or end > now]
