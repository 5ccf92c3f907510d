"""The passes as commands: sync-customers, push-invoices, post-payments, reconcile-payouts, run, replay."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlc.cli import options as o
from mlc.cli.clearing import clear_to_write
from mlc.cli.progress import shown, wanted
from mlc.cli.render import blank_summary
from mlc.cli.session import Session, Terminated, heed_interrupts, parse_day
from mlc.cli.watching import watched
from mlc.core import errors

if TYPE_CHECKING:
    from mlc.config import Settings, Tenant
    from mlc.engine.report import Report
    from mlc.engine.road import Options
    from mlc.wiring import OpenTenant

_TOLD_ELSEWHERE = {errors.OK, errors.LOCKED, errors.INTERRUPTED, errors.TERMINATED}  # another run's, or nobody's trouble
STOPS_PUSH = {errors.FAILED, errors.CREDENTIAL, errors.UNREACHABLE, errors.LIMIT, errors.SECRET_STORE}


def run_passes(session: Session, names: Iterable[str], options: Options, since: date | None, *, timed: bool = True) -> None:
    """Run passes over every tenant in the safe order; `timed` says whether a monitor that waits for the timer is pinged."""
    heed_interrupts()
    settings, names = session.settings(), list(names)
    for tenant in session.tenants(settings):
        ended: dict[str, int] = {}
        before = len(session.codes)
        command = f"mlc {names[0] if len(names) == 1 else 'run'}"
        with watched(session, settings, tenant, command, dry_run=options.dry_run, timed=timed) as watch:
            with (
                session.guarded(f"{tenant.name}: "),
                session.opened(settings, tenant, f"mlc {' '.join(names)}", run_id=watch.run_id) as opened,
            ):
                clear_to_write(session, opened, command, dry_run=options.dry_run)
                for name in names:
                    if name == "push-invoices" and STOPS_PUSH & set(ended.values()):
                        session.voice.say(f"{tenant.name} {name}: skipped, because an earlier pass did not end well", "yellow")
                        continue
                    if section := opened.lacks(name):
                        ended[name] = errors.OK
                        _nothing_to_do(session, opened, name, section, alone=len(names) == 1, dry_run=options.dry_run)
                        continue
                    ended[name] = run_one(session, opened, name, options, since)
            if (
                options.dry_run
                and len(ended) > 1
                and any(one.counts["planned"] for one in session.reports if one.tenant == tenant.name)
            ):
                session.voice.say(
                    f"{tenant.name}: each pass plans by what stands now, not by what the passes before it would have done"
                )
            session.codes += ended.values()
            code = watch.code = errors.worst([*session.codes[before:], *ended.values()])
        if not ended and not options.dry_run and code not in _TOLD_ELSEWHERE:
            _note_not_begun(session, settings, tenant, watch.run_id, names, code)
        for name in names:
            if name not in ended and session.options.json:  # scripts wait for a summary of every tenant and pass
                session.voice.emit("summary", tenant=tenant.name, **blank_summary(name, code, dry_run=options.dry_run))


def _note_not_begun(session: Session, settings: Settings, tenant: Tenant, run_id: str, names: list[str], code: int) -> None:
    """Let `mlc status` tell of passes that ended before they began: a secret that is missing, a store that is locked."""
    from mlc.cli.books import note_not_begun

    why = session.voice.clean(session.voice.troubles[-1].splitlines()[0]) if session.voice.troubles else ""
    note_not_begun(settings, tenant, run_id, [name for name in names if not tenant.lacks(name)], code, why)


def _nothing_to_do(session: Session, opened: OpenTenant, name: str, section: str, *, alone: bool, dry_run: bool) -> None:
    """Tell of a pass that a tenant has no processor for."""
    why = f"nothing to do: the tenant has no {section}"
    if session.options.json:
        fields = blank_summary(name, errors.OK, dry_run=dry_run, head=opened.journal.audit.head(), why=why)
        session.voice.emit("summary", run_id=opened.run_id, tenant=opened.tenant.name, **fields)
    elif alone:
        session.voice.say(f"{opened.tenant.name} {name}: {why}")


def run_one(session: Session, opened: OpenTenant, name: str, options: Options, since: date | None, pass_: Any = None) -> int:
    """Run one pass over one tenant and tell how it went; returns its code."""
    from dataclasses import replace

    from mlc.wiring import PASSES

    road = opened.road(name, replace(options))
    report = road.report
    session.reports.append(report)
    report.tell = lambda item: session.voice.item(item, report)
    opened.journal.runs.begin(opened.tenant.name, name, dry_run=options.dry_run)
    code = errors.FAILED
    try:
        scene = opened.scene(since)
        scene.watched = wanted(session.voice)
        with session.voice.within(**{"pass": name}), shown(session.voice, report) as aside:
            road.options.ask = _asking(session, aside)
            road.run(pass_ or PASSES[name](scene))
        code = report.exit_code
    except KeyboardInterrupt:
        code = errors.INTERRUPTED
        _tell_what_remains(session, opened, report)
        raise
    except Terminated:
        code = errors.TERMINATED
        _tell_what_remains(session, opened, report)
        raise
    finally:
        opened.journal.runs.end(name, code, dict(report.counts), "; ".join(report.messages))
    with session.voice.within(**{"pass": name}):
        session.voice.summary(report)
    return report.exit_code


def _tell_what_remains(session: Session, opened: OpenTenant, report: Report) -> None:
    """Say of an interrupted pass what it did, and what the next run has to do."""
    begun, promised = (len(opened.journal.opened(report.pass_, begun=one)) for one in (True, False))
    left = [f"{begun} begun (the next run looks up what became of it, first of all)"] if begun else []
    left += [f"{promised} decided and not begun (the next run decides afresh)"] if promised else []
    remains = f"; left to do: {', '.join(left)}" if left else "; of what was decided nothing is left to do"
    session.voice.say(
        f"{report.tenant} {report.pass_}: stopped after {report.counted() or 'nothing was done'}{remains}", "yellow"
    )


def _asking(session: Session, aside: Callable[[], AbstractContextManager[None]]) -> Callable[[Report], bool] | None:
    """Return what asks a person whether a first run may write, None where nobody is there."""
    if not sys.stdin.isatty() or session.options.json:
        return None

    def ask(report: Report) -> bool:
        with aside():
            return _ask(session, report)

    return ask


def _ask(session: Session, report: Report) -> bool:
    session.voice.say(
        f"This is the first writing run of {report.pass_} for {report.tenant}: {report.counts['planned']} documents, see above."
    )
    return str(typer.prompt("Type yes to write them", default="no", err=True)).strip().lower() == "yes"


def register(app: typer.Typer) -> None:
    """Add the commands of this room."""

    def command(name: str, passes: tuple[str, ...], short: str, text: str) -> None:
        def body(
            config: o.Config = None, tenant: o.Tenants = None, dry_run: o.DryRun = False, json: o.Json = False, quiet: o.Quiet = False,
            verbose: o.Verbose = 0, since: o.Since = None, limit: o.Limit = None, lock_timeout: o.LockTimeout = 0.0,
            accept_limit: o.AcceptLimit = False, first_run: o.FirstRun = False, company: o.Company = None,
            log_format: o.LogFormat = None,
        ) -> None:  # fmt: skip
            from mlc.engine.road import Options

            common = o.common(
                config, tenant, json=json, quiet=quiet, verbose=verbose, lock_timeout=lock_timeout, companies=company,
                log_format=log_format,
            )  # fmt: skip
            session = Session(common)
            with session.guarded():
                options = Options(dry_run=dry_run, limit=limit, accept_limit=accept_limit, first_run=first_run)
                run_passes(session, passes, options, parse_day(since))
            session.end()

        app.command(name, help=text, short_help=short)(body)

    command(
        "sync-customers", ("sync-customers",), "Partners of SAP and processors' customers.",
        "Business partners of SAP to customers at Stripe: link, create, update; customers of GoCardless are linked to partners.",
    )  # fmt: skip
    command(
        "push-invoices", ("push-invoices",), "SAP invoices to Stripe, and their later life.",
        "SAP invoices to Stripe, and their later life: paid elsewhere, credited, cancelled.",
    )  # fmt: skip
    command(
        "post-payments", ("post-payments",), "Stripe payments to SAP.",
        "Stripe payments to SAP as incoming payments; refunds, disputes and returned debits are booked or held, as configured.",
    )  # fmt: skip
    command(
        "reconcile-payouts", ("reconcile-payouts",), "GoCardless payouts to SAP entries.",
        "GoCardless payouts to SAP journal entries, matched to the invoices they pay and closing them.",
    )  # fmt: skip
    command(
        "run", ("post-payments", "reconcile-payouts", "sync-customers", "push-invoices"), "Every pass, in the safe order.",
        "Every pass in the safe order: post-payments, reconcile-payouts, sync-customers, push-invoices.",
    )  # fmt: skip
    app.command("replay", short_help="Do again what failed or was held.")(replay)


def replay(
    wish: o.AnyId = None,
    failed: Annotated[bool, typer.Option("--failed", help="Everything that a system refused.")] = False,
    held: Annotated[bool, typer.Option("--held", help="Everything that waits for a person.")] = False,
    again: Annotated[bool, typer.Option("--again", help="A person decides: do it anew although it is finished or in doubt.")] = False,
    config: o.Config = None, tenant: o.Tenants = None, dry_run: o.DryRun = False, json: o.Json = False, quiet: o.Quiet = False,
    verbose: o.Verbose = 0, lock_timeout: o.LockTimeout = 0.0, accept_limit: o.AcceptLimit = False, company: o.Company = None,
    log_format: o.LogFormat = None,
) -> None:  # fmt: skip
    """Do again one thing that failed or was held: an intent, a payment, an event, an invoice."""
    from mlc.cli.replaying import replay_in
    from mlc.engine.road import Options

    common = o.common(
        config,
        tenant,
        json=json,
        quiet=quiet,
        verbose=verbose,
        lock_timeout=lock_timeout,
        companies=company,
        log_format=log_format,
    )
    session = Session(common)
    with session.guarded():
        if wish is None and not (failed or held):
            raise errors.ConfigError(
                "mlc replay wants an ID, --failed or --held", hint="`mlc held list` and `mlc status` name them"
            )
        if again and wish is None:
            raise errors.ConfigError("--again is a decision about one thing", hint="give its ID")
        heed_interrupts()
        options = Options(dry_run=dry_run, accept_limit=accept_limit, first_run=True)
        if wish is not None:
            session.only_tenant_that_knows(wish)
        found: list[bool] = []
        words = (("--failed", failed), ("--held", held), ("--again", again))
        command = shlex.join(["mlc", "replay", *([wish] if wish else []), *(word for word, said in words if said)])

        def work(opened: OpenTenant) -> None:
            clear_to_write(session, opened, command, dry_run=dry_run)
            found.append(replay_in(session, opened, wish, failed=failed, held=held, again=again, options=options))

        session.each_tenant(work, f"mlc replay {wish or ''}".strip())
        if wish is not None and found and not any(found):
            raise errors.ConfigError(
                f"nothing is known of {wish}", hint="`mlc held list --json` gives the ids, `mlc audit list` the names"
            )
    session.end()
