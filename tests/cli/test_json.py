"""--json: JSON Lines on stdout and nothing else, with the contract's fields, and money as whole minor units."""

from __future__ import annotations

import io
import json
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from desk import COUNTS, Desk, Said

from harness import Company
from mlc.cli.render import Voice
from mlc.sandbox.kit import Fault

EVERY = {"schema", "type", "run_id", "tenant", "pass"}
ITEM = EVERY | {"id", "target", "action", "state", "reason", "receipt", "amount"}
SUMMARY = EVERY | {"dry_run", "counts", "amounts", "exit_code", "audit_head"}
HELD = {"schema", "type", "tenant", "pass", "id", "state", "reason", "candidates", "amount", "since"}
STATES = {"planned", "done", "held", "refused", "in_doubt"}
TIMES = {"last_success", "last_start", "oldest_held"}  # moments in Unix seconds, the only figures that may be floats


def check(said: Said) -> list[dict[str, Any]]:
    """Every line is an object of the contract; returns them."""
    for line in said.lines:
        assert line["schema"] == "mlc/1"
        assert re.fullmatch(r"[a-z_]+", line["type"])
        floats = {name for name, value in walk(line) if isinstance(value, float)}
        assert floats <= TIMES or line["type"] == "config"
        if line["type"] == "item" and "run_id" in line:
            check_item(line)
        if line["type"] == "summary":
            check_summary(line)
    return said.lines


def check_item(line: dict[str, Any]) -> None:
    """An item of a run."""
    assert set(line) >= ITEM
    assert line["state"] in STATES
    assert line["receipt"] is None or set(line["receipt"]) >= {"system", "object", "id"}
    assert (line["receipt"] is not None) == (line["state"] == "done")
    check_amount(line["amount"])


def check_amount(amount: Any) -> None:
    """Money."""
    if amount is not None:
        assert set(amount) == {"minor", "currency", "exponent"}
        assert isinstance(amount["minor"], int)
        assert re.fullmatch(r"[A-Z]{3}", amount["currency"])
        assert isinstance(amount["exponent"], int)


def check_summary(line: dict[str, Any]) -> None:
    """The last line of a tenant's pass."""
    assert set(line) >= SUMMARY
    assert set(line["counts"]) == COUNTS
    assert all(isinstance(count, int) for count in line["counts"].values())
    assert all(isinstance(minor, int) for minor in line["amounts"].values())
    assert set(line["exponents"]) == set(line["amounts"])
    assert re.fullmatch(r"[0-9a-f]{64}", line["audit_head"])
    assert isinstance(line["dry_run"], bool)
    assert isinstance(line["exit_code"], int)


