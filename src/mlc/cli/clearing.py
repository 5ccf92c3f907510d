"""Asks once, before a live tenant writes for the first time, for the company's name; at a terminal, or by --company."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

import typer

from mlc.core.errors import ConfigError, LimitError

if TYPE_CHECKING:
    from mlc.cli.session import Session
    from mlc.systems.live import Party
    from mlc.wiring import OpenTenant


def clear_to_write(session: Session, opened: OpenTenant, command: str, *, dry_run: bool) -> None:
    """Let a tenant write. `command` is what the person typed, to be typed again. Raises LimitError, ConfigError.

    A dry run asks nothing, and is cleared for nothing. Every command that can write comes through here before anything else.
    """

    def ask(name: str, parties: list[Party], former: list[str]) -> str:
        from mlc.cli.holding import who

        tenant, company = opened.tenant.name, opened.tenant.sap.company_db
        accounts = " and ".join(map(str, parties))
        story = (
            f"tenant {tenant} is live: it would write to company {company} ({name or 'SAP tells no name'} in SAP) and {accounts}, "
            "and nobody has confirmed this yet"
        )
        if former:
            story += (
                f" (this state file has served {', '.join(former)}: if that is another account, its customers and invoices are what"
                " it knows; begin with a new file in `state:` then)"
            )
        if company not in session.options.companies:
            _typed(session, story, tenant, company, command)
        session.voice.say(f"{tenant}: confirmed for mode live: company {company} with {accounts}")
        return who()

    opened.clear(None if dry_run else ask)


def _typed(session: Session, story: str, tenant: str, company: str, command: str) -> None:
    config = f" --config {shlex.quote(str(session.options.config))}" if session.options.config else ""
    again = f"{command}{config} --tenant {tenant} --company {shlex.quote(company)}"
    waits = LimitError(f"{story}; nothing was written", hint=f"look at the plan with --dry-run, then run once: {again}")
    if session.options.json or not sys.stdin.isatty():
        raise waits
    session.voice.warn(f"{story[0].upper()}{story[1:]}.")
    typed = str(typer.prompt("Type the company's name as SAP's database is called", default="", show_default=False, err=True))
    if not typed.strip():
        raise waits
    if typed.strip() != company:
        raise ConfigError(
            f"tenant {tenant}: {typed.strip()} was typed, but its company is {company}; nothing was written",
            hint="correct company_db or the tenant, or type the name as the configuration has it",
        )
