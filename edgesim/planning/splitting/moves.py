"""Actions on a split: absolute choices and relative moves."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import InputError

__all__ = ["Moves"]

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Moves:
    """Actions over consecutive splits.

    Attributes
    ----------
    kind
        ``absolute``: action `a` is the split ``first + a``. ``relative``: action 0 keeps the split, 1 and 2
        are one block fewer and more, 3 and 4 two, and so on; moves out of the range stop at its end.
    first, last
        First and last split.
    reach
        Most blocks of a relative move.

    Raises
    ------
    InputError
        If there are fewer than two splits, or moves have no reach.
    """

    kind: Literal["absolute", "relative"]
    first: int
    last: int
    reach: int = 4

    def __post_init__(self) -> None:
        if not 0 <= self.first < self.last:
            raise InputError(
                f"splits from {self.first} to {self.last}: expected at least two, from 0 blocks upwards"
            )
        if self.kind not in ("absolute", "relative") or self.reach < 1:
            raise InputError(
                f"moves of the kind '{self.kind}' with a reach of {self.reach} blocks; expected absolute or "
                "relative, and a reach of 1 or more"
            )

    @property
    def n_splits(self) -> int:
        """Number of splits."""
        return self.last - self.first + 1

    @property
    def n_actions(self) -> int:
        """Number of actions."""
        return self.n_splits if self.kind == "absolute" else 2 * self.reach + 1

    @cached_property
    def targets(self) -> Ints:
        """Resulting split, by present split and action: [n_splits, n_actions]."""
        splits = np.arange(self.first, self.last + 1)
        if self.kind == "absolute":
            return np.broadcast_to(splits, (self.n_splits, self.n_splits)).copy()
        numbers = np.arange(self.n_actions)
        steps = (numbers + 1) // 2 * np.where(numbers % 2, -1, 1)
        found: Ints = np.clip(splits[:, np.newaxis] + steps, self.first, self.last)
        return found

    @cached_property
    def towards(self) -> Ints:
        """Action that leads nearest to a wanted split, by present and wanted split: [n_splits, n_splits]."""
        wanted = np.arange(self.first, self.last + 1)
        away = np.abs(self.targets[:, :, np.newaxis] - wanted)
        nearest: Ints = np.argmin(away, axis=1)
        return nearest

    def after(self, split: int, action: int) -> int:
        """Return the split after an action."""
        return int(self.targets[split - self.first, action])

    def allowed(self, split: int) -> NDArray[np.bool_]:
        """Return which actions stay within the range without being clipped at its end: [n_actions]."""
        numbers = np.arange(self.n_actions)
        if self.kind == "absolute":
            return np.ones(self.n_actions, np.bool_)
        steps = (numbers + 1) // 2 * np.where(numbers % 2, -1, 1)
        inside: NDArray[np.bool_] = (split + steps >= self.first) & (split + steps <= self.last)
        return inside