def walk(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value of a tree with the key it stands under."""
    yield name, value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from walk(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from walk(inner, name)


def busy(desk: Desk) -> tuple[int, str, str]:
    """A company where something is done, held and open; returns a DocEntry, its payment, and money nothing explains."""
    entry = desk.company.invoice()
    desk.company.invoice(net="50.00")
    desk.mlc("run")
    payment = desk.company.account.pay(desk.company.pushed()[entry])
    return entry, payment, desk.unexplained()


def test_a_run(desk: Desk) -> None:
    """A run gives an item for each thing done and a summary as the last line of each pass, whose counts are the items'."""
    desk.company.invoice()
    said = desk.mlc("run", "--json")
    lines = check(said)
    assert said.err == ""
    passes = ["post-payments", "reconcile-payouts", "sync-customers", "push-invoices"]
    assert [line["pass"] for line in lines if line["type"] == "summary"] == passes
    assert [line["type"] for line in lines] == ["summary", "summary", "item", "item", "summary", "item", "summary"]
    (pushed,) = [line for line in said.of("item") if line["pass"] == "push-invoices"]
    assert (pushed["state"], pushed["amount"]) == ("done", {"minor": 11900, "currency": "EUR", "exponent": 2})
    assert pushed["receipt"]["id"].startswith("in_")
    assert said.of("summary")[-1]["amounts"] == {"EUR": 11900}
    for name in passes:
        items = [line["state"] for line in said.of("item") if line["pass"] == name]
        (summary,) = [line for line in said.of("summary") if line["pass"] == name]
        assert {state: items.count(state) for state in STATES} == {state: summary["counts"][state] for state in STATES}
    assert len({line["run_id"] for line in lines}) == 1


def test_yen_and_dinar(tmp_path: Path) -> None:
    """Money is minor units of ISO 4217 with its own exponent: yen have none, whatever Stripe or SAP call them."""
    company = Company(tmp_path, sap={"local_currency": "JPY", "decimals": 0})
    desk = Desk(company)
    company.partner()
    company.invoice(net="1000")
    said = desk.mlc("run", "--json")
    check(said)
    assert said.of("item")[-1]["amount"] == {"minor": 1190, "currency": "JPY", "exponent": 0}


@pytest.mark.parametrize(
    "words",
    [
        ("run", "-n"), ("run", "-v", "-v"), ("run", "-q"), ("replay", "--held"), ("replay", "--failed"), ("held", "list"), ("status",),
        ("ping",), ("audit", "list"), ("audit", "verify"), ("secret", "list"), ("secret", "check"), ("config", "check"), ("config", "show"),
        ("held", "show", "PI"), ("audit", "show", "PI"), ("held", "match", "PI", "1002"), ("replay", "PI"), ("replay", "PI", "--again"),
        ("replay", "nonsense"), ("run", "--tenant", "nope"), ("held", "dismiss", "PI", "--note", "x"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_every_command(desk: Desk, words: tuple[str, ...]) -> None:
    """Whatever the command and however it ends, stdout holds objects of the contract and nothing else."""
    _, _, payment = busy(desk)
    check(desk.mlc(*[payment if word == "PI" else word for word in words], "--json"))


def test_export(desk: Desk) -> None:
    """`audit export` is JSON Lines without being asked, each row with its hash, the last one the head of the trail."""
    busy(desk)
    lines = check(desk.mlc("audit", "export"))
    assert {"seq", "at", "company", "run_id", "pass", "id", "what", "data", "hash"} <= set(lines[0])
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
    assert lines[-1]["hash"] == desk.mlc("audit", "verify", "--json").lines[0]["head"]


def test_trouble_stays_in_json(desk: Desk) -> None:
    """Refused and doubtful things are items with their state, and a stopped pass is a summary with its code and message."""
    desk.company.invoice()
    desk.mlc("sync-customers")
    desk.company.stripe.faults.append(Fault("never", "POST", "/v1/invoices$", times=100))
    said = desk.mlc("push-invoices", "--json")
    check(said)
    assert (said.code, said.of("item")[0]["state"], said.of("summary")[0]["exit_code"]) == (5, "in_doubt", 5)
    desk.ports.wires.pop(2)
    said = desk.mlc("post-payments", "--json")
    check(said)
    assert (said.code, said.of("summary")[0]["exit_code"]) == (5, 5)
    assert "127.0.0.1:2" in said.of("summary")[0]["message"]


def test_held_list(desk: Desk) -> None:
    """`held list --json` gives id, the payment's own id, reason, candidates, amount and since; its id is what show takes."""
    _, _, payment = busy(desk)
    said = desk.mlc("held", "list", "--json")
    (item,) = check(said)
    assert set(item) >= HELD
    assert item["payment"] == payment
    assert item["reason"] == "no_customer"
    assert item["candidates"] == []
    assert item["amount"] == {"minor": 4200, "currency": "EUR", "exponent": 2}
    assert item["since"].startswith("2026-11-03")
    assert desk.mlc("held", "show", item["id"], "--json").lines == [item]
    assert desk.mlc("replay", item["id"], "-n").code in (0, 3)
    assert desk.mlc("held", "dismiss", item["id"], "--note", "x").code == 0


def test_held_invoice(desk: Desk) -> None:
    """A held invoice carries its DocEntry, DocNum, customer and amount in `held list --json`."""
    entry = desk.company.invoice(net="0.10")
    desk.mlc("run")
    (item,) = check(desk.mlc("held", "list", "--json"))
    assert (item["doc_entry"], item["doc_num"], item["card_code"]) == (entry, 1001, "C1")
    assert item["amount"] == {"minor": 12, "currency": "EUR", "exponent": 2}


@pytest.mark.parametrize("words", [("held", "list"), ("audit", "list"), ("status",), ("ping",)], ids=" ".join)
def test_every_object_has_the_common_fields(desk: Desk, words: tuple[str, ...]) -> None:
    """Each object has schema, type, run_id, tenant and pass (contract: --json)."""
    busy(desk)
    for line in desk.mlc(*words, "--json").lines:
        assert set(line) >= EVERY


@pytest.mark.parametrize("trouble", ["no key", "locked", "skipped"])
def test_every_pass_ends_with_a_summary(desk: Desk, trouble: str) -> None:
    """The last line of each tenant and pass is a summary, also where the tenant could not be opened or the pass was skipped."""
    desk.company.invoice()
    desk.env["K" if trouble == "no key" else "P"] = (
        "" if trouble == "no key" else "wrong" if trouble == "skipped" else "Geheim-4711"
    )
    if trouble == "locked":
        _lock(desk)
    said = desk.mlc("run", "--json")
    assert said.code in (4, 11)
    assert said.of("summary")[-1]["pass"] == "push-invoices"


def _lock(desk: Desk) -> None:
    import sqlite3

    holder = sqlite3.connect(desk.folder / "mlc.db.SBODEMO.lock", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    desk.__dict__["holder"] = holder


def test_demo(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """`demo --json` keeps the contract and shows books in whole minor units, payouts that tie with SAP, and a proof without drift."""
    monkeypatch.setattr(tempfile, "tempdir", str(desk.folder))
    desk.ports.wires.clear()  # it brings its own systems
    said = desk.raw("demo", "--json", real=True)
    lines = check(said)
    assert (said.code, [line["tied"] for line in lines if "tied" in line]) == (0, [True, True])
    assert [one["drift"]["minor"] if isinstance(one["drift"], dict) else one["drift"] for one in said.of("clearing")] == [0, 0]
    assert [line["exit_code"] for line in said.of("summary") if line["exit_code"] not in (0, 3)] == []
    (books,) = said.of("books")
    assert [name for name, value in walk(books) if isinstance(value, str) and re.fullmatch(r"-?\d+\.\d+", value)] == []


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_json_where_the_terminal_is_not_utf8(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under LANG=C a line is still JSON that gives back the same text."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    Voice(as_json=True).emit("item", text="Müller & 名前 \udcff")
    assert json.loads(raw.getvalue())["text"] == "Müller & 名前 \udcff"
