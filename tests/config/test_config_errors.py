"""Every trouble with a configuration: where it is said to be, and what is said."""

import pytest

from mlc.config import rules
from mlc.core.errors import ConfigError

PATH = "/etc/mlc/config.yaml"
SAP_URL = "https://sap.acme.example:50000/b1s/v2"


def lines_of(read, text, **environ):
    """Return the lines of the error that a text gives, without the lines of the file that stand below them."""
    with pytest.raises(ConfigError) as caught:
        read(text, **environ)
    assert caught.value.exit_code == 2
    return [line for line in caught.value.message.splitlines() if not line.startswith("    ")]


FILES = [
    ("", "1:1: the file is empty"),
    ("# nothing\n", "1:1: the file is empty"),
    ("- a\n", "1:1: must be keys and values"),
    ("just text\n", "1:1: must be keys and values"),
    ("state: x\n\tsecrets: y\n", "2:1: a tab stands"),
    ("alert_after: 3d\nstate: 'x\n", "2:8: is no YAML"),
    ("state: [a\nsecrets: b\n", "2:8: is no YAML"),
    (b"state: caf\xe9\n", "1:11: is not UTF-8"),
    (b"a: 1\nb: \x01\n", "2:4: has a control character"),
    ("a: 1\n---\nb: 2\n", "2:1: a second document begins"),
    ("state: *nobody\n", "1:8: an alias (*) refers to nothing"),
    ('state: "\\UFFFFFFFF"\n', "1:1: has an escape"),
    ("[" * 9000, "1:1: is nested too deeply"),
    ("state: a\nstate: b\n", "2:1: state: stands here a second time (first in line 1)"),
    ("state: !path x\n", "1:8: state: has a YAML tag"),
    ("state: !!set {x}\n", "1:8: state: has a YAML tag"),
    ("? [a, b]\n: c\n", "1:3: a key must be a single word"),
    ("state: &a [*a]\n", "1:8: state.0: an alias refers to what it stands in"),
    ("<<: 3\n", "1:5: << must name a map"),
    ("a: &a\n  <<: *a\n", "1:4: a: << must name a map"),
    ("state: x\n", "1:1: tenants: is required and missing"),
    ("tenants: {}\n", "1:1: tenants: is empty"),
    ("tenants: [a]\n", "1:1: tenants: must be a block of keys"),
    ("tenants:\n  acme:\n", "2:3: tenants.acme: must be a block of keys"),
    ("tenants:\n  a/b: {}\n", "2:3: tenants.a/b: is no tenant name"),
    ("tenants:\n  a__b: {}\n", "2:3: tenants.a__b: is no tenant name"),
    ('"a\\nb": 1\n', "1:1: 'a\\nb': is no known key"),
]


@pytest.mark.parametrize(("text", "expected"), FILES)
def test_a_file_that_is_no_configuration(read, text, expected):
    """Syntax and structure are named by line and column."""
    assert any(line.startswith(f"{PATH}:{expected}") for line in lines_of(read, text))


TOP = [
    ("statt: x", '1:1: statt: is no known key; did you mean "state"?'),
    ("state: ''", "1:1: state: must not be empty"),
    ("state: null", "1:1: state: must be text"),
    ("alert_after: 3", "1:1: alert_after: must be a duration"),
    ("alert_after: 3days", "1:1: alert_after: must be a duration"),
    ("secrets: keyring", "1:1: secrets: must be a block"),
    ("secrets: {store: vault}", "1:11: secrets.store: must be one of 'keyring', 'file' or 'systemd'"),
    ("secrets: {key: c2VjcmV0}", "1:11: secrets.key: must be {systemd: mlc-master}, {file: PATH}, {command: [...]} or prompt"),
    ("secrets: {key: {file: a, systemd: b}}", "1:11: secrets.key: must name exactly one place"),
    ("secrets: {key: {systemd: a/b}}", "1:17: secrets.key.systemd: is no credential name"),
    ("limits: {max_writes: 0}", "1:10: limits.max_writes: must be at least 1"),
    ("limits: {max_writes: yes}", "1:10: limits.max_writes: must be a number"),
    ("limits: {max_writes: many}", "1:10: limits.max_writes: must be a whole number"),
    ("limits: {max_amount: {eur: 5}}", "1:23: limits.max_amount.eur: must be a currency code"),
    ("limits: {max_amount: {EUR: 1e6}}", "1:23: limits.max_amount.EUR: must be an amount"),
    ("limits: {max_amount: {EUR: -1}}", "1:23: limits.max_amount.EUR: must be an amount"),
    ("limits: {max_amount: 5}", "1:10: limits.max_amount: must be a block"),
]


