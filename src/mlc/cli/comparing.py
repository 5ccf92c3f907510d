"""mlc compare: both sides of a period beside each other, what is missing or different, told while it is found; nothing is written."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlc.cli import options as o
from mlc.cli.session import Session, parse_day, simple
from mlc.core import errors

if TYPE_CHECKING:
    from mlc.config import Settings, Tenant
    from mlc.core.comparing import Field, Finding
    from mlc.core.money import Money
    from mlc.passes.comparing import Comparison
    from mlc.passes.scene import Scene

Since = Annotated[
    str | None, typer.Option("--since", metavar="DATE", help="From this day on (YYYY-MM-DD), never before start_date.")
]
Until = Annotated[
    str | None, typer.Option("--until", metavar="DATE", help="Up to and with this day (YYYY-MM-DD); today if left out.")
]
_WIDTH = 80
_GLUE = "\x1f"  # keeps a count with its word while lines are broken
_WORDS = {
    "different": "DIFFERENT", "twice": "TWICE", "missing_in_sap": "MISSING IN SAP", "missing_at_stripe": "MISSING AT STRIPE",
    "missing_at_gocardless": "MISSING AT GOCARDLESS", "on_its_way": "on its way", "not_comparable": "not comparable",
}  # fmt: skip
_PLURALS = {
    "payment": "payments", "refund": "refunds", "dispute": "disputes", "returned": "returned debits", "payout": "payouts",
    "invoice": "invoices",
}  # fmt: skip
_COUNTED = {
    "compared": "compared", "same": "same", "different": "different", "twice": "twice", "missing_in_sap": "missing in SAP",
    "missing_at_stripe": "missing at Stripe", "missing_at_gocardless": "missing at GoCardless", "on_its_way": "on its way",
    "not_comparable": "not comparable", "follows": "differing by a payment told above",
}  # fmt: skip
_ALWAYS = ("compared", "same", "different", "missing_in_sap", "missing_at_stripe", "on_its_way")


def compare(
    since: Since = None, until: Until = None,
    config: o.Config = None, tenant: o.Tenants = None, json: o.Json = False, quiet: o.Quiet = False, verbose: o.Verbose = 0,
) -> None:  # fmt: skip
    """Compare both sides for a period: what is missing or different in SAP, at Stripe, at GoCardless.

    Reads only, and changes nothing. Ends with 3 where anything is missing or different.
    """

    def work(session: Session) -> None:
        days = parse_day(since), parse_day(until, "--until")
        settings = session.settings()
        for one in session.tenants(settings):
            with session.guarded(f"{one.name}: "):
                _compare(session, settings, one, *days)

    simple(o.common(config, tenant, json=json, quiet=quiet, verbose=verbose), work)


def _compare(session: Session, settings: Settings, tenant: Tenant, since: date | None, until: date | None) -> None:
    from mlc.passes.comparing import Comparison
    from mlc.store.besides import Besides

    with _scene(session, settings, tenant) as (scene, known), closing(Besides()) as besides:
        last = min(until or scene.today, scene.today)
        first = max(since or tenant.start_date, tenant.start_date)
        if first > last:
            raise errors.ConfigError(
                f"nothing lies between {first} and {last}", hint="give --since before --until; both days are included"
            )
        comparison = Comparison(scene, first, last, besides)
        if since is not None and since < tenant.start_date:
            comparison.span.note(f"--since {since} is before start_date: compared from {first} on")
        if until is not None and until > last:
            comparison.span.note(f"--until {until} is not over yet: compared up to {last}")
        comparison.span.known = known
        if not known:
            comparison.span.note("there is no state file: nothing says why something is missing")
        _tell(session, tenant, comparison, several=len(settings.tenants) > 1)


@contextmanager
def _scene(session: Session, settings: Settings, tenant: Tenant) -> Iterator[tuple[Scene, bool]]:
    """Open what is to be read. Without a state file an empty one of this run's own stands in, and is gone afterwards."""
    import tempfile
    from pathlib import Path

    from mlc.cli.books import reading, seeing

    if settings.state.exists():
        with reading(settings, tenant) as journal, seeing(session, settings, tenant, journal) as scene:
            yield scene, True
        return
    from mlc.clock import SystemClock
    from mlc.store.database import Database
    from mlc.store.journal import Journal

    with (
        tempfile.TemporaryDirectory(prefix="mlc-compare-") as folder,
        closing(Database.open(Path(folder) / "none.db")) as database,
    ):
        journal = Journal(database, tenant.sap.company_db, "", SystemClock())
        with seeing(session, settings, tenant, journal) as scene:
            yield scene, False


# --- telling ---------------------------------------------------------------------------------------------------------


