"""The commands that simulate, measure compute, and list what there is."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from edgesim.cli.fitting import HEADINGS, fitted_rows
from edgesim.cli.on_demand import training_on_demand
from edgesim.cli.stopping import kept_on_stop, stop_when_terminated
from edgesim.cli.terminal import Console, refuse_controls, tolerate_encodings
from edgesim.errors import InputError, WorkerLostError
from edgesim.report.progress import counting, measuring_progress

if TYPE_CHECKING:
    from edgesim.model.architecture import Component
    from edgesim.model.communication import Communication
    from edgesim.model.monotone import Correction
    from edgesim.model.profile import Profile
    from edgesim.runner import Prepared, Ran
    from edgesim.scenario.schema.scenario import Scenario

__all__ = [
    "PAGE_WIDTH",
    "Overrides",
    "Quiet",
    "ScenarioName",
    "app",
    "console",
    "load_scenario",
    "main",
    "plain_table",
    "schema_text",
    "shipped_names",
    "writing",
]

COMPLETION = "_EDGESIM_COMPLETE"
"""Variable by which a shell asks for completions (typer names it after the program)."""

PAGE_WIDTH = 110  # columns: what the tables need, where no terminal says how many there are

app = typer.Typer(
    name="edgesim",
    help="Simulate ways of serving LLMs over edge devices, charged with measured compute.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def shipped_names(incomplete: str) -> list[str]:
    """Complete the names of shipped scenarios; where none begins so, the shell completes files."""
    from edgesim.scenario.text.packaged import packaged_scenarios

    return [name for name in packaged_scenarios() if name.startswith(incomplete)]


def _print_version(is_asked: bool) -> None:
    if is_asked:
        from importlib.metadata import version

        typer.echo(f"edgesim {version('edgesim')}")
        raise typer.Exit


ScenarioName = Annotated[
    str,
    typer.Argument(
        metavar="SCENARIO",
        help="A scenario file, or the name of a shipped one.",
        autocompletion=shipped_names,
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="PATH=VALUE", help="Change the scenario, such as workload.arrivals.poisson='1 Hz'."
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress, no notes.")]


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Say which edgesim this is."),
    ] = False,
) -> None:
    """Simulate ways of serving LLMs over edge devices, charged with measured compute."""


def main() -> None:
    """Run the command line; the console script's entry point."""
    tolerate_encodings()
    stop_when_terminated()
    try:
        refuse_controls(sys.argv[1:])
        if not sys.argv[1:] and COMPLETION not in os.environ:
            Console(stderr=True).print("edgesim: no command; expected one of those below, such as run")
        app(prog_name="edgesim")
    except InputError as error:
        Console(stderr=True, soft_wrap=True, highlight=False).print(str(error), markup=False)
        sys.exit(2)
    except WorkerLostError as error:
        Console(stderr=True, soft_wrap=True, highlight=False).print(str(error), markup=False)
        sys.exit(1)


