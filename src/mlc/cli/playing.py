"""mlc demo: the whole loop without an account, a configuration or a secret; and what it shares with mlc sandbox."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mlc.cli import options as o
from mlc.cli.demo_back import BOOKING, show_money_back
from mlc.cli.demo_week import show_a_week
from mlc.cli.session import Session, simple
from mlc.core.errors import ConfigError, UnexpectedAnswerError

if TYPE_CHECKING:
    from mlc.sandbox.server import Served
    from mlc.sandbox.world import World

WRITTEN = "# Written by mlc for the simulated systems; nothing in it is secret."
SECRETS = {  # of the simulated systems only
    "sap.password": "sandbox-door-27", "stripe.key": "sk_test_mlcsandbox", "gocardless.token": "sandbox_mlc",
    "sap.webhook": "sandbox-sap-webhooks-27", "stripe.webhook": "whsec_mlcsandboxwebhooks27", "gocardless.webhook": "sandbox-gc-webhooks-27",
}  # fmt: skip


def write_config(folder: Path, sap_url: str, stripe_url: str, debit_url: str, state: Path) -> Path:
    """Write a configuration for the sandbox; its secrets are no secrets, but kept and referred to like real ones."""
    for name, value in SECRETS.items():
        with os.fdopen(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(value)
    text = f"""{WRITTEN}
state: "{state}"
tenants:
  sandbox:
    timezone: Europe/Berlin
    start_date: {date.today() - timedelta(days=60)}
    first_run: go
    sap:
      url: {sap_url}/b1s/v2
      company_db: SBODEMO
      username: manager
      password: {{file: "{folder.resolve()}/sap.password"}}
      webhook_secret: {{file: "{folder.resolve()}/sap.webhook"}}
      timeout: {{write: 20}}
      settle_seconds: 5
    stripe:
      url: {stripe_url}
      secret_key: {{file: "{folder.resolve()}/stripe.key"}}
      webhook_secret: {{file: "{folder.resolve()}/stripe.webhook"}}
      clearing_account: "1361"
      fee_account: "6855"
      bank_account: "1200"
      suspense_account: "1590"
{BOOKING.rstrip()}
    gocardless:
      url: {debit_url}
      access_token: {{file: "{folder.resolve()}/gocardless.token"}}
      webhook_secret: {{file: "{folder.resolve()}/gocardless.webhook"}}
      bank_account: {{EUR: "1200", GBP: "1210"}}
      fee_account: "6855"
      vat_account: "1576"
      unallocated_account: "1590"
      clearing_account: "1362"
      fx_account: "6880"
