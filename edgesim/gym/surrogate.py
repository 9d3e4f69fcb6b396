"""Reward surrogate with error bars: an ensemble of small networks fitted to measured points.

After Chen et al. 2024 (arXiv 2406.02616): a multilayer perceptron 2-128-128-1 with ReLU, 17,025 parameters,
from (loss, split) to relative perplexity. Several of them, each with its own bootstrap of the points and
initialisation, differ where data are sparse (Lakshminarayanan et al. 2017, arXiv 1612.01474); the scale
between their spread and the error is calibrated by cross-validation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from edgesim.errors import InputError
from edgesim.gym.training import one_thread
from edgesim.planning.splitting.surrogate import Surrogate

__all__ = ["Measured", "actively_measured", "fit_surrogate"]

Floats = NDArray[np.float64]
Measure = Callable[[float, int], float]
"""Function that measures relative perplexity at (loss, split), by real forward passes."""

_WIDTH = 128
_N_FOLDS = 5
_COVERAGE = 0.9


@dataclass(frozen=True, eq=False)
class Measured:
    """Measured points.

    Attributes
    ----------
    loss, split, value : [n]
        Loss probability, split, and relative perplexity.
    """

    loss: Floats
    split: Floats
    value: Floats

    def __len__(self) -> int:
        return len(self.loss)


def fit_surrogate(
    points: Measured,
    low: Sequence[float],
    high: Sequence[float],
    *,
    n_members: int = 5,
    seed: int = 0,
    n_steps: int = 1500,
) -> Surrogate:
    """Fit an ensemble, with error bars that cover 90 % of the points left out in cross-validation.

    Parameters
    ----------
    points
        At least eight points.
    low, high : [2]
        Ranges of loss and split, which may exceed the measured ones.
    n_steps
        Number of steps of Adam on all points.

    Raises
    ------
    InputError
        If there are fewer than eight points, or a value is not finite.
    """
    if len(points) < 8 or not np.isfinite(points.value).all():
        raise InputError(f"surrogate: {len(points)} points; expected at least eight, all finite")
    rng = np.random.default_rng(seed)
    places = rng.permutation(len(points))
    errors, spreads = np.zeros(len(points)), np.zeros(len(points))
    for fold in range(_N_FOLDS):
        out = places[fold::_N_FOLDS]
        kept = np.setdiff1d(places, out)
        fitted = _fitted(points, kept, low, high, n_members, seed + 1 + fold, n_steps)
        errors[out] = np.abs(points.value[out] - fitted.value(points.loss[out], points.split[out]))
        members = fitted.members(points.loss[out], points.split[out])
        spreads[out] = members.std(axis=0, ddof=1)
    # Split conformal prediction (Lei et al. 2018, doi:10.1080/01621459.2017.1307116) of errors over spreads;
    # the median spread is a lower bound for all points.
    floor = max(float(np.median(spreads)), 1e-12)
    ratios = np.sort(errors / np.maximum(spreads, floor))
    rank = min(len(ratios), int(np.ceil((len(ratios) + 1) * _COVERAGE)))
    widening = float(ratios[rank - 1])
    found = _fitted(points, places, low, high, n_members, seed, n_steps)
    return Surrogate(
        found.low, found.high, found.centre, found.scale, found.layers, widening, widening * floor
    )


def actively_measured(
    measure: Measure,
    losses: Floats,
    splits: Sequence[int],
    *,
    most_points: int = 120,
    each_round: int = 8,
    least_bar: float = 0.04,
    reward: Callable[[Floats, Floats, Floats], Floats] | None = None,
    seed: int = 0,
    n_steps: int = 1500,
) -> tuple[Surrogate, Measured]:
    """Fit a surrogate by active learning: measure the most informative points until it is accurate enough.

    Starts with a coarse grid of losses and splits. Each round measures where the error bar is widest,
    weighted by the probability that the point is the best split of its loss: a split that cannot be the best
    does not affect decisions, but must finally meet the same accuracy.

    Parameters
    ----------
    measure
        A real evaluation; called once for each point.
    losses, splits
        Grid of candidate points.
    most_points
        Maximum number of measured points.
    each_round
        Points measured per round.
    least_bar
        Stop when all error bars are below this share of the range of values.
    reward
        Reward from (loss, split, value), for the probability of being best; None: the value itself.
    """
    columns = np.asarray(splits, np.float64)
    low, high = (float(losses[0]), float(columns[0])), (float(losses[-1]), float(columns[-1]))
    grid_loss, grid_split = (each.ravel() for each in np.meshgrid(losses, columns, indexing="ij"))
    rows = np.unique(np.linspace(0, len(losses) - 1, 5).round().astype(int))
    firsts = np.unique(np.linspace(0, len(columns) - 1, 4).round().astype(int))
    chosen = [int(row * len(columns) + column) for row in rows for column in firsts]
    values = {place: measure(float(grid_loss[place]), int(grid_split[place])) for place in chosen}
    while True:
        known = np.array(sorted(values))
        points = Measured(grid_loss[known], grid_split[known], np.array([values[k] for k in known]))
        surrogate = fit_surrogate(points, low, high, seed=seed, n_steps=n_steps)
        bars = surrogate.bars(grid_loss, grid_split)
        span = float(np.ptp(points.value))
        left = np.setdiff1d(np.arange(len(grid_loss)), known)
        if bars.max() <= least_bar * span or len(known) >= min(most_points, len(grid_loss)):
            return surrogate, points
        members = surrogate.members(grid_loss, grid_split)
        rewards = members if reward is None else reward(grid_loss, grid_split, members)
        by_loss = rewards.reshape(len(members), len(losses), len(columns))
        is_best = (by_loss == by_loss.max(axis=2, keepdims=True)).mean(axis=0).ravel()
        worth = bars * (0.2 + is_best)
        for _ in range(min(each_round, most_points - len(known), len(left))):
            place = int(left[np.argmax(worth[left])])
            values[place] = measure(float(grid_loss[place]), int(grid_split[place]))
            # A point also informs about its neighbours, so the points of a round are spread out.
            near = np.hypot(
                (grid_loss - grid_loss[place]) / max(high[0] - low[0], 1e-12),
                (grid_split - grid_split[place]) / max(high[1] - low[1], 1.0),
            )
            worth = worth * (1 - np.exp(-((near / 0.15) ** 2)))
            left = left[left != place]


def _fitted(
    points: Measured,
    kept: NDArray[np.intp],
    low: Sequence[float],
    high: Sequence[float],
    n_members: int,
    seed: int,
    n_steps: int,
) -> Surrogate:
    """Fit all members simultaneously, each to its own Bayesian bootstrap (Rubin 1981) of the points."""
    ends = np.asarray(low, np.float64), np.asarray(high, np.float64)
    seen = np.stack([points.loss[kept], points.split[kept]], axis=1)
    value = points.value[kept]
    centre, scale = float(value.mean()), float(value.std()) or 1.0
    rng = np.random.default_rng(seed)
    weights = rng.exponential(size=(n_members, len(kept)))
    weights = 0.5 + 0.5 * weights / weights.mean(axis=1, keepdims=True)  # halved, so that no weight is near 0
    generator = torch.Generator().manual_seed(seed)
    widths = (2, _WIDTH, _WIDTH, 1)
    layers: list[tuple[torch.Tensor, torch.Tensor]] = []
    for n_in, n_out in pairwise(widths):
        bound = (6 / n_in) ** 0.5 if n_out != 1 else (1 / n_in) ** 0.5  # He et al. 2015, arXiv 1502.01852
        weight = (torch.rand(n_members, n_out, n_in, generator=generator) * 2 - 1) * bound
        bias = (torch.rand(n_members, 1, n_out, generator=generator) * 2 - 1) * (1 / n_in) ** 0.5
        layers.append((weight.requires_grad_(), bias.requires_grad_()))
    inputs = torch.tensor(2 * (seen - ends[0]) / (ends[1] - ends[0]) - 1, dtype=torch.float32)
    target = torch.tensor((value - centre) / scale, dtype=torch.float32)
    shares = torch.tensor(weights, dtype=torch.float32)
    with one_thread():
        optimiser = torch.optim.Adam([each for layer in layers for each in layer], lr=3e-3)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, n_steps)
        for _ in range(n_steps):
            state = inputs.expand(n_members, -1, -1)
            for place, (weight, bias) in enumerate(layers):
                state = torch.baddbmm(bias, torch.relu(state) if place else state, weight.transpose(1, 2))
            loss = (shares * (state[..., 0] - target) ** 2).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return Surrogate(
        *ends,
        centre,
        scale,
        tuple((w.detach().numpy().copy(), b.detach().numpy()[:, 0].copy()) for w, b in layers),
        1.0,
        0.0,
    )
