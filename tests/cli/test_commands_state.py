"""mlc state: copies, checks, an older copy put back, what may be taken out, and the whole as text."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import stat
from pathlib import Path

import pytest
from desk import Desk

from deliveries import STRIPE, Door
from mlc.core.errors import MlcError
from mlc.sandbox.kit import Fault
from mlc.store.copying import back_up
from mlc.store.database import Database

DAY = 86400


def paid(desk: Desk) -> str:
    """Push an invoice, let it be paid, and post it; returns the payment."""
    desk.company.invoice()
    desk.mlc("run")
    newest = max(desk.company.pushed().items())[1]
    payment = desk.company.account.pay(newest)
    desk.mlc("run")
    return str(payment)


def writes(desk: Desk) -> int:
    """How much was written at both systems."""
    return len(desk.writes())


def put_back(desk: Desk, copy: Path) -> None:
    """Copy a backup over the state, as a person would."""
    for path in desk.folder.glob("mlc.db*"):
        if not path.name.endswith(".backup") and path != copy:
            path.unlink()
    shutil.copy(copy, desk.folder / "mlc.db")


def test_a_backup_is_whole_private_and_never_over_another(desk: Desk) -> None:
    """A copy made beside a run is checked, mode 0600 under any umask, and a file that is there is not touched."""
    paid(desk)
    target = desk.folder / "copy.db"
    before = os.umask(0)
    try:
        said = desk.mlc("state", "backup", str(target), "--json")
    finally:
        os.umask(before)
    [line] = said.of("backup")
    assert said.code == 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with sqlite3.connect(target) as connection:
        assert connection.execute("SELECT count(*) FROM intents").fetchone()[0] > 0
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "delete"
    assert desk.mlc("audit", "verify", "--head", line["audit_head"]).code == 0
    again = desk.mlc("state", "backup", str(target))
    assert (again.code, "exists and stays as it is" in again.err) == (1, True)
    assert desk.mlc("state", "backup", str(desk.folder / "none" / "copy.db")).code == 1
    assert desk.mlc("state", "backup").code == 0
    assert len(list(desk.folder.glob("mlc.db.*.backup"))) == 1
    assert not list(desk.folder.glob("*.part"))


def test_an_older_copy_put_back_doubles_nothing(desk: Desk) -> None:
    """After more was pushed and posted, the copy of before is put back and announced: the next runs write nothing anew."""
    first = paid(desk)
    copy = desk.folder / "old.backup"
    desk.mlc("state", "backup", str(copy))
    second = paid(desk)
    desk.company.invoice()
    desk.mlc("run")
    pushed, done = desk.company.pushed(), writes(desk)
    put_back(desk, copy)
    said = desk.mlc("state", "restored")
    assert said.code == 0
    assert "cursors" in said.err
    desk.mlc("run")
    desk.mlc("run")
    assert writes(desk) == done
    assert desk.company.pushed() == pushed
    assert {key: len(found) for key, found in desk.company.posted().items()} == {first: 1, second: 1}
    [row] = [row for row in desk.mlc("audit", "export").lines if row.get("what") == "restored"]
    assert row["data"]["cursors"] > 3
    assert desk.mlc("audit", "verify").code == 0
    third = paid(desk)
    assert len(desk.company.posted()[third]) == 1
    desk.company.check()


def test_a_contact_agreed_on_since_the_copy_is_not_set_back(desk: Desk) -> None:
    """What Stripe's side changed after the copy stays: the values agreed on in the old copy do not count as news of SAP."""
    paid(desk)
    desk.mlc("sync-customers")
    copy = desk.folder / "old.backup"
    desk.mlc("state", "backup", str(copy))
    customer = desk.company.account.all("customer")[0]["id"]
    desk.company.account.update_customer(customer, {"email": "one@example.com"})
    desk.mlc("sync-customers")
    assert desk.company.books.partners["C1"].fields["EmailAddress"] == "one@example.com"
    put_back(desk, copy)
    desk.mlc("state", "restored")
    desk.mlc("sync-customers")
    assert desk.company.account.read(customer)["email"] == "one@example.com"
    assert desk.company.books.partners["C1"].fields["EmailAddress"] == "one@example.com"


def test_what_a_person_confirmed_and_decided_survives(desk: Desk) -> None:
    """The word for the first run and a dismissal stay through `restored`."""
    desk.unexplained()
    [held] = desk.mlc("held", "list", "--json").of("held") or desk.mlc("held", "list", "--json").lines[:1]
    desk.mlc("held", "dismiss", held["id"], "--note", "cash")
    desk.mlc("state", "restored")
    assert desk.mlc("run").code == 0
    assert desk.mlc("held", "list", "--json").of("held") == []


