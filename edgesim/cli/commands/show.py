"""Command that prints the comparison of traces, or the results of a sweep."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edgesim.cli.options import Quiet
from edgesim.cli.terminal import Console, console

if TYPE_CHECKING:
    from edgesim.report.listings.listing import Listing

__all__ = ["show"]


def show(
    folders: Annotated[
        list[Path], typer.Argument(metavar="TRACE...", help="Folders of traces, or of one sweep.")
    ],
    as_: Annotated[
        Literal["table", "json", "csv", "markdown", "latex"],
        typer.Option("--as", help="Output format; LaTeX uses booktabs."),
    ] = "table",
    metrics: Annotated[
        bool, typer.Option("--metrics", help="Show every metric, not only the usual ones.")
    ] = False,
    metric: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A metric to show, such as e2e_p95_s; repeatable."),
    ] = None,
    strategy: Annotated[
        list[str] | None, typer.Option(help="Label of a strategy to show; repeatable.")
    ] = None,
    intervals: Annotated[
        Literal["ends", "half", "none"],
        typer.Option(help="95 % intervals as [low, high], as ± the larger half-width, or none."),
    ] = "ends",
    quiet: Quiet = False,
) -> None:
    """Print the comparison of traces, or the cells of a sweep.

    For one trace, the table is the same as from 'edgesim run'. The tables of several traces are printed one
    after the other, or combined in one table if metrics, other intervals or another format are chosen.
    """
    from edgesim.cli.comparing import compared_as_json, print_compared
    from edgesim.report.comparison import comparison
    from edgesim.report.listings import listing_text
    from edgesim.report.listings.listing import together
    from edgesim.report.listings.metric_names import METRICS, metric_name
    from edgesim.report.listings.open_folders import chosen_strategies, labelled
    from edgesim.trace.reader import Trace

    for name in metric or ():
        metric_name(name)
    found = labelled(folders)
    known = list(dict.fromkeys(label for one in found.values() for label in one.strategies))
    wanted = chosen_strategies(known, strategy or (), ", ".join(found)) if strategy else ()
    traces = {label: one for label, one in found.items() if isinstance(one, Trace)}
    is_whole = as_ == "json" or (as_ == "table" and intervals == "ends")
    if len(traces) == len(found) and not (metric or strategy) and is_whole:
        compared = {label: comparison(trace) for label, trace in traces.items()}
        if as_ == "json":
            stated = [compared_as_json(traces[label], one) for label, one in compared.items()]
            typer.echo(json.dumps(stated[0] if len(stated) == 1 else {"traces": stated}, indent=2))
            return
        page = console()
        for place, (label, one) in enumerate(compared.items()):
            if len(compared) > 1:
                page.print(("\n" if place else "") + label, style="bold reverse", markup=False)
            print_compared(page, traces[label], one, metrics=metrics)
        return
    listing = together(found).only(wanted)
    if metric:
        names = tuple(dict.fromkeys(metric))
    elif metrics:
        names = listing.defined()
    elif as_ in ("json", "csv"):
        names = tuple(METRICS)
    else:
        names = listing.defined(listing_text.DEFAULT_METRICS)
    _print(listing, names, as_, intervals, Console(stderr=True, quiet=quiet, soft_wrap=True))


def _print(
    listing: Listing,
    names: tuple[str, ...],
    as_: Literal["table", "json", "csv", "markdown", "latex"],
    intervals: Literal["ends", "half", "none"],
    notes: Console,
) -> None:
    from edgesim.report.listings import listing_text

    if intervals == "half" and as_ not in ("json", "csv"):
        listing = replace(listing, remarks=(*listing.remarks, listing_text.HALF))
    match as_:
        case "table":
            console().print(listing_text.as_rich(listing, names, intervals))
        case "json":
            typer.echo(json.dumps(listing_text.as_json(listing, names), indent=2))
        case "csv":
            typer.echo(listing_text.as_csv(listing, names), nl=False)
        case "markdown":
            typer.echo(listing_text.as_markdown(listing, names, intervals), nl=False)
        case "latex":
            typer.echo(listing_text.as_latex(listing, names, intervals), nl=False)
    for remark in listing.remarks:
        notes.print(remark, style="yellow", markup=False)
