"""Cache of measured early-exit generation, readable without loading torch."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from edgesim.errors import InputError
from edgesim.measure.model_folder import model_folder
from edgesim.measure.quality_cache import (
    DEFAULT_SEED,
    DEFAULT_TOKENS,
    answers_folder,
    is_shipped,
    keep_file,
    make_folder,
    provenance_of,
)
from edgesim.measure.text import BUNDLED, read_text
from edgesim.model.answers.free_running import FreeRunning
from edgesim.model.answers.impaired_exits import ImpairedExits
from edgesim.model.answers.propagated_paths import PropagatedPaths

__all__ = ["MeasuredGeneration", "ensure_generation", "kept_generation"]

PATHS_FILE = "exit_paths.parquet"
WRITTEN_FILE = "free_running.parquet"
IMPAIRED_FILE = "impaired_exits.parquet"

_VERSION = 1
"""Version of the measurement; raised when the measured grid changes."""
_WRITTEN_AT = (0.2, 0.3, 0.5, 0.7, 0.9)  # confidence thresholds of all exits for free-running text

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class MeasuredGeneration:
    """Effect of early exits on later tokens, for one model and text.

    Attributes
    ----------
    paths
        Exits taken with propagated caches, and the predictions there.
    written
        How far free-running text departs from that of the full model.
    impaired
        Predictions of the exits after a split at which states were impaired.
    """

    paths: PropagatedPaths
    written: FreeRunning
    impaired: ImpairedExits

    def save(self, folder: Path) -> None:
        """Write the three files into a folder."""
        self.paths.save(folder / PATHS_FILE)
        self.written.save(folder / WRITTEN_FILE)
        self.impaired.save(folder / IMPAIRED_FILE)


def kept_generation(
    model: str | Path, text: str | Path = BUNDLED, *, n_tokens: int | None = None
) -> MeasuredGeneration | None:
    """Read the shipped or cached measurement of a model on a text; None if there is none.

    Parameters
    ----------
    n_tokens
        Requested number of tokens; None selects the shipped measurement, else the default number.

    Raises
    ------
    InputError
        If there is no such model or text, or a cached file cannot be read.
    """
    if is_shipped(model, text) and n_tokens in (None, DEFAULT_TOKENS):
        return _read(model_folder(model))
    return _read(_folder(model, text, n_tokens))


def ensure_generation(
    model: str | Path,
    text: str | Path = BUNDLED,
    *,
    n_tokens: int | None = None,
    refresh: bool = False,
    progress: Progress | None = None,
) -> MeasuredGeneration:
    """Return the shipped or cached measurement of a model on a text, or measure and cache it.

    Parameters
    ----------
    n_tokens
        Most tokens to evaluate; 20 000 if None. These are the tokens of the exit records, row by row.
    refresh
        Measure even if cached, and replace the cached files; shipped files stay unchanged.
    """
    if not refresh and (kept := kept_generation(model, text, n_tokens=n_tokens)) is not None:
        return kept
    folder = _folder(model, text, n_tokens)
    make_folder(folder)  # an error here comes before minutes of measuring
    measured = _measured(model, text, n_tokens or DEFAULT_TOKENS, progress)
    keep_file(folder / PATHS_FILE, measured.paths.save)
    keep_file(folder / WRITTEN_FILE, measured.written.save)
    keep_file(folder / IMPAIRED_FILE, measured.impaired.save)
    return measured


def _folder(model: str | Path, text: str | Path, n_tokens: int | None) -> Path:
    return answers_folder(model, text) / f"generation-v{_VERSION}-{n_tokens or DEFAULT_TOKENS}"


def _read(folder: Path) -> MeasuredGeneration | None:
    files = [folder / name for name in (PATHS_FILE, WRITTEN_FILE, IMPAIRED_FILE)]
    if not all(file.is_file() for file in files):
        return None
    paths, written, impaired = files
    return MeasuredGeneration(
        PropagatedPaths.load(paths), FreeRunning.load(written), ImpairedExits.load(impaired)
    )


def _measured(
    model: str | Path, text: str | Path, n_tokens: int, progress: Progress | None
) -> MeasuredGeneration:
    # These imports load torch, which takes seconds; a cached measurement avoids them.
    from edgesim.measure.generation.exit_paths import measure_propagated, standard_rules
    from edgesim.measure.generation.free_running import measure_free_running
    from edgesim.measure.generation.impaired_exits import measure_impaired_exits, standard_impairments
    from edgesim.measure.language_model import load_language_model
    from edgesim.model.answers.exit_rule import ExitRule

    began_s = time.perf_counter()
    judged, loaded = read_text(text), load_language_model(model)
    if not loaded.exit_blocks:
        raise InputError(
            f"model '{loaded.name}': it has {loaded.n_blocks} block and no exit before its head; expected a "
            "model with at least two blocks"
        )
    n_exits = len(loaded.exit_blocks) + 1
    provenance = provenance_of(loaded, judged, n_tokens_asked=n_tokens, seed=DEFAULT_SEED)
    impaired = measure_impaired_exits(
        loaded,
        judged,
        standard_impairments(loaded.exit_blocks),
        n_tokens=n_tokens,
        seed=DEFAULT_SEED,
        provenance=provenance,
        progress=progress,
    )
    written = measure_free_running(
        loaded,
        judged,
        [ExitRule.uniform(level, n_exits) for level in _WRITTEN_AT],
        provenance=provenance,
        progress=progress,
    )
    paths = measure_propagated(loaded, judged, standard_rules(n_exits), n_tokens=n_tokens, progress=progress)
    provenance = {**provenance, "measured_in_s": round(time.perf_counter() - began_s)}
    return MeasuredGeneration(replace(paths, provenance=provenance), written, impaired)
