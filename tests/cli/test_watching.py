"""Being watched, with whole commands: pings, the file for Prometheus, on_failure, -q and log formats; and that none changes a run."""

from __future__ import annotations

import errno
import http.server
import json
import re
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from desk import Desk, Said
from test_no_secret_anywhere import TROUBLE, Hunt, busy, forms

from harness import SECRETS, Company
from mlc.cli import files, watching
from mlc.cli.session import Terminated

TOKEN = "5e1c0f7a-canary-51e0-8d44-zx93ab0f17qy"
PING = f"https://hc.example/{TOKEN}"
Answer = Callable[[httpx.Request], httpx.Response]


class Monitor(httpx.BaseTransport):
    """A service of checks that keeps what it is sent."""

    def __init__(self, answer: Answer = lambda _request: httpx.Response(200, text="OK")) -> None:
        self.answer = answer
        self.heard: list[tuple[str, str, str, str]] = []  # method, path, rid, body

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Keep one ping and answer it."""
        self.heard.append((request.method, request.url.path, request.url.params.get("rid", ""), request.read().decode()))
        return self.answer(request)

    @property
    def ends(self) -> list[str]:
        """The last word of each path."""
        return [path.rsplit("/", 1)[-1] for _, path, _, _ in self.heard]


def pinged(desk: Desk, answer: Answer | None = None, **keys: str) -> Monitor:
    """Have a desk watched by a monitor (whose address is a secret), and by what else is given."""
    monitor = Monitor(answer) if answer else Monitor()
    desk.watchers["ping"] = monitor
    desk.env["PING"] = PING
    watch(desk, ping_url="{env: PING}", **keys)
    return monitor


def watch(desk: Desk, **keys: str) -> None:
    """Write a watch block."""
    desk.top = f"watch: {{{', '.join(f'{name}: {text}' for name, text in keys.items())}}}"
    desk.write()


def busy_day(desk: Desk) -> str:
    """Let money arrive for an invoice that a run has pushed; returns what is sensitive about it."""
    entry = desk.company.invoice()
    assert desk.mlc("run").code == 0
    desk.company.account.pay(desk.company.pushed()[entry])
    payment: str = desk.company.account.pay_without_invoice(None, 4200, "eur")
    return payment


def test_start_and_end_are_one_run(desk: Desk) -> None:
    """A command pings its start and its end with the same UUID, which ends with the run's id; the end has counts only."""
    payment = busy_day(desk)
    monitor = pinged(desk)
    said = desk.mlc("run", "--json")
    (start, end) = monitor.heard
    assert (start[0], start[1], start[3]) == ("GET", f"/{TOKEN}/start", "")
    assert (end[0], end[1], end[2]) == ("POST", f"/{TOKEN}/{said.code}", start[2])
    assert said.code == 3
    assert start[2].endswith(f"-{said.of('summary')[0]['run_id']}")
    assert "post-payments: seen=2 done=1 held=1 refused=0 in_doubt=0" in end[3]
    shape = r"exit_code=\d+\n([a-z-]+:( [a-z_]+=\d+)+\n)+"
    assert re.fullmatch(shape, end[3])
    assert payment not in end[3]
    assert TOKEN not in said.out + said.err


def _redirect(request: httpx.Request) -> httpx.Response:
    return httpx.Response(302, headers={"Location": "https://elsewhere.example/"}, request=request)


