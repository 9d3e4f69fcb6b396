"""Whether a strategy keeps up, or the number of requests in flight keeps growing."""

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
SETTLING = 0.25  # of the window: a run that starts empty fills up, whatever its load
LEVEL = 0.99
LEAST = 0.01  # of what arrives is left behind


@dataclass(frozen=True, slots=True)
class Growth:
    """How many more requests were in flight at the end of each of equal stretches, and how many arrived."""

    increments: tuple[int, ...]
    n_arrived: int

    @classmethod
    def of(cls, arrived_at_s: FloatArray, ended_at_s: FloatArray, window: Window) -> Growth | None:
        """Count over stretches of the window, its first quarter left out; None if it has no length."""
        if not window.length_s:
            return None
        edges_s = np.linspace(window.from_s + SETTLING * window.length_s, window.until_s, N_STRETCHES + 1)
        n_arrived = np.searchsorted(np.sort(arrived_at_s), edges_s, side="right")
        n_ended = np.searchsorted(np.sort(ended_at_s[~np.isnan(ended_at_s)]), edges_s, side="right")
        increments = np.diff(n_arrived - n_ended)
        return cls(tuple(int(step) for step in increments), int(n_arrived[-1] - n_arrived[0]))


def keeps_growing(growths: Sequence[Growth]) -> bool:
    """Whether demand exceeds capacity, as far as the replications show.

    In a system that cannot keep up the number in flight is a random walk that drifts up, and its increments
    over long stretches are nearly independent: their mean is tested against zero, one-sided, by Student's t
    at the 1 % level over all stretches of all replications. In a system that keeps up the increments add up
    to next to nothing and are negatively correlated, so that the test errs less often than it says. Growth
    of less than 1 % of the arrivals is passed over: a stable queue that has not quite filled up looks like
    that.

    Not distinguished: load that is higher late in the window, as over a day, and load that is too much.
    """
    steps = np.array([step for growth in growths for step in growth.increments], dtype=np.float64)
    n_arrived = sum(growth.n_arrived for growth in growths)
    if steps.size < 2 or steps.sum() <= LEAST * n_arrived:
        return False
    standard_error = float(steps.std(ddof=1)) / math.sqrt(steps.size)
    return bool(steps.mean() > float(stdtrit(steps.size - 1, LEVEL)) * standard_error)
