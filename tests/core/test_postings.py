"""A payout as one balanced entry (facts/bookkeeping.md): the worked entries E1 to E8 as text, rounding, accounts, and what always holds.

Golden files stand in tests/golden/entries (MLC_UPDATE_GOLDEN=1 writes them anew).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from payouts import (
    ARRIVAL,
    CREATED,
    NAMES,
    Week,
    account,
    accounts,
    booked,
    clue,
    fee,
    invoice,
    item,
    legs,
    lines,
    payout,
)

from goldens import compare, kept
from mlc.core.commands import PostEntry
from mlc.core.debits import Exchange, PayoutItem, Tax
from mlc.core.facts import Partner
from mlc.core.identities import Problem, unsound
from mlc.core.postings import Accounts, Fees, build, fees_of, two_lines
from mlc.core.shares import Dimensions

EXAMPLES = 150
BANK, FEE, VAT, SURCHARGE, PARKING, CLEARING, FX = (
    NAMES[role] for role in ("bank_account", "fee_account", "vat_account", "surcharge_account", "unallocated_account",
                             "clearing_account", "fx_account")
)  # fmt: skip


def major(minor: int) -> str:
    """An amount as it is printed."""
    return f"{Decimal(abs(minor)) / 100:,.2f}"


def drawn(entry: PostEntry) -> str:
    """An entry as a reader of the diff understands it: dates, each line with its references, and why each part is where it is."""
    rows = [f"{entry.payout}  Ref2 {entry.reference2}  posted {entry.day}  document {entry.document_day}  {entry.memo}"]
    for line in entry.lines:
        where = f"{'Dr' if line.local > 0 else 'Cr'} {major(line.local):>10} {line.card_code or line.account:<5}"
        foreign = f" {line.currency} {'Dr' if line.foreign > 0 else 'Cr'} {major(line.foreign)}" if line.currency else ""
        codes = f" [{' '.join(code or '-' for code in line.codes)}]" if line.codes else ""
        branch = f" branch {line.branch}" if line.branch is not None else ""
        rows.append(f"{where} {line.reference1:<4} {line.reference2:<5}{foreign}{codes}{branch} {line.memo}".rstrip())
    debit = sum(line.local for line in entry.lines if line.local > 0)
    rows.append(f"   {major(debit):>10} = {major(sum(line.local for line in entry.lines if line.local < 0))}")
    rows += [f"{part.thing} {part.type} {part.role}: {part.rule}, {part.evidence}" for part in entry.parts]
    return "\n".join(rows) + "\n"


def paid(ident: str, amount: int) -> PayoutItem:
    """A payment that was collected."""
    return item("payment_paid_out", f"{amount}.0", ident)


def named(number: int, amount: int) -> Any:
    """A payment PM<number> that names the invoice 1000 + number by metadata."""
    return clue(amount, ident=f"PM{number}", metadata={"invoice": str(1000 + number)})


def owed(number: int, amount: int, **more: Any) -> Any:
    """The invoice 1000 + number of the customer C<number>."""
    return invoice(number, amount, card=f"C{number}", **more)


# --- the worked entries -------------------------------------------------------------------------------------------------

E1 = Week(
    (paid("PM1", 50000), paid("PM2", 12000), paid("PM3", 8000),
     fee("-480.0", "80.0"), fee("-168.0", "28.0", "PM2"), fee("-120.0", "20.0", "PM3")),
    [named(1, 50000), named(2, 12000), named(3, 8000)], [owed(1, 50000), owed(2, 12000), owed(3, 8000)],
)  # fmt: skip
E2 = Week(
    (paid("PM4", 30000), paid("PM5", 20000), item("payment_refunded", "-5000.0", "RF1", payment="PM6"),
     fee("-384.0", "64.0", "PM4"), fee("-264.0", "44.0", "PM5")),
    [named(4, 30000), named(5, 20000)], [owed(4, 30000), owed(5, 20000)], {"PM6": [booked("PM6", 20000, "C6", doc_entry=6)]},
)  # fmt: skip
E2_RETURNED = Week(
    (paid("PM1", 50000), item("refund_funds_returned", "5000.0", "RF1", payment="PM6")), [named(1, 50000)], [owed(1, 50000)],
    {"RF1": [booked("RF1", -5000, "C6", role="refund", payment="PM6")]},
)  # fmt: skip
E3 = Week(
    (paid("PM7", 40000), fee("-480.0", "80.0", "PM7"), item("payment_charged_back", "-30000.0", "PM4"), fee("384.0", "64.0", "PM4"),
     fee("-600.0", "100.0", "PM4", "surcharge_fee")),
    [named(7, 40000)], [owed(7, 40000)], {"PM4": [booked("PM4", 30000, "C4", doc_entry=4)]},
)  # fmt: skip
E3_LATE = dataclasses.replace(E3, items=[
    dataclasses.replace(one, type="payment_failed") if one.type == "payment_charged_back" else one for one in E3.items
])  # fmt: skip
EURO = {"currency": "EUR", "rate": "0.86"}
E4 = Week(
    (paid("PM1", 100000), paid("PM2", 100000), fee("-2424.0", "404.0"), fee("-2424.0", "404.0", "PM2")),
    [clue(100000, ident=f"PM{n}", currency="EUR", metadata={"invoice": str(1000 + n)}) for n in (1, 2)],
    [owed(1, 100000, **EURO), owed(2, 100000, **EURO)], exchange=Exchange("GBP", 165879, Decimal("0.8500000000")),
)  # fmt: skip
E5 = Week(
    (paid("PM8", 25000), paid("PM9", 15000), fee("-324.0", "54.0", "PM8"), fee("-204.0", "34.0", "PM9")),
    [named(8, 25000), clue(15000, "C9", ident="PM9")], [owed(8, 25000)],
)  # fmt: skip
E6 = dataclasses.replace(
    E1, items=(*E1.items, paid("PM6", 9000), item("payment_failed", "-9000.0", "PM6")), clues=[*E1.clues, named(6, 9000)],
    invoices=[*E1.invoices, owed(6, 9000)],
)  # fmt: skip
E8_BANK = dataclasses.replace(account("bank_account"), code="1205")
E8 = dataclasses.replace(
    E1, payout=payout(E1.items, creditor="CR2", bank="BA2"), branch=2, accounts=accounts(bank=E8_BANK),
    invoices=[dataclasses.replace(one, branch=2) for one in E1.invoices],
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "week", "net", "expected"),
    [
        ("E1", E1, (69232, 768), {BANK: 69232, FEE: 640, VAT: 128, "C1": -50000, "C2": -12000, "C3": -8000}),
        ("E2", E2, (44352, 648), {BANK: 44352, FEE: 540, VAT: 108, "C6": 5000, "C4": -30000, "C5": -20000}),
        ("E2-returned", E2_RETURNED, (55000, 0), {BANK: 55000, "C1": -50000, "C6": -5000}),
        ("E3", E3, (9304, 696), {BANK: 9304, FEE: 580, VAT: 116, "C4": 30000, "C7": -40000}),
        ("E3-late-failure", E3_LATE, (9304, 696), {BANK: 9304, FEE: 580, VAT: 116, "C4": 30000, "C7": -40000}),
        ("E3-surcharge-apart", dataclasses.replace(E3, accounts=accounts(apart=True)), (9304, 696),
         {BANK: 9304, FEE: 80, SURCHARGE: 500, VAT: 116, "C4": 30000, "C7": -40000}),
        ("E4", E4, (195152, 4848), {BANK: 165879, FEE: 3434, VAT: 687, FX: 2000, "C1": -86000, "C2": -86000}),
        ("E5-park", dataclasses.replace(E5, policy="park"), (39472, 528),
         {BANK: 39472, FEE: 440, VAT: 88, "C8": -25000, PARKING: -15000}),
        ("E5-on-account", dataclasses.replace(E5, policy="on_account"), (39472, 528),
         {BANK: 39472, FEE: 440, VAT: 88, "C8": -25000, "C9": -15000}),
        ("E6", E6, (69232, 768), {BANK: 69232, FEE: 640, VAT: 128, "C1": -50000, "C2": -12000, "C3": -8000}),
        ("E8", E8, (69232, 768), {"1205": 69232, FEE: 640, VAT: 128, "C1": -50000, "C2": -12000, "C3": -8000}),
    ],
)  # fmt: skip
def test_the_worked_entries(name: str, week: Week, net: tuple[int, int], expected: dict[str, int]) -> None:
    """Each worked entry of the facts comes out to the minor unit, on its accounts and customers, with its references and dates."""
    assert (week.paid.amount.minor, week.paid.deducted) == net
    assert unsound(week.paid, week.items, week.payments) is None
    entry = week.entry()
    assert legs(entry) == expected
    assert (entry.reference2, entry.day, entry.document_day) == ("PO1", ARRIVAL, CREATED.date())
    assert {line.branch for line in entry.lines} == {week.branch}
    compare(f"entries/{name}", drawn(entry))


def test_a_payout_without_an_invoice_waits_as_a_whole() -> None:
    """E5 by default: nothing is posted, and the payment without an invoice is named."""
    assert [(one.reason, one.payment) for one in E5.place().problems] == [("no_open_invoice", "PM9")]


def test_collected_and_failed_stays_in_the_report() -> None:
    """E6: both items are parts and lines of the entry, though they come to nothing."""
    six = [line for line in E6.entry().lines if line.card_code == "C6"]
    assert sorted(line.local for line in six) == [-9000, 9000]


def test_a_bounced_payout_takes_back_the_bank_alone() -> None:
    """E7: Dr clearing, Cr bank under a reference of its own, booked again when the retry is paid; receivables stay settled."""
    out = two_lines("PO1/bounced/1", ARRIVAL, (CLEARING, BANK), 69232, "GoCardless PO1 bounced", "GBP", None)
    again = two_lines("PO1/paid/2", ARRIVAL, (BANK, CLEARING), 69232, "GoCardless PO1 paid after all", "GBP", None)
    assert legs(out) == {CLEARING: 69232, BANK: -69232}
    compare("entries/E7", drawn(out) + drawn(again))


def test_lines_carry_the_payment_and_the_invoice() -> None:
    """Every receivable line names its payment in Reference1 and its invoice in Reference2, and fits into SAP's fields."""
    rows = [(line.card_code, line.reference1, line.reference2) for line in E2.entry().lines if line.card_code]
    assert sorted(rows) == [("C4", "PM4", "1004"), ("C5", "PM5", "1005"), ("C6", "RF1", "1006")]
    (parked,) = [line for line in dataclasses.replace(E5, policy="park").entry().lines if line.account == PARKING]
    assert parked.reference1 == "PM9"
    long = dataclasses.replace(E1, payout=payout(E1.items, id="PO" + "0" * 40, reference="R" * 40)).entry()
    assert len(long.memo) <= 50
    assert all(len(line.memo) <= 50 for line in long.lines)


