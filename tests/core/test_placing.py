"""Where the items of a payout belong (facts/bookkeeping.md, gocardless.md): every type, every policy, nothing twice, nothing guessed."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from payouts import NAMES, Week, booked, clue, collection, fee, invoice, item, payer, payout

from mlc.core.clues import Payer
from mlc.core.commands import Part
from mlc.core.debits import PayoutItem
from mlc.core.identities import unsound
from mlc.core.placing import Placement

EXAMPLES = 150
PARKING = NAMES["unallocated_account"]
E1 = (
    item("payment_paid_out", "50000.0", "PM1"), item("payment_paid_out", "12000.0", "PM2"), item("payment_paid_out", "8000.0", "PM3"),
    fee("-480.0", "80.0"), fee("-168.0", "28.0", "PM2"), fee("-120.0", "20.0", "PM3"),
)  # fmt: skip
TENS = (item("payment_paid_out", "1010.0", "PM1"), item("payment_paid_out", "1010.0", "PM2"))
FOUR = booked("PM4", 30000, "C4", doc_entry=4)
REFUND_ONE = booked("RF1", -5000, "C4", type="payment_refunded", role="refund", payment="PM4")


def told(done: Placement) -> list[tuple[str, str, int, str, str]]:
    """What was placed: thing, role, amount, customer, account."""
    assert not done.problems, done.problems
    return [(one.thing, one.role, one.amount, one.card_code, one.account) for one in done.parts]


def reasons(done: Placement) -> list[str]:
    """Why the payout waits."""
    return [one.reason for one in done.problems]


# --- before anything is placed ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("items", "amount", "deducted"),
    [
        (E1, 69232, 768),
        ((*TENS, fee("-36.1", "6.0"), fee("-36.1", "6.0", "PM2")), 1948, 72),
        ((*TENS, fee("-36.2"), fee("-36.3", "", "PM2")), 1948, 72),  # an exact half rounded up,
        ((*TENS, fee("-36.2"), fee("-36.3", "", "PM2")), 1947, 73),  # and down
        ((TENS[0], fee("384.0", "64.0", "PM4")), 1394, -384),  # fees that come back
        (TENS, 2020, 0),  # fees that are invoiced apart
        ((TENS[0], item("payment_refunded", "-500.0", "RF1", payment="PM4")), 510, 0),
        ((*TENS, item("app_fee", "-10.0", "PM1"), item("surcharge_fee", "-20.0", "PM1")), 1990, 30),
    ],
)
def test_a_payout_that_ties_is_sound(items: Sequence[PayoutItem], amount: int, deducted: int) -> None:
    """Amount and deducted_fees agree with the items to half a minor unit, and payments with their items."""
    payments = {"PM4": collection("PM4", 30000, refunded=500)}
    assert unsound(payout(items, amount, deducted), items, payments) is None


@pytest.mark.parametrize(
    ("items", "amount", "deducted", "figures"),
    [
        (E1, 69233, 768, ("692.32", "692.33")),  # identity 1
        ((*TENS, fee("-72.6", "12.0")), 1948, 72, ("19.47", "19.48")),  # more than half a unit
        (E1, 69232, 700, ("7.68", "7.00")),  # identity 2
        (E1[:3], 69232, 768, ("700.00", "692.32")),  # a fee left out
        ((*TENS, fee("-72.5", "12.0")), 1948, 73, ("20.20", "20.21")),  # identity 3
        ((item("payment_paid_out", "1010.0", "PM9"),), 1010, 0, ("10.10", "9.99")),  # identity 4
        ((TENS[0], item("payment_refunded", "-500.0", "RF1", payment="PM8")), 510, 0, ("5.00", "4.00")),
        ((TENS[0], *(item("payment_refunded", "-300.0", ident, payment="PM8") for ident in ("RF1", "RF2"))), 410, 0,
         ("6.00", "4.00")),
        ((*TENS, fee("-10.0", "10.1")), 2010, 10, ("10.1", "-10.0")),  # more tax than fee
        ((*TENS, item("surcharge_fee", "-10.0", "PM1", "-10.1")), 2010, 10, ("-10.1", "-10.0")),
        ((TENS[0], item("payment_failed", "-10.5", "PM4"), item("payment_paid_out", "10.5", "PM2")), 1010, 0, ("10.5",)),
        ((item("payment_paid_out", "1010.0", "PM7"),), 1010, 0, ("EUR", "GBP")),
    ],
)  # fmt: skip
def test_each_identity_broken_holds_with_both_figures(
    items: Sequence[PayoutItem], amount: int, deducted: int, figures: tuple[str, ...]
) -> None:
    """What does not tie is held as does_not_tie, and both figures are told."""
    known = {"PM9": collection("PM9", 999), "PM8": collection("PM8", 9000, refunded=400), "PM7": collection("PM7", 1010, "EUR")}
    found = unsound(payout(items, amount, deducted), items, known)
    assert found is not None
    assert found.reason == "does_not_tie"
    assert all(figure in found.text for figure in ("PO1", *figures)), found.text


@pytest.mark.parametrize("kind", ["payment_reversed", "", "revenue_share"])
def test_an_unknown_type_holds_the_payout(kind: str) -> None:
    """An item of a type that is not in the facts is never ignored, also where it is zero; shares are partners' business."""
    items = (*TENS, item(kind, "0.0", "PM1"))
    found = unsound(payout(items, 2020, 0), items, {})
    assert found is not None
    assert found.reason == "unknown_item_type"
    assert kind in found.text


