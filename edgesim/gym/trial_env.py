"""Decisions that have come up, side by side, rewarded by a surrogate: a learner needs no event loop."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from edgesim.gym.arrays import ArrayVecEnv
from edgesim.gym.own_credit import Tried
from edgesim.gym.reward_model import RewardModel

__all__ = ["TrialVecEnv"]

Seen = NDArray[np.float32]


class TrialVecEnv(ArrayVecEnv):
    """Every step is an episode: one of the decisions that have come up, drawn anew, and one action.

    The reward is the surrogate's advantage of the action, over its spread: the return of a decision's own
    request, which is known in full once it has ended. An action that is not allowed becomes the nearest that
    is, the lower of two, as over the event loop.

    Parameters
    ----------
    tried
        Where decisions are drawn from.
    rewards
        The surrogate.
    n_envs
        Episodes at once.

    Not modelled: what a decision does to requests that come later.
    """

    of = "finished trials"

    def __init__(self, tried: Tried, rewards: RewardModel, n_envs: int = 64) -> None:
        self._tried_seen = tried.seen.astype(np.float32)
        self._worth = _with_nearest(rewards.advantages(tried.seen), tried.allowed)
        self._scale = float(self._worth.std(axis=1).mean()) or 1.0
        self._at = np.zeros(n_envs, np.int64)
        low, high = self._tried_seen.min(axis=0), self._tried_seen.max(axis=0)
        super().__init__(
            n_envs,
            gymnasium.spaces.Box(low, np.maximum(high, np.nextafter(low, np.float32(np.inf)))),
            gymnasium.spaces.Discrete(self._worth.shape[1]),
        )

    def reset(self) -> Any:
        """Begin an episode in every place."""
        self._at = self._rng.integers(len(self._worth), size=self.num_envs)
        return self._tried_seen[self._at]

    def step_wait(self) -> Any:
        """Reward the actions, and begin the next episode in every place."""
        worth = self._worth[self._at, self._actions]
        before = self._tried_seen[self._at]
        infos = [
            {"terminal_observation": last, "episode": {"r": float(value), "l": 1, "t": 0.0}}
            for last, value in zip(before, worth, strict=True)
        ]
        done = np.ones(self.num_envs, np.bool_)
        return self.reset(), (worth / self._scale).astype(np.float32), done, infos


def _with_nearest(worth: NDArray[np.float64], allowed: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Values of actions, where one that is not allowed has that of the nearest which is."""
    if allowed.all():
        return worth
    places = np.arange(worth.shape[1])
    away = np.abs(places[:, np.newaxis] - places) + 0.0  # [wanted, taken]
    nearest = np.where(allowed[:, np.newaxis, :], away, np.inf).argmin(axis=2)
    return np.take_along_axis(worth, nearest, axis=1)
