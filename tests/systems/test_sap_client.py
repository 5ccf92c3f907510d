"""The way to SAP: one login and never a second wrong one, honest outcomes, pages without gaps, filters that mean what they say."""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import httpx
import pytest

from harness import BEGIN, TODAY, TestClock, Wire
from mlc.core.errors import CredentialError, MlcError, UnreachableError
from mlc.core.intents import Answer, Call, Refusal
from mlc.core.roles import Doubt, NotSent
from mlc.sandbox.kit import Clock, Fault, Response
from mlc.sandbox.sap import SapService, SapSwitches
from mlc.systems.sap import odata
from mlc.systems.sap.client import SapOptions, SapSystem
from mlc.systems.sap.reads import SapReads
from mlc.systems.sap.session import Login


class World:
    """A Service Layer and mlc's client for it."""

    def __init__(self, *, password: str = "secret", version: str = "v2", page_size: int = 20, **switches: Any) -> None:
        self.clock = TestClock(Clock(BEGIN))
        self.service = SapService(self.clock.world, users={"manager": "secret"}, switches=SapSwitches(**switches))
        login = Login("acme", f"http://127.0.0.1:1/b1s/{version}", "SBODEMO", "manager", lambda: password)
        self.system = SapSystem(login, SapOptions(page_size=page_size), self.clock, transport=Wire(self.service, self.clock))
        self.service.books.add_partner("C1", "Müller", email="c1@example.com")

    def post(self, reference: str = "pi_1") -> Answer | Refusal:
        """Book ten euros on account."""
        body = {"DocType": "rCustomer", "CardCode": "C1", "TransferAccount": "1361", "TransferSum": 10, "DocDate": TODAY.isoformat(),
                "TransferDate": TODAY.isoformat(), "TransferReference": reference}  # fmt: skip
        return self.system.deliver(Call("post", "sap", "POST", "IncomingPayments", body, write=True))

    def read(self) -> Any:
        """Read something."""
        return self.system.get("BusinessPartners", odata.query(select="CardCode"))

    def booked(self) -> int:
        """How many receipts there are."""
        return len(list(self.service.books.payments()))


@pytest.mark.parametrize("dead", ["301", "-5002"])
@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("act", [World.read, World.post])
def test_a_session_that_is_gone_costs_one_login(dead: str, version: str, act: Callable[[World], Any]) -> None:
    """Where SAP says that the session is gone there is one new login and the request goes on, POST included, once."""
    world = World(dead_session=dead, version=version)
    world.read()
    assert world.service.logins == 1
    world.service.expire_sessions()
    assert act(world)
    assert world.service.logins == 2
    assert world.booked() == (act is World.post)


def test_a_session_that_dies_at_once_is_no_endless_loop() -> None:
    """A server that drops every session at once is told as such after one new login."""
    world = World()
    world.service.watchers.append(lambda request, _answer: world.service.expire_sessions())
    with pytest.raises(MlcError):
        world.read()
    assert world.service.logins <= 3
    with pytest.raises(NotSent):
        world.post()
    assert world.booked() == 0


@pytest.mark.parametrize("old", [False, True])
def test_a_wrong_password_is_tried_once(old: bool) -> None:
    """A refused login is never repeated, by whatever is asked next, and is a CredentialError (complaint 49)."""
    world = World(password="wrong", old_login_errors=old)
    for act in (world.read, world.read, world.post):
        with pytest.raises(CredentialError):
            act()
    assert world.service.logins == 1


def test_a_locked_user_is_tried_once() -> None:
    """A locked user is a CredentialError after one login."""
    world = World()
    world.service.lock_user("manager")
    with pytest.raises(CredentialError):
        world.read()
    assert world.service.logins == 1


def test_a_session_is_renewed_before_it_times_out() -> None:
    """After almost the whole time-out without a request mlc logs in first, so that no write ever meets a dead session."""
    world = World(session_timeout_minutes=30)
    world.read()
    world.clock.pass_time(29 * 60 + 30)
    refused: list[int] = []
    world.service.watchers.append(lambda _request, answer: refused.append(answer.status) if answer.status >= 400 else None)
    assert isinstance(world.post(), Answer)
    assert refused == []
    assert world.service.logins == 2


def test_a_session_in_use_is_kept() -> None:
    """A session that is used every ten minutes is never renewed."""
    world = World()
    for _ in range(12):
        world.clock.pass_time(600)
        world.read()
    assert world.service.logins == 1


def test_parallel_logins_wait() -> None:
    """A login that is refused because of another one in the same second is tried again a little later."""
    world = World(parallel_login_seconds=0.2)
    world.service.sessions._last_login = BEGIN
    assert world.read()
    assert world.service.logins == 2


def test_a_node_that_went_stale_is_left() -> None:
    """A node with a stale schema is left by a new login without its route."""
    world = World()
    world.read()
    for node in world.service.switches.nodes[:1]:
        world.service.stall_node(node)
    assert world.read()


OWN = Response.of_json(503, {"error": {"code": "-1", "message": "busy"}})


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_write_behind_a_proxys_error_is_in_doubt(status: int) -> None:
    """HTML in answer to a write says nothing about what happened: doubt, and never a second request."""
    world = World()
    world.service.faults.append(Fault("lost_html", "POST", "IncomingPayments", status=status))
    with pytest.raises(Doubt):
        world.post()
    assert world.booked() == 1


@pytest.mark.parametrize("kind", ["lost", "never"])
def test_a_write_without_an_answer_is_in_doubt(kind: str) -> None:
    """A write whose answer is lost is in doubt, and is not repeated here."""
    world = World()
    world.service.faults.append(Fault(kind, "POST", "IncomingPayments"))
    with pytest.raises(Doubt):
        world.post()
    assert world.booked() == (kind == "lost")


