"""mlc state: care of the state file - backup, check, restored, prune, export."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlc.cli import options as o
from mlc.cli.session import Session, simple
from mlc.core import errors
from mlc.core.errors import ConfigError

if TYPE_CHECKING:
    from mlc.store.journal import Journal

state_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Care of the state file.")
_DAYS = re.compile(r"([1-9][0-9]{0,4})d?")


@state_app.command("backup", short_help="Copy the state file, also during a run.")
def backup(
    target: Annotated[Path | None, typer.Argument(metavar="FILE", help="Where to; left out: beside the state, with the moment.")] = None,
    config: o.Config = None, json: o.Json = False, quiet: o.Quiet = False,
) -> None:  # fmt: skip
    """Copy the state file, also while a run is under way; the copy is checked and readable by its owner alone."""

    def work(session: Session) -> None:
        from mlc.store.audit import Audit
        from mlc.store.copying import back_up
        from mlc.store.database import Database

        settings = session.settings()
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        path = target or settings.state.with_name(f"{settings.state.name}.{stamp}.backup")
        database = Database.open(settings.state, create=False)
        try:
            back_up(database.connection, path)
            head = Audit(database).head()
        finally:
            database.close()
        size = path.stat().st_size
        if json:
            session.voice.emit("backup", file=str(path), bytes=size, audit_head=head)
        else:
            session.voice.say(f"copied to {path} ({size / 2**20:.1f} MB); audit {head[:12]}")
            session.voice.say(
                "To put it back: stop every run and receiver, copy it over the state file, then `mlc state restored`."
            )

    simple(o.common(config, json=json, quiet=quiet), work)


@state_app.command("check", short_help="Look whether the state file is sound.")
def check(config: o.Config = None, json: o.Json = False, quiet: o.Quiet = False) -> None:
    """Look at the whole state file: its structure, the chain of the trail, its rights, the room around it. 1 where something is wrong."""

    def work(session: Session) -> None:
        from mlc.store.care import examine
        from mlc.store.database import Database

        settings = session.settings()
        database = Database.open(settings.state, create=False)
        try:
            health = examine(database)
        finally:
            database.close()
        if json:
            session.voice.emit(
                "state", file=str(health.path), megabytes=round(health.megabytes, 2), free_megabytes=round(health.free_megabytes, 1),
                audit_rows=health.audit_rows, audit_head=health.head, wrong=health.wrong, mended=health.mended,
            )  # fmt: skip
        for text in health.wrong + health.mended:
            session.voice.warn(f"error: {text}")
        if health.mended:
            session.voice.warn("  next: nothing; but somebody has written to the file who is not mlc: look who may")
            session.codes.append(errors.FAILED)
        if health.wrong:
            session.voice.warn(
                "  next: put back a backup and `mlc state restored`, or move the file away: mlc rebuilds it by reading"
            )
            session.codes.append(errors.FAILED)
        elif not json and not health.mended:
            room = f"{health.megabytes:.1f} MB, {health.free_megabytes:.0f} MB free beside it"
            session.voice.say(f"{health.path} is sound: {room}; {health.audit_rows} rows of the trail, head {health.head[:12]}")

    simple(o.common(config, json=json, quiet=quiet), work)


@state_app.command("restored", short_help="Say that an older copy was put back.")
def restored(
    config: o.Config = None, tenant: o.Tenants = None, lock_timeout: o.LockTimeout = 0.0, quiet: o.Quiet = False
) -> None:
    """Say that an older copy of the state was put back: the next runs read both sides whole and take nothing in it for news."""

    def each(journal: Journal, name: str) -> None:
        from mlc.cli.holding import who
        from mlc.store.care import restored as treat

        told, doubt = treat(journal, who()), journal.in_doubt()
        waits = f"; {doubt} writes were under way when the copy was made, the next run looks them up" if doubt else ""
        session.voice.say(
            f"{name}: {told['cursors']} cursors and {told['contacts']} agreed contacts are forgotten{waits}. "
            "The next runs read everything; what stands on both sides is adopted, not written again"
        )

    session = Session(o.common(config, tenant, quiet=quiet, lock_timeout=lock_timeout))
    _tend(session, each, "mlc state restored")


@state_app.command("prune", short_help="Take out what is old; the trail stays.")
def prune(
    older_than: Annotated[str, typer.Option("--older-than", metavar="DAYS", help="Days, such as 400d; 30 at least.")] = "400d",
    config: o.Config = None, tenant: o.Tenants = None, dry_run: o.DryRun = False, lock_timeout: o.LockTimeout = 0.0,
    quiet: o.Quiet = False,
) -> None:  # fmt: skip
    """Take out bodies of deliveries, requests of ended promises and runs that are older; ids, decisions and the trail stay."""
    from mlc.store import care

    session = Session(o.common(config, tenant, quiet=quiet, lock_timeout=lock_timeout))
    found, days = _DAYS.fullmatch(older_than), 0
    with session.guarded():
        if found is None or int(found[1]) < 30:
            raise ConfigError(f"--older-than {older_than} is no number of days from 30 on", hint="write it as 400d")
        days = int(found[1])
    if session.codes:
        session.end()

    def each(journal: Journal, name: str) -> None:
        counts = care.prune(journal, journal.clock.now() - days * 86400, dry_run=dry_run)
        told = ", ".join(f"{count} {what}" for what, count in counts.items())
        session.voice.say(f"{name}: {'would take out' if dry_run else 'took out'} {told} older than {days} days")
        if not dry_run and any(counts.values()):
            care.compact(journal.database)

    _tend(session, each, "mlc state prune")


@state_app.command("erase", short_help="Take out one customer's personal data.")
def erase(
    card: Annotated[str, typer.Argument(metavar="CARDCODE", help="The business partner whose personal data are taken out.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask at a terminal; needed without one.")] = False,
    config: o.Config = None, tenant: o.Tenants = None, dry_run: o.DryRun = False, lock_timeout: o.LockTimeout = 0.0,
) -> None:  # fmt: skip
    """Take one customer's name, e-mail, telephone and street out of the state and its trail; numbers, ids and sums stay."""
    session = Session(o.common(config, tenant, lock_timeout=lock_timeout))
    with session.guarded():
        if len(session.tenants(session.settings())) > 1:
            raise ConfigError(f"{card} may be a partner of several tenants", hint="say which one with --tenant")
        if not (yes or dry_run) and not (
            sys.stdin.isatty() and typer.confirm(f"Take out what names {card}, for good?", err=True)
        ):
            raise ConfigError("nothing was taken out", hint="look with --dry-run, then give --yes")
    if session.codes:
        session.end()

    def each(journal: Journal, name: str) -> None:
        from mlc.cli.holding import who
        from mlc.store.care import compact
        from mlc.store.erasing import erase as take_out

        told = take_out(journal, card, who(), dry_run=dry_run)
        if not told.words:
            raise ConfigError(f"the state knows nothing by which {card} could be named", hint="give the CardCode as SAP has it")
        counts = ", ".join(f"{count} {what}" for what, count in told.rows.items() if count)
        session.voice.say(f"{name}: {'would change' if dry_run else 'changed'} {counts or 'nothing'}")
        if not dry_run:
            compact(journal.database)
            session.voice.say(
                "Backups and what SAP, Stripe and GoCardless hold are not touched; the next sync reads them again."
            )

    _tend(session, each, f"mlc state erase {card}")


def _tend(session: Session, work: Callable[[Journal, str], None], holder: str) -> None:
    """Do the work on the journal of each tenant, under its lock; no secret is needed for that."""
    from mlc.cli.books import tending

    with session.guarded():
        settings = session.settings()
        for one in session.tenants(settings):
            with session.guarded(f"{one.name}: "), tending(session, settings, one, holder) as journal:
                work(journal, one.name)
    session.end()


@state_app.command("export", short_help="Write every row as JSON Lines.")
def export(config: o.Config = None, tenant: o.Tenants = None) -> None:
    """Write every row of a tenant's state as JSON Lines on stdout; the trail has `mlc audit export`."""

    def work(session: Session) -> None:
        from mlc.cli.books import reading
        from mlc.store.care import rows

        settings = session.settings()
        for one in session.tenants(settings):
            with session.guarded(f"{one.name}: "), reading(settings, one) as journal:
                for table, row in rows(journal.database, journal.book):
                    session.voice.emit("row", tenant=one.name, table=table, row=row)

    simple(o.common(config, tenant, json=True), work)


def register(app: typer.Typer) -> None:
    """Add the commands of this room."""
    app.add_typer(state_app, name="state")
