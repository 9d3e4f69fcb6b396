"""Shares of a tensor-parallel group whose devices spend one energy budget on computing and analogue sums.

A device with share m_n of every layer spends ``e_n m_n s_tot`` of its budget on computing and transmits with
the rest. The device with the least energy left and the worst channel sets the error of every sum. Channels
change from coherence block to coherence block, but shares are chosen once. The objective is therefore the
mean, over channels, of the error under the best transceiver:

::

    min_m  f(m) = E_H[ min_G max_n  c_n(G, H) / (P_n - e_n m_n s_tot) ],    sum m_n = 1,  0 <= m_n <= limit_n

(:func:`edgesim.radio.collective.aircomp.alpha_star` defines c_n). It is solved by the stochastic successive
convex approximation of Zhang et al. 2025 (arXiv 2502.12559 and 2503.14882), which needs channel draws but no
channel distribution: each draw updates an averaged gradient, a quadratic model of f with that gradient is
minimised, and the shares move part of the way to the minimum.

Departures from the paper: the closed form of alpha meets the power constraint with equality inside the
objective. What remains of this constraint for the shares (computing must leave a given part of the budget) is
linear and needs no model. Limits on memory and time are added.

Not modelled: latency in the objective (a deadline can be one of :func:`edgesim.planning.shares.share_limits`)
and whole heads (:func:`edgesim.model.sharding.to_heads` rounds the shares afterwards).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import InputError
from edgesim.planning.shares import even, nearest_shares, share_limits
from edgesim.planning.transceiver_descent import SHARPNESS, first_order
from edgesim.planning.transceiver_design import Designer
from edgesim.radio.collective.aircomp import alpha_star, channel_uses, power_left

__all__ = ["Assignment", "GroupBudgets", "Steps", "assign", "costs", "gradient"]

Floats = NDArray[np.float64]
Matrices = NDArray[np.complex128]
Draw = Callable[[int], Matrices]
"""Function from a coherence block's number to all devices' channels: [n_devices, n_receive, n_transmit]."""


@dataclass(frozen=True, eq=False)
class GroupBudgets:
    """Energy budgets and costs of a group's devices, per layer.

    Budgets and energies share one unit: joules per layer, or watts. Arrays are [n_devices].

    Attributes
    ----------
    budgets
        P_n^max: budget of a device for one layer, computing and transmitting together.
    energies
        e_n: cost of computing with one parameter.
    n_parameters
        s_tot: parameters of a layer.
    n_entries, n_streams
        L_0, entries of a layer's output, and L, entries per channel use.
    at_most
        Largest share of each device by limits other than energy, such as memory: from
        :func:`edgesim.planning.shares.share_limits`. None: no such limit.
    peaks
        Most that each device's radio can spend on transmitting one layer, however much is left. None: no
        such limit.
    least_left
        Fraction of every budget that computing must leave for transmitting; above 0, since a device with
        nothing left cannot transmit.
    """

    budgets: Floats
    energies: Floats
    n_parameters: float
    n_entries: int
    n_streams: int
    at_most: Floats | None = None
    peaks: Floats | None = None
    least_left: float = 0.01

    def __post_init__(self) -> None:
        arrays = [self.budgets, self.energies]
        arrays += [array for array in (self.at_most, self.peaks) if array is not None]
        if any(np.shape(array) != (self.n_devices,) for array in arrays) or self.n_devices == 0:
            raise InputError(
                f"assignment: {' and '.join(str(np.shape(a)) for a in arrays)} budgets, energies and limits; "
                "expected one of each per device"
            )
        if not (np.all(self.budgets > 0) and np.all(self.energies >= 0) and self.n_parameters >= 0):
            raise InputError(
                "assignment: expected budgets above 0, and energies and parameters of at least 0"
            )
        if not 0 < self.least_left < 1:
            raise InputError(f"assignment: least_left is {self.least_left:g}; expected between 0 and 1")

    @property
    def n_devices(self) -> int:
        """Number of devices, N."""
        return len(self.budgets)

    @cached_property
    def limits(self) -> Floats:
        """Largest share of each device, by ``at_most`` and by the energy reserved for transmitting."""
        power = (list((1 - self.least_left) * self.budgets), list(self.energies * self.n_parameters))
        own = [] if self.at_most is None else [(list(self.at_most), [1.0] * self.n_devices)]
        return share_limits(self.n_devices, power, *own)

    def left(self, shares: Floats) -> Floats:
        """Return the budget left for transmitting in one channel use: [n_devices]."""
        left = power_left(self.budgets, self.energies, shares, self.n_parameters)
        if self.peaks is not None:
            left = np.minimum(left, self.peaks)
        return left / channel_uses(self.n_entries, self.n_streams)

    def is_limited(self, shares: Floats) -> NDArray[np.bool_]:
        """Return whether each device transmits with what its share leaves, not at its radio's peak."""
        if self.peaks is None:
            return np.ones(self.n_devices, np.bool_)
        return power_left(self.budgets, self.energies, shares, self.n_parameters) < self.peaks


@dataclass(frozen=True, slots=True)
class Steps:
    """Step sizes ``rho = (1 + t)^-rho_decay`` and ``gamma = (1 + t)^-gamma_decay`` at iteration t.

    For powers above 1/2 and up to 1, both fall to 0 with diverging sums and finite sums of squares. gamma
    must fall faster, so that the averaged gradient keeps up with the shares (Yang et al. 2016,
    doi:10.1109/TSP.2016.2531627).
    """

    rho_decay: float = 0.6
    gamma_decay: float = 0.7

    def __post_init__(self) -> None:
        if not 0.5 < self.rho_decay < self.gamma_decay <= 1:
            raise InputError(
                f"assignment: steps with powers {self.rho_decay:g} and {self.gamma_decay:g}; expected "
                "0.5 < rho_decay < gamma_decay <= 1: other powers need not converge"
            )

    def rho(self, iteration: int) -> float:
        """Return the weight of the newest gradient."""
        return float((1 + iteration) ** -self.rho_decay)

    def gamma(self, iteration: int) -> float:
        """Return the fraction of the way to the model's minimum that the shares move."""
        return float((1 + iteration) ** -self.gamma_decay)


