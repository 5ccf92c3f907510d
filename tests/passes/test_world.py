"""A world of varied invoices and payments, compared to the cent with an oracle that knows nothing of mlc."""

from __future__ import annotations

import datetime
import random
from decimal import Decimal
from pathlib import Path

import pytest
from oracle import LIMITS, NAMES, SCALE, UNIT, Oracle, prices

from harness import TODAY, Company

DAY = datetime.timedelta(days=1)
MONEY = ("post-payments", "push-invoices")


def partners(company: Company, count: int = 6) -> list[str]:
    """Add customers with difficult names."""
    return [company.partner(f"C{number:03}", NAMES[number % len(NAMES)]) for number in range(count)]


def ordinary(oracle: Oracle, cards: list[str], rng: random.Random, count: int) -> list[int]:
    """Add invoices of 1 to 60 lines that must be pushed."""
    entries = []
    for number in range(count):
        lines = 60 if number == 0 else rng.randint(1, 12)
        rounding = Decimal(rng.choice([-2, -1, 1, 2, 0])).scaleb(-SCALE[oracle.currency]) * 10 ** (oracle.currency == "KWD")
        net = prices(rng, lines, 900, 2 if oracle.currency in ("EUR", "KWD") else 0)
        if oracle.currency == "KWD":
            net, rounding = [f"{Decimal(price):.1f}" for price in net if Decimal(price) >= 1] or ["5.0"], Decimal(0)
        tax = 0 if oracle.currency == "KWD" else rng.choice([0, 7, 19])
        entries.append(oracle.invoice(cards[number % len(cards)], net, tax=tax, rounding=rounding, NumAtCard=f"PO's {number}"))
    return entries


def peculiar(oracle: Oracle, cards: list[str]) -> dict[str, int]:
    """Add one document of every kind that needs care; returns them by what they are."""
    books, card = oracle.company.books, cards[0]
    books.set_rate("USD", Decimal("0.9"))
    made = {
        "many": oracle.invoice(card, ["1.10"] * 251),
        "before": oracle.invoice(card, ["50.00"], doc_date=datetime.date(2026, 9, 30), expect="silent"),
        "first day": oracle.invoice(card, ["50.00"], doc_date=datetime.date(2026, 10, 1)),
        "zero": oracle.invoice(card, ["0.00"], expect="silent"),
        "small": oracle.invoice(card, ["0.49"], tax=0, expect="below_minimum"),
        "least": oracle.invoice(card, ["0.50"], tax=0),
        "big": oracle.invoice(card, ["1000000.00"], tax=0, expect="above_maximum"),
        "most": oracle.invoice(card, ["999999.99"], tax=0),
        "dollars": oracle.invoice(card, ["50.00"], currency="USD", expect="currency"),
        "discount": oracle.invoice(card, ["33.33", "66.67"], DiscountPercent=Decimal("12.5")),
        "partly": oracle.invoice(card, ["100.00"]),
        "twice": oracle.invoice(card, ["100.00", "0.33"]),
        "credited": oracle.invoice(card, ["100.00"]),
        "settled": oracle.invoice(card, ["100.00"]),
        "cancelled": oracle.invoice(card, ["100.00"]),
        "closed": oracle.invoice(card, ["100.00"]),
        "parts": oracle.invoice(
            card, ["100.00"], tax=0, expect="installments",
            installments=[(TODAY + DAY, Decimal(40)), (TODAY + 30 * DAY, Decimal(60))],
        ),
    }  # fmt: skip
    oracle.receipt(made["partly"], Decimal("19.01"))
    oracle.receipt(made["twice"], Decimal("19.01"))
    oracle.receipt(made["twice"], Decimal("0.02"), TODAY - DAY)
    books.credit_memo(made["credited"], Decimal("20.00"))
    oracle.receipt(made["settled"])
    books.cancel_invoice(made["cancelled"])
    books.close_document(made["closed"])
    for name, expect in (("partly", "push"), ("twice", "push"), ("credited", "push"), ("closed", "push"), ("settled", "silent"),
                         ("cancelled", "silent")):  # fmt: skip
        oracle.say(made[name], expect)
    return made


