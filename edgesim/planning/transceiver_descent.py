"""Transceiver design by a first-order method, fast enough to run in every coherence block.

The mean squared error of a direction G is the noise power times

::

    F(G) = tr(G G^H) max_n f_n(G),    f_n(G) = tr[(G^H H_n H_n^H G)^-1] / budget_n

F does not depend on the power of G, so ``tr(G G^H) = 1`` is not a constraint: G is scaled at the end. The
maximum is smoothed, in logarithms, to ``(1/b) log sum_n f_n^b``, which exceeds it by at most ``log(n) / b``.
b rises in steps; at each, a limited-memory quasi-Newton method minimises the smoothed F (L-BFGS: Nocedal and
Wright 2006, "Numerical Optimization", algorithms 7.4 and 7.5; not re-read in the book).
"""

from __future__ import annotations

from collections import deque

import numpy as np

from edgesim.errors import InputError
from edgesim.planning.transceiver_design import (
    Floats,
    Matrices,
    TransceiverDesign,
    check,
    finished,
    leading_subspace,
)
from edgesim.radio.collective.aircomp import alpha_star

__all__ = ["SHARPNESS", "SmoothedMaximum", "descend", "first_order"]

SHARPNESS = (5.0, 20.0, 100.0)
"""Values of b. At the last, the smoothed maximum over 8 devices is at most 0.09 dB above the true maximum."""

N_STEPS = 100  # per value of b; few coherence blocks need half of them
N_REMEMBERED = 10  # stored pairs of step and gradient change
PRECISION = 1e-5  # in log F: a step that gains less (0.00005 dB) is the last at its value of b


def first_order(
    channels: Matrices,
    budgets: Floats,
    n_streams: int,
    start: Matrices | None = None,
    *,
    sharpness: tuple[float, ...] = SHARPNESS,
    n_steps: int = N_STEPS,
) -> TransceiverDesign:
    """Design by descent, from the better of a given combiner and the leading subspace.

    The problem is not convex, so the result is a local optimum. Over random channels it is a fraction of a
    decibel above a lower bound of every optimum (:func:`edgesim.planning.transceiver_sdp.lower_bound`).

    Parameters
    ----------
    channels, budgets, n_streams, start
        As in :class:`~edgesim.planning.transceiver_design.Designer`.
    sharpness
        Values of b, increasing.
    n_steps
        Most steps at each value of b.

    Returns
    -------
    Transceiver
        Best combiner visited, by the true maximum rather than the smoothed one.
    """
    check(channels, budgets, n_streams)
    begin = leading_subspace(channels, budgets, n_streams).combiner
    if start is not None:
        if start.shape != begin.shape:
            raise InputError(
                f"transceiver: a start of shape {start.shape}; expected {begin.shape}, the station's "
                "antennas by streams: omit it"
            )
        if alpha_star(start, channels, budgets).alpha < alpha_star(begin, channels, budgets).alpha:
            begin = start
    combiner, n_iterations = descend(
        SmoothedMaximum(channels, budgets), begin, sharpness=sharpness, n_steps=n_steps
    )
    return finished(combiner, channels, budgets, n_iterations)


class SmoothedMaximum:
    """log F with a smoothed maximum, and its gradient, for combiners of any number of columns.

    With more columns than a device has antennas, ``f_n = tr[(H_n^H G G^H H_n)^-1] / budget_n``, which takes
    the same values where both are defined (:mod:`edgesim.planning.transceiver_sdp` explains why).
    """

    def __init__(self, channels: Matrices, budgets: Floats) -> None:
        self.n_devices, self.n_receive, self.n_transmit = channels.shape
        self._channels = np.ascontiguousarray(channels.transpose(1, 0, 2).reshape(self.n_receive, -1))
        self._transposed = np.ascontiguousarray(self._channels.T)
        self._budgets = np.asarray(budgets, dtype=np.float64)

    def __call__(self, combiner: Matrices, sharpness: float) -> tuple[float, Matrices, float]:
        """Return value, gradient (derivatives by real parts, plus i times by imaginary parts), true log F.

        The value is infinite if a device's channel after combining is singular.
        """
        n_columns = combiner.shape[1]
        # Transposes of M_n = G^H H_n: one matrix product gives those of all devices.
        seen = (self._transposed @ combiner.conj()).reshape(self.n_devices, self.n_transmit, n_columns)
        try:
            inverse = _pseudo_inverses(seen)
        except np.linalg.LinAlgError:
            return np.inf, np.zeros_like(combiner), np.inf
        # f_n is the squared norm of the pseudo-inverse P_n of M_n, and its gradient -2 H_n P_n P_n^H P_n.
        adjoint = inverse.conj().swapaxes(1, 2)
        product = inverse @ adjoint
        costs = np.trace(product, axis1=1, axis2=2).real / self._budgets
        logs = np.log(costs)
        largest = float(logs.max())
        weights = np.exp(sharpness * (logs - largest))
        total = float(weights.sum())
        power = float(np.sum(np.abs(combiner) ** 2))
        pull = product @ inverse
        pull *= (weights / (total * costs * self._budgets))[:, np.newaxis, np.newaxis]
        gradient = self._channels @ pull.swapaxes(1, 2).reshape(-1, n_columns)
        gradient *= -2.0
        gradient += (2.0 / power) * combiner
        true = largest + float(np.log(power))
        return true + float(np.log(total)) / sharpness, gradient, true


