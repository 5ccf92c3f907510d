"""mlc secret key, move, rotate: where secrets are kept and under which key; values are never shown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlc.cli import options as o
from mlc.cli.session import Session, simple
from mlc.core import errors

if TYPE_CHECKING:
    from mlc.config import Tenant

key_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="The master key of the encrypted file.")
CREATED = """made {path} (0400). Whoever has it and the encrypted file has every secret: keep it out of backups of the state.
  as a file:    secrets: {{store: file, key: {{file: {path}}}}}
  or sealed:    systemd-creds encrypt --name=mlc-master {path} /etc/credstore.encrypted/mlc-master
                in the unit: LoadCredentialEncrypted=mlc-master   in the config: key: {{systemd: mlc-master}}
                then keep {path} offline, or remove it"""


@key_app.command("create")
def create(
    path: Annotated[Path | None, typer.Argument(metavar="PATH", help="Where; else what secrets.key names, ~/.config/mlc/master.key.")]
    = None, config: o.Config = None, quiet: o.Quiet = False,
) -> None:  # fmt: skip
    """Make a key file with a new random key; never over an existing one."""

    def work(session: Session) -> None:
        from mlc.core.errors import ConfigError
        from mlc.secrets import key_file

        chosen = path
        if chosen is None:
            chosen = session.resolver(session.settings()).vault.keys.path
        if chosen is None:
            raise ConfigError("the configuration keeps the key in no file", hint="name a PATH, and store what it holds there")
        key_file(chosen.absolute())
        session.voice.say(CREATED.format(path=chosen.absolute()))

    simple(o.common(config, quiet=quiet), work)


def left_out(tenant: Tenant) -> list[str]:
    """Return the names of the secrets a tenant may have in the store: those with no reference."""
    names = [] if tenant.sap.password is not None else ["sap.password"]
    if tenant.stripe is not None and tenant.stripe.secret_key is None:
        names.append("stripe.secret_key")
    if tenant.gocardless is not None and tenant.gocardless.access_token is None:
        names.append("gocardless.access_token")
    for system in ("stripe", "gocardless", "sap"):
        section = getattr(tenant, system)
        if section is not None and not section.webhook_secret:
            names.append(f"{system}.webhook_secret")
    return names


def move(
    to: Annotated[str, typer.Option("--to", metavar="STORE", help="file or keyring: where they shall be.")],
    config: o.Config = None, tenant: o.Tenants = None, quiet: o.Quiet = False,
    remove: Annotated[bool, typer.Option("--remove", help="Take them out of the old store once they were read back.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Where both stores have one, let the old store's win.")] = False,
) -> None:  # fmt: skip
    """Copy the secrets the configuration leaves out from the keyring to the encrypted file, or back."""

    def work(session: Session) -> None:
        from mlc.secrets import Move

        settings = session.settings()
        change = Move(session.resolver(settings), to)
        wanted = [(one.name, name) for one in session.tenants(settings) for name in left_out(one)]
        rows = change.run(wanted, replace=replace) if wanted else []
        here = [row for row in rows if row[2] != "in neither"]
        shown = [row for row in rows if row in here or _needed(row[1])]
        if shown:
            session.voice.table(["tenant", "secret", f"in the {change.target.name}"], shown)
        if not wanted:
            session.voice.say("nothing to move: the configuration says of every secret where it is, and leaves none to a store")
            return
        if not here:
            raise errors.CredentialError(
                f"nothing was moved: neither store has any of the {len(wanted)} secrets that are left out"
            )
        if remove:
            change.remove([row[:2] for row in here])
            session.voice.say(f"read back, and taken out of the {change.source.name}")
        if settings.secrets.store != to:
            session.voice.say(f"read back. Now set  secrets: {{store: {to}}}  and run  mlc secret check")

    simple(o.common(config, tenant, quiet=quiet), work)


def _needed(name: str) -> bool:
    return not name.endswith(".webhook_secret")


def rotate(
    config: o.Config = None, quiet: o.Quiet = False,
    to_key: Annotated[Path | None, typer.Option("--to-key", metavar="PATH", help="A key file to change to; else a new one in its place.")]
    = None,
) -> None:  # fmt: skip
    """Put the whole encrypted file under a new key, at once or not at all."""

    def work(session: Session) -> None:
        from mlc.secrets import Rotation

        resolver = session.resolver(session.settings())
        session.voice.say(Rotation(resolver).run(to_key.absolute() if to_key is not None else None))

    simple(o.common(config, quiet=quiet), work)


def add_to(secret_app: typer.Typer) -> None:
    """Add the commands of this room to `mlc secret`."""
    secret_app.command("move", short_help="Copy them from one store to the other.")(move)
    secret_app.command("rotate", short_help="A new key for the encrypted file.")(rotate)
    secret_app.add_typer(key_app, name="key")
