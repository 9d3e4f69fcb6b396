"""How much of a model each device of a group holds, when what computing leaves is sent over the air.

A device that holds a share m_n of every layer spends ``e_n m_n s_tot`` of its budget on computing and sends
with the rest. The device with the least of it, and the worst channel, sets the error of every sum. Channels
change from block to block, shares are chosen once: what is minimised is the mean over channels of the error
that the best transceiver leaves,

::

    min_m  f(m) = E_H[ min_G max_n  c_n(G, H) / (P_n - e_n m_n s_tot) ],    sum m_n = 1,  0 <= m_n <= limit_n

(:func:`edgesim.radio.collective.aircomp.alpha_star` has c_n). It is solved by the stochastic successive
convex approximation of Zhang et al. 2025 (arXiv 2502.12559 and 2503.14882), which needs draws of the channel
and no law: at every draw a quadratic model of f, with an averaged gradient, is minimised, and the shares move
part of the way there.

Departures from the paper: the power constraint is met with equality by the closed form of alpha inside the
objective, and what is left of it for the shares (computing alone must leave a given part of the budget) is
linear and needs no model; limits on memory and time stand beside it.

Not modelled: a latency in the objective (a deadline is one of :func:`edgesim.planning.shares.share_limits`),
and whole heads, to which :func:`edgesim.model.sharding.to_heads` rounds afterwards.
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
"""Channels of all devices in a numbered coherence block: [n_devices, n_receive, n_transmit]."""


@dataclass(frozen=True, eq=False)
class GroupBudgets:
    """The devices of a group, and what they have to spend per layer.

    Budgets and energies are in one unit: joules per layer, or watts. Arrays are [n_devices].

    Attributes
    ----------
    budgets
        P_n^max: what a device may spend on one layer, computing and sending together.
    energies
        e_n: what one parameter costs to compute with.
    n_parameters
        s_tot: parameters of a layer.
    n_entries, n_streams
        L_0, entries of a layer's output, and L, entries per channel use.
    at_most
        Largest share that each device may hold for reasons of its own, such as its memory: from
        :func:`edgesim.planning.shares.share_limits`. None: no such reason.
    peaks
        The most that each device's radio can send one layer with, whatever is left. None: no such limit.
    least_left
        Part of every budget that computing must leave for sending; above 0, since nothing can be sent
        with nothing.
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
        """N."""
        return len(self.budgets)

    @cached_property
    def limits(self) -> Floats:
        """The largest share of each device, by its own reasons and by what it must keep for sending."""
        power = (list((1 - self.least_left) * self.budgets), list(self.energies * self.n_parameters))
        own = [] if self.at_most is None else [(list(self.at_most), [1.0] * self.n_devices)]
        return share_limits(self.n_devices, power, *own)

    def left(self, shares: Floats) -> Floats:
        """What is left to send with in one channel use: [n_devices]."""
        left = power_left(self.budgets, self.energies, shares, self.n_parameters)
        if self.peaks is not None:
            left = np.minimum(left, self.peaks)
        return left / channel_uses(self.n_entries, self.n_streams)

    def is_limited(self, shares: Floats) -> NDArray[np.bool_]:
        """Whether each device sends with what its share leaves it, rather than at its radio's peak."""
        if self.peaks is None:
            return np.ones(self.n_devices, np.bool_)
        return power_left(self.budgets, self.energies, shares, self.n_parameters) < self.peaks


@dataclass(frozen=True, slots=True)
class Steps:
    """Step sizes ``rho = (1 + t)^-rho_decay`` and ``gamma = (1 + t)^-gamma_decay`` at iteration t.

    Both fall to 0 with diverging sums and finite sums of squares for powers above 1/2 and up to 1; gamma is
    to fall faster, so that the averaged gradient keeps up with the shares (Yang et al. 2016,
    doi:10.1109/TSP.2016.2531627).
    """

    rho_decay: float = 0.6
    gamma_decay: float = 0.7

    def __post_init__(self) -> None:
        if not 0.5 < self.rho_decay < self.gamma_decay <= 1:
            raise InputError(
                f"assignment: steps with powers {self.rho_decay:g} and {self.gamma_decay:g}; expected "
                "0.5 < rho_decay < gamma_decay <= 1: otherwise nothing need converge"
            )

    def rho(self, iteration: int) -> float:
        """Weight of the newest gradient."""
        return float((1 + iteration) ** -self.rho_decay)

    def gamma(self, iteration: int) -> float:
        """Part of the way that the shares move."""
        return float((1 + iteration) ** -self.gamma_decay)


