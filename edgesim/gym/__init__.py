"""Reinforcement learning of decisions: gymnasium environments over the event loop, and training.

Requires the extra ``edgesim[rl]``. Importing this package registers ``edgesim/Split-v0`` with gymnasium.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from edgesim.errors import InputError

try:
    import gymnasium
except ImportError:
    raise InputError(
        "edgesim.gym needs gymnasium and stable-baselines3, which come with an extra: "
        "pip install 'edgesim[rl]'"
    ) from None

if TYPE_CHECKING:
    from edgesim.gym.decision_env import DecisionEnv
    from edgesim.gym.rewards import Passed, UtilityReward
    from edgesim.gym.split_env import SplitEnv

__all__ = ["DecisionEnv", "Passed", "SplitEnv", "UtilityReward"]

_HOMES = {
    "DecisionEnv": "edgesim.gym.decision_env",
    "Passed": "edgesim.gym.rewards",
    "SplitEnv": "edgesim.gym.split_env",
    "UtilityReward": "edgesim.gym.rewards",
}

if "edgesim/Split-v0" not in gymnasium.registry:
    gymnasium.register("edgesim/Split-v0", entry_point="edgesim.gym.split_env:SplitEnv")


def __getattr__(name: str) -> Any:
    """Import an environment on first access."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
