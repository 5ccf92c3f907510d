"""Whole commands, typed as a user types them: what each does, which code it ends with, and what one tenant does to another."""

from __future__ import annotations

import types
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from desk import Desk

from harness import Company
from mlc.cli import passes
from mlc.sandbox.kit import Fault, Response

PUSH_SKIPPED = "push-invoices: skipped"


def refusing(company: Company) -> None:
    """Let Stripe refuse the lines of the next invoice."""
    answer = Response.of_json(400, {"error": {"type": "invalid_request_error", "message": "no [/] good", "code": "x"}})
    company.stripe.faults.append(Fault("answer", "POST", "add_lines", response=answer))


def test_a_first_day(desk: Desk) -> None:
    """A whole day ends with 0 each time: invoices go out, the money comes back, a run with nothing to do says so."""
    entry = desk.company.invoice()
    first = desk.mlc("run")
    assert (first.code, first.out) == (0, "")
    assert "push-invoices: 1 done (119.00 EUR)" in first.err
    payment = desk.company.account.pay(desk.company.pushed()[entry])
    assert desk.mlc("run").code == 0
    assert set(desk.company.posted()) == {payment}
    last = desk.mlc("run")
    assert last.code == 0
    assert last.err.count("nothing to do") == 4
    desk.company.check()


def test_a_dry_run_writes_nothing(desk: Desk) -> None:
    """--dry-run shows the plan of the run that follows, with its code, and writes at neither system."""
    company = desk.company
    entry = company.invoice()
    dry = desk.mlc("run", "-n")
    assert dry.code == 0
    assert "> planned push invoice 1001 of C1 119.00 EUR" in dry.err
    assert desk.writes() == []
    assert desk.mlc("run").code == 0
    company.account.pay(company.pushed()[entry])
    company.account.pay_without_invoice(None, 4200, "eur")
    before = desk.writes()
    assert desk.mlc("run", "--dry-run").code == 3
    assert desk.writes() == before
    assert desk.mlc("held", "list", "--json").out == ""
    assert desk.mlc("run").code == 3


def test_something_newly_held_ends_with_3_once(desk: Desk) -> None:
    """What is newly held makes a run end with 3, the next run with 0, and one after alert_after with 3 again."""
    desk.unexplained()
    assert desk.mlc("run").code == 0
    desk.company.clock.pass_time(3.1 * 86_400)
    assert desk.mlc("run").code == 3
    assert desk.mlc("status").code == 3


def test_a_refusal_ends_with_3_and_is_replayed(desk: Desk) -> None:
    """What Stripe refuses ends with 3 and its own text; `replay --failed` does it once the cause is gone, with 0."""
    entry = desk.company.invoice()
    refusing(desk.company)
    said = desk.mlc("run")
    assert said.code == 3
    assert "x refused push invoice 1001 of C1 119.00 EUR: x no [/] good" in said.err
    assert desk.mlc("run").code == 0
    planned = desk.mlc("replay", "--failed", "-n")
    assert (planned.code, desk.company.pushed()) == (0, {})
    assert "1 planned" in planned.err
    assert desk.mlc("replay", "--failed").code == 0
    assert set(desk.company.pushed()) == {entry}
    assert desk.mlc("replay", "--failed").code == 0


def test_status_tells_what_was_refused(desk: Desk) -> None:
    """Status says that something was refused, because a refused item older than alert_after makes it end with 3."""
    desk.company.invoice()
    refusing(desk.company)
    desk.mlc("run")
    desk.company.clock.pass_time(4 * 86_400)
    said = desk.mlc("status")
    assert said.code == 3
    assert "refused" in said.out


def test_what_is_in_doubt_ends_with_5(desk: Desk) -> None:
    """A write whose answer is lost to the end leaves code 5, status counts it, and the next run finishes it once."""
    entry = desk.company.invoice()
    desk.company.stripe.faults.append(Fault("lost", "POST", "/v1/invoices$", times=100))
    assert desk.mlc("run").code == 5
    assert "in doubt: 1" in desk.mlc("status").out
    desk.company.stripe.faults.clear()
    assert desk.mlc("run").code == 0
    assert set(desk.company.pushed()) == {entry}


