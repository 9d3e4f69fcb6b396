"""Command that compares predictions with published rates."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgesim.cli.options import Quiet
from edgesim.cli.outputs import writing
from edgesim.cli.terminal import Console, console, plain_table

__all__ = ["published"]


def published(
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write the tables into this Markdown page, between its markers."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Show every known published rate with its prediction, interval and error.

    The rate of a device is predicted by a fit to all other rates. Testbeds are simulated by the shipped
    scenarios, some of which were fitted to the row itself, as the table states. Groups are fitted to their
    rows of one and two nodes.
    """
    from edgesim.validate.published.findings import found
    from edgesim.validate.published.groups import group_rows
    from edgesim.validate.published.page import (
        GROUP_HEADINGS,
        HEADINGS,
        TESTBED_HEADINGS,
        cells,
        cells_of_group,
        cells_of_testbed,
        markdown,
        replaced,
        summary,
    )
    from edgesim.validate.published.testbeds import simulate_all

    notes = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
    notes.print("fitting, with each rate left out in turn", style="dim")
    findings = found()
    notes.print("simulating the testbeds", style="dim")
    testbeds, groups = list(simulate_all()), group_rows()
    if output is not None:
        text = replaced(output, markdown(findings, testbeds, groups))
        with writing(output):
            output.write_text(text, encoding="utf-8")
        notes.print(f"written to {output}", style="dim", markup=False)
        return
    table = plain_table(*HEADINGS)
    for row in findings.rows:
        table.add_row(*cells(row))
    page = console()
    page.print(table)
    for line in summary(findings):
        page.print(line, soft_wrap=True)
    simulated = plain_table(*TESTBED_HEADINGS)
    for run in testbeds:
        simulated.add_row(*cells_of_testbed(run))
    page.print(simulated)
    in_groups = plain_table(*GROUP_HEADINGS)
    for group in groups:
        in_groups.add_row(*cells_of_group(group))
    page.print(in_groups)