def known_customers(company: Company) -> dict[str, str]:
    """Put customers at Stripe beforehand; returns CardCode -> customer, "" where a new one must be made."""
    account, found = company.account, {}
    company.partner("K1", "By metadata")
    found["K1"] = account.add_customer("x", metadata={"sap_company": "SBODEMO", "sap_card_code": "K1"})
    company.partner("K2", "By e-mail", email="Unique@Example.com")
    found["K2"] = account.add_customer("y", email="unique@example.com")
    company.partner("K3", "Two customers of one e-mail", email="double@example.com")
    account.add_customer("z1", email="double@example.com")
    account.add_customer("z2", email="double@example.com")
    company.partner("K4", "Two partners of one e-mail", email="shared@example.com")
    company.partner("K5", "Two partners of one e-mail", email="shared@example.com")
    account.add_customer("w", email="shared@example.com")
    company.partner("K6", "Of another company")
    account.add_customer("v", email="k6@example.com", metadata={"sap_company": "OTHER", "sap_card_code": "K6"})
    company.partner("K7", "Without e-mail", email="")
    return {**found, **dict.fromkeys(("K3", "K4", "K5", "K6", "K7"), "")}


def test_every_open_invoice_is_asked_for_to_the_cent(tmp_path: Path) -> None:
    """Sixty varied invoices stand at Stripe with SAP's balance, or are held for exactly the reason the oracle names."""
    company = Company(tmp_path, config=LIMITS)
    oracle = Oracle(company)
    cards = partners(company)
    ordinary(oracle, cards, random.Random(1), 36)
    peculiar(oracle, cards)
    known = known_customers(company)
    for card in known:
        oracle.invoice(card, ["10.00"])
    before = {one["id"] for one in company.account.all("customer")}
    company.run()
    oracle.prove_pushed()
    oracle.prove_held()
    links = {
        company.books.invoice(entry).card_code: company.account.read(one)["customer"] for entry, one in company.pushed().items()
    }
    assert {card: links[card] for card in known if known[card]} == {card: one for card, one in known.items() if one}
    assert not {links[card] for card, one in known.items() if not one} & before
    assert len(set(links.values())) == len(links)
    company.check()
    oracle.prove_quiet(*MONEY)
    oracle.prove_forgetful()
    oracle.prove_quiet(*MONEY)


def test_a_found_customer_is_not_written_by_the_second_run(company: Company) -> None:
    """A customer that was found by its metadata is brought up to date at once or left alone, never by a run that has nothing to do."""
    company.account.add_customer("x", metadata={"sap_company": "SBODEMO", "sap_card_code": "C1"})
    company.invoice()
    company.run()
    Oracle(company).prove_quiet()


@pytest.mark.parametrize("currency", ["JPY", "KWD", "ISK"])
def test_other_currencies_keep_their_decimals(tmp_path: Path, currency: str) -> None:
    """Invoices in a local currency of no or three decimals reach Stripe in Stripe's own unit, and their payments come back."""
    places = SCALE[currency]
    company = Company(tmp_path, sap={"local_currency": currency, "decimals": places}, config=LIMITS)
    oracle = Oracle(company, currency)
    cards = partners(company, 3)
    entries = ordinary(oracle, cards, random.Random(2), 10)
    if currency == "KWD":
        oracle.invoice(cards[0], ["10.001"], tax=0, expect="currency")
        oracle.invoice(cards[0], ["10.001", "10.009"], tax=0)
    else:
        oracle.invoice(cards[0], ["333", "667"], tax=8)
    company.run()
    oracle.prove_pushed()
    oracle.prove_held()
    ids = company.pushed()
    for entry in entries[:4]:
        balance = oracle.pushed[entry]
        payment = company.account.pay(ids[entry])
        oracle.posted[payment] = (company.books.invoice(entry).card_code, {entry: balance}, 0)
    part = 10 ** (UNIT[currency] + 1)
    payment = company.account.pay_partly(ids[entries[4]], part)
    minor = part // 10 ** (UNIT[currency] - places)
    oracle.posted[payment] = (company.books.invoice(entries[4]).card_code, {entries[4]: minor}, 0)
    company.run()
    oracle.prove_posted()
    company.check()
    oracle.prove_quiet()
    oracle.prove_forgetful()


def test_three_hundred_invoices(tmp_path: Path) -> None:
    """Three hundred invoices over many pages are each asked for once, and three hundred payments come back once."""
    company = Company(tmp_path, config=LIMITS, sap_config="page_size: 50")
    oracle = Oracle(company)
    cards = partners(company, 40)
    rng = random.Random(3)
    for number in range(300):
        oracle.invoice(cards[number % 40], prices(rng, rng.randint(1, 3), 900, 2))
    company.run()
    oracle.prove_pushed()
    for number, (entry, one) in enumerate(company.pushed().items()):
        payment = company.account.pay(one)
        oracle.posted[payment] = (company.books.invoice(entry).card_code, {entry: oracle.pushed[entry]}, 0)
        if number % 50 == 0:
            company.clock.pass_time(1)
    company.run()
    oracle.prove_posted()
    assert company.held() == {}
    company.check()
    oracle.prove_quiet()
