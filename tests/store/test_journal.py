"""The state file: who may read it, which versions are taken, and what the promises in it keep over time."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlc.core.commands import DropDraft
from mlc.core.errors import MlcError, NewerStateError, NoStateError
from mlc.core.intents import Call, Intent, Mark, Plan, Receipt, Skip
from mlc.store.database import Database
from mlc.store.journal import Journal

NAME = "CO/push-invoice/stripe/7"


class Time:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.wall = 1_800_000_000.0

    def now(self) -> float:
        return self.wall

    def uptime(self) -> float:
        return 50.0

    def boot_id(self) -> str:
        return "one"

    def sleep(self, seconds: float) -> None:
        self.wall += seconds


@pytest.fixture
def time() -> Time:
    """A clock."""
    return Time()


@pytest.fixture
def journal(tmp_path: Path, time: Time) -> Iterator[Journal]:
    """A journal of company CO, which hides a secret."""
    database = Database.open(tmp_path / "mlc.db")
    yield Journal(database, "CO", "run1", time, lambda text: text.replace("hush-hush", "***"))
    database.close()


def _wish(**more: object) -> Intent:
    return Intent(NAME, DropDraft(7, "in_7"), lane="l", says="drop", **more)  # type: ignore[arg-type]


def _later(journal: Journal) -> Journal:
    return Journal(journal.database, "CO", "run2", journal.clock)


def test_a_new_state_is_private(tmp_path: Path) -> None:
    """File and directory are made for their owner alone, whatever the umask says; a file that was open is closed."""
    mask = os.umask(0)
    try:
        database = Database.open(tmp_path / "state" / "mlc.db")
        with database.write() as connection:
            connection.execute("INSERT INTO cursors VALUES ('b','n','v',0)")
        modes = {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in (tmp_path / "state").iterdir()}
    finally:
        os.umask(mask)
    assert set(modes.values()) == {"0o600"}, modes
    assert oct(stat.S_IMODE((tmp_path / "state").stat().st_mode)) == "0o700"
    database.close()
    database.path.chmod(0o644)
    Database.open(database.path).close()
    assert oct(stat.S_IMODE(database.path.stat().st_mode)) == "0o600"


def test_the_first_opening_makes_every_table_and_the_second_changes_nothing(tmp_path: Path) -> None:
    """Migrations run from nothing, once each."""
    tables = []
    for _ in range(2):
        database = Database.open(tmp_path / "mlc.db")
        tables.append([row[0] for row in database.connection.execute("SELECT sql FROM sqlite_master ORDER BY name")])
        database.close()
    assert tables[0] == tables[1]
    assert any("intents" in (sql or "") for sql in tables[0])


def test_a_state_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    """A migration this version does not know means hands off: exit 13."""
    database = Database.open(tmp_path / "mlc.db")
    database.connection.execute(
        "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('mlc', 'm999_future', '2030-01-01')"
    )
    database.close()
    with pytest.raises(NewerStateError, match="m999"):
        Database.open(tmp_path / "mlc.db")


def test_a_link_is_refused(tmp_path: Path) -> None:
    """A symbolic link in place of the state file is not followed, also where it leads nowhere yet."""
    Database.open(tmp_path / "real.db").close()
    for target in ("real.db", "nowhere.db"):
        link = tmp_path / f"link-{target}"
        link.symlink_to(tmp_path / target)
        with pytest.raises(MlcError, match="symbolic link"):
            Database.open(link)
    assert not (tmp_path / "nowhere.db").exists()


def test_an_absent_state_is_not_made_where_nobody_asked_for_it(tmp_path: Path) -> None:
    """Commands that only look say that there is nothing yet: exit 10."""
    with pytest.raises(NoStateError):
        Database.open(tmp_path / "mlc.db", create=False)
    assert not list(tmp_path.iterdir())


def test_two_first_openings_at_once_both_succeed(tmp_path: Path) -> None:
    """Two processes that make the state file together end with one whole file."""
    wrong: list[Exception] = []

    def work(path: Path) -> None:
        try:
            Database.open(path).close()
        except Exception as error:  # noqa: BLE001 - told below
            wrong.append(error)

    for number in range(10):
        threads = [threading.Thread(target=work, args=(tmp_path / f"{number}.db",)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_a_broken_block_leaves_nothing(journal: Journal) -> None:
    """Whatever is raised inside a transaction, none of it is kept."""

    def broken() -> None:
        with journal.database.write() as connection:
            connection.execute("INSERT INTO cursors VALUES ('CO','c','v',0)")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken()
    assert journal.cursor("c") is None
    assert not journal.database.connection.in_transaction


def test_a_secret_never_reaches_the_file(journal: Journal, tmp_path: Path) -> None:
    """What is cleaned is cleaned in answers, refusals and the trail; a request's body is frozen to the byte and holds no secret."""
    (stored,) = journal.accept(Plan(intents=[_wish()]), "p")
    journal.sending(stored, Call("s", "stripe", "POST", "/x", {"a": "1"}, write=True))
    journal.answered(stored, "s", 200, {"b": "hush-hush too"})
    journal.refused(stored, "no", "the key hush-hush is wrong")
    journal.database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert not [path for path in tmp_path.iterdir() if b"hush-hush" in path.read_bytes()]


