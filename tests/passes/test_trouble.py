"""What goes wrong around an invoice or a payment: nothing is trusted that does not agree, and what heals is done by itself."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from oracle import Oracle, picture, writes
from steps import pushed, reasons

from harness import SECRETS, TODAY, Company, Wire
from mlc.sandbox.kit import Request, Response
from mlc.sandbox.sap import SapService, SapSwitches


def made(folder: Path, **options: Any) -> Company:
    """A company with one partner."""
    company = Company(folder, **options)
    company.partner()
    return company


def restore_sap(company: Company) -> None:
    """Put an SAP company in place that was restored from before everything: it counts its documents from one again."""
    company.sap = SapService(company.world, users={"manager": SECRETS["P"]})
    company.wires["sap"] = Wire(company.sap, company.clock)
    company.partner()
    company.partner("C2", "Another")


@pytest.mark.parametrize("other", ["customer", "total"])
@pytest.mark.parametrize("forget", [False, True])
def test_a_restored_sap_is_not_trusted(company: Company, other: str, forget: bool) -> None:
    """Where a restored SAP reuses a DocEntry for another document, no money is posted on it and nothing is told to Stripe about it."""
    _, one = pushed(company)
    restore_sap(company)
    again = company.invoice("C2" if other == "customer" else "C1", net="100.00" if other == "customer" else "200.00")
    payment = company.account.pay(one)
    if forget:
        company.forget()
    company.run()
    assert company.posted() == {}
    assert reasons(company)[payment] == "conflict"
    assert reasons(company)[str(again)] == "gone_from_sap"
    assert company.account.read(one)["status"] == "paid"
    Oracle(company).prove_quiet("post-payments", "push-invoices")


def test_an_invoice_that_sap_lost_waits(company: Company) -> None:
    """An invoice that SAP no longer knows is held gone_from_sap, and so is the money that pays it."""
    entry, one = pushed(company)
    restore_sap(company)
    company.run()
    assert reasons(company) == {str(entry): "gone_from_sap"}
    payment = company.account.pay(one)
    company.run()
    assert reasons(company)[payment] == "gone_from_sap"
    assert company.posted() == {}


@pytest.mark.parametrize("wrong", ["sum", "customer", "two", "cancelled", "right"])
def test_a_document_under_our_mark_is_looked_at(company: Company, wrong: str) -> None:
    """A receipt that carries our mark is adopted only if it is live and of that customer and sum."""
    entry, one = pushed(company)
    company.partner("C2", "Another")
    payment = company.account.pay(one)
    books, amount = company.books, Decimal("118.99" if wrong == "sum" else "119.00")
    card = "C2" if wrong == "customer" else "C1"
    for _ in range(2 if wrong == "two" else 1):
        number = books.add_receipt(card, amount, {}, date=TODAY, reference=payment, account="1361")
    if wrong == "cancelled":
        books.cancel_payment(number)
    before = len(list(books.payments()))
    company.run()
    expected = {
        "sum": "marker_mismatch",
        "customer": "marker_mismatch",
        "two": "marker_mismatch",
        "cancelled": "cancelled_in_sap",
    }
    assert reasons(company).get(payment) == expected.get(wrong)
    assert len(list(books.payments())) == before
    assert company.account.read(one)["status"] == "paid"
    assert books.open_balance(entry) == Decimal("119.00")
    Oracle(company).prove_quiet()
    Oracle(company).prove_forgetful()


def test_an_approval_procedure_makes_one_draft(tmp_path: Path) -> None:
    """A payment that an approval procedure keeps as a draft waits with its number, is not sent again, and is found once approved."""
    company = made(tmp_path, sap={"switches": SapSwitches(approval=True)})
    entry, one = pushed(company)
    payment = company.account.pay(one)
    for _ in range(3):
        company.run()
        assert reasons(company) == {payment: "awaiting_approval"}
        assert len(company.books.drafts) == 1
    company.clock.pass_time(90_000)
    company.run()
    assert reasons(company) == {payment: "awaiting_approval"}
    assert len(company.books.drafts) == 1
    company.forget()
    company.run()
    assert reasons(company) == {payment: "awaiting_approval"}
    assert len(company.books.drafts) == 1
    company.books.approve_draft(next(iter(company.books.drafts)))
    company.run()
    assert company.held() == {}
    assert company.books.open_balance(entry) == 0
    assert {key: len(found) for key, found in company.posted().items()} == {payment: 1}
    Oracle(company).prove_quiet("post-payments", "push-invoices")


def test_an_approved_draft_is_found_by_the_next_run(tmp_path: Path) -> None:
    """A payment whose draft was approved no longer waits after the next run."""
    company = made(tmp_path, sap={"switches": SapSwitches(approval=True)})
    _, one = pushed(company)
    company.account.pay(one)
    company.run()
    company.books.approve_draft(1)
    company.run()
    assert company.held() == {}


@pytest.mark.parametrize("told", [True, False])
def test_a_closed_period_heals(tmp_path: Path, told: bool) -> None:
    """A payment of a closed period waits, whether SAP tells its periods or not, and is posted once the period is open."""
    missing = frozenset() if told else frozenset({"CompanyService_GetFinancePeriods", "CompanyService_GetPeriods"})
    company = made(tmp_path, sap={"switches": SapSwitches(missing_apis=missing)})
    _, one = pushed(company)
    payment = company.account.pay(one)
    company.books.close_period(2026, 11)
    company.run()
    company.run()
    assert reasons(company) == {payment: "closed_period"}
    assert company.posted() == {}
    company.books.open_period(2026, 11)
    company.run()
    assert company.held() == {}
    assert set(company.posted()) == {payment}
    Oracle(company).prove_quiet()


def test_a_closed_period_may_move_to_the_next_open_day(tmp_path: Path) -> None:
    """With next_open_day a payment of a closed month is dated on the first open day, and its own day stands in the remarks."""
    company = made(tmp_path, config="", sap_config="", stripe_config="")
    company.settings = _with_next_open_day(company)
    _, one = pushed(company)
    payment = company.account.pay(one)
    company.books.close_period(2026, 11)
    company.run()
    assert reasons(company) == {payment: "closed_period"}
    company.clock.pass_time(29 * 86_400)
    company.run()
    ((receipt,),) = company.posted().values()
    assert receipt.date == datetime.date(2026, 12, 1)
    assert "2026-11-03" in receipt.remarks
    assert company.held() == {}


def _with_next_open_day(company: Company) -> Any:
    tenant = company.settings.tenants["acme"].model_copy(update={"closed_period": "next_open_day"})
    return company.settings.model_copy(update={"tenants": {"acme": tenant}})


@pytest.mark.parametrize("how", ["frozen", "inactive", "manual", "block"])
def test_a_locked_clearing_account_heals(company: Company, how: str) -> None:
    """While the clearing account is locked nothing is posted and the payment is not lost; unlocked, it is posted by itself."""
    _, one = pushed(company)
    payment = company.account.pay(one)
    company.books.lock_account("1361", how)
    company.run()
    assert company.posted() == {}
    assert list(reasons(company)) == [payment]
    company.books.unlock_account("1361", how)
    company.run()
    assert set(company.posted()) == {payment}
    assert company.held() == {}


def test_a_cursor_older_than_stripes_memory(company: Company) -> None:
    """After 31 days without a run, payments whose events are gone are found and dated on their own day (complaint 27)."""
    _, one = pushed(company)
    company.account.pay_partly(one, 1000)
    company.run()
    company.clock.pass_time(86_400)
    early = company.account.pay_partly(one, 2000)
    company.clock.pass_time(32 * 86_400)
    late = company.account.pay_partly(one, 3000)
    company.run()
    found = company.posted()
    assert found[early][0].date == TODAY + datetime.timedelta(days=1)
    assert found[late][0].date == TODAY + datetime.timedelta(days=33)
    assert len(found) == 3
    Oracle(company).prove_quiet()


def test_a_limit_never_loses_work(company: Company) -> None:
    """Runs of at most three wishes reach everything in the end."""
    entries = [company.invoice() for _ in range(8)]
    for _ in range(6):
        company.run(limit=3)
    assert set(company.pushed()) == set(entries)
    payments = {company.account.pay(one) for one in company.pushed().values()}
    for _ in range(4):
        company.run("post-payments", limit=3)
    assert set(company.posted()) == payments
    company.check()


def test_a_dry_run_writes_nothing(company: Company) -> None:
    """--dry-run changes neither side, and the run after it does what it showed."""
    _, one = pushed(company)
    company.account.pay_partly(one, 100)
    company.books.credit_memo(company.invoice(), Decimal("9.00"))
    before, marks = picture(company), (len(company.sap.log), len(company.stripe.log))
    company.run(dry_run=True)
    planned = {item.id for item in company.items if item.state == "planned"}
    assert picture(company) == before
    assert writes(company, *marks) == []
    company.run()
    assert planned
    assert planned <= {item.id for item in company.items if item.state == "done"}


def test_what_sap_removed_is_removed_at_stripe(company: Company) -> None:
    """A phone number that SAP no longer has does not stay at Stripe."""
    company.books.change_partner("C1", Phone1="030 123")
    pushed(company)
    (customer,) = company.account.all("customer")
    assert customer["phone"] == "030 123"
    company.clock.pass_time(3600)
    company.books.change_partner("C1", Phone1="")
    company.run()
    (customer,) = company.account.all("customer")
    assert not customer["phone"]


def test_a_bad_invoice_never_stops_the_others(company: Company) -> None:
    """An invoice that Stripe refuses is refused, and the next one is pushed all the same."""
    first, second = company.invoice(), company.invoice(net="50.00")
    inner = company.stripe.handle

    def picky(request: Request) -> Response:
        if request.path.endswith("/add_lines") and b"11900" in request.body:
            return Response.of_json(400, {"error": {"type": "invalid_request_error", "message": "no", "code": "x"}})
        return inner(request)

    company.stripe.handle = picky  # type: ignore[method-assign]
    company.run()
    assert set(company.pushed()) == {second}
    assert first not in company.pushed()
    assert [item.state for item in company.items if item.id.endswith(f"/{first}")] == ["refused"]
    assert [one["status"] for one in company.account.all("invoice")] == ["open"]
