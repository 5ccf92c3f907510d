"""The audit trail as people use it: the newest rows, the story of one thing, and the proof that nobody changed it."""

from __future__ import annotations

import sqlite3

import pytest
from desk import Desk


def tamper(desk: Desk, *statements: str) -> None:
    """Change the state file behind mlc's back."""
    connection = sqlite3.connect(desk.folder / "mlc.db")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_the_trail(desk: Desk) -> None:
    """The trail tells what was accepted, sent and answered for one thing, the newest rows, and what it does not know."""
    entry = desk.company.invoice()
    desk.mlc("run")
    told = desk.mlc("audit", "show", f"SBODEMO/push-invoice/stripe/{entry}")
    assert told.code == 0
    assert [word for word in ("accepted", "sent", "answered", "done") if word not in told.out] == []
    assert len(desk.mlc("audit", "export").lines) == desk.mlc("audit", "verify", "--json").lines[0]["rows"]
    assert desk.mlc("audit", "show", "nope").code == 2
    assert desk.mlc("audit", "list", "--last", "0").code == 2


def test_the_newest_rows_of_one_tenant(desk: Desk) -> None:
    """`audit list --last N --tenant NAME` shows the newest N rows of that tenant."""
    desk.second().invoice()
    desk.company.invoice()
    desk.mlc("run")
    assert len(desk.mlc("audit", "list", "--last", "2", "--tenant", "acme", "--json").lines) == 2


def test_the_trail_of_a_wildcard(desk: Desk) -> None:
    """`audit show %` knows nothing of a thing called %."""
    desk.company.invoice()
    desk.mlc("run")
    assert desk.mlc("audit", "show", "%").code == 2


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit SET data = '{\"x\": 1}' WHERE seq = 3", "DELETE FROM audit WHERE seq = 4", "UPDATE audit SET at = '2020' WHERE seq = 2",
        "UPDATE audit SET seq = 900 WHERE seq = 5", "UPDATE audit SET hash = 'x' WHERE seq = 1",
    ],
)  # fmt: skip
def test_verify_finds_what_was_changed(desk: Desk, change: str) -> None:
    """A changed, removed or moved row is found and named, with exit 1; an untouched trail is exit 0."""
    desk.company.invoice()
    desk.mlc("run")
    assert desk.mlc("audit", "verify").code == 0
    tamper(desk, change)
    said = desk.mlc("audit", "verify")
    assert said.code == 1
    assert "row" in said.out
    assert desk.mlc("audit", "verify", "--json").lines[0]["wrong"]


def test_verify_finds_a_trail_cut_short(desk: Desk) -> None:
    """A hash noted earlier proves that nothing was cut off since."""
    desk.company.invoice()
    desk.mlc("run")
    head = desk.mlc("audit", "verify", "--json").lines[0]["head"]
    assert desk.mlc("audit", "verify", "--head", head).code == 0
    tamper(desk, "DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)")
    assert desk.mlc("audit", "verify").code == 0
    assert desk.mlc("audit", "verify", "--head", head).code == 1


def test_verify_takes_the_head_that_people_see(desk: Desk) -> None:
    """The head that `mlc status` shows can be given to `audit verify --head`."""
    desk.company.invoice()
    desk.mlc("run")
    head = desk.mlc("status").out.split("audit head: ")[1].split()[0]
    assert desk.mlc("audit", "verify", "--head", head).code == 0


def test_a_damaged_row_can_be_looked_at(desk: Desk) -> None:
    """The trail can be listed and exported also where somebody damaged a row: the rest is evidence."""
    desk.company.invoice()
    desk.mlc("run")
    tamper(desk, "UPDATE audit SET data = 'no json' WHERE seq = 3")
    said = desk.mlc("audit", "list")
    assert "this is a defect" not in said.err
    assert "     4 " in said.out