# --- each type ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "placed"),
    [
        (item("payment_failed", "-30000.0", "PM4"), ("PM4", "undo", -30000, "C4", "")),
        (item("payment_charged_back", "-30000.0", "PM4"), ("PM4", "undo", -30000, "C4", "")),
        (item("payment_refunded", "-2000.0", "RF2", payment="PM4"), ("RF2", "refund", -2000, "C4", "")),
        (item("refund", "-1500.0", "RF3", mandate="MD6"), ("RF3", "refund", -1500, "C6", "")),
        (item("refund_funds_returned", "5000.0", "RF1", payment="PM4"), ("RF1", "return", 5000, "C4", "")),
        (item("refund_funds_returned", "5000.0", "RF1"), ("RF1", "return", 5000, "C4", "")),
    ],
)
@pytest.mark.parametrize("policy", ["hold", "park", "on_account"])
def test_each_type_has_its_place(one: PayoutItem, placed: tuple[str, str, int, str, str], policy: str) -> None:
    """What goes back goes by the allocation recorded for its payment or refund, whatever the policy; fees are no parts."""
    week = Week(
        (item("payment_paid_out", "50000.0", "PM1"), one, fee("-10.0"), fee("3.0", kind="app_fee"), fee("-2.0", kind="surcharge_fee")),
        [clue(50000, metadata={"invoice": "1001"})], [invoice(1, 50000), invoice(7, 30000)], policy=policy, payers={"MD6": payer("C6")},
        history={"PM4": [FOUR], "RF1": [REFUND_ONE]},
    )  # fmt: skip
    assert sorted(told(week.place())) == sorted([("PM1", "invoice", 50000, "C1", ""), placed])


def test_an_undo_names_what_it_takes_back() -> None:
    """A payment over two invoices is taken back from both, each by its own key and number; the local amount is that of before."""
    history = {
        "PM4": [
            booked("PM4", 20000, "C4", doc_entry=4, local=17200),
            booked("PM4", 10000, "C4", doc_entry=5, local=8600, number=2),
        ]
    }
    parts = Week([item("payment_charged_back", "-30000.0", "PM4")], history=history).place().parts
    assert [(one.undoes, one.amount, one.local, one.doc_num) for one in parts] == [
        ("PO0/PM4/1", -20000, -17200, 1004), ("PO0/PM4/2", -10000, -8600, 1005),
    ]  # fmt: skip


def test_parked_money_goes_back_from_where_it_was_parked() -> None:
    """A parked payment that fails late leaves the unallocated account, and a refund of it too."""
    history = {"PM4": [booked("PM4", 30000, "")]}
    for one in (item("payment_failed", "-30000.0", "PM4"), item("payment_refunded", "-30000.0", "RF2", payment="PM4")):
        assert [row[2:] for row in told(Week([one], history=history).place())] == [(-30000, "", PARKING)]


def test_a_refund_of_money_that_was_parked_in_part_goes_to_both() -> None:
    """The refund of a whole payment reuses its allocation: no more leaves the unallocated account than was parked there."""
    history = {"PM4": [booked("PM4", 10000, "C4", doc_entry=4), booked("PM4", 5000, "", number=2)]}
    done = Week([item("payment_refunded", "-15000.0", "RF2", payment="PM4")], history=history).place()
    assert sum(one.amount for one in done.parts) == -15000
    assert sum(one.amount for one in done.parts if one.account == PARKING) >= -5000


