"""README: its list of commands is the help's own, its links lead somewhere, its shell lines name real commands and options.

`MLC_UPDATE_GOLDEN=1` writes the list anew.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from mlc.cli.app import app

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
BEGIN = "<!-- commands: generated from the help, see tests/test_readme.py -->\n"
END = "<!-- end of commands -->"
COMMON = {
    "config", "tenant", "json", "quiet", "verbose", "help", "dry_run", "since", "limit", "lock_timeout", "accept_limit", "first_run",
    "company", "log_format",
}  # fmt: skip
PAGES = [README, *sorted((ROOT / "examples").glob("*.md"))]


def commands(command: Any, path: tuple[str, ...] = ("mlc",)) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command that does something, with the words that call it."""
    if getattr(command, "commands", None):
        for name, inner in command.commands.items():
            yield from commands(inner, (*path, name))
    else:
        yield path, command


TREE = dict(commands(typer.main.get_command(app)))


def row(path: tuple[str, ...], command: Any) -> str:
    """Return a command as the list has it: its arguments, what its help says first, and the options that are its own."""
    arguments = [_argument(one) for one in command.params if one.param_type_name == "argument"]
    options = [
        one.opts[0]
        for one in command.params
        if one.param_type_name == "option" and (one.name not in COMMON or path[1:] == ("init",))
    ]
    text = command.help.split("\n")[0].strip()
    own = f" {', '.join(f'`{one}`' for one in options if one != '--help')}" if len(options) > ("--help" in options) else ""
    return f"| `{' '.join([*path, *arguments])}` | {text}{own} |"


def _argument(one: Any) -> str:
    name = str(one.metavar or one.name)
    return name if one.required or name.startswith("[") else f"[{name}]"


def test_the_list_of_commands_is_that_of_the_help() -> None:
    """Every command, its arguments and its own options stand in README as the help has them."""
    table = "\n".join(["| command | what one run does |", "|---|---|", *(row(path, command) for path, command in TREE.items())])
    text = README.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    shown, after = rest.split(END)
    if os.environ.get("MLC_UPDATE_GOLDEN"):
        README.write_text(f"{before}{BEGIN}{table}\n{END}{after}", encoding="utf-8")
        return
    assert shown == f"{table}\n"


def anchors(text: str) -> set[str]:
    """Return what links into a page may name: its headings as forges write them."""
    return {re.sub(r"[^\w -]", "", one).strip().lower().replace(" ", "-") for one in re.findall(r"(?m)^#+ (.*)$", text)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """A link into a page names a heading of it, and a link to a file a file that is there."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith("http"):
            continue
        file, _, anchor = target.partition("#")
        there = (page.parent / file) if file else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there.read_text(encoding="utf-8")), target


def typed(page: Path) -> Iterator[list[str]]:
    """Yield the words of every line of mlc in the shell blocks of a page."""
    for block in re.findall(r"(?ms)^```(?:sh|console)\n(.*?)^```", page.read_text(encoding="utf-8")):
        for line in block.splitlines():
            for part in re.split(r"&&|\|\||;|\|", re.sub(r"\s#.*", "", line.removeprefix("$ "))):
                found = re.match(r"\s*(?:sudo )?(?:\S*/)?mlc_? (.*)", part)
                if found:
                    yield shlex.split(re.sub(r"\s>.*", "", found[1]))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_shell_lines_name_what_there_is(page: Path) -> None:
    """Every line of mlc that a page shows is a command of today, and so is every option in it."""
    for words in typed(page):
        if words[0].startswith("-"):
            continue
        path = max((one for one in TREE if list(one[1:]) == words[: len(one) - 1]), key=len, default=None)
        assert path is not None, words
        known = {name for one in TREE[path].params for name in [*one.opts, *one.secondary_opts]}
        used = {word.split("=")[0] for word in words[len(path) - 1 :] if re.fullmatch(r"-[a-z]|--[a-z-]+(=.*)?", word)}
        assert used <= known | {"--help", "-h"}, (words, used - known)


def test_the_shell_lines_were_found() -> None:
    """The pages show many lines, and the search above sees them."""
    assert len(list(typed(README))) > 20
    assert sum(len(list(typed(page))) for page in PAGES) > 50
