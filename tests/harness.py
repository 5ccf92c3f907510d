"""The ground the tests stand on: both simulators in process, one clock that only moves when somebody waits, and mlc beside them."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx

from mlc.config import parse
from mlc.engine.report import Item, Report
from mlc.engine.road import Options
from mlc.opening import Seams
from mlc.sandbox.gocardless import GoCardlessService
from mlc.sandbox.kit import Clock as WorldClock
from mlc.sandbox.kit import ConnectionLost, Service, wsgi
from mlc.sandbox.sap import SapService
from mlc.sandbox.stripe import StripeService
from mlc.secrets import Resolver
from mlc.wiring import PASSES, OpenTenant, open_tenant

BEGIN = 1793700000.0  # 2026-11-03T10:00:00Z
TODAY = datetime.date(2026, 11, 3)
SECRETS = {"P": "Geheim-4711", "K": "sk_test_mlcsandbox", "G": "sandbox_mlc"}


class TestClock:
    """One time for mlc and for the simulated world; sleeping moves it, nothing else waits."""

    __test__ = False

    def __init__(self, world: WorldClock) -> None:
        self.world = world
        self.up = 5000.0
        self.boot = "boot-1"
        self.slept = 0.0

    def now(self) -> float:
        """Wall time."""
        return self.world.now()

    def uptime(self) -> float:
        """Seconds since the machine started."""
        return self.up

    def boot_id(self) -> str:
        """Which start of the machine this is."""
        return self.boot

    def sleep(self, seconds: float) -> None:
        """Let time pass at once."""
        self.pass_time(seconds)
        self.slept += seconds

    def pass_time(self, seconds: float) -> None:
        """Let time pass for everybody."""
        self.up += max(0.0, seconds)
        self.world.advance(max(0.0, seconds))


class Wire(httpx.BaseTransport):
    """Plugs a simulator into httpx; a lost answer costs the time-out, as it would on a real wire."""

    def __init__(self, service: Service, clock: TestClock) -> None:
        self.service = service
        self.clock = clock
        self.inner = httpx.WSGITransport(app=wsgi(service))
        self.before: Callable[[httpx.Request], None] | None = None
        self.after: Callable[[httpx.Request, httpx.Response], None] | None = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Deliver one request."""
        if self.before is not None:
            self.before(request)
        try:
            response = self.inner.handle_request(request)
            response.read()
        except ConnectionLost as error:
            self.clock.pass_time(float(request.extensions["timeout"]["read"]))
            raise httpx.ReadTimeout(str(error)) from error
        if self.after is not None:
            self.after(request, response)
        return response


