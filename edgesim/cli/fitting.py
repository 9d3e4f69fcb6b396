"""Implementation of ``edgesim calibrate --parameters``: fit parameters to a user's and published rates."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import InputError
from edgesim.rng import Streams

__all__ = ["HEADINGS", "fitted_rows"]

HEADINGS = (
    "device",
    "runtime",
    "model",
    "measured",
    "fitted",
    "memory",
    "vector",
    "overhead per call",
    "head",
)

_SEED = 20_250_707


def fitted_rows(rows: Path, output: Path) -> Iterator[tuple[str, ...]]:
    """Fit a set of parameters, write it, and yield table rows with the fit of the user's own measurements.

    Shares are given as 90 % intervals.

    Raises
    ------
    InputError
        If the measurements are invalid, or the set cannot be written.
    """
    from edgesim.model.efficiency.posterior import fit
    from edgesim.model.efficiency.stored import N_STORED, save_posterior
    from edgesim.scenario.rates import published_rates, read_rates

    own = read_rates(rows)
    rates = [entry.rate() for entry in (*own, *published_rates())]
    rng = Streams(_SEED)["calibrate"]
    fitted = fit(rates, rng).thinned(N_STORED)
    try:
        save_posterior(fitted, output)
    except OSError as error:
        raise InputError(f"--parameters {output}: cannot be written: {error.strerror}") from None
    for entry, rate in zip(own, rates, strict=False):
        shares = fitted.shares(rate.use, rng)
        fitted_s = float(np.median(fitted.times_s(rate, rng)))
        yield (
            entry.device + (f" ({entry.power_mode})" if entry.power_mode else ""),
            entry.runtime,
            entry.label,
            f"{entry.value:.4g} {entry.unit}",
            f"{entry.in_unit(fitted_s):.4g}",
            _range(shares.memory_share),
            _range(shares.vector_share),
            f"{_range(1e6 * shares.overhead_s)} us",
            _range(np.asarray(shares.head_cost)),
        )


def _range(values: NDArray[np.float64]) -> str:
    low, high = np.quantile(values, [0.05, 0.95])
    return f"{low:.2g} to {high:.2g}"
