"""examples/a-day.md is typed as it stands, against a real `mlc sandbox`; MLC_UPDATE_GOLDEN=1 writes into it what was said."""

from __future__ import annotations

import re
import shlex
import subprocess
import types
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from string import Template
from urllib.parse import urlsplit

import httpx
import pages
import pytest
from httpx._transports import default
from pages import Heading, Names, Step
from typer.testing import CliRunner

from goldens import UPDATE
from harness import TestClock
from mlc.cli import holding, looking, playing, sandboxing
from mlc.cli.app import app
from mlc.cli.session import Session
from mlc.config import load
from mlc.opening import Seams
from mlc.sandbox import world
from mlc.sandbox.kit import Clock

PAGE = Path(__file__).resolve().parents[2] / "examples" / "a-day.md"
EVE = datetime(2026, 10, 29, 17, 0, tzinfo=UTC)  # a Thursday; the day itself is the last working day of October
HOME = "/home/anna"
TOOLS = {"cp", "printf"}


class Ticking(TestClock):
    """A simulated clock that goes on a little with every look at it, so that what comes later is later."""

    def now(self) -> float:
        """Wall time."""
        self.pass_time(0.001)
        return super().now()


class Walk:
    """Types a page, line by line, and keeps what differs."""

    def __init__(self, folder: Path, clock: TestClock) -> None:
        self.folder = folder
        self.clock = clock
        self.names = Names()
        self.ports: dict[str, str] = {}  # a port on the page -> the one that is really listened on
        self.env: dict[str, str] = {"COLUMNS": "132"}
        self.variables: dict[str, str] = {"?": "0"}
        self.wrong: list[tuple[Step, list[str], str]] = []  # what was said otherwise than it is shown, and how

    def walk(self, found: list[Step | Heading]) -> None:
        """Type everything; a line that starts the sandbox types the rest while it serves."""
        for number, one in enumerate(found):
            if isinstance(one, Heading):
                self.be(one)
            elif one.typed.startswith("mlc sandbox "):
                self.sandbox(one, found[number + 1 :])
                return
            else:
                self.compare(one, self.type(one.typed))

    def compare(self, step: Step, said: list[str]) -> None:
        """Keep what differs from what the page shows."""
        if told := pages.difference(step.shown, said, self.names):
            text = [self.names.back(line) for line in said]
            self.wrong.append((step, text, f"line {step.at + 1}: $ {step.typed}\n{told}"))

    def be(self, heading: Heading) -> None:
        """Let it be the time a headline says, on this day or the next."""
        if heading.time is None:
            return
        now = datetime.fromtimestamp(self.clock.now(), UTC)
        then = now.replace(hour=heading.time[0], minute=heading.time[1])
        self.clock.pass_time((then + timedelta(days=then < now) - now).total_seconds())

    def sandbox(self, step: Step, rest: list[Step | Heading]) -> None:
        """Start the sandbox as the page does, on free ports, and type the rest of the page in another terminal."""
        trouble: list[BaseException] = []

        def meanwhile() -> None:
            tenant = load(self.folder / "sandbox" / "config.yaml", {}).tenants["sandbox"]
            asked = re.findall(r"--(sap|stripe|gocardless)-port (\d+)", step.typed)
            self.ports = {port: str(urlsplit(getattr(tenant, name).url).port) for name, port in asked}
            try:
                self.walk(rest)
            except BaseException as error:  # noqa: BLE001 - the command would take it for its own
                trouble.append(error)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sandboxing, "_wait", meanwhile)
            told = self.mlc(shlex.split(re.sub(r"-port \d+", "-port 0", step.typed))[1:])
        if trouble:
            raise trouble[0]
        assert self.ports, told
        self.compare(step, self.seen(told))

    def type(self, typed: str) -> list[str]:
        """Type one line; returns the lines a person sees."""
        text = ""
        for command in re.split(r"; (?=echo )", typed):
            text += self.run(Template(self.names.translated(command)).safe_substitute(self.variables))
        return self.seen(text)

    def run(self, command: str) -> str:
        """Run one command: mlc and curl here, what handles files in a shell; returns what is printed."""
        words = shlex.split(command.replace("$?", self.variables["?"]), comments=True)
        if all(re.fullmatch(r"[a-z]+=\S+", word) for word in words):
            self.variables |= dict(word.split("=", 1) for word in words)
        elif words[0] == "export":
            self.env |= [words[1].split("=", 1)]
        elif words[0] == "echo":
            return " ".join(words[1:]) + "\n"
        elif words[0] == "mlc":
            return self.mlc(words[1:])
        elif words[0] == "curl":
            return self.curl(words[1:])
        else:
            assert words[0] in TOOLS, f"the page types {words[0]}, which this test does not know"
            subprocess.run(["/bin/sh", "-ec", command], cwd=self.folder, check=True, timeout=10)
        return ""

    def mlc(self, words: list[str]) -> str:
        """Run mlc as a process would, but in this one; stdout and stderr come as a terminal shows them."""
        result = CliRunner(env=self.env).invoke(app, words)
        assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
        self.variables["?"] = str(result.exit_code)
        return result.output

    def curl(self, words: list[str]) -> str:
        """Post to the sandbox what the page posts."""
        url, *data = [one for one in words if one not in ("-s", "-X", "POST", "-d")]
        parts = urlsplit(url)
        there = parts._replace(netloc=f"127.0.0.1:{self.ports[str(parts.port)]}").geturl()
        return httpx.post(there, content="".join(data).encode()).text + "\n"

    def seen(self, text: str) -> list[str]:
        """Return the lines of an output with the home and the ports of the page."""
        for port, real in self.ports.items():
            text = text.replace(f"127.0.0.1:{real}", f"127.0.0.1:{port}")
        return [line.rstrip() for line in text.replace(str(self.folder), HOME).splitlines()]


