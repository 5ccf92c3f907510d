"""The configuration as a JSON Schema, for editors: they complete keys, show the choices and mark what is unknown while one types."""

from __future__ import annotations

from typing import Any

from mlc.config.models import Settings
from mlc.config.values import duration_text

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def editor_schema() -> dict[str, Any]:
    """Return the schema; what it cannot say (two keys together, a mode and its hosts) is said by `mlc config check`."""
    made = Settings.model_json_schema()
    made["properties"]["alert_after"]["default"] = duration_text(Settings.model_fields["alert_after"].default)
    one = {"$ref": "#/$defs/SecretRef"}
    for kind in made["$defs"].values():  # one secret, or several while one is rolled
        if "webhook_secret" in kind.get("properties", {}):
            kind["properties"]["webhook_secret"] = {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}
    return {"$schema": DIALECT, **_plain(made), "title": "Configuration of mlc"}


def _plain(value: Any) -> Any:
    """Return a schema without the titles that only repeat a key; a key that is called title would stand under properties."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        key: {name: _plain(one) for name, one in inner.items()} if key in ("properties", "$defs") else _plain(inner)
        for key, inner in value.items()
        if not (key == "title" and isinstance(inner, str))
    }
