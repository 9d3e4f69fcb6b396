"""Isotonic correction of values on a grid: the smallest change that makes them nondecreasing on each axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from edgesim.model.parts import FloatArray

__all__ = ["Correction", "monotone"]

_ROUNDING = 1e-9  # relative change that counts as none


def monotone(values: FloatArray) -> FloatArray:
    r"""Return the nearest positive values that decrease along no axis, by the largest ratio of change.

    Let :math:`u` be the largest value at or before a point, and :math:`l` the smallest at or after it. No
    monotone values can be within a factor of less than :math:`\sqrt{u/l}` of both, and :math:`\sqrt{u l}`
    attains it (isotonic regression in the maximum norm, of logarithms: Ubhaya 1974, "Isotone optimization
    I", Journal of Approximation Theory 12). Monotone values are returned unchanged, bit for bit.
    """
    before, behind = values, values
    for axis in range(values.ndim):
        before = np.maximum.accumulate(before, axis=axis)
        behind = np.flip(np.minimum.accumulate(np.flip(behind, axis), axis=axis), axis)
    return np.where(before == behind, values, np.sqrt(before) * np.sqrt(behind))


@dataclass(frozen=True, slots=True)
class Correction:
    """Summary of the changes that :func:`monotone` made to a table of times.

    Attributes
    ----------
    n_points
        Number of times in the table.
    n_changed
        Number of times that changed.
    largest
        Largest relative change; 0 if none changed.
    """

    n_points: int = 0
    n_changed: int = 0
    largest: float = 0.0

    @classmethod
    def between(cls, before: FloatArray, after: FloatArray) -> Self:
        """Compare a table before and after correction."""
        change = np.abs(np.divide(after, before, out=np.ones_like(before), where=before > 0) - 1.0)
        return cls(before.size, int(np.count_nonzero(change > _ROUNDING)), float(change.max(initial=0.0)))

    def __add__(self, other: Correction) -> Correction:
        """Combine the summaries of two tables."""
        return Correction(
            self.n_points + other.n_points,
            self.n_changed + other.n_changed,
            max(self.largest, other.largest),
        )
