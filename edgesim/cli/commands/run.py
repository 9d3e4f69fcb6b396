"""Command that simulates a scenario."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesim.cli.on_demand import training_on_demand
from edgesim.cli.options import Overrides, Quiet, ScenarioName, load_scenario
from edgesim.cli.outputs import writing
from edgesim.cli.profile_notes import profile_line, warn_of_noise
from edgesim.cli.stopping import kept_on_stop
from edgesim.cli.terminal import Console, console
from edgesim.report.progress import counting, measuring_progress

if TYPE_CHECKING:
    from edgesim.runner import Prepared, RunFinished

__all__ = ["run"]


def run(
    scenario: ScenarioName,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the trace; by default traces/NAME, numbered if it exists.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed; replaces the scenario's.")] = None,
    replications: Annotated[
        int | None, typer.Option(help="Number of replications; replaces the scenario's.")
    ] = None,
    strategy: Annotated[
        list[str] | None, typer.Option(help="Label of a strategy to run; repeatable.")
    ] = None,
    set_: Overrides = None,
    jobs: Annotated[int, typer.Option(help="Number of processes.", min=1)] = 1,
    refresh: Annotated[bool, typer.Option("--refresh", help="Measure even if a profile is kept.")] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Use a profile even if its error at held-out points exceeds 100 %."),
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite an earlier trace in --out.")] = False,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Finish a run that was stopped, in --out or in the newest trace of this name."
        ),
    ] = False,
    counters: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Also record KV bytes, battery charge and SNR over time, with this period, such as '0.1 s'.",
        ),
    ] = None,
    parameters: Annotated[
        int | None,
        typer.Option(
            "--parameters",
            min=2,
            help="Number of further runs with other sets of fitted parameters (19 or more for 90 %), for an "
            "interval.",
        ),
    ] = None,
    metrics: Annotated[
        bool, typer.Option("--metrics", help="Print every metric below the comparison.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the comparison as JSON, in full precision.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Simulate every strategy of a scenario, write the trace, and compare."""
    from edgesim import runner
    from edgesim.cli.comparing import compared_as_json, print_compared
    from edgesim.report.comparison import comparison
    from edgesim.report.uncertainty.spread import as_json as spread_json
    from edgesim.report.uncertainty.spread import check_spread, parameter_spread
    from edgesim.report.uncertainty.table import SpreadTable
    from edgesim.scenario.check import quantisation_remark
    from edgesim.scenario.runtimes import has_parameter_set

    notes = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
    if out is not None:
        with writing(out):
            out.exists()  # raises if the name is invalid
    counters_s = None if counters is None else runner.interval_s("--counters", counters)
    asked = load_scenario(scenario, set_, seed=seed, replications=replications)
    with measuring_progress(notes) as measuring:
        prepared = runner.prepare(
            asked,
            only=strategy or (),
            refresh=refresh,
            measuring=measuring,
            trainer=training_on_demand(notes),
            force=force,
        )
    if prepared.profile is not None:
        notes.print(f"profile: {profile_line(prepared.profile)}", style="dim", markup=False)
        warn_of_noise(notes, prepared.profile)
    for name, own in prepared.profiles.own.items():
        notes.print(f"{name} as measured: {profile_line(own)}", style="dim", markup=False)
    if stored := quantisation_remark(asked):
        notes.print(stored, style="dim", markup=False)
    for label, placement in prepared.placements.items():
        if placement.remark:
            notes.print(f"{label}: {placement.remark}", style="yellow", markup=False)
    for remark in prepared.remarks:
        notes.print(remark, style="yellow", markup=False)
    if parameters is None and has_parameter_set(prepared.kinds):
        notes.print(
            "runtimes use central values of their fitted parameters; --parameters 19 shows the effect of "
            "their uncertainty",
            style="dim",
        )
    if parameters is not None:
        check_spread(prepared, parameters)
    if resume:
        folder = out or runner.unfinished_folder(Path("traces"), asked.name)
    else:
        folder = out or runner.free_folder(Path("traces"), asked.name)
    with kept_on_stop(folder), _counting(notes, prepared) as report:
        trace = runner.run(
            prepared,
            folder,
            jobs=jobs,
            replace=replace,
            resume=resume,
            on_progress=report,
            counters_s=counters_s,
        )
    compared = comparison(trace)
    spreads = []
    if parameters is not None:
        with _counting(notes, prepared, n_times=parameters) as report:
            spreads = parameter_spread(prepared, compared, parameters, jobs=jobs, on_progress=report)
    if as_json:
        content = compared_as_json(trace, compared)
        typer.echo(json.dumps(content | ({"parameters": spread_json(spreads)} if spreads else {}), indent=2))
    else:
        print_compared(console(), trace, compared, metrics=metrics)
        if parameters is not None:
            console().print(SpreadTable(spreads, parameters))
    empty = [row.strategy for row in compared.rows if row.outcomes.offered == 0]
    if empty and asked.warmup_s:
        notes.print(
            f"no results for {', '.join(empty)}: no request arrived after the warm-up of "
            f"{asked.warmup_s:g} s; shorten the warm-up, or add requests",
            style="yellow",
            markup=False,
        )
    notes.print(f"trace: {folder}", style="dim", markup=False)


@contextmanager
def _counting(
    notes: Console, prepared: Prepared, n_times: int = 1
) -> Iterator[Callable[[RunFinished], None]]:
    """Show a progress bar over all strategies and replications, repeated `n_times`."""
    with counting(notes, n_times * len(prepared.strategies) * prepared.scenario.replications) as count:
        yield lambda ran: count(f"{ran.strategy}, replication {ran.replication}")
