"""Command that explains the latency and throughput of a trace."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesim.cli.options import Quiet
from edgesim.cli.terminal import Console, console
from edgesim.errors import InputError, TraceError
from edgesim.report.progress import measuring_progress

if TYPE_CHECKING:
    from edgesim.report.explained.as_json import Explained
    from edgesim.trace.reader import Trace

__all__ = ["explain"]


def explain(
    trace: Annotated[Path, typer.Argument(metavar="TRACE", help="Folder of a trace (edgesim run).")],
    request: Annotated[
        int | None,
        typer.Option(min=0, help="Follow one request, and show what it waited for."),
    ] = None,
    strategy: Annotated[
        list[str] | None, typer.Option(help="Label of a strategy; repeatable. All if not given.")
    ] = None,
    replication: Annotated[int, typer.Option(min=0, help="Replication of the request to follow.")] = 0,
    advice: Annotated[
        bool,
        typer.Option(
            "--advice/--no-advice", help="Run the scenario again with single changes; show which helps most."
        ),
    ] = False,
    budget: Annotated[int, typer.Option(help="Most runs for the advice on one strategy.", min=1)] = 60,
    folder: Annotated[
        Path | None,
        typer.Option(help="Folder of the files that the scenario names; the current one if not given."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    quiet: Quiet = False,
) -> None:
    """Show how requests spent their time, what bounds each strategy, and which change would help most.

    The parts of a request's latency are found along its critical path, backwards from its last token, and add
    up to it.
    """
    from edgesim.explain.journey import journey
    from edgesim.report.explained.as_json import as_json as explanation_as_json
    from edgesim.report.explained.tables import AdviceTable, BoundsTable, JourneyTable, PartsTable
    from edgesim.trace.reader import Trace

    if request is not None and advice:
        raise InputError("--advice: it is for all requests of a strategy; leave out --advice or --request")
    notes = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
    read = Trace(trace).sound()
    labels = _labels(read, strategy or ())
    page = console()
    if request is not None:
        found = {label: journey(read, label, _there(read, label, replication), request) for label in labels}
        if as_json:
            typer.echo(json.dumps(explanation_as_json((), found), indent=2))
            return
        for label, one in found.items():
            page.print(JourneyTable(one, f"Request {request} under {label}, replication {replication}"))
        return
    explained = [_explained(read, label) for label in labels]
    explained = _with_capacity(read, explained, folder or Path(), notes)
    if advice:
        explained = _with_advice(read, explained, folder or Path(), budget, notes)
    if as_json:
        typer.echo(json.dumps(explanation_as_json(explained, {}), indent=2))
        return
    page.print(PartsTable(explained))
    page.print(BoundsTable(explained))
    for each in explained:
        if each.advice is not None:
            page.print(AdviceTable(each.advice))
    if not advice:
        notes.print("to find which change helps most: --advice; for one request: --request ID", style="dim")


def _labels(trace: Trace, asked: list[str] | tuple[str, ...]) -> list[str]:
    """Return the requested strategies (all if none is), which must have a complete replication."""
    whole = [label for label in trace.strategies if trace.replications(label)]
    for label in asked:
        if label not in whole:
            raise InputError(
                f"--strategy: {trace.path} has no complete run of {label!r}; expected one of "
                f"{', '.join(whole) or 'its strategies, of which none has a complete run'}"
            )
    if not whole:
        raise TraceError(
            f"{trace.path}: no replication is complete; expected at least one: continue the run "
            "(edgesim run --resume)"
        )
    return list(asked) or whole


def _there(trace: Trace, label: str, replication: int) -> int:
    there = trace.replications(label)
    if replication not in there:
        raise InputError(
            f"--replication: {trace.path} has no complete replication {replication} of {label}; expected one "
            f"of {', '.join(map(str, there))}"
        )
    return replication


def _explained(trace: Trace, label: str) -> Explained:
    """Explain a strategy from all its replications."""
    from edgesim.explain.breakdown import breakdown
    from edgesim.explain.parts import WAITS
    from edgesim.explain.stations import bounds
    from edgesim.report.explained.as_json import Explained

    sums_s: dict[str, float] = {}
    n_requests = n_tokens = 0
    for replication in trace.replications(label):
        parts = breakdown(trace, label, replication).drop(columns="request_id")
        for name, total_s in parts.sum().items():
            sums_s[str(name)] = sums_s.get(str(name), 0.0) + float(total_s)
        requests = trace.requests(label, replication)
        answered = requests[(requests["outcome"] == "completed").to_numpy()]
        n_requests, n_tokens = n_requests + len(answered), n_tokens + int(answered["n_emitted_tokens"].sum())
    means_s = {name: total_s / max(1, n_requests) for name, total_s in sums_s.items()}
    least_s = sum(part_s for name, part_s in means_s.items() if name not in WAITS)
    found = bounds(trace, label, trace.replications(label)) if n_requests else None
    return Explained(label, means_s, least_s, n_requests, n_tokens, found)


def _with_capacity(trace: Trace, explained: list[Explained], folder: Path, notes: Console) -> list[Explained]:
    """Add an upper bound on throughput over all placements, if the scenario can be read."""
    from edgesim.explain.fluid import most_per_s
    from edgesim.explain.trace_scenario import Original

    try:
        prepared = Original(trace, folder).unplaced()
    except InputError as error:
        line = str(error).splitlines()[0]
        notes.print(f"no bound for other placements: {line}", style="yellow", markup=False)
        return explained
    per_s = most_per_s(prepared).per_s
    return [replace(each, any_per_s=per_s) for each in explained]


def _with_advice(
    trace: Trace, explained: list[Explained], folder: Path, budget: int, notes: Console
) -> list[Explained]:
    """Add the change that would help each strategy most."""
    from edgesim.explain.advice import advise
    from edgesim.explain.trace_scenario import Original

    original, found = Original(trace, folder), []
    for each in explained:
        with measuring_progress(notes, unit="runs", doing=f"changing {each.strategy}") as report:
            advice = advise(original, each.strategy, budget=budget, on_progress=report)
        found.append(replace(each, advice=advice))
    return found
