"""The desk: whole commands of mlc on the harness' simulated company, with the command line's own words and codes."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from desk import Desk

from harness import Company
from mlc.cli.session import Session


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Give each test a folder in memory where there is one: every commit is synced, and disks are slow at that."""
    memory = Path("/dev/shm")  # noqa: S108 - a fresh folder of its own is made in it
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None, prefix="mlc-cli-") as folder:
        yield Path(folder)


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Leave nothing behind that a command sets for the whole process, and let no setting of this machine in."""
    for name in (
        "CREDENTIALS_DIRECTORY",
        "NO_COLOR",
        "FORCE_COLOR",
        "TERM",
        *(one for one in os.environ if one.startswith("MLC_")),
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
    Session.seams = None


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A desk on a company with one partner and nothing else."""
    company = Company(tmp_path)
    company.partner()
    return Desk(company)
