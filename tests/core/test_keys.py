"""Names: short enough, pure ASCII where that is asked for, and never the same for two things."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlc.core.keys import MARKER_LENGTH, digest, idempotency_key, intent_name, is_marker, marker, metadata_key, thing_of

ID = st.from_regex(r"(pi|ch|py)_[A-Za-z0-9]{14,60}", fullmatch=True)


@given(ID)
def test_a_marker_fits_and_is_recognised(thing: str) -> None:
    """Every payment's mark fits SAP's 27 characters, is recognised as ours, and is the id itself where that fits."""
    mark = marker(thing)
    assert len(mark) <= MARKER_LENGTH
    assert is_marker(mark)
    assert (mark == thing) == (len(thing) <= MARKER_LENGTH)


@given(ID, ID)
def test_two_payments_have_two_marks(one: str, other: str) -> None:
    """Different ids have different marks, also where they differ behind the 27th character only."""
    assert (marker(one) == marker(other)) == (one == other)
    assert marker(one[:20] + "x" * 30 + "1") != marker(one[:20] + "x" * 30 + "2")


BY_HAND = ["", "Invoice 1001", "pi_1", "PI_3NxExample00000000000001", "M" + "0" * 26, "pi_abc def ghi", "in_3Nx456789012"]


@pytest.mark.parametrize("text", BY_HAND)
def test_what_people_key_is_no_mark(text: str) -> None:
    """What a person writes into a reference is not taken for our mark."""
    assert not is_marker(text)


NAME = st.tuples(
    st.text(min_size=1, max_size=300), st.integers(1, 99), st.sampled_from(["create", "lines", "finalize"]), st.integers(0, 3)
)


@given(NAME)
def test_keys_are_ascii_and_short(parts: tuple[str, int, str, int]) -> None:
    """An idempotency key is printable ASCII without spaces and at most 255 characters, whatever the company is called."""
    key = idempotency_key(*parts)
    assert key.isascii()
    assert key.isprintable()
    assert " " not in key
    assert 0 < len(key) <= 255


@given(NAME, NAME)
def test_keys_differ_where_anything_differs(one: tuple[str, int, str, int], other: tuple[str, int, str, int]) -> None:
    """Name, generation, step and roll each make another key."""
    assert (idempotency_key(*one) == idempotency_key(*other)) == (one == other)


@given(st.text(max_size=700), st.text(max_size=700))
def test_metadata_keys_fit(one: str, other: str) -> None:
    """A name fits Stripe's 500 characters and stays different from every other."""
    assert len(metadata_key(one)) <= 500
    assert (metadata_key(one) == metadata_key(other)) == (one == other)


@given(st.text(min_size=1).filter(lambda text: "/" not in text), st.text(min_size=1))
def test_the_thing_is_found_in_its_name(company: str, thing: str) -> None:
    """The part of a name that a person knows comes back whole."""
    assert thing_of(intent_name(company, "post-payment", "stripe", thing)) == thing


def test_a_digest_is_plain() -> None:
    """A digest is 52 characters of A-Z and 2-7."""
    assert len(digest("x")) == 52
    assert set(digest("x")) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