@pytest.mark.parametrize("policy", ["hold", "park", "on_account"])
@pytest.mark.parametrize(
    ("one", "history"),
    [
        (item("payment_failed", "-30000.0", "PM4"), {}),
        (item("payment_charged_back", "-30000.0", "PM4"), {}),
        (item("payment_refunded", "-30000.0", "RF2", payment="PM4"), {}),
        (item("refund_funds_returned", "5000.0", "RF1"), {}),
        (item("refund_funds_returned", "4000.0", "RF1"), {"RF1": [REFUND_ONE]}),
        (item("payment_failed", "-30000.0", "PM4"), {"PM4": [dataclasses.replace(FOUR, undone="PO0b/PM4/1")]}),
    ],
)
def test_money_back_of_nothing_known_waits(policy: str, one: PayoutItem, history: dict[str, list[Part]]) -> None:
    """A minus without a booked original is original_not_found under every policy, never matched by an equal amount."""
    week = Week(
        [one],
        [clue(30000, "C4", ident="PM4")],
        [invoice(4, 30000, card="C4"), invoice(5, 5000)],
        history=history,
        policy=policy,
    )
    assert reasons(week.place()) == ["original_not_found"]


def test_an_amount_unlike_what_was_booked_waits_with_both_figures() -> None:
    """A chargeback over another sum than was booked does not tie."""
    found = Week([item("payment_charged_back", "-20000.0", "PM4")], history={"PM4": [FOUR]}).problem()
    assert found.reason == "does_not_tie"
    assert "200.00" in found.text
    assert "300.00" in found.text


def test_a_person_may_name_the_original() -> None:
    """The allocation of an original that nobody here booked is what a person said, and no more than the invoice is."""
    one = item("payment_failed", "-30000.0", "PM4")
    named = clue(30000, ident="PM4", decision=(4,))
    done = Week([one], [named], [invoice(4, 30000, 30000, card="C4")]).place()
    assert told(done) == [("PM4", "undo", -30000, "C4", "")]
    assert reasons(Week([one], [named], [invoice(4, 20000, 20000, card="C4")]).place()) == ["original_not_found"]


@pytest.mark.parametrize("policy", ["hold", "on_account"])
def test_a_refund_against_a_mandate_of_nobody_waits(policy: str) -> None:
    """A refund whose mandate belongs to nobody in SAP is no_customer."""
    week = Week([item("refund", "-1500.0", "RF3", mandate="MD6")], policy=policy, payers={"MD6": Payer()})
    assert reasons(week.place()) == ["no_customer"]


# --- the same payment more than once ------------------------------------------------------------------------------------

BACK = item("payment_failed", "-10000.0", "PM1")
IN = item("payment_paid_out", "10000.0", "PM1")
LIVE = booked("PM1", 10000, doc_entry=1)


@pytest.mark.parametrize(
    ("items", "history", "open_", "net"),
    [
        ((IN, BACK), [], True, 0),
        ((BACK, IN), [], True, 0),
        ((IN, BACK, IN), [], True, 10000),
        ((IN, item("payment_charged_back", "-10000.0", "PM1"), IN), [], True, 10000),
        ((BACK, IN), [LIVE], False, 0),
        ((BACK, IN, BACK), [LIVE], False, -10000),
        ((IN,), [dataclasses.replace(LIVE, undone="PO0b/PM1/1")], True, 10000),
    ],
)
def test_a_payment_may_come_and_go_and_come(items: Sequence[PayoutItem], history: list[Part], open_: bool, net: int) -> None:
    """The same payment may be paid out, fail and be paid out again, in one payout or several: what stays is the sum."""
    recorded = ((1, 10000),) if history and open_ else ()
    known = [clue(10000, "C1", metadata={"invoice": "1001"}, recorded=recorded)]
    invoices = [invoice(1, 10000, 0 if open_ else 10000)]
    for mixed in (items, items[::-1]):
        done = Week(mixed, known, invoices, history={"PM1": history}).place()
        assert not done.problems, done.problems
        assert sum(one.amount for one in done.parts) == net
        assert {one.card_code for one in done.parts} == {"C1"}


FIRST = clue(10000, "C1", metadata={"invoice": "1001"})


def test_what_comes_and_goes_in_one_payout_closes_nothing() -> None:
    """A payment that failed within its payout leaves its invoice to the next payment; both of its items stay in the report."""
    other = clue(10000, "C1", ident="PM2", metadata={"invoice": "1001"})
    week = Week(
        (IN, BACK, item("payment_paid_out", "10000.0", "PM2")),
        [clue(10000, "C1", metadata={"invoice": "1001"}), other],
        [invoice(1)],
    )
    assert sorted(told(week.place())) == [
        ("PM1", "invoice", 10000, "C1", ""), ("PM1", "undo", -10000, "C1", ""), ("PM2", "invoice", 10000, "C1", ""),
    ]  # fmt: skip


