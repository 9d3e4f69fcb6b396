"""Command that measures answer quality."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from edgesim.cli.options import ModelName, Quiet
from edgesim.cli.outputs import make_folder
from edgesim.cli.terminal import Console, console
from edgesim.errors import InputError
from edgesim.report.progress import measuring_progress

__all__ = ["quality"]

TextFile = Annotated[
    str,
    typer.Option(
        help="Text to evaluate on: plain, or Parquet or JSON lines with a column 'text'; bundled is the "
        "held-out part of Python's own documentation."
    ),
]


def quality(
    model: ModelName = "bundled",
    text: TextFile = "bundled",
    tokens: Annotated[
        int | None, typer.Option(help="Most tokens to predict in a pass; 20000 if not given.", min=1)
    ] = None,
    repeats: Annotated[
        int | None, typer.Option(help="Passes with new draws for each impairment; 1 if not given.", min=1)
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of noise and losses; 1 if not given.", min=0)] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Save the table and exit records in this folder.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Write a figure to this file (.png, .pdf, .svg).")] = None,
    refresh: Annotated[bool, typer.Option("--refresh", help="Measure even if answers are kept.")] = False,
    generation: Annotated[
        bool,
        typer.Option(
            "--generation",
            help="Also measure how early exits affect later tokens, for each way of filling the KV cache; "
            "takes 15 minutes for the bundled model if not kept.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    quiet: Quiet = False,
) -> None:
    """Measure how noise, rounding, losses and early exits impair a model's answers, by real forward passes.

    The measurement is kept, and used by every scenario with 'quality: MODEL'.
    """
    from edgesim.measure.generation.generation_cache import ensure_generation
    from edgesim.measure.quality_cache import EXITS_FILE, TABLE_FILE, ensure_answers
    from edgesim.report.answers.generation import GenerationReport, generation_as_rows
    from edgesim.report.answers.quality_tables import QualityReport, as_rows

    notes = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
    if output is not None:
        make_folder(output)
    with measuring_progress(notes, unit="passes") as report:
        measured = ensure_answers(
            model, text, n_tokens=tokens, repeats=repeats, seed=seed, refresh=refresh, progress=report
        )
        generated = None
        if generation:
            generated = ensure_generation(
                model, text, n_tokens=measured.n_tokens_asked, refresh=refresh, progress=report
            )
    if output is not None:
        try:
            measured.table.save(output / TABLE_FILE)
            measured.exits.save(output / EXITS_FILE)
            if generated is not None:
                generated.save(output)
        except OSError as error:
            raise InputError(
                f"--output: {output} cannot be written ({error}); choose another folder"
            ) from None
        notes.print(f"saved in {output}", style="dim", markup=False)
    if plot is not None:
        from edgesim.report.answers.quality_plot import plot_quality

        plot_quality(measured, plot)
        notes.print(f"figure: {plot}", style="dim", markup=False)
    if as_json:
        stated = as_rows(measured)
        if generated is not None:
            stated["generation"] = generation_as_rows(generated, measured.exits, measured.table)
        typer.echo(json.dumps(stated, indent=1))
    else:
        console().print(QualityReport(measured))
        if generated is not None:
            console().print(GenerationReport(generated, measured.exits, measured.table))
