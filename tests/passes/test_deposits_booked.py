"""Stripe's payouts: from clearing to the bank with their fees, failed ones taken back, manual ones held; clearing is Stripe's balance."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from harness import TODAY
from ledgers import BANK, BOOK, CLEARING, FEES, SUSPENSE, Ledgers, reasons


@pytest.fixture
def books(tmp_path: Path) -> Ledgers:
    """Six invoices pushed and paid; what goes back is booked."""
    company = Ledgers(tmp_path, count=6)
    company.pay(*company.entries[:4])
    return company


def lines(books: Ledgers, reference: str) -> dict[str, int]:
    """Account -> minor units of the one entry with a reference."""
    (entry,) = [one for one in books.books.entries() if one.reference2 == reference]
    found: dict[str, int] = {}
    for line in entry.lines:
        found[line.account] = found.get(line.account, 0) + int(line.net * 100)
    return found


def test_a_payout_with_everything_in_it(books: Ledgers) -> None:
    """Charges, a refund, a dispute with its fee, a monthly fee and a reserve: each where it belongs (complaint 19)."""
    account = books.account
    payment = next(iter(books.posted()))
    account.refund(payment, 5000)
    account.dispute(next(one for one in books.posted() if one != payment))
    account.monthly_fee(1234)
    account.reserve_hold(755)
    payout = books.pay_out()
    paid = account.read(payout)
    books.all()
    fees = 4 * 203 + 1234  # 1.5 % of 119.00 and 0.25 each, and the month's
    assert lines(books, payout) == {BANK: paid["amount"], FEES: fees, SUSPENSE: 755, CLEARING: -(paid["amount"] + fees + 755)}
    (entry,) = [one for one in books.books.entries() if one.reference2 == payout]
    assert entry.date == datetime.datetime.fromtimestamp(paid["arrival_date"], datetime.UTC).date()
    assert books.minor(CLEARING) == books.stripe_balance() == 0
    books.prove()


def test_a_payout_waits_until_stripe_has_reconciled_it(books: Ledgers) -> None:
    """Nothing is booked of a payout that is on its way or not reconciled; it is followed without any event until it is."""
    books.clock.pass_time(4 * 86400)
    payout = books.account.make_payout()
    books.all()
    books.account.send_payout(payout)
    books.all()
    books.account.complete_payout(payout, reconcile=False)
    books.all()
    assert payout not in books.references()
    assert books.held() == {}
    books.clock.pass_time(40 * 86400)
    books.run("reconcile-payouts")
    assert reasons(books) == {payout: "not_reconciled"}
    books.account.reconcile_payout(payout)
    books.all()
    assert books.references()[payout] == 1
    assert books.held() == {}
    books.prove()


@pytest.mark.parametrize("booked", [True, False])
def test_a_failed_payout_gives_the_bank_leg_back(books: Ledgers, booked: bool) -> None:
    """A payout that fails, before or after it was booked, leaves its fees booked and the money on clearing; the next one pays it out."""
    payout = books.pay_out()
    if booked:
        books.all()
    books.account.fail_payout(payout)
    books.all()
    assert books.minor(BANK) == 0
    assert {payout, f"{payout}/failed"} <= set(books.references())
    books.prove()
    books.account.pay(books.asked[books.entries[4]])
    books.all()
    second = books.pay_out()
    books.all()
    assert books.minor(BANK) == books.account.read(second)["amount"]
    assert books.minor(CLEARING) == 0
    books.prove()


def test_a_manual_payout_is_held(books: Ledgers) -> None:
    """Stripe cannot take a manual payout apart: a person books bank against clearing; one that fails afterwards is told."""
    books.clock.pass_time(4 * 86400)
    payout = books.account.complete_payout(books.account.manual_payout(10000))
    books.all()
    assert reasons(books) == {payout: "manual_payout"}
    opened = books.open()
    opened.journal.dismiss(f"SBODEMO/reconcile-payout/stripe/{payout}", "booked", "me")
    opened.close()
    books.all()
    assert books.held() == {}
    books.account.fail_payout(payout)
    books.all()
    assert reasons(books) == {payout: "payout_failed"}


def test_what_is_not_certain_is_held(tmp_path: Path) -> None:
    """A kind nobody knows, no account for what belongs to nobody, a bank line keyed by hand, a closed period: held, with figures."""
    for number, (config, move) in enumerate(((BOOK, "odd_movement"), ("refunds: book\ndisputes: book", "reserve_hold"))):
        folder = tmp_path / str(number)
        folder.mkdir()
        books = Ledgers(folder, count=2, config=config)
        books.pay(*books.entries)
        getattr(books.account, move)(55)
        payout = books.pay_out()
        books.all()
        assert reasons(books) == {payout: "unknown_item"}, move
    books = Ledgers(tmp_path / "second", count=2) if (tmp_path / "second").mkdir() is None else books
    books.pay(*books.entries)
    payout = books.pay_out()
    amount = Decimal(books.account.read(payout)["amount"]) / 100
    arrival = datetime.datetime.fromtimestamp(books.account.read(payout)["arrival_date"], datetime.UTC).date()
    entry = books.books.add_entry(
        [books.books.line(BANK, amount), books.books.line(CLEARING, -amount)], arrival - datetime.timedelta(days=2)
    )
    books.all()
    assert reasons(books) == {payout: "maybe_booked"}
    books.books.cancel_entry(entry)
    books.books.close_period(arrival.year, arrival.month)
    books.run("reconcile-payouts")
    assert reasons(books)[payout] == "closed_period"  # the entry keyed by hand was reversed: it is none
    books.books.open_period(arrival.year, arrival.month)
    books.all()
    assert books.references()[payout] == 1


def test_another_companys_payment_holds_the_payout(books: Ledgers) -> None:
    """A payout with a payment of another SAP company in it is nobody's by half: held."""
    other = books.account.add_customer("other")
    foreign = {"sap_company": "OTHER", "sap_doc_entry": "1", "sap_doc_num": "1", "sap_card_code": "C9", "mlc_key": "k"}
    books.account.pay(books.account.add_invoice(other, 5000, metadata=foreign))
    books.all()
    payout = books.pay_out()
    books.all()
    assert reasons(books) == {payout: "other_company"}


