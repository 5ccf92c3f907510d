"""Mode live: nothing is sent that writes before keys, hosts, objects and a person's word agree about whose company and money it is."""

from __future__ import annotations

import json
import types
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from desk import Desk, Ports, Said

from harness import Company, Wire
from mlc.cli import clearing
from mlc.config import load
from mlc.core.errors import LimitError
from mlc.engine.road import Options
from mlc.opening import Seams, stripe_system
from mlc.sandbox.kit import Request
from mlc.sandbox.stripe import StripeService, StripeSwitches
from mlc.secrets import Resolver
from mlc.wiring import open_tenant

LIVE_KEY = "sk_live_mlcsandbox"
CONFIG = """state: {folder}/{state}.db
tenants:
  acme:
    start_date: 2026-10-01
    first_run: go
    mode: {mode}
    sap:
      url: {sap}
      company_db: SBODEMO
      username: manager
      password: {{env: P}}
      timeout: {{write: 5}}
      settle_seconds: 20
{sap_more}    stripe:
      url: {stripe}
      secret_key: {{env: K}}
      clearing_account: "1361"
      fee_account: "6855"
      bank_account: "1200"
{more}"""
DEBITS = """    gocardless:
      access_token: {env: G}
      bank_account: {EUR: "1200"}
      fee_account: "6855"
"""
HOSTS = {"sap.acme.example": "sap", "api.stripe.com": "stripe", "api.gocardless.com": "gocardless"}


class Names(Ports):
    """Leads requests to the simulators by the name of the host, as the real ones are called."""

    def __init__(self, desk: LiveDesk) -> None:
        super().__init__()
        self.desk = desk
        self.asked: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Deliver one request; loopback is a tunnel to SAP."""
        self.asked.append(f"{request.method} {request.url.host}{request.url.path}")
        system = {**HOSTS, "127.0.0.1": "sap"}[request.url.host]
        return self.desk.company.wires[system].handle_request(request)


class LiveDesk(Desk):
    """A desk whose tenant works with the real hosts' names and a live key."""

    def __init__(self, folder: Path, service: dict[str, object] | None = None, **config: str) -> None:
        company = Company(folder, stripe={"secret_key": LIVE_KEY, **(service or {})})
        company.partner()
        self.said = config
        super().__init__(company)
        self.env["K"] = LIVE_KEY
        self.ports = self.names = Names(self)

    def write(self, change: tuple[str, str] = ("", "")) -> None:
        """Write the configuration."""
        usual = {"mode": "live", "sap": "https://sap.acme.example:50000/b1s/v2", "stripe": "https://api.stripe.com"}
        usual |= {"more": "", "sap_more": "", "state": "mlc", "folder": str(self.folder)}
        self.config.write_text(CONFIG.format(**(usual | self.said)))

    def set(self, **config: str) -> None:
        """Change the configuration."""
        self.said |= config
        self.write()

    def serve(self, key: str, *, live: bool) -> None:
        """Put a Stripe account of a mode behind the host, and a key that it takes into the environment."""
        company = self.company
        company.stripe = StripeService(company.world, secret_key=LIVE_KEY if live else "sk_test_mlcsandbox")
        company.stripe.secret_key = company.stripe.restricted_key = key
        company.wires["stripe"] = Wire(company.stripe, company.clock)
        self.env["K"] = key

    def refuses(self, code: int, *parts: str, words: tuple[str, ...] = ("run",), stdin: str | None = None) -> Said:
        """A command must end with a code, name what it is about, and have written nothing."""
        before = self.writes()
        said = self.mlc(*words, stdin=stdin)
        assert said.code == code, said.err
        for part in parts:
            assert part in said.err
        assert self.writes() == before
        assert LIVE_KEY not in said.err
        return said


@pytest.fixture
def desk(tmp_path: Path) -> LiveDesk:
    """A desk with one invoice to push."""
    made = LiveDesk(tmp_path)
    made.company.invoice()
    return made