class Company:
    """A small company on simulated systems, and mlc that serves it."""

    def __init__(self, folder: Path, *, sap: dict[str, Any] | None = None, stripe: dict[str, Any] | None = None, config: str = "",
                 sap_config: str = "", stripe_config: str | None = "", gocardless: dict[str, Any] | None = None,
                 gocardless_config: str | None = None, start: str = "2026-10-01", threads: bool = False) -> None:  # fmt: skip
        """`sap`, `stripe`, `gocardless` are options of the simulators; the `..._config` texts are added to the tenant's sections.

        A processor whose text is None is not in the configuration.
        """
        self.world = WorldClock(BEGIN)
        self.clock = TestClock(self.world)
        self.sap = SapService(self.world, users={"manager": SECRETS["P"]}, **(sap or {}))
        self.stripe = StripeService(self.world, **(stripe or {}))
        self.gocardless = GoCardlessService(self.world, **{"access_token": SECRETS["G"], **(gocardless or {})})
        self.folder = folder
        self.threads = threads
        self.wires = {
            "sap": Wire(self.sap, self.clock), "stripe": Wire(self.stripe, self.clock), "gocardless": Wire(self.gocardless, self.clock),
        }  # fmt: skip
        stripe_text = "" if stripe_config is None else f"    stripe:\n{_section(_STRIPE, stripe_config)}"
        debit_text = "" if gocardless_config is None else f"    gocardless:\n{_section(_GOCARDLESS, gocardless_config)}"
        text = f"""
state: {folder}/mlc.db
{config}
tenants:
  acme:
    start_date: {start}
    first_run: go
    sap:
{_section(_SAP, sap_config)}
{stripe_text}
{debit_text}
"""
        self.settings = parse(text.encode(), folder / "config.yaml", SECRETS)
        self.items: list[Item] = []

    # --- the world --------------------------------------------------------------------------------------------------

    @property
    def books(self) -> Any:
        """SAP's books."""
        return self.sap.books

    @property
    def account(self) -> Any:
        """Stripe's account."""
        return self.stripe.account

    @property
    def organisation(self) -> Any:
        """GoCardless' organisation."""
        return self.gocardless.organisation

    def partner(self, code: str = "C1", name: str = "Müller & Söhne", email: str | None = None) -> str:
        """Add a business partner."""
        self.books.add_partner(code, name, email=f"{code.lower()}@example.com" if email is None else email)
        return code

    def invoice(self, card: str = "C1", net: str = "100.00", lines: int = 1, **more: Any) -> int:
        """Add an invoice with 19 % tax on every line (119.00 by default)."""
        rows = [(f"Line {number}", Decimal(1), Decimal(net), Decimal(19)) for number in range(1, lines + 1)]
        more.setdefault("doc_date", TODAY)
        more.setdefault("due_date", TODAY + datetime.timedelta(days=14))
        return self.books.add_invoice(card, rows, **more)

    def pushed(self) -> dict[int, str]:
        """DocEntry -> Stripe invoice, for those that can be paid or were."""
        found: dict[int, str] = {}
        for one in self.account.all("invoice"):
            if one["metadata"].get("sap_doc_entry") and one["status"] in ("open", "paid"):
                entry = int(one["metadata"]["sap_doc_entry"])
                assert entry not in found, f"document {entry} is asked for twice: {found[entry]} and {one['id']}"
                found[entry] = one["id"]
        return found

    def posted(self) -> dict[str, list[Any]]:
        """Marker -> live incoming payments in SAP."""
        found: dict[str, list[Any]] = {}
        for payment in self.books.payments():
            if payment.transfer_reference and payment.cancelled == "tNO":
                found.setdefault(payment.transfer_reference, []).append(payment)
        return found

    # --- mlc --------------------------------------------------------------------------------------------------------

    def open(self) -> OpenTenant:
        """Open the tenant as a command would."""
        resolver = Resolver(self.settings.secrets, SECRETS, tty=False)
        seams = Seams(clock=self.clock, transports=self.wires, threads=self.threads)
        return open_tenant(self.settings, self.settings.tenants["acme"], resolver, seams, holder="test")

    def run(self, *passes: str, since: datetime.date | None = None, **options: Any) -> Report:
        """Run passes (all three by default); returns the last report. What they said is in `items`."""
        self.items = []
        report: Report | None = None
        for name in passes or ("post-payments", "sync-customers", "push-invoices"):
            # reconcile-payouts is asked for by name: most companies here have Stripe alone
            opened = self.open()
            try:
                road = opened.road(name, Options(**options), tell=self.items.append)
                report = road.run(PASSES[name](opened.scene(since)))
            finally:
                opened.close()
        assert report is not None
        return report

    def held(self) -> dict[str, str]:
        """What waits for a person: the thing's id -> reason."""
        opened = self.open()
        try:
            return {one.name.split("/", 1)[1]: one.reason for one in opened.journal.held.all()}
        finally:
            opened.close()

    def forget(self) -> None:
        """Delete the state file."""
        for path in self.folder.glob("mlc.db*"):
            path.unlink()

    def requests(self, system: str, since: int = 0) -> list[tuple[str, str, int]]:
        """What a system was asked, logins left out."""
        log = {"sap": self.sap, "stripe": self.stripe, "gocardless": self.gocardless}[system].log[since:]
        return [one for one in log if not one[1].endswith(("/Login", "/Logout"))]

    def check(self) -> None:
        """Both sides' books must be sound by themselves."""
        self.books.check()
        self.account.check()
        self.organisation.check()


_SAP = """url: http://127.0.0.1:1/b1s/v2
company_db: SBODEMO
username: manager
password: {env: P}
timeout: {write: 5}
settle_seconds: 20"""
_STRIPE = """url: http://127.0.0.1:2
secret_key: {env: K}
clearing_account: "1361"
fee_account: "6855"
bank_account: "1200\""""
_GOCARDLESS = """url: http://127.0.0.1:3
access_token: {env: G}
bank_account: {EUR: "1200", GBP: "1210"}
fee_account: "6855"
vat_account: "1576"
unallocated_account: "1590"
clearing_account: "1362"
fx_account: "6880"
dimensions: {}"""


def _section(usual: str, more: str) -> str:
    """The usual lines of a section, with those of a test in their place or behind them."""
    said = {line.split(":", 1)[0] for line in more.splitlines()}
    lines = [line for line in usual.splitlines() if line.split(":", 1)[0] not in said]
    return "\n".join(f"      {line}" for line in [*lines, *more.splitlines()])


def ids(items: Iterable[Item]) -> str:
    """Items as text, for goldens."""
    return "\n".join(json.dumps([one.state, one.says, one.reason]) for one in items)
