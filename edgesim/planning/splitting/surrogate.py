"""A fitted reward surrogate as plain numbers: an ensemble of small networks, run without what fitted it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from edgesim.errors import InputError
from edgesim.planning.splitting.table import SplitTable

__all__ = ["Surrogate"]

Floats = NDArray[np.float64]
Stacked = tuple[NDArray[np.float32], NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Surrogate:
    """An ensemble of perceptrons with ReLU from (loss, split) to a value.

    Attributes
    ----------
    low, high : [2]
        Range of loss and split, which are scaled to -1 and 1.
    centre, scale
        Of the values: what a network gives is multiplied by `scale` and added to `centre`.
    layers
        Of all members: weights [n_members, n_out, n_in] and biases [n_members, n_out].
    widening, least
        An error bar is `widening` times the standard deviation among members, and not below `least`.
    """

    low: Floats
    high: Floats
    centre: float
    scale: float
    layers: tuple[Stacked, ...]
    widening: float
    least: float

    @property
    def n_members(self) -> int:
        """Networks of the ensemble."""
        return int(self.layers[0][0].shape[0])

    def members(self, loss: ArrayLike, split: ArrayLike) -> Floats:
        """Values of each network: [n_members, ...]."""
        losses, splits = np.broadcast_arrays(np.asarray(loss, np.float64), np.asarray(split, np.float64))
        seen = np.stack([losses.ravel(), splits.ravel()], axis=1)
        state: Floats = np.broadcast_to(
            2 * (seen - self.low) / (self.high - self.low) - 1, (self.n_members, *seen.shape)
        )
        for place, (weight, bias) in enumerate(self.layers):
            if place:
                state = np.maximum(state, 0.0)
            state = state @ weight.transpose(0, 2, 1).astype(np.float64) + bias[:, np.newaxis]
        found: Floats = (self.centre + self.scale * state[..., 0]).reshape(self.n_members, *losses.shape)
        return found

    def value(self, loss: ArrayLike, split: ArrayLike) -> Floats:
        """Mean of the networks."""
        mean: Floats = self.members(loss, split).mean(axis=0)
        return mean

    def bars(self, loss: ArrayLike, split: ArrayLike) -> Floats:
        """Half widths of intervals that hold the measured value nine times out of ten."""
        spread = self.members(loss, split).std(axis=0, ddof=1)
        half: Floats = np.maximum(self.least, self.widening * spread)
        return half

    def is_contradicted(self, loss: ArrayLike, split: ArrayLike, measured: ArrayLike) -> bool:
        """Whether new measurements lie outside of the error bars oftener than one time in ten may explain.

        One-sided binomial test at 1 %: the refresh rule. Then fit anew with the new points.
        """
        from scipy.stats import binom

        away = np.abs(np.asarray(measured) - self.value(loss, split)) > self.bars(loss, split)
        n, n_outside = away.size, int(away.sum())
        return bool(n_outside > 0 and binom.sf(n_outside - 1, n, 0.1) < 0.01)

    def table(self, loss: ArrayLike, splits: ArrayLike) -> SplitTable:
        """Values on a grid, as a table to train on."""
        losses, columns = np.asarray(loss, np.float64), np.asarray(splits)
        return SplitTable(losses, columns, self.value(losses[:, np.newaxis], columns))

    def save(self, path: Path) -> None:
        """Write it as one safetensors file."""
        numbers = np.array([self.centre, self.scale, self.widening, self.least])
        tensors = {"low": self.low, "high": self.high, "numbers": numbers}
        for place, (weight, bias) in enumerate(self.layers):
            tensors |= {f"layer.{place}.weight": weight, f"layer.{place}.bias": bias}
        save_file({name: np.ascontiguousarray(each) for name, each in tensors.items()}, path)

    @classmethod
    def load(cls, path: Path) -> Surrogate:
        """Read what :meth:`save` wrote.

        Raises
        ------
        InputError
            If there is no such file, or it is no surrogate.
        """
        try:
            tensors = load_file(path)
            centre, scale, widening, least = (float(each) for each in tensors["numbers"])
            layers = tuple(
                (tensors[f"layer.{place}.weight"], tensors[f"layer.{place}.bias"])
                for place in range((len(tensors) - 3) // 2)
            )
            return cls(tensors["low"], tensors["high"], centre, scale, layers, widening, least)
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise InputError(f"{path}: no surrogate can be read ({error}); fit it anew") from error
