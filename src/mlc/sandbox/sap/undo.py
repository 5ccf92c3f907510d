"""All or nothing: remembers records before they change, so that a failed change set leaves no trace."""

from __future__ import annotations

import dataclasses
from typing import Any


class Undo:
    """Snapshots of one change set; without one open, `keep` costs nothing."""

    def __init__(self) -> None:
        self._records: dict[int, tuple[Any, dict[str, Any]]] | None = None
        self._tables: list[tuple[dict[Any, Any], dict[Any, Any]]] = []

    def begin(self, *tables: dict[Any, Any]) -> None:
        """Open a change set over these tables."""
        self._records = {}
        self._tables = [(table, dict(table)) for table in tables]

    def keep(self, *records: Any) -> None:
        """Remember records as they are, once per change set; called before they are changed."""
        if self._records is None:
            return
        for one in records:
            if id(one) not in self._records:
                values = {slot.name: getattr(one, slot.name) for slot in dataclasses.fields(one)}
                self._records[id(one)] = (one, values)

    def commit(self) -> None:
        """Close the change set and keep what it did."""
        self._records, self._tables = None, []

    def rollback(self) -> None:
        """Close the change set and take everything back."""
        for record, values in (self._records or {}).values():
            for name, value in values.items():
                setattr(record, name, value)
        for table, before in self._tables:
            table.clear()
            table.update(before)
        self.commit()
