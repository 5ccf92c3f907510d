"""The way to Stripe: keyed writes that may be repeated, every error by what it means, and never more a second than allowed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness import BEGIN, Company, TestClock, Wire
from mlc.core.errors import ConfigError, CredentialError, UnreachableError
from mlc.core.intents import Answer, Call, Refusal
from mlc.core.roles import Doubt, NotSent
from mlc.sandbox.kit import Clock, Fault, Response
from mlc.sandbox.stripe import StripeService, StripeSwitches
from mlc.systems.stripe.client import StripeOptions, StripeSystem, form

KEY = "sk_test_mlcsandbox"


class World:
    """A Stripe account and mlc's client for it."""

    def __init__(self, *, key: str = KEY, livemode: bool = False, service_key: str = KEY, **switches: Any) -> None:
        self.clock = TestClock(Clock(BEGIN))
        self.service = StripeService(self.clock.world, secret_key=service_key, switches=StripeSwitches(**switches))
        options = StripeOptions(url="http://127.0.0.1:2", tenant="acme", livemode=livemode)
        self.system = StripeSystem(lambda: key, options, self.clock, transport=Wire(self.service, self.clock))

    def create(self, key: str = "k1", name: str = "x") -> Answer | Refusal:
        """Create a customer under a key."""
        return self.system.deliver(Call("create", "stripe", "POST", "/v1/customers", {"name": name}, write=True), key)

    def fail(self, kind: str, **more: Any) -> None:
        """Let customers meet trouble."""
        self.service.faults.append(Fault(kind, path="/v1/customers", **more))

    def made(self) -> int:
        """How many customers there are."""
        return len(self.service.account.all("customer"))

    def tries(self) -> int:
        """How many requests there were."""
        return len(self.service.log)


@pytest.mark.parametrize("act", ["read", "write"])
def test_a_bad_key_is_a_credential_and_tried_once(act: str) -> None:
    """401 is a CredentialError at once, for reads and writes."""
    world = World(key="sk_test_wrong")
    with pytest.raises(CredentialError):
        world.system.get("/v1/customers") if act == "read" else world.create()
    assert world.tries() == 1


@pytest.mark.parametrize("act", ["read", "write"])
def test_a_restricted_key_without_the_right_is_a_credential(act: str) -> None:
    """403 of a restricted key is a CredentialError at once."""
    world = World(key="rk_test_mlcsandbox", forbidden=frozenset({"customers"}))
    with pytest.raises(CredentialError):
        world.system.get("/v1/customers") if act == "read" else world.create()
    assert world.tries() == 1


@pytest.mark.parametrize("kind", ["lost", "never", "lost_html", "html"])
def test_a_lost_answer_is_repeated_under_its_key(kind: str) -> None:
    """A write whose answer is lost is repeated under the same key at once and done exactly once."""
    world = World()
    world.fail(kind, times=2)
    assert isinstance(world.create(), Answer)
    assert world.made() == 1


@pytest.mark.parametrize("kind", ["rate_limit", "lock_timeout"])
def test_a_throttled_write_is_no_doubt(kind: str) -> None:
    """429 is repeated with growing pauses and done once; to the end of the retries it was never sent."""
    world = World()
    world.fail(kind, times=3)
    assert isinstance(world.create(), Answer)
    assert world.made() == 1
    assert world.clock.slept > 1
    world.fail(kind, times=1000)
    with pytest.raises(NotSent):
        world.create("k2")
    assert world.made() == 1


@pytest.mark.parametrize(
    "reason", ["global-rate", "global-concurrency", "endpoint-rate", "endpoint-concurrency", "resource-specific"]
)
def test_each_reason_of_a_429_is_met_with_patience(reason: str) -> None:
    """Whatever limit was hit, the request goes on after a pause; Retry-After is honoured."""
    world = World()
    headers = [("Stripe-Rate-Limited-Reason", reason), ("Retry-After", "7")]
    answer = Response.of_json(
        429, {"error": {"type": "invalid_request_error", "code": "rate_limit", "message": "slow"}}, headers
    )
    world.fail("answer", times=1, response=answer)
    assert isinstance(world.create(), Answer)
    assert world.clock.slept >= 7


