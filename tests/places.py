"""mlc as a real process against simulators over real sockets."""

from __future__ import annotations

import datetime
import os
import signal
import subprocess
import sys
import threading
import time
from decimal import Decimal
from pathlib import Path

from deliveries import SAP, STRIPE
from mlc.sandbox.kit import Request, Response
from mlc.sandbox.sap import SapService
from mlc.sandbox.server import Served
from mlc.sandbox.stripe import StripeService


class Place:
    """A folder with a configuration, both systems served, and mlc to start."""

    def __init__(self, folder: Path) -> None:
        self.sap = SapService(company="SBODEMO", users={"manager": "secret"})
        self.stripe = StripeService()
        self.served = [Served(self.sap).start(), Served(self.stripe).start()]
        self.folder = folder
        self.config = folder / "config.yaml"
        (folder / "config.yaml").write_text(f"""
state: {folder}/mlc.db
limits: {{max_writes: 100000}}
tenants:
  acme:
    start_date: {datetime.date.today() - datetime.timedelta(days=30)}
    first_run: go
    sap: {{url: "{self.served[0].url}/b1s/v2", company_db: SBODEMO, username: manager, password: {{env: P}}, webhook_secret: {{env: WP}},
          timeout: {{write: 2}}, settle_seconds: 1}}
    stripe: {{url: "{self.served[1].url}", secret_key: {{env: K}}, webhook_secret: {{env: WK}}, clearing_account: "1361",
             rate_limit: {{total: 5000, operation: 5000}}}}
""")
        self.environ = {**os.environ, "P": "secret", "K": "sk_test_mlcsandbox", "WP": SAP, "WK": STRIPE}

    def fill(self, count: int) -> None:
        """Add customers and invoices."""
        today = datetime.date.today()
        for number in range(8):
            self.sap.books.add_partner(f"C{number}", f"Customer {number}", email=f"c{number}@example.com")
        for number in range(count):
            lines = [("Work", Decimal(1), Decimal(100 + number), Decimal(19))]
            self.sap.books.add_invoice(f"C{number % 8}", lines, doc_date=today, due_date=today)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start mlc."""
        command = [sys.executable, "-m", "mlc", *words, "--config", str(self.folder / "config.yaml")]
        before = signal.signal(signal.SIGINT, signal.SIG_DFL)  # a suite in the background ignores it, and so would its children
        try:
            return subprocess.Popen(command, env=self.environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        finally:
            signal.signal(signal.SIGINT, before)

    def run(self, *words: str) -> tuple[int, str, str]:
        """Run mlc to its end."""
        process = self.start(*words)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    def block_at(self, writes: int) -> threading.Event:
        """Let Stripe answer no more after so many writes, until the returned event is set."""
        go_on = threading.Event()

        def wait(request: Request, _response: Response) -> None:
            if request.method == "POST" and self.stripe.counts["POST"] >= writes:
                go_on.wait(30)

        self.stripe.watchers.append(wait)
        return go_on

    def until(self, writes: int) -> None:
        """Wait until Stripe has seen so many writes (bounded; the only waiting for a real process there is)."""
        deadline = time.monotonic() + 60
        while self.stripe.counts["POST"] < writes:
            assert time.monotonic() < deadline, "mlc does not get going"
            time.sleep(0.01)

    def asked(self) -> dict[str, int]:
        """DocEntry -> how many live invoices Stripe holds for it."""
        found: dict[str, int] = {}
        for one in self.stripe.account.all("invoice"):
            if one["status"] in ("open", "paid"):
                found[one["metadata"]["sap_doc_entry"]] = found.get(one["metadata"]["sap_doc_entry"], 0) + 1
        return found
