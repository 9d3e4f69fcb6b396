"""Specification of a trainable decision of a strategy: observations, actions, utility, algorithm."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from edgesim.errors import InputError
from edgesim.planning.splitting.utility import Utility

__all__ = ["Training"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """A decision that a strategy takes through ``cluster.ask``, and how it is to be learned.

    Attributes
    ----------
    decision
        Name of the decision, as in ``cluster.ask``.
    utility
        Utility of a request.
    observations
        Names of the observations, in the order in which the strategy gives them.
    low, high
        Range of each observation; values outside count as the nearer end.
    actions, splits
        ``absolute``: an action is one of these splits, in this order; ``relative``: an action is a move among
        these splits; ``other``: any other decision, without splits.
    moves
        For relative actions, in their order: the number of splits that each moves by.
    load_of
        Function from the observations and the action to the request's load; required if the utility weighs
        load.
    algorithm, n_steps, seed
        Learning algorithm (``ppo``, ``a2c`` or ``dqn``); decisions to learn from (None: the recipe's number);
        seed of all random numbers of the learning.

    Raises
    ------
    InputError
        If ranges do not match the names, or are empty or not finite; if load has a weight and ``load_of`` is
        missing.
    """

    decision: str
    utility: Utility
    observations: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    actions: Literal["absolute", "relative", "other"] = "other"
    splits: tuple[int, ...] = ()
    moves: tuple[int, ...] = ()
    load_of: Callable[[Sequence[float], int], float] | None = None
    algorithm: str = "ppo"
    n_steps: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        n_seen = len(self.observations)
        if not n_seen or len(set(self.observations)) != n_seen:
            raise InputError(
                f"training of {self.decision!r}: observations {list(self.observations)}; expected at least "
                "one name, and each once"
            )
        if len(self.low) != n_seen or len(self.high) != n_seen:
            raise InputError(
                f"training of {self.decision!r}: {n_seen} observations, {len(self.low)} low and "
                f"{len(self.high)} high ends; expected one of each for every observation"
            )
        for name, low, high in zip(self.observations, self.low, self.high, strict=True):
            if not (math.isfinite(low) and math.isfinite(high) and low < high):
                raise InputError(
                    f"training of {self.decision!r}: {name!r} ranges from {low} to {high}; expected finite, "
                    "increasing ends"
                )
        if self.utility.load and self.load_of is None:
            raise InputError(
                f"training of {self.decision!r}: load has a weight, but no 'load_of'; expected a function"
            )

    def facts(self) -> Mapping[str, Any]:
        """Return all that determines the learned policy, as JSON values, for a digest."""
        own = {name: getattr(self, name) for name in self.__slots__ if name not in ("load_of", "utility")}
        return {**own, "utility": asdict(self.utility), "weighs_load": self.load_of is not None}
