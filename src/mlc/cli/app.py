"""The command line: every command in its room, nothing heavy imported before it is needed."""

from __future__ import annotations

import sys

import typer

app = typer.Typer(
    name="mlc", no_args_is_help=True, add_completion=True, pretty_exceptions_enable=False, rich_markup_mode=None,
    help="Keeps the receivables of SAP Business One and the money at Stripe and GoCardless in agreement.",
    epilog="Try it without any account: mlc demo. Exit codes, JSON and configuration are described in the README.",
    context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip


@app.callback()
def _top(
    version: bool = typer.Option(False, "--version", "-V", help="Show the version and end."),
) -> None:
    if version:
        from mlc import __version__

        typer.echo(f"mlc {__version__}")
        raise typer.Exit


def _register() -> None:
    from mlc.cli import (
        auditing,
        caring,
        comparing,
        configuring,
        explaining,
        helping,
        holding,
        looking,
        passes,
        pinging,
        playing,
        receiving,
        reporting,
        sandboxing,
        scheduling,
        secreting,
    )

    rooms = (
        playing, sandboxing, configuring, secreting, scheduling, explaining, pinging, looking, comparing, reporting, passes, receiving,
        holding, auditing, caring, helping,
    )  # fmt: skip
    for room in rooms:
        room.register(app)


_register()


def run() -> None:
    """Run the command line; whatever escapes a command ends as one sentence and code 1."""
    try:
        app()
    except SystemExit:
        raise
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:  # noqa: BLE001 - never a traceback for what a user can cause
        sys.stderr.write(
            f"error: {type(error).__name__}: {error}\n  next: this is a defect; please report it with the command you gave\n"
        )
        sys.exit(1)
