"""The watch block: what it takes, where a tenant's own stands in its place, and that an address is never shown."""

from pathlib import Path

import pytest
import yaml

from mlc.config import Watch, redacted_dump, referred
from mlc.core.errors import ConfigError

WRONG = [
    ("watch: {ping: x}", '1:9: watch.ping: is no known key; did you mean "ping_url"?'),
    ("watch: on", "1:1: watch: must be a block of keys"),
    (
        "watch: {ping_url: http://hc.example/tok3n-of-a-check}",
        "1:9: watch.ping_url: is http; write for example https://hc-ping.com/ID",
    ),
    ("watch: {ping_url: hc.example/tok3n-of-a-check}", "1:9: watch.ping_url: is no web address; write"),
    (
        "watch: {ping_url: 'https://u:tok3n-of-a-check@hc.example/x'}",
        "1:9: watch.ping_url: has a user or password in it; write",
    ),
    ("watch: {ping_url: 'https://hc.example/x?key=tok3n-of-a-check'}", "1:9: watch.ping_url: has a ? or # part; write"),
    ("watch: {ping_url: ''}", "1:9: watch.ping_url: a literal secret stands here"),
    ("watch: {ping_url: {evn: A}}", "1:9: watch.ping_url: has a key that is none of keyring, env"),
    ("watch: {ping_url: {env: A, file: b}}", "1:9: watch.ping_url: must name exactly one place"),
    ("watch: {prometheus_dir: ''}", "1:9: watch.prometheus_dir: must not be empty"),
    ("watch: {on_failure: mail}", "1:9: watch.on_failure: must be a list"),
    ("watch: {on_failure: []}", "1:9: watch.on_failure: must be a list with at least one entry"),
]


@pytest.mark.parametrize(("line", "expected"), WRONG)
def test_a_wrong_watch_block(read, minimal, line, expected):
    """What is wrong is told by line, column and key, and never repeats an address."""
    with pytest.raises(ConfigError) as caught:
        read(f"{line}\n{minimal}")
    assert caught.value.message.startswith(f"/etc/mlc/config.yaml:{expected}")
    assert "tok3n" not in caught.value.message
    assert [line for line in caught.value.message.splitlines() if not line.startswith("    ")] == [
        caught.value.message.splitlines()[0]
    ]


def test_a_wrong_key_of_a_tenants_watch(read, minimal):
    """A tenant's own block is read as strictly."""
    with pytest.raises(ConfigError, match=r"yaml:4:7: tenants.acme.watch.prometheus: is no known key"):
        read(minimal.replace("    start_date", "    watch:\n      prometheus: x\n    start_date"))


def test_a_tenant_says_its_own(read, minimal):
    """Keys of the tenant stand in place of the common ones, null switches off, and what it does not say is common."""
    top = "watch: {ping_url: https://hc.example/all/, prometheus_dir: prom, on_failure: [mail, ops]}\n"
    own = "    watch: {ping_url: {env: A}, on_failure: null}\n    start_date"
    settings = read(top + minimal.replace("    start_date", own))
    found = settings.watch_of(settings.tenants["acme"])
    assert (found.ping_url.env, found.prometheus_dir, found.on_failure) == ("A", Path("/etc/mlc/prom"), None)
    plain = read(top + minimal)
    assert plain.watch_of(plain.tenants["acme"]) == plain.watch
    assert (plain.watch.ping_url, plain.watch.on_failure) == ("https://hc.example/all", ("mail", "ops"))
    assert read(minimal).watch == Watch()


def test_show_masks_an_address(read, minimal):
    """An address is shown without its path, a reference as it is, and what is shown loads and means the same again."""
    top = "watch: {ping_url: https://hc.example/tok3n, on_failure: [mail]}\n"
    shown = redacted_dump(read(top + minimal.replace("    start_date", "    watch: {ping_url: {env: A}}\n    start_date")))
    assert shown["watch"] == {"ping_url": "https://hc.example/***", "prometheus_dir": None, "on_failure": ["mail"]}
    assert shown["tenants"]["acme"]["watch"] == {"ping_url": {"env": "A"}}
    assert set(referred(shown)) == {"A"}
    again = read(yaml.safe_dump(shown))
    assert redacted_dump(again) == shown
    assert again.watch_of(again.tenants["acme"]).on_failure == ("mail",)


def test_the_environment(read, minimal):
    """A folder can come from the environment, an address cannot; and what on_failure commands are told is no setting."""
    assert read(minimal, MLC_WATCH__PROMETHEUS_DIR="/var/prom").watch.prometheus_dir == Path("/var/prom")
    with pytest.raises(ConfigError, match=r"MLC_WATCH__PING_URL: watch.ping_url is a secret"):
        read(minimal, MLC_WATCH__PING_URL="https://hc.example/x")
    told = {"MLC_TENANT": "acme", "MLC_COMMAND": "mlc run", "MLC_EXIT_CODE": "3", "MLC_RUN_ID": "x", "MLC_MESSAGE": "y"}
    assert read(minimal, **told).watch == Watch()
