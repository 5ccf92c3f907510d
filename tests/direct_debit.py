"""A company that collects by direct debit: the harness with the few steps that tests of payouts share."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from harness import TODAY, Company
from mlc.engine.report import Item, Report
from mlc.engine.road import Options
from mlc.passes.reconcile_payouts import ReconcilePayouts

RECONCILE = "reconcile-payouts"


class DebitCompany(Company):
    """SAP in pounds and GoCardless, without Stripe unless a text for it is given."""

    def __init__(self, folder: Path, config: str = "", *, local: str = "GBP", sap: dict[str, Any] | None = None, stripe: str | None = None,
                 **more: Any) -> None:  # fmt: skip
        """`config` is added to the gocardless section (lines of `key: value`)."""
        super().__init__(
            folder, gocardless_config=config, stripe_config=stripe, sap={"local_currency": local, **(sap or {})}, **more
        )
        self.mandates: dict[str, str] = {}

    def debtor(self, card: str = "C1", scheme: str = "bacs", *, named: bool = True, email: str | None = None) -> str:
        """Add a partner with a customer and an active mandate at GoCardless; returns the customer."""
        if card not in self.books.partners:
            self.partner(card)
        metadata = {"sap_card_code": card} if named else {}
        address = f"{card.lower()}@example.com" if email is None else email
        customer = str(self.organisation.add_customer(f"Firm {card}", email=address, metadata=metadata))
        self.mandates[card] = str(self.organisation.add_mandate(customer, scheme))
        return customer

    def owe(self, card: str, gross: str | int, **more: Any) -> tuple[int, int]:
        """Add an invoice without tax; returns its DocEntry and its number."""
        rows = [("Service", Decimal(1), Decimal(str(gross)), Decimal(0))]
        more.setdefault("doc_date", TODAY)
        more.setdefault("due_date", TODAY)
        entry = self.books.add_invoice(card, rows, **more)
        return entry, int(self.books.invoice(entry).doc_num)

    def collect(self, card: str, gross: str | int, number: int | None = None, **more: Any) -> str:
        """Collect a payment (in major units), which names an invoice where a number is given; its money waits for a payout."""
        metadata = {"invoice": str(number)} if number is not None else more.pop("metadata", {})
        return str(self.organisation.collect(self.mandates[card], int(Decimal(str(gross)) * 100), metadata=metadata, **more))

    def arrive(self, *payments: str, days: int = 2) -> str:
        """Pay payments out and let the money arrive; returns the payout."""
        payout = str(self.organisation.pay(*payments))
        self.clock.pass_time(days * 86400)
        return payout

    def paid(self, card: str, gross: str | int) -> tuple[int, str, str]:
        """Owe, collect by number, and let arrive; returns DocEntry, payment, payout. A debtor is added where there is none."""
        if card not in self.mandates:
            self.debtor(card)
        entry, number = self.owe(card, gross)
        payment = self.collect(card, gross, number)
        return entry, payment, self.arrive(payment)

    # --- mlc --------------------------------------------------------------------------------------------------------

    def reconcile(
        self, only: str | None = None, *, insist: bool = False, decided: dict[str, Any] | None = None, **options: Any
    ) -> Report:
        """Run the pass, or send one payout down the road as `replay` and `held match` do."""
        if only is None:
            return self.run(RECONCILE, **options)
        opened = self.open()
        self.items: list[Item] = []
        try:
            road = opened.road(RECONCILE, Options(**options), tell=self.items.append)
            pass_ = ReconcilePayouts(opened.scene(), only=[only], insist=[only] if insist else (), decided=decided)
            return road.run(pass_)
        finally:
            opened.close()

    def decide(self, payment: str, *entries: int, account: bool = False) -> None:
        """Keep a person's decision about a payment, as `held match` does."""
        opened = self.open()
        try:
            decision: dict[str, Any] = {"invoices": list(entries), "numbers": []}
            opened.journal.decide(payment, {**decision, **({"account": True} if account else {})}, "test")
        finally:
            opened.close()

    # --- looking ----------------------------------------------------------------------------------------------------

    def entries(self) -> dict[str, list[Any]]:
        """Return our reference -> the entries in SAP that carry it, reversals and what was reversed left out."""
        found: dict[str, list[Any]] = {}
        for entry in self.books.entries():
            if entry.origin == "ttJournalEntry" and entry.reference2 and entry.live:
                found.setdefault(entry.reference2, []).append(entry)
        return found

    def entry(self, reference: str) -> Any:
        """Return the one entry of a reference."""
        (found,) = self.entries()[reference]
        return found

    def lines(self, reference: str) -> list[str]:
        """Return an entry's lines as text: account or customer, amount (debit positive), invoice number, cost centre."""
        return [
            " ".join(
                part
                for part in (
                    line.short_name, f"{line.net:.2f}", f"{line.currency} {line.amount_fc:.2f}" if line.currency else "",
                    str(line.fields.get("Reference1") or ""), str(line.fields.get("Reference2") or ""),
                    str(line.fields.get("CostingCode") or ""),
                )
                if part
            )
            for line in self.entry(reference).lines
        ]  # fmt: skip

    def open_of(self, entry: int) -> Decimal:
        """Return what is open of an invoice."""
        return Decimal(self.books.open_balance(entry))

    def reasons(self) -> dict[str, str]:
        """Return the last word of each held item's name -> its reason."""
        return {name.rsplit("/", 1)[-1]: reason for name, reason in self.held().items()}
