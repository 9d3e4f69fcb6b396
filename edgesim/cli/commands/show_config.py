"""The command that prints a scenario as it takes effect."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgesim.cli.options import Overrides, ScenarioName, load_scenario
from edgesim.cli.outputs import write_text

__all__ = ["show_config"]


def show_config(
    scenario: ScenarioName,
    set_: Overrides = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write it here.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite a file that is there.")] = False,
) -> None:
    """Print a scenario as it takes effect: with overrides, included files, and every default filled in.

    What is printed is a scenario of the same study, for a file in the same folder.
    """
    from importlib.metadata import version

    from edgesim.scenario.effective import effective_text

    asked = load_scenario(scenario, set_)
    text = f"# {asked.name} as it takes effect in edgesim {version('edgesim')}\n{effective_text(asked)}"
    if output is None:
        typer.echo(text, nl=False)
    else:
        write_text(text, output, scenario, replace=replace)