def test_tax_on_fees_goes_to_its_account(tmp_path: Path) -> None:
    """Tax inside Stripe's fees stands on vat_account where one is configured, and with the fees where none is."""
    from mlc.sandbox.stripe.switches import StripeSwitches

    books = Ledgers(
        tmp_path, count=2, config=f'{BOOK}\nvat_account: "1576"', stripe={"switches": StripeSwitches(fee_tax_percent=19)}
    )
    books.pay(*books.entries)
    payout = books.pay_out()
    books.all()
    assert lines(books, payout)["1576"] == 2 * (203 * 19 // 119)
    assert lines(books, payout)[FEES] == 2 * 203 - 2 * (203 * 19 // 119)
    books.prove()


def test_debits_in_the_pending_balance_keep_clearing_true(tmp_path: Path) -> None:
    """A debit that stands in Stripe's balance from its submission on and then fails leaves nothing on clearing, fees included."""
    from mlc.sandbox.stripe.switches import StripeSwitches

    for returned in (True, False):
        folder = tmp_path / str(returned)
        folder.mkdir()
        switches = StripeSwitches(debit_balance_early=True, failed_debit_fee_returned=returned)
        books = Ledgers(folder, count=3, stripe={"switches": switches})
        books.pay(books.entries[0])
        late = books.account.pay_late(books.asked[books.entries[1]])
        books.all()
        books.account.fail_late(late)
        books.all()
        books.pay_out(days=10)
        books.all()
        assert books.minor(CLEARING) == books.stripe_balance() == 0, returned
        books.check()


def test_a_quiet_run_asks_little(books: Ledgers) -> None:
    """A run without news asks Stripe for one page of payouts, and SAP for the entries that stand."""
    payout = books.pay_out()
    books.all()
    stripe, sap = len(books.stripe.log), len(books.sap.log)
    books.run("reconcile-payouts")
    assert [path for _, path, _ in books.requests("stripe", stripe)] == ["/v1/payouts"]
    assert len(books.requests("sap", sap)) <= 2, books.requests("sap", sap)
    assert payout in books.references()
    assert TODAY


def test_a_dismissed_payout_that_fails(books: Ledgers) -> None:
    """A payout that a person booked by hand and that fails is told until that is dealt with, and never booked by itself."""
    books.books.lock_account(BANK)
    payout = books.pay_out()
    books.all()
    assert reasons(books) == {payout: "account"}
    for expected in ("account", "payout_failed"):
        assert reasons(books) == {payout: expected}
        opened = books.open()
        opened.journal.dismiss(f"SBODEMO/reconcile-payout/stripe/{payout}", "by hand", "me")
        opened.close()
        books.all()
        books.books.unlock_account(BANK)
        assert books.held() == {}
        if expected == "account":
            books.account.fail_payout(payout)
        for _ in range(2):
            books.clock.pass_time(90000)
            books.all()
    assert (books.held(), books.references()) == ({}, {})


def test_a_failed_entry_that_was_reversed_stays_reversed(books: Ledgers) -> None:
    """Whoever reverses the bank leg of a failed payout meant it: held, with and without memory, and a frozen VAT account stops a payout."""
    payout = books.pay_out()
    books.all()
    books.clock.pass_time(40 * 86400)  # a payout may fail late
    books.account.fail_payout(payout)
    books.all()
    (entry,) = [one for one in books.books.entries() if one.reference2 == f"{payout}/failed"]
    books.books.cancel_entry(entry.trans_id)
    for _ in range(2):
        books.all()
        assert reasons(books) == {payout: "cancelled_in_sap"}
        books.forget()


def test_a_locked_account_is_never_passed_over(tmp_path: Path) -> None:
    """Tax goes nowhere else when its configured account cannot be posted to: held (complaint 1)."""
    from mlc.sandbox.stripe.switches import StripeSwitches

    books = Ledgers(
        tmp_path, count=1, config=f'{BOOK}\nvat_account: "1576"', stripe={"switches": StripeSwitches(fee_tax_percent=19)}
    )
    books.pay(*books.entries)
    books.books.lock_account("1576")
    payout = books.pay_out()
    books.all()
    assert reasons(books) == {payout: "account"}


def test_two_payouts_in_one_line(tmp_path: Path) -> None:
    """An entry keyed by hand that draws both payouts from clearing at once holds both: never booked beside it."""
    books = Ledgers(tmp_path, count=4)
    payouts = []
    for pair in (books.entries[:2], books.entries[2:]):
        for entry in pair:
            books.account.pay(books.asked[entry])
        payouts.append(books.pay_out())
    total = sum(Decimal(books.account.read(one)["amount"]) for one in payouts) / 100
    arrival = datetime.datetime.fromtimestamp(books.account.read(payouts[1])["arrival_date"], datetime.UTC).date()
    books.books.add_entry([books.books.line(BANK, total), books.books.line(CLEARING, -total)], arrival)
    books.all()
    assert reasons(books) == dict.fromkeys(payouts, "maybe_booked")


def test_a_payout_that_does_not_add_up_is_held(books: Ledgers) -> None:
    """A movement that Stripe does not list (yet): nothing is booked until the rows are the payout to the cent."""
    payout = books.pay_out()
    lost = next(one for one in books.account.tables["balance_transaction"].where("_payout", payout) if one["type"] != "payout")
    lost = books.account.change(lost, _payout="")
    books.all()
    assert reasons(books) == {payout: "sum_mismatch"}
    assert payout not in books.references()
    books.account.change(lost, _payout=payout)
    books.all()
    assert (books.held(), books.references()[payout]) == ({}, 1)
    books.prove()
