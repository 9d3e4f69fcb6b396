"""Command that shows radio links."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgesim.cli.options import Overrides, ScenarioName, load_scenario, seconds
from edgesim.cli.terminal import Console, console
from edgesim.errors import InputError

__all__ = ["link"]


def link(
    scenario: ScenarioName,
    between: Annotated[
        tuple[str, str] | None,
        typer.Option("--between", metavar="A B", help="The two ends of one link; all links if not given."),
    ] = None,
    replication: Annotated[int, typer.Option(min=0, help="Replication whose channel is shown.")] = 0,
    from_: Annotated[str, typer.Option("--from", help="First instant.")] = "0 s",
    until: Annotated[str, typer.Option(help="Last instant.")] = "10 s",
    every: Annotated[str, typer.Option(help="Time between samples.")] = "50 ms",
    plot: Annotated[Path | None, typer.Option(help="Write a figure to this file (.png, .pdf, .svg).")] = None,
    set_: Overrides = None,
) -> None:
    """Show a scenario's radio links: distance, path loss, SNR, scheme, error rates, rate and goodput.

    The channel is shown without other transmissions; it is the same for every strategy. With --between, the
    link budget at the first instant is shown before the link's course over time.
    """
    from edgesim.report.links.budget import budget_table
    from edgesim.report.links.table import directions, evaluate_over, link_table, links_table
    from edgesim.scenario.radio.inspection import radio_links

    asked = load_scenario(scenario, set_)
    instants = {
        name: seconds(f"--{name}", text)
        for name, text in (("from", from_), ("until", until), ("every", every))
    }
    if not 0 <= instants["from"] <= instants["until"] or not instants["every"] > 0:
        raise InputError(
            "edgesim link: expected --from at 0 s or later, --until no earlier, and a time above 0 in "
            f"--every; got {from_}, {until} and {every}"
        )
    if (instants["until"] - instants["from"]) / instants["every"] > 1e6:
        raise InputError(
            "edgesim link: more than a million samples; choose a longer --every, or a shorter time"
        )
    looked = [
        evaluate_over(one, from_s=instants["from"], until_s=instants["until"], every_s=instants["every"])
        for one in directions(radio_links(asked, replication=replication, between=between))
    ]
    if plot is not None:
        from edgesim.report.links.plot import MOST_LINES, plot_links

        plot_links(looked, plot, title=f"{asked.name}, replication {replication}")
        if len(looked) > MOST_LINES:
            notes = Console(stderr=True, highlight=False, soft_wrap=True)
            notes.print(
                f"the figure shows the first {MOST_LINES} of {len(looked)} directions; choose a link with "
                "--between"
            )
    page = console()
    if between is None:
        page.print(links_table(looked))
    else:
        for up, down in zip(looked[::2], looked[1::2], strict=True):
            page.print(budget_table([up.direction, down.direction], instants["from"]))
            for one in (up, down):
                page.print(f"\n{one.direction.name}", style="bold", markup=False)
                page.print(link_table(one))