@dataclass(frozen=True, slots=True, eq=False)
class Assignment:
    """Shares of a group, with the path of the search.

    Attributes
    ----------
    shares : [n_devices]
        m_n, which sum to 1.
    path : [n_iterations + 1, n_devices]
        Shares before every iteration, and at the end.
    alphas : [n_iterations]
        Error over noise of each iteration's draw, at the shares before it. Each is one draw, so they
        scatter; compare assignments by :func:`costs` on the same blocks.
    """

    shares: Floats
    path: Floats
    alphas: Floats


def assign(
    group: GroupBudgets,
    draw: Draw,
    *,
    n_iterations: int = 300,
    steps: Steps | None = None,
    start: Floats | None = None,
    curvature: float | None = None,
    design: Designer = first_order,
) -> Assignment:
    """Choose shares by stochastic successive convex approximation.

    The minimum of the quadratic model within the limits is a projection in closed form
    (:func:`edgesim.planning.shares.nearest_shares`). Every iterate lies between two points within the
    limits, and so is within them itself.

    Parameters
    ----------
    group
        Devices and their budgets.
    draw
        Channels of blocks 0, 1, ... n_iterations - 1, independent of one another.
    steps
        Step sizes. None: the defaults.
    start : [n_devices]
        Initial shares, moved to the nearest within the limits. None: even shares.
    curvature
        eta of the model ``u^T (m - m_t) + eta |m - m_t|^2``, over the averaged alpha. None: estimated at
        every iteration from the budgets and shares (:func:`_curvature`).
    design
        Transceiver design.

    Raises
    ------
    PlacementError
        If the devices together cannot hold the model.
    """
    rule = Steps() if steps is None else steps
    shares = even(group.limits) if start is None else nearest_shares(start, group.limits)
    path, alphas = [shares], []
    slope, mean = np.zeros(group.n_devices), 0.0
    for iteration in range(n_iterations):
        alpha, newest = gradient(group, shares, draw(iteration), design=design)
        rho, gamma = rule.rho(iteration), rule.gamma(iteration)
        slope = (1 - rho) * slope + rho * newest
        mean = (1 - rho) * mean + rho * alpha
        eta = mean * (_curvature(group, shares) if curvature is None else curvature)
        # The linear and quadratic terms together are eta |m - (shares - slope / 2 eta)|^2, up to a constant.
        target = nearest_shares(shares - slope / (2 * eta), group.limits)
        shares = (1 - gamma) * shares + gamma * target
        path.append(shares)
        alphas.append(alpha)
    return Assignment(shares, np.array(path), np.array(alphas))


def gradient(
    group: GroupBudgets, shares: Floats, channels: Matrices, *, design: Designer = first_order
) -> tuple[float, Floats]:
    """Return alpha of one draw at its best transceiver, and its derivatives with respect to the shares.

    By the envelope theorem the transceiver may be kept fixed. At the best one several devices bind at once.
    Their derivatives are weighted as in the smoothed maximum that the first-order design minimises,
    ``w_n ~ alpha_n^b``, which tends to the multipliers of the maximum as b grows.
    """
    left = group.left(shares)
    found = design(channels, left, group.n_streams)
    if not np.isfinite(found.alpha):
        raise InputError(
            f"assignment: device {found.device} has no usable channel in a draw; expected a finite error: "
            "leave the device out, or draw channels over which it can transmit"
        )
    each = alpha_star(found.combiner, channels, left).each
    weights = (each / found.alpha) ** SHARPNESS[-1]
    weights /= weights.sum()
    uses = channel_uses(group.n_entries, group.n_streams)
    # alpha_n = c_n / left_n, so its derivative is alpha_n e_n s_tot / (left_n of the whole tensor).
    slopes = weights * each * group.energies * group.n_parameters / (left * uses)
    return found.alpha, np.where(group.is_limited(shares), slopes, 0.0)


def costs(
    group: GroupBudgets, shares: Floats, draw: Draw, blocks: Iterable[int], *, design: Designer = first_order
) -> Floats:
    """Return alpha of the given shares in each block; infinite where a device has no energy left to transmit.

    Blocks that :func:`assign` did not draw give an unbiased comparison; the same blocks for two assignments
    give a paired one.
    """
    left = group.left(shares)
    if not np.all(left > 0):
        return np.array([np.inf for _ in blocks])
    return np.array([design(draw(block), left, group.n_streams).alpha for block in blocks])


def _curvature(group: GroupBudgets, shares: Floats) -> float:
    """Return an eta as large as f's own curvature: half the second derivative of an alpha_n, relative to it.

    ``(x_n / (1 - x_n m_n))^2`` with ``x_n = e_n s_tot / P_n``, averaged over devices and divided by their
    number, as each binds about equally often. Any eta above 0 converges; this one does not overshoot.
    """
    relative = group.energies * group.n_parameters / group.budgets
    remaining = power_left(group.budgets, group.energies, shares, group.n_parameters) / group.budgets
    each = (relative / remaining) ** 2
    return max(float(each.mean()) / group.n_devices, 1e-12)
