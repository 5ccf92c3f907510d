"""The way to GoCardless: read only, pages by cursor, errors by what they mean, limits waited out, and few requests."""

from __future__ import annotations

import json
import re
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from direct_debit import DebitCompany
from harness import BEGIN, TestClock, Wire
from mlc.core.errors import CredentialError, UnexpectedAnswerError, UnreachableError
from mlc.core.intents import Answer, Call, Refusal
from mlc.sandbox.gocardless import GoCardlessService, GoCardlessSwitches
from mlc.sandbox.kit import Clock, Fault, Request, Response
from mlc.sandbox.sap import SapSwitches
from mlc.systems.gocardless.client import GoCardlessOptions, GoCardlessRefusedError, GoCardlessSystem
from mlc.systems.gocardless.reads import GoCardlessReads, GoneError

TOKEN = "sandbox_Geheim_0815"
WIRE = Path(__file__).resolve().parents[3] / "shared" / "wire" / "gocardless"


class World:
    """An organisation at GoCardless and mlc's client for it."""

    def __init__(self, token: str = TOKEN, **switches: Any) -> None:
        self.clock = TestClock(Clock(BEGIN))
        self.service = GoCardlessService(self.clock.world, access_token=TOKEN, switches=GoCardlessSwitches(**switches))
        self.said: list[str] = []
        self.heard: list[Request] = []
        self.service.watchers.append(lambda request, _: self.heard.append(request))
        options = GoCardlessOptions(url="http://127.0.0.1:3", tenant="acme", where="env G")
        wire = Wire(self.service, self.clock)
        self.system = GoCardlessSystem(lambda: token, options, self.clock, transport=wire, log=self.said.append)
        self.reads = GoCardlessReads(self.system)

    def answer(self, status: int, body: bytes = b"{}", times: int = 1, headers: tuple[tuple[str, str], ...] = ()) -> None:
        """Let the next requests be answered so."""
        self.service.faults.append(Fault("answer", times=times, response=Response(status, body, headers)))

    def tries(self) -> int:
        """How many requests there were."""
        return len(self.service.log)


def test_every_request_carries_token_and_version() -> None:
    """Bearer token, version and the wanted type stand in every request."""
    world = World()
    world.system.get("/customers")
    (request,) = world.heard
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.headers["gocardless-version"] == "2015-07-06"
    assert request.headers["accept"] == "application/json"


def test_pages_are_followed_to_the_end() -> None:
    """A list is read by cursor, 500 a page, every row once, until the cursor is null."""
    world = World()
    made = [world.service.organisation.add_customer(f"Firm {number}") for number in range(1001)]
    found = [row["id"] for row in world.system.rows("customers")]
    assert sorted(found) == sorted(made)
    assert world.tries() == 3
    assert {dict(one.query)["limit"] for one in world.heard} == {"500"}


def test_a_cursor_that_leads_to_itself_is_no_endless_loop() -> None:
    """A list whose cursor does not move is an unexpected answer, not a loop."""
    world = World()
    body = b'{"customers": [], "meta": {"cursors": {"before": null, "after": "X"}, "limit": 50}}'
    world.answer(200, body, times=100)
    with pytest.raises(UnexpectedAnswerError):
        list(world.system.rows("customers"))
    assert world.tries() <= 3


@pytest.mark.parametrize("body", [b"{}", b'{"payouts": []}', b'{"customers": {}}'])
def test_a_list_without_its_envelope_is_loud(body: bytes) -> None:
    """A list without the envelope of its kind is an unexpected answer, never an empty list."""
    world = World()
    world.answer(200, body)
    with pytest.raises(UnexpectedAnswerError):
        list(world.system.rows("customers"))


@pytest.mark.parametrize("kind", ["html", "internal", "lost", "never"])
@pytest.mark.parametrize("times", [1, 4])
def test_trouble_on_a_read_is_repeated(kind: str, times: int) -> None:
    """A proxy's HTML, a JSON 500, a lost answer: the read is repeated with growing pauses."""
    world = World()
    world.service.faults.append(Fault(kind, times=times, status=502))
    assert world.system.get("/customers")["customers"] == []
    assert times < world.tries() <= 2 * times + 1  # the simulator writes a lost one down twice
    assert world.clock.slept > 0


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429])
def test_trouble_that_lasts_is_unreachable(status: int) -> None:
    """What never heals ends as unreachable after some tries: exit 5, and the token is in no word of it."""
    world = World()
    world.answer(status, b"<html>Bad Gateway</html>", times=1000)
    with pytest.raises(UnreachableError) as caught:
        world.system.get("/customers")
    assert caught.value.exit_code == 5
    assert 3 <= world.tries() <= 10
    assert TOKEN not in caught.value.message + caught.value.hint


