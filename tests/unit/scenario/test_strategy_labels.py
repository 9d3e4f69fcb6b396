"""Strategies of a scenario: options checked, labels unique, telling, and fit for folder names."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edgesim.scenario.schema.scenario import Scenario
from edgesim.scenario.strategy_labels import strategies_by_label

Parse = Callable[..., Scenario]


@pytest.mark.parametrize(
    ("strategies", "labels"),
    [
        ("{use: local}", ["local"]),
        ("{use: pipeline}", ["pipeline"]),
        ("{use: pipeline}, {use: pipeline, partition: even}", ["pipeline-latency", "pipeline-even"]),
        (
            "{use: pipeline, partition: [5, 7], over: [box]}, {use: pipeline, partition: even, over: [box]}",
            ["pipeline-5+7", "pipeline-even"],
        ),
        (
            "{use: pipeline}, {use: pipeline, over: [box]}, {use: pipeline, over: [box, phone]}",
            ["pipeline", "pipeline-box", "pipeline-box+phone"],
        ),
        ("{use: offload, to: box}, {use: offload, to: [box, phone]}", ["offload-box", "offload-box+phone"]),
        ("{use: local}, {use: local, label: alone}", ["local", "alone"]),
    ],
)
def test_labels_say_what_differs(changed: Parse, strategies: str, labels: list[str]) -> None:
    scenario = changed("", "", f"strategies=[{strategies}]")
    assert list(strategies_by_label(scenario)) == labels


def test_options_become_the_strategys_fields(changed: Parse) -> None:
    strategies = strategies_by_label(changed("", "", "strategies=[{use: offload, to: box}]"))
    assert strategies["offload"].model_dump() == {"to": ("box",)}
