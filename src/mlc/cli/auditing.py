"""mlc audit: who asked for what, what was sent, what was answered, and the proof that nothing of it was changed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlc.cli import options as o
from mlc.cli.session import Session, simple
from mlc.core import errors
from mlc.core.errors import ConfigError

if TYPE_CHECKING:
    from mlc.store.audit import AuditRow

_HASH = re.compile(r"[0-9a-f]{12,64}")  # runs show twelve characters, `status` sixteen
audit_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="The trail: who asked for what, what was sent and answered."
)


def _fields(row: AuditRow) -> dict[str, Any]:
    return {
        "seq": row.seq, "at": row.at, "company": row.book, "run_id": row.run_id, "pass": row.pass_, "id": row.name, "what": row.what,
        "data": row.data, "hash": row.hash,
    }  # fmt: skip


def _show(session: Session, tenant: str, row: AuditRow) -> None:
    if session.options.json:
        session.voice.emit("audit", tenant=tenant, **_fields(row))
        return
    session.voice.out(f"{row.seq:>6} {row.at} {row.what:<10} {row.name or row.pass_}")
    told = ", ".join(f"{name}: {value}" for name, value in row.data.items() if value not in ("", None, {}))
    if told:
        session.voice.out(f"       {told}")


def _trail(options: o.Common, wish: str | None, last: int | None) -> None:
    def work(session: Session) -> None:
        from mlc.cli.books import reading

        settings = session.settings()
        found = False
        for tenant in session.tenants(settings):
            with session.guarded(f"{tenant.name}: "), reading(settings, tenant) as journal:
                book = tenant.sap.company_db
                rows = journal.audit.newest(book, last) if last else journal.audit.rows(book=book, name=wish)
                for row in rows:
                    found = True
                    _show(session, tenant.name, row)
        if wish is not None and not found and not session.codes:
            raise ConfigError(f"the trail knows nothing of {wish}", hint="mlc audit list shows the newest rows")

    simple(options, work)


@audit_app.command("list")
def list_(
    last: Annotated[int, typer.Option("--last", metavar="N", min=1, max=1_000_000, help="So many of the newest rows.")] = 50,
    config: o.Config = None, tenant: o.Tenants = None, json: o.Json = False, quiet: o.Quiet = False, verbose: o.Verbose = 0,
) -> None:  # fmt: skip
    """Show the newest rows."""
    _trail(o.common(config, tenant, json=json, quiet=quiet, verbose=verbose), None, last)


@audit_app.command("show")
def show(
    wish: Annotated[str, typer.Argument(metavar="ID", help="A name, a payment, an invoice's DocEntry.")],
    config: o.Config = None, tenant: o.Tenants = None, json: o.Json = False, quiet: o.Quiet = False, verbose: o.Verbose = 0,
) -> None:  # fmt: skip
    """Show everything that happened to one thing."""
    _trail(o.common(config, tenant, json=json, quiet=quiet, verbose=verbose), wish, None)


@audit_app.command("export")
def export(config: o.Config = None, tenant: o.Tenants = None, quiet: o.Quiet = False, verbose: o.Verbose = 0) -> None:
    """Write the whole trail as JSON Lines."""
    _trail(o.common(config, tenant, json=True, quiet=quiet, verbose=verbose), None, None)


@audit_app.command("verify", short_help="Prove that no row was changed or removed.")
def verify(
    head: Annotated[str | None, typer.Option("--head", metavar="HASH", help="A hash noted earlier: it must still be in the trail.")] = None,
    config: o.Config = None, json: o.Json = False, quiet: o.Quiet = False, verbose: o.Verbose = 0,
) -> None:  # fmt: skip
    """Prove that no row was changed, removed or moved."""

    def work(session: Session) -> None:
        from mlc.store.audit import Audit
        from mlc.store.database import Database

        if head is not None and not _HASH.fullmatch(head):  # an empty variable of a script is no proof, and no broken trail
            raise ConfigError(
                f'--head "{head}" is no hash of the trail',
                hint="give at least the first 12 of its characters, as runs show them",
            )
        database = Database.open(session.settings().state, create=False)
        try:
            audit = Audit(database)
            count, wrong = audit.verify(head)
            if json:
                session.voice.emit("verify", rows=count, erased=audit.erased(), head=audit.head(), wrong=wrong)
            elif not wrong:
                erased = audit.erased()
                told = f", a person's data taken out of {erased}" if erased else ""
                session.voice.out(f"{count} rows, unbroken{told}; head {audit.head()}")
            for text in [] if json else wrong:
                session.voice.out(text)
        finally:
            database.close()
        if wrong:
            raise errors.UnexpectedAnswerError(
                f"the audit trail is broken in {len(wrong)} place(s)",
                hint="compare with a backup; whoever can write the state file can do this",
            )

    simple(o.common(config, None, json=json, quiet=quiet, verbose=verbose), work)


def register(app: typer.Typer) -> None:
    """Add the commands of this room."""
    app.add_typer(audit_app, name="audit", short_help="The trail, and the proof that it is whole.")