def test_a_secret_in_a_held_text_never_reaches_the_file(journal: Journal, tmp_path: Path) -> None:
    """A hold quotes what a system said, and that may quote a secret."""
    (stored,) = journal.accept(Plan(intents=[_wish()]), "p")
    journal.hold(stored, Skip(NAME, "conflict", "the system said hush-hush"))
    journal.database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert not [path for path in tmp_path.iterdir() if b"hush-hush" in path.read_bytes()]


def test_a_held_item_keeps_since_when_it_waits(journal: Journal, time: Time) -> None:
    """Looked at again for the same reason it waits since the first time; for another reason since now."""
    first = time.now()
    news = []
    for reason in ("currency", "currency", "installments"):
        journal.accept(Plan(skips=[Skip(NAME, reason, "text")]), "p")
        held = journal.held.get(NAME)
        assert held is not None
        news.append(held.since - first)
        time.sleep(1000)
    assert news == [0, 0, 2000]


def test_a_dismissed_item_stays_dismissed_until_its_reason_changes(journal: Journal) -> None:
    """What a person set aside comes back only with another reason."""
    journal.accept(Plan(skips=[Skip(NAME, "currency", "text")]), "p")
    journal.dismiss(NAME, "known", "me")
    journal.accept(Plan(skips=[Skip(NAME, "currency", "text")]), "p")
    assert (journal.held.count(), list(journal.held.all())) == (0, [])
    journal.accept(Plan(skips=[Skip(NAME, "installments", "text")]), "p")
    assert journal.held.count() == 1


def test_a_finished_wish_is_not_opened_again_by_itself(journal: Journal) -> None:
    """Done is done: only `anew` opens the next generation."""
    (stored,) = journal.accept(Plan(intents=[_wish()]), "p")
    journal.done(stored, Receipt("stripe", "Draft", "in_7"), (Mark("invoice", "7", "in_7", "open"),))
    assert journal.accept(Plan(intents=[_wish()]), "p") == []
    (again,) = journal.accept(Plan(intents=[_wish(anew=True)]), "p")
    assert (again.generation, again.receipt) == (2, None)


def test_what_was_sent_is_never_replaced_by_a_new_decision(journal: Journal) -> None:
    """A begun wish keeps its command and generation, an unsent one takes the new command."""
    journal.accept(Plan(intents=[_wish()]), "p")
    other = Intent(NAME, DropDraft(7, "in_8"), lane="l")
    (stored,) = _later(journal).accept(Plan(intents=[other]), "p")
    assert (stored.command, stored.generation, stored.run_id) == (other.command, 1, "run2")
    journal.sending(stored, Call("s", "stripe", "POST", "/x", write=True))
    (kept,) = _later(journal).accept(Plan(intents=[_wish()]), "p")
    assert kept.command == other.command


def test_only_unsent_promises_of_earlier_runs_are_withdrawn(journal: Journal) -> None:
    """What was sent stays open however little it is wanted now; what this run promised stays too."""
    (stored,) = journal.accept(Plan(intents=[_wish()]), "p")
    assert journal.withdraw_unwanted("p") == []
    journal.sending(stored, Call("s", "stripe", "POST", "/x", write=True))
    later = _later(journal)
    assert later.withdraw_unwanted("p") == []
    later.not_done(stored, "s")
    assert later.withdraw_unwanted("p") == [NAME]
    assert later.states([NAME]) == {}


def test_companies_in_one_file_do_not_see_each_other(journal: Journal, time: Time) -> None:
    """The company stands in every key."""
    journal.accept(Plan(intents=[_wish()], cursors={"c": "1"}, events=["evt"], marks=[Mark("invoice", "7", "in_7")]), "p")
    other = Journal(journal.database, "OTHER", "run1", time)
    assert (other.find(NAME), other.cursor("c"), other.unseen(["evt"])) == (None, None, ["evt"])
    assert other.links.get("invoice", "7") is None
    assert journal.unseen(["evt", "new"]) == ["new"]
