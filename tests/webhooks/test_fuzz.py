"""Wrong requests of every sort: none is accepted, none breaks the receiver. `pytest -m bench tests/bench` sends a million."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import mutants
from mutants import good

from deliveries import Door

COUNT, SEED = 7000, 20261121


def test_no_mutant_is_accepted(tmp_path: Path) -> None:
    """Fourteen ways to be wrong, five hundred of each: every one is answered 4xx and leaves nothing behind."""
    with Door(tmp_path / "mlc.db") as door:
        tried = mutants.fuzz(door, COUNT, SEED)
        assert set(tried.values()) == {COUNT // len(mutants.WAYS)}
        assert not door.warned
        assert not [text for what, text in door.said if what == "failed"]
    connection = sqlite3.connect(tmp_path / "mlc.db")
    assert connection.execute("SELECT count(*) FROM inbox").fetchone() == (0,)
    connection.close()


def test_what_the_mutants_are_made_of_is_accepted(tmp_path: Path) -> None:
    """The check can fail: the requests before they are changed are taken."""
    import io

    rng = random.Random(SEED)
    with Door(tmp_path / "mlc.db") as door:
        for _ in range(30):
            environ = good(rng, door.clock.now())
            told: list[str] = []
            door.app(
                {**environ, "wsgi.input": io.BytesIO(environ["body"])}, lambda status, _headers, told=told: told.append(status)
            )
            assert told == ["200 OK"]
