"""What the simulated Service Layer refuses, and how a refusal is written on the wire."""

from __future__ import annotations

import re
from typing import Any

from mlc.sandbox.kit import Response
from mlc.sandbox.sap.switches import SapSwitches


class SapError(Exception):
    """A refusal with SAP's own number and text."""

    def __init__(self, code: int, text: str, status: int = 400) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text
        self.status = status


def invalid_property(name: str, type_name: str) -> SapError:
    """A property the type does not have."""
    return SapError(-1000, f"Property '{name}' of '{type_name}' is invalid")


def too_long(name: str, type_name: str) -> SapError:
    """A text longer than its column."""
    return SapError(-5002, f"Value too long in property '{name}' of '{type_name}'")


def not_valid(name: str, value: object) -> SapError:
    """A value of the wrong kind."""
    return SapError(-1004, f"Value '{value}' is not valid for property '{name}'")


def bad_query(text: str) -> SapError:
    """A query option that cannot be understood."""
    return SapError(201, text)


def no_match(status: int = 400) -> SapError:
    """A key or foreign key that leads nowhere."""
    return SapError(-2028, "No matching records found (ODBC -2028)", status)


def no_such_path() -> SapError:
    """An address that does not exist."""
    return SapError(-1008, "Command Not Found", 404)


def not_supported() -> SapError:
    """A verb the object does not have."""
    return SapError(-5006, "The requested action is not supported for this object.")


def dead_session(switches: SapSwitches) -> SapError:
    """A session that ended or never was."""
    text = "Invalid session or session already timeout."
    return SapError(301, text, 401) if switches.dead_session == "301" else SapError(-5002, text)


def closed_invoice() -> SapError:
    """An invoice that takes no payment."""
    return SapError(-10, "Invoice is already closed or blocked  [Message 3524-20]")


def unbalanced() -> SapError:
    """Debits and credits that differ."""
    return SapError(-5012, "Unbalanced Transaction")


def error_response(error: SapError, version: str, switches: SapSwitches) -> Response:
    """Write a refusal as this version does."""
    text = _foreign(error.text) if switches.localised else error.text
    message: Any = text
    if version == "v1" or switches.error_style == "message_dict":
        message = {"lang": "de-de" if switches.localised else "en-us", "value": text}
    body: dict[str, Any] = {"code": error.code if version == "v1" else str(error.code)}
    if version == "v2":
        body["details"] = [{"code": "", "message": ""}]
    body["message"] = message
    if switches.error_style == "innererror":
        body.pop("details", None)
        body["innererror"] = {"context": None, "trace": None}
    return Response.of_json(error.status, {"error": body})


def _foreign(text: str) -> str:
    """Replace the words by a foreign sentence and keep numbers in front and tags in brackets."""
    number = re.match(r"\d{4,}\s*-?\s*", text)
    tags = "  ".join(re.findall(r"\[[^\]]*\]|\(ODBC [^)]*\)", text))
    return f"{number[0] if number else ''}Vorgang kann nicht ausgeführt werden  {tags}".strip()
