"""The audit trail proves itself: whatever was changed, removed or put in another order is found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mlc.store.audit import GENESIS, Audit
from mlc.store.database import Database

ROWS = 30


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A state file with a trail of some rows."""
    made = Database.open(tmp_path / "mlc.db")
    _add(made, ROWS)
    yield made
    made.close()


def _add(database: Database, count: int) -> None:
    with database.write():
        for number in range(count):
            Audit(database).append(
                1e9 + number, book="CO", run_id="r", pass_="p", name=f"CO/x/y/{number}", what="done", data={"n": number}
            )


def _change(database: Database, statement: str) -> list[str]:
    database.connection.execute(statement)
    return Audit(database).verify()[1]


def test_an_untouched_trail_is_whole(database: Database) -> None:
    """The walk reads every row and finds nothing wrong, with any hash that was ever the head."""
    audit = Audit(database)
    heads = [row.hash for row in audit.rows()]
    assert audit.verify() == (ROWS, [])
    assert all(audit.verify(head) == (ROWS, []) for head in [*heads, GENESIS])
    assert audit.head() == heads[-1]


@pytest.mark.parametrize("column", ["at", "book", "run_id", "pass", "name", "what", "data", "hash"])
def test_a_changed_row_is_found(database: Database, column: str) -> None:
    """No column of a row can be changed unnoticed."""
    wrong = _change(database, f"UPDATE audit SET {column} = {column} || ' ' WHERE seq = 7")  # noqa: S608 - our own words
    assert any("row 7 " in text or "row 8 " in text for text in wrong), wrong


def test_a_missing_row_is_found(database: Database) -> None:
    """A row taken out of the middle is named."""
    assert "row 9 is missing" in _change(database, "DELETE FROM audit WHERE seq = 9")[0]


def test_a_missing_first_row_is_found(database: Database) -> None:
    """A row taken away at the beginning is named."""
    assert "row 1 is missing" in _change(database, "DELETE FROM audit WHERE seq = 1")[0]


def test_rows_in_another_order_are_found(database: Database) -> None:
    """Two rows that changed places are found."""
    assert _change(database, "UPDATE audit SET seq = CASE seq WHEN 4 THEN -5 ELSE -4 END WHERE seq IN (4, 5)")
    assert _change(database, "UPDATE audit SET seq = -seq WHERE seq < 0")


def test_a_renumbered_gap_is_found(database: Database) -> None:
    """A row taken out and the rest moved up does not fit together."""
    database.connection.execute("DELETE FROM audit WHERE seq = 9")
    database.connection.execute("UPDATE audit SET seq = -(seq - 1) WHERE seq > 9")
    assert _change(database, "UPDATE audit SET seq = -seq WHERE seq < 0")


def test_a_cut_end_is_found_with_the_head_that_was_noted(database: Database) -> None:
    """Rows cut off at the end leave a whole chain; the noted head tells that they are gone, also after new rows came."""
    head = Audit(database).head()
    assert _change(database, "DELETE FROM audit WHERE seq > 25") == []
    assert "no row has the hash" in Audit(database).verify(head)[1][0]
    _add(database, 10)
    assert "no row has the hash" in Audit(database).verify(head)[1][0]


def test_rows_are_found_by_their_name_or_its_last_part(database: Database) -> None:
    """A person asks with the part of a name that they know."""
    audit = Audit(database)
    assert [row.seq for row in audit.rows(name="7")] == [8]
    assert [row.seq for row in audit.rows(name="CO/x/y/7")] == [8]
    assert list(audit.rows(name="CO")) == []
    assert [row.seq for row in audit.rows(after=27)] == [28, 29, 30]


def test_a_row_outside_a_transaction_is_refused(database: Database) -> None:
    """What is told is told in the transaction of what it tells."""
    with pytest.raises(AssertionError):
        Audit(database).append(0.0, book="CO", run_id="r", pass_="p", name="n", what="w", data={})


def test_a_secret_never_reaches_the_trail(database: Database) -> None:
    """What `clean` is told to hide is hidden before it is kept and hashed."""
    audit = Audit(database, lambda text: text.replace("hush-hush", "***"))
    with database.write():
        audit.append(0.0, book="CO", run_id="r", pass_="p", name="n", what="w", data={"text": "it is hush-hush"})
    assert audit.verify()[1] == []
    assert list(audit.rows())[-1].data == {"text": "it is ***"}