@pytest.mark.parametrize(("items", "history"), [((IN, IN), []), ((IN,), [LIVE])])
def test_a_payment_is_not_booked_twice(items: Sequence[PayoutItem], history: list[Part]) -> None:
    """A payment that stands booked and was never taken back is not collected again."""
    known = [clue(10000, "C1", metadata={"invoice": "1001"})]
    assert reasons(Week(items, known, [invoice(1, 20000)], history={"PM1": history}, policy="park").place()) == ["maybe_booked"]


@pytest.mark.parametrize("payment", ["", "PM4"])
def test_a_refund_that_returns_in_the_same_payout_is_nothing(payment: str) -> None:
    """A refund, of a payment or against a mandate, and its return in one payout come to nothing, in whatever order they are listed."""
    kind = "payment_refunded" if payment else "refund"
    items = (item(kind, "-1500.0", "RF3", payment=payment, mandate="MD6"),
             item("refund_funds_returned", "1500.0", "RF3", payment=payment, mandate="MD6"))  # fmt: skip
    for mixed in (items, items[::-1]):
        done = Week(mixed, payers={"MD6": payer("C6")}, history={"PM4": [FOUR]}).place()
        assert not done.problems, done.problems
        assert sorted(one.amount for one in done.parts) == [-1500, 1500]


def test_a_refund_returns_once() -> None:
    """Two returns of one booked refund are one too many."""
    one = item("refund_funds_returned", "5000.0", "RF1", payment="PM4")
    done = Week((one, one), history={"PM4": [FOUR], "RF1": [REFUND_ONE]}).place()
    assert reasons(done) == ["original_not_found"]


# --- what nobody explains -----------------------------------------------------------------------------------------------

A = invoice(1, 10000)
NO_NAME: dict[str, Any] = {"amount": 10000}


@pytest.mark.parametrize(
    ("one", "reason", "customer"),
    [
        (clue(777), "no_customer", ""),
        (clue(777, "C9"), "no_open_invoice", "C9"),
        (clue(10000, "C2"), "ambiguous", "C2"),
        (clue(10000), "suggestion", ""),
        (clue(9999, "C1", description="1001"), "suggestion", "C1"),
        (clue(10000, "C9", metadata={"invoice": "1001"}), "conflict", "C9"),
        (clue(2000, "C1", metadata={"invoice": "1005"}), "currency_mismatch", "C1"),
    ],
)
def test_the_policy_decides_for_what_is_not_matched(one: Any, reason: str, customer: str) -> None:
    """Hold: the payout waits with the reason; park: on the unallocated account; on account: of the customer, and hold without one."""
    amount = one.payment.amount.minor
    far = {"due": A.due_date.replace(month=1)}
    books = [A, invoice(2, card="C2", **far), invoice(3, card="C2", **far), invoice(5, 2000, currency="EUR")]
    books = [each for each in books if reason != "suggestion" or each.card_code == "C1"]
    items = [item("payment_paid_out", f"{amount}.0", "PM1")]
    held = Week(items, [one], books).problem()
    assert (held.reason, held.payment, held.amount) == (reason, "PM1", one.payment.amount)
    assert told(Week(items, [one], books, policy="park").place()) == [("PM1", "parked", amount, "", PARKING)]
    on_account = Week(items, [one], books, policy="on_account").place()
    if customer:
        assert told(on_account) == [("PM1", "account", amount, customer, "")]
    else:
        assert reasons(on_account) == [reason]


@pytest.mark.parametrize("metadata", [{"invoice": "1001"}, {"docentry": "1"}])
def test_the_policy_decides_for_what_is_too_much(metadata: dict[str, str]) -> None:
    """More than is open on what is named: held as amount_mismatch, or the rest is parked, or stays on account of the customer."""
    items, known = [item("payment_paid_out", "12000.0", "PM1")], [clue(12000, metadata=metadata)]
    held = Week(items, known, [A]).problem()
    assert held.reason == "amount_mismatch"
    assert "120.00" in held.text
    assert "20.00" in held.text
    first = ("PM1", "invoice", 10000, "C1", "")
    assert told(Week(items, known, [A], policy="park").place()) == [first, ("PM1", "parked", 2000, "", PARKING)]
    assert told(Week(items, known, [A], policy="on_account").place()) == [first, ("PM1", "account", 2000, "C1", "")]
    said = [clue(12000, decision=(1,), rest_on_account=True)]
    assert told(Week(items, said, [A]).place()) == [first, ("PM1", "account", 2000, "C1", "")]


