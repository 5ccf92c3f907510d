"""`mlc webhooks serve` as a real process: killed and stopped under load, and posting at once what is paid."""

from __future__ import annotations

import http.client
import json
import re
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deliveries import STRIPE, stripe_event, stripe_header
from places import Place


class Serving:
    """A receiver that runs, and a way to deliver to it."""

    def __init__(self, place: Place, *words: str) -> None:
        self.place = place
        self.process: subprocess.Popen[str] = place.start("webhooks", "serve", "--port", "0", *words)
        assert self.process.stderr is not None
        self.said: list[str] = []
        while not (found := re.search(r"127\.0\.0\.1:(\d+)/stripe", "".join(self.said))):
            line = self.process.stderr.readline()
            assert line, "".join(self.said)
            self.said.append(line)
        self.port = int(found[1])
        self.reader = threading.Thread(target=lambda: self.said.extend(self.process.stderr), daemon=True)
        self.reader.start()

    def post(self, body: bytes, secret: str = STRIPE) -> int:
        """Deliver one event."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            header = stripe_header(body, time.time(), secret)
            link.request("POST", "/stripe/acme", body, {"Content-Type": "application/json", "Stripe-Signature": header})
            return link.getresponse().status
        finally:
            link.close()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end."""
        self.process.send_signal(number)
        code = self.process.wait(60)
        self.reader.join(30)
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()
        return code


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Both systems served, nothing in them."""
    made = Place(tmp_path)
    yield made
    for one in made.served:
        one.stop()


def on_disk(folder: Path) -> dict[str, int]:
    """Event -> how often it was delivered."""
    connection = sqlite3.connect(folder / "mlc.db")
    try:
        return dict(connection.execute("SELECT id, deliveries FROM inbox"))
    finally:
        connection.close()


def under_load(serving: Serving, end: Callable[[], object]) -> tuple[set[str], set[str]]:
    """Deliver from six threads, doubled and forged ones among them, until the end comes; returns what was answered 200, what was forged."""
    taken: set[str] = set()
    forged: set[str] = set()
    enough = threading.Event()

    def deliver(lane: int) -> None:
        for number in range(lane * 10_000, lane * 10_000 + 9_999):
            body = json.dumps(stripe_event(number)).encode()
            try:
                if number % 7 == 3:
                    forged.add(f"evt_{number}")
                    assert serving.post(body, "whsec_forged") == 400
                    continue
                for _ in range(1 + (number % 5 == 0)):
                    if serving.post(body) == 200:
                        taken.add(f"evt_{number}")
            except (OSError, http.client.HTTPException):
                return
            if len(taken) > 80:
                enough.set()

    threads = [threading.Thread(target=deliver, args=(lane,)) for lane in range(1, 7)]
    for one in threads:
        one.start()
    assert enough.wait(60)
    end()
    for one in threads:
        one.join(30)
    return taken, forged


def test_sigkill_under_load_loses_nothing_that_was_answered(place: Place) -> None:
    """Killed three times under load on one state file: every delivery answered 200 is in the inbox, no forged one is."""
    taken: set[str] = set()
    forged: set[str] = set()
    for _ in range(3):
        serving = Serving(place)
        more, lies = under_load(serving, lambda serving=serving: serving.stop(signal.SIGKILL))
        taken, forged = taken | more, forged | lies
    found = on_disk(place.folder)
    assert taken <= found.keys()
    assert not forged & found.keys()
    assert len(taken) > 80


def test_sigterm_under_load_ends_cleanly(place: Place) -> None:
    """Stopped under load it answers what has begun, says so, and ends with 0; everything answered is on disk."""
    serving = Serving(place)
    codes: list[int] = []
    taken, _ = under_load(serving, lambda: codes.append(serving.stop()))
    assert codes == [0]
    assert taken <= on_disk(place.folder).keys()
    assert "everything that was answered as received is in the inbox" in "".join(serving.said)
    assert "Traceback" not in "".join(serving.said)


def test_a_paid_invoice_is_posted_by_its_webhook(place: Place) -> None:
    """With --post nobody runs anything: paying and delivering is enough, twice and with a forged one is no more than once."""
    place.fill(2)
    assert place.run("run")[0] == 0
    serving = Serving(place, "--post")
    seen = {one["id"] for one in place.stripe.account.events()}
    for one in sorted(place.stripe.account.all("invoice"), key=lambda each: str(each["id"])):
        place.stripe.account.pay(one["id"])
    news = [one for one in place.stripe.account.deliveries(STRIPE) if one.event_id not in seen]
    for one in [*news, *news[::-1]]:
        assert serving.post(one.body) == 200
        assert serving.post(one.body, "whsec_forged") == 400
    deadline = time.monotonic() + 60
    while len(list(place.sap.books.payments())) < 2:  # bounded; it is another process that posts
        assert time.monotonic() < deadline, "".join(serving.said)
        time.sleep(0.02)
    assert serving.stop() == 0
    assert sorted(str(one.transfer_sum) for one in place.sap.books.payments()) == ["119.00", "120.19"]
    assert place.run("run")[0] == 0
    assert len(list(place.sap.books.payments())) == 2
    code, out, _ = place.run("status", "--json")
    [status] = [line for line in map(json.loads, out.splitlines()) if line["type"] == "status"]
    assert (code, status["inbox_waiting"], status["webhooks"][0]["received"]) == (0, 0, 2 * len(news))
    assert status["webhooks"][0]["refused"] == 2 * len(news)


def test_a_wrong_password_is_tried_once(place: Place) -> None:
    """With --post and a password that SAP rejects there is one login, whatever arrives after it."""
    place.fill(1)
    assert place.run("run")[0] == 0
    place.environ["P"] = "wrong"
    before = place.sap.counts["POST"]
    serving = Serving(place, "--post")
    place.stripe.account.pay(place.stripe.account.all("invoice")[0]["id"])
    for one in place.stripe.account.deliveries(STRIPE):
        assert serving.post(one.body) == 200
    deadline = time.monotonic() + 60
    while "until the cause is removed" not in "".join(serving.said):
        assert time.monotonic() < deadline, "".join(serving.said)
        time.sleep(0.02)
    assert serving.post(json.dumps(stripe_event(1)).encode()) == 200
    assert serving.stop() == 0
    assert place.sap.counts["POST"] == before + 1
    assert "evt_1" in on_disk(place.folder)
