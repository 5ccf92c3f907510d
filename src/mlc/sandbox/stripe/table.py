"""Where the simulated objects lie: by id, by creation, and by the few fields that lists filter on.

An object is a dict of the fields that differ from the shape's defaults. It is never changed in place: a change puts a new
version in its row, so that events can keep the version they saw without copying it.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Thing = dict[str, Any]
Key = tuple[int, int, str]
Where = dict[str, str | list[str]]


@dataclass(frozen=True, slots=True)
class Span:
    """A range of seconds, both ends included; None is open."""

    low: int | None = None
    high: int | None = None

    def holds(self, value: int | None) -> bool:
        """Tell whether the value lies in the range."""
        if value is None:
            return False
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list, in the order it is answered."""

    rows: list[Thing]
    has_more: bool


class Table:
    """The objects of one kind in creation order; `tie` orders those of one second."""

    def __init__(self, indexed: tuple[str, ...] = (), tie: Callable[[int, str], int] | None = None) -> None:
        """Start empty; `indexed` are the fields that lists are filtered on quickly."""
        self.rows: dict[str, Thing] = {}
        self.keys: dict[str, Key] = {}
        self.order: list[Key] = []
        self.tie = tie
        self._count = 0
        self._index: dict[str, dict[str, list[Key]]] = {name: {} for name in indexed}

    def __len__(self) -> int:
        return len(self.rows)

    def add(self, thing: Thing) -> None:
        """Put a new object into the table."""
        self._count += 1
        ident = thing["id"]
        key = (thing["created"], self.tie(self._count, ident) if self.tie else self._count, ident)
        self.rows[ident] = thing
        self.keys[ident] = key
        insort(self.order, key)
        for name, values in self._index.items():
            if thing.get(name) is not None:
                insort(values.setdefault(thing[name], []), key)

    def put(self, thing: Thing) -> None:
        """Put a new version of an object into its row."""
        ident = thing["id"]
        old, self.rows[ident] = self.rows[ident], thing
        for name, values in self._index.items():
            before, after = old.get(name), thing.get(name)
            if before != after:
                key = self.keys[ident]
                if before is not None:
                    values[before].remove(key)
                if after is not None:
                    insort(values.setdefault(after, []), key)

    def drop(self, ident: str) -> None:
        """Take an object out of the table."""
        thing, key = self.rows.pop(ident), self.keys.pop(ident)
        del self.order[bisect_left(self.order, key)]
        for name, values in self._index.items():
            if thing.get(name) is not None:
                values[thing[name]].remove(key)

    def reorder(self, tie: Callable[[str], int]) -> None:
        """Draw the order within each second anew."""
        self.keys = {ident: (key[0], tie(ident), ident) for ident, key in self.keys.items()}
        self.order = sorted(self.keys.values())
        for values in self._index.values():
            for value, keys in values.items():
                values[value] = sorted(self.keys[key[2]] for key in keys)

    def where(self, field: str, value: str) -> list[Thing]:
        """Return the objects whose indexed field has this value, oldest first."""
        return [self.rows[key[2]] for key in self._index[field].get(value, [])]

    def page(
        self,
        *,
        limit: int = 10,
        after: str | None = None,
        before: str | None = None,
        created: Span | None = None,
        where: Where | None = None,
        test: Callable[[Thing], bool] | None = None,
    ) -> Page:
        """Return one page, newest first; `after` and `before` are ids of objects in the table.

        `where` compares indexed fields with one value or with several.
        """
        found: list[Thing] = []
        for key in self._walk(after, before, created or Span(), where or {}):
            thing = self.rows[key[2]]
            if test is None or test(thing):
                found.append(thing)
                if len(found) > limit:
                    break
        rows = found[:limit]
        return Page(rows[::-1] if before else rows, len(found) > limit)

    def _walk(self, after: str | None, before: str | None, created: Span, where: Where) -> Iterator[Key]:
        sources = [self.order]
        for name, value in where.items():
            values = [value] if isinstance(value, str) else value
            found = [self._index[name].get(one, []) for one in dict.fromkeys(values)]
            sources = min(sources, found, key=lambda lists: sum(map(len, lists)))
        cuts = [self._cut(keys, after, before, created) for keys in sources]
        ways = [range(first, last) if before is not None else range(last - 1, first - 1, -1) for _, first, last in cuts]
        runs = [map(keys.__getitem__, way) for (keys, _, _), way in zip(cuts, ways, strict=True)]
        for key in heapq.merge(*runs, reverse=before is None):
            thing = self.rows[key[2]]
            if all(thing.get(name) in ([value] if isinstance(value, str) else value) for name, value in where.items()):
                yield key

    def _cut(self, keys: list[Key], after: str | None, before: str | None, created: Span) -> tuple[list[Key], int, int]:
        first = 0 if created.low is None else bisect_left(keys, (created.low, -1, ""))
        last = len(keys) if created.high is None else bisect_left(keys, (created.high + 1, -1, ""))
        if after is not None:
            last = min(last, bisect_left(keys, self.keys[after]))
        if before is not None:
            first = max(first, bisect_right(keys, self.keys[before]))
        return keys, first, last

    def values(self, field: str) -> list[str]:
        """Return the values that an indexed field has had."""
        return list(self._index[field])
