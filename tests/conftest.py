"""What every test gets: the folder of tests on the path, a company on simulated systems, and no network but loopback."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from harness import Company

WIRE = Path(__file__).resolve().parents[2] / "shared" / "wire"


@pytest.fixture
def company(tmp_path: Path) -> Company:
    """A company with one partner and nothing else."""
    made = Company(tmp_path)
    made.partner()
    return made


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection that leaves this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> Any:
        if isinstance(address, tuple) and not str(address[0]).startswith(("127.", "::1", "localhost")):
            raise AssertionError(f"a test tried to reach {address}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
