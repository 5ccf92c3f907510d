"""The balance: every movement is a balance transaction; what is available and what is pending follows from them."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

from .base import DAY
from .errors import Refusal
from .money import exchange, fee_of
from .subscriptions import Subscriptions
from .table import Thing

RESERVE = "risk_reserved_funds"


class Ledger(Subscriptions):
    """What can be done with balance transactions."""

    def __init__(self, *args: Any, **options: Any) -> None:
        """Start with an empty balance."""
        super().__init__(*args, **options)
        self.purse: Counter[str] = Counter()

    def enter(
        self,
        amount: int,
        currency: str,
        kind: str,
        category: str,
        source: str | None,
        *,
        fee: int = 0,
        days: int = 0,
        rate: Decimal | None = None,
        description: str | None = None,
    ) -> Thing:
        """Enter one movement in the currency of the balance; `fee` is taken from it."""
        entry = self.make(
            "balance_transaction",
            amount=amount,
            currency=currency,
            type=kind,
            reporting_category=category,
            source=source,
            available_on=self.now() + days * DAY,
            description=description,
            exchange_rate=None if rate is None else float(rate),
            fee=fee or None,
            fee_details=self._fee_details(fee, currency) or None,
        )
        self.purse[currency] += amount - fee
        return entry

    def _fee_details(self, fee: int, currency: str) -> list[dict[str, Any]]:
        if not fee:
            return []
        tax = abs(fee) * self.switches.fee_tax_percent // (100 + self.switches.fee_tax_percent)
        tax = tax if fee > 0 else -tax
        parts = [("stripe_fee", "Stripe processing fees", fee - tax), ("tax", "VAT", tax)]
        return [
            {"amount": part, "application": None, "currency": currency, "description": text, "type": kind}
            for kind, text, part in parts
            if part
        ]

    def settled_in(self, amount: int, currency: str) -> tuple[int, str, Decimal | None]:
        """Return an amount as it reaches the balance: amount, currency, rate (None where it is not exchanged)."""
        rate = self.switches.rates.get(currency)
        if rate is None or currency == self.default_currency:
            return amount, currency, None
        exact = Decimal(rate)
        return exchange(amount, currency, self.default_currency, exact), self.default_currency, exact

    def enter_charge(self, charge: Thing) -> Thing:
        """Enter a succeeded charge with its fee and return the charge."""
        amount, currency, rate = self.settled_in(charge["amount"], charge["currency"])
        late = charge["id"].startswith("py_")
        entry = self.enter(
            amount,
            currency,
            "payment" if late else "charge",
            "charge",
            charge["id"],
            fee=fee_of(amount, currency, self.switches),
            days=self.switches.settle_days,
            rate=rate,
            description=charge.get("description"),
        )
        return self.change(charge, balance_transaction=entry["id"])

    def book(
        self,
        amount: int,
        currency: str | None = None,
        *,
        type: str = "stripe_fee",  # noqa: A002
        reporting_category: str = "fee",
        description: str = "Billing - Usage Fee",
    ) -> str:
        """Enter a movement without an object of ours (monthly fee, reserve, top-up, correction); returns its id."""
        currency = currency or self.default_currency
        return str(self.enter(amount, currency, type, reporting_category, None, description=description)["id"])

    def monthly_fee(self, amount: int, currency: str | None = None, description: str = "Billing - Usage Fee") -> str:
        """Take a fee that belongs to no payment; returns the movement's id."""
        return self.book(-amount, currency, description=description)

    def reserve_hold(self, amount: int, currency: str | None = None) -> str:
        """Hold a part of the balance back as a reserve; returns the movement's id."""
        return self._reserve(-amount, currency, "reserve_hold", "Reserve hold")

    def reserve_release(self, amount: int, currency: str | None = None) -> str:
        """Give a part of the reserve back; returns the movement's id."""
        return self._reserve(amount, currency, "reserve_release", "Reserve release")

    def _reserve(self, amount: int, currency: str | None, kind: str, text: str) -> str:
        ident = self.book(amount, currency, type=kind, reporting_category=RESERVE, description=text)
        if self.switches.reserve_mirrored:
            other = {key: self.get("balance_transaction", ident)[key] for key in ("currency", "available_on", "type")}
            self.make(
                "balance_transaction",
                amount=-amount,
                reporting_category=RESERVE,
                description=text,
                balance_type="risk_reserved",
                **other,
            )
        return ident

    def top_up(self, amount: int, currency: str | None = None, description: str = "Top-up") -> str:
        """Bring money from the bank into the balance; returns the top-up's id."""
        currency = currency or self.default_currency
        row = self.make("topup", amount=amount, currency=currency, description=description, status="succeeded")
        entry = self.enter(amount, currency, "topup", "topup", row["id"], description=description)
        row = self.change(row, balance_transaction=entry["id"])
        self.emit("topup.succeeded", row)
        return str(row["id"])

    def odd_movement(self, amount: int, currency: str | None = None, category: str = "unheard_of") -> str:
        """Move the balance under a reporting category that nobody knows yet; returns the movement's id."""
        return self.book(amount, currency, type="adjustment", reporting_category=category, description="Something new")

    def net(self, entry: Thing) -> int:
        """Return what a movement adds to the balance."""
        return int(entry["amount"] - self.of(entry, "fee"))

    def payment_entries(self, currency: str | None = None) -> list[Thing]:
        """Return the movements of the payments balance, the one that is paid out; a reserve's own balance is apart."""
        rows = self.tables["balance_transaction"].rows.values()
        mine = [one for one in rows if self.of(one, "balance_type") == "payments"]
        return mine if currency is None else [one for one in mine if one["currency"] == currency]

    def ripe(self, entry: Thing) -> bool:
        """Tell whether a movement is available: its day has come, and no bank debit behind it is still on its way."""
        return bool(entry["available_on"] <= self.clock.now() and not entry.get("_waits"))

    def balance(self) -> dict[str, dict[str, int]]:
        """Return available and pending minor units per currency."""
        found: dict[str, dict[str, int]] = {"available": {}, "pending": {}}
        for entry in self.payment_entries():
            state = found["available" if self.ripe(entry) else "pending"]
            state[entry["currency"]] = state.get(entry["currency"], 0) + self.net(entry)
        return found

    def show_balance(self) -> dict[str, Any]:
        """Return the balance object."""
        sums = self.balance()
        currencies = sorted({*sums["available"], *sums["pending"], self.default_currency})

        def rows(state: str) -> list[dict[str, Any]]:
            return [
                {"amount": amount, "currency": currency, "source_types": {"card": amount}}
                for currency in currencies
                for amount in [sums[state].get(currency, 0)]
            ]

        return {"object": "balance", "available": rows("available"), "livemode": self.livemode, "pending": rows("pending")}

    def list_movements(self, params: dict[str, Any]) -> None:
        """Refuse the one filter Stripe refuses: the movements of a manual payout."""
        if "payout" in params and not self.get("payout", params["payout"], param="payout")["automatic"]:
            raise Refusal(
                "Balance transaction history can only be filtered on automatic transfers, not manual.", param="payout"
            )
