"""What a shell may complete: names of tenants, and ids of what waits for a person. Whatever goes wrong, nothing is offered."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from mlc.config import Settings

_MOST = 50


def tenants(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the tenants of the configuration that the command line names so far."""
    settings = _settings(ctx)
    return [name for name in settings.tenants if name.startswith(incomplete)] if settings is not None else []


def held_ids(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return (id, reason) of held items: a payment, a payout, or the last part of a name."""
    settings = _settings(ctx)
    if settings is None:
        return []
    return [one for one in _held(settings) if one[0].startswith(incomplete)][:_MOST]


def _held(settings: Settings) -> Iterator[tuple[str, str]]:
    from mlc.cli.books import reading
    from mlc.core.errors import MlcError
    from mlc.core.keys import thing_of

    for tenant in settings.tenants.values():
        try:
            with reading(settings, tenant) as journal:
                for item in journal.held.all():
                    yield str(item.about.get("payment") or item.about.get("payout") or thing_of(item.name)), item.reason
        except MlcError:
            continue


def _settings(ctx: typer.Context) -> Settings | None:
    """Return the configuration, None where it cannot be read: a shell is no place for messages."""
    from mlc.config import load
    from mlc.core.errors import MlcError

    named: Any = ctx.params.get("config")
    try:
        return load(Path(named) if named else None, os.environ)
    except (MlcError, OSError):
        return None
