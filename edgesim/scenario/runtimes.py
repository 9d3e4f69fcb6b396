"""Timing of device kinds with a runtime, from shares of peaks: the fitted centre, or a drawn set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path as FilePath

import numpy as np

from edgesim.files import user_path
from edgesim.model.architecture import Architecture
from edgesim.model.efficiency.effects import Use
from edgesim.model.efficiency.law import Peaks
from edgesim.model.efficiency.posterior import Posterior
from edgesim.model.efficiency.stored import load_posterior, shipped_posterior
from edgesim.model.efficiency.timing import RuntimeTiming
from edgesim.rng import Streams
from edgesim.scenario import catalogue
from edgesim.scenario.schema.device_kinds import DeviceKind
from edgesim.scenario.schema.runtimes import RuntimeEntry

__all__ = ["board_of", "has_parameter_set", "runtime_of", "runtime_timing", "use_of"]

_QUANTISED_BYTES = 1.1  # largest size of a quantised weight: 8 bits and its share of a scale
_SEED = 20_250_707  # seed of effects without published rates, the same in every run


def use_of(name: str, runtime: RuntimeEntry, peaks: Peaks, bytes_per_weight: float) -> Use:
    """Return the engine and device as input of the fit."""
    return Use(
        peaks,
        runtime.fitted_as or name,
        is_quantised=bytes_per_weight <= _QUANTISED_BYTES,
        is_eager=runtime.eager,
    )


def runtime_of(kind: DeviceKind) -> tuple[str, RuntimeEntry] | None:
    """Return the name and entry of a kind's engine; None without one.

    Raises
    ------
    ScenarioError
        If the catalogue has no engine of that name.
    """
    match kind.runtime:
        case None:
            return None
        case str(name):
            return name, catalogue.runtime(name)
        case entry:
            return entry.fitted_as or "its own engine", entry


def board_of(timing_name: str) -> str:
    """Return the kind's name from a timing name."""
    return timing_name.partition(" (")[0]


def has_parameter_set(kinds: Mapping[str, DeviceKind]) -> bool:
    """Whether any kind takes its times from fitted parameters, which have their own uncertainty."""
    return any(kind.runtime is not None for kind in kinds.values())


def runtime_timing(
    model: Architecture, name: str, kind: DeviceKind, *, folder: FilePath, draw: tuple[int, int] | None = None
) -> RuntimeTiming:
    """Return a kind's timing from the shares of peaks that its engine reaches.

    Parameters
    ----------
    name
        Timing name of the kind.
    folder
        Folder in which relative paths start.
    draw
        Index and number of parameter sets, evenly spaced over the fitted ones; None selects their centre.
    """
    found = runtime_of(kind)
    assert found is not None
    engine, runtime = found
    board = board_of(name)
    peaks = kind.peak_values(board)
    stored = model.bytes_per_weight
    use = use_of(engine, runtime, peaks, model.dtype_bytes if stored is None else stored)
    fitted = (
        shipped_posterior()
        if runtime.parameters is None
        else load_posterior(user_path(folder, runtime.parameters))
    )
    slowdown = 1.0
    if draw is None:
        shares = fitted.centre.shares(use, None)
    else:
        one_set, rng = _drawn(fitted, *draw), Streams(_SEED, draw[0])[f"{board} under {engine}"]
        shares = one_set.shares(use, rng)
        slowdown = float(np.exp(one_set.errors(use)[0] * rng.standard_normal()))

    def one(given: float | None, values: np.ndarray | float) -> float:
        return float(np.ravel(values)[0]) if given is None else given

    return RuntimeTiming(
        architecture=model,
        peaks=peaks,
        memory_share=one(runtime.memory, shares.memory_share),
        vector_share=one(runtime.vector, shares.vector_share),
        matrix_share=one(runtime.matrix, shares.matrix_share),
        overhead_s=one(runtime.overhead_s, shares.overhead_s),
        is_enqueued=use.is_enqueued,
        head_cost=one(runtime.head_cost, shares.head_cost),
        slowdown=slowdown,
    )


def _drawn(fitted: Posterior, index: int, of: int) -> Posterior:
    """Return one of `of` draws, evenly spaced over the fitted ones."""
    at = round((index + 0.5) / of * len(fitted.draws) - 0.5)
    return Posterior(fitted.names, fitted.draws[[min(at, len(fitted.draws) - 1)]])
