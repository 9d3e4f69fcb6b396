"""The shipped scenarios and the exported schema: each is valid, and they agree with one another."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from edgesim.scenario import catalogue
from edgesim.scenario.build import extent
from edgesim.scenario.load import load
from edgesim.scenario.schema.json_schema import json_schema
from edgesim.scenario.text.packaged import packaged_scenarios
from edgesim.strategy import Strategy, discover

SHIPPED = packaged_scenarios()


@pytest.fixture(autouse=True)
def _strategies() -> None:
    """Shipped scenarios name the installed strategies, so here nothing stands in for them."""


@pytest.fixture
def strategies() -> dict[str, type[Strategy]]:
    return discover()


def content(file: Traversable) -> Any:
    return YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_scenario_has_no_mistakes_and_begins_with_its_question(name: str) -> None:
    first_line = SHIPPED[name].read_text(encoding="utf-8").splitlines()[0]
    assert first_line.startswith("# ")
    assert first_line.endswith("?")
    scenario = load(name)
    assert extent(scenario).n_requests >= 3


@pytest.mark.parametrize("spelling", ["smart_city", "smart_city.yaml", "scenarios/smart_city.yaml"])
def test_a_shipped_scenario_is_found_by_name_from_anywhere(
    spelling: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load(spelling).name == "smart-city"


def test_a_file_of_that_name_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, minimal: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "smart_city.yaml").write_text(minimal, encoding="utf-8")
    assert load("smart_city.yaml").name == "small"


@pytest.mark.parametrize("name", SHIPPED)
def test_the_exported_schema_accepts_shipped_scenarios(
    name: str, strategies: dict[str, type[Strategy]]
) -> None:
    for schema in (json_schema(), json_schema(strategies)):
        Draft202012Validator.check_schema(schema)
        assert not [e.message for e in Draft202012Validator(schema).iter_errors(content(SHIPPED[name]))]


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("model", "architecure", "gpt2"),
        ("model", "dtype", "int8"),
        ("workload", "prompt_tokens", 0),
        ("workload", "arrivals", {"poisson": 0.4}),
        ("workload", "arrivals", {"poisson": "0.4 MB"}),
        ("workload", "arrivals", {}),
        ("objectives", "ttft", "-2 s"),
    ],
)
def test_the_exported_schema_refuses_what_the_loader_refuses(section: str, key: str, value: object) -> None:
    scenario = content(SHIPPED["smart_city"])
    scenario[section][key] = value
    assert not Draft202012Validator(json_schema()).is_valid(scenario)


def test_the_exported_schema_knows_the_options_of_strategies(
    strategies: dict[str, type[Strategy]],
) -> None:
    scenario = content(SHIPPED["smart_city"])
    scenario["strategies"] = [{"use": "pipeline", "partiton": "even"}]
    assert Draft202012Validator(json_schema()).is_valid(scenario)
    assert not Draft202012Validator(json_schema(strategies)).is_valid(scenario)


def test_every_field_is_described_in_the_exported_schema() -> None:
    definitions = json_schema()["$defs"]
    bare = [
        f"{name}.{key}"
        for name, definition in definitions.items()
        for key, field in definition.get("properties", {}).items()
        if "description" not in field
    ]
    assert not bare


def test_the_catalogues_kinds_are_kinds_as_a_scenario_may_write_them() -> None:
    schema = {**json_schema(), "$ref": "#/$defs/DeviceKind"}
    for key in ("properties", "required", "type", "additionalProperties", "description"):
        schema.pop(key, None)
    for name, kind in content(files(catalogue) / "devices.yaml").items():
        assert not [f"{name}: {e.message}" for e in Draft202012Validator(schema).iter_errors(kind)]
