"""Storms of lost answers, late commits and broken proxies, drawn from seeds: exactly once in every history, and nothing lost.

The last tests switch a guard off and must see the same storms do harm: a check that cannot fail proves nothing.
"""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from worlds import PASSES, assert_nothing_open, open_names, quick_folder, switch_off_the_fence, switch_off_the_look_up

from harness import Company
from mlc.sandbox.kit import Storm

HISTORIES = 56
LOOKED_AT = 30  # histories with a guard switched off; some of them must show a duplicate
SAP_RATES = {"lost": 0.15, "late": 0.2, "never": 0.1, "lost_html": 0.1, "html": 0.1}
STRIPE_RATES = {"lost": 0.12, "never": 0.05, "lost_html": 0.1, "html": 0.08, "late": 0.05}
SAP_WRITES = r"/IncomingPayments$"


class History:
    """One random history: invoices, payments and a storm over both systems, all from one seed."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.company = Company(folder)
        self.entries: list[int] = []
        self.payments: list[str] = []
        for number in range(3):
            self.company.partner(f"C{number}", email="" if number == 2 else f"c{number}@example.com")
        for _ in range(self.random.randint(2, 4)):
            card = f"C{self.random.randrange(3)}"
            self.entries.append(self.company.invoice(card, f"{self.random.randint(10, 300)}.00"))
        # SAP may still commit until its settling time after we gave up, Stripe while we still repeat the request
        self.company.sap.storm = Storm(seed, SAP_RATES, path=SAP_WRITES, delay=5 + 19)
        self.company.stripe.storm = Storm(seed + 1, STRIPE_RATES, path="/v1/(?!sandbox)", delay=30)

    def run(self) -> None:
        """One run of all passes, and some time before the next."""
        for name in PASSES:
            self.company.run(name)
        self.company.clock.pass_time(self.random.choice((0, 1, 7, 60, 1800)))

    def pay(self) -> None:
        """Let customers pay some of what they were asked for."""
        for invoice in sorted(self.company.account.all("invoice", status="open"), key=lambda one: one["id"]):
            throw, left = self.random.random(), invoice["amount_remaining"]
            if throw < 0.5:
                self.payments.append(self.company.account.pay(invoice["id"]))
            elif throw < 0.8 and left > 200:
                self.payments.append(self.company.account.pay_partly(invoice["id"], left // 2))

    def play(self) -> None:
        """Storm, payments in the middle of it, then calm weather until nothing is open."""
        for _ in range(4):
            self.run()
            self.pay()
        self.company.sap.storm = self.company.stripe.storm = None
        self.company.clock.pass_time(60)
        for number in range(8):
            self.run()
            if number >= 2 and not open_names(self.company):
                return

    def doubled(self) -> list[str]:
        """What exists more than once."""
        account = self.company.account
        live = [one for one in account.all("invoice") if one["status"] in ("open", "paid")]
        counts = Counter(f"invoice of {one['metadata'].get('sap_doc_entry')}" for one in live)
        counts += Counter(f"customer {one['metadata'].get('sap_card_code')}" for one in account.all("customer"))
        counts += Counter({f"receipt of {marker}": len(found) for marker, found in self.company.posted().items()})
        return [f"{count} x {name}" for name, count in counts.items() if count > 1]

    def prove(self) -> None:
        """Everything once, nothing lost, nothing open."""
        company = self.company
        assert self.doubled() == []
        company.check()
        assert sorted(company.pushed()) == self.entries, "an invoice was not asked for"
        assert sorted(company.posted()) == sorted(self.payments), "a payment is not in SAP"
        assert company.held() == {}
        for entry, invoice in company.pushed().items():
            assert company.account.read(invoice)["amount_remaining"] == company.books.open_balance(entry) * 100
        assert [one["id"] for one in company.account.all("invoice") if one["status"] == "draft"] == []
        assert_nothing_open(company)


@pytest.mark.parametrize("part", range(4))
def test_no_storm_doubles_or_loses_anything(part: int) -> None:
    """After every storm each document is asked for once and each payment stands in SAP once."""
    ground = quick_folder()
    failures = []
    for seed in range(part, HISTORIES, 4):
        folder = ground / str(seed)
        folder.mkdir()
        history = History(folder, seed)
        try:
            history.play()
            history.prove()
        except AssertionError as error:
            failures.append(f"seed {seed}: {error}")
    assert not failures, f"{len(failures)} histories\n" + "\n".join(failures)


def _histories_with_duplicates() -> int:
    ground, found = quick_folder(), 0
    for seed in range(LOOKED_AT):
        folder = ground / str(seed)
        folder.mkdir()
        history = History(folder, seed)
        history.play()
        found += any("receipt" in one for one in history.doubled())
        if found >= 2:
            break
    return found


def test_without_the_fence_the_same_storms_double_receipts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking up at once instead of behind the fence posts payments twice: the storms are strong enough to show it."""
    switch_off_the_fence(monkeypatch)
    assert _histories_with_duplicates() >= 2


def test_without_the_look_up_the_same_storms_double_receipts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sending again without asking whether it was done posts payments twice."""
    switch_off_the_look_up(monkeypatch)
    assert _histories_with_duplicates() >= 2
