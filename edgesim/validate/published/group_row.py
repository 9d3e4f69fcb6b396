"""One published or predicted time of a group of devices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Floats", "GroupRow", "interval", "largest_parts"]

Floats = NDArray[np.float64]

Role = Literal["fitted", "predicted", "left out"]


class GroupRow(NamedTuple):
    """A time per token, or a rate, of a group.

    Attributes
    ----------
    testbed, device, model, n_nodes
        Of what.
    unit
        ``ms per token`` or ``tokens/s``.
    published
        As published; None where it is not known here.
    role
        ``fitted``: it went into the fit. ``left out``: it is published, and predicted without it.
        ``predicted``: it is not known here.
    predicted, low, high
        Median and 95 % interval over the sets of parameters that the fitted rows allow.
    ideal
        What it would be if computing were shared evenly and nothing else cost any time.
    mechanisms
        What makes it differ from that, the largest first, in milliseconds of a token.
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
        """Predicted over published, less 1; None where nothing is published here."""
        return None if self.published is None else self.predicted / self.published - 1.0

    @property
    def half_width(self) -> float:
        """Half of the interval's width over its middle."""
        return (self.high - self.low) / (self.high + self.low)


def interval(values: Floats) -> tuple[float, float, float]:
    """Median and 95 % interval of a sample."""
    low, median, high = np.quantile(values, [0.025, 0.5, 0.975])
    return float(median), float(low), float(high)


def largest_parts(parts_s: Mapping[str, Floats], n_named: int = 3) -> str:
    """Name the parts of a token's time that are longest in the mean, with their milliseconds."""
    means = {name: 1e3 * float(np.mean(part)) for name, part in parts_s.items()}
    ranked = sorted(means, key=means.__getitem__, reverse=True)[:n_named]
    return ", ".join(f"{name} {means[name]:.3g}" for name in ranked if means[name] >= 0.05)
