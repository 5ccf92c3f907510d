"""Finds and loads the configuration; everything that is wrong with it is told at once, with line and column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from mlc.config import document, environment, rules, schema
from mlc.config.document import Document, Loc, Problem
from mlc.config.models import GOCARDLESS_HOSTS, Settings
from mlc.config.references import SecretRef
from mlc.config.values import looks_secret, mask, suggest
from mlc.core.errors import ConfigError, NoStateError

_WORDS = {
    "missing": "is required and missing; add it",
    "int_parsing": "must be a whole number; write digits only",
    "int_type": "must be a whole number; write digits only",
    "int_from_float": "must be a whole number; write digits only",
    "float_parsing": "must be a number; write for example 10",
    "float_type": "must be a number; write for example 10",
    "finite_number": "must be a finite number; write for example 10",
    "bool_parsing": "must be true or false; write one of the two",
    "bool_type": "must be true or false; write one of the two",
    "string_type": "must be text; put it in quotes",
    "dict_type": "must be a block of keys; write `key: value` lines below it",
    "model_type": "must be a block of keys; write `key: value` lines below it",
    "tuple_type": "must be a list; write for example [first, second]",
    "string_pattern_mismatch": "must be the id of a creditor; write for example CR123",
    "too_short": "is empty; add at least one entry",
}
_MOST = 2 << 20  # bytes; a thousand tenants
_BOUNDS = {
    "greater_than": "must be greater than {gt}; write a larger number",
    "greater_than_equal": "must be at least {ge}; write a larger number",
    "less_than_equal": "must be at most {le}; write a smaller number",
    "literal_error": "must be one of {expected}; write one of these",
}


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Load the configuration from `path`, or from the first place of the search order that has one.

    Args:
        path: what `--config` names, None to search.
        environ: the environment; its MLC_ variables override single values of the file.

    Raises:
        NoStateError: there is no configuration.
        ConfigError: something is wrong with it; one line for each trouble.
    """
    found = find(path, environ)
    try:
        with found.open("rb") as file:
            raw = file.read(_MOST + 1)
    except OSError as error:
        raise ConfigError(f"{found}: cannot be read ({error.strerror})", hint="check the owner and mode of the file") from None
    if len(raw) > _MOST:  # it would take minutes to say what is wrong with it
        raise ConfigError(f"{found}: is larger than {_MOST >> 20} MiB", hint="name the configuration file itself")
    return parse(raw, found, environ)


def find(path: Path | None, environ: Mapping[str, str]) -> Path:
    """Return the file of the search order: --config, $MLC_CONFIG, ./config.yaml, ~/.config/mlc, /etc/mlc."""
    named = environ.get("MLC_CONFIG")
    if path is not None or named:
        chosen = path if path is not None else Path(str(named))
        if not _exists(chosen):
            by = "--config" if path is not None else "$MLC_CONFIG"
            raise NoStateError(f"{chosen}: there is no such configuration file (named by {by})")
        return chosen
    places = [Path("config.yaml"), _home(environ) / ".config/mlc/config.yaml", Path("/etc/mlc/config.yaml")]
    for place in places:
        if _seen(place):
            return place
    raise NoStateError(f"there is no configuration; looked for {', '.join(map(str, places))}")


def parse(raw: bytes, path: Path, environ: Mapping[str, str]) -> Settings:
    """Return the settings that a file's bytes mean; `path` names the file in messages and starts its relative paths."""
    read = document.read(raw)
    problems = list(read.problems)
    origins: dict[Loc, str] = {}
    troubles: list[tuple[str, str]] = []
    settings = None
    if isinstance(read.data, dict):
        data = read.data
        origins, troubles = environment.overlay(data, environ)
        _complete(data, _home(environ))
        problems += rules.findings(data)
        context = {"folder": path.absolute().parent, "here": Path.cwd(), "home": _home(environ)}
        try:
            settings = Settings.model_validate(data, context=context)
        except ValidationError as error:
            problems += _translated(error)
    lines = _lines(path, read, problems, origins) + [f"{variable}: {text}" for variable, text in troubles]
    if lines or settings is None:
        raise ConfigError("\n".join(lines))
    return settings.read_from(path)


def _seen(path: Path) -> bool:
    """Tell whether a place that nobody named has a file: one that this user may not look into has none for him."""
    try:
        return path.exists()
    except OSError:
        return False


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})", hint="check the owner and mode of its folder") from None


def _home(environ: Mapping[str, str]) -> Path:
    return Path(environ["HOME"]) if environ.get("HOME") else Path.home()


def _complete(data: dict[str, Any], home: Path) -> None:
    """Fill in the three defaults that depend on something outside of their own block."""
    if "state" not in data:
        data["state"] = str(home / ".local/state/mlc/mlc.db")
    state, block = data["state"], data.setdefault("secrets", {})
    if isinstance(state, str) and isinstance(block, dict) and block.get("file") is None:
        block["file"] = type(state)(str(Path(state).parent / "secrets.json"))
    tenants = data.get("tenants")
    for tenant in tenants.values() if isinstance(tenants, dict) else ():
        block = tenant.get("gocardless") if isinstance(tenant, dict) else None
        if isinstance(block, dict) and block.get("url") is None:
            block["url"] = GOCARDLESS_HOSTS["live" if tenant.get("mode") == "live" else "test"]


def _shown(part: str | int) -> str:
    text = str(part)
    if looks_secret(text):
        return "***"
    if " " in text.strip():  # no key of ours has one: a colon is missing, and what follows may be a secret
        text = f"{(text.split() or [''])[0]} ..."
    return text if text.isprintable() else ascii(text)


def _translated(error: ValidationError) -> Iterator[Problem]:
    for detail in error.errors(include_url=False, include_input=False):
        loc = tuple(part for part in detail["loc"] if part != "[key]")
        if detail["type"] == "extra_forbidden" and schema.at(loc[:-1]) is SecretRef:
            yield Problem(loc[:-1], f"has a key that is none of {', '.join(SecretRef.model_fields)}; write one of these")
        elif detail["type"] == "list_entry":  # one entry of a list that is read as a whole
            yield Problem((*loc, detail["ctx"]["index"]), detail["ctx"]["words"])
        else:
            yield Problem(loc, _words(detail, loc))


def _words(detail: ErrorDetails, loc: Loc) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return f"is no known key; {suggest(str(loc[-1]), schema.keys(schema.at(loc[:-1])))}"
    if kind == "value_error":
        return str(context["error"])
    if kind in _BOUNDS:
        return _BOUNDS[kind].format(**context)
    return _WORDS.get(kind, f"{detail['msg']}; correct it")


def _lines(path: Path, read: Document, problems: list[Problem], origins: dict[Loc, str]) -> list[str]:
    """Return what to say of each problem, in the order of the file with the line it is about; values from the environment last."""
    from mlc.config.excerpt import excerpt

    in_file: dict[tuple[tuple[int, int], str], list[str]] = {}
    outside: dict[str, str] = {}
    for problem in problems:
        key = ".".join(map(_shown, problem.loc))
        variable = next((name for loc, name in origins.items() if problem.loc[: len(loc)] == loc), None)
        text = mask(f"{key}: {problem.text}" if key else problem.text)
        if variable:
            outside.setdefault(variable, f"{variable}: {text}")
        else:
            place = problem.position or read.position(problem.loc)
            seen = excerpt(read, place, problem.loc if read.data is not None else ())
            in_file.setdefault((place, key), [f"{path}:{place[0]}:{place[1]}: {text}", *seen])
    return [line for _, lines in sorted(in_file.items()) for line in lines] + list(outside.values())
