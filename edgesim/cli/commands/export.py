"""Command that exports a run for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesim.cli.options import Quiet
from edgesim.cli.terminal import Console
from edgesim.errors import InputError

if TYPE_CHECKING:
    from edgesim.trace.reader import Trace

__all__ = ["export"]


def export(
    trace: Annotated[Path, typer.Argument(metavar="TRACE", help="Folder of a trace.")],
    perfetto: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Export for ui.perfetto.dev: .pftrace or .json, with .gz to compress."
        ),
    ] = None,
    strategy: Annotated[
        str | None, typer.Option(help="Label of the strategy; the first of the trace if not given.")
    ] = None,
    replication: Annotated[int, typer.Option(help="Number of the replication.", min=0)] = 0,
    replace: Annotated[
        bool, typer.Option("--replace", "--force", help="Overwrite an existing file.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Export one run of a trace for other programs, as a timeline of all devices, links and requests."""
    from edgesim.report.exporting import EXPORTS
    from edgesim.report.outputs import check_output
    from edgesim.trace.reader import Trace

    asked = {name: file for name, file in (("perfetto", perfetto),) if file is not None}
    if not asked:
        options = ", ".join(f"--{name} FILE" for name in EXPORTS)
        raise InputError(f"edgesim export: no format is given; choose one with {options}")
    opened = Trace(trace).sound()
    label = _label(opened, strategy)
    if replication not in opened.replications(label):
        there = ", ".join(map(str, opened.replications(label))) or "none"
        raise InputError(f"{trace}: no complete replication {replication} of {label!r}; complete are {there}")
    notes = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
    for name, file in asked.items():
        check_output(file, f"--{name}", replace=replace)
        EXPORTS[name](opened, label, replication, file)
        notes.print(f"{label}, replication {replication}: {file}", style="dim", markup=False)


def _label(trace: Trace, wanted: str | None) -> str:
    if not trace.strategies:
        raise InputError(f"{trace.path}: it contains no run; expected at least one")
    if wanted is None:
        return trace.strategies[0]
    if wanted not in trace.strategies:
        raise InputError(
            f"--strategy: {trace.path} has no strategy {wanted!r}; there are {', '.join(trace.strategies)}"
        )
    return wanted