@pytest.mark.parametrize(("line", "expected"), TOP)
def test_a_wrong_value_at_the_top(read, minimal, line, expected):
    """Values outside of the tenants are named by line, column and key."""
    found = lines_of(read, f"{line}\n{minimal}")
    assert len(found) == 1
    assert found[0].startswith(f"{PATH}:{expected}")
    assert ";" in found[0]


TENANT = [
    ("timezone: Europe/Berln", 'timezone: is no known time zone; did you mean "Europe/Berlin"?'),
    ("timezone: Europe", "timezone: is no known time zone"),
    ("timezone: ../../etc/passwd", "timezone: is no known time zone"),
    ("mode: prod", "mode: must be one of 'test' or 'live'"),
    ("first_run: 1", "first_run: must be one of"),
    ("closed_period: open", "closed_period: must be one of"),
    ("currencies: {'€': Euro}", "currencies.€: must be a currency code"),
    ("calendar: {push: daily}", "calendar.push: must be one of"),
    ("calendar: {run: }", "calendar.run: must be text"),
    ("start-date: 2026-11-01", 'start-date: is no known key; did you mean "start_date"?'),
    ("name: acme", "name: is no known key"),
    ("calendar: {run: dayly}", 'calendar.run: "dayly" has "dayly", which is no weekday or shorthand; did you mean "daily"?'),
    ("calendar: {run: '*:*/5'}", 'calendar.run: "*:*/5" has "*/5" as the minute; a step begins at a number: write 0/5'),
    ("calendar: {run: [daily, 'Mon 25:00']}", 'calendar.run.1: "Mon 25:00" has "25" as the hour; hours go from 0 to 23'),
    ("calendar: {run: []}", "calendar.run: must be a list with at least one entry"),
    (
        "calendar: {run: 'daily Europe/Berln'}",
        'calendar.run: "daily Europe/Berln" is no known time zone; did you mean "Europe/Berlin"',
    ),
    ("calendar: {run: first working monday}", 'calendar.run: "first working monday" is no working day of the month; write'),
    ("calendar: {run: 7:30}", "calendar.run: YAML reads this as another number"),
]


@pytest.mark.parametrize(("line", "expected"), TENANT)
def test_a_wrong_value_of_a_tenant(read, minimal, line, expected):
    """Values of a tenant are named by line, column and key."""
    found = lines_of(read, minimal.replace("    start_date", f"    {line}\n    start_date"))
    assert len(found) == 1
    assert found[0].startswith(f"{PATH}:3:")
    assert f": tenants.acme.{expected}" in found[0]


def test_a_wrong_entry_of_a_calendar_is_named_by_its_own_line(read, minimal):
    """In a list of expressions the wrong one is told with its line and column."""
    found = lines_of(read, minimal + "    calendar:\n      run:\n        - daily\n        - dayly\n")
    assert found == [
        f'{PATH}:15:11: tenants.acme.calendar.run.1: "dayly" has "dayly", which is no weekday or shorthand; did you mean "daily"?'
    ]


@pytest.mark.parametrize("day", ["2026-11-31", "1761955200", "01.11.2026", "2026-11-01T10:00:00", "yes"])
def test_a_start_date_is_a_day(read, minimal, day):
    """Only a day in ISO form is a start date; nothing is guessed."""
    found = lines_of(read, minimal.replace("2026-11-01", day))
    assert found[0].startswith(f"{PATH}:3:5: tenants.acme.start_date: ")
    assert lines_of(read, minimal.replace("    start_date: 2026-11-01\n", "")) == [
        f"{PATH}:2:3: tenants.acme.start_date: is required and missing; add it"
    ]


