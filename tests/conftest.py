"""What every test gets: the folder of tests on the path, a company on simulated systems, and no network but loopback."""

from __future__ import annotations

import gc
import os
import shutil
import socket
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from httpx import Cookies, Response, _urls

from harness import Company

# A tenth of the suite went into two things that httpx does for every request and that change nothing: the same few addresses are
# parsed four times, and answers without a cookie are searched for cookies.
_urls.urlparse = lru_cache(10_000)(_urls.urlparse)
_extracted = Cookies.extract_cookies


def _extract(self: Cookies, response: Response) -> None:
    if "set-cookie" in response.headers:
        _extracted(self, response)


Cookies.extract_cookies = _extract  # type: ignore[method-assign]

pytest.register_assert_rewrite("published", "ledgers", "service_manager")

WIRE = Path(__file__).resolve().parents[2] / "shared" / "wire"

MEMORY = Path("/dev/shm")  # noqa: S108 - pytest makes a folder of its own inside, readable by us alone
ROOM = 1 << 30


def pytest_configure(config: pytest.Config) -> None:
    """Put the tests' folders into memory where there is room: thousands of commits need not wait for a disk.

    Every commit is still made as it is in production. What a killed process leaves behind is the same either way: what was
    written is kept by the kernel, only the loss of power would tell the two apart, and no test can cut it.
    """
    if config.option.basetemp is None and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def pytest_collection_finish() -> None:
    """Spare the garbage collector what lives as long as the run: modules, schemas, the tests themselves."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)  # a tenth of the suite was looking for garbage that goes by itself


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
