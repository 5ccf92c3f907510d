"""The JSON Schema for editors takes what mlc takes and marks what is unknown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from mlc.cli.app import app
from mlc.config.editor import editor_schema

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = [ROOT / "config.example.yaml", *sorted((ROOT / "examples").glob("*.yaml"))]
CHECKER = Draft202012Validator(editor_schema())


def typed(path: Path) -> Any:
    """Read a configuration with figures and truths as what they are, and keys as texts."""
    return json.loads(json.dumps(yaml.safe_load(path.read_text(encoding="utf-8")), default=str))


def test_the_command_prints_a_valid_schema() -> None:
    """`mlc config schema` prints one JSON document that is itself a valid schema, without noise."""
    said = CliRunner().invoke(app, ["config", "schema"])
    assert said.exit_code == 0
    made = json.loads(said.stdout)
    Draft202012Validator.check_schema(made)
    assert made["properties"]["alert_after"]["default"] == "3d"
    assert made["$defs"]["Stripe"]["properties"]["refunds"]["enum"] == ["hold", "book"]
    assert "title" not in made["$defs"]["Stripe"]["properties"]["refunds"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_valid(path: Path) -> None:
    """What stands in the examples is marked nowhere."""
    assert [error.message for error in CHECKER.iter_errors(typed(path))] == []


@pytest.mark.parametrize(
    ("change", "valid"),
    [
        ({"clearing_account": {"EUR": "1361", "GBP": "1363"}}, True), ({"webhook_secret": {"env": "A"}}, True),
        ({"webhook_secret": [{"env": "A"}, {"file": "/b"}]}, True), ({"webhook_secret": []}, False), ({"webhook_secret": "whsec_x"}, False),
        ({"refunds": "maybe"}, False), ({"secret_keyy": {"env": "A"}}, False), ({"clearing_account": 1361}, False),
    ],
)  # fmt: skip
def test_what_is_wrong_is_marked(change: dict[str, Any], *, valid: bool) -> None:
    """Unknown keys, unknown choices, literal secrets and accounts without quotes are marked; the short and the long forms are not."""
    data = typed(ROOT / "config.example.yaml")
    data["tenants"]["acme"]["stripe"] |= change
    assert (list(CHECKER.iter_errors(data)) == []) is valid
