"""A Stripe payout's entry (facts/bookkeeping.md, section 9): it balances, and clearing ends where Stripe's balance ends."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlc.core.deposits import BACK, INSIDE, Accounts, Split, StripePayout, entry, missing, reversed_entry
from mlc.core.facts import Account, Movement
from mlc.core.money import Money

EXAMPLES = 200
DAY = date(2026, 11, 3)


def account(code: str) -> Account:
    """An account that can be posted to."""
    return Account(code, code, code, active=True, postable=True)


WHOLE = Accounts(account("1361"), account("1200"), account("6855"), account("1576"), account("1590"))


def payout(amount: int) -> StripePayout:
    """A payout that arrived."""
    return StripePayout("po_1", Money(amount, "EUR"), "paid", automatic=True, reconciled=True, created=1, arrival=DAY)


def added(*moves: tuple[str, int, int]) -> Split:
    """The split of movements: (category, amount, fee)."""
    split = Split()
    for number, (category, amount, fee) in enumerate(moves):
        split.add(Movement(f"txn_{number}", amount, fee, "EUR", number, category))
    return split


def lines(split: Split, accounts: Accounts = WHOLE) -> dict[str, int]:
    """Account -> what the entry moves on it."""
    found: dict[str, int] = {}
    for line in entry(payout(split.net), split, accounts, DAY, DAY).lines:
        found[line.account] = found.get(line.account, 0) + line.local
    return found


def test_the_worked_entry_of_the_books() -> None:
    """119.00 + 238.00 less 2.03 + 3.82 fees less a refund of 50.00 is 301.15: Dr bank, Dr fees 5.85, Cr clearing 307.00."""
    split = added(("charge", 11900, 203), ("charge", 23800, 382), ("refund", -5000, 0))
    assert split.net == 30115
    assert lines(split) == {"1200": 30115, "6855": 585, "1361": -30700}
    back = reversed_entry(payout(30115), WHOLE, DAY)
    assert {line.account: line.local for line in back.lines} == {"1361": 30115, "1200": -30115}
    assert back.reference2 == "po_1/failed"


MOVES = st.tuples(
    st.sampled_from(["charge", "charge", "refund", "dispute", "dispute_reversal", "fee", "network_cost", "tax", "refund_failure",
                     "payout_reversal", "risk_reserved_funds", "topup", "unheard_of", "charge_failure", ""]),
    st.integers(-20000, 20000), st.integers(-300, 900),
)  # fmt: skip


@settings(max_examples=EXAMPLES)
@given(st.lists(MOVES, min_size=1, max_size=25), st.booleans())
def test_clearing_ends_where_the_balance_ends(moves: list[tuple[str, int, int]], vat: bool) -> None:
    """Receipts gross, reversals with their fees, the payout's entry: what is left on clearing is what moved inside the balance only."""
    split = added(*moves)
    if not split.net:
        return
    accounts = WHOLE if vat else Accounts(WHOLE.clearing, WHOLE.bank, WHOLE.fee, None, WHOLE.suspense)
    assert missing(split, accounts) == ""
    found = lines(split, accounts)
    assert sum(found.values()) == 0
    assert found.get("1200", 0) == split.net
    collected = sum(amount for category, amount, _ in moves if category == "charge")
    went_back = sum(amount - fee for category, amount, fee in moves if category in BACK)
    inside = sum(amount - fee for category, amount, fee in moves if category in INSIDE)
    assert collected + went_back + found.get("1361", 0) == -inside


def test_what_belongs_to_nobody_needs_an_account() -> None:
    """A reserve or an unknown category without a suspense account stops the payout, fees without a fee account too."""
    bare = Accounts(WHOLE.clearing, WHOLE.bank)
    assert missing(added(("unheard_of", 5, 0)), bare) == "suspense_account"
    assert missing(added(("charge", 500, 5)), bare) == "fee_account"
    assert missing(added(("charge", 500, 0)), bare) == ""


STAYS = ["payout_cancel", "payout_failure", "payout_minimum_balance_hold", "payout_minimum_balance_release", "payout_reversal"]


@pytest.mark.parametrize("category", STAYS)
def test_what_stays_inside_the_balance_is_no_line_of_its_own(category: str) -> None:
    """A payout that came back, or money held back inside, counts for the sum and needs neither suspense nor a person."""
    split = added(("charge", 10000, 175), (category, 4000, 0))
    assert (split.net, split.others, split.unknown) == (13825, {}, [])
    assert missing(split, Accounts(WHOLE.clearing, WHOLE.bank, WHOLE.fee)) == ""
    assert lines(split) == {"1200": 13825, "6855": 175, "1361": -14000}