def test_a_read_that_is_throttled_for_ever_is_unreachable() -> None:
    """A read that is throttled to the end of the retries is UnreachableError."""
    world = World()
    world.fail("rate_limit", times=1000)
    with pytest.raises(UnreachableError):
        world.system.get("/v1/customers")


def test_a_key_in_use_is_waited_for() -> None:
    """409 while the first request is still being worked on: the same key again, done once."""
    world = World()
    world.fail("late", delay=1.5)
    world.service.faults[0].method = "POST"
    world.system.options = StripeOptions(url="http://127.0.0.1:2", timeout=0.1)
    assert isinstance(world.create(), Answer)
    assert world.made() == 1


def test_stripe_should_retry_outranks_the_status() -> None:
    """Stripe-Should-Retry: true repeats what would be a refusal."""
    world = World()
    world.fail("should_retry", status=400)
    assert isinstance(world.create(), Answer)
    assert world.made() == 1


def test_stripe_should_not_retry_leaves_the_doubt() -> None:
    """Stripe-Should-Retry: false on a 500 is not repeated at once; what happened stays in doubt."""
    world = World()
    world.fail("should_not_retry", status=500)
    with pytest.raises(Doubt):
        world.create()
    assert world.tries() == 1


def test_stripe_should_not_retry_a_429() -> None:
    """Stripe-Should-Retry: false on a 429 ends the tries: nothing was done."""
    world = World()
    answer = Response.of_json(429, {"error": {"type": "api_error", "message": "no"}}, [("Stripe-Should-Retry", "false")])
    world.fail("answer", times=1000, response=answer)
    with pytest.raises(NotSent):
        world.create()
    assert world.tries() == 1


@pytest.mark.parametrize("done", [False, True])
def test_a_saved_500_is_ended_doubt(done: bool) -> None:
    """A 500 that Stripe saved and repeats is doubt that has ended: the key is of no more use, what happened must be looked up."""
    world = World()
    world.fail("saved_500_done" if done else "saved_500")
    with pytest.raises(Doubt) as caught:
        world.create()
    assert caught.value.ended
    assert world.made() == done


def test_a_key_with_another_body_is_ended_doubt() -> None:
    """The same key with another body, as after a lost state, is looked into and never taken for a refusal."""
    world = World()
    world.create("k1", "one")
    with pytest.raises(Doubt) as caught:
        world.create("k1", "two")
    assert caught.value.ended
    assert world.made() == 1


def test_after_amnesia_the_same_keys_duplicate_nothing(tmp_path: Path) -> None:
    """A state lost in the middle of a push, while Stripe still knows the keys, leads to one invoice that is right."""
    company = Company(tmp_path)
    company.partner()
    entry = company.invoice()
    company.stripe.faults.append(Fault("never", "POST", "finalize", times=1000))
    company.run()
    assert company.account.all("invoice", status="draft")
    company.stripe.faults.clear()
    company.forget()
    company.clock.pass_time(60)
    company.invoice(net="7.00")
    company.books.add_receipt("C1", company.books.open_balance(entry) / 7, {entry: company.books.open_balance(entry) / 7},
                              date=company.books.today())  # fmt: skip
    for _ in range(3):
        company.run()
    assert len(company.pushed()) == 2
    assert company.account.read(company.pushed()[entry])["amount_due"] == 10200
    assert [one["status"] for one in company.account.all("invoice")].count("draft") == 0


@pytest.mark.parametrize(
    "act",
    [
        lambda world: world.create(),
        lambda world: world.system.get(f"/v1/customers/{world.service.account.all('customer')[0]['id']}"),
        lambda world: list(world.system.pages("/v1/customers", {})),
    ],
    ids=["write", "read", "list"],
)
def test_objects_of_the_other_mode_are_refused(act: Callable[[World], Any]) -> None:
    """A live object in a tenant of test mode is a ConfigError, before anything is decided on it."""
    world = World(key="sk_live_x", service_key="sk_live_x")
    world.service.account.add_customer("x")
    with pytest.raises(ConfigError):
        act(world)


