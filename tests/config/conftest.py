"""A small valid configuration, and a way to load one from text."""

from pathlib import Path

import pytest

from mlc.config import parse

MINIMAL = """\
tenants:
  acme:
    start_date: 2026-11-01
    sap:
      url: https://sap.acme.example:50000/b1s/v2
      company_db: SBO_ACME
      username: mlc
    stripe:
      clearing_account: "1361"
      fee_account: "6855"
      bank_account: "1200"
"""
GOCARDLESS = """\
    gocardless:
      bank_account: {GBP: "1200", EUR: "1210", BA123: "1220"}
      fee_account: "6855"
"""


@pytest.fixture
def minimal():
    """Return the smallest configuration that loads."""
    return MINIMAL


@pytest.fixture
def both():
    """Return a configuration with both processors."""
    return MINIMAL + GOCARDLESS


@pytest.fixture
def read():
    """Return a function that loads settings from text, with an environment of its own."""

    def run(text, **environ):
        raw = text if isinstance(text, bytes) else text.encode()
        return parse(raw, Path("/etc/mlc/config.yaml"), {"HOME": "/home/mlc", **environ})

    return run