@pytest.mark.parametrize("name", ["E1", "E2", "E2-returned", "E3", "E4", "E5-park", "E5-on-account", "E6", "E7", "E8"])
def test_a_golden_entry_is_no_empty_file(name: str) -> None:
    """A golden file that says nothing proves nothing."""
    assert len(kept(f"entries/{name}").splitlines()) >= 5


# --- rounding and signs -------------------------------------------------------------------------------------------------


def test_the_rounding_example() -> None:
    """Two payments of 10.10 with fees of 36.1 pence each: bank 19.48, VAT 0.12, fees 0.60, receivable 20.20."""
    items = (paid("PM1", 1010), paid("PM2", 1010), fee("-36.1", "6.0"), fee("-36.1", "6.0", "PM2"))
    week = Week(items, [named(1, 1010), named(2, 1010)], [owed(1, 1010), owed(2, 1010)])
    assert (week.paid.amount.minor, week.paid.deducted) == (1948, 72)
    assert legs(week.entry()) == {BANK: 1948, VAT: 12, FEE: 60, "C1": -1010, "C2": -1010}


@pytest.mark.parametrize(
    ("rows", "deducted", "net", "vat"),
    [
        ([("-72.0", "12.0")], 72, 60, 12),
        ([("-72.0", "-12.0")], 72, 60, 12),  # the sign of a tax is not documented
        ([("-72.0", "12.0"), ("36.0", "6.0")], 36, 30, 6),
        ([("-72.0", "12.0"), ("36.0", "-6.0")], 36, 30, 6),
        ([("-72.0", "-12.0"), ("36.0", "6.0")], 36, 30, 6),
        ([("36.0", "6.0")], -36, -30, -6),
        ([("-75.0", "12.5")], 75, 62, 13),  # VAT is rounded half up, the fee balances
        ([("-75.0", "12.4")], 75, 63, 12),
        ([("-72.5", "12.0")], 73, 61, 12),  # either half of deducted_fees
        ([("-72.5", "12.0")], 72, 60, 12),
        ([("-72.5", "12.5")], 73, 60, 13),
        ([("-72.5", "12.5")], 72, 59, 13),
        ([("-72.0", "")], 72, 72, 0),
        ([("-0.4", "0.1"), ("-0.4", "0.1")], 1, 1, 0),
    ],
)
def test_net_fee_balances_and_vat_is_read(rows: Sequence[tuple[str, str]], deducted: int, net: int, vat: int) -> None:
    """VAT is the rounded sum of the taxes with the signs of their items, the net fee is the rest of deducted_fees."""
    items = (paid("PM1", 10000), *(fee(*row) for row in rows))
    assert fees_of(payout(items, 10000 - deducted, deducted), items, "GBP", surcharges_apart=False) == Fees(net, vat, 0)


