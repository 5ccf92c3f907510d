"""mlc report: what the books say beside what the providers say; the clearing proof."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlc.cli import options as o
from mlc.cli.session import Session, parse_day, simple
from mlc.core import errors

if TYPE_CHECKING:
    from mlc.config import Settings, Tenant
    from mlc.core.clearing import Section
    from mlc.passes.clearing import Proof

report_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="What the books say, beside what the providers say.")
Since = Annotated[
    str | None, typer.Option("--since", metavar="DATE", help="Show the provider's movements from this day; the proof is whole.")
]
Csv = Annotated[Path | None, typer.Option("--csv", metavar="PATH", help="Write every line to this file as well.")]
_HEAD = ("tenant", "provider", "currency", "account", "section", "line", "id", "reason", "amount", "text")
_TITLES = {
    "payments": "payments not posted", "refunds_disputes": "refunds and disputes not booked", "payouts": "payouts not booked",
    "fees": "fees not booked", "other": "other movements not booked", "held_back": "minimum balance held back",
    "opening": "opening not booked", "bounced": "payouts that bounced",
}  # fmt: skip
_BOOKED = {"payments": "payments", "refunds_disputes": "refunds and disputes", "payouts": "payouts", "by_people": "by people",
           "bounced": "payouts that bounced"}  # fmt: skip


@report_app.command("clearing", short_help="Prove the clearing accounts.")
def clearing(
    since: Since = None, csv: Csv = None,
    config: o.Config = None, tenant: o.Tenants = None, json: o.Json = False, quiet: o.Quiet = False, verbose: o.Verbose = 0,
) -> None:  # fmt: skip
    """Prove the clearing accounts: the provider's balance, SAP's account, and every difference with its reason.

    Reads only. Ends with 3 where a drift is left that nothing explains.
    """

    def work(session: Session) -> None:
        rows = prove(session, parse_day(since))
        if csv is not None:
            _write(csv, [(*row[:-1], session.voice.clean(row[-1])) for row in rows])

    simple(o.common(config, tenant, json=json, quiet=quiet, verbose=verbose), work)


def prove(session: Session, day: date | None) -> list[tuple[str, ...]]:
    """Prove the clearing accounts of every tenant and tell it; returns the rows for a file. A drift ends the session with 3."""
    settings, rows = session.settings(), list[tuple[str, ...]]()
    for one in session.tenants(settings):
        with session.guarded(f"{one.name}: "):
            for proof in _proofs(session, settings, one, day):
                if proof.statement.drift or proof.no_account:
                    session.codes.append(errors.ATTENTION)
                _tell(session, one.name, proof)
                rows += _rows(one.name, proof)
    return rows


def _proofs(session: Session, settings: Settings, tenant: Tenant, since: Any) -> Iterator[Proof]:
    from mlc.cli.books import reading, seeing
    from mlc.passes.clearing import ClearingProof
    from mlc.store.pairing import Pairing

    with reading(settings, tenant) as journal, seeing(session, settings, tenant, journal) as scene:
        yield from ClearingProof(scene, Pairing(journal.database, journal.book), since).proofs()


# --- for people ------------------------------------------------------------------------------------------------------


def _tell(session: Session, tenant: str, proof: Proof) -> None:
    if session.options.json:
        session.voice.emit("clearing", tenant=tenant, **fields(proof))
        return
    one = proof.statement
    if session.options.quiet and not one.drift and not proof.no_account:
        return
    lines = [(title, _read(amount, title, one.currency), reason or text) for _, title, _, reason, amount, text in _lines(proof)]
    session.voice.out(f"{tenant}  {one.provider}  {one.currency}  from {proof.since}")
    session.voice.table(["", one.currency, ""], lines, right=(1,))
    for note in proof.notes:
        session.voice.out(f"note: {note}")
    session.voice.out("")


def _lines(proof: Proof) -> Iterator[tuple[str, str, str, str, str, str]]:
    """Yield (section, title, id, reason, amount, text): the one list that the terminal and the file show."""
    one = proof.statement
    for name, minor in proof.held.items():
        yield (
            "balance",
            name.replace("_", " "),
            "",
            "",
            _major(minor, name.rpartition(" ")[2]),
            "GoCardless says so; for information",
        )
    if one.provider != "GoCardless":
        shown = one.totals.shown
        opening = one.closing - sum(shown.values())
        yield "provider", "opening", "", "", _major(opening, one.currency), f"{one.provider}'s balance on {proof.since}"
        for name, minor in shown.items():
            yield "provider", name, "", "", _major(minor, one.currency), ""
        parts = f"available {_major(proof.available, one.currency)}, pending {_major(proof.pending, one.currency)}"
        yield "provider", "closing", "", "", _major(one.closing, one.currency), parts
    for name, minor in one.booked.items():
        if minor or name == "payments":
            yield "booked", f"booked: {_BOOKED[name]}", "", "", _major(minor, one.currency), ""
    if one.account is not None and proof.account is not None:
        account = f"{proof.account.shown} {proof.account.name}".strip()
        yield "sap", "SAP's account", proof.account.shown, "", _major(one.account, one.currency), account
    for kind, section in one.explained.items():
        yield from _section(one.currency, "explained", _TITLES[kind], section)
    if one.unexplained.count:
        yield from _section(one.currency, "unexplained", "NOT EXPLAINED", one.unexplained)
    if one.drift is not None:
        yield "drift", "drift", "", "", _major(one.drift, one.currency), _verdict(proof)


def _read(amount: str, title: str, currency: str) -> str:
    """Return a figure as people read it; one in another currency than its column says so."""
    from decimal import Decimal

    other = title.rpartition(" ")[2]
    own = f" {other}" if len(other) == 3 and other.isupper() and other.isalpha() and other != currency else ""
    return f"{Decimal(amount):,f}{own}"


def _section(currency: str, where: str, title: str, section: Section) -> Iterator[tuple[str, str, str, str, str, str]]:
    whole = section.lines[0].key == section.lines[0].reason  # a sum without things of its own
    yield where, title, "", "", _major(section.minor, currency), section.lines[0].text if whole else f"{section.count} in all"
    for line in () if whole else section.lines:
        yield where, f"  {line.key}", line.key, line.reason, _major(line.minor, currency), line.text
    if section.count > len(section.lines):
        more = section.count - len(section.lines)
        yield where, f"  and {more} more", "", "", _major(section.rest, currency), ""


def _verdict(proof: Proof) -> str:
    one = proof.statement
    if not one.drift:
        return "the books are right" + (", the opening is booked in SAP" if one.opening_booked else "")
    if one.opening and not one.opening_booked:
        return f"not explained; {_major(one.drift - one.opening, one.currency)} if the opening was booked in SAP by hand"
    return "nothing explains it: look for entries on this account that mlc did not make"


def _major(minor: int, currency: str) -> str:
    from mlc.core.money import Money

    return f"{Money(minor, currency).decimal():f}"


# --- for scripts -----------------------------------------------------------------------------------------------------


def fields(proof: Proof) -> dict[str, Any]:
    """Return a proof as scripts read it: whole minor units."""
    from mlc.core.money import exponent

    one = proof.statement
    return {
        "provider": one.provider, "currency": one.currency, "exponent": exponent(one.currency), "since": proof.since.isoformat(),
        "opening": one.closing - sum(one.totals.shown.values()), **one.totals.shown, "closing": one.closing,
        "available": proof.available, "pending": proof.pending, "balances": proof.held,
        "account": {"code": proof.account.shown, "name": proof.account.name} if proof.account else None, "sap": one.account,
        "booked": one.booked, "explained": {kind: _part(section) for kind, section in one.explained.items()},
        "unexplained": _part(one.unexplained), "opening_booked": one.opening_booked, "drift": one.drift, "notes": proof.notes,
    }  # fmt: skip


def _part(section: Section) -> dict[str, Any]:
    lines = [{"id": line.key, "minor": line.minor, "reason": line.reason, "text": line.text} for line in section.lines]
    return {"minor": section.minor, "count": section.count, "lines": lines}


def _rows(tenant: str, proof: Proof) -> Iterator[tuple[str, ...]]:
    one = proof.statement
    account = proof.account.shown if proof.account else ""
    for section, title, ident, reason, amount, text in _lines(proof):
        yield tenant, one.provider, one.currency, account, section, title.strip(), ident, reason, amount, text


def _write(path: Path, rows: list[tuple[str, ...]]) -> None:
    """Write the file whole or not at all; a device, a pipe or a link is written to, never put out of its place."""
    import tempfile

    from mlc.core.errors import ConfigError

    try:
        if path.is_symlink() or (path.exists() and not path.is_file()):
            _fill(os.open(path, os.O_WRONLY | os.O_TRUNC), rows)
            return
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            _fill(handle, rows)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written: {error.strerror or error}", hint="give --csv a path in a folder you may write to"
        ) from error


def _fill(handle: int, rows: list[tuple[str, ...]]) -> None:
    import csv

    with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_HEAD)
        writer.writerows([_harmless(cell) for cell in row] for row in rows)


def _harmless(cell: str) -> str:
    """Keep a spreadsheet from taking a text for a formula; figures stay as they are."""
    figure = cell.removeprefix("-").replace(".", "", 1).isdecimal()
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t") and not figure else cell


def register(app: typer.Typer) -> None:
    """Add the commands of this room."""
    app.add_typer(report_app, name="report", short_help="The clearing proof: providers and SAP side by side.")
