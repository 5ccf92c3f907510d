"""Secrets hide themselves, and the redactor finds them in every disguise."""

import base64
import copy
import json
import logging
import pickle
import traceback
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlc.secrets import Redactor, Secret

VALUE = 'pä"ss\\wo/rd+1 &<x>'


def test_a_secret_is_shown_nowhere():
    """Neither str, repr, format, containers, logging nor a traceback shows the value."""
    secret = Secret("hunter2", "file x")
    shown = [str(secret), repr(secret), f"{secret}", f"{secret:>20}", f"{[secret]}", "%s" % secret]  # noqa: UP031
    shown.append(logging.LogRecord("x", 10, "x", 1, "%s %r", (secret, secret), None).getMessage())
    shown += traceback.format_exception(RuntimeError(secret))
    assert not any("hunter2" in text for text in shown)
    assert secret.reveal() == "hunter2"
    assert secret.origin == "file x"


def test_a_secret_is_neither_pickled_nor_copied_nor_json():
    """Nothing that writes objects down takes a secret."""
    secret = Secret("hunter2")
    for write in (pickle.dumps, copy.copy, copy.deepcopy, json.dumps, vars):
        with pytest.raises(TypeError):
            write(secret)


def test_secrets_compare_by_value():
    """Two secrets are equal when their values are, and never equal to a text."""
    assert Secret("ä") == Secret("ä")
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
    assert Secret("a") != "a"


@pytest.mark.parametrize("value", ["", "  ", "\t", "\n", "a\nb", "a\r", "a\0", "\u200b", "\ufeff \u2060"])
def test_what_cannot_be_a_secret(value):
    """Empty, blank and broken values are refused without being shown."""
    with pytest.raises(ValueError, match=r"^(is empty|has a line break in it)$"):
        Secret(value)


def forms(value):
    """Return a value in the disguises of logs, bodies, addresses and headers."""
    raw = value.encode()
    return [
        f"password={value} end",
        json.dumps({"Password": value}),
        json.dumps({"Password": value}, ensure_ascii=False),
        repr({"Password": value}),
        f"https://x.example/?key={quote(value, safe='')}&b=1",
        f"https://x.example/?key={quote_plus(value)}",
        f"key={quote(value, safe='').lower()}" if value.isascii() and value.islower() else "",
        base64.b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode(),
        f"Authorization: Basic {base64.b64encode(raw + b':').decode()}",
    ]


@pytest.mark.parametrize("value", [VALUE, "sk_test_51Habc/def+ghi", "correct horse battery", "lower/case?"])
def test_every_disguise_is_cleaned(value):
    """Plain, escaped, URL-encoded, base64 and Basic-auth forms are replaced."""
    redactor = Redactor()
    redactor.add(Secret(value))
    for text in forms(value):
        cleaned = redactor.clean(text)
        assert not any(form and form in cleaned for form in (value, json.dumps(value)[1:-1], quote(value, safe="")))
        assert text == "" or "***" in cleaned


def test_a_password_inside_basic_credentials_is_cleaned():
    """The base64 of user:password does not give the password away, whatever the user's length."""
    redactor = Redactor()
    redactor.add("a-rather-long-password")
    for user in ("a", "ab", "abc", "abcd"):
        header = base64.b64encode(f"{user}:a-rather-long-password".encode()).decode()
        left = redactor.clean(header).split("***")
        assert len(left) == 2
        assert b"long" not in base64.b64decode(left[0] + "=" * (-len(left[0]) % 4))


def test_short_secrets_are_cleaned_where_they_stand_alone():
    """A short password is replaced as a word and does not garble the words around it."""
    redactor = Redactor()
    redactor.add("1234")
    redactor.add("a!")
    assert redactor.clean('{"Password": "1234", "DocNum": 912345} a! ba!x') == '{"Password": "***", "DocNum": 912345} *** ba!x'


def test_what_is_no_secret_stays():
    """Text without a secret is left as it is, also when nothing or nothing useful was added."""
    redactor = Redactor()
    assert redactor.clean("text") == "text"
    redactor.add("")
    redactor.add("  ")
    assert redactor.clean("te  xt") == "te  xt"
    redactor.add("hunter2hunter2")
    redactor.add("hunter2hunter2")
    assert redactor.clean("text hunter2") == "text hunter2"


def test_the_longer_of_two_secrets_is_replaced_whole():
    """A secret that contains another one leaves no rest behind."""
    redactor = Redactor()
    redactor.add("password1")
    redactor.add("password1-and-more")
    assert redactor.clean("x password1-and-more y") == "x *** y"


@given(
    value=st.text(min_size=8, max_size=60).filter(lambda text: text.strip() and "*" not in text), around=st.text(max_size=20)
)
def test_no_text_keeps_a_secret(value, around):
    """Whatever stands around it, a secret of usual length is gone afterwards."""
    redactor = Redactor()
    redactor.add(value)
    assert value not in redactor.clean(f"{around}{value}{around}")
