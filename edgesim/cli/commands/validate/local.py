"""Command that compares predictions with real models that run on this host."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesim.cli.options import Quiet
from edgesim.cli.outputs import writing
from edgesim.cli.terminal import Console, console, plain_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgesim.validate.local.running import ShapeResult

__all__ = ["local"]

_COLOURS = {"passed": "green", "failed": "red", "too noisy": "yellow"}


def local(
    shape: Annotated[
        list[str] | None,
        typer.Option(help="A model: bundled, gpt2-124m, llama-deep-134m, ...; repeatable."),
    ] = None,
    repetitions: Annotated[
        int, typer.Option(help="Number of repetitions, each with its own measurement.", min=3)
    ] = 5,
    runs: Annotated[
        int,
        typer.Option(
            help="Real runs of each pipeline and group in a repetition; twice as many of the single device.",
            min=1,
        ),
    ] = 20,
    stages: Annotated[
        int | None, typer.Option(help="Processes of the pipeline; two if there are enough cores.", min=1)
    ] = None,
    prompt_tokens: Annotated[int, typer.Option(help="Length of the prompt.", min=2, max=96)] = 32,
    output_tokens: Annotated[int, typer.Option(help="Tokens of an answer.", min=3, max=128)] = 12,
    short: Annotated[
        bool,
        typer.Option(
            "--short", help="Run the bundled model only, for a few minutes; only a large error is a failure."
        ),
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write all results to this file, as JSON.")
    ] = None,
    table: Annotated[
        Path | None, typer.Option(help="Write the tables to this file, as Markdown for the docs.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Run real models on this host, in one process and in several, and compare them with predictions.

    Processes run whole models, pipeline stages connected in a ring by TCP sockets, or tensor shards with sums
    by gloo; each process is pinned to a core. Other programs should be idle: if repetitions differ too much,
    the verdict is 'too noisy'. The exit status is 1 if a prediction failed, or if processes computed
    different answers.
    """
    from edgesim.report.outputs import check_output
    from edgesim.validate.local.results import facts, markdown
    from edgesim.validate.local.running import Plan, validate
    from edgesim.validate.local.settings import Extent
    from edgesim.validate.local.shapes import DEFAULT_SHAPES, shape_named

    for file, option in ((output, "--output"), (table, "--table")):
        if file is not None:
            check_output(file, option)
    notes = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
    plan = Plan(
        extent=Extent(n_prompt=prompt_tokens, n_out=output_tokens),
        n_repetitions=repetitions,
        n_runs=runs,
        n_stages=stages,
    )
    names: Sequence[str] = shape or DEFAULT_SHAPES
    if short:
        plan, names = plan.short(), shape or DEFAULT_SHAPES[:1]
    results: list[ShapeResult] = []
    for result in validate(
        [shape_named(name) for name in names], plan, lambda what: notes.print(what, style="dim")
    ):
        results.append(result)
        _print_result(console(), result)
        if output is not None:  # after every model, so that results are kept if the command is stopped
            with writing(output):
                output.write_text(json.dumps(facts(results, plan), indent=1) + "\n", encoding="utf-8")
        if table is not None:
            with writing(table):
                table.write_text(markdown(results), encoding="utf-8")
    if not all(result.is_right and not result.is_off(grossly=short) for result in results):
        raise typer.Exit(1)


def _print_result(page: Console, result: ShapeResult) -> None:
    from edgesim.validate.local.results import answers_sentence, shown

    rows = plain_table(result.shape.name, "figure", "measured", "predicted", "error", "")
    for one in result.settings:
        for number, each in enumerate(one.comparisons):
            style = _COLOURS[each.verdict]
            rows.add_row("" if number else one.setting.name, *shown(each), each.verdict, style=style)
    page.print(rows)
    page.print(answers_sentence(result), soft_wrap=True)
    page.print()
