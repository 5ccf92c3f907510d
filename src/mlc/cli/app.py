"""The command line: every command in its room; the room of the command that is asked for is loaded, and no other."""

from __future__ import annotations

import gc
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import typer

# Which room has which commands, in the order in which the help shows them. A test compares it with what the rooms register.
ROOMS = {
    "playing": ("demo",), "sandboxing": ("sandbox",), "starting": ("init",), "configuring": ("config",),
    "secreting": ("secret",), "scheduling": ("schedule",),
    "explaining": ("explain",), "pinging": ("ping",), "looking": ("status",), "comparing": ("compare",), "reporting": ("report",),
    "passes": ("sync-customers", "push-invoices", "post-payments", "reconcile-payouts", "run", "replay"), "receiving": ("webhooks",),
    "holding": ("held",), "auditing": ("audit",), "caring": ("state",), "helping": ("help",),
}  # fmt: skip

if TYPE_CHECKING:
    app: typer.Typer


def made(words: list[str]) -> typer.Typer:
    """Return the command line: with the one room a first word asks for, with all where it asks for none of them."""
    line = typer.Typer(
        name="mlc", no_args_is_help=True, add_completion=True, pretty_exceptions_enable=False, rich_markup_mode=None,
        help="Keeps the receivables of SAP Business One and the money at Stripe and GoCardless in agreement.",
        epilog="Try it without any account: mlc demo. Exit codes, JSON and configuration are described in the README.",
        context_settings={"help_option_names": ["-h", "--help"]},
    )  # fmt: skip
    line.callback()(_top)
    wanted = [room for room, commands in ROOMS.items() if words and words[0] in commands]
    for room in wanted or ROOMS:
        import_module(f"mlc.cli.{room}").register(line)
    return line


def _top(
    version: bool = typer.Option(False, "--version", "-V", help="Show the version and end."),
) -> None:
    if not gc.isenabled():  # what is loaded by now stays to the end: it is never looked through for garbage
        gc.freeze()
        gc.enable()
    if version:
        from mlc import __version__

        typer.echo(f"mlc {__version__}")
        raise typer.Exit


def __getattr__(name: str) -> Any:
    """Make the whole command line when somebody asks for `app`."""
    if name != "app":
        raise AttributeError(name)
    globals()["app"] = made([])
    return globals()["app"]


def run() -> None:
    """Run the command line; whatever escapes a command ends as one sentence and code 1."""
    # none of them shall see a configuration, and looking for them takes time
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    gc.disable()  # until the command line is read: loading makes no garbage
    try:
        made(sys.argv[1:])()
    except SystemExit:
        raise
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:  # noqa: BLE001 - never a traceback for what a user can cause
        sys.stderr.write(
            f"error: {type(error).__name__}: {error}\n  next: this is a defect; please report it with the command you gave\n"
        )
        sys.exit(1)