def test_a_change_in_sap_since_the_copy_is_not_taken_for_an_old_value(desk: Desk) -> None:
    """A value that SAP has again since, and that the old copy had agreed on, is SAP's: Stripe's is not put in its place."""
    paid(desk)
    desk.company.books.partners["C1"].fields["EmailAddress"] = "old@example.com"
    desk.mlc("sync-customers")
    copy = desk.folder / "old.backup"
    desk.mlc("state", "backup", str(copy))
    customer = desk.company.account.all("customer")[0]["id"]
    assert desk.company.account.read(customer)["email"] == "old@example.com"
    desk.company.account.update_customer(customer, {"email": "one@example.com"})
    desk.mlc("sync-customers")
    desk.company.books.partners["C1"].fields["EmailAddress"] = "old@example.com"
    put_back(desk, copy)
    desk.mlc("state", "restored")
    desk.mlc("sync-customers")
    assert desk.company.books.partners["C1"].fields["EmailAddress"] == "old@example.com"
    assert desk.company.account.read(customer)["email"] == "old@example.com"


def test_cursors_are_forgotten_and_the_words_of_people_are_not(desk: Desk) -> None:
    """After `restored` nothing is known of how far anything was read; what a person accepted stays accepted."""
    desk.write(("first_run: go", "first_run: ask"))
    desk.company.account.pay(desk.company.account.add_invoice(desk.company.account.add_customer("A"), 100))
    assert desk.mlc("run", "--first-run").code in (0, 3)
    before = cursors(desk)
    assert any(name.startswith("first_run/") for name in before)
    assert any(not name.startswith("first_run/") for name in before)
    desk.mlc("state", "restored")
    assert cursors(desk) == [name for name in before if name.startswith("first_run/")]


def cursors(desk: Desk) -> list[str]:
    """Return the names of what the state remembers of how far it has read."""
    with sqlite3.connect(desk.folder / "mlc.db") as connection:
        return [row[0] for row in connection.execute("SELECT name FROM cursors ORDER BY name")]


def test_check_tells_what_is_wrong(desk: Desk) -> None:
    """A sound file is told in one line; a changed trail, loose rights or a damaged page end with 1 and the next step."""
    paid(desk)
    said = desk.mlc("state", "check")
    assert (said.code, "is sound" in said.err) == (0, True)
    state = desk.folder / "mlc.db"
    with sqlite3.connect(state) as connection:
        connection.execute("UPDATE audit SET data = '{}' WHERE seq = 3")
    said = desk.mlc("state", "check", "--json")
    [line] = said.of("state")
    assert said.code == 1
    assert any("row 3" in text for text in line["wrong"])
    assert line["mended"] == []
    said = desk.mlc("state", "check")
    assert "put back a backup" in said.err
    state.write_bytes(b"no database at all, and long enough to be looked at" * 100)
    assert desk.mlc("state", "check").code == 1
    for path in desk.folder.glob("mlc.db*"):
        path.unlink()
    assert desk.mlc("state", "check").code == 10


@pytest.mark.parametrize("table", ["intents", "tallies", "audit", "effects"])
def test_a_damaged_page_is_told_and_not_written_to(desk: Desk, table: str) -> None:
    """Whichever table it belongs to: no defect of mlc, the file stays as it is, and the next step is a backup."""
    paid(desk)
    state = desk.folder / "mlc.db"
    with sqlite3.connect(state) as connection:
        connection.execute("UPDATE tallies SET n = n + 1")  # what would be put right in a sound file
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = connection.execute("PRAGMA page_size").fetchone()[0]
        page = connection.execute("SELECT rootpage FROM sqlite_master WHERE name=?", (table,)).fetchone()[0]
    connection.close()
    with state.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * 200)
    before = state.read_bytes()
    said = desk.mlc("state", "check")
    assert said.code == 1
    assert "put back a backup" in said.err
    assert "defect" not in said.err
    assert state.read_bytes() == before


def test_nothing_is_counted_again_in_a_file_that_is_not_sound(desk: Desk) -> None:
    """What SQLite itself complains of is told alone: a file to be replaced is not mended."""
    paid(desk)
    with sqlite3.connect(desk.folder / "mlc.db") as connection:
        connection.execute("UPDATE tallies SET n = n + 1")
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute("UPDATE sqlite_master SET sql = replace(sql, 'hash TEXT', 'hash INTEGER') WHERE name='audit'")
    [line] = desk.mlc("state", "check", "--json").of("state")
    assert any("audit.hash" in text for text in line["wrong"])
    assert line["mended"] == []


