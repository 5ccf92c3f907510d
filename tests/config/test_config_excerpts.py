"""The offending line below each error: it helps, and shows nothing that could be a secret."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlc.config import parse
from mlc.core.errors import ConfigError

CANARY = "hunter2"
SHOWN = [
    ("statt: x", ["    1 | statt: ...", "      | ^"]),
    ("alert_after: 3days  # two words", ["    1 | alert_after: 3days", "      | ^"]),
    ("secrets: {store: vault, fyle: hunter2}", ["    1 | ... store: vault", "      |     ^", "    1 | ... fyle: ...", "      |     ^"]),
    ("secrets: {key: {file: a, systemd: b}}", ["    1 | ... key: ...", "      |     ^"]),
    ("limits: {max_amount: {EUR: -1}}", ["    1 | ... EUR: -1", "      |     ^"]),
    ("watch: {on_failure: [hunter2, 3], ping_url: hunter2}", ["    1 | ... ping_url: ...", "      |     ^"]),
    ("state: hunter2\nstate: b", ["    2 | state: b", "      | ^"]),
    ("\tstate: hunter2", ["    1 |  state: ...", "      | ^"]),
    ("limits:\n  max_writes:  # hunter2\nsecrets: x # hunter2", ["    2 |   max_writes:", "      |   ^", "    3 | secrets: x", "      | ^"]),
    ("\thunter2: x", []),
    ("sk_test_hunter2: x", []),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), SHOWN)
def test_the_offending_line_is_shown(read, minimal, text, expected):
    """A key is shown with its value, unless the value may be a secret; what stands beside it in its line is not."""
    with pytest.raises(ConfigError) as caught:
        read(f"{text}\n{minimal}")
    assert [line for line in caught.value.message.splitlines() if line.startswith("    ")] == expected
    assert CANARY not in caught.value.message


def test_an_address_is_shown_without_its_user(read, minimal):
    """A wrong address is shown, and what stands before its @ is not."""
    with pytest.raises(ConfigError) as caught:
        read(minimal.replace("https://sap", f"https://mlc:{CANARY}@sap"))
    assert "      url: https://***@sap.acme.example:50000/b1s/v2" in caught.value.message
    assert CANARY not in caught.value.message


FORMS = [
    f"password: {CANARY}", f"pasword: {CANARY}", f"password: '{CANARY}", f"password: |\n        port: {CANARY}\n        {CANARY}",
    f"password:\n        - {CANARY}", f"webhook_secret: [a, {CANARY}]", f"password: [{{port: {CANARY}}}]", f"password: &x {CANARY}",
    f"timeout: {{read: 1, pass: {CANARY}, conect: 2}}", f"timeout: {{pass: {CANARY}}}  # a word",
]  # fmt: skip
EDIT = st.tuples(
    st.integers(0, 500), st.sampled_from(["", "\n", " ", "\t", ":", '"', "'", "{", "}", "[", "#", "- ", "x", "&a ", "*"])
)


def told(text):
    """Return what is said of a text, nothing where it is right."""
    try:
        parse(text.encode(), Path("config.yaml"), {"HOME": "/home/mlc"})
    except ConfigError as error:
        return f"{error.message}{error.hint}"
    return ""


@given(st.sampled_from(FORMS), st.lists(EDIT, max_size=2), st.integers(0, 3))
def test_no_edit_lets_a_secret_be_shown(form, edits, gone):
    """Whatever is typed wrongly around it: a literal secret is never in the message."""
    start = "tenants:\n  acme:\n    timezone: Europe/Berlin\n    start_date: 2026-11-01\n    sap:\n"
    text = f"{start}      {form}\n      url: https://s.example/b1s/v2\n"
    for place, what in edits:
        at = place % len(text)
        if CANARY not in text[max(0, at - len(CANARY)) : at + gone + 2 * len(CANARY)]:  # it stays whole, and below its own key
            text = text[:at] + what + text[at + gone :]
    assert CANARY not in told(text)