SAP_URLS = [
    ("http://sap.acme.example/b1s/v2", "is http; write https"),
    ("http://localhost.evil.example/b1s/v2", "is http; write https"),
    ("http://127.0.0.1.evil.example/b1s/v2", "is http; write https"),
    ("https://sap.acme.example:50000", "must end in /b1s/v1 or /b1s/v2"),
    ("https://sap.acme.example/b1s/v3", "must end in /b1s/v1 or /b1s/v2"),
    ("https://sap.acme.example/b1s/v2?x=1", "has a ? or # part"),
    ("https://mlc:hunter2@sap.acme.example/b1s/v2", "has a user or password in it"),
    ("https://sap.acme.example:99999/b1s/v2", "is no web address"),
    ("ftp://sap.acme.example/b1s/v2", "is no web address"),
    ("https:///b1s/v2", "is no web address"),
    ("https://sap acme/b1s/v2", "is no web address"),
]


@pytest.mark.parametrize(("url", "expected"), SAP_URLS)
def test_a_wrong_sap_address(read, minimal, url, expected):
    """The Service Layer's address is https with the right end, and no password is ever shown."""
    found = lines_of(read, minimal.replace(SAP_URL, f"'{url}'"))
    assert found[0].startswith(f"{PATH}:5:7: tenants.acme.sap.url: {expected}")
    assert "hunter2" not in found[0]


SAP = [
    ("page_size: 0", "page_size: must be at least 1"),
    ("workers: 33", "workers: must be at most 32"),
    ("workers: 1.5", "workers: must be a whole number"),
    ("settle_seconds: -1", "settle_seconds: must be at least 0"),
    ("settle_seconds: no", "settle_seconds: must be a number"),
    ("timeout: {read: 0}", "timeout.read: must be greater than 0"),
    ("timeout: {raed: 1}", 'timeout.raed: is no known key; did you mean "read"?'),
    ("marker_field: Mlc", "marker_field: is no user field"),
    ("claim: maybe", "claim: must be true or false"),
    ("claim: true", "claim: the claim table comes with a later version; set claim: false"),
    ("ca_bundle: 'ca.pem '", "ca_bundle: begins or ends with a space"),
    ("passwort: hunter2", 'passwort: is no known key; did you mean "password"?'),
]


@pytest.mark.parametrize(("line", "expected"), SAP)
def test_a_wrong_value_of_sap(read, minimal, line, expected):
    """Values of the SAP block are named by line, column and key."""
    found = lines_of(read, minimal.replace("      username", f"      {line}\n      username"))
    assert len(found) == 1
    assert found[0].startswith(f"{PATH}:7:")
    assert f"tenants.acme.sap.{expected}" in found[0]
    assert "hunter2" not in found[0]


def test_certificates_are_checked_in_one_way(read, minimal):
    """A ca_bundle and verify_tls: false contradict each other."""
    found = lines_of(read, minimal.replace("      username", "      ca_bundle: a\n      verify_tls: false\n      username"))
    assert found == [
        f"{PATH}:8:7: tenants.acme.sap.verify_tls: is false beside a ca_bundle; keep ca_bundle and take verify_tls out"
    ]


STRIPE = [
    ("url: http://api.stripe.com", "url: is not the host of mode test"),
    ("url: https://stripe.evil.example", "url: is not the host of mode test; write https://api.stripe.com"),
    ("url: https://api.stripe.com/v1", "url: is not the host of mode test"),
    ("suspense_account: 0123", "suspense_account: YAML reads this as another number"),
    ("suspense_account: 0x10", "suspense_account: YAML reads this as another number"),
    ("suspense_account: 1_0", "suspense_account: YAML reads this as another number"),
    ("suspense_account: yes", "suspense_account: must be text; put it in quotes"),
    ("suspense_account: {}", "suspense_account: is an empty map"),
    ("suspense_account: {Euro: '1'}", "suspense_account: has a key that is no currency code"),
    ("suspense_account: {BA1: '1'}", "suspense_account: has a key that is no currency code"),
    ("rate_limit: {total: 0}", "rate_limit.total: must be greater than 0"),
    ("rate_limit: {total: inf}", "rate_limit.total: must be a finite number"),
    ("on_unmatched: park", "on_unmatched: must be one of 'hold' or 'on_account'"),
    ("webhook_secret: []", "webhook_secret: is an empty list"),
    ("secret_key: {}", "secret_key: must name exactly one place"),
    ("secret_key: {env: A, file: b}", "secret_key: must name exactly one place"),
    ("secret_key: {env: 'not-a-name'}", "secret_key.env: is no name of an environment variable"),
    ("secret_key: {systemd: a/b}", "secret_key.systemd: is no credential name"),
    ("secret_key: {command: pass show x}", "secret_key.command: must be a list"),
    ("secret_key: {command: []}", "secret_key.command: must be a list"),
    ("customers: {owner: {email: both}}", "customers.owner.email: must be one of 'merge', 'sap' or 'stripe'"),
    ("customers: {series: 70}", "customers.series: cannot be used"),
    ("customers: {card_code_prefix: TOOLONG}", "customers.card_code_prefix: must be"),
    ("customers: {hold_field: Frozen}", "customers.hold_field: is no user field"),
]


