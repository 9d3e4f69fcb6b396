"""Interface and result of transceiver designs, and the simplest design.

A design is a direction G of the station's combiner; precoders and scale follow from the power budgets
(:mod:`edgesim.radio.collective.aircomp`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import InputError
from edgesim.radio.collective.aircomp import alpha_star, zero_forcing

__all__ = ["Designer", "Floats", "Matrices", "TransceiverDesign", "check", "finished", "leading_subspace"]

Matrices = NDArray[np.complex128]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class TransceiverDesign:
    """A combiner and its mean squared error; precoders follow by zero forcing."""

    combiner: Matrices
    """G, of power 1: [n_receive, n_streams]."""
    alpha: float
    """Mean squared error over the station's noise power, all streams together."""
    device: int
    """Device that transmits at its full power."""
    n_iterations: int = 0
    """Steps, solver iterations or random draws used."""

    @property
    def scaled_combiner(self) -> Matrices:
        """A = sqrt(alpha) G, which recovers the sum at its own scale."""
        scaled: Matrices = math.sqrt(self.alpha) * self.combiner
        return scaled

    def precoders(self, channels: Matrices) -> Matrices:
        """Return the devices' zero-forcing precoders, [n_devices, n_transmit, n_streams]."""
        return zero_forcing(self.scaled_combiner, channels)


class Designer(Protocol):
    """A method that finds the station's combiner."""

    def __call__(
        self, channels: Matrices, budgets: Floats, n_streams: int, start: Matrices | None = None, /
    ) -> TransceiverDesign:
        """Design a transceiver.

        Parameters
        ----------
        channels : [n_devices, n_receive, n_transmit]
        budgets : [n_devices]
            Power of each device in one channel use [W]. For energy, that of a whole tensor divided by its
            channel uses.
        n_streams
            Number of streams, L.
        start : [n_receive, n_streams]
            Combiner of the previous block, for methods that start from one.
        """
        ...


def leading_subspace(
    channels: Matrices, budgets: Floats, n_streams: int, start: Matrices | None = None
) -> TransceiverDesign:
    """Combine along the leading left singular vectors of all channels side by side.

    Closed form. It ignores which device binds: the strongest common directions may be poor for the device
    with the worst channel. Parameters as in :class:`Designer`; ``start`` is not used.
    """
    del start
    check(channels, budgets, n_streams)
    side_by_side = channels.transpose(1, 0, 2).reshape(channels.shape[1], -1)
    vectors: Matrices = np.linalg.svd(side_by_side, full_matrices=False)[0][:, :n_streams]
    return finished(vectors, channels, budgets, 0)


def finished(combiner: Matrices, channels: Matrices, budgets: Floats, n_iterations: int) -> TransceiverDesign:
    """Return the design of a combiner of any power, scaled to power 1."""
    found = alpha_star(combiner, channels, budgets)
    power = float(np.sum(np.abs(combiner) ** 2))
    return TransceiverDesign(combiner / math.sqrt(power), found.alpha, found.device, n_iterations)


def check(channels: Matrices, budgets: Floats, n_streams: int) -> None:
    """Raise InputError unless the antennas suffice for the streams and every budget is positive."""
    if channels.ndim != 3 or np.shape(budgets) != channels.shape[:1]:
        raise InputError(
            f"transceiver: channels of shape {channels.shape} and budgets of shape {np.shape(budgets)}; "
            "expected [n_devices, n_receive, n_transmit] and [n_devices]"
        )
    most = min(channels.shape[1:])
    if not 1 <= n_streams <= most:
        raise InputError(
            f"transceiver: {n_streams} streams over {channels.shape[2]} antennas at a device and "
            f"{channels.shape[1]} at the station; expected 1 to {most}: use fewer streams"
        )
    empty = np.flatnonzero(~(np.asarray(budgets) > 0))
    if len(empty):
        raise InputError(
            f"transceiver: device {empty[0]} has {np.asarray(budgets)[empty[0]]:g} left to send with; "
            "expected more than 0: give it a smaller share of the model, or a larger budget"
        )
