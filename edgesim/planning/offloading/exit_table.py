"""Effect of exit thresholds on continuation shares and accuracy, by replaying measured samples.

A task leaves at the first exit with sufficient certainty. Shares and accuracy come from the same samples, so
they are consistent: an exit is evaluated on the tasks that reach it, which are the harder ones. Thresholds
are levels of a common grid, one for each exit but the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import InputError
from edgesim.model.answers.exit_records import ExitRecords

__all__ = ["ExitTable", "Levels", "ThresholdOutcome"]

Floats = NDArray[np.float64]

Levels = tuple[int, ...]
"""Threshold of each exit but the last, as an index into the grid: [n_exits - 1]."""

_NEARLY_ALL = float(np.nextafter(1.0, 0.0))  # continuation share of an open exit that no sample takes
_EVEN_GRID = (*(round(0.05 * step, 2) for step in range(20)), 0.975, 0.99, float("inf"))


@dataclass(frozen=True, eq=False)
class ThresholdOutcome:
    """Continuation shares, exit shares and accuracy under given thresholds.

    Attributes
    ----------
    continues : [n_exits - 1]
        I_h: of the tasks that reach exit h, the share that continues; below 1 at every open exit. If no task
        reaches it, the share of all tasks that would continue.
    leaves : [n_exits]
        Share of all tasks that leaves at each exit.
    accuracy
        Share of all tasks whose answer is correct at the exit where they leave.
    """

    continues: Floats
    leaves: Floats
    accuracy: float


@dataclass(frozen=True, eq=False)
class ExitTable:
    """Samples' certainty and correctness at every exit, and the grid of thresholds.

    Attributes
    ----------
    certainty : [n_samples, n_exits]
        Certainty: a task leaves where it is at least the threshold. -inf: there is no exit. The last exit
        takes all tasks that reach it.
    is_correct : [n_samples, n_exits]
        Whether the answer at each exit is correct.
    grid : [n_levels]
        Thresholds, increasing; inf closes an exit.
    sign
        -1 if certainty is a negative entropy, so that thresholds are shown as entropies.
    """

    certainty: Floats
    is_correct: NDArray[np.bool_]
    grid: Floats
    sign: int = 1

    def __post_init__(self) -> None:
        shape = np.shape(self.certainty)
        if len(shape) != 2 or shape != np.shape(self.is_correct) or 0 in shape:
            raise InputError(
                f"exit table: certainties of shape {shape} and correctness of shape "
                f"{np.shape(self.is_correct)}; expected one of each for every sample and exit"
            )
        if len(self.grid) == 0 or not np.all(np.diff(self.grid) > 0):
            raise InputError("exit table: expected a grid of increasing thresholds")

    @classmethod
    def of_records(
        cls,
        records: ExitRecords,
        blocks: Sequence[int],
        *,
        by: Literal["confidence", "entropy"] = "confidence",
        grid: Sequence[float] = _EVEN_GRID,
        tokens: slice = slice(None),
    ) -> ExitTable:
        """Build the table of the exits at the ends of sub-models from measured records.

        Parameters
        ----------
        blocks : [n_exits]
            Number of blocks before the end of each sub-model. An end without a recorded exit has none. The
            last must be the model's end.
        by
            Least confidence, or largest entropy [nats] as in DeeBERT (Xin et al. 2020, arXiv 2004.12993).
        grid
            Thresholds: least confidences, or largest entropies. inf (for entropies: -inf) closes an exit.
        tokens
            Records to use, so that thresholds can be chosen and evaluated on different ones.

        Raises
        ------
        InputError
            If the blocks do not match the model, or entropy was not recorded.
        """
        if not blocks or list(blocks) != sorted(set(blocks)) or blocks[-1] != records.blocks[-1]:
            raise InputError(
                f"exit table: sub-models that end after blocks {tuple(blocks)}; expected increasing "
                f"numbers, the last {records.blocks[-1]}"
            )
        values = records.confidence if by == "confidence" else records.entropy
        if values is None:
            raise InputError("exit table: entropy was not recorded; measure the exits again")
        sign = 1 if by == "confidence" else -1
        certainty = np.full((len(values[tokens]), len(blocks)), -np.inf)
        is_correct = np.zeros(certainty.shape, np.bool_)
        for place, block in enumerate(blocks):
            if block in records.blocks:
                column = records.blocks.index(block)
                certainty[:, place] = sign * values[tokens, column]
                is_correct[:, place] = records.is_correct[tokens, column]
        return cls(certainty, is_correct, np.sort(sign * np.asarray(grid, np.float64)), sign)

    @property
    def n_exits(self) -> int:
        """Number of exits, and so of sub-models; the last is included."""
        return int(self.certainty.shape[1])

    @property
    def n_levels(self) -> int:
        """Number of thresholds in the grid."""
        return len(self.grid)

    @property
    def highest(self) -> Levels:
        """Levels of the strictest thresholds, with which the fewest tasks leave early."""
        return (self.n_levels - 1,) * (self.n_exits - 1)

    @cached_property
    def n_met(self) -> NDArray[np.int64]:
        """Number of grid thresholds that each certainty at an inner exit meets: [n_samples, n_exits - 1]."""
        return np.searchsorted(self.grid, self.certainty[:, :-1], side="right")

    def thresholds(self, levels: Levels) -> Floats:
        """Return the thresholds of these levels, as least confidences or largest entropies: [n_exits - 1]."""
        values: Floats = self.sign * self.grid[list(levels)]
        return values

    def leave(self, levels: Levels) -> NDArray[np.int64]:
        """Return the exit at which each sample leaves: [n_samples]."""
        meets = np.ones((len(self.certainty), self.n_exits), np.bool_)
        meets[:, :-1] = self.n_met > np.asarray(levels, np.int64)
        first: NDArray[np.int64] = np.argmax(meets, axis=1)
        return first

    def closed(self, levels: Levels) -> Levels:
        """Return the levels with exits closed that samples reach but none takes, which saves their heads."""
        leaves = self.outcome(levels).leaves
        is_taken = (leaves[:-1] > 0) | (np.cumsum(leaves)[:-1] > 1 - 1e-12)
        return tuple(
            level if taken else highest
            for level, taken, highest in zip(levels, is_taken, self.highest, strict=True)
        )

    def outcome(self, levels: Levels) -> ThresholdOutcome:
        """Return continuation shares, exit shares and accuracy by replaying all samples."""
        if len(levels) != self.n_exits - 1 or not all(0 <= level < self.n_levels for level in levels):
            raise InputError(
                f"exit table: levels {levels}; expected {self.n_exits - 1} numbers from 0 "
                f"to {self.n_levels - 1}"
            )
        left = self.leave(levels)
        counts = np.bincount(left, minlength=self.n_exits)
        reach = len(left) - np.concatenate([[0], np.cumsum(counts)])[:-1]  # [n_exits]
        alone = (self.n_met <= np.asarray(levels, np.int64)).mean(axis=0)
        continues = np.where(reach[:-1] > 0, reach[1:] / np.maximum(reach[:-1], 1), alone)
        is_open = np.asarray(levels, np.int64) < np.asarray(self.highest, np.int64)
        continues = np.where(is_open, np.minimum(continues, _NEARLY_ALL), continues)
        right = self.is_correct[np.arange(len(left)), left]
        return ThresholdOutcome(continues, counts / len(left), float(right.mean()))
