"""Signing in, time-out, cookies, nodes and locked users of the simulated Service Layer."""

from __future__ import annotations

import pytest
from test_sap_support import START, D, Sap, invoice, payment, sap

from mlc.sandbox.kit import Clock, Fault, Request
from mlc.sandbox.sap import SapService, SapSwitches

DEAD = "Invalid session or session already timeout."


def test_login_gives_session_and_both_cookies() -> None:
    """Login answers the session, its minutes, the cookie B1SESSION and the cookie ROUTEID for /b1s."""
    caller = Sap(SapService(Clock(START)))
    answer = caller.login()
    assert answer.status == 200
    assert (answer.body["SessionTimeout"], answer.body["Version"]) == (30, "1000240")
    assert caller.cookies["B1SESSION"] == answer.body["SessionId"]
    cookies = [value for name, value in answer.raw.headers if name == "Set-Cookie"]
    assert cookies[0].endswith(";HttpOnly")
    assert cookies[1] in ("ROUTEID=.node1; path=/b1s", "ROUTEID=.node2; path=/b1s")
    assert caller.service.logins == 1


def test_without_session_everything_is_401_and_301() -> None:
    """Without a session a request is refused, the code a text on v2 and a number on v1."""
    for version, code in (("v2", "301"), ("v1", 301)):
        answer = Sap(SapService(Clock(START)), version).get("Invoices")
        assert answer.error == (401, 301, DEAD)
        assert answer.body["error"]["code"] == code
        assert ("details" in answer.body["error"]) is (version == "v2")


def test_session_dies_of_inactivity_only() -> None:
    """A session lives as long as it is used and is dead after 30 idle minutes."""
    caller = sap()
    for _ in range(5):
        caller.service.clock.advance(600)
        assert caller.get("Invoices").status == 200
    caller.service.clock.advance(31 * 60)
    assert caller.get("Invoices").error == (401, 301, DEAD)
    caller.login()
    assert caller.get("Invoices").status == 200


def test_session_is_good_on_both_versions() -> None:
    """A session opened on one version works on the other."""
    caller = sap("v1")
    caller.version = "v2"
    assert caller.get("Invoices").status == 200


def test_logout_ends_the_session() -> None:
    """After logout the cookie is worth nothing."""
    caller = sap()
    assert caller.post("Logout").status == 204
    assert caller.get("Invoices").error[:2] == (401, 301)


def test_expired_sessions_and_the_other_spelling() -> None:
    """A dead session may also be told under -5002, by its text alone."""
    caller = sap(dead_session="-5002")
    caller.service.expire_sessions()
    assert caller.get("Invoices").error == (400, -5002, DEAD)


def test_paths_are_case_sensitive() -> None:
    """A path in the wrong case is no login but a request without a session."""
    caller = Sap(SapService(Clock(START)))
    assert caller.post("login", {"CompanyDB": "SBODEMO"}).error == (401, 301, DEAD)
    assert sap().get("invoices").error[:2] == (404, -1008)


def test_wrong_password_and_unknown_company() -> None:
    """A wrong password is -304, an unknown company -306, both 401."""
    caller = Sap(SapService(Clock(START)))
    assert caller.login("wrong").error == (401, -304, "Fail to NONE-SSO login from SLD.")
    assert caller.login(user="nobody").error[:2] == (401, -304)
    assert caller.login(company="SBO_X").error[:2] == (401, -306)
    assert caller.service.logins == 3


def test_repeated_failures_lock_the_user() -> None:
    """After three wrong passwords even the right one is refused, until the user is unlocked."""
    caller = Sap(SapService(Clock(START)))
    for _ in range(3):
        caller.login("wrong")
    assert caller.login().error[:2] == (401, 100000055)
    caller.service.unlock_user("manager")
    assert caller.login().status == 200
    caller.service.lock_user("manager")
    assert caller.login().error[1] == 100000055


def test_old_versions_refuse_a_login_otherwise() -> None:
    """An old version answers 500 and 100000027."""
    caller = Sap(SapService(Clock(START), switches=SapSwitches(old_login_errors=True)))
    assert caller.login("wrong").error[:2] == (500, 100000027)


