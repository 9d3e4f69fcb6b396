"""Save a model's folder together with the exits trained for it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from edgesim.errors import InputError
from edgesim.measure.exits import ExitQuality, save_exits
from edgesim.measure.language_model import LanguageModel
from edgesim.measure.model_folder import EXITS_RECORD, EXITS_WEIGHTS, model_files, model_folder

__all__ = ["save_model_with_exits"]


def save_model_with_exits(
    language_model: LanguageModel, model: str | Path, folder: Path, rows: Sequence[ExitQuality]
) -> None:
    """Copy a model's files into a folder, unless it is the same folder, and add its exits.

    Raises
    ------
    InputError
        If the folder cannot be written, or contains files of another model, which would be mixed with these.
    """
    source = model_folder(model)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if folder.resolve() != source.resolve():
            own = {file.name for file in model_files(source)} | {EXITS_WEIGHTS, EXITS_RECORD}
            strangers = [file.name for file in model_files(folder) if file.name not in own]
            if strangers:
                raise InputError(
                    f"--output: {folder} contains another model's {strangers[0]}; name an empty folder"
                )
            for file in model_files(source):
                shutil.copyfile(file, folder / file.name)
        save_exits(language_model, folder, measured=[asdict(row) for row in rows])
    except OSError as error:
        raise InputError(f"--output: {folder} cannot be written ({error}); name another folder") from None
