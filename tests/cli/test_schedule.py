"""mlc schedule: units that systemd accepts, crontab lines or a refusal, the next moments, and no file that is not ours."""

from __future__ import annotations

import json
import re
import stat
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from desk import Said
from typer.testing import CliRunner

from goldens import compare
from mlc.cli.app import app
from mlc.cli.session import Session
from mlc.cli.units import escaped, quoted
from mlc.opening import Seams
from mlc.sandbox.kit import Clock
from service_manager import accepts

TENANT = """\
  {name}:
    start_date: 2026-11-01
    timezone: {zone}
    sap: {{url: "https://{name}.example/b1s/v2", company_db: {db}, username: mlc{sap}}}
    stripe: {{clearing_account: "1361", fee_account: "6855"{stripe}}}
    calendar: {calendar}
"""
TOP = "state: /var/lib/mlc/mlc.db\nsecrets: {store: systemd}\n"
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def tenant(
    name: str = "acme", calendar: str = '{run: "*:0/5"}', *, zone: str = "Europe/Berlin", sap: str = "", stripe: str = ""
) -> str:
    """A tenant of a configuration."""
    return TENANT.format(name=name, calendar=calendar, zone=zone, sap=sap, stripe=stripe, db=f"SBO_{name}")


class Desk:
    """A folder with a configuration, and a clock that stands on a Monday morning."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.units = folder / "units"
        self.units.mkdir()
        self.config = folder / "config.yaml"
        self.config.write_text(TOP + "tenants:\n" + tenant())

    def tenants(self, *texts: str, top: str = TOP) -> Desk:
        """Write a configuration of these tenants."""
        self.config.write_text(f"{top}tenants:\n{''.join(texts)}")
        return self

    def mlc(self, *words: str) -> Said:
        """Run `mlc schedule ...`."""
        Session.seams = Seams(clock=Clock(datetime(2026, 11, 2, 8, 0, tzinfo=UTC).timestamp()))
        command = [] if words[0] == "next" else ["--command", "/usr/local/bin/mlc"]
        done = CliRunner().invoke(app, ["schedule", words[0], *command, *words[1:], "--config", str(self.config)])
        assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
        hidden = [text.replace(str(self.folder), "/etc/mlc") for text in (done.stdout, done.stderr)]
        return Said(done.exit_code, *hidden)

    def write(self, *words: str) -> Said:
        """Write the units into the folder for them."""
        return self.mlc("systemd", "--dir", str(self.units), *words)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A desk with one tenant that runs every five minutes."""
    return Desk(tmp_path)


BILLING = (
    '{post-payments: "*:0/5", push-invoices: "*:0/15", reconcile-payouts: "Mon..Fri 07:30", '
    "run: [first working day 06:00, last working day 18:00], compare: 22:00 UTC}"
)


def test_units(desk: Desk) -> None:
    """All units of a tenant with a billing calendar, letter by letter; a pass without a processor is left out."""
    said = desk.tenants(
        tenant("acme-uk_2", BILLING, sap=", password: {systemd: sap_pw}", stripe=", secret_key: {env: KEY}")
    ).mlc("systemd")
    assert (said.code, said.err) == (
        0,
        "acme-uk_2 reconcile-payouts: left out, the tenant has no gocardless section and no stripe.bank_account\n",
    )
    compare("cli/schedule-systemd", said.out)
    assert not re.search(r"^ProcSubset", said.out, re.MULTILINE)


def test_the_service_manager_accepts_every_unit(desk: Desk) -> None:
    """systemd-analyze verify finds nothing to complain about, whatever the tenant is called and wherever its files are."""
    odd = desk.folder / "a folder %n $HOME"
    odd.mkdir()
    desk.config = desk.config.rename(odd / "my config.yaml")
    top = f'state: "{odd}/mlc.db"\nsecrets: {{store: systemd}}\n'
    desk.tenants(tenant("acme-uk_2", BILLING), tenant("7", "{run: daily, compare: weekly}"), top=top)
    said = desk.write()
    assert said.code == 0
    service = (desk.units / r"mlc-acme\x2duk_2-run.service").read_text()
    assert f'--config "{desk.folder}/a folder %%n $$HOME/my config.yaml"' in service
    assert f'ReadWritePaths="{desk.folder}/a folder %%n $HOME"' in service
    units = [*desk.units.iterdir()]
    assert len(units) > 2
    accepts(units)


