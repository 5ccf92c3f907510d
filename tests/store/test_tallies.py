"""How many promises there are of each state is counted as they change, and is never another number than counting them gives."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from mlc.clock import SystemClock
from mlc.core.commands import DropDraft
from mlc.core.intents import Intent, Plan, Receipt
from mlc.store.database import Database
from mlc.store.journal import Journal

STEPS = st.tuples(
    st.sampled_from(["wish", "anew", "done", "refused", "withdraw", "delete"]),
    st.integers(0, 3),  # which wish
    st.sampled_from(["push-invoices", "post-payments"]),
    st.sampled_from(["ONE", "TWO"]),
)


def step(journal: Journal, what: str, name: str, pass_: str) -> None:
    """Let one thing happen to the promise of a name."""
    if what in ("wish", "anew"):
        wish = Intent(name, DropDraft(1, "in_1"), lane="l", says="drop", anew=what == "anew")
        journal.accept(Plan(intents=[wish]), pass_)
    elif what == "withdraw":
        journal.run_id += "+"
        journal.withdraw_unwanted(pass_)
    elif what == "delete":
        with journal.database.write() as connection:
            connection.execute("DELETE FROM intents WHERE book=? AND name=?", (journal.book, name))
    elif (stored := journal.find(name)) is not None:
        if what == "done":
            journal.done(stored, Receipt("sap", "Draft", "1"))
        else:
            journal.refused(stored, "no", "no")


@given(st.lists(STEPS, max_size=25))
def test_the_tallies_are_what_counting_gives(steps: list[tuple[str, int, str, str]]) -> None:
    """Whatever happens to promises of two companies, in whichever order: each company's tallies are its rows."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database.open(Path(folder) / "mlc.db")
        database.connection.execute("PRAGMA synchronous=OFF")
        journals = {book: Journal(database, book, "run", SystemClock()) for book in ("ONE", "TWO")}
        for what, number, pass_, book in steps:
            step(journals[book], what, f"{book}/{number}", pass_)
        for book, journal in journals.items():
            query = "SELECT pass, state, count(*) FROM intents WHERE book=? GROUP BY 1, 2"
            counted: dict[str, dict[str, int]] = {}
            for pass_, state, number in database.connection.execute(query, (book,)):
                counted.setdefault(pass_, {})[state] = number
            assert journal.counts() == counted
        database.close()
