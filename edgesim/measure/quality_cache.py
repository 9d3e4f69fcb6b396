"""Cache of measured answer quality, readable without loading torch."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesim.errors import InputError
from edgesim.measure.cache import CACHE_VARIABLE, cache_folder
from edgesim.measure.host import host_facts, software_versions
from edgesim.measure.model_folder import BUNDLED, folder_digest, model_folder, model_name
from edgesim.measure.text import Text, read_text
from edgesim.model.answers.exit_records import ExitRecords
from edgesim.model.answers.impaired_answers import QualityRow, QualityTable

if TYPE_CHECKING:
    from edgesim.measure.language_model import LanguageModel

__all__ = [
    "EXITS_FILE",
    "TABLE_FILE",
    "MeasuredAnswers",
    "answers_folder",
    "ensure_answers",
    "is_shipped",
    "keep_file",
    "kept_answers",
    "make_folder",
    "provenance_of",
]

TABLE_FILE = "quality.parquet"
EXITS_FILE = "exits.parquet"

_VERSION = 1
"""Version of the measurement; raised when the measured grid changes."""

DEFAULT_TOKENS = 20_000
DEFAULT_REPEATS = 1
DEFAULT_SEED = 1

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class MeasuredAnswers:
    """Answer quality of a model on a text: under impairments, and by exit."""

    table: QualityTable
    exits: ExitRecords

    @property
    def n_tokens_asked(self) -> int | None:
        """Requested number of tokens, of which whole windows were measured; None where not recorded."""
        return self.exits.provenance.get("n_tokens_asked")


def kept_answers(model: str | Path, text: str | Path = BUNDLED) -> MeasuredAnswers | None:
    """Read the shipped or cached measurement of a model on a text; None if there is none.

    Of several measurements, that over the most tokens is returned. The bundled model on its text always
    returns the shipped one, so that all users' runs agree.

    Raises
    ------
    InputError
        If there is no such model or text, or a cached file cannot be read.
    """
    if is_shipped(model, text):
        return _read(_shipped(model))
    measured = sorted(answers_folder(model, text).glob(f"v{_VERSION}-*"), key=_weight)
    found = (_read(folder) for folder in reversed(measured))
    return next((kept for kept in found if kept is not None), None)


def _weight(folder: Path) -> tuple[int, int]:
    """Return the sort key of a measurement: tokens times repeats, then the smallest seed."""
    n_tokens, repeats, seed = (int(part) for part in re.findall(r"\d+", folder.name)[1:])
    return n_tokens * repeats, -seed


def _read(folder: Path) -> MeasuredAnswers | None:
    if not (folder / TABLE_FILE).is_file() or not (folder / EXITS_FILE).is_file():
        return None
    return MeasuredAnswers(QualityTable.load(folder / TABLE_FILE), ExitRecords.load(folder / EXITS_FILE))


def ensure_answers(
    model: str | Path,
    text: str | Path = BUNDLED,
    *,
    n_tokens: int | None = None,
    repeats: int | None = None,
    seed: int | None = None,
    refresh: bool = False,
    progress: Progress | None = None,
) -> MeasuredAnswers:
    """Return the shipped or cached measurement of a model on a text, or measure and cache it.

    Parameters
    ----------
    n_tokens
        Most tokens predicted in each pass. None accepts a cached measurement with any number, and measures 20
        000 if there is none.
    repeats
        Passes with new draws for each impairment; None likewise, and 1.
    seed
        Seed of the draws; None likewise, and 1.
    refresh
        Measure even if cached, and replace the cached files; shipped files stay unchanged.
    """
    if not refresh:
        asked = {"n_tokens_asked": n_tokens, "repeats": repeats, "seed": seed}
        kept = kept_answers(model, text)
        if kept is not None and all(
            value is None or kept.table.provenance.get(name) == value for name, value in asked.items()
        ):
            return kept
    settings = (
        DEFAULT_TOKENS if n_tokens is None else n_tokens,
        DEFAULT_REPEATS if repeats is None else repeats,
        DEFAULT_SEED if seed is None else seed,
    )
    folder = answers_folder(model, text) / "v{}-{}x{}-seed{}".format(_VERSION, *settings)
    if not refresh and (kept := _read(folder)) is not None:
        return kept
    make_folder(folder)  # an error here comes before minutes of measuring
    measured = _measured(model, text, *settings, progress)
    keep_file(folder / TABLE_FILE, measured.table.save)
    keep_file(folder / EXITS_FILE, measured.exits.save)
    return measured


def _measured(
    model: str | Path, text: str | Path, n_tokens: int, repeats: int, seed: int, progress: Progress | None
) -> MeasuredAnswers:
    # These imports load torch, which takes seconds; a cached measurement avoids them.
    from edgesim.measure.answer_quality import measure_answers, standard_grid
    from edgesim.measure.exits import exit_records
    from edgesim.measure.language_model import load_language_model

    began_s = time.perf_counter()
    judged, loaded = read_text(text), load_language_model(model)
    rows = measure_answers(
        loaded,
        judged,
        standard_grid(loaded.n_blocks, n_heads=loaded.n_heads),
        n_tokens=n_tokens,
        repeats=repeats,
        seed=seed,
        progress=progress,
    )
    provenance = provenance_of(loaded, judged, n_tokens_asked=n_tokens, repeats=repeats, seed=seed)
    records = exit_records(loaded, judged, n_tokens=n_tokens)
    provenance["measured_in_s"] = round(time.perf_counter() - began_s)
    table = QualityTable(tuple(QualityRow(**asdict(row)) for row in rows), provenance)
    return MeasuredAnswers(table, replace(records, provenance=provenance))


def provenance_of(model: LanguageModel, text: Text, **asked: int) -> dict[str, Any]:
    """Return the origin of a measurement: model, text, settings, time, machine and versions."""
    return {
        "model": model.name,
        "model_sha256": model.digest,
        "n_blocks": model.n_blocks,
        "exits": "logit lenses" if model.exits is None else "trained heads",
        "text": text.name,
        "text_sha256": text.digest,
        **asked,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": dict(host_facts()),
        "versions": dict(software_versions()),
    }


def is_shipped(model: str | Path, text: str | Path) -> bool:
    """Return whether edgesim ships answers of this model on this text."""
    return str(model) == BUNDLED == str(text)


def _shipped(model: str | Path) -> Path:
    return model_folder(model)


def answers_folder(model: str | Path, text: str | Path) -> Path:
    """Return the cache folder of a model and a text, named by their digests."""
    determines = {"model": folder_digest(model_folder(model)), "text": read_text(text).digest}
    digest = hashlib.sha256(json.dumps(determines, sort_keys=True).encode()).hexdigest()[:16]
    plain = "".join(c if c.isalnum() or c in "-._" else "_" for c in model_name(model))
    return cache_folder().parent / "answers" / f"{plain}-{digest}"


def make_folder(folder: Path) -> None:
    """Make the folder of a measurement before it begins."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{folder}: answers cannot be kept there ({error}); set {CACHE_VARIABLE} to a folder that can be "
            "written"
        ) from error


def keep_file(path: Path, save: Callable[[Path], None]) -> None:
    """Write the file under a temporary name, then rename it: other processes never see a partial file."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".partial")
        os.close(handle)
        partial = Path(name)
        try:
            save(partial)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f"{path}: answers cannot be kept ({error}); free some space, or set {CACHE_VARIABLE}"
        ) from error
