"""A small company to play with: partners, invoices of every kind, and the customers who pay them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from mlc.sandbox.courier import Courier
from mlc.sandbox.gocardless import GoCardlessService
from mlc.sandbox.kit import Clock
from mlc.sandbox.sap import SapService, SapSwitches
from mlc.sandbox.stripe import StripeService
from mlc.sandbox.stripe.switches import StripeSwitches

COMPANY, USER, PASSWORD, KEY, TOKEN = "SBODEMO", "manager", "sandbox-door-27", "sk_test_mlcsandbox", "sandbox_mlc"
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

_DEBTORS = [
    ("C60000", "Gärtnerei Grün", "sepa_core", None),
    ("C70000", "Velo & Co", "sepa_core", None),
    ("C80000", "Thames Rowing Ltd", "bacs", "GBP"),
]


@dataclass(slots=True)
class Week:
    """A week of direct debits: the mandates, what was collected, and the payment whose invoice nobody wrote yet."""

    world: World
    mandates: dict[str, str]
    told: list[str] = field(default_factory=list)
    payouts: list[str] = field(default_factory=list)
    first: str = ""  # the payment that is charged back
    late: str = ""  # the payment whose invoice comes late

    @classmethod
    def of(cls, world: World) -> Week:
        """Write the invoices, collect them, and pay two payouts out: one in euro, one in pounds."""
        books, organisation = world.sap.books, world.gocardless.organisation
        for code, name in (("NORTH", "North"), ("SOUTH", "South")):
            books.add_centre(code, name)
        books.set_rate("GBP", Decimal("1.15"))
        mandates = {}
        for code, name, scheme, currency in _DEBTORS:
            books.add_partner(code, name, email=f"{code.lower()}@example.com", **({"Currency": currency} if currency else {}))
            customer = organisation.add_customer(name, email=f"{code.lower()}@example.com", metadata={"sap_card_code": code})
            mandates[code] = organisation.add_mandate(customer, scheme)
        week = cls(world, mandates)
        both = week._collect("C60000", "300.00", ("NORTH", "200.00"), ("SOUTH", "100.00"))
        plain = week._collect("C70000", "120.00", ("SOUTH", "120.00"), named=False)
        week.first = both
        week.payouts.append(organisation.pay(both, plain))
        pounds = week._collect("C80000", "500.00", ("NORTH", "500.00"), currency="GBP", rate=Decimal("1.17"))
        week.payouts.append(organisation.pay(pounds))
        return week

    def _collect(
        self, card: str, amount: str, *lines: tuple[str, str], named: bool = True, currency: str | None = None, rate: Decimal | None = None
    ) -> str:  # fmt: skip
        """Write an invoice with a cost centre on each line, and collect it; returns the payment."""
        books, today = self.world.sap.books, self._today()
        rows = [(f"Service {centre}", Decimal(1), Decimal(gross), Decimal(0)) for centre, gross in lines]
        fields = [{"CostingCode": centre} for centre, _ in lines]
        foreign: dict[str, Any] = {"currency": currency, "rate": rate} if currency else {}
        entry = books.add_invoice(card, rows, doc_date=today - 3 * _DAY, due_date=today, line_fields=fields, **foreign)
        number = int(books.invoice(entry).doc_num)
        how = "its metadata names it" if named else "nothing names it, the amount is the customer's only open one"
        self.told.append(f"{card} pays invoice {number} over {amount} {currency or 'EUR'} by direct debit; {how}")
        minor = int(Decimal(amount) * 100)
        metadata = {"invoice": str(number)} if named else {}
        return str(self.world.gocardless.organisation.collect(self.mandates[card], minor, metadata=metadata))

    def go_on(self) -> list[str]:
        """Charge the first payment back, and collect one whose invoice is not in SAP yet; returns what happened."""
        organisation = self.world.gocardless.organisation
        organisation.charge_back(self.first)
        number = self._next_number()
        self.late = str(organisation.collect(self.mandates["C70000"], 48000, metadata={"invoice": str(number)}))
        self.payouts.append(organisation.pay(self.late))
        return [f"C60000 has its 300.00 charged back: {self.first} is debited from the next payout",
                f"C70000 pays 480.00 for invoice {number}, which is not in SAP yet"]  # fmt: skip

    def write_the_late_invoice(self) -> int:
        """Write the invoice that the late payment names; returns its number."""
        today = self._today()
        rows = [("Season service", Decimal(1), Decimal("480.00"), Decimal(0))]
        entry = self.world.sap.books.add_invoice(
            "C70000", rows, doc_date=today, due_date=today, line_fields=[{"CostingCode": "SOUTH"}]
        )
        return int(self.world.sap.books.invoice(entry).doc_num)

    def _next_number(self) -> int:
        return max(int(one.doc_num) for one in self.world.sap.books.invoices()) + 1

    def _today(self) -> dt.date:
        return dt.datetime.fromtimestamp(self.world.sap.clock.now(), dt.UTC).date()

    def proof(self) -> list[dict[str, Any]]:
        """Set each payout beside the bank line of its entry in SAP, both read from the systems' own books."""
        rows = []
        for ident in self.payouts:
            payout = self.world.gocardless.organisation.read(ident)
            entries = [one for one in self.world.sap.books.entries() if one.reference2 == ident]
            bank = [line for one in entries for line in one.lines if line.account in ("1200", "1210")]
            booked = sum((line.amount_fc if line.currency else line.net for line in bank), Decimal(0))
            rows.append(
                {"payout": ident, "currency": payout["currency"], "paid_out": Decimal(payout["amount"]) / 100, "in_sap": booked}
            )
        return rows