@pytest.mark.parametrize(("line", "expected"), STRIPE)
def test_a_wrong_value_of_stripe(read, minimal, line, expected):
    """Values of the Stripe block are named by line, column and key."""
    found = lines_of(read, minimal.replace("      clearing_account", f"      {line}\n      clearing_account"))
    assert len(found) == 1
    assert found[0].startswith(f"{PATH}:9:")
    assert f"tenants.acme.stripe.{expected}" in found[0]


GOCARDLESS = [
    ("url: https://api.gocardless.com", "url: is not the host of mode test; write https://api-sandbox.gocardless.com"),
    ("on_unmatched: park", "on_unmatched: is park, but there is no unallocated_account"),
    ("vat_account: {BA1: '1'}", "vat_account: has a key that is no currency code"),
    ("branches: {X1: 2}", "branches.X1: must be the id of a creditor"),
    ("branches: {CR1: 0}", "branches.CR1: must be at least 1"),
    ("invoice_keys: docnum", "invoice_keys: must be a list"),
    ("invoice_keys: []", "invoice_keys: must be a list"),
    ("invoice_pattern: '[0-9'", "invoice_pattern: is no regular expression"),
    ("invoice_pattern: '\\d*'", "invoice_pattern: also matches nothing at all"),
    ("dimensions: {6: invoice}", "dimensions.6: must be at most 5"),
    ("dimensions: {one: invoice}", "dimensions.one: must be a whole number"),
    ("dimensions: {1: payment}", "dimensions.1: must be invoice"),
    ("dimensions: {1: {fixed: }}", "dimensions.1: must be text"),
]


@pytest.mark.parametrize(("line", "expected"), GOCARDLESS)
def test_a_wrong_value_of_gocardless(read, both, line, expected):
    """Values of the GoCardless block are named by line, column and key."""
    found = lines_of(read, f"{both}      {line}\n")
    assert len(found) == 1
    assert found[0].startswith(f"{PATH}:15:")
    assert f"tenants.acme.gocardless.{expected}" in found[0]


def test_a_tenant_without_a_processor(read, minimal):
    """A tenant needs stripe, gocardless, or both."""
    found = lines_of(read, minimal[: minimal.index("    stripe")])
    assert found == [f"{PATH}:2:3: tenants.acme: has neither stripe nor gocardless; add one of the two blocks"]


def test_simulators_are_for_mode_test_only(read, both):
    """Loopback and plain http are fine in test and refused in live, with a hostless block taking the live host by itself."""
    text = both.replace("    stripe:\n", "    stripe:\n      url: http://127.0.0.1:9/s\n")
    assert read(text).tenants["acme"].stripe.url == "http://127.0.0.1:9/s"
    live = both.replace("    start_date", "    mode: live\n    start_date")
    found = lines_of(read, text.replace("    start_date", "    mode: live\n    start_date"))
    assert len(found) == 1
    assert found[0].startswith(f"{PATH}:10:7: tenants.acme.stripe.url: points to this machine")
    local = "https://127.0.0.1:50000/b1s/v2"  # a tunnel
    assert read(live.replace(SAP_URL, local)).tenants["acme"].gocardless.url == "https://api.gocardless.com"
    found = lines_of(
        read, live.replace(SAP_URL, local.replace("https", "http")) + "      url: https://api-sandbox.gocardless.com\n"
    )
    assert "tenants.acme.sap.url: is http, which is allowed in mode test only" in found[0]
    assert "tenants.acme.gocardless.url: is not the host of mode live; write https://api.gocardless.com" in found[1]


