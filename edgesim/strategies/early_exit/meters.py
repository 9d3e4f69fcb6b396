"""What nodes make of their counts: rates that are believed until what is counted contradicts them.

Counts of Poisson arrivals scatter, and prices near saturation multiply the scatter: a rate that is measured
over a short window keeps rows from ever coming to rest, and over a long one it follows changes late. So each
node compares what it counts with what it expects of what it was told, and goes by the ratio of the two

- over as many rounds as have passed since the last change, a hundred at most; before the first it has the
  plan for as many rounds behind it;
- where the last 1, 2, 4, 8 or 16 rounds lie more than 4 standard deviations of a Poisson count (that of the
  rounds before included) from what the rounds before let expect, these rounds are all that counts: a change;
- a ratio within 3 standard deviations of 1 counts as 1: what was told is believed.

Times of passes are judged likewise, over what was planned for as many, as if they were exponential.

At these limits a false change comes once in some thousands of rounds of a node; a rise by a half of a rate of
100 tasks per round is seen in the first round, one by a fifth within sixteen.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Meters"]

Floats = NDArray[np.float64]

_MEMORY = 100  # rounds; 10,000 tasks at 100 per round: 1 % of standard deviation
_LOOKS = (16, 8, 4, 2, 1)  # rounds; the most first, so that a change is judged by all that came after it
_CHANGE = 4.0  # standard deviations
_DOUBT = 3.0


class Meters:
    """One meter per node.

    Attributes
    ----------
    ratio : [n_nodes]
        What has been counted over what was expected, as far as it is believed.
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
        """Take in a round: what each node has counted, and what it was to expect [n_nodes]."""
        for sums, new in ((self._counted, counted), (self._expected, expected)):
            total = sums[-1] + new
            sums[:-1] = sums[1:]
            sums[-1] = total
        self._age = np.minimum(self._age + 1, _MEMORY)
        for n_rounds in _LOOKS:
            self._look(n_rounds)
        counted, expected = self._over(self._age)
        is_doubted = np.abs(counted - expected) > _DOUBT * np.sqrt(expected + 1)
        self.ratio = np.where(is_doubted & (expected > 0), counted / np.maximum(expected, 1e-12), 1.0)

    def _look(self, n_rounds: int) -> None:
        """See whether the last rounds differ from those before; if so, begin with them."""
        is_old = self._age > n_rounds
        recent, recent_told = self._over(np.full(len(self._age), n_rounds))
        whole, whole_told = self._over(self._age)
        before = np.maximum(whole - recent, 0.0)  # against the last bit's rounding of long sums
        before_told = np.maximum(whole_told - recent_told, 0.0)
        ratio = (before + 1) / (before_told + 1)
        expected = ratio * recent_told
        variance = expected + 1 + expected * recent_told / (before_told + 1)
        has_changed = is_old & (np.abs(recent - expected) > _CHANGE * np.sqrt(variance))
        self._age = np.where(has_changed, n_rounds, self._age)

    def _over(self, n_rounds: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Counted and expected in the last rounds of each node."""
        first = _MEMORY - n_rounds
        counted: Floats = self._counted[-1] - self._counted[first, self._nodes]
        expected: Floats = self._expected[-1] - self._expected[first, self._nodes]
        return counted, expected
