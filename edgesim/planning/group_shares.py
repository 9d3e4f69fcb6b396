"""Tensor-parallel shares of least mean error for a group that sums over the air within an energy budget."""

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
"""First coherence block whose channels are drawn to choose shares: after the end of every simulation, so
that no simulation is planned on the channels that it uses."""

N_DRAWS = 200


def half_joules(timing: Timing, shard: TensorShard, active_w: float, n_context: int) -> float:
    """Return the energy of one more token in the costlier half of a block, attention or MLP [J]."""
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
    """Return the shares with the least mean error over channels, where computing and sending share a budget.

    Uses the paper's stochastic successive convex approximation (:mod:`edgesim.planning.assignment`), with the
    budget of one token's sum, over draws of the members' channels far after the end of any simulation.

    Parameters
    ----------
    timings, actives_w
        The model's times on each member, and the power that the member draws while it computes [W].
    budget_j
        Energy that each member may spend on computing its part of one token's sum and on sending it [J].
    n_context
        Tokens in the cache; the largest number costs most.
    at_most : [n_members]
        Largest share of each member by limits other than energy, such as memory.

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
            f"shares 'ssca' minimise the mean error, and with {band.n_streams} streams from {n_transmit} "
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
    """Raise PlacementError if computing alone consumes a member's whole budget."""
    if spent_j >= budget_j:
        raise PlacementError(
            f"{member!r} spends {spent_j:.3g} J on computing its part of half a block, of a budget of "
            f"{budget_j:.3g} J, and has nothing left to send it with; raise 'budget', give it a smaller "
            "share (shares: ssca), or take more devices"
        )


def _far_draw(band: CollectiveBand, members: tuple[str, ...], number: int) -> NDArray[np.complex128]:
    return band.draw(members, _FAR_BLOCK + number)
