"""Vectorised environment of recorded decisions with a surrogate's rewards, independent of the event loop."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from edgesim.gym.arrays import ArrayVecEnv
from edgesim.gym.per_request_credit import Tried
from edgesim.gym.reward_model import RewardModel

__all__ = ["TrialVecEnv"]

Seen = NDArray[np.float32]


class TrialVecEnv(ArrayVecEnv):
    """Environment whose episodes have one step: a decision drawn from recorded ones, and one action.

    The reward is the action's advantage by the surrogate, over its spread: it represents the whole return of
    the decision's own request. An action that is not allowed is replaced by the nearest allowed one, the
    lower of two, as over the event loop.

    Parameters
    ----------
    tried
        Recorded decisions.
    rewards
        The surrogate.
    n_envs
        Number of parallel episodes.

    Not modelled: effects of a decision on later requests.
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
        """Begin all episodes."""
        self._at = self._rng.integers(len(self._worth), size=self.num_envs)
        return self._tried_seen[self._at]

    def step_wait(self) -> Any:
        """Return the rewards of the actions, and begin the next episodes."""
        worth = self._worth[self._at, self._actions]
        before = self._tried_seen[self._at]
        infos = [
            {"terminal_observation": last, "episode": {"r": float(value), "l": 1, "t": 0.0}}
            for last, value in zip(before, worth, strict=True)
        ]
        done = np.ones(self.num_envs, np.bool_)
        return self.reset(), (worth / self._scale).astype(np.float32), done, infos


def _with_nearest(worth: NDArray[np.float64], allowed: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return values of actions, with those not allowed replaced by the value of the nearest allowed one."""
    if allowed.all():
        return worth
    places = np.arange(worth.shape[1])
    away = np.abs(places[:, np.newaxis] - places) + 0.0  # [wanted, taken]
    nearest = np.where(allowed[:, np.newaxis, :], away, np.inf).argmin(axis=2)
    return np.take_along_axis(worth, nearest, axis=1)