def test_fees_that_differ_by_more_than_a_unit_wait() -> None:
    """A net fee that is more than one minor unit off its items misses an item: both figures are told."""
    items = (paid("PM1", 10000), fee("-72.0", "12.0"))
    found = fees_of(payout(items, 9926, 74), items, "GBP", surcharges_apart=False)
    assert isinstance(found, Problem)
    assert found.reason == "does_not_tie"
    assert "0.62" in found.text
    assert "0.60" in found.text


def test_surcharges_booked_apart_never_hold_a_payout_that_ties() -> None:
    """Rounding surcharges on their own misses no item: a payout that ties with them among the fees ties with them apart."""
    items = (paid("PM1", 10000), fee("-0.2"), fee("0.6", "0.1", kind="surcharge_fee"), fee("-38.9", "6.5"))
    one = payout(items, 9961, 39)
    assert unsound(one, items, {}) is None
    assert isinstance(fees_of(one, items, "GBP", surcharges_apart=False), Fees)
    apart = fees_of(one, items, "GBP", surcharges_apart=True)
    assert isinstance(apart, Fees), apart
    assert apart.net + apart.vat + apart.surcharge == 39


def test_vat_in_the_books_currency_once_confirmed() -> None:
    """E4 with confirmed taxes: VAT in GBP as GoCardless says it, what is left goes to the exchange difference."""
    taxes = (Tax(Decimal(404), Decimal(350), "GBP"),)
    items = [dataclasses.replace(one, taxes=taxes if one.taxes else ()) for one in E4.items]
    assert legs(dataclasses.replace(E4, items=items).entry()) == {
        BANK: 165879, FEE: 3434, VAT: 700, FX: 1987, "C1": -86000, "C2": -86000,
    }  # fmt: skip
    waiting = [dataclasses.replace(one, taxes=(Tax(Decimal(404), None, "GBP"),) if one.taxes else ()) for one in E4.items]
    assert legs(dataclasses.replace(E4, items=waiting).entry())[VAT] == 687


