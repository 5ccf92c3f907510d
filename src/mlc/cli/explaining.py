"""mlc explain: the story of one thing across SAP, the processors and mlc's own journal, in the order of time."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Annotated

import typer

from mlc.cli import options as o
from mlc.cli.session import Session, simple
from mlc.core.errors import ConfigError

_WISH = "An invoice number, a CardCode, or an id of Stripe or GoCardless: customer, payment, refund, dispute, payout, event."
Offline = Annotated[bool, typer.Option("--offline", help="Tell from journal and trail only, ask no system.")]


def explain(
    wish: Annotated[str, typer.Argument(metavar="ANYTHING", help=_WISH)], offline: Offline = False,
    config: o.Config = None, tenant: o.Tenants = None, json: o.Json = False, quiet: o.Quiet = False, verbose: o.Verbose = 0,
) -> None:  # fmt: skip
    """Tell the story of one thing: what each system says of it now, what mlc did, and the current payment link of an invoice."""
    found: list[bool] = []

    def work(session: Session) -> None:
        from mlc.cli.books import reading, ways_to_read
        from mlc.core.story import when
        from mlc.passes.telling import Teller, Ways

        settings = session.settings()
        tenants = session.tenants(settings)
        for one in tenants:
            with session.guarded(f"{one.name}: "), reading(settings, one) as journal, ExitStack() as stack:
                ways = Ways() if offline else Ways(*ways_to_read(session, settings, one, stack))
                teller = Teller(journal, one.zone, ways)
                story = teller.story(wish.strip())
                if len(tenants) > 1 and story and not json:
                    session.voice.out(f"{one.name}:")
                for told in story:
                    found.append(told.kind != "unread")
                    if json:
                        at = told.at.isoformat() if told.at is not None else None
                        session.voice.emit(
                            "story", tenant=one.name, about=told.kind, source=told.source, at=at, text=told.text, data=told.data
                        )
                    else:
                        session.voice.out(f"{when(told, one.zone):<16}  {told.source:<14}  {told.text}")
                session.codes += teller.codes
        if not any(found) and not session.codes:
            raise ConfigError(f"nothing is known of {wish}", hint="give an invoice number, a CardCode, or an id of a processor")

    simple(o.common(config, tenant, json=json, quiet=quiet, verbose=verbose), work)


def register(app: typer.Typer) -> None:
    """Add the commands of this room."""
    app.command("explain", short_help="The story of one thing across all systems.")(explain)
