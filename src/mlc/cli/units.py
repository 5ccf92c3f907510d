"""systemd units for the tenants' calendars: one service and one timer per tenant and pass, and the alert they call."""

from __future__ import annotations

import math
import os
import pwd
import re
import string
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from mlc.cli.secreting import references
from mlc.core import calendars
from mlc.core.errors import ConfigError
from mlc.secrets import credential_of
from mlc.secrets.keys import default_path

if TYPE_CHECKING:
    from mlc.config import SecretRef, Settings, Tenant

MARK = "# Written by mlc schedule"
ALERT_NAME = "mlc-alert@.service"
STATE_ROOT = Path("/var/lib/mlc")
LOCK_TIMEOUT = 300  # the passes of a tenant wait for each other: two timers are due in the same minute all the time
_PLAIN = set(string.ascii_letters + string.digits + ":_.")
_HOMES = (Path("/home"), Path("/root"), Path("/run/user"))
_HARDENED = """\
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome={home}
ProtectProc=invisible
# No ProcSubset with pid: mlc reads the boot id, by which it knows a restart of the machine from a stepped clock.
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
PrivateTmp=yes
PrivateDevices=yes
PrivateUsers=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RemoveIPC=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
KeyringMode=private
MemoryMax=1G
TasksMax=256
LimitCORE=0
"""
ALERT = f"""\
{MARK}: what happens when a pass fails. Change what you like, and take this line out: then it is yours and stays.
[Unit]
Description=mlc: alert for %i

[Service]
Type=oneshot
# It is called for every exit code but 0 and 11 (README, exit codes): 3 wants a person, 5 is expected to heal by itself.
# As it stands it writes one error line to the journal. By mail instead, with a command mail on the machine:
#ExecStart=/bin/sh -c 'journalctl -u "$0" -n 50 --no-pager | mail -s "mlc: $0 failed" root' %i
ExecStart=/bin/echo "<3>%i failed: journalctl -u '%i' tells why"
"""


@dataclass(frozen=True, slots=True)
class Due:
    """One pass of one tenant that its calendar names."""

    tenant: Tenant
    name: str
    rules: tuple[calendars.Rule, ...]

    @property
    def unit(self) -> str:
        """Return the name of its units without the ending."""
        return f"mlc-{escaped(self.tenant.name)}-{self.name}"

    def words(self, command: str, config: Path) -> list[str]:
        """Return the words of the command that runs it."""
        waits = [] if self.name == "compare" else ["--lock-timeout", str(LOCK_TIMEOUT)]
        return [command, self.name, "-q", *waits, "--tenant", self.tenant.name, "--config", str(config)]


@dataclass(frozen=True, slots=True)
class Machine:
    """What the units need to know of the machine they run on."""

    command: str
    config: Path
    user: str
    now: datetime


def due(tenants: list[Tenant]) -> Iterator[Due]:
    """Yield what the calendars name, in the order of the file; passes a tenant has no processor for are left out."""
    for tenant in tenants:
        for name, value in tenant.calendar.items():
            if not tenant.lacks(name):
                yield Due(tenant, name, calendars.read(value))


def escaped(name: str) -> str:
    """Return a name as `systemd-escape` writes it."""
    return "".join(
        one if one in _PLAIN and not (one == "." and place == 0) else "".join(f"\\x{byte:02x}" for byte in one.encode())
        for place, one in enumerate(name)
    )


def units(settings: Settings, tenants: list[Tenant], machine: Machine) -> dict[str, str]:
    """Return the text of every unit under its file name. Raises ConfigError."""
    out: dict[str, str] = {}
    for one in due(tenants):
        out[f"{one.unit}.service"] = service(settings, one, machine)
        out[f"{one.unit}.timer"] = timer(one, machine.now)
    return out | ({ALERT_NAME: ALERT} if out else {})


def service(settings: Settings, one: Due, machine: Machine) -> str:
    """Return the service that runs one pass of one tenant once."""
    write = math.ceil(one.tenant.sap.timeout.write)
    at_home = any(_plain(path).is_relative_to(home) for path in _paths(settings, one, machine) for home in _HOMES)
    return (
        f"{MARK}: {one.name} of tenant {one.tenant.name}. Print it anew after a change of the configuration.\n"
        f"[Unit]\nDescription=mlc: {one.name} of {one.tenant.name}\n"
        "Wants=network-online.target\nAfter=network-online.target\nOnFailure=mlc-alert@%n.service\n\n"
        f"[Service]\nType=oneshot\nUser={machine.user}\n{_state(settings.state)}UMask=0077\n{_writable(settings, one.tenant)}"
        f"{''.join(_secrets(settings, one.tenant))}"
        f"ExecStart={' '.join(quoted(word) for word in one.words(machine.command, machine.config))}\n"
        "# 11: another run of this tenant was at work until the end, which is no incident.\nSuccessExitStatus=11\n"
        f"TimeoutStartSec={max(3600, 20 * write)}\n"
        "# SIGTERM lets the write that is under way end first (sap.timeout.write, and a minute).\n"
        f"KillSignal=SIGTERM\nTimeoutStopSec={write + 60}\n\n"
        + _HARDENED.format(home="read-only" if at_home else "yes")
    )  # fmt: skip


