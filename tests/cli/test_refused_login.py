"""A login that SAP refused is not tried again by every timer: SAP locks users."""

from __future__ import annotations

import pytest
from desk import Desk

from mlc.core import errors

WRONG = {"P": "not-the-password"}


def logins(desk: Desk) -> int:
    """How often mlc has tried to log in so far."""
    return sum(path.endswith("/Login") for _, path, _ in desk.company.sap.log)


@pytest.fixture
def wrong(desk: Desk) -> Desk:
    """A desk whose password was wrong once: one login, said once for four passes."""
    right, desk.env["P"] = desk.env["P"], WRONG["P"]
    said = desk.mlc("run")
    assert said.code == errors.CREDENTIAL, said.err
    assert said.err.count("SAP refused the login of manager at SBODEMO, tenant acme") == 1
    assert logins(desk) == 1
    desk.env["P"] = right
    return desk


def test_timers_do_not_try_again_before_an_hour_then_a_day(wrong: Desk) -> None:
    """Five minutes later nothing is sent, and the message says until when and what ends it; the pauses grow."""
    wrong.env["P"] = WRONG["P"]
    for pause, tries in ((300, 1), (3000, 1), (310, 2), (3700, 2), (80000, 2), (2700, 3), (86000, 3), (500, 4)):
        wrong.company.clock.sleep(pause)
        said = wrong.mlc("push-invoices")
        assert said.code == errors.CREDENTIAL
        assert logins(wrong) == tries, pause
    wrong.company.clock.sleep(60)
    said = wrong.mlc("push-invoices")
    assert "no timer tries again before 20" in said.err
    assert "then run `mlc ping --tenant acme`: it tries at once" in said.err.replace("\n", " ")


def test_the_right_password_counts_from_the_next_try_on(wrong: Desk) -> None:
    """A refusal that was SAP's own trouble heals by itself after the pause, and nothing is left of it."""
    assert wrong.mlc("run").code == errors.CREDENTIAL
    wrong.company.clock.sleep(3700)
    assert wrong.mlc("run").code == 0
    assert logins(wrong) == 2
    wrong.env["P"] = WRONG["P"]
    wrong.company.clock.sleep(60)
    wrong.company.sap.sessions.expire()
    assert wrong.mlc("push-invoices").code == errors.CREDENTIAL  # the first refusal again: an hour
    assert logins(wrong) == 3
    wrong.company.clock.sleep(3700)
    assert wrong.mlc("push-invoices").code == errors.CREDENTIAL
    assert logins(wrong) == 4


def test_ping_tries_at_once_and_lets_the_timers_go_on(wrong: Desk) -> None:
    """After `mlc ping` has logged in the next run does; a ping that is refused counts as a refusal."""
    assert wrong.mlc("run").code == errors.CREDENTIAL
    assert wrong.mlc("ping").code == 0
    assert wrong.mlc("run").code == 0
    wrong.env["P"] = WRONG["P"]
    assert wrong.mlc("ping").code == errors.CREDENTIAL
    before = logins(wrong)
    assert wrong.mlc("run").code == errors.CREDENTIAL
    assert logins(wrong) == before


def test_a_person_at_a_terminal_tries_at_once(wrong: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sits there has corrected it: no pause."""
    assert wrong.mlc("compare").code == errors.CREDENTIAL
    assert logins(wrong) == 1
    monkeypatch.setattr("mlc.cli.session.attended", lambda: True)
    assert wrong.mlc("run").code == 0


def test_status_tells_of_runs_that_never_began(desk: Desk) -> None:
    """A run that ends before its passes begin, for want of a secret, stands in `status`; another run's lock is nobody's trouble."""
    assert desk.mlc("run").code == 0
    desk.company.clock.pass_time(60)
    desk.env.pop("P")
    assert desk.mlc("run").code == errors.CREDENTIAL
    said = desk.mlc("status")
    rows = {
        line.split()[0]: line.split() for line in said.out.splitlines() if line.startswith(("post-", "push-", "sync-", "recon"))
    }
    assert {row[-4] for row in rows.values()} == {"4"}
    assert said.out.count("no usable secret sap.password") == 1
    assert desk.mlc("run", "-n").code == errors.CREDENTIAL
    assert len(desk.mlc("status", "--json").of("pass")) == 4


def test_a_new_password_in_the_store_lets_the_next_timer_try(wrong: Desk) -> None:
    """Who sets the password anew has changed it: no pause, and no ping is needed."""
    wrong.write(("tenants:", "secrets: {store: file}\ntenants:"))
    assert wrong.mlc("secret", "key", "create").code == 0
    assert wrong.mlc("secret", "set", "acme", "sap.password", stdin="whatever\n").code == 0
    assert wrong.mlc("run").code == 0
    assert logins(wrong) == 2


def test_another_user_is_another_matter(wrong: Desk) -> None:
    """The pause is for the user and address that were refused; a corrected user name is tried at once."""
    wrong.write(("username: manager", "username: mlc"))
    said = wrong.mlc("push-invoices")
    assert said.code == errors.CREDENTIAL
    assert "login of mlc at SBODEMO" in said.err
    assert logins(wrong) == 2
