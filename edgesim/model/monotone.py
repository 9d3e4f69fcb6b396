"""Values on a grid, changed as little as possible so that they fall along no axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from edgesim.model.parts import FloatArray

__all__ = ["Correction", "monotone"]

_ROUNDING = 1e-9  # relative: a change that is none


def monotone(values: FloatArray) -> FloatArray:
    r"""Return the nearest positive values that fall along no axis: the least largest ratio to those given.

    With the largest value at or before a point, :math:`u`, and the smallest at or behind it, :math:`l`, no
    monotone values can come nearer than :math:`\sqrt{u/l}` to both where these two were given, and
    :math:`\sqrt{u l}` does (isotonic regression in the maximum norm, of logarithms: Ubhaya 1974,
    "Isotone optimization I", Journal of Approximation Theory 12). Values that are monotone come back as they
    are, to the last bit.
    """
    before, behind = values, values
    for axis in range(values.ndim):
        before = np.maximum.accumulate(before, axis=axis)
        behind = np.flip(np.minimum.accumulate(np.flip(behind, axis), axis=axis), axis)
    return np.where(before == behind, values, np.sqrt(before) * np.sqrt(behind))


@dataclass(frozen=True, slots=True)
class Correction:
    """How much of a table of times had to change to fall nowhere.

    Attributes
    ----------
    n_points
        Times in the table.
    n_changed
        Those that changed.
    largest
        The largest change of one, relative to what it was; 0 where none changed.
    """

    n_points: int = 0
    n_changed: int = 0
    largest: float = 0.0

    @classmethod
    def between(cls, before: FloatArray, after: FloatArray) -> Self:
        """Compare a table before and after."""
        change = np.abs(np.divide(after, before, out=np.ones_like(before), where=before > 0) - 1.0)
        return cls(before.size, int(np.count_nonzero(change > _ROUNDING)), float(change.max(initial=0.0)))

    def __add__(self, other: Correction) -> Correction:
        """Take two tables as one."""
        return Correction(
            self.n_points + other.n_points,
            self.n_changed + other.n_changed,
            max(self.largest, other.largest),
        )
