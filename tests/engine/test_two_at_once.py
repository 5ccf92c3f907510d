"""One writer per company: the second waits or says who holds the lock; the operating system frees it when its holder dies."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from harness import Company
from mlc.core.errors import LockedError
from mlc.opening import Seams
from mlc.secrets import Resolver
from mlc.store.lock import TenantLock
from mlc.wiring import open_tenant

HOLD = """
import pathlib, sys
from mlc.clock import SystemClock
from mlc.store.lock import TenantLock
TenantLock(pathlib.Path(sys.argv[1]), "SBODEMO", SystemClock()).acquire("a process")
print("held", flush=True)
sys.stdin.read()
"""


def _holder(folder: Path) -> subprocess.Popen[str]:
    source = Path(__file__).resolve().parents[2] / "src"
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder / "mlc.db")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(source)},
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def _end(process: subprocess.Popen[str], how: int) -> None:
    process.send_signal(how)
    process.communicate()


def test_a_second_run_says_who_holds_the_lock(company: Company, tmp_path: Path) -> None:
    """While another process holds the company, a run ends with 11 and names it."""
    process = _holder(tmp_path)
    try:
        with pytest.raises(LockedError, match=f"a process .process {process.pid}") as caught:
            company.run("push-invoices")
        assert caught.value.exit_code == 11
    finally:
        _end(process, signal.SIGKILL)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_holder_frees_the_lock(company: Company, tmp_path: Path, how: int) -> None:
    """The note of a dead holder stays behind and matters to nobody."""
    _end(_holder(tmp_path), how)
    assert list(tmp_path.glob("*.holder"))
    company.invoice()
    company.run()
    assert len(company.pushed()) == 1
    assert not list(tmp_path.glob("*.holder"))


def test_a_second_run_waits_where_it_was_told_to(company: Company) -> None:
    """With a lock timeout the second run begins as soon as the first has ended."""
    first = company.open()
    resolver = Resolver(company.settings.secrets, {"P": "secret", "K": "sk_test_mlcsandbox"}, tty=False)
    sleep = company.clock.sleep

    def sleeping(seconds: float) -> None:
        sleep(seconds)
        if company.clock.slept > 3:
            first.close()

    company.clock.sleep = sleeping  # type: ignore[method-assign]
    seams = Seams(clock=company.clock, transports=company.wires, threads=False)
    second = open_tenant(company.settings, company.settings.tenants["acme"], resolver, seams, holder="second", lock_timeout=10)
    second.close()
    assert 3 < company.clock.slept < 4


def test_a_wait_ends_at_its_timeout(company: Company) -> None:
    """A second run that waited in vain ends with LockedError."""
    first = company.open()
    with pytest.raises(LockedError):
        TenantLock(company.folder / "mlc.db", "SBODEMO", company.clock).acquire("second", 5.0)
    first.close()
    assert 5 <= company.clock.slept < 6


@pytest.mark.parametrize("note", ["", "{", json.dumps({"who": "x"}), "\x00\x01"])
def test_a_damaged_note_matters_to_nobody(company: Company, tmp_path: Path, note: str) -> None:
    """The note only helps to name the holder: damaged it changes neither the lock nor the message's meaning."""
    first = company.open()
    next(tmp_path.glob("*.holder")).write_text(note)
    with pytest.raises(LockedError, match="another process"):
        company.open()
    first.close()
    company.open().close()


def test_two_companies_do_not_wait_for_each_other(tmp_path: Path, company: Company) -> None:
    """The lock belongs to a company, not to the state file."""
    one, other = (TenantLock(tmp_path / "mlc.db", book, company.clock) for book in ("A", "B"))
    one.acquire("one")
    other.acquire("other")
    assert one.path != other.path
    other.release()
    one.release()


def test_a_refused_opening_gives_the_lock_back(company: Company) -> None:
    """Where a tenant cannot be opened, its lock is free again."""
    (company.folder / "mlc.db").write_text("this is no database, and long enough to be read as one " * 20)
    for _ in range(2):
        with pytest.raises(Exception, match="is damaged"):
            company.open()


def test_everything_beside_the_state_is_readable_by_its_owner_alone(company: Company, tmp_path: Path) -> None:
    """State, lock and note are 0600 whatever the umask says."""
    mask = os.umask(0)
    try:
        opened = company.open()
    finally:
        os.umask(mask)
    modes = {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in tmp_path.glob("mlc.db*")}
    opened.close()
    assert set(modes.values()) == {"0o600"}, modes
