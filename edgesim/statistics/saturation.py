"""Detection of saturation: whether the number of requests in flight keeps growing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from edgesim.statistics.window import Window

__all__ = ["Growth", "keeps_growing"]

FloatArray: TypeAlias = npt.NDArray[np.float64]

N_STRETCHES = 6
SETTLING = 0.25  # share of the window left out: a run that starts empty fills up at any load
LEVEL = 0.99
LEAST = 0.01  # least growth, as a share of the arrivals


@dataclass(frozen=True, slots=True)
class Growth:
    """Increments of the number of requests in flight over equal intervals, and the number of arrivals."""

    increments: tuple[int, ...]
    n_arrived: int

    @classmethod
    def of(cls, arrived_at_s: FloatArray, ended_at_s: FloatArray, window: Window) -> Growth | None:
        """Count over six intervals of the window, without its first quarter; None if it has no length."""
        if not window.length_s:
            return None
        edges_s = np.linspace(window.from_s + SETTLING * window.length_s, window.until_s, N_STRETCHES + 1)
        n_arrived = np.searchsorted(np.sort(arrived_at_s), edges_s, side="right")
        n_ended = np.searchsorted(np.sort(ended_at_s[~np.isnan(ended_at_s)]), edges_s, side="right")
        increments = np.diff(n_arrived - n_ended)
        return cls(tuple(int(step) for step in increments), int(n_arrived[-1] - n_arrived[0]))


def keeps_growing(growths: Sequence[Growth]) -> bool:
    """Test whether demand exceeds capacity in the given replications.

    In an overloaded system the number of requests in flight is a random walk with upward drift, and its
    increments over long intervals are nearly independent. Their mean is tested against zero, one-sided, by
    Student's t at the 1 % level over all intervals of all replications. In a stable system the increments
    add up to nearly zero and are negatively correlated, so the test has fewer false positives than its level.
    Growth of less than 1 % of the arrivals is ignored, since a stable queue that has not quite reached its
    stationary length shows it, too.

    Not modelled: load that increases within the window, such as over a day, is not distinguished from
    overload.
    """
    steps = np.array([step for growth in growths for step in growth.increments], dtype=np.float64)
    n_arrived = sum(growth.n_arrived for growth in growths)
    if steps.size < 2 or steps.sum() <= LEAST * n_arrived:
        return False
    standard_error = float(steps.std(ddof=1)) / math.sqrt(steps.size)
    return bool(steps.mean() > float(stdtrit(steps.size - 1, LEVEL)) * standard_error)
