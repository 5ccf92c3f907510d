"""What a command does around its work: load the configuration, open tenants one after another, turn errors into exit codes."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from mlc.cli.options import Common
from mlc.cli.render import Voice
from mlc.core import errors
from mlc.core.errors import ConfigError, MlcError
from mlc.interrupts import IN_FLIGHT

if TYPE_CHECKING:
    from mlc.config import Settings, Tenant
    from mlc.engine.report import Report
    from mlc.opening import Seams
    from mlc.secrets import Resolver
    from mlc.wiring import OpenTenant


class Terminated(BaseException):
    """SIGTERM came: what is in flight is heard and written down, then the program ends with 143."""


def on_sigterm(_number: int, _frame: FrameType | None) -> None:
    """Turn SIGTERM into an exception the road knows how to end with."""
    IN_FLIGHT.interrupt(Terminated())


class Session:
    """One command's run over the configured tenants."""

    seams: Seams | None = None  # the demo and tests put their own in place

    def __init__(self, options: Common) -> None:
        self.options = options
        self.voice = Voice(as_json=options.json, quiet=options.quiet, verbose=options.verbose, log_format=options.log_format)
        self.reports: list[Report] = []  # of the passes that were begun
        self.codes: list[int] = []
        self._resolver: Resolver | None = None

    def settings(self) -> Settings:
        """Load the configuration. Raises ConfigError, NoStateError."""
        from mlc.config import load
        from mlc.config.rules import refuse_shared_companies

        with IN_FLIGHT.reading:  # an interrupt in the middle of a validation would be told as a fault of the configuration
            settings = load(self.options.config, os.environ)
        refuse_shared_companies(settings)
        return settings

    def tenants(self, settings: Settings) -> list[Tenant]:
        """Return the tenants this command is about."""
        chosen = settings.select(list(self.options.tenants))
        known = [tenant.sap.company_db for tenant in chosen]
        for company in self.options.companies:
            if company not in known:
                raise ConfigError(
                    f"--company {company} is the company of no chosen tenant; theirs: {', '.join(known)}",
                    hint="give company_db as the configuration has it, or choose the tenant with --tenant",
                )
        for tenant in chosen:
            if not tenant.sap.verify_tls:
                text = f"warning: {tenant.name}: SAP's certificate is not checked (verify_tls: false)"
                if tenant.mode == "live":
                    self.voice.warn(
                        f"{text}: whoever stands between could change what is booked; name the authority in ca_bundle"
                    )
                else:
                    self.voice.say(text, "yellow")
        return chosen

    def resolver(self, settings: Settings, *, alone: bool = False) -> Resolver:
        """Return what finds secrets, one for the whole command; `alone` as a timer would, with nobody to ask."""
        import getpass

        from mlc.secrets import Resolver

        if self._resolver is not None:
            return self._resolver
        tty = sys.stdin.isatty() and sys.stderr.isatty() and not alone
        resolver = Resolver(settings.secrets, os.environ, tty=tty, ask=getpass.getpass if tty else None)
        self._resolver = resolver
        before = self.voice.clean
        self.voice.clean = lambda text: resolver.redactor.clean(before(text))
        return resolver

    def each_tenant(self, work: Callable[[OpenTenant], None], holder: str, *, create: bool = True) -> None:
        """Do the work for each tenant; one tenant's failure never stops the others."""
        settings = self.settings()
        for tenant in self.tenants(settings):
            with (
                self.voice.within(tenant=tenant.name),
                self.guarded(f"{tenant.name}: "),
                self.opened(settings, tenant, holder, create=create) as opened,
            ):
                work(opened)

    def only_tenant_that_knows(self, wish: str) -> None:
        """Leave this command to the one tenant that knows a thing: an id that several know, or none, wants --tenant.

        Raises ConfigError.
        """
        from dataclasses import replace

        from mlc.cli.books import reading

        if not wish.strip():
            raise ConfigError("an empty id means nothing", hint="`mlc held list --json` gives the ids")
        settings = self.settings()
        chosen = settings.select(list(self.options.tenants))
        if len(chosen) < 2:
            return
        knows = []
        for tenant in chosen:
            with reading(settings, tenant) as journal:
                numbers = journal.links.find("invoice", "doc_num", wish) if wish.isdigit() else []
                if journal.held.search(wish) or journal.search(wish) or numbers or journal.inbox.find(wish):
                    knows.append(tenant.name)
        if len(knows) != 1:
            which = f"{', '.join(knows)} know it" if knows else "none of them knows it"
            raise ConfigError(
                f"{wish} is to be looked for in {len(chosen)} tenants, and {which}", hint="say which one with --tenant"
            )
        self.options = replace(self.options, tenants=(knows[0],))

    @contextmanager
    def opened(
        self, settings: Settings, tenant: Tenant, holder: str, *, create: bool = True, run_id: str = ""
    ) -> Iterator[OpenTenant]:
        """Open one tenant and close it whatever happens; a run that has its id already keeps it."""
        from mlc.opening import Seams
        from mlc.wiring import open_tenant

        resolver = self.resolver(settings)
        seams = Session.seams or Seams()
        seams.log = self.voice.detail
        opened = open_tenant(
            settings,
            tenant,
            resolver,
            seams,
            holder=holder,
            lock_timeout=self.options.lock_timeout,
            create=create,
            run_id=run_id,
            person=attended(),
        )
        interrupted = False
        try:
            with self.voice.within(tenant=tenant.name, run_id=opened.run_id):
                yield opened
        except (KeyboardInterrupt, Terminated):
            interrupted = True
            raise
        finally:
            opened.close(interrupted=interrupted)

    @contextmanager
    def guarded(self, where: str = "") -> Iterator[None]:
        """Turn what goes wrong inside into one message and a code."""
        try:
            yield
        except MlcError as error:
            self.voice.error(error, where)
            self.codes.append(error.exit_code)
        except (KeyboardInterrupt, Terminated) as stop:
            self.voice.say(f"{where}interrupted; everything in flight was written down, the next run goes on from here")
            self.end([errors.TERMINATED if isinstance(stop, Terminated) else errors.INTERRUPTED])
        except typer.Abort:  # Ctrl-C, or the end of the input, at a question
            self.voice.say(f"{where}interrupted at a question; nothing was done by it")
            self.end([errors.INTERRUPTED])
        except typer.Exit:
            raise
        except Exception as error:  # noqa: BLE001 - the last line of defence: one sentence, no trace
            if self.options.verbose > 1:
                self.voice.detail(traceback.format_exc().rstrip())
            known = errors.UnexpectedAnswerError(
                f"{type(error).__name__}: {error}", hint="this is a defect; run with -vv and report it"
            )
            self.voice.error(known, where)
            self.codes.append(errors.FAILED)

    def end(self, codes: list[int] | None = None) -> NoReturn:
        """End the command with the worst code."""
        raise typer.Exit(errors.worst([*self.codes, *(codes or [])]))


