"""The published split problem as environments: one episode at a time, and many at once for training."""

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
    """Spaces of observations and actions."""
    low, high = problem.low.astype(np.float32), problem.high.astype(np.float32)
    return gymnasium.spaces.Box(low, high, dtype=np.float32), gymnasium.spaces.Discrete(
        problem.moves.n_actions
    )


class PublishedEnv(gymnasium.Env[Seen, np.int64]):
    """A split problem: it sees loss and split, and ends after the problem's steps.

    The end is a termination: it belongs to the problem, whose optimum counts its steps.
    """

    metadata = {"render_modes": []}  # noqa: RUF012 (as gymnasium declares it)

    def __init__(self, problem: SplitProblem) -> None:
        self.problem = problem
        self.observation_space, self.action_space = _spaces(problem)
        self._loss, self._split, self._base, self._n_done = 0.0, 0, 1.0, 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Seen, dict[str, Any]]:
        """Start an episode; options ``loss`` and ``split`` choose where."""
        super().reset(seed=seed)
        asked = options or {}
        self._loss = float(self.np_random.uniform(*self.problem.start_loss))
        self._split = int(self.np_random.choice(self.problem.start_splits))
        self._loss, self._split = float(asked.get("loss", self._loss)), int(asked.get("split", self._split))
        self._base = float(self.problem.base(self._loss, self._split))
        self._n_done = 0
        return self._seen(), {}

    def step(self, action: np.int64) -> tuple[Seen, float, bool, bool, dict[str, Any]]:
        """Move, let the loss drift, and pay."""
        loss, split, reward = self.problem.step(self._loss, self._split, int(action), self._base)
        self._loss, self._split = float(loss), int(split)
        self._n_done += 1
        return self._seen(), float(reward), self._n_done >= self.problem.n_steps, False, {}

    def _seen(self) -> Seen:
        return np.array([self._loss, self._split], np.float32)


class PublishedVecEnv(ArrayVecEnv):
    """As many episodes of a split problem side by side as asked, in arrays.

    Parameters
    ----------
    n_envs
        Episodes at once.
    is_scaled
        Whether rewards are less the mean over all splits of what the episode's start would pay, and over the
        mean spread among the splits of a loss: a critic then learns on numbers near 1 whatever the weights,
        and what an episode's hidden start adds to all its rewards drowns no action's advantage. The order of
        policies is the same, since the first is a constant of an episode and all are equally long. And
        whether their end is a truncation for the learner, for which steps left are hidden.

    Attributes
    ----------
    critic
        If set, gives the discounted value, in scaled rewards, of last observations [n, 2] to [n]; it is added
        to the rewards of steps that truncate, for all episodes at once, and these steps are then not marked
        as truncated: stable-baselines3 would ask its own critic one episode at a time, a third of the
        training time.
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
        """Start an episode in every place."""
        self._begin(np.ones(self.num_envs, np.bool_))
        return self._seen()

    def step_wait(self) -> Any:
        """Make the step; episodes that end start anew, and their last observation is told apart."""
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
    """Rewards of every split at these losses: [n] to [n, n_splits]."""
    splits = np.arange(problem.moves.first, problem.moves.last + 1)
    return problem.reward(loss[:, np.newaxis], splits, np.broadcast_to(base, loss.shape)[:, np.newaxis])


def _reward_scale(problem: SplitProblem) -> float:
    """Mean over losses of the standard deviation among splits."""
    loss = np.linspace(*problem.start_loss, 200)
    base = problem.base(loss, np.array(problem.start_splits).mean())
    spread = float(_of_all_splits(problem, loss, base).std(axis=1).mean())
    return spread if spread > 0 else 1.0
