"""What a strategy says of a decision that can be trained: what is seen, what counts, and how to learn it."""

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
    """A decision that a strategy asks for through ``cluster.ask``, and how it is to be learned.

    Attributes
    ----------
    decision
        Its name, as in ``cluster.ask``.
    utility
        What requests are worth.
    observations
        Names of what is seen, in the order in which the strategy gives it.
    low, high
        Range of each; what lies beyond counts as its end.
    actions, splits
        ``absolute``: an action is one of these splits, in this order; ``relative``: a move among them;
        ``other``: any other decision, without splits.
    moves
        Of relative actions, in their order: how many splits further on each leads.
    load_of
        Load of the request that was decided about, from what was seen and the action; needed where the
        utility weighs load.
    algorithm, n_steps, seed
        How to learn: ``ppo``, ``a2c`` or ``dqn``; decisions to learn from, None for the recipe's number;
        the seed of all that is drawn in learning.

    Raises
    ------
    InputError
        If ranges do not fit the names, or are empty or not finite; if load is weighed and not known.
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
                f"training of {self.decision!r}: load has a weight, and 'load_of' does not say what it is"
            )

    def facts(self) -> Mapping[str, Any]:
        """All that determines what is learned, for a digest: what JSON can say."""
        told = {name: getattr(self, name) for name in self.__slots__ if name not in ("load_of", "utility")}
        return {**told, "utility": asdict(self.utility), "weighs_load": self.load_of is not None}
