"""What a process computes more slowly after it has slept: measured with the model itself, in one process.

A process that waits for a message or a sum sleeps, and its core idles. The pass after that takes longer than
one that follows another at once: caches and predictors have cooled down, and the core (or the virtual core's
host) has to ramp up again. The loss grows with the length of the sleep, and with what is computed afterwards,
so it is measured with the parts of a model that will be used, after sleeps of several lengths.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgesim.measure.trimmed_mean import typical

__all__ = ["RESTS_S", "RestLosses", "Rests", "computing_s"]

RESTS_S = (1e-3, 4e-3, 16e-3)
"""Lengths of the sleeps after which passes are timed: between them losses are interpolated."""


def computing_s(answer: dict[str, Any], n_sums: int) -> list[float]:
    """Return the times between a member's tokens, without its sums or the sleeps in their place.

    Parameters
    ----------
    answer
        With ``emitted_at_s`` and ``sums_s``.
    n_sums
        Sums of a pass.
    """
    summed_s = np.diff(np.array(answer["sums_s"]), axis=1).reshape(-1, n_sums).sum(axis=1)
    gaps_s: list[float] = (np.diff(answer["emitted_at_s"][0]) - summed_s[1:]).tolist()
    return gaps_s


@dataclass(frozen=True, slots=True)
class RestLosses:
    """Losses by rests.

    Attributes
    ----------
    stages_s
        Of a pass of each stage, after each of :data:`RESTS_S`.
    sum_s
        Of what a group's member computes between two sums.
    """

    stages_s: tuple[tuple[float, ...], ...]
    sum_s: float

    def after(self, stage: int, idle_s: float) -> float:
        """Return what a pass of a stage loses after a sleep of `idle_s`.

        Interpolated; in proportion to the sleep below the shortest one measured, constant above the longest.
        """
        return float(np.interp(idle_s, (0.0, *RESTS_S), (0.0, *self.stages_s[stage])))


@dataclass
class Rests:
    """Collects measurements of losses.

    Parameters
    ----------
    n_stages
        Of the ring.
    n_sums
        Sums in a pass of the group.
    """

    n_stages: int
    n_sums: int
    _stages_s: list[list[tuple[list[float], list[float]]]] = field(init=False)
    _apart_s: list[float] = field(init=False, default_factory=list)
    _between_s: list[float] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self._stages_s = [[] for _ in range(self.n_stages)]

    def add_stage(self, stage: int, answer: dict[str, Any]) -> None:
        """Store what :func:`rested` has returned for a stage."""
        self._stages_s[stage].append((answer["awake_s"], answer["rested_s"]))

    def add_member(self, apart: dict[str, Any], between: dict[str, Any]) -> None:
        """Store a member's answers: without sums, and with sleeps in their place."""
        self._apart_s += np.diff(apart["emitted_at_s"][0]).tolist()
        self._between_s += computing_s(between, self.n_sums)

    def losses(self, fastest: int) -> RestLosses:
        """Return the losses of what was stored; none is below zero.

        Parameters
        ----------
        fastest
            As for :func:`edgesim.measure.trimmed_mean.typical`.
        """
        stages_s = []
        for found in self._stages_s:
            awake_s, rested_s = (np.array(each) for each in zip(*found, strict=True))  # [visit, rest]
            lost_s = typical(rested_s, fastest) - typical(awake_s.ravel(), fastest)
            stages_s.append(tuple(np.maximum(0.0, lost_s).tolist()))
        sum_s = 0.0
        if self._apart_s:
            lost_s = typical(self._between_s, fastest) - typical(self._apart_s, fastest)
            sum_s = max(0.0, float(lost_s) / self.n_sums)
        return RestLosses(tuple(stages_s), sum_s)
