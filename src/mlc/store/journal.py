"""The promises: plans become rows here before anything is sent, and every answer is written beside what was asked.

One transaction each: accept a plan; a request is about to leave; its answer came; an intent ended.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mlc.clock import Clock
from mlc.core import keys
from mlc.store.audit import Audit
from mlc.store.database import Database
from mlc.store.held import HeldItems
from mlc.store.inbox import Inbox
from mlc.store.links import Links
from mlc.store.records import Effect, Stored, effect_of, stored_of
from mlc.store.runs import Runs

if TYPE_CHECKING:  # many small shapes: who only looks need not load them
    from mlc.core.intents import Adoption, Call, Intent, Mark, Plan, Receipt, Skip

_STATES = (
    "SELECT name, CASE WHEN state='open' AND NOT EXISTS (SELECT 1 FROM effects WHERE effects.intent = intents.id"
    " AND effects.generation = intents.generation) THEN 'promised' ELSE state END AS state"
    " FROM intents WHERE book=? AND code<>'withdrawn' AND name IN (:names)"
)


class Journal:
    """The journal of one company (`book`) during one run."""

    def __init__(self, database: Database, book: str, run_id: str, clock: Clock, clean: Callable[[str], str] = str) -> None:
        self.database = database
        self.book = book
        self.run_id = run_id
        self.clock = clock
        self.audit = Audit(database, clean)
        self.links = Links(database, book)
        self.held = HeldItems(database, book)
        self.inbox = Inbox(database, book, clock)
        self.runs = Runs(database, book, run_id, clock, clean)
        self._clean = clean
        self.said: list[str] = []  # what was noted about the runs themselves: people are told, beside the trail

    # --- accept ---------------------------------------------------------------------------------------------------

    def accept(self, plan: Plan, pass_: str) -> list[Stored]:
        """Make a plan a promise, in one transaction; return the intents that are open now and were asked for by it."""
        now = self.clock.now()
        with self.database.write():
            opened = [one for intent in plan.intents if (one := self._open(intent, pass_, now)) is not None]
            for adoption in plan.adopted:
                self._adopt(adoption, pass_, now)
            for mark in plan.marks:
                self.links.put(mark, now)
            for skip in plan.skips:
                self._skip(skip, pass_, now)
            for name in plan.healed:
                self._heal(name, pass_, now, "no longer waits")
            for name, sentence in plan.notes:
                self._tell(pass_, name, "noted", {"text": sentence}, now)
            self.said += [sentence for name, sentence in plan.notes if not name]
            for name, value in plan.cursors.items():
                self._set_cursor(name, value, now)
            self.database.connection.executemany(
                "INSERT OR IGNORE INTO events VALUES (?,?,?)", [(self.book, event, now) for event in plan.events]
            )
        return opened

    def _open(self, intent: Intent, pass_: str, now: float) -> Stored | None:
        known = self.find(intent.name)
        if known is not None and known.state == "done" and not intent.anew:
            return None
        if known is not None and known.state == "open" and self._begun(known):
            return known
        # what was promised and never sent is decided afresh: the world may have moved on since
        generation = 1 if known is None else known.generation + (known.state != "open")
        minor, currency = (intent.amount.minor, intent.amount.currency) if intent.amount else (None, None)
        from mlc.core import commands

        command = json.dumps(commands.to_json(intent.command), ensure_ascii=False)
        self.database.connection.execute(
            "INSERT INTO intents (book,name,pass,lane,command,generation,state,says,minor,currency,run_id,created_at,updated_at)"
            " VALUES (?,?,?,?,?,?,'open',?,?,?,?,?,?) ON CONFLICT (book,name) DO UPDATE SET pass=excluded.pass, lane=excluded.lane,"
            " command=excluded.command, generation=excluded.generation, state='open', says=excluded.says, minor=excluded.minor,"
            " currency=excluded.currency, receipt=NULL, code='', reason='', run_id=excluded.run_id, updated_at=excluded.updated_at",
            (
                self.book, intent.name, pass_, intent.lane, command, generation, intent.says, minor, currency,
                self.run_id, now, now,
            ),
        )  # fmt: skip
        self._tell(pass_, intent.name, "accepted", {"generation": generation, "says": intent.says}, now)
        return self.find(intent.name)

    def _begun(self, stored: Stored) -> bool:
        query = "SELECT 1 FROM effects WHERE intent=? AND generation=? LIMIT 1"
        return self.database.connection.execute(query, (stored.id, stored.generation)).fetchone() is not None

    def _adopt(self, adoption: Adoption, pass_: str, now: float) -> None:
        opened = self._open(adoption.intent, pass_, now)
        if opened is not None and not self._begun(opened):
            self._finish(opened, "done", adoption.receipt, "", "", adoption.marks, now, "adopted")

    def _skip(self, skip: Skip, pass_: str, now: float) -> None:
        known = self.find(skip.name)
        if known is not None and known.state == "open" and not self._begun(known):
            self._finish(known, "refused", None, "withdrawn", skip.reason, (), now, "withdrawn")
        if not skip.held:
            return
        if self.held.put(replace(skip, text=self._clean(skip.text)), pass_, self.run_id, now):
            self._tell(pass_, skip.name, "held", {"reason": skip.reason, "text": skip.text, **skip.about}, now)

    def _heal(self, name: str, pass_: str, now: float, why: str) -> None:
        if self.held.remove(name):
            self._tell(pass_, name, "healed", {"why": why}, now)

    # --- carry ----------------------------------------------------------------------------------------------------

    def effect(self, stored: Stored, step: str) -> Effect | None:
        """Return what is known of a step of the present generation, None where it was never sent."""
        row = self.database.connection.execute(
            "SELECT * FROM effects WHERE intent=? AND generation=? AND step=?", (stored.id, stored.generation, step)
        ).fetchone()
        return effect_of(row) if row else None

    def sending(self, stored: Stored, call: Call, *, roll: int = 0) -> Effect:
        """Write down that a request is about to leave: called before every sending, on disk when it returns."""
        now, up, boot = self.clock.now(), self.clock.uptime(), self.clock.boot_id()
        key = keys.idempotency_key(stored.name, stored.generation, call.step, roll)
        body = json.dumps(call.body, ensure_ascii=False)
        with self.database.write() as connection:
            connection.execute(
                "INSERT INTO effects VALUES (?,?,?,?,?,?,?,?,?,1,?,?,?,?,?,?,NULL,NULL,NULL)"
                " ON CONFLICT (intent, generation, step) DO UPDATE SET sends = sends + 1, sent=excluded.sent, up=excluded.up,"
                " boot=excluded.boot, first_sent = CASE WHEN roll = excluded.roll THEN first_sent ELSE excluded.first_sent END,"
                " first_up = CASE WHEN roll = excluded.roll THEN first_up ELSE excluded.first_up END,"
                " first_boot = CASE WHEN roll = excluded.roll THEN first_boot ELSE excluded.first_boot END,"
                " roll=excluded.roll, key=excluded.key, body=excluded.body",
                (
                    stored.id, stored.generation, call.step, roll, call.system, call.method, call.path, body, key,
                    now, up, boot, now, up, boot,
                ),
            )  # fmt: skip
            sent = {"step": call.step, "request": f"{call.method} {call.path}", "key": key, "body_sha256": keys.digest(body)}
            self._tell(stored.pass_, stored.name, "sent", sent, now)
        effect = self.effect(stored, call.step)
        assert effect is not None, "an effect that was just written"
        return effect

    def unsent(self, stored: Stored, step: str) -> None:
        """Forget a sending that never left this machine (the connection failed before a byte was sent)."""
        with self.database.write() as connection:
            connection.execute(
                "DELETE FROM effects WHERE intent=? AND generation=? AND step=? AND answered_at IS NULL AND sends <= 1",
                (stored.id, stored.generation, step),
            )
            self._tell(stored.pass_, stored.name, "not sent", {"step": step}, self.clock.now())

    def not_done(self, stored: Stored, step: str) -> None:
        """Note that a look-up behind the fence found nothing: the sending had no effect, and the wish is decided afresh."""
        with self.database.write() as connection:
            connection.execute(
                "DELETE FROM effects WHERE intent=? AND generation=? AND step=? AND answered_at IS NULL",
                (stored.id, stored.generation, step),
            )
            self._tell(stored.pass_, stored.name, "not done", {"step": step}, self.clock.now())

    def answered(self, stored: Stored, step: str, status: int, answer: Any, *, how: str = "answered") -> None:
        """Write down the answer of a step; `how` says where it comes from (answered, found)."""
        now = self.clock.now()
        text = json.dumps(self.audit.cleaned(answer), ensure_ascii=False, default=str)
        with self.database.write() as connection:
            connection.execute(
                "UPDATE effects SET answered_at=?, status=?, answer=? WHERE intent=? AND generation=? AND step=?",
                (now, status, text, stored.id, stored.generation, step),
            )
            self._tell(stored.pass_, stored.name, how, {"step": step, "status": status, "answer": json.loads(text)}, now)

    def next_generation(self, stored: Stored, why: str) -> Stored:
        """Begin a new attempt after a definitive end. Doubt never does this."""
        now = self.clock.now()
        with self.database.write() as connection:
            connection.execute("UPDATE intents SET generation = generation + 1, updated_at=? WHERE id=?", (now, stored.id))
            self._tell(stored.pass_, stored.name, "again", {"generation": stored.generation + 1, "why": why}, now)
        found = self.find(stored.name)
        assert found is not None, "an intent that was just raised"
        return found

    def done(self, stored: Stored, receipt: Receipt, marks: tuple[Mark, ...] = (), *, how: str = "done") -> None:
        """End an intent: its receipt, what both sides now agree on, and the audit row are one transaction."""
        with self.database.write():
            self._finish(stored, "done", receipt, "", "", marks, self.clock.now(), how)

    def refused(self, stored: Stored, code: str, text: str) -> None:
        """End an intent that the system refused for good."""
        with self.database.write():
            self._finish(stored, "refused", None, code, self._clean(text), (), self.clock.now(), "refused")
            self._heal(stored.name, stored.pass_, self.clock.now(), "refused by the system")

    def hold(self, stored: Stored, skip: Skip) -> bool:
        """End an intent that met something a person must see; True where it was not held for that reason before."""
        now = self.clock.now()
        known = self.held.get(skip.name)
        with self.database.write():
            self._finish(stored, "refused", None, skip.reason, self._clean(skip.text), (), now, "stopped")
            self._skip(skip, stored.pass_, now)
        return known is None or known.reason != skip.reason

    def _finish(
        self,
        stored: Stored,
        state: str,
        receipt: Receipt | None,
        code: str,
        reason: str,
        marks: tuple[Mark, ...],
        now: float,
        what: str,
    ) -> None:
        self.database.connection.execute(
            "UPDATE intents SET state=?, receipt=?, code=?, reason=?, updated_at=? WHERE id=?",
            (
                state,
                json.dumps([receipt.system, receipt.object, receipt.id, receipt.number]) if receipt else None,
                code,
                reason,
                now,
                stored.id,
            ),
        )
        for mark in marks:
            self.links.put(mark, now)
        told = {"receipt": str(receipt), "id": receipt.id} if receipt else {"code": code, "text": reason}
        self._tell(stored.pass_, stored.name, what, told, now)
        if state == "done":
            self._heal(stored.name, stored.pass_, now, what)

    # --- look -----------------------------------------------------------------------------------------------------

    def find(self, name: str) -> Stored | None:
        """Return the intent of a name."""
        row = self.database.connection.execute("SELECT * FROM intents WHERE book=? AND name=?", (self.book, name)).fetchone()
        return stored_of(row) if row else None

    def intents(self, *, state: str, pass_: str | None = None, limit: int = -1) -> Iterator[Stored]:
        """Yield the intents in a state, oldest first."""
        query = "SELECT * FROM intents WHERE book=? AND state=? AND (?3 IS NULL OR pass=?3) ORDER BY id LIMIT ?4"
        rows = self.database.connection.execute(query, (self.book, state, pass_, limit)).fetchall()
        return (stored_of(row) for row in rows)

    def opened(self, pass_: str, *, begun: bool) -> list[Stored]:
        """Return the open intents of a pass of which something was sent (`begun`), or nothing yet."""
        query = (
            "SELECT * FROM intents WHERE book=? AND state='open' AND pass=? AND ?3 = EXISTS (SELECT 1 FROM effects"
            " WHERE effects.intent = intents.id AND effects.generation = intents.generation) ORDER BY id"
        )
        return [stored_of(row) for row in self.database.connection.execute(query, (self.book, pass_, begun)).fetchall()]

    def withdraw_unwanted(self, pass_: str) -> list[str]:
        """End the promises of earlier runs that were never sent and that this whole run did not want again."""
        unwanted = [stored for stored in self.opened(pass_, begun=False) if stored.run_id != self.run_id]
        with self.database.write():
            for stored in unwanted:
                self._finish(stored, "refused", None, "withdrawn", "no longer wanted", (), self.clock.now(), "withdrawn")
        return [stored.name for stored in unwanted]

    def states(self, names: list[str]) -> dict[str, str]:
        """Return name -> state of those names that have an intent; what was withdrawn counts as never wished for.

        An open intent of which nothing was sent yet is only `promised`.
        """
        found: dict[str, str] = {}
        for start in range(0, len(names), 400):
            part = names[start : start + 400]
            marks = ",".join("?" * len(part))
            query = _STATES.replace(":names", marks)
            found.update({row["name"]: row["state"] for row in self.database.connection.execute(query, (self.book, *part))})
        return found

    def search(self, text: str) -> list[Stored]:
        """Return the intents that a person may mean: by name, by the last part of it, by receipt."""
        if not text.strip():
            return []
        rows = self.database.connection.execute(
            "SELECT * FROM intents WHERE book=?1 AND (name=?2"
            " OR (substr(name, -length(?2) - 1) = '/' || ?2 AND NOT ?3) OR (json_extract(receipt, '$[2]') = ?2 AND NOT ?3)"
            " OR json_extract(command, '$.payment') = ?2 OR json_extract(command, '$.invoice') = ?2) ORDER BY id LIMIT 50",
            (self.book, text, text.isdigit()),  # a bare number is an invoice number, never a key or another document's
        ).fetchall()
        return [stored_of(row) for row in rows]

    def in_doubt(self, pass_: str | None = None) -> int:
        """Return how many effects of open intents were sent and not answered."""
        query = (
            "SELECT count(*) FROM intents JOIN effects ON effects.intent = intents.id AND effects.generation = intents.generation"
            " WHERE intents.book=? AND intents.state='open' AND effects.answered_at IS NULL AND (?2 IS NULL OR intents.pass=?2)"
        )
        return int(self.database.connection.execute(query, (self.book, pass_)).fetchone()[0])

    def counts(self) -> dict[str, dict[str, int]]:
        """Return pass -> state -> how many intents."""
        found: dict[str, dict[str, int]] = {}
        query = "SELECT pass, state, n FROM tallies WHERE book=? AND n > 0"
        for row in self.database.connection.execute(query, (self.book,)):
            found.setdefault(row["pass"], {})[row["state"]] = row["n"]
        return found

    def refused_count(self, pass_: str) -> int:
        """Return how many intents of a pass a system refused; those that are held are counted there."""
        query = (
            "SELECT count(*) FROM intents WHERE book=?1 AND pass=?2 AND state='refused' AND code<>'withdrawn'"
            " AND name NOT IN (SELECT name FROM held WHERE book=?1)"
        )
        return int(self.database.connection.execute(query, (self.book, pass_)).fetchone()[0])

    def oldest_refused(self) -> float | None:
        """Return since when the oldest refused intent waits that is not a held item."""
        row = self.database.connection.execute(
            "SELECT min(updated_at) FROM intents WHERE book=?1 AND state='refused' AND code<>'withdrawn'"
            " AND name NOT IN (SELECT name FROM held WHERE book=?1)",
            (self.book,),
        ).fetchone()
        return row[0] if row else None

    # --- decisions of people ----------------------------------------------------------------------------------------

    def decide(self, subject: str, decision: dict[str, Any], who: str) -> None:
        """Keep what a person decided about a thing; it is used first ever after."""
        now = self.clock.now()
        with self.database.write() as connection:
            connection.execute(
                "INSERT INTO decisions VALUES (?,?,?,?,?) ON CONFLICT DO UPDATE SET decision=excluded.decision, at=excluded.at,"
                " who=excluded.who",
                (self.book, subject, json.dumps(decision), now, who),
            )
            self._tell("", subject, "decided", {**decision, "who": who}, now)

    def decision(self, subject: str) -> dict[str, Any] | None:
        """Return what a person decided about a thing."""
        row = self.database.connection.execute(
            "SELECT decision FROM decisions WHERE book=? AND subject=?", (self.book, subject)
        ).fetchone()
        return json.loads(row["decision"]) if row else None

    def dismiss(self, name: str, note: str, who: str) -> None:
        """Let a held item wait for nobody any more."""
        now = self.clock.now()
        with self.database.write():
            self.held.dismiss(name, note, now)
            self._tell("", name, "dismissed", {"note": note, "who": who}, now)

    # --- small things ---------------------------------------------------------------------------------------------

    def cursor(self, name: str) -> str | None:
        """Return a cursor or a remembered proof."""
        row = self.database.connection.execute(
            "SELECT value FROM cursors WHERE book=? AND name=?", (self.book, name)
        ).fetchone()
        return row["value"] if row else None

    def set_cursor(self, name: str, value: str | None) -> None:
        """Set (or with None forget) a cursor or a remembered proof, in a transaction of its own."""
        with self.database.write() as connection:
            if value is None:
                connection.execute("DELETE FROM cursors WHERE book=? AND name=?", (self.book, name))
            else:
                self._set_cursor(name, value, self.clock.now())

    def _set_cursor(self, name: str, value: str, now: float) -> None:
        self.database.connection.execute(
            "INSERT INTO cursors VALUES (?,?,?,?) ON CONFLICT DO UPDATE SET value=excluded.value, updated_at=excluded.updated_at",
            (self.book, name, value, now),
        )

    def unseen(self, events: list[str]) -> list[str]:
        """Return those event ids that were not dealt with yet, in the given order."""
        marks = ",".join("?" * len(events))
        query = f"SELECT id FROM events WHERE book=? AND id IN ({marks})"  # noqa: S608 - question marks only
        seen = {row["id"] for row in self.database.connection.execute(query, (self.book, *events))}
        return [event for event in events if event not in seen]

    def note(self, pass_: str, name: str, what: str, data: dict[str, Any]) -> None:
        """Add one audit row in a transaction of its own."""
        with self.database.write():
            self._tell(pass_, name, what, data, self.clock.now())

    def _tell(self, pass_: str, name: str, what: str, data: dict[str, Any], now: float) -> None:
        self.audit.append(now, book=self.book, run_id=self.run_id, pass_=pass_, name=name, what=what, data=data)
