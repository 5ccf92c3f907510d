"""Commands around the configuration: init, config check, config show."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from mlc.cli import options as o
from mlc.cli.session import Session, simple
from mlc.core.errors import ConfigError

config_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Check or show the configuration, and its schema for editors."
)
Text = str | None


@config_app.command("check")
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


@config_app.command("show")
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


@config_app.command("schema")
def schema() -> None:
    """Print the JSON Schema of the configuration, for editors: they complete and check while one types."""
    import json

    from mlc.config.editor import editor_schema

    typer.echo(json.dumps(editor_schema(), indent=2, ensure_ascii=False))


def init(
    path: Annotated[Path, typer.Option("--config", help="Where to write; an existing file is never touched.")] = Path("config.yaml"),
    tenant: Annotated[Text, typer.Option("--tenant", help="A short name for the tenant.")] = None,
    sap_url: Annotated[Text, typer.Option("--sap-url", help="Service Layer, ending in /b1s/v2 (or v1).")] = None,
    company_db: Annotated[Text, typer.Option("--company-db", help="The company's database name in SAP.")] = None,
    username: Annotated[Text, typer.Option("--username", help="The SAP user mlc logs in as.")] = None,
    start_date: Annotated[Text, typer.Option("--start-date", help="Nothing before this day is pushed or posted (YYYY-MM-DD).")] = None,
    timezone: Annotated[Text, typer.Option("--timezone", help="Time zone of the SAP server.")] = None,
    secrets: Annotated[Text, typer.Option("--secrets", help="keyring, file, env or systemd.")] = None,
    clearing_account: Annotated[Text, typer.Option("--clearing-account", help="SAP account of the money that Stripe holds.")] = None,
    fee_account: Annotated[Text, typer.Option("--fee-account", help="SAP account of Stripe's fees.")] = None,
    bank_account: Annotated[Text, typer.Option("--bank-account", help="SAP account where payouts arrive.")] = None,
    quiet: o.Quiet = False,
) -> None:  # fmt: skip
    """Write a commented config.yaml, never over an existing one; asks at a terminal for what is not given."""

    def work(session: Session) -> None:
        from mlc.config import InitAnswers, template

        if path.exists():
            raise ConfigError(
                f"{path} is there already and stays as it is", hint="give another place with --config, or edit it"
            )
        answers = InitAnswers(
            tenant=_answer(tenant, "Short name of the tenant", "acme", "--tenant"),
            sap_url=_answer(sap_url, "Service Layer, for example https://sap.example:50000/b1s/v2", None, "--sap-url"),
            company_db=_answer(company_db, "Company database", None, "--company-db"),
            username=_answer(username, "SAP user", "mlc", "--username"),
            start_date=_answer(start_date, "Nothing before this day counts (YYYY-MM-DD)", None, "--start-date"),
            timezone=_answer(timezone, "Time zone of the SAP server", "Europe/Berlin", "--timezone"),
            secrets=_answer(secrets, "Where secrets are kept: keyring, file, env or systemd", "keyring", "--secrets"),  # type: ignore[arg-type]
            stripe_accounts={
                "clearing_account": _answer(
                    clearing_account, "SAP account of the money Stripe holds", "1361", "--clearing-account"
                ),
                "fee_account": _answer(fee_account, "SAP account of Stripe's fees", "6855", "--fee-account"),
                "bank_account": _answer(bank_account, "SAP account where payouts arrive", "1200", "--bank-account"),
            },
        )
        if answers.secrets not in ("keyring", "file", "env", "systemd"):
            raise ConfigError(f"--secrets {answers.secrets} is not known", hint="choose keyring, file, env or systemd")
        text = template(answers)
        _load_once(text, path)
        try:
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise ConfigError(f"{path} cannot be written: {error.strerror}", hint="choose a folder you may write to") from error
        session.voice.say(f"wrote {path}")
        session.voice.say(
            f"Next: mlc secret set {answers.tenant} sap.password, mlc secret set {answers.tenant} stripe.secret_key, mlc ping"
        )

    simple(o.common(quiet=quiet), work)


def _load_once(text: str, path: Path) -> None:
    """Refuse answers that would not load, before anything is written."""
    from mlc.config import parse

    parse(text.encode(), path, {})


def _answer(given: str | None, question: str, default: str | None, flag: str) -> str:
    if given is not None:
        return given
    if sys.stdin.isatty():
        return str(typer.prompt(question, default=default, err=True))
    if default is not None:
        return default
    raise ConfigError(f"mlc init needs {flag}", hint="there is no terminal to ask at: give it as a flag")


def register(app: typer.Typer) -> None:
    """Add the commands of this room."""
    app.command("init", short_help="Write a commented config.yaml.")(init)
    app.add_typer(config_app, name="config")
