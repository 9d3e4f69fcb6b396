"""What a trained decision is worth: against every constant action, in replications not trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesim.gym.decision_training import decision_env
from edgesim.planning.policies.training import Training
from edgesim.planning.splitting.policy import Policy
from edgesim.runner import Prepared
from edgesim.statistics.intervals import Estimate, student_t

__all__ = ["Judged", "judge"]

Floats = NDArray[np.float64]
Choose = Callable[[Floats, NDArray[np.bool_]], int]

_FIRST = 1 << 31
"""Of the replications that policies are judged in: training draws its own below."""


@dataclass(frozen=True, eq=False)
class Judged:
    """Mean utility of a request, by replication.

    Attributes
    ----------
    policy : [n_replications]
    constant : [n_actions, n_replications]
        Of always taking one action, or what is nearest to it where that is not allowed.
    """

    policy: Floats
    constant: Floats

    @property
    def best_constant(self) -> int:
        """The constant action that is best over these replications: in hindsight."""
        return int(np.argmax(self.constant.mean(axis=1)))

    @property
    def gain(self) -> Estimate:
        """By how much the policy is better than that: paired by replication, Student's 95 % interval."""
        found = student_t((self.policy - self.constant[self.best_constant]).tolist())
        assert found is not None
        return found

    def facts(self) -> dict[str, Any]:
        """For a policy's record."""
        gain = self.gain
        return {
            "replications": len(self.policy),
            "utility_per_request": float(self.policy.mean()),
            "constant_utility_per_request": [float(value) for value in self.constant.mean(axis=1)],
            "best_constant_action": self.best_constant,
            "gain_over_best_constant": gain.mean,
            "gain_interval_95": None if gain.interval is None else list(gain.interval),
        }


def judge(
    prepared: Prepared,
    label: str,
    training: Training,
    policy: Policy,
    *,
    n_replications: int = 4,
    progress: Callable[[int, int], None] | None = None,
) -> Judged:
    """Run a policy and every constant action in the same replications, none of which it was trained on.

    Parameters
    ----------
    prepared, label, training
        As for :func:`edgesim.gym.decision_training.train_decision`.
    progress
        Called with how many runs are done, of how many.
    """
    env = decision_env(prepared, label, training)
    n_actions = policy.n_actions
    choices: list[Choose] = [lambda seen, allowed: policy.act(seen, allowed.tolist())]
    choices += [lambda seen, allowed, action=action: action for action in range(n_actions)]  # type: ignore[misc]
    found = np.zeros((len(choices), n_replications))
    for replication in range(n_replications):
        for row, choose in enumerate(choices):
            found[row, replication] = _mean_utility(env, choose, _FIRST + replication)
            if progress is not None:
                progress(replication * len(choices) + row + 1, found.size)
    return Judged(found[0], found[1:])


def _mean_utility(env: Any, choose: Choose, replication: int) -> float:
    seen, _ = env.reset(options={"replication": replication})
    total, n_ended, is_over = 0.0, 0, False
    while not is_over:
        seen, reward, terminated, truncated, info = env.step(choose(seen, env.action_masks()))
        total, is_over = total + reward, terminated or truncated
        n_ended += info["n_completed"] + info["n_failed"]
    return total / max(1, n_ended)