def test_parts_of_a_foreign_invoice_come_to_its_value_in_the_books() -> None:
    """Three parts of one EUR invoice take, each rounded, together exactly what it stands for in the books."""
    rows = {"PM1": 33333, "PM2": 33333, "PM3": 33334}
    known = [clue(minor, ident=ident, currency="EUR", metadata={"invoice": "1001"}) for ident, minor in rows.items()]
    parts = [paid(ident, minor) for ident, minor in rows.items()]
    week = Week(parts, known, [owed(1, 100000, **EURO)], exchange=Exchange("GBP", 85000, Decimal("0.85")))
    assert legs(week.entry()) == {BANK: 85000, FX: 1000, "C1": -86000}
    assert [line.local for line in week.entry().lines if line.card_code] == [-28666, -28667, -28667]


def test_an_exchange_gain_is_a_credit() -> None:
    """Invoices booked at a lower rate than the money arrives at leave a gain."""
    low = {"currency": "EUR", "rate": "0.84"}
    week = dataclasses.replace(E4, invoices=[owed(1, 100000, **low), owed(2, 100000, **low)])
    assert legs(week.entry())[FX] == -2000
    assert {(line.foreign, line.currency) for line in week.entry().lines if line.card_code} == {(-100000, "EUR")}


@pytest.mark.parametrize(
    ("arrived", "reason"), [(165879, ""), (165880, ""), (165878, ""), (165881, "does_not_tie"), (None, "rate_not_final")]
)
def test_an_exchanged_payout_ties_to_its_rate(arrived: int | None, reason: str) -> None:
    """Identity 6: amount at the rate is fx_amount to one minor unit; else both figures are told."""
    from mlc.passes.payout_case import _gates

    fx = Exchange("GBP", arrived, Decimal("0.8500000000"))
    found = _gates(SimpleNamespace(currency="GBP"), SimpleNamespace(rates={}), dataclasses.replace(E4, exchange=fx).paid)  # type: ignore[arg-type]
    assert (found.reason if found else "") == reason
    if found and reason == "does_not_tie":
        assert "1,658.79" in found.text
        assert "1,658.81" in found.text


