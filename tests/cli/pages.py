"""Pages with shell blocks: what is typed in them, what they show below it, and how that compares with what was really said."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import unified_diff

LEFT_OUT = "..."  # alone: lines that are not shown; within a line: a part of it
IDS = re.compile(r"\b(?:(?:pi|in|cus|ch|re|po|txn)_[A-Za-z0-9]{10,}|(?:PM|PO|MD|CU)[0-9A-Z]{6,})\b")
MASKS = [
    (re.compile(r"\b(audit|audit head:|head) [0-9a-f]{12,64}\b"), r"\1 <hash>"),
    (re.compile(r"state-\d+\.db"), "state-<pid>.db"),
    (re.compile(r"\d+\.\d MB|\d+ MB free"), "<size>"),
]


@dataclass
class Step:
    """One line that is typed, and the lines a page shows below it."""

    typed: str
    at: int  # the number of its line on the page, from 0
    shown: list[str] = field(default_factory=list)


@dataclass
class Heading:
    """A headline, which may say what time it is."""

    text: str

    @property
    def time(self) -> tuple[int, int] | None:
        """The hour and minute it begins with."""
        found = re.match(r"(\d\d):(\d\d) ", self.text)
        return (int(found[1]), int(found[2])) if found else None


def read(text: str) -> list[Step | Heading]:
    """Return the headlines and the typed lines of a page's `console` blocks, in their order."""
    found: list[Step | Heading] = []
    inside = False
    for number, line in enumerate(text.splitlines()):
        if line.startswith("```"):
            inside = not inside
            assert line == ("```console" if inside else "```"), f"line {number + 1}: {line} is a block that nobody types"
        elif not inside:
            found += [Heading(line.lstrip("# "))] if line.startswith("#") else []
        elif line.startswith("$ "):
            found.append(Step(line[2:], number))
        else:
            step = found[-1]
            assert isinstance(step, Step), f"line {number + 1}: something is shown before anything was typed"
            step.shown.append(line)
    return found


def written(text: str, said: Iterable[tuple[Step, list[str]]]) -> str:
    """Return the page with what was really said below those steps."""
    lines: list[str] = text.splitlines()
    for step, new in sorted(said, key=lambda one: -one[0].at):
        lines[step.at + 1 : step.at + 1 + len(step.shown)] = new
    return "\n".join(lines) + "\n"


def masked(line: str) -> str:
    """Hide in a line what is another in every run, ids left out: those must stay the same from line to line."""
    for pattern, mask in MASKS:
        line = pattern.sub(mask, line)
    return line.rstrip()


def pattern_of(shown: str) -> re.Pattern[str]:
    """Return what a line must look like that is shown so: any ids, anything in the place of what is left out."""
    parts = re.split(rf"({IDS.pattern}|{re.escape(LEFT_OUT)})", masked(shown))
    made = {LEFT_OUT: ".*"}
    return re.compile("".join(made.get(part, f"({IDS.pattern})" if IDS.fullmatch(part) else re.escape(part)) for part in parts))


class Names:
    """Which id on the page is which id in this run."""

    def __init__(self) -> None:
        self.real: dict[str, str] = {}

    def translated(self, typed: str) -> str:
        """Put this run's ids in the place of the page's."""
        return IDS.sub(lambda found: self.real.get(found[0], found[0]), typed)

    def back(self, said: str) -> str:
        """Put the page's ids in the place of this run's."""
        shown = {real: one for one, real in self.real.items()}
        return IDS.sub(lambda found: shown.get(found[0], found[0]), said)

    def fit(self, shown: str, said: str) -> bool:
        """Tell whether a line was said as it is shown, with the ids that the page gave these things before; notes new ones."""
        found = pattern_of(shown).fullmatch(masked(said))
        if found is None:
            return False
        known = dict(self.real)
        fits = all(known.setdefault(one, real) == real for one, real in zip(IDS.findall(shown), found.groups(), strict=True))
        if fits := fits and len(set(known.values())) == len(known):
            self.real = known
        return fits


def difference(shown: list[str], said: list[str], names: Names) -> str:
    """Return how what was said differs from what is shown, empty where it does not."""
    rest = list(said)
    for number, line in enumerate(shown):
        if line == LEFT_OUT:
            if not rest:  # something must be left out
                return _told(shown, said, names)
            following = shown[number + 1 : number + 2]
            rest.pop(0)
            while rest and not (following and names.fit(following[0], rest[0])):
                rest.pop(0)
        elif not rest or not names.fit(line, rest.pop(0)):
            return _told(shown, said, names)
    return _told(shown, said, names) if rest else ""


def _told(shown: list[str], said: list[str], names: Names) -> str:
    return "\n".join(
        unified_diff([*map(masked, shown)], [masked(names.back(line)) for line in said], "shown", "said", lineterm="", n=20)
    )
