"""mlc schedule: the tenants' calendars as systemd units, as crontab lines, or as the next moments."""

from __future__ import annotations

import os
import re
import shlex
import sys
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlc.cli import options as o
from mlc.cli.files import write_whole
from mlc.cli.session import Session, simple
from mlc.core.errors import ConfigError

if TYPE_CHECKING:
    from mlc.cli.units import Due
    from mlc.config import Settings, Tenant

schedule_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="The tenants' calendars as systemd units, crontab lines, or next moments."
)
Dir = Annotated[
    Path | None,
    typer.Option("--dir", metavar="PATH", help="Write the units into this folder, for example /etc/systemd/system."),
]
User = Annotated[str, typer.Option("--user", metavar="NAME", help="The user the passes run as.")]
Command = Annotated[
    str | None,
    typer.Option("--command", metavar="PATH", help="Absolute path of mlc on the machine; left out: the one running."),
]
Count = Annotated[int, typer.Option("--count", metavar="N", min=1, max=100, help="How many moments of each pass.")]
_TOO_OFTEN = timedelta(minutes=5)


@schedule_app.command("systemd", short_help="Print services and timers.")
def systemd(
    directory: Dir = None, user: User = "mlc", command: Command = None, config: o.Config = None, tenant: o.Tenants = None,
    quiet: o.Quiet = False,
) -> None:  # fmt: skip
    """Print services and timers, one of each for each tenant and pass, or write them into a folder."""

    def work(session: Session) -> None:
        from mlc.cli.units import Machine, units

        settings = session.settings()
        tenants = session.tenants(settings)
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]{0,30}", user):
            raise ConfigError(f"--user {user} is no name of a user", hint="give the name of a system user, for example mlc")
        machine = Machine(_command(command), _source(settings), user, _now())
        wanted = units(settings, tenants, machine)
        _told(session, settings, tenants, systemd_runs=True)
        _out_of_reach(session, machine.command, user)
        if directory is None:
            session.voice.out("\n".join(f"# {name}\n{text}" for name, text in wanted.items()).rstrip("\n"))
        else:
            every = units(settings, settings.select([]), machine)
            _write(session, directory, wanted, set(every))

    simple(o.common(config, tenant, quiet=quiet), work)


@schedule_app.command("cron", short_help="Print lines for a crontab.")
def cron(command: Command = None, config: o.Config = None, tenant: o.Tenants = None, quiet: o.Quiet = False) -> None:
    """Print crontab lines; what cron cannot say is an error."""

    def work(session: Session) -> None:
        from mlc.cli.crontab import lines

        settings = session.settings()
        tenants = session.tenants(settings)
        text = lines(tenants, _command(command), _source(settings))
        _told(session, settings, tenants, systemd_runs=False)
        session.voice.out(text.rstrip("\n"))

    simple(o.common(config, tenant, quiet=quiet), work)


@schedule_app.command("next", short_help="Tell the next moments.")
def next_(
    count: Count = 3, config: o.Config = None, tenant: o.Tenants = None, json: o.Json = False, quiet: o.Quiet = False
) -> None:
    """Show when each pass runs next, in its tenant's time zone."""

    def work(session: Session) -> None:
        from mlc.cli.units import due
        from mlc.core import calendars

        settings = session.settings()
        tenants = session.tenants(settings)
        now, rows = _now(), []
        for one in due(tenants):
            zone = one.tenant.zone
            found = [moment.astimezone(zone) for moment in islice(calendars.upcoming(one.rules, zone, now), count)]
            if json:
                session.voice.emit(
                    "schedule", tenant=one.tenant.name, **{"pass": one.name}, timezone=one.tenant.timezone,
                    calendar=[rule.in_zone(one.tenant.timezone) for rule in one.rules], next=[moment.isoformat() for moment in found],
                )  # fmt: skip
            shown = [moment.strftime("%a %Y-%m-%d %H:%M:%S %z") for moment in found] or ["never again"]
            rows += [(f"{one.tenant.name} {one.name}", moment) for moment in shown]
        if not json:
            session.voice.table(["pass", "next"], rows)
        _told(session, settings, tenants, systemd_runs=None)

    simple(o.common(config, tenant, json=json, quiet=quiet), work)


def _now() -> datetime:
    from mlc.opening import Seams

    return datetime.fromtimestamp(int((Session.seams or Seams()).clock.now()), UTC)


def _command(given: str | None) -> str:
    running = os.path.abspath(sys.argv[0])  # noqa: PTH100 - links stay: a pip or pipx link outlives what it points to
    command = given or (running if Path(running).name == "mlc" else "/usr/local/bin/mlc")
    if not re.fullmatch(r"/[\w./@+-]+", command, re.ASCII):
        raise ConfigError(
            f"--command {command} is no absolute path of plain letters", hint="give for example /usr/local/bin/mlc"
        )
    return command


def _source(settings: Settings) -> Path:
    assert settings.source is not None
    if not str(settings.source).isprintable():
        raise ConfigError("the configuration's path has a control character in it", hint="give the file another name")
    return settings.source.absolute()