def test_names_are_escaped_as_the_service_manager_does() -> None:
    """A name is escaped as systemd-escape does, and a word of a command stays one word."""
    assert [escaped(name) for name in ("acme", "a-b_c.9", ".x", "ü")] == ["acme", r"a\x2db_c.9", r"\x2ex", r"\xc3\xbc"]
    assert [quoted(word) for word in ("/a/b", "a b", "50%", '$x"')] == ["/a/b", '"a b"', "50%%", r'"$$x\""']


def test_credentials_are_those_that_the_tenant_needs(desk: Desk) -> None:
    """What the store has and what {systemd: NAME} names is loaded; other references, other tenants' and webhooks' secrets are not."""
    desk.tenants(
        tenant("acme", sap=", password: {file: /etc/pw}", stripe=", webhook_secret: {systemd: hook}"),
        tenant("beta", sap=", password: {systemd: pw}"),
    )
    desk.write()
    loaded = {
        name: re.findall(r"^LoadCredentialEncrypted=(\S+)", (desk.units / f"mlc-{name}-run.service").read_text(), re.MULTILINE)
        for name in ("acme", "beta")
    }
    sealed = "/etc/credstore.encrypted"
    assert loaded == {
        "acme": [f"mlc_acme_stripe.secret_key:{sealed}/mlc_acme_stripe.secret_key"],
        "beta": [f"pw:{sealed}/pw", f"mlc_beta_stripe.secret_key:{sealed}/mlc_beta_stripe.secret_key"],
    }
    said = desk.tenants(tenant(), top="state: /home/mlc/mlc.db\n").mlc("systemd")
    assert "LoadCredential" not in said.out
    assert "ReadWritePaths=/home/mlc\n" in said.out
    assert "ProtectHome=read-only" in said.out
    assert "acme: sap.password, stripe.secret_key in the OS keyring" in said.err
    assert desk.tenants(tenant(sap=", password: {systemd: 'a:b'}")).mlc("systemd").code == 2


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("", "#LoadCredentialEncrypted=mlc-master:/etc/credstore.encrypted/mlc-master"),
        (", key: {systemd: master}", "LoadCredentialEncrypted=master:/etc/credstore.encrypted/master"),
        (", key: {file: /etc/mlc/master.key}", ""),
    ],
)
def test_the_encrypted_file_and_the_folder_of_figures_can_be_used(desk: Desk, key: str, line: str) -> None:
    """The key that is sealed is handed over, and the folders that a pass writes beside its state are open to it."""
    top = (
        "state: /var/lib/mlc/mlc.db\nsecrets: {store: file, file: /srv/mlc/secrets.json"
        + key
        + "}\nwatch: {prometheus_dir: /srv/prom}\n"
    )
    said = desk.tenants(tenant(), top=top).mlc("systemd", "--dir", str(desk.units))
    assert said.code == 0, said.err
    unit = (desk.units / "mlc-acme-run.service").read_text().splitlines()
    assert [one for one in unit if "LoadCredentialEncrypted" in one] == ([line] if line else [])
    assert [one for one in unit if one.startswith("ReadWritePaths")] == [
        "ReadWritePaths=-/srv/prom",
        "ReadWritePaths=-/srv/mlc",
    ]
    units = [*desk.units.iterdir()]
    assert len(units) > 2
    accepts(units)


def test_the_write_under_way_ends_before_the_unit_is_killed(desk: Desk) -> None:
    """TimeoutStopSec is longer than the write timeout, whatever that is."""
    said = desk.tenants(tenant(sap=", timeout: {write: 900.5}")).mlc("systemd")
    assert "TimeoutStopSec=961\n" in said.out
    assert "TimeoutStartSec=18020\n" in said.out


def test_writing_says_what_is_new_changed_and_left_over(desk: Desk) -> None:
    """A second writing changes nothing; another calendar changes one file; what is no longer wanted is named and stays."""
    desk.tenants(tenant("acme", "{run: daily}"), tenant("beta", "{run: daily}"))
    first = desk.write()
    assert first.err.count("written mlc-") == 5
    assert (
        first.out
        == "systemctl daemon-reload\nsystemctl enable --now mlc-acme-run.timer mlc-beta-run.timer\nsystemctl list-timers 'mlc-*'\n"
    )
    assert {stat.S_IMODE(path.stat().st_mode) for path in desk.units.iterdir()} == {0o644}
    assert desk.write().err.count("as it was") == 5
    assert "no longer" not in desk.write("--tenant", "acme").err
    said = desk.tenants(tenant("acme", "{run: hourly}")).write()
    assert "changed mlc-acme-run.timer\n" in said.err
    assert (
        "no longer wanted mlc-beta-run.timer: systemctl disable --now mlc-beta-run.timer; rm /etc/mlc/units/mlc-beta-run.timer"
        in said.err
    )
    assert len(list(desk.units.iterdir())) == 5


