"""Value of each split at each loss probability: measured points, with linear interpolation between them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgesim.errors import InputError
from edgesim.model.answers.impaired_answers import QualityTable

__all__ = ["SplitTable"]

Floats = NDArray[np.float64]

_FINE_STEP = 0.005  # in loss probability: quality curves are nearly linear within it


@dataclass(frozen=True, eq=False)
class SplitTable:
    """Values over loss probability and split: linear between measured losses, and between measured splits.

    Attributes
    ----------
    loss : [n_losses]
        Loss probabilities, increasing. Losses outside the range take the value at the nearer end.
    splits : [n_splits]
        Splits: numbers of blocks before the split, increasing.
    relative : [n_losses, n_splits]
        f(p, split), larger is better. For answer quality, ``(PPL_0 - PPL) / PPL_0`` with the clean perplexity
        PPL_0: 0 equals clean, -0.1 is a perplexity 10 % higher, and positive values mean that losses improved
        the answers. For a utility, any values.

    Raises
    ------
    InputError
        If shapes do not match, axes do not increase, or a value is not finite.
    """

    loss: Floats
    splits: NDArray[np.int64]
    relative: Floats

    def __post_init__(self) -> None:
        loss, relative = np.array(self.loss, np.float64), np.array(self.relative, np.float64)
        splits = np.array(self.splits, np.float64)
        if (
            loss.ndim != 1
            or splits.ndim != 1
            or relative.shape != (len(loss), len(splits))
            or 0 in relative.shape
        ):
            raise InputError(
                f"split table: {loss.shape} losses, {splits.shape} splits and values of shape "
                f"{relative.shape}; expected a value for each loss and split"
            )
        if not (np.diff(loss) > 0).all() or not 0 <= loss[0] <= loss[-1] <= 1:
            raise InputError(f"split table: losses {loss.tolist()}; expected increasing values from 0 to 1")
        if not (np.diff(splits) > 0).all() or (splits % 1 != 0).any() or splits[0] < 0:
            raise InputError(f"split table: splits {splits.tolist()}; expected increasing numbers of blocks")
        if not np.isfinite(relative).all():
            row, column = np.argwhere(~np.isfinite(relative))[0]
            raise InputError(
                f"split table: {relative[row, column]} at loss {loss[row]:g} and split {splits[column]:g}; "
                "expected a finite number"
            )
        for name, values in (("loss", loss), ("splits", splits.astype(np.int64)), ("relative", relative)):
            values.setflags(write=False)
            object.__setattr__(self, name, values)

    @classmethod
    def of_answers(
        cls, answers: QualityTable, kind: str = "erasure", *, splits: Sequence[int] | None = None
    ) -> SplitTable:
        """Build the table from a model's measured answer quality under losses of one kind.

        Between measured losses it follows the monotone curves of `answers`; without loss it is 0.

        Parameters
        ----------
        answers
            Measured answer quality.
        kind
            Kind of loss, such as ``packet-erasure``.
        splits
            Splits of the table. None: those measured.

        Raises
        ------
        InputError
            If losses of the kind were not measured after blocks.
        """
        rows = [row for row in answers.rows if row.name == kind and row.block is not None]
        if not rows:
            known = sorted({row.name for row in answers.rows if row.block is not None})
            raise InputError(
                f"split table: no answers under '{kind}' after a block; measured were "
                f"{', '.join(known) or 'none'}"
            )
        most = max(row.level for row in rows)
        measured = {0.0, *(row.level for row in rows)}
        fine = {_FINE_STEP * step for step in range(1, int(most / _FINE_STEP) + 1)}
        far = {each for each in fine if min(abs(each - level) for level in measured) > _FINE_STEP / 100}
        loss = np.array(sorted(measured | far))
        chosen = sorted({int(row.block or 0) for row in rows}) if splits is None else list(splits)
        rises = [answers.impairment(kind, loss, block=split)[0] for split in chosen]
        return cls(loss, np.array(chosen), -np.expm1(np.stack(rises, axis=1)))

    @property
    def n_splits(self) -> int:
        """Number of splits."""
        return len(self.splits)

    @cached_property
    def digest(self) -> str:
        """SHA-256 digest of axes and values."""
        sha = hashlib.sha256()
        for each in (self.loss, self.splits, self.relative):
            sha.update(repr(each.shape).encode() + each.astype("<f8").tobytes())
        return sha.hexdigest()

    def value(self, loss: ArrayLike, split: ArrayLike) -> Floats:
        """Return the values at losses and splits, which broadcast; outside the range, those at its ends."""
        low, to_loss = _between(self.loss, np.asarray(loss, np.float64))
        left, to_split = _between(self.splits.astype(np.float64), np.asarray(split, np.float64))
        up, right = np.minimum(low + 1, len(self.loss) - 1), np.minimum(left + 1, self.n_splits - 1)
        lower = self.relative[low, left] * (1 - to_split) + self.relative[low, right] * to_split
        upper = self.relative[up, left] * (1 - to_split) + self.relative[up, right] * to_split
        found: Floats = lower * (1 - to_loss) + upper * to_loss
        return found

    def at_splits(self, splits: Sequence[int]) -> SplitTable:
        """Return a table of other splits, interpolated linearly between measured ones."""
        columns = np.asarray(splits)
        return SplitTable(self.loss, columns, self.value(self.loss[:, np.newaxis], columns))

    def weighed(
        self, quality: float = 1.0, costs: Mapping[str, tuple[float, ArrayLike]] | None = None
    ) -> SplitTable:
        """Return a utility: quality times its weight, minus the weighted costs.

        Parameters
        ----------
        quality
            Weight of this table's values.
        costs
            By name, a weight and a cost of any shape that broadcasts to [n_losses, n_splits]: latency [s],
            energy [J], load and the like, where less is better.
        """
        total = quality * self.relative
        for name, (weight, cost) in (costs or {}).items():
            try:
                total = total - weight * np.broadcast_to(np.asarray(cost, np.float64), total.shape)
            except ValueError as error:
                raise InputError(
                    f"split table: cost '{name}' of shape {np.shape(cost)}; expected one that broadcasts to "
                    f"{total.shape}, losses by splits"
                ) from error
        return SplitTable(self.loss, self.splits, total)


def _between(axis: Floats, values: Floats) -> tuple[NDArray[np.intp], Floats]:
    """Return the index of the axis point below each value, and the fraction of the way to the next."""
    if len(axis) == 1:
        return np.zeros(values.shape, np.intp), np.zeros(values.shape)
    low = np.clip(np.searchsorted(axis, values, side="right") - 1, 0, len(axis) - 2)
    share = np.clip((values - axis[low]) / (axis[low + 1] - axis[low]), 0.0, 1.0)
    return low, share
