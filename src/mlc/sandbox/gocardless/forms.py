"""What may be written: fields with their types and lengths, all complaints in one refusal."""

from __future__ import annotations

from datetime import date
from typing import Any

from .errors import invalid


class Form:
    """The fields of one write; every field that is asked for is checked, `done` refuses what is wrong or unknown."""

    def __init__(self, root: str, data: dict[str, Any]) -> None:
        """Take the content of the envelope."""
        self.root = root
        self.data = data
        self.links = data.get("links", {}) if isinstance(data.get("links", {}), dict) else {}
        self.asked: set[str] = set()
        self.problems: list[tuple[str, str]] = []

    def wrong(self, name: str, message: str) -> None:
        """Note a complaint."""
        self.problems.append((name, message))

    def _value(self, name: str, required: bool) -> Any:
        self.asked.add(name)
        value = self.data.get(name)
        if value is None and required:
            self.wrong(name, "is required")
        return value

    def text(self, name: str, most: int = 500, *, required: bool = False) -> str | None:
        """Take a text."""
        value = self._value(name, required)
        if value is None:
            return None
        if not isinstance(value, str):
            self.wrong(name, "must be a string")
            return None
        if len(value) > most:
            self.wrong(name, f"is too long (maximum is {most} characters)")
        return value

    def integer(self, name: str, least: int = 1, *, required: bool = False) -> int | None:
        """Take a whole number; strings of digits are understood."""
        value = self._value(name, required)
        if isinstance(value, str) and value.isdecimal():
            value = int(value)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool):
            self.wrong(name, "must be a number")
            return None
        if value < least:
            self.wrong(name, f"must be greater than or equal to {least}")
        return value

    def flag(self, name: str) -> bool:
        """Take true or false."""
        value = self._value(name, required=False)
        if value not in (None, True, False):
            self.wrong(name, "must be a boolean")
        return bool(value)

    def choice(self, name: str, allowed: tuple[str, ...], *, required: bool = False) -> str | None:
        """Take one of several words."""
        value = self.text(name, required=required)
        if value is not None and value not in allowed:
            self.wrong(name, "is not a permitted value")
        return value

    def day(self, name: str) -> str | None:
        """Take a date."""
        value = self.text(name)
        if value is not None:
            try:
                date.fromisoformat(value)
            except ValueError:
                self.wrong(name, "is not a valid date")
        return value

    def link(self, name: str, *, required: bool = True) -> str | None:
        """Take an id out of the links."""
        self.asked.add("links")
        value = self.links.get(name)
        if value is None and required:
            self.wrong(f"links.{name}", "is required")
        if value is not None and not isinstance(value, str):
            self.wrong(f"links.{name}", "must be a string")
            return None
        return value

    def metadata(self) -> dict[str, str]:
        """Take metadata: three keys at most, strings only."""
        value = self._value("metadata", required=False)
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.wrong("metadata", "must be an object")
            return {}
        if len(value) > 3:
            self.wrong("metadata", "must have at most 3 keys")
        for key, text in value.items():
            if len(key) > 50:
                self.wrong("metadata", "keys must be at most 50 characters")
            if not isinstance(text, str):
                self.wrong(f"metadata.{key}", "must be a string")
            elif len(text) > 500:
                self.wrong(f"metadata.{key}", "is too long (maximum is 500 characters)")
        return value

    def done(self) -> None:
        """Refuse the write if there are complaints or unknown fields."""
        for name in self.data:
            if name not in self.asked:
                self.wrong(name, "is not a permitted field")
        if self.problems:
            raise invalid(self.root, *self.problems)
