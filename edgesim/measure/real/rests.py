"""What a process computes more slowly after it has slept: measured with the model itself.

A process that waits for a message or a sum sleeps, and its core idles. The pass after that takes longer than
one that follows another at once: caches and predictors have cooled down, and the core (or the virtual core's
host) has to ramp up again. The loss grows with the length of the sleep, and with what is computed afterwards,
so it is measured with the parts of a model that will be used, after sleeps of several lengths. And it is
another one where a neighbour computes during the sleep, as in a ring, than where the whole host is idle: that
keeps the host awake, and replaces what is in the shared cache. So both are measured.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgesim.measure.trimmed_mean import typical

__all__ = ["RESTS_S", "Losses", "RestLosses", "Rests"]

RESTS_S = (1e-3, 4e-3, 16e-3)
"""Lengths of the sleeps after which passes are timed: between them losses are interpolated."""


@dataclass(frozen=True, slots=True)
class Losses:
    """What passes lose after sleeps [s]; differences, which can come out below zero.

    Attributes
    ----------
    stages_s
        A decoding step of each stage, after each of :data:`RESTS_S`.
    prompts_s
        A prompt of each stage, after decoding steps and the longest of them.
    head_s
        The head of the first stage, after the longest of them.
    """

    stages_s: tuple[tuple[float, ...], ...]
    prompts_s: tuple[float, ...]
    head_s: float


@dataclass(frozen=True, slots=True)
class RestLosses:
    """What passes lose after sleeps during a share of which another process computes.

    Attributes
    ----------
    idle
        After sleeps in which no process computes.
    beside
        After sleeps in which another one computes all the time.

    Between the two, a loss is in proportion to that share, whenever in the sleep it is.
    """

    idle: Losses
    beside: Losses

    def after(self, stage: int, idle_s: float, share: float) -> float:
        """Return what a decoding step of a stage loses after a sleep of `idle_s`, and never less than zero.

        Interpolated; in proportion to the sleep below the shortest one measured, constant above the longest.
        """
        idle, beside = (
            float(np.interp(idle_s, (0.0, *RESTS_S), (0.0, *each.stages_s[stage])))
            for each in (self.idle, self.beside)
        )
        return _mixed(idle, beside, share)

    def prompt_after(self, stage: int, share: float) -> float:
        """Return what a prompt of a stage loses after a sleep of the longest of :data:`RESTS_S` or more."""
        return _mixed(self.idle.prompts_s[stage], self.beside.prompts_s[stage], share)

    def head_after(self, idle_s: float, share: float) -> float:
        """Return what the head of the first stage loses after a sleep of `idle_s`, in proportion to it."""
        return _mixed(self.idle.head_s, self.beside.head_s, share) * min(1.0, idle_s / RESTS_S[-1])


def _mixed(idle_s: float, beside_s: float, share: float) -> float:
    return max(0.0, (1.0 - share) * idle_s + share * beside_s)


@dataclass
class Rests:
    """Collects measurements of losses.

    Parameters
    ----------
    n_stages
        Of the ring.
    """

    n_stages: int
    _found: defaultdict[tuple[str, int, bool], list[Any]] = field(
        init=False, default_factory=lambda: defaultdict(list)
    )

    def add_stage(self, stage: int, answer: dict[str, Any], *, beside: bool) -> None:
        """Store what :func:`edgesim.measure.real.resting.rested` has returned for a stage.

        Parameters
        ----------
        beside
            Whether another process has computed during its sleeps.
        """
        for key, seconds in answer.items():
            self._found[key, stage, beside] += seconds

    def losses(self, fastest: int) -> RestLosses:
        """Return the losses of what was stored.

        Parameters
        ----------
        fastest
            As for :func:`edgesim.measure.trimmed_mean.typical`.
        """
        return RestLosses(idle=self._losses(fastest, beside=False), beside=self._losses(fastest, beside=True))

    def _losses(self, fastest: int, *, beside: bool) -> Losses:
        def lost_s(rested: str, awake: str, stage: int) -> Any:
            rested_s, awake_s = (self._found[key, stage, beside] for key in (rested, awake))
            return typical(rested_s, fastest) - typical(awake_s, fastest)

        stages = range(self.n_stages)
        return Losses(
            stages_s=tuple(tuple(lost_s("rested_s", "awake_s", n).tolist()) for n in stages),
            prompts_s=tuple(float(lost_s("prompts_rested_s", "prompts_awake_s", n)) for n in stages),
            head_s=float(lost_s("heads_rested_s", "heads_awake_s", 0)),
        )