def test_backup_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """Neither a part of the copy nor what SQLite keeps beside it."""
    database = Database.open(tmp_path / "mlc.db")
    target = tmp_path / "copies" / "x.backup"
    target.mkdir(parents=True)
    for end in ("", "-wal", "-shm", "-journal"):
        (target.parent / f"x.backup.part{end}").write_text("left by a full disk")
    with pytest.raises(MlcError):
        back_up(database.connection, target)
    database.close()
    assert [path.name for path in target.parent.iterdir()] == ["x.backup"]


def test_check_counts_again(desk: Desk) -> None:
    """Numbers that somebody changed are put right and told once; nothing else is wrong with such a file."""
    paid(desk)
    before = desk.mlc("status").out
    with sqlite3.connect(desk.folder / "mlc.db") as connection:
        connection.execute("UPDATE tallies SET n = n + 1 WHERE state = 'done'")
        connection.execute("INSERT INTO tallies VALUES ('SBODEMO', 'none', 'done', 4)")
    said = desk.mlc("state", "check")
    assert said.code == 1
    assert "they were counted again" in said.err
    assert "put back" not in said.err
    assert desk.mlc("state", "check").code == 0
    assert desk.mlc("status").out == before


def test_prune_takes_out_what_is_old_and_nothing_else(desk: Desk) -> None:
    """Old bodies and requests go; ids, decisions, links and the trail stay; a repeated delivery still changes nothing."""
    payment = paid(desk)
    with Door(desk.folder / "mlc.db", desk.company.clock) as door:
        body = next(one.body for one in desk.company.account.deliveries(STRIPE) if payment.encode() in one.body)
        assert door.stripe(body) == 200
    desk.company.clock.pass_time(60)
    desk.mlc("run")
    ident = json.loads(body)["id"]
    with sqlite3.connect(
        desk.folder / "mlc.db"
    ) as connection:  # a promise that never ended: its requests are all that is known of it
        connection.execute("UPDATE intents SET state='open' WHERE id = (SELECT min(intent) FROM effects)")
        kept = connection.execute("SELECT count(*) FROM effects WHERE intent = (SELECT min(intent) FROM effects)").fetchone()[0]
    desk.company.clock.pass_time(500 * DAY)
    assert desk.mlc("state", "prune", "--older-than", "5d").code == 2
    dry = desk.mlc("state", "prune", "-n")
    assert "would take out 1 bodies of deliveries" in dry.err
    said = desk.mlc("state", "prune")
    assert said.code == 0
    assert "took out 1 bodies of deliveries" in said.err
    [line] = desk.mlc("webhooks", "show", ident, "--json").of("delivery")
    assert line["body"] == ""
    with sqlite3.connect(desk.folder / "mlc.db") as connection:
        assert connection.execute("SELECT count(*) FROM effects").fetchone()[0] == kept > 0
        connection.execute("UPDATE intents SET state='done' WHERE state='open'")
        assert connection.execute("SELECT count(*) FROM intents WHERE state='done'").fetchone()[0] > 0
        assert connection.execute("SELECT count(*) FROM runs").fetchone()[0] == 4
    assert desk.mlc("audit", "verify").code == 0
    done = writes(desk)
    assert desk.mlc("replay", ident).code in (0, 2)
    desk.mlc("run")
    assert writes(desk) == done


def test_export_writes_every_row_and_no_secret(desk: Desk) -> None:
    """Every table of a tenant comes as JSON Lines, its JSON as what it says; secrets are in none of it."""
    paid(desk)
    lines = desk.mlc("state", "export").of("row")
    assert {"intents", "effects", "links", "cursors", "runs"} <= {one["table"] for one in lines}
    assert any(isinstance(one["row"].get("command"), dict) for one in lines)
    text = json.dumps(lines)
    assert not any(secret in text for secret in desk.env.values())


