"""An independent account of a small world: what was created here and what must therefore be true, computed without mlc."""

from __future__ import annotations

import datetime
import random
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from harness import TODAY, Company

SCALE = {"EUR": 2, "JPY": 0, "KWD": 3, "ISK": 0}  # decimals of the books
UNIT = {"EUR": 2, "JPY": 0, "KWD": 3, "ISK": 2}  # decimals of Stripe's own unit
NAMES = ("Müller & Söhne", "O'Neil Ltd", "Żółć 🚀 GmbH", "Plain Inc", "名前株式会社", 'Quote "Q" & Co')
WRITES = ("POST", "PATCH", "PUT", "DELETE")
LIMITS = "limits: {max_writes: 100000, max_amount: {EUR: 1000000000, JPY: 1000000000, KWD: 1000000000, ISK: 1000000000}}"


@dataclass
class Oracle:
    """What must be true; amounts are minor units of the books' currency unless said otherwise."""

    company: Company
    currency: str = "EUR"
    pushed: dict[int, int] = field(default_factory=dict)  # DocEntry -> what Stripe must ask for
    held: dict[str, str] = field(default_factory=dict)  # name behind the company -> reason
    silent: set[int] = field(default_factory=set)  # DocEntries of which nothing may be said
    posted: dict[str, tuple[str, dict[int, int], int]] = field(
        default_factory=dict
    )  # payment -> card, invoice parts, on account
    days: dict[str, datetime.date] = field(default_factory=dict)  # payment -> day of success
    nothing: set[str] = field(default_factory=set)  # payments that may not reach SAP

    # --- documents --------------------------------------------------------------------------------------------------

    def major(self, minor: int) -> Decimal:
        """Return major units."""
        return Decimal(minor).scaleb(-SCALE[self.currency])

    def minor(self, amount: Decimal) -> int:
        """Return minor units; the amount must be a whole number of them."""
        scaled = amount.scaleb(SCALE[self.currency])
        assert scaled == int(scaled)
        return int(scaled)

    def stripe(self, minor: int) -> int:
        """Return Stripe's unit."""
        return minor * 10 ** (UNIT[self.currency] - SCALE[self.currency])

    def invoice(self, card: str, prices: list[str], *, tax: int = 19, expect: str = "push", **more: Any) -> int:
        """Add an invoice of one line per net price and say what must become of it: push, silent, or a reason."""
        rows = [(f"Pos {number} ü", Decimal(1), Decimal(price), Decimal(tax)) for number, price in enumerate(prices, 1)]
        more.setdefault("doc_date", TODAY - datetime.timedelta(days=3))
        more.setdefault("due_date", TODAY + datetime.timedelta(days=11))
        entry = self.company.books.add_invoice(card, rows, **more)
        self.say(entry, expect)
        return int(entry)

    def say(self, entry: int, expect: str) -> None:
        """Note what must become of a document."""
        self.pushed.pop(entry, None)
        self.silent.discard(entry)
        self.held.pop(f"push-invoice/stripe/{entry}", None)
        if expect == "push":
            self.pushed[entry] = self.minor(self.company.books.open_balance(entry))
        elif expect == "silent":
            self.silent.add(entry)
        else:
            self.held[f"push-invoice/stripe/{entry}"] = expect

    def receipt(self, entry: int, amount: Decimal | None = None, day: datetime.date = TODAY) -> None:
        """Key a receipt by hand on an invoice, in full or in part."""
        books = self.company.books
        sum_ = books.open_balance(entry) if amount is None else amount
        books.add_receipt(books.invoice(entry).card_code, sum_, {entry: sum_}, date=day)

    # --- proofs -----------------------------------------------------------------------------------------------------

    def prove_pushed(self) -> None:
        """Compare every invoice at Stripe with what SAP holds open."""
        company = self.company
        ids = company.pushed()
        assert set(ids) == set(self.pushed)
        for entry, balance in self.pushed.items():
            one, paper = company.account.read(ids[entry]), company.books.invoice(entry)
            lines = company.account.tables["invoice"].rows[ids[entry]]["_lines"]
            assert one["amount_due"] == one["total"] == self.stripe(balance) == sum(line["amount"] for line in lines), entry
            assert len(lines) <= 250
            assert one["currency"] == self.currency.lower()
            assert {key: one["metadata"][key] for key in ("sap_company", "sap_doc_entry", "sap_doc_num", "sap_card_code")} == {
                "sap_company": "SBODEMO", "sap_doc_entry": str(entry), "sap_doc_num": str(paper.doc_num),
                "sap_card_code": paper.card_code,
            }  # fmt: skip
            assert one["metadata"]["mlc_key"]
            customer = company.account.read(one["customer"])
            assert customer["metadata"]["sap_card_code"] == paper.card_code
            assert one["auto_advance"] is False

    def prove_held(self) -> None:
        """Exactly the oracle's reasons wait for a person."""
        found = self.company.held()
        wrong = {
            name: (found.get(name), self.held.get(name)) for name in found | self.held if found.get(name) != self.held.get(name)
        }
        assert not wrong, f"found, expected: {wrong}"

    def prove_posted(self) -> None:
        """Each cent stands once, on the customer and the invoices the oracle names."""
        found = self.company.posted()
        assert all(len(one) == 1 for one in found.values())
        real: dict[str, tuple[str, dict[int, int], int]] = {}
        for payment, (one,) in found.items():
            parts: Counter[int] = Counter()
            for row in one.rows:
                parts[row.doc_entry] += self.minor(row.applied)
            real[payment] = (one.card_code, dict(parts), self.minor(one.amount) - sum(parts.values()))
            assert one.date == one.transfer_date == self.days.get(payment, TODAY), payment
            assert one.transfer_account == "1361"
        wrong = {
            key: (real.get(key), self.posted.get(key)) for key in real | self.posted if real.get(key) != self.posted.get(key)
        }
        assert not wrong, f"found, expected: {wrong}"
        assert not self.nothing & set(real)

    def prove_quiet(self, *passes: str) -> None:
        """A further run writes nothing and changes nothing."""
        before, marks = picture(self.company), (len(self.company.sap.log), len(self.company.stripe.log))
        held = self.company.held()
        self.company.run(*passes)
        assert writes(self.company, *marks) == []
        assert picture(self.company) == before
        assert self.company.held() == held

    def prove_forgetful(self) -> None:
        """The same without a state file: found again, nothing done again, held for the same reasons."""
        held = self.company.held()
        before, marks = picture(self.company), (len(self.company.sap.log), len(self.company.stripe.log))
        self.company.forget()
        self.company.run()
        assert writes(self.company, *marks) == []
        assert picture(self.company) == before
        found = self.company.held()
        wrong = {name: (found.get(name), held.get(name)) for name in found | held if found.get(name) != held.get(name)}
        assert not wrong, f"after amnesia, before: {wrong}"


def writes(company: Company, sap: int = 0, stripe: int = 0) -> list[str]:
    """Return what was written since these positions of the logs; reading service calls of SAP left out."""
    done = [f"sap {m} {p}" for m, p, _ in company.requests("sap", sap) if m in WRITES and "Service_Get" not in p]
    return done + [f"stripe {m} {p}" for m, p, _ in company.requests("stripe", stripe) if m in WRITES]


def picture(company: Company) -> dict[str, Any]:
    """Return everything that a write could change on either side."""
    kinds = ("customer", "invoice", "invoice_payment", "payment_intent", "credit_note", "payment_record", "refund")
    return {
        "receipts": [(one.doc_entry, one.amount, one.cancelled, one.transfer_reference) for one in company.books.payments()],
        "entries": len(company.books.journal),
        "invoices": [(one.doc_entry, one.paid, one.status) for one in company.books.invoices()],
        **{kind: list(company.account.tables[kind].rows.values()) for kind in kinds},
    }


def prices(rng: random.Random, count: int, top: int, places: int) -> list[str]:
    """Return net prices with at most this many decimals."""
    return [str(Decimal(rng.randint(1, top * 10**places)).scaleb(-places)) for _ in range(count)]
