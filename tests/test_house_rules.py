"""The rules of the house that can be counted: sizes, docstrings, a fresh README, hints, the example configuration."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlc.core import errors

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
README = (ROOT / "README.md").read_text(encoding="utf-8")
MOST_LINES, MOST_FUNCTION_LINES = 450, 75


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    """Every function of a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            yield node


def calls(node: ast.AST) -> set[str]:
    """The last names of everything a function calls."""
    return {ast.unparse(inner.func).rsplit(".", 1)[-1] for inner in ast.walk(node) if isinstance(inner, ast.Call)}


def can_fail(node: ast.AST) -> bool:
    """Whether a function asserts something by itself."""
    found = any(isinstance(inner, ast.Assert | ast.Raise) for inner in ast.walk(node))
    return found or bool(calls(node) & {"raises", "check", "run_state_machine_as_test", "validate", "fail"})


def _checkers() -> set[str]:
    """Every function of the tests that can fail, by itself or through one that it calls."""
    every = [node for path in sorted((ROOT / "tests").rglob("*.py")) for node in functions(path)]
    found = {node.name for node in every if can_fail(node)}
    while more := {node.name for node in every if node.name not in found and calls(node) & found}:
        found |= more
    return found


CHECKERS = _checkers()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_says_what_it_is_for_and_fits_in_a_head(path: Path) -> None:
    """Every file opens with what it is for, and neither it nor a function in it outgrows a reader."""
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text)), "no module docstring"
    assert text.count("\n") <= MOST_LINES
    long = [node.name for node in functions(path) if (node.end_lineno or 0) - node.lineno >= MOST_FUNCTION_LINES]
    assert not long, f"too long: {long}"


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_test_says_in_one_sentence_what_should_be_true(path: Path) -> None:
    """A test without a sentence, or without anything that could fail, is no test."""
    for node in functions(path):
        if node.name.startswith("test_"):
            assert ast.get_docstring(node), f"{node.name} has no docstring"
            assert can_fail(node) or calls(node) & CHECKERS, f"{node.name} cannot fail"


def test_the_readme_lists_the_exit_codes_as_they_are() -> None:
    """README's table of exit codes is the one the program uses."""
    rows = "\n".join(f"| {code} | {meaning} |" for code, meaning in errors.EXIT_CODES.items())
    assert rows in README


def test_every_error_has_a_hint() -> None:
    """Whatever goes wrong, the message says what to do next."""
    for name in dir(errors):
        kind = getattr(errors, name)
        if isinstance(kind, type) and issubclass(kind, errors.MlcError):
            assert kind("something").hint, name


def test_every_command_is_documented() -> None:
    """Every command of the command line has help, and README names it."""
    from typer.main import get_command

    from mlc.cli.app import app

    top = get_command(app)
    for name, command in top.commands.items():  # type: ignore[attr-defined]
        assert command.help or command.short_help, f"{name} has no help"
        assert f"mlc {name}" in README, f"README does not name mlc {name}"


def test_every_held_reason_is_explained_in_the_readme() -> None:
    """No reason to hold something is invented beside the documented ones."""
    used: set[str] = set()
    for path in [
        *(ROOT / "src/mlc/passes").glob("*.py"),
        *(ROOT / "src/mlc/core").glob("*.py"),
        *(ROOT / "src/mlc/systems").rglob("recipes.py"),
        ROOT / "src/mlc/systems/stripe/later.py",
        ROOT / "src/mlc/systems/sap/entries.py",
    ]:
        text = path.read_text(encoding="utf-8")
        used |= set(re.findall(r'(?:Hold|NoMatch|Problem|Unclear)\(\s*"([a-z_]+)"', text))
        used |= set(re.findall(r'_skip\([^"]*?"([a-z_]+)"', text))
        used |= set(re.findall(r'Skip\([^"]*?"([a-z_]+)"', text))
        used |= set(re.findall(r'(?:Wait\(|_hold\(one, facts, plan, )"([a-z_]+)"', text))
    used -= {"doc_entry", "payment", "payout", "waits"}  # keys of what an item is about; what is passed by in silence
    assert len(used) > 15
    assert not {reason for reason in used if f"`{reason}`" not in README}


def test_the_architecture_names_functions_that_exist() -> None:
    """Every function and class that ARCHITECTURE.md names is there."""
    text = (ROOT / "src/mlc/ARCHITECTURE.md").read_text(encoding="utf-8")
    code = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES)
    for name in set(re.findall(r"`([A-Za-z_]+(?:\.[A-Za-z_]+)?)`", text)):
        last = name.rsplit(".", 1)[-1]
        if "_" in last or last[:1].isupper():
            assert re.search(rf"\b{last}\b", code), f"{name} does not exist"


def test_the_example_configuration_loads(tmp_path: Path) -> None:
    """config.example.yaml is complete and valid as it stands."""
    from mlc.config import load

    settings = load(ROOT / "config.example.yaml", {})
    assert list(settings.tenants) == ["acme"]


def test_the_top_level_holds_what_was_agreed() -> None:
    """Nothing is added to the top level of the repository."""
    agreed = {"pyproject.toml", "src", "tests", "examples", "config.example.yaml", "README.md", "CHANGELOG.md", "LICENSE"}
    found = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    assert found - agreed <= {"dist", "build"}


def test_the_published_shapes_are_there_where_they_must_be() -> None:
    """Where the continuous integration says so, the vendors' published shapes must not be skipped."""
    import os

    if os.environ.get("REQUIRE_WIRE"):
        assert (ROOT.parent / "shared" / "wire").is_dir()
    assert README


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda path: path.name)
def test_the_examples_load(path: Path) -> None:
    """Every configuration in examples/ is valid as it stands."""
    from mlc.config import load

    assert load(path, {}).tenants
