"""Reward surrogate of a decision: utility of a request as a function of observation and action."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from edgesim.gym.per_request_credit import Tried
from edgesim.gym.training import one_thread
from edgesim.planning.splitting.encoding import Encoding

__all__ = ["RewardModel", "encoding_of", "fit_rewards"]

Floats = NDArray[np.float64]
Layer = tuple[NDArray[np.float32], NDArray[np.float32]]

_WIDTH = 32
_BATCH = 1024  # decisions per batch, in whole requests


@dataclass(frozen=True, eq=False)
class RewardModel:
    """Ensemble of small networks that estimates the advantage of each action: utility less the mean of all.

    Attributes
    ----------
    encoding
        Encoding of observations.
    layers
        Layers from inputs to actions: weights [n_members, n_out, n_in], biases [n_members, 1, n_out].
    scale
        Utility corresponding to an output of 1.
    """

    encoding: Encoding
    layers: tuple[Layer, ...]
    scale: float

    def members(self, seen: Floats) -> Floats:
        """Advantages of actions [n_members, n, n_actions] by each network, for observations [n, n_seen]."""
        state = self.encoding(np.asarray(seen, np.float64)).astype(np.float32)
        for place, (weight, bias) in enumerate(self.layers):
            state = np.maximum(state, 0.0) if place else state
            state = state @ weight.transpose(0, 2, 1) + bias
        found: Floats = (state - state.mean(axis=-1, keepdims=True)).astype(np.float64) * self.scale
        return found

    def advantages(self, seen: Floats) -> Floats:
        """Mean advantages of actions [n, n_actions], which sum to 0, for observations [n, n_seen]."""
        found: Floats = self.members(seen).mean(axis=0)
        return found


def encoding_of(seen: Floats, n_knots: int) -> Encoding:
    """Return an encoding with knots between the 0.5 % and 99.5 % quantiles of each observation.

    Observations that are almost constant are only scaled, so that they have little influence.
    """
    low, high = np.quantile(seen, [0.005, 0.995], axis=0)
    still = high - low <= 1e-9 * np.maximum(1.0, np.abs(low))
    low, high = np.where(still, low - 0.5, low), np.where(still, low + 0.5, high)
    return Encoding(low, high, tuple(1 if each else n_knots for each in still))


def fit_rewards(
    tried: Tried,
    *,
    n_knots: int = 3,
    n_members: int = 4,
    n_steps: int = 600,
    seed: int = 0,
    weight_decay: float = 0.1,
) -> RewardModel:
    """Fit a reward model to the differences between trials of the same request (fixed effects).

    With f the network and bars for means over the rows of one request, the fit minimises the mean square of
    (u - u_bar) - (f(s, a) - f_bar), so that the part of the utility that does not depend on the action
    cancels. Each member weights requests by its own Bayesian bootstrap (Rubin 1981, Ann. Statist. 9:130).

    Parameters
    ----------
    n_knots
        Knots of the encoding, for each observation.
    n_members, n_steps, seed, weight_decay
        Number of networks, number of batches of requests, seed of all draws, and weight decay of AdamW.
    """
    encoding = encoding_of(tried.seen, n_knots)
    n_requests = int(tried.request.max()) + 1
    n_rows = np.bincount(tried.request, minlength=n_requests)
    means = np.bincount(tried.request, tried.utility, n_requests) / np.maximum(1, n_rows)
    differences = tried.utility - means[tried.request]
    scale = float(differences.std()) or 1.0
    order = np.argsort(tried.request, kind="stable")
    starts = np.concatenate([[0], np.cumsum(n_rows)])
    rng = np.random.default_rng(seed)
    draws = rng.exponential(size=(n_members, n_requests))
    generator = torch.Generator().manual_seed(seed)
    widths = (encoding.n_inputs, _WIDTH, _WIDTH, tried.allowed.shape[1])
    layers = _drawn(widths, n_members, generator)
    inputs = torch.tensor(encoding(tried.seen), dtype=torch.float32)
    target = torch.tensor(differences / scale, dtype=torch.float32)
    action, request = torch.tensor(tried.action), torch.tensor(tried.request)
    weights, sizes = torch.tensor(draws, dtype=torch.float32), torch.tensor(n_rows, dtype=torch.float32)
    per_batch = max(1, round(_BATCH / max(1.0, n_rows.mean())))
    with one_thread():
        optimiser = torch.optim.AdamW(
            [each for layer in layers for each in layer], lr=2e-3, weight_decay=weight_decay
        )
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, n_steps)
        for _ in range(n_steps):
            chosen = rng.choice(n_requests, min(per_batch, n_requests), replace=False)
            rows = torch.tensor(np.concatenate([order[starts[one] : starts[one + 1]] for one in chosen]))
            state = inputs[rows].expand(n_members, -1, -1)
            for place, (weight, bias) in enumerate(layers):
                state = torch.baddbmm(bias, torch.relu(state) if place else state, weight.transpose(1, 2))
            mine = request[rows]
            taken = state.gather(2, action[rows].expand(n_members, -1)[..., None])[..., 0]
            sums = torch.zeros(n_members, n_requests).index_add_(1, mine, taken)
            away = taken - (sums / sizes)[:, mine] - target[rows]
            loss = (weights[:, mine] * away**2).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    fitted = tuple((weight.detach().numpy().copy(), bias.detach().numpy().copy()) for weight, bias in layers)
    return RewardModel(encoding, fitted, scale)


def _drawn(
    widths: tuple[int, ...], n_members: int, generator: torch.Generator
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    layers = []
    for n_in, n_out in pairwise(widths):
        bound = (6 / n_in) ** 0.5 if n_out != widths[-1] else (1 / n_in) ** 0.5  # He et al. 2015
        weight = (torch.rand(n_members, n_out, n_in, generator=generator) * 2 - 1) * bound
        layers.append((weight.requires_grad_(), torch.zeros(n_members, 1, n_out).requires_grad_()))
    return layers
