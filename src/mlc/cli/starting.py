"""mlc init: writes a first configuration from flags, or from questions at a terminal, with accounts from SAP's own chart."""

from __future__ import annotations

import getpass
import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlc.cli import options as o
from mlc.cli.session import Session, attended, simple
from mlc.core.errors import ConfigError, MlcError

if TYPE_CHECKING:
    from mlc.config import Tenant
    from mlc.config.initfile import InitAnswers
    from mlc.core.facts import Account

Text = str | None
_STORES = ("keyring", "file", "env", "systemd")
_ROLES = {
    "stripe.clearing_account": ("SAP account of the money that Stripe holds for you", "1361"),
    "stripe.fee_account": ("SAP account of Stripe's fees", "6855"),
    "stripe.bank_account": ("SAP account where Stripe's payouts arrive", "1200"),
    "gocardless.bank_account": ("SAP account where GoCardless' payouts arrive", "1200"),
    "gocardless.fee_account": ("SAP account of GoCardless' fees", "6855"),
    "gocardless.vat_account": ("SAP account of the VAT on GoCardless' fees; without it a payout with VAT is held", None),
}  # the question, and the code of the documentation; None: it may be left out


def init(
    path: Annotated[Path, typer.Option("--config", metavar="PATH", help="Where to write; never over an existing file.")] = Path("config.yaml"),
    tenant: Annotated[Text, typer.Option("--tenant", metavar="NAME", help="A short name for the tenant.")] = None,
    sap_url: Annotated[Text, typer.Option("--sap-url", metavar="URL", help="Service Layer, ending in /b1s/v2 (or v1).")] = None,
    company_db: Annotated[Text, typer.Option("--company-db", metavar="NAME", help="The company's database name in SAP.")] = None,
    username: Annotated[Text, typer.Option("--username", metavar="NAME", help="The SAP user mlc logs in as.")] = None,
    ca_bundle: Annotated[Text, typer.Option("--ca-bundle", metavar="PATH", help="PEM file of the authority of SAP's certificate.")] = None,
    start_date: Annotated[Text, typer.Option("--start-date", metavar="DATE", help="Nothing before this day is touched (YYYY-MM-DD).")] = None,
    timezone: Annotated[Text, typer.Option("--timezone", metavar="ZONE", help="Time zone of the SAP server.")] = None,
    secrets: Annotated[Text, typer.Option("--secrets", metavar="STORE", help="keyring, file, env or systemd.")] = None,
    state: Annotated[Text, typer.Option("--state", metavar="PATH", help="The state file; left out: ~/.local/state/mlc/mlc.db.")] = None,
    stripe: Annotated[bool | None, typer.Option("--stripe/--no-stripe", help="Whether the tenant collects by Stripe.")] = None,
    gocardless: Annotated[bool | None, typer.Option("--gocardless/--no-gocardless", help="Whether it collects by GoCardless.")] = None,
    stripe_url: Annotated[Text, typer.Option("--stripe-url", metavar="URL", help="Another address of Stripe: mlc sandbox's.")] = None,
    gocardless_url: Annotated[Text, typer.Option("--gocardless-url", metavar="URL", help="Another address of it: mlc sandbox's.")] = None,
    clearing_account: Annotated[Text, typer.Option("--clearing-account", metavar="CODE", help="SAP account of the money Stripe holds.")] = None,
    fee_account: Annotated[Text, typer.Option("--fee-account", metavar="CODE", help="SAP account of the fees.")] = None,
    bank_account: Annotated[Text, typer.Option("--bank-account", metavar="CODE", help="SAP account where payouts arrive.")] = None,
    vat_account: Annotated[Text, typer.Option("--vat-account", metavar="CODE", help="SAP account of the VAT on GoCardless' fees.")] = None,
    quiet: o.Quiet = False,
) -> None:  # fmt: skip
    """Write a commented config.yaml, never over an existing one; asks at a terminal for what is not given."""

    def work(session: Session) -> None:
        if os.path.lexists(path):
            raise ConfigError(
                f"{path} is there already and stays as it is", hint="give another place with --config, or edit it"
            )
        questions = _Questions(session, path)
        one = questions.one
        one("tenant", tenant, "Short name of the tenant", "acme", "--tenant")
        one("sap_url", sap_url, "Service Layer, for example https://sap.example:50000/b1s/v2", None, "--sap-url")
        one("company_db", company_db, "Company database", None, "--company-db")
        one("username", username, "SAP user", "mlc", "--username")
        plain = questions.answers.sap_url.startswith("http:")  # loopback: there is no certificate
        one(
            "ca_bundle",
            "" if plain and ca_bundle is None else ca_bundle,
            "PEM file of the authority of SAP's certificate (empty: a public one)",
            "",
            "--ca-bundle",
        )
        one("timezone", timezone, "Time zone of the SAP server", "Europe/Berlin", "--timezone")
        first = date.today().replace(day=1).isoformat() if attended() else None
        one("start_date", start_date, "Nothing before this day is pushed or posted (YYYY-MM-DD)", first, "--start-date")
        one("secrets", secrets, "Where secrets are kept: keyring, file, env or systemd", _usual_store(), "--secrets")
        use_stripe = questions.yes(stripe, "Does the tenant collect by Stripe?", default=True)
        use_gocardless = questions.yes(gocardless, "Does it collect by GoCardless?", default=False)
        questions.take(stripe=use_stripe, gocardless=use_gocardless)
        for field, value in (("state", state), ("stripe_url", stripe_url), ("gocardless_url", gocardless_url)):
            if value is not None:
                questions.flag(f"--{field.replace('_', '-')}", value, **{field: value})
        given = {
            "clearing_account": clearing_account, "fee_account": fee_account, "bank_account": bank_account, "vat_account": vat_account,
        }  # fmt: skip
        questions.accounts(
            {role: given[role.split(".")[1]] for role in _ROLES if getattr(questions.answers, role.split(".")[0])}
        )
        questions.write()

    simple(o.common(quiet=quiet), work)


