"""Command that draws figures of traces and sweeps."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edgesim.cli.options import Quiet
from edgesim.cli.terminal import Console
from edgesim.errors import InputError

if TYPE_CHECKING:
    from edgesim.report.listings.open_folders import SweepLike
    from edgesim.trace.reader import Trace

__all__ = ["plot"]


def plot(
    folders: Annotated[
        list[str],
        typer.Argument(
            metavar="TRACE... [KIND]",
            help="Folders of traces, or of one sweep; then the kind of figure: distribution, bars, lines, "
            "front, timeline, series, parts (of latency) or map. By default, lines for a sweep, a "
            "distribution for one trace, and bars for several.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write (.pdf, .svg, .png); default NAME-KIND.pdf."),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Metric to draw, such as e2e_p95_s; for a distribution e2e, ttft or tpot; repeatable.",
        ),
    ] = None,
    x: Annotated[
        str | None,
        typer.Option(
            help="lines: axis of a sweep; or, for traces, the path at which their scenarios differ, such as "
            "workload.arrivals.poisson."
        ),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="AXIS=VALUE", help="lines: only cells with this value of another axis."),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(metavar="LABEL", help="lines: ratios to this strategy, paired by replication."),
    ] = None,
    width: Annotated[
        Literal["column", "page"] | None,
        typer.Option(help="One column (3.5 in) or both (7.16 in); by default according to the kind."),
    ] = None,
    strategy: Annotated[
        list[str] | None, typer.Option(help="Label of a strategy to draw; repeatable.")
    ] = None,
    replication: Annotated[
        int | None, typer.Option(help="timeline, series: number of the replication.")
    ] = None,
    request: Annotated[
        int | None, typer.Option(help="timeline: id of the request; one of median latency if not given.")
    ] = None,
    from_: Annotated[
        float | None, typer.Option("--from", help="timeline: all requests from this instant [s] ...")
    ] = None,
    until: Annotated[float | None, typer.Option(help="timeline: ... to this one [s].")] = None,
    quiet: Quiet = False,
) -> None:
    """Draw a figure for a publication from traces, or from a sweep.

    Text has 8 points at the width of a column or a page. Strategies differ in colour, line, marker and hatch.
    The file's metadata name the data that the figure was drawn from.
    """
    from edgesim.report.listings.open_folders import chosen_strategies, labelled
    from edgesim.report.plots.figure_request import KINDS, FigureRequest, drawn, remarks
    from edgesim.report.plots.provenance import Provenance
    from edgesim.report.plots.saving import check_file, save

    paths, kind = _kind(folders, tuple(KINDS))
    if output is not None:
        check_file(output)
    found = labelled(paths)
    known = list(dict.fromkeys(label for one in found.values() for label in one.strategies))
    asked = FigureRequest(
        kind=kind or _usual(found, x),
        metrics=tuple(dict.fromkeys(metric or ())),
        x=x,
        where=_pairs(where or ()),
        against=against,
        strategies=chosen_strategies(known, strategy or (), ", ".join(found)) if strategy else (),
        replication=replication,
        request=request,
        from_s=from_,
        until_s=until,
        width=width,
    )
    figure = drawn(found, asked)
    file = output or Path(f"{Path(next(iter(found))).name}-{asked.kind}.pdf")
    save(figure, file, Provenance.of((one.path, _record(one)) for one in found.values()))
    notes = Console(stderr=True, quiet=quiet, soft_wrap=True)
    for label, one in found.items():
        if one.incomplete:
            notes.print(f"{label}: {one.incomplete}", style="yellow", markup=False)
    for remark in remarks(found, asked):
        notes.print(remark, style="yellow", markup=False)
    notes.print(f"figure: {file}", style="dim", markup=False)


def _kind(words: list[str], kinds: tuple[str, ...]) -> tuple[list[Path], str | None]:
    """Split the words into folders and, if the last or first word is a kind and not a folder, that kind."""
    for place in (-1, 0):
        if words[place] in kinds and not Path(words[place]).exists():
            kind = words[place]
            rest = words[:-1] if place else words[1:]
            if not rest:
                raise InputError(f"plot {kind}: no trace is given; name its folder, too")
            return [Path(word) for word in rest], kind
    return [Path(word) for word in words], None


def _usual(found: Mapping[str, Trace | SweepLike], x: str | None) -> str:
    from edgesim.trace.reader import Trace

    if x is not None or not all(isinstance(one, Trace) for one in found.values()):
        return "lines"
    return "distribution" if len(found) == 1 else "bars"


def _pairs(settings: list[str] | tuple[()]) -> dict[str, str]:
    found = {}
    for setting in settings:
        axis, equals, value = setting.partition("=")
        if not equals or not axis:
            raise InputError(f"--where: expected AXIS=VALUE, got {setting!r}")
        found[axis.strip()] = value.strip()
    return found


def _record(one: Trace | SweepLike) -> Mapping[str, object]:
    from edgesim.trace.reader import Trace

    return one.run if isinstance(one, Trace) else one.record
