"""The simulator's own property tables against SAP's published names, types and lengths."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mlc.sandbox.sap import SapSwitches
from mlc.sandbox.sap.schema import Schema
from mlc.sandbox.sap.tables import ENUMS

WIRE = Path(__file__).resolve().parents[3] / "shared" / "wire" / "sap" / "entities.json"
KINDS = {"Int32": "int", "Double": "number", "String": "text", "DateTimeOffset": "date", "TimeOfDay": "time"}


@pytest.fixture(scope="module")
def wire() -> dict[str, Any]:
    """Load SAP's published names."""
    if not WIRE.exists():
        pytest.skip("SAP's published names are not at hand (../shared/wire)")
    return dict(json.loads(WIRE.read_text()))


def test_properties_are_saps_own(wire: dict[str, Any]) -> None:
    """Every property exists at SAP with the same type, write flag and length."""
    wrong = []
    for name, kind in Schema(SapSwitches()).types.items():
        published = wire["types"][name]["properties"]
        for prop in kind.props.values():
            told = published.get(prop.name)
            if told is None:
                wrong.append(f"{name}.{prop.name} is unknown")
                continue
            many = told["type"].endswith("[]")
            expected = KINDS.get(told["type"]) or ("many" if many else "enum")
            size = told.get("max_length", {}).get("n", prop.size)
            if (expected, told.get("read_only", prop.read_only), size) != (prop.kind, prop.read_only, prop.size):
                wrong.append(f"{name}.{prop.name} differs")
            if expected in ("enum", "many") and told["type"].strip("[]") != prop.type_name:
                wrong.append(f"{name}.{prop.name} is {told['type']}")
    assert wrong == []


def test_enum_members_are_saps_own(wire: dict[str, Any]) -> None:
    """Every enum member exists at SAP with the same database code."""
    for name, members in ENUMS.items():
        published = wire["enums"][name]
        assert {member: published[member]["db"] for member in members} == members, name
