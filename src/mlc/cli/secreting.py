"""mlc secret: secrets into and out of the store; values are never on the command line and never printed."""

from __future__ import annotations

import getpass
import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from mlc.cli import options as o
from mlc.cli import vaulting
from mlc.cli.session import Session, attended, simple
from mlc.core.errors import ConfigError, MlcError

if TYPE_CHECKING:
    from mlc.config import Settings, Tenant
    from mlc.secrets import Resolver

secret_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Secrets in the store the configuration names.")
TenantName = Annotated[str, typer.Argument(metavar="TENANT", help="The tenant as the configuration names it.")]
SecretName = Annotated[str, typer.Argument(metavar="NAME", help="For example sap.password or stripe.secret_key.")]


PING = "watch.ping_url"  # the address of a check that is pinged; it has no place unless the configuration refers to one


def references(settings: Settings, tenant: Tenant) -> list[tuple[str, object]]:
    """Return the secrets a tenant needs, with what the configuration refers to (None = the store).

    Those of webhooks are needed where they are configured: without one there is no endpoint.
    """
    found: list[tuple[str, object]] = [("sap.password", tenant.sap.password)]
    if tenant.stripe is not None:
        found.append(("stripe.secret_key", tenant.stripe.secret_key))
    if tenant.gocardless is not None:
        found.append(("gocardless.access_token", tenant.gocardless.access_token))
    for system in ("stripe", "gocardless", "sap"):
        section = getattr(tenant, system)
        found += [(f"{system}.webhook_secret", one) for one in section.webhook_secret] if section is not None else []
    ping = settings.watch_of(tenant).ping_url
    return found + ([(PING, ping)] if ping is not None and not isinstance(ping, str) else [])


def _known(settings: Settings, tenant: str, name: str) -> None:
    from mlc.secrets import NAMES

    settings.select([tenant])
    if name not in (*NAMES, PING):
        raise ConfigError(f"{name} is no secret mlc knows", hint=f"one of {', '.join((*NAMES, PING))}")


@secret_app.command("set", short_help="Store one secret, typed or from stdin.")
def set_(tenant: TenantName, name: SecretName, config: o.Config = None, quiet: o.Quiet = False) -> None:
    """Store one secret; asked for twice without echo, or read from standard input."""

    def work(session: Session) -> None:
        settings = session.settings()
        _known(settings, tenant, name)
        resolver = session.resolver(settings)
        resolver.set_secret(tenant, name, _typed(f"{name} of {tenant}"))
        if name == "sap.password":
            from mlc.cli.books import let_timers_try

            let_timers_try(settings, settings.tenants[tenant])
        session.voice.say(f"stored {name} of {tenant} in the {resolver.kept.name}. Next: mlc secret check, then mlc ping")

    simple(o.common(config, quiet=quiet), work)


def _typed(what: str) -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first, second = getpass.getpass(f"{what}: "), getpass.getpass("once more: ")
    if first != second:
        raise ConfigError("the two entries differ; nothing was stored", hint="try again")
    return first


@secret_app.command("list", short_help="Which secrets are needed, and where.")
def list_(config: o.Config = None, tenant: o.Tenants = None, json: o.Json = False, quiet: o.Quiet = False) -> None:
    """List which secrets each tenant needs and where they are looked for; never their values."""
    _each(o.common(config, tenant, json=json, quiet=quiet), resolve=False)


@secret_app.command("check", short_help="Find every secret as a timer would.")
def check(config: o.Config = None, tenant: o.Tenants = None, json: o.Json = False, quiet: o.Quiet = False) -> None:
    """Find every secret exactly as a timer would, without asking anybody."""
    _each(o.common(config, tenant, json=json, quiet=quiet), resolve=True)


