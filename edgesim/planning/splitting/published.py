"""The published decision problem: state (loss probability, split), five steps, a slowly drifting channel.

Follows the code released with Chen et al. 2024 (arXiv 2406.02616), in both variants: ``true`` reward
(``train.py``) and reward from a ``surrogate`` (``train__rsm.py``). A step changes the split, lets the loss
drift, and pays ``w_f f(p, split) + w_load (last - split) / last`` of the resulting state.

Departures, by number:

1. The code's splits are 1 to 10 of a model with 32 blocks. For another number of splits, the starts, the
   reach of relative moves and the drift per block are scaled by its ratio to ten, rounded to whole blocks;
   the load term stays between 0 and w_load.
2. For the move by three, one factor of the code breaks its own pattern (0.9995 instead of 0.9985); here the
   pattern is kept.
3. The range of losses ends where the table does, if that is below the published 0.3.
4. The order within a step, which the released rewards do not determine, is: move, drift, reward.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgesim.errors import InputError
from edgesim.planning.splitting.moves import Moves
from edgesim.planning.splitting.table import SplitTable

__all__ = ["Drift", "SplitProblem", "published_problem"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_PUBLISHED_SPLITS = 10
_PUBLISHED_REACH = 4
_PUBLISHED_DRIFT = 5e-4
_MOST_LOSS = 0.3


@dataclass(frozen=True, slots=True)
class Drift:
    """Change of the loss: by a factor ``1 - share`` if the split grows, ``1 + share`` if it shrinks.

    Attributes
    ----------
    share
        Relative change per move, or per block moved.
    is_by_block
        Whether `share` applies to each block moved.
    """

    share: float
    is_by_block: bool

    def factor(self, moved: ArrayLike) -> Floats:
        """Return the factors for this many blocks more (negative: fewer)."""
        blocks = np.asarray(moved, np.float64)
        return 1.0 - self.share * (blocks if self.is_by_block else np.sign(blocks))


@dataclass(frozen=True)
class SplitProblem:
    """A finite-horizon decision problem over (loss, split).

    Attributes
    ----------
    table
        f(p, split) for every split.
    moves
        Actions.
    drift
        Effect of a move on the loss.
    quality_weight, load_weight
        Weights of f, and of ``(last - split) / last``.
    start_loss
        Bounds of the loss at the start, which is uniform between them.
    start_splits
        Splits at the start, each equally probable.
    is_relative_to_start
        Whether the reference perplexity is that of the start (loss, split), as in the ``true`` variant, or
        the clean one. The former is not part of what an agent observes, which is the current (loss, split).
    most_loss
        Upper limit that losses are clipped to.
    n_steps
        Steps of an episode.
    """

    table: SplitTable
    moves: Moves
    drift: Drift
    quality_weight: float
    load_weight: float
    start_loss: tuple[float, float]
    start_splits: tuple[int, ...]
    is_relative_to_start: bool = False
    most_loss: float = _MOST_LOSS
    n_steps: int = 5

    def __post_init__(self) -> None:
        table, moves = self.table, self.moves
        if not table.splits[0] <= moves.first < moves.last <= table.splits[-1]:
            raise InputError(
                f"split problem: splits {moves.first} to {moves.last}; the table has {table.splits[0]} to "
                f"{table.splits[-1]}"
            )
        if not 0 <= self.start_loss[0] <= self.start_loss[1] <= self.most_loss <= 1:
            raise InputError(
                f"split problem: starts at losses {self.start_loss}, most {self.most_loss}; expected a range "
                "from 0 up to the most"
            )
        if not self.start_splits or not set(self.start_splits) <= set(range(moves.first, moves.last + 1)):
            raise InputError(f"split problem: starts at splits {self.start_splits}; expected its own")
        if self.n_steps < 1:
            raise InputError(f"split problem: {self.n_steps} steps; expected 1 or more")
        if self.is_relative_to_start and (table.relative >= 1).any():
            raise InputError(
                "split problem: values of 1 and more are not relative perplexities, which a reward "
                "relative to the start requires; use the surrogate variant"
            )

    @property
    def low(self) -> Floats:
        """Least loss and split."""
        return np.array([0.0, self.moves.first])

    @property
    def high(self) -> Floats:
        """Most loss and split."""
        return np.array([self.most_loss, self.moves.last], np.float64)

    def base(self, loss: ArrayLike, split: ArrayLike) -> Floats:
        """Return the reference perplexity of an episode from this start, over the clean perplexity."""
        if self.is_relative_to_start:
            return 1.0 - self.table.value(loss, split)
        return np.ones(np.broadcast_shapes(np.shape(loss), np.shape(split)))

    def reward(self, loss: ArrayLike, split: ArrayLike, base: ArrayLike = 1.0) -> Floats:
        """Return the reward of a step's resulting state."""
        relative = 1.0 - (1.0 - self.table.value(loss, split)) / np.asarray(base)
        load = (self.moves.last - np.asarray(split, np.float64)) / self.moves.last
        found: Floats = self.quality_weight * relative + self.load_weight * load
        return found

    def step(
        self, loss: ArrayLike, split: ArrayLike, action: ArrayLike, base: ArrayLike = 1.0
    ) -> tuple[Floats, Ints, Floats]:
        """Return loss, split and reward after actions; the arguments are broadcast against one another."""
        before = np.asarray(split)
        after = self.moves.targets[before - self.moves.first, np.asarray(action)]
        drifted = np.clip(np.asarray(loss) * self.drift.factor(after - before), 0.0, self.most_loss)
        return drifted, after, self.reward(drifted, after, base)


