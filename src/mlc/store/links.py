"""What both sides agree on: which invoice, customer or payment of one system is which of the other, and how it stands."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal

from mlc.store.database import Database

if TYPE_CHECKING:
    from mlc.core.intents import Mark


class Links:
    """The links of one company; kind and key belong to SAP's side, `other` is the processor's id."""

    def __init__(self, database: Database, book: str) -> None:
        self._database = database
        self._book = book

    def put(self, mark: Mark, now: float) -> None:
        """Keep a link inside the open transaction; what a mark leaves out stays as it was, its data is laid over."""
        known = self.get(mark.kind, mark.key)
        if mark.kind == "invoice" and known is not None and _had_its_turn(mark, known):
            return
        data: dict[str, Any] = {**(known.data if known else {}), **mark.data}
        number = int(mark.key) if mark.key.isdecimal() and len(mark.key) < 19 else None
        self._database.connection.execute(
            "INSERT INTO links VALUES (?,?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET other=excluded.other, state=excluded.state,"
            " data=excluded.data, updated_at=excluded.updated_at",
            (
                self._book, mark.kind, mark.key, number, mark.other or (known.other if known else ""),
                mark.state or (known.state if known else ""), json.dumps(data, default=str), now,
            ),
        )  # fmt: skip

    def get(self, kind: str, key: str) -> Mark | None:
        """Return one link."""
        row = self._database.connection.execute(
            "SELECT * FROM links WHERE book=? AND kind=? AND key=?", (self._book, kind, key)
        ).fetchone()
        return _mark(row) if row else None

    def many(self, kind: str, keys: Iterable[str]) -> dict[str, Mark]:
        """Return key -> link for those keys that have one."""
        return {mark.key: mark for mark in self._in(kind, "key", keys)}

    def by_other(self, kind: str, others: Iterable[str]) -> dict[str, Mark]:
        """Return the processor's id -> link."""
        return {mark.other: mark for mark in self._in(kind, "other", others)}

    def of_others(self, kind: str, others: Iterable[str]) -> list[Mark]:
        """Return every link whose processor side is one of these: there may be several of each."""
        return list(self._in(kind, "other", others))

    def _in(self, kind: str, column: str, values: Iterable[str]) -> Iterator[Mark]:
        wanted = list(dict.fromkeys(values))
        for start in range(0, len(wanted), 400):
            part = wanted[start : start + 400]
            query = f"SELECT * FROM links WHERE book=? AND kind=? AND {column} IN ({','.join('?' * len(part))})"  # noqa: S608 - fixed words
            for row in self._database.connection.execute(query, (self._book, kind, *part)):
                yield _mark(row)

    def between(self, kind: str, state: str, low: int, high: int | None, limit: int = -1) -> list[Mark]:
        """Return the links in a state whose numeric key lies in (low, high], in order; None = without end."""
        rows = self._database.connection.execute(
            "SELECT * FROM links WHERE book=? AND kind=? AND state=? AND number > ? AND (?5 IS NULL OR number <= ?5)"
            " ORDER BY number LIMIT ?6",
            (self._book, kind, state, low, high, limit),
        )
        return [_mark(row) for row in rows.fetchall()]

    def in_state(self, kind: str, state: str) -> list[str]:
        """Return the keys of a kind in a state."""
        rows = self._database.connection.execute(
            "SELECT key FROM links WHERE book=? AND kind=? AND state=? ORDER BY key", (self._book, kind, state)
        )
        return [row["key"] for row in rows.fetchall()]

    def all_in_state(self, kind: str, state: str) -> Iterator[Mark]:
        """Yield the links of a kind in a state, in order of their keys, a few hundred at a time."""
        last = ""
        while True:
            rows = self._database.connection.execute(
                "SELECT * FROM links WHERE book=? AND kind=? AND state=? AND key > ? ORDER BY key LIMIT 400",
                (self._book, kind, state, last),
            ).fetchall()
            for row in rows:
                yield _mark(row)
            if len(rows) < 400:
                return
            last = rows[-1]["key"]

    def beginning(self, kind: str, prefix: str) -> list[Mark]:
        """Return the links whose key begins so."""
        rows = self._database.connection.execute(
            "SELECT * FROM links WHERE book=? AND kind=? AND key >= ? AND key < ? ORDER BY key",
            (self._book, kind, prefix, prefix + "\U0010ffff"),
        )
        return [_mark(row) for row in rows.fetchall()]

    def without_other(self, kind: str) -> list[str]:
        """Return the keys of a kind that are linked to nothing on the other side."""
        rows = self._database.connection.execute(
            "SELECT key FROM links WHERE book=? AND kind=? AND other='' ORDER BY key", (self._book, kind)
        )
        return [row["key"] for row in rows.fetchall()]

    def count(self, kind: str) -> int:
        """Return how many links of a kind there are."""
        query = "SELECT count(*) FROM links WHERE book=? AND kind=?"
        return int(self._database.connection.execute(query, (self._book, kind)).fetchone()[0])

    def asked_of(self, card_code: str) -> list[Mark]:
        """Return the pushed invoices of a partner that can still be paid at Stripe."""
        rows = self._database.connection.execute(
            "SELECT * FROM links WHERE book=? AND kind='invoice' AND state='open' AND json_extract(data, '$.card_code') = ?"
            " ORDER BY number",
            (self._book, card_code),
        )
        return [_mark(row) for row in rows.fetchall()]

    def parts_on(self, doc_entry: int) -> list[Mark]:
        """Return the parts of payouts' entries that stand on a document."""
        rows = self._database.connection.execute(
            "SELECT * FROM links WHERE book=? AND kind='part' AND json_extract(data, '$.doc_entry') = ? ORDER BY key",
            (self._book, doc_entry),
        )
        return [_mark(row) for row in rows.fetchall()]

    def saying(self, kind: Literal["gc-customer", "mandate"], cards: Iterable[str]) -> list[Mark]:
        """Return the customers or mandates of GoCardless whose own metadata names one of these partners."""
        wanted = sorted({card for card in cards if card})
        found = []
        for start in range(0, len(wanted), 400):
            part = wanted[start : start + 400]
            where = f"kind='{kind}' AND json_extract(data, '$.said') IN ({','.join('?' * len(part))})"
            query = f"SELECT * FROM links WHERE book=? AND {where} ORDER BY key"  # noqa: S608 - fixed words
            found += [_mark(row) for row in self._database.connection.execute(query, (self._book, *part)).fetchall()]
        return found

    def customers_with(self, email: str) -> list[Mark]:
        """Return the customers of GoCardless that have an e-mail address (in lower case)."""
        rows = self._database.connection.execute(
            "SELECT * FROM links WHERE book=? AND kind='gc-customer' AND json_extract(data, '$.email') = ? ORDER BY key LIMIT 20",
            (self._book, email),
        )
        return [_mark(row) for row in rows.fetchall()]

    def applied_to(self, doc_entry: int) -> list[str]:
        """Return the posted payments of Stripe of which a part stands on a document."""
        query = (
            "SELECT key FROM links WHERE book=? AND kind='payment' AND state='posted' AND EXISTS (SELECT 1 FROM"
            " json_each(links.data, '$.applied') AS part WHERE json_extract(part.value, '$[0]') = ?) ORDER BY key"
        )
        return [row["key"] for row in self._database.connection.execute(query, (self._book, doc_entry))]

    def top(self, kind: str) -> int:
        """Return the greatest numeric key of a kind, 0 where there is none."""
        row = self._database.connection.execute(
            "SELECT max(number) FROM links WHERE book=? AND kind=? AND number IS NOT NULL", (self._book, kind)
        ).fetchone()
        return int(row[0] or 0)

    def find(self, kind: str, field: str, value: str) -> list[Mark]:
        """Return the links whose data field equals a value (case is ignored)."""
        rows = self._database.connection.execute(
            "SELECT * FROM links WHERE book=? AND kind=? AND lower(json_extract(data, '$.' || ?)) = lower(?) LIMIT 20",
            (self._book, kind, field, value),
        )
        return [_mark(row) for row in rows.fetchall()]


def _had_its_turn(mark: Mark, known: Mark) -> bool:
    """Tell whether a mark is about the invoice of an earlier installment: it never takes the place of a later one's."""
    turns = [int(one.data.get("installment") or 0) for one in (mark, known)]
    return bool(mark.other) and mark.other != known.other and turns[0] < turns[1]


def _mark(row: sqlite3.Row) -> Mark:
    from mlc.core.intents import Mark

    return Mark(row["kind"], row["key"], row["other"], row["state"], json.loads(row["data"]))
