"""What a comparison has seen stands beside it and not in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from mlc.store.besides import Besides


@pytest.fixture
def besides() -> Iterator[Besides]:
    """A fresh one."""
    with closing(Besides()) as made:
        yield made


def test_what_was_seen_is_known_by_kind_and_key(besides: Besides) -> None:
    """A value comes back under its kind and key, more of them than one question takes, and is replaced by a newer one."""
    besides.keep("payment", {f"pi_{number}": {"n": number} for number in range(900)})
    besides.keep("payment", {"pi_1": {"n": -1}})
    found = besides.known("payment", [f"pi_{number}" for number in range(901)])
    assert (len(found), found["pi_1"], found["pi_899"]) == (900, {"n": -1}, {"n": 899})
    assert besides.known("payout", ["pi_1"]) == {}


def test_what_shares_a_number(besides: Besides) -> None:
    """Things of one number come together, and what was not dealt with is left, page by page, also while it is ticked off."""
    besides.keep("invoice", {"in_b": 2, "in_a": 1, "in_c": 3}, {"in_a": 4, "in_b": 4, "in_c": 5})
    assert besides.numbered("invoice", [4, 5, 6]) == {4: [1, 2], 5: [3]}
    besides.keep(
        "invoice", {f"in_{number}": 0 for number in range(10, 20)}, {f"in_{number}": number for number in range(10, 20)}
    )
    besides.tick("invoice", [4, 11, 19, 19])
    pages = []
    for page in besides.left("invoice", 4):
        besides.tick("invoice", page)
        pages.append(page)
    assert pages == [[5, 10, 12, 13], [14, 15, 16, 17], [18]]
    assert list(besides.left("invoice", 4)) == []