def test_limits_stop_and_stay(desk: Desk) -> None:
    """A limit ends with 7 before anything is written, stays whatever the limit says later, and is accepted once."""
    for _ in range(3):
        desk.company.invoice()
    assert desk.mlc("sync-customers").code == 0
    desk.top = "limits: {max_writes: 2}"
    desk.write()
    before = desk.writes()
    said = desk.mlc("push-invoices")
    assert said.code == 7
    assert "limits.max_writes: 2" in said.err
    assert desk.mlc("push-invoices", "-n").code == 7
    desk.top = ""
    desk.write()
    assert desk.mlc("push-invoices").code == 7
    assert desk.writes() == before
    assert desk.mlc("push-invoices", "--accept-limit").code == 0
    assert len(desk.company.pushed()) == 3
    assert desk.mlc("push-invoices").code == 0


def test_an_amount_limit(desk: Desk) -> None:
    """A limit of amounts is major units of its currency and ends with 7."""
    desk.top = "limits: {max_amount: {EUR: 100}}"
    desk.write()
    desk.company.invoice()
    said = desk.mlc("run")
    assert said.code == 7
    assert "119.00 EUR" in said.err
    assert desk.company.pushed() == {}


def test_status_tells_a_stop_of_a_new_pass(desk: Desk) -> None:
    """Status says that a pass is stopped by a limit, also where the pass never wrote anything before."""
    desk.top = "limits: {max_writes: 2}"
    desk.write()
    for number in range(2, 5):
        desk.company.invoice(desk.company.partner(f"C{number}"))
    assert desk.mlc("sync-customers").code == 7
    assert "sync-customers is stopped by a safety limit" in desk.mlc("status").out


def test_a_first_run_waits_for_a_word(tmp_path: Path) -> None:
    """With first_run: ask and no terminal a writing pass shows its plan, writes nothing and ends with 7; --first-run lets it go."""
    company = Company(tmp_path)
    company.partner()
    desk = Desk(company, first_run="ask")
    entry = company.invoice()
    for _ in range(2):
        said = desk.mlc("sync-customers")
        assert said.code == 7
        assert "> planned create C1" in said.err
        assert "--first-run" in said.err
        assert desk.writes() == []
    assert PUSH_SKIPPED in desk.mlc("run").err
    assert desk.mlc("run", "--first-run").code == 0
    assert set(company.pushed()) == {entry}
    company.invoice()
    assert desk.mlc("run").code == 0
    assert len(company.pushed()) == 2


def at_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the passes believe that somebody sits at a terminal."""
    monkeypatch.setattr(passes, "sys", types.SimpleNamespace(stdin=types.SimpleNamespace(isatty=lambda: True)))


@pytest.mark.parametrize(("answer", "code"), [("yes\n", 0), ("no\n", 7), ("\n", 7)])
def test_a_first_run_asks_at_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, code: int) -> None:
    """At a terminal the first run asks, and only a typed yes lets it write."""
    company = Company(tmp_path)
    company.partner()
    desk = Desk(company, first_run="ask")
    company.invoice()
    at_terminal(monkeypatch)
    assert desk.mlc("sync-customers", stdin=answer).code == code
    assert len(company.account.all("customer")) == (code == 0)


def test_asking_does_not_use_up_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan that a person has just said yes to is not counted twice against the limits."""
    company = Company(tmp_path)
    company.partner()
    desk = Desk(company, first_run="ask", top="limits: {max_writes: 3}")
    company.invoice()
    company.invoice()
    at_terminal(monkeypatch)
    assert desk.mlc("push-invoices", stdin="yes\n").code == 0


def test_what_a_first_run_holds_can_be_dealt_with(tmp_path: Path) -> None:
    """What a run reports as held is in `held list`, also where the pass never wrote anything before."""
    company = Company(tmp_path)
    desk = Desk(company, first_run="ask")
    company.account.pay_without_invoice(None, 4200, "eur")
    assert desk.mlc("post-payments").code == 3
    assert len(desk.mlc("held", "list", "--json").lines) == 1