def test_login_body_is_checked() -> None:
    """Login refuses unknown fields, missing fields and what is no object."""
    caller = Sap(SapService(Clock(START)))
    good = {"CompanyDB": "SBODEMO", "UserName": "manager", "Password": "secret"}
    assert caller.post("Login", good | {"Language": "23"}).status == 200
    assert caller.post("Login", good | {"Token": "x"}).error[1] == -1000
    assert caller.post("Login", {"CompanyDB": "SBODEMO"}).status == 400
    assert caller.post("Login", b"nothing").status == 400
    assert caller.post("Login", good | {"Password": 1}).status == 400


def test_parallel_logins_fail() -> None:
    """Logins too close to each other are answered 500 and 299."""
    caller = Sap(SapService(Clock(START), switches=SapSwitches(parallel_login_seconds=2)))
    assert caller.login().status == 200
    assert caller.login().error == (500, 299, "SAML Login Failed")
    caller.service.clock.advance(3)
    assert caller.login().status == 200


@pytest.mark.parametrize(("how", "status", "written"), [("accepted", 201, 1), ("lost", 400, 0), ("done", 400, 1)])
def test_write_without_routeid(how: str, status: int, written: int) -> None:
    """A write without ROUTEID is accepted, or -1116 with or without having happened; reads do not mind."""
    caller = sap(missing_route_id=how)
    entry = invoice(caller.service.books)
    del caller.cookies["ROUTEID"]
    assert caller.get("Invoices").status == 200
    assert caller.post("CompanyService_GetAdminInfo").status == 200
    answer = caller.post("IncomingPayments", payment((entry, "119")))
    assert answer.status == status
    if status == 400:
        assert answer.error[1] == -1116
    assert len(list(caller.service.books.payments())) == written


def test_stale_node_is_left_by_a_login_without_routeid() -> None:
    """A node with a stale schema keeps refusing while ROUTEID leads to it."""
    caller = sap()
    caller.service.stall_node(caller.cookies["ROUTEID"])
    assert caller.get("Invoices").error[:2] == (500, 407)
    caller.login()
    assert caller.get("Invoices").error[:2] == (500, 407)
    del caller.cookies["ROUTEID"]
    caller.login()
    assert caller.get("Invoices").status == 200


def test_prefix_and_ping() -> None:
    """A hoster's prefix stands before everything, in cookies too; ping needs no session."""
    caller = sap(prefix="/ServiceLayer")
    assert caller.get("Invoices").status == 200
    fresh = caller.service
    pong = fresh.serve(Request("GET", "/ping/"))
    assert (pong.status, b'"pong"' in pong.body) == (200, True)
    assert fresh.serve(Request("GET", "/b1s/v2/Invoices")).status == 404
    assert fresh.serve(Request("GET", "/ServiceLayer/b1s/v3/Invoices")).status == 404
    cookie = next(value for name, value in caller.login().raw.headers if value.startswith("ROUTEID"))
    assert cookie.endswith("path=/ServiceLayer/b1s")
    other = Sap(SapService(Clock(START), switches=SapSwitches(route_cookie_path="/")))
    assert any(value.endswith("path=/") for _, value in other.login().raw.headers)


def test_error_envelopes() -> None:
    """Errors come in the v2 form, with a message object, or as old versions write them, and in another language."""
    assert isinstance(sap(error_style="message_dict").get("X").body["error"]["message"], dict)
    assert "innererror" in sap(error_style="innererror").get("X").body["error"]
    caller = sap(localised=True)
    entry = invoice(caller.service.books)
    caller.service.books.close_document(entry)
    text = caller.post("IncomingPayments", payment((entry, "1"))).error[2]
    assert text == "Vorgang kann nicht ausgeführt werden  [Message 3524-20]"


def test_network_faults_are_the_kits() -> None:
    """A late answer is work done later: the payment exists once the delay has passed, although nobody was told."""
    caller = sap()
    entry = invoice(caller.service.books)
    caller.service.faults.append(Fault("late", method="POST", path="IncomingPayments", delay=100))
    with pytest.raises(Exception, match="late"):
        caller.post("IncomingPayments", payment((entry, "119")))
    assert caller.service.books.open_balance(entry) == D("119.00")
    caller.service.clock.advance(101)
    assert caller.get("Invoices").status == 200
    assert caller.service.books.open_balance(entry) == 0
    caller.service.books.check()
