"""mlc init: by flags where nobody sits there, by questions at a terminal, with accounts from SAP's own chart."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from desk import Desk, Said

from harness import SECRETS
from mlc.cli import choosing, session, starting
from mlc.core import errors
from mlc.core.facts import Account

FLAGS = [
    "--sap-url",
    "http://127.0.0.1:1/b1s/v2",
    "--company-db",
    "SBODEMO",
    "--username",
    "manager",
    "--start-date",
    "2026-10-01",
]


@pytest.fixture
def seated(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk at which a person sits, who types the right password."""
    for room in (session, starting):
        monkeypatch.setattr(room, "attended", lambda: True)
    monkeypatch.setattr("getpass.getpass", lambda _: SECRETS["P"])
    return desk


def asked(desk: Desk, *words: str, answers: list[str]) -> Said:
    """Run init with what a person types; every answer must be wanted."""
    return desk.raw("init", "--config", str(desk.folder / "new.yaml"), *words, stdin="".join(f"{one}\n" for one in answers))


def test_by_flags_without_a_terminal(desk: Desk) -> None:
    """Flags alone write a file that loads, readable by its owner only; a second time nothing is touched; what is missing is named."""
    path = desk.folder / "deep/er/new.yaml"
    said = desk.raw(
        "init", "--config", str(path), *FLAGS, "--gocardless", "--secrets", "file", "--state", "/var/lib/mlc/mlc.db"
    )
    assert said.code == 0, said.err
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    assert "gocardless:" in text
    assert 'state: "/var/lib/mlc/mlc.db"' in text
    assert desk.raw("config", "check", "--config", str(path)).code == 0
    nexts = [line.removeprefix("next: ") for line in said.err.splitlines() if line.startswith("next: ")]
    assert [line.split(" --config")[0] for line in nexts] == [
        "mlc secret key create", "mlc secret set acme sap.password", "mlc secret set acme stripe.secret_key",
        "mlc secret set acme gocardless.access_token", "mlc secret check", "mlc ping", "mlc run -n",
    ]  # fmt: skip
    said = desk.raw("init", "--config", str(path), *FLAGS)
    assert said.code == errors.USAGE
    assert "is there already and stays as it is" in said.err
    said = desk.raw("init", "--config", str(desk.folder / "x.yaml"))
    assert said.code == errors.USAGE
    assert "mlc init needs --sap-url" in said.err


@pytest.mark.parametrize(("flag", "value", "words"), [
    ("--sap-url", "htp://x", "--sap-url htp://x: is no web address"),
    ("--start-date", "yesterday", "--start-date yesterday: "),
    ("--timezone", "Europe/Berln", 'did you mean "Europe/Berlin"?'),
    ("--secrets", "vault", "--secrets vault: is none of keyring, file, env, systemd"),
    ("--tenant", "a/b", "--tenant a/b: is no tenant name"),
])  # fmt: skip
def test_a_wrong_flag(desk: Desk, flag: str, value: str, words: str) -> None:
    """A wrong answer is told with its flag, and nothing is written."""
    said = desk.raw("init", "--config", str(desk.folder / "new.yaml"), *FLAGS, flag, value)
    assert said.code == errors.USAGE
    assert words in said.err
    assert not (desk.folder / "new.yaml").exists()


def test_neither_processor(desk: Desk) -> None:
    """A tenant needs one of the two."""
    said = desk.raw("init", "--config", str(desk.folder / "new.yaml"), *FLAGS, "--no-stripe")
    assert said.code == errors.USAGE
    assert "needs Stripe, GoCardless or both" in said.err


def test_a_place_that_cannot_be_written(desk: Desk) -> None:
    """A folder that is a file, or may not be written: one sentence, 2."""
    said = desk.raw("init", "--config", str(desk.config / "new.yaml"), *FLAGS)
    assert said.code == errors.USAGE
    assert "cannot be written" in said.err


def test_the_chart_is_offered(seated: Desk) -> None:
    """Wrong answers are asked again; a word finds accounts, Enter takes the likely one; the password is kept in the encrypted file."""
    said = asked(
        seated, "--sap-url", "http://127.0.0.1:1/b1s/v2",
        answers=["acme", "SBODEMO", "manager", "Europe/Berln", "Europe/Berlin", "2026-10-01", "file", "y", "n",
                 "y", "clearing", "1361", "", "nothing like it", "", "1200", "y"],
    )  # fmt: skip
    assert said.code == 0, said.err
    assert 'did you mean "Europe/Berlin"?' in said.err
    assert "accounts of manager at SBODEMO may be posted to" in said.err
    assert "  1362  GoCardless clearing" in said.err
    assert "no account that may be posted to has 'nothing like it'" in said.err
    text = (seated.folder / "new.yaml").read_text()
    assert 'clearing_account: "1361"' in text
    assert 'fee_account: "6855"' in text
    assert "mlc secret set acme sap.password" not in said.err
    assert SECRETS["P"] not in said.err + text
    seated.env.pop("P")
    found = {
        one["name"]: one["state"]
        for one in seated.raw("secret", "check", "--json", "--config", str(seated.folder / "new.yaml")).of("secret")
    }
    assert found["sap.password"] == "yes"
    assert stat.S_IMODE((Path(seated.folder) / ".config/mlc/master.key").stat().st_mode) == 0o400


