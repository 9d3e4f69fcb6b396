"""Evaluation of a trained policy against every constant choice, in replications not used for training."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesim.gym.decision_training import decision_env, utility_reward
from edgesim.gym.event_loop_env import EventLoopEnv
from edgesim.gym.rewards import Passed, UtilityReward
from edgesim.planning.policies.training import Training
from edgesim.planning.splitting.policy import Policy
from edgesim.runner import Prepared
from edgesim.statistics.intervals import Estimate, student_t

__all__ = ["Judged", "judge"]

Floats = NDArray[np.float64]
Choose = Callable[[Floats, NDArray[np.bool_]], int]

_FIRST = 1 << 31
"""First replication of evaluations; training draws smaller numbers."""


@dataclass(frozen=True, eq=False)
class Judged:
    """Mean utility per counted request, by replication, of a policy and of constant choices.

    Attributes
    ----------
    policy : [n_replications]
        Mean utility of the policy.
    constant : [n_constants, n_replications]
        Mean utility of each constant choice.
    rivals, names
        Kind of constant choices (``fixed splits``, ``constant actions`` or ``constant moves``), and the name
        of each.
    """

    policy: Floats
    constant: Floats
    rivals: str
    names: tuple[str, ...]

    @property
    def best_constant(self) -> int:
        """Index of the constant choice that is best over these replications, in hindsight."""
        return int(np.argmax(self.constant.mean(axis=1)))

    @property
    def gain(self) -> Estimate:
        """Gain of the policy over the best constant choice: paired by replication, 95 % t interval."""
        found = student_t((self.policy - self.constant[self.best_constant]).tolist())
        assert found is not None
        return found

    def facts(self) -> dict[str, Any]:
        """Return the results as plain values, for a policy's record."""
        gain = self.gain
        return {
            "replications": len(self.policy),
            "utility_per_request": float(self.policy.mean()),
            "constant_utility_per_request": [float(value) for value in self.constant.mean(axis=1)],
            "rivals": self.rivals,
            "constants": list(self.names),
            "best_constant": self.names[self.best_constant],
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
    """Run a policy and every constant choice in the same replications, none of them used for training.

    If actions are splits, or moves between splits with the split observed, the constant choices are the
    splits, each reached as fast as moves allow. For other decisions they are the actions; an action that is
    not allowed is replaced by the nearest allowed one.

    Parameters
    ----------
    prepared, label, training
        As for :func:`edgesim.gym.decision_training.train_decision`.
    progress
        Called with the number of finished runs, and of all runs.
    """
    tally = _Tally(utility_reward(training))
    env = decision_env(prepared, label, training, reward=tally)
    rivals, fixed = _constants(training, policy.n_actions)
    choices: list[Choose] = [lambda seen, allowed: policy.act(seen, allowed.tolist()), *fixed.values()]
    found = np.zeros((len(choices), n_replications))
    for replication in range(n_replications):
        for row, choose in enumerate(choices):
            found[row, replication] = _mean_utility(env, tally, choose, _FIRST + replication)
            if progress is not None:
                progress(replication * len(choices) + row + 1, found.size)
    return Judged(found[0], found[1:], rivals, tuple(fixed))


def _constants(training: Training, n_actions: int) -> tuple[str, dict[str, Choose]]:
    """Return the kind of constant choices, and the choices by name."""
    splits, moves = training.splits, np.array(training.moves)
    if training.actions == "absolute":
        return "fixed splits", {f"split {split}": _always(n) for n, split in enumerate(splits)}
    if training.actions == "relative" and len(moves) and "split" in training.observations:
        place = training.observations.index("split")
        towards = {f"split {split}": _towards(n, place, splits, moves) for n, split in enumerate(splits)}
        return "fixed splits", towards
    if len(moves):
        return "constant moves", {f"always {move:+d}": _always(n) for n, move in enumerate(moves)}
    return "constant actions", {f"action {action}": _always(action) for action in range(n_actions)}


def _always(action: int) -> Choose:
    return lambda seen, allowed: action


def _towards(target: int, place: int, splits: tuple[int, ...], moves: NDArray[np.int64]) -> Choose:
    """Return the choice that moves to a split and stays there."""

    def choose(seen: Floats, allowed: NDArray[np.bool_]) -> int:
        away = np.abs(splits.index(round(float(seen[place]))) + moves - target)
        return int(np.argmin(np.where(allowed, away, np.inf)))

    return choose


@dataclass(eq=False)
class _Tally:
    """Reward that collects the utilities of counted requests in a run."""

    reward: UtilityReward
    values: list[float] = field(default_factory=list)

    def __call__(self, passed: Passed) -> float:
        self.values += self.reward.values(passed).tolist()
        return 0.0


def _mean_utility(env: EventLoopEnv, tally: _Tally, choose: Choose, replication: int) -> float:
    tally.values = []
    seen, _ = env.reset(options={"replication": replication})
    is_over = False
    while not is_over:
        action = np.int64(choose(seen.astype(np.float64), env.action_masks()))
        seen, _, terminated, truncated, _ = env.step(action)
        is_over = terminated or truncated
    return math.fsum(tally.values) / max(1, len(tally.values))