def timer(one: Due, now: datetime) -> str:
    """Return the timer that starts it."""
    gap = calendars.shortest_gap(one.rules, one.tenant.zone, now, among=50)
    often = gap is not None and gap < timedelta(hours=6)
    lines = "".join(f"OnCalendar={rule.in_zone(one.tenant.timezone)}\n" for rule in one.rules)
    return (
        f"{MARK}: when {one.name} of tenant {one.tenant.name} runs.\n"
        f"[Unit]\nDescription=mlc: when {one.name} of {one.tenant.name} runs\n\n"
        f"[Timer]\n{lines}RandomizedDelaySec={'20s' if often else '2min'}\nAccuracySec=5s\nPersistent=true\n\n"
        "[Install]\nWantedBy=timers.target\n"
    )


def quoted(word: str) -> str:
    """Return a word as a unit file takes it: specifiers and variables are only text."""
    word = word.replace("%", "%%").replace("$", "$$")
    if re.fullmatch(r"[\w%$/.:@=+,-]+", word):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _paths(settings: Settings, one: Due, machine: Machine) -> Iterator[Path]:
    """Yield every path the pass reads or writes that could lie in somebody's home."""
    yield from (settings.state, machine.config, Path(machine.command))
    if one.tenant.sap.ca_bundle is not None:
        yield one.tenant.sap.ca_bundle
    for _, reference in _needed(settings, one.tenant):
        if reference is not None and reference.kind == "file":
            yield reference.value
    if settings.secrets.store == "file":
        key = settings.secrets.key
        yield from (
            path for path in (settings.secrets.file, key.value if key is not None and key.kind == "file" else None) if path
        )
        if key is None and (home := _home_of(machine.user)) is not None:
            yield default_path(home)


def _home_of(user: str) -> Path | None:
    """Return the home of the user the passes run as, None where this machine does not know the user."""
    try:
        return Path(pwd.getpwnam(user).pw_dir)
    except KeyError:
        return None


def _writable(settings: Settings, tenant: Tenant) -> str:
    """Return the lines for folders beside the state's that a pass writes: Prometheus' and the one of the encrypted secrets."""
    folders = [settings.watch_of(tenant).prometheus_dir]
    if settings.secrets.store == "file" and settings.secrets.file is not None:
        folders.append(settings.secrets.file.parent)  # SAP's session is kept in it
    wanted = dict.fromkeys(_plain(one) for one in folders if one is not None and _plain(one) != _plain(settings.state.parent))
    return "".join(f"ReadWritePaths=-{quoted(str(one)).replace('$$', '$')}\n" for one in wanted)


def _plain(path: Path) -> Path:
    return Path(os.path.normpath(path))


def _state(path: Path) -> str:
    path = _plain(path)
    if path.is_relative_to(STATE_ROOT):
        return "StateDirectory=mlc\nStateDirectoryMode=0700\n"
    return (
        f"# This folder must be there, and belong to the user.\nReadWritePaths={quoted(str(path.parent)).replace('$$', '$')}\n"
    )


def _needed(settings: Settings, tenant: Tenant) -> list[tuple[str, SecretRef | None]]:
    """Return the secrets the passes use; those of webhooks are the receiver's."""
    return [(name, one) for name, one in references(settings, tenant) if not name.endswith("webhook_secret")]  # type: ignore[misc]


def _secrets(settings: Settings, tenant: Tenant) -> Iterator[str]:
    """Yield the lines that hand over the tenant's credentials, and what the other secrets need."""
    for name, reference in _needed(settings, tenant):
        if reference is None and settings.secrets.store == "systemd":
            credential = credential_of(tenant.name, name)
        elif reference is not None and reference.kind == "systemd":
            credential = reference.value
        else:
            continue
        if not re.fullmatch(r"[A-Za-z0-9][\w.@+-]*", credential, re.ASCII):
            raise ConfigError(
                f'tenant "{tenant.name}": the credential name "{credential}" of {name} cannot stand in a unit',
                hint="use letters, digits and . _ - @ + in {systemd: NAME}",
            )
        yield f"LoadCredentialEncrypted={credential}:/etc/credstore.encrypted/{credential}\n"
    key = settings.secrets.key
    if settings.secrets.store == "file" and (key is None or key.kind == "systemd"):
        name = key.value if key is not None else "mlc-master"
        yield f"# The key of the encrypted secrets, sealed: systemd-creds encrypt --name={name} KEYFILE /etc/credstore.encrypted/{name}\n"
        yield f"{'' if key is not None else '#'}LoadCredentialEncrypted={name}:/etc/credstore.encrypted/{name}\n"
    variables = [
        reference.value for _, reference in _needed(settings, tenant) if reference is not None and reference.kind == "env"
    ]
    if variables:
        yield f"# {', '.join(variables)}; root's, mode 0600.\nEnvironmentFile=/etc/mlc/secrets.env\n"


def kept_in(settings: Settings, tenant: Tenant, place: str) -> list[str]:
    """Return the secrets of the passes that are kept in one place: keyring or systemd."""
    return [name for name, one in _needed(settings, tenant) if (settings.secrets.store if one is None else one.kind) == place]
