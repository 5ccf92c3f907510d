"""The links of the state file: what a later word may lay over an earlier one, and what it never does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mlc.core.intents import Mark
from mlc.store.database import Database
from mlc.store.links import Links


@pytest.fixture
def links(tmp_path: Path) -> Iterator[Links]:
    """The links of a company that has none yet."""
    database = Database.open(tmp_path / "mlc.db")
    yield Links(database, "CO")
    database.close()


def installment(invoice: str, number: int, state: str = "open") -> Mark:
    """The link of an invoice to what stands at Stripe for one of its installments."""
    return Mark("invoice", "7", invoice, state, {"installment": number})


def test_an_earlier_installment_never_takes_the_place_of_a_later_one(links: Links) -> None:
    """A late word about the first Stripe invoice leaves the second one's link alone; about its own invoice it counts."""
    links.put(installment("in_1", 1), 1.0)
    links.put(installment("in_2", 2), 2.0)
    links.put(installment("in_1", 1, "paid"), 3.0)
    assert links.get("invoice", "7") == installment("in_2", 2)
    links.put(installment("in_2", 2, "paid"), 4.0)
    links.put(installment("in_3", 3), 5.0)
    assert links.get("invoice", "7") == installment("in_3", 3)


def test_an_invoice_pushed_again_takes_its_own_place(links: Links) -> None:
    """The same installment under another Stripe invoice is its replacement, and invoices without installments follow each other."""
    links.put(installment("in_1", 2), 1.0)
    links.put(installment("in_9", 2), 2.0)
    assert links.get("invoice", "7") == installment("in_9", 2)
    links.put(Mark("invoice", "8", "in_4", "void"), 3.0)
    links.put(Mark("invoice", "8", "in_5", "open"), 4.0)
    assert links.get("invoice", "8") == Mark("invoice", "8", "in_5", "open")
