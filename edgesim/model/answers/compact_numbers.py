"""Compact storage of per-token measurements: 16-bit multiples of a fixed step."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["STEPS", "from_steps", "to_steps"]

STEPS: Mapping[str, float] = MappingProxyType({"confidence": 1 / 256, "entropy": 1 / 64, "nll": 1 / 64})
"""Step by quantity, as a probability or in nats; the rounding error is at most half a step."""


def to_steps(name: str, values: npt.NDArray[np.float64]) -> pa.Array:
    """Round the values of a quantity to a column of steps; a loss above 1,023 nats is stored as 1,023."""
    steps = np.minimum(np.rint(values / STEPS[name]), 2**16 - 1)
    return pa.array(steps.astype(np.uint16), pa.uint16())


def from_steps(name: str, column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """Convert a column made by :func:`to_steps` back to values of the same quantity."""
    values: npt.NDArray[np.float64] = column.to_numpy() * STEPS[name]
    return values
