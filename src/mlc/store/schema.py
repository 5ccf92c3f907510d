"""The tables, as named migrations: each runs once, in a transaction with its own record."""

from __future__ import annotations

from sqlite_utils import Database as SqliteUtils
from sqlite_utils import Migrations

migrations = Migrations("mlc")


@migrations()
def m001_first_tables(db: SqliteUtils) -> None:
    """Create everything that version 0.1 keeps. The company (`book`) stands in every key."""
    for statement in _FIRST.split(";\n"):
        if statement.strip():
            db.conn.execute(statement)


@migrations()
def m002_payouts(db: SqliteUtils) -> None:
    """Make the parts of payouts quick to find by document, and customers by e-mail."""
    db.conn.execute("CREATE INDEX links_document ON links (book, kind, json_extract(data, '$.doc_entry')) WHERE kind = 'part'")
    db.conn.execute("CREATE INDEX links_email ON links (book, kind, json_extract(data, '$.email')) WHERE kind = 'gc-customer'")
    for name, kind in (("links_said_customer", "gc-customer"), ("links_said_mandate", "mandate")):
        db.conn.execute(f"CREATE INDEX {name} ON links (book, kind, json_extract(data, '$.said')) WHERE kind = '{kind}'")


@migrations()
def m003_inbox(db: SqliteUtils) -> None:
    """Keep what webhooks delivered until a pass has dealt with it, and tell how the receiver fares."""
    for statement in _INBOX.split(";\n"):
        db.conn.execute(statement)


@migrations()
def m004_counts(db: SqliteUtils) -> None:
    """Let `status` count a hundred thousand promises without reading them."""
    db.conn.execute("CREATE INDEX intents_counts ON intents (book, pass, state)")


@migrations()
def m005_tallies(db: SqliteUtils) -> None:
    """Count promises as they come and go, in the same transaction: `status` is as quick after a million as after ten."""
    for statement in _TALLIES.split(";;\n"):
        db.conn.execute(statement)


_TALLIES = """
DROP INDEX intents_counts;;
CREATE TABLE tallies (
    book TEXT NOT NULL, pass TEXT NOT NULL, state TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (book, pass, state)
) STRICT, WITHOUT ROWID;;
INSERT INTO tallies SELECT book, pass, state, count(*) FROM intents GROUP BY book, pass, state;;
CREATE TRIGGER intents_come AFTER INSERT ON intents BEGIN
    INSERT INTO tallies VALUES (new.book, new.pass, new.state, 1) ON CONFLICT DO UPDATE SET n = n + 1;
END;;
CREATE TRIGGER intents_change AFTER UPDATE OF book, pass, state ON intents
WHEN (old.book, old.pass, old.state) <> (new.book, new.pass, new.state) BEGIN
    UPDATE tallies SET n = n - 1 WHERE book = old.book AND pass = old.pass AND state = old.state;
    INSERT INTO tallies VALUES (new.book, new.pass, new.state, 1) ON CONFLICT DO UPDATE SET n = n + 1;
END;;
CREATE TRIGGER intents_go AFTER DELETE ON intents BEGIN
    UPDATE tallies SET n = n - 1 WHERE book = old.book AND pass = old.pass AND state = old.state;
END
"""

_INBOX = """
CREATE TABLE inbox (
    seq INTEGER PRIMARY KEY, book TEXT NOT NULL, system TEXT NOT NULL, id TEXT NOT NULL, type TEXT NOT NULL, kind TEXT NOT NULL,
    about TEXT NOT NULL, created REAL NOT NULL, received_at REAL NOT NULL, deliveries INTEGER NOT NULL, body TEXT NOT NULL,
    done_at REAL, run_id TEXT NOT NULL DEFAULT '', UNIQUE (book, system, id)) STRICT;
CREATE INDEX inbox_waiting ON inbox (book, kind, seq) WHERE done_at IS NULL;
CREATE INDEX inbox_about ON inbox (book, about);
CREATE TABLE receiver (
    book TEXT NOT NULL, system TEXT NOT NULL, received INTEGER NOT NULL, repeated INTEGER NOT NULL, refused INTEGER NOT NULL,
    last_received REAL, last_refused REAL, last_reason TEXT NOT NULL DEFAULT '', PRIMARY KEY (book, system)) STRICT, WITHOUT ROWID
"""

