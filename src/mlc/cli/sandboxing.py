"""mlc sandbox: serves the simulated systems to play with, and lets them deliver webhooks."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlc.cli import options as o
from mlc.cli.playing import SECRETS, WRITTEN, serving, write_config
from mlc.cli.session import Session, Terminated, install_signals, simple
from mlc.core import errors
from mlc.core.errors import ConfigError

if TYPE_CHECKING:
    from mlc.sandbox.server import Served
    from mlc.sandbox.world import World

TENANT = "sandbox"


def sandbox(
    folder: Annotated[Path, typer.Option("--dir", metavar="PATH", help="Where config.yaml and the state are kept.")] = Path(
        "sandbox"
    ),
    sap_port: Annotated[int, typer.Option("--sap-port", metavar="PORT", min=0, max=65535, help="0 takes any free port.")] = 0,
    stripe_port: Annotated[
        int, typer.Option("--stripe-port", metavar="PORT", min=0, max=65535, help="0 takes any free port.")
    ] = 0,
    gocardless_port: Annotated[
        int, typer.Option("--gocardless-port", metavar="PORT", min=0, max=65535, help="0 takes any free port.")
    ] = 0,
    webhooks: Annotated[
        str | None,
        typer.Option("--webhooks", metavar="URL", help="Deliver webhooks to this receiver, such as http://127.0.0.1:8377."),
    ] = None,
    quiet: o.Quiet = False,
) -> None:
    """Serve the simulated systems on loopback until stopped, and write a ready config.yaml for them."""

    def work(session: Session) -> None:
        from mlc.sandbox.world import World

        install_signals()
        url = _receiver(webhooks)
        world = World.for_sandbox()
        world.collect_a_week()
        with serving(world, sap_port, stripe_port, gocardless_port) as (sap, stripe, debits):
            path = _written(folder, sap, stripe, debits)
            say = session.voice.say
            say(f"SAP Business One  {sap.url}/b1s/v2   company SBODEMO, user manager, password {SECRETS['sap.password']}")
            say(f"Stripe            {stripe.url}   key {SECRETS['stripe.key']}")
            say(f"GoCardless        {debits.url}   token {SECRETS['gocardless.token']}")
            say(f"configuration     {path}")
            say("")
            say(f"In another terminal:  mlc run --config {path}")
            say(f"A customer pays:      curl -s -X POST {stripe.url}/sandbox/pay             (the oldest open invoice)")
            say(f"What can be paid:     curl -s -X POST {stripe.url}/sandbox/open_invoices")
            with _delivering(world, url):
                if url is None:
                    say(f"Webhooks:             mlc sandbox --dir {folder} --webhooks http://127.0.0.1:8377")
                else:
                    say(f"Webhooks go to        {url}/stripe/{TENANT}, /gocardless/{TENANT}, /sap/{TENANT}")
                    say(f"   receive them:      mlc webhooks serve --post --config {path}")
                    say(f"   what was sent:     curl -s {stripe.url}/sandbox/deliveries    (each system has its own)")
                say("Ctrl-C ends it; everything in it is forgotten then.")
                sys.stderr.flush()
                try:
                    _wait()
                except (KeyboardInterrupt, Terminated) as stop:  # not as a run, which goes on from here next time
                    say("the sandbox has ended; what was in it is forgotten")
                    session.end([errors.TERMINATED if isinstance(stop, Terminated) else errors.INTERRUPTED])

    simple(o.common(quiet=quiet), work)


@contextmanager
def _delivering(world: World, url: str | None) -> Iterator[None]:
    """Deliver webhooks meanwhile: to a receiver that was named, and to whatever is registered over the systems' own APIs."""
    from mlc.systems.stripe.reads import CUSTOMER_EVENTS, EVENT_TYPES, PAYOUT_EVENTS, SUBSCRIPTION_EVENTS

    courier = world.courier()
    if url is not None:
        secrets = {name: SECRETS[f"{name}.webhook"] for name in ("stripe", "gocardless", "sap")}
        world.register(url, TENANT, secrets, events=(*EVENT_TYPES, *CUSTOMER_EVENTS, *SUBSCRIPTION_EVENTS, *PAYOUT_EVENTS))
    courier.start()
    try:
        yield
    finally:
        courier.stop()


def _receiver(url: str | None) -> str | None:
    """Return the receiver's address without a slash at its end; it must be on this machine."""
    from mlc.sandbox.courier import is_loopback

    if url is not None and not (url.startswith(("http://", "https://")) and is_loopback(url)):
        raise ConfigError(f"--webhooks {url} is no address of this machine", hint="give one such as http://127.0.0.1:8377")
    return url.rstrip("/") if url is not None else None


def _written(folder: Path, sap: Served, stripe: Served, debits: Served) -> Path:
    """Write the configuration; a state of an earlier sandbox is moved out of its way, because that world is gone."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        kept = folder / "config.yaml"
        if kept.exists() and not kept.read_text(errors="replace").startswith(WRITTEN):
            raise ConfigError(f"{kept} is not one of the sandbox and stays as it is", hint="give another folder with --dir")
        state = (folder / f"state-{os.getpid()}.db").resolve()
        path = write_config(folder, sap.url, stripe.url, debits.url, state)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written: {error.strerror}", hint="give another folder with --dir") from error
    return path


def _wait() -> None:
    """Wait until somebody ends it."""
    import threading

    threading.Event().wait()


def register(app: typer.Typer) -> None:
    """Add the command of this room."""
    app.command("sandbox", short_help="Serve the simulated systems to play with.")(sandbox)
