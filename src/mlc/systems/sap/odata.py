"""OData as the Service Layer speaks it: filters, queries, pages, errors, in the dialects v1 and v2 (Service Layer manual 3 and 4)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import quote

from mlc.systems.session import Reply

_SESSION_WORDS = re.compile(r"session.*(timeout|invalid|expired)|(invalid|expired).*session", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class SapError:
    """What SAP said no with. `own` is True where the body is SAP's, not a proxy's."""

    status: int
    code: int | None
    text: str
    own: bool

    @property
    def session_gone(self) -> bool:
        """Tell whether only the session is gone: the request never reached the business layer."""
        if self.status == 401 and self.code == 301:
            return True
        return self.code == -5002 and bool(_SESSION_WORDS.search(self.text))


def literal(value: str | int | date) -> str:
    """Return a value as it stands in a filter: quotes doubled, dates quoted (valid on both versions)."""
    if isinstance(value, int):
        return str(value)
    text = value.isoformat() if isinstance(value, date) else value
    return "'" + text.replace("'", "''") + "'"


def any_of(field: str, values: Iterable[str | int]) -> str:
    """Return `(field eq a or field eq b)`."""
    return "(" + " or ".join(f"{field} eq {literal(value)}" for value in values) + ")"


def escaped(text: str) -> str:
    """Return a filter as it stands in an address."""
    return quote(text, safe="")


def query(**options: str) -> str:
    """Return the query string of OData options (`select=...` becomes `$select=...`)."""
    return "&".join(f"${name}={quote(text, safe='')}" for name, text in options.items() if text)


def rows_of(body: Any) -> tuple[list[dict[str, Any]], bool]:
    """Return the rows of a list answer and whether it says that there are more."""
    if not isinstance(body, dict) or not isinstance(body.get("value"), list):
        return [], False
    return body["value"], bool(body.get("odata.nextLink") or body.get("@odata.nextLink"))


def error_of(reply: Reply) -> SapError:
    """Read an error in any of the shapes the Service Layer and what stands before it use."""
    body = reply.json()
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        page = re.sub(r"<[^>]*>|\s+", " ", reply.body[:2000].decode("utf-8", "replace")).strip()
        return SapError(reply.status, None, page[:300] or "no text", own=False)
    message = error.get("message")
    text = message.get("value", "") if isinstance(message, dict) else message
    code = str(error.get("code", ""))
    return SapError(reply.status, int(code) if re.fullmatch(r"-?\d+", code) else None, str(text or "")[:2000], own=True)