@pytest.mark.parametrize("status", [429, 503])
def test_saps_own_busy_answer_is_no_doubt(status: int) -> None:
    """SAP's own error body with 429 or 503 says that nothing was done: the write goes on and is done once."""
    world = World()
    answer = Response.of_json(status, {"error": {"code": "-1", "message": "busy"}})
    world.service.faults.append(Fault("answer", "POST", "IncomingPayments", times=2, response=answer))
    assert isinstance(world.post(), Answer)
    assert world.booked() == 1


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_read_is_repeated(status: int) -> None:
    """A read meets trouble of a proxy with patience and ends with the answer."""
    world = World()
    world.read()
    world.service.faults.append(Fault("html", "GET", "BusinessPartners", status=status, times=3))
    assert world.read()["value"]
    assert world.clock.slept > 1


def test_a_read_that_never_heals_is_unreachable() -> None:
    """A read that meets trouble for ever is UnreachableError after a few tries."""
    world = World()
    world.read()
    world.service.faults.append(Fault("html", "GET", "BusinessPartners", status=503, times=1000))
    mark = len(world.service.log)
    with pytest.raises(UnreachableError):
        world.read()
    assert len(world.service.log) - mark <= 6


def test_a_connection_that_was_refused_was_never_sent() -> None:
    """Where no connection comes about nothing can have happened."""
    world = World()
    world.read()

    def refuse(_request: httpx.Request) -> None:
        raise httpx.ConnectError("refused")

    wire = Wire(world.service, world.clock)
    wire.before = refuse
    world.system._http._client = httpx.Client(transport=wire, auth=world.system.session)
    with pytest.raises(NotSent):
        world.post()
    assert world.booked() == 0


@pytest.mark.parametrize("link", ["relative", "path", "absolute", "foreign", "off"])
@pytest.mark.parametrize("count", [0, 1, 19, 20, 21, 40, 57])
def test_pages_are_whole(link: Any, count: int) -> None:
    """Every row is read once, however many there are and however the next link is written; no other origin is ever asked."""
    world = World(next_link=link)
    for _ in range(count):
        world.service.books.add_invoice("C1", [("x", Decimal(1), Decimal(10), Decimal(0))], doc_date=TODAY)
    found = [one.doc_entry for page in SapReads(world.system).open_invoices(TODAY, 0, None) for one in page]
    assert found == list(range(1, count + 1))


def test_rows_that_go_meanwhile_hide_no_others() -> None:
    """Documents that close while pages are read hide no neighbour, and none comes twice."""
    world = World()
    for _ in range(60):
        world.service.books.add_invoice("C1", [("x", Decimal(1), Decimal(10), Decimal(0))], doc_date=TODAY)
    found: list[int] = []
    for page in SapReads(world.system).open_invoices(TODAY, 0, None):
        found += [one.doc_entry for one in page]
        for entry in (found[0], found[-1] + 3):
            if entry <= 60 and world.service.books.invoice(entry).status == "bost_Open":
                world.service.books.close_document(entry)
    assert len(found) == len(set(found))
    closed = {one.doc_entry for one in world.service.books.invoices() if one.status == "bost_Close"}
    assert set(range(1, 61)) - closed <= set(found)


def test_what_is_filtered_comes_back() -> None:
    """A thousand strings with quotes, percent signs, ampersands and umlauts are each found by a filter, and only themselves."""
    world = World(page_size=100)
    rng = random.Random(7)
    letters = "ab'\"%&+=#?/\\()[]{};,. ÄöüßŁ€🚀中$@!~^*|<>-_:\t"
    texts = list(dict.fromkeys("".join(rng.choices(letters, k=rng.randint(1, 27))) for _ in range(1000)))
    for text in texts:
        world.service.books.add_receipt("C1", Decimal(1), {}, date=TODAY, reference=text)
    found = SapReads(world.system).receipts_by_marker([*texts, "absent", "it''s", "' or DocEntry gt 0 or '"])
    assert {text: [one.reference for one in rows] for text, rows in found.items()} == {
        **{text: [text] for text in texts}, "absent": [], "it''s": [], "' or DocEntry gt 0 or '": [],
    }  # fmt: skip


def test_amounts_stay_exact() -> None:
    """An amount of SAP is the decimal that was sent, never the neighbour of a double."""
    world = World()
    amounts = ["0.1", "19.99", "1234567.89", "999999.99", "0.07"]
    for price in amounts:
        world.service.books.add_invoice("C1", [("x", Decimal(1), Decimal(price), Decimal(0))], doc_date=TODAY)
    found = [one.total for page in SapReads(world.system).open_invoices(TODAY, 0, None) for one in page]
    assert found == [Decimal(price) for price in amounts]


@pytest.mark.parametrize(("code", "times"), [(-1116, 2), (305, 3), (407, 1)])
def test_a_failing_server_is_read_again(code: int, times: int) -> None:
    """A 500 of SAP's own on a read is trouble that passes, whatever its code: it is read again, and the answer is had."""
    world = World()
    answer = Response.of_json(500, {"error": {"code": str(code), "message": "trouble"}})
    world.service.faults.append(Fault("answer", "GET", "BusinessPartners", times=times, response=answer))
    assert set(SapReads(world.system).partners(["C1"])) == {"C1"}


def test_a_server_that_keeps_failing_is_unreachable() -> None:
    """Where it never passes the run ends with 5, not with a defect."""
    world = World()
    answer = Response.of_json(500, {"error": {"code": "-1116", "message": "trouble"}})
    world.service.faults.append(Fault("answer", "GET", "BusinessPartners", times=99, response=answer))
    with pytest.raises(UnreachableError):
        SapReads(world.system).partners(["C1"])