def _down(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError(f"cannot connect to {request.url}")


def _slow(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout(f"{request.url} took long")


def _mad(request: httpx.Request) -> httpx.Response:
    raise RuntimeError(str(request.url))


BROKEN: dict[str, tuple[Answer, int, str]] = {
    "down": (_down, 4, "ConnectError"),
    "500": (lambda _: httpx.Response(500, text=PING), 4, "it answered 500"),
    "404": (lambda _: httpx.Response(404), 2, "it answered 404"),
    "redirect": (_redirect, 2, "it answered 302"),
    "slow": (_slow, 2, "no answer within 10 seconds"),
    "mad": (_mad, 4, "RuntimeError"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_monitor_changes_nothing(desk: Desk, what: str) -> None:
    """Whatever the monitor does, the run does its work and ends with its own code; it is said once, without the address."""
    answer, asked, why = BROKEN[what]
    monitor = pinged(desk, answer)
    desk.company.invoice()
    said = desk.mlc("run", "-vv")
    assert said.code == 0
    assert len(desk.company.pushed()) == 1
    assert len(monitor.heard) == asked
    assert said.err.count("ping") == 1
    assert f"warning: acme: the ping to hc.example failed ({why})" in said.err
    assert TOKEN not in said.err + said.out


def test_one_failure_of_a_monitor_is_repeated(desk: Desk) -> None:
    """A ping that failed once and then arrives is no trouble."""
    answers = iter([500, 200, 200])
    pinged(desk, lambda _request: httpx.Response(next(answers)))
    said = desk.mlc("run")
    assert (said.code, "ping" in said.err) == (0, False)


@contextmanager
def listening(answer: Callable[[http.server.BaseHTTPRequestHandler], None]) -> Iterator[tuple[int, list[str]]]:
    """A server on a real socket of loopback; yields its port and the paths it was asked for."""
    paths: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer(self)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_words: Any) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01))
    thread.start()
    try:
        yield server.server_address[1], paths
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_over_a_real_socket(desk: Desk) -> None:
    """Pings arrive over HTTP on loopback."""

    def fine(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()

    with listening(fine) as (port, paths):
        watch(desk, ping_url=f"http://127.0.0.1:{port}/ping/{TOKEN}")
        said = desk.mlc("run")
    assert said.code == 0
    assert [path.split("?")[0] for path in paths] == [f"/ping/{TOKEN}/start", f"/ping/{TOKEN}/0"]
    assert "ping" not in said.err


def test_a_monitor_that_never_answers(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is taken and never answered costs the run the time of a ping, and no more."""
    monkeypatch.setattr(watching, "PING_SECONDS", 0.1)
    over = threading.Event()
    with listening(lambda _handler: over.wait(20) and None) as (port, paths):
        watch(desk, ping_url=f"http://127.0.0.1:{port}/{TOKEN}")
        said = desk.mlc("run")
        over.set()
    assert said.code == 0
    assert len(paths) in (1, 2)  # the second may still be on its way when it is given up
    assert said.err.count("no answer within 0.1 seconds") == 1


def test_a_dry_run_touches_nothing(desk: Desk) -> None:
    """With --dry-run nobody is pinged, no file is written, no command is run."""
    payment = busy_day(desk)
    monitor = pinged(desk, prometheus_dir=str(desk.folder), on_failure=f"[touch, {desk.folder}/ran]")
    before = sorted(path.name for path in desk.folder.iterdir())
    assert desk.mlc("run", "-n").code == 3
    assert (monitor.heard, sorted(path.name for path in desk.folder.iterdir())) == ([], before)
    assert desk.mlc("run").code == 3
    assert len(monitor.heard) == 2
    assert {"ran", "mlc_acme.prom"} <= {path.name for path in desk.folder.iterdir()}
    assert payment not in (desk.folder / "mlc_acme.prom").read_text()


def test_tenants_are_watched_apart(desk: Desk) -> None:
    """Each tenant has its own run, its own code and its own check; null switches off."""
    desk.second()
    monitor = pinged(desk)
    desk.tenants = [one.replace("    sap:", "    watch: {ping_url: 'https://hc.example/of-beta'}\n    sap:") if "beta" in one else one
                    for one in desk.tenants]  # fmt: skip
    desk.write()
    desk.ports.wires.pop(4)
    assert desk.mlc("post-payments").code == 5
    paths = [path for _, path, _, _ in monitor.heard]
    assert paths == [f"/{TOKEN}/start", f"/{TOKEN}/0", "/of-beta/start", "/of-beta/5"]
    assert len({rid for _, _, rid, _ in monitor.heard}) == 2
    desk.write(("'https://hc.example/of-beta'", "null"))
    monitor.heard.clear()
    desk.mlc("post-payments")
    assert monitor.ends == ["start", "0"]


@pytest.mark.parametrize(("stop", "code"), [(KeyboardInterrupt, 130), (Terminated, 143)])
def test_an_interrupted_run_is_pinged_too(desk: Desk, stop: type[BaseException], code: int) -> None:
    """Ctrl-C and SIGTERM are told to the monitor and to the file, and the code stays theirs."""
    monitor = pinged(desk, prometheus_dir=str(desk.folder))

    def before(request: httpx.Request) -> None:
        if not request.url.path.endswith("Login"):
            raise stop

    desk.company.wires["sap"].before = before
    said = desk.mlc("run", "-q")
    assert said.code == code
    assert monitor.ends == ["start", str(code)]
    assert monitor.heard[1][3].startswith(f"exit_code={code}\n")
    assert f'mlc_last_command_exit_code{{tenant="acme"}} {code}\n' in (desk.folder / "mlc_acme.prom").read_text()
    assert said.err == f"acme: exit {code}: interrupted; see mlc status\n"


def test_a_ping_address_that_cannot_be_had(desk: Desk) -> None:
    """A secret that is missing, or no address, is a warning that names the place and not the value."""
    monitor = pinged(desk)
    for value in (None, f"ftp://hc.example/{TOKEN}"):
        desk.env.pop("PING")
        desk.env |= {"PING": value} if value else {}
        said = desk.mlc("run")
        assert said.code == 0
        assert "warning: acme: ping_url cannot be used, nothing is pinged" in said.err
        assert TOKEN not in said.err
        desk.env["PING"] = PING
    assert monitor.heard == []


def test_secret_check_looks_for_the_address(desk: Desk) -> None:
    """An address that is referred to is one of the secrets a tenant needs; a literal one, or none, is not."""
    pinged(desk)
    wanted = {line["name"]: line["state"] for line in desk.mlc("secret", "check", "--json").of("secret")}
    assert wanted == {"sap.password": "yes", "stripe.secret_key": "yes", "watch.ping_url": "yes"}
    desk.env.pop("PING")
    assert desk.mlc("secret", "check").code == 4
    watch(desk, ping_url=PING)
    assert "watch" not in desk.mlc("secret", "list").out
    assert desk.mlc("secret", "set", "acme", "watch.ping_url", stdin=f"{PING}\n").code == 12  # there is no keyring here


# --- secrets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["lost answers", "wrong key"])
def test_no_secret_anywhere(tmp_path: Path, what: str) -> None:
    """The ping's address and all other secrets stay out of every message, log line, file and row, whatever goes wrong."""
    hunt = Hunt(Company(tmp_path))
    env = tmp_path.parent / f"{tmp_path.name}-told"
    monitor = pinged(
        hunt.desk, _mad, prometheus_dir=str(tmp_path), on_failure=f'[sh, "-c", "env -0 > {env}"]'
    )  # fmt: skip
    hunt.secrets |= {TOKEN}
    busy(hunt)
    TROUBLE[what](hunt)
    for words in (("-vv",), ("-vv", "--log-format", "json"), ("-q", "--json"), ("-vv", "--log-format", "journald")):
        hunt.company.invoice(net="70.00")
        hunt.say("run", *words)
    hunt.say("config", "show")
    assert len(monitor.heard) > 8
    told = env.read_bytes()
    env.unlink()
    assert b"MLC_MESSAGE=" in told
    hunt.spoken.append(("the command's environment", told))
    assert hunt.hits() == []
    watch(hunt.desk, ping_url=PING)  # written into the file itself: there it stands, and nowhere else
    for words in (("run", "-vv"), ("config", "show"), ("config", "check"), ("run", "--log-format", "json")):
        hunt.say(*words)
    hunt.desk.config.unlink()
    assert hunt.hits() == []


# --- Prometheus -------------------------------------------------------------------------------------------------------


def figures(desk: Desk) -> dict[str, float]:
    """The samples of the tenant's file, by name and labels."""
    lines = (desk.folder / "prom/mlc_acme.prom").read_text().splitlines()
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if not line.startswith("#")}


def scraped(desk: Desk) -> Path:
    """Have a desk write for Prometheus; returns the file."""
    (desk.folder / "prom").mkdir()
    watch(desk, prometheus_dir="prom")
    return desk.folder / "prom/mlc_acme.prom"


def test_the_file_says_how_the_tenant_stands(desk: Desk) -> None:
    """After a run the file has what the state has; what an invoice or a customer is called is not in it."""
    path = scraped(desk)
    payment = busy_day(desk)
    desk.company.clock.pass_time(60)
    desk.mlc("run")
    desk.company.clock.pass_time(7200)
    desk.mlc("push-invoices")
    found = figures(desk)
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(path.parent.iterdir()) == [path]
    assert found['mlc_last_run_exit_code{tenant="acme",pass="post-payments"}'] == 3
    assert found['mlc_last_run_exit_code{tenant="acme",pass="push-invoices"}'] == 0
    assert found['mlc_last_run_items{tenant="acme",pass="post-payments",state="done"}'] == 1
    assert (
        found['mlc_held{tenant="acme"}'],
        found['mlc_in_doubt{tenant="acme"}'],
        found['mlc_inbox_waiting{tenant="acme"}'],
    ) == (1, 0, 0)
    assert 7200 <= found['mlc_oldest_held_seconds{tenant="acme"}'] < 9000
    assert 7200 <= found['mlc_cursor_age_seconds{tenant="acme",pass="post-payments"}'] < 20000
    assert found['mlc_last_command_exit_code{tenant="acme"}'] == 0
    assert payment not in path.read_text()


def test_a_run_that_never_began_is_seen(desk: Desk) -> None:
    """Where a credential is missing no pass runs: the last command's code says so, and the passes' figures stay as they were."""
    scraped(desk)
    desk.mlc("run")
    desk.env.pop("K")
    assert desk.mlc("run").code == 4
    found = figures(desk)
    assert found['mlc_last_command_exit_code{tenant="acme"}'] == 4
    assert found['mlc_last_run_exit_code{tenant="acme",pass="post-payments"}'] == 0


def test_the_first_run_without_a_state(desk: Desk) -> None:
    """A command that ends before there is any state writes a file with its code alone."""
    scraped(desk)
    desk.env.clear()
    assert desk.mlc("run").code == 4
    assert {name.split("{")[0] for name in figures(desk)} >= {"mlc_last_command_exit_code"}


@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_a_crash_leaves_the_old_file_whole(desk: Desk, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    """Whatever stops the writing before the new file is in its place, readers see the old one, whole."""
    path = scraped(desk)
    desk.mlc("run")
    old = path.read_text()

    def stopped(*_words: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    desk.env.pop("K")
    with monkeypatch.context() as broken:
        broken.setattr(*((watching.os, "fsync") if moment == "fsync" else (Path, "replace")), stopped)
        text = "half of it"
        with pytest.raises(OSError, match="No space left"):
            files.write_whole(path, text)
    assert path.read_text() == old
    assert list(path.parent.iterdir()) == [path]
    assert desk.mlc("run").code == 4
    assert path.read_text() != old


def test_a_kill_leaves_the_old_file_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that dies between writing and renaming leaves the old file, and beside it nothing that a collector reads."""
    path = tmp_path / "mlc_acme.prom"
    path.write_text("old\n")

    def killed(*_words: Any) -> None:
        raise KeyboardInterrupt

    def dead(*_words: Any) -> None:
        raise OSError

    monkeypatch.setattr(Path, "replace", killed)
    monkeypatch.setattr(Path, "unlink", dead)  # nothing is tidied up after a kill
    with pytest.raises(KeyboardInterrupt):
        files.write_whole(path, "new\n")
    assert path.read_text() == "old\n"
    assert len(list(tmp_path.iterdir())) == 2
    assert [one.name for one in tmp_path.glob("*.prom")] == ["mlc_acme.prom"]


@pytest.mark.parametrize("folder", ["nowhere/at/all", "config.yaml"])
def test_a_folder_that_cannot_be_written(desk: Desk, folder: str) -> None:
    """A folder that is not there, or is none, is a warning: the run does its work and ends with 0."""
    watch(desk, prometheus_dir=folder)
    desk.company.invoice()
    said = desk.mlc("run")
    assert said.code == 0
    assert len(desk.company.pushed()) == 1
    assert re.search(rf"warning: acme: \S+/{folder}: the file for Prometheus was not written \(\w", said.err)


# --- on_failure -------------------------------------------------------------------------------------------------------


def test_the_command_is_told_what_happened(desk: Desk) -> None:
    """The command gets its words as they are, five variables, and none that the configuration refers to as a secret."""
    told = desk.folder / "told"
    script = f'env -0 > {told}; printf %s \\"$1\\" > {told}.word'
    watch(desk, on_failure=f'[sh, "-c", "{script}", sh, "a b; touch {desk.folder}/shell"]')
    busy_day(desk)
    desk.env["OTHER"] = "kept"
    said = desk.mlc("run", "--json")
    found = dict(one.split("=", 1) for one in told.read_text().split("\0") if one)
    assert {name: found[name] for name in ("MLC_TENANT", "MLC_COMMAND", "MLC_EXIT_CODE", "MLC_RUN_ID", "MLC_MESSAGE", "OTHER")} == {
        "MLC_TENANT": "acme", "MLC_COMMAND": "mlc run", "MLC_EXIT_CODE": "3", "MLC_RUN_ID": said.of("summary")[0]["run_id"],
        "MLC_MESSAGE": "acme: exit 3: post-payments 1 newly held; see mlc held list", "OTHER": "kept",
    }  # fmt: skip
    assert not {"P", "K"} & found.keys()
    assert (desk.folder / "told.word").read_text() == f"a b; touch {desk.folder}/shell"
    assert not (desk.folder / "shell").exists()
    assert all(line["schema"] == "mlc/1" for line in said.lines)


def test_errors_are_told_to_the_command(desk: Desk) -> None:
    """What was said to be wrong is in the message, also where no pass began; and a mlc that it calls is not confused by it."""
    told = desk.folder / "told"
    watch(desk, on_failure=f'[sh, "-c", "printf %s \\"$MLC_MESSAGE\\" > {told}"]')
    desk.mlc("run")
    assert not told.exists()
    desk.env.pop("K")
    assert desk.mlc("run").code == 4
    text = told.read_text()
    assert text.startswith("acme: exit 4: a credential is missing or was rejected\nacme: ")
    assert "stripe.secret_key" in text
    desk.env |= {"MLC_TENANT": "acme", "MLC_COMMAND": "mlc run", "MLC_EXIT_CODE": "4", "MLC_RUN_ID": "x", "MLC_MESSAGE": text}
    assert desk.mlc("status").code == 0


def test_another_run_is_no_failure(desk: Desk) -> None:
    """Where another run holds the lock (11) no command is run and the file is left to that run."""
    from mlc.store.lock import TenantLock

    path = scraped(desk)
    desk.top = desk.top.replace("}", f", on_failure: [touch, {desk.folder}/ran]}}")
    desk.write()
    lock = TenantLock(desk.folder / "mlc.db", "SBODEMO", desk.company.clock)
    lock.acquire("somebody", 0.0)
    try:
        said = desk.mlc("run", "-q")
    finally:
        lock.release()
    assert said.code == 11
    assert not path.exists()
    assert not (desk.folder / "ran").exists()
    assert "acme: exit 11" not in said.err


BAD_COMMANDS = {
    "[no-such-command-here]": "no-such-command-here could not be started (No such file or directory)",
    "[/]": "/ could not be started (Permission denied)",
    "['false']": "false ended with 1",
    "[sleep, '60']": "sleep had not ended after 0.1 seconds and was stopped",
}


@pytest.mark.parametrize("words", BAD_COMMANDS)
def test_a_command_that_fails_is_a_warning(desk: Desk, monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    """A command that is not there, fails, or does not end changes nothing; it is told, also with -q."""
    monkeypatch.setattr(watching.run_hook, "__defaults__", (0.1,) if "sleep" in words else (20.0,))
    watch(desk, on_failure=words)
    desk.env.pop("K")
    said = desk.mlc("run", "-q")
    assert said.code == 4
    assert f"warning: acme: on_failure: {BAD_COMMANDS[words]}" in said.err


# --- quiet ------------------------------------------------------------------------------------------------------------


def test_quiet_is_silent_where_all_went_well(desk: Desk) -> None:
    """With -q a run that did its work says nothing at all, watched or not."""
    desk.company.invoice()
    pinged(desk)
    for words in (("run", "-q"), ("push-invoices", "-q"), ("run", "-q", "-n")):
        assert desk.mlc(*words) == Said(0, "", "")


def test_quiet_is_one_line_a_tenant(desk: Desk) -> None:
    """With -q a tenant that needs attention has one line that says why; others have none."""
    desk.second()
    busy_day(desk)
    assert desk.mlc("run", "-q") == Said(3, "", "acme: exit 3: post-payments 1 newly held; see mlc held list\n")
    assert desk.mlc("run", "-q") == Said(0, "", "")
    desk.ports.wires.pop(4)
    said = desk.mlc("run", "-q")
    assert said.code == 5
    assert [line for line in said.err.splitlines() if not line.startswith(("error: beta ", "  next: "))] == [
        "beta: exit 5: post-payments stopped; reconcile-payouts stopped; sync-customers stopped; see mlc status"
    ]


def test_quiet_says_why_something_old_is_told(desk: Desk) -> None:
    """Where the code comes from alert_after alone, the line says how long the oldest held item waits."""
    desk.unexplained()
    desk.company.clock.pass_time(4 * 86400 + 60)
    assert desk.mlc("run", "-q") == Said(3, "", "acme: exit 3: the oldest held item waits for 4 d; see mlc held list\n")


# --- log formats ------------------------------------------------------------------------------------------------------


def logged(said: Said) -> list[dict[str, Any]]:
    """Every line of stderr as JSON."""
    found = [json.loads(line) for line in said.err.splitlines()]
    assert all({"ts", "level", "message"} <= line.keys() for line in found)
    return found


def test_every_line_of_a_log_is_json(desk: Desk) -> None:
    """With --log-format json each line on stderr is one object that says tenant, pass and run; stdout stays for work."""
    busy_day(desk)
    said = desk.mlc("run", "-v", "--json", "--log-format", "json")
    lines = logged(said)
    run_id = said.of("summary")[0]["run_id"]
    assert {line["tenant"] for line in lines} == {"acme"}
    assert {line["run_id"] for line in lines} == {run_id}
    assert {"post-payments", "push-invoices"} <= {line.get("pass") for line in lines}
    assert "debug" in {line["level"] for line in lines}
    plain = logged(desk.mlc("run", "--log-format", "json"))
    order = ["post-payments", "reconcile-payouts", "sync-customers", "push-invoices"]
    assert [line["pass"] for line in plain if " seen, " in line["message"]] == order


def test_trouble_is_json_too(desk: Desk) -> None:
    """Errors have their hint beside them, traces of defects are one line, warnings and the line of -q are JSON as well."""
    desk.env.pop("K")
    (error, line) = logged(desk.mlc("run", "-q", "--log-format", "json"))
    assert (error["level"], error["tenant"], "stripe.secret_key" in error["message"]) == ("error", "acme", True)
    assert "put it there" in error["hint"]
    assert (line["level"], line["message"]) == ("warning", "acme: exit 4: a credential is missing or was rejected")
    desk.env["K"] = SECRETS["K"]
    desk.company.wires["sap"].before = _mad  # type: ignore[assignment]
    found = logged(desk.mlc("run", "-vv", "--log-format", "json"))
    assert any("Traceback" in line["message"] for line in found)
    (unknown, _) = [*logged(desk.mlc("replay", "nonsense", "--log-format", "json")), {}][:2]
    assert unknown["level"] == "error"
    assert desk.mlc("run", "--log-format", "xml").code == 2


def test_lines_for_the_journal(desk: Desk) -> None:
    """With --log-format journald every line begins with its priority: errors 3, what waits 4, the rest 6, requests 7."""
    payment = busy_day(desk)
    found = desk.mlc("run", "-v", "--log-format", "journald").err.splitlines()
    assert all(re.match(r"<[3467]>", line) for line in found)
    assert any(line.startswith("<4>! held") for line in found)
    assert any(line.startswith("<6>acme post-payments: 1 done, 1 held") for line in found)
    assert any(line.startswith("<7>  ") for line in found)
    desk.env.pop("K")
    assert desk.mlc("replay", payment, "--log-format", "journald").err.startswith("<3>error: ")


def test_the_environment_is_no_log_format(desk: Desk) -> None:
    """MLC_LOG_FORMAT is no setting and changes nothing."""
    desk.env["MLC_LOG_FORMAT"] = "json"
    assert desk.mlc("run").err.startswith("acme post-payments: ")


def test_nothing_of_the_watching_is_kept(desk: Desk) -> None:
    """The state has no word of the address, and forms of it are searched for as for any secret."""
    pinged(desk)
    desk.mlc("run", "-vv")
    connection = sqlite3.connect(desk.folder / "mlc.db")
    rows = "\n".join(connection.iterdump()).encode()
    connection.close()
    assert not [form for form in forms(TOKEN) if form in rows]