def test_a_migration_makes_a_copy_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before an older file is brought to this version a copy of it lies beside it, private and readable by the older version."""
    state = tmp_path / "mlc.db"
    Database.open(state).close()
    with sqlite3.connect(state) as connection:
        connection.execute("DELETE FROM _sqlite_migrations WHERE name >= 'm003'")
        triggers = ("DROP TRIGGER intents_come", "DROP TRIGGER intents_change", "DROP TRIGGER intents_go")
        for statement in (*triggers, "DROP TABLE tallies", "DROP TABLE inbox", "DROP TABLE receiver"):
            connection.execute(statement)
        connection.execute(
            "INSERT INTO intents (book,name,pass,lane,command,generation,state,says,run_id,created_at,updated_at)"
            " VALUES ('CO','CO/a','p','l','{}',1,'done','','r',1,1)"
        )
    Database.open(state).close()
    copy = tmp_path / "mlc.db.before-m003_inbox.backup"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with sqlite3.connect(copy) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name='inbox'").fetchone()[0] == 0
        assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name='intents'").fetchone()[0] == 1
    with sqlite3.connect(state) as connection:  # what was there before is counted as well
        assert connection.execute("SELECT * FROM tallies").fetchall() == [("CO", "p", "done", 1)]
    Database.open(state).close()
    assert len(list(tmp_path.glob("*.backup"))) == 1


def test_erase_takes_a_person_out_and_keeps_the_chain(desk: Desk) -> None:
    """Name and e-mail are in no table, file or line of the trail any more; the trail verifies, up to heads noted before; books stay."""
    desk.company.partner("C9", "Wilhelmine Öztürk", email="wilhelmine@example.com")
    entry = desk.company.invoice("C9")
    paid(desk)
    payment = desk.company.account.pay(desk.company.pushed()[entry])
    desk.mlc("run")
    with Door(desk.folder / "mlc.db", desk.company.clock) as door:
        for one in desk.company.account.deliveries(STRIPE):
            door.stripe(one.body)
    desk.mlc("run")
    head = json.loads(desk.mlc("audit", "verify", "--json").out.splitlines()[-1])["head"]
    assert desk.mlc("state", "erase", "C9").code == 2
    assert "would change" in desk.mlc("state", "erase", "C9", "-n").err
    names = ("Wilhelmine", "Öztürk", "\\u00d6zt\\u00fcrk", "wilhelmine@example.com")
    dump = desk.mlc("state", "export").out + desk.mlc("audit", "export").out
    assert "Wilhelmine" in dump
    said = desk.mlc("state", "erase", "C9", "--yes")
    assert said.code == 0, said.err
    dump = desk.mlc("state", "export").out + desk.mlc("audit", "export").out
    assert not [name for name in names if name in dump]
    raw = b"".join(path.read_bytes() for path in desk.folder.glob("mlc.db*"))
    assert b"Wilhelmine" not in raw
    assert b"wilhelmine@" not in raw
    said = desk.mlc("audit", "verify", "--head", head)
    assert said.code == 0, said.out
    assert "a person's data taken out of" in said.out
    with sqlite3.connect(desk.folder / "mlc.db") as connection:
        connection.execute("UPDATE audit SET data = '{}' WHERE data LIKE '%[erased]%'")
    assert desk.mlc("audit", "verify").code == 1
    assert len(desk.company.posted()[payment]) == 1
    assert desk.mlc("state", "erase", "C404", "--yes").code == 2


def test_erase_waits_for_what_is_under_way(desk: Desk) -> None:
    """A promise that names the person is not emptied under a run's feet: exit 2, and nothing is changed."""
    desk.company.partner("C9", "Wilhelmine Muster", email="wm@example.com")
    desk.company.invoice("C9")
    desk.company.stripe.faults.append(Fault("never", method="POST", path="/v1/customers", times=50))
    assert desk.mlc("run").code == 5
    said = desk.mlc("state", "erase", "C9", "--yes")
    assert (said.code, "is under way" in said.err) == (2, True)
    assert "Wilhelmine" in desk.mlc("state", "export").out


def test_erase_leaves_others_alone(desk: Desk) -> None:
    """Only what names this partner goes: another one's data, and the same city or country, stay."""
    desk.company.partner("C9", "Wilhelmine Muster", email="wm@example.com")
    desk.company.invoice("C9")
    paid(desk)
    desk.mlc("state", "erase", "C9", "--yes")
    text = desk.mlc("state", "export").out
    assert "Müller & Söhne" in text
    assert "Wilhelmine" not in text
    done = writes(desk)
    assert desk.mlc("run").code == 0
    assert writes(desk) == done


@pytest.mark.parametrize("words", [("restored",), ("prune",), ("erase", "C1", "--yes"), ("check",), ("backup",), ("export",)])
def test_care_needs_no_secret(desk: Desk, words: tuple[str, ...]) -> None:
    """On a server that was set up anew the state is cared for before any secret is there; a run under way is waited for or told."""
    paid(desk)
    desk.env.clear()
    assert desk.mlc("run").code == 4
    assert desk.mlc("state", *words).code == 0


def test_care_waits_for_a_run(desk: Desk) -> None:
    """What changes the state takes the tenant's lock: while a run holds it the command ends with 11."""
    paid(desk)
    opened = desk.company.open()
    try:
        for words in (("restored",), ("prune",), ("erase", "C1", "--yes")):
            assert desk.mlc("state", *words).code == 11
    finally:
        opened.close()
