"""What commands do where standard output or error cannot be written, as processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_FULL = Path("/dev/full")
full = pytest.mark.skipif(not _FULL.exists(), reason="there is no /dev/full here")


def _shell(redirected: str, *words: str) -> subprocess.CompletedProcess[str]:
    line = ["sh", "-c", f'exec "$@" {redirected}', "sh", sys.executable, "-m", "mlc", *words]
    env = {name: value for name, value in os.environ.items() if not name.startswith("MLC_")}
    return subprocess.run(line, capture_output=True, text=True, check=False, env=env, stdin=subprocess.DEVNULL)


@full
@pytest.mark.parametrize("words", [("--help",), ("config", "schema")])
def test_a_full_disk_under_stdout_is_one_message_and_1(words: tuple[str, ...]) -> None:
    """Whatever wrote it: the command line itself, a screen, JSON."""
    said = _shell(">/dev/full", *words)
    assert said.returncode == 1
    assert said.stderr.splitlines()[0] == "error: standard output cannot be written: No space left on device"
    assert len(said.stderr.splitlines()) == 2


@full
def test_a_worse_code_stays(tmp_path: Path) -> None:
    """What was wrong before the output was lost is worse; a lost log changes no code."""
    missing = ("config", "check", "--json", "--config", str(tmp_path / "none.yaml"))
    assert _shell(">/dev/full", *missing).returncode == 10
    assert _shell("2>/dev/full", *missing).returncode == 10


def test_what_the_caller_closed_is_written_nowhere() -> None:
    """No file that is opened later takes the number of standard output: its content would be written over."""
    for closed in (">&-", ">&- 2>&- <&-"):
        said = _shell(closed, "help", "held")
        assert (said.returncode, said.stderr) == (0, "")


def test_a_reader_that_left_is_no_error() -> None:
    """`mlc ... | head -1`."""
    reading, writing = os.pipe()
    os.close(reading)
    line = [sys.executable, "-m", "mlc", "config", "schema"]
    said = subprocess.run(line, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (said.returncode, said.stderr) == (0, "")