def descend(
    objective: SmoothedMaximum,
    begin: Matrices,
    *,
    sharpness: tuple[float, ...] = SHARPNESS,
    n_steps: int = N_STEPS,
    precision: float = PRECISION,
) -> tuple[Matrices, int]:
    """Minimise by L-BFGS with rising sharpness; return the best combiner visited and the number of steps."""
    shape = begin.shape
    best = (np.inf, begin)
    n_done = 0
    here = np.ascontiguousarray(begin, dtype=np.complex128).reshape(-1)
    for b in sharpness:
        remembered: deque[tuple[Floats, Floats, float]] = deque(maxlen=N_REMEMBERED)
        value, slope, true = objective(here.reshape(shape), b)
        gradient = slope.reshape(-1).view(np.float64)
        if true < best[0]:
            best = (true, here.reshape(shape))
        for _ in range(n_steps):
            direction = _direction(gradient, here, remembered)
            descent = float(gradient @ direction)
            length = 1.0
            for _ in range(20):  # Armijo's rule; a shorter step than 0.4^20 gains nothing
                there = here + length * direction.view(np.complex128)
                new_value, slope, true = objective(there.reshape(shape), b)
                if new_value <= value + 1e-4 * length * descent:
                    break
                length *= 0.4
            else:
                break
            new_gradient = slope.reshape(-1).view(np.float64)
            step, change = (there - here).view(np.float64), new_gradient - gradient
            curvature = float(step @ change)
            if curvature > 1e-12 * float(np.sqrt((step @ step) * (change @ change))):
                remembered.append((step, change, 1.0 / curvature))
            gain = value - new_value
            here, value, gradient = there, new_value, new_gradient
            n_done += 1
            if true < best[0]:
                best = (true, here.reshape(shape))
            if gain < precision:
                break
    return best[1], n_done


def _direction(gradient: Floats, here: Matrices, remembered: deque[tuple[Floats, Floats, float]]) -> Floats:
    """Return the L-BFGS direction, always a descent direction since every stored curvature is positive."""
    direction = -gradient
    if not remembered:
        # First step: a tenth of the combiner's norm.
        scale = float(np.linalg.norm(here) / max(float(np.linalg.norm(gradient)), 1e-300))
        return 0.1 * scale * direction
    projections = []
    for step, change, inverse in reversed(remembered):
        projection = inverse * float(step @ direction)
        direction -= projection * change
        projections.append(projection)
    _, change, inverse = remembered[-1]
    direction *= 1.0 / (inverse * float(change @ change))
    for (step, change, inverse), projection in zip(remembered, reversed(projections), strict=True):
        direction += (projection - inverse * float(change @ direction)) * step
    return direction


def _pseudo_inverses(matrices: Matrices) -> Matrices:
    """Return pseudo-inverses of a stack of full-rank matrices: [n, rows, columns] to [n, columns, rows]."""
    n_rows, n_columns = matrices.shape[1:]
    if n_rows == n_columns:
        return np.asarray(np.linalg.inv(matrices), dtype=np.complex128)
    adjoint = matrices.conj().swapaxes(1, 2)
    if n_rows > n_columns:
        tall: Matrices = np.linalg.inv(adjoint @ matrices) @ adjoint
        return tall
    wide: Matrices = np.asarray(adjoint @ np.linalg.inv(matrices @ adjoint), dtype=np.complex128)
    return wide
