"""A small company to play with: partners, invoices of every kind, and the customers who pay them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from mlc.sandbox.kit import Clock
from mlc.sandbox.sap import SapService
from mlc.sandbox.stripe import StripeService

COMPANY, USER, PASSWORD, KEY = "SBODEMO", "manager", "sandbox-door-27", "sk_test_mlcsandbox"
_DAY = dt.timedelta(days=1)
_PARTNERS = [
    ("C20000", "Norma Bäckerei & Café", "buchhaltung@norma.example"),
    ("C30000", "Kowalski Spedycja", "faktury@kowalski.example"),
    ("C40000", "O'Neil Fitness", "accounts@oneil.example"),
    ("C50000", "Søren Glas ApS", "regnskab@soerenglas.example"),
]
_WORK = [
    ("Monthly subscription", "80.00"),
    ("Support hours", "65.00"),
    ("Set-up", "250.00"),
    ("Travel", "48.33"),
    ("Hosting", "19.90"),
]


@dataclass(slots=True)
class World:
    """Both systems and what was put into them."""

    sap: SapService
    stripe: StripeService
    invoices: list[int] = field(default_factory=list)

    @classmethod
    def small(cls, clock: Clock | None = None) -> World:
        """A company with four customers and nine open invoices of the last weeks, one of them partly paid already."""
        clock = clock or Clock()
        sap = SapService(clock, company=COMPANY, users={USER: PASSWORD})
        world = cls(sap, StripeService(clock, secret_key=KEY))
        for code, name, email in _PARTNERS:
            sap.books.add_partner(code, name, email=email)
        today = dt.datetime.fromtimestamp(clock.now(), dt.UTC).date()
        for number in range(9):
            day = today - (9 - number) * _DAY
            world.invoices.append(world.invoice(_PARTNERS[number % 4][0], number, day))
        partly = world.invoices[4]
        sap.books.add_receipt(world.card(partly), Decimal("30.00"), {partly: Decimal("30.00")}, date=today - _DAY)
        return world

    def invoice(self, card: str, number: int, day: dt.date) -> int:
        """Add an invoice of one to five lines; returns its DocEntry."""
        rows = [(text, Decimal(1 + number % 3), Decimal(net), Decimal(19)) for text, net in _WORK[: 1 + number % len(_WORK)]]
        return self.sap.books.add_invoice(card, rows, doc_date=day, due_date=day + 14 * _DAY)

    def card(self, entry: int) -> str:
        """Return whose invoice it is."""
        return str(self.sap.books.invoice(entry).card_code)

    def at_stripe(self) -> dict[int, str]:
        """Return DocEntry -> invoice at Stripe."""
        found = {}
        for one in self.stripe.account.all("invoice"):
            if one["metadata"].get("sap_doc_entry") and one["status"] != "draft":
                found[int(one["metadata"]["sap_doc_entry"])] = one["id"]
        return found

    def pay_in_every_way(self) -> list[str]:
        """Let the customers pay: cards, a part, two at once, too much, late by debit, by hand in SAP, for nothing known.

        Returns what happened, in words.
        """
        asked, account = self.at_stripe(), self.stripe.account
        told = []
        for entry in self.invoices[:2]:
            account.pay(asked[entry])
            told.append(f"invoice {self._number(entry)} is paid by card")
        account.pay_partly(asked[self.invoices[2]], 5000)
        told.append(f"invoice {self._number(self.invoices[2])} is paid in part: 50.00")
        pair = [asked[entry] for entry in (self.invoices[3], self.invoices[7])]
        account.pay_many(pair)
        told.append(f"invoices {self._number(self.invoices[3])} and {self._number(self.invoices[7])} are paid with one payment")
        account.pay(asked[self.invoices[4]])
        told.append(f"invoice {self._number(self.invoices[4])}, partly paid before, is paid by card")
        account.pay_late(asked[self.invoices[5]])
        told.append(f"invoice {self._number(self.invoices[5])} is paid by SEPA debit, which is still on its way")
        self._by_hand(self.invoices[6])
        told.append(f"invoice {self._number(self.invoices[6])} is paid by bank transfer and keyed in SAP by hand")
        account.pay_without_invoice(None, 4200, "eur")
        told.append("42.00 arrive that no invoice explains")
        return told

    def _by_hand(self, entry: int) -> None:
        books = self.sap.books
        today = dt.datetime.fromtimestamp(self.sap.clock.now(), dt.UTC).date()
        books.add_receipt(self.card(entry), books.open_balance(entry), {entry: books.open_balance(entry)}, date=today)

    def _number(self, entry: int) -> int:
        return int(self.sap.books.invoice(entry).doc_num)

    def proof(self) -> list[dict[str, Any]]:
        """Read both books and set them side by side, invoice by invoice; amounts in major units."""
        rows = []
        asked = self.at_stripe()
        for entry in self.invoices:
            invoice = self.sap.books.invoice(entry)
            at_stripe = self.stripe.account.get("invoice", asked[entry]) if entry in asked else None
            rows.append({
                "number": int(invoice.doc_num), "customer": invoice.card_code, "open_in_sap": self.sap.books.open_balance(entry),
                "status": at_stripe["status"] if at_stripe else "-",
                "left_at_stripe": Decimal(at_stripe["amount_remaining"]) / 100 if at_stripe else Decimal(0),
            })  # fmt: skip
        return rows

    def clearing(self) -> tuple[Decimal, Decimal]:
        """Return the clearing account in SAP, and what Stripe collected by its own books (gross, in major units)."""
        collected = sum(
            Decimal(one["amount_captured"]) / 100 for one in self.stripe.account.all("charge") if one["status"] == "succeeded"
        )
        return self.sap.books.balance("1361"), Decimal(collected)