@pytest.mark.parametrize("code", [1, 4, 5, 7, 12])
def test_run_skips_push_after_trouble(desk: Desk, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """`run` does not ask for money where an earlier pass ended with 1, 4, 5, 7 or 12; an earlier 3 does not stop it."""
    real, order = passes.run_one, []

    def one(session: Any, opened: Any, name: str, *rest: Any) -> int:
        order.append(name)
        return code if name == "post-payments" else real(session, opened, name, *rest)

    monkeypatch.setattr(passes, "run_one", one)
    desk.company.invoice()
    said = desk.mlc("run")
    assert said.code == code
    assert PUSH_SKIPPED in said.err
    assert order == ["post-payments", "reconcile-payouts", "sync-customers"]
    assert desk.company.pushed() == {}
    code = 3
    assert desk.mlc("run").code == 3
    assert len(desk.company.pushed()) == 1


def test_tenants_do_not_stop_each_other(desk: Desk) -> None:
    """One tenant's missing secret ends the command with 4 and leaves the other tenant's work done, in either order."""
    other = desk.second()
    desk.company.invoice()
    other.invoice()
    desk.tenant("beta", sap=3, stripe=4, db="SBOBETA", key="{env: NOWHERE}")
    said = desk.mlc("run")
    assert said.code == 4
    assert len(desk.company.pushed()) == 1
    assert "error: beta: " in said.err
    assert "error: acme" not in said.err
    desk.tenant("acme", key="{env: NOWHERE}")
    desk.tenant("beta", sap=3, stripe=4, db="SBOBETA")
    assert desk.mlc("run").code == 4
    assert len(other.account.all("invoice")) == 1


def test_the_worst_code_wins(desk: Desk) -> None:
    """With several tenants the worst code of the contract's order wins: 4 over 5, 5 over 3; --tenant asks one alone."""
    other = desk.second()
    other.account.pay_without_invoice(None, 4200, "eur")
    desk.ports.wires.pop(2)
    assert desk.mlc("run").code == 5
    other.account.pay_without_invoice(None, 4300, "eur")
    assert desk.mlc("run", "--tenant", "beta").code == 3
    desk.env["K2"] = "sk_test_wrong"
    desk.tenant("beta", sap=3, stripe=4, db="SBOBETA", key="{env: K2}")
    assert desk.mlc("run").code == 4
    assert desk.mlc("run", "--tenant", "acme").code == 5


def test_quiet_and_verbose(desk: Desk) -> None:
    """-q says nothing where all is well, -v names every request, and an error is said in spite of -q."""
    desk.company.invoice()
    quiet = desk.mlc("run", "-q")
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")
    assert "Stripe GET /v1/events -> 200" in desk.mlc("run", "-v").err
    desk.ports.wires.clear()
    assert "error: acme post-payments: Stripe" in desk.mlc("run", "-q").err


def test_limit_does_its_part(desk: Desk) -> None:
    """--limit N writes at most N documents, and following runs do the rest."""
    for net in ("10.00", "20.00", "30.00"):
        desk.company.invoice(net=net)
    desk.mlc("sync-customers")
    for count in (1, 2, 3):
        assert desk.mlc("push-invoices", "--limit", "1").code == 0
        assert len(desk.company.pushed()) == count


def test_since_never_reaches_before_the_start(desk: Desk) -> None:
    """--since narrows what is looked at and never reaches before start_date."""
    books = desk.company.books
    old = books.add_invoice("C1", [("x", Decimal(1), Decimal(10), Decimal(19))], doc_date=books_day(9), due_date=books_day(10))
    new = desk.company.invoice()
    assert desk.mlc("push-invoices", "--since", "2026-01-01").code == 0
    assert set(desk.company.pushed()) == {new}
    assert old not in desk.company.pushed()


def books_day(month: int) -> Any:
    """Return a day of that month, before or behind the configured start."""
    import datetime

    return datetime.date(2026, month, 20)
