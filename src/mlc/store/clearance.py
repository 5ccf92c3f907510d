"""Clearance to write in mode live: which accounts a person confirmed for this company, and in which mode a state file was used."""

from __future__ import annotations

from datetime import UTC, datetime

from mlc.core.errors import ConfigError
from mlc.store.journal import Journal

_PREFIX = "live/"
_TRACES = ("intents", "links", "held", "decisions", "cursors")


class Clearance:
    """What is remembered of mode live for one company: cursors `live/<system>/<account>`, the moment of the word as their value.

    The value is empty where a dry run has read the account and nobody has confirmed it yet.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def known(self) -> dict[str, str]:
        """Return `<system>/<account>` -> when a person confirmed it, "" where it was only read."""
        rows = self._journal.database.connection.execute(
            "SELECT name, value FROM cursors WHERE book=? AND substr(name, 1, 5)=? ORDER BY updated_at, name",
            (self._journal.book, _PREFIX),
        )
        return {row["name"].removeprefix(_PREFIX): row["value"] for row in rows}

    def note(self, accounts: list[str]) -> None:
        """Remember accounts whose customers and payments are about to be read without a word."""
        new = [account for account in accounts if account not in self.known()]
        for account in new:
            self._journal.set_cursor(f"{_PREFIX}{account}", "")

    def give(self, accounts: list[str], who: str, former: list[str]) -> None:
        """Remember that a person typed the company's name for these accounts, in place of former ones; the audit trail tells it."""
        journal, now = self._journal, self._journal.clock.now()
        moment = datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")
        with journal.database.write() as connection:
            for account in former:
                connection.execute("DELETE FROM cursors WHERE book=? AND name=?", (journal.book, f"{_PREFIX}{account}"))
            for account in accounts:
                name = f"{_PREFIX}{account}"
                connection.execute("INSERT OR REPLACE INTO cursors VALUES (?,?,?,?)", (journal.book, name, moment, now))
                journal.audit.append(
                    now, book=journal.book, run_id=journal.run_id, pass_="", name=f"{journal.book}/{name}", what="confirmed",
                    data={"company": journal.book, "account": account, "former": former, "who": who},
                )  # fmt: skip

    def refuse_other_mode(self, tenant: str, mode: str) -> None:
        """Refuse a state file that knows this company from the other mode: its links and cursors are of other accounts.

        Raises ConfigError.
        """
        company, live = self._journal.book, bool(self.known())
        if mode == "test" and live:
            raise ConfigError(
                f"tenant {tenant} is in mode test, but this state file has served company {company} in mode live: nothing of a"
                " test account may be booked there",
                hint="set mode: live; to try something, use another company and another state file",
            )
        if mode == "live" and not live and self._traces():
            raise ConfigError(
                f"tenant {tenant} is in mode live, but this state file has served company {company} in mode test: what it knows of"
                " customers, invoices and payments is of a test account",
                hint="begin mode live with a state file of its own: name a new one in `state:`",
            )

    def _traces(self) -> bool:
        """Tell whether anything was ever promised, linked, held, decided or remembered for this company."""
        connection, book = self._journal.database.connection, self._journal.book
        return any(
            connection.execute(f"SELECT 1 FROM {table} WHERE book=? LIMIT 1", (book,)).fetchone()  # noqa: S608 - our own names
            for table in _TRACES
        )
