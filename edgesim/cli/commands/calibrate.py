"""The command that fits a device to measured rates."""

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
            help="Fit shares of peaks instead, to these and all published rates, and write the set here.",
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Fit a device's ceilings to a few measured rates, with uncertainty, and print them as a device kind.

    With --parameters, rows name device kinds of the catalogue and runtimes, and a runtime may take the set.
    """
    if parameters is not None:
        from edgesim.cli.fitting import HEADINGS, fitted_rows

        if (output, overhead, compute, error) != (None, None, None, None):
            raise InputError(
                "edgesim calibrate: --parameters fits shares of peaks, with priors of errors and overheads "
                "of its own; leave --output, --overhead, --compute and --error out"
            )
        notes = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
        table = plain_table(*HEADINGS)
        for cells in fitted_rows(rows, parameters):
            table.add_row(*cells)
        page = console()
        page.quiet = quiet
        page.print(table)
        notes.print(f"a runtime takes the set: {{fitted_as: NAME, parameters: {parameters}}}", markup=False)
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
    how = f"{fit.n_spare} rows to spare" if fit.n_spare else "no row to spare, so this is assumed"
    notes.print(f"a measurement is taken to be off by {fit.error:.1%} (one standard error; {how})")
    snippet = kind_snippet(read, fit)
    if missing := to_fill_in(read):
        notes.print(f"to be filled in before a scenario can use it: {', '.join(missing)}", style="yellow")
    if output is None:
        typer.echo(snippet, nl=False)
    else:
        with writing(output):
            output.write_text(snippet, encoding="utf-8")
        notes.print(f"written to {output}", style="dim", markup=False)
