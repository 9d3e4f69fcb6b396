"""Estimation of rates from counts: reported rates are used until counts contradict them significantly.

Counts of Poisson arrivals scatter, and prices near saturation amplify the scatter: with rates measured over a
short window, rows never converge; with a long window, they follow changes late. Therefore each node compares
its counts with those expected from reports, and uses the ratio of the two

- over all rounds since the last change, at most a hundred (the first rounds are filled up by the plan);
- if the last 1, 2, 4, 8 or 16 rounds differ from what the rounds before predict by more than 4 standard
  deviations of a Poisson count (that of the rounds before included), over these rounds only: a change;
- a ratio within 3 standard deviations of 1 counts as 1: the reported rate is used.

Times of passes are treated in the same way, relative to the planned time of as many passes, as if they were
exponential.

With these limits, a node detects a false change once in some thousands of rounds. A rise by a half of a rate
of 100 tasks per round is detected in the first round, a rise by a fifth within sixteen.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Meters"]

Floats = NDArray[np.float64]

_MEMORY = 100  # rounds; 10,000 tasks at 100 per round: 1 % of standard deviation
_WINDOWS = (16, 8, 4, 2, 1)  # rounds; the longest first, so that all rounds after a change count
_CHANGE = 4.0  # standard deviations
_DOUBT = 3.0


class Meters:
    """Meters of all nodes, one each.

    Attributes
    ----------
    ratio : [n_nodes]
        Count over expected count, or 1 where the difference is not significant.
    """

    def __init__(self, expected_per_round: Floats) -> None:
        n_nodes = len(expected_per_round)
        steps = np.arange(_MEMORY + 1)[:, None]
        self._counted = (
            steps * expected_per_round
        )  # sums up to each of the last rounds [_MEMORY + 1, n_nodes]
        self._expected = self._counted.copy()
        self._age = np.full(n_nodes, _MEMORY)
        self._nodes = np.arange(n_nodes)
        self.ratio = np.ones(n_nodes)

    def update(self, counted: Floats, expected: Floats) -> None:
        """Add a round: the count of each node, and the count expected from reports [n_nodes]."""
        for sums, new in ((self._counted, counted), (self._expected, expected)):
            total = sums[-1] + new
            sums[:-1] = sums[1:]
            sums[-1] = total
        self._age = np.minimum(self._age + 1, _MEMORY)
        for n_rounds in _WINDOWS:
            self._detect(n_rounds)
        counted, expected = self._over(self._age)
        is_doubted = np.abs(counted - expected) > _DOUBT * np.sqrt(expected + 1)
        self.ratio = np.where(is_doubted & (expected > 0), counted / np.maximum(expected, 1e-12), 1.0)

    def _detect(self, n_rounds: int) -> None:
        """Test whether the last rounds differ from those before; if so, restart from them."""
        is_old = self._age > n_rounds
        recent, recent_reported = self._over(np.full(len(self._age), n_rounds))
        whole, whole_reported = self._over(self._age)
        before = np.maximum(whole - recent, 0.0)  # against the last bit's rounding of long sums
        before_reported = np.maximum(whole_reported - recent_reported, 0.0)
        ratio = (before + 1) / (before_reported + 1)
        expected = ratio * recent_reported
        variance = expected + 1 + expected * recent_reported / (before_reported + 1)
        has_changed = is_old & (np.abs(recent - expected) > _CHANGE * np.sqrt(variance))
        self._age = np.where(has_changed, n_rounds, self._age)

    def _over(self, n_rounds: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Return the counts and expected counts of the last `n_rounds` rounds of each node."""
        first = _MEMORY - n_rounds
        counted: Floats = self._counted[-1] - self._counted[first, self._nodes]
        expected: Floats = self._expected[-1] - self._expected[first, self._nodes]
        return counted, expected
