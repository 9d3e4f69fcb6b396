"""Environments of the published split problem: for single episodes, and vectorised for training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from edgesim.gym.arrays import ArrayVecEnv
from edgesim.planning.splitting.published import SplitProblem

__all__ = ["PublishedEnv", "PublishedVecEnv"]

Floats = NDArray[np.float64]
Seen = NDArray[np.float32]


def _spaces(problem: SplitProblem) -> tuple[Any, Any]:
    """Return the spaces of observations and actions."""
    low, high = problem.low.astype(np.float32), problem.high.astype(np.float32)
    return gymnasium.spaces.Box(low, high, dtype=np.float32), gymnasium.spaces.Discrete(
        problem.moves.n_actions
    )


class PublishedEnv(gymnasium.Env[Seen, np.int64]):
    """Environment of a split problem: observes loss and split, and ends after the problem's steps.

    The end is a termination, because the finite number of steps is part of the problem and its optimum.
    """

    metadata = {"render_modes": []}  # noqa: RUF012 (as gymnasium declares it)

    def __init__(self, problem: SplitProblem) -> None:
        self.problem = problem
        self.observation_space, self.action_space = _spaces(problem)
        self._loss, self._split, self._base, self._n_done = 0.0, 0, 1.0, 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Seen, dict[str, Any]]:
        """Start an episode; options ``loss`` and ``split`` set the initial state."""
        super().reset(seed=seed)
        chosen = options or {}
        self._loss = float(self.np_random.uniform(*self.problem.start_loss))
        self._split = int(self.np_random.choice(self.problem.start_splits))
        self._loss, self._split = float(chosen.get("loss", self._loss)), int(chosen.get("split", self._split))
        self._base = float(self.problem.base(self._loss, self._split))
        self._n_done = 0
        return self._seen(), {}

    def step(self, action: np.int64) -> tuple[Seen, float, bool, bool, dict[str, Any]]:
        """Move the split, let the loss drift, and return the reward."""
        loss, split, reward = self.problem.step(self._loss, self._split, int(action), self._base)
        self._loss, self._split = float(loss), int(split)
        self._n_done += 1
        return self._seen(), float(reward), self._n_done >= self.problem.n_steps, False, {}

    def _seen(self) -> Seen:
        return np.array([self._loss, self._split], np.float32)


class PublishedVecEnv(ArrayVecEnv):
    """Vectorised environment of a split problem, with all episodes in arrays.

    Parameters
    ----------
    n_envs
        Number of parallel episodes.
    is_scaled
        Whether rewards are shifted by their mean over all splits at the episode's start, and divided by the
        mean spread over the splits of a loss. A critic then learns values near 1 for any weights, and the
        offset due to an episode's unobserved start does not mask the advantages of actions. The ranking of
        policies is unchanged, because the shift is constant within an episode and all episodes have equal
        length. Also determines whether the end of an episode is a truncation for the learner, which does not
        observe the number of remaining steps.

    Attributes
    ----------
    critic
        If set, maps last observations [n, 2] to discounted values [n] in scaled rewards, which are added to
        the rewards of truncating steps, for all episodes at once. These steps are then not marked as
        truncated: stable-baselines3 would evaluate its critic for one episode at a time, which takes a third
        of the training time.
    """

    of = "a split problem"
    critic: Callable[[Seen], NDArray[Any]] | None = None

    def __init__(self, problem: SplitProblem, n_envs: int = 1, *, is_scaled: bool = False) -> None:
        self.problem = problem
        space, actions = _spaces(problem)
        self._loss, self._split = np.zeros(n_envs), np.zeros(n_envs, np.int64)
        self._base, self._n_done = np.ones(n_envs), np.zeros(n_envs, np.int64)
        self._returns = np.zeros(n_envs)
        self._is_scaled = is_scaled
        self._shift = np.zeros(n_envs)
        self._scale = _reward_scale(problem) if is_scaled else 1.0
        super().__init__(n_envs, space, actions)

    def reset(self) -> Any:
        """Start all episodes."""
        self._begin(np.ones(self.num_envs, np.bool_))
        return self._seen()

    def step_wait(self) -> Any:
        """Take a step in all episodes; restart those that end, with their last observation in the info."""
        self._loss, self._split, reward = self.problem.step(
            self._loss, self._split, self._actions, self._base
        )
        self._n_done += 1
        self._returns += reward
        done = self._n_done >= self.problem.n_steps
        rewards = ((reward - self._shift) / self._scale).astype(np.float32)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if done.any():
            last = self._seen()
            if self.critic is not None:
                rewards[done] += self.critic(last[done])
            for place in np.flatnonzero(done):
                infos[place] = {
                    "terminal_observation": last[place],
                    "TimeLimit.truncated": self._is_scaled and self.critic is None,
                    "episode": {"r": float(self._returns[place]), "l": self.problem.n_steps, "t": 0.0},
                }
            self._begin(done)
        return self._seen(), rewards, done, infos

    def _begin(self, which: NDArray[np.bool_]) -> None:
        n = int(which.sum())
        self._loss[which] = self._rng.uniform(*self.problem.start_loss, n)
        self._split[which] = self._rng.choice(self.problem.start_splits, n)
        self._base[which] = self.problem.base(self._loss[which], self._split[which])
        if self._is_scaled:
            self._shift[which] = _of_all_splits(self.problem, self._loss[which], self._base[which]).mean(
                axis=1
            )
        self._n_done[which] = 0
        self._returns[which] = 0.0

    def _seen(self) -> Seen:
        return np.stack([self._loss, self._split], axis=1).astype(np.float32)


def _of_all_splits(problem: SplitProblem, loss: Floats, base: Floats | float) -> Floats:
    """Return the rewards of every split at losses [n], as [n, n_splits]."""
    splits = np.arange(problem.moves.first, problem.moves.last + 1)
    return problem.reward(loss[:, np.newaxis], splits, np.broadcast_to(base, loss.shape)[:, np.newaxis])


def _reward_scale(problem: SplitProblem) -> float:
    """Return the mean over losses of the standard deviation of rewards over splits."""
    loss = np.linspace(*problem.start_loss, 200)
    base = problem.base(loss, np.array(problem.start_splits).mean())
    spread = float(_of_all_splits(problem, loss, base).std(axis=1).mean())
    return spread if spread > 0 else 1.0
