"""What a shell completes: commands, tenants, held ids; and silence where there is nothing to read."""

from __future__ import annotations

import pytest
from desk import Desk


def offered(desk: Desk, line: str) -> list[str]:
    """What bash is offered for the last word of a line."""
    words = line.split(" ")
    desk.env |= {"_MLC_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    try:
        return desk.raw(real=True).out.split()
    finally:
        for name in ("_MLC_COMPLETE", "COMP_WORDS", "COMP_CWORD"):
            del desk.env[name]


@pytest.mark.parametrize("command", ["status", "run", "push-invoices", "held list", "webhooks serve"])
def test_tenants_are_completed(desk: Desk, command: str) -> None:
    """`--tenant` offers the tenants of the configuration that is named, or found."""
    desk.second()
    assert offered(desk, f"mlc {command} --config {desk.config} --tenant ") == ["acme", "beta"]
    assert offered(desk, f"mlc {command} --config {desk.config} --tenant b") == ["beta"]


def test_held_ids_are_completed(desk: Desk) -> None:
    """What waits for a person is offered where an id is wanted."""
    payment = desk.unexplained()
    for command in ("held show", "held dismiss", "held match", "replay"):
        assert offered(desk, f"mlc {command} --config {desk.config} pi") == [payment]


def test_nothing_is_offered_where_nothing_can_be_read(desk: Desk) -> None:
    """A missing or broken configuration and a missing state offer nothing and say nothing."""
    assert offered(desk, f"mlc held show --config {desk.config} pi") == []
    desk.config.write_text("nonsense: [")
    assert offered(desk, f"mlc status --config {desk.config} --tenant ") == []
    assert offered(desk, f"mlc status --config {desk.folder}/none.yaml --tenant ") == []
