"""Work that a broken read, a flag or a stop left unfinished is never passed by: cursors, --since, first runs, limits, doubt."""

from __future__ import annotations

import datetime
from pathlib import Path

import httpx
import pytest
from worlds import open_names, settle

from harness import TODAY, Company
from mlc.sandbox.kit import Fault, Response


def _breaks_behind_the_first_page(company: Company, system: str, path: str) -> None:
    """Let every second page of a list fail, for one run."""

    def broken(request: httpx.Request) -> None:
        if request.url.path.endswith(path) and "starting_after" in str(request.url):
            raise httpx.ReadTimeout("the second page does not come", request=request)

    company.wires[system].before = broken


def test_payments_behind_a_page_that_failed_are_posted_by_the_next_run(company: Company) -> None:
    """Events on a page that could not be read are read by the next run, not a day later."""
    for _ in range(40):
        company.invoice()
    company.run()
    payments = [company.account.pay(invoice) for invoice in company.pushed().values()]
    _breaks_behind_the_first_page(company, "stripe", "/v1/events")
    assert company.run("post-payments").exit_code == 5
    company.wires["stripe"].before = None
    company.run("post-payments")
    assert sorted(company.posted()) == sorted(payments)


def test_invoices_behind_a_page_that_failed_are_not_pushed_again(company: Company, tmp_path: Path) -> None:
    """With an older copy of the state every page of Stripe's invoices is read, also after a run that broke between two pages."""
    company.invoice()
    company.run()
    kept = (tmp_path / "mlc.db").read_bytes()
    for _ in range(130):
        company.invoice()
    company.run("push-invoices")
    assert len(company.pushed()) == 131
    company.clock.pass_time(25 * 3600)
    company.forget()
    (tmp_path / "mlc.db").write_bytes(kept)
    _breaks_behind_the_first_page(company, "stripe", "/v1/invoices")
    assert company.run("push-invoices").exit_code == 5
    company.wires["stripe"].before = None
    company.run("push-invoices")
    assert len(company.pushed()) == 131  # raises where a document is asked for twice


def test_a_later_since_does_not_make_held_money_disappear(company: Company) -> None:
    """A payment that waits for a person still waits after a run that looked at a later period only."""
    company.invoice()
    company.run()
    customer = company.account.all("customer")[0]["id"]
    payment = company.account.pay_without_invoice(customer, 5000)
    company.run()
    assert company.held() == {f"post-payment/stripe/{payment}": "no_open_invoice"}
    company.clock.pass_time(20 * 86400)
    company.account.pay(next(iter(company.pushed().values())))
    company.run("post-payments", since=TODAY + datetime.timedelta(days=18))
    for _ in range(2):
        company.clock.pass_time(2 * 86400)
        company.run("post-payments")
    assert company.held() == {f"post-payment/stripe/{payment}": "no_open_invoice"}


def test_a_yes_at_the_first_run_posts_what_was_shown(tmp_path: Path) -> None:
    """What a person saw in the plan of a first run and agreed to is written by that run."""
    company = Company(tmp_path)
    company.partner()
    company.invoice()
    company.run()
    payment = company.account.pay(next(iter(company.pushed().values())))
    company.forget()
    company.settings.tenants["acme"].__dict__["first_run"] = "ask"
    company.run("post-payments", ask=lambda report: report.counts["planned"] == 1)
    assert sorted(company.posted()) == [payment]


def test_a_yes_at_the_first_run_is_counted_once_by_the_limits(tmp_path: Path) -> None:
    """Showing a plan first does not use up the limit of writes."""
    company = Company(tmp_path, config="limits: {max_writes: 3}")
    company.partner()
    for _ in range(2):
        company.invoice()
    company.settings.tenants["acme"].__dict__["first_run"] = "ask"
    assert company.run("push-invoices", ask=lambda _report: True).exit_code == 0


def test_a_run_that_leaves_a_payment_unposted_does_not_end_with_0(company: Company) -> None:
    """A payment that was found not to be done is decided again in the same run, or the run says that it is not through."""
    company.invoice()
    company.run()
    payment = company.account.pay(next(iter(company.pushed().values())))

    def die(request: httpx.Request) -> None:
        if request.url.path.endswith("/IncomingPayments") and request.method == "POST":
            raise KeyboardInterrupt

    company.wires["sap"].before = die
    with pytest.raises(KeyboardInterrupt):
        company.run("post-payments")
    company.wires["sap"].before = None
    code = company.run("post-payments").exit_code
    assert code == 5 or sorted(company.posted()) == [payment]


def test_promises_that_were_never_sent_count_for_limits_and_dry_runs(tmp_path: Path) -> None:
    """What an earlier run promised and did not send is shown by a dry run and counts for the limits."""
    company = Company(tmp_path)
    company.partner()
    company.run()
    for _ in range(4):
        company.invoice()

    def die(request: httpx.Request) -> None:
        if request.method == "POST" and request.url.path == "/v1/customers":
            raise KeyboardInterrupt

    company.wires["stripe"].before = die
    with pytest.raises(KeyboardInterrupt):
        company.run("push-invoices")
    company.wires["stripe"].before = None
    assert len(open_names(company)) == 5
    report = company.run("push-invoices", dry_run=True)
    assert report.counts["planned"] == 5


def test_a_stripe_that_is_never_reached_leaves_nothing_in_doubt(company: Company) -> None:
    """Where no connection was ever made nothing can have happened: the promise counts as never sent."""
    company.invoice()

    def unreachable(request: httpx.Request) -> None:
        if request.method == "POST":
            raise httpx.ConnectError("no route", request=request)

    company.wires["stripe"].before = unreachable
    assert company.run("push-invoices").exit_code == 5
    company.wires["stripe"].before = None
    opened = company.open()
    doubt = opened.journal.in_doubt()
    opened.close()
    assert doubt == 0


def test_a_secret_that_looks_like_a_number_does_not_garble_the_journal(tmp_path: Path) -> None:
    """A password that also occurs as an amount or number in a request neither breaks the journal nor changes what is repeated."""
    company = Company(tmp_path, sap_config="password: {env: P}")
    company.partner()
    company.invoice(net="1000.00")
    company.run()
    payment = company.account.pay(next(iter(company.pushed().values())))
    company.sap.faults.append(Fault("never", method="POST", path="IncomingPayments", times=1))
    import harness

    old = harness.SECRETS["P"]
    harness.SECRETS["P"] = "1190"
    company.sap.sessions.users["manager"] = "1190"
    try:
        settle(company)
    finally:
        harness.SECRETS["P"] = old
    assert sorted(company.posted()) == [payment]


def test_an_answer_that_is_no_answer_does_not_end_as_done(company: Company) -> None:
    """A 201 whose body is a proxy's page is in doubt, looked up and adopted; nothing is posted twice."""
    company.invoice()
    company.run()
    payment = company.account.pay(next(iter(company.pushed().values())))
    page = Response.of_html(201, "Created")
    company.sap.faults.append(Fault("answer", method="POST", path="IncomingPayments", times=1, response=page))
    settle(company)
    assert {key: len(found) for key, found in company.posted().items()} == {payment: 1}