def _usual_store() -> str:
    """Return where secrets are best kept here: a machine without a session bus has no keyring."""
    return "keyring" if os.environ.get("DBUS_SESSION_BUS_ADDRESS") or not attended() else "file"


class _Questions:
    """What was answered so far; every answer is tried in the file that it will stand in."""

    def __init__(self, session: Session, path: Path) -> None:
        from mlc.config.initfile import InitAnswers

        self.session, self.path = session, path
        self.answers: InitAnswers = InitAnswers(
            sap_url="https://sap.example:50000/b1s/v2", company_db="SBO", username="mlc", start_date="2026-01-01"
        )
        self.password = ""

    # --- asking -----------------------------------------------------------------------------------------------------

    def one(self, field: str, given: str | None, question: str, default: str | None, flag: str) -> None:
        """Take one answer: from the flag, from a person until it is right, or its default where nobody sits there."""
        if given is None and not attended():
            if default is None:
                raise ConfigError(f"mlc init needs {flag}", hint="there is no terminal to ask at: give it as a flag")
            given = default
        while True:
            answer = given if given is not None else _typed(question, default)
            try:
                self.take(**{field: answer or (None if field == "ca_bundle" else answer)})
            except ConfigError as error:
                if given is not None:
                    raise ConfigError(f"{flag} {answer}: {error.message}", hint=error.hint) from None
                self.session.voice.warn(f"  {error.message}")
            else:
                return

    def flag(self, flag: str, given: str, **fields: Any) -> None:
        """Take what a flag gave. Raises ConfigError that names the flag."""
        try:
            self.take(**fields)
        except ConfigError as error:
            raise ConfigError(f"{flag} {given or '(empty)'}: {error.message}", hint=error.hint) from None

    def take(self, **fields: Any) -> None:
        """Take answers if a file with them loads. Raises ConfigError that says what is wrong with the answer."""
        if fields.get("secrets", "file") not in _STORES:
            raise ConfigError(f"is none of {', '.join(_STORES)}", hint="choose one of them")
        if (fields.get("stripe"), fields.get("gocardless")) == (False, False):
            raise ConfigError("a tenant needs Stripe, GoCardless or both", hint="choose at least one of the two")
        answers = replace(self.answers, **fields)
        self._loaded(answers)
        self.answers = answers

    def _loaded(self, answers: InitAnswers) -> Tenant:
        from mlc.config import parse
        from mlc.config.initfile import template

        try:
            return next(iter(parse(template(answers).encode(), self.path, {"HOME": str(Path.home())}).tenants.values()))
        except ConfigError as error:
            words = next(line for line in error.message.splitlines() if not line.startswith("    ")).split(": ", 2)
            raise ConfigError(words[-1], hint="give another answer") from None

    def yes(self, given: bool | None, question: str, *, default: bool) -> bool:
        """Take a yes or no."""
        if given is not None or not attended():
            return default if given is None else given
        return bool(typer.confirm(question, default=default, err=True))

    # --- accounts ---------------------------------------------------------------------------------------------------

    def accounts(self, given: dict[str, str | None]) -> None:
        """Take the accounts: from flags, chosen from SAP's chart, typed, or those of the documentation."""
        open_ = [role for role, code in given.items() if code is None]
        chart = self._chart() if open_ and attended() else []
        for role, code in given.items():
            question, sample = _ROLES[role]
            block, key = role.split(".")
            accounts = dict(getattr(self.answers, f"{block}_accounts"))
            if code is not None:  # also an empty one: a sample is no answer to a flag that was given
                self.flag(f"--{key.replace('_', '-')}", code, **{f"{block}_accounts": {**accounts, key: code}})
                continue
            chosen = self._chosen(chart, role, question, sample) if attended() else sample
            if chosen is not None:
                self.take(**{f"{block}_accounts": {**accounts, key: chosen}})

    def _chosen(self, chart: Sequence[Account], role: str, question: str, sample: str | None) -> str | None:
        from mlc.cli import choosing

        if chart:
            return choosing.choose(chart, role, question, _asked, self.session.voice.say, optional=sample is None)
        if sample is not None:
            return _typed(question, sample)
        typed = _typed(f"{question} ({choosing.NONE} for none)", choosing.NONE)
        return None if typed == choosing.NONE else typed

    def _chart(self) -> list[Account]:
        """Log in with a typed password and read the chart of accounts; empty where the person does not want it, or SAP does not."""
        from mlc.opening import Seams, sap_opened_by
        from mlc.secrets import Secret
        from mlc.systems.sap.reads import SapReads

        say, who = self.session.voice.say, f"{self.answers.username} at {self.answers.company_db}"
        while self.yes(None, f"Log in to SAP as {who} now, to choose accounts from its chart?", default=True):
            try:
                secret = Secret(getpass.getpass(f"password of {who} (not shown): "))
            except ValueError as error:
                self.session.voice.warn(f"  the password {error}")
                continue
            reads = SapReads(sap_opened_by(self._loaded(self.answers), secret, Session.seams or Seams()))
            try:
                chart = [one for page in reads.chart() for one in page]
            except MlcError as error:
                self.session.voice.warn(f"  {error.message}")
                say("  three wrong passwords may lock the user in SAP")
            else:
                say(f"{len(chart)} accounts of {who} may be posted to")
                self.password = secret.reveal()
                return chart
            finally:
                reads.system.close()
        return []

    # --- the end ----------------------------------------------------------------------------------------------------

    def write(self) -> None:
        """Write the file, keep the password if it is wanted, and say what comes next."""
        from mlc.config.initfile import template

        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(template(self.answers))
            except OSError:  # a full disk: half a file would be in the way of the next try
                self.path.unlink(missing_ok=True)
                raise
        except OSError as error:
            raise ConfigError(
                f"{self.path} cannot be written: {error.strerror}", hint="choose a folder you may write to"
            ) from error
        say = self.session.voice.say
        say(f"wrote {self.path}")
        at = "" if self.path == Path("config.yaml") else f" --config {self.path}"
        for command in _next_steps(self.answers, kept=self._keep()):
            say(f"next: {command}{at}")

    def _keep(self) -> bool:
        """Keep the typed password in the store, where a person wants that and the store takes it."""
        places = {"keyring": "the keyring of this login session", "file": "mlc's encrypted file"}
        if not self.password or self.answers.secrets not in places:
            return False
        if not self.yes(None, f"Keep this password in {places[self.answers.secrets]}?", default=True):
            return False
        from mlc.config import load

        try:
            if self.answers.secrets == "file":
                self._key()
            settings = load(self.path, {"HOME": str(Path.home())})
            self.session.resolver(settings).set_secret(self.answers.tenant, "sap.password", self.password)
        except MlcError as error:
            self.session.voice.warn(f"it was not kept: {error.message.splitlines()[-1].strip()}")
            return False
        return True

    def _key(self) -> None:
        """Make the key of the encrypted file where there is none: else a passphrase would be asked for, which no timer can type."""
        from mlc.secrets.keys import default_path, write_key_file

        path = default_path(Path.home())
        if not path.exists():
            try:
                write_key_file(path)
            except OSError as error:
                raise ConfigError(f"the key file {path} cannot be written: {error.strerror}") from None
            self.session.voice.say(f"made the key file {path}: keep it out of backups that hold the encrypted file")


def _next_steps(answers: InitAnswers, *, kept: bool) -> list[str]:
    """Return the commands that a person types next, in their order."""
    from mlc.secrets.keys import default_path

    names = [] if kept else ["sap.password"]
    names += ["stripe.secret_key"] if answers.stripe else []
    names += ["gocardless.access_token"] if answers.gocardless else []
    steps = [f"mlc secret set {answers.tenant} {name}" for name in names] if answers.secrets in ("keyring", "file") else []
    if answers.secrets == "file" and not kept and not default_path(Path.home()).exists():
        steps.insert(0, "mlc secret key create")
    return [*steps, "mlc secret check", "mlc ping", "mlc run -n"]


def _asked(question: str, default: str | None) -> str:
    """Ask for an account; nothing typed is an answer too: show them all."""
    return _typed(question, default or "")


def _typed(question: str, default: str | None) -> str:
    return str(typer.prompt(question, default=default, err=True, show_default=bool(default)))


def register(app: typer.Typer) -> None:
    """Add the command of this room."""
    app.command("init", short_help="Write a commented config.yaml.")(init)
