"""Base class for vectorised environments of stable-baselines3 that compute all episodes in arrays."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

__all__ = ["ArrayVecEnv"]


class ArrayVecEnv(VecEnv):
    """Several parallel episodes in arrays, without separate environment objects.

    Subclasses implement ``reset`` and ``step_wait``, take actions from ``_actions``, and draw from ``_rng``,
    which :meth:`seed` sets.

    Attributes
    ----------
    of
        Name of the object shared by all episodes, for error messages.
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
        """Store the actions of the next step."""
        self._actions = np.asarray(actions)

    def close(self) -> None:
        """Do nothing: there are no resources to release."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return an attribute, which is the same for every episode."""
        value = None if attr_name == "render_mode" else getattr(self, attr_name)
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Raise AttributeError: the object shared by the episodes is immutable."""
        raise AttributeError(f"no attribute of {self.of} can be set: {attr_name}")

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        """Raise AttributeError: there are no separate environment objects."""
        raise AttributeError(f"no method of single environments: {method_name}")

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """Return False for every episode: there are no wrappers."""
        return [False for _ in self._get_indices(indices)]
