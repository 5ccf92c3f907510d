"""The machine's own service manager as a judge of units, where it is new enough to know credentials."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest


def accepts(units: Sequence[Path]) -> None:
    """Let systemd-analyze verify units, their program put in place of one that is there; skips where it is absent or too old."""
    command = shutil.which("systemd-analyze")
    if command is None:
        pytest.skip("systemd-analyze is not here")
    told = subprocess.run([command, "--version"], capture_output=True, text=True, check=False, timeout=30).stdout
    version = re.match(r"systemd (\d+)", told)
    if version is None or int(version[1]) < 250:
        pytest.skip("credentials are newer than this systemd")
    for unit in units:
        unit.write_text(unit.read_text().replace("/usr/local/bin/mlc", "/bin/true"))
    words = [command, "verify", *sorted(map(str, units))]
    verified = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert (verified.returncode, verified.stderr) == (0, "")
