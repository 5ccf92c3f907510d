"""mlc as a real process against both simulators over real sockets: killed in the middle, two at once, interrupted."""

from __future__ import annotations

import datetime
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from mlc.sandbox.kit import Request, Response
from mlc.sandbox.sap import SapService
from mlc.sandbox.server import Served
from mlc.sandbox.stripe import StripeService

INVOICES = 200


class Place:
    """A folder with a configuration, both systems served, and mlc to start."""

    def __init__(self, folder: Path) -> None:
        self.sap = SapService(company="SBODEMO", users={"manager": "secret"})
        self.stripe = StripeService()
        self.served = [Served(self.sap).start(), Served(self.stripe).start()]
        self.folder = folder
        (folder / "config.yaml").write_text(f"""
state: {folder}/mlc.db
limits: {{max_writes: 100000}}
tenants:
  acme:
    start_date: {datetime.date.today() - datetime.timedelta(days=30)}
    first_run: go
    sap: {{url: "{self.served[0].url}/b1s/v2", company_db: SBODEMO, username: manager, password: {{env: P}},
          timeout: {{write: 2}}, settle_seconds: 1}}
    stripe: {{url: "{self.served[1].url}", secret_key: {{env: K}}, clearing_account: "1361",
             rate_limit: {{total: 5000, operation: 5000}}}}
""")
        self.environ = {**os.environ, "P": "secret", "K": "sk_test_mlcsandbox"}

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


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Both systems served, nothing in them."""
    made = Place(tmp_path)
    yield made
    for one in made.served:
        one.stop()


def test_sigkill_in_a_push_of_200_leaves_each_invoice_asked_for_once(place: Place) -> None:
    """Killed three times in the middle of 200 invoices, then run once more: each is at Stripe exactly once."""
    place.fill(INVOICES)
    for writes in (100, 220, 400):
        process = place.start("push-invoices", "-q")
        place.until(writes)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
    code, _, err = place.run("push-invoices")
    assert code == 0, err
    assert place.asked() == {str(entry): 1 for entry in range(1, INVOICES + 1)}
    assert not [one for one in place.stripe.account.all("invoice") if one["status"] == "draft"]
    place.stripe.account.check()


def test_sigkill_while_posting_books_every_payment_once(place: Place) -> None:
    """Killed while posting 40 payments, and the state file deleted once: every payment stands in SAP exactly once."""
    place.fill(40)
    assert place.run("push-invoices", "-q")[0] == 0
    paid = [place.stripe.account.pay(one["id"]) for one in list(place.stripe.account.all("invoice"))]
    for count in (5, 20):
        process = place.start("post-payments", "-q")
        deadline = time.monotonic() + 60
        while len(list(place.sap.books.payments())) < count and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
    for path in place.folder.glob("mlc.db*"):
        path.unlink()
    time.sleep(3.1)  # a write in doubt is settled after timeout.write + settle_seconds; nothing remembers it after the deletion
    code, _, err = place.run("post-payments")
    assert code == 0, err
    assert sorted(one.transfer_reference for one in place.sap.books.payments()) == sorted(paid)
    place.sap.books.check()


def test_two_runs_at_once_end_with_11_or_wait(place: Place) -> None:
    """While one run holds the company's lock a second ends with 11, or waits where it is told to."""
    place.fill(60)
    go_on = place.block_at(10)
    first = place.start("push-invoices", "-q")
    place.until(10)
    code, _, err = place.run("push-invoices")
    assert code == 11
    assert "mlc push-invoices" in err
    second = place.start("push-invoices", "--lock-timeout", "60", "-q")
    go_on.set()
    first.communicate(timeout=60)
    second.communicate(timeout=60)
    assert second.returncode == 0
    assert first.returncode == 0
    assert set(place.asked().values()) == {1}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_ends_gently(place: Place, number: signal.Signals, code: int) -> None:
    """Ctrl-C and SIGTERM end with their codes, nothing is lost, and the next run goes on."""
    place.fill(60)
    go_on = place.block_at(30)
    process = place.start("push-invoices")
    place.until(30)
    process.send_signal(number)
    go_on.set()
    _, err = process.communicate(timeout=30)
    assert process.returncode == code, err
    assert "interrupted" in err
    assert "Traceback" not in err
    assert place.run("push-invoices", "-q")[0] == 0
    assert place.asked() == {str(entry): 1 for entry in range(1, 61)}