_FIRST = """
CREATE TABLE intents (
    id INTEGER PRIMARY KEY, book TEXT NOT NULL, name TEXT NOT NULL, pass TEXT NOT NULL, lane TEXT NOT NULL,
    command TEXT NOT NULL, generation INTEGER NOT NULL, state TEXT NOT NULL, says TEXT NOT NULL,
    minor INTEGER, currency TEXT, receipt TEXT, code TEXT NOT NULL DEFAULT '', reason TEXT NOT NULL DEFAULT '',
    run_id TEXT NOT NULL, created_at REAL NOT NULL, updated_at REAL NOT NULL, UNIQUE (book, name)) STRICT;
CREATE INDEX intents_open ON intents (book, pass, id) WHERE state = 'open';
CREATE INDEX intents_refused ON intents (book, pass, id) WHERE state = 'refused';
CREATE TABLE effects (
    intent INTEGER NOT NULL REFERENCES intents, generation INTEGER NOT NULL, step TEXT NOT NULL, roll INTEGER NOT NULL,
    system TEXT NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL, body TEXT NOT NULL, key TEXT NOT NULL,
    sends INTEGER NOT NULL, first_sent REAL NOT NULL, first_up REAL NOT NULL, first_boot TEXT NOT NULL,
    sent REAL NOT NULL, up REAL NOT NULL, boot TEXT NOT NULL,
    answered_at REAL, status INTEGER, answer TEXT,
    PRIMARY KEY (intent, generation, step)) STRICT, WITHOUT ROWID;
CREATE TABLE held (
    book TEXT NOT NULL, name TEXT NOT NULL, pass TEXT NOT NULL, reason TEXT NOT NULL, text TEXT NOT NULL,
    minor INTEGER, currency TEXT, candidates TEXT NOT NULL, about TEXT NOT NULL, facts TEXT NOT NULL,
    since REAL NOT NULL, looked_at REAL NOT NULL, run_id TEXT NOT NULL, dismissed_at REAL, note TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (book, name)) STRICT, WITHOUT ROWID;
CREATE TABLE links (
    book TEXT NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL, number INTEGER, other TEXT NOT NULL, state TEXT NOT NULL,
    data TEXT NOT NULL, updated_at REAL NOT NULL, PRIMARY KEY (book, kind, key)) STRICT, WITHOUT ROWID;
CREATE INDEX links_other ON links (book, kind, other);
CREATE INDEX links_number ON links (book, kind, number) WHERE number IS NOT NULL;
CREATE INDEX links_state ON links (book, kind, state, number);
CREATE TABLE cursors (
    book TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, updated_at REAL NOT NULL, PRIMARY KEY (book, name)) STRICT;
CREATE TABLE events (
    book TEXT NOT NULL, id TEXT NOT NULL, seen_at REAL NOT NULL, PRIMARY KEY (book, id)) STRICT, WITHOUT ROWID;
CREATE TABLE decisions (
    book TEXT NOT NULL, subject TEXT NOT NULL, decision TEXT NOT NULL, at REAL NOT NULL, who TEXT NOT NULL,
    PRIMARY KEY (book, subject)) STRICT, WITHOUT ROWID;
CREATE TABLE runs (
    run_id TEXT NOT NULL, book TEXT NOT NULL, tenant TEXT NOT NULL, pass TEXT NOT NULL, started REAL NOT NULL, ended REAL,
    dry_run INTEGER NOT NULL, exit_code INTEGER, counts TEXT NOT NULL, message TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (book, pass, run_id)) STRICT, WITHOUT ROWID;
CREATE INDEX runs_last ON runs (book, pass, started);
CREATE TABLE audit (
    seq INTEGER PRIMARY KEY, at TEXT NOT NULL, book TEXT NOT NULL, run_id TEXT NOT NULL, pass TEXT NOT NULL, name TEXT NOT NULL,
    what TEXT NOT NULL, data TEXT NOT NULL, hash TEXT NOT NULL) STRICT;
CREATE INDEX audit_name ON audit (book, name, seq)
"""
