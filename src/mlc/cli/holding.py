"""mlc held: what waits for a person, and the person's decisions."""

from __future__ import annotations

import getpass
import shlex
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlc.cli import options as o
from mlc.cli.render import age, amount_fields, fields_lines, moment
from mlc.cli.session import Session, heed_interrupts, simple
from mlc.core.errors import ConfigError
from mlc.core.keys import thing_of

if TYPE_CHECKING:
    from mlc.config import Settings, Tenant
    from mlc.store.held import Held
    from mlc.store.journal import Journal
    from mlc.wiring import OpenTenant

held_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="What waits for a person: reason, candidates, the decision."
)
Wish = o.HeldId


def target_of(name: str) -> str:
    """Return the system in which a held thing would be made true."""
    from mlc.engine.road import target

    return target(name)


def item_of(held: Held) -> dict[str, Any]:
    """Return a held item as scripts read it."""
    return {
        "id": held.name, "target": target_of(held.name), "action": "hold", "pass": held.pass_,
        "state": "dismissed" if held.dismissed else "held", "reason": held.reason, "text": held.text, "receipt": None,
        "candidates": list(held.candidates), "amount": amount_fields(held.amount), "since": moment(held.since) + " UTC", **held.about,
        **({"rejected": held.facts["rejected"]} if held.facts.get("rejected") else {}),
    }  # fmt: skip


@held_app.command("list")
def list_(
    config: o.Config = None, tenant: o.Tenants = None, json: o.Json = False, quiet: o.Quiet = False, verbose: o.Verbose = 0,
    dismissed: Annotated[bool, typer.Option("--dismissed", help="Also those that were dismissed.")] = False,
) -> None:  # fmt: skip
    """List what is held, the oldest first."""
    from mlc.cli.books import reading

    def one(session: Session, settings: Settings, tenant_: Tenant) -> None:
        with reading(settings, tenant_) as journal:
            rows = []
            for held in journal.held.all(dismissed=dismissed):
                if json:
                    session.voice.emit("item", tenant=tenant_.name, **item_of(held))
                    continue
                rows.append((called(held), held.reason, held.amount or "", age(time.time() - held.since), held.text))
            if rows:
                session.voice.listing(["id", "reason", "amount", "for"], rows, right=(2,))
            elif not json:
                session.voice.say(f"{tenant_.name}: nothing is held")

    _each(o.common(config, tenant, json=json, quiet=quiet, verbose=verbose), one)


@held_app.command("show", short_help="One item, and what can be done.")
def show(
    wish: Wish,
    config: o.Config = None,
    tenant: o.Tenants = None,
    json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = 0,
) -> None:
    """Show one item with everything known of it, and what can be done."""
    from mlc.cli.books import reading

    found: list[bool] = []

    def one(session: Session, settings: Settings, tenant_: Tenant) -> None:
        with reading(settings, tenant_) as journal:
            for held in journal.held.search(wish):
                found.append(True)
                if json:
                    session.voice.emit("item", tenant=tenant_.name, **item_of(held))
                    continue
                fields = {**item_of(held), "amount": held.amount or "-", "candidates": ", ".join(held.candidates) or "-"}
                for line in fields_lines({name: value for name, value in fields.items() if value not in (None, "")}):
                    session.voice.out(line)
                session.voice.out("next, one of:")
                for step in _next_steps(held):
                    session.voice.out(f"  {step}")

    _each(o.common(config, tenant, json=json, quiet=quiet, verbose=verbose), one, lambda: _must_be_found(found, wish))


def called(held: Held) -> str:
    """Return what a person calls the thing: an invoice by its number, anything else by its id; every command understands it."""
    if "/settle/" in held.name and not held.about.get("payout"):
        return next(
            (str(held.about[kind]) for kind in ("refund", "dispute", "returned") if held.about.get(kind)), thing_of(held.name)
        )
    number = held.about.get("doc_num")
    return str(number) if number and "/push-invoice/" in held.name else thing_of(held.name)


def _next_steps(held: Held) -> list[str]:
    """Return what a person may do about it, each a line to type or a deed in SAP."""
    thing = called(held)
    leave = f"mlc held dismiss {thing} --note TEXT"
    again = f"mlc replay {thing} --again     (in spite of the doubt)"
    if "/link-customer/" in held.name:
        return [f"mlc held match {thing} CARDCODE", leave]
    if "/payout-line/" in held.name or "/parked/" in held.name:
        return [f"mlc held match {held.about.get('payment') or thing} DOCNUM", f"mlc replay {held.about.get('payout')}", leave]
    if held.reason in ("refund", "dispute", "returned", "manual_payout"):
        return [f"book it in SAP, then {leave}"]
    if held.reason == "reopened" and "/settle/" in held.name:
        memo = " (a credit memo of the sum, made from its invoice, does it by itself)" if held.about.get("refund") else ""
        return [f"reconcile the debit in SAP{memo}", leave]
    if any(f"/{verb}/" in held.name for verb in ("refund", "dispute", "returned")) or held.about.get("payout", "").startswith(
        "po_"
    ):
        return [f"mlc replay {thing}", again, leave]
    if "/post-payment/" in held.name:
        return [f"mlc held match {thing} DOCNUM", f"mlc replay {thing}", again, leave]
    return [f"clear the cause, then mlc replay {thing}", leave]


