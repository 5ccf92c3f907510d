"""Loading: search order, defaults, references, paths, environment."""

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from mlc.config import account_for, find, load, parse, redacted_dump, unsupported
from mlc.config.initfile import InitAnswers, template
from mlc.config.models import (
    GoCardless,
    Limits,
    Owners,
    RateLimit,
    Sap,
    Settings,
    Stripe,
    StripeCustomers,
    Tenant,
    Timeout,
)
from mlc.config.references import Watch
from mlc.core.errors import ConfigError, NoStateError

EXAMPLE = Path(__file__).parents[2] / "config.example.yaml"
ANSWERS = {
    "sap_url": "https://sap.acme.example:50000/b1s/v2",
    "company_db": 'SBO "A" # 1',
    "username": "mlc",
    "start_date": "2026-11-01",
}


def test_left_out_values_are_the_defaults_of_the_contract(read, both):
    """What a file leaves out has the contract's default."""
    settings = read(both)
    tenant = settings.tenants["acme"]
    assert settings.state == Path("/home/mlc/.local/state/mlc/mlc.db")
    assert (settings.secrets.store, settings.alert_after) == ("keyring", timedelta(days=3))
    assert settings.limits == Limits(max_writes=1000, max_amount={"EUR": Decimal(1000000)})
    assert (tenant.name, tenant.timezone, tenant.mode, tenant.first_run) == ("acme", "Europe/Berlin", "test", "ask")
    assert (tenant.start_date, tenant.currencies, tenant.closed_period) == (date(2026, 11, 1), {"€": "EUR"}, "hold")
    sap, stripe, gocardless = tenant.sap, tenant.stripe, tenant.gocardless
    assert (sap.page_size, sap.workers, sap.settle_seconds, sap.verify_tls, sap.claim) == (100, 1, 180, True, False)
    assert (sap.timeout, sap.marker_field, sap.installments) == (Timeout(connect=10, read=60, write=180), None, "hold")
    assert (stripe.url, stripe.rate_limit, stripe.min_days_due) == ("https://api.stripe.com", RateLimit(), 7)
    assert (stripe.delivery, stripe.refunds, stripe.webhook_secrets) == ("none", "hold", (None,))
    assert (gocardless.url, gocardless.dimensions) == ("https://api-sandbox.gocardless.com", {1: "invoice"})
    assert gocardless.invoice_keys == ("invoice", "invoice_number", "sap_doc_num", "docnum", "docentry")
    assert tenant.calendar["push-invoices"] == "*:0/15"
    assert unsupported(settings) == []


def test_values_are_read_as_what_they_mean(read, both):
    """Durations, amounts, unquoted account numbers, maps, dimensions and lists of references become typed values."""
    text = both.replace('"1361"', "1361").replace(
        "tenants:", "alert_after: 1d12h\nlimits: {max_amount: {GBP: 2500.50}}\ntenants:"
    )
    text = text.replace("    gocardless:", "      webhook_secret: [{env: A}, {file: b}]\n    gocardless:")
    text += "      dimensions: {1: invoice, 2: {customer_field: U_Region}, 3: {fixed: HQ}}\n      branches: {CR1: 2}\n"
    settings = read(text)
    tenant = settings.tenants["acme"]
    assert settings.alert_after == timedelta(days=1, hours=12)
    assert settings.limits.max_amount == {"GBP": Decimal("2500.50")}
    assert tenant.stripe.clearing_account == "1361"
    assert [(ref.kind, ref.value) for ref in tenant.stripe.webhook_secrets] == [("env", "A"), ("file", Path("/etc/mlc/b"))]
    assert tenant.gocardless.dimensions == {1: "invoice", 2: {"customer_field": "U_Region"}, 3: {"fixed": "HQ"}}
    assert tenant.gocardless.branches == {"CR1": 2}


def test_the_encrypted_file_and_its_key(read, minimal):
    """The file stands beside the state unless it is named; its key is in one of four places, and shown as it was written."""
    assert read(minimal).secrets.file == read(minimal).state.parent / "secrets.json"
    assert read(f"state: a/mlc.db\n{minimal}").secrets.file == Path("/etc/mlc/a/secrets.json")
    assert read(minimal, MLC_STATE="b/mlc.db").secrets.file == Path.cwd() / "b/secrets.json"
    for written, kind, value in (
        ("{systemd: mlc-master}", "systemd", "mlc-master"),
        ("{file: keys/a}", "file", Path("/etc/mlc/keys/a")),
        ("{command: [pass, show]}", "command", ("pass", "show")),
        ("prompt", "prompt", True),
    ):
        settings = read(f"secrets: {{store: file, file: x.json, key: {written}}}\n{minimal}")
        assert (settings.secrets.file, settings.secrets.key.kind, settings.secrets.key.value) == (
            Path("/etc/mlc/x.json"),
            kind,
            value,
        )
        shown = yaml.safe_dump(redacted_dump(settings)["secrets"]["key"])
        assert yaml.safe_load(shown) == yaml.safe_load(written.replace("keys/a", "/etc/mlc/keys/a"))


