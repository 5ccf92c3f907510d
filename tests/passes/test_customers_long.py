"""Months of customers changed on both sides at random, with faults, kills and lost events: in the end both sides agree."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from oracle import LIMITS, WRITES

from harness import Company
from mlc.core.merge import FIELDS
from mlc.sandbox.kit import Fault

CARDS = ("C1", "C2", "C3")
IN_SAP = {"name": "CardName", "email": "EmailAddress", "phone": "Phone1", "line1": "Address", "city": "City", "postal_code": "ZipCode",
          "country": "Country"}  # fmt: skip


class Kill(BaseException):
    """The process is gone."""


class Months:
    """A company and an account of what anybody wrote into each field since both sides last agreed."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.company = Company(folder, config=LIMITS)
        for card in CARDS:
            self.company.partner(card, f"Name {card}")
            self.company.invoice(card)
        self.settle()

    def customer(self, card: str) -> str:
        """The one customer of a partner."""
        (one,) = self.company.account.all("customer", metadata={"sap_card_code": card})
        return str(one["id"])

    def sap(self, card: str) -> dict[str, str]:
        """What SAP holds."""
        one = self.company.books.partners[card]
        return {name: (one.name if name == "name" else one.fields.get(field)) or "" for name, field in IN_SAP.items()}

    def stripe(self, card: str) -> dict[str, str]:
        """What Stripe holds."""
        one = self.company.account.read(self.customer(card))
        address = one["address"] or {}
        return {name: (one[name] if name in ("name", "email", "phone") else address.get(name)) or "" for name in FIELDS}

    def write(self, side: str, card: str, name: str, value: str) -> None:
        """Change one field on one side as a person would."""
        if side == "sap":
            self.company.books.change_partner(card, **{IN_SAP[name]: value})
        elif name in ("name", "email", "phone"):
            self.company.account.update_customer(self.customer(card), {name: value})
        else:
            old = {key: value for key, value in self.stripe(card).items() if key not in ("name", "email", "phone")}
            self.company.account.update_customer(self.customer(card), {"address": {**old, name: value}})

    def value(self, name: str) -> str:
        """Draw a new value for a field."""
        number = self.random.randrange(10**6)
        return {"email": f"m{number}@example.com", "country": self.random.choice(["DE", "FR", "AT"])}.get(name, f"v{number}")

    def run(self) -> None:
        """Run once; it may be killed anywhere, and the systems may fail it."""
        company = self.company
        if self.random.random() < 0.3:
            system = self.random.choice([company.sap, company.stripe])
            kinds = (
                ["lost", "late", "never", "html"]
                if system is company.sap
                else ["lost", "saved_500", "saved_500_done", "rate_limit"]
            )
            methods = [one for one in WRITES if system is company.sap or one == "POST"]
            method = self.random.choice(methods)
            system.faults.append(Fault(self.random.choice(kinds), method=method, times=1, delay=3.0))
        if self.random.random() < 0.2:
            left = self.random.randrange(1, 12)

            def count(_: httpx.Request) -> None:
                nonlocal left
                left -= 1
                if not left:
                    raise Kill

            for wire in company.wires.values():
                wire.before = count
        with suppress(Kill):
            company.run(*self.random.choice([(), (), ("sync-customers",)]))
        for wire in company.wires.values():
            wire.before = None
        company.sap.faults.clear()
        company.stripe.faults.clear()
        company.clock.pass_time(self.random.choice([60, 60, 3600, 90_000]))

    def settle(self) -> None:
        """Run until nothing is left to do; a lost event is found within a day."""
        for step in (60, 90_000, 300, 300):
            self.company.run()
            self.company.clock.pass_time(step)
        marks = len(self.company.sap.log), len(self.company.stripe.log)
        self.company.run()
        for system, mark in zip(("sap", "stripe"), marks, strict=True):
            wrote = [one for one in self.company.requests(system, mark) if one[0] in WRITES and "Service_" not in one[1]]
            assert wrote == [], system


@pytest.mark.parametrize("seed", range(3))
def test_months_of_changes_end_in_agreement(tmp_path: Path, seed: int) -> None:
    """What one side alone wrote stands on both, what both wrote is SAP's, figures are the books', and nothing waits."""
    months = Months(tmp_path, seed)
    company = months.company
    for _ in range(4):
        agreed = {card: months.sap(card) for card in CARDS}
        wrote: dict[tuple[str, str], dict[str, list[str]]] = {}
        for _ in range(18):
            card, name, side = (
                months.random.choice(CARDS),
                months.random.choice(FIELDS),
                months.random.choice(["sap", "stripe"]),
            )
            there = wrote.setdefault((card, name), {"sap": [], "stripe": []})
            there[side].append(months.value(name))
            months.write(side, card, name, there[side][-1])
            if months.random.random() < 0.1:
                company.account.drop_events("customer.")
            if months.random.random() < 0.1:
                company.account.duplicate_events(3)
            if months.random.random() < 0.2:
                company.books.change_partner(card, Frozen=months.random.choice(["tYES", "tNO"]))
            if months.random.random() < 0.5:
                months.run()
        for card in CARDS:
            company.books.change_partner(card, Frozen="tNO")
        months.settle()
        for card in CARDS:
            sap, stripe = months.sap(card), months.stripe(card)
            assert sap == stripe
            for name in FIELDS:
                there = wrote.get((card, name), {"sap": [], "stripe": []})
                possible = {agreed[card][name]} if not any(there.values()) else {*there["sap"], *there["stripe"]}
                if not (there["sap"] and there["stripe"]) and any(there.values()):
                    possible = {[*there["sap"], *there["stripe"]][-1]}
                assert sap[name] in possible, (card, name)
            data = company.account.read(months.customer(card))["metadata"]
            assert data["sap_open_balance"] == f"{company.books.partner_balance(card):.2f}"
            assert data["sap_on_hold"] == "false"
        assert company.held() == {}
    company.check()
