"""The options that many commands share, declared once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from mlc.cli.completing import held_ids, tenants

Config = Annotated[
    Path | None, typer.Option("--config", metavar="PATH", help="Configuration file; see README for where it is looked for.")
]
Tenants = Annotated[
    list[str] | None,
    typer.Option(
        "--tenant", metavar="NAME", help="Only this tenant; repeatable. None means every tenant.", autocompletion=tenants
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", "-n", help="Decide and show, but write nothing anywhere.")]
Json = Annotated[bool, typer.Option("--json", help="JSON Lines on stdout for scripts, one object a line.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say errors only.")]
Verbose = Annotated[int, typer.Option("--verbose", "-v", count=True, help="Say every request; twice: traces of defects.")]
Since = Annotated[
    str | None, typer.Option("--since", metavar="DATE", help="Look back to this day (YYYY-MM-DD), never before start_date.")
]
Limit = Annotated[int | None, typer.Option("--limit", metavar="N", min=1, help="At most this many documents in this run.")]
LockTimeout = Annotated[
    float, typer.Option("--lock-timeout", metavar="SECONDS", min=0, help="Seconds to wait for another run to end.")
]
AcceptLimit = Annotated[bool, typer.Option("--accept-limit", help="Go on once in spite of a safety limit.")]
FirstRun = Annotated[bool, typer.Option("--first-run", help="Yes, this pass may write for the first time.")]

HeldId = Annotated[
    str, typer.Argument(metavar="ID", help="The item: its id, its payment, or its invoice number.", autocompletion=held_ids)
]
_PAYMENT = "The held payment (pi_..., ch_..., PM...), or a customer (CU...)."
HeldPayment = Annotated[str, typer.Argument(metavar="PAYMENT", help=_PAYMENT, autocompletion=held_ids)]
_ANY = "An intent, a payment, an event, an invoice number."
AnyId = Annotated[str | None, typer.Argument(metavar="ID", help=_ANY, autocompletion=held_ids)]
LogFormat = Annotated[
    Literal["text", "json", "journald"] | None,
    typer.Option(
        "--log-format", metavar="FORMAT", help="Of stderr: text, json or journald. Left out: journald under systemd, else text."
    ),
]
Company = Annotated[
    list[str] | None,
    typer.Option("--company", metavar="NAME", help="The company's name (company_db), typed once before a live tenant writes."),
]


@dataclass(frozen=True, slots=True)
class Common:
    """What every command knows about how to speak and where to look."""

    config: Path | None = None
    tenants: tuple[str, ...] = ()
    json: bool = False
    quiet: bool = False
    verbose: int = 0
    lock_timeout: float = 0.0
    companies: tuple[str, ...] = ()
    log_format: str | None = None


def common(
    config: Path | None = None, tenants: list[str] | None = None, *, json: bool = False, quiet: bool = False, verbose: int = 0,
    lock_timeout: float = 0.0, companies: list[str] | None = None, log_format: str | None = None,
) -> Common:  # fmt: skip
    """Gather the shared options of a command."""
    return Common(config, tuple(tenants or ()), json, quiet, verbose, lock_timeout, tuple(companies or ()), log_format)
