"""Command that runs a scenario for combinations of parameter values."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesim.cli.on_demand import training_on_demand
from edgesim.cli.options import Quiet, ScenarioName, load_scenario
from edgesim.cli.stopping import INTERRUPTED
from edgesim.cli.terminal import Console, console
from edgesim.errors import InputError
from edgesim.report.progress import counting_up, measuring_progress

if TYPE_CHECKING:
    from edgesim.sweep.reader import Sweep
    from edgesim.sweep.unit import Unit

__all__ = ["sweep"]


def sweep(
    scenario: ScenarioName,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="PATH=VALUE,VALUE,...",
            help="Values of an axis, such as workload.arrivals.poisson='0.5 Hz,1 Hz'; a single value changes "
            "the scenario. Repeatable; all combinations are run.",
        ),
    ] = None,
    zip_: Annotated[bool, typer.Option("--zip", help="Advance all axes together instead.")] = False,
    case: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME:PATH=VALUE;...",
            help="A named list of changes; repeatable. Together, the cases form one more axis.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the sweep; by default sweeps/NAME, numbered if it exists.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed; replaces the scenario's.")] = None,
    replications: Annotated[
        int | None, typer.Option(help="Number of replications; replaces the scenario's.", min=1)
    ] = None,
    strategy: Annotated[
        list[str] | None, typer.Option(help="Label of a strategy to run; repeatable.")
    ] = None,
    jobs: Annotated[int, typer.Option(help="Number of processes.", min=1)] = 1,
    dask: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Run on a Dask cluster: the address of its scheduler, or local:2 for two local workers.",
        ),
    ] = None,
    keep: Annotated[
        str, typer.Option(help="Data to keep: results; or also the tables of requests, or of spans.")
    ] = "results",
    until: Annotated[
        str | None,
        typer.Option(
            metavar="METRIC±PERCENT%",
            help="Add replications until the mean has this precision, such as 'e2e_mean_s±2%'.",
        ),
    ] = None,
    at_least: Annotated[
        int | None, typer.Option(help="Fewest replications with --until; 10 if not given.")
    ] = None,
    at_most: Annotated[
        int | None, typer.Option(help="Most replications with --until; 100 if not given.")
    ] = None,
    capacity: Annotated[
        str | None,
        typer.Option(
            metavar="PATH=LOW..HIGH",
            help="Search for the highest load that meets the objectives, such as "
            "workload.arrivals.poisson='0.1..5 Hz'. If both ends are whole numbers without a unit, only "
            "whole numbers are tried (1.0..4: others, too).",
        ),
    ] = None,
    attain: Annotated[
        float | None, typer.Option(help="Share of requests that must meet the scenario's objectives.")
    ] = None,
    meets: Annotated[
        str | None, typer.Option(metavar="METRIC<=LIMIT", help="Limit on a metric to be met instead.")
    ] = None,
    resolution: Annotated[
        float | None, typer.Option(help="Relative resolution of the search; 0.01 if not given.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a stopped sweep in --out.")] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="With --resume, repeat failed runs.")
    ] = False,
    refresh: Annotated[bool, typer.Option("--refresh", help="Measure even if a profile is kept.")] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Use a profile even if its error at held-out points exceeds 100 %."),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the results as JSON, one row per run.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Run a scenario for all combinations of parameter values, and store the results as one data set.

    Every cell (combination of values) has the same requests in the same replication. A stopped sweep can be
    continued with --resume; its results are then the same to the byte.
    """
    from edgesim.runner import free_folder
    from edgesim.sweep.axes import cases_of, values_of
    from edgesim.sweep.running import run_sweep
    from edgesim.sweep.sweep_options import Options, checked_sweep

    notes = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
    given = values_of(set_ or ())
    cases = cases_of(case or ())
    if seed is not None and "seed" in {
        *given,
        *(one.partition("=")[0].strip() for each in cases.values() for one in each),
    }:
        raise InputError("--seed: the seed is set by --set or --case as well; leave one of them out")
    fixed = [f"{path}={values[0]}" for path, values in given.items() if len(values) == 1]
    if resume and out is None:
        raise InputError("--resume: name the sweep to continue, with --out FOLDER")
    if retry_failed and not resume:
        raise InputError("--retry-failed: it requires --resume; add it")
    with measuring_progress(notes) as measuring:
        asked = checked_sweep(
            lambda changes: load_scenario(scenario, [*fixed, *changes], seed=seed),
            {path: values for path, values in given.items() if len(values) > 1},
            Options(
                cases=cases,
                zipped=zip_,
                replications=replications,
                keep=keep,
                until=until,
                at_least=at_least,
                at_most=at_most,
                capacity=capacity,
                attain=attain,
                meets=meets,
                resolution=resolution,
            ),
            only=tuple(strategy or ()),
            measuring=measuring,
            trainer=training_on_demand(notes),
            refresh=refresh,
            force=force,
        )
        folder = out or free_folder(Path("sweeps"), Path(scenario).stem)
        with _kept_on_stop(folder), _counting(notes) as report:
            found = run_sweep(
                asked,
                folder,
                jobs=jobs,
                dask=dask,
                resume=resume,
                retry_failed=retry_failed,
                on_progress=report,
                remark=lambda text: notes.print(text, style="yellow", markup=False),
            )
    _show(found, as_json)
    notes.print(f"sweep: {folder}", style="dim", markup=False)
    failures = found.failures()
    if len(failures):
        notes = Console(stderr=True, highlight=False, soft_wrap=True)
        first = failures.iloc[0]
        notes.print(
            f"{len(failures)} runs have failed, the first in cell {first['cell']}, replication "
            f"{first['replication']}: {first['reason']}; repeat them with --resume --retry-failed "
            f"--out {folder}",
            markup=False,
        )
        raise typer.Exit(1)


def _show(found: Sweep, as_json: bool) -> None:
    from edgesim.report.listings.sweep_table import CapacityTable, SweepTable

    if as_json:
        capacities = found.capacities()
        rows = found.results().to_json(orient="records", double_precision=15)
        content = {"sweep": str(found.path), "results": json.loads(rows)}
        if capacities is not None:
            content["capacities"] = json.loads(capacities.to_json(orient="records", double_precision=15))
        typer.echo(json.dumps(content, indent=1))
    elif found.capacities() is not None:
        console().print(CapacityTable(found))
    else:
        console().print(SweepTable(found))


@contextmanager
def _counting(notes: Console) -> Iterator[Callable[[Unit, str | None, int | None], None]]:
    with counting_up(notes, "sweeping") as report:
        yield lambda unit, failed, n_asked: report(
            f"cell {unit.cell}, replication {unit.replication}{' failed' if failed else ''}", n_asked
        )


@contextmanager
def _kept_on_stop(folder: Path) -> Iterator[None]:
    """Context manager that reports what is kept of a sweep that is stopped."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as error:
        from edgesim.sweep.reader import Sweep

        try:
            missing = Sweep(folder).incomplete
        except InputError:
            missing = None  # the sweep had not started
        if missing is not None:
            Console(stderr=True, soft_wrap=True, highlight=False).print(
                f"stopped; the sweep in {folder} is {missing}, and is kept; continue with --resume "
                f"--out {folder}",
                markup=False,
            )
        if isinstance(error, KeyboardInterrupt):
            raise typer.Exit(INTERRUPTED) from None
        raise