@app.command()
def run(
    scenario: ScenarioName,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the trace; by default traces/NAME, numbered if it exists.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Another seed than the scenario's.")] = None,
    replications: Annotated[int | None, typer.Option(help="Another number of replications.")] = None,
    strategy: Annotated[
        list[str] | None, typer.Option(help="Label of a strategy to run; repeatable.")
    ] = None,
    set_: Overrides = None,
    jobs: Annotated[int, typer.Option(help="Processes that share the work.", min=1)] = 1,
    refresh: Annotated[bool, typer.Option("--refresh", help="Measure even if a profile is kept.")] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Take a profile even if it misses held-out points by over 100 %."),
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
            help="Count KV bytes, battery charge and SNR over time, too, sampled so often, such as '0.1 s'.",
        ),
    ] = None,
    parameters: Annotated[
        int | None,
        typer.Option(
            "--parameters",
            min=2,
            help="Run again under so many sets of fitted parameters (19 or more for 90 %), for an interval.",
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
    from edgesim.scenario.runtimes import holds_a_set

    notes = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
    if out is not None:
        with writing(out):
            out.exists()  # which is refused of a name that no file can have
    counters_s = None if counters is None else runner.interval_s("--counters", counters)
    asked = load_scenario(scenario, set_, seed=seed, replications=replications)
    with measuring_progress(notes) as tell:
        prepared = runner.prepare(
            asked,
            only=strategy or (),
            refresh=refresh,
            measuring=tell,
            trainer=training_on_demand(notes),
            force=force,
        )
    if prepared.profile is not None:
        notes.print(f"profile: {_profile_line(prepared.profile)}", style="dim", markup=False)
        _warn_of_noise(notes, prepared.profile)
    for name, own in prepared.profiles.own.items():
        notes.print(f"{name} as measured: {_profile_line(own)}", style="dim", markup=False)
    if stored := quantisation_remark(asked):
        notes.print(stored, style="dim", markup=False)
    for label, placement in prepared.placements.items():
        if placement.remark:
            notes.print(f"{label}: {placement.remark}", style="yellow", markup=False)
    for remark in prepared.remarks:
        notes.print(remark, style="yellow", markup=False)
    if parameters is None and holds_a_set(prepared.kinds):
        notes.print(
            "runtimes at the centre of their fit; --parameters 19 shows what it leaves open", style="dim"
        )
    if parameters is not None:
        check_spread(prepared, parameters)
    if resume:
        folder = out or runner.unfinished_folder(Path("traces"), asked.name)
    else:
        folder = out or runner.free_folder(Path("traces"), asked.name)
    with kept_on_stop(folder), _counting(notes, prepared) as told:
        trace = runner.run(
            prepared,
            folder,
            jobs=jobs,
            replace=replace,
            resume=resume,
            told=told,
            counters_s=counters_s,
        )
    compared = comparison(trace)
    spreads = []
    if parameters is not None:
        with _counting(notes, prepared, n_times=parameters) as told:
            spreads = parameter_spread(prepared, compared, parameters, jobs=jobs, told=told)
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
            f"nothing to report of {', '.join(empty)}: no request arrived after the warm-up of "
            f"{asked.warmup_s:g} s; shorten it, or let more arrive",
            style="yellow",
            markup=False,
        )
    notes.print(f"trace: {folder}", style="dim", markup=False)


@app.command()
def check(
    scenario: ScenarioName,
    strategy: Annotated[
        list[str] | None, typer.Option(help="Label of a strategy to place; repeatable; all if not given.")
    ] = None,
    set_: Overrides = None,
    quiet: Quiet = False,
) -> None:
    """Find every mistake of a scenario, and show where its strategies would place the model.

    Nothing is measured: without a profile at hand, planners go by the device kinds' ceilings.
    """
    from edgesim import runner
    from edgesim.scenario.build import kinds_used
    from edgesim.scenario.check import quantisation_remark
    from edgesim.scenario.timings import corrections, timings

    asked = load_scenario(scenario, set_)
    prepared = runner.prepare(asked, only=strategy or (), measure=False)
    page = console()
    page.quiet = quiet
    longest = prepared.longest
    page.print(
        f"{asked.origin.name} is sound: {_how_many(asked, longest.n_requests)} per replication, "
        f"prompts up to {longest.n_prompt_tokens} tokens, {longest.n_tokens} tokens with the answer",
        markup=False,
        soft_wrap=True,
    )
    table = plain_table("strategy", "device", "holds")
    for label, placement in prepared.placements.items():
        for number, stage in enumerate(placement.stages):
            table.add_row("" if number else label, stage.device, str(stage.part))
    page.print(table)
    if stored := quantisation_remark(asked):
        page.print(stored, markup=False, soft_wrap=True)
    for label, placement in prepared.placements.items():
        if placement.remark:
            page.print(f"{label}: {placement.remark}", markup=False, soft_wrap=True)
        if prepared.strategies[label].needs_training:
            page.print(f"{label}: no policy is at hand yet; the first run trains it", markup=False)
    for remark in prepared.remarks:
        page.print(remark, markup=False, soft_wrap=True)
    for name, own in prepared.profiles.own.items():
        page.print(f"{name} as measured: {_profile_line(own)}", markup=False, soft_wrap=True)
    for name, parts in corrections(timings(asked, prepared.profiles)).items():
        page.print(f"{name} as scaled: {_corrections_line(parts)}", markup=False, soft_wrap=True)
    if (
        prepared.profile is None
        and asked.profile.use != "analytic"
        and kinds_used(asked).keys() - prepared.profiles.own
    ):
        page.print("no profile is at hand yet, so planners went by the kinds' ceilings", style="dim")


@app.command()
def profile(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A model of the catalogue, a folder or config file, or an id on the Hugging Face Hub.",
        ),
    ],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Save the profile here, too.")] = None,
    dtype: Annotated[str, typer.Option(help="float32, float16 or bfloat16.")] = "bfloat16",
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: Annotated[int | None, typer.Option(help="Threads; by default one per core.", min=1)] = None,
    budget: Annotated[
        str, typer.Option(help="How long to measure, warming up included, such as '60 s'.")
    ] = "60 s",
    max_prompt: Annotated[int, typer.Option(help="Longest prompt to cover.", min=1)] = 256,
    max_context: Annotated[int, typer.Option(help="Longest context to cover.", min=1)] = 512,
    batch: Annotated[
        list[int] | None, typer.Option(help="Sequences in a decoding step to cover; repeatable.", min=1)
    ] = None,
    prefill_batch: Annotated[
        list[int] | None,
        typer.Option(help="Prompts in one pass to cover, as in static batching; repeatable.", min=1),
    ] = None,
    shard: Annotated[
        list[int] | None,
        typer.Option(help="Cut blocks into so many tensor shards and time one, too; repeatable.", min=1),
    ] = None,
    kind: Annotated[
        str, typer.Option(help="Device kind that this machine is of; written into the profile's file.")
    ] = "",
    messages: Annotated[
        bool,
        typer.Option(
            "--messages", help="Also measure what messages and sums between two processes cost here, in use."
        ),
    ] = False,
    refresh: Annotated[bool, typer.Option("--refresh", help="Measure even if a profile is kept.")] = False,
    quiet: Quiet = False,
) -> None:
    """Time the parts of a model on this machine, by real forward passes, with weights in the number format.

    A file with a --kind is used as measured by every scenario that has it in its 'profiles'.
    """
    from edgesim.measure.cache import ensure_profile
    from edgesim.measure.grid import Grid
    from edgesim.scenario.check import plain_architecture
    from edgesim.units import TIME, UnitError, parse

    try:
        budget_s = parse(budget, TIME)
    except UnitError as error:
        raise InputError(f"--budget: {error}") from None
    notes = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
    architecture, is_packed = plain_architecture(model, dtype=dtype)
    if is_packed:
        notes.print(
            f"{model}: its config quantises its weights; modules with plain weights in {dtype} are measured",
            style="yellow",
            markup=False,
        )
    if device.partition(":")[0] not in ("cpu", "cuda"):
        raise InputError(f"--device: found {device!r}; expected cpu or cuda")
    if kind and output is None:
        raise InputError("--kind: it is written into the saved file alone; say where with --output FILE")
    grid = Grid.covering(
        max_prompt,
        max_context,
        tuple({1, *(batch or ())}),
        tuple(shard or (1,)),
        tuple({1, *(prefill_batch or ())}),
    )
    with measuring_progress(notes) as tell:
        measured = ensure_profile(
            architecture,
            threads=threads or os.cpu_count() or 1,
            device=device,
            grid=grid,
            budget_s=budget_s,
            progress=tell,
            refresh=refresh,
            force=True,  # it is shown, with how far off it is
        )
    if messages:
        from edgesim.measure.real.in_context import measure_communication

        notes.print("measuring messages and sums", style="dim")
        measured = measured.with_communication(measure_communication())
    if output is not None:
        with writing(output):
            measured.stamped(kind).save(output)
        notes.print(f"saved as {output}", style="dim", markup=False)
    _print_profile(console(), measured)
    _warn_of_noise(notes, measured)