# --- accounts, branches, cost centres -----------------------------------------------------------------------------------

LOCKED = {"active": False}
TITLE = {"postable": False}
PARKED = Week((paid("PM1", 50000), item("payment_failed", "-30000.0", "PM4")), [named(1, 50000)], [owed(1, 50000)],
              {"PM4": [booked("PM4", 30000, "")]})  # fmt: skip


@pytest.mark.parametrize(
    ("week", "kept", "role"),
    [
        (E1, accounts("vat_account"), "vat_account"),
        (E1, accounts("bank_account"), "bank_account"),
        (E1, accounts("fee_account"), "fee_account"),
        (E1, accounts(vat=None), "vat_account"),
        (E1, accounts(bank=None), "bank_account"),
        (E1, accounts(vat=account("vat_account", **LOCKED)), "vat_account"),
        (E1, accounts(bank=account("bank_account", **TITLE)), "bank_account"),
        (E1, accounts(fee=account("fee_account", **TITLE)), "fee_account"),
        (E4, accounts("fx_account"), "fx_account"),
        (E4, accounts(exchange=account("fx_account", **LOCKED)), "fx_account"),
        (dataclasses.replace(E5, policy="park"), accounts("unallocated_account"), "unallocated_account"),
        (
            dataclasses.replace(E5, policy="park"),
            accounts(parking=account("unallocated_account", **LOCKED)),
            "unallocated_account",
        ),
        (E3, accounts(surcharge=account("surcharge_account", **LOCKED)), "surcharge_account"),
        (E3, accounts(surcharge=None), "surcharge_account"),
        (PARKED, accounts(parking=account("unallocated_account", **LOCKED)), "unallocated_account"),
    ],
)
def test_an_account_that_cannot_be_posted_to_stops_the_payout(week: Week, kept: Accounts, role: str) -> None:
    """A missing, unknown, locked or title account that the entry needs is a stop that names it, never an omission."""
    found = dataclasses.replace(week, accounts=kept).built()
    assert isinstance(found, Problem), legs(found)
    assert found.reason == "account"
    assert role in found.text
    assert "PO1" in found.text