"""
    path = folder / "config.yaml"
    path.write_text(text)
    return path


@contextmanager
def serving(
    world: World, sap_port: int = 0, stripe_port: int = 0, debit_port: int = 0
) -> Iterator[tuple[Served, Served, Served]]:
    """Serve the three systems meanwhile, each on its port."""
    from mlc.sandbox.server import Served

    try:
        sap, stripe = Served(world.sap, sap_port).start(), Served(world.stripe, stripe_port).start()
        debits = Served(world.gocardless, debit_port).start()
    except OSError as error:
        raise ConfigError(f"the sandbox cannot listen on 127.0.0.1: {error.strerror}", hint="give other ports") from error
    try:
        yield sap, stripe, debits
    finally:
        for one in (sap, stripe, debits):
            one.stop()


def demo(json: o.Json = False, verbose: o.Verbose = 0) -> None:
    """Run every pass against simulated systems over real HTTP; needs no account, no config, no secrets."""

    def work(session: Session) -> None:
        from mlc.sandbox.world import World

        began = time.monotonic()
        world = World.small()
        with tempfile.TemporaryDirectory(prefix="mlc-demo-") as folder, serving(world) as (sap, stripe, debits):
            path = write_config(Path(folder), sap.url, stripe.url, debits.url, Path(folder) / "mlc.db")
            say = session.voice.say
            say(f"A small company: SAP Business One at {sap.url}, Stripe at {stripe.url}, GoCardless at {debits.url}")
            say("(all simulated, over real HTTP).")
            say(f"{len(world.invoices)} invoices are open in SAP, nothing is at Stripe yet.\n")
            say("1. mlc run: the invoices go to Stripe", "bold")
            _pass(session, path)
            say("\n2. The customers pay, in their ways:", "bold")
            for line in world.pay_in_every_way():
                say(f"   {line}")
            say("\n3. mlc run: the payments come back to SAP", "bold")
            _pass(session, path)
            say("\n4. The debit arrives; mlc run once more, and once more: nothing happens twice", "bold")
            for intent in [one["id"] for one in world.stripe.account.all("payment_intent") if one["status"] == "processing"]:
                world.stripe.account.settle_late(intent)
            _pass(session, path)
            _pass(session, path)
            _books(session, world)
            show_a_week(session, world, lambda *names, dry_run=False: _pass(session, path, names, dry_run=dry_run))
            show_money_back(session, world, path, lambda *names: _pass(session, path, names))
            for system in (world.sap.books, world.stripe.account, world.gocardless.organisation):
                system.check()
        say(f"\nThat took {time.monotonic() - began:.1f} seconds. What nobody could explain is held, not guessed:")
        say("in a real set-up `mlc held list` shows it.")
        say("Next: `mlc sandbox` serves these systems for you to play with; `mlc init` begins with your own.")

    simple(o.common(json=json, verbose=verbose), work)


def _pass(session: Session, path: Path, names: tuple[str, ...] = (), *, dry_run: bool = False) -> None:
    """Run passes (all of `mlc run` where none is named), and tell what they tell."""
    from mlc.cli.passes import run_passes
    from mlc.engine.road import Options
    from mlc.wiring import RUN_ORDER

    inner = Session(o.common(path, json=session.options.json, verbose=session.options.verbose))
    run_passes(inner, names or RUN_ORDER, Options(dry_run=dry_run), None)
    bad = [code for code in inner.codes if code not in (0, 3)]
    if bad:
        raise UnexpectedAnswerError(f"a pass of the demo ended with {bad[0]}")


def _books(session: Session, world: World) -> None:
    """Set both systems' own books side by side; mlc's journal is not asked."""
    rows = world.proof()
    in_sap, collected = world.clearing()
    unexplained = collected - in_sap
    tied = all(row["open_in_sap"] == row["left_at_stripe"] for row in rows)
    if session.options.json:
        session.voice.emit(
            "books", tied=tied, invoices=[{name: _minor(value) for name, value in row.items()} for row in rows],
            clearing_in_sap=_minor(in_sap), collected_at_stripe=_minor(collected), held=_minor(unexplained),
        )  # fmt: skip
    else:
        session.voice.say("\nBoth books, read from the two systems themselves:", "bold")
        session.voice.table(
            ["invoice", "customer", "open in SAP", "left at Stripe", "Stripe says", ""],
            [
                (row["number"], row["customer"], f"{row['open_in_sap']:.2f}", f"{row['left_at_stripe']:.2f}", row["status"],
                 "=" if row["open_in_sap"] == row["left_at_stripe"] else "DIFFERS")
                for row in rows
            ],
            right=(2, 3),
        )  # fmt: skip
        session.voice.out(
            f"collected by Stripe {collected:.2f} = clearing account 1361 in SAP {in_sap:.2f} + held for a person {unexplained:.2f}"
        )
    if not tied or unexplained != 42:
        raise UnexpectedAnswerError("the books of the demo do not tie")


def _minor(value: object) -> object:
    """Return money of the demo (EUR) as scripts read it; anything else as it is."""
    return {"minor": int(value * 100), "currency": "EUR", "exponent": 2} if isinstance(value, Decimal) else value


def register(app: typer.Typer) -> None:
    """Add the commands of this room."""
    app.command("demo", short_help="The whole loop against simulated systems.")(demo)
