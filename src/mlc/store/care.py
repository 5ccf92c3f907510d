"""Care of the state file: copies, checks, what is done after an older copy was put back, what may be taken out, and the whole as text."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlc.core.errors import MlcError
from mlc.store.audit import Audit
from mlc.store.database import Database
from mlc.store.journal import Journal

_TABLES = ("intents", "held", "decisions", "links", "cursors", "runs", "inbox", "receiver")
_OLD = {  # what may be taken out: the table, and which of its rows
    "bodies of deliveries": ("inbox", "book=? AND done_at < ? AND body<>''"),
    "requests": ("effects", "intent IN (SELECT id FROM intents WHERE book=? AND state='done' AND updated_at < ?)"),
    "runs": (
        "runs",
        "book=? AND started < ? AND started < (SELECT max(started) FROM runs r WHERE r.book=runs.book AND r.pass=runs.pass)",
    ),
}
_KEPT_CURSORS = ("live/", "first_run/", "tripped/")  # what a person said, and a limit that stopped a pass


@dataclass(slots=True)
class Health:
    """What a look at the state file found; `wrong` and `mended` in words, empty where all is well."""

    path: Path
    megabytes: float
    free_megabytes: float
    audit_rows: int = 0
    head: str = ""
    wrong: list[str] = field(default_factory=list)
    mended: list[str] = field(default_factory=list)  # what could be put right on the spot


def examine(database: Database) -> Health:
    """Look at the whole file: its structure, its references, the chain of the trail, its rights and the room around it."""
    path = database.path
    health = Health(path, path.stat().st_size / 2**20, shutil.disk_usage(path.parent).free / 2**20)
    try:
        _look_inside(database, health)
    except sqlite3.DatabaseError as error:
        health.wrong.append(f"the file cannot be read whole: {error}")
    for one, most in ((path, 0o600), (path.parent, 0o755)):
        rights = stat.S_IMODE(one.stat().st_mode)
        if rights & ~most:
            health.wrong.append(f"{one} has mode {rights:03o}: others may read or change it (chmod {most:o})")
    return health


def _look_inside(database: Database, health: Health) -> None:
    """Fill in what the file's contents tell; a damaged file is looked at no further, and never written to."""
    for row in database.connection.execute("PRAGMA integrity_check(20)"):
        if row[0] != "ok":
            health.wrong.append(f"the file is damaged: {row[0]}")
    if health.wrong:
        return
    orphans = len(database.connection.execute("PRAGMA foreign_key_check").fetchall())
    if orphans:
        health.wrong.append(f"{orphans} requests belong to no promise")
    if _miscounted(database):
        health.mended.append("the numbers that `mlc status` shows were not those of the promises; they were counted again")
    audit = Audit(database)
    health.audit_rows, broken = audit.verify()
    health.wrong += broken
    health.head = audit.head()


def _miscounted(database: Database) -> bool:
    """Compare what triggers counted with the promises themselves; count again where somebody has changed one without the other."""
    counted = "SELECT book, pass, state, count(*) FROM intents GROUP BY book, pass, state"
    kept = "SELECT book, pass, state, n FROM tallies WHERE n <> 0"
    differs = f"SELECT EXISTS ({counted} EXCEPT {kept}) OR EXISTS ({kept} EXCEPT {counted})"
    if not database.connection.execute(differs).fetchone()[0]:
        return False
    with database.write() as connection:
        connection.execute("DELETE FROM tallies")
        connection.execute(f"INSERT INTO tallies {counted}")
    return True


def restored(journal: Journal, who: str) -> dict[str, int]:
    """Treat a company's state as the older copy it is: what was read since is read again, and nothing in it is taken for news.

    Cursors and proofs are forgotten, so that the next runs read both sides whole, as after a deletion, and adopt what stands there;
    the last agreed contact fields are forgotten, because both sides may have agreed on others since. Promises that were under way
    are looked up by the next run. What people decided and confirmed stays. Returns how much was forgotten.
    """
    now, book = journal.clock.now(), journal.book
    kept = " AND ".join(f"name NOT LIKE '{one}%'" for one in _KEPT_CURSORS)
    with journal.database.write() as connection:
        cursors = connection.execute(f"DELETE FROM cursors WHERE book=? AND {kept}", (book,)).rowcount  # noqa: S608 - fixed words
        contacts = connection.execute("DELETE FROM links WHERE book=? AND kind='contact'", (book,)).rowcount
        told = {"cursors": cursors, "contacts": contacts, "who": who}
        journal.audit.append(now, book=book, run_id=journal.run_id, pass_="", name=book, what="restored", data=told)
    return {"cursors": cursors, "contacts": contacts}


def prune(journal: Journal, before: float, *, dry_run: bool) -> dict[str, int]:
    """Take out what nobody needs of what ended before a moment: bodies of deliveries, requests of ended promises, old runs.

    Ids of events stay, so that an old delivery sent again changes nothing; the trail stays whole; held items, decisions and links
    stay. Returns how many rows of each.
    """
    book = (journal.book, before)
    counts = {}
    for name, (table, where) in _OLD.items():
        if dry_run:
            query = f"SELECT count(*) FROM {table} WHERE {where}"  # noqa: S608 - fixed words
            counts[name] = int(journal.database.connection.execute(query, book).fetchone()[0])
            continue
        with journal.database.write() as connection:
            change = f"UPDATE {table} SET body=''" if table == "inbox" else f"DELETE FROM {table}"  # noqa: S608 - fixed words
            counts[name] = connection.execute(f"{change} WHERE {where}", book).rowcount
    if not dry_run and any(counts.values()):
        journal.note("", journal.book, "pruned", {"before": before, **counts})
    return counts


def compact(database: Database) -> None:
    """Give the room of what was taken out back to the disk. Raises MlcError."""
    try:
        database.connection.execute("VACUUM")
        database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        raise MlcError(
            f"{database.path} could not be made smaller: {error}", hint="free as much space as the file has, or leave it"
        ) from error


def rows(database: Database, book: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every row of a company as (table, values), the requests of its promises included; the trail has its own export."""
    for table in _TABLES:
        for row in database.connection.execute(f"SELECT * FROM {table} WHERE book=?", (book,)):  # noqa: S608 - fixed names
            yield table, _told(dict(row))
    query = "SELECT effects.* FROM effects JOIN intents ON intents.id = effects.intent WHERE intents.book=?"
    for row in database.connection.execute(query, (book,)):
        yield "effects", _told(dict(row))


def _told(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with its JSON texts as what they say."""
    found = {}
    for name, value in row.items():
        found[name] = value
        if isinstance(value, str) and value[:1] in ("{", "["):
            with contextlib.suppress(ValueError):
                found[name] = json.loads(value)
    return found