TABLE = [
    # what is set, the key, the mode of Stripe's objects, the code, what the message names
    ({}, LIVE_KEY, True, 0, ""),
    ({}, LIVE_KEY.replace("sk_", "rk_"), True, 0, ""),
    ({"sap": "https://127.0.0.1:50000/b1s/v2"}, LIVE_KEY, True, 0, ""),
    ({}, "sk_test_mlcsandbox", False, 2, "mode live, but stripe.secret_key (environment variable K)"),
    ({}, "rk_test_mlcsandbox", False, 2, "is no live secret key"),
    ({}, "pk_live_mlcsandbox", True, 2, "is no live secret key"),
    ({}, "sk_org_live_mlcsandbox", True, 2, "is no live secret key"),
    ({}, "mlcsandbox", True, 2, "is no live secret key"),
    ({}, LIVE_KEY, False, 2, "mode live, but Stripe answers with the test"),
    ({"mode": "test"}, LIVE_KEY, True, 2, "mode test, but stripe.secret_key"),
    ({"mode": "test"}, "sk_org_live_mlcsandbox", True, 2, "is a live key"),
    ({"mode": "test"}, "mlcsandbox", True, 2, "mode test, but Stripe answers with the live"),
    ({"mode": "test"}, "sk_test_mlcsandbox", False, 0, ""),
    ({"stripe": "http://127.0.0.1:2"}, LIVE_KEY, True, 2, "stripe.url: points to this machine"),
    ({"stripe": "https://api.stripe.example"}, LIVE_KEY, True, 2, "stripe.url: is not the host of mode live"),
    ({"stripe": "https://api.stripe.com:444"}, LIVE_KEY, True, 2, "stripe.url: is not the host of mode live"),
    ({"sap": "http://127.0.0.1:1/b1s/v2"}, LIVE_KEY, True, 2, "sap.url: is http, which is allowed in mode test only"),
    ({"sap_more": "      claim: true\n"}, LIVE_KEY, True, 2, "sap.claim"),
    ({"more": DEBITS + "      url: https://api-sandbox.gocardless.com\n"}, LIVE_KEY, True, 2, "gocardless.url: is not the host of mode live"),
    ({"mode": "test", "more": DEBITS + "      url: https://api.gocardless.com\n"}, "sk_test_x", False, 2, "is not the host of mode test"),
]  # fmt: skip


@pytest.mark.parametrize(("config", "key", "live", "code", "names"), TABLE)
def test_mode_key_host_and_objects_must_agree(
    tmp_path: Path, config: dict[str, str], key: str, live: bool, code: int, names: str
) -> None:
    """Mode, key, hosts and the mode of Stripe's objects must agree; anything else is exit 2 before anything was written anywhere."""
    desk = LiveDesk(tmp_path, **config)
    company = desk.company
    desk.serve(key, live=live)
    company.account.pay_without_invoice(None, 4200, "eur")  # what Stripe tells first is of its own mode
    company.account.add_customer("somebody")
    company.invoice()
    if code:
        desk.refuses(code, names, words=("run", "--company", "SBODEMO"))
    else:
        assert desk.mlc("run", "--company", "SBODEMO").code == 3, "the payment that nothing explains is held"
        assert len(company.pushed()) == 1


def test_the_company_is_typed_once(desk: LiveDesk) -> None:
    """Without a word a live run is exit 7 and says what to run; the right name is remembered, and a dry run never asks."""
    assert desk.refuses(0, "planned create C1", words=("run", "--dry-run")).code == 0
    parts = (
        "SBODEMO in SAP",
        "Stripe account acct_1Sandbox (Sandbox GmbH)",
        f"mlc run --config {desk.config} --tenant acme --company SBODEMO",
    )
    for words in (("run",), ("run", "--json"), ("run", "--first-run", "-q")):
        desk.refuses(7, *parts, words=words)
    desk.refuses(
        7,
        f"next: look at the plan with --dry-run, then run once: mlc push-invoices --config {desk.config}",
        words=("push-invoices",),
    )
    desk.refuses(2, "--company SBO_OTHER is the company of no chosen tenant", words=("run", "--company", "SBO_OTHER"))
    assert "confirmed for SBODEMO: not yet" in " ".join(desk.mlc("ping").out.split())
    said = desk.mlc("run", "--company", "SBODEMO")
    assert (said.code, len(desk.company.pushed())) == (0, 1)
    assert "acme: confirmed for mode live: company SBODEMO with Stripe account acct_1Sandbox" in said.err
    desk.company.account.pay(next(iter(desk.company.pushed().values())))
    assert desk.mlc("run").code == 0
    assert len(desk.company.posted()) == 1
    desk.refuses(2, "of no chosen tenant", words=("run", "--company", "SBO_OTHER"))
    ping = {line["check"]: line["text"] for line in desk.mlc("ping", "--json").of("check")}
    assert ping["mode"] == "live: real money"
    assert ping["stripe account"].endswith("confirmed for SBODEMO: since 2026-11-03T10:00:00+00:00")
    assert desk.mlc("status", "--json").of("status")[0]["mode"] == "live"
    assert "acme (SBODEMO, live)" in desk.mlc("status").out
    assert '"who"' in desk.mlc("audit", "show", "SBODEMO/live/stripe/acct_1Sandbox", "--json").out