def _told(session: Session, settings: Settings, tenants: list[Tenant], *, systemd_runs: bool | None) -> None:
    """Say on stderr what is worth a thought: left out, too often, secrets that no timer reaches."""
    from mlc.cli.units import due, kept_in

    for tenant in tenants:
        for name in tenant.calendar:
            if section := tenant.lacks(name):
                session.voice.say(f"{tenant.name} {name}: left out, the tenant has no {section}")
        if systemd_runs is not None and (names := kept_in(settings, tenant, "keyring")):
            session.voice.say(
                f"warning: {tenant.name}: {', '.join(names)} in the OS keyring, which nothing reaches that runs without a login "
                "session; refer to them by {systemd: NAME}, {file: PATH} or {command: [...]}",
                "yellow",
            )
        if systemd_runs is False and (names := kept_in(settings, tenant, "systemd")):
            session.voice.say(
                f"warning: {tenant.name}: {', '.join(names)} are systemd credentials, which cron cannot hand over; refer to them by "
                "{file: PATH} or {command: [...]}, or use `mlc schedule systemd`",
                "yellow",
            )
        for one in due([tenant]):
            if one.name in ("post-payments", "run"):
                _too_often(session, one)
    if systemd_runs is not None:
        _key(session, settings, systemd_runs=systemd_runs)


def _key(session: Session, settings: Settings, *, systemd_runs: bool) -> None:
    """Say where the key of the encrypted file is one that what starts the passes cannot have."""
    key = settings.secrets.key
    if settings.secrets.store != "file" or key is None:
        return
    if key.kind == "prompt":
        session.voice.say(
            "warning: secrets.key is a passphrase, which no timer can type; `mlc secret rotate --to-key PATH` puts the file under a key file",
            "yellow",
        )
    if key.kind == "systemd" and not systemd_runs:
        session.voice.say(
            f"warning: secrets.key is the systemd credential {key.value}, which cron cannot hand over; give it {{file: PATH}}, or use"
            " `mlc schedule systemd`",
            "yellow",
        )


def _out_of_reach(session: Session, command: str, user: str) -> None:
    """Say where the program stands in a home that the units' user cannot enter."""
    home = next((one for one in ("/root", "/home") if Path(command).is_relative_to(one)), None)
    if home is not None and user != "root":
        session.voice.say(
            f"warning: {command} stands in {home}, which the units hide from user {user}, or which is not his: install mlc elsewhere"
            " (/opt/mlc), or give --command",
            "yellow",
        )


def _too_often(session: Session, one: Due) -> None:
    from mlc.core import calendars

    gap = calendars.shortest_gap(one.rules, one.tenant.zone, _now())
    if one.tenant.stripe is not None and gap is not None and gap < _TOO_OFTEN:
        session.voice.say(
            f"warning: {one.tenant.name}: {one.name} every {int(gap.total_seconds())} seconds; every five minutes is what Stripe's "
            "read allowance bears. Webhooks make it instant",
            "yellow",
        )


def _write(session: Session, directory: Path, wanted: dict[str, str], every: set[str]) -> None:
    """Write the units that are new or different; nothing at all where one stands in the place of a foreign file."""
    from mlc.cli.units import MARK

    try:
        if not directory.is_dir():
            raise ConfigError(f"{directory} is no folder", hint="make it, or give --dir /etc/systemd/system")
        there = {name: _ours(directory / name) for name in wanted}
        for name, text in wanted.items():
            before = there[name]
            if before is not None and not before.startswith(MARK):
                session.voice.say(f"kept {name}, which is yours")
            elif before == text:
                session.voice.say(f"as it was {name}")
            else:
                write_whole(directory / name, text)
                session.voice.say(f"{'written' if before is None else 'changed'} {name}")
        _unwanted(session, directory, every)
    except OSError as error:
        raise ConfigError(
            f"{error.filename or directory} cannot be written: {error.strerror}", hint="choose a folder you may write to"
        ) from error
    if not wanted:
        session.voice.say("the calendars name no pass: there is nothing to start")
        return
    timers = " ".join(shlex.quote(name) for name in wanted if name.endswith(".timer"))
    session.voice.out(f"systemctl daemon-reload\nsystemctl enable --now {timers}\nsystemctl list-timers 'mlc-*'")


def _ours(path: Path) -> str | None:
    """Return the text of a unit that mlc wrote or the alert that somebody made theirs, None where there is none.

    Raises ConfigError for anybody else's file.
    """
    from mlc.cli.units import ALERT_NAME, MARK

    if not path.exists() and not path.is_symlink():
        return None
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() and not path.is_symlink() else ""
    if not text.startswith(MARK) and (path.name != ALERT_NAME or not text):
        raise ConfigError(
            f"{path} was not written by mlc and stays as it is; nothing was written", hint="move it away, or give another --dir"
        )
    return text


def _unwanted(session: Session, directory: Path, every: set[str]) -> None:
    """Name the units that mlc wrote once and the calendars want no more; removing them is the operator's."""
    from mlc.cli.units import MARK

    for path in sorted(directory.glob("mlc-*")):
        if path.name in every or path.suffix not in (".service", ".timer") or path.is_symlink() or not path.is_file():
            continue
        if path.read_text(encoding="utf-8", errors="replace").startswith(MARK):
            stop = f"systemctl disable --now {shlex.quote(path.name)}; " if path.suffix == ".timer" else ""
            session.voice.say(f"no longer wanted {path.name}: {stop}rm {shlex.quote(str(path))}", "yellow")


def register(app: typer.Typer) -> None:
    """Add the commands of this room."""
    app.add_typer(schedule_app, name="schedule", short_help="Calendars as systemd units or crontab lines.")
