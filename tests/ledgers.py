"""A company that lets Stripe's money go back: every pass, and the proof that clearing is Stripe's balance to the cent."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from harness import Company

ALL = ("post-payments", "reconcile-payouts", "sync-customers", "push-invoices")
BOOK = 'refunds: book\ndisputes: book\nsuspense_account: "1590"'
CLEARING, BANK, FEES, SUSPENSE = "1361", "1200", "6855", "1590"


class Ledgers(Company):
    """A company with pushed invoices of 119.00 and the sums that must hold."""

    def __init__(self, folder: Path, *, count: int = 4, config: str = BOOK, **more: Any) -> None:
        super().__init__(folder, stripe_config=config, **more)
        self.cards = [self.partner(f"C{number}", f"Partner {number}") for number in (1, 2)]
        self.entries = [self.invoice(self.cards[number % 2]) for number in range(count)]
        self.all()
        self.asked = self.pushed()

    def all(self) -> None:
        """Run every pass; each must end well, or with what is held."""
        for name in ALL:
            report = self.run(name)
            assert report.exit_code in (0, 3), report.messages

    def pay(self, *entries: int) -> list[str]:
        """Let customers pay invoices by card, and post that."""
        paid = [self.account.pay(self.asked[entry]) for entry in entries]
        self.all()
        return paid

    def minor(self, code: str) -> int:
        """Return the balance of an account in minor units."""
        return int(self.books.balance(code) * 100)

    def owed(self, card: str) -> int:
        """Return what a customer owes in minor units."""
        return int(self.books.partner_balance(card) * 100)

    def stripe_balance(self) -> int:
        """Return available and pending together."""
        found = self.account.balance()
        return sum(found[state].get("eur", 0) for state in ("available", "pending"))

    def unpaid_fees(self) -> int:
        """Return the fees of what was not paid out yet: they are booked with the payout."""
        rows = self.account.tables["balance_transaction"].rows.values()
        kinds = ("charge", "fee", "payment")
        return sum(int(one.get("fee") or 0) for one in rows if not one.get("_payout") and one["type"] in kinds)

    def pay_out(self, days: int = 4) -> str:
        """Let all that is available be paid out and arrive."""
        self.clock.pass_time(days * 86400)
        return str(self.account.complete_payout(self.account.make_payout()))

    def references(self) -> dict[str, int]:
        """Return reference -> how many entries carry it."""
        found: dict[str, int] = {}
        for one in self.books.entries():
            if one.reference2:
                found[one.reference2] = found.get(one.reference2, 0) + 1
        return found

    def prove(self) -> None:
        """Both books are sound, nothing stands twice, clearing is Stripe's balance, and neither another run nor amnesia changes it."""
        self.check()
        assert set(self.references().values()) <= {1}, self.references()
        assert self.minor(CLEARING) == self.stripe_balance() + self.unpaid_fees()
        held, entries = self.held(), len(self.books.journal)
        self.all()
        assert (self.held(), len(self.books.journal)) == (held, entries)
        self.forget()
        self.all()
        self.all()
        assert (self.held(), len(self.books.journal)) == (held, entries)


def reasons(company: Company) -> dict[str, str]:
    """What is held: the id a person knows -> reason."""
    return {name.split("/", 2)[2].split("/")[0]: reason for name, reason in company.held().items()}


def major(minor: int) -> Decimal:
    """Minor units as SAP's books take them."""
    return Decimal(minor) / 100
