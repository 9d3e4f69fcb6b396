"""Hybrid ARQ: effective ratio and residual error of repeated attempts at a block.

Sources: chase combining, Chase, IEEE Trans. Commun. 33(5), 1985 (ratios add); incremental redundancy in the
form Σ log2(1+γ_i) ≥ R, Caire and Tuninetti, IEEE Trans. Inf. Theory 47(5), 2001 (mutual information adds).
"""

from __future__ import annotations

import math
from typing import Literal

__all__ = ["COMBININGS", "Combining", "combined_sinr", "expected_attempts", "residual"]

Combining = Literal["none", "chase", "incremental"]
COMBININGS: tuple[Combining, ...] = ("none", "chase", "incremental")


def expected_attempts(error: float, n_attempts: int) -> float:
    """Return the mean number of independent attempts at a block: (1−p^M)/(1−p), each failing with p."""
    return float(n_attempts) if error >= 1.0 else (1.0 - error**n_attempts) / (1.0 - error)


def residual(error: float, n_attempts: int) -> float:
    """Return the probability p^M that a block is undelivered after M independent attempts."""
    return error**n_attempts


def combined_sinr(sinr: float, n_attempts: int, combining: Combining, n_fresh: float = math.inf) -> float:
    """Return the ratio (linear) of a single attempt equivalent to n combined attempts at ``sinr``.

    Parameters
    ----------
    combining
        ``chase``: γ_eff = n·γ. ``incremental``: log2(1+γ_eff) = n·log2(1+γ). ``none``: γ.
    n_fresh
        Attempts that carry new redundancy before the code's lowest rate is reached, at least 1; further
        attempts repeat and are chase combined. Incremental redundancy only.
    """
    if combining == "none":
        return sinr
    if combining == "chase":
        return n_attempts * sinr
    fresh = min(n_attempts, max(1.0, n_fresh))
    if fresh == 1.0:
        return n_attempts * sinr
    return math.expm1(min(fresh * math.log1p(sinr), 700.0)) * (n_attempts / fresh)  # no overflow
