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

    Of `n` knots, two or more, an observation becomes `n` hat functions: the value is spread over the two
    knots next to it, in proportion to nearness. Two knots are linear; as many as an integer observation has
    values tell these apart; more let a network learn a function with many bends in as many steps as one with
    few. Beyond the ends the end counts.

    Attributes
    ----------
    low, high : [n_seen]
        Range of each observation.
    knots : [n_seen]
        :data:`RAW`, :data:`SCALED`, or a number of knots.
    places : [n_seen]
        Where the knots of an observation stand, increasing, the first at its low and the last at its high
        end; empty: evenly. Empty as a whole: all evenly.
    is_crossed
        Whether products of every two hats of the first two observations are inputs too: a linear layer over
        them is a table, linear between its knots.

    Raises
    ------
    InputError
        If lengths differ, a range is empty or not finite, or places are not as many as knots and increasing.
    """

    low: Floats
    high: Floats
    knots: tuple[int, ...]
    places: tuple[tuple[float, ...], ...] = ()
    is_crossed: bool = False

    def __post_init__(self) -> None:
        low, high = np.asarray(self.low, np.float64), np.asarray(self.high, np.float64)
        object.__setattr__(self, "low", low)
        object.__setattr__(self, "high", high)
        object.__setattr__(self, "knots", tuple(int(each) for each in self.knots))
        object.__setattr__(self, "places", tuple(tuple(map(float, each)) for each in self.places))
        if low.ndim != 1 or not len(low) or low.shape != high.shape or len(self.knots) != len(low):
            raise InputError(
                f"encoding: {low.shape} low ends, {high.shape} high ends and {len(self.knots)} numbers of "
                "knots; expected one of each for every observation"
            )
        if not (np.isfinite(low).all() and np.isfinite(high).all() and (low < high).all()):
            raise InputError(f"encoding: ranges from {low} to {high}; expected finite, increasing ones")
        if min(self.knots) < 0:
            raise InputError(f"encoding: {min(self.knots)} knots; expected 0 or more")
        if self.places and len(self.places) != len(self.knots):
            raise InputError(f"encoding: places for {len(self.places)} of {len(self.knots)} observations")
        for which, each in enumerate(self.places):
            ends = [low[which], high[which]]
            if each and not (
                len(each) == self.knots[which] > SCALED
                and [each[0], each[-1]] == ends
                and (np.diff(each) > 0).all()
            ):
                raise InputError(
                    f"encoding: {self.knots[which]} knots at {list(each)}; expected as many increasing "
                    f"places, from {ends[0]:g} to {ends[1]:g}"
                )
        if self.is_crossed and (len(self.knots) < 2 or min(self.knots[:2]) <= SCALED):
            raise InputError(f"encoding: {self.knots} knots; expected two or more of the two to be crossed")

    @property
    def n_seen(self) -> int:
        """Number of observations."""
        return len(self.knots)

    @property
    def n_inputs(self) -> int:
        """Number of a network's inputs."""
        crossed = self.knots[0] * self.knots[1] if self.is_crossed else 0
        return sum(max(1, each) for each in self.knots) + crossed

    def shares(self, which: int) -> Floats:
        """Where an observation's knots stand between its low end, 0, and its high end, 1."""
        if not self.places or not self.places[which]:
            return np.linspace(0.0, 1.0, self.knots[which])
        low, high = self.low[which], self.high[which]
        found: Floats = (np.array(self.places[which]) - low) / (high - low)
        return found

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
                at = self.shares(place)
                steps = np.concatenate([[1.0], np.diff(at), [1.0]])
                away = value[..., np.newaxis] - at
                parts.append(np.maximum(0.0, 1.0 + np.minimum(away / steps[:-1], -away / steps[1:])))
            else:
                parts.append(value[..., np.newaxis])
        if self.is_crossed:
            crossed = parts[0][..., :, np.newaxis] * parts[1][..., np.newaxis, :]
            parts.append(crossed.reshape(*crossed.shape[:-2], -1))
        return np.concatenate(parts, axis=-1)
