"""How observations become a network's inputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import InputError

__all__ = ["RAW", "SCALED", "Encoding"]

Floats = NDArray[np.float64]

RAW = 0
"""The observation as it is."""
SCALED = 1
"""The observation scaled to -1 at its low and 1 at its high end, and held there beyond."""


@dataclass(frozen=True, eq=False)
class Encoding:
    """Inputs of a network from observations.

    Of `n` knots, two or more, an observation becomes `n` hat functions: knots stand evenly from low to high,
    and the value is spread over the two next to it, in proportion to nearness. Two knots are linear; as many
    as an integer observation has values tell these apart; more let a network learn a function with many bends
    in as many steps as one with few. Beyond the ends the end counts.

    Attributes
    ----------
    low, high : [n_seen]
        Range of each observation.
    knots : [n_seen]
        :data:`RAW`, :data:`SCALED`, or a number of knots.

    Raises
    ------
    InputError
        If lengths differ, or a range is empty or not finite.
    """

    low: Floats
    high: Floats
    knots: tuple[int, ...]

    def __post_init__(self) -> None:
        low, high = np.asarray(self.low, np.float64), np.asarray(self.high, np.float64)
        object.__setattr__(self, "low", low)
        object.__setattr__(self, "high", high)
        object.__setattr__(self, "knots", tuple(int(each) for each in self.knots))
        if low.ndim != 1 or not len(low) or low.shape != high.shape or len(self.knots) != len(low):
            raise InputError(
                f"encoding: {low.shape} low ends, {high.shape} high ends and {len(self.knots)} numbers of "
                "knots; expected one of each for every observation"
            )
        if not (np.isfinite(low).all() and np.isfinite(high).all() and (low < high).all()):
            raise InputError(f"encoding: ranges from {low} to {high}; expected finite, increasing ones")
        if min(self.knots) < 0:
            raise InputError(f"encoding: {min(self.knots)} knots; expected 0 or more")

    @property
    def n_seen(self) -> int:
        """Number of observations."""
        return len(self.knots)

    @property
    def n_inputs(self) -> int:
        """Number of a network's inputs."""
        return sum(max(1, each) for each in self.knots)

    def __call__(self, seen: Floats) -> Floats:
        """Inputs of observations: [..., n_seen] to [..., n_inputs]."""
        parts = []
        for place, n_knots in enumerate(self.knots):
            value = seen[..., place]
            if n_knots != RAW:
                value = np.clip((value - self.low[place]) / (self.high[place] - self.low[place]), 0.0, 1.0)
            if n_knots == SCALED:
                value = 2 * value - 1
            if n_knots > SCALED:
                away = np.abs(value[..., np.newaxis] * (n_knots - 1) - np.arange(n_knots))
                parts.append(np.maximum(0.0, 1.0 - away))
            else:
                parts.append(value[..., np.newaxis])
        return np.concatenate(parts, axis=-1)