@pytest.mark.parametrize("kind", ["file", "link", "folder"])
def test_a_foreign_file_is_never_touched(desk: Desk, kind: str) -> None:
    """A unit that mlc did not write, a link or a folder in its place stops the writing before anything is written."""
    foreign = desk.units / "mlc-acme-run.timer"
    if kind == "file":
        foreign.write_text("[Timer]\n")
    elif kind == "link":
        foreign.symlink_to("/dev/null")
    else:
        foreign.mkdir()
    said = desk.write()
    assert said.code == 2
    assert "was not written by mlc and stays as it is; nothing was written" in said.err
    assert list(desk.units.iterdir()) == [foreign]
    assert kind != "file" or foreign.read_text() == "[Timer]\n"


def test_a_calendar_without_passes(desk: Desk) -> None:
    """An empty calendar gives no units, and says so instead of a command that would fail."""
    said = desk.tenants(tenant(calendar="{}"), top="state: /var/lib/mlc/../other/mlc.db\n").write()
    assert (said.code, said.out, "name no pass" in said.err) == (0, "", True)
    assert (
        "ReadWritePaths=/var/lib/other\n"
        in desk.tenants(tenant(), top="state: /var/lib/mlc/../other/mlc.db\n").mlc("systemd").out
    )


def test_an_alert_of_ones_own_is_kept(desk: Desk) -> None:
    """Whoever takes the first line out of the alert has made it theirs."""
    (desk.units / "mlc-alert@.service").write_text("[Service]\nExecStart=/bin/mine\n")
    said = desk.write()
    assert (said.code, "kept mlc-alert@.service, which is yours" in said.err) == (0, True)
    assert (desk.units / "mlc-alert@.service").read_text() == "[Service]\nExecStart=/bin/mine\n"


def test_a_folder_that_is_not_there_and_names_that_are_none(desk: Desk) -> None:
    """Wrong options end with 2 and a next step."""
    for words in (
        ["--dir", "/nowhere"],
        ["--user", "a b"],
        ["--user", "x\nExecStart=y"],
        ["--command", "mlc"],
        ["--tenant", "acne"],
    ):
        said = desk.mlc("systemd", *words)
        assert (said.code, "next: " in said.err) == (2, True), words


def test_every_printed_command_is_one_that_mlc_knows(desk: Desk) -> None:
    """What a timer starts is understood: the options are those of the pass, and only the configuration is missing here."""
    names = ("post-payments", "reconcile-payouts", "sync-customers", "push-invoices", "run", "compare")
    desk.tenants(tenant(calendar=f"{{{', '.join(f'{name}: daily' for name in names)}}}", stripe=', bank_account: "1200"'))
    printed = re.findall(r"^ExecStart=/usr/local/bin/mlc (.*)", desk.mlc("systemd").out, re.MULTILINE)
    assert [line.split()[0] for line in printed] == list(names)
    for line in printed:
        done = CliRunner().invoke(app, line.replace("/etc/mlc/config.yaml", "/nowhere.yaml").split())
        assert (done.exit_code, "/nowhere.yaml" in done.stderr) == (10, True), done.stderr


def test_crontab(desk: Desk) -> None:
    """The same passes as crontab lines: weekdays beside days by a guard of plain sh, % escaped."""
    calendar = (
        '{post-payments: "*:0/5", push-invoices: "8..18:15", run: [first working day 06:00, working day 3 06:30], '
        'compare: "Sat *-1/3-* 22:00"}'
    )
    said = desk.tenants(tenant("acme", calendar)).mlc("cron")
    assert said.code == 0
    assert said.err.startswith(
        "warning: acme: sap.password, stripe.secret_key are systemd credentials, which cron cannot hand over"
    )
    compare("cli/schedule-cron", said.out)
    guarded = [line.split(" ", 5)[5].replace(r"\%", "%") for line in said.out.splitlines() if "esac" in line]
    assert len(guarded) == 5
    for line in guarded:
        assert subprocess.run(["/bin/sh", "-n", "-c", line], check=False, timeout=30).returncode == 0


