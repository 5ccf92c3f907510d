"""How much mlc asks of both systems: three writes per invoice, hardly a read, and next to nothing where nothing is to do."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

from oracle import LIMITS, WRITES

from harness import Company
from mlc.sandbox.kit import Request, Response


def stocked(folder: Path, count: int, **options: str) -> Company:
    """A company whose one customer is known at Stripe and has invoices to push."""
    company = Company(folder, config=LIMITS, **options)
    company.partner()
    company.invoice()
    company.run()
    for _ in range(count):
        company.invoice()
    return company


def asked(company: Company, *passes: str) -> Counter[str]:
    """Run passes; return how often which kind of request was made, logins and logouts apart."""
    marks = len(company.sap.log), len(company.stripe.log)
    company.run(*passes)
    found: Counter[str] = Counter()
    for system, mark in zip(("sap", "stripe"), marks, strict=True):
        for method, path, _ in company.requests(system, mark):
            writes = method in WRITES and "Service_Get" not in path
            found[f"{system} {'write' if writes else 'read'}"] += 1
    return found


def test_a_new_invoice_costs_three_writes(tmp_path: Path) -> None:
    """A hundred invoices of a known customer cost exactly three hundred writes to Stripe and none to SAP."""
    found = asked(stocked(tmp_path, 100), "push-invoices")
    assert found["stripe write"] == 300
    assert found["sap write"] == 0


def test_guarding_reads_are_few(tmp_path: Path) -> None:
    """A hundred invoices cost at most ten reads of both systems together."""
    found = asked(stocked(tmp_path, 100), "push-invoices")
    assert found["stripe read"] + found["sap read"] <= 10, found


def test_a_hundred_payments_cost_a_hundred_posts_and_few_reads(tmp_path: Path) -> None:
    """A hundred payments cost a hundred writes to SAP, and at most half a read each of both systems together."""
    company = stocked(tmp_path, 100)
    company.run()
    for one in company.pushed().values():
        company.account.pay(one)
    found = asked(company, "post-payments")
    assert found["sap write"] == 101
    assert found["stripe write"] == 0
    assert found["stripe read"] + found["sap read"] <= 50, found


def test_an_account_without_events_is_not_swept_again_and_again(tmp_path: Path) -> None:
    """Where no event was ever seen, a second run within the day asks Stripe for events only."""
    company = stocked(tmp_path, 5)
    company.run()
    found = asked(company, "post-payments")
    assert found["stripe read"] == 1, found


def test_a_quiet_month_is_no_old_cursor(tmp_path: Path) -> None:
    """An account that was looked at every day and had no event for 40 days still costs one call a run."""
    company = stocked(tmp_path, 1)
    company.account.pay(next(iter(company.pushed().values())))
    for _ in range(40):
        company.clock.pass_time(86_400)
        company.run("post-payments")
    company.clock.pass_time(300)
    found = asked(company, "post-payments")
    assert found["stripe read"] == 1, found


def test_nothing_to_do_costs_next_to_nothing(tmp_path: Path) -> None:
    """With 60 open pushed invoices a pass asks Stripe once, and SAP for at most two things and one page per page_size invoices.

    sync-customers also asks SAP for its currency, what those owe who owed something, and what of that is overdue.
    """
    company = stocked(tmp_path, 60, sap_config="page_size: 20")
    company.run()
    company.account.pay(next(iter(company.pushed().values())))
    company.run()
    company.run()
    pages = math.ceil(60 / 20)
    for name in ("post-payments", "sync-customers", "push-invoices"):
        found = asked(company, name)
        assert found["stripe read"] <= 1, (name, found)
        assert found["sap read"] <= 2 + pages + 3 * (name == "sync-customers"), (name, found)
        assert found["stripe write"] == found["sap write"] == 0


def test_an_exact_page_costs_one_request_more_at_most(tmp_path: Path) -> None:
    """With no open invoice at all SAP is asked at most twice a pass.

    sync-customers also asks for its currency, and what is overdue of those who changed.
    """
    company = stocked(tmp_path, 0)
    company.account.pay(next(iter(company.pushed().values())))
    company.run()
    company.run()
    for name in ("post-payments", "sync-customers", "push-invoices"):
        found = asked(company, name)
        assert found["stripe read"] <= 1, (name, found)
        assert found["sap read"] <= 2 + 2 * (name == "sync-customers"), (name, found)


def test_every_read_of_sap_selects(tmp_path: Path) -> None:
    """No list or object of SAP is ever read whole: every GET carries $select."""
    company = Company(tmp_path, config=LIMITS)
    company.partner()
    bare: list[str] = []

    def watch(request: Request, _answer: Response) -> None:
        if request.method == "GET" and not request.param("$select"):
            bare.append(request.path)

    company.sap.watchers.append(watch)
    entries = [company.invoice() for _ in range(4)]
    company.run()
    ids = company.pushed()
    company.account.pay(ids[entries[0]])
    company.account.pay_partly(ids[entries[1]], 100)
    company.books.credit_memo(entries[2])
    company.account.pay_without_invoice(company.account.read(ids[entries[3]])["customer"], 500)
    company.run()
    company.clock.pass_time(90_000)
    company.run()
    company.forget()
    company.run()
    assert bare == []


def test_one_login_a_run(tmp_path: Path) -> None:
    """A pass logs in once and logs out once, however much it does."""
    company = stocked(tmp_path, 30)
    before = company.sap.logins, len(company.sap.log)
    company.run("push-invoices")
    assert company.sap.logins - before[0] == 1
    assert sum(path.endswith("/Logout") for _, path, _ in company.sap.log[before[1] :]) == 1
