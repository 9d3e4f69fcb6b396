"""Transceiver design and error bound by semidefinite programming (CVXPY, Clarabel).

Both require as many antennas at a device as streams. Then ``G^H H_n`` is square, and with X = G G^H

::

    tr[(G^H H_n H_n^H G)^-1] = tr[(H_n^H X H_n)^-1],    convex in X

X must also have rank at most L. Without this constraint X is any positive semidefinite matrix, the problem is
convex, and its optimum is a lower bound for every transceiver.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgesim.errors import InputError
from edgesim.planning.transceiver_bound import certificate, certified_alpha
from edgesim.planning.transceiver_design import Floats, Matrices, TransceiverDesign, check, finished

__all__ = ["LowerBound", "lower_bound", "relaxed_gram", "sdr"]


@dataclass(frozen=True, slots=True, eq=False)
class LowerBound:
    """Lower bound of the error of every zero-forcing transceiver."""

    alpha: float
    """Certified bound: from the dual, after scaling away the solver's small violations."""
    gram: Matrices
    """Optimum X of the relaxed problem, of trace 1, [n_receive, n_receive]."""
    solved_alpha: float
    """Value of the relaxed problem at X; above the certified bound by the solver's tolerance."""


def lower_bound(channels: Matrices, budgets: Floats, n_streams: int) -> LowerBound:
    """Return a lower bound of alpha from the relaxation over X.

    Parameters
    ----------
    channels : [n_devices, n_receive, n_transmit]
    budgets : [n_devices]
        Transmit budget of each device in one channel use.
    n_streams
        Number of streams, L, which must equal n_transmit.
    """
    _check_square(channels, budgets, n_streams)
    cp = _cvxpy()
    n_devices, n_receive, _ = channels.shape
    unit, scaled = _scaled(channels, budgets)
    gram = cp.Variable((n_receive, n_receive), hermitian=True)
    constraints: list[Any] = [gram >> 0]
    spent = []
    for channel in scaled:
        # [[Y, I], [I, T]] >= 0 is equivalent to T >= Y^-1.
        inverse = cp.Variable((n_streams, n_streams), hermitian=True)
        seen = channel.conj().T @ gram @ channel
        eye = np.eye(n_streams)
        block = cp.bmat([[0.5 * (seen + seen.H), eye], [eye, inverse]])
        constraints.append(block >> 0)
        spent.append(cp.real(cp.trace(inverse)) <= 1.0)
    problem = cp.Problem(cp.Minimize(cp.real(cp.trace(gram))), constraints + spent)
    _solve(problem)
    found = _hermitian(gram.value)
    weights = np.array([float(constraint.dual_value) for constraint in spent])
    alpha = certified_alpha(certificate(found, scaled, weights), scaled, np.ones(n_devices))
    needed = np.linalg.inv(scaled.conj().swapaxes(1, 2) @ found @ scaled)
    trace = float(np.trace(found).real)
    solved = trace * float(np.trace(needed, axis1=1, axis2=2).real.max())
    return LowerBound(alpha * unit, found / trace, solved * unit)


def sdr(
    channels: Matrices,
    budgets: Floats,
    n_streams: int,
    start: Matrices | None = None,
    *,
    n_draws: int = 100,
    seed: int = 0,
) -> TransceiverDesign:
    """Design as in Zhang et al. 2025 (arXiv 2502.12559): semidefinite relaxation and randomisation.

    The trace is bounded by its largest part, ``tr(Y_n^-1) <= L / lambda_min(Y_n)``, and the worst device of
    this bound is optimised: ``max t, budget_n lambda_min(H_n^H X H_n) >= t, tr(X) = 1``. From X, combiners
    ``X^1/2 V`` with i.i.d. complex Gaussian V are drawn, and the one of least alpha is returned.

    Parameters
    ----------
    channels, budgets, n_streams, start
        As in :class:`~edgesim.planning.transceiver_design.Designer`; ``start`` is not used.
    n_draws
        Number of combiners drawn; the paper does not give its own.
    seed
        Seed of the draws: equal arguments give equal designs.
    """
    del start
    if n_draws < 1:
        raise InputError(f"transceiver sdr: {n_draws} draws; expected at least one")
    gram = relaxed_gram(channels, budgets, n_streams)
    values, vectors = np.linalg.eigh(gram)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    generator = np.random.default_rng(seed)
    parts = generator.standard_normal((n_draws, len(gram), n_streams, 2))
    drawn = root @ (parts[..., 0] + 1j * parts[..., 1])
    # Square matrices: the squared norm of the inverse, for all draws and devices at once.
    seen = np.linalg.inv(drawn.conj().swapaxes(1, 2)[:, np.newaxis] @ channels)
    costs = (np.sum(np.abs(seen) ** 2, axis=(2, 3)) / np.asarray(budgets)).max(axis=1)
    costs *= np.sum(np.abs(drawn) ** 2, axis=(1, 2))
    return finished(drawn[int(np.argmin(costs))], channels, budgets, n_draws)


def relaxed_gram(channels: Matrices, budgets: Floats, n_streams: int) -> Matrices:
    """Return the optimum X of the paper's relaxation, of trace 1: [n_receive, n_receive]."""
    _check_square(channels, budgets, n_streams)
    cp = _cvxpy()
    n_receive = channels.shape[1]
    _, scaled = _scaled(channels, budgets)
    gram = cp.Variable((n_receive, n_receive), hermitian=True)
    constraints: list[Any] = [gram >> 0]
    for channel in scaled:
        seen = channel.conj().T @ gram @ channel
        constraints.append(0.5 * (seen + seen.H) - np.eye(n_streams) >> 0)
    # The largest t at trace 1 is the inverse of the least trace at t = 1.
    _solve(cp.Problem(cp.Minimize(cp.real(cp.trace(gram))), constraints))
    found = _hermitian(gram.value)
    scaled_to_one: Matrices = found / np.trace(found).real
    return scaled_to_one


def _scaled(channels: Matrices, budgets: Floats) -> tuple[float, Matrices]:
    """Return the factor to multiply alpha by, and the channels scaled by the budgets to mean power 1."""
    scaled: Matrices = channels * np.sqrt(np.asarray(budgets))[:, np.newaxis, np.newaxis]
    power = float(np.mean(np.abs(scaled) ** 2))
    return 1.0 / power, scaled / np.sqrt(power)


def _hermitian(value: Any) -> Matrices:
    matrix: Matrices = np.asarray(value, dtype=np.complex128)
    half: Matrices = 0.5 * (matrix + matrix.conj().T)
    return half


def _solve(problem: Any) -> None:
    """Solve, and raise InputError without a solution; an inaccurate one suffices, since callers check it."""
    cp = _cvxpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about inaccurate solutions
        try:
            problem.solve(solver=cp.CLARABEL, max_threads=1)  # more threads would not survive a fork
        except cp.SolverError:
            status = "failed"
        else:
            status = problem.status
    if status not in ("optimal", "optimal_inaccurate"):
        raise InputError(
            f"transceiver: the semidefinite program ended as {status!r}; expected an optimum: use the "
            "first-order design, which needs no solver"
        )


def _check_square(channels: Matrices, budgets: Floats, n_streams: int) -> None:
    check(channels, budgets, n_streams)
    if channels.shape[2] != n_streams:
        raise InputError(
            f"transceiver: {n_streams} streams from {channels.shape[2]} antennas at a device; expected as "
            "many streams as antennas, as the semidefinite programs require: use the first-order design"
        )


def _cvxpy() -> Any:
    import cvxpy  # takes a second; only these functions need it

    return cvxpy
