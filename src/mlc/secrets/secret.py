"""A secret that hides itself, and the redactor that takes secrets out of every text that leaves the program."""

from __future__ import annotations

import base64
import hmac
import html
import json
import re
import threading
from typing import Any, NoReturn
from urllib.parse import quote, quote_plus

MASK = "***"
_SHORT = 8


class Secret:
    """A password, key or token: shown as `***` everywhere, handed out by `reveal()` only, in no pickle and no JSON."""

    __slots__ = ("_value", "origin")

    def __init__(self, value: str, origin: str = "") -> None:
        """Take the value and the place it was found; ValueError where it cannot be a secret."""
        if not any(letter.isprintable() and not letter.isspace() for letter in value):
            raise ValueError("is empty")
        if any(letter in value for letter in "\r\n\0"):
            raise ValueError("has a line break in it")
        self._value = value
        self.origin = origin

    def reveal(self) -> str:
        """Return the value itself; never for a message, a log or a file."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a secret is never pickled or copied")


class Redactor:
    """Replaces every secret it was told of in any text: plain, escaped, URL-encoded and in base64."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._forms: set[str] = set()
        self._tokens: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self._lock = threading.Lock()

    def add(self, secret: Secret | str) -> None:
        """Remember a secret; safe from any thread."""
        value = secret.reveal() if isinstance(secret, Secret) else secret
        if not value.strip() or value in self._known:
            return
        with self._lock:
            self._known.add(value)
            for form in _written(value):
                (self._tokens if len(value) < _SHORT else self._forms).add(form)
            self._forms |= _encoded(value)
            parts = [re.escape(form) for form in sorted(self._forms, key=len, reverse=True)]
            # A short secret is replaced where it stands alone: inside longer words it would only garble the text.
            parts += [_alone(form) for form in sorted(self._tokens, key=len, reverse=True)]
            self._pattern = re.compile("|".join(parts))

    def clean(self, text: str) -> str:
        """Return the text with every remembered secret replaced by `***`."""
        return self._pattern.sub(MASK, text) if self._pattern else text


def _alone(form: str) -> str:
    """Return a pattern that finds a short form only where no word goes on before or after it."""
    before = r"(?<!\w)" if re.match(r"\w", form) else ""
    after = r"(?!\w)" if re.search(r"\w\Z", form) else ""
    return f"{before}{re.escape(form)}{after}"


def _written(value: str) -> set[str]:
    """Return the ways a value is spelled in logs, JSON, XML and addresses."""
    forms = {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], repr(value)[1:-1]}
    forms |= {html.escape(value), html.escape(value, quote=False)}
    percent = {quote(value, safe=""), quote(value), quote_plus(value)}
    return forms | percent | {re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), form) for form in percent}


def _encoded(value: str) -> set[str]:
    """Return the base64 of the value, of `value:` (Basic authentication), and what it leaves inside longer base64."""
    raw = value.encode()
    forms = set()
    for whole in (raw, raw + b":"):
        for text in (base64.b64encode(whole).decode(), base64.urlsafe_b64encode(whole).decode()):
            forms |= {text, text.rstrip("=")}
    for before in range(3):
        stable = base64.b64encode(b"\0" * before + raw).decode().rstrip("=")
        stable = stable[(0, 2, 3)[before] :]
        stable = stable[:-1] if (before + len(raw)) % 3 else stable
        if len(stable) >= _SHORT:
            forms |= {stable, stable.replace("+", "-").replace("/", "_")}
    return {form for form in forms if len(form) >= 4}
