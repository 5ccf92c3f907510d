"""Memory does not grow with the company: ten times the invoices cost a few megabytes more, measured in a process of its own."""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
import threading
import time
from decimal import Decimal
from pathlib import Path

import pytest
import waitress

from mlc.sandbox.kit import Service, wsgi
from mlc.sandbox.sap import SapService
from mlc.sandbox.stripe import StripeService

ALLOWED_MEGABYTES = 20.0


def push(config: Path) -> None:
    """Run push-invoices over real HTTP and say how much memory this process ever held."""
    from mlc.config import parse
    from mlc.engine.road import Options
    from mlc.opening import Seams
    from mlc.secrets import Resolver
    from mlc.wiring import PASSES, open_tenant

    secrets = {"P": "secret", "K": "sk_test_mlcsandbox"}
    settings = parse(config.read_bytes(), config, secrets)
    began = time.monotonic()
    opened = open_tenant(
        settings, settings.tenants["acme"], Resolver(settings.secrets, secrets, tty=False), Seams(), holder="bench"
    )
    try:
        report = opened.road("push-invoices", Options()).run(PASSES["push-invoices"](opened.scene()))
    finally:
        opened.close()
    status = Path("/proc/self/status").read_text()  # ru_maxrss would count what the parent held when it started us
    peak = int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024
    figures = {"done": report.counts["done"], "megabytes": peak, "seconds": time.monotonic() - began, "said": report.messages}
    sys.stdout.write(json.dumps(figures))


def serve(service: Service) -> tuple[str, waitress.server.BaseWSGIServer]:
    """Serve a simulator on loopback."""
    server = waitress.create_server(wsgi(service, sockets=True), host="127.0.0.1", port=0, threads=16)
    threading.Thread(target=server.run, daemon=True).start()
    return f"http://127.0.0.1:{server.effective_port}", server


def measured(folder: Path, count: int) -> dict[str, float]:
    """Push this many invoices of two hundred customers; return what the process that did it says."""
    folder.mkdir()
    sap, stripe = SapService(users={"manager": "secret"}), StripeService()
    today = sap.books.today()
    for number in range(200):
        sap.books.add_partner(f"C{number}", f"Kunde {number}", email=f"c{number}@example.com")
    for number in range(count):
        rows = [(f"Line {line}", Decimal(1), Decimal("10.00"), Decimal(19)) for line in range(3)]
        sap.books.add_invoice(f"C{number % 200}", rows, doc_date=today, due_date=today + datetime.timedelta(days=14))
    (sap_url, one), (stripe_url, two) = serve(sap), serve(stripe)
    config = folder / "config.yaml"
    config.write_text(f"""
state: {folder}/mlc.db
limits: {{max_writes: 100000, max_amount: {{EUR: 1000000000}}}}
tenants:
  acme:
    start_date: 2026-01-01
    first_run: go
    sap: {{url: "{sap_url}/b1s/v2", company_db: SBODEMO, username: manager, password: {{env: P}}}}
    stripe: {{url: "{stripe_url}", secret_key: {{env: K}}, clearing_account: "1361", fee_account: "6855", bank_account: "1200",
             rate_limit: {{total: 100000, operation: 100000}}}}
""")
    try:
        command = [sys.executable, __file__, str(config)]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=1200)
    finally:
        one.close()
        two.close()
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


@pytest.mark.bench
def test_memory_does_not_grow_with_the_company(tmp_path: Path) -> None:
    """Pushing 10,000 invoices needs at most a few megabytes more than pushing 1,000."""
    few, many = measured(tmp_path / "few", 1000), measured(tmp_path / "many", 10_000)
    sys.stderr.write(f"\n1,000: {few}\n10,000: {many}\n")
    assert (few["done"], many["done"]) == (1200, 10_200)
    assert many["megabytes"] - few["megabytes"] < ALLOWED_MEGABYTES


if __name__ == "__main__":
    push(Path(sys.argv[1]))
