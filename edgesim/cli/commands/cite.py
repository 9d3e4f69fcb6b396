"""Command that prints the references of a scenario."""

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
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite an existing file.")] = False,
) -> None:
    """Print BibTeX entries for a scenario: edgesim, and its strategies, model, devices and radios.

    Comments state what each entry is for, and for what no publication is known.
    """
    from edgesim.report.citations import bibtex, citations

    text = bibtex(citations(load_scenario(scenario, set_)))
    if output is None:
        typer.echo(text, nl=False)
    else:
        write_text(text, output, scenario, replace=replace)
