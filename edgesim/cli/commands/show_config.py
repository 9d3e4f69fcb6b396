"""Command that prints a scenario with all overrides, included files and defaults."""

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
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite an existing file.")] = False,
) -> None:
    """Print a scenario with overrides, included files and all defaults filled in.

    The output is a scenario that defines the same study if saved in the same folder.
    """
    from importlib.metadata import version

    from edgesim.scenario.effective import effective_text

    asked = load_scenario(scenario, set_)
    text = f"# {asked.name} as it takes effect in edgesim {version('edgesim')}\n{effective_text(asked)}"
    if output is None:
        typer.echo(text, nl=False)
    else:
        write_text(text, output, scenario, replace=replace)
