"""What webhooks delivered: each event once, on disk before its delivery is answered, until a pass has dealt with it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlc.clock import Clock
from mlc.store.database import Database

if TYPE_CHECKING:
    from mlc.core.inbox import Delivered

_PAGE = 400


@dataclass(frozen=True, slots=True)
class Letter:
    """One event in the inbox."""

    seq: int
    system: str
    id: str
    type: str
    kind: str
    about: str
    created: float
    received_at: float
    deliveries: int
    body: str
    done_at: float | None
    run_id: str


@dataclass(frozen=True, slots=True)
class Tally:
    """How the deliveries of one system fared; moments in Unix seconds."""

    system: str
    received: int
    repeated: int
    refused: int
    last_received: float | None
    last_refused: float | None
    last_reason: str


@dataclass(frozen=True, slots=True)
class Post:
    """One accepted delivery on its way into the inbox: whose, from where, and its events."""

    book: str
    system: str
    events: tuple[Delivered, ...]
    needless: frozenset[str] = frozenset()  # kinds that no pass of this tenant deals with


def put(database: Database, posts: Sequence[Post], now: float) -> list[int]:
    """Write deliveries down in one transaction, on disk when it returns; return how many events of each were new.

    An event that is there already is only counted, whatever it says now: a signature without a time can be sent again for ever.
    """
    fresh: list[int] = []
    with database.write() as connection:
        for post in posts:
            news = sum(_put_one(connection, post, event, now) for event in post.events)
            fresh.append(news)
            repeated = int(not news and bool(post.events))
            connection.execute(
                "INSERT INTO receiver (book, system, received, repeated, refused, last_received) VALUES (?,?,1,?,0,?)"
                " ON CONFLICT DO UPDATE SET received = received + 1, repeated = repeated + excluded.repeated,"
                " last_received = excluded.last_received",
                (post.book, post.system, repeated, now),
            )
    return fresh


def _put_one(connection: sqlite3.Connection, post: Post, event: Delivered, now: float) -> bool:
    key = (post.book, post.system, event.id)
    known = connection.execute("SELECT deliveries, done_at FROM inbox WHERE book=? AND system=? AND id=?", key).fetchone()
    if known is not None and event.repeats:  # it stands behind whatever a pass under way has seen
        connection.execute("DELETE FROM inbox WHERE book=? AND system=? AND id=?", key)
        _insert(connection, post, event, now, known["deliveries"] + 1)
        return known["done_at"] is not None
    if known is not None:
        connection.execute("UPDATE inbox SET deliveries = deliveries + 1 WHERE book=? AND system=? AND id=?", key)
        return False
    _insert(connection, post, event, now, 1)
    return True


def _insert(connection: sqlite3.Connection, post: Post, event: Delivered, now: float, deliveries: int) -> None:
    done = now if not event.kind or event.kind in post.needless else None
    connection.execute(
        "INSERT INTO inbox (book, system, id, type, kind, about, created, received_at, deliveries, body, done_at)"
        " VALUES (?,?,?,?,?,?,?,?,?,?,?)",
        (
            post.book, post.system, event.id, _plain(event.type), event.kind, _plain(event.about), event.created, now, deliveries,
            event.body, done,
        ),
    )  # fmt: skip


def _plain(text: str) -> str:
    """Return a text that can be stored: half a character becomes a question mark."""
    return text.encode("utf-8", "replace").decode()


def put_refused(database: Database, refused: Iterable[tuple[str, str, int, str]], now: float) -> None:
    """Count deliveries that were refused: (company, system, how many, the last reason)."""
    with database.write() as connection:
        connection.executemany(
            "INSERT INTO receiver (book, system, received, repeated, refused, last_refused, last_reason) VALUES (?1,?2,0,0,?3,?5,?4)"
            " ON CONFLICT DO UPDATE SET refused = refused + excluded.refused, last_refused = excluded.last_refused,"
            " last_reason = excluded.last_reason",
            [(*row, now) for row in refused],
        )


def prove_writable(database: Database) -> None:
    """Write something and take it back. Raises MlcError where the state file cannot be written."""
    with database.write() as connection:
        connection.execute("INSERT INTO receiver (book, system, received, repeated, refused) VALUES ('', '', 0, 0, 0)")
        connection.execute("DELETE FROM receiver WHERE book=''")


class Inbox:
    """The inbox of one company."""

    def __init__(self, database: Database, book: str, clock: Clock) -> None:
        self._database = database
        self._book = book
        self._clock = clock

    def waiting(self, *kinds: str) -> Iterator[list[Letter]]:
        """Yield pages of events that no pass has dealt with, in the order in which they came."""
        last = 0
        while True:
            page = self._letters(
                f"kind IN ({','.join('?' * len(kinds))}) AND done_at IS NULL AND seq > ? ORDER BY seq LIMIT {_PAGE}",
                (*kinds, last),
            )
            if page:
                yield page
            if len(page) < _PAGE:
                return
            last = page[-1].seq

    def waits(self, *kinds: str) -> bool:
        """Tell whether any event of these kinds waits."""
        return next(self.waiting(*kinds), None) is not None

    def named(self, *kinds: str) -> set[str]:
        """Return the objects that waiting events of these kinds are about."""
        return {letter.about for page in self.waiting(*kinds) for letter in page if letter.about}

    def newest(self) -> int:
        """Return the number of the newest event, 0 where there is none."""
        return int(self._one("SELECT coalesce(max(seq), 0) FROM inbox WHERE book=?"))

    def dealt_with(self, kinds: Sequence[str], upto: int, run_id: str) -> int:
        """Tick off what waited when a pass began and is therefore dealt with now; returns how many that were."""
        if not kinds or not self.waits(*kinds):
            return 0
        with self._database.write() as connection:
            ticked = connection.execute(
                f"UPDATE inbox SET done_at=?, run_id=? WHERE book=? AND done_at IS NULL AND seq <= ?"  # noqa: S608 - question marks only
                f" AND kind IN ({','.join('?' * len(kinds))})",
                (self._clock.now(), run_id, self._book, upto, *kinds),
            )
        return ticked.rowcount

    def settled(self, numbers: Sequence[int], run_id: str) -> None:
        """Tick off events that a person had looked at again."""
        with self._database.write() as connection:
            connection.executemany(
                "UPDATE inbox SET done_at=?, run_id=? WHERE book=? AND seq=? AND done_at IS NULL",
                [(self._clock.now(), run_id, self._book, number) for number in numbers],
            )

    def find(self, event_id: str) -> list[Letter]:
        """Return the events of an id: one at most of each system."""
        return self._letters("id=?", (event_id,))

    def of(self, about: str, limit: int = 200) -> list[Letter]:
        """Return the events about an object, oldest first."""
        return self._letters("about=? ORDER BY seq LIMIT ?", (about, limit))

    def newest_rows(self, limit: int, *, waiting: bool = False, system: str = "") -> list[Letter]:
        """Return the newest events, newest first."""
        where = ("done_at IS NULL AND " if waiting else "") + "(?2 = '' OR system = ?2)"
        return self._letters(f"{where} ORDER BY seq DESC LIMIT ?3", (system, limit))

    def counts(self) -> tuple[int, float | None]:
        """Return how many events wait, and since when the oldest does."""
        row = self._database.connection.execute(
            "SELECT count(*), min(received_at) FROM inbox INDEXED BY inbox_waiting WHERE book=? AND done_at IS NULL",
            (self._book,),
        ).fetchone()
        return int(row[0]), row[1]

    def tallies(self) -> list[Tally]:
        """Return how deliveries fared, a line for each system."""
        rows = self._database.connection.execute(
            "SELECT * FROM receiver WHERE book=? ORDER BY system", (self._book,)
        ).fetchall()
        return [Tally(**{key: row[key] for key in row.keys() if key != "book"}) for row in rows]  # noqa: SIM118 - a Row yields values

    def _one(self, query: str) -> Any:
        return self._database.connection.execute(query, (self._book,)).fetchone()[0]

    def _letters(self, where: str, values: Sequence[Any]) -> list[Letter]:
        query = f"SELECT * FROM inbox WHERE book=? AND {where}"  # noqa: S608 - fixed words and question marks only
        rows = self._database.connection.execute(query, (self._book, *values)).fetchall()
        return [Letter(**{name: row[name] for name in Letter.__slots__}) for row in rows]
