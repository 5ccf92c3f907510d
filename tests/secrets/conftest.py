"""Keyring backends that keep, forget, hang and fail, without any keyring."""

import types

import pytest


class Memory:
    """A backend that works: it keeps values in memory."""

    def __init__(self):
        self.kept = {}

    def get_password(self, service, user):
        return self.kept.get((service, user))

    def set_password(self, service, user, value):
        self.kept[service, user] = value

    def delete_password(self, service, user):
        del self.kept[service, user]


@pytest.fixture
def memory():
    """Return a backend that works."""
    return Memory()


@pytest.fixture
def backend():
    """Return a function that makes a backend of a given module and class name, with methods of one's own."""

    def make(module, name="Keyring", **members):
        return type(name, (Memory,), {"__module__": module, **members})()

    return make


@pytest.fixture
def store():
    """Return a function that makes the `secrets` block."""
    return lambda name="keyring": types.SimpleNamespace(store=name)


@pytest.fixture
def ref():
    """Return a function that makes a reference of one form."""
    return lambda kind, value: types.SimpleNamespace(kind=kind, value=value)
