"""Measured numbers of single tokens in a few bits: whole multiples of 1/256."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["STEP", "from_steps", "to_steps"]

STEP = 1 / 256
"""Resolution of a confidence, and of a loss or an entropy [nats]; rounding is off by half of it at most."""


def to_steps(values: npt.NDArray[np.float64]) -> pa.Array:
    """Column of numbers from 0 to 255, rounded; what is above (an impossible token's loss) is 255.996."""
    steps = np.minimum(np.rint(values / STEP), 2**16 - 1)
    return pa.array(steps.astype(np.uint16), pa.uint16())


def from_steps(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """Numbers of a column that :func:`to_steps` made."""
    values: npt.NDArray[np.float64] = column.to_numpy() * STEP
    return values
