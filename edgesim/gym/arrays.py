"""Episodes side by side in arrays, as stable-baselines3 asks of environments."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

__all__ = ["ArrayVecEnv"]


class ArrayVecEnv(VecEnv):
    """As many episodes at once as asked, none of which is an environment of its own.

    A subclass resets, and waits for steps with ``_actions``; it draws from ``_rng``, which :meth:`seed` sets.

    Attributes
    ----------
    of
        What there is one of for all places, for messages.
    """

    of: ClassVar[str]

    def __init__(self, n_envs: int, observations: Any, actions: Any) -> None:
        self._rng = np.random.default_rng()
        self._actions = np.zeros(n_envs, np.int64)
        super().__init__(n_envs, observations, actions)

    def seed(self, seed: int | None = None) -> list[int | None]:
        """Seed the draws of all episodes."""
        self._rng = np.random.default_rng(seed)
        return [seed] * self.num_envs

    def step_async(self, actions: NDArray[Any]) -> None:
        """Take the actions of the next step."""
        self._actions = np.asarray(actions)

    def close(self) -> None:
        """Nothing is held open."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Give an attribute, the same for every place."""
        value = None if attr_name == "render_mode" else getattr(self, attr_name)
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Refuse: what episodes are of is a frozen value."""
        raise AttributeError(f"no attribute of {self.of} can be set: {attr_name}")

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        """Refuse: places are no environments of their own."""
        raise AttributeError(f"no method of single environments: {method_name}")

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """Say that nothing wraps a place."""
        return [False for _ in self._get_indices(indices)]