def test_a_wrong_password_is_asked_again_and_the_chart_may_be_left_out(seated: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """SAP's refusal is said, with a warning of what more of them do; without the chart accounts are typed."""
    passwords = iter(["wrong", ""])
    monkeypatch.setattr("getpass.getpass", lambda _: next(passwords))
    said = asked(
        seated, *FLAGS, "--no-gocardless", answers=["acme", "", "", "keyring", "y", "y", "y", "n", "0815", "6855", "1200"]
    )
    assert said.code == 0, said.err
    assert "SAP refused the login of manager at SBODEMO" in said.err
    assert "three wrong passwords may lock the user in SAP" in said.err
    assert "the password is empty" in said.err
    assert 'clearing_account: "0815"' in (seated.folder / "new.yaml").read_text()
    assert sum(path.endswith("/Login") for _, path, _ in seated.company.sap.log) == 1


@pytest.mark.parametrize(("typed", "line"), [("", 'vat_account: "1576"'), ("-", '# vat_account: "1576"'), ("15", "")])
def test_an_account_that_may_be_left_out(seated: Desk, typed: str, line: str) -> None:
    """VAT on GoCardless' fees: the chart's own account is offered, - means none, and a wrong code is asked again."""
    typed_ = [typed] if line else [typed, "1576"]
    said = asked(
        seated, "--sap-url", "http://127.0.0.1:1/b1s/v2", "--company-db", "SBODEMO", "--username", "manager", "--tenant", "acme",
        "--start-date", "2026-10-01", "--timezone", "Europe/Berlin", "--secrets", "env", "--no-stripe", "--gocardless",
        answers=["y", "-", "1200", "6855", *typed_],  # - is no answer where an account is needed
    )  # fmt: skip
    assert said.code == 0, said.err
    assert "a payout with VAT is held (probably 1576 Input VAT)" in said.err
    assert "or - for none [1576]" in said.err
    text = (seated.folder / "new.yaml").read_text()
    wanted = line or 'vat_account: "1576"'
    assert f"      {wanted}  # VAT" in text


def test_the_account_of_vat_without_a_chart(seated: Desk) -> None:
    """Enter leaves it out; by flag it is taken, and no flag where nobody sits there leaves it out too."""
    rest = ("--tenant", "acme", "--timezone", "Europe/Berlin", "--secrets", "env", "--no-stripe", "--gocardless")
    said = asked(seated, *FLAGS, *rest, answers=["n", "1200", "6855", ""])
    assert said.code == 0, said.err
    path = seated.folder / "new.yaml"
    assert '      # vat_account: "1576"' in path.read_text()
    path.unlink()
    said = asked(seated, *FLAGS, *rest, "--vat-account", "1577", answers=["n", "1200", "6855"])
    assert said.code == 0, said.err
    assert '      vat_account: "1577"' in path.read_text()


def test_an_interrupted_question(seated: Desk) -> None:
    """Ctrl-C or the end of the input at a question: 130, and nothing is written."""
    said = asked(seated, *FLAGS, answers=["acme"])
    assert said.code == errors.INTERRUPTED
    assert "interrupted at a question" in said.err
    assert not (seated.folder / "new.yaml").exists()


def test_config_accounts(desk: Desk) -> None:
    """The chart of a configured tenant: by a part of the code or the name, as a table and as JSON; what is closed is not there."""
    said = desk.mlc("config", "accounts", "clearing")
    assert said.code == 0
    assert [line.split()[1] for line in said.out.splitlines()[1:]] == ["1361", "1362"]
    desk.company.books.lock_account("1362", "frozen")
    assert [one["code"] for one in desk.mlc("config", "accounts", "136", "--json").of("account")] == ["1361"]
    assert desk.mlc("config", "accounts", "zzz").out.splitlines()[1:] == []
    desk.env["P"] = "wrong"
    assert desk.mlc("config", "accounts").code == errors.CREDENTIAL


def test_a_likely_account_is_the_only_one_that_fits() -> None:
    """Two accounts of a name are no hint; segmented accounts are shown by their visible code."""
    bank = Account("_SYS1", "1200-01", "Main bank", active=True, postable=True)
    other = Account("_SYS2", "1200-02", "Other bank", active=True, postable=True)
    assert choosing.likely([bank], "stripe.bank_account") == bank
    assert choosing.likely([bank, other], "stripe.bank_account") is None
    assert choosing.shown(bank) == "1200-01"
    assert choosing.fitting([bank, other], "bank other") == [other]
    assert choosing.fitting([bank, other], "1200-01") == [bank]