@pytest.fixture
def walk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Walk:
    """A walk in a folder of its own, on a simulated clock that the sandbox and mlc share."""
    shared = Clock(EVE.timestamp())
    clock = Ticking(shared)
    monkeypatch.setattr(world, "Clock", lambda: shared)
    monkeypatch.setattr(playing, "date", types.SimpleNamespace(today=EVE.date))
    for room in (looking, holding):
        monkeypatch.setattr(room, "time", types.SimpleNamespace(time=clock.now))
    monkeypatch.setattr(Session, "seams", Seams(clock=clock))
    monkeypatch.setattr(default, "create_ssl_context", cache(default.create_ssl_context), raising=False)  # loopback has none
    monkeypatch.chdir(tmp_path)
    return Walk(tmp_path, clock)


def test_the_day_is_as_the_page_shows_it(walk: Walk) -> None:
    """Every line of the page can be typed in its order, and prints what the page shows below it."""
    text = PAGE.read_text(encoding="utf-8")
    walk.walk(pages.read(text))
    if UPDATE:
        PAGE.write_text(pages.written(text, [(step, said) for step, said, _ in walk.wrong]), encoding="utf-8")
    else:
        assert not walk.wrong, "\n\n".join(told for _, _, told in walk.wrong)


SAID = ["1 held; audit 0123456789ab", "PM00000007 over 48.00 EUR fits 1014", "PM00000008 fits nothing", "", "exit 3"]


@pytest.mark.parametrize(
    ("shown", "same"),
    [
        (SAID, True),
        (["...", "exit 3"], True),
        (["1 held; ...", "...", "exit 3"], True),
        (["1 held; audit ba9876543210", "PM00000001 over ... fits 1014", "PM00000002 fits nothing", "..."], True),
        (["1 held; audit ba9876543210", "PM00000001 over ... fits 1014", "PM00000001 fits nothing", "..."], False),
        (["...", "PM00000001 over 48.00 EUR fits 1014", "PM00000008 fits nothing", "", "exit 3"], True),
        (["1 held; ...", "PM00000001 over 48.00 EUR fits 1015", "..."], False),
        (["...", "PM00000001 fits something", "..."], False),
        (SAID[:-1], False),
        ([*SAID, "..."], False),
        ([], False),
    ],
)
def test_a_page_that_shows_something_else_is_noticed(shown: list[str], *, same: bool) -> None:
    """Other words, another id in the place of one seen before, a line too few: all differ; what is left out does not."""
    assert (pages.difference(shown, SAID, Names()) == "") is same


def test_two_names_of_a_page_are_two_things() -> None:
    """What the page calls by two ids is not one thing, and what was learned from one line holds in the next."""
    names = Names()
    assert pages.difference(["PM00000001 pays PO00000001"], ["PM00000009 pays PO00000004"], names) == ""
    assert names.translated("mlc held match PM00000001 1014") == "mlc held match PM00000009 1014"
    assert "+PM00000001 pays" in pages.difference(["PM00000002 pays"], ["PM00000009 pays"], names)
