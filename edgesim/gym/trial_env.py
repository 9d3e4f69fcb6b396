"""Decisions that have come up, side by side, rewarded by a surrogate: a learner needs no event loop."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

from edgesim.gym.own_credit import Tried
from edgesim.gym.reward_model import RewardModel

__all__ = ["TrialVecEnv"]

Seen = NDArray[np.float32]


class TrialVecEnv(VecEnv):
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

    def __init__(self, tried: Tried, rewards: RewardModel, n_envs: int = 64) -> None:
        self._tried_seen = tried.seen.astype(np.float32)
        self._worth = _with_nearest(rewards.advantages(tried.seen), tried.allowed)
        self._scale = float(self._worth.std(axis=1).mean()) or 1.0
        self._rng = np.random.default_rng()
        self._at = np.zeros(n_envs, np.int64)
        self._actions = np.zeros(n_envs, np.int64)
        low, high = self._tried_seen.min(axis=0), self._tried_seen.max(axis=0)
        super().__init__(
            n_envs,
            gymnasium.spaces.Box(low, np.maximum(high, np.nextafter(low, np.float32(np.inf)))),
            gymnasium.spaces.Discrete(self._worth.shape[1]),
        )

    def seed(self, seed: int | None = None) -> list[int | None]:
        """Seed the draws of all episodes."""
        self._rng = np.random.default_rng(seed)
        return [seed] * self.num_envs

    def reset(self) -> Any:
        """Begin an episode in every place."""
        self._at = self._rng.integers(len(self._worth), size=self.num_envs)
        return self._tried_seen[self._at]

    def step_async(self, actions: NDArray[Any]) -> None:
        """Take the actions of the next step."""
        self._actions = np.asarray(actions)

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

    def close(self) -> None:
        """Nothing is held open."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Give an attribute, the same for every place."""
        value = None if attr_name == "render_mode" else getattr(self, attr_name)
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Refuse: what has come up is known."""
        raise AttributeError(f"no attribute of finished trials can be set: {attr_name}")

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        """Refuse: places are no environments of their own."""
        raise AttributeError(f"no method of single environments: {method_name}")

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """Say that nothing wraps a place."""
        return [False for _ in self._get_indices(indices)]


def _with_nearest(worth: NDArray[np.float64], allowed: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Values of actions, where one that is not allowed has that of the nearest which is."""
    if allowed.all():
        return worth
    places = np.arange(worth.shape[1])
    away = np.abs(places[:, np.newaxis] - places) + 0.0  # [wanted, taken]
    nearest = np.where(allowed[:, np.newaxis, :], away, np.inf).argmin(axis=2)
    return np.take_along_axis(worth, nearest, axis=1)
