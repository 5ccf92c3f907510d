"""No secret anywhere: marked secrets go through every command and every trouble, and every byte written is searched for them."""

from __future__ import annotations

import base64
import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import httpx
import pytest
from desk import Desk, Said

from harness import Company, Wire
from mlc.sandbox.kit import Fault, Response
from mlc.sandbox.sap import SapService
from mlc.sandbox.stripe import StripeService

PASSWORD = 'cänary+"Sap/7f3a9c'
KEY = "sk_test_canaryStripe51e08d44Zx"
WRONG = {"P": "cänary+wrong/4d2b80", "K": "sk_test_canaryWrong93ab0f17Qy"}
COMMANDS = [
    ("run",), ("run", "--json"), ("run", "-n"), ("run", "-v", "-v"), ("run", "-vv", "--json"), ("sync-customers",), ("push-invoices", "-v"),
    ("post-payments", "-v"), ("ping",), ("ping", "--json"), ("ping", "-vv"), ("status",), ("status", "--json"), ("held", "list"),
    ("held", "list", "--json"), ("audit", "list", "--last", "900"), ("audit", "export"), ("audit", "verify"), ("secret", "list"),
    ("secret", "check"), ("secret", "check", "--json"), ("config", "check"), ("config", "show"), ("config", "show", "--json"),
    ("replay", "--failed", "-v"), ("replay", "--held", "-vv"), ("replay", "nonsense", "-vv"),
]  # fmt: skip


def forms(secret: str) -> set[bytes]:
    """Every way a secret may be written: plain, escaped, URL-encoded, and inside base64 at any offset (Basic authentication)."""
    raw = secret.encode()
    escaped = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    texts = {secret, *escaped, quote(secret, safe=""), quote_plus(secret), quote(secret)}
    found = {text.encode() for text in texts} | {quote(secret, safe="").lower().encode(), raw.hex().encode(), raw[::-1]}
    for before in range(3):
        core = base64.b64encode(b"\0" * before + raw)[(0, 2, 3)[before] :].rstrip(b"=")
        core = core[: len(core) - (1 if (before + len(raw)) % 3 else 0)]
        found |= {core, core.replace(b"+", b"-").replace(b"/", b"_")}
    return found


class Hunt:
    """A desk with marked secrets that keeps every byte its commands write."""

    def __init__(self, company: Company) -> None:
        company.sap = SapService(company.world, users={"manager": PASSWORD})
        company.stripe = StripeService(company.world, secret_key=KEY)
        company.wires = {"sap": Wire(company.sap, company.clock), "stripe": Wire(company.stripe, company.clock)}
        company.wires["sap"].after = self._logged_in
        self.company = company
        self.desk = Desk(company, secrets={"P": PASSWORD, "K": KEY})
        self.secrets = {PASSWORD, KEY, *WRONG.values()}
        self.sessions: set[str] = set()
        self.spoken: list[tuple[str, bytes]] = []
        company.partner()

    def _logged_in(self, request: httpx.Request, response: httpx.Response) -> None:
        if request.url.path.endswith("/Login") and response.status_code == 200:
            self.sessions.add(response.json()["SessionId"])

    def say(self, *words: str, stdin: str | None = None) -> Said:
        """Run a command and keep what it said; then everything that is on disk, as the next one may change it."""
        said = self.desk.mlc(*words, stdin=stdin)
        self.spoken.append((" ".join(words), f"{said.out}\n{said.err}".encode("utf-8", "surrogateescape")))
        return said

    def all_commands(self) -> None:
        """Run everything there is."""
        for words in COMMANDS:
            self.say(*words)

    def written(self) -> Iterator[tuple[str, bytes]]:
        """Every text said so far and every file of the folder, with the database also as its rows."""
        yield from self.spoken
        for path in sorted(self.company.folder.rglob("*")):
            if path.is_file():
                yield str(path), path.read_bytes()
        state = self.company.folder / "mlc.db"
        if state.exists():
            connection = sqlite3.connect(state)
            yield "the rows of the state", "\n".join(connection.iterdump()).encode()
            connection.close()

    def hits(self) -> list[str]:
        """Where a secret, or a session id, was found."""
        wanted = [(secret[:9], form) for secret in self.secrets | self.sessions for form in forms(secret)]
        return sorted({f"{name} in {place}" for place, raw in self.written() for name, form in wanted if form in raw})


@pytest.fixture
def hunt(tmp_path: Path) -> Hunt:
    """A desk whose secrets are marked."""
    return Hunt(Company(tmp_path))


def busy(hunt: Hunt) -> str:
    """Push, pay, hold; returns a held payment."""
    entry = hunt.company.invoice()
    hunt.say("run", "-vv")
    hunt.company.account.pay(hunt.company.pushed()[entry])
    payment: str = hunt.company.account.pay_without_invoice(None, 4200, "eur")
    hunt.company.invoice(net="30.00")
    hunt.say("run", "-vv", "--json")
    return payment


def test_the_search_finds_a_planted_secret(hunt: Hunt) -> None:
    """The search itself finds each kind of secret in each form, in a file, in the state and in what was said."""
    busy(hunt)
    assert hunt.hits() == []
    assert hunt.sessions
    for secret in (PASSWORD, KEY, next(iter(hunt.sessions))):
        for form in forms(secret):
            hunt.spoken.append(("planted", b"x" + form + b"y"))
            assert hunt.hits() == [f"{secret[:9]} in planted"]
            hunt.spoken.pop()
        basic = base64.b64encode(f"user:{secret}:".encode())
        (hunt.company.folder / "planted").write_bytes(basic)
        assert len(hunt.hits()) == 1
        (hunt.company.folder / "planted").unlink()
    connection = sqlite3.connect(hunt.company.folder / "mlc.db")
    connection.execute("INSERT INTO cursors VALUES ('b', 'n', ?, 0)", (KEY,))
    connection.commit()
    connection.close()
    assert any("rows of the state" in hit for hit in hunt.hits())


