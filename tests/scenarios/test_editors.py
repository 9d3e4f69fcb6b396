"""Editors find the schema of the shipped scenarios, and by it these are sound."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

from edgesim.cli.commands.init import MODELINE, SCHEMA_FILE
from edgesim.scenario.schema.json_schema import json_schema
from edgesim.strategy import discover

FOLDER = Path(__file__).resolve().parents[2] / "scenarios"
FILES = sorted(FOLDER.glob("*.yaml"))


def test_the_schema_beside_the_scenarios_is_todays() -> None:
    own = {name: one for name, one in discover().items() if one.__module__.startswith("edgesim.")}
    kept = json.loads((FOLDER / SCHEMA_FILE).read_text(encoding="utf-8"))
    assert kept == json.loads(json.dumps(json_schema(own))), (
        "write it again: edgesim schema -o scenarios/edgesim.schema.json, without plug-ins installed"
    )


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_scenario_names_the_schema_and_is_sound_by_it(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.count(MODELINE) == 1  # a comment anywhere will do, and the question comes first
    schema = json.loads((FOLDER / SCHEMA_FILE).read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(YAML(typ="safe", pure=True).load(text))