REFUSED = [
    ("last working day 18:00", "cannot count days from the end"),
    ("*-*~1", "cannot count days from the end"),
    ("*:*:0/20", "whole minutes only"),
    ("2027-*-01", "knows no years"),
]


@pytest.mark.parametrize(("calendar", "why"), REFUSED)
def test_what_cron_cannot_say_is_an_error(desk: Desk, calendar: str, why: str) -> None:
    """No line near to what was meant: an error with tenant, pass, expression and reason."""
    said = desk.tenants(tenant(calendar=f'{{run: "{calendar}"}}')).mlc("cron")
    assert (said.code, said.out) == (2, "")
    assert 'acme run: "' in said.err
    assert why in said.err
    assert desk.mlc("systemd").code == 0


def test_cron_has_one_zone(desk: Desk) -> None:
    """Tenants in two zones, or a calendar in another zone than its tenant, need a crontab each."""
    desk.tenants(tenant(), tenant("beta", zone="America/New_York"))
    said = desk.mlc("cron")
    assert (said.code, "Europe/Berlin (acme run), America/New_York (beta run)" in said.err) == (2, True)
    assert "CRON_TZ=America/New_York\n" in desk.mlc("cron", "--tenant", "beta").out
    assert desk.tenants(tenant(calendar='{run: "*:0/5", compare: "22:00 UTC"}')).mlc("cron").code == 2


def test_next(desk: Desk) -> None:
    """When each pass runs next, in the tenant's zone, for people and for scripts."""
    desk.tenants(tenant("acme", BILLING), tenant("beta", '{run: "2026-10-31 06:00"}', zone="Asia/Kolkata"))
    compare("cli/schedule-next", desk.mlc("next", "--count", "2").out)
    lines = [json.loads(line) for line in desk.mlc("next", "--count", "1", "--json").out.splitlines()]
    assert {line["type"] for line in lines} == {"schedule"}
    run = next(line for line in lines if (line["tenant"], line["pass"]) == ("acme", "run"))
    assert run["next"] == ["2026-11-30T18:00:00+01:00"]
    assert lines[-1]["next"] == []


def test_reading_stripe_too_often_is_told(desk: Desk) -> None:
    """Less than five minutes between two runs that read payments is warned of, five minutes are not."""
    for calendar, warned in (
        ('{post-payments: "*:0/2"}', True),
        ("{run: minutely}", True),
        ('{run: "*:0/5"}', False),
        ('{compare: "*:0/2"}', False),
    ):
        desk.tenants(tenant(calendar=calendar))
        for command in ("next", "systemd", "cron"):
            said = desk.mlc(command)
            assert (said.code, "read allowance" in said.err) == (0, warned)


def test_the_example_units_are_what_is_printed(desk: Desk) -> None:
    """examples/ has all units as they are printed for examples/one-tenant.yaml, and no others of the kind."""
    desk.config.write_text((EXAMPLES / "one-tenant.yaml").read_text())
    assert desk.write().code == 0
    printed = {path.name: path.read_text().replace(str(desk.folder), "/etc/mlc") for path in desk.units.iterdir()}
    kept = {path.name: path.read_text() for path in EXAMPLES.glob("mlc-*.*") if path.name != "mlc-webhooks.service"}
    assert printed == kept


def test_what_starts_the_passes_cannot_have_every_key(desk: Desk) -> None:
    """A passphrase is no key for a timer, a systemd credential none for cron, and a program in /root none for another user."""
    prompt = "secrets: {store: file, key: prompt}\n"
    for words in (("systemd",), ("cron",)):
        assert "a passphrase, which no timer can type" in desk.tenants(tenant(), top=prompt).mlc(*words).err
    sealed = "secrets: {store: file, key: {systemd: mlc-master}}\n"
    assert "which cron cannot hand over" in desk.tenants(tenant(), top=sealed).mlc("cron").err
    assert "cannot hand over" not in desk.mlc("systemd").err
    assert "install mlc elsewhere" in desk.mlc("systemd", "--command", "/root/.local/bin/mlc").err
    assert "install mlc elsewhere" not in desk.mlc("systemd", "--command", "/opt/mlc/bin/mlc").err
    assert "install mlc elsewhere" not in desk.mlc("systemd", "--command", "/root/.local/bin/mlc", "--user", "root").err
