"""Shares of every block for a group that sums over the air: what fits, and what leaves the least error."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import PlacementError
from edgesim.model.architecture import Architecture, Component
from edgesim.model.profile import Timing
from edgesim.model.shard_timing import ShardTiming
from edgesim.model.sharding import TensorShard, to_heads
from edgesim.planning.assignment import GroupBudgets, assign
from edgesim.radio.channel.fading_law import Rayleigh
from edgesim.radio.collective.aircomp_moments import has_mean_error
from edgesim.radio.collective.band import CollectiveBand

__all__ = ["check_budget", "half_joules", "least_error_shares"]

Floats = NDArray[np.float64]

_FAR_BLOCK = 1 << 40
"""First coherence block that shares are chosen by: no run lasts so long, so that none is planned on its own
channels."""

N_DRAWS = 200


def half_joules(timing: Timing, shard: TensorShard, active_w: float, n_context: int) -> float:
    """Energy that a device spends on the dearer half of a block, attention or MLP, for one more token."""
    own = ShardTiming(timing, shard)  # type: ignore[arg-type]
    halves = (Component.ATTENTION, Component.MLP)
    return active_w * max(
        float(own.half_seconds(half, batch=1, n_new=1, n_context=n_context)) for half in halves
    )


def least_error_shares(
    model: Architecture,
    band: CollectiveBand,
    members: Sequence[str],
    timings: Sequence[Timing],
    actives_w: Sequence[float],
    *,
    budget_j: float,
    n_context: int,
    at_most: Floats,
) -> Floats:
    """Shares with the least mean error over channels, where computing and sending share a budget.

    The paper's stochastic successive convex approximation (:mod:`edgesim.planning.assignment`) for budgets of
    one token's sum, over draws of the members' channels at the beginning of a run.

    Parameters
    ----------
    timings, actives_w
        Of each member: the model's times, and what it draws while it computes.
    budget_j
        What each may spend on computing its part of one token's sum and on sending it.
    n_context
        Tokens in the cache; the longest costs most.
    at_most : [n_members]
        Largest shares for reasons of their own, such as memory.

    Raises
    ------
    PlacementError
        If the members cannot hold the model together, or the error has no mean over channels.

    Not modelled: energy that does not shrink with the share.
    """
    n_receive, n_transmit = band.antennas
    antennas = {"n_receive": n_receive, "n_transmit": n_transmit, "n_streams": band.n_streams}
    if not has_mean_error("first-order", Rayleigh(), n_devices=len(members), **antennas):
        raise PlacementError(
            f"shares 'ssca' have the least mean error, and with {band.n_streams} streams from {n_transmit} "
            f"to {n_receive} antennas it is infinite over Rayleigh and Rician fading; use fewer 'streams' or "
            "more 'antennas', or choose 'even' or 'compute'"
        )
    (whole,) = to_heads((1.0,), model)
    energies = [
        half_joules(timing, whole, active_w, n_context)
        for timing, active_w in zip(timings, actives_w, strict=True)
    ]
    group = GroupBudgets(
        budgets=np.full(len(members), budget_j),
        energies=np.array(energies),
        n_parameters=1.0,  # energies are of the whole half
        n_entries=model.hidden_size,
        n_streams=band.n_streams,
        at_most=at_most,
        peaks=band.powers_w(members) * band.analog_s(model.hidden_size),
    )
    return assign(group, partial(_far_draw, band, tuple(members)), n_iterations=N_DRAWS).shares


def check_budget(member: str, spent_j: float, budget_j: float) -> None:
    """Raise PlacementError if computing alone takes all of a member's budget."""
    if spent_j >= budget_j:
        raise PlacementError(
            f"{member!r} spends {spent_j:.3g} J on computing its part of half a block, of a budget of "
            f"{budget_j:.3g} J, and has nothing left to send it with; raise 'budget', give it a smaller "
            "share (shares: ssca), or take more devices"
        )


def _far_draw(band: CollectiveBand, members: tuple[str, ...], number: int) -> NDArray[np.complex128]:
    return band.draw(members, _FAR_BLOCK + number)
