"""What the members of a group compute between two sums: measured with the model itself, without any sum.

A member sleeps in every sum until the others have arrived and the result is there, and computes more slowly
after it. Here it sleeps as long without a sum. Sums keep members in step, so that all compute at the same
time: here a barrier does in every third place, whose own time is not used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgesim.measure.trimmed_mean import typical

__all__ = ["Members", "Stretches"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretches:
    """What a member computes between two sums of a pass [s].

    Attributes
    ----------
    attention_s, mlp_s
        The half of a block; means over blocks and members.
    late_s
        How much longer the slowest member takes than their mean, for which the group waits in every sum; mean
        over the sums of a pass, of which the first of a decoding step follows head and embedding.
    """

    attention_s: float
    mlp_s: float
    late_s: float

    @property
    def mean_s(self) -> float:
        """Mean of the two halves."""
        return (self.attention_s + self.mlp_s) / 2.0


@dataclass
class Members:
    """Collects measurements of a group's members.

    Parameters
    ----------
    n_sums
        Sums in a pass, two in every block.
    """

    n_sums: int
    _prompts_s: list[tuple[float, float, float]] = field(init=False, default_factory=list)
    _steps_s: list[tuple[float, float, float]] = field(init=False, default_factory=list)
    _first_stretches_s: list[float] = field(init=False, default_factory=list)

    def add(self, answers: Sequence[dict[str, Any]]) -> None:
        """Store the answers of all members that have generated side by side.

        Parameters
        ----------
        answers
            For each member ``sums_s``, when it entered and left every sleep in the place of a sum;
            ``began_at_s``, when it began; and ``before_s``, for how long it prepared the prompt then.

        The attention before a pass's first sum is left out of the stretches, as it follows the embedding.
        """
        instants_s = np.array([answer["sums_s"] for answer in answers])  # [member, sum, 2]
        begun_at_s = np.mean([answer["began_at_s"] + answer["before_s"] for answer in answers])
        self._first_stretches_s.append(float(instants_s[:, 0, 0].max() - begun_at_s))
        computed_s = instants_s[:, 1:, 0] - instants_s[:, :-1, 1]
        waits_s = computed_s.max(axis=0) - computed_s.mean(axis=0)
        for first in range(0, instants_s.shape[1], self.n_sums):
            halves_s = computed_s[:, first : first + self.n_sums - 1]  # from the MLP behind the first sum on
            mlp_s, attention_s = (float(halves_s[:, half::2].mean()) for half in (0, 1))
            late_s = float(waits_s[max(0, first - 1) : first + self.n_sums - 1].mean())
            found = self._steps_s if first else self._prompts_s
            found.append((attention_s, mlp_s, late_s))

    def times(self, fastest: int) -> tuple[Stretches, Stretches]:
        """Return the typical times of prompts and of decoding steps, at least one of each.

        Parameters
        ----------
        fastest
            As for :func:`edgesim.measure.trimmed_mean.typical`.
        """
        prompt, step = (
            Stretches(attention_s=attention_s, mlp_s=mlp_s, late_s=late_s)
            for attention_s, mlp_s, late_s in (
                typical(found, fastest).tolist() for found in (self._prompts_s, self._steps_s)
            )
        )
        return prompt, step

    def first_stretch_s(self, fastest: int) -> float:
        """Return the typical time from a prompt's beginning to the last arrival at its first sum [s].

        Parameters
        ----------
        fastest
            As for :func:`edgesim.measure.trimmed_mean.typical`.
        """
        return float(typical(self._first_stretches_s, fastest))