@dataclass(slots=True)
class World:
    """The three systems and what was put into them."""

    sap: SapService
    stripe: StripeService
    gocardless: GoCardlessService
    invoices: list[int] = field(default_factory=list)

    @classmethod
    def small(cls, clock: Clock | None = None, *, switches: SapSwitches | None = None) -> World:
        """A company with four customers and nine open invoices of the last weeks, one of them partly paid already."""
        clock = clock or Clock()
        sap = SapService(clock, company=COMPANY, users={USER: PASSWORD}, switches=switches)
        world = cls(
            sap,
            StripeService(clock, secret_key=KEY, switches=StripeSwitches(settle_days=0)),
            GoCardlessService(clock, access_token=TOKEN),
        )
        for code, name, email in _PARTNERS:
            sap.books.add_partner(code, name, email=email)
        today = dt.datetime.fromtimestamp(clock.now(), dt.UTC).date()
        for number in range(9):
            day = today - (9 - number) * _DAY
            world.invoices.append(world.invoice(_PARTNERS[number % 4][0], number, day))
        partly = world.invoices[4]
        sap.books.add_receipt(world.card(partly), Decimal("30.00"), {partly: Decimal("30.00")}, date=today - _DAY)
        return world

    @classmethod
    def for_sandbox(cls) -> World:
        """The small company on a version of SAP that has webhooks."""
        return cls.small(switches=SapSwitches(webhooks="on"))

    def courier(self, **options: Any) -> Courier:
        """Return the courier of all three systems; it has not set out yet."""
        return Courier(self.sap.clock, self.stripe.hooks, self.gocardless.hooks, self.sap.hooks, **options)

    def register(self, url: str, tenant: str, secrets: Mapping[str, str], *, events: Iterable[str] = ("*",)) -> None:
        """Register a receiver at all three systems, at Stripe for some events only.

        SAP's handshake is left out: the receiver is often started after the sandbox.
        """
        self.stripe.account.add_endpoint(f"{url}/stripe/{tenant}", list(events), secret=secrets["stripe"])
        self.gocardless.organisation.webhook_endpoints(f"{url}/gocardless/{tenant}", secrets["gocardless"])
        self.sap.hooks.register("mlc", f"{url}/sap/{tenant}", secrets["sap"])

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

    def collect_a_week(self) -> Week:
        """Let other customers pay by direct debit: two currencies, two profit centres, a chargeback, an invoice that comes late."""
        return Week.of(self)

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
