"""What a process computes more slowly after it has slept: measured with the model itself, in one process.

A process that waits for a message or a sum sleeps, and its core idles. The pass after that takes longer than
one that follows another at once: caches and predictors have cooled down, and the core (or the virtual core's
host) has to ramp up again. The loss grows with the length of the sleep, and with what is computed afterwards,
so it is measured with the parts of a model that will be used, after sleeps of several lengths.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgesim.measure.trimmed_mean import typical

__all__ = ["HEAD_RESTS_S", "RESTS_S", "RestLosses", "Rests"]

RESTS_S = (1e-3, 4e-3, 8e-3, 16e-3, 48e-3)
"""Lengths of the sleeps after which passes are timed: between them losses are interpolated.

On one host losses hardly grew beyond 4 ms. On another they grew up to 32 ms and then hardly (stages of a
model of 4 M parameters: 0.9, 1.5, 1.5 and 1.6 ms after 16, 32, 64 and 128 ms).
"""

HEAD_RESTS_S = RESTS_S[-2:]
"""Likewise for the head, which has a prompt before each sleep."""


@dataclass(frozen=True, slots=True)
class RestLosses:
    """What passes lose after sleeps [s].

    Attributes
    ----------
    stages_s
        A decoding step of each stage, after each of :data:`RESTS_S`.
    prompts_s
        A prompt of each stage, after decoding steps and the longest of them; 0 where a profile holds that.
    next_prompts_s
        A prompt of each stage, behind another one that lost that: a core takes several passes to get up to
        speed.
    heads_s
        The head of the first stage, after each of :data:`HEAD_RESTS_S`.
    """

    stages_s: tuple[tuple[float, ...], ...]
    prompts_s: tuple[float, ...]
    next_prompts_s: tuple[float, ...]
    heads_s: tuple[float, ...]

    def after(self, stage: int, idle_s: float) -> float:
        """Return what a decoding step of a stage loses after a sleep of `idle_s`.

        Interpolated, and not below zero; in proportion to the sleep below the shortest one measured, constant
        above the longest.
        """
        return max(0.0, float(np.interp(idle_s, (0.0, *RESTS_S), (0.0, *self.stages_s[stage]))))

    def prompt_after(self, stage: int, idle_s: float) -> float:
        """Return what a prompt of a stage loses behind another one and a sleep of `idle_s`.

        In proportion to a decoding step's loss after that sleep, or to the sleep itself where a decoding step
        was not found to lose anything; but no less than without a sleep.
        """
        # Differences scatter; they are taken not to fall with the sleep, so that no share is above 1.
        risen_s = np.maximum.accumulate((0.0, *self.stages_s[stage]))
        lost_s = float(np.interp(idle_s, (0.0, *RESTS_S), risen_s))
        share = lost_s / risen_s[-1] if risen_s[-1] > 0.0 else min(1.0, idle_s / RESTS_S[-1])
        first_s = max(0.0, self.prompts_s[stage])
        return min(first_s, max(self.next_prompts_s[stage], first_s * share))

    def head_after(self, idle_s: float) -> float:
        """Return what the head of the first stage loses after a sleep of `idle_s`, likewise."""
        return max(0.0, float(np.interp(idle_s, (0.0, *HEAD_RESTS_S), (0.0, *self.heads_s))))


@dataclass
class Rests:
    """Collects measurements of losses.

    Parameters
    ----------
    n_stages
        Of the ring.
    """

    n_stages: int
    _found: defaultdict[str, list[Any]] = field(init=False, default_factory=lambda: defaultdict(list))

    def add_stage(self, stage: int, answer: dict[str, Any]) -> None:
        """Store what :func:`edgesim.measure.real.generation_loops.rested` has returned for a stage."""
        for key, seconds in answer.items():
            self._found[f"{key} {stage}"] += seconds

    def losses(self, fastest: int) -> RestLosses:
        """Return the losses of what was stored; as differences they can come out below zero.

        Parameters
        ----------
        fastest
            As for :func:`edgesim.measure.trimmed_mean.typical`.
        """

        def lost_s(rested: str, awake: str) -> Any:
            return typical(self._found[rested], fastest) - typical(self._found[awake], fastest)

        stages = range(self.n_stages)
        return RestLosses(
            tuple(tuple(lost_s(f"rested_s {n}", f"awake_s {n}").tolist()) for n in stages),
            tuple(float(lost_s(f"prompts_rested_s {n}", f"prompts_awake_s {n}")) for n in stages),
            tuple(float(lost_s(f"prompts_next_s {n}", f"prompts_awake_s {n}")) for n in stages),
            tuple(lost_s("heads_rested_s 0", "heads_awake_s 0").tolist()),
        )