@dataclass(frozen=True, slots=True, eq=False)
class Assignment:
    """Shares, and how they were found.

    Attributes
    ----------
    shares : [n_devices]
        m_n, 1 together.
    path : [n_iterations + 1, n_devices]
        Shares before every iteration, and at the end.
    alphas : [n_iterations]
        Error over noise of the draw of each iteration, at the shares before it: one draw each, so that it
        scatters; compare assignments by :func:`costs` on the same blocks.
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

    The quadratic model's minimum over the limits is a projection, in closed form
    (:func:`edgesim.planning.shares.nearest_shares`). Every iterate lies between two points that keep all
    limits, and so keeps them itself.

    Parameters
    ----------
    group
        Who there is.
    draw
        Channels of block 0, 1, ... n_iterations - 1, independent of one another.
    steps
        None: the defaults.
    start : [n_devices]
        None: even shares. Others are moved to the nearest that keep the limits.
    curvature
        eta of the model ``u^T (m - m_t) + eta |m - m_t|^2``, over the averaged alpha; None: at every
        iteration that of the group's budgets at the shares (:func:`_curvature`).
    design
        How transceivers are designed.

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
        # The linear and quadratic terms together are eta |m - (shares - slope / 2 eta)|^2, but a constant.
        target = nearest_shares(shares - slope / (2 * eta), group.limits)
        shares = (1 - gamma) * shares + gamma * target
        path.append(shares)
        alphas.append(alpha)
    return Assignment(shares, np.array(path), np.array(alphas))


def gradient(
    group: GroupBudgets, shares: Floats, channels: Matrices, *, design: Designer = first_order
) -> tuple[float, Floats]:
    """Alpha of one draw at its best transceiver, and its derivatives by the shares.

    By the envelope theorem the transceiver may be held fixed. Several devices bind at once at the best one:
    their derivatives are weighted as in the smoothed maximum that the first-order design minimises,
    ``w_n ~ alpha_n^b``, which tends to the multipliers of the maximum as b grows.
    """
    left = group.left(shares)
    found = design(channels, left, group.n_streams)
    if not np.isfinite(found.alpha):
        raise InputError(
            f"assignment: device {found.device} cannot be heard in a draw; expected a finite error: leave "
            "the device out, or draw channels in which it is heard"
        )
    each = alpha_star(found.combiner, channels, left).each
    weights = (each / found.alpha) ** SHARPNESS[-1]
    weights /= weights.sum()
    uses = channel_uses(group.n_entries, group.n_streams)
    # alpha_n = c_n / left_n, so that its derivative is alpha_n e_n s_tot / (left_n of the whole tensor).
    slopes = weights * each * group.energies * group.n_parameters / (left * uses)
    return found.alpha, np.where(group.is_limited(shares), slopes, 0.0)


def costs(
    group: GroupBudgets, shares: Floats, draw: Draw, blocks: Iterable[int], *, design: Designer = first_order
) -> Floats:
    """Alpha of given shares in each of some blocks; infinite where a device has nothing left to send with.

    Blocks that were not drawn in :func:`assign` give an unbiased comparison, and the same blocks for two
    assignments a paired one.
    """
    left = group.left(shares)
    if not np.all(left > 0):
        return np.array([np.inf for _ in blocks])
    return np.array([design(draw(block), left, group.n_streams).alpha for block in blocks])


def _curvature(group: GroupBudgets, shares: Floats) -> float:
    """An eta of the size of f's own curvature: of one alpha_n, relative, the second derivative's half.

    ``(x_n / (1 - x_n m_n))^2`` with ``x_n = e_n s_tot / P_n``, averaged over devices and divided by their
    number, as each binds about as often. Any eta above 0 converges; this one does not overshoot.
    """
    relative = group.energies * group.n_parameters / group.budgets
    remaining = power_left(group.budgets, group.energies, shares, group.n_parameters) / group.budgets
    each = (relative / remaining) ** 2
    return max(float(each.mean()) / group.n_devices, 1e-12)
