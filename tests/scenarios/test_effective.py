"""A scenario as it takes effect stands for the same study as the file that it was read from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgesim.scenario.effective import effective, effective_text
from edgesim.scenario.load import load, parse
from edgesim.scenario.schema.scenario import Scenario
from edgesim.scenario.strategy_labels import strategies_by_label
from edgesim.scenario.text.packaged import packaged_scenarios
from edgesim.units import DIMENSIONS, Dimension, UnitError, written
from edgesim.units import parse as parse_quantity

BASE = """
name: base
horizon: 1 min
model: {architecture: edgesim-tiny}
profile: analytic
topology:
  devices:
    - {id: a, kind: raspberry-pi-5, place: {at: [1 m, 2 m]}}
    - {id: b, kind: raspberry-pi-5, place: {at: [19 m, 2 m]}}
  links: [{between: [a, b], %s}]
workload: {arrivals: %s, prompt_tokens: 8, output_tokens: 4}
strategies: [{use: local}]
"""
WIRE, POISSON = "wired: {rate: 1 Mbit/s}", "{poisson: 0.3 Hz}"

LINKS = {
    "ways": "wired: {rate: {up: 3 Mbit/s, down: 0.7 Mbit/s}, latency: {up: 1 ms, down: 2 ms}}",
    "schedule": "wired: {rate: {schedule: [{from: 0 s, rate: 20 Mbit/s}, {from: 7 s, rate: 5 Mbit/s}]}}",
    "schedule of one way": "wired: {rate: {up: {schedule: [{from: 0 s, rate: 2 Mbit/s}]}, down: 5 Mbit/s}}",
    "cell": "radio: {use: nr-n78, max_attempts: 2, adaptation: {nr: {scheduling_request: none}}}, "
    "fading: {rician: {k: 9 dB}, speed: 3 m/s}, csi: {delay: 4 ms}",
    "grant": "radio: {use: nr-n78, adaptation: {nr: {scheduling_request: 5 ms}}}, fading: none",
    "wifi": "radio: {use: wifi6, contention: {category: voice, aggregation: false}, latency: 0 s}",
    "fair": "radio: {use: nr-n78, access: proportional-fair, fairness_window: 7}, "
    "propagation: {model: log-distance, exponent: 2.9, sigma: 0 dB}",
}
ARRIVALS = {
    "hourly": "{hourly: {rates: [0.1 Hz, 0 Hz, 2 /min], start: 8 h}}",
    "steps": "{steps: [{from: 0 s, rate: 1 Hz}, {from: 1 min, rate: 0.2 Hz}]}",
    "gamma": "{gamma: {rate: 90 /h, cv: 2}}",
}


def values(scenario: Scenario) -> dict[str, Any]:
    """All but the strategies, whose defaults are no part of the scenario's own values."""
    return scenario.model_copy(update={"strategies": ()}).model_dump(mode="json", by_alias=True)


def stands_for_the_same(scenario: Scenario, folder: Path | None = None) -> None:
    text = effective_text(scenario)
    again = parse(text, folder=folder)
    assert values(again) == values(scenario)
    assert dict(strategies_by_label(again)) == dict(strategies_by_label(scenario))
    assert list(strategies_by_label(again)) == list(strategies_by_label(scenario))
    assert effective_text(again) == text


@pytest.mark.parametrize("name", packaged_scenarios())
def test_of_every_shipped_scenario_it_stands_for_the_same_study(name: str) -> None:
    stands_for_the_same(load(name))


@pytest.mark.parametrize("link", LINKS.values(), ids=LINKS)
def test_links_of_every_form_are_written_as_they_are_read(link: str) -> None:
    stands_for_the_same(parse(BASE % (link, POISSON)))


@pytest.mark.parametrize("arrivals", ARRIVALS.values(), ids=ARRIVALS)
def test_arrivals_of_every_form_are_written_as_they_are_read(arrivals: str) -> None:
    stands_for_the_same(parse(BASE % (WIRE, arrivals)))


def test_defaults_and_overrides_are_in_it() -> None:
    scenario = parse(BASE % (WIRE, POISSON), overrides=["strategies[0].use=pipeline", "seed=9"])
    told = effective(scenario)
    assert told["seed"] == 9
    assert told["horizon"] == "60 s"
    assert told["workload"]["arrivals"] == {"poisson": "0.3 Hz"}
    assert told["topology"]["links"][0]["wired"] == {"rate": "1 Mbit/s", "latency": "0 s"}
    assert told["memory"]["admission"] == "queue"
    assert told["strategies"][0] == {
        "use": "pipeline",
        "label": "pipeline",
        "partition": "latency",
        "over": [],
        "head": "starter",
        "in_flight": 1,
    }


def test_the_digest_of_a_scenario_does_not_depend_on_how_it_is_written() -> None:
    scenario = load("smart_city")
    again = parse(effective_text(scenario))
    assert again.model_copy(update={"strategies": scenario.strategies}).digest == scenario.digest


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(DIMENSIONS), st.floats(-1, 1), st.integers(-13, 15))
def test_a_number_is_written_so_that_it_is_read_as_the_same(
    dimension: Dimension, mantissa: float, exponent: int
) -> None:
    value = mantissa * 10.0**exponent
    if dimension.holds(value):
        assert parse_quantity(written(value, dimension), dimension) == value
    else:
        with pytest.raises(UnitError):
            written(value, dimension)


def test_numbers_are_written_in_the_unit_in_which_they_are_short() -> None:
    by_example = {d.example: written(parse_quantity(d.example, d), d) for d in DIMENSIONS}
    assert all(text == example for example, text in by_example.items())
