"""JSON Schema of scenario files, for completion and validation in editors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from edgesim.scenario.schema.scenario import Scenario

__all__ = ["json_schema"]

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema(strategies: Mapping[str, type[BaseModel]] | None = None) -> dict[str, Any]:
    """Return the JSON Schema of scenario files.

    Parameters
    ----------
    strategies
        Installed strategies by name (``edgesim.strategy.discover()``), whose options become part of the
        schema. Without them any option is accepted.
    """
    schema = Scenario.model_json_schema(by_alias=True)
    if strategies:
        schema["$defs"]["StrategyEntry"]["oneOf"] = [
            _strategy(name, model, schema["$defs"]) for name, model in strategies.items()
        ]
    return {
        "$schema": DIALECT,
        "title": "edgesim scenario",
        **{k: v for k, v in schema.items() if k != "title"},
    }


def _strategy(name: str, model: type[BaseModel], definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an entry of ``strategies`` for one strategy; unknown options are not allowed."""
    options = model.model_json_schema(by_alias=True, ref_template="#/$defs/{model}")
    definitions.update(options.pop("$defs", {}))
    label = definitions["StrategyEntry"]["properties"]["label"]
    return {
        "title": name,
        "description": options.get("description", ""),
        "type": "object",
        "properties": {"use": {"const": name}, "label": label, **options.get("properties", {})},
        "required": ["use", *options.get("required", [])],
        "additionalProperties": False,
    }
