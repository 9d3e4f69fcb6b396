"""Measured numbers of single tokens in a few bits: whole multiples of a small step."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["STEPS", "from_steps", "to_steps"]

STEPS: Mapping[str, float] = MappingProxyType({"confidence": 1 / 256, "entropy": 1 / 64, "nll": 1 / 64})
"""Resolution by quantity, of a probability or in nats; rounding is off by half of it at most."""


def to_steps(name: str, values: npt.NDArray[np.float64]) -> pa.Array:
    """Column of a quantity's numbers, rounded; a loss above 1,023 nats counts as that."""
    steps = np.minimum(np.rint(values / STEPS[name]), 2**16 - 1)
    return pa.array(steps.astype(np.uint16), pa.uint16())


def from_steps(name: str, column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """Numbers of a column that :func:`to_steps` made of the same quantity."""
    values: npt.NDArray[np.float64] = column.to_numpy() * STEPS[name]
    return values
