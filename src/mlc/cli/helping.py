"""mlc help: what is worth knowing beside the commands themselves, a topic at a time."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Annotated

import typer

from mlc.core import errors
from mlc.core.errors import ConfigError

_CONFIG = """\
The configuration is one YAML file, looked for in this order:
  --config PATH, $MLC_CONFIG, ./config.yaml, ~/.config/mlc/config.yaml, /etc/mlc/config.yaml
Single values can be overridden by environment variables, with __ between the keys:
  MLC_STATE=/tmp/try.db   MLC_TENANTS__acme__SAP__URL=https://...
mlc init writes one, mlc config check validates it (file:line:column, the key, the fix), mlc config show prints what is in force,
mlc config schema prints the JSON Schema for editors."""

_SECRETS = """\
No secret stands in the configuration. One is left out, then the store has it, or it is referred to:
  {env: NAME}  {file: PATH}  {systemd: NAME}  {keyring: NAME}  {command: [pass, show, mlc/acme/stripe]}
mlc secret set TENANT NAME   asks without echo, or reads standard input; never on the command line
mlc secret check             finds each exactly as a timer would
A secret that is missing or was rejected ends with 4, a store that cannot be used with 12; nothing falls to plain text by itself."""

_JSON = """\
--json prints JSON Lines on stdout, one object a line, everything else on stderr. Every object has schema ("mlc/1"), type, run_id,
tenant and pass. type item: one wish, its id is what mlc replay takes; state is planned, done, held, refused or in_doubt. The last
line of each tenant and pass is type summary: counts, amounts, exit_code, audit_head. Money is whole minor units of ISO 4217 with the
exponent beside it. Fields may be added, never renamed."""

_HELD = """\
What is not certain is held with its reason and waits for a person; a run looks at it again by itself.
mlc held list            what waits
mlc held show ID         why, and the candidates
mlc held match ID DOCNUM the decision: this payment is for these invoices
mlc held dismiss ID      it was dealt with by hand
mlc replay ID            try again when the cause is gone; --again does a finished thing anew
mlc explain ANYTHING     the whole story across the systems
Every reason is explained in the README. Something held longer than alert_after makes every run end with 3."""

_STATE = """\
The state is one SQLite file: promises, answers, links, cursors, the trail, deliveries of webhooks. Deleting it duplicates nothing:
both systems are asked which of our marks they hold. What is lost with it are people's decisions and the trail.
mlc state backup, check, restored (after an older copy was put back), prune, erase CARDCODE, export."""


def _codes() -> str:
    return "\n".join(f"{code:>4}  {meaning}" for code, meaning in errors.EXIT_CODES.items())


TOPICS: dict[str, Callable[[], str]] = {
    "config": lambda: _CONFIG, "secrets": lambda: _SECRETS, "exit-codes": _codes, "json": lambda: _JSON, "held": lambda: _HELD,
    "state": lambda: _STATE,
}  # fmt: skip


def _paragraphs(text: str) -> list[str]:
    """Return a text's paragraphs as a line each; lines that begin with a space or a command stay by themselves."""
    found: list[str] = []
    for line in text.splitlines():
        if found and not line.startswith((" ", "mlc ")) and not found[-1].startswith((" ", "mlc ")):
            found[-1] += f" {line}"
        else:
            found.append(line)
    return found


def help_(topic: Annotated[str | None, typer.Argument(metavar="TOPIC", autocompletion=lambda: list(TOPICS))] = None) -> None:
    """Tell about one topic: config, secrets, exit-codes, json, held, state. A command's own help is `mlc COMMAND --help`."""
    from mlc.cli.options import common
    from mlc.cli.session import Session, simple

    def work(session: Session) -> None:
        if topic is None:
            session.voice.out("Topics: " + ", ".join(TOPICS) + ". For a command: mlc COMMAND --help")
        elif topic in TOPICS:
            for line in _paragraphs(TOPICS[topic]()):
                session.voice.out(textwrap.fill(line, 79, subsequent_indent="      " if line.startswith(" ") else ""))
        else:
            raise ConfigError(
                f"there is no topic {topic}", hint=f"one of {', '.join(TOPICS)}; for a command: mlc {topic} --help"
            )

    simple(common(), work)


def register(app: typer.Typer) -> None:
    """Add the command of this room."""
    app.command("help", short_help="Exit codes, secrets, JSON ... a topic at a time.")(help_)