@pytest.mark.parametrize("policy", ["park", "on_account"])
def test_several_partners_hold_whatever_the_policy(policy: str) -> None:
    """Only the documented reasons follow the policy; one payment over two customers is booked by hand."""
    week = Week(
        [item("payment_paid_out", "10000.0", "PM1")], [clue(metadata={"invoice": "1001,1002"})], [A, invoice(2, card="C2")]
    )
    assert reasons(dataclasses.replace(week, policy=policy).place()) == ["several_partners"]


def test_an_invoice_that_stripe_was_paid_for_takes_no_more() -> None:
    """Both collected: the second payment goes on account of the invoice's customer and says who paid before."""
    week = Week([item("payment_paid_out", "10000.0", "PM1")], [clue(metadata={"invoice": "1001"})], [invoice(1, 10000, 10000)],
                paid_elsewhere={1: "pi_9"})  # fmt: skip
    assert told(week.place()) == [("PM1", "account", 10000, "C1", "")]
    assert week.place().parts[0].twice == "pi_9"


def test_two_payments_of_one_invoice_are_taken_by_their_day() -> None:
    """The payment charged first gets the invoice, in whatever order GoCardless lists the items."""
    early = clue(10000, "C1", ident="PM9", charged=A.due_date.replace(day=1), metadata={"invoice": "1001"})
    late = clue(10000, "C1", ident="PM1", metadata={"invoice": "1001"})
    items = [item("payment_paid_out", "10000.0", ident) for ident in ("PM1", "PM9")]
    for mixed in (items, items[::-1]):
        done = Week(mixed, [early, late], [A], policy="on_account").place()
        assert told(done) == [("PM9", "invoice", 10000, "C1", ""), ("PM1", "account", 10000, "C1", "")]


@st.composite
def weeks(draw: st.DrawFn) -> Week:
    """A payout with plus and minus, known and unknown."""
    items: list[PayoutItem] = []
    clues, history = [], {}
    for number in range(1, draw(st.integers(2, 7))):
        ident, amount = f"PM{number}", draw(st.sampled_from([1000, 2000, 3000]))
        kinds = draw(
            st.sampled_from(
                [
                    ("in",),
                    ("in",),
                    ("in", "back"),
                    ("booked", "back"),
                    ("booked", "back", "in"),
                    ("booked", "refund"),
                    ("back",),
                ]
            )
        )
        clues.append(clue(amount, draw(st.sampled_from(["", "C1", "C1", "C2"])), ident=ident, refunded=500,
                          metadata=draw(st.sampled_from([{}, {"invoice": "1001"}, {"invoice": "1002"}]))))  # fmt: skip
        if "booked" in kinds:
            history[ident] = [booked(ident, amount, draw(st.sampled_from(["", "C1"])))]
        items += [item("payment_paid_out", f"{amount}.0", ident)] * ("in" in kinds)
        items += [item(draw(st.sampled_from(["payment_failed", "payment_charged_back"])), f"-{amount}.0", ident)] * (
            "back" in kinds
        )
        items += [item("payment_refunded", "-500.0", f"RF{number}", payment=ident)] * ("refund" in kinds)
    books = [invoice(1, draw(st.sampled_from([1000, 3000]))), invoice(2, 2000), invoice(3, 3000, card="C2")]
    return Week(items, clues, books, history, policy=draw(st.sampled_from(["hold", "park", "on_account"])))


def test_placing_knows_no_order_and_loses_no_cent() -> None:
    """Shuffled items and invoices give the same bytes, parts are the sum of the items, and nothing takes more than is open."""
    seen: Counter[str] = Counter()

    @settings(max_examples=EXAMPLES)
    @given(weeks(), st.integers(0, 99))
    def check(week: Week, seed: int) -> None:
        done = week.place()
        mixed = dataclasses.replace(week, items=[*week.items], invoices=[*week.invoices])
        random.Random(seed).shuffle(mixed.items)  # type: ignore[arg-type]
        random.Random(seed).shuffle(mixed.invoices)  # type: ignore[arg-type]
        assert repr(mixed.place()) == repr(done)
        seen.update([one.reason for one in done.problems] or ["placed"])
        if done.problems:
            return
        assert sum(one.amount for one in done.parts) == sum(one.amount for one in week.items)
        assert len({one.key for one in done.parts}) == len(done.parts)
        for one in week.invoices:
            fresh = sum(
                part.amount for part in done.parts if part.doc_entry == one.doc_entry and not part.undoes.startswith("PO0")
            )
            assert fresh <= one.balance * 100

    check()
    print(f"placing: {EXAMPLES} payouts, {dict(seen)}")  # noqa: T201 - so that a fall of the figure is seen
    assert seen["placed"] >= EXAMPLES // 4