def test_an_account_is_found_by_currency():
    """A plain code serves every currency, a map only its own."""
    assert account_for("1361", "EUR") == "1361"
    assert account_for({"GBP": "1200"}, "GBP") == "1200"
    assert account_for({"GBP": "1200"}, "EUR") is None
    assert account_for(None, "EUR") is None


@pytest.mark.parametrize(
    ("written", "kept", "version"),
    [
        ("https://sap.example:50000/b1s/v1/", "https://sap.example:50000/b1s/v1", 1),
        ("https://proxy.example/prefix/b1s/v2", "https://proxy.example/prefix/b1s/v2", 2),
        ("http://localhost:8080/b1s/v2", "http://localhost:8080/b1s/v2", 2),
        ("http://[::1]:8080/b1s/v2", "http://[::1]:8080/b1s/v2", 2),
        ("http://127.9.9.9/b1s/v1", "http://127.9.9.9/b1s/v1", 1),
    ],
)
def test_sap_addresses_that_are_fine(read, minimal, written, kept, version):
    """Any host, port and prefix is taken, a trailing slash dropped, http on loopback allowed."""
    sap = read(minimal.replace("https://sap.acme.example:50000/b1s/v2", f'"{written}"')).tenants["acme"].sap
    assert (sap.url, sap.version) == (kept, version)


def test_aliases_and_merges_are_followed(read, minimal):
    """An anchor may be used again, and own keys win over merged ones."""
    second = """\
  beta:
    <<: *base
    timezone: Europe/London
    sap: {url: "https://sap.acme.example:50000/b1s/v2", company_db: SBO_BETA, username: mlc}
"""
    settings = read(minimal.replace("  acme:", "  acme: &base") + second)
    assert settings.tenants["beta"].timezone == "Europe/London"
    assert settings.tenants["beta"].sap.company_db == "SBO_BETA"
    assert settings.tenants["beta"].stripe == settings.tenants["acme"].stripe


def test_the_environment_overrides_single_values(read, both):
    """Every scalar can be overridden, key names in any case, and null unsets."""
    settings = read(
        both + "      surcharge_account: '7'\n",
        MLC_STATE="/var/other.db",
        MLC_ALERT_AFTER="12h",
        MLC_LIMITS__MAX_AMOUNT__EUR="5",
        MLC_TENANTS__acme__SAP__URL="https://other.example/b1s/v1",
        MLC_TENANTS__ACME__sap__VERIFY_TLS="false",
        MLC_TENANTS__ACME__SAP__TIMEOUT__READ="7.5",
        MLC_TENANTS__ACME__STRIPE__DELIVERY="stripe_email",
        MLC_TENANTS__ACME__STRIPE__FEE_ACCOUNT="0123",
        MLC_TENANTS__ACME__CALENDAR__PUSH_INVOICES="daily",
        MLC_TENANTS__ACME__GOCARDLESS__SURCHARGE_ACCOUNT="null",
        MLC_TENANTS__ACME__GOCARDLESS__DIMENSIONS__2="invoice",
        MLC_TENANTS__ACME__GOCARDLESS__BANK_ACCOUNT__EUR="1999",
        MLC_TENANTS__ACME__MODE="",
    )
    tenant = settings.tenants["acme"]
    assert (settings.state, settings.alert_after) == (Path("/var/other.db"), timedelta(hours=12))
    assert settings.limits.max_amount == {"EUR": Decimal(5)}
    assert (tenant.sap.version, tenant.sap.verify_tls, tenant.sap.timeout.read) == (1, False, 7.5)
    assert (tenant.stripe.delivery, tenant.stripe.fee_account, tenant.calendar) == (
        "stripe_email",
        "0123",
        {"push-invoices": "daily"},
    )
    assert tenant.gocardless.surcharge_account is None
    assert tenant.gocardless.dimensions == {2: "invoice"}
    assert tenant.gocardless.bank_account == {"GBP": "1200", "EUR": "1999", "BA123": "1220"}


