"""Lets pytest explain what fails inside the helpers of these tests, and gives those of payouts a company that collects by direct debit."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from direct_debit import DebitCompany

pytest.register_assert_rewrite("oracle")


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Give each test a folder in memory where there is one: every commit is synced, and disks are slow at that."""
    memory = Path("/dev/shm")  # noqa: S108 - a fresh folder of its own is made in it
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None, prefix="mlc-passes-") as folder:
        yield Path(folder)


@pytest.fixture
def debit(tmp_path: Path) -> DebitCompany:
    """A company in pounds that collects by direct debit, without customers yet."""
    return DebitCompany(tmp_path)
