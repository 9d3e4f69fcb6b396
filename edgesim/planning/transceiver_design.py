"""What a transceiver design is, and the simplest one.

A design is a direction G of the station's combiner; power decides all else
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
    """A combiner and what it costs; precoders follow by zero forcing."""

    combiner: Matrices
    """G, of power 1: [n_receive, n_streams]."""
    alpha: float
    """Mean squared error over the station's noise power, all streams together."""
    device: int
    """The device that sends at all the power it has."""
    n_iterations: int = 0
    """Steps, solver iterations or random draws that it took."""

    @property
    def scaled_combiner(self) -> Matrices:
        """A = sqrt(alpha) G, which gives back the sum at its own scale."""
        scaled: Matrices = math.sqrt(self.alpha) * self.combiner
        return scaled

    def precoders(self, channels: Matrices) -> Matrices:
        """Zero-forcing precoders of the devices, [n_devices, n_transmit, n_streams]."""
        return zero_forcing(self.scaled_combiner, channels)


class Designer(Protocol):
    """How the station's combiner is found."""

    def __call__(
        self, channels: Matrices, budgets: Floats, n_streams: int, start: Matrices | None = None, /
    ) -> TransceiverDesign:
        """Design a transceiver.

        Parameters
        ----------
        channels : [n_devices, n_receive, n_transmit]
        budgets : [n_devices]
            What each device may send with in one channel use, in watts; that of a whole tensor divided by
            its channel uses.
        n_streams
            L.
        start : [n_receive, n_streams]
            Combiner of the block before, for a method that can begin there.
        """
        ...


def leading_subspace(
    channels: Matrices, budgets: Floats, n_streams: int, start: Matrices | None = None
) -> TransceiverDesign:
    """Combine along the leading left singular vectors of all channels side by side.

    Closed form, and blind to which device binds: the strongest common directions may be poor ones for the
    device that is heard worst. Parameters as in :class:`Designer`; ``start`` is not used.
    """
    del start
    check(channels, budgets, n_streams)
    side_by_side = channels.transpose(1, 0, 2).reshape(channels.shape[1], -1)
    vectors: Matrices = np.linalg.svd(side_by_side, full_matrices=False)[0][:, :n_streams]
    return finished(vectors, channels, budgets, 0)


def finished(combiner: Matrices, channels: Matrices, budgets: Floats, n_iterations: int) -> TransceiverDesign:
    """A combiner of any power as a design."""
    found = alpha_star(combiner, channels, budgets)
    power = float(np.sum(np.abs(combiner) ** 2))
    return TransceiverDesign(combiner / math.sqrt(power), found.alpha, found.device, n_iterations)


def check(channels: Matrices, budgets: Floats, n_streams: int) -> None:
    """Raise InputError unless so many streams fit and every device has something left to send with."""
    if channels.ndim != 3 or np.shape(budgets) != channels.shape[:1]:
        raise InputError(
            f"transceiver: channels of shape {channels.shape} and budgets of shape {np.shape(budgets)}; "
            "expected [n_devices, n_receive, n_transmit] and [n_devices]"
        )
    most = min(channels.shape[1:])
    if not 1 <= n_streams <= most:
        raise InputError(
            f"transceiver: {n_streams} streams over {channels.shape[2]} antennas at a device and "
            f"{channels.shape[1]} at the station; expected 1 to {most}: ask for fewer streams"
        )
    empty = np.flatnonzero(~(np.asarray(budgets) > 0))
    if len(empty):
        raise InputError(
            f"transceiver: device {empty[0]} has {np.asarray(budgets)[empty[0]]:g} left to send with; "
            "expected more than 0: give it a smaller share of the model, or a larger budget"
        )
