"""Command that measures the compute times of a model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesim.cli.options import Quiet, seconds
from edgesim.cli.outputs import writing
from edgesim.cli.profile_notes import warn_of_noise
from edgesim.cli.terminal import Console, console, plain_table
from edgesim.errors import InputError
from edgesim.report.progress import measuring_progress

if TYPE_CHECKING:
    from edgesim.model.communication import Communication
    from edgesim.model.profile import Profile

__all__ = ["profile"]


def profile(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A model of the catalogue, a folder or config file, or an id on the Hugging Face Hub.",
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Also save the profile to this file.")
    ] = None,
    dtype: Annotated[str, typer.Option(help="float32, float16 or bfloat16.")] = "bfloat16",
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: Annotated[int | None, typer.Option(help="Threads; by default one per core.", min=1)] = None,
    budget: Annotated[
        str, typer.Option(help="Duration of the measurement with its warm-up, such as '60 s'.")
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
        typer.Option(help="Number of tensor shards per block, of which one is timed; repeatable.", min=1),
    ] = None,
    kind: Annotated[
        str, typer.Option(help="Device kind of this machine; written into the profile's file.")
    ] = "",
    messages: Annotated[
        bool,
        typer.Option(
            "--messages", help="Also measure the cost of messages and sums between two busy processes here."
        ),
    ] = False,
    refresh: Annotated[bool, typer.Option("--refresh", help="Measure even if a profile is kept.")] = False,
    quiet: Quiet = False,
) -> None:
    """Measure the compute times of a model's parts on this machine by real forward passes in the given dtype.

    Scenarios that list a file with a --kind in their 'profiles' use its times for that device kind.
    """
    from edgesim.measure.cache import ensure_profile
    from edgesim.measure.grid import Grid
    from edgesim.scenario.check import plain_architecture

    budget_s = seconds("--budget", budget)
    notes = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
    architecture, is_packed = plain_architecture(model, dtype=dtype)
    if is_packed:
        notes.print(
            f"{model}: the config has quantised weights; modules with plain weights in {dtype} are measured",
            style="yellow",
            markup=False,
        )
    if device.partition(":")[0] not in ("cpu", "cuda"):
        raise InputError(f"--device: found {device!r}; expected cpu or cuda")
    if kind and output is None:
        raise InputError("--kind: it is only written into a saved file; add --output FILE")
    grid = Grid.covering(
        max_prompt,
        max_context,
        tuple({1, *(batch or ())}),
        tuple(shard or (1,)),
        tuple({1, *(prefill_batch or ())}),
    )
    with measuring_progress(notes) as report:
        measured = ensure_profile(
            architecture,
            threads=threads or os.cpu_count() or 1,
            device=device,
            grid=grid,
            budget_s=budget_s,
            progress=report,
            refresh=refresh,
            force=True,  # the profile is shown together with its error
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
    warn_of_noise(notes, measured)


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
            f"mean lateness of half blocks: {1e6 * late['mean_s']:.3g} µs; in a scenario, "
            f"lateness: {{law: {late['law']}, mean: {1e6 * late['mean_s']:.3g} us{spread}}}",
            soft_wrap=True,
        )
    ceilings, error = profile.ceilings, profile.held_out_error
    console.print(
        f"this machine reaches {ceilings.flop_per_s / 1e9:.0f} GFLOP/s in a matrix product, streams "
        f"{ceilings.bytes_per_s / 1e9:.1f} GB/s of weights, "
        f"and has an overhead of {1e6 * ceilings.overhead_s:.0f} µs per call",
        soft_wrap=True,
    )
    console.print(
        f"held-out points: median error {error.median:.1%}, 95th percentile {error.p95:.1%}", style="bold"
    )
    if profile.communication is not None:
        _print_communication(console, profile.communication)


def _print_communication(console: Console, found: Communication) -> None:
    table = plain_table(
        "size", "message: sending", "in transit", "receiving", "slowed", f"sum over {found.n_members}"
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
