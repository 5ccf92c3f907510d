"""How long `mlc status` takes on a state file of 100,000 promises, beside what Python itself takes to start."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness import Company

INTENTS, RUNS, ROUNDS = 100_000, 60_000, 15
# As installed: with its byte code, which an environment may forbid to write.
ENV = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | {
    "P": "secret",
    "K": "sk_test_bench",
}


def filled(folder: Path) -> Path:
    """Let a small company live for a moment, then multiply its rows; returns its configuration."""
    company = Company(folder)
    company.partner()
    company.invoice()
    company.run()
    with sqlite3.connect(folder / "mlc.db") as connection:
        for table, count in (("intents", INTENTS), ("runs", RUNS)):
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if not row[5]]
            told = ", ".join(f"{one} || '-' || n" if one in ("name", "run_id") else one for one in columns)
            connection.execute(
                f"WITH RECURSIVE many(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many WHERE n < {count})"  # noqa: S608 - fixed names
                f" INSERT INTO {table} ({', '.join(columns)}) SELECT {told} FROM many,"
                f" (SELECT * FROM {table} LIMIT 1)"
            )
        told_ = connection.execute("SELECT count(*) FROM intents").fetchone()[0]
    assert told_ > INTENTS
    path = folder / "status.yaml"
    path.write_text(
        f"state: {folder}/mlc.db\ntenants:\n  acme:\n    start_date: 2026-10-01\n    sap: {{url: 'http://127.0.0.1:1/b1s/v2',"
        " company_db: SBODEMO, username: manager, password: {env: P}}\n"
        "    stripe: {secret_key: {env: K}, clearing_account: '1361', fee_account: '6855', bank_account: '1200'}\n"
    )
    return path


def least(words: list[str]) -> tuple[float, float]:
    """Run a command many times; return the least and the middle of its times in seconds."""
    subprocess.run(words, check=False, capture_output=True, env=ENV)  # the byte code is written, the file is in memory
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        subprocess.run(words, check=False, capture_output=True, env=ENV)
        times.append(time.perf_counter() - began)
    times.sort()
    return times[0], times[len(times) // 2]


@pytest.mark.bench
def test_status_of_a_large_state(tmp_path: Path) -> None:
    """Print the figures; the ratio to a bare start of Python is what can be compared between machines."""
    config = filled(tmp_path)
    status = least([sys.executable, "-m", "mlc", "status", "--config", str(config)])
    bare = least([sys.executable, "-c", "pass"])
    sys.stdout.write(
        f"\nstatus on {INTENTS} intents and {RUNS} runs, {ROUNDS} rounds: least {status[0]:.2f} s, middle {status[1]:.2f} s;"
        f" python -c pass: least {bare[0]:.3f} s; ratio of the least {status[0] / bare[0]:.1f}\n"
    )
