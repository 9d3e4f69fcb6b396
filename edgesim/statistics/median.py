"""Estimate of a median over replications, for quantities without a finite mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

__all__ = ["MedianEstimate", "median_estimate"]

FloatArray: TypeAlias = npt.NDArray[np.float64]


class MedianEstimate(NamedTuple):
    """Estimated median of positive values, with its confidence interval."""

    median: float
    low: float | None
    """None, like `high`, if there is one replication only, or a median that is zero or infinite."""
    high: float | None
    n_values: int


def median_estimate(replications: Sequence[FloatArray], confidence: float = 0.95) -> MedianEstimate | None:
    """Estimate a median from independent replications; None without values.

    The estimate is the geometric mean of the replications' medians, with Student's t interval over their
    logarithms, since medians of positive values are positive and skewed, and values within a replication
    share its positions and shadowing. Values may be infinite. If the median of a replication is infinite or
    not positive, the result is the median of the medians, without an interval.
    """
    samples = [sample[~np.isnan(sample)] for sample in replications]
    medians = np.array([np.median(sample) for sample in samples if sample.size])
    n_values = sum(sample.size for sample in samples)
    if not medians.size:
        return None
    if not (np.isfinite(medians) & (medians > 0)).all():
        return MedianEstimate(float(np.median(medians)), None, None, n_values)
    logarithms = np.log(medians)
    middle = float(logarithms.mean())
    if medians.size == 1:
        return MedianEstimate(math.exp(middle), None, None, n_values)
    error = float(logarithms.std(ddof=1)) / math.sqrt(medians.size)
    half = float(stdtrit(medians.size - 1, (1 + confidence) / 2)) * error
    return MedianEstimate(math.exp(middle), math.exp(middle - half), math.exp(middle + half), n_values)
