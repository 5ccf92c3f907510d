"""Commands around the configuration: config check, show, accounts, schema."""

from __future__ import annotations

from typing import Annotated

import typer

from mlc.cli import options as o
from mlc.cli.session import Session, simple

config_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Check or show the configuration, its schema, SAP's accounts."
)


@config_app.command("check", short_help="Find what is wrong with the configuration.")
def check(config: o.Config = None, json: o.Json = False, quiet: o.Quiet = False, verbose: o.Verbose = 0) -> None:
    """Validate the configuration; errors name file:line:column, the key, and the fix."""

    def work(session: Session) -> None:
        settings = session.settings()
        names = ", ".join(settings.tenants)
        if json:
            session.voice.emit("config", path=str(settings.source), tenants=list(settings.tenants), ok=True)
        elif not quiet:
            session.voice.out(f"{settings.source or 'the configuration'} is valid: {len(settings.tenants)} tenant(s): {names}")
        session.voice.say("Next: mlc secret check, then mlc ping")

    simple(o.common(config, json=json, quiet=quiet, verbose=verbose), work)


@config_app.command("show", short_help="What is in force, and where from.")
def show(config: o.Config = None, json: o.Json = False, quiet: o.Quiet = False, verbose: o.Verbose = 0) -> None:
    """Show the configuration in force, defaults and environment included; secrets as references."""

    def work(session: Session) -> None:
        import yaml

        from mlc.config import redacted_dump

        settings = session.settings()
        shown = redacted_dump(settings)
        if json:
            session.voice.emit("config", path=str(settings.source), config=shown)
        else:
            session.voice.out(yaml.safe_dump(shown, sort_keys=False, allow_unicode=True).rstrip())

    simple(o.common(config, json=json, quiet=quiet, verbose=verbose), work)


@config_app.command("schema", short_help="Its JSON Schema, for editors.")
def schema() -> None:
    """Print the JSON Schema of the configuration, for editors: they complete and check while one types."""
    import json

    from mlc.config.editor import editor_schema

    typer.echo(json.dumps(editor_schema(), indent=2, ensure_ascii=False))


@config_app.command("accounts", short_help="Accounts of SAP's chart to choose from.")
def accounts(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="A part of a code or a name; left out: all of them.")] = "",
    config: o.Config = None, tenant: o.Tenants = None, json: o.Json = False, quiet: o.Quiet = False, verbose: o.Verbose = 0,
) -> None:  # fmt: skip
    """List the accounts of SAP's chart that may be posted to, to choose those of the configuration from."""

    def work(session: Session) -> None:
        from contextlib import ExitStack

        from mlc.cli.books import ways_to_read
        from mlc.cli.choosing import fitting, shown

        settings = session.settings()
        for one in session.tenants(settings):
            with session.guarded(f"{one.name}: "), ExitStack() as stack:
                sap = ways_to_read(session, settings, one, stack)[0]()
                found = fitting((account for page in sap.chart() for account in page), text)
                if json:
                    for account in found:
                        session.voice.emit("account", tenant=one.name, code=shown(account), name=account.name)
                else:
                    rows = [(one.name, shown(account), account.name) for account in found]
                    session.voice.table(["tenant", "account", "name"], rows)

    simple(o.common(config, tenant, json=json, quiet=quiet, verbose=verbose), work)


def register(app: typer.Typer) -> None:
    """Add the commands of this room."""
    app.add_typer(config_app, name="config", short_help="Check it, show it, choose accounts.")
