"""What ping says a first posting lacks: everything SAP would refuse later is named before anything is written."""

from __future__ import annotations

import pytest
from desk import Desk, Said

from mlc.cli import secreting
from mlc.core import errors

DEBITS = """    gocardless:
      url: http://127.0.0.1:9
      access_token: {env: G}
      bank_account: {EUR: "1200", GBP: "1210"}
      fee_account: "6855"
"""


def switched(desk: Desk, **switches: object) -> None:
    """Change how the simulated SAP behaves."""
    sap = desk.company.sap
    for name, value in switches.items():
        object.__setattr__(sap.desk.switches, name, value)


def checked(desk: Desk) -> dict[str, tuple[str, str]]:
    """Return check -> (state, text) of a ping, of several with one name the worst."""
    found: dict[str, tuple[str, str]] = {}
    for line in desk.mlc("ping", "--json").of("check"):
        if found.get(line["check"], ("ok", ""))[0] == "ok":
            found[line["check"]] = line["state"], line["text"]
    return found


def test_all_is_well(desk: Desk) -> None:
    """A sound company: every line says ok, and ping ends with 0."""
    assert {name: state for name, (state, _) in checked(desk).items() if state != "ok"} == {}
    assert desk.mlc("ping", "-q") == Said(0, "", "")


@pytest.mark.parametrize(("switches", "check", "state", "words", "code"), [
    ({"numbering_series_defined": False}, "sap series", "fail", "no numbering series takes incoming payments", errors.ATTENTION),
    ({"series_locked": True}, "sap series", "fail", "no numbering series takes incoming payments", errors.ATTENTION),
    ({"missing_apis": frozenset({"SeriesService_GetDocumentSeries"})}, "sap series", "warn", "does not tell the series", 0),
    ({"enable_branches": True}, "sap branches", "warn", "Stripe's payouts of it are held", 0),
    ({"system_currency": "USD"}, "sap rate", "fail", "no rate of its system currency USD", errors.ATTENTION),
])  # fmt: skip
def test_what_a_document_needs(desk: Desk, switches: dict[str, object], check: str, state: str, words: str, code: int) -> None:
    """A series, a branch, a rate: each that is missing is named with what to do, before SAP refuses a document for it."""
    assert checked(desk).get(check, ("ok", ""))[0] == "ok"
    switched(desk, **switches)
    found = checked(desk)[check]
    assert found[0] == state
    assert words in found[1]
    assert desk.mlc("ping").code == code


def test_what_payouts_need(desk: Desk) -> None:
    """A rate of the currency in which payouts arrive, and a branch for the creditor where the company has branches."""
    desk.tenants[0] += DEBITS
    desk.env["G"] = "sandbox_token"
    desk.write()
    assert checked(desk)["sap rate"] == (
        "warn", f"SAP has no rate of GBP for {desk.company.books.today()}: a payout in it is held until there is one for the day it arrives",
    )  # fmt: skip
    switched(desk, enable_branches=True)
    state, text = checked(desk)["sap branches"]
    assert state == "fail"
    assert "name one for each creditor in gocardless.branches" in text


def test_a_secret_that_only_this_shell_has(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a terminal: a variable of the shell is told of, once for each secret; without a terminal nothing is said."""
    assert "secret sap.password" not in checked(desk)
    monkeypatch.setattr(secreting, "attended", lambda: True)
    state, text = checked(desk)["secret sap.password"]
    assert state == "warn"
    assert "works now, will fail under cron: the variable P is this shell's" in text
    assert desk.mlc("ping").code == 0


def test_who_shall_tell_of_trouble_can(desk: Desk) -> None:
    """A program of on_failure that is not there, and a folder that is not, are told of before they are needed."""
    desk.write(("tenants:", f"watch: {{on_failure: [/no/such/program], prometheus_dir: {desk.folder}/none}}\ntenants:"))
    found = checked(desk)
    assert found["watch.on_failure"] == ("warn", "there is no program /no/such/program that this user could start")
    assert found["watch.prometheus_dir"][0] == "warn"
    desk.write(("tenants:", f"watch: {{on_failure: [/bin/true], prometheus_dir: {desk.folder}}}\ntenants:"))
    assert not {name for name in checked(desk) if name.startswith("watch.")}


def test_a_keyring_of_a_login_session(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A keyring that lives in a login session, and a passphrase, work now and will not for a timer."""
    monkeypatch.setattr(secreting, "attended", lambda: True)
    desk.tenant("acme", password="{keyring: sap.password}")
    monkeypatch.setattr("mlc.secrets.keychain.Keychain.get", lambda *_: desk.env["P"])
    monkeypatch.setattr("mlc.secrets.keychain.Keychain.needs_login", True)
    state, text = checked(desk)["secret sap.password"]
    assert state == "warn"
    assert "lives in this login session and a timer has none" in text
