"""The commands that measure answers, and train exits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from edgesim.cli.commands import Quiet, app, console
from edgesim.cli.terminal import Console
from edgesim.errors import InputError
from edgesim.report.progress import measuring_progress

__all__: list[str] = []

ModelName = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="bundled, a folder in the Hugging Face format, or a model's name on the Hugging Face Hub.",
    ),
]
TextFile = Annotated[
    str,
    typer.Option(
        help="Text to judge on: plain, or Parquet or JSON lines with a column 'text'; bundled is the "
        "held-out part of Python's own documentation."
    ),
]


@app.command()
def quality(
    model: ModelName = "bundled",
    text: TextFile = "bundled",
    tokens: Annotated[
        int | None, typer.Option(help="Tokens predicted in a pass, at most; 20000 if not given.", min=1)
    ] = None,
    repeats: Annotated[
        int | None, typer.Option(help="Passes with new draws for each impairment; 1 if not given.", min=1)
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of noise and losses; 1 if not given.", min=0)] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Copy table and exit records into this folder.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw them into this file (.png, .pdf, .svg).")] = None,
    refresh: Annotated[bool, typer.Option("--refresh", help="Measure even if answers are kept.")] = False,
    generation: Annotated[
        bool,
        typer.Option(
            "--generation",
            help="Also what tokens that leave early do to later ones, by what is done about their keys and "
            "values; a quarter of an hour of the bundled model, where it is not kept.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    quiet: Quiet = False,
) -> None:
    """Measure what noise, rounding, losses and early exits do to a model's answers, by real forward passes.

    What was measured is kept, and found again by every scenario that says 'quality: MODEL'.
    """
    from edgesim.measure.generation.generation_cache import ensure_generation
    from edgesim.measure.quality_cache import EXITS_FILE, TABLE_FILE, ensure_answers
    from edgesim.report.generation import GenerationReport, generation_as_rows
    from edgesim.report.quality import QualityReport, as_rows

    notes = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
    if output is not None:
        _made(output)
    with measuring_progress(notes, unit="passes") as tell:
        measured = ensure_answers(
            model, text, n_tokens=tokens, repeats=repeats, seed=seed, refresh=refresh, progress=tell
        )
        generated = None
        if generation:
            generated = ensure_generation(
                model, text, n_tokens=measured.n_tokens_asked, refresh=refresh, progress=tell
            )
    if output is not None:
        try:
            measured.table.save(output / TABLE_FILE)
            measured.exits.save(output / EXITS_FILE)
            if generated is not None:
                generated.save(output)
        except OSError as error:
            raise InputError(f"--output: {output} cannot be written ({error}); name another folder") from None
        notes.print(f"saved in {output}", style="dim", markup=False)
    if plot is not None:
        from edgesim.report.quality_plot import plot_quality

        plot_quality(measured, plot)
        notes.print(f"drawn into {plot}", style="dim", markup=False)
    if as_json:
        told = as_rows(measured)
        if generated is not None:
            told["generation"] = generation_as_rows(generated, measured.exits, measured.table)
        typer.echo(json.dumps(told, indent=1))
    else:
        console().print(QualityReport(measured))
        if generated is not None:
            console().print(GenerationReport(generated, measured.exits, measured.table))


@app.command("train-exits")
def train_exits(
    model: ModelName,
    text: Annotated[
        str,
        typer.Option(
            help="Text to learn from: plain, or Parquet or JSON lines with a column 'text'; bundled is "
            "Python's own documentation, less the part that 'edgesim quality' judges on."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the model with its exits.")],
    blocks: Annotated[
        str,
        typer.Option(
            help="After how many blocks, such as 2,4,6; if not given, where the model has exits, "
            "or at the quarters."
        ),
    ] = "",
    steps: Annotated[int, typer.Option(help="Training steps.", min=1)] = 300,
    seed: Annotated[int, typer.Option(help="Seed of the batches.")] = 1,
    quiet: Quiet = False,
) -> None:
    """Train early exits for a model on its frozen blocks, calibrate them, and judge them.

    A tenth of the text, taken from all over it, is kept for calibration, and another tenth for judging.
    """
    from edgesim.measure.exits import calibrated, exit_quality
    from edgesim.measure.exits import train_exits as train
    from edgesim.measure.language_model import load_language_model
    from edgesim.measure.text import parts_to_learn
    from edgesim.measure.with_exits import save_with_exits
    from edgesim.report.quality import ExitsTable

    notes = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
    _made(output)
    loaded = load_language_model(model)
    learn, calibrate, judge = parts_to_learn(text)
    chosen = _numbers(blocks) or loaded.exit_blocks
    with measuring_progress(notes, unit="steps") as tell:
        trained = train(loaded, learn, chosen, steps=steps, seed=seed, progress=tell)
    trained = calibrated(trained, calibrate)
    rows = exit_quality(trained, judge)
    save_with_exits(trained, model, output, rows)
    console().print(ExitsTable(rows, f"{loaded.name}, on {judge.name}, which nothing was trained on"))
    notes.print(f"model and exits: {output}", style="dim", markup=False)


def _made(folder: Path) -> None:
    """Make a folder, before minutes are spent on what it is for."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--output: {folder} cannot be written ({error}); name another folder") from None


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise InputError(f"--blocks: expected numbers such as 2,4,6, got {text!r}") from None
