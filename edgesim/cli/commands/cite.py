"""The command that says what to cite."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgesim.cli.options import Overrides, ScenarioName, load_scenario
from edgesim.cli.outputs import write_text

__all__ = ["cite"]


def cite(
    scenario: ScenarioName,
    set_: Overrides = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write it here, such as references.bib.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite a file that is there.")] = False,
) -> None:
    """Print BibTeX of what a scenario draws on: edgesim, its strategies, model, devices, radios.

    Comments say what draws on each entry, and of what no publication is known.
    """
    from edgesim.report.citations import bibtex, citations

    text = bibtex(citations(load_scenario(scenario, set_)))
    if output is None:
        typer.echo(text, nl=False)
    else:
        write_text(text, output, scenario, replace=replace)
