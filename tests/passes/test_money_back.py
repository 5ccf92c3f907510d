"""Customers pay in every way there is; each cent must be where an oracle that knows nothing of mlc says."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path

import pytest
from oracle import LIMITS, Oracle

from harness import TODAY, Company

DAY = datetime.timedelta(days=1)
MONEY = ("post-payments", "push-invoices")


class Till:
    """Invoices of one amount, pushed, and the verbs that say at once what must follow."""

    def __init__(self, folder: Path, *, count: int = 30, **options: str) -> None:
        self.company = Company(folder, config=LIMITS, **options)
        self.oracle = Oracle(self.company)
        self.cards = [self.company.partner(f"C{number}", f"Kunde O'{number}") for number in range(1, 7)]
        self.entries = [self.oracle.invoice(self.cards[number % 6], [str(100 + number)], tax=0) for number in range(count)]
        self.company.run()
        self.oracle.prove_pushed()
        self.ids = self.company.pushed()

    def card(self, entry: int) -> str:
        """Return the customer of a document."""
        return str(self.company.books.invoice(entry).card_code)

    def posts(self, payment: str, parts: dict[int, int], rest: int = 0, card: str = "") -> str:
        """This payment must stand in SAP on these invoices."""
        self.oracle.posted[payment] = (card or self.card(next(iter(parts))), parts, rest)
        return payment

    def waits(self, payment: str, reason: str) -> str:
        """This payment must be held and stay out of SAP."""
        self.oracle.held[f"post-payment/stripe/{payment}"] = reason
        self.oracle.nothing.add(payment)
        return payment

    def prove(self) -> None:
        """Everything is as the oracle says."""
        self.oracle.prove_posted()
        self.oracle.prove_held()
        self.company.check()


@pytest.fixture
def till(tmp_path: Path) -> Till:
    """Thirty pushed invoices of six customers."""
    return Till(tmp_path)


def pay_in_every_way(till: Till) -> None:
    """Let customers pay in all the ways that end at once."""
    account, ids, e = till.company.account, till.ids, till.entries
    owed = till.oracle.pushed
    till.posts(account.pay(ids[e[0]]), {e[0]: owed[e[0]]})
    till.posts(account.pay_partly(ids[e[1]], 4000), {e[1]: 4000})
    till.posts(account.pay_partly(ids[e[1]], 1), {e[1]: 1})
    till.posts(account.pay_many([ids[e[2]], ids[e[8]]]), {e[2]: owed[e[2]], e[8]: owed[e[8]]})
    till.posts(account.pay_many([ids[e[3]], ids[e[9]]], [500, owed[e[9]]]), {e[3]: 500, e[9]: owed[e[9]]})
    till.waits(account.pay_many([ids[e[4]], ids[e[5]]]), "several_partners")
    till.posts(account.overpay(ids[e[6]], owed[e[6]] + 777), {e[6]: owed[e[6]]}, 777)
    customer = account.read(ids[e[7]])["customer"]
    till.waits(account.pay_without_invoice(customer, owed[e[7]]), "no_open_invoice")
    till.waits(account.pay_without_invoice(account.add_customer("stranger"), 12345), "no_customer")
    till.waits(account.pay_without_invoice(None, 12346), "no_customer")
    till.waits(account.charge_without_intent(customer, 4321), "no_open_invoice")
    till.waits(account.charge_without_intent(None, 4322), "no_customer")
    numbers = {"sap_company": "SBODEMO", "sap_doc_entry": str(e[10]), "sap_card_code": till.card(e[10])}
    numbers["sap_doc_num"] = str(till.company.books.invoice(e[10]).doc_num)
    till.posts(account.pay_without_invoice(None, 700, metadata=numbers), {e[10]: 700})
    till.posts(account.charge_without_intent(None, 300, metadata=numbers), {e[10]: 300})
    till.waits(account.pay_without_invoice(None, 900, metadata={**numbers, "sap_card_code": "C99"}), "conflict")
    till.waits(account.pay_without_invoice(None, 901, metadata={**numbers, "sap_doc_entry": "9999"}), "gone_from_sap")
    foreign = {"sap_company": "OTHER", "sap_doc_entry": str(e[11]), "sap_doc_num": "1", "sap_card_code": "C1", "mlc_key": "k"}
    till.oracle.nothing.add(account.pay(account.add_invoice(account.add_customer("other"), 5000, metadata=foreign)))
    till.oracle.nothing.add(account.pay_without_invoice(None, 5001, metadata={"sap_company": "OTHER"}))
    subscription = account.subscription_invoice(account.add_customer("subscriber"), 2900)
    till.waits(account.all("invoice_payment", invoice=subscription)[0]["payment"]["payment_intent"], "no_customer")
    till.waits(account.pay_without_invoice(None, 5002, "usd"), "currency")


def test_each_cent_is_where_it_belongs(till: Till) -> None:
    """Whatever way a customer pays, the money stands once, on the right customer and invoice, or waits for the right reason."""
    pay_in_every_way(till)
    till.company.run()
    till.prove()
    till.oracle.prove_quiet()
    till.oracle.prove_forgetful()
    till.oracle.prove_quiet(*MONEY)
    till.prove()


def test_the_order_of_events_never_matters(tmp_path: Path) -> None:
    """Events lost, doubled and shuffled lead to the same books."""
    for upset in ("drop", "double", "shuffle"):
        folder = tmp_path / upset
        folder.mkdir()
        till = Till(folder, count=16)
        pay_in_every_way(till)
        account = till.company.account
        if upset == "drop":
            account.drop_events(lambda event: event["type"] != "customer.created")
            till.company.clock.pass_time(90000)
        if upset == "double":
            account.duplicate_events(10_000)
        account.shuffle_events()
        till.company.run()
        till.prove()
        till.oracle.prove_quiet()


def test_a_bare_charge_pays_its_invoice(till: Till) -> None:
    """A charge without PaymentIntent that paid an invoice is posted on that invoice."""
    entry = till.entries[0]
    till.posts(till.company.account.pay_by_charge(till.ids[entry]), {entry: till.oracle.pushed[entry]})
    till.company.run()
    till.prove()


def test_a_bare_charge_is_at_least_held(till: Till) -> None:
    """A charge without PaymentIntent that paid an invoice is never lost, and never on another customer."""
    entry = till.entries[0]
    payment = till.company.account.pay_by_charge(till.ids[entry])
    till.company.run()
    assert payment in till.company.posted() or f"post-payment/stripe/{payment}" in till.company.held()


@pytest.mark.parametrize("ends", ["settles", "fails"])
def test_bank_debits_are_followed_until_they_end(till: Till, ends: str) -> None:
    """A SEPA debit books nothing while it is pending, is posted on its day of success nine days later, or never."""
    account, entry = till.company.account, till.entries[0]
    payment = account.pay_late(till.ids[entry])
    till.company.run()
    till.prove()
    for _ in range(3):
        till.company.clock.pass_time(3 * 86400)
        till.company.run()
        till.prove()
    if ends == "settles":
        till.oracle.days[till.posts(account.settle_late(payment), {entry: till.oracle.pushed[entry]})] = TODAY + 9 * DAY
    else:
        till.oracle.nothing.add(account.fail_late(payment))
    till.company.run()
    till.prove()
    till.oracle.prove_quiet()
    till.oracle.prove_forgetful()


def test_a_late_debit_needs_no_event(till: Till) -> None:
    """A SEPA debit whose events are all lost is found when it ends, 40 days after it began."""
    account, entry = till.company.account, till.entries[0]
    payment = account.pay_late(till.ids[entry])
    till.company.run()
    till.company.clock.pass_time(40 * 86400)
    account.settle_late(payment)
    account.drop_events(100_000)
    till.oracle.days[till.posts(payment, {entry: till.oracle.pushed[entry]})] = TODAY + 40 * DAY
    till.company.run()
    till.prove()


def test_money_keyed_by_hand_is_never_booked_twice(till: Till) -> None:
    """A payment whose invoice or whose sum someone keyed within ten days waits as maybe_booked; one keyed earlier does not count."""
    account, books, ids, e = till.company.account, till.company.books, till.ids, till.entries
    owed = till.oracle.pushed
    till.waits(account.pay(ids[e[0]]), "maybe_booked")
    till.oracle.receipt(e[0])
    till.waits(account.pay(ids[e[1]]), "maybe_booked")
    books.add_receipt(till.card(e[1]), Decimal(owed[e[1]]) / 100, {}, date=TODAY - 10 * DAY)
    till.posts(account.pay(ids[e[2]]), {e[2]: owed[e[2]]})
    books.add_receipt(till.card(e[2]), Decimal(owed[e[2]]) / 100, {}, date=TODAY - 11 * DAY)
    till.posts(account.pay(ids[e[3]]), {e[3]: owed[e[3]]})
    books.add_receipt(till.card(e[3]), Decimal(owed[e[3]] + 1) / 100, {}, date=TODAY)
    till.posts(account.pay(ids[e[4]]), {e[4]: owed[e[4]]})
    books.cancel_payment(books.add_receipt(till.card(e[4]), Decimal(owed[e[4]]) / 100, {}, date=TODAY))
    till.company.run()
    till.prove()
    till.oracle.prove_quiet()
    till.oracle.prove_forgetful()


def test_what_goes_back_is_seen(till: Till) -> None:
    """Refunds and disputes are held beside the posted payment; a refund that failed is not, a won dispute for its fee."""
    account, ids, e = till.company.account, till.ids, till.entries
    owed, held = till.oracle.pushed, till.oracle.held
    payments = [till.posts(account.pay(ids[one]), {one: owed[one]}) for one in e[:5]]
    till.company.run()
    held[f"refund/stripe/{account.refund(payments[0])}"] = "refund"
    held[f"refund/stripe/{account.refund(payments[1], 100)}"] = "refund"
    held[f"refund/stripe/{account.refund(payments[1], 100)}"] = "refund"
    failed = account.refund(payments[2])
    held[f"refund/stripe/{failed}"] = "refund"
    held[f"dispute/stripe/{account.dispute(payments[3])}"] = "dispute"
    won = account.dispute(payments[4])
    held[f"dispute/stripe/{won}"] = "dispute"
    till.company.run()
    till.prove()
    account.fail_refund(failed)
    account.win_dispute(won)
    del held[f"refund/stripe/{failed}"]  # the fee of the dispute that was won stays with Stripe: somebody must book it
    till.company.run()
    till.prove()
    till.oracle.prove_quiet()
    till.oracle.prove_forgetful()


def test_two_equal_payments_are_both_booked(till: Till) -> None:
    """Two payments of one customer, one sum and one day are two payments (complaint 36)."""
    account, entry = till.company.account, till.entries[0]
    for _ in range(3):
        till.posts(account.pay_partly(till.ids[entry], 1000), {entry: 1000})
    till.company.run()
    till.prove()


def test_on_account_where_the_rules_say_so(tmp_path: Path) -> None:
    """With on_unmatched: on_account a payment of a known customer goes on account, one of a stranger waits."""
    till = Till(tmp_path, count=6, stripe_config="on_unmatched: on_account")
    account, entry = till.company.account, till.entries[0]
    customer = account.read(till.ids[entry])["customer"]
    till.posts(account.pay_without_invoice(customer, 5555), {}, 5555, till.card(entry))
    till.waits(account.pay_without_invoice(account.add_customer("stranger"), 5556), "no_customer")
    till.waits(account.pay(till.ids[entry]), "maybe_booked")
    till.oracle.receipt(entry)
    till.company.run()
    till.prove()
    till.oracle.prove_quiet()
    till.oracle.prove_forgetful()


def test_money_before_the_start_is_nobodys(tmp_path: Path) -> None:
    """Money of the second before start_date began in the tenant's zone is left alone; later money is posted, for older invoices too."""
    company = Company(tmp_path, config=LIMITS, start="2026-11-04")
    company.partner()
    oracle = Oracle(company)
    entry = oracle.invoice("C1", ["100.00"], expect="silent")
    numbers = {"sap_company": "SBODEMO", "sap_doc_entry": str(entry), "sap_card_code": "C1"}
    numbers["sap_doc_num"] = str(company.books.invoice(entry).doc_num)
    company.clock.pass_time(13 * 3600 - 1)
    oracle.nothing.add(company.account.pay_without_invoice(None, 100, metadata=numbers))
    company.clock.pass_time(1)
    payment = company.account.pay_without_invoice(None, 200, metadata=numbers)
    oracle.posted[payment], oracle.days[payment] = ("C1", {entry: 200}, 0), TODAY + DAY
    company.run()
    oracle.prove_posted()
    oracle.prove_held()
    assert company.pushed() == {}
    oracle.prove_quiet()
    oracle.prove_forgetful()
