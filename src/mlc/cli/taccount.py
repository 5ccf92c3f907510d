"""A journal entry as an accountant reads it: a small T-account, and under each customer's line the reason for the match."""

from __future__ import annotations

import textwrap
from typing import Any

from mlc.core.commands import EntryLine, Part, PostEntry
from mlc.core.money import Money, exponent

_WHAT, _SIDE, _WIDTH = 36, 13, 78


def drawn(command: PostEntry) -> list[str]:
    """Return the lines of the account, at most 80 columns wide."""
    parts = {part.key: part for part in command.parts}
    head = f"    {command.reference2}  {command.day}  {command.memo}"
    lines = [head[: _WIDTH + 2], f"    {'':{_WHAT}} {'Dr ' + command.currency:>{_SIDE}} {'Cr ' + command.currency:>{_SIDE}}"]
    told: set[str] = set()
    for line in command.lines:
        amount = f"{Money(abs(line.local), command.currency).decimal():,f}"
        sides = f"{amount:>{_SIDE}} {'':>{_SIDE}}" if line.local > 0 else f"{'':>{_SIDE}} {amount:>{_SIDE}}"
        lines += _named(_what(line), sides)
        part = parts.get(line.part)
        if part is not None and part.key not in told:
            told.add(part.key)
            lines += textwrap.wrap(
                _why(part), _WIDTH, initial_indent="        ", subsequent_indent="        ", break_on_hyphens=False
            )
    total = sum(line.local for line in command.lines if line.local > 0)
    text = f"{Money(total, command.currency).decimal():,f}"
    lines.append(f"    {'total':{_WHAT}} {text:>{_SIDE}} {text:>{_SIDE}}")
    return lines


def _named(what: str, sides: str) -> list[str]:
    first, *more = textwrap.wrap(what, _WHAT, subsequent_indent="  ", break_on_hyphens=False) or [""]
    return [f"    {first:{_WHAT}} {sides}".rstrip(), *(f"    {rest}" for rest in more)]


def _what(line: EntryLine) -> str:
    name = line.card_code or line.account
    parts = [name, line.title if not line.card_code else f"invoice {line.reference2}" if line.reference2 else "on account"]
    if line.currency:
        parts.append(f"{line.currency} {Money(abs(line.foreign), 'EUR').decimal():,f}")
    codes = [code for code in line.codes if code]
    if codes or line.project:
        parts.append(f"[{' '.join([*codes, *([line.project] if line.project else [])])}]")
    return " ".join(parts)


def _why(part: Part) -> str:
    rejected = f"; not taken: {'; '.join(part.rejected)}" if part.rejected else ""
    return f"{part.thing} {part.type}, {part.rule}: {part.evidence}{rejected}"


def fields(command: PostEntry) -> dict[str, Any]:
    """Return the entry as scripts read it: minor units, with the rule and evidence of each match."""
    parts = {part.key: part for part in command.parts}
    rows = []
    for line in command.lines:
        part = parts.get(line.part)
        side = {"minor": abs(line.local), "currency": command.currency, "exponent": exponent(command.currency)}
        row: dict[str, Any] = {
            "account": line.account or None, "card_code": line.card_code or None, "side": "debit" if line.local > 0 else "credit",
            "amount": side, "reference1": line.reference1, "reference2": line.reference2, "codes": list(line.codes),
            "project": line.project, "branch": line.branch,
        }  # fmt: skip
        if part is not None:
            row |= {"rule": part.rule, "evidence": part.evidence, "rejected": list(part.rejected)}
        rows.append(row)
    return {"reference2": command.reference2, "day": command.day.isoformat(), "lines": rows}