def test_a_part_can_be_refused_in_live_alone(read, minimal, monkeypatch):
    """A part that cannot undo what it starts with money names itself in one list, and only mode live refuses it then."""
    text = minimal.replace("    stripe:\n", "    stripe:\n      delivery: stripe_email\n")
    live = text.replace("    start_date", "    mode: live\n    start_date")
    assert read(live).tenants["acme"].mode == "live"
    monkeypatch.setattr(rules, "NOT_LIVE", [(("stripe", "delivery"), ("stripe_email",), "is not for mode live; set none")])
    assert read(text).tenants["acme"].stripe.delivery == "stripe_email"
    assert lines_of(read, live) == [f"{PATH}:10:7: tenants.acme.stripe.delivery: is not for mode live; set none"]


LITERALS = [
    ("sap", "password: hunter2hunter2"),
    ("sap", "password: 12345678"),
    ("sap", "password: true"),
    ("sap", "password: [hunter2]"),
    ("sap", "password: {hunter2: }"),
    ("sap", "password: *hunter2"),
    ("sap", "password: !hunter2 x"),
    ("sap", "password: 'hunter2"),
    ("sap", 'password: "hunter2" hunter2'),
    ("sap", "password: {env: hunter2-}"),
    ("sap", "company: sk_test_hunter2"),
    ("sap", "sk_test_hunter2: company"),
    ("stripe", "secret_key: sk_test_hunter2"),
    ("stripe", "secret_key: {env: sk_test_hunter2}"),
    ("stripe", "secret_key: {command: [echo, rk_live_hunter2]}"),
    ("stripe", "webhook_secret: [whsec_hunter2]"),
    ("stripe", "webhook_secret: whsec_hunter2"),
    ("stripe", f"delivery: live_{'hunter2' * 6}"),
]


@pytest.mark.parametrize(("block", "line"), LITERALS)
def test_a_literal_secret_is_refused_and_never_shown(read, minimal, block, line):
    """A secret in the file is an error in its own line, and the value is nowhere in the message."""
    after = f"    {block}:\n"
    with pytest.raises(ConfigError) as caught:
        read(minimal.replace(after, f"{after}      {line}\n"))
    row = minimal[: minimal.index(after)].count("\n") + 2
    assert "hunter2" not in f"{caught.value.message}{caught.value.hint}{caught.value!r}"
    assert "12345678" not in caught.value.message
    assert caught.value.__cause__ is None
    assert f"{PATH}:{row}:" in caught.value.message or f"{PATH}:{row + 1}:" in caught.value.message


def test_a_literal_secret_is_said_to_be_one(read, minimal):
    """The message says that a literal secret stands there and what to write in its place, once."""
    found = lines_of(read, minimal.replace("    stripe:\n", "    stripe:\n      secret_key: sk_test_abc\n"))
    assert len(found) == 1
    assert found[0].startswith(f"{PATH}:9:7: tenants.acme.stripe.secret_key: a literal secret stands here")
    assert "{env: NAME}" in found[0]


def test_all_errors_are_told_at_once_in_the_order_of_the_file(read, minimal):
    """Unknown keys, wrong values, later features and variables stand in one message, sorted by place."""
    text = minimal.replace("    stripe:\n", "      claim: true\n    stripe:\n      refunds: book\n      colour: red\n")
    text = text.replace("2026-11-01", "never")
    found = lines_of(read, text, MLC_STAET="x")
    assert [line.split(" ")[0] for line in found] == [
        f"{PATH}:3:5:", f"{PATH}:8:7:", f"{PATH}:11:7:", "MLC_STAET:",
    ]  # fmt: skip