def test_good_days(hunt: Hunt) -> None:
    """Runs, looks, replays, decisions and exports that go well write no secret and no session id."""
    payment = busy(hunt)
    hunt.all_commands()
    hunt.say("held", "show", payment)
    hunt.say("held", "match", payment, "1002", "-vv")
    hunt.say("audit", "show", payment)
    hunt.say("replay", payment, "--again", "-vv")
    assert hunt.hits() == []


def _storm(hunt: Hunt) -> None:
    for service in (hunt.company.sap, hunt.company.stripe):
        for kind in ("lost", "html", "never", "lost_html"):
            service.faults += [Fault(kind, "POST", times=2, skip=1), Fault(kind, "GET", times=2, skip=2)]


def _answering(status: int, body: object) -> Callable[[Hunt], None]:
    def spoil(hunt: Hunt) -> None:
        for service in (hunt.company.sap, hunt.company.stripe):
            service.faults.append(Fault("answer", path="^(?!.*Log)", times=10_000, response=Response.of_json(status, body)))

    return spoil


TROUBLE: dict[str, Callable[[Hunt], object]] = {
    "wrong password": lambda hunt: hunt.desk.env.update(P=WRONG["P"]),
    "wrong key": lambda hunt: hunt.desk.env.update(K=WRONG["K"]),
    "live key": lambda hunt: hunt.desk.env.update(K=WRONG["K"].replace("test", "live")),
    "key with a line break": lambda hunt: hunt.desk.env.update(K=f"{KEY}\nx", P=f"{PASSWORD}\nx"),
    "500s": _answering(500, {"error": {"code": "-1", "message": "no"}}),
    "401s": _answering(401, {"error": {"code": 301, "message": {"lang": "en", "value": "Invalid session."}}}),
    "400s": _answering(400, {"error": {"code": "x", "message": "no", "type": "invalid_request_error"}}),
    "no JSON": _answering(200, [[[]]]),
    "lost answers": _storm,
    "nobody there": lambda hunt: hunt.desk.ports.wires.clear(),
}


@pytest.mark.parametrize("what", TROUBLE)
def test_bad_days(hunt: Hunt, what: str) -> None:
    """Whatever goes wrong, no message, no trace of -vv, no row and no file has a secret or a session id."""
    busy(hunt)
    hunt.company.invoice(net="70.00")
    TROUBLE[what](hunt)
    hunt.secrets |= {WRONG["K"].replace("test", "live")}
    hunt.all_commands()
    assert hunt.hits() == []


def test_a_secret_in_the_wrong_place(hunt: Hunt) -> None:
    """A secret typed into the configuration, onto the command line's stdin or into an environment setting is not repeated."""
    config = hunt.desk.config.read_text()
    for change in (
        ("{env: P}", f"'{KEY}'"),
        ("{env: K}", KEY),
        ("company_db: SBODEMO", f"company_db: {KEY}"),
        ("{env: K}", f"{{env: {KEY}}}"),
    ):
        hunt.desk.config.write_text(config.replace(*change))
        assert hunt.say("run").code in (2, 4)
        assert hunt.say("config", "check", "--json").code in (0, 2)
        assert hunt.say("config", "show").code in (0, 2)
    hunt.desk.config.write_text(config)
    hunt.desk.env["MLC_TENANTS__ACME__SAP__USERNAME"] = KEY
    hunt.say("run")
    del hunt.desk.env["MLC_TENANTS__ACME__SAP__USERNAME"]
    hunt.desk.tenant("acme", password="null")
    assert hunt.say("secret", "set", "acme", "sap.password", stdin=f"{PASSWORD}\n").code == 12
    assert hunt.say("secret", "set", "acme", PASSWORD, stdin="x\n").code == 2
    said = [(place, raw) for place, raw in hunt.spoken if place != f"secret set acme {PASSWORD}"]
    hunt.spoken = said
    assert hunt.hits() == []


@pytest.mark.parametrize(("system", "status"), [("sap", 401), ("stripe", 401), ("stripe", 500)])
def test_a_system_that_repeats_the_secret(hunt: Hunt, system: str, status: int) -> None:
    """A system (or a proxy in front of it) whose error repeats what it was sent brings no secret onto screen or disk."""
    busy(hunt)
    secret = PASSWORD if system == "sap" else KEY
    basic = base64.b64encode(f"{secret}:".encode()).decode()
    text = f"rejected {secret} as {basic} at {quote(secret)}"
    message: object = {"lang": "en-us", "value": text} if system == "sap" else text
    body = {"error": {"code": -304 if system == "sap" else "x", "type": "x", "message": message}}
    service = hunt.company.sap if system == "sap" else hunt.company.stripe
    service.faults.append(Fault("answer", times=10_000, response=Response.of_json(status, body)))
    hunt.company.invoice(net="70.00")
    hunt.all_commands()
    assert hunt.hits() == []


def test_files_are_for_their_owner(hunt: Hunt) -> None:
    """The state, its journal and the lock are readable by their owner alone."""
    busy(hunt)
    names = {path.name: path.stat().st_mode & 0o077 for path in hunt.company.folder.iterdir() if re.search(r"\.db", path.name)}
    assert names
    assert set(names.values()) == {0}
