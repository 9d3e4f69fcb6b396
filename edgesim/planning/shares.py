"""Shares of a model for a group's devices: upper limits, projection onto them, and two simple assignments."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import InputError, PlacementError

__all__ = ["compute_proportional", "even", "nearest_shares", "share_limits"]

Floats = NDArray[np.float64]

ROUNDING = 1e-12
"""Amount by which the limits' sum may fall short of 1, to allow for rounding."""


def share_limits(n_devices: int, *constraints: tuple[Sequence[float], Sequence[float]]) -> Floats:
    """Return the largest share that each device can hold under all constraints, between 0 and 1.

    Parameters
    ----------
    n_devices
        Number of devices.
    *constraints
        Pairs of (room, cost), each [n_devices], in any one unit: what a device has, and what the whole model
        takes. Examples: bytes of free memory, and of weights with their cache; joules of budget, and joules
        per layer; a deadline, and the seconds of a pass. Subtract what does not shrink with the share from
        the room in advance. A cost of 0 is no constraint.
    """
    limits = np.ones(n_devices)
    for room, cost in constraints:
        rooms, costs = np.maximum(0.0, np.asarray(room, np.float64)), np.asarray(cost, np.float64)
        if rooms.shape != (n_devices,) or costs.shape != (n_devices,) or np.any(costs < 0):
            raise InputError(
                f"shares: room of shape {rooms.shape} and cost of shape {costs.shape} for {n_devices} "
                "devices; expected one of each per device, and no cost below 0"
            )
        own = np.ones(n_devices)
        np.divide(rooms, costs, out=own, where=costs > 0)
        limits = np.minimum(limits, own)
    return limits


def nearest_shares(wanted: Floats, at_most: Floats) -> Floats:
    """Return the shares nearest to the wanted ones (least squares) from 0 to ``at_most`` that sum to 1.

    This is the projection onto a simplex with upper bounds: all wanted shares are shifted by one number and
    clipped to their bounds. The shift is the root of a decreasing, piecewise linear function, found between
    its breakpoints without iteration.

    Raises
    ------
    PlacementError
        If the limits sum to less than 1.
    """
    if not (np.isfinite(wanted).all() and np.isfinite(at_most).all() and (at_most >= 0).all()):
        raise InputError(
            f"shares: wanted {wanted} with limits {at_most}; expected numbers, and no limit below 0"
        )
    if at_most.sum() < 1 - ROUNDING:
        raise PlacementError(
            f"shares: the {len(at_most)} devices can hold {at_most.sum():.3g} of the model together "
            f"({', '.join(f'{limit:.3g}' for limit in at_most)}); expected 1: add devices, memory or power, "
            "or use a smaller dtype"
        )
    breaks = np.sort(np.concatenate([wanted, wanted - at_most]))
    sums = np.clip(wanted - breaks[:, np.newaxis], 0.0, at_most).sum(axis=1)
    after = int(np.searchsorted(-sums, -1.0))  # the first breakpoint at which less than 1 is left
    if after == 0:
        return np.array(at_most, np.float64)
    high, low = sums[after - 1], sums[after]
    shift = breaks[after - 1] + (high - 1.0) / (high - low) * (breaks[after] - breaks[after - 1])
    fitted: Floats = np.clip(wanted - shift, 0.0, at_most)
    return fitted


def even(at_most: Floats) -> Floats:
    """Return equal shares, or the nearest to them within the limits."""
    return nearest_shares(np.full(len(at_most), 1.0 / len(at_most)), at_most)


def compute_proportional(speeds: Sequence[float], at_most: Floats) -> Floats:
    """Return shares in proportion to speed, so that all devices finish at once, or the nearest that fit.

    Parameters
    ----------
    speeds : [n_devices]
        In any unit, such as one over the seconds of a decode step of the whole model.
    at_most : [n_devices]
        From :func:`share_limits`.
    """
    rates = np.asarray(speeds, np.float64)
    if rates.shape != at_most.shape or not np.all(rates >= 0) or not 0 < rates.sum() < np.inf:
        raise InputError(
            f"shares: speeds {', '.join(f'{rate:g}' for rate in rates)} for {len(at_most)} devices; expected "
            "one per device, none below 0, and at least one above 0"
        )
    return nearest_shares(rates / rates.sum(), at_most)
