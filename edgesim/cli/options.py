"""Arguments and options shared by commands, and reading of scenarios and durations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from edgesim.errors import InputError

if TYPE_CHECKING:
    from edgesim.scenario.schema.scenario import Scenario

__all__ = ["ModelName", "Overrides", "Quiet", "ScenarioName", "load_scenario", "seconds", "shipped_names"]


def shipped_names(incomplete: str) -> list[str]:
    """Return the shipped scenarios whose names begin so; if there are none, the shell completes files."""
    from edgesim.scenario.text.packaged import packaged_scenarios

    return [name for name in packaged_scenarios() if name.startswith(incomplete)]


ScenarioName = Annotated[
    str,
    typer.Argument(
        metavar="SCENARIO",
        help="A scenario file, or the name of a shipped one.",
        autocompletion=shipped_names,
    ),
]

ModelName = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="bundled, a folder in the Hugging Face format, or a model's name on the Hugging Face Hub.",
    ),
]

Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="PATH=VALUE", help="Change the scenario, such as workload.arrivals.poisson='1 Hz'."
    ),
]

Quiet = Annotated[bool, typer.Option("--quiet", help="Print no progress and no notes.")]


def load_scenario(scenario: str, overrides: list[str] | None, **numbers: int | None) -> Scenario:
    """Read a scenario, and apply the overrides and numbers given on the command line."""
    from edgesim.scenario.load import load

    given = [f"{name}={number}" for name, number in numbers.items() if number is not None]
    return load(scenario, [*(overrides or ()), *given])


def seconds(option: str, text: str) -> float:
    from edgesim.units import TIME, UnitError, parse

    try:
        return parse(text, TIME)
    except UnitError as error:
        raise InputError(f"{option}: {error}") from None