@pytest.mark.parametrize("body", [b"", b"not json", b"[]", b"null", b"\xff\xfe"])
def test_an_unreadable_body_is_repeated(body: bytes) -> None:
    """A 200 that cannot be read is repeated; to the end of the tries it is unreachable, never taken as empty."""
    world = World()
    world.answer(200, body, times=2)
    assert world.system.get("/customers")["customers"] == []
    world.answer(200, body, times=1000)
    with pytest.raises(UnreachableError):
        world.system.get("/customers")


def limited(world: World, reset: str | None, times: int = 1) -> None:
    """Let requests be throttled with this RateLimit-Reset."""
    body = b'{"error": {"message": "Rate limit exceeded", "type": "invalid_api_usage", "code": 429}}'
    headers = (("RateLimit-Reset", reset),) if reset is not None else ()
    world.answer(429, body, times=times, headers=headers)


def test_a_limit_is_waited_out_until_its_date() -> None:
    """429 waits until the HTTP date in RateLimit-Reset, and not much longer."""
    world = World()
    limited(world, formatdate(BEGIN + 41, usegmt=True))
    assert world.system.get("/customers")["customers"] == []
    assert 41 <= world.clock.slept <= 45


@pytest.mark.parametrize(
    "reset", [None, "", "soon", "12", "Tue, 99 Nov 2026 10:00:00 GMT", formatdate(BEGIN - 600, usegmt=True)]
)
def test_a_limit_without_a_usable_date(reset: str | None) -> None:
    """Missing, unreadable or in the past: the usual backoff, no endless wait and no defect."""
    world = World()
    limited(world, reset, times=3)
    assert world.system.get("/customers")["customers"] == []
    assert 0 < world.clock.slept < 60


def test_a_date_far_away_is_not_believed() -> None:
    """A limit counts per minute: a date hours away does not stop the run for hours."""
    world = World()
    limited(world, formatdate(BEGIN + 86400, usegmt=True))
    world.system.get("/customers")
    assert world.clock.slept < 600


def test_a_real_limit_is_kept() -> None:
    """Where GoCardless throttles at its own limit every read is answered in the end, none is lost."""
    world = World(rate_limit=5, rate_limited=True)
    for _ in range(23):
        world.system.get("/customers")
    assert world.clock.slept >= 60
    assert sum(1 for *_, status in world.service.log if status == 200) == 23


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_without_the_right_is_a_credential(status: int) -> None:
    """401 and 403 are exit 4 at once; tenant and place of the token are named, the token is not."""
    world = World("sandbox_wrong_token") if status == 401 else World(forbidden=("payouts",))
    with pytest.raises(CredentialError) as caught:
        list(world.system.rows("payouts"))
    error = caught.value
    assert (error.exit_code, world.tries()) == (4, 1)
    assert "acme" in error.message
    assert "env G" in error.message
    for text in (error.message, error.hint, *world.said):
        assert TOKEN not in text
        assert "sandbox_wrong_token" not in text


def test_what_does_not_exist_is_none() -> None:
    """404 of a single object is None, for every resource that is read."""
    world = World()
    for read in (
        world.reads.payout, world.reads.collection, world.reads.mandate, world.reads.debtor, world.reads.refund, world.reads.event,
    ):  # fmt: skip
        assert read("XX404") is None


@pytest.mark.parametrize("reason", [None, "payout_items_unavailable", "something_else"])
def test_items_that_are_gone_say_so(reason: str | None) -> None:
    """410 of the items of an old payout is GoneError, with or without a reason, and is not repeated."""
    world = World(gone_reason=reason)
    made = world.service.organisation
    payout = made.pay(made.collect(made.add_mandate(made.add_customer("x")), 100_00))
    world.clock.world.advance(200 * 86400)
    before = world.tries()
    with pytest.raises(GoneError):
        world.reads.items(payout)
    assert world.tries() == before + 1


