"""A published or predicted time of a device group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Floats", "GroupRow", "interval", "largest_parts"]

Floats = NDArray[np.float64]

Role = Literal["fitted", "predicted", "left out"]


class GroupRow(NamedTuple):
    """Time per token, or rate, of a device group.

    Attributes
    ----------
    testbed, device, model, n_nodes
        The group, and the model it runs.
    unit
        ``ms per token`` or ``tokens/s``.
    published
        Published value; None where not known here.
    role
        ``fitted``: used in the fit. ``left out``: published, but predicted without using it.
        ``predicted``: not known here.
    predicted, low, high
        Median and 95 % interval over the parameter sets consistent with the fitted rows.
    ideal
        Value if computing were divided evenly and nothing else took any time.
    mechanisms
        The largest causes of the difference from `ideal`, in milliseconds per token.
    """

    testbed: str
    device: str
    model: str
    n_nodes: int
    unit: str
    published: float | None
    role: Role
    predicted: float
    low: float
    high: float
    ideal: float
    mechanisms: str

    @property
    def error(self) -> float | None:
        """Predicted over published, less 1; None where there is no published value."""
        return None if self.published is None else self.predicted / self.published - 1.0

    @property
    def half_width(self) -> float:
        """Half of the interval's width over its middle."""
        return (self.high - self.low) / (self.high + self.low)


def interval(values: Floats) -> tuple[float, float, float]:
    """Return the median and the 95 % interval of a sample."""
    low, median, high = np.quantile(values, [0.025, 0.5, 0.975])
    return float(median), float(low), float(high)


def largest_parts(parts_s: Mapping[str, Floats], n_named: int = 3) -> str:
    """Name the parts of a token's time with the largest means, with their milliseconds."""
    means = {name: 1e3 * float(np.mean(part)) for name, part in parts_s.items()}
    ranked = sorted(means, key=means.__getitem__, reverse=True)[:n_named]
    return ", ".join(f"{name} {means[name]:.3g}" for name in ranked if means[name] >= 0.05)
