"""The examples for operators name what the code uses: events, paths, ports, secrets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mlc.cli.app import app
from mlc.sandbox.sap.subscriptions import CATALOG
from mlc.sandbox.stripe.event_names import EVENT_NAMES
from mlc.secrets import NAMES, credential_of
from mlc.systems.stripe.reads import CUSTOMER_EVENTS, EVENT_TYPES, PAYOUT_EVENTS, SUBSCRIPTION_EVENTS
from service_manager import accepts

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
ADDRESS = "127.0.0.1:8377"
CONFIGS = sorted(path.name for path in EXAMPLES.glob("*.yaml"))


def example(name: str) -> str:
    """The text of an example."""
    return (EXAMPLES / name).read_text(encoding="utf-8")


def test_the_index_names_every_example():
    """README.md of the examples lists each file that is there, and none that is not."""
    named = set(re.findall(r"`([\w@-]+\.\w+|Caddyfile)`", example("README.md"))) - {"config.example.yaml"}
    assert named == {path.name for path in EXAMPLES.iterdir()} - {"README.md"}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_configuration_says_for_whom_it_is_and_works(name):
    """It opens with its situation, is valid, and its calendar becomes units."""
    assert re.match(r"# [A-Z]\w* .*[.,:]", example(name))
    for words in (["config", "check"], ["schedule", "systemd"]):
        said = CliRunner().invoke(app, [*words, "--config", str(EXAMPLES / name)])
        assert said.exit_code == 0, said.output
        assert "read allowance" not in said.stderr  # Stripe's, which a calendar may use up


def test_the_events_to_register_are_those_that_are_used():
    """The list in webhooks.md is the code's, in its order, and Stripe has all of them."""
    listed = re.search(r"```text\n(.*?)```", example("webhooks.md"), re.DOTALL)
    assert listed
    assert listed[1].split() == [*EVENT_TYPES, *CUSTOMER_EVENTS, *SUBSCRIPTION_EVENTS, *PAYOUT_EVENTS]
    assert set(listed[1].split()) <= EVENT_NAMES


def test_the_subscription_at_sap_names_what_the_catalog_has():
    """Every object and transaction type in webhooks.md is one of the event catalog."""
    pairs = re.findall(r'"BusinessObject": "(\w+)", "TransactionType": "(\w+)"', example("webhooks.md"))
    assert pairs
    assert all(kind in CATALOG[name][1].split(",") for name, kind in pairs)


@pytest.mark.parametrize("name", ["nginx-webhooks.conf", "Caddyfile", "mlc-webhooks.service", "webhooks.md"])
def test_the_port_is_the_same_everywhere(name):
    """The receiver's address is named alike in the unit, the proxies and the page."""
    text = example(name)
    assert ADDRESS in text or "--host 127.0.0.1 --port 8377" in text
    assert set(re.findall(r"127\.0\.0\.1:(\d+)", text)) <= {"8377"}


@pytest.mark.parametrize("name", ["nginx-webhooks.conf", "Caddyfile"])
def test_the_proxies_let_the_three_paths_through(name):
    """Exactly the receiver's paths pass, without a slash at the end; /healthz does not."""
    patterns = [one for one in re.findall(r"\^/\S+\$", example(name)) if "/" in one]
    assert len(patterns) == 2
    passed = {"/stripe/acme", "/gocardless/acme_2", "/sap/acme-3"}
    assert all(any(re.fullmatch(one, path) for one in patterns) for path in passed)
    assert not any(re.fullmatch(one, path) for one in patterns for path in ("/healthz", "/stripe/acme/", "/stripe", "/x/acme"))
    assert re.search(r"2m;|2MiB", example(name))


def test_the_unit_names_secrets_as_they_are_looked_up():
    """Every credential of the unit is one that mlc looks for, under the name it looks for."""
    unit = example("mlc-webhooks.service")
    named = re.findall(r"LoadCredentialEncrypted=([^:\s]+):/etc/credstore\.encrypted/(\S+)", unit)
    assert {one for one, _ in named} == {credential_of("acme", name) for name in NAMES}
    assert all(one == file for one, file in named)
    assert "mlc webhooks serve --post" in unit


def test_the_unit_is_accepted_by_systemd(tmp_path):
    """The service manager finds nothing to complain about."""
    unit = tmp_path / "mlc-webhooks.service"
    unit.write_text(example("mlc-webhooks.service"))
    accepts([unit])
