"""mlc help and status --watch: short answers at the prompt, and a clear no where there is no terminal."""

from __future__ import annotations

import pytest
from desk import Desk

from mlc.cli.helping import TOPICS
from mlc.core.errors import EXIT_CODES


@pytest.mark.parametrize("topic", sorted(TOPICS))
def test_every_topic_is_told(desk: Desk, topic: str) -> None:
    """A topic is a screen of text that needs no configuration."""
    said = desk.raw("help", topic)
    assert said.code == 0
    assert 1 < said.out.count("\n") < 30
    assert max(map(len, said.out.splitlines())) <= 80


def test_the_exit_codes_are_those_of_the_program(desk: Desk) -> None:
    """`mlc help exit-codes` lists every code there is."""
    out = " ".join(desk.raw("help", "exit-codes").out.split())
    assert all(f"{code} {meaning}" in out for code, meaning in EXIT_CODES.items())


def test_an_unknown_topic_names_the_known_ones(desk: Desk) -> None:
    """A topic that does not exist is exit 2; without one the topics are listed."""
    said = desk.raw("help", "taxes")
    assert (said.code, "one of config, secrets" in said.err) == (2, True)
    assert "exit-codes" in desk.raw("help").out


def test_watch_wants_a_terminal(desk: Desk) -> None:
    """Off a terminal `status --watch` is exit 2 and says what to do instead."""
    desk.mlc("run")
    said = desk.mlc("status", "--watch")
    assert (said.code, "wants a terminal" in said.err) == (2, True)