def _each(options: o.Common, *, resolve: bool) -> None:
    def work(session: Session) -> None:
        settings = session.settings()
        resolver = session.resolver(settings, alone=resolve)
        rows, notes = [], set()
        for tenant in session.tenants(settings):
            for name, reference in references(settings, tenant):
                where = resolver.where(tenant.name, name, reference)  # type: ignore[arg-type]
                at = resolver.stored_at(tenant.name, name, reference)  # type: ignore[arg-type]
                last = _state(session, resolver, tenant, name, reference) if resolve else _age(at)
                note = _note(resolver, reference, where) if last == "yes" else ""
                notes.add(note)
                rows.append((tenant.name, name, where, last))
                if options.json:
                    found = {"state": last, "note": note} if resolve else {"stored_at": at}
                    session.voice.emit("secret", tenant=tenant.name, name=name, where=where, **found)
        rows = [row for row in rows if not options.quiet or row[3] == "no"]
        if not options.json and (rows or not options.quiet):
            session.voice.table(["tenant", "secret", "looked for in", "found" if resolve else "stored"], rows)
        for note in sorted(notes - {""}):
            session.voice.say(f"note: {note}", "yellow")

    simple(options, work)


def _age(at: int | None) -> str:
    import time

    from mlc.cli.render import age

    return "" if at is None else f"{age(time.time() - at)} ago"


def _note(resolver: Resolver, reference: object, where: str) -> str:
    """Return what a person should know of a place that works."""
    if reference is not None and reference.kind == "env":  # type: ignore[attr-defined]
        return (
            "a secret in the environment of a unit is shown to everybody by `systemctl show`; LoadCredentialEncrypted= hides it"
        )
    if where.startswith(resolver.keychain.name) and resolver.keychain.needs_login and sys.stderr.isatty():
        return "the OS keyring works in this login session; a timer has none: `mlc secret move --to file`"
    if where.startswith(resolver.filed.name) and (pending := resolver.vault.pending()):
        return f"a rotation was cut off: the key is in {pending}; `mlc secret rotate` finishes it"
    return ""


def unlike_a_timer(settings: Settings, resolver: Resolver, tenant: str, name: str, reference: object) -> str:
    """Return why a timer may not find a secret that a person's shell has found, "" where it will."""
    from mlc.secrets import Resolver

    if not attended():
        return ""
    where = resolver.where(tenant, name, reference)  # type: ignore[arg-type]
    if where.startswith(resolver.keychain.name) and resolver.keychain.needs_login:
        return "the OS keyring lives in this login session and a timer has none; `mlc secret move --to file`"
    if reference is not None and reference.kind == "env":  # type: ignore[attr-defined]
        return f"the variable {reference.value} is this shell's; a timer has what its unit or crontab sets"  # type: ignore[attr-defined]
    if where.startswith(resolver.filed.name) and resolver.filed.exists():
        try:
            Resolver(settings.secrets, os.environ, tty=False).resolve(tenant, name, reference)  # type: ignore[arg-type]
        except MlcError:
            return "its passphrase is asked for at a terminal; give `secrets.key` a key file or a credential"
    return ""


def _state(session: Session, resolver: Resolver, tenant: Tenant, name: str, reference: object) -> str:
    try:
        resolver.resolve(tenant.name, name, reference)  # type: ignore[arg-type]
    except MlcError as error:
        session.voice.error(error)
        session.codes.append(error.exit_code)
        return "no"
    return "yes"


@secret_app.command("rm")
def rm(
    tenant: TenantName, name: SecretName, config: o.Config = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask at a terminal.")] = False,
) -> None:  # fmt: skip
    """Remove one secret from the store."""

    def work(session: Session) -> None:
        settings = session.settings()
        _known(settings, tenant, name)
        if not yes and sys.stdin.isatty() and not typer.confirm(f"Remove {name} of {tenant}?", err=True):
            raise ConfigError("nothing was removed")
        removed = session.resolver(settings).remove(tenant, name)
        session.voice.say(f"removed {name} of {tenant}" if removed else f"{name} of {tenant} was not in the store")

    simple(o.common(config), work)


def register(app: typer.Typer) -> None:
    """Add the commands of this room."""
    vaulting.add_to(secret_app)
    app.add_typer(secret_app, name="secret", short_help="Secrets: set, list, check, move.")
