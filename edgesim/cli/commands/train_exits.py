"""Command that trains early exits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgesim.cli.options import ModelName, Quiet
from edgesim.cli.outputs import make_folder
from edgesim.cli.terminal import Console, console
from edgesim.errors import InputError
from edgesim.report.progress import measuring_progress

__all__ = ["train_exits"]


def train_exits(
    model: ModelName,
    text: Annotated[
        str,
        typer.Option(
            help="Text to train on: plain, or Parquet or JSON lines with a column 'text'; bundled is "
            "Python's own documentation without the part that 'edgesim quality' evaluates on."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the model with its exits.")],
    blocks: Annotated[
        str,
        typer.Option(
            help="Numbers of blocks before each exit, such as 2,4,6; by default the model's own exits, or "
            "the quarters."
        ),
    ] = "",
    steps: Annotated[int, typer.Option(help="Training steps.", min=1)] = 300,
    seed: Annotated[int, typer.Option(help="Seed of the batches.")] = 1,
    quiet: Quiet = False,
) -> None:
    """Train early exits of a model with its blocks frozen, calibrate the exits, and evaluate them.

    A tenth of the text, sampled from all over it, is reserved for calibration, another tenth for evaluation.
    """
    from edgesim.measure.exits import calibrated, exit_quality
    from edgesim.measure.exits import train_exits as train
    from edgesim.measure.language_model import load_language_model
    from edgesim.measure.text import parts_to_learn
    from edgesim.measure.with_exits import save_model_with_exits
    from edgesim.report.answers.quality_tables import ExitsTable

    notes = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
    make_folder(output)
    loaded = load_language_model(model)
    learn, calibrate, judge = parts_to_learn(text)
    chosen = _numbers(blocks) or loaded.exit_blocks
    with measuring_progress(notes, unit="steps") as report:
        trained = train(loaded, learn, chosen, steps=steps, seed=seed, progress=report)
    trained = calibrated(trained, calibrate)
    rows = exit_quality(trained, judge)
    save_model_with_exits(trained, model, output, rows)
    console().print(ExitsTable(rows, f"{loaded.name}, on {judge.name}, not used in training"))
    notes.print(f"model and exits: {output}", style="dim", markup=False)


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise InputError(f"--blocks: expected numbers such as 2,4,6, got {text!r}") from None
