"""A small scenario to break in many ways, and strategies that need no installation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import pytest
from pydantic import BeforeValidator

from edgesim.errors import StrategyError
from edgesim.nearest import suggest
from edgesim.scenario import strategy_labels
from edgesim.scenario.load import parse
from edgesim.scenario.schema.scenario import Scenario
from edgesim.strategy import Strategy

MINIMAL = """\
name: small
horizon: 10 s
model: {architecture: gpt2, dtype: float32}
topology:
  devices:
    - {id: phone, kind: raspberry-pi-5, count: 2}
    - id: box
      kind: jetson-orin-nano
  links:
    - between: [phone, box]
      wired: {rate: 100 Mbit/s, latency: 2 ms}
workload:
  arrivals: {poisson: 1 Hz}
  prompt_tokens: 16
  output_tokens: 8
strategies:
  - {use: local}
  - {use: pipeline, partition: even}
"""

Parse = Callable[..., Scenario]


def _listed(names: object) -> object:
    return [names] if isinstance(names, str) else names


Names = Annotated[tuple[str, ...], BeforeValidator(_listed, json_schema_input_type=str | tuple[str, ...])]


class Local(Strategy):
    """Has no options."""


class Offload(Strategy):
    """Has an option that must be given."""

    to: Names


class Pipeline(Strategy):
    """Has options with defaults, one of them of two types."""

    partition: Literal["even", "latency"] | tuple[int, ...] = "latency"
    over: Names = ()


STRATEGIES: dict[str, type[Strategy]] = {"local": Local, "offload": Offload, "pipeline": Pipeline}


@pytest.fixture(autouse=True)
def _strategies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in for the installed strategies, so that what is tested here is the scenario's side alone."""

    def strategy_class(name: str) -> type[Strategy]:
        if name not in STRATEGIES:
            raise StrategyError(
                f"no strategy {name!r}; {suggest(name, STRATEGIES)} (edgesim list strategies)"
            )
        return STRATEGIES[name]

    monkeypatch.setattr(strategy_labels, "strategy_class", strategy_class)


@pytest.fixture
def strategies() -> dict[str, type[Strategy]]:
    """Return the strategies that stand in for the installed ones."""
    return STRATEGIES


@pytest.fixture
def minimal() -> str:
    """The text of a scenario without mistakes."""
    return MINIMAL


@pytest.fixture
def changed() -> Parse:
    """Read the small scenario with one piece of its text replaced."""

    def read(old: str = "", new: str = "", *overrides: str) -> Scenario:
        assert old in MINIMAL, "the test means to replace something that is there"
        return parse(MINIMAL.replace(old, new, 1) if old else MINIMAL, name="small.yaml", overrides=overrides)

    return read