@pytest.mark.parametrize(
    ("typed", "code", "names"),
    [("SBODEMO\n", 0, ""), ("  SBODEMO \n", 0, ""), ("\n", 7, "--company SBODEMO"), ("SBO\n", 2, "SBO was typed, but its company is SBODEMO"),
     ("sbodemo\n", 2, "sbodemo was typed"), ("yes\n", 2, "yes was typed")],
)  # fmt: skip
def test_the_company_is_typed_at_a_terminal(
    desk: LiveDesk, monkeypatch: pytest.MonkeyPatch, typed: str, code: int, names: str
) -> None:
    """At a terminal the name is asked for, with tenant, company, SAP's name and account before it, quiet or not; only it lets mlc write."""
    terminal = types.SimpleNamespace(stdin=types.SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr(clearing, "sys", terminal)
    asked = "Tenant acme is live: it would write to company SBODEMO (SBODEMO in SAP) and Stripe account acct_1Sandbox (Sandbox GmbH)"
    if code:
        desk.refuses(code, asked, names, words=("sync-customers", "-q"), stdin=typed)
        assert desk.mlc("sync-customers", "--json").code == 7, "scripts are never asked"
        return
    assert asked in (said := desk.mlc("sync-customers", "-q", stdin=typed)).err
    assert (said.code, len(desk.company.account.all("customer"))) == (0, 1)
    assert asked not in desk.mlc("push-invoices", "-q").err


def _forget(desk: LiveDesk) -> None:
    desk.company.forget()


def _other_account(desk: LiveDesk) -> None:
    desk.company.account.account_id = "acct_2"


def _unreadable(desk: LiveDesk) -> None:
    desk.company.stripe.switches = StripeSwitches(forbidden=frozenset({"account"}))
    desk.env["K"] = "rk_live_mlcsandbox"


def _debits_too(desk: LiveDesk) -> None:
    desk.set(more=DEBITS)


@pytest.mark.parametrize(
    ("change", "names"),
    [(_forget, "nobody has confirmed this yet; nothing"), (_other_account, "this state file has served stripe/acct_1Sandbox"),
     (_unreadable, "Stripe account key:"), (_debits_too, "and GoCardless creditor CR0001 (Acme)")],
)  # fmt: skip
def test_the_company_is_asked_for_again(desk: LiveDesk, change: Callable[[LiveDesk], None], names: str) -> None:
    """A lost state file, another account behind the key, one that cannot be read, or a further processor want the name again."""
    payment = desk.company.account.pay_without_invoice(None, 4200, "eur")
    number = str(desk.company.books.invoice(desk.company.invoice()).doc_num)
    assert desk.mlc("run", "--company", "SBODEMO").code == 3
    change(desk)
    desk.company.invoice()
    desk.refuses(7, names, words=("run",))
    if change is not _forget:
        held = ("held", "match", payment, number)
        desk.refuses(7, names, f"mlc held match {payment} {number} --config", words=held)
        desk.refuses(7, names, f"mlc replay {payment} --again --config", words=("replay", payment, "--again"))
        dry = desk.refuses(2 if change is _other_account else 0, words=("replay", payment, "--again", "--dry-run"))
        assert (change is _other_account) == ("a plan would mix the two" in dry.err)
        desk.refuses(7, "mlc replay --held", words=("replay", "--held"))
        assert desk.mlc(*held, "--company", "SBODEMO").code in (0, 3)
        assert desk.mlc("replay", "--held").code in (0, 3)
    assert desk.mlc("run", "--company", "SBODEMO").code in (0, 3)
    assert desk.mlc("run").code in (0, 3)


def test_a_state_file_serves_one_mode(desk: LiveDesk) -> None:
    """What was linked and pushed with a test account is never used in mode live, nor a live company's state for test money."""
    for state, first, then in (("a", "test", "live"), ("b", "live", "test")):
        for mode, code in ((first, 0), (then, 2)):
            desk.set(mode=mode, state=state)
            desk.serve(LIVE_KEY if mode == "live" else "sk_test_mlcsandbox", live=mode == "live")
            if not code:
                assert desk.mlc("sync-customers", "--company", "SBODEMO").code == 0
                continue
            for words in (("run", "--company", "SBODEMO"), ("run", "-n"), ("replay", "--held")):
                desk.refuses(2, f"in mode {then}, but this state file has served company SBODEMO in mode {first}", words=words)
            assert "this state file has served company SBODEMO" in desk.mlc("ping", "--json").out
    desk.set(mode="live", state="c")
    desk.serve(LIVE_KEY, live=True)
    assert desk.mlc("run", "--company", "SBODEMO").code == 0, "a state file of its own"


PLACES = {"a row of a page": ("/v1/charges", ()), "an expansion": ("/v1/payment_intents/", ("latest_charge",)),
          "an object in an event": ("/v1/events", ("data", "object"))}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_a_foreign_object_stops_the_pass(desk: LiveDesk, place: str) -> None:
    """One test object in an answer, in a later row, expanded or inside an event, ends the pass with 2 and nothing is posted."""
    assert desk.mlc("run", "--company", "SBODEMO").code == 0
    for _ in range(3):
        desk.company.account.pay_without_invoice(None, 4200, "eur")
    path, inner = PLACES[place]
    handle = desk.company.stripe.handle

    def altered(request: Request) -> object:
        response = handle(request)
        if request.method != "GET" or not request.path.startswith(path):
            return response
        body = json.loads(response.body)
        one = body["data"][-1] if body.get("object") == "list" else body
        for name in inner:
            one = one[name]
        one["livemode"] = False
        return type(response)(response.status, json.dumps(body).encode(), response.headers)

    desk.company.stripe.handle = altered  # type: ignore[method-assign]
    said = desk.refuses(2, "acme", "is in mode live, but Stripe answers with the test", words=("run", "--since", "2026-10-01"))
    assert "next: use a key of the mode" in said.err
    assert desk.company.posted() == {}


def test_both_processors_and_their_guards(tmp_path: Path) -> None:
    """Both accounts are named in one question, Stripe may be asked 100 times a second, and an unchecked certificate is never quiet."""
    desk = LiveDesk(tmp_path, more=DEBITS, sap_more="      verify_tls: false\n")
    told = "Stripe account acct_1Sandbox (Sandbox GmbH) and GoCardless creditor CR0001 (Acme)"
    assert "verify_tls: false" in desk.refuses(7, told, words=("run", "-q")).err
    assert desk.mlc("run", "--company", "SBODEMO").code == 0
    desk.company.clock.pass_time(60)
    desk.company.organisation.add_creditor("Second")
    assert desk.mlc("run").code == 0, "a second creditor is no other organisation"
    rows = {line["check"]: line["state"] for line in desk.mlc("ping", "--json").of("check")}
    assert (rows["stripe account"], rows["gocardless account"]) == ("ok", "ok")
    assert not [one for one in desk.names.asked if "gocardless" in one and not one.startswith("GET")]
    settings, seams = load(desk.config, desk.env), Seams(clock=desk.company.clock, transports=desk.company.wires)
    tenant, resolver = settings.tenants["acme"], Resolver(settings.secrets, desk.env, tty=False)
    options = stripe_system(tenant, resolver, seams).options
    assert (options.total, options.operation, options.livemode) == (100.0, 25.0, True)
    opened = open_tenant(settings, tenant, resolver, seams, holder="test")
    with pytest.raises(LimitError):  # whoever forgets to clear a tenant cannot write
        opened.road("push-invoices", Options())
    opened.close()
