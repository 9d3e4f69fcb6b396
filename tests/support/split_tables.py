"""Tables of splits with known shapes of the optimum."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgesim.planning.splitting.table import SplitTable

LOSS = np.linspace(0.0, 0.3, 16)


def shaped(n_splits: int, best: object, *, width: float = 0.6, rise: float = 0.5) -> SplitTable:
    """Values that fall with the loss, and with the squared distance from the best split of each loss."""
    splits = np.arange(1, n_splits + 1)
    wanted = np.asarray(best, np.float64) * (n_splits - 1) + 1
    away = (splits - wanted[:, np.newaxis]) / (n_splits - 1)
    return SplitTable(LOSS, splits, 0.5 - rise * LOSS[:, np.newaxis] - width * away**2)


def tables(n_splits: int = 10) -> Mapping[str, SplitTable]:
    """By name: where the optimum lies over the loss. All are to be played with weights 10 and 0."""
    share = LOSS / 0.3
    flat = shaped(n_splits, np.full(16, 0.4))
    valley = shaped(n_splits, np.full(16, 0.2)).relative
    other = shaped(n_splits, np.full(16, 0.9), width=1.2).relative
    high = 0.25 * (share - 0.5)[:, np.newaxis]
    return {
        "flat": flat,
        "smooth": shaped(n_splits, 0.1 + 0.8 * share),
        "one change": shaped(n_splits, np.where(share < 0.5, 0.2, 0.8)),
        "two changes": shaped(n_splits, np.select([share < 0.35, share < 0.7], [0.1, 0.9], 0.4)),
        "not monotone": SplitTable(LOSS, np.arange(1, n_splits + 1), np.maximum(valley - high, other + high)),
        "swaying": shaped(n_splits, 0.5 + 0.4 * np.sin(4 * np.pi * share)),
    }


def rough(n_splits: int, seed: int, noise: float = 0.05) -> SplitTable:
    """A smooth table with noise at every point."""
    smooth = tables(n_splits)["smooth"]
    noises = np.random.default_rng(seed).normal(0.0, noise, smooth.relative.shape)
    return SplitTable(smooth.loss, smooth.splits, smooth.relative + noises)


def drawn(seed: int, *, noise: float = 0.0, scale: float = 1.0, offset: float = 0.0) -> SplitTable:
    """A table of no particular shape: splits, losses, changes of the optimum and widths are all drawn.

    Parameters
    ----------
    noise
        Standard deviation at every point, as a share of the range of the values.
    scale, offset
        What values are multiplied by; what is then added.
    """
    rng = np.random.default_rng(seed)
    n_splits, n_losses = int(rng.integers(3, 31)), int(rng.integers(6, 25))
    loss = np.concatenate([[0.0], np.sort(rng.uniform(0.005, 0.3, n_losses - 2)), [0.3]])
    n_pieces = int(rng.integers(2, 5))
    cuts = np.sort(rng.uniform(0.05, 0.25, n_pieces - 1))
    best = rng.permutation(np.linspace(0.05, 0.95, n_pieces))[np.searchsorted(cuts, loss)]
    share = np.linspace(0.0, 1.0, n_splits)
    away = np.abs(share - best[:, np.newaxis]) ** rng.uniform(1.0, 2.0)
    values = -rng.uniform(0.1, 0.8) * loss[:, np.newaxis] - rng.uniform(0.3, 0.9) * away
    values = values + rng.normal(0.0, noise * np.ptp(values), values.shape)
    return SplitTable(loss, np.arange(1, n_splits + 1), scale * values + offset)