@pytest.mark.parametrize(("status", "kind"), [(400, "invalid_api_usage"), (422, "validation_failed"), (409, "invalid_state")])
def test_a_refusal_tells_type_text_and_request(status: int, kind: str) -> None:
    """Another refusal names path, status, type, text and request id, and is tried once."""
    world = World()
    error = {
        "message": "No way",
        "type": kind,
        "code": status,
        "request_id": "0815-4711",
        "errors": [{"field": "x", "message": "bad"}],
    }
    world.answer(status, json.dumps({"error": error}).encode())
    with pytest.raises(GoCardlessRefusedError) as caught:
        world.system.get("/customers")
    for word in ("/customers", str(status), kind, "No way", "bad", "0815-4711"):
        assert word in caught.value.message
    assert world.tries() == 1


@pytest.mark.skipif(not WIRE.is_dir(), reason="the published shapes are not beside the repository")
@pytest.mark.parametrize("name", sorted(path.stem for path in WIRE.glob("*error*.json")))
def test_published_errors_are_understood(name: str) -> None:
    """Every error body that GoCardless publishes becomes an error of the right kind with its own words."""
    world = World()
    body = json.loads((WIRE / f"{name}.json").read_text())
    error = body["error"]
    world.answer(int(error["code"]), json.dumps(body).encode(), times=1000)
    with pytest.raises((GoCardlessRefusedError, CredentialError, UnreachableError)) as caught:
        world.system.get("/customers")
    assert error["message"].split(":")[0] in caught.value.message


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_write_is_a_defect(method: str) -> None:
    """The client refuses to write: nothing reaches the wire."""
    world = World()
    with pytest.raises(AssertionError):
        world.system.deliver(Call("x", "gocardless", method, "/payouts/PO1", {}, write=True), "key")
    assert world.tries() == 0


def test_delivered_reads() -> None:
    """A read that is delivered is an Answer, a refusal is a Refusal."""
    world = World()
    assert isinstance(world.system.deliver(Call("x", "gocardless", "GET", "/customers")), Answer)
    refused = world.system.deliver(Call("x", "gocardless", "GET", "/customers/CU404"))
    assert isinstance(refused, Refusal)


# --- what a whole story asks -------------------------------------------------------------------------------------------


def told(folder: Path, heard: list[Request]) -> DebitCompany:
    """A story in which mlc uses every read it has, and twice runs without anything to do."""
    company = DebitCompany(folder)
    company.gocardless.watchers.append(lambda request, _: heard.append(request))
    organisation = company.organisation
    _, payment, payout = company.paid("C1", 500)
    plan = organisation.add_subscription(company.mandates["C1"], 4000, "Monthly", {"invoice": str(company.owe("C1", 40)[1])})
    company.arrive(organisation.payment_confirmed(organisation.subscription_payment(plan)))
    company.reconcile()
    organisation.charge_back(payment)
    company.debtor("C2")
    organisation.add_refund(mandate=company.mandates["C2"], amount=500)
    unknown = company.collect("C2", 900)
    held = company.arrive(unknown)
    company.reconcile()
    company.run("sync-customers")
    company.decide(unknown, company.owe("C2", 900)[0])
    company.reconcile(held)
    organisation.bounce(payout)
    company.reconcile()
    company.clock.pass_time(86400)
    company.forget()
    company.reconcile()
    return company


FILTERS = {
    "payouts": {"created_at[gte]", "status"}, "payout_items": {"payout"}, "payments": {"created_at[gte]"}, "customers": {"created_at[gte]"},
    "mandates": {"created_at[gte]"}, "subscriptions": set(), "instalment_schedules": set(), "refunds": set(),
    "events": {"created_at[gte]", "created_at[lte]", "resource_type", "action", "include"},
}  # fmt: skip