def test_a_live_tenant_refuses_test_objects() -> None:
    """A test object in a tenant of live mode is a ConfigError."""
    world = World(livemode=True)
    with pytest.raises(ConfigError):
        world.create()


MINE = {"object": "customer", "id": "cus_1", "livemode": True, "metadata": {"livemode": "false"}}
FOREIGN = {"object": "charge", "id": "ch_9", "livemode": False}
ANSWERS = {
    "the object": FOREIGN,
    "a later row": {"object": "list", "data": [MINE, MINE, FOREIGN], "has_more": False},
    "an expanded object": {"object": "invoice_payment", "id": "inpay_1", "livemode": True,
                           "payment": {"payment_intent": {"id": "pi_1", "livemode": True, "latest_charge": FOREIGN}}},
    "a list inside": {"object": "list", "data": [{"object": "invoice", "id": "in_1", "payments": {"data": [MINE, FOREIGN]}}]},
    "an event's object": {"object": "event", "id": "evt_1", "livemode": True, "data": {"object": FOREIGN}},
    "an error's object": {"error": {"code": "card_declined", "type": "card_error", "charge": FOREIGN}},
    "Connect": {"object": "list", "data": [{"object": "event", "id": "evt_1", "livemode": True, "account": "acct_9"}]},
}  # fmt: skip


@pytest.mark.parametrize("what", ANSWERS)
@pytest.mark.parametrize("write", [False, True], ids=["read", "write"])
def test_no_answer_with_a_foreign_object_is_used(what: str, write: bool) -> None:
    """An object of the other mode or of a connected account, however deep, refuses the whole answer by name; ours pass."""
    status = 402 if "error" in ANSWERS[what] else 200
    answers = iter([httpx.Response(200, json={"data": [MINE], "object": "list"}), httpx.Response(status, json=ANSWERS[what])])
    options = StripeOptions(url="https://api.stripe.com", tenant="acme", livemode=True)
    clock = TestClock(Clock(BEGIN))
    system = StripeSystem(lambda: "sk_live_x", options, clock, transport=httpx.MockTransport(lambda _: next(answers)))
    assert system.get("/v1/customers")["data"] == [MINE]
    with pytest.raises(ConfigError, match=r"acme.*(test charge ch_9|event evt_1.*acct_9)"):
        system.deliver(Call("x", "stripe", "POST", "/v1/invoices", {}, write=True), "k") if write else system.get("/v1/x")


def test_every_request_names_the_version() -> None:
    """Each request carries the pinned version, so that an account's default never changes what we read."""
    world = World(require_version=True)
    world.create()
    world.system.get("/v1/customers")
    assert {status for _, _, status in world.service.log} == {200}


@pytest.mark.parametrize("order", ["by_age", "any"])
def test_lists_are_whole(order: str) -> None:
    """Three pages of customers of one second come complete and each once."""
    world = World(equal_created=order)
    made = {world.service.account.add_customer(f"c{number}") for number in range(250)}
    found = [row["id"] for page in world.system.pages("/v1/customers", {}) for row in page]
    assert len(found) == 250
    assert set(found) == made


def test_a_refusal_is_definitive() -> None:
    """A 400 with Stripe's own error is a refusal with its code, not repeated."""
    world = World()
    found = world.system.deliver(Call("x", "stripe", "POST", "/v1/customers/cus_none", {"name": "x"}, write=True), "k")
    assert isinstance(found, Refusal)
    assert (found.status, found.code) == (404, "resource_missing")
    assert world.tries() == 1


def test_forms_are_read_as_they_were_meant() -> None:
    """Nested values, lists, umlauts, signs and empty texts arrive as they left."""
    from published import decode

    body = {"a": {"b": [{"c": "ü&=+ %[]#"}, {"c": ""}]}, "d": [1, True], "e": None, "f": "x\ny"}
    assert decode(form(body)) == {"a": {"b": [{"c": "ü&=+ %[]#"}, {"c": ""}]}, "d": ["1", "true"], "f": "x\ny"}