def attended() -> bool:
    """Tell whether a person sits at standard input, who may try at once what a timer may not."""
    return sys.stdin.isatty()


def parse_day(text: str | None, option: str = "--since") -> date | None:
    """Return a day given on the command line. Raises ConfigError."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"{option} {text} is no day", hint="write it as 2026-11-01") from error


def simple(options: Common, work: Callable[[Session], Any]) -> NoReturn:
    """Run a command that is not about tenants one by one."""
    session = Session(options)
    with session.guarded():
        work(session)
    session.end()


def on_sigint(_number: int, _frame: FrameType | None) -> None:
    """Say at once that Ctrl-C was heard: the request in flight may take a while."""
    if os.isatty(2):  # straight to the screen: this may come in the middle of a line
        os.write(
            2, b"\r\x1b[2Kstopping when the request in flight is answered; Ctrl-C again: now, and the next run looks it up\n"
        )
    IN_FLIGHT.interrupt(KeyboardInterrupt())


def install_signals() -> None:
    """Let SIGTERM end a command as gently as Ctrl-C."""
    signal.signal(signal.SIGTERM, on_sigterm)


def heed_interrupts() -> None:
    """Let both end a run gently, Ctrl-C with a word at once; who is told to ignore it (a shell's background) goes on ignoring it."""
    install_signals()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, on_sigint)