def test_accounts_that_nothing_needs_may_be_missing() -> None:
    """A payout without VAT, parked or exchanged money needs no account for them."""
    plain = dataclasses.replace(E1, items=(*E1.items[:3], fee("-768.0")))
    kept = accounts("vat_account", "unallocated_account", "fx_account", "clearing_account")
    assert legs(dataclasses.replace(plain, accounts=kept).entry())[FEE] == 768


def test_without_vat_registration_the_whole_fee_is_expense() -> None:
    """Where the VAT account is the fee account, the whole fee stands there."""
    assert legs(dataclasses.replace(E1, accounts=accounts(vat=account("fee_account"))).entry())[FEE] == 768


def test_an_entry_that_does_not_balance_is_a_problem() -> None:
    """Identity 5: parts that do not come to what arrived are held with the figure, never with one line more."""
    parts = E1.parts()
    for off in (1, -1, 500):
        wrong = [dataclasses.replace(parts[0], amount=parts[0].amount + off, local=parts[0].local + off), *parts[1:]]
        found = build(E1.paid, E1.items, wrong, E1.terms())
        assert isinstance(found, Problem)
        assert found.reason == "does_not_tie"
        assert major(off) in found.text
    short = build(E4.paid, E4.items, E4.parts()[:1], E4.terms())
    assert isinstance(short, Problem), "the exchange account takes no missing payment"


def test_a_payout_over_two_branches_is_no_entry() -> None:
    """Lines of another branch than the money's would not balance per branch: the payout waits."""
    mixed = [dataclasses.replace(one, branch=2 + (one.doc_entry == 3)) for one in E1.invoices]
    found = dataclasses.replace(E1, invoices=mixed, branch=2).built()
    assert isinstance(found, Problem)
    assert "3" in found.text


def test_a_receivable_is_split_over_the_invoices_centres() -> None:
    """Shares by gross totals sum back to the payment; fees carry what is fixed; a chargeback takes back the same shares."""
    rules = Dimensions({1: ("invoice", ""), 2: ("customer_field", "U_Region"), 3: ("fixed", "HQ")})
    partners = {"C4": Partner("C4", "Smith", fields=(("U_Region", "NORTH"),))}
    cost = invoice(4, 10001, card="C4", lines=lines((5000, "A"), (3000, "B"), (2001, "A")))
    there = Week([paid("PM4", 5001)], [named(4, 5001)], [cost], dimensions=rules, partners=partners)
    rows = [(line.local, line.codes) for line in there.entry().lines if line.card_code]
    assert rows == [(-3501, ("A", "NORTH", "HQ", "", "")), (-1500, ("B", "NORTH", "HQ", "", ""))]
    back = dataclasses.replace(
        there, items=[item("payment_charged_back", "-5001.0", "PM4"), paid("PM5", 9000), fee("-20.0")], invoices=[cost, owed(5, 9000)],
        clues=[named(5, 9000)], history={"PM4": [booked("PM4", 5001, "C4", doc_entry=4)]},
    ).entry()  # fmt: skip
    assert [(line.local, line.codes[:1]) for line in back.lines if line.card_code == "C4"] == [(3501, ("A",)), (1500, ("B",))]
    assert next(line.codes for line in back.lines if line.account == FEE) == ("", "", "HQ", "", "")
