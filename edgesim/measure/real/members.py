"""What the members of a group compute between two sums: measured with the model itself, without any sum.

A member sleeps in every sum until the others have arrived and the result is there, and computes more slowly
after it. Here it sleeps as long without a sum, so that what it computes is as in use, whatever a sum costs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgesim.measure.trimmed_mean import typical

__all__ = ["Members", "ShardTimes", "Stretches"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretches:
    """What a member computes between two sums of a pass [s].

    Attributes
    ----------
    attention_s, mlp_s
        The half of a block; means over blocks and members.
    late_s
        How much longer the slowest member takes than their mean: the group waits for it in every sum.
    """

    attention_s: float
    mlp_s: float
    late_s: float

    @property
    def mean_s(self) -> float:
        """Mean of the two halves."""
        return (self.attention_s + self.mlp_s) / 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardTimes:
    """Stretches of a prompt and of a decoding step."""

    prompt: Stretches
    step: Stretches


@dataclass
class Members:
    """Collects measurements of a group's members.

    Parameters
    ----------
    n_sums
        Sums in a pass, two in every block.
    """

    n_sums: int
    _found: defaultdict[str, list[tuple[float, float, float]]] = field(
        init=False, default_factory=lambda: defaultdict(list)
    )

    def add(self, answers: Sequence[dict[str, Any]]) -> None:
        """Store the answers of all members that have generated side by side.

        Parameters
        ----------
        answers
            For each member ``sums_s``, when it entered and left every sleep in the place of a sum.

        What is computed before a pass's first sum is left out, as it has the embedding, too.
        """
        instants_s = np.array([answer["sums_s"] for answer in answers])  # [member, sum, 2]
        computed_s = instants_s[:, 1:, 0] - instants_s[:, :-1, 1]
        n_passes = instants_s.shape[1] // self.n_sums
        for number in range(n_passes):
            first = number * self.n_sums  # the stretch behind a pass's first sum: an MLP
            stretches_s = computed_s[:, first : first + self.n_sums - 1]
            late_s = float(np.mean(stretches_s.max(axis=0) - stretches_s.mean(axis=0)))
            mlp_s, attention_s = (float(stretches_s[:, half::2].mean()) for half in (0, 1))
            self._found["step" if number else "prompt"].append((attention_s, mlp_s, late_s))

    def times(self, fastest: int) -> ShardTimes | None:
        """Return the typical times of what was stored; None if nothing was.

        Parameters
        ----------
        fastest
            As for :func:`edgesim.measure.trimmed_mean.typical`.
        """
        if not self._found:
            return None

        def stretches(of: str) -> Stretches:
            attention_s, mlp_s, late_s = typical(self._found[of], fastest).tolist()
            return Stretches(attention_s=attention_s, mlp_s=mlp_s, late_s=late_s)

        return ShardTimes(prompt=stretches("prompt"), step=stretches("step"))
