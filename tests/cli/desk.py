"""Runs commands as a user types them, in this process, against the harness' company; and says what came out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx
from typer import testing
from typer.testing import CliRunner

from harness import SECRETS, Company, Wire
from mlc.cli.app import app
from mlc.cli.session import Session
from mlc.opening import Seams
from mlc.sandbox.sap import SapService
from mlc.sandbox.stripe import StripeService

testing._get_command = cache(testing._get_command)  # the tree of commands is the same every time, and slow to build

TENANT = """  {name}:
    start_date: 2026-10-01
    first_run: {first_run}
    sap:
      url: http://127.0.0.1:{sap}/b1s/v2
      company_db: {db}
      username: manager
      password: {password}
      timeout: {{write: 5}}
      settle_seconds: 20
    stripe:
      url: http://127.0.0.1:{stripe}
      secret_key: {key}
      clearing_account: "1361"
      fee_account: "6855"
      bank_account: "1200"
"""
COUNTS = {"seen", "planned", "done", "held", "refused", "in_doubt", "unchanged"}


@dataclass(frozen=True)
class Said:
    """What one command said, and the code it ended with."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The JSON Lines on stdout; anything else there is an error."""
        return [json.loads(line) for line in self.out.splitlines()]

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The JSON objects of one type."""
        return [line for line in self.lines if line["type"] == kind]


class Ports(httpx.BaseTransport):
    """Leads requests to the simulators by the port of the address, so that tenants can have systems of their own."""

    def __init__(self) -> None:
        self.wires: dict[int, Wire] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Deliver one request; a port where nobody listens refuses the connection."""
        if request.url.port not in self.wires:
            raise httpx.ConnectError("[Errno 111] Connection refused")
        return self.wires[request.url.port].handle_request(request)


class Desk:
    """A place to type commands at: a configuration file, the company's systems, and the environment."""

    def __init__(
        self, company: Company, *, first_run: str = "go", top: str = "", secrets: dict[str, str] | None = None
    ) -> None:
        self.company = company
        self.folder: Path = company.folder
        self.config = self.folder / "config.yaml"
        self.env: dict[str, str] = dict(SECRETS if secrets is None else secrets)
        self.first_run = first_run
        self.top = top
        self.ports = Ports()
        self.ports.wires = {1: company.wires["sap"], 2: company.wires["stripe"]}
        self.watchers: dict[str, httpx.BaseTransport] = {}  # what listens to pings
        self.tenants: list[str] = []
        self.tenant("acme")

    def tenant(self, name: str, *, sap: int = 1, stripe: int = 2, db: str = "SBODEMO", first_run: str = "",
               password: str = "{env: P}", key: str = "{env: K}") -> None:  # fmt: skip
        """Add a tenant to the file (or put it in the place of the one of that name)."""
        text = TENANT.format(
            name=name, sap=sap, stripe=stripe, db=db, first_run=first_run or self.first_run, password=password, key=key
        )
        self.tenants = [one for one in self.tenants if not one.startswith(f"  {name}:")] + [text]
        self.write()

    def second(self) -> Company:
        """Add a tenant `beta` with a company and an account of its own; returns a stand-in for it with one partner."""
        other = Company(self.folder / "beta")
        other.world, other.clock = self.company.world, self.company.clock
        other.sap = SapService(other.world, company="SBOBETA", users={"manager": SECRETS["P"]})
        other.stripe = StripeService(other.world)
        self.ports.wires |= {3: Wire(other.sap, other.clock), 4: Wire(other.stripe, other.clock)}
        self.tenant("beta", sap=3, stripe=4, db="SBOBETA")
        other.partner()
        return other

    def write(self, change: tuple[str, str] = ("", "")) -> None:
        """Write the configuration, with one text put in the place of another."""
        text = f"state: {self.folder}/mlc.db\n{self.top}\ntenants:\n{''.join(self.tenants)}"
        assert change[0] in text
        self.config.write_text(text.replace(*change) if change[0] else text)

    def mlc(self, *words: str, stdin: str | None = None) -> Said:
        """Run a command with this desk's configuration."""
        return self.raw(*words, "--config", str(self.config), stdin=stdin)

    def raw(self, *words: str, stdin: str | None = None, real: bool = False) -> Said:
        """Run a command as it is, `real` with the machine's own clock and sockets; no exception may reach the user."""
        wires = {"sap": self.ports, "stripe": self.ports, "gocardless": self.ports, **self.watchers}
        Session.seams = None if real else Seams(clock=self.company.clock, transports=wires, threads=self.company.threads)
        result = CliRunner(env=self.env).invoke(app, list(words), input=stdin)
        assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
        assert "-vv" in words or "Traceback" not in result.stdout + result.stderr
        return Said(result.exit_code, result.stdout, result.stderr)

    def unexplained(self, cents: int = 4200) -> str:
        """Let money arrive that nothing explains, and let a run hold it; returns the payment."""
        payment: str = self.company.account.pay_without_invoice(None, cents, "eur")
        assert self.mlc("post-payments", "--first-run").code == 3
        return payment

    def writes(self) -> list[tuple[str, str, int]]:
        """What was written at either system so far."""
        asked = [*self.company.requests("sap"), *self.company.requests("stripe")]
        reading = ("CompanyService_", "$batch")
        return [one for one in asked if one[0] != "GET" and not any(word in one[1] for word in reading)]
