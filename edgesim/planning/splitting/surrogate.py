"""Fitted reward surrogate as plain numbers: an ensemble of small networks, run without its training code."""

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
    """An ensemble of ReLU perceptrons from (loss, split) to a value.

    Attributes
    ----------
    low, high : [2]
        Range of loss and split, which is scaled to [-1, 1].
    centre, scale
        Output scaling: a network's output is multiplied by `scale` and added to `centre`.
    layers
        Weights [n_members, n_out, n_in] and biases [n_members, n_out] of all members.
    widening, least
        An error bar is `widening` times the standard deviation among members, but at least `least`.
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
        """Number of networks in the ensemble."""
        return int(self.layers[0][0].shape[0])

    def members(self, loss: ArrayLike, split: ArrayLike) -> Floats:
        """Return the value of each network: [n_members, ...]."""
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
        """Return the mean of the networks."""
        mean: Floats = self.members(loss, split).mean(axis=0)
        return mean

    def bars(self, loss: ArrayLike, split: ArrayLike) -> Floats:
        """Return half the widths of intervals that contain the measured value with probability 0.9."""
        spread = self.members(loss, split).std(axis=0, ddof=1)
        half: Floats = np.maximum(self.least, self.widening * spread)
        return half

    def is_contradicted(self, loss: ArrayLike, split: ArrayLike, measured: ArrayLike) -> bool:
        """Return whether new measurements lie outside the error bars more often than one in ten explains.

        One-sided binomial test at 1 %. If true, refit with the new points.
        """
        from scipy.stats import binom

        away = np.abs(np.asarray(measured) - self.value(loss, split)) > self.bars(loss, split)
        n, n_outside = away.size, int(away.sum())
        return bool(n_outside > 0 and binom.sf(n_outside - 1, n, 0.1) < 0.01)

    def table(self, loss: ArrayLike, splits: ArrayLike) -> SplitTable:
        """Return the values on a grid, as a table to train on."""
        losses, columns = np.asarray(loss, np.float64), np.asarray(splits)
        return SplitTable(losses, columns, self.value(losses[:, np.newaxis], columns))

    def save(self, path: Path) -> None:
        """Write one safetensors file."""
        numbers = np.array([self.centre, self.scale, self.widening, self.least])
        tensors = {"low": self.low, "high": self.high, "numbers": numbers}
        for place, (weight, bias) in enumerate(self.layers):
            tensors |= {f"layer.{place}.weight": weight, f"layer.{place}.bias": bias}
        save_file({name: np.ascontiguousarray(each) for name, each in tensors.items()}, path)

    @classmethod
    def load(cls, path: Path) -> Surrogate:
        """Read a file written by :meth:`save`.

        Raises
        ------
        InputError
            If there is no such file, or it is not a surrogate.
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
            raise InputError(f"{path}: no surrogate can be read ({error}); fit it again") from error
