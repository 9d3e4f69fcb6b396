"""Command that fits a device kind to measured rates."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgesim.cli.options import Quiet
from edgesim.cli.outputs import writing
from edgesim.cli.terminal import Console, console, plain_table
from edgesim.errors import InputError

__all__ = ["calibrate"]


def calibrate(
    rows: Annotated[
        Path, typer.Argument(metavar="FILE", help="Measured rates of one device: YAML or CSV (see the docs).")
    ],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the device kind here.")] = None,
    overhead: Annotated[
        str | None, typer.Option(help="Overhead per call, if known, such as '0.5 ms'; else fitted.")
    ] = None,
    compute: Annotated[
        str | None,
        typer.Option(help="Compute rate, if known, such as '75 GFLOP/s'; else fitted to prefills."),
    ] = None,
    error: Annotated[
        float | None, typer.Option(help="Relative error of a measurement, if known, such as 0.02.", min=0.0)
    ] = None,
    parameters: Annotated[
        Path | None,
        typer.Option(
            metavar="SET",
            help="Fit a set of shares of peak rates to these and all published rates instead; write it here.",
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Fit a device's ceilings to a few measured rates, with uncertainty, and print them as a device kind.

    With --parameters, rows name device kinds and runtimes of the catalogue, and a runtime can use the set.
    """
    if parameters is not None:
        from edgesim.cli.fitting import HEADINGS, fitted_rows

        if (output, overhead, compute, error) != (None, None, None, None):
            raise InputError(
                "edgesim calibrate: --parameters fits shares of peak rates, with own priors of errors and "
                "overheads; leave out --output, --overhead, --compute and --error"
            )
        notes = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
        table = plain_table(*HEADINGS)
        for cells in fitted_rows(rows, parameters):
            table.add_row(*cells)
        page = console()
        page.quiet = quiet
        page.print(table)
        notes.print(f"to use it in a runtime: {{fitted_as: NAME, parameters: {parameters}}}", markup=False)
        return
    from edgesim.model import calibration
    from edgesim.scenario.measurements import kind_snippet, read_measurements, to_fill_in
    from edgesim.units import COMPUTE_RATE, TIME, UnitError, parse

    try:
        overhead_s = None if overhead is None else parse(overhead, TIME)
        flop_per_s = None if compute is None else parse(compute, COMPUTE_RATE)
    except UnitError as mistake:
        raise InputError(f"--overhead, --compute: {mistake}") from None
    read, measured = read_measurements(rows)
    fit = calibration.calibrate(measured, overhead_s=overhead_s, flop_per_s=flop_per_s, error=error)
    notes = Console(stderr=True, quiet=quiet, highlight=False)
    table = plain_table("model", "phase", "measured", "fitted", "difference")
    for entry, row in zip(read.measurements, fit.rows, strict=True):
        times = (
            f"{1e3 * row.measured_s:.4g} ms",
            f"{1e3 * row.predicted_s:.4g} ms",
            f"{row.difference:+.1%}",
        )
        table.add_row(entry.model, entry.phase, *times)
    notes.print(table)
    how = f"degrees of freedom: {fit.n_spare}" if fit.n_spare else "assumed: no degrees of freedom are left"
    notes.print(f"standard error of a measurement: {fit.error:.1%} ({how})")
    snippet = kind_snippet(read, fit)
    if missing := to_fill_in(read):
        notes.print(f"fill in before use in a scenario: {', '.join(missing)}", style="yellow")
    if output is None:
        typer.echo(snippet, nl=False)
    else:
        with writing(output):
            output.write_text(snippet, encoding="utf-8")
        notes.print(f"written to {output}", style="dim", markup=False)