def published_problem(
    table: SplitTable,
    variant: Literal["true", "surrogate"] = "surrogate",
    *,
    quality_weight: float | None = None,
    load_weight: float = 1.0,
) -> SplitProblem:
    """Return a published variant on a table, over all splits from the table's first to its last.

    ===============  =============================  =======================================
    .                true                           surrogate
    ===============  =============================  =======================================
    action           the new split                  stay, or up to four blocks less or more
    reset            p ~ U(0.08, 0.22), split 3..6  p ~ U(0.01, 0.3), split 1..9
    drift            0.0005 for each move           0.0005 for each block moved
    weights          10.5 and 1                     10 and 1
    perplexity over  that of the start              the clean one
    ===============  =============================  =======================================

    Parameters
    ----------
    quality_weight, load_weight
        Weights that replace the published ones; 1 and 0 for a table that is a utility already.

    Raises
    ------
    InputError
        If the variant is unknown, or the table has too few splits or its losses end too low.
    """
    if variant not in ("true", "surrogate"):
        raise InputError(f"split problem: no variant '{variant}'; expected true or surrogate")
    first, last = int(table.splits[0]), int(table.splits[-1])
    n_splits = last - first + 1
    scale = n_splits / _PUBLISHED_SPLITS
    is_true = variant == "true"
    most = min(_MOST_LOSS, float(table.loss[-1]))
    low, high = (0.08, 0.22) if is_true else (0.01, 0.3)
    if most <= low:
        raise InputError(f"split problem: the table ends at loss {most:g}; expected more than {low:g}")
    lowest = first + (round(2 * scale) if is_true else 0)
    highest = max(lowest, first + round((5 if is_true else 8) * scale))
    return SplitProblem(
        table=table,
        moves=Moves(
            "absolute" if is_true else "relative", first, last, max(1, round(_PUBLISHED_REACH * scale))
        ),
        drift=Drift(_PUBLISHED_DRIFT if is_true else _PUBLISHED_DRIFT / scale, is_by_block=not is_true),
        quality_weight=(10.5 if is_true else 10.0) if quality_weight is None else quality_weight,
        load_weight=load_weight,
        start_loss=(low, min(high, most)),
        start_splits=tuple(range(lowest, min(highest, last) + 1)),
        is_relative_to_start=is_true,
        most_loss=most,
    )
