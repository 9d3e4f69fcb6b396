"""Interpolation of times measured on a grid of (batch, new tokens, context)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from edgesim.model.parts import FloatArray, Tokens

__all__ = ["GridPoint", "Surface"]

GridPoint = tuple[int, int, int]
"""Batch, new tokens, context."""


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """Times on a full rectangular grid, with piecewise linear interpolation.

    Linear pieces do not overshoot: between two grid points the result lies between their values, and it
    increases wherever the measurements increase. Below the smallest point, the value there is used. Beyond
    the largest, the last piece is extrapolated, but does not decrease; callers limit the range.

    Attributes
    ----------
    axes
        Increasing values of batch, new tokens and context.
    seconds
        Times [s], ``[n_batches, n_news, n_contexts]``
    measured_to
        Largest measured values, if the axes extend beyond them (:meth:`extended`); None: the axes end there.
    """

    axes: tuple[FloatArray, FloatArray, FloatArray]
    seconds: FloatArray
    measured_to: tuple[float, float, float] | None = None

    @classmethod
    def through(cls, points: Mapping[GridPoint, float]) -> Surface:
        """Create a surface from points, which must fill a rectangular grid.

        Raises
        ------
        ValueError
            If a point of the grid is missing.
        """
        axes = [sorted({point[axis] for point in points}) for axis in range(3)]
        missing = [point for point in product(*axes) if point not in points]
        if missing or not points:
            raise ValueError(f"the points do not fill a grid: no {missing[:3]} among {len(points)} points")
        values = [points[batch, n_new, n_context] for batch, n_new, n_context in product(*axes)]
        b, n, c = (np.array(axis, np.float64) for axis in axes)
        return cls((b, n, c), np.array(values).reshape(len(b), len(n), len(c)))

    def grid(self) -> Iterable[GridPoint]:
        """Iterate over the grid points, in the order of the flattened `seconds`."""
        return product(*([int(x) for x in axis] for axis in self.axes))  # type: ignore[return-value]

    def with_seconds(self, seconds: FloatArray) -> Surface:
        """Return the same grid with other times, given flat or in shape."""
        return replace(self, seconds=seconds.reshape(self.seconds.shape))

    @property
    def largest(self) -> tuple[float, float, float]:
        """Largest measured batch, new tokens and context."""
        if self.measured_to is not None:
            return self.measured_to
        batches, news, contexts = self.axes
        return float(batches[-1]), float(news[-1]), float(contexts[-1])

    def extended(self, margin: float) -> Surface:
        """Extend the token axes to `margin` times their largest values, by monotone extrapolation.

        Intended for monotone surfaces: separate extrapolations at neighbouring batches could cross.
        """
        axes, seconds = list(self.axes), self.seconds
        for along in (1, 2):
            axis = axes[along]
            if len(axis) == 1:
                continue
            last, slope = np.take(seconds, -1, along), np.diff(seconds, axis=along).take(-1, along)
            reach = axis[-1] * (margin - 1.0)
            beyond = last + slope * reach / (axis[-1] - axis[-2])
            for other in range(2):
                beyond = np.maximum.accumulate(beyond, axis=other)
            axes[along] = np.append(axis, axis[-1] + reach)
            seconds = np.concatenate([seconds, np.expand_dims(beyond, along)], axis=along)
        return Surface((axes[0], axes[1], axes[2]), seconds, self.largest)

    def at(self, batch: int, n_new: Tokens, n_context: Tokens) -> FloatArray:
        """Time at one batch size and at every pair of the broadcast token counts [s]."""
        news, contexts = np.broadcast_arrays(np.asarray(n_new, np.float64), np.asarray(n_context, np.float64))
        seconds = self._linear(batch, news, contexts)
        last_new, last_context = self.axes[1][-1], self.axes[2][-1]
        if np.any(news > last_new) or np.any(contexts > last_context):
            inside = self._linear(batch, np.minimum(news, last_new), np.minimum(contexts, last_context))
            seconds = np.maximum(seconds, inside)
        return seconds

    def _linear(self, batch: int, news: FloatArray, contexts: FloatArray) -> FloatArray:
        coordinates: tuple[FloatArray, ...] = (np.asarray(float(batch)), news, contexts)
        pieces = [_ends(axis, x) for axis, x in zip(self.axes, coordinates, strict=True)]
        total = np.zeros(news.shape)
        # One term per corner of the grid cell; an axis with one value has one corner.
        for corner in product(*pieces):
            weight: FloatArray | float = 1.0
            for _, share in corner:
                if share is not None:
                    weight = weight * share
            index = tuple(at for at, _ in corner)
            total = total + weight * self.seconds[index]
        return total


def _ends(axis: FloatArray, x: FloatArray) -> tuple[tuple[NDArray[np.intp], FloatArray | None], ...]:
    """Return indices and weights of the two grid values around `x` on an axis.

    For an axis with one value, its index with weight None.
    """
    if len(axis) == 1:
        return ((np.asarray(0), None),)
    lower = np.minimum(np.maximum(np.searchsorted(axis, x, side="right") - 1, 0), len(axis) - 2)
    share = np.maximum((x - axis[lower]) / (axis[lower + 1] - axis[lower]), 0.0)
    return (lower, 1.0 - share), (lower + 1, share)