@held_app.command("match", short_help="Say which invoices a payment pays.")
def match(
    wish: o.HeldPayment,
    invoices: Annotated[list[str], typer.Argument(metavar="DOCNUM", help="Invoice numbers in order; a customer's CardCode.")],
    config: o.Config = None, tenant: o.Tenants = None, dry_run: o.DryRun = False, json: o.Json = False, quiet: o.Quiet = False,
    verbose: o.Verbose = 0, lock_timeout: o.LockTimeout = 0.0, company: o.Company = None,
) -> None:  # fmt: skip
    """Say which invoices a held payment pays, or who a GoCardless customer is; the decision is kept and used first ever after."""
    from mlc.cli.clearing import clear_to_write
    from mlc.cli.matching import match_in

    found: list[bool] = []

    def work(opened: OpenTenant) -> None:
        clear_to_write(session, opened, shlex.join(["mlc", "held", "match", wish, *invoices]), dry_run=dry_run)
        found.extend(match_in(session, opened, wish, invoices, dry_run=dry_run))

    common = o.common(config, tenant, json=json, quiet=quiet, verbose=verbose, lock_timeout=lock_timeout, companies=company)
    session = Session(common)
    with session.guarded():
        heed_interrupts()
        session.only_tenant_that_knows(wish)
        session.each_tenant(work, "mlc held match", create=False)
        if not session.codes or found:
            _must_be_found(found, wish)
    session.end()


@held_app.command("dismiss", short_help="Let an item wait no more, with a note.")
def dismiss(
    wish: Wish, note: Annotated[str, typer.Option("--note", metavar="TEXT", help="Why; it stands in the audit trail.")],
    config: o.Config = None, tenant: o.Tenants = None, json: o.Json = False, quiet: o.Quiet = False, verbose: o.Verbose = 0,
) -> None:  # fmt: skip
    """Let an item wait for nobody any more, with a note. Nothing is posted by that."""
    from mlc.cli.books import reading

    found: list[bool] = []

    def one(session: Session, settings: Settings, tenant_: Tenant) -> None:
        with reading(settings, tenant_) as journal:
            for held in _one_of(journal, wish):
                found.append(True)
                journal.dismiss(held.name, note, who())
                session.voice.say(f"{tenant_.name}: {held.name} ({held.reason}) is dismissed")
                _close_payout(session, journal, tenant_.name, held, note)

    session = Session(o.common(config, tenant, json=json, quiet=quiet, verbose=verbose))
    with session.guarded():
        session.only_tenant_that_knows(wish)
        settings = session.settings()
        for chosen in session.tenants(settings):
            one(session, settings, chosen)
        _must_be_found(found, wish)
    session.end()


def _close_payout(session: Session, journal: Journal, tenant: str, held: Held, note: str) -> None:
    """A payout is booked whole or not at all: where one line of it is dismissed, it is not tried again, and that is said."""
    payout = held.about.get("payout")
    lines = ("/payout-line/", "/reconcile-payout/")
    if not payout or not any(part in held.name for part in lines):
        return
    for other in journal.held.all():
        if other.about.get("payout") == payout and any(part in other.name for part in lines):
            journal.dismiss(other.name, note, who())
            session.voice.say(f"{tenant}: {other.name} ({other.reason}) is dismissed with it")
    session.voice.say(
        f"{tenant}: nothing of payout {payout} is booked by mlc any more; mlc replay {payout} tries it all the same", "yellow"
    )


def _one_of(journal: Journal, wish: str) -> list[Held]:
    found = journal.held.search(wish)
    if len(found) > 1:
        names = ", ".join(one.name for one in found)
        raise ConfigError(f"{wish} may mean {len(found)} items: {names}", hint="give the whole id")
    return found


def _must_be_found(found: list[bool], wish: str) -> None:
    if not found:
        raise ConfigError(f"nothing is held for {wish}", hint="mlc held list shows what is")


def who() -> str:
    """Return the user of this machine who decides."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _each(options: o.Common, one: Any, after: Any = None) -> None:
    def work(session: Session) -> None:
        settings = session.settings()
        for tenant in session.tenants(settings):
            with session.guarded(f"{tenant.name}: "):
                one(session, settings, tenant)
        if after is not None and not session.codes:
            after()

    simple(options, work)


def register(app: typer.Typer) -> None:
    """Add the commands of this room."""
    app.add_typer(held_app, name="held", short_help="What waits for a person, and decisions.")