def test_the_variable_of_a_reference_is_no_setting(read, minimal):
    """A secret's variable may begin with MLC_, and a reference may itself be named by the environment."""
    text = minimal.replace("    stripe:\n", "    stripe:\n      secret_key: {env: MLC_KEY}\n")
    environ = {"MLC_KEY": "k", "MLC_PW": "p", "MLC_TENANTS__ACME__SAP__PASSWORD__ENV": "MLC_PW"}
    tenant = read(text, **environ).tenants["acme"]
    assert tenant.stripe.secret_key.env == "MLC_KEY"
    assert (tenant.sap.password.kind, tenant.sap.password.value) == ("env", "MLC_PW")
    replaced = read(text, MLC_KEY="k", MLC_TENANTS__ACME__STRIPE__SECRET_KEY__FILE="/run/key").tenants["acme"]
    assert (replaced.stripe.secret_key.kind, replaced.stripe.secret_key.value) == ("file", Path("/run/key"))


def test_relative_paths_start_where_they_were_written(read, minimal, monkeypatch, tmp_path):
    """A relative path starts at the file's folder, one from a variable at the working directory, ~ at home."""
    monkeypatch.chdir(tmp_path)
    assert read("state: here.db\n" + minimal).state == Path("/etc/mlc/here.db")
    assert read("state: ~/here.db\n" + minimal).state == Path("/home/mlc/here.db")
    assert read(minimal, MLC_STATE="here.db").state == tmp_path / "here.db"


def test_the_search_order(minimal, monkeypatch, tmp_path):
    """--config wins over $MLC_CONFIG, that over ./config.yaml, that over the home directory."""
    home, work = tmp_path / "home", tmp_path / "work"
    places = [tmp_path / "a.yaml", tmp_path / "b.yaml", work / "config.yaml", home / ".config/mlc/config.yaml"]
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(minimal)
    monkeypatch.chdir(work)
    environ = {"HOME": str(home)}
    assert find(places[0], {**environ, "MLC_CONFIG": str(places[1])}) == places[0]
    assert find(None, {**environ, "MLC_CONFIG": str(places[1])}) == places[1]
    assert find(None, environ) == Path("config.yaml")
    places[2].unlink()
    assert find(None, environ) == places[3]
    assert load(None, environ).source == places[3]


def test_no_configuration_is_exit_10(monkeypatch, tmp_path):
    """Without a file, or with a named one that is not there, the answer is `mlc init` and exit 10."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mlc.config.loader._exists", lambda path: False)
    for path, environ in ((None, {"HOME": "/nowhere"}), (Path("x.yaml"), {}), (None, {"MLC_CONFIG": "x.yaml"})):
        with pytest.raises(NoStateError) as caught:
            load(path, environ)
        assert caught.value.exit_code == 10
        assert "mlc init" in caught.value.hint


def test_a_folder_in_place_of_the_file_is_told(tmp_path):
    """What is there and cannot be read is exit 2, not a silent step to the next place."""
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path, {})


def test_tenants_are_selected_by_name(read, minimal):
    """No name means all, an unknown one is an error with a suggestion."""
    settings = read(minimal)
    assert [tenant.name for tenant in settings.select([])] == ["acme"]
    assert [tenant.name for tenant in settings.select(["acme", "acme"])] == ["acme"]
    with pytest.raises(ConfigError, match='did you mean "acme"'):
        settings.select(["acne"])


def test_show_gives_everything_in_force_and_loads_again(read, both):
    """What `config show` prints is plain data with references only, and means the same when it is loaded."""
    text = both.replace("      username: mlc\n", "      username: mlc\n      password: {command: [echo, sk_live_oops]}\n")
    with pytest.raises(ConfigError, match="literal secret"):
        read(text)
    text = text.replace("sk_live_oops", "x").replace("    gocardless:\n", "    gocardless:\n      webhook_secret: {env: W}\n")
    settings = read(text)
    shown = redacted_dump(settings)
    assert shown["tenants"]["acme"]["sap"]["password"] == {"command": ["echo", "x"]}
    assert shown["tenants"]["acme"]["gocardless"]["webhook_secret"] == {"env": "W"}
    assert (shown["alert_after"], shown["tenants"]["acme"]["start_date"]) == ("3d", "2026-11-01")
    assert redacted_dump(read(yaml.safe_dump(shown))) == shown


def test_the_example_loads_and_names_every_key():
    """config.example.yaml loads as it is, and no key of any block is missing in it."""
    settings = load(EXAMPLE, {"HOME": "/home/mlc"})
    assert settings.tenants["acme"].stripe is not None
    text = EXAMPLE.read_text()
    for model in (Settings, Limits, Tenant, Sap, Timeout, Stripe, StripeCustomers, Owners, RateLimit, GoCardless, Watch):
        for key in model.model_fields:
            assert f"{key}:" in text, key


def test_the_commented_block_of_the_example_loads(read):
    """The GoCardless block of the example is right once the # are taken out."""
    lines = [line.replace("    # ", "    ", 1) if line.startswith(("    #   ", "    # gocardless:")) else line
             for line in EXAMPLE.read_text().splitlines()]  # fmt: skip
    gocardless = read("\n".join(lines)).tenants["acme"].gocardless
    assert gocardless.access_token.env == "ACME_GC_TOKEN"
    assert gocardless.dimensions[3] == {"fixed": "HQ"}