@pytest.mark.skipif(not WIRE.is_dir(), reason="the published shapes are not beside the repository")
def test_every_request_is_as_published(tmp_path: Path) -> None:
    """Every request of a whole story is a GET of a published path, with filters that GoCardless has."""
    heard: list[Request] = []
    told(tmp_path, heard)
    assert heard
    templates = {}
    for path in WIRE.glob("*.json"):
        content = json.loads(path.read_text())
        for operation in ("list", "get"):
            if isinstance(content, dict) and isinstance(content.get(operation), dict):
                shape = content[operation]
                templates[re.sub(r":\w+", "[A-Za-z0-9]+", shape["path_template"])] = shape["method"]
    for request in heard:
        assert request.method == "GET"
        assert any(re.fullmatch(one, request.path) and method == "GET" for one, method in templates.items()), request.path
        parts = request.path.strip("/").split("/")
        names = {name for name, _ in request.query}
        assert names <= ({"limit", "after"} | FILTERS[parts[0]] if len(parts) == 1 else set()), (request.path, names)
        query = dict(request.query)
        assert "include" not in query or "resource_type" in query
        for name, value in query.items():
            if name.startswith("created_at"):
                assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", value)
        assert request.body == b""


def test_the_story_was_told(tmp_path: Path) -> None:
    """The simulator refused nothing of the story: every answer is 200 or a 404 that is understood."""
    company = told(tmp_path, [])
    assert {status for *_, status in company.requests("gocardless")} <= {200, 404}


# --- how many requests -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [False, True])
def test_a_thousand_payments_cost_few_requests(tmp_path: Path, before: bool) -> None:
    """1,000 payments in 20 payouts cost at most 50 requests to GoCardless, also where an earlier run had read the payments."""
    company = DebitCompany(tmp_path, sap_config="page_size: 500", sap={"switches": SapSwitches(page_size=500)})
    cards = [f"C{number}" for number in range(50)]
    for card in cards:
        company.debtor(card)
    payments = []
    for number in range(1000):
        card = cards[number % 50]
        _, doc = company.owe(card, 10)
        payments.append(company.organisation.add_payment(company.mandates[card], 1000, metadata={"invoice": str(doc)}))
    if before:
        company.reconcile()
        company.clock.pass_time(86400)
    start, sap = len(company.gocardless.log), len(company.sap.log)
    for first in range(0, 1000, 50):
        company.arrive(*payments[first : first + 50], days=0)
    company.clock.pass_time(2 * 86400)
    report = company.reconcile(dry_run=True)
    assert (report.counts["planned"], report.counts["held"]) == (20, 0)
    assert len(company.requests("gocardless", start)) <= 50
    reads = [path for method, path, _ in company.requests("sap", sap) if method == "GET" and "/Invoices" in path]
    assert not [path for path in reads if "Invoices(" in path]
    assert len(reads) <= 100


def test_booking_reads_no_invoice_one_by_one(tmp_path: Path) -> None:
    """200 payments in 4 payouts are booked and reconciled with some reads of invoices, not one for each; then all is quiet."""
    company = DebitCompany(tmp_path, sap={"switches": SapSwitches(page_size=500)})
    for number in range(1, 11):
        company.debtor(f"C{number}")
    for _ in range(4):
        company.arrive(
            *(company.collect(f"C{n % 10 + 1}", 10, company.owe(f"C{n % 10 + 1}", 10)[1]) for n in range(50)), days=0
        )
    company.clock.pass_time(2 * 86400)
    sap = len(company.sap.log)
    company.reconcile()
    reads = [path for method, path, _ in company.requests("sap", sap) if method == "GET" and "/Invoices" in path]
    assert not [path for path in reads if "Invoices(" in path]
    assert len(reads) <= 25, len(reads)
    assert all(company.open_of(one.doc_entry) == 0 for one in company.books.invoices())
    start, sap = len(company.gocardless.log), len(company.sap.log)
    company.reconcile()
    assert len(company.requests("gocardless", start)) <= 6
    assert len(company.requests("sap", sap)) == 1, "the entries of posted payouts, looked at once"


def test_an_idle_run_costs_five_requests(tmp_path: Path) -> None:
    """Where nothing happened a run asks GoCardless for what is new, five lists, and SAP once whether its entries still stand."""
    company = DebitCompany(tmp_path)
    company.paid("C1", 100)
    company.reconcile()
    start, sap = len(company.gocardless.log), len(company.sap.log)
    company.reconcile()
    assert [path for _, path, _ in company.requests("gocardless", start)] == [
        "/customers",
        "/mandates",
        "/payments",
        "/events",
        "/payouts",
    ]
    assert [path for _, path, _ in company.requests("sap", sap)] == ["/b1s/v2/JournalEntries"]
