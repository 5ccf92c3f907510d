"""Takes one customer's personal data out of the state: name, e-mail, telephone, street. Numbers, ids and sums stay: they are the books'.

The trail keeps its chain. A row that was changed keeps its hash, and a new row of the chain names it: `Audit.verify` accepts a changed
row only where such a row vouches for its hash.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from mlc.core.commands import to_json
from mlc.core.errors import ConfigError
from mlc.store.audit import ERASED, fingerprint
from mlc.store.journal import Journal

MASK = "[erased]"
_NAMED = ("name", "email", "phone", "line1", "street", "email_then")
_SHORTEST = 4  # characters: a shorter word would be found in other people's rows
_TEXTS = {
    "intents": ("command", "says", "reason", "receipt"), "held": ("text", "candidates", "about", "facts", "note"),
    "decisions": ("decision",), "links": ("data",), "inbox": ("body",), "runs": ("message",),
}  # fmt: skip
_KEYS = {
    "intents": ("id",), "held": ("book", "name"), "decisions": ("book", "subject"), "links": ("book", "kind", "key"),
    "inbox": ("seq",), "runs": ("book", "pass", "run_id"),
}  # fmt: skip


@dataclass(slots=True)
class Erased:
    """What was taken out: how many words of the person were known, and how many rows of each table held one."""

    words: int = 0
    rows: dict[str, int] = field(default_factory=dict)


def erase(journal: Journal, card: str, who: str, *, dry_run: bool) -> Erased:
    """Take a business partner's personal data out of every table and of the trail, in one transaction.

    Raises ConfigError where a promise that names the person is under way: it would be carried with what is left.
    """
    words = _words(journal, card)
    found = Erased(len(words))
    forms = sorted({form for word in words for form in _forms(word)}, key=len, reverse=True)
    if not forms:
        return found
    for stored in journal.intents(state="open"):
        if any(form in json.dumps(to_json(stored.command), ensure_ascii=False) for form in forms):
            raise ConfigError(
                f"{stored.name} is under way and names {card}", hint="let a run finish it first; nothing was taken out"
            )
    now = journal.clock.now()
    with journal.database.write() as connection:
        for table, columns in _TEXTS.items():
            found.rows[table] = _clean_table(journal, table, columns, forms)
        found.rows["requests"] = _clean_requests(journal, forms)
        changed = _clean_trail(journal, forms)
        found.rows["trail"] = len(changed)
        if dry_run:
            connection.execute("ROLLBACK")
            connection.execute("BEGIN")
            return found
        told = {"card_code": card, "who": who, "rows": changed, "counts": found.rows}
        name = f"{journal.book}/customer/{card}"
        journal.audit.append(now, book=journal.book, run_id=journal.run_id, pass_="", name=name, what=ERASED, data=told)
    return found


def _words(journal: Journal, card: str) -> set[str]:
    """Return what the state knows of a person by which it could be named."""
    found: set[str] = set()
    links = journal.links
    marks = [links.get("contact", card), links.get("customer", card), *links.of_others("gc-customer", [card])]
    for mark in marks:
        found |= _named(mark.data if mark is not None else {})
    query = "SELECT command FROM intents WHERE book=? AND command LIKE ?"
    for row in journal.database.connection.execute(query, (journal.book, f"%{card}%")):
        command = json.loads(row["command"])
        if _is_about(command, card):
            found |= _named(command)
    return {word for word in found if len(word) >= _SHORTEST and word != card}


def _is_about(command: Any, card: str) -> bool:
    partner = command.get("partner") if isinstance(command, dict) else None
    return isinstance(command, dict) and card in (
        command.get("card_code"),
        partner.get("card_code") if isinstance(partner, dict) else None,
    )


def _named(value: Any) -> set[str]:
    """Return the texts that stand under a person's fields, however deep; contact data are kept as pairs too."""
    found: set[str] = set()
    if isinstance(value, dict):
        for key, inner in value.items():
            found |= {inner.strip()} if key in _NAMED and isinstance(inner, str) else _named(inner)
    elif isinstance(value, list):
        if len(value) == 2 and value[0] in _NAMED and isinstance(value[1], str):
            return {value[1].strip()}
        for inner in value:
            found |= _named(inner)
    return {word for word in found if word}


def _forms(word: str) -> set[str]:
    """Return how a word may stand in a JSON text: as it is, escaped, in ASCII; e-mail addresses in small letters too."""
    spelled = {word, word.lower()} if "@" in word else {word}
    return {form for one in spelled for form in (one, json.dumps(one)[1:-1], json.dumps(one, ensure_ascii=False)[1:-1])}


def _cleaned(text: str, forms: list[str]) -> str:
    for form in forms:
        text = text.replace(form, MASK)
    return text


def _clean_table(journal: Journal, table: str, columns: tuple[str, ...], forms: list[str]) -> int:
    connection, keys = journal.database.connection, _KEYS[table]
    where = " AND ".join(f'"{key}"=?' for key in keys)
    change = ", ".join(f"{column}=?" for column in columns)
    count = 0
    for row in connection.execute(f"SELECT * FROM {table} WHERE book=?", (journal.book,)).fetchall():  # noqa: S608 - fixed words
        now = [_cleaned(row[column], forms) if row[column] else row[column] for column in columns]
        if now != [row[column] for column in columns]:
            connection.execute(f"UPDATE {table} SET {change} WHERE {where}", (*now, *(row[key] for key in keys)))  # noqa: S608
            count += 1
    return count


def _clean_requests(journal: Journal, forms: list[str]) -> int:
    connection = journal.database.connection
    query = "SELECT effects.* FROM effects JOIN intents ON intents.id = effects.intent WHERE intents.book=? AND answered_at IS NOT NULL"
    count = 0
    for row in connection.execute(query, (journal.book,)).fetchall():
        body, answer = _cleaned(row["body"], forms), _cleaned(row["answer"] or "", forms)
        if (body, answer) != (row["body"], row["answer"] or ""):
            key = (row["intent"], row["generation"], row["step"])
            connection.execute(
                "UPDATE effects SET body=?, answer=? WHERE intent=? AND generation=? AND step=?", (body, answer, *key)
            )
            count += 1
    return count


def _clean_trail(journal: Journal, forms: list[str]) -> list[list[Any]]:
    """Change the rows of the trail that hold a word; return their numbers, their hashes, and fingerprints of what is left."""
    connection = journal.database.connection
    changed: list[list[Any]] = []
    for row in connection.execute("SELECT seq, data, hash FROM audit WHERE book=?", (journal.book,)):
        text = _cleaned(row["data"], forms)
        if text != row["data"]:
            changed.append([row["seq"], row["hash"], text])
    for number, _, text in changed:
        connection.execute("UPDATE audit SET data=? WHERE seq=?", (text, number))
    query = "SELECT * FROM audit WHERE seq=?"
    return [[number, digest, fingerprint(connection.execute(query, (number,)).fetchone())] for number, digest, _ in changed]
