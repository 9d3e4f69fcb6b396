"""Encoding of observations as inputs of a policy network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import InputError

__all__ = ["RAW", "SCALED", "Encoding"]

Floats = NDArray[np.float64]

RAW = 0
"""The unchanged observation."""
SCALED = 1
"""The observation scaled to -1 at its low and 1 at its high end, and clipped to that range."""


@dataclass(frozen=True, eq=False)
class Encoding:
    """Map from observations to the inputs of a network.

    With `n` knots, two or more, an observation becomes `n` hat functions: its value is spread over the two
    adjacent knots, in proportion to nearness. Two knots are linear. With one knot per value of an integer
    observation, every value has its own input. With more knots, a network learns a function with many bends
    in as many steps as one with few. Values outside the range count as the nearer end.

    Attributes
    ----------
    low, high : [n_seen]
        Range of each observation.
    knots : [n_seen]
        :data:`RAW`, :data:`SCALED`, or a number of knots.
    places : [n_seen]
        Positions of an observation's knots, increasing, from its low to its high end; an empty entry spaces
        them evenly. If empty as a whole, all are spaced evenly.
    is_crossed
        Whether the products of every two hats of the first two observations are also inputs. A linear layer
        over them is a table, linear between its knots.

    Raises
    ------
    InputError
        If lengths differ, a range is empty or not finite, or places do not increase or do not match the
        knots.
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
            raise InputError(
                f"encoding: places for {len(self.places)} observations; expected {len(self.knots)}"
            )
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
            raise InputError(f"encoding: {self.knots} knots; expected two or more for each crossed one")

    @property
    def n_seen(self) -> int:
        """Number of observations."""
        return len(self.knots)

    @property
    def n_inputs(self) -> int:
        """Number of inputs of the network."""
        crossed = self.knots[0] * self.knots[1] if self.is_crossed else 0
        return sum(max(1, each) for each in self.knots) + crossed

    def shares(self, which: int) -> Floats:
        """Return the positions of an observation's knots, from 0 at its low end to 1 at its high end."""
        if not self.places or not self.places[which]:
            return np.linspace(0.0, 1.0, self.knots[which])
        low, high = self.low[which], self.high[which]
        found: Floats = (np.array(self.places[which]) - low) / (high - low)
        return found

    def __call__(self, seen: Floats) -> Floats:
        """Encode observations: [..., n_seen] to [..., n_inputs]."""
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