ENVIRON = [
    ("MLC_STAT", "x", 'there is no setting "stat" here; did you mean "state"?'),
    ("MLC_ALERT_AFTER", "soon", "alert_after: must be a duration"),
    ("MLC_LIMITS", "5", "limits is a block; add __ and one of max_writes"),
    ("MLC_LIMITS__MAX_WRITES", "none", "limits.max_writes: must be a whole number"),
    ("MLC_STATE__PATH", "x", "state is a single value without parts"),
    ("MLC_TENANTS__OTHER__MODE", "test", 'there is no setting "other" here'),
    ("MLC_TENANTS__ACME__MODE", "prod", "tenants.acme.mode: must be one of"),
    ("MLC_TENANTS__ACME__SAP__CLAIM", "true", "tenants.acme.sap.claim: the claim table"),
    ("MLC_TENANTS__ACME__SAP__PASSWORD", "hunter2", "tenants.acme.sap.password is a secret; write password: {env: NAME}"),
    ("MLC_TENANTS__ACME__STRIPE__WEBHOOK_SECRET", "hunter2", "tenants.acme.stripe.webhook_secret is a secret"),
    ("MLC_TENANTS__ACME__SAP__COMPANY_DB", "sk_live_hunter2", "its value looks like a secret"),
    ("MLC_TENANTS__ACME__SAP__PASSWORD__ENV", "no-name", "tenants.acme.sap.password.env: is no name of an environment"),
    ("MLC_TENANTS__ACME__STRIPE__FEE_ACCOUNT__EUR", "1", "tenants.acme.stripe.fee_account is a single value in the file"),
    ("MLC_TENANTS__ACME__STRIPE__URL", "https://x.example", "tenants.acme.stripe.url: is not the host"),
]


@pytest.mark.parametrize(("variable", "value", "expected"), ENVIRON)
def test_an_error_from_the_environment_names_the_variable(read, minimal, variable, value, expected):
    """A wrong override is told by its variable, without a line and without its value."""
    found = lines_of(read, minimal, **{variable: value})
    assert len(found) == 1
    assert found[0].startswith(f"{variable}: {expected}")
    assert "hunter2" not in found[0]


def test_two_variables_for_one_value(read, minimal):
    """Two spellings of one key contradict each other, and an ambiguous tenant must be spelled out."""
    found = lines_of(read, minimal, MLC_STATE="a", MLC_state="b")
    assert found == ["MLC_state: sets the same as MLC_STATE; keep one of the two"]
    two = minimal.replace("  acme:", "  acme-x: &a") + "  acme_x:\n    <<: *a\n"
    found = lines_of(read, two.replace("SBO_ACME", "A"), MLC_TENANTS__ACME_X__MODE="test")
    assert found == ["MLC_TENANTS__ACME_X__MODE: could mean acme-x or acme_x; spell it as the file does"]


def two_tenants(minimal, first, second, url="https://SAP.acme.example:50000/b1s/v1", company="SBO_ACME"):
    """Return two tenants with the given Stripe keys, the second with another spelling of the same company."""
    head = minimal.replace("    stripe:\n", f"    stripe:\n      secret_key: {first}\n")
    other = head[head.index("  acme:") :].replace("  acme:", "  beta:").replace(first, second)
    return head + other.replace(SAP_URL, url).replace("SBO_ACME", company)


def test_two_tenants_on_the_same_books_are_refused(read, minimal):
    """The same company with the same processor account is an error however the address is spelled."""
    found = lines_of(read, two_tenants(minimal, "{env: KEY}", "{env: KEY}"))
    assert len(found) == 1
    expected = "tenants.beta: is the same company and the same stripe account as tenant acme; keep one of the two tenants"
    assert found[0] == f"{PATH}:13:3: {expected}"


@pytest.mark.parametrize(
    ("first", "second", "company"),
    [
        ("{env: KEY}", "{env: OTHER}", "SBO_ACME"),
        ("{env: KEY}", "{env: KEY}", "SBO_BETA"),
        ("{keyring: KEY}", "{keyring: KEY}", "SBO_ACME"),
    ],
)
def test_two_tenants_that_may_stand_side_by_side(read, minimal, first, second, company):
    """Another key, another company or a key of the tenant's own in the keyring is no double."""
    assert len(read(two_tenants(minimal, first, second, company=company)).tenants) == 2