@pytest.mark.parametrize("secrets", ["keyring", "file", "env", "systemd"])
@pytest.mark.parametrize(("stripe", "gocardless"), [(True, False), (False, True), (True, True)])
def test_what_init_writes_loads(read, secrets, stripe, gocardless):
    """Every combination of answers gives a file that loads and says what was answered."""
    answers = InitAnswers(
        **ANSWERS,
        tenant="acme-2",
        secrets=secrets,
        stripe=stripe,
        gocardless=gocardless,
        state="/var/mlc.db",
        stripe_accounts={"clearing_account": "0123", "suspense_account": "9"},
        gocardless_accounts={"unallocated_account": "8"},
    )
    text = template(answers)
    tenant = read(text).tenants["acme-2"]
    assert tenant.sap.company_db == 'SBO "A" # 1'
    assert (tenant.stripe is not None, tenant.gocardless is not None) == (stripe, gocardless)
    if stripe:
        assert (tenant.stripe.clearing_account, tenant.stripe.suspense_account) == ("0123", "9")
    if gocardless:
        assert (tenant.gocardless.unallocated_account, tenant.gocardless.vat_account) == ("8", None)
    if secrets == "env":
        assert tenant.sap.password.env == "ACME_2_SAP_PASSWORD"
    else:
        assert tenant.sap.password is None


def test_init_for_the_sandbox_and_for_nothing(read):
    """Loopback addresses and TLS answers are written down; a tenant without a processor is refused."""
    url = "http://127.0.0.1:8765"
    answers = {**ANSWERS, "sap_url": f"{url}/b1s/v2", "verify_tls": False, "stripe_url": f"{url}/stripe", "gocardless": True}
    tenant = read(template(InitAnswers(**answers, gocardless_url=f"{url}/gocardless"))).tenants["acme"]
    assert (tenant.sap.verify_tls, tenant.stripe.url, tenant.gocardless.url) == (False, f"{url}/stripe", f"{url}/gocardless")
    assert read(template(InitAnswers(**ANSWERS, ca_bundle="/etc/ca.pem"))).tenants["acme"].sap.ca_bundle == Path("/etc/ca.pem")
    with pytest.raises(ConfigError):
        template(InitAnswers(**ANSWERS, stripe=False))


def test_a_folder_that_may_not_be_looked_into_is_passed_by(tmp_path, monkeypatch):
    """Who runs in a folder that is closed to him finds the configuration of the next place; a named one is an error."""
    real = Path.exists

    def exists(path):
        if str(path) == "config.yaml":
            raise PermissionError(13, "Permission denied")
        return real(path)

    (tmp_path / ".config/mlc").mkdir(parents=True)
    (tmp_path / ".config/mlc/config.yaml").touch()
    monkeypatch.setattr(Path, "exists", exists)
    assert find(None, {"HOME": str(tmp_path)}) == tmp_path / ".config/mlc/config.yaml"
    with pytest.raises(ConfigError, match="cannot be read"):
        find(Path("config.yaml"), {"HOME": str(tmp_path)})


def test_a_variable_of_somebody_else_is_left_alone_but_a_misspelled_one_is_not() -> None:
    """MLC_FOO is nobody's business of ours; MLC_STAT is a misspelled MLC_STATE and an error that names it."""
    text = b"""
tenants:
  acme:
    start_date: 2026-11-01
    sap: {url: "http://127.0.0.1:1/b1s/v2", company_db: A, username: u}
    stripe: {clearing_account: "1361"}
"""
    assert parse(text, Path("c.yaml"), {"MLC_FOO": "1"}).tenants
    with pytest.raises(ConfigError, match="MLC_STAT"):
        parse(text, Path("c.yaml"), {"MLC_STAT": "/var/x.db"})


def test_a_calendar_takes_one_expression_or_several(read, minimal):
    """A pass is due by one expression or a list of them, and both are shown as they were written."""
    text = minimal + "    calendar: {run: [first working day 06:00, '*:0/15'], compare: daily}\n"
    settings = read(text)
    assert settings.tenants["acme"].calendar == {"run": ("first working day 06:00", "*:0/15"), "compare": "daily"}
    shown = redacted_dump(settings)["tenants"]["acme"]["calendar"]
    assert shown == {"run": ["first working day 06:00", "*:0/15"], "compare": "daily"}
