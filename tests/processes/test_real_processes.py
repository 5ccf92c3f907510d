"""mlc as a real process against both simulators over real sockets: killed in the middle, two at once, interrupted."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from places import Place

INVOICES = 200


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
    assert "push-invoices: stopped after" in err
    assert "decided and not begun (the next run decides afresh)" in err
    assert "Traceback" not in err
    assert place.run("push-invoices", "-q")[0] == 0
    assert place.asked() == {str(entry): 1 for entry in range(1, 61)}