def _tell(session: Session, tenant: Tenant, comparison: Comparison, *, several: bool) -> None:
    from mlc.core.comparing import WRONG

    voice, span = session.voice, comparison.span
    plain = not session.options.json
    if plain and not session.options.quiet:
        voice.out(f"{tenant.name}  {span.since} to {span.until}  ({tenant.zone})")
    said = False
    for found in comparison.findings():
        if not plain:
            voice.emit("item", tenant=tenant.name, **fields(found))
        elif found.state in WRONG or not session.options.quiet:
            if session.options.quiet and not said:
                voice.out(f"{tenant.name}  {span.since} to {span.until}  ({tenant.zone})")
            said = True
            for line in _lines(found, f" --tenant {tenant.name}" if several else ""):
                voice.out(line)
    code = errors.ATTENTION if comparison.tally.wrong else errors.OK
    session.codes.append(code)
    if not plain:
        voice.emit("summary", tenant=tenant.name, **summary(comparison, code))
    elif not session.options.quiet:
        for line in _summary(comparison):
            voice.out(line)


def _lines(found: Finding, tenant: str) -> Iterator[str]:
    """Yield what is said of one thing: its head, the fields that differ, why it may be so, the next step."""
    amount = f"  {found.amount}" if found.amount is not None else ""
    yield from _wrapped(f"{found.kind} {found.id}{amount}  {_WORDS[found.state]}", "", "  ")
    number = {"payment": "receipt", "invoice": "SAP invoice"}.get(found.kind, "journal entry")
    if found.fields:
        told = "; ".join(_field(one, found.processor) for one in found.fields)
        about = f"{number} {found.other}: " if found.other else ""
        yield from _wrapped(f"{about}{told}", "    ", "    ")
    elif found.other and found.other not in found.why and found.other != found.id:
        yield f"    {number} {found.other}"
    for text in (found.why, found.explanation):
        if text:
            yield from _wrapped(text, "    ", "    ")
    if found.command:
        yield f"    next: {found.command}{tenant if found.command.startswith('mlc') else ''}"


def _field(one: Field, processor: str) -> str:
    return f"{one.name.replace('_', ' ')} {one.sap or 'nothing'} in SAP, {one.processor or 'nothing'} at {processor}"


def _wrapped(text: str, first: str, then: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=first, subsequent_indent=then, break_on_hyphens=False) or [first]


def _summary(comparison: Comparison) -> Iterator[str]:
    from mlc.core.comparing import KINDS

    told = False
    for kind in KINDS:
        counts = comparison.tally.of(kind)
        if not any(counts.values()):
            continue
        told = True
        words = [f"{text} {counts[name]}" for name, text in _COUNTED.items() if counts[name] or name in _ALWAYS]
        joined = f"{_PLURALS[kind]}: {', '.join(word.replace(' ', _GLUE) for word in words)}"
        yield from (line.replace(_GLUE, " ") for line in _wrapped(joined, "", "  "))
    if not told:
        yield "nothing to compare"
    for note in comparison.notes:
        yield from _wrapped(f"note: {note}", "", "  ")
    yield "nothing is missing or different" if not comparison.tally.wrong else f"{comparison.tally.wrong} missing or different"


# --- for scripts -----------------------------------------------------------------------------------------------------


def fields(found: Finding) -> dict[str, Any]:
    """Return a finding as scripts read it: money in whole minor units with its exponent."""
    return {
        "kind": found.kind, "id": found.id, "other": found.other or None, "state": found.state, "processor": found.processor.lower(),
        "differences": [{"field": one.name, "sap": _value(one.sap), "processor": _value(one.processor)} for one in found.fields],
        "amount": _money(found.amount) if found.amount is not None else None, "text": found.why,
        "explanation": found.explanation or None, "next": found.command or None,
    }  # fmt: skip


def _value(value: Money | str | None) -> Any:
    return _money(value) if value is not None and not isinstance(value, str) else value


def _money(amount: Money) -> dict[str, Any]:
    from mlc.core.money import exponent

    return {"minor": amount.minor, "currency": amount.currency, "exponent": exponent(amount.currency)}


def summary(comparison: Comparison, code: int) -> dict[str, Any]:
    """Return the counts of a comparison as scripts read them."""
    from mlc.core.comparing import KINDS
    from mlc.core.money import Money

    sums = [
        {"kind": kind, "state": state, "amount": _money(Money(minor, currency))}
        for (kind, state, currency), minor in sorted(comparison.tally.sums.items())
    ]
    return {
        "period": {"since": comparison.span.since.isoformat(), "until": comparison.span.until.isoformat()},
        "counts": {kind: comparison.tally.of(kind) for kind in KINDS}, "amounts": sums, "notes": comparison.notes, "exit_code": code,
    }  # fmt: skip


def register(app: typer.Typer) -> None:
    """Add the command of this room."""
    app.command("compare", short_help="What is missing or different on either side for a period.")(compare)
