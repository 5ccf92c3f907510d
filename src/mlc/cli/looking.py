"""The command that tells how tenants and passes stand: status."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlc.cli import options as o
from mlc.cli.render import age, moment
from mlc.cli.session import Session
from mlc.core import errors

if TYPE_CHECKING:
    from mlc.config import Settings, Tenant
    from mlc.store.inbox import Tally
    from mlc.store.journal import Journal

_STANDS = ("done", "open", "refused")
_AGAIN = 2.0  # seconds between two looks


def status(
    watch: Annotated[bool, typer.Option("--watch", help="Show it again every two seconds, at a terminal, until Ctrl-C.")] = False,
    config: o.Config = None, tenant: o.Tenants = None, json: o.Json = False, quiet: o.Quiet = False, verbose: o.Verbose = 0,
) -> None:  # fmt: skip
    """Show per tenant and pass the last success, counts, the oldest held item and how old the cursors are."""
    from mlc.cli.session import simple

    def work(session: Session) -> None:
        settings = session.settings()
        if watch and (json or not sys.stdout.isatty()):
            raise errors.ConfigError("--watch wants a terminal", hint="without one run mlc status again when you want to know")
        while True:
            if watch:
                sys.stdout.write("\x1b[H\x1b[2J")
            for one in session.tenants(settings):
                with session.guarded(f"{one.name}: "):
                    _status(session, settings, one)
            if not watch:
                return
            session.voice.out(f"{moment(time.time())} UTC; Ctrl-C ends it")
            session.codes.clear()  # how it stood a moment ago is no outcome
            time.sleep(_AGAIN)

    simple(o.common(config, tenant, json=json, quiet=quiet, verbose=verbose), work)


def _status(session: Session, settings: Settings, tenant: Tenant) -> None:
    from mlc.cli.books import reading
    from mlc.core.keys import SAFE_ORDER

    with reading(settings, tenant) as journal:
        now = time.time()
        counts = journal.counts()
        rows: list[list[Any]] = []
        runs = journal.runs.last()
        for run in runs:
            ended = "interrupted" if run["exit_code"] is None else str(run["exit_code"])
            success = f"{age(now - run['success'])} ago" if run["success"] else "never"
            rows.append(
                [
                    run["pass"],
                    success,
                    moment(run["started"]),
                    ended,
                    *(counts.get(run["pass"], {}).get(one, 0) for one in _STANDS),
                ]
            )
            if session.options.json:
                session.voice.emit(
                    "pass", tenant=tenant.name, **{"pass": run["pass"]}, last_success=run["success"], last_start=run["started"],
                    exit_code=run["exit_code"], counts=run["counts"], intents=counts.get(run["pass"], {}), message=run["message"],
                )  # fmt: skip
        waiting, arrived = journal.inbox.counts()
        held, oldest, doubt = journal.held.count(), journal.held.oldest(), journal.in_doubt()
        events = journal.cursor("stripe/events")
        facts = {
            "held": f"{held}" + (f", the oldest for {age(now - oldest)}" if oldest else ""),
            "in doubt": str(doubt),
            "newest Stripe event seen": f"{age(now - int(events))} old" if events and int(events) else "none yet",
            **_stripe_payouts(journal),
            **_debits(journal, now),
            **_webhooks(journal, now),
            "audit head": journal.audit.head()[:16],
        }
        if session.options.json:
            session.voice.emit(
                "status", tenant=tenant.name, mode=tenant.mode, held=held, oldest_held=oldest, in_doubt=doubt,
                audit_head=journal.audit.head(), inbox_waiting=waiting, oldest_waiting=arrived,
                webhooks=[_tally(one) for one in journal.inbox.tallies()],
            )  # fmt: skip
        elif not session.options.quiet:
            session.voice.out(f"{tenant.name} ({tenant.sap.company_db}, {tenant.mode})")
            session.voice.table(
                ["pass", "last success", "last run (UTC)", "exit", "done", "open", "refused"], rows, right=(3, 4, 5, 6)
            )
            for name, text in facts.items():
                session.voice.out(f"  {name}: {text}")
            for message in dict.fromkeys(run["message"] for run in runs if run["message"]):
                passes = ", ".join(run["pass"] for run in runs if run["message"] == message)
                session.voice.out(f"  {passes}: {message}")
            for pass_ in SAFE_ORDER:
                if journal.cursor(f"tripped/{pass_}"):
                    session.voice.out(f"  {pass_} is stopped by a safety limit: look, then run it once with --accept-limit")
        waits = [since for since in (oldest, journal.oldest_refused(), arrived) if since is not None]
        if waits and now - min(waits) > settings.alert_after.total_seconds():
            session.codes.append(errors.ATTENTION)


def _webhooks(journal: Journal, now: float) -> dict[str, str]:
    """Return how deliveries fared: what came last, what was refused last and why, what no pass has dealt with yet."""
    told = {}
    for one in journal.inbox.tallies():
        text = f"{one.received} received" + (f", the last {age(now - one.last_received)} ago" if one.last_received else "")
        text += f"; {one.repeated} repeated" if one.repeated else ""
        if one.last_refused:
            text += f"; {one.refused} refused, the last {age(now - one.last_refused)} ago: {one.last_reason}"
        told[f"webhooks of {one.system}"] = text
    waiting, oldest = journal.inbox.counts()
    if told:
        told["waiting in the inbox"] = f"{waiting}" + (f", the oldest for {age(now - oldest)}" if oldest else "")
    return told


def _tally(one: Tally) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__slots__}


def _stripe_payouts(journal: Journal) -> dict[str, str]:
    """Return how many payouts of Stripe wait, where they are followed."""
    waiting = len(journal.links.in_state("stripe-payout", "waiting"))
    return {"Stripe payouts not booked yet": str(waiting)} if journal.cursor("stripe/payouts") else {}


def _debits(journal: Journal, now: float) -> dict[str, str]:
    """Return how GoCardless stands: the payouts that wait and how old the reading is."""
    from datetime import datetime

    read = journal.cursor("gocardless/events")
    if read is None:
        return {}
    waiting = sum(len(journal.links.in_state("payout", state)) for state in ("pending", "waiting"))
    return {
        "GoCardless payouts not booked yet": str(waiting),
        "GoCardless read": f"{age(now - datetime.fromisoformat(read).timestamp())} ago",
    }


def register(app: typer.Typer) -> None:
    """Add the command of this room."""
    app.command("status", short_help="How every tenant and pass stands.")(status)