@app.command()
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


@app.command()
def link(
    scenario: ScenarioName,
    between: Annotated[
        tuple[str, str] | None,
        typer.Option("--between", metavar="A B", help="The two ends of one link; all of them if not given."),
    ] = None,
    replication: Annotated[int, typer.Option(min=0, help="Whose channel to look at.")] = 0,
    from_: Annotated[str, typer.Option("--from", help="First instant.")] = "0 s",
    until: Annotated[str, typer.Option(help="Last instant.")] = "10 s",
    every: Annotated[str, typer.Option(help="Time between looks.")] = "50 ms",
    plot: Annotated[Path | None, typer.Option(help="Draw it into this file (.png, .pdf, .svg).")] = None,
    set_: Overrides = None,
) -> None:
    """Show what a scenario's radio links do: distance, path loss, SNR, scheme, errors, rate and goodput.

    What is shown is the channel with nobody else on the air: the same that every strategy meets. With
    --between, the link's budget at the first instant comes before its course over time.
    """
    from edgesim.report.link import directions, link_table, links_table, seen
    from edgesim.report.link_budget import budget_table
    from edgesim.scenario.radio.inspection import radio_links

    asked = load_scenario(scenario, set_)
    instants = {
        name: _seconds(f"--{name}", text)
        for name, text in (("from", from_), ("until", until), ("every", every))
    }
    if not 0 <= instants["from"] <= instants["until"] or not instants["every"] > 0:
        raise InputError(
            "edgesim link: expected --from at 0 s or later, --until no earlier, and a time above 0 in "
            f"--every; got {from_}, {until} and {every}"
        )
    if (instants["until"] - instants["from"]) / instants["every"] > 1e6:
        raise InputError("edgesim link: more than a million looks; make --every longer, or the time shorter")
    looked = [
        seen(one, from_s=instants["from"], until_s=instants["until"], every_s=instants["every"])
        for one in directions(radio_links(asked, replication=replication, between=between))
    ]
    if plot is not None:
        from edgesim.report.link_plot import MOST_LINES, plot_links

        plot_links(looked, plot, title=f"{asked.name}, replication {replication}")
        if len(looked) > MOST_LINES:
            notes = Console(stderr=True, highlight=False, soft_wrap=True)
            notes.print(
                f"the figure shows the first {MOST_LINES} of {len(looked)} directions; choose by --between"
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


@app.command()
def schema(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write it here.")] = None,
) -> None:
    """Print the JSON Schema of scenario files, installed strategies included, for editors."""
    text = schema_text()
    if output is None:
        typer.echo(text, nl=False)
    else:
        with writing(output):
            output.write_text(text, encoding="utf-8")


def schema_text() -> str:
    """Return the JSON Schema of scenario files, with the strategies that can be loaded."""
    from edgesim.scenario.schema.json_schema import json_schema
    from edgesim.strategy import discover_all

    found = discover_all()
    for broken in found.values():
        if isinstance(broken, InputError):
            Console(stderr=True, soft_wrap=True).print(f"left out: {broken}", style="yellow")
    sound = {name: one for name, one in found.items() if not isinstance(one, InputError)}
    return json.dumps(json_schema(sound), indent=2) + "\n"


def load_scenario(scenario: str, overrides: list[str] | None, **numbers: int | None) -> Scenario:
    """Read a scenario, with what the command line changes of it."""
    from edgesim.scenario.load import load

    given = [f"{name}={number}" for name, number in numbers.items() if number is not None]
    return load(scenario, [*(overrides or ()), *given])


@contextmanager
def writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from None


def _seconds(option: str, text: str) -> float:
    from edgesim.units import TIME, UnitError, parse

    try:
        return parse(text, TIME)
    except UnitError as error:
        raise InputError(f"{option}: {error}") from None


def _how_many(asked: Scenario, n_requests: int) -> str:
    if asked.workload.users is not None and asked.workload.requests is None:
        return f"as many requests as {n_requests} users are answered"
    return f"{n_requests} requests at most"


def _profile_line(profile: Profile) -> str:
    error = profile.held_out_error
    return (
        f"{profile.architecture.name} ({profile.architecture.dtype}) on {profile.where}, "
        f"{profile.measured_at}; held-out error {error.median:.1%} (median), "
        f"{error.p95:.1%} (p95)"
    )


def _corrections_line(parts: Mapping[Component, Correction]) -> str:
    changed = ", ".join(
        f"{change.n_changed} of {change.n_points} of the {part} by {change.largest:.1%} at most"
        for part, change in parts.items()
        if change.n_changed
    )
    return f"times changed so that none falls with more tokens or a larger batch: {changed}"


def _warn_of_noise(notes: Console, profile: Profile) -> None:
    """Say so where a profile was measured on a machine too busy to be trusted, and what to do."""
    from edgesim.report.noise import noise

    if said := noise(profile):
        notes.print(f"warning: {said}, and measure again with --refresh", style="yellow", markup=False)


def _print_profile(console: Console, profile: Profile) -> None:
    table = plain_table("component", "phase", "batch", "tokens", "time", "spread", "repeats")
    for row in profile.summary():
        low, high = row.n_tokens
        table.add_row(
            row.component if row.n_shards == 1 else f"{row.component} 1/{row.n_shards}",
            row.phase,
            str(row.batch),
            f"{low} … {high}",
            " … ".join(f"{1e3 * seconds:.3g}" for seconds in row.median_s) + " ms",
            f"± {row.spread:.1%}",
            str(row.n_repeats),
        )
    console.print(table)
    if (late := profile.host.get("lateness")) is not None:
        spread = "" if late["law"] == "exponential" else f", spread: {late['spread']:.3g}"
        console.print(
            f"halves of blocks were late by {1e6 * late['mean_s']:.3g} µs in the mean; in a scenario, "
            f"lateness: {{law: {late['law']}, mean: {1e6 * late['mean_s']:.3g} us{spread}}}",
            soft_wrap=True,
        )
    ceilings, error = profile.ceilings, profile.held_out_error
    console.print(
        f"this machine reaches {ceilings.flop_per_s / 1e9:.0f} GFLOP/s in a matrix product, streams "
        f"{ceilings.bytes_per_s / 1e9:.1f} GB/s of weights, "
        f"and pays {1e6 * ceilings.overhead_s:.0f} µs per call",
        soft_wrap=True,
    )
    console.print(
        f"held-out points: median error {error.median:.1%}, 95th percentile {error.p95:.1%}", style="bold"
    )
    if profile.communication is not None:
        _print_communication(console, profile.communication)


def _print_communication(console: Console, found: Communication) -> None:
    table = plain_table(
        "size", "message: sending", "on its way", "receiving", "slowed", f"sum over {found.n_members}"
    )
    for message, one_sum in zip(found.messages, found.sums, strict=True):
        times_s = (message.send_s, message.transit_s, message.receive_s, message.slowed_s, one_sum.seconds)
        table.add_row(f"{message.size_bytes / 1e3:.3g} kB", *(f"{1e6 * each:.0f} µs" for each in times_s))
    console.print(table)
    end, transit, summing = found.endpoint, found.transit, found.summing
    staging = f", staging: {1e-9 / end.s_per_byte:.3g} GB/s" if end.s_per_byte > 0.0 else ""
    console.print(
        f"in a scenario: endpoint: {{overhead: {1e6 * end.fixed_s:.0f} us{staging}, on_compute: true}}, "
        f"a latency of {1e6 * (transit.fixed_s + found.slowed_s):.0f} us on links, and of tensor_parallel, "
        f"per_sum: {1e6 * summing.fixed_s:.0f} us",
        soft_wrap=True,
    )


def console() -> Console:
    """Standard output; as wide as a page where it is no terminal."""
    own = Console(highlight=False)
    return own if own.is_terminal else Console(highlight=False, width=PAGE_WIDTH)


def plain_table(*headings: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in headings:
        table.add_column(heading)
    return table


@contextmanager
def _counting(notes: Console, prepared: Prepared, n_times: int = 1) -> Iterator[Callable[[Ran], None]]:
    """A bar of replications, of all strategies so many times."""
    with counting(notes, n_times * len(prepared.strategies) * prepared.scenario.replications) as tell:
        yield lambda ran: tell(f"{ran.strategy}, replication {ran.replication}")
